"""Code tables of pipeline surveys (CJJ 61-2017 and an older local scheme), each row with where it was read.

One table for each meaning, never a shared one: `ZS` is reclaimed water as a class and masonry as a material, `GG` is
advertising as a class and a trench as a way of laying, `ZH` a utility tunnel as either.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

FEATURE_CODE: Final = r"5[1-8]\d\d(?:0000|[13]0\d\d|2[1-3]\d\d)"
"""The form of an eight-digit feature code (CJJ 61-2017, App. F): 5, major class, minor class (2 digits), shape (1 line,
2 point, 3 area, 0 unsaid), of a point what it is (1 feature of the pipe, 2 appurtenance, 3 other), serial (2)."""

_FORM: Final = re.compile(FEATURE_CODE)
_SHAPES: Final = {"0": "", "1": "line", "2": "point", "3": "area"}
_ROLES: Final = {"0": "", "1": "feature", "2": "appurtenance", "3": "other"}


@dataclass(frozen=True)
class Origin:
    """Where a row was read. `grade`: V verified in the source, M from memory or of no standard in force."""

    standard: str
    edition: str
    clause: str
    source: str
    grade: str

    @property
    def verified(self) -> bool:
        """Whether a rule may refuse by this row; otherwise it may only warn."""
        return self.grade == "V"


@dataclass(frozen=True)
class MinorClass:
    """A minor class (小类) of pipelines and the major class (大类) it is of.

    `letters`, `major`: their letters (代号), as `YS`, `PS`. `digits`, `digit`: their numbers (代码) in feature codes.
    `pipe_class` is the class of the layers, `rgb` the standard's colour.
    """

    letters: str
    digits: str
    zh: str
    en: str
    major: str
    digit: str
    major_zh: str
    major_en: str
    pipe_class: str
    rgb: tuple[int, int, int]
    origin: Origin


@dataclass(frozen=True)
class FeatureCode:
    """One eight-digit code of the catalogue. `minor` is empty where the code is of no minor class."""

    code: str
    major: str
    minor: str
    minor_zh: str
    name: str
    origin: Origin

    @property
    def shape(self) -> str:
        """`line`, `point`, `area`, or nothing where the code does not say."""
        return _SHAPES[self.code[4]]

    @property
    def role(self) -> str:
        """Of a point: `feature` (特征), `appurtenance` (附属物) or `other`; of all else nothing."""
        return _ROLES[self.code[5]]


@dataclass(frozen=True)
class Appurtenance:
    """One code of the older four-digit scheme. `asks` names the measure that it wants filled in, if any."""

    code: str
    pipe_class: str
    minor: str
    class_zh: str
    name: str
    asks: str
    origin: Origin


@dataclass(frozen=True)
class PointKind:
    """A Chinese word for what stands at a pipe point: its kind in the layer, and `feature` or `appurtenance`."""

    word: str
    kind: str
    role: str
    origin: Origin


@dataclass(frozen=True)
class Material:
    """A material by its letters, and the classes that may be made of it."""

    letters: str
    zh: str
    en: str
    pipe_classes: frozenset[str]
    origin: Origin


@dataclass(frozen=True)
class Laying:
    """A way of laying (埋设方式) by its letters; `name` is its code in the layer."""

    letters: str
    zh: str
    en: str
    name: str
    origin: Origin


@dataclass(frozen=True)
class Status:
    """A pipe's state by its digit; `name` is its code in the layer."""

    digit: str
    zh: str
    en: str
    name: str
    origin: Origin


def rows(table: str) -> Sequence[Mapping[str, str]]:
    """The rows of `table`.csv of this folder as they are written, for rooms that read tables of their own."""
    text = files(__name__).joinpath(f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def origin_of(row: Mapping[str, str]) -> Origin:
    """Where a row was read."""
    return Origin(row["standard"], row["edition"], row["clause"], row["source"], row["grade"])


@cache
def minor_classes() -> Mapping[str, MinorClass]:
    """All minor classes by their letters, in the standard's order."""
    found = {}
    for row in rows("classes"):
        names = (row["minor"], row["digits"], row["zh"], row["en"])
        major = (row["major"], row["digit"], row["major_zh"], row["major_en"])
        rgb = (int(row["red"]), int(row["green"]), int(row["blue"]))
        found[row["minor"]] = MinorClass(*names, *major, row["pipe_class"], rgb, origin_of(row))
    return MappingProxyType(found)


@cache
def feature_codes() -> Mapping[str, FeatureCode]:
    """The catalogue of eight-digit codes by code: water and drainage only, the other classes could not be read."""
    found = {
        row["code"]: FeatureCode(
            row["code"], row["major"], row["minor"], row["minor_zh"], row["name"], origin_of(row)
        )
        for row in rows("feature_codes")
    }  # fmt: skip
    return MappingProxyType(found)


@cache
def appurtenances() -> tuple[Appurtenance, ...]:
    """All rows of the older scheme; a code may stand twice (3503 is a meter and a meter chamber)."""
    return tuple(
        Appurtenance(
            row["code"], row["pipe_class"], row["minor"], row["class_zh"], row["name"], row["asks"], origin_of(row)
        )
        for row in rows("appurtenances")
    )  # fmt: skip


@cache
def point_kinds() -> Mapping[str, PointKind]:
    """What stands at a point, by its Chinese word."""
    found = {
        row["word"]: PointKind(row["word"], row["kind"], row["role"], origin_of(row)) for row in rows("point_kinds")
    }  # fmt: skip
    return MappingProxyType(found)


@cache
def materials() -> Mapping[str, Material]:
    """All materials by their letters."""
    found = {
        row["letters"]: Material(
            row["letters"], row["zh"], row["en"], frozenset(row["pipe_classes"].split("|")), origin_of(row)
        )
        for row in rows("materials")
    }  # fmt: skip
    return MappingProxyType(found)


@cache
def layings() -> Mapping[str, Laying]:
    """All ways of laying by their letters."""
    found = {
        row["letters"]: Laying(row["letters"], row["zh"], row["en"], row["name"], origin_of(row))
        for row in rows("layings")
    }  # fmt: skip
    return MappingProxyType(found)


@cache
def statuses() -> Mapping[str, Status]:
    """All states by their digit."""
    found = {
        row["digit"]: Status(row["digit"], row["zh"], row["en"], row["name"], origin_of(row))
        for row in rows("statuses")
    }  # fmt: skip
    return MappingProxyType(found)


def has_form(code: str) -> bool:
    """Whether a text has the form of an eight-digit feature code, whether or not the catalogue knows it."""
    return _FORM.fullmatch(code) is not None


def catalogued(code: str) -> bool:
    """Whether the catalogue covers the code's major class, so that a code it lacks is wrong and not merely unread."""
    return has_form(code) and code[1] in {"1", "2"}


def minor_of(code: str) -> MinorClass | None:
    """The minor class that an eight-digit code says; None where it has no such form or says none."""
    if not has_form(code):
        return None
    said = (code[1], code[2:4])
    return next((known for known in minor_classes().values() if (known.digit, known.digits) == said), None)
