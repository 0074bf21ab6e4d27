"""Compiled: times from one to all, and from many to many, by one walk up and one sweep down the hierarchy.

Source: Delling, Goldberg, Nowatzyk, Werneck, "PHAST: Hardware-accelerated shortest path trees", JPDC 73 (2013), and
Delling, Goldberg, Werneck, "Faster Batched Shortest Paths in Road Networks", ATMOS 2011 (restricted sweeps).
All vertices are ranks; times are int32 milliseconds; `w` is (m, 2), up and down each edge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gis_core.compiled import compiled
from routing.elimination import Edges, Ints, Rows

INFINITE: Final = 1_000_000_000
_U = np.uint64
_AT_ONCE: Final = 16


@compiled
def sweep(starts: Ints, after: Ints, backward: bool, w: Ints, up: Rows, high: Edges, parent: Ints) -> Ints:
    """The least time to every vertex from starts that are left `after` some time; `backward`: from every vertex."""
    n = len(parent)
    ahead, back = (_U(1), _U(0)) if backward else (_U(0), _U(1))
    times = np.full(n, INFINITE, np.int32)
    for i in range(len(starts)):
        x = starts[i]
        times[x] = min(times[x], after[i])
        while x != -1:
            took = times[x]
            if took < INFINITE:
                for e in range(_U(up[x]), _U(up[x + 1])):
                    h = _U(high[e])
                    times[h] = min(times[h], took + w[e, ahead])
            x = parent[x]
    for v in range(n - 1, -1, -1):
        least = times[v]
        for e in range(_U(up[v]), _U(up[v + 1])):
            least = min(least, times[_U(high[e])] + w[e, back])
        times[v] = least
    return times


@compiled
def restrict(targets: Ints, w: Ints, up: Rows, high: Edges, parent: Ints) -> tuple[Ints, Ints, Rows, Ints, Ints]:
    """The part of a hierarchy that a sweep down to `targets` needs, highest first.

    Gives the vertices, the place of each vertex of the hierarchy among them (-1: not needed), where the edges of each
    begin, the places that they come down from, and their times.
    """
    n = len(parent)
    place = np.full(n, -1, np.int32)
    count = 0
    for t in targets:
        x = t
        while x != -1 and place[x] == -1:
            place[x] = 0
            count += 1
            x = parent[x]
    vertices = np.empty(count, np.int32)
    first = np.zeros(count + 1, np.int64)
    k = 0
    for v in range(n - 1, -1, -1):
        if place[v] == 0:
            vertices[k] = v
            place[v] = k
            first[k + 1] = first[k] + up[v + 1] - up[v]
            k += 1
    above = np.empty(first[count], np.int32)
    took = np.empty(first[count], np.int32)
    for i in range(count):
        at = first[i]
        for e in range(up[vertices[i]], up[vertices[i] + 1]):
            above[at] = place[high[e]]
            took[at] = w[e, 1]
            at += 1
    return vertices, place, first, above, took


@compiled
def many_to_many(
    first: Rows, starts: Ints, after: Ints, targets: Ints, w: Ints, up: Rows, high: Edges, parent: Ints
) -> Ints:
    """Times (sources, targets); source i has the `starts[first[i]:first[i + 1]]`, each left `after` some time."""
    _, place, begin, above, took = restrict(targets, w, up, high, parent)
    sources, count = len(first) - 1, len(begin) - 1
    result = np.empty((sources, len(targets)), np.int32)
    out = np.full(len(parent), INFINITE, np.int32)
    times = np.empty((count, _AT_ONCE), np.int32)
    for s in range(0, sources, _AT_ONCE):
        times[:] = INFINITE
        for j in range(min(_AT_ONCE, sources - s)):
            for i in range(first[s + j], first[s + j + 1]):
                out[starts[i]] = min(out[starts[i]], after[i])
                x = starts[i]
                while x != -1:
                    now = out[x]
                    if now < INFINITE:
                        for e in range(_U(up[x]), _U(up[x + 1])):
                            h = _U(high[e])
                            out[h] = min(out[h], now + w[e, _U(0)])
                    x = parent[x]
            for i in range(first[s + j], first[s + j + 1]):
                x = starts[i]
                while x != -1:
                    if place[x] >= 0:
                        times[place[x], j] = min(times[place[x], j], out[x])
                    out[x] = INFINITE
                    x = parent[x]
        _descend(times, begin, above, took)
        for j in range(min(_AT_ONCE, sources - s)):
            for q in range(len(targets)):
                result[s + j, q] = min(times[place[targets[q]], j], INFINITE)
    return result


@compiled
def _descend(times: Ints, begin: Rows, above: Ints, took: Ints) -> None:
    """Bring the times of some sources at once down to every vertex."""
    for i in range(_U(len(begin) - 1)):
        for e in range(_U(begin[i]), _U(begin[i + _U(1)])):
            h, more = _U(above[e]), took[e]
            for j in range(_U(_AT_ONCE)):
                times[i, j] = min(times[i, j], times[h, j] + more)
