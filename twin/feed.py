"""The change feed: every process hears at once which layer has a new version, and keeps the list of them."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from gis_core.database import Database
from gis_core.errors import Unavailable
from gis_core.records import Change

CHANNEL = "chengtu_change"
_LONGEST_PAUSE_S = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """The newest state of one layer: it only grows, and says when it last did."""

    layer: str
    number: int
    changed_at: datetime


class Feed:
    """Listens to PostgreSQL's NOTIFY in one thread and tells any number of subscribers.

    A notice can be lost while the connection is down, so after each reconnect the table of versions is read again:
    the feed may be late, never wrong for good. `alive` says whether the connection stands.
    """

    def __init__(self, database: Database) -> None:
        """Prepare; nothing is opened before `start`."""
        self._database = database
        self._versions: dict[str, Version] = {}
        self._subscribers: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Version | None]]] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.alive = False

    def start(self) -> None:
        """Read the versions as they stand and begin to listen."""
        self._read_versions()
        self._thread = threading.Thread(target=self._listen, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and every subscription."""
        self._stopping.set()
        self.release()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def release(self) -> None:
        """End every subscription, so that a server that is told to stop need not wait for its listeners."""
        self._tell(None)

    def version(self, layer: str) -> int:
        """The layer's newest version known here; 0 before its first row."""
        known = self._versions.get(layer)
        return known.number if known else 0

    def changed_at(self, layer: str) -> datetime | None:
        """When the layer last changed."""
        known = self._versions.get(layer)
        return known.changed_at if known else None

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Version | None]]:
        """A queue that gets every new version, and None at the end. To be entered inside the event loop.

        The queue is bounded: a subscriber that does not keep up loses the oldest notices, and as versions only grow,
        the newest is all it needs.
        """
        queue: asyncio.Queue[Version | None] = asyncio.Queue(maxsize=256)
        entry = (asyncio.get_running_loop(), queue)
        with self._lock:
            self._subscribers.add(entry)
        try:
            yield queue
        finally:
            with self._lock:
                self._subscribers.discard(entry)

    def _listen(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                for payload in self._database.notices(CHANNEL, self._stopping):
                    if payload is None:
                        self.alive, pause = True, 0.1
                        self._read_versions()
                    else:
                        self._take(payload)
            except (OSError, Unavailable) as error:
                self.alive = False
                log.warning("the change feed lost its connection (%s); trying again in %.1f s", error, pause)
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _take(self, payload: str) -> None:
        told = json.loads(payload)
        self._note(Version(told["layer"], told["version"], datetime.fromisoformat(told["changed_at"])))

    def _read_versions(self) -> None:
        with self._database.writing() as connection:
            rows = connection.execute(sa.select(Change.layer, Change.version, Change.changed_at)).all()
        for layer, number, changed_at in rows:
            self._note(Version(layer, number, changed_at.astimezone(UTC)))

    def _note(self, version: Version) -> None:
        known = self._versions.get(version.layer)
        if known is None or known.number < version.number:
            self._versions[version.layer] = version
            self._tell(version)

    def _tell(self, version: Version | None) -> None:
        with self._lock:
            listeners = list(self._subscribers)
        for loop, queue in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_offer, queue, version)


def _offer(queue: asyncio.Queue[Version | None], version: Version | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(version)
