"""`/api/pipes/inp`, `/pressure`, `/bursts`: networks as EPANET and SWMM models, and what EPANET says of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

import shapely
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StrictFloat, StrictInt

from gis_core.access import Viewer, require
from gis_core.crs.uris import bounds_of
from gis_core.errors import BadInput, Unavailable
from twin.pipes import models
from twin.pipes.hydraulics import LEAST_PRESSURE_M
from twin.pipes.permit import Desk
from web_map.asking import Asker, TheCity
from web_map.city import City
from web_map.pipe_checks import Body, Polygon, Text, shape_of

router = APIRouter(tags=["pipes"])

_WAIT_S: Final = 60.0
_solver = threading.BoundedSemaphore(1)

_TEXT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/plain": {}}}}


class ModelWish(Body):
    """Which network of which area."""

    network: Literal["water", "drainage"]
    area: Polygon


class PressureWish(Body):
    """Which pipes are shut off, for example those that an isolation names."""

    area: Polygon = Field(description="of the network that is solved: it should hold the sources")
    closed: Annotated[list[Text], Field(max_length=500)]
    least_m: StrictFloat = Field(LEAST_PRESSURE_M, gt=0, le=200, description="head that a point should have, in metres")
    limit: StrictInt = Field(200, ge=0, le=5000, description="points told one by one, the worst first")


class Fall(Body):
    """How far the head at a point with a sensor lies below what is expected."""

    point: Text
    fall_m: StrictFloat = Field(ge=-500, le=500)


class BurstWish(Body):
    """What sensors say."""

    area: Polygon
    sensors: Annotated[list[Fall], Field(min_length=2, max_length=200)]
    leak_m3h: StrictFloat = Field(50.0, gt=0, le=5000, description="about how much is lost, in cubic metres an hour")


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


@router.post("/api/pipes/pressure")
def pressure(city: TheCity, viewer: Asker, wish: PressureWish) -> JSONResponse:
    """What closing pipes costs in pressure: points that fall below what they should have, and those cut off.

    A steady solution of EPANET 2.2 over the water pipes of the area that you may see; `notes` say what was assumed.
    """
    require(viewer, "pipes.view", "calculate pipe networks")
    with _alone():
        told = models.pressure_loss(_desk(city, viewer), shape_of(wish.area), wish.closed, wish.least_m, wish.limit)
    detail = (
        f"{len(wish.closed)} of {told['pipes']} pipes closed: {told['below']} points below, {told['cut_off']} cut off"
    )
    city.trail.record(viewer, "pressure", "/api/pipes/pressure", allowed=True, detail=detail)
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


@router.post("/api/pipes/bursts")
def bursts(city: TheCity, viewer: Asker, wish: BurstWish) -> JSONResponse:
    """Where a burst likely is: points whose leak would make the heads at the sensors fall as they did, best first.

    `score` is the cosine between what is measured and what EPANET says of a leak at that point; 1 is the best.
    """
    require(viewer, "pipes.view", "calculate pipe networks")
    falls = {sensor.point: sensor.fall_m for sensor in wish.sensors}
    with _alone():
        told = models.likely_bursts(_desk(city, viewer), shape_of(wish.area), falls, wish.leak_m3h)
    city.trail.record(viewer, "bursts", "/api/pipes/bursts", allowed=True, detail=f"{len(falls)} sensors")
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


@contextmanager
def _alone() -> Iterator[None]:
    """One calculation at a time: each holds a core for seconds. Raises Unavailable."""
    if not _solver.acquire(timeout=_WAIT_S):
        raise Unavailable("Other networks are being calculated; try again in a while.", retry_after=30)
    try:
        yield
    finally:
        _solver.release()


def _desk(city: City, viewer: Viewer) -> Desk:
    return Desk(city.database, city.layers, viewer, str(city.facts["metric_crs"]))


def _model(city: City, viewer: Viewer, network: Literal["water", "drainage"], area: Any) -> Response:
    require(viewer, "pipes.view", "export pipe networks")
    require(viewer, "export", "export pipe networks")
    made = models.export(_desk(city, viewer), network, area)
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
