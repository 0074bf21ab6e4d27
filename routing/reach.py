"""How far one gets in some minutes: as polygons, and as H3 cells with seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from gis_core import hexgrid
from gis_core.errors import Unprocessable
from routing.graph import INFINITE, Graph
from routing.hierarchy import Weights
from routing.network import Network
from routing.routes import InsideClosure
from routing.stops import Stop
from routing.vehicles import Vehicle

Floats = npt.NDArray[np.float64]

LONGEST_S: Final = 4 * 3600.0
_DEGREE_M: Final = 111_195.0
_GRID_M: Final = 40.0
_FINEST_STEP_M: Final = 20.0
_MOST_COLUMNS: Final = 300
_SMOOTH: Final = 0.71


class BadReach(Unprocessable):
    """Such times cannot be asked for."""


@dataclass(frozen=True, eq=False)
class Reach:
    """What is reached at one generation: places (n, 2) in lon, lat along roads, and the seconds to each."""

    places: Floats
    seconds: Floats
    generation: int

    def polygon(self, seconds: float) -> shapely.MultiPolygon:
        """The area about all that is reached within some seconds, empty if nothing is."""
        near = self.places[self.seconds <= seconds]
        if not len(near):
            return shapely.MultiPolygon()
        scale = np.array([np.cos(np.radians(near[0, 1])), 1.0]) * _DEGREE_M
        low = near.min(axis=0)
        metres = (near - low) * scale
        cell = max(_GRID_M, float(metres.max()) / _MOST_COLUMNS)
        column, row = (metres / cell).astype(np.int64).T + 1
        filled = np.zeros((row.max() + 3, column.max() + 2), bool)
        for step in (-1, 0, 1):
            filled[row + step, column] = True
            filled[row, column + step] = True
        runs = np.flatnonzero(np.diff(np.pad(filled, ((0, 0), (1, 1))).ravel().astype(np.int8)))
        begin, end = runs[::2], runs[1::2]
        width = filled.shape[1] + 2
        y, left, right = begin // width, begin % width - 1, end % width - 1
        boxes = shapely.box(left, y, right + 1.0, y + 1.0)
        area = shapely.simplify(shapely.union_all(boxes), _SMOOTH)
        placed = shapely.transform(area, lambda c: (c - 1) * cell / scale + low)
        parts = [p for p in shapely.get_parts(placed) if isinstance(p, shapely.Polygon)]
        return shapely.MultiPolygon(parts)

    def cells(self, resolution: int) -> tuple[hexgrid.Cells, Floats]:
        """The H3 cells with a reached road in them, ascending, and the least seconds to each."""
        found = hexgrid.cells_of(self.places[:, 0], self.places[:, 1], resolution)
        cells, at = np.unique(found, return_inverse=True)
        least = np.full(len(cells), np.inf)
        np.minimum.at(least, at, self.seconds)
        return cells, least


def find_reach(
    network: Network,
    stops: Sequence[Stop],
    vehicle: Vehicle,
    seconds: float,
    *,
    backward: bool = False,
    generation: int | None = None,
) -> Reach:
    """What is reached from the nearest of some stops within some seconds; `backward`: from where they are reached.

    Raises BadReach for times that are none or longer than four hours, InsideClosure, StaleGeneration.
    """
    if not 0 < seconds <= LONGEST_S:
        raise BadReach(f"A reach of {seconds:g} s is not within 0 and {LONGEST_S:g} s.")
    if not stops:
        raise BadReach("A reach begins somewhere; no place was given.")
    with network.weights(vehicle, generation) as weights:
        pairs = [
            (a, ms)
            for s in stops
            for a, ms in zip(s.arcs, s.left_ms(weights.arc_ms), strict=True)
            if weights.arc_ms[a] < INFINITE
        ]
        if not pairs:
            raise InsideClosure("All the places are on roads that are closed.")
        arcs = np.array([p[0] for p in pairs], np.int32)
        left = np.array([p[1] for p in pairs], np.int32)
        if backward:
            begin = _entered_backward(weights, arcs, left)
        else:
            ends = np.minimum(weights.sweep(arcs, left), INFINITE)
            begin = np.where(ends < INFINITE, ends - weights.arc_ms.astype(np.int64), INFINITE)
        return _along(network.graph, weights, begin, seconds * 1000, backward=backward)


def _entered_backward(
    weights: Weights, arcs: npt.NDArray[np.int32], left: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """For each arc the time from its end to the stops."""
    took = np.full(len(weights.arc_ms), INFINITE, np.int64)
    for arc, rest in zip(arcs.tolist(), left.tolist(), strict=True):
        one = weights.sweep(np.array([arc], np.int32), np.zeros(1, np.int32), backward=True).astype(np.int64)
        one = np.where(one < INFINITE, one - rest, INFINITE)
        one[arc] = -rest
        took = np.minimum(took, one)
    return took


def _along(graph: Graph, weights: Weights, begin: npt.NDArray[np.int64], most_ms: float, *, backward: bool) -> Reach:
    """Places along every arc that is begun in time, no farther apart than half a grid's cell."""
    arc_ms = weights.arc_ms
    arcs = np.flatnonzero((begin <= most_ms) & (arc_ms < INFINITE))
    took_ms = arc_ms[arcs].astype(np.float64)
    # Of the arc that the place is on only what lies beyond it counts, and of the last ones what time allows.
    low = np.clip(-begin[arcs] / took_ms, 0, 1)
    high = np.clip((most_ms - begin[arcs]) / took_ms, 0, 1)
    s = graph.segments
    metres = s.length_m[graph.segment[arcs]] * (high - low)
    many = np.maximum(np.ceil(metres / _step_m(s.xy[s.first[graph.segment[arcs]]])).astype(np.int64), 1) + 1
    which = np.repeat(np.arange(len(arcs)), many)
    part = (np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)) / (many - 1)[which]
    gone = low[which] + part * (high - low)[which]
    took = begin[arcs][which] + gone * took_ms[which]
    along = np.where(graph.back[arcs[which]] != backward, 1 - gone, gone)
    points = shapely.line_interpolate_point(graph.lines[graph.segment[arcs[which]]], along, normalized=True)
    return Reach(shapely.get_coordinates(points), took / 1000, weights.generation)


def _step_m(xy: Floats) -> float:
    """How far apart places along roads may be: half a cell of the grid that a polygon over all of them will have."""
    if not len(xy):
        return _FINEST_STEP_M
    return max(_FINEST_STEP_M, float(np.ptp(xy, axis=0).max()) * _DEGREE_M / _MOST_COLUMNS / 2)
