"""Compiled: the shape of a hierarchy. Eliminating vertices in order, its edges, tree and triangles; no weights yet.

Source: Dibbelt, Strasser, Wagner, "Customizable Contraction Hierarchies", ACM JEA 21 (2016), sections 4 and 5.
Vertices are named by their rank throughout: n of them, with m edges, each kept at its lower end.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gis_core.compiled import compiled

Ints: TypeAlias = npt.NDArray[np.int32]
Rows: TypeAlias = npt.NDArray[np.int64]
Edges: TypeAlias = npt.NDArray[np.uint32]


@compiled
def eliminate(first: Rows, others: Ints) -> tuple[Rows, Ints, Ints]:
    """The edges that remain when each vertex ties its higher neighbours together.

    `others[first[v]:first[v + 1]]` are v's neighbours. Gives the first edge of each vertex (n + 1), the higher end of
    each edge, ascending within a vertex, and the tree: each vertex's lowest higher neighbour, or -1.
    """
    n = len(first) - 1
    parent = np.full(n, -1, np.int32)
    child, sibling = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    seen = np.full(n, -1, np.int32)
    held = np.empty(n, np.int32)
    up = np.zeros(n + 1, np.int64)
    high = np.empty(len(others) * 4 + n + 1, np.int32)
    count = 0
    for v in range(n):
        k = 0
        seen[v] = v
        for e in range(first[v], first[v + 1]):
            x = others[e]
            if x > v and seen[x] != v:
                seen[x] = v
                held[k] = x
                k += 1
        c = child[v]
        while c != -1:
            for e in range(up[c], up[c + 1]):
                x = high[e]
                if x > v and seen[x] != v:
                    seen[x] = v
                    held[k] = x
                    k += 1
            c = sibling[c]
        if count + k > len(high):
            longer = np.empty(2 * len(high) + k, np.int32)
            longer[:count] = high[:count]
            high = longer
        high[count : count + k] = np.sort(held[:k])
        count += k
        up[v + 1] = count
        if k > 0:
            above = high[up[v]]
            parent[v] = above
            sibling[v] = child[above]
            child[above] = v
    return up, high[:count].copy(), parent


@compiled
def count_triangles(up: Rows) -> int:
    """How many pairs of higher neighbours the vertices have."""
    total = 0
    for v in range(len(up) - 1):
        k = up[v + 1] - up[v]
        total += k * (k - 1) // 2
    return total


@compiled
def find_triangles(up: Rows, high: Ints, total: int) -> Edges:
    """For each vertex and each pair of its edges, in order, the edge that closes the triangle."""
    closing = np.empty(total, np.uint32)
    t = 0
    for v in range(len(up) - 1):
        for i in range(up[v], up[v + 1]):
            q = up[high[i]]
            for j in range(i + 1, up[v + 1]):
                while high[q] != high[j]:
                    q += 1
                closing[t] = q
                t += 1
    return closing


@compiled
def gather_lower(up: Rows, closing: Edges, m: int) -> tuple[Rows, Edges]:
    """For each edge the triangles that it closes: `lower[at[e]:at[e + 1]]` are their pairs of edges.

    The first of a pair leads to the edge's lower end, the second to its higher.
    """
    at = np.zeros(m + 1, np.int64)
    for q in closing:
        at[q + 1] += 1
    for e in range(m):
        at[e + 1] += at[e]
    place = at[:-1].copy()
    lower = np.empty((len(closing), 2), np.uint32)
    t = 0
    for v in range(len(up) - 1):
        for i in range(up[v], up[v + 1]):
            for j in range(i + 1, up[v + 1]):
                q = closing[t]
                lower[place[q], 0] = i
                lower[place[q], 1] = j
                place[q] += 1
                t += 1
    return at, lower


@compiled
def place_turns(begin: Ints, end: Ints, up: Rows, high: Ints) -> tuple[Ints, Ints]:
    """The edge that each turn (between ranks) lies on with its direction, 2 e + (0 up, 1 down), and the reverse.

    The reverse is (m, 2): the turn that goes up, and down, each edge; -1 where none does.
    """
    slot = np.empty(len(begin), np.int32)
    turn = np.full((len(high), 2), -1, np.int32)
    for i in range(len(begin)):
        low, top = min(begin[i], end[i]), max(begin[i], end[i])
        e = up[low] + np.searchsorted(high[up[low] : up[low + 1]], top)
        down = 0 if begin[i] < end[i] else 1
        slot[i] = 2 * e + down
        turn[e, down] = i
    return slot, turn
