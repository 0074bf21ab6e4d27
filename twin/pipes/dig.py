"""A dig check: which pipes a trench or pit would meet or come near, whose they are, and how much room there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from data.codes import clearances as codes
from gis_core.access import Viewer, require
from gis_core.database import Database
from gis_core.errors import Unprocessable
from gis_core.spec import Layer
from twin.pipes.clearance import Pipes, pipes_of
from twin.pipes.reading import Seen, Unseen, drawn, near, unseen
from twin.pipes.section import size_of

LARGEST_M2: Final = 250_000.0
LONGEST_M: Final = 2_000.0
_GROWN: Final = 0.05
_WIDEST_HALF_M: Final = 10.0
"""The axis of a wide sewer lies this much farther away than its edge."""


class Verdict(StrEnum):
    """How a pipe lies to the dig: in it, under its floor, or beside it."""

    met = "met"
    below = "below"
    beside = "beside"


@dataclass(frozen=True)
class Planned:
    """The pipe for which is dug, so that the tables can say how far it must stay from the others."""

    pipe_class: str
    diameter_mm: float
    subclass: str | None = None
    pressure_class: str | None = None
    laying: str | None = None
    voltage_kv: float | None = None


@dataclass(frozen=True)
class Dig:
    """What is dug: its outline in metres, how deep, the line of a trench or None for a pit, and what for."""

    outline: Any
    depth_m: float
    line: Any = None
    planned: Planned | None = None


@dataclass(frozen=True)
class Neighbour:
    """One pipe in or near the dig. Distances in metres, between edges.

    `plan_m` from the outline (0 where it is met), `crown_m` the least cover over the stretch that counts, `under_m`
    from the dig's floor down to the crown (negative: the pipe is cut), `needed_m` what the tables ask from the planned
    pipe (NaN: nothing), `rule` the row quoted, `sure` whether it is verified and the pipe's kind known. `at` is the
    nearest place (metres).
    """

    id: int
    code: str
    pipe_class: str
    size: str
    owner: str
    verdict: Verdict
    plan_m: float
    crown_m: float
    under_m: float
    needed_m: float
    rule: str
    sure: bool
    at: tuple[float, float]
    simulated: bool

    @property
    def gap_m(self) -> float:
        """How much room there is: beside in plan, below in height; 0 or less where the pipe is met."""
        return self.plan_m if self.verdict is Verdict.beside else self.under_m

    @property
    def short(self) -> bool:
        """Whether there is less room than the tables ask for."""
        return not math.isnan(self.needed_m) and self.gap_m < self.needed_m


@dataclass(frozen=True)
class Owner:
    """Somebody to ask before digging: how many pipes of which classes, and how near the nearest is."""

    name: str
    classes: tuple[str, ...]
    met: int
    near: int
    nearest_m: float


@dataclass(frozen=True)
class Examination:
    """What a dig check found: pipes by danger, owners by name, and how many pipes about it the asker may not see."""

    dig: Dig
    near_m: float
    neighbours: tuple[Neighbour, ...]
    owners: tuple[Owner, ...]
    unseen: Unseen
    seen: Seen


def dig_of(place: Any, depth_m: float, metric_crs: str, *, width_m: float = 1.0, planned: Planned | None = None) -> Dig:
    """A dig from what was drawn in EPSG:4326: a polygon (a pit) or a line with a width (a trench).

    Raises:
        Unprocessable: it is neither, crosses itself, or is larger than one sheet can show.
    """
    if place.geom_type not in {"Polygon", "LineString"}:
        raise Unprocessable("draw one polygon or one line")
    shape = drawn(place, metric_crs)
    if shape.geom_type == "LineString":
        if not 0 < shape.length <= LONGEST_M:
            raise Unprocessable(f"a trench is up to {LONGEST_M:,.0f} m long; this one is {shape.length:,.0f} m")
        outline = shape.buffer(width_m / 2, cap_style="flat", join_style="mitre")
        if outline.is_empty:
            raise Unprocessable("this line is too short for a trench")
        return Dig(outline, depth_m, shape, planned)
    if not 0 < shape.area <= LARGEST_M2:
        raise Unprocessable(f"a pit is up to {LARGEST_M2:,.0f} m2; this one is {shape.area:,.0f} m2")
    return Dig(shape, depth_m, None, planned)


def examine(database: Database, layer: Layer, viewer: Viewer, dig: Dig, metric_crs: str, near_m: float) -> Examination:
    """Every pipe that the viewer may see within `near_m` of the dig, and the number of the others about it.

    Raises:
        Forbidden: the viewer may not see pipes.
        TooLarge: more pipes are there than one sheet can tell.
    """
    require(viewer, layer.access.read, "check a dig against pipes")
    with database.reading(viewer) as connection:
        seen = near(connection, layer, viewer, dig.outline.buffer(near_m + _WIDEST_HALF_M), metric_crs)
    found = neighbours_of(dig, seen, near_m)
    others = unseen(database, layer, viewer, dig.outline.buffer(near_m), metric_crs)
    return Examination(dig, near_m, found, owners_of(found), others, seen)


def neighbours_of(dig: Dig, seen: Seen, near_m: float) -> tuple[Neighbour, ...]:
    """The pipes within `near_m` of a dig, the met ones first, then by room."""
    if not len(seen):
        return ()
    pipes = pipes_of(seen.frame, seen.shapes)
    half = np.zeros(len(seen))
    np.maximum.at(half, pipes.of, pipes.half[:, 0])
    apart = shapely.distance(seen.shapes, dig.outline) - half
    needs = _needed(dig.planned, pipes)
    found = []
    for row in np.flatnonzero(apart <= near_m):
        about: Mapping[str, Any] = seen.frame.iloc[row].to_dict()  # type: ignore[assignment]  # names are texts
        reach = dig.outline.buffer(half[row]) if apart[row] <= 0 else None
        found.append(_neighbour(dig, about, seen.shapes[row], float(apart[row]), reach, needs(row)))
    rank = {Verdict.met: 0, Verdict.below: 1, Verdict.beside: 2}
    return tuple(sorted(found, key=lambda one: (rank[one.verdict], one.gap_m, one.code)))


def owners_of(neighbours: Sequence[Neighbour]) -> tuple[Owner, ...]:
    """Whom to ask, those whose pipes are met first."""
    by_name: dict[str, list[Neighbour]] = {}
    for one in neighbours:
        by_name.setdefault(one.owner, []).append(one)
    owners = [
        Owner(
            name,
            tuple(dict.fromkeys(one.pipe_class for one in own)),
            sum(one.verdict is Verdict.met for one in own),
            sum(one.verdict is not Verdict.met for one in own),
            min(max(one.plan_m, 0.0) for one in own),
        )
        for name, own in by_name.items()
    ]
    return tuple(sorted(owners, key=lambda owner: (-owner.met, owner.nearest_m, owner.name)))


def section_line(dig: Dig, beyond_m: float = 5.0) -> shapely.LineString:
    """The line along which a dig is best drawn: that of the trench, or the long axis of the pit; grown at both ends."""
    if dig.line is not None:
        ends = shapely.get_coordinates(dig.line)
    else:
        corners = shapely.get_coordinates(dig.outline.minimum_rotated_rectangle)[:4]
        sides = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T)
        first = int(np.argmax(sides[:2])) + 1
        ends = np.array([(corners[k % 4] + corners[(k + 1) % 4]) / 2 for k in (first, first + 2)])
    for end, inner in ((0, 1), (-1, -2)):
        way = ends[end] - ends[inner]
        ends[end] = ends[end] + way / max(float(np.hypot(*way)), 1e-9) * beyond_m
    return shapely.LineString(ends)


def _neighbour(
    dig: Dig, about: Mapping[str, Any], shape: Any, plan_m: float, reach: Any, needs: tuple[Any, Any]
) -> Neighbour:
    height = about.get("height_mm")
    tall = float(about["diameter_mm"] if height is None or math.isnan(float(height)) else height) / 1000
    lift = tall if about.get("depth_reference") == "invert" else 0.0
    nearest = shapely.line_interpolate_point(shape, shapely.line_locate_point(shape, _nearest(shape, dig.outline)))
    places = [nearest]
    if reach is not None:
        inside = shapely.intersection(shape, reach.buffer(_GROWN))
        places = [shapely.Point(xy) for xy in shapely.get_coordinates(inside)] or places
    shares = [float(shapely.line_locate_point(shape, place, normalized=True)) for place in places]
    start, end = float(about["start_depth_m"]), float(about["end_depth_m"])
    crown = min(start + share * (end - start) for share in shares) - lift
    met = plan_m <= 0
    verdict = Verdict.beside if not met else Verdict.met if crown < dig.depth_m else Verdict.below
    beside, above = needs
    rule, metres, sure = beside if verdict is Verdict.beside else above
    return Neighbour(
        id=int(about["id"]),
        code=str(about["code"]),
        pipe_class=str(about["pipe_class"]),
        size=size_of(dict(about)),
        owner=str(about["owner"]),
        verdict=verdict,
        plan_m=max(plan_m, 0.0),
        crown_m=crown,
        under_m=crown - dig.depth_m,
        needed_m=metres,
        rule=rule,
        sure=sure,
        at=(float(nearest.x), float(nearest.y)),
        simulated=bool(about.get("simulated")),
    )


def _nearest(shape: Any, outline: Any) -> Any:
    return shapely.get_point(shapely.shortest_line(shape, outline), 0)


def _needed(planned: Planned | None, pipes: Pipes) -> Any:
    """A function from a pipe's row to what it needs from the planned pipe: beside and above."""
    nothing = ("", math.nan, False)
    if planned is None:
        return lambda _: (nothing, nothing)
    about = vars(planned)
    own = codes.possible(
        [planned.pipe_class],
        subclass=[planned.subclass],
        diameter_mm=np.array([planned.diameter_mm]),
        pressure_class=[planned.pressure_class],
        laying=[planned.laying],
        voltage_kv=np.array([about["voltage_kv"] if planned.voltage_kv is not None else math.nan]),
    )
    group, masks = pd.factorize(np.concatenate([own, pipes.kinds]))
    tables = [codes.needs(masks.tolist(), rows) for rows in (codes.horizontal(), codes.vertical())]

    def asked(row: int) -> tuple[Any, Any]:
        told = []
        for table in tables:
            place = int(table.rule[group[0], group[row + 1]])
            if place < 0:
                told.append(nothing)
                continue
            found = table.rows[place]
            sure = found.verified and bool(table.certain[group[0], group[row + 1]])
            told.append((found.cited, float(table.metres[group[0], group[row + 1]]), sure))
        return told[0], told[1]

    return asked
