"""The processes of this machine as the private cluster must know them, locks between them, and waiting."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LONGEST_PAUSE_S = 0.05


def commands() -> Iterator[tuple[int, str]]:
    """Every living process that can be seen: its id and its command line, words joined by one blank.

    A PostgreSQL worker writes its title over its command line, so the title is what comes.
    """
    if not PROC.joinpath("self").exists():
        yield from _commands_by_ps()
        return
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it ended meanwhile
                line = (entry / "cmdline").read_bytes().decode(errors="surrogateescape")
                if line := line.rstrip("\0 ").replace("\0", " "):  # empty for the kernel's own and for zombies
                    yield int(entry.name), line


def lives(pid: int) -> bool:
    """Whether a process lives. One that ended and was not yet collected by its parent does not."""
    if not PROC.joinpath("self").exists():
        return any(pid == other for other, _ in _commands_by_ps())
    try:
        status = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def is_taken(pid: int) -> bool:
    """Whether the system still knows a process by that number, be it living or not yet collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def works_in(pid: int, folder: Path) -> bool | None:
    """Whether a process has its working directory there; None if the system does not tell."""
    try:
        return (PROC / str(pid) / "cwd").samefile(folder)
    except OSError:
        return None


def tell(pids: Iterable[int], order: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, order)


def wait_until(done: Callable[[], bool], deadline: float) -> bool:
    """Ask again, ever more slowly, until it is done or `time.monotonic()` passes the deadline; whether it is done."""
    pause_s = 0.002
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
    return True


def open_lock_file(path: Path) -> int:
    """Open a file to be locked, making it if need be; it belongs to its folder's owner, also if root makes it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(handle, folder.st_uid, folder.st_gid)
    return handle


def lock_file(handle: int, kind: int, deadline: float) -> bool:
    """Lock an open file (fcntl.LOCK_SH or LOCK_EX) until it is closed or the process ends; whether it came in time."""

    def locked() -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        return False

    return wait_until(locked, deadline)


def _commands_by_ps() -> Iterator[tuple[int, str]]:
    """Where there is no /proc (macOS)."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,command="],  # noqa: S607  the system's own
        check=False,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    for line in listing.stdout.splitlines():
        pid, state, command = (*line.split(maxsplit=2), "", "", "")[:3]
        if pid.isdecimal() and not state.startswith("Z"):
            yield int(pid), command.rstrip()
