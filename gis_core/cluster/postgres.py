"""The PostgreSQL with PostGIS that this machine has: where it lies, as whom it runs, what it is told.

`cluster` starts and stops one with what is found here. Nothing in this file keeps state.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gis_core.errors import Unavailable

OLDEST_POSTGRES = 14
OLDEST_POSTGIS = (3, 3)
SUPERUSER = "chengtu"
"""The database role that owns the cluster; also the name of the pg_ident map that leads to it."""
PORT = 5432
"""Only the name of the socket file: no TCP port is ever opened."""
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "16777216", "MALLOC_MMAP_THRESHOLD_": "16777216"}
"""For GNU malloc: a backend keeps up to 16 MB that it has freed. A tile of 150 kB takes and frees 2.6 MB; giving those
back to the system and taking them again was 660 page faults and a tenth of its time."""
COMMAND_TIMEOUT_S = 180
"""The longest that a single program of PostgreSQL (initdb is the slow one) may take."""

FAMILIES = (
    ("/usr/lib/postgresql", "*/bin"),  # Debian, Ubuntu
    ("/usr", "pgsql-*/bin"),  # packages of the PostgreSQL project on Fedora, RHEL, SUSE
    ("/usr/lib", "postgresql*/bin"),  # SUSE, Alpine, Gentoo
    ("/opt/homebrew/opt", "postgresql*/bin"),  # Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql*/bin"),  # Homebrew on Intel
    ("/Applications/Postgres.app/Contents/Versions", "*/bin"),
)


class ClusterMissing(Unavailable):
    """No PostgreSQL 14 or newer with PostGIS 3.3 or newer is installed on this machine."""


class ClusterFailed(Unavailable):
    """The private PostgreSQL cluster cannot be used."""


@dataclass(frozen=True)
class Server:
    """An installed PostgreSQL that has PostGIS: the folder of its programs and both versions, as "15.18", "3.3.2"."""

    bin: Path
    version: str
    postgis: str

    @property
    def major(self) -> str:
        """The part of the version that a data folder is bound to, as "15"."""
        return self.version.split(".")[0]


@dataclass(frozen=True)
class Owner:
    """The system user that the server runs as and that its files belong to."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, data: Path) -> Owner:
        """Whoever owns the data folder; before it exists the present user, or `postgres` when that is root.

        PostgreSQL refuses to run as root, and a folder made by one user stays that user's.
        """
        me = os.geteuid()
        try:
            uid = data.stat().st_uid
        except FileNotFoundError:
            uid = me
        except PermissionError as error:
            raise ClusterFailed(f"{data} belongs to another user; choose another --home.") from error
        if me not in (0, uid):
            raise ClusterFailed(f"{data} belongs to another user (id {uid}); choose another --home.")
        try:
            entry = pwd.getpwuid(uid) if uid else pwd.getpwnam("postgres")
        except KeyError as error:
            raise ClusterFailed(
                f"PostgreSQL needs a system user with a name, and user id {uid} has none."
                if uid
                else "PostgreSQL does not run as root and there is no system user `postgres`. "
                "Type: useradd --system postgres, or run as an ordinary user, or set DATABASE_URL."
            ) from error
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @property
    def is_another(self) -> bool:
        """Whether the present process must give up rights to act as the owner."""
        return os.geteuid() != self.uid

    def run(self, *command: str | Path, detached: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a program as the owner, with no variable of the caller's that PostgreSQL reads, and return its outcome.

        A detached program gets a session of its own, so that Ctrl-C in the caller's terminal does not reach it.
        """
        try:
            return subprocess.run(  # noqa: S603  the programs are those of the server that was found
                [os.fspath(word) for word in command],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **_KEEP_MEMORY},
                timeout=COMMAND_TIMEOUT_S,
                start_new_session=detached,
                umask=0o077,
                user=self.uid if self.is_another else None,
                group=self.gid if self.is_another else None,
                extra_groups=[] if self.is_another else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ClusterFailed(f"{command[0]} could not run as user {self.name}: {error}") from error

    def adopt(self, path: Path) -> None:
        """Make the owner the owner of a file or folder that this process made."""
        if self.is_another:
            os.chown(path, self.uid, self.gid)

    def takes(self, folder: Path) -> bool:
        """Make a folder the owner's alone; whether that worked and the owner may enter it."""
        try:
            self.adopt(folder)
            folder.chmod(0o700)
        except OSError:  # a mounted folder that cannot change hands
            return False
        return self.reaches(folder)

    def reaches(self, folder: Path) -> bool:
        """Whether the owner may enter the folder, every folder above it included."""
        return not self.is_another or self.run("/bin/sh", "-c", 'test -x "$1"', "sh", folder).returncode == 0


def find_server(major: str | None = None) -> Server:
    """The newest usable server on this machine, or the newest of one major version when its data already exist.

    Raises ClusterMissing with the line to type when there is none.
    """
    found = [server for server in _servers() if major in (None, server.major)]
    if not found:
        raise ClusterMissing(_how_to_get(major))
    return max(found, key=lambda server: (_numbers(server.version), _numbers(server.postgis)))


def settings_text(sockets: Path, cluster_name: str) -> str:
    """The server's settings on a machine that also runs the application: a file that postgresql.conf includes.

    Durable (fsync and synchronous_commit on), reachable through one socket only, no replication.
    """
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    cores = os.cpu_count() or 1
    settings: dict[str, str | float] = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "cluster_name": cluster_name,
        "max_connections": 60,
        "shared_buffers": f"{max(64, min(1024, memory_mb // 16))}MB",
        "effective_cache_size": f"{max(128, memory_mb // 2)}MB",
        "work_mem": f"{max(4, min(32, memory_mb // 256))}MB",
        "maintenance_work_mem": f"{max(64, min(512, memory_mb // 16))}MB",
        # A tile is many short calls into PostGIS: compiling the query costs more than running it.
        "jit": "off",
        # Tiles come many at a time; with few cores one query's helpers only take them from the others.
        "max_parallel_workers_per_gather": 0 if cores <= 2 else 2,  # noqa: PLR2004
        "random_page_cost": 1.1,
        "fsync": "on",
        "synchronous_commit": "on",
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "max_logical_replication_workers": 0,
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] %a ",
        "log_min_duration_statement": "2s",
        "log_checkpoints": "off",
    }
    if sys.platform == "linux":
        # A query whose asker has gone (a closed tile, a killed app) is ended instead of run to its end.
        settings["client_connection_check_interval"] = "1s"
    lines = (f"{name} = '{value}'" for name, value in settings.items())
    return "\n".join(["# Written at each start by gis_core.cluster.postgres; changes are lost.", *lines, ""])


def access_text(owner: Owner) -> tuple[str, str]:
    """pg_hba.conf and pg_ident.conf: the kernel says who is at the socket; the owner and root become the superuser."""
    note = "# Written at each start by gis_core.cluster.postgres; changes are lost.\n"
    names = dict.fromkeys((owner.name, "root"))
    who = "".join(f'{SUPERUSER} "{name}" {SUPERUSER}\n' for name in names)
    return f"{note}local all all peer map={SUPERUSER}\n", note + who


def last_words(log: Path) -> str:
    """Why a server did not start, as far as the end of its log tells."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    except OSError:
        return "it left no log"
    told = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|HINT|could not|invalid", line)] or lines
    return " / ".join(told[-3:])


def _servers() -> Iterator[Server]:
    for folder in dict.fromkeys(_program_folders()):
        if not (_may_run(folder / "postgres") and _may_run(folder / "initdb")):
            continue
        version = re.search(r"\d+(\.\d+)*", _answer(folder / "postgres", "--version"))
        postgis = version and _postgis_version(folder, version[0].split(".")[0])
        if not version or not postgis:
            continue
        if _numbers(version[0]) >= (OLDEST_POSTGRES,) and _numbers(postgis) >= OLDEST_POSTGIS:
            yield Server(folder, version[0], postgis)


def _program_folders() -> Iterator[Path]:
    """Folders that may hold a server, symbolic links resolved: what lies in PATH is often a link or a wrapper."""
    on_path = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    for folder in on_path:
        if _may_run(folder / "pg_config") and (answer := _answer(folder / "pg_config", "--bindir")):
            yield Path(answer).resolve()
    for root, pattern in FAMILIES:
        yield from (path.resolve() for path in sorted(Path(root).glob(pattern)))
    for folder in on_path:
        if _may_run(folder / "postgres"):
            yield (folder / "postgres").resolve().parent


def _postgis_version(programs: Path, major: str) -> str | None:
    """The PostGIS that CREATE EXTENSION would install, read from its control file."""
    shares = [Path("/usr/share/postgresql") / major, programs.parent / "share/postgresql", programs.parent / "share"]
    if _may_run(programs / "pg_config") and (answer := _answer(programs / "pg_config", "--sharedir")):
        shares.insert(0, Path(answer))
    for share in shares:
        try:
            text = (share / "extension/postgis.control").read_text(encoding="utf-8")
        except OSError:
            continue
        if found := re.search(r"default_version\s*=\s*'([^']+)'", text):
            return found[1]
    return None


def _may_run(program: Path) -> bool:
    """Whether it is there and may be run; PATH names folders that nobody may look into, too."""
    return os.access(program, os.X_OK)


def _answer(program: Path, question: str) -> str:
    try:
        run = subprocess.run(  # noqa: S603  a program that lies where PostgreSQL's lie, asked for its version
            [program, question], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return run.stdout.strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _how_to_get(major: str | None) -> str:
    lacking = (
        f"The data here were written by PostgreSQL {major}, and no PostgreSQL {major} with PostGIS 3.3 is installed."
        if major
        else ClusterMissing.title()
    )
    if shutil.which("apt-get"):
        line = (
            f"sudo apt-get install -y postgresql-{major}-postgis-3"
            if major
            else "sudo apt-get install -y postgresql-postgis"
        )
    elif shutil.which("dnf"):
        line = "sudo dnf install -y postgresql-server postgis"
    elif shutil.which("brew"):
        line = "brew install postgis"
    else:
        line = "(your system's package manager) install PostgreSQL and PostGIS"
    return f"{lacking} Type: {line}. Or set DATABASE_URL to a PostGIS database that you have."


__all__ = [
    "PORT",
    "SUPERUSER",
    "ClusterFailed",
    "ClusterMissing",
    "Owner",
    "Server",
    "access_text",
    "find_server",
    "last_words",
    "settings_text",
]
