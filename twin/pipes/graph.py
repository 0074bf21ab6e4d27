"""A pipe network as flat arrays: points and pipes by number, and for each point its neighbours (CSR, int32)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gis_core.errors import BadInput

Ids = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint8]
Signs = npt.NDArray[np.int8]

VALVE: Final = 1
"""A point that can stop the flow."""
CLOSED: Final = 2
"""A valve that stands closed."""
STUCK: Final = 4
"""A valve that cannot be turned."""
UNREACHABLE: Final = 8
"""A valve that nobody gets at: paved over, flooded, locked."""
SOURCE: Final = 16
"""Where what flows comes from: a works, a reservoir, a regulator station, a substation."""
SINK: Final = 32
"""Where what flows leaves: an outfall."""
METER: Final = 64
"""Where somebody is served: a meter or the entry of a building."""
STATION: Final = 128
"""A pump or regulator station: what flows passes it, or, where it ends the network, comes or leaves by it."""

FORWARD: Final = 1
BACKWARD: Final = -1
UNKNOWN: Final = 0
_MOST: Final = 2**31 - 1


class Nearby(NamedTuple):
    """The neighbours of point p are `point[first[p]:first[p + 1]]`, reached by the pipes `pipe[...]` (CSR).

    A pipe from a point to itself stands there twice.
    """

    first: Ints
    point: Ints
    pipe: Ints


@dataclass(frozen=True)
class Graph:
    """One network. Points are numbered 0..n-1 in the order of `point_ids` (ascending), pipes 0..m-1 as they were given.

    `start` and `end` are the points of each pipe, `length_m` its length, `flow` its known direction (FORWARD from
    start to end, BACKWARD, UNKNOWN). `bits` say what a point is (VALVE ... STATION), `customers` how many are served
    there, `near` which points are neighbours. All arrays are read-only, so threads may share them.
    """

    point_ids: Ids
    pipe_ids: Ids
    start: Ints
    end: Ints
    length_m: Floats
    flow: Signs
    bits: Bits
    customers: Ints
    near: Nearby

    @property
    def points(self) -> int:
        """How many points there are."""
        return len(self.point_ids)

    @property
    def pipes(self) -> int:
        """How many pipes there are."""
        return len(self.pipe_ids)

    @property
    def sources(self) -> Ints:
        """The numbers of the sources."""
        return np.flatnonzero(self.bits & SOURCE).astype(np.int32)

    @property
    def sinks(self) -> Ints:
        """The numbers of the outfalls."""
        return np.flatnonzero(self.bits & SINK).astype(np.int32)

    def point_number(self, point_id: int) -> int | None:
        """The number of the point with this id, None where the network has none."""
        return _find(self.point_ids, point_id)

    def pipe_number(self, pipe_id: int) -> int | None:
        """The number of the pipe with this id, None where the network has none."""
        return _find(self.pipe_ids, pipe_id)


def build(
    pipe_ids: npt.ArrayLike,
    from_ids: npt.ArrayLike,
    to_ids: npt.ArrayLike,
    length_m: npt.ArrayLike,
    *,
    flow: npt.ArrayLike | None = None,
    point_ids: npt.ArrayLike = (),
    bits: npt.ArrayLike = (),
    customers: npt.ArrayLike | None = None,
) -> Graph:
    """A network from pipes (id, the ids of their two points, length in metres, direction) and what is known of points.

    Pipes are put in the order of their ids. A point that only a pipe names is known by nothing but its id; a point
    that no pipe names stands alone, and one that is given twice counts as it was given last.

    Raises:
        BadInput: the arrays do not fit together, a length is negative or no number, or there is too much for 32 bits.

    """
    pipe_ids, start_ids, end_ids = (np.asarray(a, np.int64) for a in (pipe_ids, from_ids, to_ids))
    lengths = np.asarray(length_m, np.float64)
    directions = np.zeros(len(pipe_ids), np.int8) if flow is None else np.asarray(flow, np.int8)
    known, known_bits = np.asarray(point_ids, np.int64), np.asarray(bits, np.uint8)
    served = np.zeros(len(known), np.int32) if customers is None else np.asarray(customers, np.int32)
    _check(pipe_ids, start_ids, end_ids, lengths, directions)
    if not len(known) == len(known_bits) == len(served):
        raise BadInput("points, their bits and their customers differ in number")
    order = np.argsort(pipe_ids, kind="stable")
    pipe_ids, start_ids, end_ids = pipe_ids[order], start_ids[order], end_ids[order]
    all_ids = np.unique(np.concatenate([start_ids, end_ids, known]))
    start, end, place = (np.searchsorted(all_ids, ids).astype(np.int32) for ids in (start_ids, end_ids, known))
    all_bits, all_customers = np.zeros(len(all_ids), np.uint8), np.zeros(len(all_ids), np.int32)
    all_bits[place], all_customers[place] = known_bits, served
    near = _neighbours(start, end, len(all_ids))
    # A survey seldom shows what lies behind the station at which its network begins.
    last = (np.diff(near.first) == 1) & (all_bits & STATION > 0)
    all_bits[last] |= SOURCE | SINK
    graph = Graph(all_ids, pipe_ids, start, end, lengths[order], directions[order], all_bits, all_customers, near)
    for array in (*near, *(a for a in vars(graph).values() if isinstance(a, np.ndarray))):
        array.flags.writeable = False
    return graph


def _check(pipe_ids: Ids, start: Ids, end: Ids, length_m: Floats, flow: Signs) -> None:
    if not len(pipe_ids) == len(start) == len(end) == len(length_m) == len(flow):
        raise BadInput("pipes, their ends, lengths and directions differ in number")
    if len(pipe_ids) * 2 > _MOST:
        raise BadInput(f"a network has at most {_MOST // 2:,} pipes")
    if not (np.isfinite(length_m) & (length_m >= 0)).all():
        raise BadInput("a length is negative or no number")


def _neighbours(start: Ints, end: Ints, points: int) -> Nearby:
    """The neighbours of every point, whichever way a pipe was drawn."""
    from_, to = np.concatenate([start, end]), np.concatenate([end, start])
    order = np.argsort(from_, kind="stable")
    first = np.zeros(points + 1, np.int32)
    np.cumsum(np.bincount(from_, minlength=points), out=first[1:])
    pipe = np.where(order < len(start), order, order - len(start)).astype(np.int32)
    return Nearby(first, to[order], pipe)


def _find(ids: Ids, wanted: int) -> int | None:
    at = int(np.searchsorted(ids, wanted))
    return at if at < len(ids) and ids[at] == wanted else None
