"""What is told of traces, isolations and sections of a network: figures and GeoJSON of what the asker may open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from gis_core.errors import Conflict as Contradiction
from gis_core.errors import Forbidden, Unprocessable
from twin.pipes.disclosure import Disclosure, Mask, Sums, Thing, number_of
from twin.pipes.graph import Graph, Ints
from twin.pipes.networks import POINTS, SEGMENTS, Network

if TYPE_CHECKING:
    from twin.pipes.isolation import Burst, Isolation
    from twin.pipes.traces import Found, Start

_ISOLATED_BY_VALVES: Final = frozenset({"water", "gas", "heat", "industrial", "other"})
_MOST_VALVES: Final = 1000
Measure = Literal["customers", "length_m", "pipes"]


class Question(StrEnum):
    """What a trace looks for."""

    connected = "connected"
    upstream = "upstream"
    downstream = "downstream"
    loops = "loops"
    subnetwork = "subnetwork"
    shortest = "shortest"


@dataclass(frozen=True)
class Page:
    """Which part of a long answer is wanted: at most `limit` features after the first `after`.

    A later page belongs to the network of the first: `generation` is that page's, None on the first.
    """

    limit: int = 1000
    after: int = 0
    generation: str | None = None


def check(network: Network, page: Page) -> None:
    """Raise Conflict where a page is of another network than the one before it."""
    if page.generation not in (None, network.generation):
        words = f"the network has changed from {page.generation} to {network.generation}; begin with the first page"
        raise Contradiction(words, generation=network.generation)


def trace(
    network: Network, gate: Disclosure, question: Question, start: Sequence[Thing], target: Sequence[Thing],
    barrier: str, page: Page,
) -> dict[str, Any]:  # fmt: skip
    """A trace as JSON: `found` sums, and a page of GeoJSON features, pipes first, in the order of finding.

    Raises:
        Conflict: the page is of another network than the one before it.
        NotFound: a start or target is not in the network.

    """
    check(network, page)
    found = _traced(network, question, _begin(network, start), _begin(network, target), barrier)
    see_points, see_pipes = gate.opened(network.graph, found.points, found.pipes)
    sums = gate.sums(network.graph, found.points, found.pipes, (see_points, see_pipes))
    items = _items(network.graph, (("found", found.points[see_points], found.pipes[see_pipes]),))
    return {
        "network": network.as_json(),
        "question": question,
        "found": sums.as_json(),
        **_paged(gate, items, page, "part"),
    }


def isolation(
    network: Network, gate: Disclosure, burst: Sequence[Thing], other: Sequence[Thing], failed: Sequence[Thing],
    alternatives: int, page: Page,
) -> dict[str, Any]:  # fmt: skip
    """What to do for a burst as JSON, with so many alternatives, and what a second burst at once changes.

    Raises:
        Unprocessable: pipes of this class are not shut off by valves.
        Conflict: the page is of another network than the one before it.
        NotFound: one of the things is not in the network.

    """
    if network.key.pipe_class not in _ISOLATED_BY_VALVES:
        raise Unprocessable(
            f"{network.key.pipe_class} is not shut off by valves; ask for what lies upstream of it instead"
        )
    check(network, page)
    isolator, graph = network.isolator, network.graph
    where, useless = _burst(network, burst), [number_of(network, valve) for valve in failed]
    told = isolator.isolate(where, useless)
    tried = isolator.alternatives(where, told, useless)[:alternatives] if alternatives else []
    conflict = isolator.compare(where, _burst(network, other), useless) if other else None
    seen = _Seen(gate, graph)
    seen.ask([told, *(a.isolation for a in tried), *([conflict.together] if conflict else [])])
    answer: dict[str, Any] = {
        "network": network.as_json(),
        **_summary(told, seen),
        "valves": _valves(told, seen),
        "alternatives": [
            {"without": seen.code(a.without), **_summary(a.isolation, seen)} for a in tried
        ],
        "conflict": None,
    }  # fmt: skip
    if conflict is not None:
        shared = conflict.shared[seen.points(conflict.shared)]
        answer["conflict"] = {
            "stands": conflict.stands,
            "same_section": conflict.same_section,
            "in_the_way": conflict.in_the_way,
            "shared_valves": [seen.code(int(valve)) for valve in shared],
            "hidden_shared_valves": len(conflict.shared) - len(shared),
            "more": seen.sums(conflict.more_points, conflict.more_pipes).as_json(),
            "together": _summary(conflict.together, seen),
        }
    parts = (("isolated", told.points, told.pipes), ("cut_off", told.cut_points, told.cut_pipes))
    shown = [(part, p[seen.points(p)], q[seen.pipes(q)]) for part, p, q in parts]
    return {**answer, **_paged(gate, _items(graph, shown), page, "part")}


def criticality(network: Network, gate: Disclosure, by: Measure | None, page: Page) -> dict[str, Any]:
    """The sections of a network, the most harmful to lose first; those of which the asker may open no pipe are counted.

    Raises:
        Forbidden: the order is by customers, whom the asker may not see.
        Conflict: the page is of another network than the one before it.

    """
    check(network, page)
    if by == "customers" and not gate.sees_customers:
        raise Forbidden("you may not see whom a point serves; ask for the order by length_m or pipes")
    by = by or ("customers" if gate.sees_customers else "length_m")
    graph, partition, rated = network.graph, network.isolator.partition, network.criticality
    mine = np.zeros(partition.count, bool)
    mine[partition.of_pipe[gate.of_class(SEGMENTS, network.key.pipe_class, graph.pipe_ids)]] = True
    order = rated.ranked(by)
    order = order[rated.held.column("pipes")[order] > 0]
    listed = order[mine[order]]
    chosen = listed[page.after : page.after + page.limit]
    told = [network.isolator.shut([int(section)]) for section in chosen]
    seen = _Seen(gate, graph)
    seen.ask(told)
    return {
        "network": network.as_json(),
        "by": by,
        "sections": len(listed),
        "hidden_sections": len(order) - len(listed),
        "widespread": int((rated.cut_off.column("pipes")[listed] > 0).sum()),
        "ranked": [
            {"section": int(section), "at": seen.first_pipe(one.pipes), **_summary(one, seen)}
            for section, one in zip(chosen, told, strict=True)
        ],
        "next": page.after + page.limit if len(listed) > page.after + page.limit else None,
    }


def alarms(
    network: Network, gate: Disclosure, told: Sequence[tuple[Thing, datetime]], window_s: float, reach_m: float
) -> dict[str, Any]:
    """The events behind alarms as JSON: places in what was given, where each probably began, first and last time.

    Raises:
        NotFound: a point is not in the network.

    """
    from twin.pipes.alarms import Alarm  # noqa: PLC0415  numba takes long to load

    heard = [Alarm(number_of(network, thing), at.timestamp()) for thing, at in told]
    events = network.branches.group(heard, window_s=window_s, reach_m=reach_m)
    graph = network.graph
    points = gate.codes(POINTS, graph.point_ids, np.array(sorted({e.point for e in events}), np.int32))
    pipes = gate.codes(SEGMENTS, graph.pipe_ids, np.array(sorted({p for e in events for p in e.pipes}), np.int32))
    return {
        "network": network.as_json(),
        "events": [
            {
                "alarms": event.alarms,
                "first": min(told[i][1] for i in event.alarms).isoformat(),
                "last": max(told[i][1] for i in event.alarms).isoformat(),
                "point": points.get(event.point),
                "pipes": [pipes[p] for p in event.pipes if p in pipes],
                "hidden_pipes": sum(p not in pipes for p in event.pipes),
            }
            for event in events
        ],
    }


class _Seen:
    """What of some isolations may be opened, asked of the gate once for all of them."""

    def __init__(self, gate: Disclosure, graph: Graph) -> None:
        self._gate, self._graph = gate, graph
        self._points, self._pipes = np.zeros(graph.points, bool), np.zeros(graph.pipes, bool)
        self._codes: dict[int, str] = {}
        self._pipe_codes: dict[int, str] = {}

    @property
    def gate(self) -> Disclosure:
        return self._gate

    @property
    def graph(self) -> Graph:
        return self._graph

    def ask(self, told: Iterable[Isolation]) -> None:
        """Learn what of these may be opened, and the codes of their valves and first pipes."""
        told = list(told)
        none = [np.zeros(0, np.int32)]
        points = np.unique(
            np.concatenate([a for i in told for a in (i.points, i.cut_points, i.valves, i.restoring)] or none)
        )
        pipes = np.unique(np.concatenate([a for i in told for a in (i.pipes, i.cut_pipes)] or none))
        see_points, see_pipes = self._gate.opened(self._graph, points, pipes)
        self._points[points[see_points]] = True
        self._pipes[pipes[see_pipes]] = True
        valves = np.unique(
            np.concatenate([a for i in told for a in (i.valves, i.restoring, i.passed, i.sources)] or none)
        )
        self._codes = self._gate.codes(POINTS, self._graph.point_ids, valves[self._points[valves]])
        firsts = [i.pipes[self._pipes[i.pipes]][:1] for i in told]
        self._pipe_codes = self._gate.codes(SEGMENTS, self._graph.pipe_ids, np.concatenate(firsts or none))

    def points(self, numbers: Ints) -> Mask:
        """Which of these points may be opened."""
        return self._points[numbers]

    def pipes(self, numbers: Ints) -> Mask:
        """Which of these pipes may be opened."""
        return self._pipes[numbers]

    def sums(self, points: Ints, pipes: Ints) -> Sums:
        """Figures of what may be opened, and counts of the rest."""
        return self._gate.sums(self._graph, points, pipes, (self.points(points), self.pipes(pipes)))

    def code(self, point: int) -> str | None:
        """The code of a valve or source, None where it may not be opened."""
        return self._codes.get(point)

    def codes(self, points: Ints) -> list[str]:
        """The codes of those that may be opened."""
        return [code for point in points.tolist() if (code := self.code(point)) is not None]

    def first_pipe(self, pipes: Ints) -> str | None:
        """The code of the first of these pipes that may be opened."""
        return next((self._pipe_codes[p] for p in pipes.tolist() if p in self._pipe_codes), None)


def _summary(told: Isolation, seen: _Seen) -> dict[str, Any]:
    """The figures of an isolation."""
    closing = told.closing
    return {
        "closing": len(closing),
        "hidden_closing": int((~seen.points(closing)).sum()),
        "isolated": seen.sums(told.points, told.pipes).as_json(),
        "cut_off": seen.sums(told.cut_points, told.cut_pipes).as_json(),
    }


def _valves(told: Isolation, seen: _Seen) -> dict[str, Any]:
    """The valves to close and those to leave, as GeoJSON; and by code what cannot be used or would help."""
    from twin.pipes.isolation import Part  # noqa: PLC0415  numba takes long to load

    bounding = told.parts != Part.inside
    valves, parts = told.valves[bounding], told.parts[bounding]
    see = seen.points(valves)
    order = np.argsort(parts[see], kind="stable")[:_MOST_VALVES]
    ids = seen.graph.point_ids[valves[see][order]]
    states = seen.gate.sees_valves
    more = {
        int(id_): {"part": Part(int(part)).name if states else "bounds"}
        for id_, part in zip(ids, parts[see][order], strict=True)
    }
    return {
        "type": "FeatureCollection",
        "features": seen.gate.features(POINTS, ids.tolist(), more),
        "hidden": int((~see).sum()),
        "passed": seen.codes(told.passed) if states else [],
        "restoring": seen.codes(told.restoring) if states else [],
        "sources_inside": seen.codes(told.sources),
    }


def _traced(network: Network, question: Question, start: Start, target: Start, barrier: str) -> Found:
    from twin.pipes.traces import Barrier  # noqa: PLC0415  numba takes long to load

    traces, stop = network.traces, Barrier(barrier)
    match question:
        case Question.connected:
            return traces.connected(start, stop)
        case Question.upstream:
            return traces.upstream(start, stop)
        case Question.downstream:
            return traces.downstream(start, stop)
        case Question.loops:
            return traces.loops(start, stop)
        case Question.subnetwork:
            return traces.subnetwork(start)
        case Question.shortest:
            return traces.shortest(start, target, stop)


def _numbers(network: Network, things: Sequence[Thing]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The numbers of points and of pipes."""
    numbers = [(thing.layer, number_of(network, thing)) for thing in things]
    return tuple(n for layer, n in numbers if layer == POINTS), tuple(n for layer, n in numbers if layer == SEGMENTS)


def _begin(network: Network, things: Sequence[Thing]) -> Start:
    from twin.pipes.traces import Start  # noqa: PLC0415  numba takes long to load

    return Start(*_numbers(network, things))


def _burst(network: Network, things: Sequence[Thing]) -> Burst:
    from twin.pipes.isolation import Burst  # noqa: PLC0415  numba takes long to load

    return Burst(*_numbers(network, things))


Items = list[tuple[str, Literal["pipe_points", "pipe_segments"], int]]


def _items(graph: Graph, parts: Iterable[tuple[str, Ints, Ints]]) -> Items:
    """Everything to be drawn: the part it belongs to, its layer and its id; pipes of a part before its points.

    A made-up point, which only a pipe names, has no row and cannot be drawn.
    """
    items: Items = []
    for part, points, pipes in parts:
        items += [(part, SEGMENTS, int(i)) for i in graph.pipe_ids[pipes]]
        items += [(part, POINTS, int(i)) for i in graph.point_ids[points]]
    return items


def _paged(gate: Disclosure, items: Items, page: Page, name: str) -> dict[str, Any]:
    """One page of features, and the `after` of the next."""
    chosen = items[page.after : page.after + page.limit]
    more: Mapping[str, dict[int, dict[str, Any]]] = {POINTS: {}, SEGMENTS: {}}
    for part, layer, id_ in chosen:
        more[layer][id_] = {name: part}
    drawn = {
        feature["id"]: feature
        for layer in (SEGMENTS, POINTS)
        for feature in gate.features(layer, list(more[layer]), more[layer])
    }
    keys = (f"{layer}/{id_}" for _, layer, id_ in chosen)
    return {
        "type": "FeatureCollection",
        "features": [drawn[key] for key in keys if key in drawn],
        "matched": len(items),
        "next": page.after + page.limit if len(items) > page.after + page.limit else None,
    }
