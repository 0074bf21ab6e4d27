"""Versions of an owner's pipes: each a snapshot of all rows as they stood when something was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gis_core.database import Database
from gis_core.errors import NotFound
from gis_core.records import SurveyVersion
from twin.survey.fields import LAYERS, Table
from twin.survey.standing import Stand, unpack

_TABLE: Any = SurveyVersion.__table__
_LISTED: Final = tuple(c for c in _TABLE.c if c.name not in {"snapshot", "digest"})
_MOST: Final = 500


@dataclass(frozen=True)
class Version:
    """One version, without its rows."""

    number: int
    owner: str
    published_at: datetime
    who: str
    origin: str
    survey: str | None
    restored: int | None
    points: int
    lines: int
    difference: Mapping[str, Any]
    current: bool

    def as_json(self) -> dict[str, Any]:
        """The version as the browser gets it."""
        kinds = ("added", "removed", "moved", "changed")
        return {
            "number": self.number,
            "owner": self.owner,
            "published_at": self.published_at.isoformat(),
            "by": self.who,
            "origin": self.origin,
            "survey": self.survey,
            "restored": self.restored,
            "points": self.points,
            "lines": self.lines,
            **{kind: int(self.difference.get(kind, 0)) for kind in kinds},
            "current": self.current,
        }


def listed(database: Database, owner: str | None) -> list[Version]:
    """The versions of an owner (None: of all), newest first."""
    newest = sa.func.max(_TABLE.c.number).over(partition_by=_TABLE.c.owner)
    query = sa.select(*_LISTED, (_TABLE.c.number == newest).label("current")).order_by(_TABLE.c.id.desc()).limit(_MOST)
    if owner is not None:
        query = query.where(_TABLE.c.owner == owner)
    with database.writing() as connection:
        rows = connection.execute(query).mappings().all()
    return [Version(**{name: value for name, value in row.items() if name != "id"}) for row in rows]


def load(connection: sa.Connection, owner: str, number: int) -> Stand:
    """The rows of a version. Raises NotFound."""
    query = sa.select(_TABLE.c.snapshot, _TABLE.c.digest).where(_TABLE.c.owner == owner, _TABLE.c.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"there is no version {number} of {owner}")
    return unpack(row.snapshot, row.digest)


def add(
    connection: sa.Connection,
    stand: Stand,
    owner: str,
    who: str,
    origin: str,
    difference: Mapping[str, Any],
    *,
    survey: str | None = None,
    restored: int | None = None,
) -> int:
    """Keep what stands now as the owner's next version; its number. The caller holds the owner's lock."""
    content, digest = stand.snapshot()
    newest = sa.select(sa.func.coalesce(sa.func.max(_TABLE.c.number), 0)).where(_TABLE.c.owner == owner)
    number = int(connection.scalar(newest) or 0) + 1
    said = {
        "owner": owner,
        "number": number,
        "who": who,
        "origin": origin,
        "survey": survey,
        "restored": restored,
        "points": len(stand.tables[Table.points]),
        "lines": len(stand.tables[Table.lines]),
        "difference": difference,
        "digest": digest,
        "snapshot": content,
    }
    connection.execute(sa.insert(_TABLE).values(said))
    return number


def is_kept(connection: sa.Connection, owner: str, stand: Stand) -> bool:
    """Whether what stands is the newest version; rows may also come by uploads and city packs."""
    columns = (_TABLE.c.points, _TABLE.c.lines, _TABLE.c.published_at)
    query = sa.select(*columns).where(_TABLE.c.owner == owner).order_by(_TABLE.c.number.desc()).limit(1)
    last = connection.execute(query).one_or_none()
    counts = tuple(len(stand.tables[table]) for table in Table)
    if last is None:
        return not any(counts)
    if counts != (last.points, last.lines):
        return False
    for name in LAYERS.values():
        newest = sa.text(f"SELECT max(updated_at) FROM {name} WHERE owner = :owner")  # noqa: S608  a name of ours
        at = connection.scalar(newest, {"owner": owner})
        if at is not None and at > last.published_at:
            return False
    return True
