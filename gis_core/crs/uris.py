"""Coordinate systems as OGC services name them, with the axis order that each name promises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pyproj
import shapely

from gis_core.crs import Bounds, Geometries, Unreachable, declare, to_lonlat
from gis_core.errors import BadInput

CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG: Final = "http://www.opengis.net/def/crs/EPSG/0/"
_NAMES: Final = re.compile(
    r"(?:https?://www\.opengis\.net/def/crs/|urn:ogc:def:crs:|\[)?(OGC|EPSG)(?:/|::?)(?:[\d.]+(?:/|::?))?(\w+)\]?",
    re.IGNORECASE,
)
_PARTS_PER_SIDE: Final = 16


class UnknownCrsName(BadInput):
    """This coordinate system is not served here."""


@dataclass(frozen=True)
class NamedCrs:
    """One coordinate system: its OGC name, its EPSG number, and whether its first axis points north."""

    uri: str
    srid: int
    north_first: bool
    in_degrees: bool


def served(metric_crs: str | None) -> list[NamedCrs]:
    """The systems that features come in: CRS84 first, then latitude-first WGS 84 and CGCS2000, Mercator, the city's."""
    numbers = [4326, 4490, 3857]
    if metric_crs is not None and metric_crs.upper().startswith("EPSG:"):
        numbers.append(int(metric_crs[5:]))
    return [NamedCrs(CRS84, 4326, north_first=False, in_degrees=True), *(_epsg(n) for n in dict.fromkeys(numbers))]


def find(name: str, metric_crs: str | None) -> NamedCrs:
    """The served system of that name: a URI, a URN, `[EPSG:4326]` or `EPSG:4326`. Raises UnknownCrsName."""
    matched = _NAMES.fullmatch(name.strip())
    code = f"{matched[1]}:{matched[2]}".upper() if matched else ""
    for crs in served(metric_crs):
        if crs.uri == name or code == ("OGC:CRS84" if crs.uri == CRS84 else f"EPSG:{crs.srid}"):
            return crs
    known = ", ".join(crs.uri for crs in served(metric_crs))
    raise UnknownCrsName(f"the coordinate system {name[:100]!r} is not served; these are: {known}")


def as_lonlat(geometry: shapely.Geometry, crs: NamedCrs) -> shapely.Geometry:
    """A geometry given in a served system, in its axis order, as longitude and latitude. Raises BadInput."""
    shapes: Geometries = np.array([shapely.force_2d(geometry)], dtype=object)
    if crs.north_first:
        shapes = shapely.transform(shapes, lambda xy: xy[:, ::-1])
    if crs.in_degrees:
        return _only(shapes)
    # An edge that is straight in the plane is not so on the globe: it goes over in several pieces.
    west, south, east, north = shapely.bounds(shapes[0])
    side = max(east - west, north - south) / _PARTS_PER_SIDE
    if np.isfinite(side) and side > 0:
        shapes = shapely.segmentize(shapes, side)
    try:
        return _only(to_lonlat(shapes, declare(f"EPSG:{crs.srid}")))
    except Unreachable as error:
        raise BadInput(f"these coordinates do not exist in {crs.uri}") from error


def box(text: str, crs: NamedCrs) -> shapely.Geometry:
    """A bbox of four numbers (or six, heights ignored) as a geometry in longitude and latitude.

    In degrees a box whose west is greater than its east crosses the antimeridian and becomes two. Raises BadInput.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"bbox takes 4 or 6 numbers, not {text[:100]!r}") from error
    if len(numbers) == 6:  # noqa: PLR2004  the two corners with heights
        numbers = [*numbers[0:2], *numbers[3:5]]
    if len(numbers) != 4 or not np.isfinite(numbers).all():  # noqa: PLR2004
        raise BadInput(f"bbox takes 4 or 6 numbers, not {text[:100]!r}")
    a, b, c, d = numbers
    west, south, east, north = (b, a, d, c) if crs.north_first else (a, b, c, d)
    if south > north or (west > east and not crs.in_degrees):
        raise BadInput("bbox: the first corner is the lower left one, the second the upper right one")
    if not crs.in_degrees:
        return as_lonlat(_box(a, b, c, d), crs)
    if max(abs(west), abs(east)) > 180 or south > 90 or north < -90:  # noqa: PLR2004  degrees
        raise BadInput("bbox: longitudes are -180 to 180, latitudes -90 to 90")
    south, north = max(south, -90.0), min(north, 90.0)
    if west > east:
        return shapely.union_all([_box(west, south, 180, north), _box(-180, south, east, north)])
    return _box(west, south, east, north)


def bounds_of(text: str) -> Bounds:
    """A bbox in longitude and latitude as west, south, east, north. Raises BadInput, also where it has no surface."""
    shape = box(text, find(CRS84, None))
    west, south, east, north = shapely.bounds(shape).tolist()
    if not isinstance(shape, shapely.Polygon):
        raise BadInput("bbox: a box with a width and a height, which does not cross the antimeridian")
    return west, south, east, north


def _box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """A box; a line or a point where it has no width or height, since such a polygon would not be valid."""
    corners = [(west, south), (east, south), (east, north), (west, north)]
    if west < east and south < north:
        return shapely.Polygon(corners)
    return shapely.Point(corners[0]) if (west, south) == (east, north) else shapely.LineString(corners[0::2])


def _only(shapes: Geometries) -> shapely.Geometry:
    only: shapely.Geometry = shapes[0]
    return only


@lru_cache(maxsize=64)
def _epsg(number: int) -> NamedCrs:
    crs = pyproj.CRS.from_epsg(number)
    north_first = crs.axis_info[0].direction.lower() == "north"
    return NamedCrs(f"{_EPSG}{number}", number, north_first, in_degrees=bool(crs.is_geographic))
