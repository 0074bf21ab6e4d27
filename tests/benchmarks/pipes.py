"""Pipe networks: isolation, traces and valve segments against recursive SQL, wntr and one-by-one removal.

The networks are made: mains under a grid of streets, valves in 62 % of them of which some are stuck or closed; and
sewers that join downhill. The SQL is graph-safe (UNION), on a table of both directions that is indexed, clustered and
in memory. Both must find the same points and valves, for every burst, and for some of them the same points without a
source; that needs a search of the whole network, which ours keeps as a tree. A trace is timed as the fastest of its
rounds, on both sides. wntr.metrics.valve_segments gets its own graph and valve layer, made before; ours begins with
the same names, and must give the same partition.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from gis_core.cluster import Cluster
from tests.benchmarks.rows import Row
from tests.networks import same_partition, segments_of, sewers, town, water_model
from twin.pipes.criticality import one_by_one
from twin.pipes.graph import Graph
from twin.pipes.isolation import Burst, Isolator
from twin.pipes.sections import divide, feed
from twin.pipes.traces import Start, Traces

WATER = Path(__file__).resolve().parents[3] / "shared" / "data" / "water"
_LIMIT_MS = 1.0
_UPSTREAM = 0.099


def run(quick: bool) -> list[Row]:
    """A million pipes and 1,000 bursts; some thousand and 50 when quick."""
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder) / "postgres")
        cluster.start()
        try:
            cluster.create_database("bench")
            with psycopg.connect(cluster.url("bench"), autocommit=True) as connection:
                rows = _isolation(connection, *((60, 50, 1) if quick else (560, 1000, 3)))
                rows += _upstream(connection, 100 if quick else 1000, 3 if quick else 7)
        finally:
            cluster.stop()
    return [*rows, *_valve_segments(3 if quick else 15), *_criticality(30 if quick else 60)]


def _isolation(connection: psycopg.Connection[Any], side: int, bursts: int, whole: int) -> list[Row]:
    graph = town(side, sources=40)
    isolator = Isolator(graph)
    bounding, closed = np.zeros(graph.points, bool), np.zeros(graph.points, bool)
    bounding[isolator.partition.bounding] = True
    closed[isolator.partition.bounding] = isolator.partition.closed
    begin, into = np.concatenate([graph.start, graph.end]), np.concatenate([graph.end, graph.start])
    _fill(connection, begin, into, np.tile(np.arange(graph.pipes), 2), bounding, closed)
    pipes = np.random.default_rng(1).integers(0, graph.pipes, bursts).tolist()
    for pipe in pipes[:5]:
        isolator.isolate(Burst(pipes=(pipe,)))
    bare, full, sql = [], [], []
    for pipe in pipes:
        burst, wet = Burst(pipes=(pipe,)), _wet(graph, bounding, pipe)
        took, told = _timed(lambda burst=burst: isolator.isolate(burst))
        full.append(took * 1000)
        took, extent = _timed(lambda burst=burst: isolator.extent(burst))
        bare.append(took * 1000)
        took, rows = _timed(lambda wet=wet: connection.execute(f"{wet} SELECT n, stop FROM wet").fetchall())
        sql.append(took * 1000)
        _same((n for n, stop in rows if not stop), told.points)
        _same((n for n, stop in rows if stop), told.valves)
        _same(extent[0].tolist(), told.points)
        _same(extent[2].tolist(), told.valves)
    ours, peer, p99 = statistics.fmean(bare), statistics.fmean(sql), float(np.quantile(full, 0.99))
    what = f"isolation in {graph.pipes:,} pipes"
    found = [
        Row("pipes", f"{what}: all of it, p99 of {bursts:,}", p99, "ms", "limit", _LIMIT_MS, p99 / _LIMIT_MS, "< 1"),
        Row(
            "pipes",
            f"{what}: valves, mean of {bursts:,}, equal",
            ours,
            "ms",
            "recursive SQL",
            peer,
            peer / ours,
            ">= 100",
        ),
    ]
    ours, peer = statistics.fmean(full), _cut_off(connection, isolator, bounding, pipes[:whole])
    what = f"{what}: valves and what loses its source, mean of {whole}, equal"
    return [*found, Row("pipes", what, ours, "ms", "recursive SQL", peer, peer / ours, ">= 100")]


def _wet(graph: Graph, bounding: Any, pipe: int) -> str:
    """The recursive query of what a burst pipe opens up to the valves."""
    a, b = int(graph.start[pipe]), int(graph.end[pipe])
    return _WET.format(a=a, at_a=bounding[a], b=b, at_b=bounding[b])


def _cut_off(connection: psycopg.Connection[Any], isolator: Isolator, bounding: Any, pipes: list[int]) -> float:
    """Mean milliseconds of SQL for the whole answer; what has a source before the burst is known to it beforehand."""
    graph, took = isolator.graph, []
    sources = ", ".join(f"({int(s)}, false)" for s in graph.sources)
    before = connection.execute(f"{_FED.format(wet='WITH RECURSIVE', sources=sources, pipe=-1, unless='')}").fetchall()
    fed = {n for (n,) in before if not bounding[n]}
    for pipe in pipes:
        unless = "AND NOT EXISTS (SELECT 1 FROM wet WHERE wet.n = ways.m AND NOT wet.stop)"
        query = _FED.format(wet=f"{_wet(graph, bounding, pipe)},", sources=sources, pipe=pipe, unless=unless)
        seconds, rows = _timed(lambda query=query: connection.execute(query).fetchall())
        took.append(seconds * 1000)
        told = isolator.isolate(Burst(pipes=(pipe,)))
        _same(fed - {n for (n,) in rows} - set(told.points.tolist()), told.cut_points)
    return statistics.fmean(took)


def _upstream(connection: psycopg.Connection[Any], side: int, rounds: int) -> list[Row]:
    graph, count = sewers(side)
    wanted = int(np.argmin(np.abs(count - _UPSTREAM * graph.points)))
    traces = Traces(graph, gravity=True)
    none = np.zeros(graph.points, bool)
    _fill(connection, graph.end, graph.start, np.arange(graph.pipes), none, none)
    asked = _UPSTREAM_OF.format(n=wanted)
    ours, sql = [], []
    for _ in range(rounds):
        took, rows = _timed(lambda: connection.execute(asked).fetchall())
        sql.append(took * 1000)
        took, found = _timed(lambda: traces.upstream(Start((wanted,))))
        ours.append(took * 1000)
        _same({n for (n,) in rows}, found.points)
    best, peer = min(ours), min(sql)
    what = f"upstream trace, {len(found.points):,} of {graph.points:,}, equal"
    return [Row("pipes", what, best, "ms", "recursive SQL", peer, peer / best, ">= 100")]


def _valve_segments(rounds: int) -> list[Row]:
    """Valve segments of two models of real towns."""
    import wntr

    found = []
    for name in ("Net3", "ky4"):
        model = water_model(WATER / f"{name}.inp.gz")
        segments_of(model)
        ours, peer = [], []
        for _ in range(rounds):
            took, mine = _timed(lambda model=model: segments_of(model))
            ours.append(took * 1000)
        for _ in range(max(rounds // 5, 1)):
            took, theirs = _timed(lambda model=model: wntr.metrics.valve_segments(model.network, model.layer))
            peer.append(took * 1000)
        if not same_partition(model, mine, theirs):
            raise RuntimeError(f"the segments of {name} differ")
        fast, slow = statistics.median(ours), statistics.median(peer)
        what = f"{mine.count:,} valve segments of {name}, equal"
        found.append(Row("pipes", what, fast, "ms", "wntr", slow, slow / fast, ">= 90"))
    return found


def _criticality(side: int) -> list[Row]:
    graph = town(side, sources=3, valves=0.7)
    partition = divide(graph)
    feed(graph, partition)
    fast, supply = _timed(lambda: feed(graph, partition))
    slow, lost = _timed(lambda: one_by_one(graph, partition, supply.held))
    if not np.allclose(supply.lost.values, lost):
        raise RuntimeError("the losses differ")
    what = f"criticality of {partition.count:,} sections, equal"
    return [Row("pipes", what, fast * 1000, "ms", "one by one", slow * 1000, slow / fast, ">= 100")]


_WET = """
    WITH RECURSIVE wet(n, stop) AS (
        VALUES ({a}, {at_a}), ({b}, {at_b})
        UNION SELECT ways.m, ways.stop FROM wet JOIN ways ON ways.n = wet.n WHERE NOT wet.stop
    )
"""
_FED = """
    {wet} fed(n, closed) AS (
        VALUES {sources}
        UNION SELECT ways.m, ways.closed FROM fed JOIN ways ON ways.n = fed.n
        WHERE NOT fed.closed AND ways.pipe <> {pipe} {unless}
    ) SELECT n FROM fed
"""
_UPSTREAM_OF = """
    WITH RECURSIVE up(n) AS (
        VALUES ({n}) UNION SELECT ways.m FROM up JOIN ways ON ways.n = up.n
    ) SELECT n FROM up
"""


def _fill(connection: psycopg.Connection[Any], begin: Any, into: Any, pipe: Any, stop: Any, closed: Any) -> None:
    """The table of ways: from point n to point m, by which pipe, and whether m stops the walk or stands closed."""
    order = np.argsort(begin, kind="stable")
    columns = (begin, into, pipe, stop[into].astype(int), closed[into].astype(int))
    rows = "\n".join("\t".join(map(str, row)) for row in zip(*(c[order].tolist() for c in columns), strict=True))
    connection.execute("DROP TABLE IF EXISTS ways")
    connection.execute("CREATE UNLOGGED TABLE ways (n int, m int, pipe int, stop bool, closed bool)")
    with connection.cursor().copy("COPY ways FROM STDIN") as copy:
        copy.write(rows + "\n")
    for statement in ("CREATE INDEX ON ways (n)", "VACUUM ANALYZE ways", "SET jit = off", "SET work_mem = '256MB'"):
        connection.execute(statement)


def _same(expected: Iterable[int], told: Any) -> None:
    if set(expected) != set(told.tolist()) or len(set(told.tolist())) != len(told):
        raise RuntimeError("the answers differ")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
