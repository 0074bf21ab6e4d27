"""Heights of the ground: a plane is sampled exactly, whatever its grid; gaps and edges are told apart from zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.transform import Affine

from gis_core import raster
from gis_core.raster import RasterTooLarge, UnreadableRaster, open_elevation

ANDORRA = Path(__file__).resolve().parents[3] / "shared" / "data" / "dem" / "andorra_swmmanywhere" / "elevation.tif"
GRID = Affine(30, 0, 450_000, 0, -30, 4_400_000)


def _write(
    path: Path, cells: np.ndarray, crs: str | None = "EPSG:4548", grid: Affine = GRID, nodata: float | None = -9999
) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=cells.shape[0], width=cells.shape[1], count=1, dtype=cells.dtype,
        crs=crs, transform=grid, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(cells, 1)
    return path


def _plane(grid: Affine, size: int = 40) -> np.ndarray:
    """Heights of the plane h = 0.01 (x - x0) + 0.02 (y - y0) + 5 at the cell centres."""
    column, row = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    x, y = grid.a * column + grid.b * row, grid.d * column + grid.e * row
    return np.asarray(0.01 * x + 0.02 * y + 5)


@pytest.mark.parametrize("grid", [GRID, Affine(20, 8, 450_000, -6, -25, 4_400_000)], ids=["upright", "turned"])
def test_a_plane_is_sampled_exactly(tmp_path: Path, grid: Affine) -> None:
    elevation = open_elevation(_write(tmp_path / "plane.tif", _plane(grid), grid=grid))
    rng = np.random.default_rng(6)
    column, row = rng.uniform(1, 39, (2, 500))
    x, y = grid.a * column + grid.b * row, grid.d * column + grid.e * row
    back = pyproj.Transformer.from_crs(4548, 4326, always_xy=True)
    lon, lat = back.transform(x + 450_000, y + 4_400_000)
    assert elevation.sample_m(lon, lat) == pytest.approx(0.01 * x + 0.02 * y + 5, abs=1e-5)
    west, south, east, north = elevation.bounds
    assert west < lon.min() < lon.max() < east
    assert south < lat.min() < lat.max() < north


def test_without_data_is_nan_and_only_there(tmp_path: Path) -> None:
    cells = np.full((4, 4), 7, np.int16)
    cells[0, 0] = -9999
    path = _write(tmp_path / "gap.tif", cells, "EPSG:4326", Affine(0.1, 0, 116, 0, -0.1, 40))
    lon = [116.05, 116.09, 116.35, 116.15, 116.0, 115.9, 116.4, np.nan, 116.2]
    lat = [39.95, 39.91, 39.65, 39.85, 40.0, 39.8, 39.6, 39.8, 95.0]
    heights = open_elevation(path).sample_m(lon, lat)
    assert np.isnan(heights).tolist() == [True, True, False, False, True, True, False, True, True]
    assert heights[~np.isnan(heights)].tolist() == [7, 7, 7]


def test_nothing_to_sample(tmp_path: Path) -> None:
    path = _write(tmp_path / "plane.tif", _plane(GRID))
    assert open_elevation(path).sample_m([], []).tolist() == []
    assert np.isnan(open_elevation(path).sample_m([0.0], [0.0])).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRaster, match="no elevation file"):
        open_elevation(tmp_path / "none.tif")
    with pytest.raises(UnreadableRaster, match="coordinate system"):
        open_elevation(_write(tmp_path / "lost.tif", _plane(GRID), crs=None))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(UnreadableRaster, match="can be read"):
        open_elevation(tmp_path / "text.tif")
    with pytest.raises(UnreadableRaster, match="plain numbers"):
        open_elevation(_write(tmp_path / "complex.tif", _plane(GRID).astype(np.complex64), nodata=None))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "cut.tif", _plane(GRID, 400))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    lon, lat = pyproj.Transformer.from_crs(4548, 4326, always_xy=True).transform(
        [450_100, 461_900], [4_399_900, 4_388_100]
    )
    with pytest.raises(UnreadableRaster):
        open_elevation(path).sample_m(lon, lat)


def test_too_large_a_part_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elevation = open_elevation(_write(tmp_path / "plane.tif", _plane(GRID)))
    west, south, east, north = elevation.bounds
    monkeypatch.setattr(raster, "MOST_CELLS", 100)
    with pytest.raises(RasterTooLarge):
        elevation.sample_m(np.linspace(west, east, 9), np.linspace(south, north, 9))


@pytest.mark.shared
def test_andorra_has_the_heights_of_mountains() -> None:
    if not ANDORRA.exists():
        pytest.skip("the shared elevation of Andorra is not beside the project")
    elevation = open_elevation(ANDORRA)
    west, south, east, north = elevation.bounds
    lon, lat = np.meshgrid(np.linspace(west, east, 40)[4:-4], np.linspace(south, north, 40)[4:-4])
    heights = elevation.sample_m(lon.ravel(), lat.ravel())
    known = heights[~np.isnan(heights)]
    assert len(known) > 800
    with rasterio.open(ANDORRA) as file:
        cells = file.read(1, masked=True)
    assert cells.min() <= known.min() < known.max() <= cells.max()
    assert 800 < np.median(known) < 3_000
