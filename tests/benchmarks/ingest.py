"""Ingest of a million lines against `geopandas.to_postgis` and `ogr2ogr`, and its peak memory.

What is equal: the file (a GeoPackage of lines with eight attributes, made here, in the page cache), the server, and
what stands in the end: one table with the same nine columns of the same types, all rows, and one GiST index on the
geometry; this is checked after each run. Each way gets there as it is meant to be used: `to_postgis` makes its table
with the index and fills it; `ogr2ogr` appends to a table made in advance, and the index is built after it, as in its
own default. Ours also checks every value and geometry, looks for repeated keys and puts the rows in Hilbert order.
The bookkeeping of a city's layer (its 3857 column, H3 cells, further indexes) is left out on all sides, since the
peers cannot make it. Each way runs in a process of its own; its clock starts when its libraries are imported and the
file is about to be opened. Rounds are interleaved, medians are compared.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from sqlalchemy.orm import Mapped

from tests.benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[2]
ROWS = 1_000_000
LIMIT_MB = 1024.0
ATTRIBUTES = "pid int, kind text, owner text, dn int, material text, built int, depth_a float8, depth_b float8"
_COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pipes'::regclass"
    " AND attnum > 0 AND NOT attisdropped ORDER BY attname"
)
NAMES = [part.split()[0] for part in ATTRIBUTES.split(", ")]


def run(quick: bool) -> list[Row]:
    """Medians of three interleaved rounds; one round of 200,000 lines when quick."""
    count, rounds = (200_000, 1) if quick else (ROWS, 3)
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / "pipes.gpkg"
        _make(file, count)
        found = _measure(folder, file, count, rounds)
    ours = statistics.median(seconds for seconds, _ in found["ours"])
    rows = []
    for peer, goal in (("to_postgis", ">= 8"), ("ogr2ogr", ">= 1.5")):
        if times := [seconds for seconds, _ in found.get(peer, ())]:
            other = statistics.median(times)
            label = f"ingest {count:,} lines"
            rows.append(Row("ingest", label, count / ours, "rows/s", peer, count / other, other / ours, goal))
    peak = max(megabytes for _, megabytes in found["ours"])
    rows.append(Row("ingest", f"peak memory, {count:,} lines", peak, "MB", "limit", LIMIT_MB, peak / LIMIT_MB, "<= 1"))
    return rows


def _measure(folder: Path, file: Path, count: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and peak megabytes of each way in each round."""
    from gis_core.cluster import Cluster

    ways = [way for way in WAYS if way != "ogr2ogr" or shutil.which("ogr2ogr")]
    cluster = Cluster(folder / "postgres")
    cluster.start()
    try:
        cluster.create_database("bench")
        url = cluster.url("bench")
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                found[way].append(_one(way, url, file, count))
    finally:
        cluster.stop()
    return found


def _one(way: str, url: str, file: Path, count: int) -> tuple[float, float]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS pipes")
        connection.execute(f"CREATE TABLE pipes ({ATTRIBUTES}, geom geometry(LineString, 4326))")
        made = connection.execute(_COLUMNS).fetchall()
        connection.execute("CHECKPOINT")
        command = [sys.executable, "-m", "tests.benchmarks.ingest", way, url, str(file)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{way}: {done.stderr[-2000:]}")
        seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
        held = connection.execute("SELECT count(*), count(DISTINCT pid), count(geom) FROM pipes").fetchone()
        table = connection.execute(_COLUMNS).fetchall()
        indexes = connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'pipes'").fetchall()
        one_gist = len(indexes) == 1 and "USING gist (geom)" in indexes[0][0]
        if held != (count, count, count) or table != made or not one_gist:
            raise RuntimeError(f"{way} left {held} of {count} rows, columns {table}, indexes {indexes}")
    return float(seconds), float(megabytes)


def _make(file: Path, count: int) -> None:
    """Two-point pipes at random in a square of 0.4 degrees, seeded."""
    import pyarrow as pa
    import pyogrio
    import shapely

    random = np.random.default_rng(7)
    x, y = 116.2 + random.random(count) * 0.4, 39.5 + random.random(count) * 0.4
    angle, length = random.random(count) * 2 * np.pi, 0.0003 + random.random(count) * 0.0008
    ends = np.stack([np.c_[x, y], np.c_[x + length * np.cos(angle), y + length * np.sin(angle)]], axis=1)

    def any_of(*values: Any) -> Any:
        return np.array(values)[random.integers(0, len(values), count)]

    table = pa.table(
        {
            "pid": np.arange(count, dtype=np.int32),
            "kind": any_of("给水", "雨水", "污水", "燃气", "热力", "电力", "通信"),
            "owner": any_of("A", "B", "C", "D"),
            "dn": any_of(100, 200, 300, 400, 600, 800, 1000).astype(np.int32),
            "material": any_of("PE", "PVC", "steel", "cast iron", "concrete"),
            "built": random.integers(1960, 2025, count).astype(np.int32),
            "depth_a": np.round(0.5 + random.random(count) * 4, 2),
            "depth_b": np.round(0.5 + random.random(count) * 4, 2),
            "geom": pa.array(shapely.to_wkb(shapely.linestrings(ends)), pa.binary()),
        }
    )
    pyogrio.write_arrow(
        table,
        file,
        driver="GPKG",
        geometry_name="geom",
        geometry_type="LineString",
        crs="EPSG:4326",
        SPATIAL_INDEX="NO",
    )


def _ours(url: str, file: Path) -> float:
    """The product's own rooms, from opening the file to the COPY; only the table at the end is a plain one."""
    from gis_core import Circle, Feature, Group, Label, Layer, crs, field, line
    from gis_core.database import Database
    from gis_core.ingest import copying
    from gis_core.ingest.batches import ahead
    from gis_core.ingest.columns import match
    from gis_core.ingest.foreign import open_foreign
    from gis_core.ingest.intake import Intake

    class Pipe(Feature):
        """The file's columns as a layer."""

        __tablename__ = "pipes"
        geom = line()
        pid: Mapped[int] = field("编号", "Id", key=True)
        kind: Mapped[str] = field("管类", "Kind")
        owner: Mapped[str] = field("权属单位", "Owner")
        dn: Mapped[int] = field("管径", "Diameter", unit="mm", within=(10, 6000))
        material: Mapped[str] = field("材质", "Material")
        built: Mapped[int] = field("建设年份", "Year", within=(1850, 2100))
        depth_a: Mapped[float] = field("起点埋深", "Start depth", unit="m", within=(0, 50))
        depth_b: Mapped[float] = field("终点埋深", "End depth", unit="m", within=(0, 50))

    Pipe.cover = None
    label = Label("管线", "Pipes")
    layer = Layer(Pipe, title=label, group=Group("bench", label, 1), style=Circle("#ffffff"))
    database = Database(url)
    with database.engine.connect():
        began = time.perf_counter()
    with open_foreign(file) as foreign, database.writing() as connection:
        intake = Intake(
            layer, match(layer, foreign.columns), crs.declare(foreign.crs), bounds=(116.0, 39.3, 116.8, 40.1)
        )
        runs = intake.runs(ahead(foreign.read(NAMES)))
        rows = (batch.select([*NAMES, "geom"]) for run in runs for batch in run.batches())
        connection.exec_driver_sql("TRUNCATE pipes")
        copying.copy(connection, "pipes", rows, options="FREEZE true")
        bad = intake.finish()
        if len(bad) or intake.tally.faulty:
            raise RuntimeError(str(intake.tally.counts))
        connection.exec_driver_sql("CREATE INDEX ON pipes USING gist (geom)")
    took = time.perf_counter() - began
    database.close()
    return took


def _to_postgis(url: str, file: Path) -> float:
    import geopandas as gpd
    import sqlalchemy as sa

    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect():
        began = time.perf_counter()
    frame = gpd.read_file(file, use_arrow=True)
    if frame.geometry.name != "geom":
        frame = frame.rename_geometry("geom")
    with engine.begin() as connection:
        frame.to_postgis("pipes", connection, if_exists="replace", index=False)
    return time.perf_counter() - began


def _ogr2ogr(url: str, file: Path) -> float:
    target = " ".join(f"{k}={v}" for k, v in psycopg.conninfo.conninfo_to_dict(url).items())
    command = ["ogr2ogr", "-f", "PostgreSQL", f"PG:{target}", str(file), "-nln", "pipes", "-append", "-gt", "unlimited"]
    with psycopg.connect(url) as connection:
        began = time.perf_counter()
        subprocess.run([*command, "--config", "PG_USE_COPY", "YES"], check=True)
        connection.execute("CREATE INDEX ON pipes USING gist (geom)")
        connection.commit()
        return time.perf_counter() - began


WAYS: dict[str, Callable[[str, Path], float]] = {"ours": _ours, "ogr2ogr": _ogr2ogr, "to_postgis": _to_postgis}


def _main() -> None:
    """One way in this process: prints its seconds and the most memory it or a child of it held, in megabytes."""
    way, url, file = sys.argv[1:]
    seconds = WAYS[way](url, Path(file))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps([seconds, peak / 1024]))  # noqa: T201  what the parent reads


if __name__ == "__main__":
    _main()
