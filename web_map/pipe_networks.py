"""`/api/pipes/trace`, `/isolation`, `/alarms`, `/criticality`: what hangs together, what to close, what matters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gis_core.access import Viewer, require
from gis_core.errors import Forbidden
from twin.pipes import answers
from twin.pipes.answers import Page, Question
from twin.pipes.disclosure import Disclosure, Kind, Thing, class_of
from twin.pipes.networks import SEGMENTS
from web_map import sight
from web_map.asking import Asker, TheCity
from web_map.city import City

router = APIRouter(tags=["pipes"])

_MOST_FEATURES: Final = 10_000
_MOST_SECTIONS: Final = 200
_JSON: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}}}
_RIGHT: Final = "pipes.view"
_GENERATION: Final = r"^\d{1,18}\.\d{1,18}$"

Code = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
PipeClass = StrEnum(
    "PipeClass", ["water", "storm", "sewage", "combined", "gas", "heat", "power", "telecom", "industrial", "other"]
)


class Body(BaseModel):
    """What is asked, and which page of the answer."""

    model_config = ConfigDict(extra="forbid")

    view: Literal["whole", "own"] = Field("whole", description="the whole network of the class, or your own part of it")
    limit: int = Field(1000, ge=0, le=_MOST_FEATURES, description="features on a page")
    after: int = Field(0, ge=0, lt=2**31, description="`next` of the page before")
    generation: str | None = Field(None, pattern=_GENERATION, description="`network.generation` of the page before")

    def page(self) -> Page:
        """Which page."""
        return Page(self.limit, self.after, self.generation)


class Place(BaseModel):
    """A point or a pipe by the code that its owner gave it."""

    model_config = ConfigDict(extra="forbid")

    layer: Kind
    code: Code


Places = Annotated[list[Place], Field(min_length=1, max_length=20)]


class Trace(Body):
    """What to follow from where."""

    question: Literal["connected", "upstream", "downstream", "loops", "subnetwork"]
    start: Places
    barrier: Literal["none", "closed", "valves"] = Field("closed", description="what is not gone beyond")


class ShortestWay(Body):
    """From where to where."""

    question: Literal["shortest"]
    start: Places
    target: Places
    barrier: Literal["none", "closed", "valves"] = Field("closed", description="what is not gone beyond")


class IsolationWish(Body):
    """What broke, and what is known of valves that failed."""

    burst: Places
    other: list[Place] = Field([], max_length=20, description="a second burst at the same time")
    failed: list[Code] = Field([], max_length=50, description="codes of valves that turned out not to close")
    alternatives: int = Field(5, ge=0, le=20, description="how many alternatives: what if one valve fails")


class AlarmHeard(BaseModel):
    """A device at a point reported something."""

    model_config = ConfigDict(extra="forbid")

    code: Code
    at: AwareDatetime


class AlarmsHeard(BaseModel):
    """Alarms in any order, and how near to each other they must be to be one event."""

    model_config = ConfigDict(extra="forbid")

    alarms: list[AlarmHeard] = Field(min_length=1, max_length=500)
    window_s: float = Field(900, ge=0, le=86_400, description="seconds between two of them")
    reach_m: float = Field(2000, ge=0, le=100_000, description="metres of pipe from each to where both are fed")
    view: Literal["whole", "own"] = Field("whole", description="the whole network of the class, or your own part of it")


@router.post("/api/pipes/trace", response_class=Response, responses=_JSON)
def trace(
    city: TheCity, viewer: Asker, wish: Annotated[Trace | ShortestWay, Field(discriminator="question")]
) -> Response:
    """Follow a network from points or pipes; what you may not open is told as counts.

    `upstream` is towards the source under pressure, and away from the outfall in sewers. Features come in pages:
    `next` is the `after` of the next page, null on the last, and `network.generation` goes with it. What is drawn
    counts as ground that you take at full detail within the day.
    """
    require(viewer, _RIGHT, "trace pipe networks")
    with _gate(city, viewer) as gate:
        start = _find(gate, wish.start)
        target = _find(gate, wish.target) if isinstance(wish, ShortestWay) else []
    network = city.networks.of(class_of([*start, *target]), _owner(viewer, wish.view))
    with _gate(city, viewer) as gate:
        told = answers.trace(network, gate, Question(wish.question), start, target, wish.barrier, wish.page())
    return _answer(city, viewer, gate, told)


@router.post("/api/pipes/isolation", response_class=Response, responses=_JSON)
def isolation(city: TheCity, viewer: Asker, wish: IsolationWish) -> Response:
    """The valves to close for a burst; what that shuts off, and what loses its source because of it.

    Valves that cannot be turned or got at are passed. Each question is written into the audit trail.
    """
    require(viewer, _RIGHT, "isolate bursts")
    with _gate(city, viewer) as gate:
        burst, other = _find(gate, wish.burst), _find(gate, wish.other)
        failed = gate.find_all(("pipe_points", code) for code in wish.failed)
    network = city.networks.of(class_of([*burst, *other, *failed]), _owner(viewer, wish.view))
    with _gate(city, viewer) as gate:
        told = answers.isolation(network, gate, burst, other, failed, wish.alternatives, wish.page())
    where = ", ".join(f"{thing.layer}/{thing.code}" for thing in (*burst, *other))
    detail = f"{network.key.pipe_class} {network.generation}: {told['closing']} valves to close for {where}"
    answer = _answer(city, viewer, gate, told)
    city.trail.record(viewer, "isolation", "/api/pipes/isolation", allowed=True, detail=detail)
    return answer


@router.post("/api/pipes/alarms", response_class=Response, responses=_JSON)
def alarms(city: TheCity, viewer: Asker, heard: AlarmsHeard) -> Response:
    """Alarms grouped into events, each with the segments upstream where it probably began."""
    require(viewer, _RIGHT, "group alarms of pipe networks")
    with _gate(city, viewer) as gate:
        things = gate.find_all(("pipe_points", alarm.code) for alarm in heard.alarms)
    network = city.networks.of(class_of(things), _owner(viewer, heard.view))
    told = list(zip(things, (alarm.at for alarm in heard.alarms), strict=True))
    with _gate(city, viewer) as gate:
        events = answers.alarms(network, gate, told, heard.window_s, heard.reach_m)
    return _answer(city, viewer, gate, events)


@router.get("/api/pipes/criticality", response_class=Response, responses=_JSON)
def criticality(
    city: TheCity,
    viewer: Asker,
    pipe_class: Annotated[PipeClass, Query()] = PipeClass.water,
    by: Annotated[
        Literal["customers", "length_m", "pipes"] | None, Query(description="what counts; default: customers, if seen")
    ] = None,
    view: Annotated[Literal["whole", "own"], Query()] = "whole",
    limit: Annotated[int, Query(ge=1, le=_MOST_SECTIONS)] = 50,
    after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    generation: Annotated[str | None, Query(pattern=_GENERATION)] = None,
) -> Response:
    """Every section that valves can shut off, the most harmful to lose first, with what it takes along."""
    require(viewer, _RIGHT, "rate pipe networks")
    network = city.networks.of(str(pipe_class), _owner(viewer, view))
    with _gate(city, viewer) as gate:
        told = answers.criticality(network, gate, by, Page(limit, after, generation))
    return _answer(city, viewer, gate, told)


@contextmanager
def _gate(city: City, viewer: Viewer) -> Iterator[Disclosure]:
    """The gate within a transaction of its own: nobody holds one while a network is read."""
    with city.database.reading(viewer) as connection:
        yield Disclosure(connection, city.layers, viewer)


def _find(gate: Disclosure, places: list[Place]) -> list[Thing]:
    return gate.find_all((place.layer, place.code) for place in places)


def _owner(viewer: Viewer, view: str) -> str | None:
    if view == "whole":
        return None
    if viewer.owner is None:
        raise Forbidden("you are bound to no owner, so there is no network of your own; ask for the whole")
    return viewer.owner


def _answer(city: City, viewer: Viewer, gate: Disclosure, told: dict[str, Any]) -> Response:
    """The answer as JSON, once the ground of what it draws is counted. Raises OverAllowance."""
    city.allowance.take(viewer, gate.cells, f"a page of {len(told.get('features', ()))} parts of a pipe network")
    sight.note(city, viewer, city.layers[SEGMENTS])
    return Response(orjson.dumps(told), media_type="application/json", headers={"Cache-Control": "private, no-store"})
