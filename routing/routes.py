"""Routes: the quickest and up to three others, with time, shape, steps, and why a quicker road was not taken.

Alternatives lead over one vertex: Abraham, Delling, Goldberg, Werneck, "Alternative Routes in Road Networks", ACM
JEA 18 (2013). Candidates are the vertices above both ends in the elimination tree, whose times one search finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from gis_core.errors import NotFound, Unprocessable
from routing.closures import Closure
from routing.graph import INFINITE, Graph, Ints
from routing.hierarchy import Weights
from routing.network import Network
from routing.steps import Step, describe
from routing.stops import Stop, snap
from routing.vehicles import Vehicle

Told: TypeAlias = Callable[[int], list[Closure]]

MOST_ALTERNATIVES: Final = 3
_LONGER: Final = 1.4
_SHARED: Final = 0.7
_CANDIDATES: Final = 40


class NoRoute(NotFound):
    """There is no way from one place to the other."""


class InsideClosure(Unprocessable):
    """One of the places is on a road that is closed."""


class TooManyAlternatives(Unprocessable):
    """So many alternatives are not looked for."""


@dataclass(frozen=True)
class Avoided:
    """A road that the quickest way would take if nothing were on it, where, and what is on it."""

    name: str
    segment: str
    closures: tuple[Closure, ...]
    at: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Route:
    """One way: seconds, metres, its arcs, its shape (n, 2) in lon, lat, what to do, and what it avoids."""

    seconds: float
    metres: float
    arcs: Ints
    shape: npt.NDArray[np.float64]
    steps: list[Step]
    generation: int
    free_s: float
    avoided: list[Avoided] = field(default_factory=list)


@dataclass(frozen=True)
class _Way:
    """A way between two stops: milliseconds from place to place, and its arcs."""

    took: int
    arcs: Ints
    start: int
    end: int


def find_routes(
    network: Network,
    places: tuple[tuple[float, float], tuple[float, float]],
    vehicle: Vehicle,
    *,
    alternatives: int = 0,
    generation: int | None = None,
    side: int = 0,
) -> list[Route]:
    """The quickest route from one place (lon, lat) to another as the roads are now, then alternatives.

    An alternative takes at most 1.4 times as long, shares at most 0.7 of its time with those before it, and passes no
    road twice. `side` is the side on which to arrive (1 right, -1 left, 0 either). Raises OffRoads, InsideClosure,
    NoRoute (each saying where and why), StaleGeneration, TooManyAlternatives.
    """
    if not 0 <= alternatives <= MOST_ALTERNATIVES:
        raise TooManyAlternatives(
            f"From none to {MOST_ALTERNATIVES} alternatives can be asked for, not {alternatives}."
        )
    graph = network.graph
    start = snap(graph, *places[0], vehicle)
    end = snap(graph, *places[1], vehicle, side=side)
    with network.weights(vehicle, free=True) as free, network.weights(vehicle, generation) as now:
        state = network.state
        for which, stop in (("start", start), ("destination", end)):
            _refuse_closed(graph, now, stop, which, state.on)
        best = _quickest(now, start, end)
        unhindered = _quickest(free, start, end)
        if best is None:
            raise NoRoute(_why_none(graph, vehicle, start, end, unhindered, state.on))
        ways = [best, *_others(now, best, alternatives)]
        free_s = unhindered.took / 1000 if unhindered else best.took / 1000
        avoided = _avoided(graph, unhindered, best, state.on) if unhindered else []
        return [_route(graph, now, way, (start, end), free_s, avoided) for way in ways]


def _refuse_closed(graph: Graph, now: Weights, stop: Stop, which: str, on: Told) -> None:
    """Raises InsideClosure if none of the arcs at a stop can be used now."""
    if all(now.arc_ms[a] >= INFINITE for a in stop.arcs):
        why = _told(on(stop.arcs[0]))
        road = _name(graph, stop.segment)
        raise InsideClosure(f"The {which} is on {road}, which is closed{why}.", place=which)


def _quickest(weights: Weights, start: Stop, end: Stop) -> _Way | None:
    """The best of the ways between the arcs of two stops."""
    arc_ms = weights.arc_ms
    best: tuple[int, int, int] | None = None
    for i, a in enumerate(start.arcs):
        if arc_ms[a] >= INFINITE:
            continue
        left = start.left_ms(arc_ms)[i]
        for j, b in enumerate(end.arcs):
            if arc_ms[b] >= INFINITE:
                continue
            rest = end.left_ms(arc_ms)[j]
            between = 0 if a == b and left >= rest else weights.time(a, b) if a != b else weights.around(a)[0]
            if between < INFINITE and (best is None or left + between - rest < best[0]):
                best = left + between - rest, i, j
    if best is None:
        return None
    took, i, j = best
    a, b = start.arcs[i], end.arcs[j]
    if a != b:
        return _Way(took, weights.path(a, b)[1], i, j)
    same = start.gone[i] <= end.gone[j]
    return _Way(took, np.array([a], np.int32) if same else weights.around(a)[1], i, j)


def _others(weights: Weights, best: _Way, wanted: int) -> list[_Way]:
    """Ways over one vertex that are unlike the best and one another, the quickest first."""
    chosen: list[_Way] = []
    if not wanted or len(best.arcs) < MOST_ALTERNATIVES:
        return chosen
    a, b = int(best.arcs[0]), int(best.arcs[-1])
    offset = best.took - weights.time(a, b)
    via, _ = weights.meetings(a, b, int(_LONGER * best.took) - offset)
    taken = set(best.arcs.tolist())
    tried = 0
    for vertex in via.tolist():
        if len(chosen) == wanted or tried == _CANDIDATES:
            break
        if vertex in taken:
            continue
        tried += 1
        there, to = weights.path(a, vertex)
        back, on = weights.path(vertex, b)
        arcs = np.concatenate([to, on[1:]])
        if _is_sound(weights, arcs, [best, *chosen]):
            chosen.append(_Way(there + back + offset, arcs, best.start, best.end))
            taken |= set(arcs.tolist())
    return sorted(chosen, key=lambda way: way.took)


def _is_sound(weights: Weights, arcs: Ints, before: Sequence[_Way]) -> bool:
    """Whether a way passes no road twice and shares little enough with each of those before."""
    if len(np.unique(arcs)) < len(arcs):
        return False
    took = weights.arc_ms[arcs].astype(np.int64)
    return all(took[np.isin(arcs, way.arcs)].sum() <= _SHARED * took.sum() for way in before)


def _route(
    graph: Graph, weights: Weights, way: _Way, stops: tuple[Stop, Stop], free_s: float, avoided: list[Avoided]
) -> Route:
    """A way with its shape and steps."""
    begin, stop = stops[0].gone[way.start], stops[1].gone[way.end]
    arcs = way.arcs
    parts = np.ones(len(arcs))
    parts[-1] -= 1 - stop
    parts[0] -= begin
    metres = graph.segments.length_m[graph.segment[arcs]] * parts
    seconds = weights.arc_ms[arcs] * parts / 1000
    shape = _shape(graph, arcs, begin, stop)
    ends = [(stops[0].lon, stops[0].lat), (stops[1].lon, stops[1].lat)]
    steps = describe(graph, arcs, metres.tolist(), seconds.tolist(), ends)
    return Route(way.took / 1000, float(metres.sum()), arcs, shape, steps, weights.generation, free_s, avoided)


def _shape(graph: Graph, arcs: Ints, begin: float, stop: float) -> npt.NDArray[np.float64]:
    """The line of some arcs, the first from a share of it and the last to a share."""
    if len(arcs) == 1:
        return _cut(graph, int(arcs[0]), begin, stop)
    first, last = _cut(graph, int(arcs[0]), begin, 1.0), _cut(graph, int(arcs[-1]), 0.0, stop)
    middle = [_cut(graph, int(a), 0.0, 1.0)[1:] for a in arcs[1:-1]]
    return np.concatenate([first, *middle, last[1:]])


def _cut(graph: Graph, arc: int, begin: float, stop: float) -> npt.NDArray[np.float64]:
    """The vertices of an arc between two shares of it."""
    s, row = graph.segments, int(graph.segment[arc])
    xy = s.xy[s.first[row] : s.first[row + 1]]
    xy = xy[::-1] if graph.back[arc] else xy
    if (begin, stop) == (0.0, 1.0):
        return np.asarray(xy)
    line = shapely.LineString(xy)
    at = np.sort(np.concatenate([[begin, stop], shapely.line_locate_point(line, shapely.points(xy), normalized=True)]))
    at = at[(at >= begin) & (at <= stop)]
    return np.asarray(shapely.get_coordinates(shapely.line_interpolate_point(line, at, normalized=True)))


def _avoided(graph: Graph, unhindered: _Way, best: _Way, on: Told) -> list[Avoided]:
    """What keeps one from the way that would be quickest, in its order, each closure once."""
    found: list[Avoided] = []
    told: set[str] = set()
    kept = set(best.arcs.tolist())
    for arc in unhindered.arcs.tolist():
        closures = on(arc) if arc not in kept else []
        new = tuple(c for c in closures if c.id not in told)
        if new:
            told |= {c.id for c in new}
            row = int(graph.segment[arc])
            middle = shapely.line_interpolate_point(graph.lines[row], 0.5, normalized=True)
            found.append(Avoided(_name(graph, row), str(graph.segments.key[row]), new, (middle.x, middle.y)))
    return found


def _why_none(graph: Graph, vehicle: Vehicle, start: Stop, end: Stop, unhindered: _Way | None, on: Told) -> str:
    """Why there is no way."""
    if unhindered is not None:
        hindrances = [c for arc in unhindered.arcs.tolist() for c in on(arc)]
        return f"Closures leave no way for a {vehicle.en}{_told(hindrances)}."
    bit = int(vehicle.mode)
    for which, stop in (("start", start), ("destination", end)):
        if not any(graph.main[a] & bit for a in stop.arcs):
            road = _name(graph, stop.segment)
            return f"The {which} is on {road}, from which a {vehicle.en} cannot reach the other roads."
    return f"No road leads a {vehicle.en} from the start to the destination."


def _told(closures: Sequence[Closure]) -> str:
    """Closures in brackets, each once."""
    words = list(dict.fromkeys(f"{c.en} ({c.id})" for c in closures))
    return f": {', '.join(words)}" if words else ""


def _name(graph: Graph, row: int) -> str:
    return str(graph.segments.names[graph.segments.name[row]]) or f"road {graph.segments.key[row]}"
