"""OGC API - Features, parts 1, 2 and 3, the same for every layer: landing page, collections, queryables, items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response

from gis_core import features
from gis_core.access import Viewer, is_guarded, may_read
from gis_core.crs.uris import CRS84, served
from gis_core.filters import queryables
from gis_core.queries import read_query
from gis_core.spec import Layer
from web_map.asking import AskedLayer, Asker, TheCity
from web_map.city import City
from web_map.ogc_words import CONFORMANCE, FEATURE_PARAMETERS, ITEM_PARAMETERS, link

router = APIRouter(prefix="/ogc", tags=["OGC API"])

_GEOJSON = "application/geo+json"
_SCHEMA = "application/schema+json"
_TOLD_AS_SCHEMA: dict[int | str, dict[str, Any]] = {200: {"content": {_SCHEMA: {}}, "description": "JSON Schema"}}
_QUERYABLES = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
_SCHEMA_REL = "http://www.opengis.net/def/rel/ogc/1.0/schema"
_WORTH_A_NOTE = 100
"""A page of so many features of a guarded layer goes into the audit trail."""
_TILESETS = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"


def root(request: Request) -> str:
    """Where `/ogc` is, as the client itself reached it."""
    return f"{str(request.base_url).rstrip('/')}/ogc"


@router.get("")
def landing(request: Request, city: TheCity) -> dict[str, Any]:
    """What is offered here, and where."""
    here, service = root(request), str(request.base_url).rstrip("/")
    return {
        "title": f"Chengtu 城图 - {city.facts['title']['en']}",
        "description": f"{city.facts['title']['zh']}: features and tiles of every layer of the city.",
        "attribution": "; ".join(city.facts["attribution"]),
        "links": [
            link(here, "self", "This page"),
            link(f"{service}/openapi.json", "service-desc", "The API", "application/vnd.oai.openapi+json;version=3.1"),
            link(f"{service}/docs", "service-doc", "The API, for people", "text/html"),
            link(f"{here}/conformance", "conformance", "Conformance classes"),
            link(f"{here}/conformance", "http://www.opengis.net/def/rel/ogc/1.0/conformance", "Conformance classes"),
            link(f"{here}/collections", "data", "Layers"),
            link(f"{here}/collections", "http://www.opengis.net/def/rel/ogc/1.0/data", "Layers"),
        ],
    }


@router.get("/conformance")
def conformance() -> dict[str, Any]:
    """The parts of the standards that are kept."""
    return {"conformsTo": CONFORMANCE}


@router.get("/collections")
def collections(request: Request, city: TheCity, viewer: Asker) -> dict[str, Any]:
    """Every layer that this viewer may see."""
    here = root(request)
    return {
        "links": [link(f"{here}/collections", "self", "Layers")],
        "crs": [crs.uri for crs in served(_metric(city))],
        "collections": [_collection(here, city, layer) for layer in city.layers.values() if may_read(layer, viewer)],
    }


@router.get("/collections/{layer}")
def collection(request: Request, city: TheCity, layer: AskedLayer) -> dict[str, Any]:
    """One layer."""
    return _collection(root(request), city, layer)


@router.get("/collections/{layer}/queryables", response_class=Response, responses=_TOLD_AS_SCHEMA)
def queryables_of(request: Request, viewer: Asker, layer: AskedLayer) -> Response:
    """What the layer can be filtered by, as JSON Schema."""
    return _as_schema(queryables.schema(layer, viewer, str(request.url), queryables=True))


@router.get("/collections/{layer}/schema", response_class=Response, responses=_TOLD_AS_SCHEMA)
def schema_of(request: Request, viewer: Asker, layer: AskedLayer) -> Response:
    """What a feature of the layer holds, as JSON Schema."""
    return _as_schema(queryables.schema(layer, viewer, str(request.url), queryables=False))


@router.get(
    "/collections/{layer}/items",
    response_class=Response,
    responses={200: {"content": {_GEOJSON: {}}, "description": "GeoJSON feature collection"}},
    openapi_extra={"parameters": FEATURE_PARAMETERS},
)
def items(request: Request, city: TheCity, viewer: Asker, layer: AskedLayer) -> Response:
    """Features of the layer, page by page; a column's name is a parameter too (`?owner=...`)."""
    query = read_query(request.query_params.multi_items(), layer, viewer, _metric(city))
    with city.database.reading(viewer) as connection:
        page = features.page(connection, layer, viewer, query)
    _take(city, viewer, layer, page.cells, len(page.features))
    here = f"{root(request)}/collections/{layer.name}"
    links = [
        link(str(request.url), "self", "This page", _GEOJSON),
        link(here, "collection", layer.title.en),
    ]
    if page.cursor is not None:
        others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        links.append(
            link(f"{here}/items?{urlencode([*others, ('cursor', page.cursor)])}", "next", "Next page", _GEOJSON)
        )
    head: dict[str, Any] = {
        "type": "FeatureCollection",
        "timeStamp": datetime.now(UTC),
        "numberReturned": len(page.features),
        "links": links,
    }
    if page.matched is not None:
        head["numberMatched"] = page.matched
    body = orjson.dumps(head)[:-1] + b',"features":[' + b",".join(page.features) + b"]}"
    return Response(
        body, media_type=_GEOJSON, headers={"Content-Crs": f"<{query.crs.uri}>", "Cache-Control": "private, no-cache"}
    )


@router.get(
    "/collections/{layer}/items/{feature_id}",
    response_class=Response,
    responses={200: {"content": {_GEOJSON: {}}, "description": "GeoJSON feature"}},
    openapi_extra={"parameters": ITEM_PARAMETERS},
)
def item(request: Request, city: TheCity, viewer: Asker, layer: AskedLayer, feature_id: int) -> Response:
    """One feature."""
    query = read_query(
        request.query_params.multi_items(), layer, viewer, _metric(city), allowed=("crs", "f"), columns=False
    )
    with city.database.reading(viewer) as connection:
        found = features.one(connection, layer, viewer, feature_id, query.crs)
        cells = features.cell_of(connection, layer, viewer, feature_id) if is_guarded(layer) else frozenset()
    _take(city, viewer, layer, cells, 1)
    here = f"{root(request)}/collections/{layer.name}"
    found["links"] = [
        link(str(request.url), "self", "This feature", _GEOJSON),
        link(here, "collection", layer.title.en),
    ]
    headers = {"Content-Crs": f"<{query.crs.uri}>", "Cache-Control": "private, no-cache"}
    return Response(orjson.dumps(found), media_type=_GEOJSON, headers=headers)


def _take(city: City, viewer: Viewer, layer: Layer, cells: Iterable[int], count: int) -> None:
    """Count the ground of features of a guarded layer against what the viewer may take; large pages are noted.

    Raises:
        OverAllowance: nothing of it may be handed out.
    """
    if not is_guarded(layer) or not count:
        return
    sum_km2 = city.allowance.take(viewer, cells, f"a page of {count} rows of {layer.name}")
    if count >= _WORTH_A_NOTE:
        words = f"{count} rows; {sum_km2:.2f} of {city.allowance.limit_km2:g} km2 taken within 24 hours"
        city.trail.record(viewer, "read", f"/ogc/collections/{layer.name}/items", allowed=True, detail=words)


def _collection(here: str, city: City, layer: Layer) -> dict[str, Any]:
    address = f"{here}/collections/{layer.name}"
    return {
        "id": layer.name,
        "title": layer.title.en,
        "description": f"{layer.title.zh} ({layer.group.label.zh})",
        "itemType": "feature",
        "extent": {"spatial": {"bbox": [list(city.facts["bounds"])], "crs": CRS84}},
        "crs": [crs.uri for crs in served(_metric(city))],
        "storageCrs": CRS84,
        "links": [
            link(address, "self", layer.title.en),
            link(f"{address}/items", "items", "Features", _GEOJSON),
            link(f"{address}/queryables", _QUERYABLES, "What can be filtered by", _SCHEMA),
            link(f"{address}/schema", _SCHEMA_REL, "What a feature holds", _SCHEMA),
            link(f"{address}/tiles", _TILESETS, "Vector tiles"),
        ],
    }


def _as_schema(told: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type=_SCHEMA)


def _metric(city: City) -> str | None:
    metric: str | None = city.facts.get("metric_crs")
    return metric
