"""`/api/hexagons/{layer}`: any measure of any layer by H3 cell, kept under the layer's version."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from gis_core import hexagons
from gis_core.access import Viewer, hidden, is_fleeting, is_guarded, may_read, sees_presence_only
from gis_core.crs import Bounds
from gis_core.crs.uris import bounds_of
from gis_core.errors import BadInput, Forbidden
from gis_core.hexagons import COARSEST
from gis_core.hexgrid import FINEST
from gis_core.spec import Layer
from gis_core.tiles.byte_cache import ByteCache
from web_map.asking import Asker, PresentLayer, TheCity
from web_map.city import City

router = APIRouter(tags=["hexagons"])

_KEPT = ByteCache(64 * 2**20)
_LIVE_FOR_S = 2.0
"""How long an answer from live values is kept: their changes raise no version."""


@router.get("/api/hexagons/{layer}", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def read_hexagons(
    city: TheCity,
    viewer: Asker,
    layer: PresentLayer,
    resolution: Annotated[int, Query(ge=COARSEST, le=FINEST, description="of H3; lines and areas have up to 10")] = 8,
    measure: Annotated[str | None, Query(max_length=60, description="one of the layer's measures")] = None,
    bbox: Annotated[str | None, Query(max_length=200, description="west,south,east,north")] = None,
    presence: Annotated[bool | None, Query(description="about how much lies there, whoever's it is")] = None,
    t: Annotated[str | None, Query(max_length=40, description="now; other times are not kept yet")] = None,
) -> Response:
    """One number per cell. Cells of lines and areas hold shares, so sums are the same at any resolution.

    Who may not see the rows of a layer of pipes is told its presence: cells of resolution 8 or coarser, numbers
    rounded up to 1, 2, 5, 10, 20, ...
    """
    if t not in (None, "now"):
        raise BadInput("t: only `now` is answered; readings of other times are not kept by this version")
    bounds = None
    if bbox is not None:
        bounds = bounds_of(bbox)
    told = sees_presence_only(layer, viewer) if presence is None else presence
    if told:
        return _told(_presence(city, layer, measure, resolution, bounds))
    if not may_read(layer, viewer):
        raise Forbidden(f"role {viewer.role} may not see the layer {layer.name}, only its presence")
    chosen = hexagons.find_measure(layer, measure)
    key: tuple[object, ...] = (
        city.database.url,
        city.feed.version(layer.name),
        _sees(layer, viewer),
        chosen.name,
        resolution,
        bounds,
    )
    if hexagons.is_live(layer, chosen):
        key = (*key, int(time.monotonic() / _LIVE_FOR_S))
    fleeting = is_fleeting(layer, viewer)
    body = None if fleeting else _KEPT.get(key)
    if body is None:
        with city.database.reading(viewer) as connection:
            found = hexagons.aggregate(connection, layer, viewer, chosen, resolution, bounds)
        body = orjson.dumps({"layer": layer.name, **found.as_json()})
        if not fleeting:
            _KEPT.put(key, body)
    return _told(body)


def _presence(city: City, layer: Layer, measure: str | None, resolution: int, bounds: Bounds | None) -> bytes:
    """What everybody is told of a layer; the same for all, so one answer serves them."""
    if not is_guarded(layer):
        raise BadInput(f"presence: {layer.name} is not told so; its rows are not secret")
    chosen = hexagons.find_presence(layer, measure)
    version = city.feed.version(layer.name)
    key = (city.database.url, version, "presence", layer.name, chosen.name, resolution, bounds)
    body = _KEPT.get(key)
    if body is None:
        with city.database.reading(hexagons.PRESENT) as connection:
            found = hexagons.presence(connection, layer, chosen, resolution, bounds)
        body = orjson.dumps({"layer": layer.name, **found.as_json()})
        _KEPT.put(key, body)
    return body


def _told(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "private, no-cache"})


def _sees(layer: Layer, viewer: Viewer) -> tuple[object, ...]:
    """All of a viewer that decides what they see of a layer."""
    return layer.name, viewer.scope, viewer.clearance, viewer.area_wkb, hidden(layer, viewer)
