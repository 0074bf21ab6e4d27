"""Small networks by hand, and two models of towns: what to close, what that cuts off, how it compares with wntr."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gis_core.errors import BadInput
from tests.networks import numbers, same_partition, segments_of, sewers, town, water_model
from twin.pipes.criticality import rate
from twin.pipes.graph import BACKWARD, CLOSED, FORWARD, SOURCE, STATION, STUCK, UNREACHABLE, VALVE, Graph, build
from twin.pipes.isolation import Burst, Isolator, Part
from twin.pipes.traces import Barrier, Start, Traces


def line(*bits: int, customers: Sequence[int] = ()) -> Graph:
    """Points 0, 1, 2 ... in a row, each what its bits say, with pipes of 10 m between."""
    n = len(bits)
    served = customers or [1] * n
    return build(
        range(n - 1), range(n - 1), range(1, n), [10] * (n - 1), point_ids=range(n), bits=bits, customers=served
    )


def test_a_valve_in_a_row_is_closed_towards_the_source_only() -> None:
    told = Isolator(line(SOURCE, VALVE, 0, VALVE, 0)).isolate(Burst(pipes=(1,)))
    assert dict(zip(told.valves.tolist(), told.parts.tolist(), strict=True)) == {1: Part.close, 3: Part.drain}
    assert told.closing.tolist() == [1]
    assert (numbers(told.points), numbers(told.cut_points)) == ({2}, {4})
    assert (told.customers, told.cut_customers, told.affected) == (1, 1, 2)


@pytest.mark.parametrize("defect", [STUCK, UNREACHABLE, STUCK | UNREACHABLE])
def test_a_valve_that_cannot_be_used_is_passed(defect: int) -> None:
    told = Isolator(line(SOURCE, VALVE, 0, VALVE | defect, 0, 0, VALVE, 0)).isolate(Burst(points=(5,)))
    assert numbers(told.points) == {2, 3, 4, 5}
    assert told.passed.tolist() == [3]
    assert numbers(told.valves) == {1, 6}


def test_a_stuck_valve_that_is_closed_still_holds() -> None:
    told = Isolator(line(SOURCE, VALVE | CLOSED | STUCK, 0, VALVE, 0)).isolate(Burst(points=(2,)))
    assert dict(zip(told.valves.tolist(), told.parts.tolist(), strict=True)) == {1: Part.closed, 3: Part.drain}


def test_without_a_valve_the_source_itself_is_turned_off() -> None:
    told = Isolator(line(SOURCE, 0, VALVE, 0)).isolate(Burst(pipes=(0,)))
    assert told.sources.tolist() == [0]
    assert numbers(told.cut_points) == {3}


def test_a_closed_valve_to_another_source_can_restore() -> None:
    graph = line(SOURCE, VALVE, 0, VALVE, 0, VALVE | CLOSED, 0, SOURCE)
    told = Isolator(graph).isolate(Burst(points=(2,)))
    assert numbers(told.cut_points) == {4}
    assert told.restoring.tolist() == [5]


def test_a_ring_cuts_nothing_off() -> None:
    ends = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
    graph = build(range(6), [a for a, _ in ends], [b for _, b in ends], [1] * 6, point_ids=range(6),
                  bits=[SOURCE, VALVE, 0, VALVE, 0, VALVE])  # fmt: skip
    isolator = Isolator(graph)
    told = isolator.isolate(Burst(points=(2,)))
    assert (numbers(told.closing), len(told.cut_points)) == ({1, 3}, 0)
    both = isolator.compare(Burst(points=(2,)), Burst(points=(4,)))
    assert (both.same_section, both.shared.tolist(), both.in_the_way) == (False, [3], False)


def test_two_bursts_can_cut_off_what_neither_does_alone() -> None:
    # Two sources; between them three consumers behind valves: shutting both ends leaves the middle dry.
    graph = line(SOURCE, VALVE, 0, VALVE, 0, VALVE, 0, VALVE, SOURCE, customers=[0, 0, 5, 0, 7, 0, 9, 0, 0])
    conflict = Isolator(graph).compare(Burst(points=(2,)), Burst(points=(6,)))
    assert conflict.stands
    assert (conflict.more_points.tolist(), conflict.more_customers) == ([4], 7)
    assert (conflict.together.customers, conflict.together.cut_customers) == (14, 7)


def test_alternatives_name_what_follows_if_a_valve_fails() -> None:
    graph = line(SOURCE, VALVE, 0, VALVE, 0, VALVE, 0, customers=[0, 0, 5, 0, 1, 0, 9])
    isolator, burst = Isolator(graph), Burst(points=(4,))
    told = isolator.isolate(burst)
    found = isolator.alternatives(burst, told)
    assert [(a.without, a.isolation.affected) for a in found] == [(5, 10), (3, 15)]
    assert found[1].isolation.closing.tolist() == [1]


def test_criticality_ranks_by_what_is_lost_in_all() -> None:
    rated = rate(line(SOURCE, VALVE, 0, VALVE, 0, customers=[0, 0, 5, 0, 7]))
    assert rated.held.column("customers").tolist() == [0, 5, 7]
    assert rated.cut_off.column("customers").tolist() == [12, 7, 0]
    assert rated.ranked().tolist() == [0, 1, 2]
    assert (rated.widespread, rated.valves.tolist()) == (2, [1, 2, 1])


def test_arrays_that_do_not_fit_are_refused() -> None:
    for wrong in (
        {"pipe_ids": [1, 2]},
        {"length_m": [-1.0]},
        {"length_m": [np.nan]},
        {"point_ids": [1], "bits": []},
        {"flow": [FORWARD, BACKWARD]},
    ):
        given = {"pipe_ids": [1], "from_ids": [1], "to_ids": [2], "length_m": [1.0], **wrong}
        with pytest.raises(BadInput):
            build(**given)  # type: ignore[arg-type]


def test_an_empty_network_answers() -> None:
    graph = build([], [], [], [])
    assert (graph.points, graph.pipes, graph.point_number(1), graph.pipe_number(1)) == (0, 0, None, None)
    Isolator(graph)
    assert len(Traces(graph, gravity=True).flow.order) == 0


def test_arrays_are_shared_and_never_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        town(5).bits[0] = VALVE


def test_every_manhole_of_a_sewer_lies_upstream_of_one_outfall() -> None:
    graph, count = sewers(12)
    traces = Traces(graph, gravity=True)
    for outfall in graph.sinks.tolist():
        up = traces.upstream(Start((outfall,)))
        assert len(up.points) == count[outfall]
        assert numbers(up.points) == numbers(traces.subnetwork(Start((outfall,))).points)
    assert sum(count[graph.sinks]) == graph.points
    down = traces.downstream(Start((0,)), Barrier.none)
    assert int(down.points[-1]) in graph.sinks


@pytest.mark.shared
@pytest.mark.parametrize(("name", "segments"), [("Net3", 38), ("ky4", 463)])
def test_sections_are_wntrs_valve_segments(shared: Path, name: str, segments: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of wntr and what it imports
        import wntr

        model = water_model(shared / "water" / f"{name}.inp.gz")
        theirs = wntr.metrics.valve_segments(model.network, model.layer)
    ours = segments_of(model)
    assert ours.count == segments
    assert same_partition(model, ours, theirs)


def test_a_station_at_the_end_of_a_network_feeds_it_and_one_within_does_not() -> None:
    network = line(STATION, STATION, 0)
    assert network.sources.tolist() == [0]
    assert network.sinks.tolist() == [0]
