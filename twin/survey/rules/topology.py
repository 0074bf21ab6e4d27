"""T1-T10: how the lines hang together as networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from scipy import sparse
from scipy.sparse import csgraph

from data.codes import limits
from twin.survey import words
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Floats, Found, Mask, Rows, of_all, where
from twin.survey.network import Network
from twin.survey.rules import rule

_DRAINAGE: Final = "GB 50014-2021"
_GATES: Final = r"堰|闸|截流|分流|溢流"
_TOUCH_LEVEL_M: Final = 0.5
_PAIR: Final = 2
_MOST_STEPS: Final = 2
_STEEPER: Final = 1e-4
_STEPS_MM: Final = (200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1350, 1500, 1650, 1800, 2000, 2200, 2400)


@rule(
    "T1",
    "悬挂端点应为预留口、盖堵、出水口、水表或入户等",
    "A loose end is a cap, outfall, meter, entry or the like",
    severity=WARNING,
)
def loose_ends(net: Network) -> Iterator[Found]:
    """Points at which one line ends and nothing says why."""
    ends = (net.degree == 1) & ~np.isin(net.kind.astype(str), words.TERMINALS)
    # A sewer begins at a manhole.
    heads = np.zeros(len(ends), bool)
    heads[net.downstream[0][net.downstream[0] >= 0]] = True
    ends &= ~(heads & (net.kind == "manhole"))
    rows = where(ends)
    said = (net.points["point_no"].to_numpy()[rows],)
    yield Found(
        Table.points,
        rows,
        "kind",
        "管线止于 {}，而该点不是终端类型",
        "a line ends at {}, which is no kind of end",
        said,
    )


@rule("T2", "端点落在另一条管线中间而未打断", "No line ends on the middle of another", severity=WARNING)
def touching(net: Network) -> Iterator[Found]:
    """A point of a class within 0.1 m of a line of that class that does not end there, at about its level."""
    tree, good = net.tree
    placed = np.flatnonzero((net.degree > 0) & ~np.isnan(net.placed.x))
    if not len(good) or not len(placed):
        return
    dots: Any = shapely.points(net.placed.x[placed], net.placed.y[placed])
    dot, at = tree.query(dots, predicate="dwithin", distance=limits.limit("touch_m"))
    point, line = placed[dot], good[at]
    inner = (net.start[line] != point) & (net.end[line] != point) & _one_class(net, point, line)
    along = shapely.line_locate_point(net.shapes[line], dots[dot], normalized=True)
    length = net.length[line]
    inner &= (along * length > limits.limit("touch_m")) & ((1 - along) * length > limits.limit("touch_m"))
    level = net.level[0][line] + along * (net.level[1][line] - net.level[0][line])
    own = _level_of_points(net)[point]
    inner &= ~(np.abs(level - own) > _TOUCH_LEVEL_M)
    point, first = np.unique(point[inner], return_index=True)
    other = line[inner][first]
    said = (net.lines["start_point"].to_numpy()[other], net.lines["end_point"].to_numpy()[other])
    zh, en = "落在管线 {}-{} 中间而未打断", "lies on line {}-{}, which does not end there"
    yield Found(Table.points, point.astype(np.int64), "point_no", zh, en, said)


@rule("T3", "同类管线交叉而无节点且高差小于半径之和", "Lines of one class do not run through each other")
def through(net: Network) -> Iterator[Found]:
    """Crossings in plan without a common point where the pipes are nearer in height than their radii."""
    tree, good = net.tree
    a, b = tree.query(net.shapes[good])
    a, b = good[a[a < b]], good[b[a < b]]
    shared = (net.start[a] == net.start[b]) | (net.start[a] == net.end[b])
    shared |= (net.end[a] == net.start[b]) | (net.end[a] == net.end[b])
    same = (net.line_class[a] == net.line_class[b]) & ~shared
    a, b = a[same], b[same]
    crossing = shapely.crosses(net.shapes[a], net.shapes[b])
    a, b = a[crossing], b[crossing]
    at = shapely.intersection(net.shapes[a], net.shapes[b])
    axis = [_axis_at(net, line, at) for line in (a, b)]
    apart = np.abs(axis[0] - axis[1])
    close = apart < (net.height_m[a] + net.height_m[b]) / 2
    a, b, at, apart = a[close], b[close], at[close], apart[close]
    said = (net.lines["start_point"].to_numpy()[b], net.lines["end_point"].to_numpy()[b], apart)
    xy = shapely.get_coordinates(at)
    zh, en = "与 {}-{} 交叉而无节点，高差仅 {} 米", "runs through {}-{} without a point, {} m apart in height"
    yield Found(Table.lines, a.astype(np.int64), "start_point", zh, en, said, at=xy)


@rule("T4", "管网可到达水源或排出口", "Every part reaches a source or an outfall", severity=WARNING)
def unreached(net: Network) -> Iterator[Found]:
    """One finding for a connected part of a class that has other parts with one; one for a class without any."""
    for name, kinds in words.SUPPLIES.items():
        of_class = np.isin(net.point_class.astype(str), words.GRAVITY if name in words.GRAVITY else (name,))
        here = (net.point_class == name) & (net.degree > 0)
        if not here.any():
            continue
        served = np.unique(net.parts[of_class & np.isin(net.kind.astype(str), kinds)])
        label = "排出口" if name in words.GRAVITY else "水源或气源、热源"
        if not len(served):
            zh, en = f"管类 {name} 的成果中没有{label}", f"the survey has no source or outfall of class {name}"
            yield of_all(Table.points, "kind", zh, en)
            continue
        lost = here & ~np.isin(net.parts, served)
        parts, first = np.unique(net.parts[lost], return_index=True)
        rows = where(lost)[first]
        sizes = np.bincount(net.parts[lost], minlength=int(parts.max(initial=0)) + 1)[parts] if len(parts) else parts
        zh, en = f"所在的连通部分（{{}} 个点）到不了{label}", "its part of {} points reaches no source or outfall"
        yield Found(Table.points, rows, "point_no", zh, en, (sizes,))


@rule("T5", "排水管线无环流", "Drains do not run in a circle")
def circles(net: Network) -> Iterator[Found]:
    """Lines within one strongly connected part along the flow."""
    upper, lower = net.downstream
    lines = where(upper >= 0)
    count = len(net.points)
    if not len(lines):
        return
    ones = np.ones(len(lines), np.int8)
    graph = sparse.coo_matrix((ones, (upper[lines], lower[lines])), shape=(count, count))
    part = csgraph.connected_components(graph, directed=True, connection="strong")[1]
    rows = lines[part[upper[lines]] == part[lower[lines]]]
    yield Found(Table.lines, rows, "flow", "位于流向闭合的环上", "is on a circle of flow")


@rule(
    "T6",
    "一个检查井只有一个下游（设堰、闸者除外）",
    "A manhole has one way out unless it has a weir or gate",
    severity=WARNING,
)
def ways_out(net: Network) -> Iterator[Found]:
    """More than one line of a class leaves a point."""
    upper, _ = net.downstream
    lines = where(upper >= 0)
    out = pd.DataFrame({"at": upper[lines], "c": net.line_class[lines]}).value_counts()
    many = out[out > 1]
    at = many.index.get_level_values("at").to_numpy(np.int64)
    gate = net.points["appurtenance"].str.contains(_GATES).fillna(value=False).to_numpy(bool)
    gate = gate | np.isin(net.kind.astype(str), ("valve", "pump_station"))
    keep = ~gate[at]
    said = (many.to_numpy()[keep],)
    yield Found(
        Table.points, at[keep], "point_no", "有 {} 条下游管线而无堰、闸", "has {} ways out and no weir or gate", said
    )


@rule(
    "T7",
    "下游管径不小于上游管径",
    "Drains do not get smaller downstream",
    standard=_DRAINAGE,
    clause="5.2.11",
    severity=WARNING,
)
def narrowing(net: Network) -> Iterator[Found]:
    """At a steepening the size may fall by two steps, not below the least; anything else is told."""
    lines, out = next_along_flow(net)
    size = net.number("diameter_mm")
    shrinks = size[lines] > size[out]
    steps = np.searchsorted(_STEPS_MM, size[lines]) - np.searchsorted(_STEPS_MM, size[out])
    steeper = net.slope[out] > net.slope[lines] + _STEEPER
    least = np.array([limits.least_sizes().get((c, "main"), (0.0, None))[0] for c in net.line_class[out]])
    allowed = steeper & (steps <= _MOST_STEPS) & (size[out] >= least)
    rows, first = np.unique(out[shrinks & ~allowed], return_index=True)
    wide = size[lines][shrinks & ~allowed][first]
    zh, en = "管径 {} 小于上游的 {}", "its diameter of {} is less than {} upstream"
    yield Found(Table.lines, rows.astype(np.int64), "size", zh, en, (size[rows], wide))


@rule(
    "T8",
    "雨水、污水不混接",
    "Storm water and sewage are not connected",
    standard=_DRAINAGE,
    clause="3.1.2(3), 5.1.14(1)",
    severity=WARNING,
)
def misconnected(net: Network) -> Iterator[Found]:
    """Points at which storm and sewage lines meet."""
    at, line = net.touching
    storm = np.bincount(at, weights=net.line_class[line] == "storm", minlength=len(net.points)) > 0
    sewage = np.bincount(at, weights=net.line_class[line] == "sewage", minlength=len(net.points)) > 0
    rows = where(storm & sewage)
    said = (net.points["point_no"].to_numpy()[rows],)
    yield Found(Table.points, rows, "point_no", "雨水与污水管线在 {} 混接", "storm and sewage lines meet at {}", said)


@rule("T9", "燃气压力级别变化处有调压设施", "Gas changes its pressure class at a regulator only", severity=WARNING)
def regulators(net: Network) -> Iterator[Found]:
    """Points at which gas lines of two pressure classes meet."""
    at, line = net.touching
    classes, _ = pd.factorize(net.lines["pressure_class"])
    keep = (net.line_class[line] == "gas") & (classes[line] >= 0)
    many = pd.DataFrame({"at": at[keep], "p": classes[line][keep]}).groupby("at")["p"].nunique()
    rows = many.index.to_numpy(np.int64)[many.to_numpy() > 1]
    rows = rows[~np.isin(net.kind[rows].astype(str), ("regulator",))]
    said = (net.points["point_no"].to_numpy()[rows],)
    yield Found(
        Table.points, rows, "kind", "燃气压力级别在 {} 变化而无调压设施", "gas changes its pressure class at {}", said
    )


@rule("T10", "阀门位于两条管线之间", "A valve has a line on each side", severity=WARNING)
def valves(net: Network) -> Iterator[Found]:
    """Valves on points of another degree than two."""
    rows = where((net.kind == "valve") & (net.degree > 0) & (net.degree != _PAIR))
    yield Found(Table.points, rows, "kind", "阀门连接 {} 条管线", "a valve with {} lines", (net.degree[rows],))


def next_along_flow(net: Network) -> tuple[Rows, Rows]:
    """Each drain and the one that its water goes on in: the largest of its class that leaves its lower point."""
    upper, lower = net.downstream
    size = np.nan_to_num(net.number("diameter_mm"))
    out = np.full(len(net.points), -1, np.int64)
    leaving = where(upper >= 0)
    leaving = leaving[np.argsort(size[leaving], kind="stable")]
    out[upper[leaving]] = leaving
    lines = where(lower >= 0)
    after = out[lower[lines]]
    keep = (after >= 0) & (net.line_class[lines] == net.line_class[after])
    return lines[keep], after[keep]


def _one_class(net: Network, point: Rows, line: Rows) -> Mask:
    found: Mask = net.point_class[point] == net.line_class[line]
    return found


def _level_of_points(net: Network) -> Floats:
    """The mean level of the lines at each point; NaN where there is none."""
    at, line = net.touching
    half = len(line) // 2
    level = np.concatenate([net.level[0][line[:half]], net.level[1][line[half:]]])
    known = ~np.isnan(level)
    count = np.bincount(at[known], minlength=len(net.points))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.bincount(at[known], weights=level[known], minlength=len(net.points)) / np.where(count, count, np.nan)


def _axis_at(net: Network, line: Rows, at: Floats) -> Floats:
    """The level of a line's axis at a place on it; NaN where its levels are not known."""
    share = shapely.line_locate_point(net.shapes[line], at, normalized=True)
    low, high = net.invert
    found: Floats = low[line] + share * (high[line] - low[line]) + net.height_m[line] / 2
    return found
