"""A utility's pipe survey: two tables are read, mapped, placed and examined; nothing of them is stored here.

`read_survey` takes the files as they come and `examine` says what is wrong with them, row by row. Neither raises for
what a file holds: a file that cannot be read is a survey without rows whose examination says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from gis_core.crs import LocalGrid, Source
from gis_core.errors import CityError
from twin.survey import mapping as mappings
from twin.survey.examination import Examination
from twin.survey.fields import Table
from twin.survey.findings import ERROR, WARNING, Found, of_all
from twin.survey.frames import Reader
from twin.survey.knitting import knit, pointed
from twin.survey.mapping import Mapping as ColumnMapping
from twin.survey.network import Facts, Network
from twin.survey.place import declared, line_shapes, place
from twin.survey.rules import Rule, all_rules
from twin.survey.tables import Raw, read_tables

__all__ = ["Examination", "Facts", "Survey", "Table", "examine", "read_survey"]

Progress: TypeAlias = Callable[[float, str], None]

_READ: Final = 0.5
"""The share of the work, in a progress bar, that reading is."""
_LEAST_RECOGNISED: Final = 2
_NEEDED: Final = {
    "area": "the district's outline",
    "elevation": "an elevation model",
    "roads": "the streets",
    "geometries": "lines with a shape of their own",
}


@dataclass(frozen=True)
class Survey:
    """Two tables as read: frames under canonical names, how their columns were understood, what reading found wrong.

    `points` and `lines` have `row`, the number in the file, and the fields of `twin.survey.fields`. `source` is what
    the coordinates `east`, `north` are in; None where nobody said. `shapes` are the lines' own geometries as the file
    has them, if it has some.
    """

    owner: str
    points: pd.DataFrame
    lines: pd.DataFrame
    mapping: Mapping[Table, ColumnMapping]
    raw: Mapping[Table, Raw]
    source: Source | None
    found: tuple[Found, ...]
    shapes: npt.NDArray[np.object_] | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What was read, for the page on which a person corrects the mapping."""
        return {
            "owner": self.owner,
            "datum": None if self.source is None else self.source.tag,
            "rows": {"points": len(self.points), "lines": len(self.lines)},
            "mapping": {str(table): mapped.as_json() for table, mapped in self.mapping.items()},
            "notes": list(self.notes),
        }


def read_survey(
    points: Path,
    lines: Path | None = None,
    *,
    datum: str | None,
    owner: str,
    mapping: Mapping[str, Any] | None = None,
    encoding: str | None = None,
    progress: Progress | None = None,
    grids: Mapping[str, LocalGrid] | None = None,
    names: tuple[str, str | None] | None = None,
) -> Survey:
    """Read a survey from one file with both tables, or from two.

    `datum` is what the coordinates are declared to be in (see `gis_core.crs.ACCEPTED`), a name of `grids` among them.
    `mapping` are corrections by table, `{"points": {...}, "lines": {...}}`, each as `mapping.apply` takes them.
    `names` are what the files are called by their giver. `progress` is told a share of 0 to 1 and a word.

    Raises:
        Unprocessable: a correction of the mapping names an unknown field.

    """
    corrections = {table: (mapping or {}).get(str(table)) for table in Table}
    for table, given in corrections.items():
        if given:
            mappings.read(table, given)
    called = names or (points.name, lines.name if lines else None)
    found: list[Found] = []
    tables: list[Raw] = []
    for path, name in ((points, called[0]), (lines, called[1])):
        if path is None:
            continue
        _tell(progress, 0.05 if path is points else 0.25, f"reading {name}")
        try:
            tables += read_tables(path, name=name, encoding=encoding)
        except CityError as error:
            found.append(
                _of_file("A1", f"文件 {name} 无法读取：{error.detail}", f"{name} cannot be read: {error.detail}")
            )
    raw, more = _sorted_out(tables, corrections)
    found += more if tables else []
    mapped = {table: mappings.apply(table, list(raw[table].columns), corrections[table]) for table in Table}
    for table in Table:
        if len(raw[table].columns) or raw[table].geometries is not None:
            found += _headers(mapped[table], raw[table])
    _tell(progress, _READ * 0.8, "reading cells")
    frames = {}
    for table in Table:
        reader = Reader(raw[table], mapped[table])
        frames[table] = reader.frame()
        found += reader.found
    source, more = declared(datum, next((r.crs for r in raw.values() if r.crs), None), grids)
    found += more if len(frames[Table.points]) else []
    notes = [note for table in raw.values() for note in table.notes]
    shapes = raw[Table.lines].geometries
    frames[Table.points] = pointed(frames[Table.points], raw[Table.points], notes)
    if shapes is not None:
        frames[Table.lines] = knit(frames[Table.points], frames[Table.lines], shapes, source, notes)
    _tell(progress, _READ, "read")
    both = (frames[Table.points], frames[Table.lines])
    return Survey(owner, *both, mapped, raw, source, tuple(found), shapes, tuple(dict.fromkeys(notes)))


def examine(survey: Survey, facts: Facts | None = None, *, progress: Progress | None = None) -> Examination:
    """Try every rule on a survey; a rule without the facts that it needs is named as not tried."""
    facts = facts or Facts()
    placed = place(survey.points, survey.source, facts.bounds)
    shapes = None if survey.shapes is None else line_shapes(survey.shapes, survey.source, placed)
    columns = {table: frozenset(mapped.columns) for table, mapped in survey.mapping.items()}
    if survey.raw[Table.points].geometries is not None:
        columns[Table.points] |= {"east", "north"}
    net = Network(survey.points, survey.lines, placed, facts, shapes, survey.found, columns)
    rules = all_rules()
    results: list[tuple[Rule, Found]] = []
    skipped: dict[str, str] = {}
    for i, known in enumerate(rules.values()):
        _tell(progress, _READ + (1 - _READ) * i / len(rules), known.id)
        missing = [_NEEDED[need] for need in known.needs if _absent(net, need)]
        if missing:
            skipped[known.id] = f"needs {', '.join(missing)}"
        found = list(known.check(net))
        results += [(known, f) for f in found if len(f.rows) or f.whole]
    _tell(progress, 1.0, "examined")
    return Examination(survey.owner, net, survey.raw, tuple(results), skipped, survey.notes)


def _absent(net: Network, need: str) -> bool:
    return net.geometries is None if need == "geometries" else getattr(net.facts, need) is None


def _tell(progress: Progress | None, share: float, word: str) -> None:
    if progress is not None:
        progress(share, word)


def _of_file(rule: str, zh: str, en: str, table: Table = Table.points, severity: str = ERROR, field: str = "") -> Found:
    return of_all(table, field, zh, en, severity, rule)


def _sorted_out(
    tables: list[Raw], corrections: Mapping[Table, Mapping[str, Any] | None]
) -> tuple[dict[Table, Raw], list[Found]]:
    """Which table is the points' and which the lines', by their columns and shapes, whatever the files are called."""
    chosen: dict[Table, Raw] = {}
    found: list[Found] = []
    scored = {table: [(_score(table, raw, corrections[table]), raw) for raw in tables] for table in Table}
    for table, other in ((Table.points, Table.lines), (Table.lines, Table.points)):
        fits = [
            (score, raw)
            for (score, raw), (against, _) in zip(scored[table], scored[other], strict=True)
            if score >= _LEAST_RECOGNISED and score >= against
        ]
        if not fits:
            zh, en = f"没有找到{table.label.zh}", f"there is no {table.label.en}"
            found.append(_of_file("A1", zh, en, table))
            chosen[table] = Raw("", {}, np.empty(0, np.int64))
            continue
        fits.sort(key=lambda pair: -pair[0])
        chosen[table] = fits[0][1]
        rest = [raw.name for _, raw in fits[1:] if len(raw)]
        if rest:
            listed = ", ".join(rest[:5])
            zh = f"有多张{table.label.zh}，只检查了“{chosen[table].name}”，未检查：{listed}"
            en = f"there is more than one {table.label.en}; {chosen[table].name} was examined, not {listed}"
            found.append(_of_file("A1", zh, en, table))
    if chosen[Table.points] is chosen[Table.lines]:
        chosen[Table.lines] = Raw("", {}, np.empty(0, np.int64))
        found.append(_of_file("A1", "没有找到管线表", "there is no line table", Table.lines))
    return chosen, found


def _score(table: Table, raw: Raw, corrections: Mapping[str, Any] | None) -> int:
    """How much a table looks like one: its recognised columns, twice the essential ones, and its shapes."""
    mapped = mappings.apply(table, list(raw.columns), corrections)
    essential = {"point_no", "north", "east"} if table is Table.points else {"start_point", "end_point"}
    shape = 4 if raw.shape == ("Point" if table is Table.points else "Line") else -4 if raw.shape else 0
    ends = 2 * len(essential & set(mapped.columns))
    return len(mapped.matches) + 2 * ends + 2 * shape


def _headers(mapped: ColumnMapping, raw: Raw) -> list[Found]:
    """Columns that are missing or stand twice, and a table without rows."""
    table = mapped.table
    drawn = raw.geometries is not None
    given = {"north", "east", "point_no", "start_point", "end_point"} if drawn else set()
    found = []
    for field in mapped.missing:
        if field.name in given:
            continue
        zh = f"{table.label.zh}缺少列“{field.label.zh}”"
        known_as = mappings.accepted(table, field.name)
        en = f"the {table.label.en} has no column {field.label.en}; it may be called {known_as}"
        found.append(_of_file("A1", zh, en, table, ERROR if field.essential else WARNING, field.name))
    if table is Table.lines and not {"size", "width_mm"} & set(mapped.columns):
        zh, en = "管线表缺少列“管径或断面尺寸”", "the line table has no column of diameters"
        found.append(_of_file("A1", zh, en, table, ERROR, "size"))
    for name in mapped.repeated:
        zh, en = f"{table.label.zh}的列“{name}”重复", f"column {name} stands twice in the {table.label.en}"
        found.append(_of_file("A1", zh, en, table, ERROR, name))
    if not len(raw):
        found.append(_of_file("A1", f"{table.label.zh}没有数据行", f"the {table.label.en} has no rows", table))
    return found
