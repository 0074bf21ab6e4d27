"""Second start of `scripts/run` to `ready`, against a bare `pg_ctl start` plus Python's import of the dependencies."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gis_core.cluster import find_server
from tests.benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = (
    "fastapi uvicorn sqlalchemy geoalchemy2 psycopg asyncpg alembic pydeck h3 geopandas shapely pyproj cql2 pyogrio"
)


def run(quick: bool) -> list[Row]:
    """Medians over whole processes; the city is the small one, loaded before anything is timed."""
    rounds = 3 if quick else 7
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as folder:
        Path(folder).chmod(0o755)
        _start_once(Path(folder))
        ours = statistics.median(_start_once(Path(folder)) for _ in range(rounds))
    bare = statistics.median(_bare_start() for _ in range(rounds))
    imports = statistics.median(_timed(_import) for _ in range(rounds))
    limit = bare + imports
    peer = f"pg_ctl start ({bare:.2f} s) + imports ({imports:.2f} s)"
    return [Row("cluster", "second start to ready", ours, "s", peer, limit, ours / limit, "<= 5")]


def _start_once(home: Path) -> float:
    """Seconds from the command to its line `ready`; the service is stopped again, and waited for."""
    began = time.perf_counter()
    command = [str(ROOT / "scripts" / "run"), "--city", "helsinki", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        ready = next((time.perf_counter() for line in process.stdout if line.startswith("ready ")), None)
        process.terminate()
        process.wait(timeout=60)
    if ready is None:
        raise RuntimeError("scripts/run ended before it was ready")
    return ready - began


def _bare_start() -> float:
    """Seconds of `pg_ctl -w start` on a fresh cluster, as the user that servers run as here."""
    server = find_server()
    folder = Path(tempfile.mkdtemp(prefix="chengtu-bare-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    control = [*as_user, str(server.bin / "pg_ctl"), "-D", str(folder / "data"), "-w", "-s"]
    try:
        _run([*as_user, str(server.bin / "initdb"), "-D", str(folder / "data"), "-N"])
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        took = _timed(lambda: _run([*control, "-l", str(folder / "log"), "-o", options, "start"]))
        _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return took


def _import() -> None:
    _run([sys.executable, "-c", f"import {', '.join(IMPORTS.split())}"])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
