"""Coordinate systems at the border: what a file says it is in, and the way from there to longitude and latitude.

At rest everything is EPSG:4326, longitude first. CGCS2000 (EPSG:4490) counts as the same: the two agree to a decimetre,
and the declared datum is recorded beside the data. pyproj stands behind this one file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyproj
import pyproj.network
import shapely
from pyproj.exceptions import CRSError, ProjError

from gis_core.crs import china as china_datums
from gis_core.crs.china import Floats, Mask, Pair
from gis_core.crs.zones import Datum as Datum
from gis_core.crs.zones import UnknownCrs as UnknownCrs
from gis_core.crs.zones import Zone as Zone
from gis_core.crs.zones import gauss_kruger as gauss_kruger
from gis_core.crs.zones import prefixed_zone as prefixed_zone
from gis_core.crs.zones import zones_at as zones_at
from gis_core.errors import Problem, Unprocessable

Geometries: TypeAlias = npt.NDArray[np.object_]
Bounds: TypeAlias = tuple[float, float, float, float]

LONLAT: Final = "EPSG:4326"
ACCEPTED: Final = (
    "WGS84, CGCS2000, GCJ-02, BD-09, an EPSG code such as EPSG:4548, a zone such as 'CGCS2000 3-degree zone 39', "
    "'CGCS2000 CM 117E' or 'Xian80 zone 20', WKT, a PROJ string, or a local grid named in the city pack"
)
WORLD: Final = (-180.0, -90.0, 180.0, 90.0)
MERCATOR_LATITUDE_LIMIT: Final = 85.0511287798066
_EARTH_RADIUS_M: Final = 6378137.0
_ARC_DEG: Final = 0.001
_LONGEST_TEXT: Final = 20_000
_LONGEST_CODE: Final = 20
_NAMED_ROWS: Final = 20
_FLAT: Final = 1e-12
_HALF_ZONE_M: Final = 500_000
_CHINA: Final = (73.6, 18.0, 135.1, 53.6)


class Unreachable(Unprocessable):
    """Some coordinates do not exist in the coordinate system that was declared."""


@dataclass(frozen=True)
class LocalGrid:
    """A city's own grid: X = a x + b y + c, Y = d x + e y + f takes its metres into the `base` coordinate system."""

    name: str
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    base: str

    def __post_init__(self) -> None:
        """Refuse numbers that are no grid. Raises UnknownCrs."""
        determinant = self.a * self.e - self.b * self.d
        if not np.isfinite([determinant, self.c, self.f]).all() or abs(determinant) < _FLAT:
            raise UnknownCrs(f"The local grid {self.name!r} cannot be inverted: check its six numbers.")

    def to_base(self, x: Floats, y: Floats) -> Pair:
        """Local metres to the units of the base coordinate system."""
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f


_GEOGRAPHIC: Final = {Datum.CGCS2000: 4490, Datum.XIAN80: 4610, Datum.BEIJING54: 4214}

_WORDS: Final = {
    "wgs84": Datum.WGS84, "wgs1984": Datum.WGS84, "gps": Datum.WGS84, "lonlat": Datum.WGS84,
    "cgcs2000": Datum.CGCS2000, "china2000": Datum.CGCS2000, "国家2000": Datum.CGCS2000,
    "2000国家大地坐标系": Datum.CGCS2000, "国家大地2000": Datum.CGCS2000, "天地图": Datum.CGCS2000,
    "gcj02": Datum.GCJ02, "gcj": Datum.GCJ02, "火星坐标": Datum.GCJ02, "火星坐标系": Datum.GCJ02,
    "国测局": Datum.GCJ02, "高德": Datum.GCJ02, "amap": Datum.GCJ02,
    "bd09": Datum.BD09, "bd09ll": Datum.BD09, "百度": Datum.BD09, "百度坐标系": Datum.BD09,
    "xian80": Datum.XIAN80, "xian1980": Datum.XIAN80, "西安80": Datum.XIAN80,
    "beijing54": Datum.BEIJING54, "beijing1954": Datum.BEIJING54, "北京54": Datum.BEIJING54,
}  # fmt: skip
_ZONE: Final = re.compile(
    r"(?P<datum>cgcs2000|国家2000|xian(?:19)?80|西安80|beijing(?:19)?54|北京54)"
    r"(?:(?P<width>[36])(?:degrees?|度(?:分?带)?))?(?:gausskr[uü]e?ger|gk|高斯克吕格)?"
    r"(?:(?:zone|第)?(?P<zone>\d\d)(?:带)?|(?:cm|中央子午线|中央经线)?(?P<cm>\d{2,3})(?:[e°度]|°e))"
)
# Text that would make PROJ open a file of the server's: grids and init files.
_OPENS_FILES: Final = re.compile(r"grids\s*=|\+init\s*=|\+file\s*=|@|PARAMETERFILE|Grid File", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A coordinate system as declared: the words given, the datum, and how to get from it to longitude and latitude."""

    given: str
    datum: Datum
    crs: str
    local: LocalGrid | None = None

    @property
    def tag(self) -> str:
        """How the datum is recorded beside stored data, such as `CGCS2000 (EPSG:4548)`."""
        inner = (
            self.local.name if self.local else self.crs if len(self.crs) <= _LONGEST_CODE else pyproj.CRS(self.crs).name
        )
        plain = self.datum in {Datum.GCJ02, Datum.BD09} or self.crs == LONLAT
        return str(self.datum) if plain and self.local is None else f"{self.datum} ({inner})"

    @property
    def in_degrees(self) -> bool:
        """Whether coordinates are longitude and latitude (else metres or another length)."""
        return self.local is None and bool(_crs(self.crs).is_geographic)

    @property
    def plain(self) -> bool:
        """Whether coordinates are stored as they come: longitude and latitude of WGS 84 or CGCS2000."""
        return self.local is None and self.datum in {Datum.WGS84, Datum.CGCS2000} and _is_lonlat(self.crs)

    @property
    def shift_published(self) -> bool:
        """False for Xian 1980 and Beijing 1954: the way to WGS 84 is then only good to tens of metres, or 100."""
        return self.datum not in {Datum.XIAN80, Datum.BEIJING54} or self.crs.startswith("BOUNDCRS")

    @property
    def zone(self) -> Zone | None:
        """The Gauss-Krueger zone of a Chinese datum, recognised by its numbers, whatever its name."""
        operation = None if self.local else _crs(self.crs).coordinate_operation
        if self.datum not in _GEOGRAPHIC or operation is None or "Mercator" not in operation.method_name:
            return None
        value = {p.name: p.value for p in operation.params}
        meridian, easting = value.get("Longitude of natural origin"), value.get("False easting")
        if meridian is None or easting is None or meridian % 3 or easting % 1_000_000 != _HALF_ZONE_M:
            return None
        number = int(easting // 1_000_000)
        fits = [z for z in zones_at(meridian, self.datum) if z.prefixed == (number > 0) and number in {0, z.number}]
        return fits[0] if fits else None


def declare(text: object, local_grids: Mapping[str, LocalGrid] | None = None) -> Source:
    """Read what a user or a file says its coordinates are in.

    Takes the words in `ACCEPTED`; a local grid's name is looked up first. Raises UnknownCrs, naming what was given
    and what is accepted, also for systems without horizontal coordinates and for text that would open files.
    """
    given = "" if text is None else str(text).strip()
    if not given:
        raise UnknownCrs(f"No coordinate system was given. Accepted: {ACCEPTED}.")
    if len(given) > _LONGEST_TEXT or _OPENS_FILES.search(given):
        raise UnknownCrs("This coordinate system text is too long or refers to a file, which is not accepted.")
    if local_grids and (grid := local_grids.get(given)):
        base = declare(grid.base)
        return Source(given, base.datum, base.crs, grid)
    bare = re.sub(r"[\s_/\-－()（）,，:]+", "", given.casefold())
    if bare in _WORDS:
        datum = _WORDS[bare]
        return Source(given, datum, f"EPSG:{_GEOGRAPHIC.get(datum, 4326)}")
    if zone := _zone_in_words(bare):
        return zone_source(zone, given)
    return _from_pyproj(given)


def zone_source(zone: Zone, given: str | None = None) -> Source:
    """The Source of a Gauss-Krueger zone."""
    return Source(given or f"EPSG:{zone.epsg}", zone.datum, f"EPSG:{zone.epsg}")


def utm(lon: float, lat: float) -> str:
    """The WGS 84 UTM system for a place, by the plain 6-degree rule (no Norway exceptions), as `EPSG:32719`."""
    return f"EPSG:{32600 + (100 if lat < 0 else 0) + min(int((lon + 180) // 6) + 1, 60)}"


def metric_for(lon: float, lat: float) -> str:
    """The metric system for a place without a declared one: Gauss-Krueger in China's latitudes, UTM elsewhere."""
    west, south, east, north = _CHINA
    in_china = west <= lon <= east and south <= lat <= north
    return gauss_kruger(lon) if in_china else utm(lon, lat)


def convert(x: Floats, y: Floats, source: Source) -> Pair:
    """Coordinates of `source` (x first) to longitude and latitude in degrees; NaN where that cannot be.

    A coordinate cannot be converted when it is not finite, lies outside the projection, is no longitude or latitude,
    or is declared GCJ-02 or BD-09 outside China.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if source.local is not None:
        x, y = source.local.to_base(x, y)
    if source.datum in {Datum.GCJ02, Datum.BD09}:
        lost = china_datums.outside_china(x, y)
        inside_x, inside_y = np.where(lost, 105.0, x), np.where(lost, 35.0, y)
        back = china_datums.gcj02_to_wgs84 if source.datum is Datum.GCJ02 else china_datums.bd09_to_wgs84
        lon, lat = back(inside_x, inside_y)
    else:
        lon, lat = (x, y) if _is_lonlat(source.crs) else _transform(x, y, source.crs, LONLAT)
        lost = ~within(lon, lat, WORLD)
    return np.where(lost, np.nan, lon), np.where(lost, np.nan, lat)


def unreachable(geoms: Geometries, source: Source) -> Mask:
    """Which geometries have a coordinate that cannot be converted from `source`; None and empty ones have not."""
    coordinates, row = shapely.get_coordinates(geoms, return_index=True)
    lon, _ = convert(coordinates[:, 0], coordinates[:, 1], source)
    bad = np.zeros(len(geoms), bool)
    bad[row[np.isnan(lon)]] = True
    return bad


def to_lonlat(geoms: Geometries, source: Source) -> Geometries:
    """Geometries of `source` (x first) as longitude and latitude in degrees; heights stay as they are.

    Raises Unreachable naming the rows that cannot be converted; ask `unreachable` first to leave them out.
    """
    if source.plain:
        if unreachable(geoms, source).any():
            raise _unreachable_rows(geoms, source)
        return geoms

    def moved(coordinates: Floats) -> Floats:
        lon, lat = convert(coordinates[:, 0], coordinates[:, 1], source)
        if np.isnan(lon).any():
            raise _unreachable_rows(geoms, source)
        return np.column_stack([lon, lat, *coordinates.T[2:]])

    return rewrite(geoms, moved)


def rewrite(geoms: Geometries, move: Callable[[Floats], Floats]) -> Geometries:
    """Geometries with `move` applied to coordinate rows (x, y or x, y, z); heights are kept where there are some."""
    either = cast("bool", None)  # shapely takes None for "as each geometry has it"; its stubs do not know that
    result: Geometries = shapely.transform(geoms, move, include_z=either)
    return result


def within(lon: Floats, lat: Floats, bounds: Bounds) -> Mask:
    """Which coordinates lie in bounds (west, south, east, north); NaN does not."""
    west, south, east, north = bounds
    inside: Mask = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return inside


def to_metric(geoms: Geometries, metric_crs: str) -> Geometries:
    """Longitude/latitude geometries in the metres of `metric_crs` (such as `EPSG:4548`); heights are dropped."""

    def moved(coordinates: Floats) -> Floats:
        return np.column_stack(_transform(coordinates[:, 0], coordinates[:, 1], LONLAT, metric_crs))

    result: Geometries = shapely.transform(geoms, moved)
    return result


def lengths_m(geoms: Geometries, metric_crs: str) -> Floats:
    """Lengths in metres of longitude/latitude geometries, measured in `metric_crs`; NaN for None."""
    result: Floats = shapely.length(to_metric(geoms, metric_crs))
    return result


def measures_metres(metric_crs: str, lon: float, lat: float) -> bool:
    """Whether there is such a system and its unit is about a metre at a place, as in any system made for it."""
    arc: Geometries = np.array([shapely.LineString([(lon, lat), (lon, lat + _ARC_DEG)])], dtype=object)
    try:
        length = float(lengths_m(arc, metric_crs)[0])
    except CRSError:
        return False
    return 0.8 < length / (math.radians(_ARC_DEG) * _EARTH_RADIUS_M) < 1.25  # noqa: PLR2004  more than any that fits distorts


def areas_m2(geoms: Geometries, metric_crs: str) -> Floats:
    """Areas in square metres of longitude/latitude geometries, measured in `metric_crs`; NaN for None."""
    result: Floats = shapely.area(to_metric(geoms, metric_crs))
    return result


def mercator(lon: Floats, lat: Floats) -> Pair:
    """Longitude and latitude in degrees to web Mercator metres (EPSG:3857), latitudes cut at 85.0511 degrees.

    Source: EPSG coordinate operation method 1024, spherical formulas with R = 6,378,137 m.
    """
    phi = np.radians(np.clip(lat, -MERCATOR_LATITUDE_LIMIT, MERCATOR_LATITUDE_LIMIT))
    return _EARTH_RADIUS_M * np.radians(lon), _EARTH_RADIUS_M * np.arcsinh(np.tan(phi))


def _unreachable_rows(geoms: Geometries, source: Source) -> Unreachable:
    """The error that names the first rows which cannot be converted."""
    bad = np.flatnonzero(unreachable(geoms, source)).tolist()
    return Unreachable(
        f"{len(bad)} of {len(geoms)} geometries have coordinates that do not exist in {source.tag}.",
        problems=[Problem(row + 1, "geometry", f"no such place in {source.tag}") for row in bad[:_NAMED_ROWS]],
    )


def _zone_in_words(bare: str) -> Zone | None:
    """A zone said in words, spaces and hyphens already gone: `cgcs20003degreezone39`, `xian80cm117e`."""
    if not (match := _ZONE.fullmatch(bare)):
        return None
    datum, width = _WORDS[match["datum"]], int(match["width"] or 0)
    if match["zone"]:
        zone = prefixed_zone(int(match["zone"]), datum)
        return zone if zone and width in {0, zone.width} else None
    found = [z for z in zones_at(int(match["cm"]), datum) if not z.prefixed and width in {0, z.width}]
    return found[0] if found else None


def _from_pyproj(given: str) -> Source:
    """Whatever else PROJ understands, if it has horizontal coordinates that lead to WGS 84."""
    try:
        crs = pyproj.CRS.from_user_input(int(given) if given.isdigit() else given)
        flat = crs.sub_crs_list[0] if crs.is_compound else crs
        code = flat.to_authority(min_confidence=100)
        text = f"{code[0]}:{code[1]}" if code else flat.to_wkt()
        if not (flat.is_geographic or flat.is_projected):
            raise UnknownCrs(f"{flat.name!r} has no longitude and latitude and no easting and northing.")
        _transformer(text, LONLAT)
    except (ProjError, ValueError, OverflowError) as error:
        raise UnknownCrs(f"{given[:80]!r} is no known coordinate system. Accepted: {ACCEPTED}.") from error
    return Source(given, _datum_of(flat.source_crs if flat.is_bound else flat), text)


def _datum_of(crs: Any) -> Datum:
    """The datum by the name that EPSG, ESRI and Chinese software write into a CRS."""
    geodetic = crs.geodetic_crs or crs
    name = re.sub(r"[\s_]+", "", f"{geodetic.datum.name if geodetic.datum else ''}|{geodetic.name}".casefold())
    signs = {
        "china2000": Datum.CGCS2000, "cgcs2000": Datum.CGCS2000, "chinageodeticcoordinatesystem2000": Datum.CGCS2000,
        "xian1980": Datum.XIAN80, "newbeijing": Datum.OTHER, "beijing1954": Datum.BEIJING54,
        "wgs84": Datum.WGS84, "wgs1984": Datum.WGS84, "worldgeodeticsystem1984": Datum.WGS84,
    }  # fmt: skip
    return next((datum for sign, datum in signs.items() if sign in name), Datum.OTHER)


@lru_cache(maxsize=256)
def _crs(text: str) -> Any:
    return pyproj.CRS(text)


@lru_cache(maxsize=256)
def _is_lonlat(text: str) -> bool:
    """Whether coordinates are stored as they come: degrees of WGS 84 or CGCS2000."""
    crs = _crs(text)
    return text in {LONLAT, "EPSG:4490", "OGC:CRS84"} or (
        crs.is_geographic and crs.to_epsg(min_confidence=100) in {4326, 4490, 4979, 4480}
    )


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    """A transformer, x first. PROJ may not go to the network for grids: no request leaves the machine."""
    pyproj.network.set_network_enabled(active=False)  # type: ignore[attr-defined]
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _transform(x: Floats, y: Floats, source: str, target: str) -> Pair:
    """Plain PROJ, with NaN for its infinities."""
    out_x, out_y = _transformer(source, target).transform(x, y)
    return np.where(np.isinf(out_x), np.nan, out_x), np.where(np.isinf(out_y), np.nan, out_y)
