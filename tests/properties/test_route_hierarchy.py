"""Whatever the network, the closures and the ends: the hierarchy says what Dijkstra says, and changes as it is made."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import hierarchy as hierarchies
from routing.graph import INFINITE, Graph, build
from routing.hierarchy import Changer, Hierarchy, Weights
from routing.segments import from_rows
from routing.vehicles import VEHICLES
from tests.road_maker import grid, reference

CAR = VEHICLES["car"]


@lru_cache(maxsize=8)
def town(seed: int) -> tuple[Graph, Hierarchy]:
    graph = build(from_rows(grid(9, 8, seed)))
    return graph, hierarchies.build(graph)


def weights(graph: Graph, hierarchy: Hierarchy, arc_ms: np.ndarray) -> Weights:
    w = np.empty((len(hierarchy.high), 2), np.int32)
    hierarchies.customize(hierarchy, w, graph.turn_ms(CAR), arc_ms)
    return Weights(hierarchy, w, arc_ms, graph.turn_ms(CAR), 0)


def changed(graph: Graph, seed: int, share: float) -> np.ndarray:
    """Times with some arcs closed and some slow."""
    random = np.random.default_rng(seed)
    arc_ms = graph.arc_ms(CAR)
    arc_ms[random.random(len(graph)) < share] = INFINITE
    slow = (random.random(len(graph)) < share) & (arc_ms < INFINITE)
    arc_ms[slow] *= 3
    return arc_ms


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(0, 10**6), st.floats(0, 0.5))
def test_times_and_ways_are_those_of_dijkstra(town_seed: int, seed: int, share: float) -> None:
    graph, hierarchy = town(town_seed)
    arc_ms = changed(graph, seed, share)
    held = weights(graph, hierarchy, arc_ms)
    random = np.random.default_rng(seed)
    starts, ends = random.integers(0, len(graph), (2, 6))
    truth = reference(graph, arc_ms, held.turn_ms, starts)
    cost = {
        (int(a), int(b)): int(t) + int(arc_ms[b])
        for a, b, t in zip(graph.turn_from, graph.onto, held.turn_ms, strict=True)
    }
    for i, (a, b) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        took, path = held.path(a, b)
        assert took == held.time(a, b) == truth[i, b]
        if took < INFINITE:
            assert path[0] == a
            assert path[-1] == b
            assert sum(cost[pair] for pair in zip(path[:-1].tolist(), path[1:].tolist(), strict=True)) == took
        else:
            assert not len(path)
        if len(via := held.meetings(a, b, INFINITE - 1)[1]):
            assert via[0] == took
    nothing = np.zeros(1, np.int32)
    for i, a in enumerate(starts):
        assert np.array_equal(held.sweep(np.array([a]), nothing), truth[i])
    many = held.many(np.arange(7), starts, np.zeros(6, np.int32), ends)
    assert np.array_equal(many, truth[:, ends])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 7), st.integers(0, 10**6), st.integers(1, 60))
def test_a_change_in_part_is_the_whole_made_anew(town_seed: int, seed: int, count: int) -> None:
    graph, hierarchy = town(town_seed)
    turn_ms = graph.turn_ms(CAR)
    random = np.random.default_rng(seed)
    arc_ms = changed(graph, seed, 0.1)
    held = weights(graph, hierarchy, arc_ms)
    changer = Changer(hierarchy)
    for _ in range(3):
        arcs = np.unique(random.integers(0, len(graph), count)).astype(np.int32)
        arc_ms[arcs] = np.where(random.random(len(arcs)) < 0.5, INFINITE, random.integers(1, 60_000, len(arcs)))
        changer.update(arcs, held.w, turn_ms, arc_ms)
        assert np.array_equal(held.w, weights(graph, hierarchy, arc_ms).w)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7), st.integers(0, 10**6))
def test_back_from_everywhere_and_from_several_at_once(town_seed: int, seed: int) -> None:
    graph, hierarchy = town(town_seed)
    arc_ms = changed(graph, seed, 0.1)
    held = weights(graph, hierarchy, arc_ms)
    random = np.random.default_rng(seed)
    ends = random.integers(0, len(graph), 2).astype(np.int32)
    after = random.integers(0, 30_000, 2).astype(np.int32)
    truth = reference(graph, arc_ms, held.turn_ms, np.arange(len(graph)))
    back = held.sweep(ends[:1], np.zeros(1, np.int32), backward=True)
    assert np.array_equal(back, truth[:, ends[0]])
    both = np.minimum(np.minimum(truth[ends[0]] + after[0], truth[ends[1]] + after[1]), INFINITE)
    assert np.array_equal(np.minimum(held.sweep(ends, after), INFINITE), both)
    several = held.many(np.array([0, 2]), ends, after, np.arange(len(graph)))
    assert np.array_equal(several[0], both)
    took, path = held.around(int(ends[0]))
    onward = graph.onto[graph.first[ends[0]] : graph.first[ends[0] + 1]]
    costs = held.turn_ms[graph.first[ends[0]] : graph.first[ends[0] + 1]].astype(np.int64) + arc_ms[onward]
    assert took == min([*(costs + truth[onward, ends[0]]), INFINITE])
    assert not len(path) or (path[0] == path[-1] == ends[0] and len(path) > 1)
