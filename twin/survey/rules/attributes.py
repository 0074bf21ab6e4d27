"""A1-A14: what stands in the cells, each row by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from data import codes
from data.codes import limits
from gis_core.ingest.batches import ROW
from twin.survey.fields import BY_TABLE, Table
from twin.survey.findings import ERROR, WARNING, Found, Mask, each, of_all, where
from twin.survey.network import Network
from twin.survey.rules import OWN, rule

_CJJ: Final = "CJJ 61-2017"
_UNIT_MM: Final = 10.0
_SMALL_DRAIN_MM: Final = 100.0


@rule("A1", "表头齐全且不重复", "Headers are there, each once")
def headers(net: Network) -> Iterator[Found]:
    """Said by reading: a column that is missing, or stands twice."""
    yield from net.said_by_reading("A1")


@rule("A2", "必填项已填", "Mandatory fields are filled", standard=_CJJ, clause="sample tables")
def mandatory(net: Network) -> Iterator[Found]:
    """An essential field that is empty is an error; another mandatory one is told."""
    for table, frame in _tables(net):
        for field in BY_TABLE[table]:
            if not (field.essential or field.mandatory or field.name in {"pipe_class", "size"}):
                continue
            name = "diameter_mm" if field.name == "size" else field.name
            empty = frame[name].isna().to_numpy()
            if table is Table.lines and name == "pipe_class":
                empty = pd.isna(net.line_class)
            if table is Table.lines and name == "diameter_mm":
                empty = empty & ~_cables(net)
            empty = empty & ~_spoilt(net, table, field.name, len(frame))
            # A column that is not there at all is said once, by A1.
            if empty.any() and not (empty.all() and _absent(net, table, field.name)):
                severity = ERROR if field.essential or name in {"pipe_class", "diameter_mm"} else WARNING
                zh, en = f"{field.label.zh}为空", f"{field.label.en} is empty"
                yield Found(table, where(empty), field.name, zh, en, severity=severity)


@rule("A3", "数值、日期可读", "Numbers and dates can be read")
def readable(net: Network) -> Iterator[Found]:
    """Said by reading: text in a column of numbers, formulas without a value, broken rows."""
    yield from net.said_by_reading("A3")


@rule("A4", "取值在代码表和合理范围内", "Codes are known, numbers believable", standard=_CJJ, clause="App. B, C")
def domains(net: Network) -> Iterator[Found]:
    """Said by reading."""
    yield from net.said_by_reading("A4")


@rule("A5", "要素代码与小类、点线类型一致", "Feature codes agree with class and kind", standard=_CJJ, clause="App. F")
def feature_codes(net: Network) -> Iterator[Found]:
    """Each different code is looked at once: its form, its class, point or line, the catalogue where it is complete."""
    catalogue = codes.feature_codes()
    for table, frame in _tables(net):
        said = frame["feature_code"]
        own = net.point_class if table is Table.points else net.line_class
        shape = "point" if table is Table.points else "line"
        faults: dict[str, tuple[str, str]] = {}
        classes: dict[str, str] = {}
        for code in said.dropna().unique():
            if not codes.has_form(code):
                faults[code] = "不是八位要素代码", "is no eight-digit feature code"
            elif codes.catalogued(code) and code not in catalogue:
                faults[code] = "不在要素代码表中", "is not in the catalogue"
            elif code[4] != ("2" if shape == "point" else "1"):
                faults[code] = "的点线类型与表不符", f"is not the code of a {shape}"
            elif (minor := codes.minor_of(code)) is not None:
                classes[code] = minor.pipe_class
        for why in dict.fromkeys(faults.values()):
            bad = said.isin([code for code, w in faults.items() if w == why]).to_numpy()
            rows = where(bad)
            yield Found(
                table,
                rows,
                "feature_code",
                "要素代码 {} " + why[0],
                "feature code {} " + why[1],
                (said.to_numpy()[rows],),
            )
        by_code = each(said, classes.get)
        clash = ~pd.isna(by_code) & ~pd.isna(own) & (by_code != own)
        rows = where(clash)
        zh, en = "要素代码 {} 与管类 {} 不符", "feature code {} is not of class {}"
        yield Found(table, rows, "feature_code", zh, en, (said.to_numpy()[rows], own[rows]))


@rule(
    "A6",
    "特征与附属物必填其一且只填其一",
    "Either a feature or an appurtenance, never both",
    standard=_CJJ,
    clause="3.2",
)
def one_kind(net: Network) -> Iterator[Found]:
    """Only where the table has both columns."""
    feature, appurtenance = net.points["feature"], net.points["appurtenance"]
    if feature.isna().all() or appurtenance.isna().all():
        return
    both = (feature.notna() & appurtenance.notna()).to_numpy()
    rows = where(both)
    said = (feature.to_numpy()[rows], appurtenance.to_numpy()[rows])
    yield Found(
        Table.points, rows, "feature", "特征“{}”与附属物“{}”同时填写", "has feature {} and appurtenance {}", said
    )
    neither = (feature.isna() & appurtenance.isna() & net.points["point_no"].notna()).to_numpy()
    yield Found(Table.points, where(neither), "feature", "特征与附属物都未填写", "has neither feature nor appurtenance")


@rule("A7", "材质适用于管类", "The material fits the class", standard=_CJJ, clause="C.0.1")
def materials(net: Network) -> Iterator[Found]:
    """By the classes that each material is allowed for."""
    said = net.lines["material"]
    allowed = codes.materials()
    bad = np.zeros(len(said), bool)
    for letters in said.dropna().unique():
        if letters in allowed:
            fits = np.isin(net.line_class.astype(str), [*allowed[letters].pipe_classes, "None"])
            bad |= (said == letters).fillna(value=False).to_numpy(bool) & ~fits
    rows = where(bad)
    zh, en = "材质 {} 不用于管类 {}", "material {} is not used for class {}"
    yield Found(Table.lines, rows, "material", zh, en, (said.to_numpy()[rows], net.line_class[rows]))


@rule("A8", "建设年代不早于1900年、不晚于探测日期", "Built after 1900 and before the survey")
def built(net: Network) -> Iterator[Found]:
    """Not in the future either."""
    for table, frame in _tables(net):
        year = frame["built_year"].to_numpy(float)
        surveyed = frame["surveyed_on"].dt.year.to_numpy(float)
        bad = (year < limits.limit("oldest_year")) | (year > net.facts.today.year)
        rows = where(bad)
        yield Found(table, rows, "built_year", "建设年代 {} 不可信", "year built {} is not believable", (year[rows],))
        late = ~bad & (year > surveyed)
        rows = where(late)
        zh, en = "建设年代 {} 晚于探测年份 {}", "year built {} is after the survey in {}"
        yield Found(table, rows, "built_year", zh, en, (year[rows], surveyed[rows]))


@rule(
    "A9",
    "管径为整数毫米，在公称系列内",
    "Diameters are nominal sizes in millimetres",
    standard=_CJJ,
    clause="excel-check-03",
)
def diameters(net: Network) -> Iterator[Found]:
    """Metres or centimetres given as millimetres are errors; an unusual size is told."""
    yield from net.said_by_reading("A9")
    size = net.number("diameter_mm")
    round_ = net.lines["height_mm"].isna().to_numpy()
    pipes = ~_cables(net)
    metres = pipes & (size > 0) & (size < _UNIT_MM)
    drains = net.gravity & round_ & (size >= _UNIT_MM) & (size < _SMALL_DRAIN_MM)
    for mask, zh, en in (
        (size <= 0, "管径 {} 不是正数", "diameter {} is not positive"),
        (metres, "管径 {} 毫米过小，疑为以米填写", "diameter {} mm is too small: is it in metres?"),
        (drains, "管径 {} 毫米过小，疑为以厘米填写", "diameter {} mm is too small for a drain: is it in centimetres?"),
    ):
        rows = where(mask)
        yield Found(Table.lines, rows, "size", zh, en, (size[rows],))
    for name, (nominal, _) in limits.diameters().items():
        odd = (net.line_class == name) & round_ & (size >= _UNIT_MM) & ~drains & ~np.isin(size, list(nominal))
        rows = where(odd)
        zh, en = "管径 {} 毫米不在公称系列内", "diameter {} mm is no nominal size"
        yield Found(Table.lines, rows, "size", zh, en, (size[rows],), severity=WARNING)


@rule(
    "A10",
    "图上点号与物探点号一致",
    "Both numbers of a point agree",
    standard=_CJJ,
    clause="sample tables",
    severity=WARNING,
)
def numbers(net: Network) -> Iterator[Found]:
    """Only where the table has both."""
    drawn, own = net.points["map_no"], net.points["point_no"]
    rows = where((drawn.notna() & own.notna() & (drawn != own)).to_numpy(bool))
    said = (drawn.to_numpy()[rows], own.to_numpy()[rows])
    yield Found(
        Table.points, rows, "map_no", "图上点号 {} 与物探点号 {} 不同", "{} on the map is {} in the survey", said
    )


@rule("A11", "已用孔数不大于总孔数", "No more ducts are used than there are")
def ducts(net: Network) -> Iterator[Found]:
    """Ducts of power and telecom lines."""
    used, total = net.number("holes_used"), net.number("hole_count")
    rows = where(used > total)
    zh, en = "已用孔数 {} 大于总孔数 {}", "{} ducts are used of {}"
    yield Found(Table.lines, rows, "holes_used", zh, en, (used[rows], total[rows]))


@rule(
    "A12",
    "电力填电压、燃气填压力",
    "Power says its voltage, gas its pressure",
    standard=_CJJ,
    clause="sample tables",
    grade="M",
    severity=WARNING,
)
def ratings(net: Network) -> Iterator[Found]:
    """Either the value or its class will do for gas."""
    power = (net.line_class == "power") & np.isnan(net.number("voltage_kv"))
    yield Found(Table.lines, where(power), "voltage_kv", "电力管线未填电压", "a power line without voltage")
    gas = (
        (net.line_class == "gas") & np.isnan(net.number("pressure_mpa")) & net.lines["pressure_class"].isna().to_numpy()
    )
    yield Found(Table.lines, where(gas), "pressure_class", "燃气管线未填压力", "a gas pipe without pressure")


@rule("A13", "文字编码正确、无全角数字", "Text is whole, digits are half-width")
def characters(net: Network) -> Iterator[Found]:
    """Said by reading: broken characters are errors, full-width ones are read and told."""
    yield from net.said_by_reading("A13")


@rule("A14", "每行标注密级", "Every row says its secrecy", standard=OWN, clause="secrecy")
def labels(net: Network) -> Iterator[Found]:
    """Unlabelled survey data are refused: nobody could say who may see them."""
    for table, frame in _tables(net):
        empty = frame["secrecy"].isna().to_numpy()
        if not len(frame):
            continue
        if empty.all() and _absent(net, table, "secrecy"):
            zh, en = "没有密级列：未标密级的成果不予入库", "there is no column of secrecy; unlabelled data are refused"
            yield of_all(table, "secrecy", zh, en)
            continue
        empty = empty & ~_spoilt(net, table, "secrecy", len(frame))
        yield Found(table, where(empty), "secrecy", "未标密级", "is not labelled with its secrecy")


def _tables(net: Network) -> Iterator[tuple[Table, pd.DataFrame]]:
    yield Table.points, net.points
    yield Table.lines, net.lines


def _cables(net: Network) -> Mask:
    return np.isin(net.line_class.astype(str), ("power", "telecom"))


def _spoilt(net: Network, table: Table, field: str, count: int) -> npt.NDArray[np.bool_]:
    """Rows whose cell is not empty but could not be read, which reading has said."""
    mask = np.zeros(count, bool)
    for found in net.read:
        if found.table is table and found.field in {field, ROW}:
            mask[found.rows] = True
    return mask


def _absent(net: Network, table: Table, field: str) -> bool:
    """Whether the table has no column of this field."""
    return field not in net.columns[table]
