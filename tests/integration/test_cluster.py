"""The private cluster with a real PostgreSQL: made, shared, killed, moved, refused."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from gis_core.cluster import Cluster, ClusterFailed, ClusterMissing, postgres
from gis_core.cluster.processes import lives, wait_until

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 120
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acts as several system users")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that every user may pass through; what was made in it is stopped and removed."""
    folder = Path(tempfile.mkdtemp(prefix="chengtu test-"))
    folder.chmod(0o755)
    yield folder
    for lock in list(folder.rglob("lock")):
        Cluster(lock.parent).remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One running cluster for the tests that leave it as it is, with the database `city`."""
    folder = Path(tempfile.mkdtemp(prefix="chengtu-"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "postgres")
    cluster.start()
    cluster.create_database("city")
    yield cluster
    cluster.remove()
    shutil.rmtree(folder, ignore_errors=True)


def ask(cluster: Cluster, query: str, database: str = "city") -> object:
    """The first value that a query gives, committed."""
    with psycopg.connect(cluster.url(database), connect_timeout=10) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def tell(cluster: Cluster, statement: str) -> None:
    with psycopg.connect(cluster.url("city"), connect_timeout=10) as connection:
        connection.execute(statement)


def postmaster(cluster: Cluster) -> int:
    return int((cluster.place / "data/postmaster.pid").read_text(encoding="utf-8").split()[0])


def program(code: str, *, user: str | None = None) -> list[str]:
    """A command that runs Python code in another process, as another system user once all is imported."""
    lines = [
        "import os, sys, time, psycopg",
        "from pathlib import Path",
        "from gis_core.cluster import Cluster, ClusterFailed",
    ]
    if user is not None:
        who = pwd.getpwnam(user)
        # psycopg imports some of itself at the first connection, and the other user may not read our files.
        lines += ["try: psycopg.connect('host=/nowhere')", "except psycopg.Error: pass"]
        lines += ["os.setgroups([])", f"os.setgid({who.pw_gid})", f"os.setuid({who.pw_uid})"]
    return [sys.executable, "-c", "\n".join([*lines, textwrap.dedent(code)])]


def run(code: str, *, user: str | None = None) -> str:
    done = subprocess.run(
        program(code, user=user), check=False, capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE_S
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_a_new_cluster_serves_postgis(cluster: Cluster) -> None:
    assert ask(cluster, "SELECT 1", "postgres") == 1
    assert str(ask(cluster, "SELECT postgis_lib_version()")) >= "3.3"
    assert ask(cluster, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'city'") == "UTF8"
    for setting, value in {"fsync": "on", "synchronous_commit": "on", "data_checksums": "on", "jit": "off"}.items():
        assert ask(cluster, f"SHOW {setting}") == value


def test_databases_are_made_once_copied_and_dropped(cluster: Cluster) -> None:
    name = 'twin "2" 城'
    cluster.create_database(name, template="city")
    cluster.create_database(name, template="city")
    assert ask(cluster, "SELECT ST_X(ST_Point(3, 4))", name) == 3
    cluster.drop_database(name)
    cluster.drop_database(name)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        ask(cluster, "SELECT 1", name)


def test_a_second_start_attaches(cluster: Cluster) -> None:
    before = postmaster(cluster)
    other = Cluster(cluster.folder)
    other.start()
    assert not other.ensure()
    assert postmaster(cluster) == before
    assert other.url("city") == cluster.url("city")
    other.leave()
    assert ask(cluster, "SELECT 1") == 1, "the server goes on for those that still use it"


def test_no_network_port_is_open(cluster: Cluster) -> None:
    server = psutil.Process(postmaster(cluster))
    assert server.net_connections(kind="inet") == []
    for worker in server.children():
        # A worker that ended meanwhile has no sockets; psutil tells of that in either way.
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            assert worker.net_connections(kind="inet") == []


def test_a_server_with_every_place_taken_counts_as_running(cluster: Cluster) -> None:
    url, taken = cluster.url("postgres"), []
    try:
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(url, connect_timeout=10))
        assert len(taken) > 50
        assert not cluster.ensure()
    finally:
        for connection in taken:
            connection.close()


@needs_root
def test_another_user_is_refused(cluster: Cluster) -> None:
    attempt = f"""
        try: psycopg.connect({cluster.url("city")!r}, connect_timeout=10)
        except psycopg.Error as error: print(error)
        try: Cluster(Path({str(cluster.folder)!r})).start()
        except ClusterFailed as error: print(error)
    """
    assert "Permission denied" in run(attempt, user="nobody")
    # Even with every door of the file system open, the server knows who is there.
    doors = [cluster.folder, cluster.place / "run", cluster.place / "run" / ".s.PGSQL.5432"]
    try:
        for door in doors:
            door.chmod(0o777)
        said = run(attempt, user="nobody")
    finally:
        for door in doors:
            door.chmod(0o700)
    assert "Peer authentication failed" in said
    assert "another --home" in said
    assert ask(cluster, "SELECT 1") == 1


def test_racing_processes_share_one_server(home: Path) -> None:
    folder = home / "postgres"
    code = f"""
        cluster = Cluster(Path({str(folder)!r}))
        cluster.start()
        cluster.create_database("city")
        with psycopg.connect(cluster.url("city")) as connection:
            connection.execute("SELECT postgis_version()")
        print(open(cluster.place / "data/postmaster.pid").readline())
    """
    racers = [subprocess.Popen(program(code), stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    said = [racer.communicate(timeout=DEADLINE_S)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert len(set(said)) == 1
    cluster = Cluster(folder)
    cluster.start()
    assert str(postmaster(cluster)) == said[0].strip()


def test_the_last_one_out_stops_the_server(home: Path) -> None:
    one, two = Cluster(home / "postgres"), Cluster(home / "postgres")
    one.start()
    two.start()
    pid = postmaster(one)
    one.leave()
    assert two.ensure() is False
    two.leave()
    assert not lives(pid)
    two.leave()
    with pytest.raises(ClusterFailed, match="not running"):
        two.url("city")
    two.start()
    two.stop()
    two.stop()
    assert two.ensure() is True


def test_no_committed_row_is_lost_when_the_server_is_killed(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.create_database("city")
    url = cluster.url("city")
    tell(cluster, "CREATE TABLE rows AS SELECT generate_series(1, 200000) AS id")
    # A worker that is deep in a query does not notice that its server died, and would keep the data locked.
    busy = psycopg.connect(url, connect_timeout=10)
    worker = busy.info.backend_pid
    asking = threading.Thread(target=lambda: _ask_in_vain(busy))
    asking.start()
    assert wait_until(
        lambda: ask(cluster, f"SELECT state FROM pg_stat_activity WHERE pid = {worker}") == "active",
        time.monotonic() + DEADLINE_S,
    )
    os.kill(postmaster(cluster), signal.SIGKILL)
    assert cluster.ensure() is True
    asking.join(DEADLINE_S)
    busy.close()
    assert not lives(worker)
    assert cluster.url("city") == url
    assert ask(cluster, "SELECT count(*) FROM rows") == 200_000


def _ask_in_vain(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with suppress(psycopg.OperationalError):
        connection.execute("SELECT count(*) FROM generate_series(1, 100000000000) AS n WHERE n % 7 = 0")


def test_no_committed_row_is_lost_when_the_app_is_killed(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.create_database("city")
    tell(cluster, "CREATE TABLE rows (id int)")
    code = f"""
        cluster = Cluster(Path({str(cluster.folder)!r}))
        cluster.start()
        connection = psycopg.connect(cluster.url("city"))
        connection.execute("INSERT INTO rows SELECT generate_series(1, 1000)")
        connection.commit()
        connection.execute("LOCK TABLE rows IN ACCESS EXCLUSIVE MODE")
        connection.execute("INSERT INTO rows SELECT generate_series(1, 500)")
        print("halfway", flush=True)
        time.sleep({DEADLINE_S})
    """
    with subprocess.Popen(program(code), stdout=subprocess.PIPE, text=True, cwd=ROOT) as app:
        assert app.stdout is not None
        assert app.stdout.readline() == "halfway\n"
        app.kill()
    tell(cluster, f"SET lock_timeout = '{DEADLINE_S}s'; UPDATE rows SET id = id + 1")
    assert ask(cluster, "SELECT count(*) FROM rows") == 1000
    pid = postmaster(cluster)
    cluster.leave()
    assert not lives(pid), "a killed process counts no longer among the users"


@needs_root
def test_a_process_id_that_became_a_strangers_is_no_server(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    os.kill(postmaster(cluster), signal.SIGKILL)
    note = cluster.place / "data/postmaster.pid"
    _, *rest = note.read_text(encoding="utf-8").splitlines()
    with subprocess.Popen(["sleep", str(DEADLINE_S)], user="postgres") as stranger:
        note.write_text("\n".join([str(stranger.pid), *rest, ""]), encoding="utf-8")
        assert cluster.ensure() is True
        cluster.stop()
        assert stranger.poll() is None, "a stranger is left alone"
        stranger.kill()


def test_a_folder_may_lie_deep_and_be_moved(home: Path) -> None:
    deep = home / ("a long name, " * 8) / ("城" * 30)
    cluster = Cluster(deep / "postgres")
    cluster.start()
    cluster.create_database("city")
    tell(cluster, "CREATE TABLE rows AS SELECT 7 AS id")
    assert len(os.fsencode(cluster.place)) > 107
    cluster.stop()
    moved = Cluster((home / "short").absolute() / "postgres")
    moved.folder.parent.mkdir()
    cluster.folder.rename(moved.folder)
    moved.start()
    assert ask(moved, "SELECT id FROM rows") == 7


@needs_root
def test_root_puts_the_data_elsewhere_when_the_server_cannot_reach_the_folder(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "postgres")
    cluster.start()
    cluster.create_database("city")
    assert cluster.place.is_relative_to("/var/lib/chengtu")
    assert (cluster.folder / "location").read_text(encoding="utf-8").strip() == str(cluster.place)
    assert cluster.place.owner() == "postgres"
    place, pid = cluster.place, postmaster(cluster)
    again = Cluster(closed / "postgres")
    again.start()
    assert postmaster(again) == pid
    again.leave()
    cluster.stop()
    place.rename(aside := place.with_name(f"{place.name} aside"))
    with pytest.raises(ClusterFailed, match="gone"):
        cluster.start()
    aside.rename(place)
    cluster.remove()
    assert not place.exists()


@needs_root
def test_root_is_told_when_a_folder_was_closed_later(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.stop()
    home.chmod(0o700)
    with pytest.raises(ClusterFailed, match="chmod"):
        cluster.start()
    home.chmod(0o755)
    cluster.start()


@needs_root
def test_an_ordinary_user_runs_it_alone_and_root_may_go_on(home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    code = f"""
        cluster = Cluster(Path({str(home / "postgres")!r}))
        cluster.start()
        cluster.create_database("city")
        with psycopg.connect(cluster.url("city")) as connection:
            connection.execute("CREATE TABLE rows AS SELECT 7 AS id")
        print(open(cluster.place / "data/postmaster.pid").readline())
        cluster.{{end}}()
    """
    run(code.format(end="stop"), user="nobody")
    cluster = Cluster(home / "postgres")
    cluster.start()
    assert ask(cluster, "SELECT id FROM rows") == 7
    assert psutil.Process(postmaster(cluster)).username() == "nobody"
    cluster.stop()
    code = code.replace("CREATE TABLE rows AS SELECT 7 AS id", "SELECT id FROM rows")
    assert int(run(code.format(end="leave"), user="nobody")) > 0


def test_a_damaged_folder_is_named(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.stop()
    control = cluster.place / "data/global/pg_control"
    whole = control.read_bytes()
    control.write_bytes(whole[:100])
    with pytest.raises(ClusterFailed, match=r"did not start.*pg_control"):
        cluster.start()
    control.write_bytes(whole)
    cluster.start()
    cluster.stop()
    (cluster.place / "data/PG_VERSION").unlink()
    with pytest.raises(ClusterFailed, match=r"damaged.*PG_VERSION"):
        cluster.start()


def test_what_a_killed_initdb_left_is_swept_away(home: Path) -> None:
    leftover = home / "postgres/data.new/base"
    leftover.mkdir(parents=True)
    (leftover / "1").write_text("half", encoding="utf-8")
    cluster = Cluster(home / "postgres")
    cluster.start()
    assert ask(cluster, "SELECT 1", "postgres") == 1
    assert not leftover.exists()


def test_data_of_another_version_are_not_touched(home: Path) -> None:
    cluster = Cluster(home / "postgres")
    cluster.start()
    cluster.stop()
    (cluster.place / "data/PG_VERSION").write_text("11\n", encoding="utf-8")
    with pytest.raises(ClusterMissing, match=r"PostgreSQL 11.*DATABASE_URL"):
        cluster.start()


def test_without_a_server_the_line_to_type_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "FAMILIES", ())
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(ClusterMissing, match=r"Type: .*DATABASE_URL") as refusal:
        Cluster(home / "postgres").start()
    assert refusal.value.status == 503
