"""A seeded pipe survey as a survey office would deliver it, and defects planted in it with the truth beside them.

Streets run east, each with seven lines side by side that keep every rule; islands of a few points south of them hold
what a street cannot. Coordinates are EPSG:4548 (X north), levels 1985.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from data import codes
from gis_core import crs
from twin.survey import Facts, spreadsheet

CRS = "EPSG:4548"
WEST, SOUTH = 440_000.0, 4_395_000.0
STATIONS, STEP_M, STREETS_EAST = 25, 40.0, 20
ISLANDS = 900.0
OWNERS = {
    "JP": "自来水集团",
    "TR": "燃气集团",
    "GD": "供电公司",
    "RS": "热力集团",
    "DH": "通信公司",
    "WS": "排水集团",
    "YS": "排水集团",
}


@dataclass(frozen=True)
class Track:
    """One class along a street: how far north of its base, how deep, what it is made of, its first and last point."""

    minor: str
    north_m: float
    depth_m: float
    size: str
    material: str
    laying: str
    first: str
    between: str
    last: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def gravity(self) -> bool:
        """Whether water runs in it by itself."""
        return self.minor in {"WS", "YS", "HS"}


TRACKS = {
    "JP": Track("JP", 0, 1.2, "300", "QM", "直埋", "泵站", "直线点", "盖堵"),
    "TR": Track("TR", -3, 1.1, "200", "PE", "直埋", "调压箱", "直线点", "盖堵", {"压力级别": "中压A"}),
    "GD": Track("GD", -6, 0.9, "150", "PVC", "管埋", "变压器", "直线点", "手孔",
                {"电压值": "10", "电缆条数": "2", "总孔数": "6", "已用孔数": "2"}),
    "RS": Track("RS", -9, 1.3, "300", "G", "直埋", "热源", "直线点", "盖堵"),
    "DH": Track("DH", -12, 0.9, "110", "PVC", "管埋", "交接箱", "直线点", "手孔",
                {"电缆条数": "4", "总孔数": "4", "已用孔数": "4"}),
    "WS": Track("WS", -16, 2.0, "400", "T", "直埋", "检查井", "检查井", "出水口"),
    "YS": Track("YS", -20, 2.2, "600", "T", "直埋", "检查井", "检查井", "出水口"),
}  # fmt: skip
FEATURES = {known.word for known in codes.point_kinds().values() if known.role == "feature"} | {"直线点"}


@dataclass
class Defect:
    """One planted defect: the rows (table, number from 1) that its rule must name, and what else may be said there."""

    rule: str
    rows: set[tuple[str, int]]
    also: set[str] = field(default_factory=set)
    touched: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Made:
    """A survey in memory, cells as text under Chinese headers."""

    points: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    streets: int
    islands: int = 0
    defects: list[Defect] = field(default_factory=list)

    @cached_property
    def _point_rows(self) -> dict[str, int]:
        return {p["物探点号"]: i for i, p in enumerate(self.points)}

    @cached_property
    def _line_rows(self) -> dict[tuple[str, str], int]:
        return {(r["起点点号"], r["终点点号"]): i for i, r in enumerate(self.lines)}

    def point(self, minor: str, street: int, station: int) -> int:
        """The position of a street's point."""
        return self._point_rows[f"{minor}{street:04d}{station:02d}"]

    def line(self, minor: str, street: int, station: int) -> int:
        """The position of the line that starts at a street's point."""
        return self._line_rows[f"{minor}{street:04d}{station:02d}", f"{minor}{street:04d}{station + 1:02d}"]

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Both tables, empty cells as empty text."""
        points, lines = (pd.DataFrame(rows).fillna("") for rows in (self.points, self.lines))
        return points.drop(columns="_depth"), lines

    def write_csv(self, folder: Path, encoding: str = "utf-8") -> tuple[Path, Path]:
        """Two CSV files."""
        found = []
        for name, frame in zip(("管点表.csv", "管线表.csv"), self.frames(), strict=True):
            frame.to_csv(folder / name, index=False, encoding=encoding, errors="replace")
            found.append(folder / name)
        return found[0], found[1]

    def write_excel(self, folder: Path) -> Path:
        """One workbook with two sheets, numbers as numbers."""
        path = folder / "survey.xlsx"
        sheets = []
        for name, frame in zip(("管点", "管线"), self.frames(), strict=True):
            rows = (([_number(v) for v in row], "") for row in frame.itertuples(index=False))
            sheets.append((name, list(frame.columns), rows))
        spreadsheet.write(path, sheets)
        return path

    def facts(self) -> Facts:
        """What the city knows: the district, the ground, the streets."""
        area = shapely.box(WEST - 2_000, SOUTH - 6_000, WEST + 40_000, SOUTH + 40_000)
        roads = [
            shapely.LineString([(x, y - 8), (x + STATIONS * STEP_M, y - 8)])
            for x, y in (_base(s) for s in range(self.streets))
        ]
        source = crs.declare(CRS)
        outlines = crs.to_lonlat(np.array([shapely.segmentize(area, 2000), *roads], dtype=object), source)
        return Facts(area=outlines[0], elevation=Plane(), roads=outlines[1:], bounds=(115.5, 39.0, 117.5, 40.5))

    def add_island(self, minor: str, places: Iterable[tuple[float, float, float, str]], **more: Any) -> list[int]:
        """A line through places (east, north, depth, what stands there) of the newest island; returns its points."""
        found = []
        x0, y0 = WEST + 100.0 * (self.islands % 100), SOUTH - ISLANDS - 150.0 * (self.islands // 100)
        for dx, dy, depth, what in places:
            number = f"{minor}9{len(self.points):06d}"
            self.points.append(_point(number, minor, x0 + dx, y0 + dy, what, depth))
            found.append(len(self.points) - 1)
        for a, b in pairwise(found):
            self.add_line(minor, a, b, **more)
        return found

    def add_line(self, minor: str, a: int, b: int, **more: Any) -> int:
        """A line between two points of the same class; its size and the rest as on streets unless given."""
        p, q = self.points[a], self.points[b]
        own = {"起点埋深": p["_depth"], "终点埋深": q["_depth"]} | more
        self.lines.append(_line(TRACKS.get(minor, TRACKS["WS"]), minor, p, q, **own))
        return len(self.lines) - 1

    def row_of(self, minor: str, street: int, station: int) -> set[tuple[str, int]]:
        """A street's point and the lines at it, as rows."""
        lines = {("lines", self.line(minor, street, s) + 1) for s in (station - 1, station)}
        return {("points", self.point(minor, street, station) + 1)} | lines

    def plant(self, rule: str, points: Iterable[int] = (), lines: Iterable[int] = (), also: str = "",
              touched: Iterable[tuple[str, int]] = ()) -> None:  # fmt: skip
        """Write down a defect by positions."""
        rows = {("points", i + 1) for i in points} | {("lines", i + 1) for i in lines}
        self.defects.append(Defect(rule, rows, set(also.split()), rows | set(touched)))

    def new_island(self) -> None:
        """Go on to the next island."""
        self.islands += 1


class Plane:
    """The ground as the elevation model has it: what the maker used, with a decimetre of noise."""

    def sample_m(self, lon: Any, lat: Any) -> Any:
        """Heights at points in degrees."""
        shapes = np.asarray(shapely.points(np.atleast_1d(lon), np.atleast_1d(lat)))
        xy = shapely.get_coordinates(crs.to_metric(shapes, CRS))
        return _ground(xy[:, 0], xy[:, 1]) + 0.1 * np.sin(xy[:, 0] * 7.0)


def make(points: int = 3_000, seed: int = 1) -> Made:
    """A survey of about so many points that breaks no rule."""
    random = np.random.default_rng(seed)
    streets = max(1, round(points / (len(TRACKS) * STATIONS + 10)))
    made = Made([], [], streets)
    for street in range(streets):
        x0, y0 = _base(street)
        year = str(int(random.integers(1985, 2022)))
        for track in TRACKS.values():
            _track(made, track, street, x0, y0, year)
    return made


def _track(made: Made, track: Track, street: int, x0: float, y0: float, year: str) -> None:
    minor = track.minor
    own, first = [], len(made.points)
    depths = []
    invert = round(float(_ground(x0, y0 + track.north_m)) - track.depth_m, 2)
    for i in range(STATIONS):
        x, y = x0 + STEP_M * i, y0 + track.north_m
        ground = round(float(_ground(x, y)), 2)
        depth = round(ground - (invert - 0.14 * i), 2) if track.gravity else track.depth_m
        what = track.first if i == 0 else track.last if i == STATIONS - 1 else track.between
        if minor in {"JP", "TR"} and i in {8, 18}:
            what = "阀门"
        if minor == "JP" and i % 5 == 2:
            what = "三通"
        depths.append(depth)
        own.append(_point(f"{minor}{street:04d}{i:02d}", minor, x, y, what, depth, year=year))
    made.points += own
    made.lines += [
        _line(track, minor, own[i], own[i + 1], year=year, 起点埋深=depths[i], 终点埋深=depths[i + 1])
        for i in range(STATIONS - 1)
    ]
    if minor not in {"JP", "YS"}:
        return
    for i in range(2, STATIONS - 1, 5):
        joint = made.points[first + i]
        north = 8.0 if minor == "JP" else -6.0
        x, y = x0 + STEP_M * i, y0 + track.north_m + north
        ground = round(float(_ground(x, y)), 2)
        if minor == "JP":
            tip = _point(f"{minor}{street:04d}{50 + i}", minor, x, y, "入户", 1.2, year=year)
            made.lines.append(
                _line(track, minor, joint, tip, year=year, 管径或断面尺寸="100", 起点埋深=1.2, 终点埋深=1.2)
            )
        else:
            level = round(float(joint["地面高程"]) - depths[i] + 0.3, 2)
            own_depth = round(ground - level - 0.1, 2)
            tip = _point(f"{minor}{street:04d}{50 + i}", minor, x, y, "雨水箅", own_depth, year=year)
            at_well = round(float(joint["地面高程"]) - level, 2)
            made.lines.append(
                _line(track, minor, tip, joint, year=year, 管径或断面尺寸="200", 起点埋深=own_depth, 终点埋深=at_well)
            )
        made.points.append(tip)


def _base(street: int) -> tuple[float, float]:
    return WEST + 1_300.0 * (street % STREETS_EAST), SOUTH + 150.0 * (street // STREETS_EAST)


def _ground(x: Any, y: Any) -> Any:
    return 45.0 - 0.0015 * ((np.asarray(x) - WEST + 150.0) % 1_300.0) + 0.0005 * (np.asarray(y) - SOUTH)


def _point(number: str, minor: str, x: float, y: float, what: str, depth: float, year: str = "2005") -> dict[str, Any]:
    known = codes.minor_classes()[minor]
    ground = round(float(_ground(x, y)), 2)
    well = what in {"检查井", "雨水箅"}
    catalogued = [c for c in codes.feature_codes() if c.startswith(f"5{known.digit}{known.digits}2")]
    return {
        "物探点号": number, "图上点号": number, "管线类别": known.major_zh, "管线小类": minor,
        "特征": what if what in FEATURES else "", "附属物": "" if what in FEATURES else what,
        "X坐标": f"{y:.3f}", "Y坐标": f"{x:.3f}", "地面高程": f"{ground:.2f}",
        "井底高程": f"{ground - depth:.2f}" if well else "", "井深": f"{depth:.2f}" if well else "",
        "偏心距": "", "偏心井位": "", "要素代码": catalogued[0] if catalogued else f"5{known.digit}{known.digits}2101",
        "道路名称": "城图街", "权属单位": OWNERS.get(minor, "排水集团"), "建设年代": year, "探测单位": "测绘院",
        "探测日期": "2025-06-01", "使用状态": "0", "密级": "内部", "_depth": depth,
    }  # fmt: skip


def _line(
    track: Track, minor: str, a: dict[str, Any], b: dict[str, Any], year: str = "2005", **more: Any
) -> dict[str, Any]:
    known = codes.minor_classes()[minor]
    cells = {
        "起点点号": a["物探点号"], "终点点号": b["物探点号"], "管线类别": known.major_zh, "管线小类": minor,
        "材质": track.material, "埋设方式": track.laying, "断面类型": "圆形",
        "管径或断面尺寸": track.size,
        "起点埋深": "", "终点埋深": "", "起点高程": "", "终点高程": "", "流向": "0" if track.gravity else "",
        "压力级别": "", "电压值": "", "电缆条数": "", "总孔数": "", "已用孔数": "",
        "要素代码": f"5{known.digit}{known.digits}1000", "道路名称": "城图街",
        "权属单位": OWNERS.get(minor, "排水集团"),
        "建设年代": year, "探测单位": "测绘院", "探测日期": "2025-06-01", "使用状态": "0", "密级": "内部",
    } | track.more  # fmt: skip
    cells |= {k: v for k, v in more.items() if not k.endswith("埋深")}
    for end, point in (("起点", a), ("终点", b)):
        depth = float(more[f"{end}埋深"])
        cells[f"{end}埋深"] = f"{depth:.2f}"
        cells[f"{end}高程"] = f"{float(point['地面高程']) - depth:.2f}"
    return cells


def _number(value: Any) -> Any:
    try:
        return (
            float(value) if str(value).replace(".", "").replace("-", "").isdigit() and len(str(value)) < 12 else value
        )
    except ValueError:
        return value
