"""Temporary files of a process in the home folder, where the next one clears away what a killed one left."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def scratch(home: Path) -> Iterator[None]:
    """Until the context ends, `tempfile` makes its files in a folder of this process alone, which then goes.

    Uploads of half a gigabyte pass through it. Where the home folder cannot be written the system's own place serves.
    """
    try:
        mine, handle = _take(home / "scratch")
    except OSError as error:
        log.warning("temporary files go to %s: %s", tempfile.gettempdir(), error)
        yield
        return
    before, tempfile.tempdir = tempfile.tempdir, str(mine)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(mine, ignore_errors=True)
        os.close(handle)


def _take(root: Path) -> tuple[Path, int]:
    """A new folder, locked by this process for as long as the handle is open; those that nobody holds are removed."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    gate = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in root.iterdir():
            with suppress(OSError):
                _clear(left)
        mine = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
        handle = os.open(mine, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(gate)
    return mine, handle


def _clear(left: Path) -> None:
    """Remove a folder unless a living process holds it, in which case BlockingIOError comes."""
    handle = os.open(left, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left)
    finally:
        os.close(handle)
