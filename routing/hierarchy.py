"""A customizable contraction hierarchy over a road graph's turns: its shape, made once and kept on disk, no weights.

Source: Dibbelt, Strasser, Wagner, "Customizable Contraction Hierarchies", ACM JEA 21 (2016), doi 10.1145/2886843.
The vertices are the graph's arcs; the order is nested dissection of the turn graph itself, since an order taken over
from the junctions makes hundreds of times as many triangles.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from routing import customization, elimination, searches, sweeps
from routing.dissection import neighbours, order_of
from routing.elimination import Edges, Ints, Rows
from routing.graph import INFINITE, Graph, NoGraph, mapped
from routing.searches import Scratch

_VERSION: Final = "1"


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """n vertices by rank, m edges, each kept at its lower end, and their triangles.

    `rank[a]` is the place of arc a in the order, `arc` the reverse. Edges `up[v]` to `up[v + 1]` lead from v to `high`;
    `low` is v again. `parent` is the tree. `closing` holds for each vertex the edges that close its triangles, from
    `begin[v]` on; `lower[lower_at[e]:lower_at[e + 1]]` are the pairs of edges of those that e closes. `slot[t]` is
    where turn t lies (2 e, or 2 e + 1 downward), `turn` (m, 2) the reverse; `onto` is the arc that each turn leads
    onto, and `into[into_first[a]:into_first[a + 1]]` are the turns onto arc a.
    """

    rank: Ints
    arc: Ints
    up: Rows
    high: Edges
    low: Edges
    parent: Ints
    closing: Edges
    begin: Rows
    lower_at: Rows
    lower: Edges
    slot: Ints
    turn: Ints
    onto: Ints
    into_first: Rows
    into: Ints

    @property
    def tree(self) -> tuple[Rows, Edges, Ints]:
        """What searches climb: the edges upward, and parents."""
        return self.up, self.high, self.parent

    @property
    def under(self) -> tuple[Edges, Rows, Edges]:
        """What unpacks an edge: its lower end and its lower triangles."""
        return self.low, self.lower_at, self.lower

    @property
    def shape(self) -> tuple[Rows, Edges, Edges, Edges, Rows, Rows, Edges]:
        """What an update walks over."""
        return self.up, self.high, self.low, self.closing, self.begin, self.lower_at, self.lower

    def save(self, folder: Path) -> None:
        """Write the arrays, one file each, so that they can be mapped into memory."""
        folder.mkdir(parents=True, exist_ok=True)
        for f in fields(self):
            np.save(folder / f"{f.name}.npy", getattr(self, f.name))
        (folder / "version").write_text(_VERSION, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Hierarchy:
        """A saved hierarchy, its arrays mapped from disk. Raises NoGraph."""
        try:
            if (folder / "version").read_text(encoding="utf-8") != _VERSION:
                raise NoGraph(f"The hierarchy in {folder.name} is of an older kind; build it again.")
            return cls(**{f.name: mapped(folder / f"{f.name}.npy") for f in fields(cls)})
        except (OSError, ValueError) as error:
            raise NoGraph(f"There is no whole hierarchy in {folder.name}.") from error


def build(graph: Graph) -> Hierarchy:
    """The hierarchy of a graph's turns."""
    order = order_of(len(graph), graph.turn_from, graph.onto)
    return over(order, graph.turn_from, graph.onto, graph.into_first, graph.into)


def over(order: Rows, begin: Ints, onto: Ints, into_first: Rows, into: Ints) -> Hierarchy:
    """The hierarchy of turns from `begin` `onto` arcs, taken in this order of arcs."""
    count = len(order)
    rank = np.empty(count, np.int32)
    rank[order] = np.arange(count, dtype=np.int32)
    first, others = neighbours(count, rank[begin], rank[onto])
    up, high, parent = elimination.eliminate(first, others.astype(np.int32))
    degree = np.diff(up)
    pairs = degree * (degree - 1) // 2
    closing = elimination.find_triangles(up, high, int(elimination.count_triangles(up)))
    lower_at, lower = elimination.gather_lower(up, closing, len(high))
    slot, turn = elimination.place_turns(rank[begin], rank[onto], up, high)
    return Hierarchy(
        rank=rank,
        arc=order.astype(np.int32),
        up=up,
        high=high.astype(np.uint32),
        low=np.repeat(np.arange(count, dtype=np.uint32), degree),
        parent=parent,
        closing=closing,
        begin=np.concatenate([[0], np.cumsum(pairs)]).astype(np.int64),
        lower_at=lower_at,
        lower=lower,
        slot=slot,
        turn=turn,
        onto=np.ascontiguousarray(onto, np.int32),
        into_first=np.ascontiguousarray(into_first, np.int64),
        into=np.ascontiguousarray(into, np.int32),
    )


@dataclass(frozen=True, eq=False)
class Weights:
    """A hierarchy with the times of one vehicle at one generation; ask it only while it is leased.

    Times are milliseconds from the end of one arc to the end of another; INFINITE where there is no way.
    """

    hierarchy: Hierarchy
    w: Ints
    arc_ms: Ints
    turn_ms: Ints
    generation: int

    def time(self, a: int, b: int) -> int:
        """The least time from the end of arc a to the end of arc b."""
        h = self.hierarchy
        took, _ = searches.search(h.rank[a], h.rank[b], self.w, h.tree, _room(len(h.parent)), INFINITE)
        return int(took)

    def path(self, a: int, b: int) -> tuple[int, Ints]:
        """The least time and the arcs from a to b, both among them; INFINITE and none where there is no way."""
        h = self.hierarchy
        took, path = searches.route(h.rank[a], h.rank[b], self.w, h.tree, _room(len(h.parent)), h.under)
        return int(took), h.arc[path]

    def around(self, a: int) -> tuple[int, Ints]:
        """The least time and the arcs of a way from the end of arc a to its end again, other than to stay."""
        h = self.hierarchy
        best, before = INFINITE, -1
        for turn in h.into[h.into_first[a] : h.into_first[a + 1]].tolist():
            edge, down = h.slot[turn] >> 1, h.slot[turn] & 1
            b = int(h.arc[h.high[edge] if down else h.low[edge]])
            took = self.time(a, b) + int(self.turn_ms[turn]) + int(self.arc_ms[a])
            if took < best:
                best, before = took, b
        if before < 0:
            return INFINITE, np.empty(0, np.int32)
        return best, np.append(self.path(a, before)[1], np.int32(a))

    def meetings(self, a: int, b: int, most: int) -> tuple[Ints, Ints]:
        """Arcs over which a way from a to b takes at most `most` milliseconds, and how long, the quickest first."""
        h = self.hierarchy
        via, took = searches.meetings(h.rank[a], h.rank[b], self.w, h.tree, _room(len(h.parent)), most)
        order = np.argsort(took, kind="stable")
        return h.arc[via[order]], took[order]

    def sweep(self, arcs: Ints, after_ms: Ints, *, backward: bool = False) -> Ints:
        """The least time to the end of every arc from some left `after_ms`; `backward`: from the end of every arc."""
        h = self.hierarchy
        starts = np.ascontiguousarray(h.rank[arcs], np.int32)
        times = sweeps.sweep(starts, np.ascontiguousarray(after_ms, np.int32), backward, self.w, *h.tree)
        return np.asarray(times[h.rank])

    def many(self, first: Rows, arcs: Ints, after_ms: Ints, targets: Ints) -> Ints:
        """Times (sources, targets): source i begins on `arcs[first[i]:first[i + 1]]`, each left `after_ms`."""
        h = self.hierarchy
        starts, ends = (np.ascontiguousarray(h.rank[x], np.int32) for x in (arcs, targets))
        after = np.ascontiguousarray(after_ms, np.int32)
        return np.asarray(
            sweeps.many_to_many(np.ascontiguousarray(first, np.int64), starts, after, ends, self.w, *h.tree)
        )


def customize(hierarchy: Hierarchy, w: Ints, turn_ms: Ints, arc_ms: Ints) -> None:
    """Write into `w` (m, 2) the weights that these costs of turns and arcs give."""
    h = hierarchy
    customization.lay_turns(w, h.slot, turn_ms, arc_ms, h.onto)
    customization.customize(w, h.up, h.closing)


class Changer:
    """Brings weights up to date where the costs of a few arcs have changed; for one thread at a time."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        """Take the room that it needs."""
        self._hierarchy = hierarchy
        self._waiting = np.zeros(len(hierarchy.high), bool)
        self._heap = np.empty(len(hierarchy.high), np.int32)

    def update(self, arcs: Ints, w: Ints, turn_ms: Ints, arc_ms: Ints) -> int:
        """After `arc_ms` of these arcs has changed: `w` as `customize` would give it. Gives how many edges it saw."""
        h = self._hierarchy
        edges = customization.edges_of(np.ascontiguousarray(arcs, np.int32), h.into_first, h.into, h.slot)
        costs = (h.turn, turn_ms, arc_ms, h.onto)
        return int(customization.update(edges, w, costs, h.shape, self._waiting, self._heap))


_rooms = threading.local()


def _room(vertices: int) -> Scratch:
    """This thread's scratch for a hierarchy of that size."""
    kept: dict[int, Scratch] = _rooms.__dict__.setdefault("kept", {})
    if vertices not in kept:
        kept[vertices] = searches.scratch(vertices)
    return kept[vertices]
