"""What goes wrong with coordinate systems in real files, recognised by where the rows would come to lie.

Each row that does not fall near the city as declared is tried under the mistakes surveyors and programs make: axes
swapped, a zone number in or missing from the eastings, degrees called metres, a neighbouring zone. The first reading
that puts the row into the city explains it. Datums a few hundred metres apart are told apart by the streets instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from gis_core.crs import (
    LONLAT,
    WORLD,
    Bounds,
    Datum,
    Geometries,
    Source,
    convert,
    declare,
    gauss_kruger,
    metric_for,
    prefixed_zone,
    rewrite,
    to_lonlat,
    to_metric,
    utm,
    within,
    zone_source,
    zones_at,
)
from gis_core.crs.china import Floats, outside_china

Rows: TypeAlias = npt.NDArray[np.intp]

# A wrong zone moves a city to where another town may well be, so it is believed only of a whole file.
_WHOLE_FILE: Final = 0.9
_MOST_ZONES: Final = 4
_PREFIXED: Final = (13e6, 46e6)
_METRES_FROM: Final = 1_000.0
_CLEAR_MEDIAN_M: Final = 30.0
_CLEAR_RATIO: Final = 0.5
_SAMPLE: Final = 5_000


@dataclass(frozen=True)
class Finding:
    """One mistake and the rows (from 0) it explains. Read as `source`, axes `swapped` or not, they lie in the city.

    `kind` is swapped-axes, zone-prefix, no-zone-prefix, degrees-not-metres, metres-not-degrees, other-zone, or far;
    for far there is no better reading: `source` is None.
    """

    kind: str
    rows: Rows
    source: Source | None
    swapped: bool
    zh: str
    en: str


@dataclass(frozen=True)
class Mended:
    """Geometries in longitude and latitude after recognised mistakes were put right, and what was done, in words."""

    geoms: Geometries
    done: tuple[Finding, ...]
    left: tuple[Finding, ...]


@dataclass(frozen=True)
class Guess:
    """Median distance of points to the nearest street, in metres, read as each datum; `datum` None if undecided."""

    datum: Datum | None
    medians_m: dict[Datum, float]
    points: int


@dataclass(frozen=True)
class _Reading:
    """A way to read the coordinates other than as declared."""

    kind: str
    source: Source
    swapped: bool
    whole_file: bool = False


def diagnose(geoms: Geometries, source: Source, city_bounds: Bounds | None) -> list[Finding]:
    """Mistakes in the declared coordinate system of geometries, each with the rows that it explains.

    `city_bounds` are west, south, east, north in degrees; a quarter of the city's size (at least 0.1 degree) around
    them still counts as in it. Without bounds a row must only be possible where the declared system is meant to be
    used. Rows that are None, empty or not finite are left to `geometry.faults`.
    """
    return diagnose_bounds(shapely.bounds(geoms), source, city_bounds)


def diagnose_bounds(boxes: Floats, source: Source, city_bounds: Bounds | None) -> list[Finding]:
    """The same by the bounds of each geometry, of shape (rows, 4); those that are not finite are passed over."""
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    finite = np.isfinite(x) & np.isfinite(y)
    where = _margin(city_bounds) if city_bounds else _area_of_use(source)
    rows: Rows = np.flatnonzero(finite & ~within(*convert(x, y, source), where))
    found: list[Finding] = []
    for reading in _readings(x[rows], y[rows], source, city_bounds):
        if not rows.size:
            break
        first, second = (y, x) if reading.swapped else (x, y)
        hit = within(*convert(first[rows], second[rows], reading.source), where)
        enough = hit.sum() >= (max(1, _WHOLE_FILE * finite.sum()) if reading.whole_file else 1)
        if enough:
            found.append(_finding(reading, rows[hit], source))
            rows = rows[~hit]
    if rows.size:
        zh = f"{rows.size} 行按声明的坐标系 {source.tag} 远离本市范围，也不像任何常见错误。"
        en = f"{rows.size} rows lie far outside the city as {source.tag}, and no common mistake explains them."
        found.append(Finding("far", rows, None, swapped=False, zh=zh, en=en))
    return found


def mend(geoms: Geometries, source: Source, findings: Iterable[Finding]) -> Mended:
    """Bring geometries to longitude and latitude, reading the rows of each finding with a better source by that.

    Raises Unreachable for remaining rows that cannot be converted at all.
    """
    result = np.array(geoms, dtype=object)
    plain = np.ones(len(result), bool)
    done, left = [], []
    for finding in findings:
        if finding.source is None:
            left.append(finding)
            continue
        chosen = result[finding.rows]
        turned = rewrite(chosen, _swap) if finding.swapped else chosen
        result[finding.rows] = to_lonlat(turned, finding.source)
        plain[finding.rows] = False
        done.append(finding)
    result[plain] = to_lonlat(result[plain], source)
    return Mended(result, tuple(done), tuple(left))


def guess_datum(points: Geometries, roads: Geometries) -> Guess:
    """Which datum points by the roadside are in, judged against streets in longitude and latitude.

    Each point's coordinates are read as WGS 84, GCJ-02 and BD-09 in turn and its distance to the nearest street is
    measured. A datum is named when its median is under 30 m and under half of the next best: in Daxing's cameras the
    three are 107, 10 and 113 m. At most 5,000 points, evenly chosen, are used. Points must be such as stand by streets.
    """
    given = points[shapely.is_valid(points) & ~shapely.is_empty(points) & ~shapely.is_missing(points)]
    given = given[:: max(1, len(given) // _SAMPLE)]
    coordinates = shapely.get_coordinates(shapely.centroid(given))
    lines = roads[~shapely.is_missing(roads) & ~shapely.is_empty(roads)]
    if not len(coordinates) or not len(lines):
        return Guess(None, {}, 0)
    datums = [Datum.WGS84]
    if not outside_china(coordinates[:, 0], coordinates[:, 1]).any():
        datums += [Datum.GCJ02, Datum.BD09]
    metric = metric_for(*(float(v) for v in np.median(coordinates, axis=0)))
    tree = shapely.STRtree(to_metric(lines, metric))
    medians = {}
    for datum in datums:
        lon, lat = convert(coordinates[:, 0], coordinates[:, 1], Source(datum, datum, LONLAT))
        _, apart = tree.query_nearest(
            to_metric(np.asarray(shapely.points(lon, lat)), metric), return_distance=True, all_matches=False
        )
        medians[datum] = float(np.median(apart))
    best, *others = sorted(medians, key=medians.__getitem__)
    second = medians[others[0]] if others else np.inf
    clear = medians[best] < _CLEAR_MEDIAN_M and medians[best] < _CLEAR_RATIO * second
    return Guess(best if clear else None, medians, len(coordinates))


def _readings(x: Floats, y: Floats, source: Source, city: Bounds | None) -> Iterator[_Reading]:
    """Other ways to read rows at fault, the most telling first."""
    yield _Reading("swapped-axes", source, swapped=True)
    if source.local is not None:
        return
    series = source.datum if source.datum in {Datum.XIAN80, Datum.BEIJING54} else Datum.CGCS2000
    for swapped, eastings in ((False, x), (True, y)):
        for number in _prefixes(eastings):
            if zone := prefixed_zone(number, series):
                yield _Reading("zone-prefix", zone_source(zone), swapped)
    if (declared := source.zone) and declared.prefixed:
        for zone in zones_at(declared.meridian, series):
            if not zone.prefixed:
                yield _Reading("no-zone-prefix", zone_source(zone), swapped=False)
                yield _Reading("no-zone-prefix", zone_source(zone), swapped=True)
    if not source.in_degrees:
        degrees = declare({Datum.CGCS2000: "CGCS2000", Datum.XIAN80: "Xian80"}.get(source.datum, "WGS84"))
        yield _Reading("degrees-not-metres", degrees, swapped=False)
        yield _Reading("degrees-not-metres", degrees, swapped=True)
    if city is not None:
        yield from _elsewhere(x, y, source, city)


def _elsewhere(x: Floats, y: Floats, source: Source, city: Bounds) -> Iterator[_Reading]:
    """The metric systems a file from this city could be in, when another was declared, or degrees."""
    if not (np.maximum(np.abs(x), np.abs(y)) > _METRES_FROM).any():
        return
    lon, lat = (city[0] + city[2]) / 2, (city[1] + city[3]) / 2
    names: list[str] = []
    if not outside_china(np.array([lon]), np.array([lat]))[0]:
        nearest = 3 * round(lon / 3)
        zones = [z for step in (0, 3, -3) for z in zones_at(nearest + step) if (z.prefixed, z.width) == (False, 3)]
        names += [f"EPSG:{z.epsg}" for z in zones] or [gauss_kruger(lon)]
    names += [utm(lon, lat), "EPSG:3857"]
    kind = "metres-not-degrees" if source.in_degrees else "other-zone"
    for name in names:
        for swapped in (False, True):
            yield _Reading(kind, declare(name), swapped, whole_file=not source.in_degrees)


def _finding(reading: _Reading, rows: Rows, declared: Source) -> Finding:
    """The mistake in words, with the right code named."""
    right = f"{reading.source.tag}"
    zh, en = {
        "swapped-axes": ("横纵坐标（经纬度）颠倒", "the axes are swapped"),
        "zone-prefix": (f"横坐标带有带号，应为 {right}", f"eastings begin with a zone number: this is {right}"),
        "no-zone-prefix": (f"横坐标不带带号，应为 {right}", f"eastings have no zone number: this is {right}"),
        "degrees-not-metres": (f"坐标是度而不是米，应为 {right}", f"these are degrees, not metres: this is {right}"),
        "metres-not-degrees": (f"坐标是米而不是度，应为 {right}", f"these are metres, not degrees: this is {right}"),
        "other-zone": (f"坐标属于另一投影带，应为 {right}", f"this is another zone: {right}"),
    }[reading.kind]
    if reading.swapped and reading.kind != "swapped-axes":
        zh, en = zh + "，且横纵坐标颠倒", en + ", and the axes are swapped"
    return Finding(
        reading.kind,
        rows,
        reading.source,
        reading.swapped,
        zh=f"{rows.size} 行声明为 {declared.tag}：{zh}。",
        en=f"{rows.size} rows declared as {declared.tag}: {en}.",
    )


def _prefixes(eastings: Floats) -> Sequence[int]:
    """Zone numbers that these values begin with, most frequent first."""
    numbers = np.floor(eastings[(eastings >= _PREFIXED[0]) & (eastings < _PREFIXED[1])] / 1e6).astype(int)
    values, counts = np.unique(numbers, return_counts=True)
    return [int(v) for v in values[np.argsort(-counts)][:_MOST_ZONES]]


def _margin(city: Bounds) -> Bounds:
    """The city's bounds with a margin, in degrees."""
    west, south, east, north = city
    wide, high = max(0.1, (east - west) / 4), max(0.1, (north - south) / 4)
    return west - wide, south - high, east + wide, north + high


def _area_of_use(source: Source) -> Bounds:
    """Where the declared system is meant to be used; the world if that is not known."""
    if (zone := source.zone) is not None:
        return zone.meridian - zone.width / 2 - 1.0, 0.0, zone.meridian + zone.width / 2 + 1.0, 60.0
    return WORLD


def _swap(coordinates: Floats) -> Floats:
    return np.column_stack([coordinates[:, 1], coordinates[:, 0], *coordinates.T[2:]])
