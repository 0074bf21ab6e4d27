"""The private PostGIS cluster: made on first use, shared by processes, reached through one private socket.

    <folder>/lock        held while one process starts or stops the server
    <folder>/in-use      held shared by every process that uses it; the last one out may stop it
    <folder>/location    only when the cluster lies elsewhere, see `Cluster`
    <place>/data         PostgreSQL's own folder; `chengtu.conf` in it is ours
    <place>/run          the socket, unless its path would be too long for the system
    <place>/server.log

Whether a server runs is never read from a file: it runs when it answers `SELECT 1`. After a `kill -9` PostgreSQL's
own pid file goes on naming a process that is gone, or by then a stranger.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from gis_core.cluster.postgres import PORT, SUPERUSER, Owner, access_text, last_words, settings_text
from gis_core.cluster.postgres import ClusterFailed as ClusterFailed
from gis_core.cluster.postgres import ClusterMissing as ClusterMissing
from gis_core.cluster.postgres import Server as Server
from gis_core.cluster.postgres import find_server as find_server
from gis_core.cluster.processes import commands, is_taken, lives, lock_file, open_lock_file, tell, wait_until, works_in

START_DEADLINE_S = 180.0
"""From the first try to an answering server, crash recovery and waiting for another process included."""
STOP_DEADLINE_S = 60.0
"""For a clean stop with its checkpoint; then the server is told to drop everything, which loses no committed row."""
ORPHANS_GRACE_S = 5.0
APPEARS_S = 1.0
CONNECT_TIMEOUT_S = 5
LONGEST_SOCKET_FOLDER = 90
"""Bytes. A socket's whole path may have 103 (macOS) or 107 (Linux), and the file name takes 13."""
ELSEWHERE = Path("/var/lib/chengtu")
LARGEST_LOG_BYTES = 20 * 2**20


class Cluster:
    """A PostGIS server of our own in a folder.

    The server belongs to the present user; under root it belongs to the system user `postgres`. When that user
    cannot reach the folder (it lies in /root, or in a home closed to others), the data lie in a new folder in
    /var/lib/chengtu instead, and the file `location` says which.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is touched before `start`."""
        self.folder = folder.resolve()
        self._in_use: int | None = None

    def start(self) -> None:
        """Make the cluster if there is none, start it if it does not answer, and return once it does.

        Safe to call at any time from any number of processes. Raises ClusterMissing, ClusterFailed.
        """
        deadline = time.monotonic() + START_DEADLINE_S
        self._open_folder()
        self._begin_use(deadline)
        if not self._answers():
            with self._lock(deadline):
                self._bring_up(deadline)

    def ensure(self) -> bool:
        """Start the server again if it died; call it when a connection failed. True if it had to be started."""
        if self._answers():
            return False
        self.start()
        return True

    def leave(self) -> None:
        """Stop using the cluster, and stop the server if no other process uses it."""
        if self._in_use is None:
            return
        handle, self._in_use = self._in_use, None
        try:
            with self._lock(time.monotonic() + START_DEADLINE_S):
                if lock_file(handle, fcntl.LOCK_EX, deadline=0):
                    self._take_down()
        finally:
            os.close(handle)

    def stop(self) -> None:
        """Stop the server, whoever uses it; nothing happens when it does not run. Raises ClusterFailed."""
        if self.folder.is_dir():
            with self._lock(time.monotonic() + START_DEADLINE_S):
                self._take_down()
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None

    def remove(self) -> None:
        """Stop the server and delete the cluster with every row in it, wherever it lies. Raises ClusterFailed."""
        self.stop()
        for folder in dict.fromkeys((self.place, self.folder)):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Where a database of the running cluster is found, for psycopg and asyncpg, with no driver's name in it.

        It stays the same when the server is started again. Raises ClusterFailed when there is none.
        """
        sockets = self._sockets()
        if sockets is None:
            raise ClusterFailed("The private PostgreSQL cluster is not running; start it first.")
        return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={quote(str(sockets), safe='')}&port={PORT}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Make a database with PostGIS unless there is one, as a copy of `template` if that is given.

        A PostGIS that was updated since on the machine is updated in the database as well.
        """
        with self._connect("postgres") as server:
            # Two processes that both find it missing must not both make it; the lock ends with the connection.
            server.execute("SELECT pg_advisory_lock(hashtext('chengtu'), hashtext(%s))", [name])
            if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                order = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                server.execute(order.format(sql.Identifier(name), sql.Identifier(template or "template0")))
            with self._connect(name) as database:
                database.execute("CREATE EXTENSION IF NOT EXISTS postgis")
                stale = database.execute(
                    "SELECT installed_version <> default_version FROM pg_available_extensions WHERE name = 'postgis'"
                ).fetchone()
                if stale and stale[0]:
                    database.execute("ALTER EXTENSION postgis UPDATE")

    def databases(self) -> list[str]:
        """The names of the databases that were made here, in order."""
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
        with self._connect("postgres") as server:
            return [str(name) for (name,) in server.execute(query)]

    def drop_database(self, name: str) -> None:
        """Remove a database and end the connections to it; nothing happens when there is none."""
        with self._connect("postgres") as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    # ---- where it lies

    @property
    def place(self) -> Path:
        """The folder that holds data, log and socket: the cluster's own, or the one that its file `location` names."""
        try:
            return Path((self.folder / "location").read_text(encoding="utf-8").strip())
        except OSError:
            return self.folder

    @property
    def log(self) -> Path:
        """Where the server writes what happens to it."""
        return self.place / "server.log"

    @property
    def _data(self) -> Path:
        return self.place / "data"

    @property
    def _name(self) -> str:
        """What the server's processes are called in the process list: the data folder's own, also once it was moved."""
        folder = self._data.stat()
        return f"chengtu-{folder.st_dev:x}-{folder.st_ino:x}"

    def _open_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ClusterFailed(f"{self.folder} cannot be made: {error.strerror}. Choose another --home.") from error

    def _settle(self, owner: Owner) -> None:
        """Choose the place of a cluster that has no data yet, and make it the owner's alone."""
        location = self.folder / "location"
        if location.exists() and not self.place.is_dir():
            raise ClusterFailed(f"{location} names a folder that is gone. Bring it back, or remove {location}.")
        if owner.takes(self.place):
            return
        with suppress(OSError):
            ELSEWHERE.mkdir(parents=True, exist_ok=True)
            ELSEWHERE.chmod(0o755)
            place = Path(tempfile.mkdtemp(prefix="cluster-", dir=ELSEWHERE))
            if owner.takes(place):
                location.write_text(f"{place}\n", encoding="utf-8")
                return
        raise ClusterFailed(f"User {owner.name} can keep no data in {self.folder}. Choose another --home.")

    def _socket_folder(self, owner: Owner) -> Path:
        """A folder for the socket that only the owner and root can enter, with a path short and plain enough."""
        folder = self.place / "run"
        if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER or not re.fullmatch(r"[\w./-]+", str(folder), re.ASCII):
            folder = Path("/tmp") / self._name  # noqa: S108  made for one user alone, and checked to be
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            owner.adopt(folder)
        if not _is_private(folder, owner.uid):
            raise ClusterFailed(f"{folder} must be a folder of user {owner.name} alone (mode 0700). Remove it.")
        return folder

    # ---- who uses it

    def _begin_use(self, deadline: float) -> None:
        if self._in_use is None:
            handle = self._open("in-use")
            if not lock_file(handle, fcntl.LOCK_SH, deadline):
                os.close(handle)
                raise ClusterFailed(f"Another process is stopping {self.folder} and does not end.")
            self._in_use = handle

    @contextmanager
    def _lock(self, deadline: float) -> Iterator[None]:
        handle = self._open("lock")
        try:
            if not lock_file(handle, fcntl.LOCK_EX, deadline):
                raise ClusterFailed(f"Another process holds {self.folder / 'lock'} and does not let go.")
            yield
        finally:
            os.close(handle)

    def _open(self, name: str) -> int:
        try:
            return open_lock_file(self.folder / name)
        except OSError as error:
            raise ClusterFailed(f"{self.folder / name}: {error.strerror}. Choose another --home.") from error

    # ---- up and down; all under the lock

    def _bring_up(self, deadline: float) -> None:
        launched: int | None = None
        patience_ends = time.monotonic() + ORPHANS_GRACE_S

        def answers() -> bool:
            nonlocal launched
            if self._answers():
                return True
            master, orphans = self._processes()
            if launched is not None:
                if not lives(launched):
                    raise ClusterFailed(f"PostgreSQL did not start: {last_words(self.log)} (more in {self.log})")
            elif master is None and orphans:
                # The server was killed and its workers go on; while they live no new one may touch the data.
                tell(orphans, signal.SIGQUIT if time.monotonic() < patience_ends else signal.SIGKILL)
            elif master is None:
                launched = self._launch()
            # else it recovers, or it is still going down: its answer or its end will come
            return False

        try:
            came = wait_until(answers, deadline)
        except (KeyboardInterrupt, SystemExit):
            # We are told to end while a server begins: only once it can be seen can `leave` stop it.
            wait_until(lambda: self._processes()[0] is not None, time.monotonic() + APPEARS_S)
            raise
        if not came:
            raise ClusterFailed(f"PostgreSQL in {self.place} does not answer: see {self.log}")

    def _launch(self) -> int:
        """Start a server on data that no process uses; returns its process id at once, before it answers."""
        owner = Owner.of(self._data)
        if not self._data.exists():
            server = find_server()
            self._settle(owner)
            self._make_data(server, owner)
        else:
            server = find_server(self._major())
        if not owner.reaches(self._data):
            raise ClusterFailed(
                f"User {owner.name} can no longer enter {self._data}. Allow it to pass the folders above "
                "(chmod o+x), or choose another --home."
            )
        sockets = self._socket_folder(owner)
        for leftover in sockets.glob(f".s.PGSQL.{PORT}*"):
            leftover.unlink(missing_ok=True)
        if (noted := self._noted()) and is_taken(noted):
            # The killed server's number is a zombie's or a stranger's, which PostgreSQL would take for a server.
            # Otherwise the file stays: with it PostgreSQL checks once more that no worker has the data open.
            (self._data / "postmaster.pid").unlink()
        access, idents = access_text(owner)
        self._write("chengtu.conf", settings_text(sockets, self._name), owner)
        self._write("pg_hba.conf", access, owner)
        self._write("pg_ident.conf", idents, owner)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        # The shell starts it in the background, says its process id and ends: the server is no child of this
        # process, so it outlives it, and leaves no zombie when it dies.
        script = 'exec 3>&1 >>"$1" 2>&1; shift; "$@" 3>&- & echo $! >&3'
        started = owner.run(
            "/bin/sh", "-c", script, "sh", self.log, server.bin / "postgres", "-D", self._data, detached=True
        )
        if started.returncode or not started.stdout.strip().isdecimal():
            raise ClusterFailed(f"{server.bin / 'postgres'} could not be started: {started.stdout.strip()}")
        return int(started.stdout)

    def _make_data(self, server: Server, owner: Owner) -> None:
        """Run initdb aside and move the result in place, so that a killed one leaves no half-made cluster."""
        fresh = self.place / "data.new"
        for locale in ("C.UTF-8", "C"):  # not every system has the first; both sort by code point
            shutil.rmtree(fresh, ignore_errors=True)
            made = owner.run(
                server.bin / "initdb",
                *("--pgdata", fresh, "--username", SUPERUSER, "--encoding", "UTF8", "--locale", locale),
                *("--data-checksums", "--auth-local=peer", "--auth-host=reject", "--no-instructions"),
            )
            if not made.returncode:
                break
        else:
            raise ClusterFailed(f"initdb failed in {self.place}: {made.stdout.strip()[-600:]}")
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write("\ninclude 'chengtu.conf'\n")
        fresh.rename(self._data)

    def _major(self) -> str:
        try:
            return (self._data / "PG_VERSION").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterFailed(
                f"{self._data} is damaged: it has no readable PG_VERSION, so it is no folder of PostgreSQL's. "
                "Move it away to start with an empty one."
            ) from error

    def _write(self, name: str, text: str, owner: Owner) -> None:
        path = self._data / name
        path.write_text(text, encoding="utf-8")
        owner.adopt(path)

    def _take_down(self) -> None:
        sockets = self._sockets()
        for order in (signal.SIGINT, signal.SIGQUIT):
            master, _ = self._processes()
            if master is None:
                break
            tell([master], order)
            wait_until(lambda pid=master: not lives(pid), time.monotonic() + STOP_DEADLINE_S)  # type: ignore[misc]
        if self._processes()[0] is not None:
            raise ClusterFailed(f"PostgreSQL in {self.place} does not stop: see {self.log}")
        if sockets is not None and sockets.parent != self.place:
            with suppress(OSError):
                sockets.rmdir()

    # ---- what runs

    def _sockets(self) -> Path | None:
        """The socket's folder as the running server noted it: the fifth line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return Path(lines[4]) if _is_private(Path(lines[4]), self._data.stat().st_uid) else None
        except (OSError, IndexError, UnicodeDecodeError):
            return None

    def _answers(self) -> bool:
        try:
            with self._connect("postgres") as connection:
                connection.execute("SELECT 1")
        except ClusterFailed:
            return False
        except psycopg.OperationalError as error:
            # A server with every place taken runs well.
            return any(sign in str(error) for sign in ("too many clients", "remaining connection slots"))
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)

    def _noted(self) -> int | None:
        """The process id in PostgreSQL's pid file, which may be that of a process long gone, or of a stranger."""
        try:
            return int((self._data / "postmaster.pid").read_text(encoding="utf-8").split(maxsplit=1)[0])
        except (OSError, ValueError, IndexError):
            return None

    def _processes(self) -> tuple[int | None, list[int]]:
        """The server's first process, if it lives, and its workers, by what they are called."""
        if not self._data.exists():
            return None, []
        noted, title, tail = self._noted(), f"postgres: {self._name}: ", f"/postgres -D {self._data}"
        master, workers = None, []
        for pid, command in commands():
            if command.startswith(title):
                workers.append(pid)
            elif command.endswith(tail) or (pid == noted and "/postgres -D " in command and works_in(pid, self._data)):
                master = pid if master != noted else master
        return master, workers


def _is_private(folder: Path, uid: int) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o077
