"""What the two tables of a pipe survey hold: every field by its canonical name, its kind, its words and its ranges.

The names are those of the layers `pipe_points` and `pipe_segments`; beside them stand the few that only a survey
has, such as the planar coordinates. Headers follow the sample tables of CJJ 61-2017 and the pinyin abbreviations of
survey offices. In a survey table X points north.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import layers
from gis_core.model import Label


class Table(StrEnum):
    """The two tables of a survey."""

    points = "points"
    lines = "lines"

    @property
    def label(self) -> Label:
        """The table as people call it."""
        return Label("管点表", "point table") if self is Table.points else Label("管线表", "line table")


class Kind(StrEnum):
    """How the text of a cell is read."""

    text = "text"
    number = "number"
    whole = "whole"
    date = "date"
    flag = "flag"
    year = "year"
    size = "size"
    word = "word"


@dataclass(frozen=True)
class Known:
    """One field of a survey table.

    `essential`: without it a row says nothing. `mandatory`: the standard wants it filled. `within` are the believable
    values. `headers` are its names in files, the best first; a `word` field is a code list (see `words`).
    """

    name: str
    label: Label
    kind: Kind
    headers: tuple[str, ...]
    essential: bool = False
    mandatory: bool = False
    within: tuple[float, float] | None = None
    unit: str = ""


def _known(name: str, zh: str, en: str, kind: Kind, headers: str, **more: object) -> Known:
    return Known(name, Label(zh, en), kind, tuple(headers.split()), **more)  # type: ignore[arg-type]


_T, _N, _I, _W = Kind.text, Kind.number, Kind.whole, Kind.word
_PLACES: Final = (-1e8, 1e8)
_LEVELS: Final = (-200.0, 9000.0)
_DEPTHS: Final = (-50.0, 100.0)

_SHARED: Final = (
    _known(
        "pipe_class", "管线类别", "Class", _W, "管类 管线类型 管线种类 管线大类 大类 GXLX GXLB GXZL GXDL class medium"
    ),
    _known("subclass", "管线小类", "Minor class", _T, "小类 管线小类代号 小类代号 GXXL XLDH"),
    _known("feature_code", "要素代码", "Feature code", _T, "编码 要素编码 国标代码 分类代码 YSDM YSBM BM FLDM"),
    _known("road_name", "道路名称", "Road", _T, "所在道路 道路 路名 SZDL DLMC road", mandatory=True),
    _known("owner", "权属单位", "Owner", _T, "权属 产权单位 QSDW CQDW owner_name", mandatory=True),
    _known(
        "built_year", "建设年代", "Year built", Kind.year, "埋设年代 建设年份 建成年代 敷设年代 JSND JSNF MSND built"
    ),
    _known("surveyed_by", "探测单位", "Surveyed by", _T, "测量单位 调查单位 TCDW CLDW"),
    _known("surveyed_on", "探测日期", "Surveyed on", Kind.date, "探测时间 测量日期 调查日期 TCRQ CLRQ TCSJ"),
    _known("status", "使用状态", "Status", _W, "状态 使用状况 SYZT ZT"),
    _known("secrecy", "密级", "Secrecy", _W, "秘密等级 保密级别 MJ"),
)

POINTS: Final = (
    _known(
        "point_no", "物探点号", "Point number", _T, "点号 管点编号 管点号 物探编号 WTDH GDBH DH point", essential=True
    ),
    _known("map_no", "图上点号", "Number on the map", _T, "图上编号 TSDH TSBH"),
    _known("feature", "特征", "Feature", _T, "特征点 管点特征 TZ TZD"),
    _known("appurtenance", "附属物", "Appurtenance", _T, "附属物名称 附属设施 FSW FSWMC"),
    _known("kind", "点类型", "Kind", _W, "管点类型 特征或附属物 DLX"),
    _known(
        "north",
        "X坐标",
        "Northing",
        _N,
        "X X(北) 纵坐标 北坐标 XZB X坐标(m) 纬度 lat latitude northing",
        essential=True,
        within=_PLACES,
    ),
    _known(
        "east",
        "Y坐标",
        "Easting",
        _N,
        "Y Y(东) 横坐标 东坐标 YZB Y坐标(m) 经度 lon lng longitude easting",
        essential=True,
        within=_PLACES,
    ),
    _known(
        "ground_m",
        "地面高程",
        "Ground elevation",
        _N,
        "高程 地面标高 DMGC GC H Z",
        mandatory=True,
        within=_LEVELS,
        unit="m",
    ),
    _known("depth_m", "埋深", "Depth", _N, "管点埋深 MS", within=_DEPTHS, unit="m"),
    _known("invert_m", "井底高程", "Bottom of the well", _N, "井底标高 JDGC", within=_LEVELS, unit="m"),
    _known("well_depth_m", "井深", "Depth of the well", _N, "检查井深 JINGSHEN JS", within=(0.0, 60.0), unit="m"),
    _known("well_shape", "井形状", "Shape of the well", _T, "井室形状 JXZ"),
    _known("well_size", "井尺寸", "Size of the well", _T, "井室尺寸 JCC"),
    _known("well_material", "井材质", "Material of the well", _T, "井材料 JCZ"),
    _known("cover_shape", "井盖形状", "Shape of the cover", _T, "JGXZ"),
    _known("cover_size", "井盖尺寸", "Size of the cover", _T, "井盖规格 JGCC JGGG"),
    _known("cover_material", "井盖材质", "Material of the cover", _T, "井盖材料 JGCZ"),
    _known("offset_m", "偏心距", "Eccentricity", _N, "PXJ", within=(0.0, 50.0), unit="m"),
    _known("offset_point", "偏心井位", "Well of an eccentric point", _T, "偏心井点号 偏心井 PXJW"),
    _known("rotation_deg", "符号角", "Rotation", _N, "旋转角 旋转角度 FHJ XZJ", within=(-360.0, 360.0), unit="°"),
    _known("survey_kind", "管点类别", "Exposed or hidden", _W, "探测点类别 明显隐蔽 GDLB"),
    _known("position_rmse_m", "平面精度", "Position error", _N, "平面中误差 PMJD", within=(0.0, 100.0), unit="m"),
    _known("depth_rmse_m", "埋深精度", "Depth error", _N, "埋深中误差 MSJD", within=(0.0, 100.0), unit="m"),
    _known("valve_open", "阀门开启", "Valve open", Kind.flag, "阀门状态 开关状态 FMZT"),
    _known("operable", "可操作", "Operable", Kind.flag, "能否操作 KCZ"),
    _known("accessible", "可到达", "Accessible", Kind.flag, "能否到达 KDD"),
    _known("customers", "用户数", "Customers", _I, "用户数量 YHS", within=(0.0, 1e7)),
    _known("demand_m3h", "用水量", "Demand", _N, "YSL", within=(0.0, 1e6), unit="m³/h"),
    *_SHARED,
)

LINES: Final = (
    _known(
        "start_point", "起点点号", "Start point", _T, "起点号 起始点号 管线起点 起点 QDDH QDH start", essential=True
    ),
    _known(
        "end_point",
        "终点点号",
        "End point",
        _T,
        "终点号 终止点号 连接点号 连接方向 终点 ZDDH ZDH LJDH end",
        essential=True,
    ),
    _known("material", "材质", "Material", _T, "材料 管材 管线材料 CZ", mandatory=True),
    _known("laying", "埋设方式", "Laying", _W, "埋设类型 敷设方式 MSFS MSLX FSFS", mandatory=True),
    _known("section", "断面类型", "Section", _W, "断面形状 截面形状 DMLX DMXZ"),
    _known(
        "size",
        "管径或断面尺寸",
        "Diameter or section",
        Kind.size,
        "管径 断面尺寸 规格 管径(mm) 管径或断面 GJ DMCC GG dn diameter",
    ),
    _known("width_mm", "断面宽", "Width", _N, "宽 KD", within=(1.0, 20000.0), unit="mm"),
    _known("height_mm", "断面高", "Height", _N, "高 GD", within=(1.0, 20000.0), unit="mm"),
    _known("wall_mm", "壁厚", "Wall", _N, "BH", within=(0.0, 1000.0), unit="mm"),
    _known(
        "start_depth_m",
        "起点埋深",
        "Start depth",
        _N,
        "起始埋深 QDMS depth_a",
        essential=True,
        within=_DEPTHS,
        unit="m",
    ),
    _known(
        "end_depth_m", "终点埋深", "End depth", _N, "终止埋深 ZDMS depth_b", essential=True, within=_DEPTHS, unit="m"
    ),
    _known(
        "start_level_m",
        "起点管线高程",
        "Start elevation",
        _N,
        "起点高程 起点管顶高程 起点管底高程 QDGC QDGXGC",
        within=_LEVELS,
        unit="m",
    ),
    _known(
        "end_level_m",
        "终点管线高程",
        "End elevation",
        _N,
        "终点高程 终点管顶高程 终点管底高程 ZDGC ZDGXGC",
        within=_LEVELS,
        unit="m",
    ),
    _known("depth_reference", "埋深基准", "Depth reference", _W, "埋深类型 高程类型 MSJZ"),
    _known("length_m", "长度", "Length", _N, "管长 管线长度 CD GXCD", within=(0.0, 1e5), unit="m"),
    _known("flow", "流向", "Flow", _W, "水流方向 LX"),
    _known("pressure_mpa", "压力值", "Pressure", _N, "压力(MPa) YLZ pressure", within=(0.0, 50.0), unit="MPa"),
    _known("pressure_class", "压力级别", "Pressure class", _W, "压力 压力等级 YL YLJB YLDJ"),
    _known(
        "voltage_kv", "电压值", "Voltage", _N, "电压 电压(kV) 电压等级 DY DYZ voltage", within=(0.0, 2000.0), unit="kV"
    ),
    _known("cable_count", "电缆条数", "Cables", _I, "电缆根数 条数 DLTS", within=(0.0, 10000.0)),
    _known("hole_count", "总孔数", "Ducts", _I, "孔数 ZKS", within=(0.0, 10000.0)),
    _known("holes_used", "已用孔数", "Ducts used", _I, "占用孔数 YYKS", within=(0.0, 10000.0)),
    _known("protection", "保护材料", "Protection", _T, "套管材质 保护方式 BHCL"),
    _known("temperature_c", "温度", "Temperature", _N, "WD", within=(-50.0, 600.0), unit="°C"),
    _known("heat_side", "供回水", "Supply or return", _W, "供/回水 GHS"),
    _known("use_unit", "使用单位", "Used by", _T, "SYDW"),
    _known("design_life_years", "设计年限", "Design life", _I, "设计使用年限 SJNX", within=(0.0, 300.0)),
    _known("accuracy_m", "精度", "Accuracy", _N, "管线精度 JD", within=(0.0, 100.0), unit="m"),
    _known("leak_count", "漏损次数", "Leaks", _I, "LSCS", within=(0.0, 10000.0)),
    _known("defect_grade", "缺陷等级", "Defect grade", _I, "QXDJ", within=(0.0, 10.0)),
    _known("inspected_on", "检测日期", "Inspected on", Kind.date, "JCRQ"),
    *_SHARED,
)
BY_TABLE: Final[Mapping[Table, tuple[Known, ...]]] = {Table.points: POINTS, Table.lines: LINES}
LAYERS: Final = {Table.points: "pipe_points", Table.lines: "pipe_segments"}
# The layer's own key is a code of the whole city, which a survey does not have.
_ELSEWHERE: Final = {"code": "point_no"}


@cache
def known(table: Table, name: str) -> Known:
    """A field by its canonical name. Raises KeyError."""
    return {field.name: field for field in BY_TABLE[table]}[name]


@cache
def headers(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Every header under which each field may stand, the best first: its label and its own, then the layer's."""
    layer = layers.load()[LAYERS[table]]
    given: dict[str, tuple[str, ...]] = {}
    for attribute, names in layer.ingest.aliases.items():
        name = _ELSEWHERE.get(attribute.key, attribute.key) if table is Table.points else attribute.key
        given[name] = given.get(name, ()) + tuple(names)
    taken = {h.casefold() for f in BY_TABLE[table] for h in (f.name, f.label.zh, *f.headers)}
    found = {}
    for field in BY_TABLE[table]:
        more = [h for h in given.get(field.name, ()) if h.casefold() not in taken]
        found[field.name] = tuple(dict.fromkeys((field.name, field.label.zh, *field.headers, *more, field.label.en)))
    return found
