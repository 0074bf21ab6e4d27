"""The ground: made up it rises from the shore, and an elevation model of the user's takes its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from data.makers import terrain
from data.packs.city import CityFacts, Given
from data.packs.simulation import find_elevation
from gis_core import Label
from gis_core.raster import open_elevation

METRIC = "EPSG:32719"
SHORE = shapely.LineString([(280_000, 6_680_000), (280_000, 6_700_000)])
BOUNDS = (-71.30, -29.95, -71.20, -29.85)
SLOPE = terrain.Slope(SHORE, 3.0, 0.012, 3.0, seed=5)


def city(center: tuple[float, float]) -> CityFacts:
    return CityFacts("x", Label("城", "Town"), center, 12, BOUNDS, "WGS 84", METRIC, "UTC", ())


def model(path: Path) -> Path:
    """Heights that are 100 m and rise eastward by a metre a cell, with a hole in the north."""
    rows = np.tile(100 + np.arange(50, dtype=np.float32), (50, 1))
    rows[:10] = -9999
    place = Affine(0.002, 0, BOUNDS[0], 0, -0.002, BOUNDS[3])
    with rasterio.open(
        path, "w", driver="GTiff", width=50, height=50, count=1, dtype="float32", crs="EPSG:4326", transform=place,
        nodata=-9999,
    ) as file:  # fmt: skip
        file.write(rows, 1)
    return path


def test_made_up_ground_rises_from_the_shore_and_is_always_the_same() -> None:
    heights = terrain.simulate(SLOPE)
    xy = np.column_stack([np.linspace(280_000, 288_000, 200), np.full(200, 6_690_000.0)])
    z = heights(xy)
    assert z[0] == pytest.approx(3, abs=0.1)
    assert z[-1] == pytest.approx(3 + 0.012 * 8000, abs=10)
    assert np.abs(np.diff(z) / np.diff(xy[:, 0])).max() < 0.05, "a street can run anywhere"
    assert np.array_equal(z, terrain.simulate(SLOPE)(xy))
    assert not np.array_equal(z, terrain.simulate(terrain.Slope(SHORE, 3.0, 0.012, 3.0, seed=6))(xy))


def test_rolling_fields_have_mean_zero_and_spread_one() -> None:
    xy = np.random.default_rng(1).uniform(0, 1e6, (20_000, 2))
    field = terrain.Rolling(3, 900.0)(xy)
    assert field.mean() == pytest.approx(0, abs=0.05)
    assert field.std() == pytest.approx(1, abs=0.1)


def test_an_elevation_model_takes_the_place_of_the_made_up_ground(tmp_path: Path) -> None:
    surveyed = terrain.survey(open_elevation(model(tmp_path / "dem.tif")), METRIC, terrain.simulate(SLOPE))
    south = np.array([[282_000.0, 6_687_500.0], [285_000.0, 6_687_500.0]])
    known = surveyed(south)
    assert ((known > 100) & (known < 150)).all()
    assert known[1] > known[0]
    both = surveyed(np.vstack([south, [[282_000.0, 6_695_500.0]]]))
    assert np.isfinite(both).all()
    assert both[2] > 80, "where the model has a hole the made-up ground is raised to its level"


def test_the_model_that_covers_the_city_is_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = model(tmp_path / "deep" / "dem.tif")
    (tmp_path / "a.tif").write_bytes(b"no raster")
    found = find_elevation(Given(tmp_path, tmp_path), city((-71.25, -29.92)))
    assert found is not None
    assert found.path == path
    assert find_elevation(Given(tmp_path, tmp_path), city((10.0, 50.0))) is None
    assert find_elevation(Given(tmp_path), city((-71.25, -29.92))) is None
