"""The ground's height: from an elevation model where the user gives one, else a made-up slope to the low side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from data.makers.street_graph import Floats
from gis_core import crs
from gis_core.raster import Elevation

_WAVES: Final = 14
_CALM_SHORE_M: Final = 900.0

Heights = Callable[[Floats], Floats]


class Rolling:
    """A smooth random field of mean 0 and spread 1: seeded waves that run in all directions."""

    def __init__(self, seed: int, wavelength_m: float) -> None:
        """The same seed and wavelength give the same field everywhere."""
        rng = np.random.default_rng([seed, round(wavelength_m)])
        angle, length = rng.uniform(0, np.pi, _WAVES), wavelength_m * rng.uniform(0.7, 1.8, _WAVES)
        self._wave = 2 * np.pi / length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        self._phase = rng.uniform(0, 2 * np.pi, _WAVES)

    def __call__(self, xy: Floats) -> Floats:
        """Values at points (n, 2) in metres."""
        waves = np.sin(xy @ self._wave.T + self._phase)
        return np.asarray(waves.sum(axis=1) * np.sqrt(2 / _WAVES), np.float64)


@dataclass(frozen=True)
class Slope:
    """What a city's made-up ground looks like: it rises from the low line (coast, river) and rolls a little.

    `low` is a line in metres, `base_m` the height there, `rise` metres per metre away from it.
    """

    low: shapely.LineString
    base_m: float
    rise: float
    rolling_m: float
    seed: int


def simulate(slope: Slope) -> Heights:
    """Heights in metres above sea level for points (n, 2), calm near the low line and rolling farther away."""
    rolling = Rolling(slope.seed, 5200.0)
    shapely.prepare(slope.low)

    def heights(xy: Floats) -> Floats:
        away = shapely.distance(shapely.points(xy), slope.low)
        calm = 1 - np.exp(-away / _CALM_SHORE_M)
        return np.asarray(slope.base_m + slope.rise * away + slope.rolling_m * calm * rolling(xy), np.float64)

    return heights


def survey(elevation: Elevation, metric_crs: str, otherwise: Heights) -> Heights:
    """Heights from an elevation model; where it has none, the made-up ground raised to the model's level."""
    source = crs.declare(metric_crs)

    def heights(xy: Floats) -> Floats:
        lon, lat = crs.convert(xy[:, 0], xy[:, 1], source)
        found, made_up = np.asarray(elevation.sample_m(lon, lat), np.float64), otherwise(xy)
        known = np.isfinite(found)
        shift = float(np.median(found[known] - made_up[known])) if known.any() else 0.0
        return np.where(known, found, made_up + shift)

    return heights
