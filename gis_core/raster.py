"""Heights of the ground from an elevation raster: any file and coordinate system that GDAL reads, sampled at points.

rasterio (BSD-3, over GDAL) stands behind this one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.errors
import rasterio.transform
import rasterio.warp
import rasterio.windows

from gis_core.crs import LONLAT
from gis_core.errors import TooLarge, Unprocessable

Floats: TypeAlias = npt.NDArray[np.float64]

MOST_CELLS: Final = 100_000_000


class UnreadableRaster(Unprocessable):
    """The elevation file cannot be used."""


class RasterTooLarge(TooLarge):
    """The part of the elevation file that these points need is too large to hold in memory."""


@dataclass(frozen=True)
class Elevation:
    """An elevation file known to be usable: its path, and west, south, east, north in degrees."""

    path: Path
    bounds: tuple[float, float, float, float]

    def sample_m(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
        """Heights at points (degrees), in the file's unit (metres by custom), bilinear between cell centres.

        NaN outside the file, next to a cell without data, and at coordinates that are not finite. Within half a cell
        of the file's edge the outermost cells count. Raises UnreadableRaster, or RasterTooLarge over 100 million cells.
        """
        x, y = (np.atleast_1d(np.asarray(v, np.float64)) for v in (lon, lat))
        heights = np.full(len(x), np.nan)
        with _opened(self.path) as file:
            column, row = _places(file, x, y)
            inside = (column >= 0) & (row >= 0) & (column <= file.width) & (row <= file.height)
            if inside.any():
                heights[inside] = _bilinear(file, column[inside], row[inside])
        return heights


def open_elevation(path: Path) -> Elevation:
    """Look at an elevation file. Raises UnreadableRaster if it is none or does not say its coordinate system."""
    with _opened(path) as file:
        grid = file.transform
        across, down = np.array([0, file.width, 0, file.width]), np.array([0, 0, file.height, file.height])
        x, y = grid.a * across + grid.b * down + grid.c, grid.d * across + grid.e * down + grid.f
        outline = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        west, south, east, north = rasterio.warp.transform_bounds(file.crs, LONLAT, *outline)
    return Elevation(path, (west, south, east, north))


def _opened(path: Path) -> Any:
    """The open dataset, if it is a local file with a coordinate system, a grid and a band of numbers."""
    if not path.is_file():
        raise UnreadableRaster(f"There is no elevation file {path.name!r}.")
    try:
        file = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise UnreadableRaster(f"{path.name!r} is no raster that can be read.") from error
    fault = None
    if file.crs is None:
        fault = "does not say its coordinate system"
    elif not file.count or np.dtype(file.dtypes[0]).kind not in "iuf":
        fault = "has no band of plain numbers"
    if fault:
        file.close()
        raise UnreadableRaster(f"The elevation file {path.name!r} {fault}.")
    return file


def _places(file: Any, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Points as columns and rows of the grid, counted from the outer corner; NaN where they cannot be on it."""
    x, y = np.full(len(lon), np.nan), np.full(len(lon), np.nan)
    good = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90.0))  # noqa: PLR2004
    if good.size:
        x[good], y[good] = (np.asarray(v) for v in rasterio.warp.transform(LONLAT, file.crs, lon[good], lat[good]))
    x[~np.isfinite(x) | ~np.isfinite(y)] = np.nan
    inverse = ~file.transform
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _bilinear(file: Any, column: Floats, row: Floats) -> Floats:
    """Heights between the four nearest cell centres, reading only the window that the points need."""
    across, down = np.clip(column - 0.5, 0, file.width - 1), np.clip(row - 0.5, 0, file.height - 1)
    left, top = np.floor(across).astype(int), np.floor(down).astype(int)
    right, bottom = np.minimum(left + 1, file.width - 1), np.minimum(top + 1, file.height - 1)
    first_column, first_row = int(left.min()), int(top.min())
    wide, high = int(right.max()) - first_column + 1, int(bottom.max()) - first_row + 1
    if wide * high > MOST_CELLS:
        raise RasterTooLarge(f"{wide:,} x {high:,} cells are needed; at most {MOST_CELLS:,} are read.")
    try:
        window = rasterio.windows.Window(first_column, first_row, wide, high)
        band = file.read(1, window=window, masked=True).astype(np.float64).filled(np.nan)
    except rasterio.errors.RasterioIOError as error:
        raise UnreadableRaster("The elevation file is damaged: its cells cannot be read.") from error
    band[~np.isfinite(band)] = np.nan
    to_right, to_bottom = across - left, down - top
    left, right, top, bottom = left - first_column, right - first_column, top - first_row, bottom - first_row
    result: Floats = np.zeros(len(column))
    for x, y, weight in (
        (left, top, (1 - to_right) * (1 - to_bottom)),
        (right, top, to_right * (1 - to_bottom)),
        (left, bottom, (1 - to_right) * to_bottom),
        (right, bottom, to_right * to_bottom),
    ):
        result += np.where(weight > 0, band[y, x] * weight, 0.0)
    return result
