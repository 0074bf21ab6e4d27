"""The audit trail: who asked for what and was refused or allowed; rows are only added, and each seals the one before.

Every row's digest covers its content and the digest of the row before it, so that a row that was altered, removed or
slipped in is found at its place (GB/T 22239-2019 level 3: records are protected from deletion and change). A trigger
refuses changes; the chain finds those that a superuser makes all the same. Rows cut off at the end leave no gap, so
whoever wants to prove that none are keeps the newest digest elsewhere and gives it to `verify`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gis_core import records
from gis_core.access import Viewer
from gis_core.database import Database
from gis_core.errors import CityError

LONGEST_TEXT = 500
"""Characters kept of each text; what an outsider asks for has no other limit."""
_FIRST = bytes(32)
_AUDIT: Any = records.Audit.__table__
_GATHER_S = 0.2
_LONGEST_PAUSE_S = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One thing that somebody did or was refused."""

    at: datetime
    who: str
    role: str
    action: str
    target: str
    allowed: bool
    detail: str = ""

    @classmethod
    def of(cls, viewer: Viewer, action: str, target: str, *, allowed: bool, detail: str = "") -> Entry:
        """What this viewer just did."""
        texts = (_kept(text) for text in (viewer.name, viewer.role, action, target))
        who, role, action, target = texts
        return cls(datetime.now(UTC), who, role, action, target, allowed, _kept(detail))

    def sealed(self, previous: bytes) -> bytes:
        """The SHA-256 digest of this entry after the entry with the digest `previous`."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        content = [at, self.who, self.role, self.action, self.target, self.allowed, self.detail]
        return hashlib.sha256(previous + json.dumps(content).encode()).digest()


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: the rows that hold, the newest digest among them, and the first row that does not fit."""

    rows: int
    head: bytes
    broken_at: int | None = None
    why: str = ""

    @property
    def whole(self) -> bool:
        """Whether every row is as it was written."""
        return not self.why


def append(connection: sa.Connection, entries: Sequence[Entry]) -> None:
    """Add entries within the caller's transaction, as its last step: other writers of the trail wait for its end."""
    if not entries:
        return
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.audit'))"))
    newest = sa.select(_AUDIT.c.digest).order_by(_AUDIT.c.id.desc()).limit(1)
    previous = connection.scalar(newest) or _FIRST
    rows = []
    for entry in entries:
        digest = entry.sealed(previous)
        rows.append({**vars(entry), "previous": previous, "digest": digest})
        previous = digest
    connection.execute(sa.insert(_AUDIT), rows)


def record(
    connection: sa.Connection, viewer: Viewer, action: str, target: str, *, allowed: bool = True, detail: str = ""
) -> None:
    """Add one entry within the caller's transaction: a change of data stands with its entry or not at all."""
    append(connection, [Entry.of(viewer, action, target, allowed=allowed, detail=detail)])


def read(database: Database, *, before: int | None = None, limit: int = 100) -> list[tuple[int, Entry]]:
    """The newest entries with their ids, newest first; `before` an id, for the next page."""
    query = sa.select(_AUDIT).order_by(_AUDIT.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_AUDIT.c.id < before)
    with database.writing() as connection:
        return [(row.id, _entry(row)) for row in connection.execute(query)]


def verify(database: Database, known: bytes | None = None) -> Verdict:
    """Recompute the whole chain; `known` is a digest that was kept elsewhere and must be in it.

    Takes time in proportion to the trail, some 100,000 rows a second.
    """
    previous, rows, met = _FIRST, 0, known in (None, _FIRST)
    query = sa.select(_AUDIT).order_by(_AUDIT.c.id).execution_options(yield_per=5000)
    with database.writing() as connection, connection.execute(query) as result:
        for row in result:
            if row.previous != previous:
                return Verdict(rows, previous, row.id, "the row before it was removed, or this one was slipped in")
            if row.digest != _entry(row).sealed(previous):
                return Verdict(rows, previous, row.id, "its content is not what was written")
            previous, rows = row.digest, rows + 1
            met = met or previous == known
    if not met:
        return Verdict(rows, previous, None, "the digest that was kept elsewhere is not in the trail: its end was cut")
    return Verdict(rows, previous)


class Trail:
    """Entries on their way to the database: a bounded queue and one writer, so that a flood of refusals costs little.

    What is asked within a fifth of a second is written in one transaction, equal entries as one with their number.
    When the queue is full, further entries are counted, and the count is written. `close` writes what is waiting.
    """

    def __init__(self, database: Database, *, most: int = 10_000) -> None:
        """Prepare; the writer begins with the first entry."""
        self._database = database
        self._most = most
        self._waiting: deque[Entry] = deque()
        self._lost = 0
        self._writing = False
        self._hurry = threading.Event()
        self._closing = False
        self._moved = threading.Condition()
        self._writer: threading.Thread | None = None

    def record(self, viewer: Viewer, action: str, target: str, *, allowed: bool, detail: str = "") -> None:
        """Note something; returns at once."""
        entry = Entry.of(viewer, action, target, allowed=allowed, detail=detail)
        with self._moved:
            if len(self._waiting) >= self._most:
                self._lost += 1
                return
            self._waiting.append(entry)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="audit", daemon=True)
                self._writer.start()
            self._moved.notify_all()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that was noted is stored; whether it is."""
        self._hurry.set()
        with self._moved:
            return self._moved.wait_for(lambda: not self._waiting and not self._writing, timeout_s)

    def close(self) -> None:
        """Store what is waiting and end the writer; what the database does not take now goes to the log."""
        with self._moved:
            self._closing = True
            self._hurry.set()
            self._moved.notify_all()
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.join()
        with self._moved:
            self._closing = False

    def _write(self) -> None:
        pause = _GATHER_S
        while True:
            with self._moved:
                self._moved.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
            self._hurry.wait(pause)
            with self._moved:
                self._hurry.clear()
                batch, lost = list(self._waiting), self._lost
                self._waiting.clear()
                self._lost, self._writing = 0, True
            stored = self._store(batch, lost)
            with self._moved:
                self._writing = False
                if not stored and not self._closing:
                    room = max(0, self._most - len(self._waiting))
                    self._waiting.extendleft(reversed(batch[:room]))
                    self._lost += lost + len(batch[room:])
                elif not stored:
                    log.error("%d entries of the audit trail were not stored: %s", len(batch) + lost, batch[:20])
                self._moved.notify_all()
            pause = _GATHER_S if stored else min(pause * 2, _LONGEST_PAUSE_S)

    def _store(self, batch: Sequence[Entry], lost: int) -> bool:
        entries = _together(batch)
        if lost:
            words = f"{lost} more entries were not kept: too many at once"
            entries.append(
                Entry(datetime.now(UTC), "chengtu", "service", "audit", "trail", allowed=False, detail=words)
            )
        try:
            with self._database.writing() as connection:
                append(connection, entries)
        except (CityError, sa.exc.SQLAlchemyError) as error:
            log.warning("the audit trail could not be written (%s); trying again", error)
            return False
        return True


def _together(batch: Iterable[Entry]) -> list[Entry]:
    """Equal entries as one, which says how many they were; the time is that of the first."""
    first: dict[Entry, Entry] = {}
    count: dict[Entry, int] = {}
    for entry in batch:
        same = replace(entry, at=datetime.min.replace(tzinfo=UTC))
        first.setdefault(same, entry)
        count[same] = count.get(same, 0) + 1
    return [
        entry if count[same] == 1 else replace(entry, detail=f"{entry.detail} (x{count[same]})")
        for same, entry in first.items()
    ]


def _entry(row: Any) -> Entry:
    return Entry(row.at, row.who, row.role, row.action, row.target, row.allowed, row.detail)


def _kept(text: str) -> str:
    """What PostgreSQL can store of a text: no NUL, no half of a surrogate pair, not too long."""
    return text[:LONGEST_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
