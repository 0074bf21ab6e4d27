"""Alarms that belong together, and where to look."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given, settings

from tests.networks import any_network
from twin.pipes.alarms import Alarm, Branches, Event
from twin.pipes.graph import FORWARD, SINK, SOURCE, Graph, build
from twin.pipes.traces import NOBODY, Barrier, Traces, stops

# 0 source - 1 - 2 - 3, from 2 a branch 4 - 5 and from 1 a branch 6; 7 - 8 hang on nothing.
ENDS = [(0, 1), (1, 2), (2, 3), (2, 4), (4, 5), (1, 6), (7, 8)]


def branched(*, loop: bool = False) -> Branches:
    ends = [*ENDS, (3, 5)] if loop else ENDS
    graph = build(
        range(len(ends)), [a for a, _ in ends], [b for _, b in ends], [100] * len(ends), point_ids=[0], bits=[SOURCE]
    )
    return Branches(Traces(graph, gravity=False))


def test_alarms_below_one_pipe_are_one_event_at_that_pipe() -> None:
    told = branched().group([Alarm(3, 10), Alarm(5, 0), Alarm(4, 20)])
    assert told == [Event((1, 0, 2), 2, (1,))]


def test_alarms_on_different_branches_or_at_other_times_are_not() -> None:
    branches = branched()
    assert [e.alarms for e in branches.group([Alarm(3, 0), Alarm(6, 5)], reach_m=150)] == [(0,), (1,)]
    assert branches.group([Alarm(3, 0), Alarm(6, 5)]) == [Event((0, 1), 1, (0,))]
    assert [e.alarms for e in branches.group([Alarm(3, 0), Alarm(3, 1000)])] == [(0,), (1,)]
    assert [e.alarms for e in branches.group([Alarm(3, 0), Alarm(3, 600), Alarm(3, 1200)])] == [(0, 1, 2)]


def test_a_loop_has_two_ways_in() -> None:
    told = branched(loop=True).group([Alarm(5, 0)])
    assert (told[0].point, sorted(told[0].pipes)) == (5, [4, 7])
    assert branched(loop=True).group([Alarm(5, 0), Alarm(3, 0)])[0].point == 2


def test_what_nothing_feeds_is_an_event_of_its_own() -> None:
    told = branched().group([Alarm(7, 0), Alarm(8, 0), Alarm(7, 1), Alarm(0, 2)])
    assert told == [Event((0, 2), 7, ()), Event((1,), 8, ()), Event((3,), 0, ())]
    assert branched().group([]) == []


def test_in_sewers_the_alarm_farthest_up_says_where_to_look() -> None:
    ends = [(3, 2), (2, 1), (1, 0), (5, 4), (4, 1)]
    graph = build(
        range(5), [a for a, _ in ends], [b for _, b in ends], [100] * 5, flow=[FORWARD] * 5, point_ids=[0], bits=[SINK]
    )
    branches = Branches(Traces(graph, gravity=True))
    assert branches.group([Alarm(1, 0), Alarm(2, 5)]) == [Event((0, 1), 2, (0,))]
    assert branches.group([Alarm(4, 0), Alarm(2, 5)])[0].point == 4


@settings(max_examples=150, deadline=None, derandomize=True)
@given(any_network())
def test_the_meeting_point_is_the_common_dominator(graph: Graph) -> None:
    traces = Traces(graph, gravity=False)
    flow, closed = traces.flow, stops(graph, Barrier.closed)
    net = nx.DiGraph()
    net.add_edges_from(("root", int(s)) for s in graph.sources)
    for p in range(graph.pipes):
        a, b = int(graph.start[p]), int(graph.end[p])
        a, b = (a, b) if flow.direction[p] > 0 else (b, a)
        # Only a source passes the flow on though it is closed; nothing flows into one that feeds itself.
        if flow.direction[p] and (not closed[a] or flow.origin[a] == a) and flow.origin[b] != b:
            net.add_edge(a, b)
    if "root" not in net:
        return
    above = nx.immediate_dominators(net, "root")
    branches = Branches(traces)
    for point in range(graph.points):
        if point in above and flow.rank[point] != NOBODY:
            expected = above[point]
            assert branches._above[point] == (NOBODY if expected == "root" else expected)
    assert np.count_nonzero(branches._above == NOBODY) >= len(graph.sources)
