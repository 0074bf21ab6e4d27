"""Routing on the roads of Porto with turns: ways, changes, matrices and reach against the libraries one would use else.

Peers route on the same arcs and turns with the same integer costs. Every answer of ours that is timed is checked.
Peers that are not installed are left out: igraph, rustworkx, pyroutingkit (`pip install .[bench]`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from routing import hierarchy as hierarchies
from routing.closures import Closure
from routing.dissection import order_of
from routing.extracts import read_segments
from routing.graph import INFINITE, Graph, build
from routing.hierarchy import Changer, Hierarchy, Weights
from routing.network import Network
from routing.vehicles import vehicle
from tests.benchmarks.rows import Row

PORTO = Path(__file__).resolve().parents[3] / "shared" / "data" / "roads" / "porto.osm.pbf"
KEPT = Path(__file__).resolve().parents[2] / "var" / "bench" / "porto"
CAR = vehicle("car")
WAY_MS, CUSTOMIZE_MS, CLOSURE_MS, HUNDRED_MS = 0.06, 40.0, 0.2, 8.0
PAIRS, QUICK_PAIRS = 100_000, 2_000


def run(quick: bool) -> list[Row]:
    """Medians, but the best round where a whole is made anew, since other work on the machine only ever adds."""
    if not PORTO.is_file():
        return []
    network = porto()
    graph = network.graph
    network.warm()
    random = np.random.default_rng(1)
    main = np.flatnonzero(graph.main & int(CAR.mode))
    with network.weights(CAR) as weights:
        costs = _costs(graph, weights)
        rows = _ways(weights, costs, random.choice(main, (2, 200 if quick else 2000)), 5 if quick else 25)
        rows += _changes(network.hierarchy, weights, main, random, 3 if quick else 9)
        rows += _tables(weights, costs, random.choice(main, (2, 200)), 2 if quick else 5)
        rows.append(_everywhere(graph, weights, costs, main, random))
    rows += _junctions(graph, random, 2 if quick else 5)
    rows.append(_told(network, main, random, 20 if quick else 100))
    rows.append(_mistakes(network.hierarchy, graph, main, QUICK_PAIRS if quick else PAIRS))
    return rows


def porto() -> Network:
    """The motor roads of Porto, built once and then loaded."""
    if not (KEPT / "hierarchy" / "version").is_file():
        segments = read_segments(PORTO)
        graph = build(segments)
        Network(graph, hierarchies.build(graph)).save(KEPT)
    return Network.load(KEPT)


def _costs(graph: Graph, weights: Weights) -> csr_array:
    """The turns as a sparse matrix of milliseconds."""
    cost = np.minimum(weights.turn_ms.astype(np.int64) + weights.arc_ms[graph.onto], INFINITE)
    on = cost < INFINITE
    size = len(graph)
    return csr_array((cost[on].astype(float), (graph.turn_from[on], graph.onto[on])), shape=(size, size))


def _ways(weights: Weights, costs: csr_array, ends: Any, few: int) -> list[Row]:
    """One way at a time, with its arcs, called from Python."""
    pairs = list(zip(*(e.tolist() for e in ends), strict=True))
    ours = statistics.median(_ms(lambda a=a, b=b: weights.path(a, b)) for a, b in pairs)
    name = f"a way with its arcs on {costs.shape[0]:,} arcs, {costs.nnz:,} turns"
    rows = [Row("routing", name, ours, "ms", "limit", WAY_MS, WAY_MS / ours, ">= 1")]
    start, end = (m.tolist() for m in costs.nonzero())
    turns = list(zip(start, end, costs.data.tolist(), strict=True))
    tests: list[tuple[str, str, Callable[[int, int], Any]]] = []
    slow = nx.DiGraph()
    slow.add_weighted_edges_from(turns)
    tests.append(("networkx", ">= 300", lambda a, b: nx.dijkstra_path(slow, a, b)))
    if find_spec("igraph"):
        import igraph

        whole = igraph.Graph(n=costs.shape[0], edges=list(zip(start, end, strict=True)), directed=True)
        tests.append(("igraph", ">= 15", _igraph(whole, costs.data.tolist())))
    if find_spec("rustworkx"):
        import rustworkx

        net = rustworkx.PyDiGraph()
        net.add_nodes_from(range(costs.shape[0]))
        net.add_edges_from(turns)
        tests.append(("rustworkx", ">= 15", lambda a, b: rustworkx.dijkstra_shortest_paths(net, a, b, weight_fn=float)))
    for peer, goal, ask in tests:
        took = statistics.median(_ms(lambda a=a, b=b, ask=ask: ask(a, b)) for a, b in pairs[:few])
        mine = statistics.median(_ms(lambda a=a, b=b: weights.path(a, b)) for a, b in pairs[:few] * 4)
        rows.append(Row("routing", "the same way", mine, "ms", peer, took, took / mine, goal))
    return rows


def _igraph(whole: Any, cost: list[float]) -> Callable[[int, int], Any]:
    """The costs kept in the graph, so that they are not handed over each time."""
    whole.es["ms"] = cost
    return lambda a, b: whole.get_shortest_path(a, b, weights="ms")


def _changes(hierarchy: Hierarchy, weights: Weights, main: Any, random: np.random.Generator, rounds: int) -> list[Row]:
    """All weights anew; then one closure and a hundred, each against all anew bit by bit."""
    fresh = np.empty_like(weights.w)
    whole = min(
        _ms(lambda: hierarchies.customize(hierarchy, fresh, weights.turn_ms, weights.arc_ms)) for _ in range(2 * rounds)
    )
    name = f"all weights anew, {len(hierarchy.high):,} edges"
    rows = [Row("routing", name, whole, "ms", "limit", CUSTOMIZE_MS, CUSTOMIZE_MS / whole, ">= 1")]
    changer = Changer(hierarchy)
    wrong = 0
    for count, limit in ((1, CLOSURE_MS), (100, HUNDRED_MS)):
        took = []
        for _ in range(rounds * (10 if count == 1 else 1)):
            arcs = random.choice(main, count, replace=False).astype(np.int32)
            w, arc_ms = weights.w.copy(), weights.arc_ms.copy()
            arc_ms[arcs] = INFINITE
            took.append(_ms(lambda a=arcs, w=w, m=arc_ms: changer.update(a, w, weights.turn_ms, m)))
        hierarchies.customize(hierarchy, fresh, weights.turn_ms, arc_ms)
        wrong += int((fresh != w).sum())
        ours = statistics.median(took)
        rows.append(Row("routing", f"{count} arcs closed", ours, "ms", "limit", limit, limit / ours, ">= 1"))
    rows.append(Row("routing", "weights unlike all anew", wrong, "edges", "allowed", 0, wrong, "<= 0"))
    return rows


def _tables(weights: Weights, costs: csr_array, ends: Any, rounds: int) -> list[Row]:
    """A matrix of 200 by 200."""
    starts, targets = (e.astype(np.int32) for e in ends)
    first, none = np.arange(len(starts) + 1), np.zeros(len(starts), np.int32)
    ours = min(_ms(lambda: weights.many(first, starts, none, targets)) for _ in range(rounds))
    sample = starts[:10]
    peer = _ms(lambda: dijkstra(costs, indices=sample)) * len(starts) / len(sample)
    return [Row("routing", "200 by 200", ours, "ms", "scipy", peer, peer / ours, ">= 50")]


def _junctions(graph: Graph, random: np.random.Generator, rounds: int) -> list[Row]:
    """The same matrix between junctions, without turns: pyroutingkit orders no turn graph in good time."""
    if not find_spec("pyroutingkit"):
        return []
    import pyroutingkit

    s, ms = graph.segments, graph.arc_ms(CAR)
    least: dict[tuple[int, int], int] = {}
    for a, b, took in zip(graph.tail.tolist(), graph.head.tolist(), ms.tolist(), strict=True):
        if a != b and took < least.get((a, b), INFINITE):
            least[a, b] = took
    tail, head = np.array(sorted(least), np.int32).T
    cost = np.array([least[pair] for pair in sorted(least)], np.int32)
    into = np.argsort(head, kind="stable").astype(np.int32)
    into_first = np.searchsorted(head[into], np.arange(s.nodes + 1))
    ours_net = hierarchies.over(order_of(s.nodes, tail, head), tail, head, into_first, into)
    w, nothing = np.empty((len(ours_net.high), 2), np.int32), np.zeros(s.nodes, np.int32)
    hierarchies.customize(ours_net, w, cost, nothing)
    weights = Weights(ours_net, w, nothing, cost, 0)
    place = np.zeros((s.nodes, 2), np.float32)
    place[s.tail], place[s.head] = s.xy[s.first[:-1]], s.xy[s.first[1:] - 1]
    theirs_net = pyroutingkit.CCH()
    ends = (tail.astype(np.uint32), head.astype(np.uint32))
    theirs_net.build_topology(*ends, place[:, 1].copy(), place[:, 0].copy(), s.nodes)
    theirs_net.customize_weights(cost.astype(np.uint32))
    a, b = random.choice(tail, (2, 200))
    first, none = np.arange(len(a) + 1), np.zeros(len(a), np.int32)
    found = weights.many(first, a, none, b)
    told = np.asarray(theirs_net.distances_many_to_many(a.astype(np.uint32), b.astype(np.uint32))).reshape(found.shape)
    reached = found < INFINITE
    unlike = int((found[reached] != told[reached]).sum())
    ours, theirs = [], []
    for _ in range(2 * rounds):
        ours.append(_ms(lambda: weights.many(first, a, none, b)))
        theirs.append(_ms(lambda: theirs_net.distances_many_to_many(a.astype(np.uint32), b.astype(np.uint32))))
    name, mine, peer = f"200 by 200 of {s.nodes:,} junctions, without turns", min(ours), min(theirs)
    return [
        Row("routing", name, mine, "ms", "pyroutingkit", peer, peer / mine, ">= 1.2"),
        Row("routing", "times unlike pyroutingkit's", unlike, "times", "allowed", 0, unlike, "<= 0"),
    ]


def _everywhere(graph: Graph, weights: Weights, costs: csr_array, main: Any, random: np.random.Generator) -> Row:
    """From one arc to all others."""
    starts = random.choice(main, 10).astype(np.int32)
    none = np.zeros(1, np.int32)
    ours = statistics.median(_ms(lambda s=s: weights.sweep(np.array([s]), none)) for s in starts)
    peer = statistics.median(_ms(lambda s=s: dijkstra(costs, indices=s)) for s in starts)
    return Row("routing", f"one to all {len(graph):,}", ours, "ms", "scipy", peer, peer / ours, ">= 8")


def _told(network: Network, main: Any, random: np.random.Generator, rounds: int) -> Row:
    """A closure told to a network in use, until every later question is answered by it."""
    graph, took = network.graph, []
    for n in range(rounds):
        key = str(graph.segments.key[graph.segment[random.choice(main)]])
        took.append(_ms(lambda n=n, key=key: network.put([Closure(f"bench-{n}", segments=(key,))])))
    network.drop([f"bench-{n}" for n in range(rounds)])
    ours = statistics.median(took)
    return Row("routing", "a closure told, both weights kept", ours, "ms", "limit", 1.0, 1.0 / ours, ">= 1")


def _mistakes(hierarchy: Hierarchy, graph: Graph, main: Any, pairs: int) -> Row:
    """Random closures, origins and destinations, each against scipy; weights are changed in part throughout."""
    random = np.random.default_rng(7)
    turn_ms, arc_ms = graph.turn_ms(CAR), graph.arc_ms(CAR)
    w = np.empty((len(hierarchy.high), 2), np.int32)
    hierarchies.customize(hierarchy, w, turn_ms, arc_ms)
    changer, usual = Changer(hierarchy), arc_ms.copy()
    wrong, each, sets = 0, 100, max(pairs // 1000, 1)
    closed = np.empty(0, np.int32)
    for _ in range(sets):
        arc_ms[closed] = usual[closed]
        was, closed = closed, random.choice(main, random.integers(1, 60), replace=False).astype(np.int32)
        arc_ms[closed] = INFINITE
        changer.update(np.union1d(was, closed).astype(np.int32), w, turn_ms, arc_ms)
        weights = Weights(hierarchy, w, arc_ms, turn_ms, 0)
        starts = random.choice(main, 10)
        truth = dijkstra(_costs(graph, weights), indices=starts)
        for i, a in enumerate(starts.tolist()):
            for b in random.choice(main, each).tolist():
                took = weights.time(a, b)
                wrong += int(took != (truth[i, b] if np.isfinite(truth[i, b]) else INFINITE))
    name = f"wrong of {sets * 10 * each:,} times under random closures, by scipy"
    return Row("routing", name, wrong, "times", "allowed", 0, wrong, "<= 0")


def _ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
