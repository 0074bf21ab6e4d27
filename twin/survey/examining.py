"""A process of its own that examines one survey: `python -m twin.survey.examining`, with its task on standard input.

A survey of 100,000 points takes seconds of all a core can do and up to 2 GB: here it keeps nobody else waiting, and
its memory goes with it. The task is one line of JSON; standard input stays open for as long as somebody wants the
answer. Each line of standard output is JSON: how far it is, and at the end what was found.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import shapely
import sqlalchemy as sa

import layers
from gis_core.access import Role, Viewer, visible
from gis_core.database import Database
from gis_core.errors import CityError
from gis_core.rows import bare, spatial
from gis_core.spec import Layer
from twin.survey import Examination, Facts, Survey, examine, read_survey, standing
from twin.survey.difference import Scope, compare
from twin.survey.drafts import Drafts, coded, draft
from twin.survey.examination import Issue
from twin.survey.fields import Table
from twin.survey.findings import ERROR, WARNING
from twin.survey.place import place
from twin.survey.publishing import refused
from twin.survey.results import Results, bounds

EXAMINING: Final = 0.85
"""The share of the work that reading the files and trying the rules is."""
_MEMORY_BYTES: Final = 6 * 2**30
_ROADS_AROUND_DEG: Final = 0.01
_OWN_RULE: Final = {
    "id": "S1",
    "title": {"zh": "城市图层能够存入", "en": "The city's layers can hold the row"},
    "standard": "Chengtu",
    "clause": "",
    "grade": "V",
}


@dataclass(frozen=True)
class Task:
    """What is to be examined, and for whom. `area` is WKB as hexadecimal digits; `remarks` asks for the workbook."""

    database_url: str
    folder: str
    round: int
    owner: str
    files: list[dict[str, Any]]
    datum: str | None
    encoding: str | None
    corrections: dict[str, Any]
    scope: str
    bounds: list[float] | None
    area: str | None
    remarks: bool = False


class Teller:
    """Says in lines of JSON how far the work is."""

    def __init__(self, target: TextIO) -> None:
        """Say it there."""
        self._target = target

    def say(self, **told: Any) -> None:
        """One line."""
        self._target.write(json.dumps(told, ensure_ascii=True) + "\n")
        self._target.flush()

    def progress(self, share: float, word: str) -> None:
        """As `examine` and `read_survey` tell it."""
        reading = share <= 0.5  # noqa: PLR2004  the half that is reading, see `twin.survey`
        zh, en = ("读取文件", "Reading the files") if reading else (f"检查规则 {word}", f"Trying rule {word}")
        self.step(share * EXAMINING, zh, en)

    def step(self, share: float, zh: str, en: str) -> None:
        """A step of our own."""
        self.say(progress=round(share, 3), step={"zh": zh, "en": en})


def run(task: Task, teller: Teller) -> dict[str, Any]:
    """Examine a survey, keep what was found in its folder, and return the summary that the register keeps."""
    known = layers.load()
    database = Database(task.database_url, pool_size=2)
    try:
        survey = _read(task, teller)
        found = examine(survey, _facts(database, known, survey, task), progress=teller.progress)
        results = Results.of(Path(task.folder), task.round)
        if task.remarks:
            results.folder.mkdir(parents=True, exist_ok=True)
            found.to_excel(results.folder / "remarks.part.xlsx")
            (results.folder / "remarks.part.xlsx").replace(results.folder / "remarks.xlsx")
            return {}
        results.begin()
        return _conclude(task, teller, survey, found, database, known, results)
    finally:
        database.close()


def _read(task: Task, teller: Teller) -> Survey:
    paths = [Path(task.folder) / file["kept"] for file in task.files]
    names = [str(file["name"]) for file in task.files]
    return read_survey(
        paths[0],
        paths[1] if len(paths) > 1 else None,
        datum=task.datum,
        owner=task.owner,
        mapping=task.corrections,
        encoding=task.encoding,
        progress=teller.progress,
        names=(names[0], names[1] if len(names) > 1 else None),
    )


def _facts(database: Database, known: Mapping[str, Layer], survey: Survey, task: Task) -> Facts:
    """What the city knows of the place of a survey."""
    city: Any = tuple(task.bounds) if task.bounds else None
    area = shapely.from_wkb(bytes.fromhex(task.area)) if task.area else None
    placed = place(survey.points, survey.source, city)
    good = np.isfinite(placed.lon) & np.isfinite(placed.lat)
    if not good.any():
        return Facts(bounds=city, area=area)
    lon, lat = placed.lon[good], placed.lat[good]
    box = [float(edge) for edge in (lon.min(), lat.min(), lon.max(), lat.max())]
    around = [box[0] - _ROADS_AROUND_DEG, box[1] - _ROADS_AROUND_DEG, box[2] + _ROADS_AROUND_DEG,
              box[3] + _ROADS_AROUND_DEG]  # fmt: skip
    viewer = Viewer(Role.admin, name="chengtu")
    rows = visible(known["roads"], viewer, ("geom",))
    within = bare(rows.c.geom).op("&&")(spatial("ST_MakeEnvelope", *around, 4326))
    query = sa.select(spatial("ST_AsBinary", bare(rows.c.geom)).label("wkb")).where(within)
    with database.reading(viewer) as connection:
        roads = [bytes(wkb) for wkb in connection.scalars(query)]
    return Facts(bounds=city, area=area, roads=np.asarray(shapely.from_wkb(roads), object) if roads else None)


def _conclude(
    task: Task,
    teller: Teller,
    survey: Survey,
    found: Examination,
    database: Database,
    known: Mapping[str, Layer],
    results: Results,
) -> dict[str, Any]:
    """Compare with what stands, ask the layers whether they take the rows, and put everything in its place."""
    teller.step(0.87, "整理数据", "Putting rows in order")
    drafts = draft(found, known)
    teller.step(0.9, "与已发布数据比较", "Comparing with what is published")
    viewer = Viewer(Role.utility, task.owner, name="chengtu")
    area = bytes.fromhex(task.area) if task.area else None
    with database.reading(viewer, limit_s=300) as connection:
        stand = standing.read(connection, database, known, task.owner, area)
    ready = coded(drafts, task.owner, stand)
    difference = compare(ready, stand, Scope(task.scope))
    teller.step(0.95, "图层校验", "Asking the layers")
    own = _refusals(ready, database, known) if not found.faulty else []
    issues = [*own, *found.problems]
    results.write(issues, ready)
    rules = [_rule(tally.as_json()) for tally in found.counts]
    if own:
        rules.insert(0, {**_OWN_RULE, "severity": ERROR, "count": len(own)})
    owners = {str(name) for name in found.net.lines["owner"].dropna().unique()} - {task.owner}
    said = "、".join(sorted(owners)[:5])
    told = [f"权属单位“{said}”将按“{task.owner}”发布。/ Rows of {said} are published as those of {task.owner}."]
    return {
        "counts": {
            "points": len(found.net.points), "lines": len(found.net.lines),
            "errors": sum(issue.severity == ERROR for issue in issues),
            "warnings": sum(issue.severity == WARNING for issue in issues),
        },
        "rules": rules,
        "mapping": survey.as_json()["mapping"],
        "datum": survey.as_json()["datum"],
        "bounds": bounds(drafts),
        "skipped": dict(found.skipped),
        "notes": [*survey.notes, *(told if owners else [])],
        "rows": sum(len(rows) for rows in drafts.values()),
        "difference": {**difference.counts(), "against": list(stand.versions)},
    }  # fmt: skip


def _refusals(drafts: Drafts, database: Database, known: Mapping[str, Layer]) -> list[Issue]:
    """What the layers would not take, as errors of the survey, so that publishing holds no surprise."""
    found = []
    for table, problems in refused(database, known, drafts).items():
        rows = {int(row): i for i, row in enumerate(drafts[table].frame["_row"])}
        for problem in problems:
            if problem.severity != ERROR:
                continue
            at = rows.get(problem.row) if problem.row is not None else None
            lon, lat = _place(drafts, table, at)
            en = f"{problem.field} {problem.why}"
            found.append(
                Issue("S1", ERROR, str(table), problem.row, problem.field, f"图层无法存入：{en}", en, lon, lat)
            )
    return found


def _place(drafts: Drafts, table: Table, at: int | None) -> tuple[float | None, float | None]:
    if at is None:
        return None, None
    middle = shapely.centroid(drafts[table].shapes[at])
    return round(float(shapely.get_x(middle)), 8), round(float(shapely.get_y(middle)), 8)


def _rule(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": told["rule"], "severity": told["severity"], "count": told["rows"],
        "title": {"zh": told["zh"], "en": told["en"]},
        "standard": told["standard"], "clause": told["clause"], "grade": told["grade"],
    }  # fmt: skip


def main() -> None:
    """Read the task, do it, say what was found."""
    # What libraries print goes to the log; only our own lines are read at the other end.
    teller = Teller(os.fdopen(os.dup(1), "w", encoding="ascii"))
    os.dup2(2, 1)
    with suppress(OSError, ValueError):
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    task = Task(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_leave_with_asker, daemon=True).start()
    try:
        teller.say(done=run(task, teller))
    except CityError as error:
        teller.say(failed={"zh": f"无法检查：{error.detail}", "en": error.detail})
    except MemoryError:
        teller.say(failed={"zh": "内存不足：请拆分文件后上传", "en": "the files need too much memory; split them"})


def _leave_with_asker() -> None:
    """End at once when nobody waits for the answer any more."""
    # Not through sys.stdin, whose lock the interpreter wants when it ends.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
