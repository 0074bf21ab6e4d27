"""`/api/pipes/inp`: a water network as an EPANET model, drains as a SWMM model, to calculate with elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import shapely
from fastapi import APIRouter, Query, Response

from gis_core.access import Viewer, require
from gis_core.crs.uris import bounds_of
from gis_core.errors import BadInput
from twin.pipes import models
from twin.pipes.permit import Desk
from web_map.asking import Asker, TheCity
from web_map.city import City
from web_map.pipe_checks import Body, Polygon, shape_of

router = APIRouter(tags=["pipes"])

_TEXT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/plain": {}}}}


class ModelWish(Body):
    """Which network of which area."""

    network: Literal["water", "drainage"]
    area: Polygon


@router.get("/api/pipes/inp", response_class=Response, responses=_TEXT)
def read_model(
    city: TheCity,
    viewer: Asker,
    network: Annotated[Literal["water", "drainage"], Query(description="EPANET 2.2 or SWMM 5.2")],
    bbox: Annotated[str, Query(max_length=200, description="west,south,east,north")],
) -> Response:
    """The pipes that touch a box as an input file, with what was assumed in its title. Each export is audited."""
    bounds = bounds_of(bbox)
    if bounds is None:
        raise BadInput("bbox: west,south,east,north")
    return _model(city, viewer, network, shapely.box(*bounds))


@router.post("/api/pipes/inp", response_class=Response, responses=_TEXT)
def make_model(city: TheCity, viewer: Asker, wish: ModelWish) -> Response:
    """The pipes that touch an area as an input file, with what was assumed in its title. Each export is audited."""
    return _model(city, viewer, wish.network, shape_of(wish.area))


def _model(city: City, viewer: Viewer, network: Literal["water", "drainage"], area: Any) -> Response:
    require(viewer, "pipes.view", "export pipe networks")
    require(viewer, "export", "export pipe networks")
    desk = Desk(city.database, city.layers, viewer, str(city.facts["metric_crs"]))
    made = models.export(desk, network, area)
    sum_km2 = city.allowance.take(viewer, made.cells, f"a model of {made.pipes} pipes")
    where = ",".join(f"{value:.5f}" for value in area.bounds)
    detail = f"{network}: {made.pipes} pipes, box {where}; {sum_km2:.2f} km2 taken within 24 hours"
    city.trail.record(viewer, "export", "/api/pipes/inp", allowed=True, detail=detail)
    name = f"{network}{'_simulated' if made.simulated else ''}.inp"
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Rows": str(made.pipes),
        "X-Simulated-Rows": str(made.simulated),
    }
    return Response(made.text, media_type="text/plain; charset=utf-8", headers=headers)
