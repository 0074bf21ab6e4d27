"""The desk at which surveys are handed in, looked at, mended, compared, published and taken back; all that doors call.

A survey belongs to one owner. Whoever is bound to that owner, and staff that may edit pipes, handle it; to all others
it is not there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from gis_core.access import Role, Viewer, require
from gis_core.database import Database
from gis_core.errors import BadInput, Conflict, Forbidden, Unprocessable
from gis_core.ingest import Source
from gis_core.spec import Layer
from twin.survey import mapping as mappings
from twin.survey import standing, versions
from twin.survey.difference import Difference, Scope, compare
from twin.survey.drafts import coded
from twin.survey.examiners import Examiners
from twin.survey.fields import Table
from twin.survey.publishing import Press, Published
from twin.survey.register import EXAMINED, PUBLISHED, Kept, Register, Wish
from twin.survey.versions import Version

RIGHT: Final = "pipes.edit"
_SWEEP_S: Final = 6 * 3600.0
_READ_S: Final = 120.0
_LONGEST: Final = 200


class Desk:
    """Surveys of one city."""

    def __init__(self, database: Database, layers: Mapping[str, Layer], facts: Mapping[str, Any], home: Path) -> None:
        """Prepare; nothing is read and no folder made before somebody comes."""
        self._database = database
        self._layers = layers
        self._register = Register(database, home)
        self._examiners = Examiners(database, self._register, facts)
        self._swept = 0.0
        self._comparing = threading.Lock()

    def start(self) -> None:
        """Take up what an earlier process left."""
        if self._register.root.is_dir():
            self._sweep()
            self._examiners.start()

    def close(self) -> None:
        """End all examinations; they go on when the service comes back."""
        self._examiners.close()

    def take(
        self,
        viewer: Viewer,
        files: Sequence[tuple[str, BinaryIO]],
        *,
        owner: str | None = None,
        datum: str | None = None,
        mapping: Mapping[str, Any] | None = None,
        encoding: str | None = None,
        name: str | None = None,
        scope: Scope = Scope.extent,
    ) -> Kept:
        """Keep the files of a survey and have it examined. The owner's saved mapping holds where none is given.

        Raises:
            Forbidden: the viewer may not edit pipes, or not this owner's.
            BadInput, Unprocessable: there is no file, no owner, or the mapping makes no sense.
            TooManyRequests: the owner has too many surveys already.

        """
        whose = self.owner_of(viewer, owner)
        if whose is None:
            raise BadInput("Say whose survey this is: the field `owner`.")
        if not files or len(files) > len(Table):
            raise BadInput("Send the point table as `points`, and the line table as `lines` if it is another file.")
        corrections = self._register.saved_mapping(whose) if mapping is None else _checked(mapping)
        self._sweep()
        said = (name or "").strip()[:_LONGEST].replace("\0", "")
        wish = Wish(whose, viewer.name, said, datum or None, encoding or None, str(scope), viewer.area_wkb, corrections)
        kept = self._register.add(wish, files)
        self._examiners.add(kept)
        return kept

    def listed(self, viewer: Viewer) -> list[Kept]:
        """The surveys that the viewer may handle, newest first."""
        return self._register.listed(self.owner_of(viewer, None))

    def find(self, viewer: Viewer, survey: str) -> Kept:
        """A survey, with its difference as of now. Raises NotFound, Forbidden."""
        kept = self._of(viewer, survey)
        if kept.state == EXAMINED and kept.difference is not None:
            with self._database.writing() as connection:
                now = list(standing.layer_versions(connection))
            if kept.difference.get("against") != now:
                counts, _ = self._difference(kept)
                return replace(kept, difference=counts)
        return kept

    def remap(self, viewer: Viewer, survey: str, mapping: Mapping[str, Any], *, save: bool) -> Kept:
        """Examine a survey anew under corrected columns; what was corrected before and is not named again stays.

        Raises:
            NotFound, Forbidden: there is none, or it is not the viewer's.
            Unprocessable: the mapping makes no sense.
            Conflict: the survey is published.

        """
        kept = self._of(viewer, survey)
        corrections = _merged(kept.corrections, _checked(mapping))
        if kept.state == PUBLISHED:
            raise Conflict("This survey is published; upload it again to examine it otherwise.")
        ordered = self._register.order(kept, corrections)
        self._examiners.stop(survey)
        if save:
            self._register.save_mapping(kept.owner, corrections)
        self._examiners.add(ordered)
        return ordered

    def problems(
        self, viewer: Viewer, survey: str, rule: str | None, severity: str | None, after: int, limit: int
    ) -> dict[str, Any]:
        """A page of problems. Raises NotFound, Forbidden."""
        return self._register.results(self._of(viewer, survey)).problems(rule, severity, after, limit)

    def problems_geojson(self, viewer: Viewer, survey: str, rule: str | None, severity: str | None) -> dict[str, Any]:
        """Problems on the map. Raises NotFound, Forbidden."""
        return self._register.results(self._of(viewer, survey)).problems_geojson(rule, severity)

    def features(self, viewer: Viewer, survey: str, limit: int) -> dict[str, Any]:
        """Points and lines on the map. Raises NotFound, Forbidden."""
        return self._register.results(self._of(viewer, survey)).features(limit)

    def difference(self, viewer: Viewer, survey: str) -> dict[str, Any]:
        """What publishing would change, on the map; of a published survey, what it changed. Raises NotFound."""
        kept = self._of(viewer, survey)
        if kept.state == PUBLISHED:
            kept_file = self._register.results(kept).folder / "published.json"
            if kept_file.is_file():
                found: dict[str, Any] = json.loads(kept_file.read_text(encoding="utf-8"))
                return found
        _, told = self._difference(kept)
        return told

    def remarks(self, viewer: Viewer, survey: str) -> tuple[Path, str]:
        """The workbook with remarks, and a name for it. Raises NotFound, Forbidden, Unavailable."""
        kept = self._of(viewer, survey)
        return self._examiners.remarks(kept), f"{Path(kept.name).stem}-remarks.xlsx"

    def publish(self, viewer: Viewer, survey: str, *, accept_warnings: bool) -> Published:
        """Publish an examined survey.

        Raises:
            NotFound, Forbidden: there is none, or it is not the viewer's.
            Conflict: it is being examined, was published already, has errors, or warnings that nobody accepted.
            Unprocessable: the layers do not take a row.

        """
        kept = self._of(viewer, survey)
        _require_publishable(kept, accept_warnings=accept_warnings)
        results = self._register.results(kept)
        drafts = results.drafts()
        shown = self._difference(kept)[1]
        source = Source(kept.name, datum=str(kept.report.get("datum") or ""))
        with self._database.writing() as connection:
            now = self._register.lock(connection, kept)
            if (now.round, now.state) != (kept.round, kept.state):
                raise Conflict("The survey was examined anew, or published, in this moment.")
            press = Press(connection, self._database, self._layers, kept.owner, viewer)
            done = press.publish(drafts, Scope(kept.scope), source, kept.id)
            self._register.close(connection, kept, done.version, done.difference)
        (results.folder / "published.json").write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
        return done

    def remove(self, viewer: Viewer, survey: str) -> None:
        """Forget a survey; what was published of it stands. Raises NotFound, Forbidden."""
        kept = self._of(viewer, survey)
        self._register.remove(kept)
        self._examiners.stop(survey)

    def versions(self, viewer: Viewer, owner: str | None) -> list[Version]:
        """Versions of the viewer's owner; staff see those of an owner or of all. Raises Forbidden."""
        return versions.listed(self._database, self.owner_of(viewer, owner))

    def restore(self, viewer: Viewer, number: int, owner: str | None) -> Published:
        """Put a version in the place of all that its owner has. Raises NotFound, Forbidden, BadInput, Unprocessable."""
        whose = self.owner_of(viewer, owner)
        if whose is None:
            raise BadInput("Say whose version this is: `owner`.")
        with self._database.writing() as connection:
            return Press(connection, self._database, self._layers, whose, viewer).restore(number)

    def saved_mapping(self, viewer: Viewer) -> dict[str, Any]:
        """The corrections that hold for the next survey of the viewer's owner."""
        owner = self.owner_of(viewer, None)
        return {} if owner is None else self._register.saved_mapping(owner)

    def owner_of(self, viewer: Viewer, asked: str | None) -> str | None:
        """Whose surveys somebody handles: the owner it is bound to, or for staff the one asked for, None for all.

        Raises:
            Forbidden: the viewer may not edit pipes, or not this owner's.

        """
        require(viewer, RIGHT, "handle pipe surveys")
        asked = (asked or "").strip()[:_LONGEST].replace("\0", "") or None
        if viewer.owner is not None:
            if asked not in (None, viewer.owner):
                raise Forbidden("this token is bound to another owner")
            return viewer.owner
        if not viewer.may("staff"):
            raise Forbidden(f"role {viewer.role} handles the surveys of an owner, and this token names none")
        return asked

    def _of(self, viewer: Viewer, survey: str) -> Kept:
        return self._register.find(survey, self.owner_of(viewer, None))

    def _difference(self, kept: Kept) -> tuple[dict[str, Any], dict[str, Any]]:
        """Counts and GeoJSON of what publishing would change as of now; computed once for each state of the layers."""
        results = self._register.results(kept)
        reader = Viewer(Role.utility, kept.owner, name="chengtu")
        with self._comparing:
            with self._database.reading(reader, limit_s=_READ_S) as connection:
                against = list(standing.layer_versions(connection))
                cached = results.folder / f"difference-{'-'.join(map(str, against))}.json"
                if cached.is_file():
                    told = json.loads(cached.read_text(encoding="utf-8"))
                    return told.pop("counts"), told
                stand = standing.read(connection, self._database, self._layers, kept.owner, kept.area)
            found: Difference = compare(coded(results.drafts(), kept.owner, stand), stand, Scope(kept.scope))
            counts = {**found.counts(), "against": against}
            told = found.geojson(self._layers)
            for old in results.folder.glob("difference-*.json"):
                old.unlink(missing_ok=True)
            fresh = cached.with_suffix(".part")
            fresh.write_text(json.dumps({**told, "counts": counts}, ensure_ascii=False), encoding="utf-8")
            fresh.replace(cached)
            if kept.state == EXAMINED:
                self._register.note_difference(kept, counts)
            return counts, told

    def _sweep(self) -> None:
        if time.monotonic() - self._swept > _SWEEP_S or not self._swept:
            self._swept = time.monotonic()
            self._register.sweep()


def _require_publishable(kept: Kept, *, accept_warnings: bool) -> None:
    why = kept.why_not
    if why is not None:
        raise Conflict(f"{why['zh']} {why['en']}", state=kept.state)
    warnings = int(kept.report.get("counts", {}).get("warnings", 0))
    if warnings and not accept_warnings:
        words = f"有 {warnings} 处警告，确认后可发布 It has {warnings} warnings; publish it with accept_warnings."
        raise Conflict(words, warnings=warnings)


def _checked(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping from somebody, table by table. Raises Unprocessable."""
    found = {}
    for table in Table:
        given = mapping.get(str(table))
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise Unprocessable(f"mapping.{table} must be an object of column to field.")
        found[str(table)] = mappings.read(table, given)
    return found


def _merged(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Earlier corrections with later ones over them; a field that a column now gets is taken from the other one."""
    found = {}
    for table in map(str, Table):
        later = given.get(table, {})
        taken = {field for field in later.values() if field}
        kept = {c: f for c, f in before.get(table, {}).items() if c not in later and f not in taken}
        if kept or later:
            found[table] = {**kept, **later}
    return found
