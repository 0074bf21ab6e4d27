"""`/api/catalog` and `/api/search`: which layers this viewer may see, with all the browser needs to show them."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gis_core import summaries
from gis_core.access import Viewer, hidden, is_fleeting, may_read, sees_presence_only
from gis_core.scene import MAX_TILE_ZOOM, legend
from gis_core.spec import Layer
from gis_core.style import Underground
from gis_core.summaries import Summary
from web_map.asking import Asker, TheCity
from web_map.city import City

router = APIRouter(tags=["catalogue"])


@router.get("/api/catalog")
def catalog(city: TheCity, viewer: Asker) -> dict[str, Any]:
    """The city, who looks, and every layer that may be seen."""
    seen = [layer for layer in city.layers.values() if may_read(layer, viewer)]
    groups = {layer.group.name: layer.group for layer in seen}
    with city.database.reading(viewer) as connection:
        told = [
            _layer(city, layer, viewer, _summary(city, connection, layer, viewer), summaries.sources(connection, layer))
            for layer in seen
        ]
    return {
        "city": city.facts,
        "viewer": describe(viewer),
        "groups": [
            {"name": g.name, "title": g.label.as_json()} for g in sorted(groups.values(), key=lambda g: g.order)
        ],
        "layers": told,
    }


@router.get("/api/search")
def search(
    city: TheCity,
    viewer: Asker,
    q: Annotated[str, Query(min_length=1, max_length=80, pattern=r"^[^\x00]*$", description="part of a name or code")],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> dict[str, Any]:
    """Features whose name or code contains the text."""
    with city.database.reading(viewer) as connection:
        hits = summaries.search(connection, city.layers.values(), viewer, q.strip(), limit)
    return {"results": [vars(hit) | {"label": city.layers[hit.layer].title.as_json()} for hit in hits]}


def describe(viewer: Viewer) -> dict[str, Any]:
    """Who looks, as the browser is told."""
    return {
        "role": viewer.role,
        "owner": viewer.owner,
        "area": viewer.area,
        "name": viewer.name,
        "expires_at": viewer.expires_at,
        "rights": sorted(viewer.rights),
    }


def tile_url(city: City, layer: Layer) -> str:
    """The template of the layer's tiles; its version is part of it, so that a change makes new addresses."""
    version = city.feed.version(layer.name)
    return f"/ogc/collections/{layer.name}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}?v={version}"


class _Summaries:
    """Summaries by layer, scope, clearance and version: counting a million rows once is enough."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Summary] = {}
        self._lock = threading.Lock()

    def get(self, city: City, connection: Any, layer: Layer, viewer: Viewer) -> Summary:
        version = city.feed.version(layer.name)
        if is_fleeting(layer, viewer):
            return summaries.summarise(connection, layer, viewer)
        key = (city.database.url, layer.name, viewer.scope, viewer.clearance, viewer.area, version)
        with self._lock:
            if key in self._known:
                return self._known[key]
        summary = summaries.summarise(connection, layer, viewer)
        with self._lock:
            stale = [k for k in self._known if k[:5] == key[:5]]
            for old in stale:
                del self._known[old]
            self._known[key] = summary
        return summary


_summary = _Summaries().get


def _layer(city: City, layer: Layer, viewer: Viewer, summary: Summary, sources: list[dict[str, Any]]) -> dict[str, Any]:
    unseen, coarsely = hidden(layer, viewer), sees_presence_only(layer, viewer)
    changed_at = city.feed.changed_at(layer.name)
    return {
        "name": layer.name,
        "title": layer.title.as_json(),
        "group": layer.group.name,
        "geometry": layer.geometry,
        "count": summary.count,
        "simulated": summary.simulated,
        "version": city.feed.version(layer.name),
        "updated_at": changed_at,
        "bounds": summary.bounds,
        "min_zoom": layer.min_zoom,
        "max_zoom": MAX_TILE_ZOOM,
        "visible": layer.visible,
        "sources": sources,
        "tiles": tile_url(city, layer),
        "items": f"/ogc/collections/{layer.name}/items",
        "key": layer.key,
        "name_field": layer.name_field,
        "underground": isinstance(layer.style, Underground),
        "fields": [_field(layer, name) for name in layer.fields if name not in unseen],
        "legend": legend(layer),
        "measures": [
            {"name": m.name, "label": m.label.as_json(), "unit": m.unit, "palette": m.palette}
            for m in layer.measures
            if m.presence or not coarsely
        ],
    }


def _field(layer: Layer, name: str) -> dict[str, Any]:
    field, codes = layer.fields[name], layer.codes(name)
    listed = [{"value": c.name, "label": c.label.as_json(), "colour": c.colour} for c in codes] if codes else None
    return {
        "name": name,
        "label": field.label.as_json(),
        "unit": field.unit,
        "type": layer.kind_of(name),
        "codes": listed,
        "live": field.live,
        "range": field.within,
    }
