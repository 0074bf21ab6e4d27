"""How much every section of a network matters: what is lost when it is shut off, for all sections at once.

The figures come with the search tree of `sections.feed` in linear time; `one_by_one` takes every section away in turn
and is what the tests and benchmarks compare with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csgraph

from twin.pipes.graph import Floats, Graph, Ints
from twin.pipes.sections import OUTSIDE, Loads, Partition, Supply, divide, feed


@dataclass(frozen=True)
class Criticality:
    """Per section: what it `held`, what loses its source with it (`cut_off`), how many `valves` are to be closed."""

    held: Loads
    cut_off: Loads
    valves: Ints
    fed: Ints

    def ranked(self, by: str = "customers") -> Ints:
        """The sections by what their loss takes in all, most first; equals by pipes, then by number."""
        whole = self.held.column(by) + self.cut_off.column(by)
        pipes = self.held.column("pipes") + self.cut_off.column("pipes")
        return np.lexsort((np.arange(len(whole)), -pipes, -whole)).astype(np.int32)

    @property
    def widespread(self) -> int:
        """How many sections take others with them that hold anything."""
        return int((self.cut_off.column("pipes") > 0).sum())


def rate(graph: Graph) -> Criticality:
    """How much every section of the network matters."""
    partition = divide(graph)
    return tell(partition, feed(graph, partition))


def tell(partition: Partition, supply: Supply) -> Criticality:
    """The same from what is known already."""
    open_valves = partition.closed[partition.valves.numbers] == 0
    beyond = partition.around.sizes[partition.valves.numbers] > 1
    section = np.repeat(np.arange(partition.count), partition.valves.sizes)
    valves = np.bincount(section[open_valves & beyond], minlength=partition.count).astype(np.int32)
    fed = (supply.came[: partition.count] != OUTSIDE).astype(np.int32)
    return Criticality(supply.held, supply.lost, valves, fed)


def one_by_one(graph: Graph, partition: Partition, held: Loads) -> Floats:
    """What loses its source with each section, found by taking away one after the other. Time: sections squared."""
    count, valves = partition.count, len(partition.bounding)
    at = np.repeat(np.arange(valves), partition.around.sizes)
    joining = partition.closed[at] == 0
    a, b = partition.around.numbers[joining], at[joining] + count
    fed = np.zeros(count, bool)
    fed[partition.of_point[graph.sources]] = True
    before = _reached(a, b, count, valves, fed, OUTSIDE)
    lost = np.zeros_like(held.values)
    for section in range(count):
        after = _reached(a, b, count, valves, fed, section)
        gone = before & ~after
        gone[section] = False
        lost[section] = held.values[gone].sum(axis=0)
    return lost


def _reached(a: Ints, b: Ints, count: int, valves: int, fed: np.ndarray, without: int) -> np.ndarray:
    """Which sections are connected to a source when one is taken away."""
    kept = a != without
    size = count + valves
    links = coo_array((np.ones(int(kept.sum()), np.int8), (a[kept], b[kept])), shape=(size, size))
    _, label = csgraph.connected_components(links, directed=False)
    feeding = fed.copy()
    if without != OUTSIDE:
        feeding[without] = False
    reached = np.isin(label[:count], label[:count][feeding])
    if without != OUTSIDE:
        reached[without] = False
    return np.asarray(reached)
