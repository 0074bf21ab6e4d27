"""`/api/pipes/clearance`, `/dig`, `/section`, `/profile`: what lies too near, what a dig meets, and drawings."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import numpy as np
import shapely
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool, StrictFloat, StrictInt

from gis_core import crs
from gis_core.access import Viewer, require
from gis_core.errors import Unprocessable
from twin.pipes import dig as digging
from twin.pipes import findings, permit
from twin.pipes.paper import DARK, LIGHT, Drawing, as_svg
from twin.pipes.permit import SEGMENTS, Desk
from twin.pipes.reading import drawn, ground_of, to_degrees
from web_map.asking import Asker, TheCity
from web_map.city import City

router = APIRouter(tags=["pipes"])

_RIGHT: Final = "pipes.view"
_SVG: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"image/svg+xml": {}}}}
_DIG: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}, "application/pdf": {}}}}
_STEP_M: Final = 50.0
_NO_STORE: Final = {"Cache-Control": "no-store"}

Lon = Annotated[float, Strict(), Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Strict(), Field(ge=-90, le=90, allow_inf_nan=False)]
Position = tuple[Lon, Lat]
Ring = Annotated[list[Position], Field(min_length=4, max_length=2000)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Body(BaseModel):
    """What all questions share: nothing but what is named is taken."""

    model_config = ConfigDict(extra="forbid")


class Line(Body):
    """A GeoJSON line, longitude first."""

    type: Literal["LineString"]
    coordinates: Annotated[list[Position], Field(min_length=2, max_length=2000)]


class Polygon(Body):
    """A GeoJSON polygon, longitude first."""

    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1, max_length=50)]


class PlannedPipe(Body):
    """The pipe for which is dug: with it, the tables say how far it must stay from the others."""

    pipe_class: findings.PipeClass
    diameter_mm: StrictFloat = Field(ge=10, le=6000)
    pressure_class: Literal["low", "medium_b", "medium_a", "subhigh_b", "subhigh_a", "high"] | None = None
    laying: str | None = Field(None, max_length=20, description="kind of laying (CJJ 61-2017 C.0.2), letters or name")
    voltage_kv: StrictFloat | None = Field(None, ge=0, le=1200)


class ClearanceWish(Body):
    """Where to look for pipes that lie too near each other."""

    area: Polygon | None = Field(None, description="default: all that you may see")
    limit: StrictInt = Field(200, ge=0, le=5000, description="findings told one by one, the worst first")
    beside_crossings: StrictBool = Field(
        default=False, description="also what is short only because the same lines cross"
    )


class DigWish(Body):
    """What is to be dug: a line with a width, or a polygon."""

    geometry: Annotated[Line | Polygon, Field(discriminator="type")]
    depth_m: StrictFloat = Field(gt=0, le=50)
    width_m: StrictFloat = Field(1.0, gt=0, le=100, description="of a trench drawn as a line")
    near_m: StrictFloat = Field(3.0, ge=0, le=50, description="how far from it pipes are told")
    planned: PlannedPipe | None = None
    purpose: str = Field("", max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", description="written on the sheet")


class DrawingWish(Body):
    """How a drawing is made."""

    language: Literal["zh", "en"] = "zh"
    theme: Literal["light", "dark"] = "light"


class SectionWish(DrawingWish):
    """Along which line the ground is cut."""

    line: Line


class ProfileWish(DrawingWish):
    """Which pipes: their codes in order, or the point from which the path goes down."""

    segments: Annotated[list[Text], Field(min_length=1, max_length=permit.MOST_REACHES)] | None = None
    start_point: Text | None = None


@router.post("/api/pipes/clearance")
def clearance(city: TheCity, viewer: Asker, wish: ClearanceWish) -> JSONResponse:
    """Every pair of pipes nearer to each other than GB 50289-2016 allows, of those that you may see.

    A finding is an error only where the figure was read in the official text and both kinds of pipe are known; else it
    is a warning. `beside_crossing` tells what is short only because the next piece of the same line crosses.
    """
    require(viewer, _RIGHT, "check clearances")
    place = None if wish.area is None else shape_of(wish.area)
    found = findings.check(
        city.database,
        city.layers[SEGMENTS],
        viewer,
        place,
        _metric(city),
        limit=wish.limit,
        all_of=wish.beside_crossings,
    )
    places = np.array([shapely.Point(one["at"]) for one in found["conflicts"]], dtype=object)
    _take(city, viewer, crs.to_metric(places, _metric(city)), "a clearance check")
    _note(city, viewer, "clearance", f"{found['pipes']} pipes, {found['findings']} findings, {_where(place)}")
    return JSONResponse(found, headers=_NO_STORE)


@router.post("/api/pipes/dig", response_class=Response, responses=_DIG)
def dig(
    city: TheCity,
    viewer: Asker,
    wish: DigWish,
    form: Annotated[Literal["json", "pdf"], Query(description="the answer, or the printable sheet")] = "json",
) -> Response:
    """Every pipe that a trench or pit would meet or come near, whom to ask, and how much room there is.

    Pipes that you may not see are a rounded count over whole hexagons about the place, without position: ask the
    district's pipe office. Each question is written into the audit trail.
    """
    require(viewer, _RIGHT, "check a dig against pipes")
    place, metric = shape_of(wish.geometry), _metric(city)
    planned = None if wish.planned is None else digging.Planned(**wish.planned.model_dump(mode="json"))
    asked = digging.dig_of(place, wish.depth_m, metric, width_m=wish.width_m, planned=planned)
    found = digging.examine(city.database, city.layers[SEGMENTS], viewer, asked, metric, wish.near_m)
    _take(city, viewer, found.seen.shapes, "a dig check")
    told = f"{len(found.neighbours)} pipes told, {found.unseen.count} not, {wish.depth_m:g} m deep, {_where(place)}"
    _note(city, viewer, "dig", f"{form}: {told}")
    if form == "json":
        return JSONResponse(_examined(found, metric), headers=_NO_STORE)
    printed = permit.permit(_desk(city, viewer), found, city.facts, wish.purpose, datetime.now(UTC))
    name = 'attachment; filename="dig-check.pdf"'
    return Response(printed, media_type="application/pdf", headers={**_NO_STORE, "Content-Disposition": name})


@router.post("/api/pipes/section", response_class=Response, responses=_SVG)
def section(city: TheCity, viewer: Asker, wish: SectionWish) -> Response:
    """A cross-section along a line, as SVG: pipes at their depth, in their size and colour, and the ground."""
    require(viewer, _RIGHT, "draw sections")
    desk, place = _desk(city, viewer), shape_of(wish.line)
    cut = permit.cut_along(desk, drawn(place, desk.metric_crs))
    if cut.cuts:
        _take(city, viewer, shapely.segmentize([cut.line], _STEP_M), "a section")
    _note(city, viewer, "section", f"{len(cut.cuts)} pipes, {_where(place)}")
    return _drawn(permit.draw_section(desk, cut, language=wish.language, theme=_theme(wish)))


@router.post("/api/pipes/profile", response_class=Response, responses=_SVG)
def profile(city: TheCity, viewer: Asker, wish: ProfileWish) -> Response:
    """A long profile along a line of sewers, as SVG: ground, crown, invert, manholes, slopes."""
    require(viewer, _RIGHT, "draw profiles")
    if (wish.segments is None) == (wish.start_point is None):
        raise Unprocessable("name either `segments` in their order or one `start_point`")
    desk = _desk(city, viewer)
    found, lines = permit.reaches(desk, wish.segments, wish.start_point)
    _take(city, viewer, lines, "a long profile")
    _note(city, viewer, "profile", f"{len(found)} pipes from {found[0].code}")
    return _drawn(permit.draw_profile(desk, found, language=wish.language, theme=_theme(wish)))


def _examined(found: digging.Examination, metric_crs: str) -> dict[str, Any]:
    """An examination as JSON."""
    return {
        "dig": {
            "depth_m": found.dig.depth_m,
            "area_m2": round(found.dig.outline.area, 2),
            "length_m": None if found.dig.line is None else round(found.dig.line.length, 2),
            "near_m": found.near_m,
            "outline": shapely.geometry.mapping(to_degrees(found.dig.outline, metric_crs)),
        },
        "met": sum(one.verdict is digging.Verdict.met for one in found.neighbours),
        "simulated": any(one.simulated for one in found.neighbours),
        "pipes": [_neighbour(one, metric_crs) for one in found.neighbours],
        "owners": [
            {"name": o.name, "classes": o.classes, "met": o.met, "near": o.near, "nearest_m": round(o.nearest_m, 3)}
            for o in found.owners
        ],
        "unseen": {
            "count": found.unseen.count,
            "resolution": found.unseen.resolution,
            "ask": {"zh": "区管线办公室", "en": "the district's pipe office"} if found.unseen.count else None,
        },
    }


def _neighbour(one: digging.Neighbour, metric_crs: str) -> dict[str, Any]:
    at = to_degrees(shapely.Point(*one.at), metric_crs)
    return {
        "id": one.id,
        "code": one.code,
        "pipe_class": one.pipe_class,
        "size": one.size,
        "owner": one.owner,
        "verdict": str(one.verdict),
        "plan_m": round(one.plan_m, 3),
        "crown_m": round(one.crown_m, 3),
        "under_m": round(one.under_m, 3),
        "needed_m": None if math.isnan(one.needed_m) else one.needed_m,
        "short": one.short,
        "rule": one.rule or None,
        "severity": None if not one.short else "error" if one.sure else "warning",
        "at": [round(at.x, 7), round(at.y, 7)],
        "simulated": one.simulated,
    }


def shape_of(given: Line | Polygon) -> Any:
    """What was drawn, as a geometry. Raises Unprocessable."""
    try:
        return shapely.geometry.shape(given.model_dump())
    except (ValueError, shapely.errors.GEOSException) as error:
        raise Unprocessable("this geometry is none: rings are closed and have four positions or more") from error


def _desk(city: City, viewer: Viewer) -> Desk:
    return Desk(city.database, city.layers, viewer, _metric(city))


def _metric(city: City) -> str:
    return str(city.facts["metric_crs"])


def _theme(wish: DrawingWish) -> Any:
    return DARK if wish.theme == "dark" else LIGHT


def _drawn(drawing: Drawing) -> Response:
    return Response(as_svg(drawing), media_type="image/svg+xml", headers=_NO_STORE)


def _where(place: Any) -> str:
    return "everywhere" if place is None else "box " + ",".join(f"{v:.5f}" for v in place.bounds)


def _take(city: City, viewer: Viewer, shapes: Any, what: str) -> None:
    """Count the ground of what is told (geometries in metres) as taken. Raises OverAllowance."""
    city.allowance.take(viewer, ground_of(shapes, _metric(city)), what)


def _note(city: City, viewer: Viewer, action: str, detail: str) -> None:
    city.trail.record(viewer, action, f"/api/pipes/{action}", allowed=True, detail=detail)
