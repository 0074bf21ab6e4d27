"""What a survey would say of made pipes: classes and codes, levels, sections, pressures, valves, and whom they serve.

All figures are usual practice, for simulation only. Levels follow from ground and depth; the rest is seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from data import codes
from data.makers.pipe_lines import Stations
from data.makers.pipe_routes import Routes, Site, seed_of
from data.makers.street_graph import Floats, Ints, Mask

if TYPE_CHECKING:
    import pandas as pd

Words = npt.NDArray[np.object_]

_PER_HOUSEHOLD: Final = 2.7
_M3H_PER_HOUSEHOLD: Final = 0.02
_SUMP_M: Final = 0.1
_ELSEWHERE: Final = 1e-3
_SERVES: Final = ("meter", "entry", "transformer", "cabinet")
_CHAMBERS: Final = ("manhole", "valve", "hydrant", "meter", "handhole", "pump_station", "regulator", "inlet")
_CLOSED, _STUCK, _BURIED = 0.05, 0.03, 0.02
_TRANSMISSION_MM: Final = 500
_CHANNEL_MM: Final = 600
_MEDIUM_A_MM: Final = 200
_WATER_MPA: Final = (0.25, 0.45)
_GAS_MPA: Final = {"medium_a": 0.35, "medium_b": 0.15}
_HEAT_MPA, _HEAT_C = 1.0, 110.0
_INDUSTRIAL_MPA: Final = 0.8
_KV: Final = {100: 10.0, 150: 10.0, 200: 35.0}
_HOLES: Final = {"power": {100: 4, 150: 6, 200: 12}, "telecom": {100: 4, 150: 6, 300: 12}}
_WORDS_OF_KINDS: Final = {
    "valve": ("阀门", "闸门井"), "hydrant": ("消防栓",), "meter": ("水表",), "tee": ("三通",), "cross": ("四通",),
    "bend": ("弯头",), "manhole": ("雨水井", "污水井", "窨井"), "inlet": ("雨水箅", "雨箅"), "outfall": ("出水口",),
    "pump_station": ("泵站",), "source": ("水源井",),
}  # fmt: skip


@dataclass(frozen=True)
class Habit:
    """What all pipes of a class have in common: minor class, laying, secrecy, share of households that have it."""

    minor: str
    laying: str = "direct"
    secrecy: str = "internal"
    households: float = 0.0


HABITS: Final = {
    "water": Habit("JP", households=1.0),
    "storm": Habit("YS", secrecy="open"),
    "sewage": Habit("WS", secrecy="open", households=1.0),
    "combined": Habit("HS", secrecy="open"),
    "gas": Habit("TR", households=0.6),
    "heat": Habit("RS", households=0.5),
    "power": Habit("GD", "conduit", households=1.0),
    "telecom": Habit("XX", "duct_block", households=0.8),
    "industrial": Habit("DQ"),
}


def gas_class(diameter_mm: Ints) -> Words:
    """The pressure class of gas pipes: mains are medium A, what they feed through regulators is medium B."""
    return np.where(diameter_mm >= _MEDIUM_A_MM, "medium_a", "medium_b").astype(object)


def regulated(stations: Stations, diameter_mm: Ints, joined: Ints) -> Mask:
    """Which of the graph's nodes `joined` has gas pipes of both pressure classes; `diameter_mm` per street."""
    at = stations.node >= 0
    main = diameter_mm[stations.street[at]] >= _MEDIUM_A_MM
    size = int(joined.max(initial=-1)) + 1
    some = np.bincount(stations.node[at], main, size) > 0
    less = np.bincount(stations.node[at], ~main, size) > 0
    return np.asarray((some & less)[joined])


def describe(points: pd.DataFrame, segments: pd.DataFrame, ends: Ints, routes: Routes, seed: int) -> None:
    """Add to the rows of a class what a survey says of them; `ends` are the rows of each segment's two points."""
    _describe_points(points, segments, ends, routes)
    _describe_segments(points, segments, ends, routes, seed)


def serve(points: pd.DataFrame, routes: Routes, stations: Stations, row: Ints, site: Site) -> None:
    """Share the households of each street out among its points: to meters and entries, else not to valves.

    `row` is the row of each station's point.
    """
    habit = HABITS[routes.kind.name]
    if not habit.households:
        return
    kind = points["kind"].to_numpy(object)[row].astype(str)
    weight = np.select([np.isin(kind, _SERVES), kind != "valve"], [1.0, _ELSEWHERE], _ELSEWHERE**2)
    total = np.bincount(stations.street, weight, len(site.graph))
    households = site.people[stations.street] * (habit.households / _PER_HOUSEHOLD)
    share = np.bincount(row, households * weight / total[stations.street], len(points))
    customers = np.diff(np.round(np.concatenate([[0.0], np.cumsum(share)])))
    points["customers"] = np.where(customers > 0, customers, np.nan)
    if routes.kind.name == "water":
        points["demand_m3h"] = np.round(points["customers"].to_numpy() * _M3H_PER_HOUSEHOLD, 3)


def equip(points: pd.DataFrame, routes: Routes, street: Ints, inner: Mask, seed: int) -> None:
    """How valves stand: some between two branches are closed, a few cannot be turned or reached.

    At most one valve is closed on a street, and only beside the tree, so that everybody is supplied. `street` and
    `inner` (not at a junction) are per point.
    """
    valve = np.flatnonzero(points["kind"].to_numpy() == "valve")
    if not len(valve):
        return
    rng = np.random.default_rng(seed_of(seed, routes.kind.name, "valves"))
    chance = rng.random((3, len(valve)))
    beside = inner[valve] & ~routes.branch[street[valve]]
    first = np.zeros(len(valve), bool)
    first[np.unique(np.where(beside, street[valve], -1), return_index=True)[1]] = True
    said = {
        "valve_open": ~((chance[0] < _CLOSED) & beside & first),
        "operable": chance[1] >= _STUCK,
        "accessible": chance[2] >= _BURIED,
    }
    for name, values in said.items():
        column = np.full(len(points), None, object)
        column[valve] = values.astype(object)
        points[name] = column


def _describe_points(points: pd.DataFrame, segments: pd.DataFrame, ends: Ints, routes: Routes) -> None:
    habit = HABITS[routes.kind.name]
    lowest = np.zeros(len(points))
    high = segments["diameter_mm"].to_numpy() / 1000
    for at, name in enumerate(("start_depth_m", "end_depth_m")):
        np.maximum.at(lowest, ends[:, at], segments[name].to_numpy() + high)
    kind = points["kind"].to_numpy(object)
    chamber = np.isin(kind.astype(str), _CHAMBERS)
    depth = np.where(chamber, np.round(lowest + _SUMP_M, 3), np.nan)
    points["subclass"] = habit.minor
    points["feature_code"] = _coded(habit.minor, kind)
    points["well_depth_m"] = depth
    points["invert_m"] = np.round(points["ground_m"].to_numpy() - depth, 3)
    points["status"], points["secrecy"] = "in_use", habit.secrecy


def _describe_segments(points: pd.DataFrame, segments: pd.DataFrame, ends: Ints, routes: Routes, seed: int) -> None:
    name, habit = routes.kind.name, HABITS[routes.kind.name]
    ground = points["ground_m"].to_numpy()
    diameter = segments["diameter_mm"].to_numpy()
    minor = np.full(len(segments), habit.minor, object)
    if name == "water":
        minor[diameter >= _TRANSMISSION_MM] = "SS"
    segments["subclass"], segments["feature_code"] = minor, _lines_coded(minor)
    segments["laying"], segments["section"] = habit.laying, "round"
    for end, at in (("start", 0), ("end", 1)):
        segments[f"{end}_level_m"] = np.round(ground[ends[:, at]] - segments[f"{end}_depth_m"].to_numpy(), 3)
    segments["depth_reference"] = "crown"
    if routes.kind.gravity:
        segments["flow"] = "forward"
    if name == "combined":
        _dig_channels(segments, diameter > _CHANNEL_MM)
    for column, values in _driven(name, diameter, ground[ends].mean(axis=1), seed).items():
        segments[column] = values
    segments["status"], segments["secrecy"] = "in_use", habit.secrecy


def _dig_channels(segments: pd.DataFrame, channel: Mask) -> None:
    """Old great sewers are square channels of masonry."""
    across = np.where(channel, segments["diameter_mm"].to_numpy(), np.nan)
    segments["section"] = np.where(channel, "rectangular", "round").astype(object)
    segments["laying"] = np.where(channel, "trench", "direct").astype(object)
    segments["width_mm"], segments["height_mm"] = across, across


def _driven(name: str, diameter_mm: Floats, ground_m: Floats, seed: int) -> dict[str, Any]:
    """Pressures, temperatures, voltages and holes of a class."""
    if name == "water":
        low, high = float(ground_m.min()), float(ground_m.max())
        least, most = _WATER_MPA
        up = (ground_m - low) / max(high - low, 1.0)
        return {"pressure_mpa": np.round(most - (most - least) * up, 2)}
    if name == "gas":
        pressure = gas_class(diameter_mm.astype(np.int64))
        main = pressure == "medium_a"
        return {"pressure_class": pressure, "pressure_mpa": np.where(main, *_GAS_MPA.values())}
    if name == "heat":
        return {"pressure_mpa": _HEAT_MPA, "temperature_c": _HEAT_C, "heat_side": "supply"}
    if name == "industrial":
        return {"pressure_mpa": _INDUSTRIAL_MPA}
    if name not in _HOLES:
        return {}
    rng = np.random.default_rng(seed_of(seed, name, "holes"))
    holes = _by_size(_HOLES[name], diameter_mm)
    used = np.ceil(holes * rng.uniform(0.3, 1.0, len(holes)))
    said: dict[str, Any] = {"hole_count": holes, "holes_used": used, "cable_count": used}
    return said | ({"voltage_kv": _by_size(_KV, diameter_mm)} if name == "power" else {})


def _by_size(table: dict[int, Any], diameter_mm: Floats) -> Floats:
    sizes = np.array(list(table))
    at = np.minimum(np.searchsorted(sizes, diameter_mm), len(sizes) - 1)
    return np.array(list(table.values()), np.float64)[at]


@cache
def _catalogue() -> dict[tuple[str, str], str]:
    """Feature codes by minor class and Chinese word; the line of a minor class stands under the empty word."""
    found: dict[tuple[str, str], str] = {}
    for known in codes.feature_codes().values():
        found.setdefault((known.minor, "" if known.shape == "line" else known.name), known.code)
    return found


def _coded(minor: str, kind: Words) -> Words:
    """The feature code of each point; None where the catalogue has none."""
    known = {}
    for name in dict.fromkeys(kind):
        words = _WORDS_OF_KINDS.get(name, ())
        known[name] = next((_catalogue()[minor, w] for w in words if (minor, w) in _catalogue()), None)
    return np.array([known[name] for name in kind], object)


def _lines_coded(minor: Words) -> Words:
    """The feature code of each segment's minor class."""
    known = {letters: _catalogue().get((letters, "")) for letters in dict.fromkeys(minor)}
    return np.array([known[letters] for letters in minor], object)
