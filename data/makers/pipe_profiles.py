"""How deep pipes lie: sewers fall all the way, pressure pipes follow the ground below the frost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from data.makers.pipe_kinds import Kind, frost_m
from data.makers.pipe_lines import Stations
from data.makers.pipe_routes import Routes, Site, seed_of
from data.makers.street_graph import Floats, Ints, Mask
from data.makers.terrain import Rolling

# Least slopes by diameter (mm), after GB 50014; above the last the last holds.
_LEAST_SLOPE: Final = ((300, 0.003), (400, 0.0022), (500, 0.0018), (600, 0.0015), (800, 0.0012), (1000, 0.001),
                       (9000, 0.0008))  # fmt: skip
_PATCH_M: Final = 900.0


@dataclass(frozen=True)
class Depths:
    """Crown depths (m) at each station: of the pipe that arrives and of the one that leaves; and lifting stations."""

    arriving: Floats
    leaving: Floats
    lifted: Mask


def lay(routes: Routes, stations: Stations, ground_m: Floats, diameter_mm: Ints, site: Site) -> Depths:
    """Depths of a class; `ground_m` is per station, `diameter_mm` per street of the graph."""
    cover = _cover(routes.kind, stations.xy, site)
    if not routes.kind.gravity:
        return Depths(cover, cover, np.zeros(len(cover), bool))
    arriving, leaving = ground_m - cover, ground_m - cover
    lifted = np.zeros(len(cover), bool)
    entering = np.full(len(site.graph.nodes), np.inf)
    where = {int(street): k for k, street in enumerate(stations.streets)}
    slopes = _slopes(diameter_mm)
    tree = routes.tree
    beside = np.flatnonzero(routes.laid & ~routes.branch)
    inward = tree.inward()
    trunk = tree.street[inward][routes.branch[tree.street[inward]]]
    for street in (*beside, *trunk):
        k = where[int(street)]
        part = slice(stations.first[k], stations.first[k + 1])
        node = stations.node[part.start]
        enter = entering[node] if node >= 0 else np.inf
        arriving[part], leaving[part], lifted[part] = fall(
            stations.along_m[part], ground_m[part], cover[part], min(enter, 1e9), slopes[street], routes.kind.deep_m
        )
        end = stations.node[part.stop - 1]
        entering[end] = min(entering[end], arriving[part.stop - 1])
    return Depths(ground_m - arriving, ground_m - leaving, lifted)


def fall(
    along_m: Floats, ground_m: Floats, cover_m: Floats, enter_m: float, slope: float, deep_m: float
) -> tuple[Floats, Floats, Mask]:
    """The crown's height along one sewer: never rising, at least `slope` steep, at least `cover_m` below ground.

    It enters at height `enter_m`. Where it would lie deeper than `deep_m` a lifting station brings it up to the least
    cover. Returns heights arriving at and leaving each station, and which of them lift.
    """
    highest = ground_m - cover_m
    line = highest + slope * along_m
    lifted = np.zeros(len(along_m), bool)
    line[0] = min(enter_m, highest[0])
    if ground_m[0] - line[0] > deep_m:
        line[0], lifted[0] = highest[0], True
    level = np.minimum.accumulate(line) - slope * along_m
    arriving = level.copy()
    arriving[0] = min(enter_m, highest[0])
    while True:
        sunk = (ground_m - level > deep_m) & ~lifted
        sunk[-1] = False  # the next street's pipe lifts there
        if not sunk.any():
            return arriving, level, lifted
        at = int(np.argmax(sunk))
        lifted[at] = True
        line[at:] = highest[at:] + slope * along_m[at:]
        level[at:] = np.minimum.accumulate(line[at:]) - slope * along_m[at:]
        arriving[at + 1 :] = level[at + 1 :]


def _slopes(diameter_mm: Ints) -> Floats:
    limits = np.array([limit for limit, _ in _LEAST_SLOPE])
    at = np.minimum(np.searchsorted(limits, diameter_mm), len(limits) - 1)
    return np.array([slope for _, slope in _LEAST_SLOPE])[at]


def _cover(kind: Kind, xy: Floats, site: Site) -> Floats:
    """The crown's usual depth around each point: smooth within the class's bounds, water below the frost."""
    field = 0.5 + 0.25 * Rolling(seed_of(site.seed, kind.name, "cover"), _PATCH_M)(xy)
    shallow, deep = kind.shallow_m, kind.shallow_m + 0.4 if kind.gravity else kind.deep_m
    frost = frost_m(site.latitude) if kind.name == "water" else 0.0
    return np.asarray(frost + shallow + (deep - shallow) * np.clip(field, 0, 1), np.float64)
