"""Files that people gave: what was said about each, kept so that its giver can read it again."""

from __future__ import annotations

import csv
import io
import secrets
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
) -> Upload:
    """Write down what became of a file; returns it under its new id, which nobody can guess."""
    if isinstance(outcome, Report):
        state = "tried" if dry_run else "stored" if outcome.stored else "refused"
        stored, report = outcome.stored, outcome.as_json(KEPT)
    else:
        state, stored = "refused", 0
        report = {"detail": outcome.detail, "problems": [p.as_json() for p in outcome.problems[:KEPT]]}
    said = {
        "id": secrets.token_urlsafe(16),
        "layer": layer,
        "who": viewer.name,
        "owner": viewer.owner,
        "filename": filename.replace("\0", "")[-_LONGEST_NAME:],
        "mode": str(mode),
        "dry_run": dry_run,
        "state": state,
        "stored": stored,
        "report": _without_nul(report),
    }
    with database.writing() as connection:
        row = connection.execute(sa.insert(records.Upload).values(said).returning(*_COLUMNS)).one()
    return Upload(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name for a row as a mapping


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
    _TABLE.c[name] for name in ("id", "layer", "filename", "mode", "dry_run", "state", "at", "report")
)
