"""Traces on any network: equal to what networkx and the definitions say."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import any_network, numbers
from twin.pipes.graph import BACKWARD, CLOSED, SINK, SOURCE, UNKNOWN, VALVE, Graph, build
from twin.pipes.traces import NOBODY, Barrier, Start, Traces, stops

many = settings(max_examples=200, deadline=None, derandomize=True)


def reach(
    graph: Graph, begin: list[int], sign: int, direction: np.ndarray, stop: np.ndarray
) -> tuple[set[int], set[int]]:
    """Points and pipes reached with the flow (1), against it (-1) or either way (0), one step after the other."""
    points, pipes, ahead = set(begin), set(), list(begin)
    while ahead:
        x = ahead.pop()
        if stop[x] and x not in begin:
            continue
        for p in range(graph.pipes):
            for a, b, along in (
                (graph.start[p], graph.end[p], direction[p]),
                (graph.end[p], graph.start[p], -direction[p]),
            ):
                if a == x and along * sign >= 0:
                    pipes.add(p)
                    if b not in points:
                        points.add(int(b))
                        ahead.append(int(b))
    return points, pipes


@many
@given(any_network(), st.sampled_from(Barrier), st.booleans(), st.data())
def test_walks_reach_what_steps_reach(graph: Graph, barrier: Barrier, gravity: bool, data: st.DataObject) -> None:
    traces = Traces(graph, gravity=gravity)
    begin = data.draw(st.integers(0, graph.points - 1))
    stop = stops(graph, barrier)
    for sign, walk in ((0, traces.connected), (-1, traces.upstream), (1, traces.downstream)):
        found = walk(Start((begin,)), barrier)
        assert (numbers(found.points), numbers(found.pipes)) == reach(graph, [begin], sign, traces.flow.direction, stop)
        assert len(found.points) == len(set(found.points.tolist()))
        assert len(found.pipes) == len(set(found.pipes.tolist()))


@many
@given(any_network())
def test_flow_leads_away_from_the_nearest_source(graph: Graph) -> None:
    flow = Traces(graph, gravity=False).flow
    net = nx.MultiGraph()
    net.add_nodes_from(range(graph.points))
    closed = stops(graph, Barrier.closed)
    sources = graph.sources.tolist()
    for p in range(graph.pipes):
        net.add_edge(int(graph.start[p]), int(graph.end[p]), weight=float(graph.length_m[p]))
    walls = [x for x in range(graph.points) if closed[x] and x not in sources]
    inner = net.copy()
    inner.remove_nodes_from(walls)
    far = nx.multi_source_dijkstra_path_length(inner, sources) if sources else {}
    for x in range(graph.points):
        if x not in walls:
            assert flow.distance_m[x] == far.get(x, np.inf)
            assert (flow.origin[x] == NOBODY) == (x not in far)
    for p in range(graph.pipes):
        a, b = int(graph.start[p]), int(graph.end[p])
        if a in far and b in far:
            assert flow.direction[p] != UNKNOWN
            assert (far[b] - far[a]) * flow.direction[p] >= 0


@many
@given(any_network(), st.data())
def test_the_shortest_way_is_the_shortest(graph: Graph, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, graph.points - 1)) for _ in range(2))
    net = nx.Graph()
    net.add_nodes_from(range(graph.points))
    for p in range(graph.pipes):
        ends, length = (int(graph.start[p]), int(graph.end[p])), float(graph.length_m[p])
        if not net.has_edge(*ends) or net.edges[ends]["weight"] > length:
            net.add_edge(*ends, weight=length)
    found = Traces(graph, gravity=False).shortest(Start((a,)), Start((b,)), Barrier.none)
    if not nx.has_path(net, a, b):
        assert len(found.points) == 0
        return
    assert graph.length_m[found.pipes].sum() == nx.dijkstra_path_length(net, a, b)
    assert (found.points[0], found.points[-1], len(found.points)) == (a, b, len(found.pipes) + 1)
    for pipe, here, there in zip(found.pipes, found.points, found.points[1:], strict=False):
        assert {int(graph.start[pipe]), int(graph.end[pipe])} == {int(here), int(there)}


@many
@given(any_network(), st.data())
def test_loops_are_all_pipes_but_bridges(graph: Graph, data: st.DataObject) -> None:
    net = nx.MultiGraph()
    net.add_nodes_from(range(graph.points))
    for p in range(graph.pipes):
        net.add_edge(int(graph.start[p]), int(graph.end[p]), key=p)
    begin = data.draw(st.integers(0, graph.points - 1))
    part = nx.node_connected_component(net, begin)
    looped = set()
    for a, b, key in net.subgraph(part).edges(keys=True):
        without = net.copy()
        without.remove_edge(a, b, key)
        if nx.has_path(without, a, b):
            looped.add(key)
    found = Traces(graph, gravity=False).loops(Start((begin,)), Barrier.none)
    assert numbers(found.pipes) == looped
    assert numbers(found.points) == {int(x) for p in looped for x in (graph.start[p], graph.end[p])}


@many
@given(any_network())
def test_subnetworks_share_out_the_network(graph: Graph) -> None:
    traces = Traces(graph, gravity=False)
    seen: list[int] = []
    for source in graph.sources.tolist():
        found = traces.subnetwork(Start((source,)))
        assert (traces.flow.origin[found.points] == source).all()
        seen += found.pipes.tolist()
    assert len(seen) == len(set(seen))
    fed = [p for p in range(graph.pipes) if traces.flow.rank[[graph.start[p], graph.end[p]]].max() != NOBODY]
    assert set(seen) == set(fed)


@pytest.mark.parametrize("gravity", [False, True])
def test_a_stop_at_the_end_of_a_given_pipe_holds(gravity: bool) -> None:
    graph = build([1, 2], [10, 20], [20, 30], [1, 1], point_ids=[10, 20, 30], bits=[SOURCE, VALVE | CLOSED, SINK])
    found = Traces(graph, gravity=gravity).connected(Start(pipes=(0,)))
    assert (found.points.tolist(), found.pipes.tolist()) == ([1, 0], [0])
    from_valve = Traces(graph, gravity=gravity).connected(Start(points=(1,)))
    assert numbers(from_valve.points) == {0, 1, 2}


def test_a_surveyed_direction_counts_before_any_distance() -> None:
    graph = build([1], [10], [20], [5], flow=[BACKWARD], point_ids=[10, 20], bits=[SOURCE, 0])
    assert Traces(graph, gravity=False).flow.direction.tolist() == [BACKWARD]
