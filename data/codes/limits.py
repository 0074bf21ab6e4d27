"""Figures that the rules of a pipe survey measure by: covers, slopes, velocities, sizes, spacings, tolerances.

Each row says where it was read; one of grade M is from memory, and a rule may only warn by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from data.codes import Origin, origin_of, rows


@dataclass(frozen=True)
class Cover:
    """The least cover of a class in metres: `laying` is direct, conduit or empty, `place` carriageway or other."""

    pipe_class: str
    laying: str
    place: str
    metres: float
    origin: Origin


@dataclass(frozen=True)
class Frost:
    """How deep the ground freezes in a place, whose bounds are west, south, east, north in degrees."""

    place: str
    bounds: tuple[float, float, float, float]
    metres: float
    origin: Origin


@dataclass(frozen=True)
class Slope:
    """A limit of slope (rise over run) from a diameter on: `least`, or `steep` and `most`, which are too much."""

    limit: str
    role: str
    group: str
    diameter_mm: float
    slope: float
    origin: Origin


@dataclass(frozen=True)
class Roughness:
    """Manning's n of a material, and whether it is rigid or plastic."""

    group: str
    n: float
    origin: Origin


@dataclass(frozen=True)
class Spacing:
    """The longest way between two wells on pipes of these diameters."""

    from_mm: float
    to_mm: float
    metres: float
    origin: Origin


@dataclass(frozen=True)
class Limit:
    """One figure by its name, with what it means."""

    value: float
    unit: str
    zh: str
    en: str
    origin: Origin


@cache
def covers() -> tuple[Cover, ...]:
    """All least covers."""
    return tuple(
        Cover(row["pipe_class"], row["laying"], row["place"], float(row["cover_m"]), origin_of(row))
        for row in rows("covers")
    )


@cache
def frost_depths() -> tuple[Frost, ...]:
    """Frost depths by place."""
    return tuple(
        Frost(
            row["place"],
            (float(row["west"]), float(row["south"]), float(row["east"]), float(row["north"])),
            float(row["frost_m"]),
            origin_of(row),
        )
        for row in rows("frost_depths")
    )


@cache
def slopes() -> tuple[Slope, ...]:
    """All limits of slope."""
    return tuple(
        Slope(
            row["limit"],
            row["role"],
            row["material_group"],
            float(row["diameter_mm"]),
            float(row["slope"]),
            origin_of(row),
        )
        for row in rows("slopes")
    )


@cache
def velocities() -> Mapping[str, tuple[float, Origin]]:
    """The least full-flow velocity (m/s) of drains by class."""
    return MappingProxyType({r["pipe_class"]: (float(r["least_m_s"]), origin_of(r)) for r in rows("velocities")})


@cache
def roughnesses() -> Mapping[str, Roughness]:
    """Roughness by letters of the material."""
    found = {r["material"]: Roughness(r["group"], float(r["manning_n"]), origin_of(r)) for r in rows("roughnesses")}
    return MappingProxyType(found)


@cache
def least_sizes() -> Mapping[tuple[str, str], tuple[float, Origin]]:
    """The least diameter (mm) of drains by class and role (main or branch)."""
    found = {(r["pipe_class"], r["role"]): (float(r["least_mm"]), origin_of(r)) for r in rows("least_sizes")}
    return MappingProxyType(found)


@cache
def spacings() -> tuple[Spacing, ...]:
    """The longest ways between wells."""
    return tuple(
        Spacing(float(r["from_mm"]), float(r["to_mm"]), float(r["spacing_m"]), origin_of(r))
        for r in rows("well_spacings")
    )


@cache
def diameters() -> Mapping[str, tuple[frozenset[float], Origin]]:
    """The nominal diameters (mm) that a class is made in."""
    found = {
        r["pipe_class"]: (frozenset(float(d) for d in r["diameters_mm"].split("|")), origin_of(r))
        for r in rows("diameters")
    }
    return MappingProxyType(found)


@cache
def limits() -> Mapping[str, Limit]:
    """The figures that stand alone, by name."""
    found = {
        r["name"]: Limit(float(r["value"]), r["unit"], r["zh"], r["en"], origin_of(r)) for r in rows("survey_limits")
    }
    return MappingProxyType(found)


def limit(name: str) -> float:
    """The value of one figure. Raises KeyError."""
    return limits()[name].value
