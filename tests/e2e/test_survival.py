"""The real service against death: of the database, of itself, at every moment; and against wrong arguments."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from gis_core.cluster import Cluster
from gis_core.cluster.processes import lock_file, open_lock_file, wait_until
from gis_core.errors import CityError
from tests.e2e.conftest import CHENGTU, ROOT, Service, start, stop
from tests.towns import make_town, table

DEADLINE_S = 120
PROBLEM = "application/problem+json"


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder; whatever runs in it at the end is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="chengtu-survival-"))
    folder.chmod(0o755)
    yield folder
    Cluster(folder / "postgres").remove()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Service]:
    """The service while it is needed; killed if the test did not stop it."""
    service = start(home, *arguments)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
        service.process.wait()
        assert service.process.stdout is not None
        service.process.stdout.close()


@contextmanager
def client(service: Service, role: str | None = None) -> Iterator[httpx.Client]:
    """A client of the service."""
    sent = {"Authorization": f"Bearer {service.token(role)}"} if role else {}
    with httpx.Client(base_url=service.origin, headers=sent, timeout=DEADLINE_S, trust_env=False) as opened:
        yield opened


def until(done: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    assert wait_until(lambda: bool(done()), time.monotonic() + DEADLINE_S)


def postgres_of(home: Path) -> list[int]:
    """Every process of the home's database server."""
    master, workers = Cluster(home / "postgres")._processes()
    return workers if master is None else [master, *workers]


@contextmanager
def kept_down(home: Path) -> Iterator[None]:
    """While somebody else holds the cluster's lock, a server that died stays away and its absence can be looked at."""
    lock = open_lock_file(home / "postgres" / "lock")
    try:
        assert lock_file(lock, fcntl.LOCK_EX, time.monotonic() + DEADLINE_S)
        yield
    finally:
        os.close(lock)


def ask(home: Path, query: str) -> Any:
    """The first value that a query gives, None where there is no such database yet."""
    try:
        with psycopg.connect(Cluster(home / "postgres").url("chengtu_tinytown")) as connection:
            row = connection.execute(query).fetchone()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable, CityError):
        return None
    return row[0] if row else None


def count(opened: httpx.Client, layer: str = "parking") -> int:
    """How many features of a layer are served."""
    answered = opened.get(f"/ogc/collections/{layer}/items", params={"number-matched": "true", "limit": 1})
    assert answered.status_code == 200, answered.text
    return int(answered.json()["numberMatched"])


def give(opened: httpx.Client, text: str) -> httpx.Response:
    """Upload a file of car parks."""
    return opened.post("/api/uploads/parking", files={"file": ("bays.csv", text.encode())}, data={"datum": "WGS84"})


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line to its end."""
    return subprocess.run(
        [*CHENGTU, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE_S, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_a_killed_database_comes_back_by_itself_with_every_row(home: Path) -> None:
    town = make_town(home / "town", parking=40)
    doors = (
        "/api/catalog", "/api/search?q=of", "/api/hexagons/parking", "/ogc/collections/parking/items",
        "/ogc/collections/parking/items/1", "/api/export/parking?format=csv",
    )  # fmt: skip
    tile = "/ogc/collections/parking/tiles/WebMercatorQuad/{}/{}/{}"
    with serving(home, "--city", str(town)) as service, client(service, "operator") as opened:
        assert give(opened, table("U", 30)).status_code == 201
        assert opened.get(tile.format(13, 2373, 4662)).status_code == 200
        master = postgres_of(home)[0]
        with kept_down(home):
            os.kill(master, signal.SIGKILL)
            until(lambda: opened.get("/healthz").status_code == 503)
            for door in (*doors, *(tile.format(13, 2368 + i, 4662) for i in range(5))):
                answered = opened.get(door)
                assert answered.status_code == 503, (door, answered.text)
                assert answered.headers["content-type"] == PROBLEM
                assert answered.json()["status"] == 503
            assert give(opened, table("V", 5)).status_code == 503
            # What needs no row is there all the same: the scene, and tiles that were made before.
            assert opened.get("/api/scenes/wall").status_code == 200
            assert opened.get(tile.format(13, 2373, 4662)).status_code == 200
        until(lambda: opened.get("/healthz").status_code == 200)
        for door in doors:
            assert opened.get(door).status_code == 200, door
        for i in range(12):
            assert opened.get(tile.format(13, 2368 + i, 4662)).status_code in (200, 204)
        assert count(opened) == 70
        # The change feed listens again: what is stored now is told.
        until(lambda: opened.get("/healthz").json()["change_feed"] == "ok")
        before = opened.get("/healthz").json()["layers"]["parking"]
        assert give(opened, table("W", 5)).status_code == 201
        until(lambda: opened.get("/healthz").json()["layers"]["parking"] > before)
        assert count(opened) == 75
        assert stop(service) == 0
    assert postgres_of(home) == []


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_of_it(home: Path, sign: signal.Signals) -> None:
    town = make_town(home / "town", parking=5)
    with serving(home, "--city", str(town)) as service, client(service) as opened:
        assert count(opened) == 5
        # A listener that would stay for ever does not hold it up.
        with opened.stream("GET", "/api/changes") as stream:
            next(stream.iter_raw())
            service.process.send_signal(sign)
            assert service.process.wait(DEADLINE_S) == 0
    assert postgres_of(home) == []
    assert "Traceback" not in (home / "serve.log").read_text()


def test_killed_while_a_file_comes_in_it_has_the_whole_old_state(home: Path) -> None:
    town = make_town(home / "town", parking=40, cameras=20)
    with serving(home, "--city", str(town)) as service, client(service, "operator") as opened:
        with ThreadPoolExecutor(1) as giver:
            answer = giver.submit(give, opened, table("P", 60_000, "of the upload"))
            copying = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY %'"
            until(lambda: ask(home, copying) or answer.done())
            assert not answer.done(), answer.result().text
            service.process.kill()
            assert isinstance(answer.exception(DEADLINE_S), httpx.TransportError)
        service.process.wait(DEADLINE_S)
    left = list((home / "scratch").iterdir())
    assert len(left) == 1
    with serving(home, "--city", str(town)) as service, client(service, "operator") as opened:
        assert (count(opened), count(opened, "cameras")) == (40, 20)
        assert ask(home, "SELECT count(*) FROM parking WHERE name <> 'of the pack'") == 0
        assert ask(home, "SELECT count(*) FROM dataset") == 2
        assert give(opened, table("P", 50, "of the upload")).status_code == 201
        assert count(opened) == 50
        assert not left[0].exists()
        assert stop(service) == 0
    assert list((home / "scratch").iterdir()) == []


def test_killed_while_it_loads_it_loads_again_and_all(home: Path) -> None:
    town = make_town(home / "town", parking=40, cameras=50_000)
    command = [*CHENGTU, "serve", "--port", "0", "--home", str(home), "--city", str(town)]
    with (home / "first.log").open("w") as log:
        first = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    until(lambda: ask(home, "SELECT count(*) FROM parking") == 40 or first.poll() is not None)
    first.kill()
    first.wait()
    assert ask(home, "SELECT count(*) FROM city") == 0
    with serving(home, "--city", str(town)) as service, client(service, "operator") as opened:
        assert (count(opened), count(opened, "cameras")) == (40, 50_000)
        assert ask(home, "SELECT array_agg(layer::text ORDER BY layer) FROM dataset") == ["cameras", "parking"]
        assert ask(home, "SELECT string_agg(DISTINCT origin, ',') FROM dataset") == "pack"
        assert stop(service) == 0


def test_a_signal_while_it_loads_stops_all_of_it(home: Path) -> None:
    town = make_town(home / "town", parking=40, cameras=50_000)
    command = [*CHENGTU, "serve", "--port", "0", "--home", str(home), "--city", str(town)]
    with (home / "first.log").open("w") as log:
        first = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    until(lambda: ask(home, "SELECT count(*) FROM parking") == 40 or first.poll() is not None)
    first.terminate()
    assert first.wait(DEADLINE_S) == 0
    assert postgres_of(home) == []
    assert "Traceback" not in (home / "first.log").read_text()


def test_a_signal_while_the_database_starts_stops_it(home: Path) -> None:
    town = make_town(home / "town", parking=5)
    assert run("load", "--home", str(home), "--city", str(town)).returncode == 0
    written = home / "postgres" / "data" / "pg_hba.conf"  # the last thing that is done before PostgreSQL is launched
    for sign in (signal.SIGTERM, signal.SIGINT):
        before = written.stat().st_mtime_ns
        command = [*CHENGTU, "serve", "--port", "0", "--home", str(home), "--city", str(town)]
        with (home / "first.log").open("w") as log:
            begun = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
        until(lambda: written.stat().st_mtime_ns != before or begun.poll() is not None)  # noqa: B023
        begun.send_signal(sign)
        assert begun.wait(DEADLINE_S) == 0
        assert postgres_of(home) == []
        assert (home / "first.log").read_text() == ""


def test_two_services_share_a_home(home: Path) -> None:
    town = make_town(home / "town", parking=2000)
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(start, home, "--city", str(town)) for _ in range(2)]
        one, other = (each.result() for each in starts)
    try:
        # Both found an empty home; the city was loaded once.
        assert ask(home, "SELECT count(*) FROM dataset") == 1
        with client(other, "operator") as opened, client(one) as first:
            assert count(first) == count(opened) == 2000
            # Both see the database die; it is started again once, and both go on.
            master = postgres_of(home)[0]
            os.kill(master, signal.SIGKILL)
            until(lambda: postgres_of(home)[:1] not in ([], [master]))
            until(lambda: [c.get("/healthz").status_code for c in (first, opened)] == [200, 200])
            assert count(first) == count(opened) == 2000
            assert stop(one) == 0
            assert count(opened) == 2000
            assert give(opened, table("U", 3)).status_code == 201
            assert count(opened) == 2003
            assert postgres_of(home)
        assert stop(other) == 0
        assert postgres_of(home) == []
    finally:
        for service in (one, other):
            service.process.kill()
            service.process.wait()


def test_a_taken_port_is_said_in_one_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("serve", "--port", str(port), "--home", str(home), "--city", "helsinki")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in told.stderr
    assert not (home / "postgres").exists()
