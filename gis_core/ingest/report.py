"""What an ingest says: where rows come from, how strict it is, what was wrong, what was stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gis_core.errors import Problem, Unprocessable

Rows: TypeAlias = npt.NDArray[np.int64]

KEPT_PER_KIND: Final = 1_000
"""Of one kind of problem in one field, so many rows are named; all are counted."""
SHOWN: Final = 1_000
"""Problems in the JSON of a report."""
OTHER: Final = "breaks a rule of the layer"
"""What the counts say of problems that a layer's own checks found."""
_LONGEST_VALUE: Final = 60


class Mode(StrEnum):
    """What happens to the good rows of a file that has bad ones."""

    all_or_nothing = "all-or-nothing"
    good_rows = "good-rows"


@dataclass(frozen=True)
class Source:
    """Where rows come from, as it is recorded beside them; `origin` is `pack` or `upload`."""

    title: str
    licence: str = ""
    attribution: str = ""
    datum: str = "WGS 84"
    simulated: bool = False
    origin: str = "upload"


@dataclass(frozen=True)
class Count:
    """How often one thing is wrong with one field."""

    field: str
    why: str
    severity: str
    rows: int

    def as_json(self) -> dict[str, Any]:
        """The count as the browser gets it."""
        return {"field": self.field, "why": self.why, "severity": self.severity, "rows": self.rows}


@dataclass(frozen=True)
class Report:
    """What became of a file: each of its `rows` is either good (`accepted`) or refused.

    `stored` is what stands in the city now: all accepted rows, or none of them when the file was refused as a whole
    or only tried (`dry_run`). `problems` names the first rows of each kind of problem, `counts` has all of them.
    """

    layer: str
    rows: int
    accepted: int
    stored: int
    problems: tuple[Problem, ...] = ()
    counts: tuple[Count, ...] = ()
    dataset_id: int | None = None
    datum: str = ""
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def refused(self) -> int:
        """Rows that have an error."""
        return self.rows - self.accepted

    @property
    def faulty(self) -> bool:
        """Whether there is any error (warnings do not count)."""
        return any(count.severity == "error" for count in self.counts)

    def as_json(self, shown: int = SHOWN) -> dict[str, Any]:
        """The report as the browser gets it, with the first `shown` problems."""
        return {
            "layer": self.layer,
            "rows": self.rows,
            "accepted": self.accepted,
            "refused": self.refused,
            "stored": self.stored,
            "dry_run": self.dry_run,
            "dataset_id": self.dataset_id,
            "datum": self.datum,
            "notes": list(self.notes),
            "counts": [count.as_json() for count in self.counts],
            "problems": [problem.as_json() for problem in self.problems[:shown]],
            "problems_total": sum(count.rows for count in self.counts),
        }


Kind: TypeAlias = tuple[str, str, str]
"""Field, sentence without a value, severity."""


@dataclass
class Tally:
    """Problems as they are found: the first rows of each kind are named, all are counted."""

    _counts: Counter[Kind] = field(default_factory=Counter)
    _kept: dict[Kind, list[Problem]] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add(
        self,
        rows: Rows,
        name: str,
        why: str,
        values: Sequence[Any] | None = None,
        *,
        hint: str = "",
        severity: str = "error",
    ) -> None:
        """The same thing is wrong in all of these rows (numbers from 1).

        `values` are those of the first rows at least, which the sentence then ends with.
        """
        if not len(rows):
            return
        kind = name, why, severity
        self._counts[kind] += len(rows)
        kept = self._kept.setdefault(kind, [])
        for i, row in enumerate(rows[: max(0, KEPT_PER_KIND - len(kept))].tolist()):
            said = f"{why}: {_short(values[i])}" if values is not None else why
            kept.append(Problem(row, name, said + hint, severity))

    def add_problem(self, problem: Problem) -> None:
        """One problem found by a layer's own check, or one of the file as a whole."""
        # Such a sentence has values in it and is no kind of its own.
        kind = problem.field, OTHER, problem.severity
        self._counts[kind] += 1
        kept = self._kept.setdefault(kind, [])
        if len(kept) < KEPT_PER_KIND:
            kept.append(problem)

    def merge(self, later: Tally) -> None:
        """Take over what was found in a later part of the file."""
        self._counts.update(later._counts)
        self.notes.update(later.notes)
        for kind, problems in later._kept.items():
            kept = self._kept.setdefault(kind, [])
            kept += problems[: max(0, KEPT_PER_KIND - len(kept))]

    def note(self, sentence: str) -> None:
        """Something worth telling that keeps no row out; said once."""
        self.notes[sentence] = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The named problems, by row; those of the whole file first."""
        kept = (problem for problems in self._kept.values() for problem in problems)
        return tuple(sorted(kept, key=lambda p: (p.row or 0, p.field)))

    @property
    def counts(self) -> tuple[Count, ...]:
        """All problems by field and kind, the most frequent first."""
        return tuple(Count(*kind, rows=rows) for kind, rows in self._counts.most_common())

    @property
    def faulty(self) -> bool:
        """Whether there is any error."""
        return any(severity == "error" for _, _, severity in self._counts)

    def refusal(self, sentence: str) -> Unprocessable:
        """The error to raise when nothing of the file can be used."""
        return Unprocessable(sentence, problems=self.problems[:SHOWN])


def _short(value: Any) -> str:
    """A foreign value in a sentence: quoted, and cut where it is long."""
    said = repr(value)
    return said if len(said) <= _LONGEST_VALUE else said[: _LONGEST_VALUE - 1] + "…"
