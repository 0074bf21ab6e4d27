"""Walks over the arrays of a network, as machine code: what is reached, what is nearest, what lies on a loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gis_core.compiled import compiled
from twin.pipes.graph import Bits, Floats, Ints, Nearby, Signs


class Sheet(NamedTuple):
    """What a trace writes on: the last stamp that each point and pipe got, and what was found."""

    on_points: Ints
    on_pipes: Ints
    points: Ints
    pipes: Ints


class Ways(NamedTuple):
    """Where one comes from each point in one direction of the flow: place k leads to a point by a pipe (two columns).

    The places of point p are `first[p]` to `first[p + 1]`. A pipe whose direction is not known leads both ways, and
    stands there as the complement of its number.
    """

    first: Ints
    leads: Ints


class Way(NamedTuple):
    """The nearest ways: the points in the order of distance; per point how far, what comes before it, which start."""

    order: Ints
    distance_m: Floats
    before: Ints
    via: Ints
    origin: Ints


@compiled
def headings(near: Nearby, start: Ints, end: Ints, direction: Signs) -> Signs:
    """For each neighbour in CSR order whether the way to it goes with the flow (1), against it (-1), or is unknown."""
    heading = np.zeros(len(near.pipe), np.int8)
    for point in range(len(near.first) - 1):
        for k in range(near.first[point], near.first[point + 1]):
            p = near.pipe[k]
            heading[k] = direction[p] if start[p] == point and end[p] == near.point[k] else -direction[p]
    return heading


@compiled
def select(near: Nearby, heading: Signs, mode: int) -> Ways:
    """The ways with the flow (mode 1) or against it (-1)."""
    n = len(near.first) - 1
    first = np.zeros(n + 1, np.int32)
    leads = np.empty((len(near.pipe), 2), np.int32)
    count = 0
    for x in range(n):
        for k in range(near.first[x], near.first[x + 1]):
            if heading[k] * mode >= 0:
                leads[count, 0] = near.point[k]
                leads[count, 1] = near.pipe[k] if heading[k] != 0 else ~near.pipe[k]
                count += 1
        first[x + 1] = count
    return Ways(first, leads[:count].copy())


@compiled
def walk(ways: Ways, stop: Bits, begin: Ints, free: int, given: Ints, sheet: Sheet, stamp: int) -> tuple[int, int]:
    """Breadth first from `begin`; writes what it finds on the sheet and says how many points and pipes.

    `given` pipes count at once. A stop is not gone beyond, unless it is one of the first `free` of `begin`.
    """
    # An index without a sign is not asked whether it counts from the end, which takes a third of the time.
    one, taking = np.uint32(1), np.uint32(0)
    count, head = taking, taking
    for p in given:
        if sheet.on_pipes[p] != stamp:
            sheet.on_pipes[p] = stamp
            sheet.pipes[taking] = p
            taking += one
    begun = taking > 0
    for x in begin:
        if sheet.on_points[x] != stamp:
            sheet.on_points[x] = stamp
            sheet.points[count] = x
            count += one
    while head < count:
        at = np.uint32(sheet.points[head])
        head += one
        if stop[at] and not (begin[:free] == at).any():
            continue
        for k in range(np.uint32(ways.first[at]), np.uint32(ways.first[at + one])):
            y, p = np.uint32(ways.leads[k, 0]), ways.leads[k, 1]
            # A pipe of known direction comes once only; the stamp is for the others, and where some were given.
            if p < 0 or begun:
                p = max(p, ~p)
                if sheet.on_pipes[p] != stamp:
                    sheet.on_pipes[p] = stamp
                    sheet.pipes[taking] = p
                    taking += one
            else:
                sheet.pipes[taking] = p
                taking += one
            if sheet.on_points[y] != stamp:
                sheet.on_points[y] = stamp
                sheet.points[count] = y
                count += one
    return int(count), int(taking)


@compiled
def _rise(at: Ints, key: Floats, hole: int, point: int, value: float) -> None:
    """Put a point into a heap whose last place is the hole."""
    while hole > 0 and key[(hole - 1) // 2] > value:
        at[hole], key[hole] = at[(hole - 1) // 2], key[(hole - 1) // 2]
        hole = (hole - 1) // 2
    at[hole], key[hole] = point, value


@compiled
def _sink(at: Ints, key: Floats, size: int) -> None:
    """Take the least out of a heap that has `size` others: the last one goes into its place."""
    hole, point, value = 0, at[size], key[size]
    while 2 * hole + 1 < size:
        child = 2 * hole + 1
        if child + 1 < size and key[child + 1] < key[child]:
            child += 1
        if key[child] >= value:
            break
        at[hole], key[hole] = at[child], key[child]
        hole = child
    at[hole], key[hole] = point, value


@compiled
def nearest(
    near: Nearby, length_m: Floats, heading: Signs, mode: int, stop: Bits, begin: Ints, wanted: Bits
) -> tuple[Way, int]:
    """Dijkstra from `begin`, up to the first point that is wanted if any is; the ways, and that point."""
    n = len(near.first) - 1
    distance, done = np.full(n, np.inf), np.zeros(n, np.uint8)
    before, via, origin = np.full(n, -1, np.int32), np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    order = np.empty(n, np.int32)
    room = len(near.pipe) + len(begin) + 1
    at, key = np.empty(room, np.int32), np.empty(room, np.float64)
    size, settled, last = 0, 0, -1
    for x in begin:
        if distance[x] > 0:
            distance[x], origin[x] = 0.0, x
            at[size], key[size] = x, 0.0
            size += 1
    while size > 0 and last < 0:
        x, far = at[0], key[0]
        size -= 1
        _sink(at, key, size)
        if done[x]:
            continue
        done[x] = 1
        order[settled] = x
        settled += 1
        if len(wanted) > 0 and wanted[x]:
            last = x
        if stop[x] and before[x] != -1:
            continue
        for k in range(near.first[x], near.first[x + 1]):
            y, beyond = near.point[k], far + length_m[near.pipe[k]]
            if not done[y] and heading[k] * mode >= 0 and beyond < distance[y]:
                distance[y], before[y], via[y], origin[y] = beyond, x, near.pipe[k], origin[x]
                _rise(at, key, size, y, beyond)
                size += 1
    return Way(order[:settled].copy(), distance, before, via, origin), last


@compiled
def find_loops(near: Nearby, pipes: int, stop: Bits) -> Bits:
    """1 for each pipe that lies on a loop which goes through no stop: all but the bridges."""
    n = len(near.first) - 1
    came, low = np.full(n, -1, np.int32), np.empty(n, np.int32)
    following, by = near.first[:-1].copy(), np.full(n, -1, np.int32)
    stack = np.empty(n, np.int32)
    looped = np.zeros(pipes, np.uint8)
    clock = 0
    for root in range(n):
        if came[root] >= 0 or stop[root]:
            continue
        stack[0], depth = root, 1
        came[root] = low[root] = clock
        clock += 1
        while depth > 0:
            x = stack[depth - 1]
            if following[x] < near.first[x + 1]:
                k = following[x]
                following[x] += 1
                y, p = near.point[k], near.pipe[k]
                if p == by[x] or stop[y]:
                    continue
                if came[y] >= 0:
                    looped[p] = 1
                    low[x] = min(low[x], came[y])
                    continue
                came[y] = low[y] = clock
                clock += 1
                by[y] = p
                stack[depth] = y
                depth += 1
                continue
            depth -= 1
            if depth > 0:
                up = stack[depth - 1]
                low[up] = min(low[up], low[x])
                if low[x] <= came[up]:
                    looped[by[x]] = 1
    return looped
