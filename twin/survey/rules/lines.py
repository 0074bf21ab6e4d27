"""L1-L9: each line between its two points, and the lines that meet at one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
import shapely

from data.codes import limits
from twin.survey import words
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Floats, Found, Mask, Rows, where
from twin.survey.network import Network
from twin.survey.rules import rule

_TOOL: Final = "survey tool default"
_CHANGES: Final = ("tee", "cross", "valve", "meter", "regulator", "pump_station", "entry", "expansion")


@rule("L1", "起终点在管点表中", "Both ends are in the point table", standard=_TOOL, clause="unknown point reference")
def ends(net: Network) -> Iterator[Found]:
    """A point that is not there, or only under another class (drains are one)."""
    for name, at, other in (
        ("start_point", net.start, net.of_another_class[0]),
        ("end_point", net.end, net.of_another_class[1]),
    ):
        said = net.lines[name]
        rows = where((at < 0) & said.notna().to_numpy())
        yield Found(
            Table.lines,
            rows,
            name,
            "点号 {} 不在管点表中",
            "point {} is not in the point table",
            (said.to_numpy()[rows],),
        )
        rows = where(other)
        said_class = net.point_class[at[rows]]
        zh, en = "点号 {} 的管类为 {}，与管线不同", "point {} is of class {}, not of the line's"
        yield Found(Table.lines, rows, name, zh, en, (said.to_numpy()[rows], said_class))


@rule("L2", "起点与终点不同", "A line has two different ends", standard=_TOOL, clause="start = end")
def two_ends(net: Network) -> Iterator[Found]:
    """By number."""
    start, end = net.lines["start_point"], net.lines["end_point"]
    rows = where((start.notna() & (start == end)).to_numpy(bool))
    yield Found(Table.lines, rows, "end_point", "起点与终点同为 {}", "starts and ends at {}", (start.to_numpy()[rows],))


@rule("L3", "管线不重复（含反向）", "No line stands twice, nor reversed", standard=_TOOL, clause="duplicate lines")
def twice(net: Network) -> Iterator[Found]:
    """The same two points in the same class; each row but the first is told."""
    low, high = np.minimum(net.start, net.end), np.maximum(net.start, net.end)
    pairs = pd.DataFrame({"a": low, "b": high, "c": net.line_class})
    again = pairs.duplicated().to_numpy() & net.tied
    rows = where(again)
    said = (net.lines["start_point"].to_numpy()[rows], net.lines["end_point"].to_numpy()[rows])
    yield Found(Table.lines, rows, "start_point", "{} 至 {} 已有一条管线", "{} to {} is there already", said)


@rule("L4", "长度在0.05至75米之间", "Lengths are between 0.05 and 75 m", standard=_TOOL, clause="length check")
def lengths(net: Network) -> Iterator[Found]:
    """In space; a longer one is told, a shorter one is a slip."""
    length = net.length_3d
    rows = where(net.tied & (length < limits.limit("shortest_m")))
    yield Found(Table.lines, rows, "length_m", "长度仅 {} 米", "is only {} m long", (length[rows],))
    rows = where(net.tied & (length > limits.limit("longest_m")))
    yield Found(Table.lines, rows, "length_m", "长度 {} 米过长", "is {} m long", (length[rows],), severity=WARNING)


@rule("L5", "埋深为正且不超过最大埋深", "Depths are positive and not too great", standard=_TOOL, clause="depth check")
def depths(net: Network) -> Iterator[Found]:
    """Nought or less only above the ground (架空, 上架, 地面); more than 15 m is told."""
    for name, depth in zip(("start_depth_m", "end_depth_m"), net.depth, strict=True):
        rows = where((depth <= 0) & ~net.aloft)
        yield Found(
            Table.lines,
            rows,
            name,
            "埋深 {} 米不为正，且不是架空、上架或地面",
            "depth {} m of a buried line",
            (depth[rows],),
        )
        rows = where(depth > limits.limit("deepest_m"))
        yield Found(
            Table.lines, rows, name, "埋深 {} 米过大", "depth {} m is unusual", (depth[rows],), severity=WARNING
        )


@rule(
    "L6", "埋深加管线高程等于地面高程", "Depth and level add up to the ground", standard=_TOOL, clause="excel-check-04"
)
def sums(net: Network) -> Iterator[Found]:
    """At both ends, to 0.05 m, where the levels are given."""
    ground = net.at(net.ground)
    ends_of = (("start_level_m", 0), ("end_level_m", 1))
    for name, end in ends_of:
        off = ground[end] - net.depth[end] - net.number(name)
        rows = where(np.abs(off) > limits.limit("level_tolerance_m") + 1e-9)
        zh, en = "地面高程减埋深与管线高程相差 {} 米", "ground less depth is {} m off the level"
        yield Found(Table.lines, rows, name, zh, en, (off[rows],))


@rule(
    "L7",
    "同一点上同类管线的高程、材质、断面一致",
    "Lines of one class agree where they meet",
    standard=_TOOL,
    clause="same-node check",
    severity=WARNING,
)
def joints(net: Network) -> Iterator[Found]:
    """Levels in all classes but for wells of drains (drops); material and size at points where nothing is built in."""
    at, line = net.touching
    half = len(line) // 2
    level = np.concatenate([net.level[0][line[:half]], net.level[1][line[half:]]])
    names = net.line_class[line].astype(str)
    where_ = pd.Series(at).astype(np.int64)
    kind = net.kind[at].astype(str)
    ends_at = pd.DataFrame({"at": where_, "c": names, "level": level})
    group = ends_at.groupby(["at", "c"], sort=False)["level"]
    spread = (group.transform("max") - group.transform("min")).to_numpy(float)
    dropped = np.isin(names, words.GRAVITY) & np.isin(kind, ("manhole", "inlet", "outfall", "pump_station", "other"))
    bad = (spread > limits.limit("joint_tolerance_m") + 1e-9) & ~dropped
    yield _once(
        line, bad, "start_level_m", "与同点同类管线高程相差 {} 米", "is {} m off another line at the same point", spread
    )
    plain = (net.degree[at] == 2) & ~np.isin(kind, (*_CHANGES, "manhole", "joint", "other", "None"))  # noqa: PLR2004
    plain |= (net.degree[at] == 2) & (net.points["feature"].isin(["直线点", "直通"]).to_numpy()[at])  # noqa: PLR2004
    for column, zh, en in (
        ("material", "与同点同类管线材质不同", "is of another material than the line it meets"),
        ("diameter_mm", "与同点同类管线管径不同", "is of another size than the line it meets"),
    ):
        codes, _ = pd.factorize(net.lines[column], use_na_sentinel=True)
        frame = pd.DataFrame({"at": at, "c": names, "v": codes[line]})[codes[line] >= 0]
        many = frame.groupby(["at", "c"], sort=False)["v"].transform("nunique").reindex(range(len(line)), fill_value=1)
        yield _once(line, (many.to_numpy() > 1) & plain, "material" if column == "material" else "size", zh, en, None)


@rule("L8", "管线不自相交", "A line does not cross itself")
def simple(net: Network) -> Iterator[Found]:
    """Of lines that came with a shape of their own."""
    if net.geometries is None:
        return
    bent = np.isin(shapely.get_type_id(net.geometries), (1,))
    twisted = np.zeros(len(bent), bool)
    many = bent & (shapely.get_num_points(net.geometries) > 2)  # noqa: PLR2004  a straight line cannot
    twisted[many] = ~shapely.is_simple(net.geometries[many])
    yield Found(Table.lines, where(twisted), "geometry", "管线自相交", "crosses itself")


@rule("L9", "图形端点与管点位置一致", "A drawn line ends at its points", needs=("geometries",))
def drawn(net: Network) -> Iterator[Found]:
    """To 0.05 m, of lines that came with a shape of their own."""
    if net.geometries is None:
        return
    tolerance = limits.limit("end_tolerance_m")
    for name, at, corner in (("start_point", net.start, 0), ("end_point", net.end, -1)):
        tip = shapely.get_point(net.geometries, corner)
        x, y = shapely.get_x(tip), shapely.get_y(tip)
        apart = np.hypot(x - np.append(net.placed.x, np.nan)[at], y - np.append(net.placed.y, np.nan)[at])
        rows = where(apart > tolerance)
        said = (net.lines[name].to_numpy()[rows], apart[rows])
        zh, en = "图形端点距管点 {} 有 {} 米", "its end at point {} is drawn {} m off it"
        yield Found(Table.lines, rows, name, zh, en, said)


def _once(line: Rows, bad: Mask, field: str, zh: str, en: str, values: Floats | None) -> Found:
    """One finding a line, with the worst of its values."""
    lines = line[bad]
    if values is None:
        return Found(Table.lines, np.unique(lines), field, zh, en)
    worst = pd.Series(values[bad]).groupby(lines).max()
    return Found(Table.lines, worst.index.to_numpy(np.int64), field, zh, en, (worst.to_numpy(),))
