"""P1-P8: the points among each other, with the ground, and with the lines at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from data.codes import limits
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Floats, Found, Rows, where
from twin.survey.network import Network
from twin.survey.rules import rule

_TOOL: Final = "survey tool default"
_MM: Final = 1000.0


@rule("P1", "点号不重复", "Every point has a number of its own", standard="CJJ 61-2017", clause="sample tables")
def repeated(net: Network) -> Iterator[Found]:
    """Within one class; each row but the first is told."""
    number = net.points["point_no"]
    again = pd.DataFrame({"c": net.points["pipe_class"], "n": number}).duplicated(keep=False) & number.notna()
    rows = where(again.to_numpy(bool))
    yield Found(
        Table.points, rows, "point_no", "点号 {} 重复", "number {} stands more than once", (number.to_numpy()[rows],)
    )


@rule("P2", "同一位置没有两个点号", "No place has two numbers", standard=_TOOL, clause="duplicate points")
def same_place(net: Network) -> Iterator[Found]:
    """The same X, Y and elevation to the millimetre under two numbers."""
    xyz = np.column_stack([net.placed.x, net.placed.y, net.ground])
    good = ~np.isnan(xyz[:, :2]).any(axis=1)
    near = pd.DataFrame(np.round(np.nan_to_num(xyz) * _MM).astype(np.int64))
    near["n"] = net.points["point_no"]
    near["c"] = net.points["pipe_class"]
    once = near[good].drop_duplicates()
    twice = once[once[[0, 1, 2]].duplicated(keep=False)]
    rows = twice.index.to_numpy(np.int64)
    said = (net.points["point_no"].to_numpy()[rows],)
    yield Found(
        Table.points, rows, "point_no", "{} 与另一点坐标高程完全相同", "{} lies exactly where another point lies", said
    )


@rule("P3", "同类管点间距不小于0.1米", "Points of one class are not nearer than 0.1 m", severity=WARNING)
def near(net: Network) -> Iterator[Found]:
    """Near duplicates; exact ones are P2's."""
    x, y = net.placed.x, net.placed.y
    good = np.flatnonzero(~np.isnan(x))
    if len(good) < 2:  # noqa: PLR2004  a pair
        return
    xy = np.column_stack([x[good], y[good]])
    pairs = cKDTree(xy).query_pairs(limits.limit("near_m"), output_type="ndarray")
    a, b = good[pairs[:, 0]], good[pairs[:, 1]]
    apart = np.hypot(x[a] - x[b], y[a] - y[b])
    ground = np.nan_to_num(net.ground)
    exact = (np.round(apart * _MM) < 1) & (np.round(np.abs(ground[a] - ground[b]) * _MM) < 1)
    same = (net.point_class[a] == net.point_class[b]) & ~exact
    rows = np.concatenate([a[same], b[same]]).astype(np.int64)
    rows, first = np.unique(rows, return_index=True)
    metres = np.concatenate([apart[same], apart[same]])[first]
    zh, en = "距同类管点仅 {} 米", "is only {} m from a point of its class"
    yield Found(Table.points, rows, "east", zh, en, (metres,))


@rule("P4", "管点在辖区范围内", "Points lie in the district", needs=("area",))
def outside(net: Network) -> Iterator[Found]:
    """Within the district's outline."""
    area = net.facts.area
    if area is None:
        return
    lon, lat = net.placed.lon, net.placed.lat
    good = ~np.isnan(lon)
    shapely.prepare(area)
    inside = np.zeros(len(lon), bool)
    inside[good] = shapely.contains_xy(area, lon[good], lat[good])
    yield Found(Table.points, where(good & ~inside), "east", "位于辖区范围之外", "lies outside the district")


@rule(
    "P5",
    "地面高程与高程模型相差不超过1.5米",
    "Ground elevation agrees with the model",
    grade="M",
    severity=WARNING,
    needs=("elevation",),
)
def ground(net: Network) -> Iterator[Found]:
    """A shift of the whole survey is K7's: here counts what stands out from it."""
    off = net.height_errors
    middle = float(np.nanmedian(off)) if np.isfinite(off).any() else 0.0
    shift = middle if abs(middle) > limits.limit("height_shift_m") else 0.0
    rows = where(np.abs(off - shift) > limits.limit("ground_tolerance_m"))
    zh, en = "地面高程与高程模型相差 {} 米", "is {} m off the elevation model"
    yield Found(Table.points, rows, "ground_m", zh, en, (off[rows],))


@rule("P6", "没有孤立点", "Every point is on a line", standard=_TOOL, clause="orphan points (冗余点)")
def orphans(net: Network) -> Iterator[Found]:
    """A point that no line names; repeated numbers count as one point, and the well of an eccentric one is named."""
    if not len(net.lines):
        return
    number = net.points["point_no"]
    lost = number.notna().to_numpy(copy=True)
    for at in (net.start, net.end):
        lost[at[at >= 0]] = False
    # Few are left: only of these the numbers themselves are looked for.
    left = np.flatnonzero(lost)
    names = [net.lines["start_point"], net.lines["end_point"], net.points["offset_point"]]
    few = number.iloc[left]
    lost[left] = ~np.logical_or.reduce([few.isin(name[name.isin(few)]) for name in names])
    rows = where(lost)
    yield Found(
        Table.points, rows, "point_no", "点 {} 不在任何管线上", "point {} is on no line", (number.to_numpy()[rows],)
    )


@rule("P7", "井深不小于井内管线埋深", "A well is as deep as its pipes", standard=_TOOL, clause="well depth")
def wells(net: Network) -> Iterator[Found]:
    """Against the deepest line end in the well."""
    deepest = np.full(len(net.points), -np.inf)
    at, line = net.touching
    count = len(line) // 2
    depth = np.concatenate([net.depth[0][line[:count]], net.depth[1][line[count:]]])
    known = ~np.isnan(depth)
    np.maximum.at(deepest, at[known], depth[known])
    well = net.points["well_depth_m"].to_numpy(float)
    rows = where(well < deepest - limits.limit("well_tolerance_m"))
    zh, en = "井深 {} 米小于井内管线埋深 {} 米", "the well is {} m deep, a pipe in it {} m"
    yield Found(Table.points, rows, "well_depth_m", zh, en, (well[rows], deepest[rows]))


@rule(
    "P8",
    "偏心点关联到真实的井",
    "An eccentric point names its well",
    standard="CJJ 61-2017",
    clause="sample tables",
    severity=WARNING,
)
def eccentric(net: Network) -> Iterator[Found]:
    """A point with an eccentricity names a well that is there, as far away as it says."""
    offset = net.points["offset_m"].to_numpy(float)
    named = net.points["offset_point"]
    has = offset > 0
    numbers = pd.Index(net.points["point_no"].fillna("").astype("str"))
    first = np.flatnonzero(~numbers.duplicated())
    at = numbers[first].get_indexer(pd.Index(named.fillna("\0").astype("str")))
    at = np.where(at >= 0, first[at], -1) if len(first) else np.full(len(named), -1)
    apart = np.hypot(net.placed.x - _of(net.placed.x, at), net.placed.y - _of(net.placed.y, at))
    there = has & named.notna().to_numpy() & (at >= 0)
    yield Found(
        Table.points, where(has & named.isna().to_numpy()), "offset_point", "偏心点未关联井位", "does not name its well"
    )
    rows = where(has & named.notna().to_numpy() & (at < 0))
    said = (named.to_numpy()[rows],)
    yield Found(Table.points, rows, "offset_point", "偏心井位 {} 不存在", "its well {} is not in the table", said)
    wrong = there & (np.abs(apart - offset) > limits.limit("offset_tolerance_m"))
    rows = where(wrong)
    zh, en = "偏心距 {} 米，到井的实际距离 {} 米", "says {} m to its well, which is {} m away"
    yield Found(Table.points, rows, "offset_m", zh, en, (offset[rows], apart[rows]))
    rows = where(has & (offset > limits.limit("largest_offset_m")))
    yield Found(Table.points, rows, "offset_m", "偏心距 {} 米过大", "is {} m off its well", (offset[rows],))


def _of(values: Floats, at: Rows) -> Floats:
    found: Floats = np.append(values, np.nan)[at]
    return found
