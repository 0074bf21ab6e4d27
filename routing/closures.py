"""Closures, water and slow roads: by polygon, segment or OSM way, for a time and for some, and what they do to arcs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import shapely

from gis_core.errors import Conflict, NotFound, Unprocessable
from routing.graph import INFINITE, Graph, Ints
from routing.vehicles import Mode, Vehicle

NOBODY: Final = Mode(0)
_DEEPEST_M: Final = 50.0
_FASTEST_KMH: Final = 200.0
_SLOWEST_KMH: Final = 1.0
_WHOLE_CITY: Final = 0.5
_FEW_ARCS: Final = 200
_CAR_STOPS_M: Final = 0.3


class BadClosure(Unprocessable):
    """A closure cannot be like this."""


class NoSuchClosure(NotFound):
    """There is no such closure."""


class StaleGeneration(Conflict):
    """The roads have changed since; ask again."""


@dataclass(frozen=True)
class Closure:
    """Something that keeps vehicles off some roads, or slows them.

    Where: inside `area` (longitude, latitude), on `segments` (their codes) and on OSM `ways`. What: water
    `depth_m` deep, a `speed_kmh`, or, with neither, no way at all.
    When: from `since` to `until` (aware; None: always). `spares` are
    the modes that it does not bind. `zh` and `en` say why.
    """

    id: str
    area: Any = None
    segments: tuple[str, ...] = ()
    ways: tuple[int, ...] = ()
    depth_m: float | None = None
    speed_kmh: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    spares: Mode = NOBODY
    zh: str = "封闭"
    en: str = "closed"

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises BadClosure."""
        for figure, least, most, unit in (
            (self.depth_m, 0.0, _DEEPEST_M, "m deep"),
            (self.speed_kmh, 0.0, _FASTEST_KMH, "km/h"),
        ):
            if figure is not None and not least <= figure <= most:
                raise BadClosure(f"Closure {self.id}: {figure:g} {unit} is not within {least:g} and {most:g}.")
        for when in (self.since, self.until):
            if when is not None and when.tzinfo is None:
                raise BadClosure(f"Closure {self.id}: a time without its zone.")
        if self.since and self.until and self.until <= self.since:
            raise BadClosure(f"Closure {self.id} ends before it begins.")
        if self.area is None and not self.segments and not self.ways:
            raise BadClosure(f"Closure {self.id} says nothing of where it is.")

    def holds(self, at: datetime | None) -> bool:
        """Whether it is in force; without a time, one with a beginning or an end is too."""
        return at is None or ((self.since is None or self.since <= at) and (self.until is None or at < self.until))

    def cap_kmh(self, vehicle: Vehicle) -> float:
        """The speed (km/h) that it leaves a vehicle: 0 where it closes the road, infinite where it does nothing."""
        if vehicle.mode & self.spares:
            return float("inf")
        if self.depth_m is not None:
            return wading_kmh(self.depth_m, vehicle)
        if self.speed_kmh is not None:
            return self.speed_kmh
        return 0.0

    def cost_ms(self, graph: Graph, vehicle: Vehicle, arcs: Ints) -> Ints:
        """The least milliseconds that arcs take under it."""
        cap = self.cap_kmh(vehicle)
        if cap < _SLOWEST_KMH:
            return np.full(len(arcs), INFINITE, np.int32)
        took = np.rint(graph.segments.length_m[graph.segment[arcs]] / cap * 3600)
        return np.asarray(np.clip(took, 1, INFINITE).astype(np.int32))


def wading_kmh(depth_m: float, vehicle: Vehicle) -> float:
    """The greatest safe speed through standing water; 0 from the vehicle's wading depth on.

    Source: Pregnolato, Ford, Wilkinson, Dawson, "The impact of flooding on road transport: A depth-disruption
    function", Transp. Res. D 55 (2017): v = 0.0009 w2 - 0.5529 w + 86.9448 (w in mm, to 300 mm, for cars). For a
    vehicle that wades deeper the depth is scaled by its wading depth over a car's, which is our assumption.
    """
    if depth_m <= 0:
        return float("inf")
    if depth_m >= vehicle.wading_m:
        return 0.0
    w = depth_m / vehicle.wading_m * _CAR_STOPS_M * 1000
    return max(0.0009 * w * w - 0.5529 * w + 86.9448, _SLOWEST_KMH)


def locate(graph: Graph, closure: Closure) -> Ints:
    """The arcs that a closure touches, ascending; bridges stand above water.

    Raises BadClosure for an area that is invalid, none, or most of the city, for unknown segments and ways, and
    where no road is touched.
    """
    found = [_named(graph, closure)]
    if closure.area is not None:
        found.append(graph.arcs_of(_inside(graph, closure)))
    arcs = np.unique(np.concatenate(found)).astype(np.int32)
    if closure.depth_m is not None:
        arcs = arcs[graph.segments.level[graph.segment[arcs]] <= 0]
    if not len(arcs):
        raise BadClosure(f"Closure {closure.id} touches no road that is known here.")
    if len(arcs) > max(_WHOLE_CITY * len(graph), _FEW_ARCS):
        share = len(arcs) / len(graph)
        raise BadClosure(f"Closure {closure.id} would hold for {share:.0%} of all roads: draw a smaller area.")
    return arcs


def _named(graph: Graph, closure: Closure) -> Ints:
    """The arcs of the segments and ways that a closure names."""
    rows: list[int] = []
    for key in closure.segments:
        row = graph.segment_of_key(key)
        if row is None:
            raise BadClosure(f"Closure {closure.id}: there is no road segment {key}.")
        rows.append(row)
    for way in closure.ways:
        of_way = graph.segments_of_way(way).tolist()
        if not of_way:
            raise BadClosure(f"Closure {closure.id}: no road is made of OSM way {way}.")
        rows.extend(of_way)
    return graph.arcs_of(rows)


def _inside(graph: Graph, closure: Closure) -> Any:
    """The segments that an area touches."""
    area = closure.area
    if not isinstance(area, shapely.Polygon | shapely.MultiPolygon) or area.is_empty:
        raise BadClosure(f"Closure {closure.id}: its area must be a polygon.")
    if not np.isfinite(area.bounds).all():
        raise BadClosure(f"Closure {closure.id}: a coordinate of its area is no number.")
    if not area.is_valid:
        reason = str(shapely.is_valid_reason(area)).split("[")[0].strip().lower()
        raise BadClosure(f"Closure {closure.id}: its area is no valid polygon: {reason}.")
    return graph.tree.query(area, predicate="intersects")


@dataclass(frozen=True)
class Held:
    """A closure with the arcs it touches."""

    closure: Closure
    arcs: Ints

    def touches(self, arc: int) -> bool:
        """Whether it touches an arc."""
        at = int(np.searchsorted(self.arcs, arc))
        return at < len(self.arcs) and bool(self.arcs[at] == arc)


def joined(several: Iterable[Ints]) -> Ints:
    """Arcs of several sets, each once, ascending."""
    found = list(several)
    return np.unique(np.concatenate(found)).astype(np.int32) if found else np.empty(0, np.int32)
