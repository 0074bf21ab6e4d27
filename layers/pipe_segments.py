"""Underground pipe segments (管线段): what runs where, how deep, how wide, and whose it is."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import FromClause, Function, func
from sqlalchemy.orm import Mapped

from data import codes
from gis_core import (
    Access,
    Appears,
    Combine,
    Feature,
    Ingest,
    Label,
    Layer,
    Measure,
    Underground,
    by,
    field,
    line,
)
from gis_core.errors import Problem
from layers._groups import UTILITIES
from layers._pipes import (
    ABOUT,
    ALOFT,
    FLOW_WORDS,
    LAYING_WORDS,
    PRESSURE_WORDS,
    REFERENCE_WORDS,
    SECRECY_WORDS,
    SECTION_WORDS,
    SIDE_WORDS,
    STATUS_WORDS,
    WORDS,
    DepthReference,
    Flow,
    HeatSide,
    Laying,
    PipeClass,
    PressureClass,
    Secrecy,
    Section,
    Status,
)

SHORTEST_M = 0.05


class PipeSegment(Feature):
    """One pipe between two pipe points.

    Depths (below the surface, negative above it) and levels (elevations) are of the crown (管顶) or the invert
    (管内底), as `depth_reference` says; where it is not said, of the crown. `diameter_mm` of a rectangular section is
    its width. The line in three dimensions is `line_3d`.
    """

    __tablename__ = "pipe_segments"

    geom = line()
    code: Mapped[str] = field("管段编号", "Segment code", key=True)
    pipe_class: Mapped[PipeClass] = field("管类", "Class", index=True)
    subclass: Mapped[str | None] = field("小类", "Minor class", pattern=r"[A-Z]{2}")
    feature_code: Mapped[str | None] = field("要素代码", "Feature code", pattern=codes.FEATURE_CODE)
    start_point: Mapped[str | None] = field("起点点号", "Start point", index=True)
    end_point: Mapped[str | None] = field("终点点号", "End point", index=True)
    material: Mapped[str | None] = field("材质", "Material")
    laying: Mapped[Laying | None] = field("埋设方式", "Laying")
    section: Mapped[Section | None] = field("断面形状", "Section")
    diameter_mm: Mapped[float] = field("管径", "Diameter", unit="mm", within=(10, 6000))
    width_mm: Mapped[float | None] = field("断面宽", "Width", unit="mm", within=(10, 20_000))
    height_mm: Mapped[float | None] = field("断面高", "Height", unit="mm", within=(10, 20_000))
    wall_mm: Mapped[float | None] = field("壁厚", "Wall thickness", unit="mm", within=(0, 1000))
    start_depth_m: Mapped[float] = field("起点埋深", "Start depth", unit="m", within=(-50, 50))
    end_depth_m: Mapped[float] = field("终点埋深", "End depth", unit="m", within=(-50, 50))
    start_level_m: Mapped[float | None] = field("起点高程", "Start elevation", unit="m", within=(-250, 9000))
    end_level_m: Mapped[float | None] = field("终点高程", "End elevation", unit="m", within=(-250, 9000))
    depth_reference: Mapped[DepthReference | None] = field("埋深基准", "Depth reference")
    length_m: Mapped[float | None] = field("长度", "Length", unit="m", within=(SHORTEST_M, 5000))
    flow: Mapped[Flow | None] = field("流向", "Flow")
    pressure_mpa: Mapped[float | None] = field("压力", "Pressure", unit="MPa", within=(0, 20))
    pressure_class: Mapped[PressureClass | None] = field("压力级别", "Pressure class")
    voltage_kv: Mapped[float | None] = field("电压", "Voltage", unit="kV", within=(0, 1200))
    cable_count: Mapped[int | None] = field("电缆条数", "Cables", within=(0, 10_000))
    hole_count: Mapped[int | None] = field("总孔数", "Holes", within=(0, 1000))
    holes_used: Mapped[int | None] = field("已用孔数", "Holes used", within=(0, 1000))
    protection: Mapped[str | None] = field("保护材料", "Protection")
    temperature_c: Mapped[float | None] = field("温度", "Temperature", unit="°C", within=(-60, 600))
    heat_side: Mapped[HeatSide | None] = field("供回水", "Supply or return")
    use_unit: Mapped[str | None] = field("使用单位", "Used by")
    built_year: Mapped[int | None] = field("建设年份", "Year built", within=(1850, 2100))
    design_life_years: Mapped[int | None] = field("设计年限", "Design life", unit="a", within=(1, 500))
    road_name: Mapped[str | None] = field("所在道路", "Road", name=True)
    owner: Mapped[str] = field("权属单位", "Owner", index=True)
    surveyed_by: Mapped[str | None] = field("探测单位", "Surveyed by")
    surveyed_on: Mapped[date | None] = field("探测日期", "Surveyed on")
    accuracy_m: Mapped[float | None] = field("探测精度", "Accuracy", unit="m", within=(0, 100))
    status: Mapped[Status | None] = field("使用状态", "Status")
    secrecy: Mapped[Secrecy | None] = field("密级", "Secrecy")
    leak_count: Mapped[int | None] = field("漏损次数", "Leaks", within=(0, 10_000))
    defect_grade: Mapped[int | None] = field("缺陷等级", "Defect grade", within=(0, 4))
    inspected_on: Mapped[date | None] = field("检测日期", "Inspected on")


def line_3d(rows: FromClause) -> Function[Any]:
    """The lines of `rows` (a select of `visible()`, or the table) as LineStringZ, EPSG:4326, heights in metres.

    Heights run evenly from `start_level_m` to `end_level_m`; without both there is NULL. PostgreSQL computes them when
    asked, by its function `chengtu_line_3d`: kept in the table they would make it a third larger and slower to fill.
    """
    return func.chengtu_line_3d(
        rows.c.geom, rows.c.start_level_m, rows.c.end_level_m, type_=Geometry("LINESTRINGZ", 4326, dimension=3)
    )


def long_enough(frame: Any) -> Iterator[Problem]:
    """A stated length below 5 cm is a digitising slip (CJJ 61-2017 checks)."""
    if "length_m" in frame:
        for row in frame.index[frame["length_m"] < SHORTEST_M]:
            yield Problem(int(row), "length_m", f"{frame['length_m'][row]} m is shorter than 5 cm")


def two_ends(frame: Any) -> Iterator[Problem]:
    """A segment runs between two different points."""
    if {"start_point", "end_point"} <= set(frame.columns):
        same = frame["start_point"].notna() & (frame["start_point"] == frame["end_point"])
        for row in frame.index[same]:
            yield Problem(int(row), "end_point", f"starts and ends at {frame['end_point'][row]!r}")


def below_ground(frame: Any) -> Iterator[Problem]:
    """A depth is negative only where a pipe is laid above the ground (CJJ 61-2017, C.0.2)."""
    buried = ~frame["laying"].isin([known.name for known in ALOFT]) if "laying" in frame else True
    for name in ("start_depth_m", "end_depth_m"):
        for row in frame.index[(frame[name] < 0) & buried]:
            yield Problem(int(row), name, f"{frame[name][row]} m is above the ground; only pipes laid aloft are")


LAYER = Layer(
    PipeSegment,
    title=Label("地下管线", "Pipe segments"),
    group=UTILITIES,
    style=Underground(
        by(PipeSegment.pipe_class),
        width=PipeSegment.diameter_mm,
        start_depth=PipeSegment.start_depth_m,
        end_depth=PipeSegment.end_depth_m,
    ),
    appears=(
        Appears(11, PipeSegment.diameter_mm >= 600),
        Appears(13, PipeSegment.diameter_mm >= 300),
        Appears(14),
    ),
    tile_fields=(
        PipeSegment.code,
        PipeSegment.pipe_class,
        PipeSegment.diameter_mm,
        PipeSegment.start_depth_m,
        PipeSegment.end_depth_m,
        PipeSegment.owner,
    ),
    measures=(
        Measure(
            "length",
            Label("管线长度", "Length"),
            Combine.sum,
            PipeSegment.length_m / 1000,
            unit="km",
            palette="teal",
            presence=True,
        ),
        Measure("segments", Label("管段数", "Segments"), presence=True),
        Measure("diameter", Label("平均管径", "Mean diameter"), Combine.mean, PipeSegment.diameter_mm, unit="mm"),
        Measure(
            "depth",
            Label("平均埋深", "Mean depth"),
            Combine.mean,
            (PipeSegment.start_depth_m + PipeSegment.end_depth_m) / 2,
            unit="m",
            palette="plasma",
        ),
        Measure(
            "oldest",
            Label("最早建设年份", "Oldest year"),
            Combine.min,
            PipeSegment.built_year,
            palette="magma",
        ),
    ),
    ingest=Ingest(
        aliases={
            PipeSegment.code: ("GXBH", "GDBH", "管段编号", "管线编号"),
            PipeSegment.pipe_class: ("GXLX", "class", "medium", "管类", "管线类型"),
            PipeSegment.subclass: ABOUT["subclass"],
            PipeSegment.feature_code: ABOUT["feature_code"],
            PipeSegment.start_point: ("QDDH", "起点点号", "起始点号"),
            PipeSegment.end_point: ("ZDDH", "终点点号", "终止点号", "连接点号"),
            PipeSegment.material: ("CZ", "材质", "材料"),
            PipeSegment.laying: ("MSFS", "MSLX", "埋设方式", "敷设方式", "埋设类型"),
            PipeSegment.section: ("DMXZ", "断面形状", "断面形式", "断面"),
            PipeSegment.diameter_mm: ("GJ", "diameter", "dn", "管径"),
            PipeSegment.width_mm: ("DMK", "断面宽", "管宽"),
            PipeSegment.height_mm: ("DMG", "断面高", "管高"),
            PipeSegment.wall_mm: ("GBH", "壁厚", "管壁厚"),
            PipeSegment.start_depth_m: ("QDMS", "depth_a", "起点埋深"),
            PipeSegment.end_depth_m: ("ZDMS", "depth_b", "终点埋深"),
            PipeSegment.start_level_m: ("QDGC", "起点高程", "起点管线高程"),
            PipeSegment.end_level_m: ("ZDGC", "终点高程", "终点管线高程"),
            PipeSegment.depth_reference: ("MSJZ", "埋深基准"),
            PipeSegment.length_m: ("GXCD", "CD", "长度", "管长", "管段长度"),
            PipeSegment.flow: ("SLFX", "流向", "水流方向"),
            PipeSegment.pressure_mpa: ("YL", "YLZ", "压力", "压力值"),
            PipeSegment.pressure_class: ("YLJB", "YLDJ", "压力级别", "压力等级"),
            PipeSegment.voltage_kv: ("DY", "DYZ", "电压", "电压值"),
            PipeSegment.cable_count: ("DLTS", "电缆条数", "电缆根数"),
            PipeSegment.hole_count: ("ZKS", "总孔数"),
            PipeSegment.holes_used: ("YYKS", "已用孔数", "占用孔数"),
            PipeSegment.protection: ("BHCL", "保护材料", "保护材质"),
            PipeSegment.temperature_c: ("JZWD", "温度", "介质温度"),
            PipeSegment.heat_side: ("GHS", "供回水"),
            PipeSegment.use_unit: ("SYDW", "使用单位"),
            PipeSegment.built_year: ("JSNF", "JSND", "MSND", "built", "建设年份", "建设年代", "埋设年代"),
            PipeSegment.design_life_years: ("SJNX", "设计年限"),
            PipeSegment.road_name: ABOUT["road_name"],
            PipeSegment.owner: (*ABOUT["owner"], "owner_name"),
            PipeSegment.surveyed_by: ABOUT["surveyed_by"],
            PipeSegment.surveyed_on: ABOUT["surveyed_on"],
            PipeSegment.accuracy_m: ("TCJD", "探测精度"),
            PipeSegment.status: ABOUT["status"],
            PipeSegment.secrecy: ABOUT["secrecy"],
            PipeSegment.leak_count: ("LSCS", "漏损次数"),
            PipeSegment.defect_grade: ("QXDJ", "缺陷等级"),
            PipeSegment.inspected_on: ("JCRQ", "检测日期"),
        },
        words={
            PipeSegment.pipe_class: WORDS,
            PipeSegment.laying: LAYING_WORDS,
            PipeSegment.section: SECTION_WORDS,
            PipeSegment.depth_reference: REFERENCE_WORDS,
            PipeSegment.flow: FLOW_WORDS,
            PipeSegment.pressure_class: PRESSURE_WORDS,
            PipeSegment.heat_side: SIDE_WORDS,
            PipeSegment.status: STATUS_WORDS,
            PipeSegment.secrecy: SECRECY_WORDS,
        },
        checks=(long_enough, two_ends, below_ground),
    ),
    access=Access(
        read="pipes.view",
        write="pipes.edit",
        owner=PipeSegment.owner,
        secrecy=PipeSegment.secrecy,
        hide=dict.fromkeys(
            (
                PipeSegment.material,
                PipeSegment.pressure_mpa,
                PipeSegment.pressure_class,
                PipeSegment.voltage_kv,
                PipeSegment.cable_count,
                PipeSegment.hole_count,
                PipeSegment.holes_used,
                PipeSegment.temperature_c,
                PipeSegment.use_unit,
                PipeSegment.built_year,
                PipeSegment.design_life_years,
                PipeSegment.secrecy,
                PipeSegment.leak_count,
                PipeSegment.defect_grade,
                PipeSegment.inspected_on,
            ),
            "pipes.attributes",
        ),
    ),
)
