"""Clear distances: by hand, at the edges of the tables, and where lines cross, join, bend or say too little."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from data.codes import clearances as codes
from twin.pipes.clearance import Conflicts, find_conflicts, pipes_of
from twin.pipes.closeness import between

SURE = {"laying": "ZM", "pressure_class": "low", "voltage_kv": 10.0}


def check(*pipes: dict[str, Any]) -> Conflicts:
    """The findings among pipes given as `line` (in metres) and columns."""
    frame = pd.DataFrame([{"start_depth_m": 1.0, "end_depth_m": 1.0, **SURE, **pipe} for pipe in pipes])
    return find_conflicts(pipes_of(frame, np.array([shapely.LineString(p["line"]) for p in pipes], dtype=object)))


def pipe(pipe_class: str, mm: float, line: list[tuple[float, float]], **more: Any) -> dict[str, Any]:
    return {"pipe_class": pipe_class, "diameter_mm": mm, "line": line, **more}


EAST = [(0.0, 0.0), (20.0, 0.0)]


def test_a_water_main_beside_a_sewer_counts_between_edges() -> None:
    """DN300 water needs 1.5 m from a sewer: axes 1.9 m apart leave 1.9 - 0.15 - 0.2 = 1.55 m, and 1.8 m leave 1.45."""
    assert len(check(pipe("water", 300, EAST), pipe("sewage", 400, [(0, 1.9), (20, 1.9)]))) == 0
    found = check(pipe("water", 300, EAST), pipe("sewage", 400, [(0, 1.8), (20, 1.8)]))
    assert found.gap == pytest.approx([1.45])
    assert found.need == pytest.approx([1.5])
    assert found.horizontal.tolist() == [True]
    assert found.rules[found.rule[0]].cited == "GB 50289-2016 table 4.1.9 (X1-03)"
    assert not found.warns_only[0], "this figure was read in the official text"
    assert found.yields.tolist() == [0], "water under pressure gives way to a sewer"


@pytest.mark.parametrize(("mm", "findings"), [(200, 0), (201, 1)])
def test_two_hundred_millimetres_are_still_small(mm: float, findings: int) -> None:
    apart = 1.2 + mm / 2000 + 0.2
    found = check(pipe("water", mm, EAST), pipe("sewage", 400, [(0, apart), (20, apart)]))
    assert len(found) == findings


def test_a_crossing_counts_between_lower_and_upper_edge() -> None:
    """A sewer's crown at 1.6 m under a water main's lower edge at 1.3 m: 0.3 m, and 0.4 m are needed."""
    across = [(10.0, -5.0), (10.0, 5.0)]
    deep = {"start_depth_m": 1.6, "end_depth_m": 1.6}
    found = check(pipe("water", 300, EAST), pipe("sewage", 400, across, **deep))
    assert found.horizontal.tolist() == [False]
    assert found.gap == pytest.approx([0.3])
    assert found.need == pytest.approx([0.4])
    assert found.warns_only[0], "from memory"
    assert (found.x[0], found.y[0]) == pytest.approx((10, 0))
    deep = {"start_depth_m": 1.71, "end_depth_m": 1.71}
    assert len(check(pipe("water", 300, EAST), pipe("sewage", 400, across, **deep))) == 0


def test_a_sewer_above_water_is_told_unless_it_is_cased() -> None:
    across = [(10.0, -5.0), (10.0, 5.0)]
    water = pipe("water", 300, EAST, start_depth_m=3.0, end_depth_m=3.0)
    found = check(water, pipe("sewage", 400, across))
    assert [found.rules[r].id for r in found.rule] == ["X3"]
    assert len(check(water, pipe("sewage", 400, across, protection="steel casing"))) == 0


def test_a_plate_between_power_and_the_rest_halves_the_distance() -> None:
    across = [(10.0, -5.0), (10.0, 5.0)]
    cable = pipe("power", 100, across, start_depth_m=1.6, end_depth_m=1.6)
    found = check(pipe("water", 300, EAST), cable)
    assert found.gap == pytest.approx([0.3])
    assert found.need == pytest.approx([0.5])
    assert found.yields.tolist() == [1], "a cable bends"
    assert len(check(pipe("water", 300, EAST), {**cable, "protection": "slab"})) == 0


def test_pipes_that_share_a_node_are_one_line() -> None:
    one = pipe("water", 300, EAST, start_point="A", end_point="B")
    other = pipe("sewage", 400, [(20, 0), (40, 0.5)], start_point="B", end_point="C")
    assert len(check(one, other)) == 0
    assert len(check(one, {**other, "start_point": "D"})) == 1


def test_unnamed_ends_of_one_class_join_by_place() -> None:
    drop = {"start_depth_m": 1.05, "end_depth_m": 1.05}
    assert len(check(pipe("water", 300, EAST), pipe("water", 300, [(20, 0), (40, 0)], **drop))) == 0
    assert len(check(pipe("water", 300, EAST), pipe("water", 300, [(19.9, 0), (40, 0)], **drop))) == 1


def test_what_an_attribute_leaves_open_is_taken_strictly_and_only_warns() -> None:
    beside = [(0.0, 2.0), (20.0, 2.0)]
    sewer = pipe("sewage", 400, EAST)
    assert len(check(sewer, pipe("gas", 200, beside, pressure_class="medium_b"))) == 0
    found = check(sewer, pipe("gas", 200, beside, pressure_class=None))
    assert found.need == pytest.approx([2.0]), "it might be sub-high A"
    assert found.warns_only.tolist() == [True]


def test_levels_count_where_both_have_them() -> None:
    """The ground falls by 3 m between the two surveys: by depth they touch, by level they are far apart."""
    across = [(10.0, -5.0), (10.0, 5.0)]
    up, down = {"start_level_m": 30.0, "end_level_m": 30.0}, {"start_level_m": 27.0, "end_level_m": 27.0}
    assert len(check(pipe("water", 300, EAST, **up), pipe("sewage", 400, across))) == 1
    assert len(check(pipe("water", 300, EAST, **up), pipe("sewage", 400, across, **down))) == 0


def test_a_reference_at_the_invert_raises_the_axis() -> None:
    across = [(10.0, -5.0), (10.0, 5.0)]
    invert = {"depth_reference": "invert", "start_depth_m": 2.0, "end_depth_m": 2.0}
    found = check(pipe("water", 300, EAST), pipe("sewage", 400, across, **invert))
    assert found.gap == pytest.approx([2.0 - 0.4 - 1.3])


def test_the_next_piece_of_a_crossing_line_is_marked() -> None:
    sewer = pipe("sewage", 400, EAST, start_depth_m=4.0, end_depth_m=4.0)
    crossing = pipe("water", 300, [(10, -5), (10, 0.6)], start_point="A", end_point="B")
    onward = pipe("water", 300, [(10, 0.6), (10, 9)], start_point="B", end_point="C")
    found = check(sewer, crossing, onward)
    assert found.beside_crossing.tolist() == [True]
    along = pipe("water", 300, [(10, 0.6), (19, 0.7)], start_point="B", end_point="C")
    assert check(sewer, crossing, along).beside_crossing.tolist() == [False]


def test_a_bent_pair_is_told_once() -> None:
    zigzag = [(0.0, 1.0), (5.0, 0.8), (10.0, 1.0), (20.0, 0.9)]
    found = check(pipe("water", 300, EAST), pipe("sewage", 400, zigzag))
    assert len(found) == 1
    assert found.gap == pytest.approx([math.hypot(0, 0.8) - 0.35])


def test_a_pipe_of_five_kilometres_is_met_wherever_it_passes() -> None:
    long_one = pipe("sewage", 400, [(0, 0), (4000, 3000)])
    x, y = 3000 - 0.6, 2250 + 0.8
    short = pipe("water", 300, [(x, y), (x + 4, y + 3)])
    found = check(long_one, short)
    assert found.gap == pytest.approx([1.0 - 0.35])
    assert (found.x[0], found.y[0]) == pytest.approx((3001.7, 2251.9), abs=2.1)


def test_nothing_of_nothing() -> None:
    frame = pd.DataFrame({"pipe_class": [], "diameter_mm": [], "start_depth_m": [], "end_depth_m": []})
    assert len(find_conflicts(pipes_of(frame, np.array([], dtype=object)))) == 0
    assert len(check(pipe("other", 100, EAST), pipe("water", 100, EAST))) == 0
    assert check(pipe("other", 100, EAST), pipe("water", 100, EAST)).unruled == 1


@pytest.mark.parametrize(
    ("p", "q", "distance"),
    [
        ((0, 0, 0, 10, 0, 0), (5, -3, 4, 5, 3, 4), 4.0),
        ((0, 0, 0, 10, 0, 0), (13, 4, 0, 20, 4, 0), 5.0),
        ((0, 0, 0, 10, 0, 0), (0, 2, 0, 10, 2, 0), 2.0),
        ((0, 0, 0, 10, 0, 0), (2, 0, 0, 5, 0, 0), 0.0),
        ((0, 0, 0, 0, 0, 0), (3, 4, 12, 3, 4, 12), 13.0),
    ],
)
def test_distances_in_space_by_hand(p: tuple[float, ...], q: tuple[float, ...], distance: float) -> None:
    assert between(np.array(p, float), np.array(q, float))[0] == pytest.approx(distance)


def test_every_row_has_its_source_and_no_pair_two_figures() -> None:
    for rows in (codes.horizontal(), codes.vertical()):
        assert len({row.id for row in rows}) == len(rows)
        named = [frozenset((row.kind_a, row.kind_b)) for row in rows]
        assert len(set(named)) == len(named)
        known = {k.name for k in codes.kinds()} | {k.family for k in codes.kinds()}
        for row in rows:
            assert {row.kind_a, row.kind_b} <= known
            assert row.metres > 0
            assert row.grade in {"V", "M"}
            assert all((row.standard, row.edition, row.clause, row.source))


@pytest.mark.parametrize(
    ("a", "b", "metres", "grade"),
    [
        ("sewer", "gas_medium_a", 1.2, "V"),
        ("telecom_direct", "sewer", 1.0, "V"),
        ("water_large", "building", 3.0, "M"),
        ("gas_subhigh_a", "building", 13.5, "M"),
        ("heat_duct", "gas_low", 1.0, "M"),
        ("power_duct_hv", "telecom_duct", 2.0, "M"),
    ],
)
def test_figures_of_the_table(a: str, b: str, metres: float, grade: str) -> None:
    row = codes.find(codes.horizontal(), a, b)
    assert row is not None
    assert row == codes.find(codes.horizontal(), b, a)
    assert (row.metres, row.grade) == (metres, grade)


def test_no_rule_is_no_rule() -> None:
    assert codes.find(codes.horizontal(), "gas_high", "sewer") is None
    assert codes.find(codes.horizontal(), "water_small", "water_large") is None
