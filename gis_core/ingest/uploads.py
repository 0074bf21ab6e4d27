"""Files that people gave: what was said about each, kept so that its giver can read it again."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gis_core import records
from gis_core.access import Viewer
from gis_core.database import Database
from gis_core.errors import CityError, Forbidden, NotFound
from gis_core.ingest.report import SHOWN, Mode, Report

KEPT: Final = 10_000
"""Problems that are kept of one upload."""
TRIED, STORED, REFUSED = "tried", "stored", "refused"
_LONGEST_NAME: Final = 200
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Upload:
    """One file that somebody gave. `state` is `stored`, `tried` (a dry run) or `refused`."""

    id: str
    layer: str
    filename: str
    mode: str
    dry_run: bool
    state: str
    at: datetime
    report: dict[str, Any]
    said: dict[str, Any]

    @property
    def publishable(self) -> bool:
        """Whether its file was only tried and is kept, so that it can be published by its id."""
        return self.state == TRIED and bool(self.said)

    def as_json(self, shown: int = SHOWN) -> dict[str, Any]:
        """The upload with its report, as the browser gets it."""
        report = dict(self.report)
        report["problems"] = report.get("problems", [])[:shown]
        return {
            **report,
            "id": self.id,
            "layer": self.layer,
            "filename": self.filename,
            "mode": self.mode,
            "dry_run": self.dry_run,
            "state": self.state,
            "publishable": self.publishable,
            "at": self.at.isoformat(),
        }

    def problems_csv(self) -> str:
        """The kept problems as a table for spreadsheets; no cell is taken for a formula there."""
        text = io.StringIO()
        writer = csv.writer(text)
        names = ("row", "field", "why", "severity")
        writer.writerow(names)
        writer.writerows([_cell(problem.get(name)) for name in names] for problem in self.report.get("problems", ()))
        return text.getvalue()


def keep(
    database: Database,
    layer: str,
    viewer: Viewer,
    filename: str,
    mode: Mode,
    *,
    dry_run: bool,
    outcome: Report | CityError,
    said: Mapping[str, Any] | None = None,
) -> Upload:
    """Write down what became of a file; returns it under its new id, which nobody can guess.

    `said` is what its giver said beside a file that was only tried and is kept, to publish it by that.
    """
    state, stored, report = _outcome(outcome)
    row = {
        "id": secrets.token_hex(16),
        "layer": layer,
        "who": viewer.name,
        "owner": viewer.owner,
        "filename": filename.replace("\0", "")[-_LONGEST_NAME:],
        "mode": str(mode),
        "dry_run": dry_run,
        "state": state,
        "stored": stored,
        "report": _without_nul(report),
        "said": _without_nul(dict(said or {})) if state == TRIED else {},
    }
    with database.writing() as connection:
        found = connection.execute(sa.insert(records.Upload).values(row).returning(*_COLUMNS)).one()
    return Upload(**found._mapping)  # noqa: SLF001  SQLAlchemy's public name for a row as a mapping


def conclude(database: Database, upload: str, outcome: Report) -> Upload:
    """Write down what became of a file that was only tried before, once it was to be stored."""
    state, stored, report = _outcome(outcome)
    change: dict[str, Any] = {"report": _without_nul(report)}
    if state == STORED:
        change |= {"state": state, "stored": stored, "dry_run": False, "said": {}}
    with database.writing() as connection:
        query = sa.update(records.Upload).where(_TABLE.c.id == upload).values(change).returning(*_COLUMNS)
        found = connection.execute(query).one()
    return Upload(**found._mapping)  # noqa: SLF001


def _outcome(outcome: Report | CityError) -> tuple[str, int, dict[str, Any]]:
    if isinstance(outcome, Report):
        state = TRIED if outcome.dry_run else STORED if outcome.stored else REFUSED
        return state, outcome.stored, outcome.as_json(KEPT)
    return REFUSED, 0, {"detail": outcome.detail, "problems": [p.as_json() for p in outcome.problems[:KEPT]]}


def find(database: Database, upload: str, viewer: Viewer) -> Upload:
    """An upload, for whoever gave it or an administrator. Raises NotFound, Forbidden."""
    table: Any = records.Upload.__table__
    with database.writing() as connection:
        row = connection.execute(
            sa.select(*_COLUMNS, table.c.who, table.c.owner).where(table.c.id == upload)
        ).one_or_none()
    if row is None:
        raise NotFound("There is no such upload.")
    found = dict(row._mapping)  # noqa: SLF001
    who, owner = found.pop("who"), found.pop("owner")
    if not viewer.may("tokens") and not (viewer.may("upload") and (who, owner) == (viewer.name, viewer.owner)):
        raise Forbidden("this file was given by somebody else")
    return Upload(**found)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _without_nul(value: Any) -> Any:
    """The same for PostgreSQL's JSON, which holds neither NUL nor half of a surrogate pair."""
    if isinstance(value, str):
        return value.replace("\0", "�").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_nul(k): _without_nul(v) for k, v in value.items()}
    return [_without_nul(v) for v in value] if isinstance(value, list) else value


_TABLE: Any = records.Upload.__table__
_COLUMNS: Final = tuple(
    _TABLE.c[name] for name in ("id", "layer", "filename", "mode", "dry_run", "state", "at", "report", "said")
)
