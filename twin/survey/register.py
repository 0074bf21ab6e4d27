"""The register of surveys under way: one row each, its files and findings in a folder of the home folder.

A folder is written before its row and removed after it, so that a crash leaves at most a folder without a row, which
is swept. What one examination says is believed only while no newer one was ordered (`round`).
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import sqlalchemy as sa

from gis_core import records
from gis_core.database import Database
from gis_core.errors import NotFound, TooManyRequests
from twin.survey.results import Results

READING, EXAMINED, PUBLISHED, FAILED = "reading", "examined", "published", "failed"
MOST_KEPT: Final = 40
"""Surveys that one owner may keep at a time."""
MOST_WAITING: Final = 5
"""Surveys of one owner that may be waiting to be examined, or be examined, at a time."""
KEPT_DAYS: Final = 30
_ORPHAN_S: Final = 3600.0
_LONGEST: Final = 200
_CHUNK: Final = 2**20
_SURVEYS: Any = records.Survey.__table__
_MAPPINGS: Any = records.SurveyMapping.__table__
_LOST: Final = {"zh": "检查中断，请重新上传", "en": "The examination was cut off; upload it again."}
_WAITING: Final = {"zh": "等待检查", "en": "Waiting for its turn"}


@dataclass(frozen=True)
class Kept:
    """One survey as the register has it."""

    id: str
    owner: str
    who: str
    name: str
    files: list[dict[str, Any]]
    datum: str | None
    encoding: str | None
    scope: str
    area: bytes | None
    corrections: dict[str, Any]
    state: str
    round: int
    begun: int
    step: dict[str, Any]
    progress: float
    report: dict[str, Any]
    difference: dict[str, Any] | None
    version: int | None
    at: datetime
    touched_at: datetime

    @property
    def why_not(self) -> dict[str, str] | None:
        """Why it cannot be published; None where it can."""
        counts = self.report.get("counts", {})
        match self.state:
            case "reading":
                return {"zh": "正在检查", "en": "It is being examined."}
            case "failed":
                return {"zh": str(self.step.get("zh", "")), "en": str(self.step.get("en", ""))}
            case "published":
                return {"zh": f"已发布为版本 {self.version}", "en": f"It is published as version {self.version}."}
        if counts.get("errors"):
            n = counts["errors"]
            return {"zh": f"有 {n} 处错误，改正后重新上传", "en": f"It has {n} errors; mend them and upload it again."}
        if not self.report.get("rows"):
            return {"zh": "没有可发布的数据", "en": "It holds no row that could be published."}
        return None

    def as_json(self, *, whole: bool = True) -> dict[str, Any]:
        """The survey as the browser gets it; a list has no rules and no mapping."""
        told = {
            "id": self.id,
            "name": self.name,
            "owner": self.owner,
            "by": self.who,
            "files": [{k: v for k, v in file.items() if k != "kept"} for file in self.files],
            "datum": self.datum or self.report.get("datum"),
            "scope": self.scope,
            "state": self.state,
            "step": self.step,
            "progress": self.progress,
            "counts": self.report.get("counts") or dict.fromkeys(("points", "lines", "errors", "warnings"), 0),
            "bounds": self.report.get("bounds"),
            "publishable": self.why_not is None,
            "why_not": self.why_not,
            "difference": self.difference,
            "version": self.version,
            "at": self.at.isoformat(),
            "touched_at": self.touched_at.isoformat(),
        }
        if whole:
            told["mapping"] = self.report.get("mapping")
            told["corrections"] = self.corrections
            told["rules"] = self.report.get("rules", [])
            told["skipped"] = self.report.get("skipped", {})
            told["notes"] = self.report.get("notes", [])
        return told


@dataclass(frozen=True)
class Wish:
    """What somebody says of the files of a survey."""

    owner: str
    who: str
    name: str
    datum: str | None
    encoding: str | None
    scope: str
    area: bytes | None
    corrections: dict[str, Any]


class Register:
    """Rows and folders."""

    def __init__(self, database: Database, home: Path) -> None:
        """Look at the surveys of this city whose files lie in this home folder; nothing is made yet."""
        self._database = database
        # One home may hold several cities.
        self.root = home / "surveys" / str(database.engine.url.database or "city")

    def folder(self, survey: str) -> Path:
        """Where the files of a survey lie."""
        return self.root / survey

    def results(self, kept: Kept) -> Results:
        """What the newest examination left. Raises NotFound where it left nothing."""
        found = Results.of(self.folder(kept.id), kept.round)
        if kept.state not in {EXAMINED, PUBLISHED} or not found.folder.is_dir():
            raise NotFound("There are no results of this survey: it was not examined, or its files are gone.")
        return found

    def add(self, wish: Wish, files: Sequence[tuple[str, BinaryIO]]) -> Kept:
        """Keep files under a new id, which nobody can guess. Raises TooManyRequests where an owner keeps too many."""
        self._require_room(wish.owner)
        survey = secrets.token_hex(12)
        folder = self.folder(survey)
        folder.mkdir(parents=True, mode=0o700)
        try:
            said = []
            for part, (name, content) in zip(("points", "lines"), files, strict=False):
                plain = PurePosixPath(name.replace("\\", "/")).name.replace("\0", "") or "file"
                kept = folder / part
                with kept.open("wb") as target:
                    shutil.copyfileobj(content, target, _CHUNK)
                said.append({"part": part, "name": plain[-_LONGEST:], "bytes": kept.stat().st_size, "kept": part})
            row = {"id": survey, **vars(wish), "files": said, "state": READING, "step": _WAITING, "round": 1}
            with self._database.writing() as connection:
                connection.execute(sa.insert(_SURVEYS).values({**row, "name": row["name"] or said[0]["name"]}))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self.find(survey, wish.owner)

    def find(self, survey: str, owner: str | None) -> Kept:
        """A survey, if it is this owner's (None: anybody's). Raises NotFound."""
        query = sa.select(_SURVEYS).where(_SURVEYS.c.id == survey)
        if owner is not None:
            query = query.where(_SURVEYS.c.owner == owner)
        with self._database.writing() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such survey.")
        return Kept(**row)

    def listed(self, owner: str | None) -> list[Kept]:
        """Surveys of an owner (None: all), newest first."""
        query = sa.select(_SURVEYS).order_by(_SURVEYS.c.at.desc()).limit(500)
        if owner is not None:
            query = query.where(_SURVEYS.c.owner == owner)
        with self._database.writing() as connection:
            return [Kept(**row) for row in connection.execute(query).mappings()]

    def reading(self) -> list[Kept]:
        """Surveys that wait to be examined, or were being examined when somebody died, the oldest first."""
        query = sa.select(_SURVEYS).where(_SURVEYS.c.state == READING).order_by(_SURVEYS.c.touched_at)
        with self._database.writing() as connection:
            return [Kept(**row) for row in connection.execute(query).mappings()]

    def order(self, kept: Kept, corrections: Mapping[str, Any]) -> Kept:
        """Have it examined anew under other corrections; what is said of it by earlier examinations counts no more."""
        self._require_room(kept.owner, new=0)
        change = {
            "corrections": dict(corrections), "state": READING, "step": _WAITING, "progress": 0.0, "begun": 0,
            "round": _SURVEYS.c.round + 1, "report": {}, "difference": None, "version": None,
        }  # fmt: skip
        self._set(_SURVEYS.c.id == kept.id, change)
        return self.find(kept.id, kept.owner)

    def say(self, kept: Kept, **change: Any) -> bool:
        """Write down what an examination says; whether it is still the newest one, and still being read."""
        same = sa.and_(_SURVEYS.c.id == kept.id, _SURVEYS.c.round == kept.round, _SURVEYS.c.state == READING)
        return self._set(same, change) > 0

    def begin(self, kept: Kept) -> bool:
        """Count another start of an examination; whether it is still wanted."""
        return self.say(kept, begun=_SURVEYS.c.begun + 1)

    def note_difference(self, kept: Kept, difference: Mapping[str, Any]) -> None:
        """Write down what publishing would change as of now."""
        same = sa.and_(_SURVEYS.c.id == kept.id, _SURVEYS.c.round == kept.round, _SURVEYS.c.state == EXAMINED)
        self._set(same, {"difference": dict(difference)})

    def lock(self, connection: sa.Connection, kept: Kept) -> Kept:
        """The survey as it is now, which nobody else changes until the caller's transaction ends. Raises NotFound."""
        query = sa.select(_SURVEYS).where(_SURVEYS.c.id == kept.id).with_for_update()
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound("There is no such survey.")
        return Kept(**row)

    def close(self, connection: sa.Connection, kept: Kept, version: int, difference: Mapping[str, Any]) -> None:
        """Write down, within the publication's transaction, that it is published."""
        change = {"state": PUBLISHED, "version": version, "difference": dict(difference), "touched_at": sa.func.now()}
        connection.execute(sa.update(_SURVEYS).where(_SURVEYS.c.id == kept.id).values(change))

    def remove(self, kept: Kept) -> None:
        """Forget a survey and its files; what was published of it stands."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(_SURVEYS).where(_SURVEYS.c.id == kept.id))
        shutil.rmtree(self.folder(kept.id), ignore_errors=True)

    def sweep(self) -> int:
        """Forget surveys that nobody touched for a month, and folders without a row; how many folders went.

        What has been waiting for a day waits for a process that does not come back, and has failed.
        """
        now = datetime.now(UTC)
        old, lost = now - timedelta(days=KEPT_DAYS), now - timedelta(days=1)
        with self._database.writing() as connection:
            forsaken = sa.and_(_SURVEYS.c.state == READING, _SURVEYS.c.touched_at < lost)
            connection.execute(sa.update(_SURVEYS).where(forsaken).values(state=FAILED, step=_LOST))
            connection.execute(sa.delete(_SURVEYS).where(_SURVEYS.c.touched_at < old, _SURVEYS.c.state != READING))
            known = set(connection.scalars(sa.select(_SURVEYS.c.id)))
        gone = 0
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            if folder.name not in known and time.time() - folder.stat().st_mtime > _ORPHAN_S:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
        return gone

    def save_mapping(self, owner: str, mapping: Mapping[str, Any]) -> None:
        """Keep corrections for an owner's next surveys."""
        said = {"owner": owner, "mapping": dict(mapping)}
        insert: Any = sa.dialects.postgresql.insert(_MAPPINGS).values(said)
        change = {"mapping": insert.excluded.mapping, "at": sa.func.now()}
        with self._database.writing() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["owner"], set_=change))

    def saved_mapping(self, owner: str) -> dict[str, Any]:
        """An owner's kept corrections; nothing where there are none."""
        with self._database.writing() as connection:
            found = connection.scalar(sa.select(_MAPPINGS.c.mapping).where(_MAPPINGS.c.owner == owner))
        return dict(found or {})

    def _require_room(self, owner: str, new: int = 1) -> None:
        count = sa.select(sa.func.count(), sa.func.count().filter(_SURVEYS.c.state == READING))
        with self._database.writing() as connection:
            kept, waiting = connection.execute(count.where(_SURVEYS.c.owner == owner)).one()
        if waiting >= MOST_WAITING:
            raise TooManyRequests(
                f"{waiting} surveys of {owner} are being examined; wait until they are.", retry_after=30
            )
        if kept + new > MOST_KEPT:
            raise TooManyRequests(f"{owner} keeps {kept} surveys; remove some that are no longer needed.")

    def _set(self, where: Any, change: Mapping[str, Any]) -> int:
        values = {"touched_at": sa.func.now(), **change}
        with self._database.writing() as connection:
            return int(connection.execute(sa.update(_SURVEYS).where(where).values(values)).rowcount)
