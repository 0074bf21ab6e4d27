"""Traces over a pipe network: connected, upstream, downstream, the shortest way, loops, what one source feeds.

Flow goes away from sources in networks under pressure, so upstream is towards the source; sewers flow to their
outfalls, so upstream is away from the outfall. Where the survey does not say a pipe's direction it follows from the
distance to the nearest source or outfall. Breadth-first search over CSR arrays with stamps in place of clearing;
Dijkstra with a binary heap; bridges after Tarjan (1974).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from twin.pipes.graph import (
    BACKWARD,
    CLOSED,
    FORWARD,
    UNKNOWN,
    VALVE,
    Bits,
    Floats,
    Graph,
    Ints,
    Signs,
)
from twin.pipes.walks import Sheet, find_loops, headings, nearest, select, walk

NOBODY: Final = -1


class Barrier(StrEnum):
    """What a trace does not go beyond; it ends at the barrier, which belongs to the answer."""

    none = "none"
    closed = "closed"
    valves = "valves"


@dataclass(frozen=True)
class Found:
    """What a trace found, as numbers of the graph in the order in which it came to them."""

    points: Ints
    pipes: Ints


@dataclass(frozen=True)
class Start:
    """Where a trace begins: points and pipes by number."""

    points: tuple[int, ...] = ()
    pipes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Which way a network flows: `direction` per pipe; `heading` per neighbour of `near`: 1 with the flow, -1 against.

    Per point: `origin` is the source (in sewers: the outfall) that is nearest along the pipes (NOBODY: none is
    connected), `distance_m` how far that is, `rank` its place in the order of distance (NOBODY: not connected).
    `order` lists the connected points by rank.
    """

    gravity: bool
    direction: Signs
    heading: Signs
    origin: Ints
    distance_m: Floats
    rank: Ints
    order: Ints


class Traces:
    """The traces of one network. Any number of threads may ask at the same time."""

    def __init__(self, graph: Graph, *, gravity: bool) -> None:
        """Find out which way the network flows."""
        self.graph = graph
        self._stops = {barrier: stops(graph, barrier) for barrier in Barrier}
        self.flow = orient(graph, gravity=gravity)
        blind = np.zeros_like(self.flow.heading)
        self._ways = {
            mode: select(graph.near, blind if mode == UNKNOWN else self.flow.heading, mode)
            for mode in (UNKNOWN, FORWARD, BACKWARD)
        }
        self._spare: list[_Stamps] = []
        self._lock = threading.Lock()
        self._on_loops: dict[Barrier, Bits] = {}

    def connected(self, start: Start, barrier: Barrier = Barrier.closed) -> Found:
        """All that hangs together with the start."""
        return self._walk(start, UNKNOWN, barrier)

    def upstream(self, start: Start, barrier: Barrier = Barrier.closed) -> Found:
        """All from which something can flow to the start: towards the source, and away from the outfall."""
        return self._walk(start, BACKWARD, barrier)

    def downstream(self, start: Start, barrier: Barrier = Barrier.closed) -> Found:
        """All to which something can flow from the start."""
        return self._walk(start, FORWARD, barrier)

    def shortest(self, start: Start, target: Start, barrier: Barrier = Barrier.closed) -> Found:
        """The shortest way along the pipes by length, from the start to the target; empty where there is none."""
        graph = self.graph
        begin, goal = self._ends(start, UNKNOWN), self._ends(target, UNKNOWN)
        wanted = np.zeros(graph.points, np.uint8)
        wanted[goal] = 1
        way, last = nearest(graph.near, graph.length_m, self.flow.heading, UNKNOWN, self._stops[barrier], begin, wanted)
        if last == NOBODY:
            return Found(_none(), _none())
        points, pipes = [last], []
        while way.before[points[-1]] != NOBODY:
            pipes.append(way.via[points[-1]])
            points.append(way.before[points[-1]])
        return Found(np.array(points[::-1], np.int32), np.array(pipes[::-1], np.int32))

    def loops(self, start: Start, barrier: Barrier = Barrier.closed) -> Found:
        """The pipes on any loop in what hangs together with the start: those whose loss leaves both ends connected."""
        graph = self.graph
        if barrier not in self._on_loops:
            self._on_loops[barrier] = find_loops(graph.near, graph.pipes, self._stops[barrier])
        pipes = self.connected(start, barrier).pipes
        pipes = pipes[self._on_loops[barrier][pipes] == 1]
        ends = np.column_stack([graph.start[pipes], graph.end[pipes]]).ravel()
        _, at = np.unique(ends, return_index=True)
        return Found(ends[np.sort(at)], pipes)

    def subnetwork(self, start: Start) -> Found:
        """What the source (in sewers: the outfall) that is nearest to the start serves: all to which it is nearest.

        A pipe between two such parts belongs to the one that its nearer end lies in.
        """
        flow, graph = self.flow, self.graph
        near = self._ends(start, UNKNOWN)
        near = near[flow.rank[near] != NOBODY]
        if not len(near):
            return Found(_none(), _none())
        origin = flow.origin[near[np.argmin(flow.rank[near])]]
        points = flow.order[flow.origin[flow.order] == origin]
        far = np.iinfo(np.int32).max
        ranks = [np.where(flow.rank[ends] == NOBODY, far, flow.rank[ends]) for ends in (graph.start, graph.end)]
        nearer = np.where(ranks[0] <= ranks[1], graph.start, graph.end)
        pipes = np.flatnonzero((flow.origin[nearer] == origin) & (flow.rank[nearer] != NOBODY))
        return Found(points, pipes.astype(np.int32))

    def _ends(self, start: Start, mode: int) -> Ints:
        """The points from which a trace in this direction begins."""
        graph, begin = self.graph, list(start.points)
        for pipe in start.pipes:
            along = int(self.flow.direction[pipe]) * mode
            if along >= 0:
                begin.append(int(graph.end[pipe]))
            if along <= 0:
                begin.append(int(graph.start[pipe]))
        return np.array(begin, np.int32)

    def _walk(self, start: Start, mode: int, barrier: Barrier) -> Found:
        begin = self._ends(start, mode)
        given = np.array(start.pipes, np.int32)
        stamps = self._borrow()
        try:
            sheet, stamp = stamps.sheet, stamps.next()
            found = walk(self._ways[mode], self._stops[barrier], begin, len(start.points), given, sheet, stamp)
            return Found(sheet.points[: found[0]].copy(), sheet.pipes[: found[1]].copy())
        finally:
            self._spare.append(stamps)

    def _borrow(self) -> _Stamps:
        with self._lock:
            return self._spare.pop() if self._spare else _Stamps(self.graph.points, self.graph.pipes)


class _Stamps:
    """A sheet that is used again and again: each trace has a stamp of its own, so nothing needs to be cleared."""

    def __init__(self, points: int, pipes: int) -> None:
        self.sheet = Sheet(*(np.zeros(size, np.int32) for size in (points, pipes, points, pipes)))
        self._last = 0

    def next(self) -> int:
        """A stamp that was not used before."""
        if self._last == np.iinfo(np.int32).max:
            self.sheet.on_points[:], self.sheet.on_pipes[:], self._last = 0, 0, 0
        self._last += 1
        return self._last


def orient(graph: Graph, *, gravity: bool) -> Flow:
    """Which way every pipe flows: as the survey says, else away from the nearest source, to the nearest outfall."""
    given = headings(graph.near, graph.start, graph.end, graph.flow)
    mode, roots = (BACKWARD, graph.sinks) if gravity else (FORWARD, graph.sources)
    closed, nowhere = stops(graph, Barrier.closed), np.zeros(0, np.uint8)
    way, _ = nearest(graph.near, graph.length_m, given, mode, closed, roots, nowhere)
    rank = np.full(graph.points, NOBODY, np.int32)
    rank[way.order] = np.arange(len(way.order), dtype=np.int32)
    a, b = rank[graph.start], rank[graph.end]
    away = np.where((a == NOBODY) | (b == NOBODY), UNKNOWN, np.sign(b - a))
    direction = np.where(graph.flow == UNKNOWN, -away if gravity else away, graph.flow).astype(np.int8)
    heading = headings(graph.near, graph.start, graph.end, direction)
    return Flow(gravity, direction, heading, way.origin, way.distance_m, rank, way.order)


def stops(graph: Graph, barrier: Barrier) -> Bits:
    """1 for each point that a trace does not go beyond."""
    masks = {Barrier.none: 0, Barrier.closed: VALVE | CLOSED, Barrier.valves: VALVE}
    mask = masks[barrier]
    held: Bits = ((graph.bits & mask == mask) & (mask > 0)).astype(np.uint8)
    return held


def _none() -> Ints:
    return np.zeros(0, np.int32)
