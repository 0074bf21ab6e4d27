"""What a rule says of some rows: the rows as one array, the sentence once, the values beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from twin.survey.fields import Table

Rows: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]

ERROR: Final = "error"
WARNING: Final = "warning"
_LONGEST: Final = 60


@dataclass(frozen=True)
class Found:
    """The same thing is wrong with these rows (positions in the table's frame), or with the table as a `whole`.

    `zh` and `en` are sentences with a `{}` for each of `values`, which hold one value a row. `severity` is that of the
    rule unless it is given. `at` are places in the survey's metres where they are not those of the rows themselves.
    `rule` is set where reading found it and no rule has to look again.
    """

    table: Table
    rows: Rows
    field: str
    zh: str
    en: str
    values: tuple[Sequence[Any] | npt.NDArray[Any], ...] = ()
    severity: str | None = None
    at: Floats | None = None
    rule: str = ""
    whole: bool = False

    def sentences(self) -> Iterable[tuple[str, str]]:
        """The sentence in Chinese and English for each row; one for the table where there are no rows."""
        if not self.values:
            return [(self.zh, self.en)] * max(len(self.rows), 1)
        columns = [[_said(v) for v in np.asarray(values, object).tolist()] for values in self.values]
        return [(self.zh.format(*said), self.en.format(*said)) for said in zip(*columns, strict=True)]


def of_all(table: Table, field: str, zh: str, en: str, severity: str | None = None, rule: str = "") -> Found:
    """A finding about a table as a whole."""
    return Found(table, np.empty(0, np.int64), field, zh, en, severity=severity, rule=rule, whole=True)


def where(mask: Mask) -> Rows:
    """The positions at which a condition holds."""
    return np.flatnonzero(mask).astype(np.int64)


def each(values: pd.Series, meaning: Callable[[Any], Any], nothing: Any = None) -> npt.NDArray[np.object_]:
    """What each value means, every different one being looked at once; `nothing` where there is no value."""
    codes, different = pd.factorize(values)
    meanings = np.empty(len(different) + 1, object)
    meanings[:-1] = [meaning(value) for value in different]
    meanings[-1] = nothing
    found: npt.NDArray[np.object_] = meanings[codes]
    return found


def _said(value: Any) -> str:
    """A value in a sentence: numbers short, text cut where it is long."""
    if value is None or value != value:  # noqa: PLR0124  NaN is not itself
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    said = str(value)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
