"""A survey becomes what stands, in one transaction: rows replaced, a version kept, the trail written, or none of it.

Rows come in through `gis_core.ingest` as those of any other file do. Publishing replaces the owner's rows for which
the survey speaks (`difference.Scope`): by default those of its classes within its outline, so that a survey of some
streets leaves all others alone. A row with the same code keeps its id; what the survey has no column for stays.
Publications of one owner wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from gis_core import audit
from gis_core.access import Role, Viewer
from gis_core.database import Database
from gis_core.errors import Problem, Unprocessable
from gis_core.ingest import Mode, Source, copying, ingest_frame
from gis_core.records import Dataset
from gis_core.spec import Layer
from twin.survey import standing, versions
from twin.survey.difference import Difference, Scope, compare
from twin.survey.drafts import ROW, Draft, Drafts, coded
from twin.survey.fields import LAYERS, Table
from twin.survey.standing import Stand

_WAIT: Final = "300s"
_SHOWN: Final = 200


@dataclass(frozen=True)
class Published:
    """What became of a publication."""

    version: int
    stored: int
    difference: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As the browser gets it."""
        return {"version": self.version, "stored": self.stored, "difference": dict(self.difference)}


@dataclass(frozen=True)
class Press:
    """Publishes within one transaction of the caller's, who ends it."""

    connection: sa.Connection
    database: Database
    layers: Mapping[str, Layer]
    owner: str
    viewer: Viewer

    def publish(self, drafts: Drafts, scope: Scope, source: Source, survey: str) -> Published:
        """Put a survey in the place of the owner's rows for which it speaks.

        Raises:
            Unprocessable: the layers do not take a row; nothing stands then but what stood.

        """
        stand = self._begin()
        ready = coded(drafts, self.owner, stand)
        found = compare(ready, stand, scope)
        self._remove(found)
        stored = sum(self._store(table, ready[table], source) for table in Table)
        return self._end(stored, found, "survey", survey=survey)

    def restore(self, number: int) -> Published:
        """Put a version in the place of all that the owner has; this makes a new version.

        Raises:
            NotFound: there is no such version.
            Unprocessable: the layers do not take a row.

        """
        kept = versions.load(self.connection, self.owner, number)
        stand = self._begin()
        drafts = {table: _as_draft(kept, table, self.layers) for table in Table}
        found = compare(drafts, stand, Scope.owner)
        self._remove(found)
        stored = 0
        for table in Table:
            for source, part in self._by_source(kept, table, drafts[table]):
                stored += self._store(table, part, source)
        return self._end(stored, found, "restore", restored=number)

    def _begin(self) -> Stand:
        """Wait for this owner's turn and for loads of the layers, and read what stands; keep it if nobody has."""
        self.connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}'")
        turn = sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.publish'), hashtext(:owner))")
        self.connection.execute(turn, {"owner": self.owner})
        for name in LAYERS.values():
            copying.begin(self.connection, self.layers[name])
        everything = standing.read(self.connection, self.database, self.layers, self.owner)
        if not versions.is_kept(self.connection, self.owner, everything):
            versions.add(self.connection, everything, self.owner, "chengtu", "before", {})
        if self.viewer.area_wkb is None:
            return everything
        return standing.read(self.connection, self.database, self.layers, self.owner, self.viewer.area_wkb)

    def _remove(self, found: Difference) -> None:
        for table, change in found.changes.items():
            if not len(change.removed):
                continue
            name = LAYERS[table]
            codes = change.standing.frame["code"].to_numpy(object)[change.removed].tolist()
            order = sa.text(f"DELETE FROM {name} WHERE owner = :owner AND code = ANY(:codes)")  # noqa: S608  our name
            self.connection.execute(order, {"owner": self.owner, "codes": codes})

    def _store(self, table: Table, draft: Draft, source: Source) -> int:
        if not len(draft):
            return 0
        # As the owner itself: whoever publishes, no other owner's row is replaced.
        bound = Viewer(
            Role.utility, self.owner, self.viewer.area, self.viewer.area_wkb, f"{self.viewer.name} ({self.viewer.role})"
        )
        report = ingest_frame(
            self.database,
            self.layers[LAYERS[table]],
            draft.as_geo(),
            source=source,
            mode=Mode.all_or_nothing,
            viewer=bound,
            connection=self.connection,
        )
        if report.stored != len(draft):
            problems = [in_file(problem, draft) for problem in report.problems[:_SHOWN]]
            raise Unprocessable(
                f"{report.refused} rows of the {table.label.en} cannot be stored, so nothing was published.",
                problems=problems,
            )
        return report.stored

    def _end(self, stored: int, found: Difference, origin: str, **more: Any) -> Published:
        after = standing.read(self.connection, self.database, self.layers, self.owner)
        counts = found.counts()
        number = versions.add(self.connection, after, self.owner, self.viewer.name, origin, counts, **more)
        said = ", ".join(f"{counts[kind]} {kind}" for kind in ("added", "removed", "moved", "changed"))
        detail = f"version {number} of {self.owner} by {origin}: {said}"
        audit.record(self.connection, self.viewer, "publish", "pipes", detail=detail)
        return Published(number, stored, counts)

    def _by_source(self, kept: Stand, table: Table, draft: Draft) -> Iterator[tuple[Source, Draft]]:
        """Rows of a version by the data sets that they came from: what was simulated is so again."""
        frame = kept.tables[table].frame
        sets = frame["dataset_id"].fillna(-1).to_numpy(np.int64)
        flags = frame["simulated"].fillna(value=False).to_numpy(bool)
        columns = (Dataset.title, Dataset.licence, Dataset.attribution, Dataset.datum)
        for dataset_id, simulated in sorted(set(zip(sets.tolist(), flags.tolist(), strict=True))):
            mask = (sets == dataset_id) & (flags == simulated)
            row = self.connection.execute(sa.select(*columns).where(Dataset.id == dataset_id)).one_or_none()
            said = row if row is not None else ("", "", "", "WGS 84")
            part = Draft(draft.frame[mask].reset_index(drop=True), draft.shapes[mask])
            yield Source(said[0], said[1], said[2], said[3], simulated=simulated), part


def _as_draft(kept: Stand, table: Table, layers: Mapping[str, Layer]) -> Draft:
    """A version's rows as if they came from a survey."""
    rows = kept.tables[table]
    frame = rows.frame[[name for name in layers[LAYERS[table]].fields if name in rows.frame]]
    return Draft(frame.assign(**{ROW: np.arange(1, len(frame) + 1)}), rows.shapes)


def refused(database: Database, layers: Mapping[str, Layer], drafts: Drafts) -> dict[Table, tuple[Problem, ...]]:
    """What the layers themselves would refuse, by table, rows as the file counts them; nothing is stored."""
    found = {}
    for table, rows in drafts.items():
        if len(rows):
            layer = layers[LAYERS[table]]
            report = ingest_frame(database, layer, rows.as_geo(), source=Source("survey"), dry_run=True)
            found[table] = tuple(in_file(problem, rows) for problem in report.problems)
    return found


def in_file(problem: Problem, draft: Draft) -> Problem:
    """A problem of a draft's row as one of the row in the file."""
    row = problem.row
    if row is not None and 0 < row <= len(draft):
        row = int(draft.frame[ROW].iloc[row - 1])
    return Problem(row, problem.field, problem.why, problem.severity)
