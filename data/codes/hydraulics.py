"""How rough pipes are, for hydraulic models: Hazen-Williams coefficients by material, and Manning's n by its letters.

Figures are of grade M: usual values from memory, good for a model that is calibrated before anybody relies on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from data.codes import Origin, origin_of, rows
from data.codes.limits import roughnesses

USUAL_COEFFICIENT = 120.0
USUAL_MANNING = 0.013


@dataclass(frozen=True)
class HazenWilliams:
    """The coefficient C of a material, whose letters are those of CJJ 61-2017 C.0.1, and words by which it is met."""

    letters: str
    words: tuple[str, ...]
    coefficient: float
    origin: Origin


@cache
def hazen_williams() -> Mapping[str, HazenWilliams]:
    """The coefficients by the material's letters; words that hold others come first."""
    found = {}
    for row in rows("hazen_williams"):
        words = tuple(row["words"].casefold().split("|"))
        found[row["letters"]] = HazenWilliams(row["letters"], words, float(row["coefficient"]), origin_of(row))
    return found


def letters_of(material: object) -> str:
    """The letters of a material given by letters or in words; empty where it is not known."""
    given = str(material or "").strip().casefold()
    for known in hazen_williams().values():
        if given == known.letters.casefold():
            return known.letters
    return next((k.letters for k in hazen_williams().values() if any(word in given for word in k.words)), "")


def coefficient(material: object) -> float:
    """The Hazen-Williams coefficient of a material, a usual one where it is not known."""
    known = hazen_williams().get(letters_of(material))
    return known.coefficient if known else USUAL_COEFFICIENT


def manning(material: object) -> float:
    """Manning's n of a material, a usual one where it is not known."""
    known = roughnesses().get(letters_of(material))
    return known.n if known else USUAL_MANNING
