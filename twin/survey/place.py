"""Where a survey lies: coordinates as declared, mistakes recognised, everything brought to degrees and to metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from gis_core import crs
from gis_core.crs import Bounds, LocalGrid, Source, UnknownCrs
from gis_core.crs import faults as crs_faults
from gis_core.crs.faults import Finding
from twin.survey.fields import Table
from twin.survey.findings import ERROR, WARNING, Floats, Found, Mask, of_all, where

_MENDED: Final = frozenset({"swapped-axes", "zone-prefix", "no-zone-prefix", "degrees-not-metres"})
_RULES: Final = {
    "swapped-axes": "K2",
    "zone-prefix": "K3",
    "no-zone-prefix": "K3",
    "degrees-not-metres": "K1",
    "metres-not-degrees": "K1",
    "other-zone": "K4",
    "far": "K4",
}
_LOCAL_M: Final = 1_000_000.0
"""A city's own grid has small numbers: no Gauss-Krueger northing in China is below this."""
_WHOLE: Final = 0.9
_METRES_FROM: Final = 1_000.0
"""Numbers above this are metres, not degrees."""


@dataclass(frozen=True)
class Placed:
    """Points in degrees and in metres (x east, y north) of one plane system; NaN where they cannot be placed."""

    lon: Floats
    lat: Floats
    x: Floats
    y: Floats
    metric: str
    found: tuple[Found, ...]


def declared(
    datum: str | None, said: str | None, grids: Mapping[str, LocalGrid] | None
) -> tuple[Source | None, list[Found]]:
    """What coordinates are in, by their giver or by the file; without either, or for a word nobody knows, a K1."""
    known: list[Source] = []
    for text in (datum, said):
        if not text:
            continue
        try:
            known.append(crs.declare(text, grids))
        except UnknownCrs as error:
            if known:
                break
            zh = f"坐标系“{text[:60]}”无法识别：请申报一种已知坐标系或本单位命名的地方坐标系"
            return None, [_of_all("K1", zh, error.detail)]
    if len(known) > 1 and not _alike(*known):
        one, other = (source.tag for source in known)
        zh = f"申报为 {one}，文件中却注明 {other}：请确认"
        return known[0], [_of_all("K1", zh, f"declared as {one}, but the file says {other}")]
    if known:
        return known[0], []
    zh = "未申报坐标系：文件没有说明，请申报后重新检查"
    return None, [_of_all("K1", zh, f"no coordinate system was declared and the file does not say it: {crs.ACCEPTED}")]


def _alike(one: Source, other: Source) -> bool:
    """Whether two systems are the same, whatever their names."""
    return (one.plain and other.plain) or (one.datum, one.crs, one.local) == (other.datum, other.crs, other.local)


def place(points: pd.DataFrame, source: Source | None, bounds: Bounds | None) -> Placed:
    """Bring points to the map as declared, or as the recognised mistake means; each mistake is told by its rule."""
    east, north = points["east"].to_numpy(float), points["north"].to_numpy(float)
    nowhere = np.isnan(east) | np.isnan(north)
    if source is None:
        # Nobody knows where this is; lengths and crossings can still be checked if these are metres.
        metres = bool(np.nanmax(np.abs(np.append(north, 0.0))) > _METRES_FROM)
        x, y = (east, north) if metres else (np.full(len(east), np.nan),) * 2
        return Placed(np.full(len(east), np.nan), np.full(len(east), np.nan), x, y, "", ())
    shapes: Any = np.full(len(points), None, object)
    shapes[~nowhere] = shapely.points(east[~nowhere], north[~nowhere])
    findings = crs_faults.diagnose(shapes, source, bounds)
    found, usable = [], []
    swapped_x, swapped_y = east.copy(), north.copy()
    lon, lat = crs.convert(east, north, source)
    for finding in findings:
        found.append(_told(finding, source, east, north))
        if finding.source is None or finding.kind not in _MENDED:
            lon[finding.rows] = lat[finding.rows] = np.nan
            continue
        usable.append(finding)
        rows = finding.rows
        a, b = (north, east) if finding.swapped else (east, north)
        swapped_x[rows], swapped_y[rows] = a[rows], b[rows]
        lon[rows], lat[rows] = crs.convert(a[rows], b[rows], finding.source)
    found += _about(source)
    if source.local is None and not source.in_degrees and not usable:
        # Surveyed metres stay as they are: the sums of the tables must come out to the millimetre.
        lost = np.isnan(lon)
        return Placed(lon, lat, np.where(lost, np.nan, east), np.where(lost, np.nan, north), source.crs, tuple(found))
    metric, x, y = _metres(lon, lat)
    return Placed(lon, lat, x, y, metric, tuple(found))


def _metres(lon: Floats, lat: Floats) -> tuple[str, Floats, Floats]:
    good = ~np.isnan(lon)
    x, y = np.full(len(lon), np.nan), np.full(len(lon), np.nan)
    if not good.any():
        return "", x, y
    metric = crs.metric_for(float(np.median(lon[good])), float(np.median(lat[good])))
    moved = shapely.get_coordinates(crs.to_metric(np.asarray(shapely.points(lon[good], lat[good])), metric))
    x[good], y[good] = moved[:, 0], moved[:, 1]
    return metric, x, y


def _told(finding: Finding, source: Source, east: Floats, north: Floats) -> Found:
    """A mistake of the coordinate system as a finding of its rule."""
    rule = _RULES[finding.kind]
    rows = finding.rows.astype(np.int64)
    if finding.kind == "far" and _is_local(east[rows], north[rows], source):
        zh = f"坐标像地方坐标系（如北京地方坐标系），不是 {source.tag}：请用本单位命名的仿射参数申报"
        en = f"these look like a city's own grid, not {source.tag}: declare it by the named affine of your organisation"
        return Found(Table.points, rows, "east", zh, en, severity=ERROR, rule="K5")
    zh, en = finding.zh.split("：", 1)[-1], finding.en.split(": ", 1)[-1]
    return Found(
        Table.points,
        rows,
        "east",
        f"声明为 {source.tag}：{zh}",
        f"declared as {source.tag}: {en}",
        severity=ERROR,
        rule=rule,
    )


def _is_local(east: Floats, north: Floats, source: Source) -> bool:
    """Whether metres are of a grid with an origin in the city."""
    small = (np.abs(north) < _LOCAL_M) & (np.abs(east) < _LOCAL_M) & (np.abs(north) > _METRES_FROM)
    return bool(not source.in_degrees and len(east) and small.mean() >= _WHOLE)


def _about(source: Source) -> list[Found]:
    """What is to be said of the declared system itself."""
    if source.local is not None:
        zh = f"坐标经本单位命名的地方坐标系“{source.local.name}”换算，原值保留"
        en = f"coordinates were taken through the named local grid {source.local.name!r}; the given ones are kept"
        return [_of_all("K5", zh, en, WARNING)]
    if not source.shift_published:
        zh = f"{source.datum} 到 CGCS2000 的转换参数未公开，位置误差可达数十至百米：请用控制点求得的仿射参数申报"
        en = f"the way from {source.datum} to CGCS2000 is not published; places may be off by tens of metres"
        return [_of_all("K5", zh, en, WARNING)]
    if source.datum in {crs.Datum.GCJ02, crs.Datum.BD09}:
        zh = f"{source.datum} 是加密偏移的显示坐标，不能用于管线测量成果"
        en = f"{source.datum} is a display datum with a deliberate shift; no survey is measured in it"
        return [_of_all("K6", zh, en, WARNING)]
    return []


def _of_all(rule: str, zh: str, en: str, severity: str = ERROR) -> Found:
    return of_all(Table.points, "datum", zh, en, severity, rule)


def shifted(placed: Placed, roads: Any) -> Found | None:
    """Whether points that were declared plain are in GCJ-02 or BD-09, judged by the streets (K6)."""
    good: Mask = ~np.isnan(placed.lon)
    guess = crs_faults.guess_datum(np.asarray(shapely.points(placed.lon[good], placed.lat[good])), roads)
    if guess.datum not in {crs.Datum.GCJ02, crs.Datum.BD09}:
        return None
    medians = {str(d): m for d, m in guess.medians_m.items()}
    best, plain = medians[str(guess.datum)], medians[str(crs.Datum.WGS84)]
    zh = f"坐标像是 {guess.datum}：按此距道路 {best:.0f} 米，按申报为 {plain:.0f} 米"
    en = f"these are {guess.datum}: {best:.0f} m from the streets so, {plain:.0f} m as declared"
    return Found(Table.points, where(good), "east", zh, en, severity=ERROR, rule="K6")


def line_shapes(shapes: Any, source: Source | None, placed: Placed) -> Any:
    """Lines with a shape of their own in the metres in which the points were placed; None where that cannot be."""
    found = np.array(shapes, dtype=object)
    if source is None or not placed.metric:
        return None
    if source.local is None and placed.metric == source.crs:
        return found
    lost = crs.unreachable(found, source)
    found[lost] = None
    good = ~shapely.is_missing(found)
    found[good] = crs.to_metric(crs.to_lonlat(found[good], source), placed.metric)
    return found
