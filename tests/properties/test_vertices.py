"""Flat vertices say of plain geometries what GEOS says, and leave all others to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis_core import geometry, hexgrid, vertices

_SMALL = st.integers(-4, 4).map(lambda n: n / 1000)
_FREE = st.floats(-170, 170, allow_nan=False).map(lambda v: round(v, 6))
_PAIR = st.tuples(_SMALL, _SMALL) | st.tuples(_FREE, _FREE.map(lambda v: v / 2))
_LINE = st.lists(_PAIR, min_size=2, max_size=14)
_LINES = st.lists(_LINE, min_size=1, max_size=12)


def _lines(given: list[list[tuple[float, float]]]) -> Any:
    return np.array([shapely.LineString(line) for line in given] + [None], object)[:-1]


def _wkb(geoms: Any, **options: Any) -> pa.Array:
    return pa.array(shapely.to_wkb(geoms, **options), pa.binary())


@settings(deadline=None)
@given(_LINES)
def test_lines_are_read_measured_and_written_as_geos_does(given: list[list[tuple[float, float]]]) -> None:
    geoms = _lines(given)
    wkb = _wkb(geoms)
    plain = vertices.read_wkb(wkb, "LINESTRING")
    assert plain is not None
    assert len(plain) == len(geoms)
    assert (shapely.to_wkb(plain.geometries()) == shapely.to_wkb(geoms)).all()
    assert (plain.bounds == shapely.bounds(geoms)).all()
    assert plain.wkb().to_pylist() == wkb.to_pylist()
    again = vertices.of_geometries(geoms, "LINESTRING")
    assert again is not None
    assert (again.xy == plain.xy).all()
    assert (again.first == plain.first).all()
    every_second = np.arange(0, len(geoms), 2)
    assert plain.take(every_second).wkb().to_pylist() == wkb.take(pa.array(every_second)).to_pylist()


@settings(deadline=None)
@given(_LINES)
def test_a_line_that_is_not_doubtful_has_no_fault(given: list[list[tuple[float, float]]]) -> None:
    geoms = _lines(given)
    plain = vertices.read_wkb(_wkb(geoms), "LINESTRING")
    assert plain is not None
    doubtful = set(plain.doubtful().tolist())
    for fault in geometry.faults(geoms, "LINESTRING"):
        assert set(fault.rows.tolist()) <= doubtful, fault.why


@settings(deadline=None)
@given(_LINES)
def test_cells_of_vertices_are_those_of_lines(given: list[list[tuple[float, float]]]) -> None:
    near = [[(x % 0.01 - 71, y % 0.01 - 29) for x, y in line] for line in given]
    geoms = _lines(near)
    plain = vertices.of_geometries(geoms, "LINESTRING")
    assert plain is not None
    for ours, theirs in zip(hexgrid.cover_vertices(plain), hexgrid.cover_lines(geoms), strict=True):
        assert (ours == theirs).all()


@settings(deadline=None)
@given(st.lists(_PAIR, min_size=1, max_size=20))
def test_points_are_read_and_written_as_geos_does(given: list[tuple[float, float]]) -> None:
    geoms = np.array([shapely.Point(p) for p in given])
    wkb = _wkb(geoms)
    plain = vertices.read_wkb(wkb, "POINT")
    assert plain is not None
    assert not len(plain.doubtful())
    assert (plain.inner == shapely.get_coordinates(geoms)).all()
    assert plain.wkb().to_pylist() == wkb.to_pylist()


def _not_finite(value: float) -> Any:
    with np.errstate(all="ignore"):
        return shapely.LineString([(0, 0), (1, value)])


_STRAIGHT = shapely.LineString([(0, 0), (1, 1)])


@pytest.mark.parametrize(
    "other",
    [
        None,
        shapely.Point(1, 1),
        shapely.LineString(),
        shapely.LineString([(0, 0, 1), (1, 1, 2)]),
        _not_finite(np.nan),
        _not_finite(np.inf),
        shapely.MultiLineString([_STRAIGHT]),
    ],
)
def test_what_is_not_plain_is_left_to_geos(other: Any) -> None:
    geoms = np.array([_STRAIGHT, other, _STRAIGHT], object)
    assert vertices.read_wkb(_wkb(geoms), "LINESTRING") is None
    assert vertices.of_geometries(geoms, "LINESTRING") is None


@settings(deadline=None)
@given(st.binary(max_size=60) | st.builds(lambda head, rest: head + rest, st.just(b"\1\2\0\0\0"), st.binary()))
def test_hostile_bytes_are_left_to_geos_or_are_a_line(hostile: bytes) -> None:
    wkb = pa.array([shapely.to_wkb(_STRAIGHT), hostile], pa.binary())
    plain = vertices.read_wkb(wkb, "LINESTRING")
    if plain is not None:
        assert shapely.to_wkb(shapely.from_wkb(hostile)) == hostile


def test_big_endian_numbers_counts_that_lie_and_sliced_arrays() -> None:
    geoms = np.array([_STRAIGHT, shapely.LineString([(5, 5), (6, 7), (8, 8)])])
    assert vertices.read_wkb(_wkb(geoms, byte_order=0), "LINESTRING") is None
    lying = bytearray(shapely.to_wkb(_STRAIGHT))
    lying[5] = 3
    assert vertices.read_wkb(pa.array([bytes(lying)], pa.binary()), "LINESTRING") is None
    assert vertices.read_wkb(pa.array([], pa.binary()), "LINESTRING") is None
    assert vertices.read_wkb(_wkb(geoms), "POLYGON") is None
    for kind in (pa.binary(), pa.large_binary()):
        plain = vertices.read_wkb(_wkb(geoms).cast(kind)[1:], "LINESTRING")
        assert plain is not None
        assert plain.xy.tolist() == [[5, 5], [6, 7], [8, 8]]
