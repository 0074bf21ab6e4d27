"""Clear distances between pipelines (GB 50289-2016 tables 4.1.9 and 4.1.14): rows of data with source and grade.

A row of grade M is from memory and may only warn. The tables are not mandatory text: less is allowed with protection.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Words = pd.Series | npt.NDArray[np.object_] | Sequence[Any]

VERIFIED: Final = "V"
DUCTED: Final = frozenset(
    {"GM", "GK", "GG", "XTD", "ZH", "RF", "conduit", "duct_block", "trench", "passage", "gallery", "shelter"}
)
"""Kinds of laying (CJJ 61-2017 C.0.2, letters or names) where a pipe lies in a conduit, duct, trench or gallery."""
_NONE: Final = -1


@dataclass(frozen=True)
class Kind:
    """One row or column of the tables: which pipes it means. Empty sets and NaN leave open; `over_mm` is exclusive."""

    name: str
    family: str
    pipe_classes: frozenset[str]
    subclass: str
    over_mm: float
    up_to_mm: float
    pressure_classes: frozenset[str]
    laying: str
    from_kv: float
    below_kv: float
    zh: str
    en: str


@dataclass(frozen=True)
class Clearance:
    """The least clear distance of two kinds, edge to edge; `protected_metres` where a plate or casing parts them."""

    id: str
    kind_a: str
    kind_b: str
    metres: float
    protected_metres: float
    standard: str
    edition: str
    clause: str
    source: str
    grade: str

    @property
    def verified(self) -> bool:
        """Whether the figure was read in the official text; else it may only warn."""
        return self.grade == VERIFIED

    @property
    def cited(self) -> str:
        """How the row is quoted, such as `GB 50289-2016 table 4.1.9 (X1-02)`."""
        return f"{self.standard}-{self.edition} {self.clause} ({self.id})"


@dataclass(frozen=True)
class Needs:
    """What pairs of pipes need: matrices over the groups that `group` gave the pipes.

    `metres` is 0 where no rule speaks of a pair; `rule` is the place of the row in `rows`, -1 for none. `certain` says
    that both pipes were of one kind for sure; where an attribute was missing, the strictest of the kinds they may be
    stands in the matrix.
    """

    rows: tuple[Clearance, ...]
    metres: Floats
    protected_metres: Floats
    rule: Ints
    certain: Mask


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind, in the order of the file."""
    return tuple(
        Kind(
            row["kind"],
            row["family"],
            frozenset(row["pipe_classes"].split()),
            row["subclass"],
            _number(row["over_mm"]),
            _number(row["up_to_mm"]),
            frozenset(row["pressure_classes"].split()),
            row["laying"],
            _number(row["from_kv"]),
            _number(row["below_kv"]),
            row["zh"],
            row["en"],
        )
        for row in _read("clearance_kinds.csv")
    )


@cache
def horizontal() -> tuple[Clearance, ...]:
    """Table 4.1.9: side by side, between outer edges in plan."""
    return _clearances("clearances_horizontal.csv")


@cache
def vertical() -> tuple[Clearance, ...]:
    """Table 4.1.14: at crossings, between the lower edge of the upper and the upper edge of the lower."""
    return _clearances("clearances_vertical.csv")


def find(rows: Iterable[Clearance], kind_a: str, kind_b: str) -> Clearance | None:
    """The row for two kinds in either order; a row that names a kind goes before one that names its family."""
    family = {kind.name: kind.family for kind in kinds()}
    wanted = [{kind_a, family[kind_a]}, {kind_b, family[kind_b]}]
    best: tuple[int, Clearance] | None = None
    for row in rows:
        for first, second in ((row.kind_a, row.kind_b), (row.kind_b, row.kind_a)):
            if first in wanted[0] and second in wanted[1]:
                exact = (first == kind_a) + (second == kind_b)
                if best is None or exact > best[0]:
                    best = (exact, row)
    return best[1] if best else None


def possible(
    pipe_class: Words,
    *,
    subclass: Words,
    diameter_mm: Floats,
    pressure_class: Words,
    laying: Words,
    voltage_kv: Floats,
) -> Ints:
    """Which kinds each pipe may be, as bits in the order of `kinds()`; 0 where the tables do not know it.

    A missing attribute leaves every kind of the class open, except the subclass: what is not said to be reclaimed
    water (ZS) is not. `laying` is a code of CJJ 61-2017 C.0.2, its letters or its name.
    """
    classes, reclaimed = Column(pipe_class), Column(subclass).starting("ZS")
    pressures, layings = Column(pressure_class), Column(laying)
    ducted = layings.among(DUCTED)
    mask = np.zeros(len(pipe_class), np.int64)
    for place, kind in enumerate(kinds()):
        if not kind.pipe_classes:
            continue
        fits = classes.among(kind.pipe_classes)
        if kind.subclass:
            fits &= reclaimed if kind.subclass == "ZS" else ~reclaimed
        fits &= ~(diameter_mm <= kind.over_mm) & ~(diameter_mm > kind.up_to_mm)
        fits &= ~(voltage_kv < kind.from_kv) & ~(voltage_kv >= kind.below_kv)
        if kind.pressure_classes:
            fits &= pressures.missing | pressures.among(kind.pressure_classes)
        if kind.laying:
            fits &= layings.missing | (ducted == (kind.laying == "duct"))
        mask |= np.where(fits, np.int64(1) << np.int64(place), 0)
    return mask


def needs(masks: Iterable[int], rows: tuple[Clearance, ...]) -> Needs:
    """What every pair of groups needs, each group being a set of possible kinds (bits as of `possible`)."""
    groups = list(masks)
    one = _between_kinds(rows)
    size = len(groups)
    metres, protected = np.zeros((size, size)), np.zeros((size, size))
    rule = np.full((size, size), _NONE, np.int64)
    certain = np.ones((size, size), np.bool_)
    members = [[k for k in range(len(kinds())) if mask >> k & 1] for mask in groups]
    for i, first in enumerate(members):
        for j, second in enumerate(members):
            found = [one[a, b] for a in first for b in second]
            told = [place for place in found if place != _NONE]
            certain[i, j] = len(set(found)) <= 1
            if told:
                strictest = max(told, key=lambda place: rows[place].metres)
                rule[i, j], metres[i, j] = strictest, rows[strictest].metres
                protected[i, j] = rows[strictest].protected_metres
    return Needs(rows, metres, protected, rule, certain)


@cache
def _between_kinds(rows: tuple[Clearance, ...]) -> Ints:
    """The place of the row for each pair of kinds, -1 for none."""
    names = [kind.name for kind in kinds()]
    place = {id(row): n for n, row in enumerate(rows)}
    found = [[find(rows, a, b) for b in names] for a in names]
    return np.array([[_NONE if row is None else place[id(row)] for row in line] for line in found], np.int64)


def _clearances(name: str) -> tuple[Clearance, ...]:
    return tuple(
        Clearance(
            row["id"],
            row["kind_a"],
            row["kind_b"],
            float(row["metres"]),
            float(row["protected_metres"] or row["metres"]),
            row["standard"],
            row["edition"],
            row["clause"],
            row["source"],
            row["grade"],
        )
        for row in _read(name)
    )


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files("data.codes").joinpath(name).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def _number(text: str) -> float:
    return float(text) if text else math.nan


class Column:
    """A column of few different words, looked up once a word and not once a row; what is missing is the empty word."""

    def __init__(self, values: Words) -> None:
        """Number the words."""
        known = values if isinstance(values, pd.Series) else np.asarray(values, dtype=object)
        self._at, different = pd.factorize(known)
        self._words = [*map(str, different), ""]  # -1, for what is missing, is the last
        self.missing = self._hold([word == "" for word in self._words])

    def among(self, wanted: frozenset[str]) -> Mask:
        """Which rows have one of these words."""
        return self._hold([word in wanted for word in self._words])

    def starting(self, beginning: str) -> Mask:
        """Which rows' words begin so."""
        return self._hold([word.startswith(beginning) for word in self._words])

    def texts(self) -> npt.NDArray[np.object_]:
        """The word of each row."""
        return np.array(self._words, dtype=object)[self._at]

    def _hold(self, true: list[bool]) -> Mask:
        return np.array(true, np.bool_)[self._at]
