"""Gauss-Krueger zones over China: three datums, 3 and 6 degrees wide, eastings with the zone's number or without.

The numbers alone, no library: which EPSG code a zone has, and which zone a longitude or an easting belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gis_core.errors import BadInput

_NARROW: Final = 3


class UnknownCrs(BadInput):
    """The coordinate system is not known."""


class Datum(StrEnum):
    """The frame a file's coordinates refer to."""

    WGS84 = "WGS 84"
    CGCS2000 = "CGCS2000"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"
    XIAN80 = "Xian 1980"
    BEIJING54 = "Beijing 1954"
    OTHER = "other"


@dataclass(frozen=True)
class Zone:
    """One Gauss-Krueger zone: `prefixed` eastings begin with the zone's number (39 500 000 m), others do not."""

    datum: Datum
    width: int
    number: int
    prefixed: bool

    @property
    def meridian(self) -> int:
        """The central meridian in degrees east."""
        return self.number * 3 if self.width == _NARROW else self.number * 6 - 3

    @property
    def epsg(self) -> int:
        """The EPSG code. Source of the series: EPSG dataset, checked by name in the tests."""
        return _SERIES[self.datum, self.width, self.prefixed] + self.number - _FIRST[self.width]


# First code of each EPSG series of zones over China; 3-degree zones 25-45 and 6-degree zones 13-23.
_FIRST: Final = {3: 25, 6: 13}
_LAST: Final = {3: 45, 6: 23}
_SERIES: Final = {
    (Datum.CGCS2000, 6, True): 4491, (Datum.CGCS2000, 6, False): 4502,
    (Datum.CGCS2000, 3, True): 4513, (Datum.CGCS2000, 3, False): 4534,
    (Datum.XIAN80, 6, True): 2327, (Datum.XIAN80, 6, False): 2338,
    (Datum.XIAN80, 3, True): 2349, (Datum.XIAN80, 3, False): 2370,
    (Datum.BEIJING54, 6, True): 21413, (Datum.BEIJING54, 6, False): 21453,
    (Datum.BEIJING54, 3, True): 2401, (Datum.BEIJING54, 3, False): 2422,
}  # fmt: skip


def zones_at(meridian: float, datum: Datum = Datum.CGCS2000) -> list[Zone]:
    """Every zone of a datum whose central meridian (degrees east) this is: prefixed and not, 3 and 6 degrees wide."""
    found = [Zone(datum, w, _zone_number(meridian, w), p) for w in (3, 6) for p in (False, True)]
    return [z for z in found if z.meridian == meridian and _FIRST[z.width] <= z.number <= _LAST[z.width]]


def prefixed_zone(number: int, datum: Datum = Datum.CGCS2000) -> Zone | None:
    """The zone an easting's first two digits name: 13-23 are 6-degree zones, 25-45 are 3-degree zones."""
    width = next((w for w in (3, 6) if _FIRST[w] <= number <= _LAST[w]), None)
    return Zone(datum, width, number, prefixed=True) if width else None


def gauss_kruger(lon: float, width: int = 3) -> str:
    """The CGCS2000 Gauss-Krueger system (eastings without zone number) for a longitude in China, as `EPSG:4548`.

    `width` is 3 or 6 degrees. Inside its zone, lengths are true to 1:2,900 at 3 degrees and 1:730 at 6.
    Raises UnknownCrs outside zones 25-45 (3 degrees) or 13-23 (6 degrees).
    """
    if width not in _FIRST:
        raise UnknownCrs(f"Gauss-Krueger zones are 3 or 6 degrees wide, not {width}.")
    number = round(lon / 3) if width == _NARROW else int(lon // 6) + 1
    if not _FIRST[width] <= number <= _LAST[width]:
        raise UnknownCrs(f"Longitude {lon:g} lies in no CGCS2000 zone.")
    return f"EPSG:{Zone(Datum.CGCS2000, width, number, prefixed=False).epsg}"


def _zone_number(meridian: float, width: int) -> int:
    """The number of the zone whose central meridian is at or next below this one."""
    return int(meridian // 3) if width == _NARROW else int(meridian // 6) + 1
