"""Times between many places at once, and the nearest of some places by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from gis_core.errors import TooLarge, Unprocessable
from routing.graph import INFINITE
from routing.hierarchy import Weights
from routing.network import Network
from routing.stops import OffRoads, Stop, snap
from routing.vehicles import Vehicle

Seconds = npt.NDArray[np.float64]

MOST_CELLS: Final = 4_000_000


class MatrixTooLarge(TooLarge):
    """So many times at once are not worked out."""


class NoPlaces(Unprocessable):
    """There are no places to go to or from."""


def snap_all(network: Network, places: Sequence[tuple[float, float]], vehicle: Vehicle) -> list[Stop | None]:
    """The stop of each place (lon, lat); None where there is no road near."""
    found: list[Stop | None] = []
    for lon, lat in places:
        try:
            found.append(snap(network.graph, lon, lat, vehicle))
        except OffRoads:
            found.append(None)
    return found


def matrix(
    network: Network,
    origins: Sequence[Stop | None],
    destinations: Sequence[Stop | None],
    vehicle: Vehicle,
    *,
    generation: int | None = None,
) -> tuple[Seconds, int]:
    """Seconds (origins, destinations) as the roads are now, and the generation; infinite where there is no way.

    Raises NoPlaces, MatrixTooLarge for more than four million, StaleGeneration.
    """
    if not origins or not destinations:
        raise NoPlaces
    if len(origins) * len(destinations) > MOST_CELLS:
        raise MatrixTooLarge(f"{len(origins):,} by {len(destinations):,} are more than {MOST_CELLS:,} times.")
    with network.weights(vehicle, generation) as weights:
        return _times(weights, origins, destinations), weights.generation


def nearest(
    network: Network,
    place: Stop,
    candidates: Sequence[Stop | None],
    vehicle: Vehicle,
    *,
    count: int = 1,
    to_place: bool = False,
    admits: Callable[[int, float], bool] | None = None,
    generation: int | None = None,
) -> list[tuple[int, float]]:
    """The `count` candidates that are reached first: their number and seconds; `to_place`: that reach the place first.

    `admits` is asked of a candidate and its seconds whether it will do, such as whether a car park will have room on
    arrival; it is asked in order until enough have been found. Those without a way are never among them.
    """
    ends = ([place], list(candidates))
    origins, destinations = ends[::-1] if to_place else ends
    times, _ = matrix(network, origins, destinations, vehicle, generation=generation)
    seconds = times.ravel()
    found: list[tuple[int, float]] = []
    for i in np.argsort(seconds, kind="stable").tolist():
        if len(found) == count or not np.isfinite(seconds[i]):
            break
        if admits is None or admits(i, float(seconds[i])):
            found.append((i, float(seconds[i])))
    return found


def _times(weights: Weights, origins: Sequence[Stop | None], destinations: Sequence[Stop | None]) -> Seconds:
    begins = [(i, a, left) for i, s in enumerate(origins) if s for a, left in _open(weights, s)]
    ends = [(j, b, rest) for j, s in enumerate(destinations) if s for b, rest in _open(weights, s)]
    result = np.full((len(origins), len(destinations)), np.inf)
    if not begins or not ends:
        return result
    row, arcs, left = np.array(begins, np.int64).T
    column, onto, rest = np.array(ends, np.int64).T
    first = np.searchsorted(row, np.arange(len(origins) + 1))
    took = weights.many(first, arcs.astype(np.int32), left.astype(np.int32), onto.astype(np.int32)).astype(np.int64)
    whole = np.where(took < INFINITE, took - rest, INFINITE)
    _mend_same(weights, whole, (row, arcs, left), (onto, rest))
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    least = np.minimum.reduceat(whole, starts, axis=1)
    result[:, column[starts]] = np.where(least < INFINITE, least / 1000, np.inf)
    return result


def _open(weights: Weights, stop: Stop) -> list[tuple[int, int]]:
    """The arcs of a stop that can be used now, with what is left of each in milliseconds."""
    pairs = zip(stop.arcs, stop.left_ms(weights.arc_ms), strict=True)
    return [(a, left) for a, left in pairs if weights.arc_ms[a] < INFINITE]


def _mend_same(
    weights: Weights,
    whole: npt.NDArray[np.int64],
    begins: tuple[npt.NDArray[np.int64], ...],
    ends: tuple[npt.NDArray[np.int64], ...],
) -> None:
    """Where a destination lies behind its origin on the same arc, one goes round, or by another arc of the origin."""
    (row, arcs, left), (onto, rest) = begins, ends
    for e in np.flatnonzero(np.isin(onto, arcs)).tolist():
        for b in np.flatnonzero(arcs == onto[e]).tolist():
            if left[b] >= rest[e]:
                continue
            others = [
                int(left[k]) + weights.time(int(arcs[k]), int(onto[e]))
                for k in np.flatnonzero((row == row[b]) & (arcs != arcs[b]))
            ]
            took = min([*others, int(left[b]) + weights.around(int(onto[e]))[0]])
            whole[row[b], e] = took - rest[e] if took < INFINITE else INFINITE
