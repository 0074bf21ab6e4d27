"""Sections: the parts into which usable valves divide a network, each of which can be shut off, and what feeds them.

Union-find for the parts; one depth-first search over sections and valves from all sources at once, with low points
(Tarjan 1972), for what loses its source when a section is shut: all that in linear time for the whole network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from gis_core.compiled import compiled
from twin.pipes.graph import CLOSED, METER, SOURCE, STUCK, UNREACHABLE, VALVE, Bits, Floats, Graph, Ints, Nearby

OUTSIDE: Final = -1


class Members(NamedTuple):
    """Numbers in groups: those of group g are `numbers[first[g]:first[g + 1]]`."""

    first: Ints
    numbers: Ints

    def of(self, group: int) -> Ints:
        """The numbers of one group."""
        return self.numbers[self.first[group] : self.first[group + 1]]

    def of_all(self, groups: Ints) -> Ints:
        """The numbers of several groups, one after the other."""
        return _gathered(self, groups)

    @property
    def sizes(self) -> Ints:
        """How many numbers each group has."""
        return np.diff(self.first)


@dataclass(frozen=True)
class Partition:
    """The sections of a network, numbered 0..count-1.

    A valve bounds sections if it stands closed, or can be turned and got at; one that is open and cannot be used
    belongs to its section like any other point. `of_point` is a point's section (OUTSIDE for a bounding valve),
    `of_pipe` a pipe's. `bounding` are the valves between sections; `around` the sections at each of them, in that
    order; `valves` the places in `bounding` for each section. `closed` says which of `bounding` stand closed.
    """

    count: int
    of_point: Ints
    of_pipe: Ints
    points: Members
    pipes: Members
    bounding: Ints
    closed: Bits
    around: Members
    valves: Members


@dataclass(frozen=True)
class Loads:
    """What a section holds, or what is lost: per section points, pipes, metres, customers, meters (columns)."""

    values: Floats

    COLUMNS = ("points", "pipes", "length_m", "customers", "meters")

    def column(self, name: str) -> Floats:
        """One figure for every section."""
        return self.values[:, self.COLUMNS.index(name)]


@dataclass(frozen=True)
class Supply:
    """How sections are fed through open valves, as a search tree from all sources over sections and valves.

    Vertices are the sections, then the bounding valves. `came` is when the search came to a vertex (OUTSIDE: no source
    feeds it), `order` the vertices by that, `below` how many lie in the vertex's subtree, itself included, `low` the
    earliest vertex that its subtree reaches other than through its parent. What loses its source when a section is
    shut are those of its subtrees whose `low` is not before it: each a run of `order`. `lost` adds them up.
    """

    came: Ints
    order: Ints
    below: Ints
    low: Ints
    held: Loads
    lost: Loads


def is_bounding(bits: Bits) -> Bits:
    """1 for each valve that stands closed, or can be turned and got at. A source is no valve, whatever else it is."""
    usable = (bits & (STUCK | UNREACHABLE)) == 0
    closed = (bits & CLOSED) > 0
    bounding: Bits = (((bits & VALVE) > 0) & ((bits & SOURCE) == 0) & (usable | closed)).astype(np.uint8)
    return bounding


def divide(graph: Graph) -> Partition:
    """The sections of a network."""
    bounding = is_bounding(graph.bits)
    count, of_point, of_pipe = _parts(graph.start, graph.end, bounding)
    valves = np.flatnonzero(bounding).astype(np.int32)
    around = _sections_around(valves, graph.near, of_pipe)
    at = np.repeat(np.arange(len(valves), dtype=np.int32), around.sizes)
    by_section = _grouped(around.numbers, count)
    return Partition(
        count,
        of_point,
        of_pipe,
        _grouped(of_point, count),
        _grouped(of_pipe, count),
        valves,
        ((graph.bits[valves] & CLOSED) > 0).astype(np.uint8),
        around,
        Members(by_section.first, at[by_section.numbers]),
    )


def hold(graph: Graph, partition: Partition) -> Loads:
    """What each section holds; bounding valves count nowhere."""
    inside = np.flatnonzero(partition.of_point != OUTSIDE)
    at = partition.of_point[inside]
    size = partition.count
    columns = (
        np.bincount(at, minlength=size),
        np.bincount(partition.of_pipe, minlength=size),
        np.bincount(partition.of_pipe, graph.length_m, size),
        np.bincount(at, graph.customers[inside], size),
        np.bincount(at, (graph.bits[inside] & METER) > 0, size),
    )
    return Loads(np.column_stack([c.astype(np.float64) for c in columns]))


def feed(graph: Graph, partition: Partition) -> Supply:
    """How the sections are fed, and what each one's loss takes with it."""
    held = hold(graph, partition)
    fed = np.zeros(partition.count, np.uint8)
    fed[partition.of_point[graph.sources]] = 1
    came, order, below, low, lost = _supplied(partition.valves, partition.around, partition.closed, fed, held.values)
    return Supply(came, order, below, low, held, Loads(lost))


@compiled
def _root(parent: Ints, x: int) -> int:
    """The root of a point's set; the way there is halved."""
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@compiled
def _parts(start: Ints, end: Ints, bounding: Bits) -> tuple[int, Ints, Ints]:
    """Sections of points and of pipes by union-find; a pipe between two bounding valves is a section of its own."""
    n = len(bounding)
    parent = np.arange(n).astype(np.int32)
    for p in range(len(start)):
        if not bounding[start[p]] and not bounding[end[p]]:
            a, b = _root(parent, start[p]), _root(parent, end[p])
            # The least point of a set is its root, so below it has its number before any other asks.
            parent[max(a, b)] = min(a, b)
    of_point, of_pipe = np.full(n, -1, np.int32), np.empty(len(start), np.int32)
    count = 0
    for x in range(n):
        if not bounding[x]:
            root = _root(parent, x)
            if root == x:
                of_point[x] = count
                count += 1
            else:
                of_point[x] = of_point[root]
    for p in range(len(start)):
        of_pipe[p] = max(of_point[start[p]], of_point[end[p]])
        if of_pipe[p] < 0:
            of_pipe[p] = count
            count += 1
    return count, of_point, of_pipe


@compiled
def _grouped(label: Ints, count: int) -> Members:
    """The numbers with each label, ascending; a negative label is in no group."""
    first = np.zeros(count + 1, np.int32)
    for x in label:
        if x >= 0:
            first[x + 1] += 1
    for g in range(count):
        first[g + 1] += first[g]
    into = first[:-1].copy()
    numbers = np.empty(first[count], np.int32)
    for i in range(len(label)):
        if label[i] >= 0:
            numbers[into[label[i]]] = i
            into[label[i]] += 1
    return Members(first, numbers)


@compiled
def _gathered(members: Members, groups: Ints) -> Ints:
    """The numbers of some groups, one after the other."""
    total = 0
    for g in groups:
        total += members.first[g + 1] - members.first[g]
    out = np.empty(total, np.int32)
    at = 0
    for g in groups:
        for k in range(members.first[g], members.first[g + 1]):
            out[at] = members.numbers[k]
            at += 1
    return out


@compiled
def _sections_around(valves: Ints, near: Nearby, of_pipe: Ints) -> Members:
    """The sections at each valve, each named once, in the order of its pipes."""
    starts = np.zeros(len(valves) + 1, np.int32)
    room = 0
    for v in valves:
        room += near.first[v + 1] - near.first[v]
    sections = np.empty(room, np.int32)
    at = 0
    for i in range(len(valves)):
        for k in range(near.first[valves[i]], near.first[valves[i] + 1]):
            section, known = of_pipe[near.pipe[k]], False
            for j in range(starts[i], at):
                known = known or sections[j] == section
            if not known:
                sections[at] = section
                at += 1
        starts[i + 1] = at
    return Members(starts, sections[:at].copy())


@compiled
def _supplied(
    valves: Members, around: Members, closed: Bits, fed: Bits, held: Floats
) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    """The search tree of `Supply`, and what each section's loss takes with it beyond itself."""
    count = len(fed)
    total = count + len(closed)
    came, low = np.full(total, -1, np.int32), np.full(total, -1, np.int32)
    below, parent = np.ones(total, np.int32), np.full(total, -1, np.int32)
    following = np.concatenate((valves.first[:-1], around.first[:-1]))
    last = np.concatenate((valves.first[1:], around.first[1:]))
    order, stack = np.empty(total, np.int32), np.empty(total, np.int32)
    carried = np.zeros((total, held.shape[1]))
    carried[:count] = held
    lost = np.zeros((count, held.shape[1]))
    clock = 0
    for root in range(count):
        if not fed[root] or came[root] >= 0:
            continue
        stack[0], depth = root, 1
        while depth > 0:
            x = stack[depth - 1]
            if came[x] < 0:
                came[x] = low[x] = clock
                order[clock] = x
                clock += 1
                if x < count and fed[x]:
                    low[x] = -1
            if following[x] < last[x]:
                y = valves.numbers[following[x]] + count if x < count else around.numbers[following[x]]
                following[x] += 1
                if y == parent[x] or (y >= count and closed[y - count]):
                    continue
                if came[y] >= 0:
                    low[x] = min(low[x], came[y])
                else:
                    parent[y] = x
                    stack[depth] = y
                    depth += 1
                continue
            depth -= 1
            up = parent[x]
            if up >= 0:
                below[up] += below[x]
                carried[up] += carried[x]
                low[up] = min(low[up], low[x])
                if up < count and low[x] >= came[up]:
                    lost[up] += carried[x]
    return came, order[:clock].copy(), below, low, lost
