"""Networks for tests and benchmarks: any small one by chance, a town's mains of any size, and plain slow references."""

from __future__ import annotations

import gzip
import tempfile
import warnings
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from twin.pipes.graph import CLOSED, FORWARD, METER, SINK, SOURCE, STUCK, UNREACHABLE, VALVE, Graph, build
from twin.pipes.sections import Partition, divide

POINT_BITS = (0, 0, METER, SOURCE, VALVE, VALVE, VALVE | CLOSED, VALVE | STUCK, VALVE | UNREACHABLE,
              VALVE | CLOSED | STUCK)  # fmt: skip


@st.composite
def any_network(draw: st.DrawFn) -> Graph:
    """A network of up to 14 points with loops, parallel pipes, lone points and valves in every state."""
    n = draw(st.integers(2, 14))
    bits = draw(st.lists(st.sampled_from(POINT_BITS), min_size=n, max_size=n))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] != pair[1])
    ends = draw(st.lists(pairs, min_size=1, max_size=24))
    lengths = draw(st.lists(st.integers(1, 9), min_size=len(ends), max_size=len(ends)))
    return build(
        np.arange(len(ends)) + 1000,
        [a * 10 for a, _ in ends],
        [b * 10 for _, b in ends],
        lengths,
        point_ids=np.arange(n) * 10,
        bits=bits,
        customers=[i % 4 for i in range(n)],
    )


def town(side: int, *, valves: float = 0.62, sources: int = 4, seed: int = 3) -> Graph:
    """Mains under a grid of side * side crossings, with a valve in that share of the streets; some do not turn."""
    random = np.random.default_rng(seed)
    crossing = np.arange(side * side).reshape(side, side)
    a = np.concatenate([crossing[:, :-1].ravel(), crossing[:-1].ravel()])
    b = np.concatenate([crossing[:, 1:].ravel(), crossing[1:].ravel()])
    valved = random.random(len(a)) < valves
    n, count = side * side, int(valved.sum())
    valve = n + np.arange(count)
    bits = np.zeros(n + count, np.uint8)
    fate = random.random(count)
    bits[n:] = VALVE | np.where(fate < 0.05, STUCK, 0) | np.where(fate > 0.97, CLOSED, 0)
    bits[:n] = np.where(random.random(n) < 0.3, METER, 0)
    bits[random.choice(n, sources, replace=False)] = SOURCE
    start = np.concatenate([a[~valved], a[valved], valve])
    end = np.concatenate([b[~valved], valve, b[valved]])
    return build(
        np.arange(len(start)), start, end, random.uniform(5, 80, len(start)),
        point_ids=np.arange(n + count), bits=bits,
        customers=np.concatenate([random.integers(0, 30, n), np.zeros(count, int)]),
    )  # fmt: skip


def sewers(side: int, seed: int = 5) -> tuple[Graph, Any]:
    """Sewers under side * side manholes that join downhill, and how many points lie upstream of each, itself too."""
    random = np.random.default_rng(seed)
    row, column = np.divmod(np.arange(side * side), side)
    step = random.integers(0, 3, side * side)
    down, right = np.minimum(row + (step != 0), side - 1), np.minimum(column + (step != 1), side - 1)
    into = down * side + right
    last = (row == side - 1) | (column == side - 1)
    along = np.where(row == side - 1, row * side + np.minimum(column + 1, side - 1), (row + 1) * side + column)
    into = np.where(last, along, into)
    outfall = last & ((row + column) % (side // 5) == 0) | (np.arange(side * side) == side * side - 1)
    pipe = np.flatnonzero(~outfall)
    count = np.ones(side * side, np.int64)
    for diagonal in range(2 * side - 2):
        here = pipe[row[pipe] + column[pipe] == diagonal]
        np.add.at(count, into[here], count[here])
    graph = build(
        pipe, pipe, into[pipe], random.uniform(20, 60, len(pipe)), flow=np.full(len(pipe), FORWARD),
        point_ids=np.arange(side * side), bits=np.where(outfall, SINK, 0),
    )  # fmt: skip
    return graph, count


@dataclass(frozen=True)
class WaterModel:
    """An EPANET model and valves placed on it: `layer` names a link and the node at which a valve lies on it."""

    network: Any
    layer: Any
    nodes: list[str]
    links: list[tuple[str, str, str]]


def water_model(path: Path) -> WaterModel:
    """A zipped EPANET model, with valves on all but two links at every node, chosen by wntr."""
    import wntr

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner = Path(folder) / "network.inp"
        inner.write_bytes(gzip.decompress(path.read_bytes()))
        network = wntr.network.WaterNetworkModel(str(inner))
        layer = wntr.network.generate_valve_layer(network, "strategic", 2, seed=1)
        links = [(name, link.start_node_name, link.end_node_name) for name, link in network.links()]
        return WaterModel(network.to_graph(), layer, list(network.node_name_list), links)


def segments_of(model: WaterModel) -> Partition:
    """The sections of a model, from its names: a valve on a link near a node becomes a point between the two."""
    number = {name: i for i, name in enumerate(model.nodes)}
    link = {name: i for i, (name, _, _) in enumerate(model.links)}
    begin = np.array([number[a] for _, a, _ in model.links])
    finish = np.array([number[b] for _, _, b in model.links])
    at = np.array([link[name] for name in model.layer["link"]])
    by = np.array([number[name] for name in model.layer["node"]])
    valve = len(number) + np.arange(len(at))
    start, end = begin.copy(), finish.copy()
    first = begin[at] == by
    start[at[first]], end[at[~first]] = valve[first], valve[~first]
    pipes = len(link) + len(at)
    graph = build(
        np.arange(pipes), np.concatenate([start, by]), np.concatenate([end, valve]), np.ones(pipes),
        point_ids=valve, bits=np.full(len(valve), VALVE),
    )  # fmt: skip
    return divide(graph)


def same_partition(model: WaterModel, ours: Partition, wntrs: tuple[Any, Any, Any]) -> bool:
    """Whether nodes and links fall into the same segments, whatever these are called."""
    nodes, links, _ = wntrs
    theirs = [*nodes.loc[model.nodes], *links.loc[[name for name, _, _ in model.links]]]
    mine = [*ours.of_point[: len(model.nodes)].tolist(), *ours.of_pipe[: len(model.links)].tolist()]
    return len(set(zip(mine, theirs, strict=True))) == len(set(mine)) == len(set(theirs))


@dataclass
class Slow:
    """The same questions answered with sets, one step after the other, as the definitions read."""

    graph: Graph

    def is_bounding(self, point: int) -> bool:
        """Whether a point is a valve that stands closed or can be closed."""
        bits = int(self.graph.bits[point])
        if not bits & VALVE or bits & SOURCE:
            return False
        return bool(bits & CLOSED) or not bits & (STUCK | UNREACHABLE)

    def around(self, point: int) -> list[tuple[int, int]]:
        """The pipes at a point, and where they lead."""
        g = self.graph
        return [(p, int(g.end[p] if g.start[p] == point else g.start[p])) for p in range(g.pipes)
                if point in (g.start[p], g.end[p])]  # fmt: skip

    def shut_off(
        self, points: Iterable[int], pipes: Iterable[int], failed: AbstractSet[int] = frozenset()
    ) -> tuple[set[int], set[int], set[int]]:
        """Points and pipes that a burst opens up to the valves, and those valves."""
        g, seen, wet, valves = self.graph, set(points), set(pipes), set()
        ahead = list(seen)
        for point in list(seen):
            wet |= {p for p, _ in self.around(point)}
        for p in wet:
            ahead += [int(g.start[p]), int(g.end[p])]
        begun = set(seen)
        while ahead:
            x = ahead.pop()
            if x not in begun and self.is_bounding(x) and x not in failed:
                valves.add(x)
                continue
            seen.add(x)
            for p, y in self.around(x):
                if p not in wet or y not in seen:
                    wet.add(p)
                    if y not in seen:
                        ahead.append(y)
        # A bounding valve is never one of the points, even where it broke or failed: it lies between sections.
        inner = {x for x in seen if not self.is_bounding(x)}
        return inner, wet, valves | {x for x in seen if self.is_bounding(x) and self.around(x)}

    def fed(self, without_points: AbstractSet[int], without_pipes: AbstractSet[int]) -> tuple[set[int], set[int]]:
        """Points and pipes that are connected to a source through open valves when some are taken away."""
        ahead = [int(s) for s in self.graph.sources if s not in without_points]
        points, pipes = set(ahead), set()
        while ahead:
            x = ahead.pop()
            if self.graph.bits[x] & CLOSED and self.is_bounding(x):
                continue
            for p, y in self.around(x):
                if p in without_pipes:
                    continue
                pipes.add(p)
                if y not in points and y not in without_points:
                    points.add(y)
                    ahead.append(y)
        return {x for x in points if not self.is_bounding(x)}, pipes

    def cut_off(self, points: set[int], pipes: set[int]) -> tuple[set[int], set[int]]:
        """Points and pipes outside those given that lose their source without them."""
        before, after = self.fed(set(), set()), self.fed(points, pipes)
        return before[0] - after[0] - points, before[1] - after[1] - pipes


def numbers(array: Any) -> set[int]:
    """An array of numbers as a set."""
    return {int(x) for x in array}
