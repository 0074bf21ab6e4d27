"""Clearance: all conflicts of a million pipes within ten seconds, none missed that PostGIS finds, and faster than it.

The town is a grid of streets 400 m apart with six classes of pipe in each, as deep and as far from the middle as they
usually lie, with the scatter of reality. PostGIS has the same pipes as LineStringZ with an index; what `ST_3DDWithin`
finds for a sample of pipes is the oracle, and for the smaller town it finds all, against the clock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
import sqlalchemy as sa

from data.codes import clearances as codes
from gis_core.cluster import Cluster
from gis_core.database import Database
from tests.benchmarks.rows import Row
from twin.pipes.clearance import Conflicts, Pipes, find_conflicts, pipes_of

PIPES = 1_000_000
SMALLER = 100_000
SAMPLED = 5_000
LIMIT_S = 10.0
STREET_M, PIPE_M = 400.0, 20.0
# class: depth of the crown, place across the street, diameter
LAID = {
    "water": (1.2, -4.0, 300.0),
    "sewage": (2.2, -1.5, 800.0),
    "storm": (2.6, 1.5, 600.0),
    "gas": (1.0, 4.0, 200.0),
    "power": (0.9, 6.0, 300.0),
    "telecom": (0.9, -6.0, 200.0),
}


def run(quick: bool) -> list[Row]:
    """The best of three rounds, for others may use the cores; of one round with a tenth of the pipes when quick."""
    count, smaller, rounds = (PIPES // 10, SMALLER // 10, 1) if quick else (PIPES, SMALLER, 3)
    find_conflicts(pipes_of(*town(1000)))  # compiles
    frame, lines = town(count)
    took = [_timed(lambda: find_conflicts(pipes_of(frame, lines)))[0] for _ in range(rounds)]
    pipes = pipes_of(frame, lines)
    found = find_conflicts(pipes)
    small = pipes_of(*town(smaller))
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder) / "postgres")
        cluster.start()
        try:
            sample = np.random.default_rng(5).choice(count, min(SAMPLED, count // 10), replace=False)
            oracle = _asked(cluster, "large", pipes, sample)[1]
            missed = len(oracle - _pairs(found))
            peer, all_of_it = _asked(cluster, "small", small, None)
            fast = [_timed(lambda: find_conflicts(small)) for _ in range(rounds)]
            missed += len(all_of_it - _pairs(fast[0][1]))
        finally:
            cluster.stop()
    ours, mine = min(took), min(seconds for seconds, _ in fast)
    name = f"of {count:,} pipes all {len(found):,} conflicts"
    checked = f"missed of {len(oracle) + len(all_of_it):,} pairs by ST_3DDWithin"
    return [
        Row("clearance", name, ours, "s", "limit", LIMIT_S, LIMIT_S / ours, ">= 1"),
        Row("clearance", checked, missed, "pairs", "allowed", 0, missed, "<= 0"),
        Row("clearance", f"of {smaller:,} pipes", mine, "s", "PostGIS self-join", peer, peer / mine, ">= 3"),
    ]


def town(count: int) -> tuple[pd.DataFrame, Any]:
    """About `count` pipes: columns as of `pipe_segments` and lines in metres."""
    random = np.random.default_rng(3)
    side = int(np.sqrt(count / 12 * PIPE_M * STREET_M))
    along = np.arange(0, side - PIPE_M, PIPE_M)
    frames, lines = [], []
    for street in np.arange(0, side, STREET_M):
        for pipe_class, (depth_m, across_m, diameter_mm) in LAID.items():
            for axis in (0, 1):
                deep = depth_m + random.normal(0, 0.25, len(along) + 1)
                across = np.full(len(along), street + across_m + random.normal(0, 0.3))
                ends = np.stack([along, across, along + PIPE_M, across], 1)
                lines.append(ends if axis == 0 else ends[:, [1, 0, 3, 2]])
                names = np.array([f"{pipe_class}/{street:.0f}/{axis}/{n}" for n in range(len(along) + 1)], object)
                frames.append(
                    pd.DataFrame(
                        {
                            "pipe_class": pipe_class,
                            "diameter_mm": diameter_mm,
                            "start_depth_m": deep[:-1],
                            "end_depth_m": deep[1:],
                            "start_point": names[:-1],
                            "end_point": names[1:],
                        }
                    )
                )
    frame = pd.concat(frames, ignore_index=True)
    frame["pressure_class"] = np.where(frame["pipe_class"] == "gas", "medium_a", None)
    frame["laying"], frame["voltage_kv"] = "ZM", 10.0
    return frame, shapely.linestrings(np.concatenate(lines).reshape(-1, 2, 2))


def _pairs(found: Conflicts) -> set[tuple[int, int]]:
    return set(zip(found.a.tolist(), found.b.tolist(), strict=True))


def _asked(cluster: Cluster, name: str, pipes: Pipes, sample: Any) -> tuple[float, set[tuple[int, int]]]:
    """Seconds that PostGIS takes, and the pairs it finds: of the sampled pipes with any other, or of all."""
    cluster.create_database(name)
    database = Database(cluster.url(name))
    group, masks = pd.factorize(pipes.kinds)
    with database.writing() as connection:
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS postgis"))
        connection.execute(sa.text(_TABLES))
        beside, above = (codes.needs(masks.tolist(), rows) for rows in (codes.horizontal(), codes.vertical()))
        needed = [
            {"k": i, "l": j, "h": float(beside.metres[i, j]), "v": float(above.metres[i, j])}
            for i in range(len(masks))
            for j in range(len(masks))
        ]
        connection.execute(sa.text("INSERT INTO need VALUES (:k, :l, :h, :v)"), needed)
        _fill(database, connection, pipes, group)
        connection.execute(sa.text("CREATE INDEX ON pipe USING gist(g)"))
        wanted = [{"i": int(i)} for i in (range(len(group)) if sample is None else sample)]
        connection.execute(
            sa.text("INSERT INTO wanted SELECT unnest(CAST(:ids AS int[]))"), {"ids": [w["i"] for w in wanted]}
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        connection.execute(sa.text("SET jit = off"))
        seconds, rows = _timed(lambda: connection.execute(sa.text(_ORACLE)).all())
    database.close()
    return seconds, {(min(a, b), max(a, b)) for a, b in rows}


_TABLES = """
CREATE TABLE pipe (id int PRIMARY KEY, k int, r float8, s int, e int, g geometry(LineStringZ));
CREATE TABLE need (k int, l int, h float8, v float8, PRIMARY KEY (k, l));
CREATE TABLE wanted (id int PRIMARY KEY);
"""
# Side by side: nearer in space than the table of plan distances says. Crossing: than that of crossings says.
_ORACLE = """
SELECT a.id, b.id FROM wanted w JOIN pipe a ON a.id = w.id
JOIN pipe b ON b.g && ST_Expand(a.g, 4) AND a.id <> b.id
  AND (a.id < b.id OR b.id NOT IN (SELECT id FROM wanted))
JOIN need n ON n.k = a.k AND n.l = b.k
WHERE a.s NOT IN (b.s, b.e) AND a.e NOT IN (b.s, b.e)
  AND CASE WHEN ST_Distance(a.g, b.g) > a.r + b.r THEN n.h > 0 AND ST_3DDWithin(a.g, b.g, n.h + a.r + b.r - 1e-6)
      ELSE n.v > 0 AND ST_3DDWithin(a.g, b.g, n.v + a.r + b.r - 1e-6) END
"""


def _fill(database: Database, connection: Any, pipes: Pipes, group: Any) -> None:
    text = shapely.to_wkb(
        shapely.linestrings(np.insert(pipes.plan.reshape(-1, 2, 2), 2, -pipes.depth, axis=2)), hex=True
    )
    rows = zip(range(len(text)), group.tolist(), pipes.half[:, 0].tolist(), pipes.node.tolist(), text, strict=True)
    copy = "COPY pipe (id, k, r, s, e, g) FROM STDIN"
    with database.raw(connection) as driver, driver.cursor() as cursor, cursor.copy(copy) as into:
        for number, kind, radius, (start, end), shape in rows:
            into.write_row((number, kind, radius, start, end, shape))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
