"""What an examination found: every problem with its rule, row and place, in both languages, and ways to hand it on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gis_core import crs
from twin.survey import spreadsheet
from twin.survey.fields import Table
from twin.survey.findings import ERROR, WARNING, Floats, Found, Mask, Rows
from twin.survey.network import Network
from twin.survey.rules import Rule
from twin.survey.tables import Raw

SHOWN: Final = 1_000
"""Problems in the JSON of a report."""
DRAWN: Final = 20_000
"""Problems in its GeoJSON."""
_DEGREES: Final = 8
_REMARKS: Final = "备注"


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem: `row` is its number in the file (None: the whole table), `lon` and `lat` its place if it has one."""

    rule: str
    severity: str
    table: str
    row: int | None
    field: str
    zh: str
    en: str
    lon: float | None
    lat: float | None

    def as_json(self) -> dict[str, Any]:
        """The problem as the browser gets it."""
        place = None if self.lon is None else [self.lon, self.lat]
        return {
            "rule": self.rule, "severity": self.severity, "table": self.table, "row": self.row, "field": self.field,
            "zh": self.zh, "en": self.en, "place": place,
        }  # fmt: skip


@dataclass(frozen=True)
class Tally:
    """How many rows break one rule, at one severity."""

    rule: Rule
    severity: str
    rows: int

    def as_json(self) -> dict[str, Any]:
        """The count as the browser gets it."""
        return {
            "rule": self.rule.id, "severity": self.severity, "rows": self.rows, "zh": self.rule.zh, "en": self.rule.en,
            "standard": self.rule.standard, "clause": self.rule.clause, "grade": self.rule.grade,
        }  # fmt: skip


@dataclass(frozen=True)
class Examination:
    """A survey examined: what each rule found, and which rules could not be tried and why."""

    owner: str
    net: Network
    raw: Mapping[Table, Raw]
    found: tuple[tuple[Rule, Found], ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @cached_property
    def problems(self) -> tuple[Issue, ...]:
        """Every problem: of the tables as a whole first, then errors before warnings, by table and row."""
        listed = [issue for known, found in self.found for issue in self._issues(known, found)]
        listed.sort(key=lambda i: (i.row is not None, i.severity != ERROR, i.table != Table.points, i.row or 0, i.rule))
        return tuple(listed)

    @cached_property
    def counts(self) -> tuple[Tally, ...]:
        """Counts by rule and severity, in the rules' order."""
        numbers: dict[tuple[str, str], int] = {}
        rules = {}
        for known, found in self.found:
            key = known.id, severity_of(known, found)
            rules[known.id] = known
            numbers[key] = numbers.get(key, 0) + max(len(found.rows), 1)
        return tuple(Tally(rules[rule], severity, count) for (rule, severity), count in numbers.items())

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(count.rows for count in self.counts if count.severity == ERROR)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(count.rows for count in self.counts if count.severity == WARNING)

    @property
    def faulty(self) -> bool:
        """Whether anything keeps the survey from being published."""
        return self.errors > 0

    def bad_rows(self, table: Table) -> Mask:
        """Which rows of a table's frame have an error."""
        frame = self.net.points if table is Table.points else self.net.lines
        mask: Mask = np.zeros(len(frame), bool)
        for known, found in self.found:
            if found.table is table and severity_of(known, found) == ERROR:
                mask[found.rows] = True
        return mask

    def as_json(self, shown: int = SHOWN) -> dict[str, Any]:
        """The report as the browser gets it, with the first `shown` problems."""
        return {
            "owner": self.owner,
            "rows": {"points": len(self.net.points), "lines": len(self.net.lines)},
            "errors": self.errors,
            "warnings": self.warnings,
            "faulty": self.faulty,
            "counts": [count.as_json() for count in self.counts],
            "problems": [issue.as_json() for issue in self.problems[:shown]],
            "problems_total": self.errors + self.warnings,
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def geojson(self, most: int = DRAWN) -> dict[str, Any]:
        """Problems that have a place as GeoJSON points, longitude first."""
        features = [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [issue.lon, issue.lat]},
                "properties": {k: v for k, v in issue.as_json().items() if k != "place"},
            }
            for issue in self.problems
            if issue.lon is not None
        ]
        return {"type": "FeatureCollection", "features": features[:most]}

    def to_excel(self, path: Path) -> None:
        """Both tables as they came with a column of remarks (备注), problem rows in colour, and a sheet of counts."""
        spreadsheet.write(path, self._sheets())

    def _sheets(self) -> Iterator[tuple[str, list[str], Iterator[tuple[list[Any], str]]]]:
        for table in Table:
            raw = self.raw[table]
            yield table.label.zh, [*raw.columns, _REMARKS], self._rows(table, raw)
        header = ["规则", "严重程度", "数量", "内容", "Rule", "依据", "条款", "证据"]
        yield "统计", header, iter([(row, "") for row in self._count_rows()])

    def _rows(self, table: Table, raw: Raw) -> Iterator[tuple[list[Any], str]]:
        remarks: dict[int, list[str]] = {}
        worst: dict[int, str] = {}
        for issue in self.problems:
            if issue.table == table and issue.row is not None:
                remarks.setdefault(issue.row, []).append(f"[{issue.rule}] {issue.zh}")
                worst[issue.row] = ERROR if ERROR in {worst.get(issue.row), issue.severity} else WARNING
        columns = [column.to_pylist() for column in raw.columns.values()]
        cells = zip(*columns, strict=True) if columns else iter([()] * len(raw))
        for number, values in zip(raw.numbers.tolist(), cells, strict=True):
            yield [*values, "；".join(remarks.get(number, ()))], worst.get(number, "")

    def _count_rows(self) -> Iterator[list[Any]]:
        severity = {ERROR: "错误", WARNING: "警告"}
        for c in self.counts:
            known = c.rule
            yield [
                known.id,
                severity[c.severity],
                c.rows,
                known.zh,
                known.en,
                known.standard,
                known.clause,
                known.grade,
            ]
        for issue in self.problems:
            if issue.row is None:
                yield [issue.rule, severity[issue.severity], 1, issue.zh, issue.en, "", "", ""]

    def _issues(self, known: Rule, found: Found) -> Iterator[Issue]:
        severity = severity_of(known, found)
        if found.whole:
            zh, en = next(iter(found.sentences()))
            yield Issue(known.id, severity, str(found.table), None, found.field, zh, en, None, None)
            return
        frame = self.net.points if found.table is Table.points else self.net.lines
        numbers = frame["row"].to_numpy()[found.rows].tolist()
        lon, lat = self._places(found)
        places = zip(_plain(lon), _plain(lat), strict=True)
        for row, (zh, en), (x, y) in zip(numbers, found.sentences(), places, strict=True):
            yield Issue(known.id, severity, str(found.table), row, found.field, zh, en, x, y)

    def _places(self, found: Found) -> tuple[Floats, Floats]:
        """Where each row of a finding lies in degrees: its own place, the middle of its line, or a given one."""
        placed = self.net.placed
        if found.at is not None and placed.metric:
            return crs.convert(found.at[:, 0], found.at[:, 1], crs.declare(placed.metric))
        if found.table is Table.points:
            return placed.lon[found.rows], placed.lat[found.rows]
        return self._middle(placed.lon, found.rows), self._middle(placed.lat, found.rows)

    def _middle(self, values: Floats, rows: Rows) -> Floats:
        """The mean of both ends of lines; of one where only that is known."""
        padded = np.append(values, np.nan)
        first, last = padded[self.net.start[rows]], padded[self.net.end[rows]]
        first, last = np.where(np.isnan(first), last, first), np.where(np.isnan(last), first, last)
        middle: Floats = (first + last) / 2
        return middle


def severity_of(known: Rule, found: Found) -> str:
    """How grave a finding is; a rule from memory only warns, whatever its finding says."""
    return WARNING if known.grade == "M" else found.severity or known.severity


def _plain(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in np.round(values, _DEGREES).tolist()]  # noqa: PLR0124  NaN is not itself
