"""What each class of pipe looks like: where under the street, how deep, how wide, of what, and whose it is.

The order across the street follows GB 50289-2016: power and telecom outermost, then water, gas and heat, sewers in the
middle, storm sewers next to them. Figures are usual practice, for simulation only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from data.makers.street_graph import Floats, Ints

FROST_FREE_LATITUDE, FROST_M_PER_DEGREE, DEEPEST_FROST_M = 35.0, 0.03, 0.9


@dataclass(frozen=True)
class Kind:
    """One class of pipe.

    Across the street a pipe lies `across_m` from the kerb (`from_kerb`: positive under the pavement, negative under
    the carriageway) or from the middle; `side` is +1 north or west of the middle, -1 south or east. `shallow_m` and
    `deep_m` bound the crown's usual depth; for sewers they are the least cover and the depth at which a lifting
    station is built. Along a street the kinds of point `between` follow one another; a dead end has the kind `last`.
    `sizes` are diameters (mm) from which load on: people served, or metres of street drained.
    """

    name: str
    prefix: str
    side: int
    across_m: float
    from_kerb: bool
    shallow_m: float
    deep_m: float
    spacing_m: float
    sizes: tuple[tuple[float, int], ...]
    materials: tuple[tuple[int, str], ...]
    owners: tuple[str, ...]
    gravity: bool = False
    drains_streets: bool = False
    since: int = 1965
    junction: str = "joint"
    between: tuple[str, ...] = ("joint",)
    last: str = "entry"

    def offset_m(self, half_width_m: Floats) -> Floats:
        """Distance from the middle of the street, positive to the left of its direction."""
        if not self.from_kerb:
            return np.full(len(half_width_m), self.side * self.across_m)
        return self.side * (half_width_m + self.across_m)

    def diameters(self, load: Floats) -> Ints:
        """The diameter (mm) for each load."""
        steps = np.array([least for least, _ in self.sizes])
        at = np.maximum(np.searchsorted(steps, load, side="right") - 1, 0)
        return np.array([mm for _, mm in self.sizes], np.int64)[at]

    def material(self, diameter_mm: Ints) -> list[str]:
        """The material usual up to each diameter."""
        limits = np.array([limit for limit, _ in self.materials])
        at = np.minimum(np.searchsorted(limits, diameter_mm), len(limits) - 1)
        return [self.materials[i][1] for i in at]


_FOUL = ((0, 300), (4e3, 400), (9e3, 500), (16e3, 600), (35e3, 800), (7e4, 1000), (12e4, 1200), (2e5, 1500))
_RAIN = ((0, 300), (300, 400), (700, 500), (1300, 600), (2800, 800), (5500, 1000), (9e3, 1200), (16e3, 1500),
         (28e3, 1800), (45e3, 2200))  # fmt: skip
_SEWER_PIPES = ((500, "HDPE双壁波纹管"), (9000, "钢筋混凝土"))

KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("water", "JS", -1, -1.0, True, 1.0, 1.8, 120,
             ((0, 100), (900, 150), (2500, 200), (7e3, 300), (15e3, 400), (28e3, 500), (45e3, 600), (9e4, 800),
              (16e4, 1000)),
             ((160, "PE"), (800, "球墨铸铁"), (9000, "钢")), ("城市供水集团",), since=1955,
             between=("valve", "meter", "hydrant")),
        Kind("storm", "YS", -1, 0.9, False, 2.0, 6.5, 50, _RAIN, _SEWER_PIPES, ("城市排水集团",), gravity=True,
             drains_streets=True, since=1965, junction="manhole", between=("manhole",)),
        Kind("sewage", "WS", 1, 0.9, False, 2.2, 6.8, 50, _FOUL, _SEWER_PIPES, ("城市排水集团",), gravity=True,
             since=1960, junction="manhole", between=("manhole",)),
        Kind("combined", "HS", 1, 2.0, False, 2.0, 6.5, 42, _RAIN, ((600, "混凝土"), (9000, "砖石方沟")),
             ("城市排水集团",), gravity=True, drains_streets=True, since=1930, junction="manhole",
             between=("manhole",)),
        Kind("gas", "RQ", 1, -1.0, True, 0.9, 1.5, 110,
             ((0, 63), (400, 90), (1500, 110), (5e3, 160), (12e3, 200), (3e4, 315), (8e4, 400)),
             ((200, "PE"), (9000, "钢")), ("城市燃气集团",), since=1985, between=("valve", "entry")),
        Kind("heat", "RL", -1, -2.2, True, 1.1, 1.8, 90,
             ((0, 150), (600, 200), (2e3, 300), (6e3, 400), (12e3, 500), (3e4, 700), (6e4, 900)),
             ((9000, "预制直埋保温钢管"),), ("城市热力集团",), since=1980, between=("valve", "entry", "expansion")),
        Kind("power", "DL", -1, 1.2, True, 0.7, 1.2, 70,
             ((0, 100), (2e3, 150), (1e4, 200)), ((9000, "MPP排管"),), ("城市供电公司",), since=1980,
             junction="manhole", between=("manhole",), last="transformer"),
        Kind("telecom", "TX", 1, 1.3, True, 0.7, 1.2, 85,
             ((0, 100), (5e3, 150), (2e4, 300)), ((9000, "PVC管块"),), ("城市通信一公司", "城市通信二公司"),
             since=1990, junction="manhole", between=("manhole",), last="cabinet"),
        Kind("industrial", "GY", 1, 2.9, False, 1.0, 1.6, 80,
             ((0, 200), (2e3, 300)), ((9000, "不锈钢"),), ("工业园管廊公司",), since=1995, between=("valve", "joint")),
    )
}  # fmt: skip


def frost_m(latitude: float) -> float:
    """How much deeper water mains must lie than where the ground never freezes; a rule of thumb by latitude."""
    return min(max(abs(latitude) - FROST_FREE_LATITUDE, 0.0) * FROST_M_PER_DEGREE, DEEPEST_FROST_M)
