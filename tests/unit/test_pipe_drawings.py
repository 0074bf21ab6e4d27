"""Sections, profiles, dig checks and sheets without a database: figures by hand, and drawings that stay sound."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

import layers
from gis_core.errors import Unprocessable
from twin.pipes import dig, paper, plan, profile, section, sheet
from twin.pipes.reading import Seen, Unseen

CLASSES: Any = layers.load()["pipe_segments"].codes("pipe_class")


def pipe(code: str, **more: Any) -> dict[str, Any]:
    return {
        "id": abs(hash(code)) % 10_000, "code": code, "pipe_class": "water", "diameter_mm": 200.0, "owner": "W <&> 水",
        "start_depth_m": 1.0, "end_depth_m": 2.0, "simulated": False, **more,
    }  # fmt: skip


def seen(*pipes: tuple[dict[str, Any], list[tuple[float, float]]]) -> Seen:
    lines = np.array([shapely.LineString(line) for _, line in pipes], dtype=object)
    return Seen(pd.DataFrame([about for about, _ in pipes]), lines)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0.5, 6))
def test_labels_keep_their_order_and_distance(wanted: list[float], least: float) -> None:
    placed = paper.spread(sorted(wanted), least, 0, 100)
    assert len(placed) == len(wanted)
    step = min(least, 100 / len(wanted))
    assert all(b - a >= step - 1e-6 for a, b in pairwise(placed))
    assert placed[0] >= step / 2 - 1e-6
    assert placed[-1] <= 100 - step / 2 + 1e-6


def test_labels_with_room_stay_where_they_are() -> None:
    assert paper.spread([10, 50, 90], 5, 0, 100) == pytest.approx([10, 50, 90])
    assert paper.spread([50, 50], 4, 0, 100) == pytest.approx([48, 52])


def test_a_cut_is_interpolated_along_the_pipe() -> None:
    """The line cuts the pipe at a quarter: 1.25 m of cover; the invert is a diameter lower."""
    near = seen((pipe("A", start_level_m=30.0, end_level_m=29.0), [(5, -1), (5, 3)]))
    (cut,) = section.cuts_of(shapely.LineString([(0, 0), (20, 0)]), near.frame, near.shapes)
    assert (cut.along_m, cut.crown_m, cut.invert_m) == pytest.approx((5, 1.25, 1.45))
    assert cut.ground_m == pytest.approx(31.0)
    near = seen((pipe("A", depth_reference="invert"), [(5, -1), (5, 3)]))
    (cut,) = section.cuts_of(shapely.LineString([(0, 0), (20, 0)]), near.frame, near.shapes)
    assert (cut.crown_m, cut.invert_m) == pytest.approx((1.05, 1.25))
    assert math.isnan(cut.ground_m)


def test_a_pipe_cut_twice_and_one_along_the_line_are_told_each() -> None:
    near = seen((pipe("U"), [(2, -1), (2, 1), (6, 1), (6, -1)]), (pipe("L"), [(8, 0), (12, 0)]))
    cuts = section.cuts_of(shapely.LineString([(0, 0), (20, 0)]), near.frame, near.shapes)
    assert [(cut.code, cut.along_m) for cut in cuts] == [("U", 2.0), ("U", 6.0), ("L", 10.0)]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_drawing_is_sound_whatever_it_holds(language: Any, count: int) -> None:
    lines = [(pipe(f"P{k}", pipe_class=list(CLASSES)[k % 10].name), [(k, -1), (k, 1)]) for k in range(count)]
    near = seen(*lines) if lines else Seen(pd.DataFrame(), np.array([], dtype=object))
    line = shapely.LineString([(-0.5, 0), (45, 0)])
    cuts = section.cuts_of(line, near.frame, near.shapes)
    for theme in (paper.LIGHT, paper.DARK):
        drawn = section.draw(cuts, line.length, CLASSES, language=language, theme=theme, note="<&>")
        svg = paper.as_svg(drawn)
        ET.fromstring(svg)  # noqa: S314  our own
        assert "&lt;&amp;&gt;" in svg
        places = [float(y) for y in re.findall(r' y="(-?[\d.]+)"', svg)]
        assert max(places) <= drawn.height


def sewer(k: int, **more: Any) -> dict[str, Any]:
    return pipe(
        f"S{k}", pipe_class="sewage", start_point=f"W{k}", end_point=f"W{k + 1}", length_m=50.0, diameter_mm=400.0,
        start_depth_m=2.0 + k * 0.1, end_depth_m=2.1 + k * 0.1, flow="forward", **more,
    )  # fmt: skip


def test_a_path_is_turned_to_follow_itself() -> None:
    back = {**sewer(1), "start_point": "W2", "end_point": "W1", "start_depth_m": 2.2, "end_depth_m": 2.1}
    frame = pd.DataFrame([sewer(0), back, sewer(2)])
    found = profile.path_of(frame, ["S0", "S1", "S2"])
    assert [(r.start, r.end) for r in found] == [("W0", "W1"), ("W1", "W2"), ("W2", "W3")]
    assert [r.slope for r in found] == pytest.approx([0.002] * 3)
    assert found[0].start_invert_m == pytest.approx(-2.4)
    ET.fromstring(paper.as_svg(profile.draw(found, CLASSES)))  # noqa: S314  our own


def test_what_does_not_follow_is_refused() -> None:
    frame = pd.DataFrame([sewer(0), sewer(2)])
    with pytest.raises(Unprocessable, match="does not begin"):
        profile.path_of(frame, ["S0", "S2"])
    with pytest.raises(Unprocessable, match="no pipe 'S9'"):
        profile.path_of(frame, ["S9"])


def test_the_way_down_takes_the_wider_pipe_and_ends_in_a_ring() -> None:
    small = {**sewer(7), "start_point": "W1", "end_point": "X", "diameter_mm": 300.0}
    ring = {**sewer(3), "end_point": "W0"}
    pipes = pd.DataFrame([sewer(0), sewer(1), sewer(2), ring, small])

    def leaving(point: str) -> pd.DataFrame:
        return pipes[(pipes["start_point"] == point) | (pipes["end_point"] == point)]

    assert profile.downstream("W0", leaving, 100) == ["S0", "S1", "S2"]
    assert profile.downstream("W0", leaving, 2) == ["S0", "S1"]
    assert profile.downstream("X", leaving, 100) == []


def test_an_unknown_flow_is_followed_and_an_unnamed_end_is_the_end() -> None:
    pipes = pd.DataFrame([{**sewer(0), "flow": None}, {**sewer(1), "end_point": None}]).astype({"flow": "str"})
    assert profile.downstream("W0", lambda point: pipes[pipes["start_point"] == point], 9) == ["S0"]


def examined(dug: dig.Dig, near: Seen) -> dig.Examination:
    found = dig.neighbours_of(dug, near, 3.0)
    return dig.Examination(dug, 3.0, found, dig.owners_of(found), Unseen(7), near)


def test_only_the_stretch_in_the_dig_counts() -> None:
    """The pipe falls from 1 to 2 m; the pit touches its deeper half only, and 1.45 m of depth does not reach it."""
    near = seen((pipe("A"), [(0, 0), (10, 0)]))
    pit = shapely.box(6, -1, 9, 1)
    (deep,) = dig.neighbours_of(dig.Dig(pit, 1.45), near, 1.0)
    assert deep.verdict is dig.Verdict.below
    assert deep.crown_m == pytest.approx(1.6, abs=0.02)
    (met,) = dig.neighbours_of(dig.Dig(pit, 1.7), near, 1.0)
    assert met.verdict is dig.Verdict.met
    assert dig.neighbours_of(dig.Dig(shapely.box(6, 1.2, 9, 3), 1.7), near, 1.0) == ()
    (beside,) = dig.neighbours_of(dig.Dig(shapely.box(6, 1, 9, 3), 1.7), near, 1.0)
    assert (beside.verdict, beside.plan_m) == (dig.Verdict.beside, pytest.approx(0.9))


def test_the_long_axis_of_a_pit_is_drawn() -> None:
    line = dig.section_line(dig.Dig(shapely.box(0, 0, 20, 4), 1.0), beyond_m=5)
    assert line.length == pytest.approx(30)
    assert line.distance(shapely.Point(10, 2)) == pytest.approx(0, abs=1e-9)


def test_a_sheet_has_as_many_pages_as_it_needs() -> None:
    heading = sheet.Heading("大兴", "张工", datetime(2026, 11, 22, tzinfo=UTC), "燃气 <接驳>", "DX-1", ("© somebody",))
    line = shapely.LineString([(0, 0), (100, 0)])
    pages = []
    for count in (0, 3, 120):
        pipes = [(pipe(f"P{k}"), [(k / 2, -3), (k / 2, 3)]) for k in range(count)]
        near = seen(*pipes) if pipes else Seen(pd.DataFrame(), np.array([], dtype=object))
        found = examined(dig.Dig(line.buffer(0.5), 3.0, line), near)
        drawn = plan.draw(found, plan.Ground(), CLASSES, section=line)
        cuts = section.cuts_of(line, near.frame, near.shapes)
        printed = sheet.print_sheet(found, heading, CLASSES, drawn, section.draw(cuts, line.length, CLASSES))
        assert printed.startswith(b"%PDF-")
        pages.append(len(re.findall(rb"/Type /Page\b", printed)))
    assert pages[0] <= pages[1] < pages[2]
