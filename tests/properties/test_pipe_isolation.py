"""Isolation and criticality on any network: equal to what the definitions say, read slowly."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import Slow, any_network, numbers, town
from twin.pipes.criticality import one_by_one, rate
from twin.pipes.graph import CLOSED, Graph
from twin.pipes.isolation import Burst, Isolation, Isolator, Part
from twin.pipes.sections import divide, hold

many = settings(max_examples=300, deadline=None, derandomize=True)


def judge(graph: Graph, burst: Burst, failed: set[int], told: Isolation) -> None:
    """Every part of the answer against the slow reference."""
    slow = Slow(graph)
    points, pipes, valves = slow.shut_off(burst.points, burst.pipes, failed)
    assert numbers(told.points) == points
    assert numbers(told.pipes) == pipes
    assert numbers(told.valves) == valves
    cut_points, cut_pipes = slow.cut_off(points, pipes)
    assert numbers(told.cut_points) == cut_points
    assert numbers(told.cut_pipes) == cut_pipes
    assert told.customers == graph.customers[list(points)].sum()
    assert told.cut_customers == graph.customers[list(cut_points)].sum()
    still = slow.fed(points, pipes)[1]
    for valve, part in zip(told.valves.tolist(), told.parts.tolist(), strict=True):
        beyond = {p for p, _ in slow.around(valve)} - pipes
        if not beyond:
            assert part == Part.inside
        elif graph.bits[valve] & CLOSED:
            assert part == Part.closed
        else:
            assert part == (Part.close if beyond & still or not len(graph.sources) else Part.drain)


@many
@given(any_network(), st.data())
def test_a_burst_shuts_off_and_cuts_off_what_the_definitions_say(graph: Graph, data: st.DataObject) -> None:
    pipe = data.draw(st.integers(0, graph.pipes - 1))
    burst = Burst(pipes=(pipe,))
    judge(graph, burst, set(), Isolator(graph).isolate(burst))


@many
@given(any_network(), st.data())
def test_several_bursts_and_failed_valves(graph: Graph, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.integers(0, graph.points - 1), max_size=2, unique=True))
    pipes = data.draw(st.lists(st.integers(0, graph.pipes - 1), min_size=1, max_size=2, unique=True))
    slow = Slow(graph)
    valves = [v for v in range(graph.points) if slow.is_bounding(v)]
    failed = set(data.draw(st.lists(st.sampled_from(valves), max_size=3))) if valves else set()
    burst = Burst(tuple(points), tuple(pipes))
    isolator = Isolator(graph)
    judge(graph, burst, failed, isolator.isolate(burst, failed))
    told = isolator.isolate(burst)
    assert [numbers(part) for part in isolator.extent(burst)] == [
        numbers(part) for part in (told.points, told.pipes, told.valves)
    ]


@many
@given(any_network())
def test_a_valve_that_would_help_does_help(graph: Graph) -> None:
    isolator, slow = Isolator(graph), Slow(graph)
    for pipe in range(graph.pipes):
        told = isolator.isolate(Burst(pipes=(pipe,)))
        still = slow.fed(numbers(told.points), numbers(told.pipes))[1]
        for valve in told.restoring.tolist():
            around = {p for p, _ in slow.around(valve)}
            assert graph.bits[valve] & CLOSED
            assert around & still
            assert around & numbers(told.cut_pipes)


@many
@given(any_network())
def test_sections_hold_every_pipe_once_and_end_at_valves(graph: Graph) -> None:
    parts, slow = divide(graph), Slow(graph)
    assert sorted(parts.pipes.numbers.tolist()) == list(range(graph.pipes))
    for pipe in range(graph.pipes):
        section = int(parts.of_pipe[pipe])
        points, pipes, valves = slow.shut_off((), (pipe,))
        assert numbers(parts.pipes.of(section)) == pipes
        assert numbers(parts.points.of(section)) == points
        assert numbers(parts.bounding[parts.valves.of(section)]) == valves


@many
@given(any_network())
def test_criticality_is_what_taking_away_one_by_one_gives(graph: Graph) -> None:
    parts = divide(graph)
    assert np.array_equal(rate(graph).cut_off.values, one_by_one(graph, parts, hold(graph, parts)))


def test_criticality_of_a_town_is_what_taking_away_one_by_one_gives() -> None:
    graph = town(30, valves=0.7, sources=2)
    parts = divide(graph)
    told = rate(graph)
    assert np.allclose(told.cut_off.values, one_by_one(graph, parts, hold(graph, parts)))
    assert told.widespread > 3
