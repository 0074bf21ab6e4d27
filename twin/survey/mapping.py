"""Which column of a survey table is which field: found by its header, shown with how sure that is, and correctable.

A `Mapping` goes to the browser and comes back from it, and is kept for an owner's next survey, as plain JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Words
from dataclasses import dataclass, field
from typing import Any, Final

from gis_core.errors import Problem, Unprocessable
from gis_core.ingest.columns import fold
from twin.survey.fields import BY_TABLE, Known, Table, headers, known

_LONGEST_HEADER: Final = 200
_MOST_COLUMNS: Final = 2_000
_SURE: Final = 1.0
_RENAMED: Final = 0.9
_CUT: Final = 0.7
_GIVEN: Final = 1.0
_DBF_BYTES: Final = 10
_SHORTEST_CUT: Final = 3


@dataclass(frozen=True)
class Match:
    """One column that was recognised: the field it is, and how sure that is (1: the field's own name or given)."""

    column: str
    field: str
    confidence: float

    def as_json(self) -> dict[str, Any]:
        """The match as the browser gets it."""
        return {"column": self.column, "field": self.field, "confidence": self.confidence}


@dataclass(frozen=True)
class Mapping:
    """The columns of one table: which fields they are, which are of no use, which fields are missing."""

    table: Table
    matches: tuple[Match, ...]
    unused: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    columns: Words[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the way from a field to its column at hand."""
        object.__setattr__(self, "columns", {m.field: m.column for m in self.matches})

    @property
    def missing(self) -> tuple[Known, ...]:
        """Essential and mandatory fields that no column is."""
        return tuple(f for f in BY_TABLE[self.table] if (f.essential or f.mandatory) and f.name not in self.columns)

    def as_json(self) -> dict[str, Any]:
        """The mapping as the browser gets it and as it is kept."""
        return {
            "table": str(self.table),
            "columns": [match.as_json() for match in self.matches],
            "unused": list(self.unused),
            "repeated": list(self.repeated),
            "missing": [
                {"field": f.name, "zh": f.label.zh, "en": f.label.en, "essential": f.essential} for f in self.missing
            ],
        }


def find(table: Table, columns: Sequence[str]) -> Mapping:
    """Recognise the columns of a table by their headers.

    A header counts whatever its case, width (full or half), blanks and remark in brackets; each column is one field,
    each field one column, the best name first.
    """
    ranks = headers(table)
    matches: dict[str, Match] = {}
    taken: set[str] = set()
    for confidence, way in ((_SURE, fold), (_RENAMED, _bare), (_CUT, fold)):
        by_name: dict[str, list[str]] = {}
        for column in columns:
            by_name.setdefault(way(column), []).append(column)
        for at in range(max(len(names) for names in ranks.values())):
            for name, options in ranks.items():
                if name in matches or at >= len(options):
                    continue
                for option in _cuts(options[at]) if confidence == _CUT else (way(options[at]),):
                    free = next((c for c in by_name.get(option, ()) if c not in taken), None)
                    if free is not None:
                        matches[name] = Match(free, name, confidence)
                        taken.add(free)
                        break
    order = {column: i for i, column in enumerate(columns)}
    found = tuple(sorted(matches.values(), key=lambda m: order[m.column]))
    return Mapping(table, found, tuple(c for c in columns if c not in taken), _repeated(columns))


def apply(table: Table, columns: Sequence[str], given: Words[str, Any] | None) -> Mapping:
    """The mapping that a person corrected, made to fit these columns; what was not said is found by its header.

    `given` is `{column: field or None}` or the JSON of a `Mapping`; a column that this file does not have is
    passed over, so that one saved mapping serves many files.

    Raises:
        Unprocessable: it names an unknown field, or two columns for one field.

    """
    found = find(table, columns)
    said = read(table, given) if given else {}
    here = {column: name for column, name in said.items() if column in set(columns)}
    if not here:
        return found
    fixed = {name for name in here.values() if name}
    matches = [Match(column, name, _GIVEN) for column, name in here.items() if name]
    matches += [m for m in found.matches if m.column not in here and m.field not in fixed]
    order = {column: i for i, column in enumerate(columns)}
    used = {m.column for m in matches}
    return Mapping(
        table,
        tuple(sorted(matches, key=lambda m: order[m.column])),
        tuple(c for c in columns if c not in used),
        found.repeated,
    )


def read(table: Table, given: Words[str, Any]) -> dict[str, str | None]:
    """A corrected mapping from JSON, as column to field. Raises Unprocessable, naming what is wrong with it."""
    problems: list[Problem] = []
    pairs: dict[str, str | None] = {}
    for column, name in _pairs(given):
        if not isinstance(column, str) or not 0 < len(column) <= _LONGEST_HEADER:
            problems.append(Problem(None, "mapping", f"{str(column)[:60]!r} is no column's name"))
            continue
        if name is not None and not (isinstance(name, str) and name in headers(table)):
            problems.append(Problem(None, column, f"{str(name)[:60]!r} is no field of the {table.label.en}"))
            continue
        pairs[column] = name
    named = [name for name in pairs.values() if name]
    problems += [
        Problem(None, name, "is given to more than one column")
        for name in dict.fromkeys(named)
        if named.count(name) > 1
    ]
    if len(pairs) > _MOST_COLUMNS:
        problems.append(Problem(None, "mapping", f"names more than {_MOST_COLUMNS} columns"))
    if problems:
        raise Unprocessable("The mapping of columns to fields cannot be used.", problems=problems)
    return pairs


def recognised(table: Table, columns: Sequence[str]) -> int:
    """How many columns of a table are known fields: what tells a point table from a line table."""
    mapped = find(table, columns)
    own = {f.name for f in BY_TABLE[table] if f.essential}
    return sum(2 if m.field in own else 1 for m in mapped.matches)


def accepted(table: Table, name: str) -> str:
    """The headers under which a field is looked for, for sentences."""
    return ", ".join(dict.fromkeys((known(table, name).label.zh, *headers(table)[name][:6])))


def _pairs(given: Words[str, Any]) -> Iterable[tuple[Any, Any]]:
    listed = given.get("columns")
    if isinstance(listed, list):
        unused = given.get("unused")
        none = [(column, None) for column in unused] if isinstance(unused, list) else []
        return [*none, *((e.get("column"), e.get("field")) if isinstance(e, dict) else (None, None) for e in listed)]
    return given.items()


def _bare(header: str) -> str:
    """A header without a remark in brackets, such as its unit."""
    return fold(re.sub(r"[(（\[【].*?[)）\]】]", "", header)) or fold(header)


def _cuts(name: str) -> tuple[str, ...]:
    """What a dBASE table keeps of a long name."""
    kept = (name.encode(e)[:_DBF_BYTES].decode(e, "ignore") for e in ("utf-8", "gb18030"))
    return tuple(dict.fromkeys(fold(c) for c in kept if c != name and len(c) >= _SHORTEST_CUT))


def _repeated(columns: Sequence[str]) -> tuple[str, ...]:
    """Headers that stand more than once (a reader numbers them: `X (5)`)."""
    plain = [re.sub(r" \(\d+\)$", "", column) for column in columns]
    folded = [fold(name) for name in plain]
    first = {key: name for name, key in reversed(list(zip(plain, folded, strict=True)))}
    return tuple(first[key] for key in dict.fromkeys(folded) if folded.count(key) > 1)
