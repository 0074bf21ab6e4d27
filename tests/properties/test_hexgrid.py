"""Hexagons anywhere on earth: parents are h3-py's, children lie in their parent's range, shares add up to one."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis_core import hexgrid

LON, LAT = st.floats(-180, 180), st.floats(-90, 90)
NEAR = st.floats(-0.01, 0.01)


@given(LON, LAT, st.integers(0, 15), st.integers(0, 15))
def test_parents_are_h3s(lon: float, lat: float, own: int, wanted: int) -> None:
    own, wanted = max(own, wanted), min(own, wanted)
    cell = h3.latlng_to_cell(lat, lon, own)
    expected = h3.cell_to_parent(cell, wanted)
    assert hexgrid.parent(cell, wanted) == expected
    assert hexgrid.parent(np.array([cell]), wanted).tolist() == [expected]
    assert hexgrid.resolution_of(expected) == wanted


@given(LON, LAT, LON, LAT, st.integers(0, 11))
def test_a_child_is_in_its_parents_range_and_no_other_is(
    lon: float, lat: float, other_lon: float, other_lat: float, resolution: int
) -> None:
    fine = h3.latlng_to_cell(lat, lon, hexgrid.FINEST)
    cell = h3.cell_to_parent(fine, resolution)
    low, high = hexgrid.child_range(cell)
    assert low <= fine <= high
    other = h3.latlng_to_cell(other_lat, other_lon, hexgrid.FINEST)
    assert (low <= other <= high) == (h3.cell_to_parent(other, resolution) == cell)


@settings(deadline=None)
@given(st.floats(-170, 170), st.floats(-70, 70), st.lists(st.tuples(NEAR, NEAR), min_size=2, max_size=8))
def test_shares_of_a_line_add_up(lon: float, lat: float, steps: list[tuple[float, float]]) -> None:
    line = shapely.LineString([(lon + x, lat + y) for x, y in steps])
    index, cell, share = hexgrid.cover_lines(np.array([line]))
    assert abs(share.sum() - 1) < 1e-12
    assert (share > 0).all()
    assert set(index.tolist()) == {0}
    assert np.array_equal(cell, np.unique(cell))


@settings(deadline=None, max_examples=40)
@given(st.floats(-170, 170), st.floats(-70, 70), st.lists(st.tuples(NEAR, NEAR), min_size=3, max_size=8))
def test_shares_of_any_ring_add_up(lon: float, lat: float, steps: list[tuple[float, float]]) -> None:
    ring = shapely.Polygon([(lon + x, lat + y) for x, y in steps])
    _, cell, share = hexgrid.cover_areas(np.array([ring]))
    assert abs(share.sum() - 1) < 1e-12
    assert (share > 0).all()
    assert np.array_equal(cell, np.unique(cell))
