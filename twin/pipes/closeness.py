"""Which straight pieces of pipe lie near each other: a grid of cells and exact distances, as machine code.

Import this room only where it is used: numba takes long to load.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gis_core.compiled import compiled

HORIZONTAL, VERTICAL = 1, 2
"""What a found pair offends: the distance side by side, the one at a crossing."""
CROSSES, FIRST_ABOVE = 4, 8
"""The pair crosses in plan, told also where nothing is offended; there, the first pipe lies above."""
_FLAT = 1e-12
_LINES, _ENDS_OF_SECOND, _TRIED = 2, 3, 5
"""Tried in turn: both ends of the first piece (0, 1), the lines themselves (2), both ends of the second (3, 4)."""


@compiled
def _clamp(value: float) -> float:
    return 0.0 if value < 0.0 else min(value, 1.0)


@compiled
def between(p: Any, q: Any) -> tuple[float, float, float]:
    """The distance of two straight pieces in space and where on each of them it is found (0 at start, 1 at end).

    `p` and `q` are x0, y0, z0, x1, y1, z1 in metres. Source: Ericson, Real-Time Collision Detection, 5.1.9; the four
    distances from ends are tried as well, so that rounding in nearly parallel pieces costs nothing.
    """
    ux, uy, uz = p[3] - p[0], p[4] - p[1], p[5] - p[2]
    vx, vy, vz = q[3] - q[0], q[4] - q[1], q[5] - q[2]
    wx, wy, wz = p[0] - q[0], p[1] - q[1], p[2] - q[2]
    a, b, c = ux * ux + uy * uy + uz * uz, ux * vx + uy * vy + uz * vz, vx * vx + vy * vy + vz * vz
    d, e = ux * wx + uy * wy + uz * wz, vx * wx + vy * wy + vz * wz
    flat = a * c - b * b
    best, best_s, best_t = math.inf, 0.0, 0.0
    for case in range(_TRIED):
        if case < _ENDS_OF_SECOND:
            s = float(case) if case < _LINES else (_clamp((b * e - c * d) / flat) if flat > _FLAT * a * c else 0.0)
            t = _clamp((b * s + e) / c) if c > 0 else 0.0
        if case >= _LINES:
            t = t if case == _LINES else float(case - _ENDS_OF_SECOND)
            s = _clamp((b * t - d) / a) if a > 0 else 0.0
        dx, dy, dz = wx + s * ux - t * vx, wy + s * uy - t * vy, wz + s * uz - t * vz
        square = dx * dx + dy * dy + dz * dz
        if square < best:
            best, best_s, best_t = square, s, t
    return math.sqrt(best), best_s, best_t


@compiled
def cells_of(low: Any, high: Any, columns: int) -> tuple[Any, Any]:
    """Each piece once for every cell that its box touches: the cells' numbers and the pieces."""
    count = 0
    for i in range(len(low)):
        count += (high[i, 0] - low[i, 0] + 1) * (high[i, 1] - low[i, 1] + 1)
    cell, piece = np.empty(count, np.int64), np.empty(count, np.int32)
    at = 0
    for i in range(len(low)):
        for y in range(low[i, 1], high[i, 1] + 1):
            for x in range(low[i, 0], high[i, 0] + 1):
                cell[at], piece[at] = y * columns + x, i
                at += 1
    return cell, piece


@compiled
def _joined(node: Any, a: int, b: int) -> bool:
    one, other = node[a, 0], node[a, 1]
    first = one >= 0 and (one == node[b, 0] or one == node[b, 1])
    return bool(first or (other >= 0 and (other == node[b, 0] or other == node[b, 1])))


@compiled
def _distant(box: Any, i: int, j: int, reach: float) -> bool:
    return bool(
        box[i, 0] - box[j, 2] > reach
        or box[j, 0] - box[i, 2] > reach
        or box[i, 1] - box[j, 3] > reach
        or box[j, 1] - box[i, 3] > reach
    )


@compiled
def _lay(into: Any, plan: Any, level: Any, depth: Any, surveyed: bool) -> None:
    """A piece in space: by elevation, or by depth below the ground where elevations are not known."""
    into[0], into[1], into[3], into[4] = plan[0], plan[1], plan[2], plan[3]
    into[2], into[5] = (level[0], level[1]) if surveyed else (-depth[0], -depth[1])


@compiled
def _at(piece: Any, share: float, axis: int) -> float:
    return float(piece[axis] + share * (piece[axis + 3] - piece[axis]))


@compiled
def _judge(
    p: Any, q: Any, s: float, t: float, apart: float, wide: float, tall: float, need: float, least: float, row: Any
) -> int:  # fmt: skip
    """The bits of a pair within reach, and its figures but for the depths."""
    space, _, _ = between(p, q)
    up, down = _at(p, s, 2), _at(q, t, 2)
    gap, rise = space - max(wide, tall), abs(up - down) - tall
    row[0], row[1], row[2] = apart - wide, rise, gap
    row[3], row[4] = (_at(p, s, 0) + _at(q, t, 0)) / 2, (_at(p, s, 1) + _at(q, t, 1)) / 2
    ux, uy, vx, vy = p[3] - p[0], p[4] - p[1], q[3] - q[0], q[4] - q[1]
    lengths = math.hypot(ux, uy) * math.hypot(vx, vy)
    row[9] = abs(ux * vx + uy * vy) / lengths if lengths > 0 else 1.0
    if apart > wide:
        return HORIZONTAL if need > 0.0 else 0
    return CROSSES | (VERTICAL if min(rise, gap) < least else 0) | (FIRST_ABOVE if up > down else 0)


@compiled
def _keep(pair: Any, figures: Any, a: int, b: int, bits: int, row: Any) -> None:
    """Write a pair with the smaller pipe number first."""
    figures[:] = row
    pair[0], pair[1], pair[2] = a, b, bits
    if a > b:
        pair[0], pair[1] = b, a
        pair[2] = bits ^ FIRST_ABOVE if bits & CROSSES else bits
        figures[5], figures[6], figures[7], figures[8] = row[6], row[5], row[8], row[7]


@compiled
def near_pairs(  # noqa: PLR0913, PLR0917  flat arrays are what a compiled loop takes
    cell: Any, piece: Any, low: Any, columns: int, box: Any, plan: Any, level: Any, depth: Any, half: Any, of: Any,
    node: Any, group: Any, shielded: Any, beside: Any, above: Any, above_shielded: Any, pairs: Any, figures: Any,
) -> int:  # fmt: skip
    """Write every pair that offends or crosses; the number of them, which may be more than there was room for.

    `cell` is sorted. Rows of `plan` are x0, y0, x1, y1; of `level` and `depth` the axis at both ends; of `half` half
    the width and half the height. `of` leads from pieces to pipes, which have `node` (two each, -1 unknown),
    `group` and `shielded`. `beside`, `above` and `above_shielded` say what two groups need. Rows of `pairs` are the
    pipes and the bits; of `figures` plan gap, vertical gap, gap in space, x, y, the axis depths of both, where on
    both pieces it is, and the cosine between them.
    """
    found, first = 0, 0
    p, q, row, flat = np.zeros(6), np.zeros(6), np.zeros(10), np.zeros(2)
    while first < len(cell):
        last = first
        while last < len(cell) and cell[last] == cell[first]:
            last += 1
        for m in range(first, last):
            i = piece[m]
            for n in range(m + 1, last):
                j = piece[n]
                a, b = of[i], of[j]
                need, least = beside[group[a], group[b]], above[group[a], group[b]]
                wide = half[i, 0] + half[j, 0]
                if a == b or (need <= 0.0 and least <= 0.0) or _distant(box, i, j, need + wide):
                    continue
                # Two pieces may share several cells; the pair belongs to the first that both touch.
                if max(low[i, 1], low[j, 1]) * columns + max(low[i, 0], low[j, 0]) != cell[first]:
                    continue
                if _joined(node, a, b):
                    continue
                _lay(p, plan[i], flat, flat, surveyed=True)
                _lay(q, plan[j], flat, flat, surveyed=True)
                apart, s, t = between(p, q)
                if apart > wide and apart - wide >= need:
                    continue
                surveyed = not math.isnan(level[i, 0] + level[i, 1] + level[j, 0] + level[j, 1])
                _lay(p, plan[i], level[i], depth[i], surveyed)
                _lay(q, plan[j], level[j], depth[j], surveyed)
                if shielded[a] or shielded[b]:
                    least = above_shielded[group[a], group[b]]
                bits = _judge(p, q, s, t, apart, wide, half[i, 1] + half[j, 1], need, least, row)
                if bits and found < len(pairs):
                    row[5] = depth[i, 0] + s * (depth[i, 1] - depth[i, 0])
                    row[6] = depth[j, 0] + t * (depth[j, 1] - depth[j, 0])
                    row[7], row[8] = s, t
                    _keep(pairs[found], figures[found], a, b, bits, row)
                found += 1 if bits else 0
        first = last
    return found
