"""Coordinate systems under any input: there and back is the same place, and odd text is refused, never a crash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis_core.crs import UnknownCrs, declare
from gis_core.crs import china as china_datums

LON = st.floats(73.0, 135.0)
LAT = st.floats(3.0, 54.0)


@given(LON, LAT)
def test_gcj02_there_and_back(lon: float, lat: float) -> None:
    there = china_datums.wgs84_to_gcj02(np.array([lon]), np.array([lat]))
    back = china_datums.gcj02_to_wgs84(*there)
    assert abs(back[0][0] - lon) < 1e-9
    assert abs(back[1][0] - lat) < 1e-9
    assert 0 < np.hypot(there[0][0] - lon, there[1][0] - lat) < 0.03


@given(LON, LAT)
def test_bd09_there_and_back(lon: float, lat: float) -> None:
    gcj = china_datums.wgs84_to_gcj02(np.array([lon]), np.array([lat]))
    bd = china_datums.gcj02_to_bd09(*gcj)
    half = china_datums.bd09_to_gcj02(*bd)
    whole = china_datums.bd09_to_wgs84(*bd)
    assert np.abs(np.subtract(half, gcj)).max() < 1e-9
    assert abs(whole[0][0] - lon) < 1e-9
    assert abs(whole[1][0] - lat) < 1e-9


@settings(deadline=None, max_examples=40)  # PROJ searches its database for a name like it
@given(st.text(max_size=60) | st.integers() | st.none())
def test_any_text_is_a_source_or_is_refused(text: object) -> None:
    try:
        source = declare(text)
    except UnknownCrs as refused:
        assert refused.status == 400  # noqa: PT017
    else:
        assert source.crs


@pytest.mark.parametrize("declared", ["WGS84", "EPSG:4548", "GCJ-02"])
def test_declaring_twice_is_the_same(declared: str) -> None:
    assert declare(declared) == declare(declared)
