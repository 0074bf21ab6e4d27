"""K1-K7: coordinate systems and height datums. Most is said when the points are placed, before any rule looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from data.codes import limits
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Found, of_all
from twin.survey.network import Network
from twin.survey.place import shifted
from twin.survey.rules import OWN, rule

_CLAUSE: Final = "coordinates"
_KNOWN_HEIGHTS: Final = re.compile(r"1985|国家高程|nhgd85|huanghai\s*1985|85高程", re.IGNORECASE)
_SPREAD: Final = 1.0
"""A shift of heights is believed where it is larger than the scatter about it."""


@rule("K1", "已申报坐标系", "The coordinate system is declared", standard=OWN, clause=_CLAUSE)
def declared(net: Network) -> Iterator[Found]:
    """Said by reading: undeclared, unknown, degrees for metres, or metres for degrees."""
    yield from net.said_by_reading("K1")


@rule("K2", "横纵坐标未颠倒", "X and Y are not swapped", standard=OWN, clause=_CLAUSE)
def swapped(net: Network) -> Iterator[Found]:
    """Said when the points were placed; X points north in survey tables."""
    yield from net.said_by_reading("K2")


@rule("K3", "横坐标带号与申报一致", "Eastings have a zone number if it was declared", standard=OWN, clause=_CLAUSE)
def prefixed(net: Network) -> Iterator[Found]:
    """Said when the points were placed."""
    yield from net.said_by_reading("K3")


@rule("K4", "投影带与申报一致（3度、6度带）", "The zone is the declared one", standard=OWN, clause=_CLAUSE)
def zoned(net: Network) -> Iterator[Found]:
    """Said when the points were placed: another zone, or far from the city."""
    yield from net.said_by_reading("K4")


@rule("K5", "地方坐标系经命名的仿射参数换算", "Local grids come through a named affine", standard=OWN, clause=_CLAUSE)
def local(net: Network) -> Iterator[Found]:
    """Said when the points were placed."""
    yield from net.said_by_reading("K5")


@rule(
    "K6",
    "坐标未经GCJ-02等加密偏移",
    "Coordinates are not shifted as GCJ-02",
    standard=OWN,
    clause=_CLAUSE,
    needs=("roads",),
)
def shifted_datum(net: Network) -> Iterator[Found]:
    """Declared so, or found by the distance of the points to the streets."""
    declared_so = net.said_by_reading("K6")
    yield from declared_so
    known = int((~np.isnan(net.placed.lon)).sum())
    if declared_so or net.facts.roads is None or known < limits.limit("datum_sample"):
        return
    found = shifted(net.placed, net.facts.roads)
    if found is not None:
        yield found


@rule(
    "K7",
    "高程为1985国家高程基准",
    "Levels are of the 1985 datum",
    standard=OWN,
    clause=_CLAUSE,
    grade="M",
    severity=WARNING,
)
def heights(net: Network) -> Iterator[Found]:
    """Another datum was declared, or all levels are off the elevation model by the same."""
    said = net.facts.heights
    if said is None or not _KNOWN_HEIGHTS.search(said):
        zh = "高程基准未申报为1985国家高程基准" if said is None else f"高程基准为“{said[:40]}”，不是1985国家高程基准"
        en = "levels are not declared to be of the 1985 datum" if said is None else f"levels are of {said[:40]!r}"
        yield of_all(Table.points, "ground_m", zh, en)
        return
    off = net.height_errors
    off = off[np.isfinite(off)]
    if len(off) < limits.limit("datum_sample"):
        return
    middle = float(np.median(off))
    scatter = float(np.median(np.abs(off - middle)))
    if abs(middle) > limits.limit("height_shift_m") and abs(middle) > _SPREAD * 2 * scatter:
        zh, en = (
            f"全部高程与高程模型整体相差 {middle:.2f} 米，疑为其他高程基准",
            f"all levels are {middle:.2f} m off the model",
        )
        yield of_all(Table.points, "ground_m", zh, en)
