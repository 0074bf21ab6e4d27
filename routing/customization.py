"""Compiled: weights onto a hierarchy's edges, all of them in one walk over its triangles, or only what a change moves.

Weights are int32 milliseconds of shape (m, 2): up and down each edge, side by side since both are asked at once.
Two infinite ones still fit. Indices are unsigned where loops are hot: asking whether they are negative costs half.
Source: Dibbelt, Strasser, Wagner, "Customizable Contraction Hierarchies", ACM JEA 21 (2016), sections 6 and 7.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gis_core.compiled import compiled
from routing.elimination import Edges, Ints, Rows

Flags: TypeAlias = npt.NDArray[np.bool_]

INFINITE: Final = 1_000_000_000
_U = np.uint64
_UP: Final = np.uint64(0)
_DOWN: Final = np.uint64(1)
_ONE: Final = np.uint64(1)


@compiled
def lay_turns(w: Ints, slot: Ints, turn_ms: Ints, arc_ms: Ints, onto: Ints) -> None:
    """Put the cost of every turn on its edge, and no way on all others."""
    flat = w.reshape(-1)
    flat[:] = INFINITE
    for t in range(len(slot)):
        flat[slot[t]] = min(turn_ms[t] + arc_ms[onto[t]], INFINITE)


@compiled
def customize(w: Ints, up: Rows, closing: Edges) -> None:
    """Shorten every edge by the ways through its lower triangles, from the lowest vertex to the highest."""
    t = _U(0)
    for v in range(len(up) - 1):
        end = _U(up[v + 1])
        for i in range(_U(up[v]), end):
            ahead, back = w[i, _UP], w[i, _DOWN]
            for j in range(i + _ONE, end):
                q = _U(closing[t])
                t += _ONE
                w[q, _UP] = min(w[q, _UP], back + w[j, _UP])
                w[q, _DOWN] = min(w[q, _DOWN], ahead + w[j, _DOWN])


@compiled
def edges_of(arcs: Ints, into_first: Rows, into: Ints, slot: Ints) -> Ints:
    """The edges on which the turns onto some arcs lie."""
    count = 0
    for a in arcs:
        count += into_first[a + 1] - into_first[a]
    edges = np.empty(count, np.int32)
    k = 0
    for a in arcs:
        for i in range(into_first[a], into_first[a + 1]):
            edges[k] = slot[into[i]] >> 1
            k += 1
    return edges


@compiled
def update(
    edges: Ints,
    w: Ints,
    costs: tuple[Ints, Ints, Ints, Ints],
    shape: tuple[Rows, Edges, Edges, Edges, Rows, Rows, Edges],
    waiting: Flags,
    heap: Ints,
) -> int:
    """Bring `w` to what `customize` would give after the costs of the turns on `edges` have changed.

    `costs` are `turn` (m, 2), `turn_ms`, `arc_ms` and `onto`; `shape` is up, high, low, closing, where each vertex's
    triangles begin, and the lower triangles. Edges are taken in their order, which is one in which every triangle's
    lower two come first. `waiting` (all false, and left so) and `heap`, m long each, are scratch. Gives how many
    edges were looked at.
    """
    turn, turn_ms, arc_ms, onto = costs
    up, _, low, closing, begin, lower_at, lower = shape
    size, looked = 0, 0
    for e in edges:
        if not waiting[e]:
            waiting[e] = True
            size = _push(heap, size, e)
    while size > 0:
        e = heap[0]
        size = _pop(heap, size)
        waiting[e] = False
        looked += 1
        ahead, back = _own(turn[e, 0], turn_ms, arc_ms, onto), _own(turn[e, 1], turn_ms, arc_ms, onto)
        for t in range(_U(lower_at[e]), _U(lower_at[e + 1])):
            x, y = _U(lower[t, _UP]), _U(lower[t, _DOWN])
            ahead = min(ahead, w[x, _DOWN] + w[y, _UP])
            back = min(back, w[y, _DOWN] + w[x, _UP])
        was_ahead, was_back = w[e, 0], w[e, 1]
        if ahead == was_ahead and back == was_back:
            continue
        w[e, 0], w[e, 1] = ahead, back
        v = low[e]
        first, end = up[v], up[v + 1]
        many = end - first
        for j in range(first, end):
            if j == e:
                continue
            a, b = min(e, j) - first, max(e, j) - first
            q = closing[begin[v] + a * many - a * (a + 1) // 2 + b - a - 1]
            if waiting[q]:
                continue
            if j > e:
                old_ahead, new_ahead = was_back + w[j, 0], back + w[j, 0]
                old_back, new_back = was_ahead + w[j, 1], ahead + w[j, 1]
            else:
                old_ahead, new_ahead = w[j, 1] + was_ahead, w[j, 1] + ahead
                old_back, new_back = w[j, 0] + was_back, w[j, 0] + back
            # It moves only if it led through here, or is led better now; what is infinite leads nowhere.
            through = old_ahead != new_ahead and (new_ahead < w[q, 0] or old_ahead == w[q, 0])
            through = through or (old_back != new_back and (new_back < w[q, 1] or old_back == w[q, 1]))
            if through:
                waiting[q] = True
                size = _push(heap, size, q)
    return looked


@compiled
def _own(turn: int, turn_ms: Ints, arc_ms: Ints, onto: Ints) -> int:
    """What the turn on an edge costs, if there is one."""
    if turn < 0:
        return INFINITE
    cost: int = turn_ms[turn] + arc_ms[onto[turn]]
    return min(cost, INFINITE)


@compiled
def _push(heap: Ints, size: int, value: int) -> int:
    """Put a number on a heap whose least is first."""
    i = size
    while i > 0 and heap[(i - 1) >> 1] > value:
        heap[i] = heap[(i - 1) >> 1]
        i = (i - 1) >> 1
    heap[i] = value
    return size + 1


@compiled
def _pop(heap: Ints, size: int) -> int:
    """Take the least number off."""
    size -= 1
    value = heap[size]
    i = 0
    while 2 * i + 1 < size:
        c = 2 * i + 1
        if c + 1 < size and heap[c + 1] < heap[c]:
            c += 1
        if heap[c] >= value:
            break
        heap[i] = heap[c]
        i = c
    heap[i] = value
    return size
