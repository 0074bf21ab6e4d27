"""The words of a survey's code columns: what people write for a class, a way of laying, a state, a kind of point.

The layers `pipe_points` and `pipe_segments` know most of them; here stand those that only surveys use.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import layers
from data import codes
from gis_core.ingest.columns import fold_word, targets
from twin.survey.fields import LAYERS

GRAVITY: Final = ("storm", "sewage", "combined")
"""Classes in which water runs by itself; their depths are to the invert (管内底)."""
ALOFT: Final = ("overhead", "surface", "riser")
"""Ways of laying above the ground: depths are negative or nought."""
CONDUIT: Final = ("conduit", "duct_block", "trench", "passage", "gallery", "shelter")
"""Ways of laying in which a pipe or cable lies in something that covers it."""
SUPPLIES: Final[Mapping[str, tuple[str, ...]]] = {
    "water": ("source", "pump_station"),
    "gas": ("source", "regulator"),
    "heat": ("source", "pump_station"),
    "storm": ("outfall", "pump_station"),
    "sewage": ("outfall", "pump_station"),
    "combined": ("outfall", "pump_station"),
}
"""Where a network begins (pressure) or ends (gravity)."""
TERMINALS: Final = (
    "reserved", "cap", "outfall", "meter", "entry", "source", "pump_station", "inlet", "hydrant", "transformer",
    "cabinet", "regulator", "drip", "handhole",
)  # fmt: skip
"""Kinds of point at which a pipe may end."""
DRAINAGE: Final = "drainage"
"""A class that says no more than 排水: the minor class has to."""

_MORE: Final[Mapping[str, Mapping[str, str]]] = {
    "pipe_class": {
        "排水": DRAINAGE, "PS": DRAINAGE, "drainage": DRAINAGE, "下水": DRAINAGE, "雨污": "combined",
        "雨污合流": "combined", "自来水": "water", "上水": "water", "供水": "water", "天然气": "gas", "供热": "heat",
        "电信": "telecom", "通讯": "telecom", "弱电": "telecom", "强电": "power",
    },
    "secrecy": {"受控": "restricted", "敏感": "restricted", "涉密": "secret"},
    "pressure_class": {"低": "low", "高": "high"},
    "survey_kind": {"测量点": "exposed", "探测点": "hidden"},
}  # fmt: skip
_MORE_MATERIALS: Final = {
    "砼": "T", "钢筋混凝土": "T", "钢筋砼": "T", "球墨": "QM", "光缆": "GX", "铜缆": "TZ", "钢管": "G", "塑料": "PVC",
}  # fmt: skip
_GAUGE_MPA: Final = ((0.01, "low"), (0.2, "medium_b"), (0.4, "medium_a"), (0.8, "subhigh_b"), (1.6, "subhigh_a"))


@cache
def table(field: str) -> Mapping[str, str]:
    """The code's name for each word of a code column, words folded (`fold_word`). Raises KeyError for another field."""
    found: dict[str, str] = {}
    for name in LAYERS.values():
        target = next((t for t in targets(layers.load()[name]) if t.name == field and t.words), None)
        found |= dict(target.words or {}) if target else {}
    if not found:
        raise KeyError(field)
    more = {fold_word(word): code for word, code in _MORE.get(field, {}).items()}
    if field == "pipe_class":
        minor = {fold_word(m.letters + m.digits): m.pipe_class for m in codes.minor_classes().values()}
        found |= minor | {fold_word(m.zh): m.pipe_class for m in codes.minor_classes().values()}
        found |= {word + "管线": code for word, code in found.items() if not word.isascii()}
    return MappingProxyType(more | found if field != "pipe_class" else found | more)


@cache
def minors() -> Mapping[str, tuple[str, str]]:
    """Minor classes by their letters, letters with number, and Chinese names: class of the layers, letters."""
    found = {fold_word("合流"): ("combined", "HS")}
    for known in codes.minor_classes().values():
        for word in (known.letters, known.letters + known.digits, known.zh):
            found[fold_word(word)] = (known.pipe_class, known.letters)
    return MappingProxyType(found)


@cache
def materials() -> Mapping[str, str]:
    """Letters of a material by what people write: letters, Chinese and English names, each also with 管 after it."""
    found: dict[str, str] = {}
    for known in codes.materials().values():
        for word in (known.letters, known.zh, known.zh + "管", known.en):
            found.setdefault(fold_word(word), known.letters)
    return MappingProxyType({fold_word(word): letters for word, letters in _MORE_MATERIALS.items()} | found)


def pressure_class(mpa: float) -> str:
    """The class of gas pressure by its value (GB 50028, from memory)."""
    return next((name for limit, name in _GAUGE_MPA if mpa <= limit), "high")
