"""Alarms on one branch are one event: those that the same pipe feeds, at about the same time, and where it began.

Under pressure the point through which all that reaches two alarms must flow is their common dominator (Cooper, Harvey
and Kennedy 2001; one pass, as the network is taken in the order of distance from the source). In sewers it is the same
towards the outfall: where the ways of two alarms meet, and the alarm farthest up says where to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gis_core.compiled import compiled
from twin.pipes.graph import Bits, Ints, Nearby, Signs
from twin.pipes.traces import NOBODY, Barrier, Traces, stops

WINDOW_S: Final = 900.0
REACH_M: Final = 2000.0


@dataclass(frozen=True)
class Alarm:
    """Something that a device at a point (by number) reported, at a time in seconds since whenever."""

    point: int
    at_s: float


@dataclass(frozen=True)
class Event:
    """Alarms that are probably one thing.

    `alarms` by their places in what was given, in the order of time. Under pressure `point` is the last one that all
    they are fed by flows through; in sewers it is the alarm farthest up. `pipes` bring the flow there: the probable
    segments, none at a source or where nothing is known of the flow.
    """

    alarms: tuple[int, ...]
    point: int
    pipes: tuple[int, ...]


class Branches:
    """Which points of a network all flow to, or from, another one has to pass."""

    def __init__(self, traces: Traces) -> None:
        """Find the immediate dominator of every point."""
        self._traces, self._flow, self._graph = traces, traces.flow, traces.graph
        closed = stops(traces.graph, Barrier.closed)
        flow = self._flow
        towards = flow.heading if flow.gravity else -flow.heading
        self._above = _dominators(self._graph.near, towards, flow.rank, flow.order, flow.origin, closed)

    def meeting(self, a: int, b: int) -> int:
        """The last point that all ways between the source (in sewers: the outfall) and both pass, or NOBODY."""
        if NOBODY in (self._flow.rank[a], self._flow.rank[b]):
            return a if a == b else NOBODY
        return int(_met(self._above, self._flow.rank, a, b))

    def group(
        self, alarms: Sequence[Alarm], *, window_s: float = WINDOW_S, reach_m: float = REACH_M
    ) -> list[Event]:  # fmt: skip
        """The events behind alarms, in the order of their first one.

        Alarms belong together that are at most `window_s` apart in time and meet at most `reach_m` along the pipes
        from each; and so do those that another one joins.
        """
        order = sorted(range(len(alarms)), key=lambda i: (alarms[i].at_s, i))
        leader = {i: i for i in order}

        def lead(i: int) -> int:
            while leader[i] != i:
                leader[i] = leader[leader[i]]
                i = leader[i]
            return i

        for place, late in enumerate(order):
            for early in reversed(order[:place]):
                if alarms[late].at_s - alarms[early].at_s > window_s:
                    break
                if lead(early) != lead(late) and self._is_near(alarms[early].point, alarms[late].point, reach_m):
                    leader[lead(late)] = lead(early)
        groups: dict[int, list[int]] = {}
        for i in order:
            groups.setdefault(lead(i), []).append(i)
        return [self._event(tuple(group), [alarms[i].point for i in group]) for group in groups.values()]

    def _is_near(self, a: int, b: int, reach_m: float) -> bool:
        met = self.meeting(a, b)
        far = self._flow.distance_m
        return met != NOBODY and (a == b or max(far[a], far[b]) - far[met] <= reach_m)

    def _event(self, group: tuple[int, ...], points: Sequence[int]) -> Event:
        if self._flow.gravity:
            # What came down the sewer passed the farthest alarm first; of equals the first to speak counts.
            point = max(points, key=lambda p: (self._flow.distance_m[p], -points.index(p)))
        else:
            point = points[0]
            for other in points[1:]:
                point = self.meeting(point, other)
        near, heading = self._graph.near, self._flow.heading
        around = range(near.first[point], near.first[point + 1])
        return Event(group, int(point), tuple(int(near.pipe[k]) for k in around if heading[k] < 0))


@compiled
def _met(above: Ints, rank: Ints, a: int, b: int) -> int:
    """Where the ways up from two points meet; -1 beyond the last ones."""
    while a != b:
        if b == -1 or (a != -1 and rank[a] > rank[b]):
            a = above[a]
        else:
            b = above[b]
    return a


@compiled
def _dominators(near: Nearby, towards: Signs, rank: Ints, order: Ints, origin: Ints, closed: Bits) -> Ints:
    """The nearest point that all ways of a point pass, -1 for none; `towards` is 1 for neighbours on those ways."""
    above = np.full(len(rank), -1, np.int32)
    for x in order:
        if origin[x] == x:
            continue
        known, met = False, -1
        for k in range(near.first[x], near.first[x + 1]):
            y = near.point[k]
            if towards[k] == 1 and 0 <= rank[y] < rank[x] and (not closed[y] or origin[y] == y):
                met = _met(above, rank, met, y) if known else y
                known = True
        above[x] = met
    return above
