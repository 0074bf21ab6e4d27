"""A graph from rows: arcs by who may go which way, turns by who may turn so, times by vehicle, and a map back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routing.graph import ACROSS, BACK, FAMILIES, INFINITE, NEAR, ON, BadSpeeds, Graph, NoGraph, build
from routing.segments import BadRoads, from_rows
from routing.vehicles import VEHICLES, BadVehicle, Mode, NoSuchVehicle, vehicle
from tests.road_maker import grid, roads

CROSS = {"C": (0, 0), "N": (0, 1), "E": (1, 0), "S": (0, -1), "W": (-1, 0)}
ARMS = {"SC": {}, "CN": {}, "CE": {}, "CW": {}}


def turn(graph: Graph, begin: str, end: str) -> int | None:
    """The turn from one segment onto another, each travelled as its name is written here."""
    arcs = []
    for code in (begin, end):
        row = graph.segment_of_key(code)
        against = row is None
        row = graph.segment_of_key(code[::-1]) if row is None else row
        arcs.append(int(graph.arc_of[row, int(against)]))
    if min(arcs) < 0:
        return None
    found = [t for t in range(graph.first[arcs[0]], graph.first[arcs[0] + 1]) if graph.onto[t] == arcs[1]]
    return found[0] if found else None


def kind(graph: Graph, begin: str, end: str) -> int | None:
    found = turn(graph, begin, end)
    return None if found is None else int(graph.kind[found])


def test_turns_are_told_apart_by_the_side_one_drives_on() -> None:
    right, left = (build(from_rows(roads(CROSS, ARMS)), drives_on=side) for side in ("right", "left"))
    assert [kind(right, "SC", end) for end in ("CN", "CE", "CW")] == [ON, NEAR, ACROSS]
    assert [kind(left, "SC", end) for end in ("CN", "CE", "CW")] == [ON, ACROSS, NEAR]
    assert kind(right, "SC", "CS") is None, "nobody turns round where one can go on"
    assert kind(right, "CN", "NC") == BACK, "at the end of a road there is no other way"


def test_one_way_streets_bind_all_but_those_on_foot() -> None:
    frame = roads(CROSS, {"SC": {}, "CN": {"oneway": True}, "CE": {}})
    assert turn(build(from_rows(frame)), "NC", "CE") is None
    assert turn(build(from_rows(frame), "foot"), "NC", "CE") is not None


def test_a_motorway_carries_neither_bicycles_nor_walkers_and_a_path_no_cars() -> None:
    segments = from_rows(roads(CROSS, {"SC": {"road_class": "motorway"}, "CN": {"road_class": "path"}}))
    seen = {f: set(segments.key[build(segments, f).segment].tolist()) for f in FAMILIES}
    assert seen == {"motor": {"SC"}, "bicycle": {"CN"}, "foot": {"CN"}}


def test_a_banned_turn_is_closed_to_those_it_binds() -> None:
    segments = from_rows(roads(CROSS, ARMS), bans=[("SC", "CW", int(Mode.car | Mode.goods))])
    graph = build(segments)
    costs = {name: graph.turn_ms(VEHICLES[name])[turn(graph, "SC", "CW")] for name in ("car", "ambulance")}
    assert costs["car"] == INFINITE
    assert costs["ambulance"] == 3000


def test_who_is_stopped_at_a_node_may_turn_round_there() -> None:
    segments = from_rows(roads(CROSS, {"SC": {}, "CN": {}}))
    node = int(segments.head[0])
    blocked = np.zeros(segments.nodes, np.uint8)
    blocked[node] = int(Mode.car)
    graph = build(replace(segments, blocked=blocked))
    on, back = turn(graph, "SC", "CN"), turn(graph, "SC", "CS")
    assert graph.may[on] == int(Mode.emergency | Mode.goods)
    assert graph.may[back] == int(Mode.car)


def test_times_follow_length_speed_signals_and_limits() -> None:
    frame = roads(CROSS, {"SC": {}, "CN": {"speed_kmh": 18.0}, "CE": {"road_class": "service"}})
    frame["height_limit_m"] = [np.inf, 3.0, np.inf]
    segments = replace(from_rows(frame), signals=np.array([[1, 0], [0, 0], [0, 0]], np.int16))
    graph = build(segments)
    car = replace(VEHICLES["car"], haste=1 / 0.78)
    ms = dict(zip(segments.key[graph.segment], zip(graph.arc_ms(car), strict=True), strict=True))
    ahead = graph.arc_of[:, 0]
    took = graph.arc_ms(car)[ahead]
    assert took[0] == pytest.approx(200 / 10 * 1000 + 8000, rel=1e-3), ms
    assert took[1] == pytest.approx(40_000, rel=1e-3)
    assert graph.arc_ms(VEHICLES["truck"])[ahead][1] == INFINITE, "too high for it"
    now = np.full((3, 2), np.nan)
    now[0, 0] = 7.2
    assert graph.arc_ms(car, now)[ahead][0] == pytest.approx(108_000, rel=1e-3)
    for absurd in (-1.0, 900.0):
        now[0, 0] = absurd
        with pytest.raises(BadSpeeds):
            graph.arc_ms(car, now)


def test_arcs_are_found_by_code_and_by_osm_way() -> None:
    frame = roads(CROSS, ARMS)
    frame["osm_id"] = ["7", "7", "8", "9"]
    graph = build(from_rows(frame))
    assert graph.segments.key[graph.segments_of_way(7)].tolist() == ["SC", "CN"]
    assert sorted(graph.segments.key[graph.segment[graph.arcs_of(graph.segments_of_way(7))]]) == [
        "CN",
        "CN",
        "SC",
        "SC",
    ]
    assert graph.segment_of_key("CE") == 2
    assert graph.segment_of_key("XY") is None
    assert not len(graph.segments_of_way(1))


def test_an_island_is_not_of_the_main_part() -> None:
    places = CROSS | {"I": (5, 5), "J": (6, 5)}
    graph = build(from_rows(roads(places, ARMS | {"IJ": {}})))
    island = graph.arcs_of([graph.segment_of_key("IJ")])
    assert not (graph.main[island] & int(Mode.car)).any()
    assert (np.delete(graph.main, island) & int(Mode.car)).all()


def test_a_graph_is_saved_and_mapped(tmp_path: Path) -> None:
    graph = build(from_rows(grid(6, 6, 1)))
    graph.save(tmp_path / "roads")
    again = Graph.load(tmp_path / "roads")
    assert again.family == "motor"
    for name in ("segment", "onto", "may", "main", "kind", "arc_of"):
        assert np.array_equal(getattr(again, name), getattr(graph, name)), name
    assert again.segments.key.tolist() == graph.segments.key.tolist()
    with pytest.raises(NoGraph):
        Graph.load(tmp_path / "nothing")


def test_rows_that_are_no_roads_are_named() -> None:
    frame = roads(CROSS, {"SC": {}, "CN": {"road_class": "canal"}, "CE": {}})
    frame.loc[2, "code"] = "SC"
    with pytest.raises(BadRoads) as raised:
        from_rows(frame)
    assert [(p.row, p.field) for p in raised.value.problems] == [(2, "road_class"), (3, "code")]


def test_a_vehicle_is_held_to_what_can_be() -> None:
    with pytest.raises(NoSuchVehicle):
        vehicle("hovercraft")
    with pytest.raises(BadVehicle):
        replace(vehicle("car"), top_kmh=-3)
    with pytest.raises(BadVehicle):
        replace(vehicle("car"), height_m=float("nan"))
