"""Hexagons: cells of a million points against a loop over h3-py, and their sums in SQL against geopandas.

The loop is what people write: `h3.latlng_to_cell` for each point; the cells must be the same. The sums are those of the
served product: a million car parks in the database, bays by cell of resolution 8, through the gate, as the browser gets
them; the peer reads the same columns with geopandas, makes the cells in the same fast way and groups them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3.api.basic_int as h3
import numpy as np
import sqlalchemy as sa

import layers
from gis_core import hexagons, hexgrid
from gis_core.access import PUBLIC
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.hexgrid import cells_of
from scripts import schema
from tests.benchmarks.rows import Row

POINTS = 1_000_000
RESOLUTION = 9
SUMS_AT = 8
LAYER = layers.load()["parking"]
_COLUMNS = "code, kind, bays, simulated, cell, geom"


def run(quick: bool) -> list[Row]:
    """Medians of five interleaved rounds; of one round with 100,000 points when quick."""
    count, rounds = (100_000, 1) if quick else (POINTS, 5)
    random = np.random.default_rng(8)
    lon, lat = random.uniform(116.2, 116.6, count), random.uniform(39.5, 39.9, count)
    ours, loop = _cells(lon, lat, rounds)
    sql, frame = _sums(lon, lat, rounds)
    rate = f"cells of {count:,} points"
    return [
        Row("hexagons", rate, count / ours, "points/s", "h3-py loop", count / loop, loop / ours, ">= 2"),
        Row("hexagons", f"sums of {count:,} points", sql, "s", "geopandas groupby", frame, frame / sql, ">= 2"),
    ]


def _cells(lon: Any, lat: Any, rounds: int) -> tuple[float, float]:
    """Seconds for all points: ours, and the loop."""
    ours, loop = [], []
    for _ in range(rounds):
        took, fast = _timed(lambda: cells_of(lon, lat, RESOLUTION))
        ours.append(took)
        took, slow = _timed(lambda: [h3.latlng_to_cell(y, x, RESOLUTION) for x, y in zip(lon, lat, strict=True)])
        loop.append(took)
        if not np.array_equal(fast, np.array(slow, dtype=np.int64)):
            raise RuntimeError("the cells differ")
    return statistics.median(ours), statistics.median(loop)


def _sums(lon: Any, lat: Any, rounds: int) -> tuple[float, float]:
    """Seconds for the sums by cell: ours in SQL up to the JSON's numbers, and geopandas from reading to grouping."""
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder) / "postgres")
        cluster.start()
        try:
            cluster.create_database("bench")
            database = Database(cluster.url("bench"))
            schema.upgrade(database)
            _fill(database, lon, lat)
            measure = hexagons.find_measure(LAYER, "bays")
            ours, peer = [], []
            for _ in range(rounds):
                took, told = _timed(lambda: _served(database, measure))
                ours.append(took)
                took, grouped = _timed(lambda: _grouped(database))
                peer.append(took)
                if told.cells.tolist() != grouped.index.tolist() or told.values.tolist() != grouped.tolist():
                    raise RuntimeError("the sums differ")
            database.close()
        finally:
            cluster.stop()
    return statistics.median(ours), statistics.median(peer)


def _served(database: Database, measure: Any) -> hexagons.Hexagons:
    with database.reading(PUBLIC) as connection:
        return hexagons.aggregate(connection, LAYER, PUBLIC, measure, SUMS_AT, None)


def _grouped(database: Database) -> Any:
    frame = gpd.read_postgis("SELECT bays, geom FROM parking", database.engine, geom_col="geom")
    cells = cells_of(frame.geometry.x, frame.geometry.y, hexgrid.FINEST)
    return frame.groupby(hexgrid.parent(cells, SUMS_AT))["bays"].sum().sort_index()


def _fill(database: Database, lon: Any, lat: Any) -> None:
    """Car parks by COPY; bringing rows in is another benchmark's matter."""
    cells = cells_of(lon, lat)
    rows = zip(range(len(lon)), np.arange(len(lon)) % 300 + 1, cells.tolist(), lon.tolist(), lat.tolist(), strict=True)
    copy = f"COPY parking ({_COLUMNS}) FROM STDIN"
    with (
        database.writing() as connection,
        database.raw(connection) as driver,
        driver.cursor() as cursor,
        cursor.copy(copy) as into,
    ):
        for number, bays, cell, x, y in rows:
            into.write_row((f"K{number}", "surface", int(bays), True, cell, f"SRID=4326;POINT({x} {y})"))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE parking"))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
