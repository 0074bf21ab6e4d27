"""OGC API - Tiles: each layer as Mapbox Vector Tiles in WebMercatorQuad."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from gis_core.access import Viewer, hidden
from gis_core.crs import mercator
from gis_core.scene import MAX_TILE_ZOOM
from gis_core.spec import Layer
from gis_core.tiles.plans import MAX_ZOOM, check_address, tile_fields
from web_map.asking import AskedLayer, Asker, TheCity
from web_map.ogc import root
from web_map.ogc_words import link
from web_map.tile_answers import MVT, answer

router = APIRouter(prefix="/ogc", tags=["tiles"])

_SCHEME = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
_MERCATOR = "http://www.opengis.net/def/crs/EPSG/0/3857"
_DIMENSION = {"POINT": 0, "LINESTRING": 1}
_TYPES = {"integer": "Number", "number": "Number", "boolean": "Boolean"}


@router.get("/collections/{layer}/tiles")
def tilesets(request: Request, layer: AskedLayer) -> dict[str, Any]:
    """The tile sets of a layer: one."""
    here = _address(request, layer)
    return {
        "links": [link(here, "self", "Tile sets")],
        "tilesets": [
            {
                "title": layer.title.en,
                "dataType": "vector",
                "crs": _MERCATOR,
                "tileMatrixSetURI": _SCHEME,
                "links": [link(f"{here}/WebMercatorQuad", "self", layer.title.en)],
            }
        ],
    }


@router.get("/collections/{layer}/tiles/WebMercatorQuad")
def tileset(request: Request, city: TheCity, viewer: Asker, layer: AskedLayer) -> dict[str, Any]:
    """What the layer's tiles hold, and where they are."""
    here = f"{_address(request, layer)}/WebMercatorQuad"
    west, south, east, north = city.facts["bounds"]
    shown = _fields(layer, viewer)
    properties = {name: {"title": title, "type": kind.lower()} for name, (title, kind) in shown.items()}
    return {
        "title": layer.title.en,
        "dataType": "vector",
        "crs": _MERCATOR,
        "tileMatrixSetURI": _SCHEME,
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north]},
        "tileMatrixSetLimits": [
            {"tileMatrix": str(z), **_limits((west, south, east, north), z)}
            for z in range(layer.min_zoom, MAX_ZOOM + 1)
        ],
        "layers": [
            {
                "id": layer.name,
                "title": layer.title.en,
                "dataType": "vector",
                "geometryDimension": _DIMENSION.get(layer.geometry, 2),
                "minTileMatrix": str(layer.min_zoom),
                "maxTileMatrix": str(MAX_ZOOM),
                "propertiesSchema": {"type": "object", "properties": properties},
            }
        ],
        "links": [
            link(here, "self", layer.title.en),
            link(f"{here}/tilejson", "describedby", "TileJSON"),
            link(_SCHEME, "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", "WebMercatorQuad"),
            {
                **link(f"{here}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", "item", "Tiles", MVT),
                "templated": True,
            },
        ],
    }


@router.get("/collections/{layer}/tiles/WebMercatorQuad/tilejson")
def tilejson(request: Request, city: TheCity, viewer: Asker, layer: AskedLayer) -> dict[str, Any]:
    """The same as TileJSON 3.0.0, for map clients."""
    here = f"{_address(request, layer)}/WebMercatorQuad"
    shown = _fields(layer, viewer)
    return {
        "tilejson": "3.0.0",
        "name": layer.name,
        "description": layer.title.zh,
        "version": f"{city.feed.version(layer.name)}.0.0",
        "attribution": "; ".join(city.facts["attribution"]),
        "scheme": "xyz",
        "tiles": [f"{here}/{{z}}/{{y}}/{{x}}?v={city.feed.version(layer.name)}"],
        "minzoom": layer.min_zoom,
        "maxzoom": MAX_TILE_ZOOM,
        "bounds": list(city.facts["bounds"]),
        "vector_layers": [
            {
                "id": layer.name,
                "description": layer.title.en,
                "minzoom": layer.min_zoom,
                "maxzoom": MAX_TILE_ZOOM,
                "fields": {name: _TYPES.get(kind.lower(), "String") for name, (_, kind) in shown.items()},
            }
        ],
    }


@router.get(
    "/collections/{layer}/tiles/WebMercatorQuad/{z}/{y}/{x}",
    response_class=Response,
    responses={
        200: {"content": {MVT: {}}, "description": "Mapbox Vector Tile"},
        204: {"description": "nothing here"},
        304: {"description": "the tile that the client has is still the newest"},
    },
)
async def tile(request: Request, city: TheCity, viewer: Asker, layer: AskedLayer, z: int, y: int, x: int) -> Response:
    """One tile; empty ones are 204."""
    check_address(z, x, y)
    status, headers, body = await answer(city, layer, viewer, (z, x, y), request.scope, request.receive)
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _address(request: Request, layer: Layer) -> str:
    return f"{root(request)}/collections/{layer.name}/tiles"


def _limits(bounds: tuple[float, float, float, float], z: int) -> dict[str, int]:
    """The rows and columns of tiles that the city covers."""
    west, south, east, north = bounds
    (left, right), (bottom, top) = mercator(np.array([west, east]), np.array([south, north]))
    last, half = (1 << z) - 1, math.pi * 6378137.0

    def place(metres: float) -> int:
        return min(max(int((metres + half) / (2 * half) * (1 << z)), 0), last)

    return {
        "minTileRow": place(-top),
        "maxTileRow": place(-bottom),
        "minTileCol": place(left),
        "maxTileCol": place(right),
    }


def _fields(layer: Layer, viewer: Viewer) -> dict[str, tuple[str, str]]:
    """The properties of a tile's features: title and JSON Schema type."""
    unseen = hidden(layer, viewer)
    own = {n: (layer.fields[n].label.en, layer.kind_of(n)) for n in tile_fields(layer) if n not in unseen}
    return own | {"simulated": ("Simulated", "boolean")}
