"""Who may use an OSM way, in which direction, past which barrier and limit: OSM's access tags as bits of Mode.

Source: the OSM wiki, "Key:access" (the more special key wins), "Key:oneway", "Key:barrier", "Relation:restriction".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from routing.vehicles import MOTOR, Mode

_MOTOR, _BIKE, _FOOT = int(MOTOR), int(Mode.bicycle), int(Mode.foot)
_CAR, _EMERGENCY, _GOODS = int(Mode.car), int(Mode.emergency), int(Mode.goods)
_ALL: Final = _MOTOR | _BIKE | _FOOT

# What each kind of way allows where nothing else is said.
_USUAL: Final = {
    "motorway": _MOTOR, "motorway_link": _MOTOR, "trunk": _ALL, "trunk_link": _ALL,
    "busway": _EMERGENCY, "pedestrian": _EMERGENCY | _BIKE | _FOOT, "track": _CAR | _EMERGENCY | _BIKE | _FOOT,
    "footway": _FOOT, "steps": _FOOT, "path": _BIKE | _FOOT, "trail": _FOOT, "bridleway": _FOOT,
    "cycleway": _BIKE | _FOOT,
}  # fmt: skip
# From the general key to the special one; each says of these bits.
_KEYS: Final = (
    ("access", _ALL), ("vehicle", _MOTOR | _BIKE), ("motor_vehicle", _MOTOR), ("motorcar", _CAR), ("hgv", _GOODS),
    ("goods", _GOODS), ("bicycle", _BIKE), ("foot", _FOOT),
)  # fmt: skip
_NO: Final = frozenset(
    {"no", "private", "agricultural", "forestry", "emergency", "military", "psv", "bus", "use_sidepath", "dismount"}
)
_YES: Final = frozenset({"yes", "permissive", "designated", "destination", "delivery", "customers", "official"})
_WITH, _AGAINST = ("yes", "true", "1"), ("-1", "reverse")
_NO_WAY_ROUND: Final = ("footway", "path", "steps", "pedestrian", "cycleway", "bridleway", "trail")
# A barrier stops these where it has no tags of its own; those in a hurry open gates and lower posts.
_BARRIERS: Final = {
    "bollard": _CAR | _GOODS, "block": _MOTOR, "chain": _CAR | _GOODS, "jersey_barrier": _MOTOR, "wall": _ALL,
    "fence": _ALL, "log": _MOTOR, "debris": _MOTOR, "kissing_gate": _MOTOR | _BIKE, "stile": _MOTOR | _BIKE,
    "turnstile": _MOTOR | _BIKE, "cycle_barrier": _MOTOR, "swing_gate": _CAR | _GOODS, "full-height_turnstile":
    _MOTOR | _BIKE, "planter": _MOTOR, "bus_trap": _CAR | _GOODS,
}  # fmt: skip
_SOLID: Final = frozenset({"block", "jersey_barrier", "wall", "fence", "log", "debris", "planter"})
_METRES: Final = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(m|t)?\s*")
_FEET: Final = re.compile(r"\s*(\d+)\s*'\s*(?:(\d+)\s*\"?)?\s*")
_FOOT_M, _INCH_M = 0.3048, 0.0254


def on_way(tags: Mapping[str, str]) -> tuple[int, int]:
    """The bits of those who may travel with and against the order of a way's nodes."""
    highway = tags["highway"]
    usual = _USUAL.get(highway, _ALL)
    allowed = _told(tags, usual)
    if highway not in _NO_WAY_ROUND or highway == "pedestrian":
        allowed |= usual & _EMERGENCY if tags.get("emergency") != "no" else 0
    elif tags.get("emergency") in _YES:
        allowed |= _EMERGENCY
    ahead, back = allowed, allowed
    said = tags.get("oneway", "")
    implied = highway in ("motorway", "motorway_link") or tags.get("junction") in ("roundabout", "circular")
    if said in _AGAINST:
        ahead &= _FOOT
    elif said in _WITH or (implied and said != "no"):
        back &= _FOOT
    if tags.get("oneway:bicycle") == "no" or tags.get("cycleway", "").startswith("opposite"):
        ahead |= allowed & _BIKE
        back |= allowed & _BIKE
    return ahead, back


def past_node(tags: Mapping[str, str]) -> int:
    """The bits of those whom a node of a way stops."""
    barrier = tags.get("barrier", "")
    if not barrier:
        return 0
    stopped = _BARRIERS.get(barrier, 0)
    open_to = _told(tags, _ALL & ~stopped)
    if barrier not in _SOLID and tags.get("emergency") != "no":
        open_to |= _EMERGENCY
    return _ALL & ~open_to


def turning(tags: Mapping[str, str], kind: str) -> int:
    """The bits of those who must keep a restriction of turns; in an emergency it is not kept."""
    bound = _GOODS if "restriction:hgv" in tags and "restriction" not in tags else _CAR | _GOODS | _BIKE
    if not kind.startswith(("no_", "only_")):
        return 0
    for excepted in tags.get("except", "").replace(",", ";").split(";"):
        bound &= ~{"bicycle": _BIKE, "hgv": _GOODS, "motorcar": _CAR}.get(excepted.strip(), 0)
    return bound


def limit(text: str | None) -> float:
    """A limit of height (m) or weight (t) as OSM writes it; infinite where there is none or it is no number."""
    if text and (found := _METRES.fullmatch(text)):
        return float(found[1].replace(",", "."))
    if text and (found := _FEET.fullmatch(text)):
        return int(found[1]) * _FOOT_M + int(found[2] or 0) * _INCH_M
    return float("inf")


def _told(tags: Mapping[str, str], usual: int) -> int:
    """What the access tags leave of, or add to, what is usual."""
    allowed = usual
    for key, bits in _KEYS:
        said = tags.get(key)
        if said in _NO:
            allowed &= ~bits
        elif said in _YES and key != "access":
            allowed |= bits
        elif said in _YES:
            allowed |= bits & usual
    return allowed
