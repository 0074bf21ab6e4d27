"""The streets of a city as arrays in metres: what makers lay their pipes along and cut their cells with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from gis_core import crs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FIRST_RANK, LAST_RANK = 2, 6
LANE_M: Final = 3.25
_HALF_WIDTH_M: Final = {2: 9.0, 3: 7.0, 4: 5.5, 5: 4.5, 6: 3.5}
_NARROWEST_M, _WIDEST_M = 3.0, 11.0
_STRAIGHT_M: Final = 1.0
_ISLAND_M: Final = 3000.0
_PASSES_THROUGH: Final = 2


@dataclass(frozen=True)
class Tree:
    """Shortest ways from every node to the nearest root: how far, by which street, to which node (-1: none)."""

    distance: Floats
    parent: Ints
    street: Ints

    @property
    def reached(self) -> Mask:
        """Which nodes have a way to a root."""
        return np.isfinite(self.distance)

    def inward(self) -> Ints:
        """The nodes that have a parent, farthest first: every node comes before the one it drains to."""
        nodes = np.flatnonzero(self.parent >= 0)
        return nodes[np.lexsort((nodes, -self.distance[nodes]))]

    def gather(self, per_node: Floats) -> Floats:
        """For each node the sum over all nodes whose way passes it, itself included."""
        total = per_node.astype(np.float64).copy()
        for node in self.inward():
            total[self.parent[node]] += total[node]
        return total


@dataclass(frozen=True)
class StreetGraph:
    """Streets between junctions: chains of street segments that nothing joins are one.

    `nodes` (n, 2) and `coords` (k, 2) are metres in `metric_crs`; street i runs from node `start[i]` to `end[i]`
    along `coords[first[i]:first[i + 1]]`, eastward or northward.
    """

    metric_crs: str
    nodes: Floats
    start: Ints
    end: Ints
    coords: Floats
    first: Ints
    rank: Ints
    half_width_m: Floats
    name: npt.NDArray[np.object_]

    def __len__(self) -> int:
        """The number of streets."""
        return len(self.start)

    @property
    def length_m(self) -> Floats:
        """Length of each street."""
        return np.asarray(shapely.length(self.lines), np.float64)

    @property
    def lines(self) -> npt.NDArray[np.object_]:
        """The centre lines."""
        return np.asarray(
            shapely.linestrings(self.coords, indices=np.repeat(np.arange(len(self)), np.diff(self.first)))
        )

    @property
    def middle(self) -> Floats:
        """A point half way along each street (m, 2)."""
        return np.asarray(shapely.get_coordinates(shapely.line_interpolate_point(self.lines, 0.5, normalized=True)))

    @property
    def degree(self) -> Ints:
        """How many streets meet at each node."""
        return np.bincount(np.concatenate([self.start, self.end]), minlength=len(self.nodes)).astype(np.int64)

    def tree(self, roots: Ints, toward_start: Floats, toward_end: Floats, allowed: Mask | None = None) -> Tree:
        """The cheapest way from every node to a root, where going along street i to its start costs `toward_start[i]`.

        Streets that are not `allowed` are not used.
        """
        use = np.flatnonzero(np.ones(len(self), bool) if allowed is None else allowed)
        # The search walks outward from the roots, so an arc root -> node carries the cost of the way back.
        tail = np.concatenate([self.start[use], self.end[use]])
        head = np.concatenate([self.end[use], self.start[use]])
        cost = np.maximum(np.concatenate([toward_start[use], toward_end[use]]), 1e-6)
        street = np.concatenate([use, use])
        order = np.lexsort((street, cost, head, tail))
        tail, head, cost, street = tail[order], head[order], cost[order], street[order]
        cheapest = np.ones(len(tail), bool)
        cheapest[1:] = (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])
        tail, head, cost, street = tail[cheapest], head[cheapest], cost[cheapest], street[cheapest]
        n = len(self.nodes)
        graph = csr_array((cost, (tail, head)), shape=(n, n))
        distance, before, _ = dijkstra(graph, indices=roots, min_only=True, return_predecessors=True)
        parent = np.where(before >= 0, before, -1).astype(np.int64)
        key = tail * n + head
        wanted = parent * n + np.arange(n)
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        return Tree(distance, parent, np.where(parent >= 0, street[at] if len(street) else -1, -1))


def build(roads: gpd.GeoDataFrame, metric_crs: str) -> StreetGraph:
    """The graph of the streets that carry pipes: no motorways, tunnels, service roads and paths, no small islands."""
    wanted = roads["rank"].between(FIRST_RANK, LAST_RANK) & ~roads["tunnel"].astype(bool)
    lines = crs.to_metric(roads.geometry.to_numpy()[wanted], metric_crs)
    table = roads.loc[wanted, ["from_node", "to_node", "rank", "lanes", "name"]].reset_index(drop=True)
    table["line"] = lines
    table = table[(table["from_node"] != table["to_node"]) & (shapely.length(lines) > 0)].reset_index(drop=True)
    return _assemble(table.loc[_mainland(table)].reset_index(drop=True), metric_crs)


def _mainland(table: pd.DataFrame) -> Mask:
    """Streets of the greatest connected part, and of parts that are long enough to be a network of their own."""
    if table.empty:
        return np.zeros(0, bool)
    codes, names = pd.factorize(pd.concat([table["from_node"], table["to_node"]]))
    a, b = codes[: len(table)], codes[len(table) :]
    graph = csr_array((np.ones(len(a)), (a, b)), shape=(len(names), len(names)))
    _, part = connected_components(graph, directed=False)
    length = np.bincount(part[a], shapely.length(table["line"].to_numpy()), minlength=part.max() + 1)
    return np.asarray((length >= min(_ISLAND_M, length.max()))[part[a]])


def _assemble(table: pd.DataFrame, metric_crs: str) -> StreetGraph:
    codes, names = pd.factorize(pd.concat([table["from_node"], table["to_node"]]))
    a, b = codes[: len(table)].astype(np.int64), codes[len(table) :].astype(np.int64)
    chains = _chains(a, b, table, len(names))
    start, end, shapes, rank, width, name = [], [], [], [], [], []
    points = [shapely.get_coordinates(line) for line in table["line"]]
    half = _half_widths(table)
    for chain in chains:
        xy = np.concatenate([points[i] if ahead else points[i][::-1] for i, ahead in chain])
        (one, ahead), (other, onward) = chain[0], chain[-1]
        u, v = (a if ahead else b)[one], (b if onward else a)[other]
        if (xy[-1] - xy[0]).sum() < 0:
            xy, u, v = xy[::-1], v, u
        shapes.append(shapely.linestrings(xy))
        start.append(u)
        end.append(v)
        rank.append(table["rank"].iloc[one])
        width.append(half[one])
        name.append(table["name"].iloc[one] if pd.notna(table["name"].iloc[one]) else None)
    simple = shapely.simplify(np.array(shapes, object), _STRAIGHT_M, preserve_topology=False)
    coords, index = shapely.get_coordinates(simple, return_index=True)
    first = np.searchsorted(index, np.arange(len(chains) + 1)).astype(np.int64)
    used, renumbered = np.unique(np.concatenate([start, end]).astype(np.int64), return_inverse=True)
    u, v = renumbered[: len(chains)], renumbered[len(chains) :]
    nodes = np.empty((len(used), 2))
    nodes[u], nodes[v] = coords[first[:-1]], coords[first[1:] - 1]
    return StreetGraph(
        metric_crs, nodes, u.astype(np.int64), v.astype(np.int64), coords, first,
        np.array(rank, np.int64), np.array(width, np.float64), np.array(name, object),
    )  # fmt: skip


def _chains(a: Ints, b: Ints, table: pd.DataFrame, count: int) -> list[list[tuple[int, bool]]]:
    """Segments in a row that are one street: same name and class, and no other street joins between them."""
    ends: list[list[int]] = [[] for _ in range(count)]
    for i, (u, v) in enumerate(zip(a, b, strict=True)):
        ends[u].append(i)
        ends[v].append(i)
    same = list(zip(table["name"].fillna("").astype(str), table["rank"].astype(int), strict=True))
    taken = np.zeros(len(a), bool)

    def follow(segment: int, node: int) -> list[tuple[int, bool]]:
        found: list[tuple[int, bool]] = []
        while len(ends[node]) == _PASSES_THROUGH:
            onward = ends[node][0] if ends[node][1] == segment else ends[node][1]
            if taken[onward] or same[onward] != same[segment]:
                break
            taken[onward] = True
            found.append((onward, bool(a[onward] == node)))
            node = b[onward] if a[onward] == node else a[onward]
            segment = onward
        return found

    chains = []
    for i in range(len(a)):
        if not taken[i]:
            taken[i] = True
            onward = follow(i, b[i])
            before = [(j, not ahead) for j, ahead in reversed(follow(i, a[i]))]
            chains.append([*before, (i, True), *onward])
    return [c for c in chains if not _is_ring(c, a, b)]


def _is_ring(chain: Sequence[tuple[int, bool]], a: Ints, b: Ints) -> bool:
    """A chain that ends where it began leads nowhere."""
    (one, ahead), (other, onward) = chain[0], chain[-1]
    return bool((a if ahead else b)[one] == (b if onward else a)[other])


def _half_widths(table: pd.DataFrame) -> Floats:
    """Half the carriageway: by lanes where they are known, else usual for the class."""
    usual = table["rank"].map(_HALF_WIDTH_M).astype(float)
    told = table["lanes"].astype("Float64") * LANE_M / 2
    width: Any = told.fillna(usual).astype(float).clip(_NARROWEST_M, _WIDEST_M)
    return np.asarray(np.maximum(width, usual * 0.7), np.float64)
