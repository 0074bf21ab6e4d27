"""The two shifted datums of Chinese web maps, GCJ-02 and BD-09: pure arithmetic there and exactly back.

Neither has an EPSG code nor an official published definition. The formulas are the ones publicly known since 2010
(the "EvilTransform" series for GCJ-02 on the Krasovsky 1940 ellipsoid; Baidu's polar wobble for BD-09). Their usual
"inverse" is a one-step approximation that is metres off; here both inverses iterate to machine precision, so a
coordinate that goes out and comes back is the same to better than 1e-9 degree (0.1 mm).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gis_core.errors import Problem, Unprocessable

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Pair: TypeAlias = tuple[Floats, Floats]

# The rectangle in which the web maps apply GCJ-02; outside it they show plain WGS 84.
CHINA: Final = (72.004, 0.8293, 137.8347, 55.8271)

_SEMI_MAJOR_M: Final = 6378245.0
_ECCENTRICITY_2: Final = 0.00669342162296594323
_ORIGIN: Final = (105.0, 35.0)
_BAIDU_WAVE: Final = np.pi * 3000.0 / 180.0
_BAIDU_SHIFT: Final = (0.0065, 0.006)
# Both shifts contract errors by at least 40 a step, so twelve steps pass double precision from any start.
_STEPS: Final = 12
_CLOSE_DEG: Final = 1e-13
_NAMED_ROWS: Final = 20


class OutsideChina(Unprocessable):
    """GCJ-02 and BD-09 exist only in China, and these coordinates are elsewhere."""


def outside_china(lon: Floats, lat: Floats) -> Mask:
    """Which coordinates (degrees) lie outside the rectangle where GCJ-02 is applied; NaN counts as outside."""
    west, south, east, north = CHINA
    inside: Mask = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    return ~inside


def wgs84_to_gcj02(lon: Floats, lat: Floats) -> Pair:
    """WGS 84 degrees to GCJ-02 degrees, for display over a Chinese web map. Raises OutsideChina."""
    lon, lat = _checked(lon, lat)
    return _shift(lon, lat)


def gcj02_to_wgs84(lon: Floats, lat: Floats) -> Pair:
    """GCJ-02 degrees to WGS 84 degrees by iteration, to 1e-9 degree. Raises OutsideChina."""
    lon, lat = _checked(lon, lat)
    return _invert(_shift, lon, lat)


def gcj02_to_bd09(lon: Floats, lat: Floats) -> Pair:
    """GCJ-02 degrees to BD-09 (Baidu) degrees. Raises OutsideChina."""
    lon, lat = _checked(lon, lat)
    return _wobble(lon, lat)


def bd09_to_gcj02(lon: Floats, lat: Floats) -> Pair:
    """BD-09 (Baidu) degrees to GCJ-02 degrees by iteration, to 1e-9 degree. Raises OutsideChina."""
    lon, lat = _checked(lon, lat)
    return _invert(_wobble, lon, lat)


def bd09_to_wgs84(lon: Floats, lat: Floats) -> Pair:
    """BD-09 (Baidu) degrees to WGS 84 degrees. Raises OutsideChina."""
    lon, lat = _checked(lon, lat)
    return _invert(_shift, *_invert(_wobble, lon, lat))


def _checked(lon: Floats, lat: Floats) -> Pair:
    """The coordinates as float arrays, or OutsideChina naming the first rows at fault."""
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    bad = np.flatnonzero(outside_china(np.atleast_1d(lon), np.atleast_1d(lat)))
    if bad.size:
        raise OutsideChina(
            f"{bad.size} of {lon.size} coordinates declared as GCJ-02 or BD-09 lie outside China.",
            problems=[
                Problem(int(row) + 1, "geometry", "declared as GCJ-02 or BD-09, but it is not in China")
                for row in bad[:_NAMED_ROWS]
            ],
        )
    return lon, lat


def _invert(forward: Callable[[Floats, Floats], Pair], lon: Floats, lat: Floats) -> Pair:
    """Solve forward(x) = given by fixed-point iteration: the shift changes slowly from place to place."""
    x, y = lon, lat
    for _ in range(_STEPS):
        there_x, there_y = forward(x, y)
        off_x, off_y = lon - there_x, lat - there_y
        x, y = x + off_x, y + off_y
        if max(np.abs(off_x).max(initial=0.0), np.abs(off_y).max(initial=0.0)) < _CLOSE_DEG:
            break
    return x, y


def _shift(lon: Floats, lat: Floats) -> Pair:
    """The GCJ-02 offset, in metres on the Krasovsky ellipsoid, added in degrees."""
    x, y = lon - _ORIGIN[0], lat - _ORIGIN[1]
    root, cross = np.sqrt(np.abs(x)), x * y
    short = 20.0 * np.sin(6.0 * np.pi * x) + 20.0 * np.sin(2.0 * np.pi * x)
    north_m = (
        -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * cross + 0.2 * root
        + (short + 20.0 * np.sin(np.pi * y) + 40.0 * np.sin(np.pi * y / 3.0)
           + 160.0 * np.sin(np.pi * y / 12.0) + 320.0 * np.sin(np.pi * y / 30.0)) * 2.0 / 3.0
    )  # fmt: skip
    east_m = (
        300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * cross + 0.1 * root
        + (short + 20.0 * np.sin(np.pi * x) + 40.0 * np.sin(np.pi * x / 3.0)
           + 150.0 * np.sin(np.pi * x / 12.0) + 300.0 * np.sin(np.pi * x / 30.0)) * 2.0 / 3.0
    )  # fmt: skip
    phi = np.radians(lat)
    flat = 1.0 - _ECCENTRICITY_2 * np.sin(phi) ** 2
    meridian_m = _SEMI_MAJOR_M * (1.0 - _ECCENTRICITY_2) / flat**1.5
    parallel_m = _SEMI_MAJOR_M / np.sqrt(flat) * np.cos(phi)
    return lon + np.degrees(east_m / parallel_m), lat + np.degrees(north_m / meridian_m)


def _wobble(lon: Floats, lat: Floats) -> Pair:
    """Baidu's step from GCJ-02: a wave in polar coordinates about (0, 0), and a constant."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BAIDU_WAVE)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BAIDU_WAVE)
    return radius * np.cos(angle) + _BAIDU_SHIFT[0], radius * np.sin(angle) + _BAIDU_SHIFT[1]
