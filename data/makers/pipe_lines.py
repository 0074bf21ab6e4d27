"""Pipes drawn along streets: beside the middle line by the class's offset, through one chamber at every junction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data.makers.pipe_routes import Routes, lower_end
from data.makers.street_graph import Floats, Ints, Mask, StreetGraph

_CLOSE_VERTEX_M: Final = 6.0
_HEAD_GAP_M: Final = 8.0
_SHORTEST_M: Final = 0.5
_SHARPEST: Final = 1.6
_STIFFNESS: Final = 0.06
_BEND_RADIANS: Final = np.radians(15)


@dataclass(frozen=True)
class Stations:
    """The points of one class along its streets, in the direction of flow.

    Arrays per station: its `street`, `along_m` from the street's beginning, position `xy`, the graph `node` where it
    stands at a junction (-1: it is the street's own) and whether the street bends there. Stations of one street
    stand together, from `first[k]` to `first[k + 1]` for the k-th street of `streets`.
    """

    streets: Ints
    first: Ints
    street: Ints
    along_m: Floats
    xy: Floats
    node: Ints
    bend: Mask

    @property
    def last_of_street(self) -> Mask:
        """Stations after which their street ends."""
        last = np.zeros(len(self.street), bool)
        last[self.first[1:] - 1] = True
        return last


def place(routes: Routes, graph: StreetGraph) -> Stations:
    """Stations of a class: street ends, bends, and between them no farther apart than the class's spacing."""
    kind = routes.kind
    streets = np.flatnonzero(routes.laid)
    points, owner, bend = _subdivide(graph, streets, kind.spacing_m)
    normal = _normals(points, owner)
    offset = kind.offset_m(graph.half_width_m[streets])
    xy = points + normal * offset[owner][:, None]
    first = np.searchsorted(owner, np.arange(len(streets) + 1)).astype(np.int64)
    begin, finish = first[:-1], first[1:] - 1
    head_start, head_end = _heads(routes, graph, streets)
    ends = np.concatenate([begin[~head_start], finish[~head_end]])
    nodes = np.concatenate([graph.start[streets][~head_start], graph.end[streets][~head_end]])
    xy[ends] = graph.nodes[nodes] + _chambers(nodes, normal[ends], offset[owner[ends]], len(graph.nodes))[nodes]
    for head, at, inward in ((head_start, begin, begin + 1), (head_end, finish, finish - 1)):
        onward: Floats = xy[inward[head]] - xy[at[head]]
        far = np.maximum(np.hypot(*onward.T), 1e-9)
        xy[at[head]] += onward * (np.minimum(_HEAD_GAP_M, far / 4) / far)[:, None]
    node = np.full(len(xy), -1, np.int64)
    node[ends] = nodes
    _pull_apart(xy, node, points, owner, graph.nodes)
    order = _downstream_order(routes, graph, streets, first)
    xy, node, bend = xy[order], node[order], bend[order]
    return Stations(streets, first, streets[owner], _along(xy, first), xy, node, bend)


def _subdivide(graph: StreetGraph, streets: Ints, spacing_m: float) -> tuple[Floats, Ints, Mask]:
    """Points along the middle of each street, the position of its street in `streets`, and whether it bends there."""
    counts = np.diff(graph.first)[streets]
    owner = np.repeat(np.arange(len(streets)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    xy = graph.coords[graph.first[streets][owner] + within]
    apart = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    inner = (within > 0) & (within < counts[owner] - 1)
    before_end = within == counts[owner] - 2
    to_next = np.append(apart[1:], 0.0)
    close = inner & ((apart < _CLOSE_VERTEX_M) | (before_end & (to_next < _CLOSE_VERTEX_M)))
    xy, owner = xy[~close], owner[~close]
    piece = np.flatnonzero(owner[1:] == owner[:-1])
    step = xy[piece + 1] - xy[piece]
    parts = np.maximum(np.ceil(np.hypot(*step.T) / spacing_m), 1).astype(np.int64)
    last = np.append(owner[1:] != owner[:-1], True)
    copies = np.ones(len(xy), np.int64)
    copies[piece] = parts
    source = np.repeat(np.arange(len(xy)), copies)
    part = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
    onward = np.zeros_like(xy)
    onward[piece] = step / parts[:, None]
    return xy[source] + onward[source] * part[:, None], owner[source], (part == 0) & _bends(xy, last)[source]


def _bends(xy: Floats, last: Mask) -> Mask:
    """Vertices where a street turns by more than a slight angle; its ends do not count."""
    step = np.diff(xy, axis=0, append=xy[-1:])
    heading = np.arctan2(step[:, 1], step[:, 0])
    turn = np.abs((heading - np.roll(heading, 1) + np.pi) % (2 * np.pi) - np.pi)
    return np.asarray((turn > _BEND_RADIANS) & ~last & ~np.roll(last, 1))


def _normals(points: Floats, owner: Ints) -> Floats:
    """Unit vectors to the left of the street at each point, lengthened at bends so that offsets stay parallel."""
    same = owner[1:] == owner[:-1]
    step = np.diff(points, axis=0)
    step /= np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    step[~same] = 0
    left = np.column_stack([-step[:, 1], step[:, 0]])
    before, after = np.vstack([np.zeros((1, 2)), left]), np.vstack([left, np.zeros((1, 2))])
    total = before + after
    long = np.maximum(np.hypot(*total.T), 1e-9)
    unit = total / long[:, None]
    count = (np.abs(before).sum(1) > 0).astype(float) + (np.abs(after).sum(1) > 0)
    return np.asarray(unit * np.minimum(count / long, _SHARPEST)[:, None], np.float64)


def _heads(routes: Routes, graph: StreetGraph, streets: Ints) -> tuple[Mask, Mask]:
    """Which streets' start or end is the head of a sewer that is not joined to the junction there."""
    if not routes.kind.gravity:
        none = np.zeros(len(streets), bool)
        return none, none
    beside = ~routes.branch[streets]
    to_start = lower_end(graph, routes.tree)[streets] == graph.start[streets]
    return beside & ~to_start, beside & to_start


def _chambers(nodes: Ints, normal: Floats, offset: Floats, count: int) -> Floats:
    """Where a class's pipes meet at each node, from the node: where the offset lines of its streets cross best.

    Least squares of normal . x = offset over the streets that end there, held near the node by a weak spring.
    """
    n = normal / np.maximum(np.hypot(*normal.T), 1e-9)[:, None]
    xx, xy, yy = (np.bincount(nodes, v, count) for v in (n[:, 0] ** 2, n[:, 0] * n[:, 1], n[:, 1] ** 2))
    bx, by = (np.bincount(nodes, v, count) for v in (n[:, 0] * offset, n[:, 1] * offset))
    a, d = xx + _STIFFNESS, yy + _STIFFNESS
    det = a * d - xy**2
    moved = np.column_stack([(d * bx - xy * by) / det, (a * by - xy * bx) / det])
    far = np.hypot(*moved.T)
    most = np.zeros(count)
    np.maximum.at(most, nodes, np.abs(offset) * _SHARPEST)
    return np.asarray(moved * np.where(far > most, most / np.maximum(far, 1e-9), 1.0)[:, None], np.float64)


def _pull_apart(xy: Floats, node: Ints, points: Floats, owner: Ints, nodes: Floats) -> None:
    """Where two stations of a street fell together, move its junctions' chambers back onto the junctions."""
    for _ in range(8):
        step = np.hypot(*np.diff(xy, axis=0).T)
        tight = np.flatnonzero((step < _SHORTEST_M) & (owner[1:] == owner[:-1]))
        if not len(tight):
            return
        both = np.unique(np.concatenate([tight, tight + 1]))
        at = np.unique(node[both][node[both] >= 0])
        moved = np.isin(node, at)
        xy[moved] = nodes[node[moved]]
        own = both[node[both] < 0]
        xy[own] = points[own]


def _downstream_order(routes: Routes, graph: StreetGraph, streets: Ints, first: Ints) -> npt.NDArray[np.intp]:
    """The order of stations that turns every street's stations into the direction of flow."""
    order = np.arange(first[-1])
    if routes.kind.gravity:
        lower = lower_end(graph, routes.tree)
        child = np.flatnonzero(routes.tree.parent >= 0)
        lower[routes.tree.street[child]] = routes.tree.parent[child]
        turned = lower[streets] == graph.start[streets]
        counts = np.diff(first)
        flip = np.repeat(turned, counts)
        mirrored = np.repeat(first[:-1] + first[1:] - 1, counts) - order
        order = np.where(flip, mirrored, order)
    return order.astype(np.intp)


def _along(xy: Floats, first: Ints) -> Floats:
    """Distance from each street's first station."""
    total = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    return np.asarray(total - np.repeat(total[first[:-1]], np.diff(first)), np.float64)
