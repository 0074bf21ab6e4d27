"""Defects for the made survey: what is changed, which rows the rule must name, what else follows from it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.survey_maker import Made

Planter = Callable[[Made, int, int], None]
PLANTERS: dict[str, list[Planter]] = {}
ROWLESS = {"A1", "K1", "K5", "K6", "K7", "L8", "L9"}
"""Rules whose breach is of a whole file, or needs lines with shapes of their own: tested by themselves."""


def defect(rule: str) -> Callable[[Planter], Planter]:
    def register(planter: Planter) -> Planter:
        PLANTERS.setdefault(rule, []).append(planter)
        return planter

    return register


def plant_all(made: Made, seed: int) -> None:
    """Every defect once, each on a street or island of its own."""
    random = np.random.default_rng(seed)
    streets = iter(random.permutation(made.streets).tolist())
    for planters in PLANTERS.values():
        for planter in planters:
            planter(made, next(streets), int(random.integers(5, 15)))


def streets_needed() -> int:
    return sum(len(planters) for planters in PLANTERS.values())


@contextmanager
def island(made: Made, rule: str, also: str = "") -> Any:
    """A new island; what the body adds to `rows` must be named, and `also` may be said of all that it makes."""
    made.new_island()
    points, lines = len(made.points), len(made.lines)
    rows: dict[str, list[int]] = {"points": [], "lines": []}
    yield rows
    touched = {("points", i + 1) for i in range(points, len(made.points))}
    touched |= {("lines", i + 1) for i in range(lines, len(made.lines))}
    made.plant(rule, rows["points"], rows["lines"], also, touched)


def add_point(made: Made, like: int, number: str, **cells: Any) -> int:
    made.points.append(made.points[like] | {"物探点号": number, "图上点号": number} | cells)
    return len(made.points) - 1


def levels(made: Made, line: int, end: str, depth: float) -> None:
    """A depth and the level that goes with it."""
    row = made.lines[line]
    ground = float(row[f"{end}高程"]) + float(row[f"{end}埋深"])
    row[f"{end}埋深"], row[f"{end}高程"] = f"{depth:.2f}", f"{ground - depth:.2f}"


@defect("A2")
def no_owner(made: Made, street: int, at: int) -> None:
    point = made.point("TR", street, at)
    made.points[point]["权属单位"] = ""
    made.plant("A2", [point])


@defect("A2")
def no_depth(made: Made, street: int, at: int) -> None:
    line = made.line("DH", street, at)
    made.lines[line]["终点埋深"] = ""
    made.plant("A2", lines=[line])


@defect("A3")
def words_for_numbers(made: Made, street: int, at: int) -> None:
    point, line = made.point("DH", street, at), made.line("GD", street, at)
    made.points[point]["地面高程"] = "约45"
    made.lines[line]["总孔数"] = "六"
    made.plant("A3", [point], [line])


@defect("A4")
def unknown_words(made: Made, street: int, at: int) -> None:
    point, line = made.point("RS", street, at), made.line("RS", street, at + 2)
    made.points[point]["使用状态"] = "迷失"
    made.lines[line]["埋设方式"] = "神埋"
    made.plant("A4", [point], [line])


@defect("A5")
def wrong_feature_code(made: Made, street: int, at: int) -> None:
    point, line = made.point("JP", street, at), made.line("JP", street, at + 2)
    made.points[point]["要素代码"] = "51041000"
    made.lines[line]["要素代码"] = "52011000"
    made.plant("A5", [point], [line])


@defect("A6")
def two_kinds(made: Made, street: int, at: int) -> None:
    both, neither = made.point("GD", street, at), made.point("GD", street, at + 3)
    made.points[both]["附属物"] = "人孔"
    made.points[neither]["特征"] = ""
    made.plant("A6", [both, neither])


@defect("A7")
def concrete_gas(made: Made, street: int, at: int) -> None:
    line = made.line("TR", street, at)
    made.lines[line]["材质"] = "混凝土"
    made.plant("A7", lines=[line], also="L7", touched=made.row_of("TR", street, at) | made.row_of("TR", street, at + 1))


@defect("A8")
def built_when(made: Made, street: int, at: int) -> None:
    old, early = made.line("RS", street, at), made.point("RS", street, at + 2)
    made.lines[old]["建设年代"] = "1850"
    made.points[early] |= {"建设年代": "2020", "探测日期": "2019-06-01"}
    made.plant("A8", [early], [old])


@defect("A9")
def in_metres(made: Made, street: int, at: int) -> None:
    line = made.line("JP", street, at)
    made.lines[line]["管径或断面尺寸"] = "0.3"
    made.plant("A9", lines=[line], also="L7", touched=made.row_of("JP", street, at) | made.row_of("JP", street, at + 1))


@defect("A9")
def in_centimetres(made: Made, street: int, at: int) -> None:
    line = made.line("WS", street, at)
    made.lines[line]["管径或断面尺寸"] = "40"
    made.plant("A9", lines=[line], also="T7 G4")


@defect("A9")
def no_size(made: Made, street: int, at: int) -> None:
    line = made.line("RS", street, at)
    made.lines[line]["管径或断面尺寸"] = "三百"
    made.plant("A9", lines=[line])


@defect("A10")
def two_numbers(made: Made, street: int, at: int) -> None:
    point = made.point("YS", street, at)
    made.points[point]["图上点号"] += "A"
    made.plant("A10", [point])


@defect("A11")
def too_many_used(made: Made, street: int, at: int) -> None:
    line = made.line("GD", street, at)
    made.lines[line]["已用孔数"] = "9"
    made.plant("A11", lines=[line])


@defect("A12")
def no_voltage(made: Made, street: int, at: int) -> None:
    power, gas = made.line("GD", street, at), made.line("TR", street, at)
    made.lines[power]["电压值"] = ""
    made.lines[gas]["压力级别"] = ""
    made.plant("A12", lines=[power, gas])


@defect("A13")
def wide_and_broken(made: Made, street: int, at: int) -> None:
    point, line = made.point("DH", street, at), made.line("DH", street, at + 2)
    made.points[point]["权属单位"] = "锟斤拷公司"
    made.lines[line]["起点埋深"] = "０．９０"
    made.plant("A13", [point], [line])


@defect("A14")
def unlabelled(made: Made, street: int, at: int) -> None:
    point, line = made.point("WS", street, at), made.line("WS", street, at + 2)
    made.points[point]["密级"] = made.lines[line]["密级"] = ""
    made.plant("A14", [point], [line])


@defect("P1")
def same_number(made: Made, street: int, at: int) -> None:
    point = made.point("TR", street, at)
    north = float(made.points[point]["X坐标"]) + 1.5
    again = add_point(made, point, made.points[point]["物探点号"], X坐标=f"{north:.3f}")
    made.plant("P1", [point, again])


@defect("P2")
def same_place(made: Made, street: int, at: int) -> None:
    point = made.point("TR", street, at)
    again = add_point(made, point, f"TR8{street:04d}{at}")
    made.plant("P2", [point, again], also="P6")


@defect("P3")
def too_near(made: Made, street: int, at: int) -> None:
    point = made.point("DH", street, at)
    east = float(made.points[point]["Y坐标"]) + 0.05
    again = add_point(made, point, f"DH8{street:04d}{at}", Y坐标=f"{east:.3f}")
    made.plant("P3", [point, again], also="P6")


@defect("P4")
def elsewhere(made: Made, _street: int, _at: int) -> None:
    with island(made, "P4") as rows:
        rows["points"] += made.add_island("JP", [(-40_000, 0, 1.2, "泵站"), (-39_960, 0, 1.2, "盖堵")])


@defect("P5")
def off_the_ground(made: Made, street: int, at: int) -> None:
    point = made.point("GD", street, at)
    ground = float(made.points[point]["地面高程"]) + 5
    made.points[point]["地面高程"] = f"{ground:.2f}"
    for line, end in ((made.line("GD", street, at - 1), "终点"), (made.line("GD", street, at), "起点")):
        made.lines[line][f"{end}高程"] = f"{ground - float(made.lines[line][f'{end}埋深']):.2f}"
    made.plant("P5", [point])


@defect("P6")
def alone(made: Made, street: int, at: int) -> None:
    point = made.point("RS", street, at)
    north = float(made.points[point]["X坐标"]) + 1.2
    made.plant("P6", [add_point(made, point, f"RS8{street:04d}{at}", X坐标=f"{north:.3f}")])


@defect("P7")
def shallow_well(made: Made, street: int, at: int) -> None:
    point = made.point("WS", street, at)
    made.points[point]["井深"] = "0.50"
    made.plant("P7", [point])


@defect("P8")
def lost_wells(made: Made, street: int, at: int) -> None:
    nameless, unknown, wrong = (made.point("WS", street, at + i) for i in (0, 2, 4))
    made.points[nameless]["偏心距"] = "1.5"
    made.points[unknown] |= {"偏心距": "1.5", "偏心井位": "没有这口井"}
    made.points[wrong] |= {"偏心距": "1.5", "偏心井位": made.points[made.point("WS", street, at + 5)]["物探点号"]}
    made.plant("P8", [nameless, unknown, wrong])


@defect("L1")
def missing_end(made: Made, street: int, at: int) -> None:
    line = made.line("TR", street, at)
    made.lines[line]["终点点号"] = "没有"
    touched = {("points", made.point("TR", street, at + i) + 1) for i in (0, 1)}
    made.plant("L1", lines=[line], also="T1 T4 T10", touched=touched)


@defect("L2")
def to_itself(made: Made, street: int, at: int) -> None:
    row = made.lines[made.line("DH", street, at)]
    made.lines.append(row | {"终点点号": row["起点点号"]})
    made.plant("L2", lines=[len(made.lines) - 1], also="L6")


@defect("L3")
def twice(made: Made, street: int, at: int) -> None:
    row = made.lines[made.line("GD", street, at)]
    back = {
        "起点点号": row["终点点号"],
        "终点点号": row["起点点号"],
        "起点高程": row["终点高程"],
        "终点高程": row["起点高程"],
    }
    made.lines.append(row | back)
    made.plant("L3", lines=[len(made.lines) - 1])


@defect("L4")
def too_short(made: Made, _street: int, _at: int) -> None:
    with island(made, "L4", "P3 T2 X2 X4") as rows:
        places = [(0, 0, 1.2, "泵站"), (20, 0, 1.2, "直线点"), (20.03, 0, 1.2, "直线点"), (50, 0, 1.2, "盖堵")]
        made.add_island("JP", places)
        rows["lines"].append(len(made.lines) - 2)


@defect("L4")
def too_long(made: Made, _street: int, _at: int) -> None:
    with island(made, "L4") as rows:
        made.add_island("TR", [(0, 0, 1.1, "调压箱"), (90, 0, 1.1, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)


@defect("L5")
def above_ground(made: Made, street: int, at: int) -> None:
    line = made.line("DH", street, at)
    levels(made, line, "起点", -0.5)
    made.plant("L5", lines=[line], also="L7", touched=made.row_of("DH", street, at))


@defect("L5")
def too_deep(made: Made, _street: int, _at: int) -> None:
    with island(made, "L5") as rows:
        made.add_island("JP", [(0, 0, 17, "泵站"), (40, 0, 17, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)


@defect("L6")
def wrong_sum(made: Made, street: int, at: int) -> None:
    line = made.line("GD", street, at)
    made.lines[line]["起点高程"] = f"{float(made.lines[line]['起点高程']) + 0.3:.2f}"
    made.plant("L6", lines=[line], also="L7", touched=made.row_of("GD", street, at))


@defect("L7")
def step(made: Made, street: int, at: int) -> None:
    before, line = made.line("GD", street, at - 1), made.line("GD", street, at)
    levels(made, line, "起点", 1.3)
    made.plant("L7", lines=[before, line])


@defect("T1")
def loose_end(made: Made, street: int, _at: int) -> None:
    point = made.point("DH", street, 24)
    made.points[point] |= {"特征": "直线点", "附属物": ""}
    made.plant("T1", [point])


@defect("T2")
def on_the_middle(made: Made, _street: int, _at: int) -> None:
    with island(made, "T2", "X1 X2 X4 T3") as rows:
        made.add_island("JP", [(0, 0, 1.2, "泵站"), (60, 0, 1.2, "盖堵")])
        rows["points"].append(made.add_island("JP", [(30, 0.02, 1.2, "盖堵"), (30, 25, 1.2, "泵站")])[0])


@defect("T3")
def through_each_other(made: Made, _street: int, _at: int) -> None:
    with island(made, "T3", "X1 X2 X4") as rows:
        made.add_island("JP", [(0, 0, 1.2, "泵站"), (60, 0, 1.2, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)
        made.add_island("JP", [(30, -25, 1.2, "盖堵"), (30, 25, 1.2, "泵站")])


@defect("T4")
def no_source(made: Made, _street: int, _at: int) -> None:
    with island(made, "T4") as rows:
        rows["points"].append(made.add_island("JP", [(0, 0, 1.2, "盖堵"), (60, 0, 1.2, "盖堵")])[0])


@defect("T5")
def circle(made: Made, _street: int, _at: int) -> None:
    with island(made, "T5", "G1 G2 G3 G4 G5 T4 T6 T7") as rows:
        found = made.add_island("WS", [(0, 0, 2.0, "检查井"), (40, 0, 2.15, "检查井"), (20, 35, 2.3, "检查井")])
        made.add_line("WS", found[2], found[0])
        rows["lines"] += range(len(made.lines) - 3, len(made.lines))


@defect("T6")
def two_ways(made: Made, _street: int, _at: int) -> None:
    with island(made, "T6") as rows:
        found = made.add_island("WS", [(0, 0, 2.0, "检查井"), (40, 0, 2.3, "检查井"), (80, 0, 2.6, "出水口")])
        other = made.add_island("WS", [(40, 40, 2.6, "出水口")])
        made.add_line("WS", found[1], other[0])
        rows["points"].append(found[1])


@defect("T7")
def narrowing(made: Made, street: int, at: int) -> None:
    line = made.line("YS", street, at)
    made.lines[line]["管径或断面尺寸"] = "500"
    made.plant("T7", lines=[line])


@defect("T8")
def mixed(made: Made, _street: int, _at: int) -> None:
    with island(made, "T8") as rows:
        sewer = made.add_island("WS", [(0, 0, 2.0, "检查井"), (40, 0, 2.3, "检查井")])
        out = made.add_island("YS", [(80, 0, 2.6, "出水口")])
        made.add_line("YS", sewer[1], out[0])
        rows["points"].append(sewer[1])


@defect("T9")
def pressure_jump(made: Made, street: int, at: int) -> None:
    line = made.line("TR", street, at)
    made.lines[line]["压力级别"] = "低压"
    made.plant("T9", [made.point("TR", street, at), made.point("TR", street, at + 1)])


@defect("T10")
def last_valve(made: Made, _street: int, _at: int) -> None:
    with island(made, "T10", "T1") as rows:
        rows["points"].append(made.add_island("JP", [(0, 0, 1.2, "泵站"), (60, 0, 1.2, "阀门")])[1])


def _reach(made: Made, street: int, at: int, fall: float, minor: str = "WS") -> int:
    """A sewer of a street with another fall over its 40 m; the well at its end becomes a drop well."""
    line = made.line(minor, street, at)
    row = made.lines[line]
    ground = float(row["终点高程"]) + float(row["终点埋深"])
    level = float(row["起点高程"]) - fall
    row["终点高程"], row["终点埋深"] = f"{level:.2f}", f"{ground - level:.2f}"
    return line


@defect("G1")
def uphill(made: Made, street: int, at: int) -> None:
    made.plant("G1", lines=[_reach(made, street, at, -0.10)])


@defect("G2")
def flat(made: Made, street: int, at: int) -> None:
    made.plant("G2", lines=[_reach(made, street, at, 0.02)], also="G4")


@defect("G3")
def steep(made: Made, _street: int, _at: int) -> None:
    with island(made, "G3") as rows:
        made.add_island("WS", [(0, 0, 1.5, "检查井"), (10, 0, 4.0, "出水口")])
        rows["lines"].append(len(made.lines) - 1)


@defect("G4")
def slow(made: Made, _street: int, _at: int) -> None:
    with island(made, "G4", "G2") as rows:
        made.add_island("YS", [(0, 0, 2.0, "检查井"), (40, 0, 2.03, "出水口")], 管径或断面尺寸="300")
        rows["lines"].append(len(made.lines) - 1)


@defect("G5")
def turned_back(made: Made, _street: int, _at: int) -> None:
    with island(made, "G5") as rows:
        made.add_island("WS", [(0, 0, 2.0, "检查井"), (40, 0, 2.3, "检查井"), (5, 12, 2.6, "出水口")])
        rows["lines"].append(len(made.lines) - 2)


@defect("G6")
def far_wells(made: Made, _street: int, _at: int) -> None:
    with island(made, "G6", "L4") as rows:
        made.add_island("WS", [(0, 0, 2.0, "检查井"), (90, 0, 2.6, "出水口")])
        rows["lines"].append(len(made.lines) - 1)


@defect("G7")
def small_sewer(made: Made, _street: int, _at: int) -> None:
    with island(made, "G7") as rows:
        made.add_island("WS", [(0, 0, 2.0, "检查井"), (40, 0, 2.5, "出水口")], 管径或断面尺寸="250")
        rows["lines"].append(len(made.lines) - 1)


@defect("C1")
def thin_cover(made: Made, _street: int, _at: int) -> None:
    with island(made, "C1") as rows:
        made.add_island("WS", [(0, 0, 0.8, "检查井"), (40, 0, 1.1, "出水口")])
        rows["lines"].append(len(made.lines) - 1)


@defect("C2")
def thin_cover_of_water(made: Made, _street: int, _at: int) -> None:
    with island(made, "C2") as rows:
        made.add_island("JP", [(0, 0, 0.4, "泵站"), (40, 0, 0.4, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)


@defect("C3")
def in_the_frost(made: Made, _street: int, _at: int) -> None:
    with island(made, "C3") as rows:
        made.add_island("JP", [(0, 0, 0.7, "泵站"), (40, 0, 0.7, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)


@defect("X1")
def side_by_side(made: Made, _street: int, _at: int) -> None:
    with island(made, "X1", "X4") as rows:
        made.add_island("JP", [(0, 0, 3.0, "泵站"), (40, 0, 3.0, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)
        made.add_island("WS", [(0, 0.9, 3.0, "检查井"), (40, 0.9, 3.2, "出水口")])


def _cross(made: Made, rule: str, also: str) -> None:
    with island(made, rule, also) as rows:
        made.add_island("JP", [(0, 0, 1.5, "泵站"), (60, 0, 1.5, "盖堵")])
        made.add_island("TR", [(30, -25, 1.85, "调压箱"), (30, 25, 1.85, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)


@defect("X2")
def crossing(made: Made, _street: int, _at: int) -> None:
    _cross(made, "X2", "X1 X4")


@defect("X3")
def over_water(made: Made, _street: int, _at: int) -> None:
    with island(made, "X3", "X4") as rows:
        made.add_island("JP", [(0, 0, 2.8, "泵站"), (60, 0, 2.8, "盖堵")])
        rows["lines"].append(len(made.lines) - 1)
        made.add_island("WS", [(30, -25, 2.0, "检查井"), (30, 25, 2.2, "出水口")])
        rows["lines"].append(len(made.lines) - 1)


@defect("X4")
def who_yields(made: Made, _street: int, _at: int) -> None:
    _cross(made, "X4", "X1 X2")


@defect("K2")
def swapped(made: Made, street: int, at: int) -> None:
    point = made.point("GD", street, at)
    row = made.points[point]
    row["X坐标"], row["Y坐标"] = row["Y坐标"], row["X坐标"]
    made.plant("K2", [point])


@defect("K3")
def prefixed(made: Made, street: int, at: int) -> None:
    point = made.point("GD", street, at)
    made.points[point]["Y坐标"] = "39" + made.points[point]["Y坐标"]
    made.plant("K3", [point])


@defect("K4")
def another_zone(made: Made, street: int, at: int) -> None:
    point = made.point("GD", street, at)
    made.points[point]["Y坐标"] = f"{float(made.points[point]['Y坐标']) + 257_000:.3f}"
    made.plant("K4", [point])
