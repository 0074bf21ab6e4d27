"""Isolation: the valves to close for a burst, what that shuts off, and what loses its source because of it.

A valve that stands open and cannot be turned or got at is passed, so the section widens by itself; a valve that turns
out not to close is named as failed and is passed as well. Sections are known beforehand (`sections`), so a burst costs
as much as its answer is long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gis_core.compiled import compiled
from twin.pipes.graph import METER, SOURCE, STUCK, UNREACHABLE, VALVE, Bits, Graph, Ids, Ints
from twin.pipes.sections import OUTSIDE, Members, Partition, Supply, divide, feed

Flags = npt.NDArray[np.bool_]
_MOST_ALTERNATIVES: Final = 40


class Part(IntEnum):
    """What a valve is for when a section is shut off."""

    close = 0
    """Close it: water, gas or heat comes from beyond."""
    drain = 1
    """Nothing feeds what lies beyond: closing it only keeps that from draining."""
    closed = 2
    """It stands closed already; see that it stays so."""
    inside = 3
    """It lies within what is shut off; leave it."""


@dataclass(frozen=True)
class Burst:
    """Where something broke: points and pipes by number. One broken point that is a valve opens all around it."""

    points: tuple[int, ...] = ()
    pipes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Isolation:
    """What is to be done, as numbers of the graph.

    `points` and `pipes` are shut off; `cut_points` and `cut_pipes` lose their source by it. `valves` and their `parts`
    bound what is shut off; `passed` are the valves within it that cannot be used. `sources` lie within: they must be
    turned off themselves. `restoring` are closed valves that would feed again some of what is cut off.
    """

    sections: Ints
    points: Ints
    pipes: Ints
    valves: Ints
    parts: Ints
    passed: Ints
    sources: Ints
    cut_sections: Ints
    cut_points: Ints
    cut_pipes: Ints
    restoring: Ints
    customers: int
    cut_customers: int
    meters: int
    cut_meters: int

    @property
    def closing(self) -> Ints:
        """The valves that must be closed."""
        chosen: Ints = self.valves[self.parts == Part.close]
        return chosen

    @property
    def affected(self) -> int:
        """Customers without supply in all."""
        return self.customers + self.cut_customers


@dataclass(frozen=True)
class Alternative:
    """What follows if one valve cannot be closed after all."""

    without: int
    isolation: Isolation


@dataclass(frozen=True)
class Conflict:
    """What two bursts at the same time mean for each other.

    `together` is the isolation of both. `same_section`: one isolation serves both. `shared` valves bound both, so the
    first repair that ends must leave them closed. `in_the_way`: one's isolation cuts off where the other lies.
    `more_points`, `more_pipes`, `more_customers` are lost only because both are shut off at once.
    """

    together: Isolation
    same_section: bool
    shared: Ints
    in_the_way: bool
    more_points: Ints
    more_pipes: Ints
    more_customers: int

    @property
    def stands(self) -> bool:
        """Whether the two bursts touch each other at all."""
        return self.same_section or len(self.shared) > 0 or self.in_the_way or len(self.more_pipes) > 0


class Isolator:
    """Isolation in one network. Any number of threads may ask at the same time."""

    def __init__(self, graph: Graph) -> None:
        """Divide the network into sections and find out what feeds them."""
        self.graph = graph
        self.partition: Partition = divide(graph)
        self.supply: Supply = feed(graph, self.partition)
        self._place = np.full(graph.points, OUTSIDE, np.int32)
        self._place[self.partition.bounding] = np.arange(len(self.partition.bounding), dtype=np.int32)
        self._fed = np.zeros(self.partition.count, np.uint8)
        self._fed[self.partition.of_point[graph.sources]] = 1
        self._joints = _Joints(*self.partition.valves, *self.partition.around, self.partition.closed)
        # Where no source is known, anything beyond a valve may feed.
        self._feeding = (self.supply.came[: self.partition.count] != OUTSIDE) | (not self._fed.any())
        self._customers = Members(self.partition.points.first, graph.customers[self.partition.points.numbers])
        self._spare: list[_Marks] = []
        self._lock = threading.Lock()

    def isolate(self, burst: Burst, failed: Iterable[int] = ()) -> Isolation:
        """What to do for a burst, when the `failed` valves (points by number) do not close."""
        return self.shut(self._hit(burst, failed))

    def extent(self, burst: Burst) -> tuple[Ints, Ints, Ints]:
        """The points and pipes that a burst opens and the valves that bound them, without what follows from that."""
        partition = self.partition
        if len(burst.pipes) == 1 and not burst.points:
            section = int(partition.of_pipe[burst.pipes[0]])
            valves = partition.bounding[partition.valves.of(section)]
            return partition.points.of(section), partition.pipes.of(section), valves
        hit = self._hit(burst, ())
        valves = partition.bounding[np.unique(partition.valves.of_all(hit))]
        return partition.points.of_all(hit), partition.pipes.of_all(hit), valves

    def shut(self, sections: npt.ArrayLike) -> Isolation:
        """What shutting off these sections means."""
        marks = self._borrow()
        try:
            return self._isolated(marks, np.asarray(sections, np.int32))
        finally:
            self._spare.append(marks)

    def alternatives(self, burst: Burst, isolation: Isolation, failed: Iterable[int] = ()) -> list[Alternative]:
        """What follows for each valve to be closed if it fails; the least harm first."""
        failed = tuple(failed)
        to_try = isolation.valves[isolation.parts <= Part.drain][:_MOST_ALTERNATIVES]
        found = [Alternative(int(valve), self.isolate(burst, (*failed, int(valve)))) for valve in to_try]
        return sorted(
            found,
            key=lambda a: (a.isolation.affected, len(a.isolation.closing), len(a.isolation.pipes), a.without),
        )

    def compare(self, one: Burst, other: Burst, failed: Iterable[int] = ()) -> Conflict:
        """What two bursts at the same time mean for each other."""
        failed = tuple(failed)
        a, b = self.isolate(one, failed), self.isolate(other, failed)
        both = Burst((*one.points, *other.points), (*one.pipes, *other.pipes))
        together = self.isolate(both, failed)
        same = bool(np.intersect1d(a.sections, b.sections).size)
        shared = np.intersect1d(a.valves[a.parts != Part.inside], b.valves[b.parts != Part.inside])
        in_the_way = bool(
            np.intersect1d(a.cut_sections, b.sections).size or np.intersect1d(b.cut_sections, a.sections).size
        )
        alone = np.union1d(np.union1d(a.sections, a.cut_sections), np.union1d(b.sections, b.cut_sections))
        more = np.setdiff1d(together.cut_sections, alone).astype(np.int32)
        partition = self.partition
        return Conflict(
            together,
            same,
            shared.astype(np.int32),
            in_the_way,
            partition.points.of_all(more),
            partition.pipes.of_all(more),
            int(self._customers.of_all(more).sum()),
        )

    def _hit(self, burst: Burst, failed: Iterable[int]) -> Ints:
        """The sections that a burst opens, and those beyond failed valves."""
        partition = self.partition
        hit: dict[int, None] = dict.fromkeys(int(partition.of_pipe[p]) for p in burst.pipes)
        for point in burst.points:
            place = int(self._place[point])
            around = (int(partition.of_point[point]),) if place == OUTSIDE else partition.around.of(place).tolist()
            hit.update(dict.fromkeys(around))
        useless = {int(self._place[v]) for v in failed} - {OUTSIDE}
        ahead = list(hit) if useless else []
        while ahead:
            for place in partition.valves.of(ahead.pop()).tolist():
                if place in useless:
                    fresh = [s for s in partition.around.of(place).tolist() if s not in hit]
                    hit.update(dict.fromkeys(fresh))
                    ahead += fresh
        return np.array(list(hit), np.int32)

    def _isolated(self, marks: _Marks, hit: Ints) -> Isolation:
        partition, supply, graph = self.partition, self.supply, self.graph
        mark = marks.next()
        marks.of_sections[hit] = mark
        if len(hit) == 1:
            cut = _cut_by_one(hit[0], supply.came, supply.order, supply.below, supply.low, partition.count)
        else:
            cut = _cut_by_many(self._joints, self._fed, supply.came, marks.of_sections, mark)
        valves, parts = _bounded(hit, cut, self._joints, self._feeding, marks.of_sections, marks.of_valves, mark)
        restoring = _restoring(cut, self._joints, self._feeding, marks.of_sections, marks.of_valves, mark)
        points = partition.points.of_all(hit)
        cut_points = partition.points.of_all(cut)
        bits, cut_bits = graph.bits[points], graph.bits[cut_points]
        useless = ((bits & VALVE) > 0) & ((bits & (STUCK | UNREACHABLE)) > 0) & ((bits & SOURCE) == 0)
        return Isolation(
            sections=hit,
            points=points,
            pipes=partition.pipes.of_all(hit),
            valves=partition.bounding[valves],
            parts=parts,
            passed=points[useless],
            sources=points[(bits & SOURCE) > 0],
            cut_sections=cut,
            cut_points=cut_points,
            cut_pipes=partition.pipes.of_all(cut),
            restoring=partition.bounding[restoring],
            customers=int(graph.customers[points].sum()),
            cut_customers=int(graph.customers[cut_points].sum()),
            meters=int(((bits & METER) > 0).sum()),
            cut_meters=int(((cut_bits & METER) > 0).sum()),
        )

    def _borrow(self) -> _Marks:
        with self._lock:
            return self._spare.pop() if self._spare else _Marks(self.partition)


class _Joints(NamedTuple):
    """How sections and valves hang together: `Partition.valves`, `Partition.around` and which valves are closed."""

    of_section: Ints
    valves: Ints
    of_valve: Ints
    sections: Ints
    closed: Bits


class _Marks:
    """What one question writes on; the next one uses other marks, so nothing needs to be cleared."""

    def __init__(self, partition: Partition) -> None:
        self.of_sections = np.zeros(partition.count, np.int64)
        self.of_valves = np.zeros(len(partition.bounding), np.int64)
        self._last = 0

    def next(self) -> int:
        """Marks that were not used before: this one (shut off) and the next (cut off)."""
        self._last += 2
        return self._last


@compiled
def _cut_by_one(section: int, came: Ints, order: Ints, below: Ints, low: Ints, count: int) -> Ints:
    """The sections that lose their source with one: subtrees of it that nothing else reaches."""
    out = np.empty(0, np.int32)
    if came[section] < 0:
        return out
    last = came[section] + below[section]
    for filling in (False, True):
        found, at = 0, came[section] + 1
        while at < last:
            child = order[at]
            if low[child] >= came[section]:
                for k in range(at, at + below[child]):
                    if order[k] < count:
                        if filling:
                            out[found] = order[k]
                        found += 1
            at += below[child]
        if not filling:
            out = np.empty(found, np.int32)
    return out


@compiled
def _cut_by_many(joints: _Joints, fed: Bits, came: Ints, marks: Ids, mark: int) -> Ints:
    """The sections that lose their source when all the marked ones are shut off: a search from the sources left."""
    count = len(fed)
    reached, used = np.zeros(count, np.uint8), np.zeros(len(joints.closed), np.uint8)
    stack = np.empty(count, np.int32)
    depth = 0
    for root in range(count):
        if fed[root] and marks[root] != mark:
            reached[root] = 1
            stack[depth] = root
            depth += 1
    while depth > 0:
        depth -= 1
        x = stack[depth]
        for k in range(joints.of_section[x], joints.of_section[x + 1]):
            v = joints.valves[k]
            if joints.closed[v] or used[v]:
                continue
            used[v] = 1
            for j in range(joints.of_valve[v], joints.of_valve[v + 1]):
                y = joints.sections[j]
                if not reached[y] and marks[y] != mark:
                    reached[y] = 1
                    stack[depth] = y
                    depth += 1
    found = 0
    for x in range(count):
        if came[x] >= 0 and not reached[x] and marks[x] != mark:
            stack[found] = x
            found += 1
    return stack[:found].copy()


@compiled
def _bounded(
    hit: Ints, cut: Ints, joints: _Joints, feeding: Flags, marks: Ids, valve_marks: Ids, mark: int
) -> tuple[Ints, Ints]:
    """The valves around what is shut off, and their parts. Marks what is cut off, and these valves."""
    room = 0
    for x in hit:
        room += joints.of_section[x + 1] - joints.of_section[x]
    for x in cut:
        marks[x] = mark + 1
    bounds, parts = np.empty(room, np.int32), np.empty(room, np.int32)
    n = 0
    for x in hit:
        for v in joints.valves[joints.of_section[x] : joints.of_section[x + 1]]:
            if valve_marks[v] == mark:
                continue
            valve_marks[v] = mark
            beyond, fed = False, False
            for y in joints.sections[joints.of_valve[v] : joints.of_valve[v + 1]]:
                beyond = beyond or marks[y] != mark
                fed = fed or (marks[y] < mark and feeding[y])
            bounds[n] = v
            # The numbers of `Part`.
            parts[n] = 3 if not beyond else 2 if joints.closed[v] else 0 if fed else 1
            n += 1
    return bounds[:n].copy(), parts[:n].copy()


@compiled
def _restoring(cut: Ints, joints: _Joints, feeding: Flags, marks: Ids, valve_marks: Ids, mark: int) -> Ints:
    """The closed valves between what is cut off and what still has a source; to be asked after `_bounded`."""
    room = 0
    for x in cut:
        room += joints.of_section[x + 1] - joints.of_section[x]
    found = np.empty(room, np.int32)
    n = 0
    for x in cut:
        for v in joints.valves[joints.of_section[x] : joints.of_section[x + 1]]:
            if not joints.closed[v] or valve_marks[v] >= mark:
                continue
            valve_marks[v] = mark + 1
            for y in joints.sections[joints.of_valve[v] : joints.of_valve[v + 1]]:
                if marks[y] < mark and feeding[y]:
                    found[n] = v
                    n += 1
                    break
    return found[:n].copy()
