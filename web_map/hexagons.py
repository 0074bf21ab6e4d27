"""`/api/hexagons/{layer}`: any measure of any layer by H3 cell, kept under the layer's version."""

from __future__ import annotations

import time
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from gis_core import hexagons
from gis_core.access import Viewer, hidden
from gis_core.crs.uris import bounds_of
from gis_core.errors import BadInput
from gis_core.hexagons import COARSEST
from gis_core.hexgrid import FINEST
from gis_core.spec import Layer
from gis_core.tiles.byte_cache import ByteCache
from web_map.asking import AskedLayer, Asker, TheCity

router = APIRouter(tags=["hexagons"])

_KEPT = ByteCache(64 * 2**20)
_LIVE_FOR_S = 2.0
"""How long an answer from live values is kept: their changes raise no version."""


@router.get("/api/hexagons/{layer}", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def read_hexagons(
    city: TheCity,
    viewer: Asker,
    layer: AskedLayer,
    resolution: Annotated[int, Query(ge=COARSEST, le=FINEST, description="of H3; lines and areas have up to 10")] = 8,
    measure: Annotated[str | None, Query(max_length=60, description="one of the layer's measures")] = None,
    bbox: Annotated[str | None, Query(max_length=200, description="west,south,east,north")] = None,
    t: Annotated[str | None, Query(max_length=40, description="now; other times are not kept yet")] = None,
) -> Response:
    """One number per cell. Cells of lines and areas hold shares, so sums are the same at any resolution."""
    if t not in (None, "now"):
        raise BadInput("t: only `now` is answered; readings of other times are not kept by this version")
    bounds = None
    if bbox is not None:
        bounds = bounds_of(bbox)
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
    body = _KEPT.get(key)
    if body is None:
        with city.database.reading(viewer) as connection:
            found = hexagons.aggregate(connection, layer, viewer, chosen, resolution, bounds)
        body = orjson.dumps({"layer": layer.name, **found.as_json()})
        _KEPT.put(key, body)
    return Response(body, media_type="application/json", headers={"Cache-Control": "private, no-cache"})


def _sees(layer: Layer, viewer: Viewer) -> tuple[object, ...]:
    """All of a viewer that decides what they see of a layer."""
    return layer.name, viewer.scope, viewer.area_wkb, hidden(layer, viewer)
