"""Tiles of a million pipes: the served product against tipg, and against pgbench calling the same SQL.

What is equal: one database, filled by the product's own ingest; the same table and its 3857 column for all; the same
seven attributes, 4096 steps and a buffer of 64; 8 connections; one worker each, uvicorn with uvloop and httptools;
the same generator of requests for random tiles of the city (wrk where it is installed). Ours also sends feature ids,
checks the token, keeps to the gate and to row-level security, and adds the security headers. tipg takes only what
touches the tile itself, ours what touches its buffer as well. pgbench runs the very
statement of the product for one tile, prepared, in the same role and scope and with the same settings, 8 clients.

"Uncached" is ours with its cache set to nothing. The cached tile is ours with a warm cache against tipg's uncached one.
The pipes of the western third belong to one owner, whose tiles there are asked for with the owner's token
and with everybody's: the same pipes by two rights. A round asks one after the other; ratios are made within a round,
and the median of the rounds counts. The pipes lie as densely as in a large city: about 40,000 km on 1,400 square km.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import geopandas as gpd
import numpy as np
import shapely

import layers
from gis_core.access import EVERYONE, READER, Role, Viewer
from gis_core.cluster import Cluster, find_server
from gis_core.crs import mercator
from gis_core.database import Database
from gis_core.guards import CLEARANCE, SCOPE
from gis_core.ingest import Source, ingest_frame
from gis_core.tiles.plans import BUFFER, make_plan
from gis_core.tokens import Door
from scripts import schema
from tests.benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[2]
ROWS = 1_000_000
MIDDLE = -71.25, -29.93
SPAN = 0.40, 0.345
"""Degrees over which a million pipes lie; fewer lie over less, as densely."""
FIELDS = "code,pipe_class,diameter_mm,start_depth_m,end_depth_m,owner,simulated"
CONNECTIONS = 8
OWNERS = 8
TENANT = "owner of the west"
_WARM = 20
"""The cached tiles lie in a square with so many on each side at zoom 16."""
_READY_S = 120.0


@dataclass(frozen=True)
class Area:
    """The tiles of one zoom from which requests are drawn."""

    z: int
    x: tuple[int, int]
    y: tuple[int, int]


def run(quick: bool) -> list[Row]:
    """Medians of five rounds of 4 s each; two of 2 s over 100,000 pipes, as densely, when quick."""
    count, rounds, seconds = (100_000, 2, 2) if quick else (ROWS, 5, 4)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chengtu-bench-")))
        folder.chmod(0o755)
        cluster = Cluster(folder / "postgres")
        cluster.start()
        stack.callback(cluster.stop)
        everybody, tenant = _fill(cluster, count)
        url = cluster.url("bench")
        uncached = stack.enter_context(_listening("tests.benchmarks.served", [url, "0"], {}))
        cached = stack.enter_context(_listening("tests.benchmarks.served", [url, "512"], {}))
        tipg = stack.enter_context(_listening("tipg.main:app", [], _tipg_settings(url)))
        load = _Load(folder, seconds)
        near = Area(16, *_middle(16, count))
        load.ask(cached, _ours(near), near, everybody, warm=True)
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for z in (16, 14):
                area = Area(z, *_whole(z, count))
                west = _west(area)
                for name, rate in {
                    "ours": lambda a=area: load.ask(uncached, _ours(a), a, everybody),
                    "tipg": lambda a=area: load.ask(tipg, _TIPG, a, None),
                    "pgbench": lambda a=area: load.pgbench(url, a),
                    "tenant": lambda a=west: load.ask(uncached, _ours(a), a, tenant),
                    "all": lambda a=west: load.ask(uncached, _ours(a), a, everybody),
                }.items():
                    found.setdefault(f"{name} {z}", []).append(rate())
            found.setdefault("cached 16", []).append(load.ask(cached, _ours(near), near, everybody))
    return [
        _row(found, f"z16, {count:,} pipes, uncached", "ours 16", "tipg 16", "tipg", ">= 4"),
        _row(found, f"z16, {count:,} pipes, uncached", "ours 16", "pgbench 16", "pgbench", ">= 0.8"),
        _row(found, f"z14, {count:,} pipes, uncached", "ours 14", "tipg 14", "tipg", ">= 1.5"),
        _row(found, f"z14, {count:,} pipes, uncached", "ours 14", "pgbench 14", "pgbench", ">= 0.8"),
        _row(found, "z16, cached against uncached", "cached 16", "tipg 16", "tipg", ">= 20"),
        _row(found, "z16, an owner's own", "tenant 16", "all 16", "with everybody's token", ">= 0.95"),
        _row(found, "z14, an owner's own", "tenant 14", "all 14", "with everybody's token", ">= 0.95"),
    ]


def _row(found: dict[str, list[float]], name: str, ours: str, peer: str, label: str, goal: str) -> Row:
    ratio = statistics.median(a / b for a, b in zip(found[ours], found[peer], strict=True))
    return Row(
        "tiles", name, statistics.median(found[ours]), "tiles/s", label, statistics.median(found[peer]), ratio, goal
    )


def _fill(cluster: Cluster, count: int) -> tuple[str, str]:
    """Pipes through the product's own ingest; returns the tokens of the wall and of one owner."""
    cluster.create_database("bench")
    database = Database(cluster.url("bench"))
    schema.upgrade(database)
    report = ingest_frame(
        database, layers.load()["pipe_segments"], _pipes(count), source=Source("bench", simulated=True)
    )
    if report.stored != count:
        raise RuntimeError(f"{report.stored} of {count} pipes were stored")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE pipe_segments")
    door = Door(database)
    tokens = door.make("wall"), door.make("utility", owner=TENANT)
    database.close()
    return tokens


def _pipes(count: int) -> gpd.GeoDataFrame:
    """Pipes of three vertices, 20 to 80 m long, along a grid of streets a little out of true."""
    random = np.random.default_rng(16)
    west, south, east, north = _bounds(count)
    x, y = random.uniform(west, east, count), random.uniform(south, north, count)
    angle = random.integers(0, 4, count) * np.pi / 2 + random.random(count) * 0.1
    length = random.uniform(0.0002, 0.0008, count)
    dx, dy = np.cos(angle) * length, np.sin(angle) * length
    lines = np.stack([np.column_stack(p) for p in ((x, y), (x + dx * 0.4, y + dy * 0.42), (x + dx, y + dy))], axis=1)
    number = np.arange(count)
    values = {
        "code": [f"S{n}" for n in number],
        "pipe_class": np.array(["water", "storm", "sewage", "gas", "power", "telecom"])[number % 6],
        "diameter_mm": np.array([100.0, 150, 200, 300, 400, 600, 800, 1200])[number * 7 % 8],
        "start_depth_m": 1 + number % 20 / 10,
        "end_depth_m": 1 + number % 17 / 10,
        "owner": np.where(x < west + (east - west) / 3, TENANT, [f"owner {n}" for n in number % OWNERS]),
    }
    return gpd.GeoDataFrame(values, geometry=shapely.linestrings(lines), crs="EPSG:4326")


def _bounds(count: int) -> tuple[float, float, float, float]:
    """West, south, east, north of so many pipes."""
    across, up = (span / 2 * (count / ROWS) ** 0.5 for span in SPAN)
    return MIDDLE[0] - across, MIDDLE[1] - up, MIDDLE[0] + across, MIDDLE[1] + up


def _whole(z: int, count: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Columns and rows of the tiles that the pipes cover."""
    west, south, east, north = _bounds(count)
    x, y = mercator(np.array([west, east]), np.array([north, south]))
    half = np.pi * 6378137
    (left, right), (top, bottom) = (
        (((x + half) / (2 * half)) * 2**z).astype(int),
        ((half - y) / (2 * half) * 2**z).astype(int),
    )
    return (int(left), int(right)), (int(top), int(bottom))


def _west(area: Area) -> Area:
    """The tiles of an area that lie in its western third, off its edge."""
    left, right = area.x
    return Area(area.z, (left, left + max((right - left) // 3 - 2, 0)), area.y)


def _middle(z: int, count: int) -> tuple[tuple[int, int], tuple[int, int]]:
    (left, right), (top, bottom) = _whole(z, count)
    x, y = (left + right - _WARM) // 2, (top + bottom - _WARM) // 2
    return (x, x + _WARM - 1), (y, y + _WARM - 1)


def _ours(area: Area) -> str:
    return f"/ogc/collections/pipe_segments/tiles/WebMercatorQuad/{area.z}/{{y}}/{{x}}"


_TIPG = (
    f"/collections/public.pipe_segments/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}?geom-column=shape&properties={FIELDS}"
)


_WALL = Viewer(Role.wall)
_READER = (
    f"-c role={READER} -c {SCOPE}={EVERYONE} -c {CLEARANCE}={_WALL.clearance}"
    " -c plan_cache_mode=force_generic_plan -c jit=off"
)


def _statement(z: int) -> str:
    """The statement that the product prepares, asking for one tile by pgbench's variables."""
    plan = make_plan(layers.load()["pipe_segments"], _WALL, z)
    if plan is None or plan.scope != EVERYONE:
        raise RuntimeError("the statement is not the one that everybody's tiles are made by")
    text = " ".join(plan.text.split())
    for number, name in enumerate("zxy", 1):
        text = text.replace(f"${number}::int[]", f"ARRAY[:{name}::int]")
    return text


def _tipg_settings(url: str) -> dict[str, str]:
    """The settings of a fair peer: the same buffer, no limit that would drop features, the socket in its own form."""
    folder = Database(url).engine.url.query["host"]
    return {
        "DATABASE_URL": f"postgresql://chengtu@{quote(str(folder), safe='')}:5432/bench",
        "TIPG_MAX_FEATURES_PER_TILE": "1000000",
        "TIPG_TILE_BUFFER": str(BUFFER),
    }


@contextmanager
def _listening(what: str, arguments: list[str], settings: dict[str, str]) -> Iterator[str]:
    """A server in a process of its own, once it answers; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    options = ["--port", port, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    module = ["uvicorn", what, *options] if ":" in what else [what, port, *arguments]
    environment = os.environ | settings | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + _READY_S
            while not _answers(int(port)):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"{what} did not start: {said.read()[-2000:].decode()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except OSError:
        return False


class _Load:
    """Asks for random tiles over a number of connections, and counts those that came."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self._folder = folder
        self._seconds = seconds
        self._bin = find_server().bin
        self._wrk = shutil.which("wrk")

    def ask(self, server: str, path: str, area: Area, token: str | None, *, warm: bool = False) -> float:
        """Tiles per second; raises where one is refused. `warm` asks for each tile of the area once before."""
        if warm:
            self._each(server, path, area, token)
        if self._wrk is None:
            command = [sys.executable, "-m", "tests.benchmarks.asking", server, path, *self._numbers(area), token or ""]
            told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            return float(told)
        script = self._folder / "ask.lua"
        script.write_text(_LUA.format(
            path=path.replace("{z}", str(area.z)), x0=area.x[0], x1=area.x[1], y0=area.y[0], y1=area.y[1],
            token=f"Bearer {token}" if token else "none",
        ))  # fmt: skip
        command = [self._wrk, "-t1", f"-c{CONNECTIONS}", f"-d{self._seconds}", "-s", str(script), server]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in told or "Socket errors" in told:
            raise RuntimeError(told)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
        assert rate is not None
        return float(rate[1])

    def pgbench(self, url: str, area: Area) -> float:
        """Tiles per second by the product's own statement."""
        script = self._folder / "tile.sql"
        script.write_text(f"\\set x random(:x0,:x1)\n\\set y random(:y0,:y1)\n{_statement(area.z)};\n")
        given = {"z": area.z, "x0": area.x[0], "x1": area.x[1], "y0": area.y[0], "y1": area.y[1]}
        numbers = [part for name, value in given.items() for part in ("-D", f"{name}={value}")]
        command = [
            str(self._bin / "pgbench"), "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1",
            "-T", str(self._seconds), *numbers, "-f", str(script), url,
        ]  # fmt: skip
        told = subprocess.run(
            command, env=os.environ | {"PGOPTIONS": _READER}, capture_output=True, text=True, check=True
        ).stdout
        rate = re.search(r"tps = ([\d.]+)", told)
        assert rate is not None
        return float(rate[1])

    def _each(self, server: str, path: str, area: Area, token: str | None) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.asking",
            server,
            path,
            *self._numbers(area),
            token or "",
            "each",
        ]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    def _numbers(self, area: Area) -> list[str]:
        return [str(n) for n in (area.z, *area.x, *area.y, CONNECTIONS, self._seconds)]


_LUA = """
math.randomseed(os.time())
local template = "{path}"
local headers = {{ ["Authorization"] = "{token}" }}
if "{token}" == "none" then headers = nil end
request = function()
  local path = template:gsub("{{x}}", math.random({x0}, {x1})):gsub("{{y}}", math.random({y0}, {y1}))
  return wrk.format("GET", path, headers)
end
"""
