"""Compiled: the least time between two arcs up the elimination tree, and the arcs on the way. No queue is needed.

Source: Dibbelt, Strasser, Wagner, "Customizable Contraction Hierarchies", ACM JEA 21 (2016), section 5.2.
All vertices are ranks; times are int32 milliseconds; `w` is (m, 2), up and down each edge.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from gis_core.compiled import compiled
from routing.elimination import Edges, Ints, Rows

Scratch: TypeAlias = tuple[Ints, Ints, Ints, Ints]
Tree: TypeAlias = tuple[Rows, Edges, Ints]
Under: TypeAlias = tuple[Edges, Rows, Edges]

INFINITE: Final = 1_000_000_000
_U = np.uint64
_UP: Final = np.uint64(0)
_DOWN: Final = np.uint64(1)


def scratch(n: int) -> Scratch:
    """What a search needs, for one thread: times from and to (infinite, and left so), and the edges they came by."""
    return np.full(n, INFINITE, np.int32), np.full(n, INFINITE, np.int32), np.zeros(n, np.int32), np.zeros(n, np.int32)


@compiled
def search(s: int, t: int, w: Ints, tree: Tree, room: Scratch, cap: int) -> tuple[int, int]:
    """The least time from s to t, and the highest vertex on such a way (-1: there is none below `cap`)."""
    up, high, parent = tree
    out, home, by_out, by_home = room
    out[s], home[t] = 0, 0
    x, y = s, t
    while x != y:
        if x != -1 and (y == -1 or x < y):
            _climb(x, out[x], _UP, w, up, high, out, by_out)
            x = parent[x]
        else:
            _climb(y, home[y], _DOWN, w, up, high, home, by_home)
            y = parent[y]
    best, top = cap, -1
    while x != -1:
        a, b = out[x], home[x]
        if a + b < best:
            best, top = a + b, x
        if a < best:
            _climb(x, a, _UP, w, up, high, out, by_out)
        if b < best:
            _climb(x, b, _DOWN, w, up, high, home, by_home)
        x = parent[x]
    _forget(s, parent, out)
    _forget(t, parent, home)
    return best, top


@compiled
def meetings(s: int, t: int, w: Ints, tree: Tree, room: Scratch, most: int) -> tuple[Ints, Ints]:
    """Vertices above both s and t through which a way takes at most `most`, and how long it takes.

    Such ways go up to the vertex and down again; the best of them is the best there is.
    """
    up, high, parent = tree
    out, home, by_out, by_home = room
    out[s], home[t] = 0, 0
    x = s
    while x != -1:
        _climb(x, out[x], _UP, w, up, high, out, by_out)
        x = parent[x]
    y = t
    while y != -1:
        _climb(y, home[y], _DOWN, w, up, high, home, by_home)
        y = parent[y]
    count = 0
    y = t
    while y != -1:
        if out[y] < INFINITE and home[y] < INFINITE and out[y] + home[y] <= most:
            count += 1
        y = parent[y]
    via, took = np.empty(count, np.int32), np.empty(count, np.int32)
    k = 0
    y = t
    while y != -1:
        if out[y] < INFINITE and home[y] < INFINITE and out[y] + home[y] <= most:
            via[k], took[k] = y, out[y] + home[y]
            k += 1
        y = parent[y]
    _forget(s, parent, out)
    _forget(t, parent, home)
    return via, took


@compiled
def route(s: int, t: int, w: Ints, tree: Tree, room: Scratch, under: Under) -> tuple[int, Ints]:
    """The least time from s to t and the vertices on the way, both ends among them; none where there is no way."""
    took, top = search(s, t, w, tree, room, INFINITE)
    if top < 0:
        return took, np.empty(0, np.int32)
    return took, _trace(s, t, top, w, tree, room, under)


@compiled
def _trace(s: int, t: int, top: int, w: Ints, tree: Tree, room: Scratch, under: Under) -> Ints:
    """The vertices of the way from s to t over `top` that the last search left in `room`, both ends among them.

    `under` is the lower end of each edge, and its lower triangles: where they begin, and their pairs of edges.
    """
    _, high, _ = tree
    _, _, by_out, by_home = room
    low, lower_at, lower = under
    chain = 0
    x = top
    while x != s:
        chain += 1
        x = low[by_out[x]]
    todo = np.empty(chain, np.int64)
    x = top
    for k in range(chain):
        todo[k] = 2 * np.int64(by_out[x])
        x = low[by_out[x]]
    path = np.empty(256, np.int32)
    path[0] = s
    count = 1
    for k in range(chain - 1, -1, -1):
        path, count = _unpack(todo[k], w, high, low, lower_at, lower, path, count)
    x = top
    while x != t:
        path, count = _unpack(2 * np.int64(by_home[x]) + 1, w, high, low, lower_at, lower, path, count)
        x = low[by_home[x]]
    return path[:count].copy()


@compiled
def _unpack(
    edge: np.int64, w: Ints, high: Edges, low: Edges, lower_at: Rows, lower: Edges, path: Ints, count: int
) -> tuple[Ints, int]:
    """Append the vertices along an edge (2 e, or 2 e + 1 downward) after its first, down to turns."""
    stack = np.empty(64, np.int64)
    stack[0] = edge
    size = 1
    while size > 0:
        size -= 1
        e, down = stack[size] >> 1, stack[size] & 1
        wanted = w[e, down]
        found = False
        # Most ways lead through the highest of the lower vertices, which stand last.
        for i in range(_U(lower_at[e + 1] - lower_at[e])):
            t = _U(lower_at[e + 1]) - i - _U(1)
            x, y = _U(lower[t, _UP]), _U(lower[t, _DOWN])
            took = w[y, _DOWN] + w[x, _UP] if down else w[x, _DOWN] + w[y, _UP]
            if took == wanted:
                if size + 2 > len(stack):
                    longer = np.empty(2 * len(stack), np.int64)
                    longer[:size] = stack[:size]
                    stack = longer
                down_x, down_y = 2 * np.int64(x) + 1, 2 * np.int64(y) + 1
                # From the lower end by x down and y up, from the higher by y down and x up; the first lies on top.
                stack[size] = down_x - 1 if down else down_y - 1
                stack[size + 1] = down_y if down else down_x
                size += 2
                found = True
                break
        if not found:
            if count == len(path):
                further = np.empty(2 * len(path), np.int32)
                further[:count] = path
                path = further
            path[count] = low[e] if down else high[e]
            count += 1
    return path, count


@compiled
def _climb(x: int, took: int, way: np.uint64, w: Ints, up: Rows, high: Edges, times: Ints, by: Ints) -> None:
    """Take what leads up from x."""
    if took >= INFINITE:
        return
    for e in range(_U(up[x]), _U(up[x + 1])):
        h = _U(high[e])
        z = took + w[e, way]
        if z < times[h]:
            times[h] = z
            by[h] = e


@compiled
def _forget(x: int, parent: Ints, times: Ints) -> None:
    while x != -1:
        times[x] = INFINITE
        x = parent[x]
