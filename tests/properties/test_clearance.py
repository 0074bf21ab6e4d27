"""Clearance against brute force: whatever the pipes, no conflict is missed and none is invented."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from data.codes import clearances as codes
from twin.pipes.clearance import find_conflicts, pipes_of

CLASSES = ("water", "sewage", "storm", "gas", "power", "telecom", "heat", "other")
SIZES = (100.0, 200.0, 300.0, 800.0)


def town(seed: int, count: int, side: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Straight pipes anywhere in a square, all depths, some of unknown pressure, a third of them joined."""
    random = np.random.default_rng(seed)
    start = random.uniform(0, side, (count, 2))
    end = start + random.normal(0, side / 4, (count, 2)) * random.choice([0.02, 1, 6], (count, 1))
    frame = pd.DataFrame(
        {
            "pipe_class": random.choice(CLASSES, count),
            "diameter_mm": random.choice(SIZES, count),
            "start_depth_m": random.uniform(0.5, 4, count),
            "end_depth_m": random.uniform(0.5, 4, count),
            "pressure_class": random.choice(["low", "medium_a", "subhigh_a", None], count),
            "laying": random.choice(["ZM", "GM"], count),
            "voltage_kv": random.choice([10.0, 110.0], count),
            "start_point": [f"N{n}" for n in random.integers(0, count * 3, count)],
            "end_point": [f"N{n}" for n in random.integers(0, count * 3, count)],
        }
    )
    return frame, shapely.linestrings(np.stack([start, end], 1))


def in_space(p: np.ndarray, q: np.ndarray) -> float:
    """The distance of two pieces, found by bounded least squares."""
    matrix = np.stack([p[1] - p[0], q[0] - q[1]], 1)
    found = lsq_linear(matrix, q[0] - p[0], bounds=(0, 1), tol=1e-14)
    return float(np.sqrt(2 * found.cost))


def brute(frame: pd.DataFrame, lines: np.ndarray) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """All pairs that come short, looked at one by one: surely, and by less than a hair either way."""
    pipes = pipes_of(frame, lines)
    names = {k.name: n for n, k in enumerate(codes.kinds())}
    sure, doubtful = set(), set()
    for a in range(len(frame)):
        for b in range(a + 1, len(frame)):
            one, other = frame.iloc[a], frame.iloc[b]
            if {one.start_point, one.end_point} & {other.start_point, other.end_point}:
                continue
            pairs = [
                (k, m) for k in names if pipes.kinds[a] >> names[k] & 1 for m in names if pipes.kinds[b] >> names[m] & 1
            ]
            beside = [row.metres for k, m in pairs if (row := codes.find(codes.horizontal(), k, m))]
            above = [row.metres for k, m in pairs if (row := codes.find(codes.vertical(), k, m))]
            radius = np.array([one.diameter_mm, other.diameter_mm]) / 2000
            plan = shapely.distance(lines[a], lines[b])
            if plan > radius.sum():
                short = max(beside, default=0) - (plan - radius.sum())
            else:
                ends = [
                    np.column_stack(
                        [shapely.get_coordinates(lines[i]), -np.array([f.start_depth_m, f.end_depth_m]) - r]
                    )
                    for i, f, r in ((a, one, radius[0]), (b, other, radius[1]))
                ]
                short = max(above, default=0) - (in_space(*ends) - radius.sum())
                if not above:
                    continue
            if short > 1e-6:
                sure.add((a, b))
            elif short > -1e-6:
                doubtful.add((a, b))
    return sure, doubtful


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 26), st.sampled_from([3.0, 12.0, 60.0, 400.0]))
def test_no_conflict_is_missed(seed: int, count: int, side: float) -> None:
    frame, lines = town(seed, count, side)
    found = find_conflicts(pipes_of(frame, lines))
    told = {(int(a), int(b)) for a, b in zip(found.a, found.b, strict=True)}
    sure, doubtful = brute(frame, lines)
    assert sure <= told
    side_by_side = {(int(a), int(b)) for a, b, h in zip(found.a, found.b, found.horizontal, strict=True) if h}
    assert side_by_side <= sure | doubtful, "beside each other, none is invented"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 360), st.floats(-1e6, 1e6), st.floats(-4e6, 4e6))
def test_turned_and_moved_the_town_has_the_same_conflicts(seed: int, degrees: int, east: float, north: float) -> None:
    frame, lines = town(seed, 30, 40.0)
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = shapely.transform(lines, lambda xy: xy @ matrix.T + (east, north))
    first, second = find_conflicts(pipes_of(frame, lines)), find_conflicts(pipes_of(frame, moved))
    here = dict(zip(zip(first.a, first.b, first.rule, strict=True), first.need - first.gap, strict=True))
    there = dict(zip(zip(second.a, second.b, second.rule, strict=True), second.need - second.gap, strict=True))
    for pair in here.keys() ^ there.keys():
        assert here.get(pair, there.get(pair)) < 1e-5 or first.rules[pair[2]].id == "X3"
