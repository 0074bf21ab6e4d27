"""Places on roads: the nearest stretch that a vehicle may use, on its side, and how much of the arc is still to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from gis_core.errors import Unprocessable
from routing.graph import INFINITE, Graph, Ints
from routing.segments import Rows
from routing.vehicles import Vehicle

REACH_M: Final = 500.0
_DEGREE_M: Final = 111_195.0
_RINGS: Final = (0.12, 0.4, 1.0)
# A road that leads somewhere is taken before one that does not if it is no more than this much farther.
_FOR_MAIN_M: Final = 60.0
# Nearer than this, nobody can say on which side of a road a place is.
_ASIDE_M: Final = 3.0
_FURTHEST_LATITUDE: Final = 85.0


class OffRoads(Unprocessable):
    """There is no road near this place."""


@dataclass(frozen=True)
class Stop:
    """A place (lon, lat) on a segment, `share` of its length from its first vertex, `away_m` from what was asked.

    `arcs` are the one or two arcs that serve it; `gone` is for each the share of it that lies before the place.
    """

    lon: float
    lat: float
    segment: int
    share: float
    away_m: float
    arcs: tuple[int, ...]
    gone: tuple[float, ...]

    def left_ms(self, free_ms: Ints) -> tuple[int, ...]:
        """For each arc the milliseconds from the place to the arc's end."""
        return tuple(
            round((1 - g) * min(int(free_ms[a]), INFINITE - 1)) for a, g in zip(self.arcs, self.gone, strict=True)
        )


def snap(
    graph: Graph,
    lon: float,
    lat: float,
    vehicle: Vehicle,
    *,
    reach_m: float = REACH_M,
    side: int = 0,
) -> Stop:
    """The stop nearest to a place (degrees) where the vehicle may be.

    With `side` 1 (right) or -1 (left) only the arc on whose side the place lies serves it, where there is one. Raises
    OffRoads where no road lies within `reach_m`, or the place is none.
    """
    if not (np.isfinite([lon, lat]).all() and abs(lat) < _FURTHEST_LATITUDE and abs(lon) <= 180):  # noqa: PLR2004
        raise OffRoads(f"{lon:g}, {lat:g} is no place that has roads.")
    wide = float(np.cos(np.radians(lat))) * _DEGREE_M
    for ring in _RINGS:
        near = reach_m * ring
        box = shapely.box(lon - near / wide, lat - near / _DEGREE_M, lon + near / wide, lat + near / _DEGREE_M)
        rows = graph.tree.query(box)
        rows, served = _usable(graph, rows, vehicle)
        if not len(rows):
            continue
        lines = shapely.transform(graph.lines[rows], lambda c: (c - (lon, lat)) * (wide, _DEGREE_M))
        here = shapely.Point(0, 0)
        apart = shapely.distance(lines, here)
        rank = apart + np.where(served, 0.0, _FOR_MAIN_M)
        best = int(np.argmin(rank))
        if rank[best] <= near or (ring == _RINGS[-1] and apart[best] <= reach_m):
            return _stop(graph, int(rows[best]), lines[best], vehicle, (lon, lat, wide), side)
    raise OffRoads(f"No road for a {vehicle.en} lies within {reach_m:g} m of {lon:.5f}, {lat:.5f}.")


def _usable(graph: Graph, rows: Rows, vehicle: Vehicle) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Which segments the vehicle may use, and whether they lead everywhere."""
    bit = np.uint8(int(vehicle.mode))
    arcs = graph.arc_of[rows]
    there = arcs >= 0
    may = ((graph.modes[arcs] & bit) != 0) & there
    s = graph.segments
    fits = (vehicle.height_m <= s.height_m[rows]) & (vehicle.weight_t <= s.weight_t[rows])
    use = may.any(axis=1) & fits
    main = (((graph.main[arcs] & bit) != 0) & there).any(axis=1)
    return rows[use], main[use]


def _stop(
    graph: Graph, row: int, line: shapely.LineString, vehicle: Vehicle, at: tuple[float, float, float], side: int
) -> Stop:
    """The stop on a segment whose line is given in metres about the place."""
    lon, lat, wide = at
    share = float(shapely.line_locate_point(line, shapely.Point(0, 0), normalized=True))
    foot = shapely.line_interpolate_point(line, share, normalized=True)
    bit = int(vehicle.mode)
    pair = [int(a) for a in graph.arc_of[row] if a >= 0 and graph.modes[a] & bit]
    away = float(np.hypot(foot.x, foot.y))
    if side and len(pair) > 1 and away > _ASIDE_M:
        ahead = shapely.line_interpolate_point(line, min(share + 0.01, 1.0), normalized=True)
        behind = shapely.line_interpolate_point(line, max(share - 0.01, 0.0), normalized=True)
        turn = (ahead.x - behind.x) * -foot.y - (ahead.y - behind.y) * -foot.x
        to_the_right = turn < 0
        pair = [pair[0] if to_the_right == (side > 0) else pair[1]]
    gone = tuple(1 - share if graph.back[a] else share for a in pair)
    return Stop(lon + foot.x / wide, lat + foot.y / _DEGREE_M, row, share, away, tuple(pair), gone)
