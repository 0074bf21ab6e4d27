"""Vehicles as rows of data: which roads they may use, how fast they go, what a turn costs them, how deep they wade."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np
import numpy.typing as npt

from gis_core.errors import NotFound, Unprocessable

CLASSES: Final = ("motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service", "path")
"""Road classes as the layer `roads` names them, greatest first; a graph stores their place in this row."""

# What drivers reach on a free road of each class, as a share of its limit. Source: our own calibration against
# travel times of open routing engines; a city's measured speeds replace them.
_REACHED: Final = (0.95, 0.9, 0.8, 0.78, 0.76, 0.72, 0.75, 1.0)
_SLOWEST_KMH: Final = 1.0
_FASTEST_KMH: Final = 200.0


class NoSuchVehicle(NotFound):
    """There is no such vehicle."""


class BadVehicle(Unprocessable):
    """A vehicle cannot be like this."""


class Mode(IntFlag):
    """Kinds of traffic, one bit each, as masks of roads and turns hold them."""

    car = 1
    emergency = 2
    goods = 4
    bicycle = 8
    foot = 16


MOTOR: Final = Mode.car | Mode.emergency | Mode.goods


@dataclass(frozen=True)
class Vehicle:
    """One kind of vehicle.

    Speeds are in km/h: what is usual of the road's limit on its class, times `haste`, but no more than `top_kmh`;
    `path_kmh` on paths, and always `top_kmh` by bicycle and on foot. Turn costs are seconds. `height_m`
    and `weight_t` are held against a road's limits; `wading_m` is the depth of water at which it must stop.
    """

    name: str
    zh: str
    en: str
    mode: Mode
    top_kmh: float
    path_kmh: float = 5.0
    haste: float = 1.0
    height_m: float = 0.0
    weight_t: float = 0.0
    wading_m: float = 0.3
    cross_s: float = 5.0
    near_s: float = 2.0
    back_s: float = 20.0
    signal_s: float = 8.0

    def __post_init__(self) -> None:
        """Refuse figures that no vehicle has. Raises BadVehicle."""
        figures = (self.top_kmh, self.path_kmh, self.haste, self.height_m, self.weight_t, self.wading_m)
        costs = (self.cross_s, self.near_s, self.back_s, self.signal_s)
        if not np.isfinite([*figures, *costs]).all() or min(*figures, *costs) < 0:
            raise BadVehicle(f"{self.name}: its figures must be finite and not negative.")
        if not _SLOWEST_KMH <= self.top_kmh <= _FASTEST_KMH or not self.path_kmh or not self.haste:
            raise BadVehicle(f"{self.name}: a speed of {self.top_kmh:g} km/h is not within 1 and 200.")

    def speeds_kmh(
        self, limit_kmh: npt.NDArray[np.float64], road_class: npt.NDArray[np.int8]
    ) -> npt.NDArray[np.float64]:
        """Free speeds (km/h) on roads with these limits and classes (places in CLASSES)."""
        if self.mode in (Mode.bicycle, Mode.foot):
            return np.full(len(limit_kmh), self.top_kmh)
        usual = limit_kmh * np.array(_REACHED)[road_class] * self.haste
        usual = np.where(road_class == CLASSES.index("path"), self.path_kmh, usual)
        return np.asarray(np.clip(usual, _SLOWEST_KMH, self.top_kmh))


# Wading depths: cars by Pregnolato et al. 2017 (at 300 mm they stop); the others are assumptions to be replaced by
# the figures of a city's own fleet. Heights and weights are usual ones of the kind.
VEHICLES: Final = {
    v.name: v
    for v in (
        Vehicle("car", "小汽车", "car", Mode.car, 120, height_m=1.6, weight_t=1.8, wading_m=0.30),
        Vehicle("fire_engine", "消防车", "fire engine", Mode.emergency, 90, 10, 1.1, 3.5, 16, 0.70, 3, 2, 25, 2),
        Vehicle("ambulance", "救护车", "ambulance", Mode.emergency, 110, 10, 1.15, 2.8, 4, 0.45, 3, 1.5, 15, 2),
        Vehicle("truck", "货车", "truck", Mode.goods, 80, 5, 0.9, 4.0, 18, 0.60, 8, 3, 45, 9),
        Vehicle("bicycle", "自行车", "bicycle", Mode.bicycle, 15, 10, wading_m=0.20, cross_s=4, near_s=1, back_s=5),
        Vehicle("foot", "步行", "on foot", Mode.foot, 4.8, 4.8, wading_m=0.40, cross_s=0, near_s=0, back_s=0),
    )
}


def vehicle(name: str) -> Vehicle:
    """The vehicle of that name. Raises NoSuchVehicle."""
    if name not in VEHICLES:
        raise NoSuchVehicle(f"There is no vehicle {name!r}; there are {', '.join(VEHICLES)}.")
    return VEHICLES[name]
