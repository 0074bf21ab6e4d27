"""Geometries as a city can store them: brought to their layer's type, their faults found row by row, put in order.

Everything works on whole arrays with shapely and numpy; nothing here knows a coordinate system or a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

Floats: TypeAlias = npt.NDArray[np.float64]
Geometries: TypeAlias = npt.NDArray[np.object_]
Keys: TypeAlias = npt.NDArray[np.uint64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.intp]

_TYPE_IDS: Final = {
    "POINT": 0, "LINESTRING": 1, "POLYGON": 3, "MULTIPOINT": 4, "MULTILINESTRING": 5, "MULTIPOLYGON": 6,
}  # fmt: skip
_LINEAR: Final = (1, 5)
_AREAL: Final = (3, 6)
_RING: Final = 2
_STRAIGHT: Final = 2
# A triangle with a far tip is a shape, not a spike: a ring needs four places, a line as many.
_FEWEST: Final = (5, 4)

# Bits of longitude and of latitude in a Hilbert key: 2.4 m on the equator. Four of each are looked up at a time.
_HILBERT_BITS: Final = 24
_NIBBLE: Final = 4


@dataclass(frozen=True)
class Limits:
    """What is still taken for a real feature.

    `vertices` is the most a feature may have. A vertex is a spike if going there and back is more than `detour`
    times the rest of its line or ring. A comb has at least `teeth` turns back sharper than `sharp_deg`, and they are
    most of its vertices.
    """

    vertices: int = 100_000
    detour: float = 20.0
    teeth: int = 8
    sharp_deg: float = 3.0


@dataclass(frozen=True)
class Fault:
    """One thing wrong with some rows (from 0). A `warning` is told and keeps no row out."""

    why: str
    rows: Rows
    severity: str = "error"


def conform(geoms: Geometries, kind: str) -> Geometries:
    """Geometries in two dimensions and, where it means the same, in the type `kind` (as PostGIS names it).

    A single becomes a multi of one part; a multi or collection of one part becomes that part, if `kind` is single.
    All else stays as it is, and `faults` tells of it. Raises KeyError for an unknown `kind`.
    """
    wanted = _TYPE_IDS[kind]
    result: Geometries = np.array(geoms, dtype=object)
    tall = np.flatnonzero(shapely.has_z(result) | shapely.has_m(result))
    result[tall] = shapely.force_2d(result[tall])
    types = shapely.get_type_id(result)
    alone = np.flatnonzero((types > _AREAL[0]) & (types != wanted))
    alone = alone[shapely.get_num_geometries(result[alone]) == 1]
    result[alone] = shapely.get_geometry(result[alone], 0)
    for base, multi, build in (
        (0, 4, shapely.multipoints),
        (1, 5, shapely.multilinestrings),
        (3, 6, shapely.multipolygons),
    ):
        single = np.flatnonzero((shapely.get_type_id(result) == base) & ~shapely.is_empty(result))
        if wanted == multi and single.size:
            result[single] = build(result[single], indices=np.arange(single.size))
    return result


def faults(geoms: Geometries, kind: str, limits: Limits | None = None) -> list[Fault]:
    """What is wrong with geometries meant to be of type `kind`, after `conform`; each row has at most one error.

    Found in this order: none, empty, not finite, of another type, too many vertices, without length, invalid (by
    GEOS's reason; a polygon without area is), spikes. A line that crosses itself is a warning. Raises KeyError for an
    unknown `kind`.
    """
    found: list[Fault] = []
    sound = np.ones(len(geoms), bool)
    for why, wrong in _errors(geoms, kind, limits or Limits(), sound):
        rows = np.flatnonzero(wrong & sound)
        if rows.size:
            found.append(Fault(why, rows))
            sound[rows] = False
    if _TYPE_IDS[kind] in _LINEAR:
        # Two vertices cannot cross; most pipes have no more.
        rows = np.flatnonzero(sound & (shapely.get_num_coordinates(geoms) > _STRAIGHT))
        rows = rows[~shapely.is_simple(geoms[rows])]
        if rows.size:
            found.append(Fault("the line crosses itself", rows, "warning"))
    return found


def spiked(geoms: Geometries, limits: Limits | None = None) -> Mask:
    """Which lines and polygons have a vertex absurdly far off, or are combs of turns back and forth."""
    limits = limits or Limits()
    result = np.zeros(len(geoms), bool)
    parts, row = _strokes(geoms)
    # With going and coming of length d and a rest of r < d / detour, the box's diagonal is at most d / 2 + 2.5 r by
    # the triangle rule. Most lines are too straight for that, or too short for a comb, and need no closer look.
    box = shapely.bounds(parts)
    wide = np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    winding = shapely.length(parts) * (0.5 + 2.5 / limits.detour) >= wide
    likely = winding | (shapely.get_num_coordinates(parts) > limits.teeth)
    parts, row = parts[likely], row[likely]
    xy, part = shapely.get_coordinates(parts, return_index=True)
    if not len(xy):
        return result
    closed = shapely.get_type_id(parts) == _RING
    before, here, after = _corners(xy, part, closed)
    leg_in, leg_out = xy[before] - xy[here], xy[after] - xy[here]
    long_in, long_out = np.hypot(*leg_in.T), np.hypot(*leg_out.T)
    detour = long_in + long_out - np.hypot(*(xy[after] - xy[before]).T)
    rest = shapely.length(parts)[part[here]] - detour
    enough = (shapely.get_num_coordinates(parts) >= np.where(closed, *_FEWEST))[part[here]]
    far = enough & (detour > limits.detour * np.maximum(rest, 0)) & (detour > 0)
    cosine = np.einsum("ij,ij->i", leg_in, leg_out)
    back = (cosine > np.cos(np.radians(limits.sharp_deg)) * long_in * long_out) & (long_in > 0) & (long_out > 0)
    teeth = np.bincount(part[here], back, minlength=len(parts))
    comb = (teeth >= limits.teeth) & (teeth > np.bincount(part[here], minlength=len(parts)) / 2)
    result[row[part[here[far]]]] = True
    result[row[comb]] = True
    return result


def duplicates(geoms: Geometries) -> Rows:
    """For each row the first row with the same geometry, or -1; direction and starting vertex do not matter.

    Candidates share an order-free sum of vertex hashes; then their normal forms are compared. None and empty
    geometries have no duplicates.
    """
    first: Rows = np.full(len(geoms), -1, np.intp)
    normal = np.array(geoms, dtype=object)
    areal = np.flatnonzero(np.isin(shapely.get_type_id(geoms), _AREAL))
    normal[areal] = shapely.normalize(normal[areal])
    xy, row = shapely.get_coordinates(normal, return_index=True)
    if not len(xy):
        return first
    at = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    sums = np.add.reduceat(_mixed(xy), at)
    _, back, counts = np.unique(sums, return_inverse=True, return_counts=True)
    likely = row[at][counts[back] > 1]
    seen: dict[bytes, int] = {}
    forms = shapely.to_wkb(shapely.normalize(shapely.transform(normal[likely], lambda c: c + 0.0)))
    for candidate, form in zip(likely.tolist(), forms, strict=True):
        earlier = seen.setdefault(form, candidate)
        if earlier != candidate:
            first[candidate] = earlier
    return first


def hilbert(lon: Floats, lat: Floats) -> Keys:
    """The place of each point (degrees) along a Hilbert curve over the whole earth: near in key means near on the map.

    Keys of different calls compare. Resolution 2.4 m. Points that are not finite come last.
    """
    cells = 1 << _HILBERT_BITS
    finite = np.isfinite(lon) & np.isfinite(lat)
    x, y = (
        np.clip(np.where(finite, (v + half) / (2 * half), 0.0) * cells, 0, cells - 1).astype(np.int64)
        for v, half in ((lon, 180.0), (lat, 90.0))
    )
    state = np.zeros(len(x), np.int64)
    key = np.zeros(len(x), np.uint64)
    for shift in range(_HILBERT_BITS - _NIBBLE, -1, -_NIBBLE):
        at = state << 8 | (x >> shift & 15) << 4 | (y >> shift & 15)
        key = key << np.uint64(8) | _CURVE_KEY[at]
        state = _CURVE_STATE[at]
    key[~finite] = np.iinfo(np.uint64).max
    return key


def hilbert_order(lon: Floats, lat: Floats) -> Rows:
    """The order that sorts points (degrees) along the Hilbert curve; equal ones keep theirs."""
    return np.argsort(hilbert(lon, lat), kind="stable")


def _errors(geoms: Geometries, kind: str, limits: Limits, sound: Mask) -> Iterator[tuple[str, Mask]]:
    """Sentences and the rows they hold for; `sound` is what is left, so that costly checks see good rows only."""
    wanted = _TYPE_IDS[kind]
    yield "has no geometry", shapely.is_missing(geoms)
    yield "the geometry is empty", shapely.is_empty(geoms)
    xy, row = shapely.get_coordinates(geoms, return_index=True)
    odd = np.zeros(len(geoms), bool)
    odd[row[~np.isfinite(xy).all(axis=1)]] = True
    yield "a coordinate is not a finite number", odd
    types = shapely.get_type_id(geoms)
    for other in np.unique(types[sound & (types != wanted)]).tolist():
        name = next((n for n, t in _TYPE_IDS.items() if t == other), "GEOMETRYCOLLECTION")
        yield f"is a {name}, not a {kind}", types == other
    many = shapely.get_num_coordinates(geoms) > limits.vertices
    yield f"has more than {limits.vertices:,} vertices", many
    if wanted in _LINEAR:
        yield "the line has no length", shapely.length(geoms) == 0
    if wanted in _AREAL:
        yield from _invalid(geoms, sound)
    if wanted in _LINEAR + _AREAL:
        rows = np.flatnonzero(sound)
        spikes = np.zeros(len(geoms), bool)
        spikes[rows] = spiked(geoms[rows], limits)
        yield "has absurd spikes", spikes


def _invalid(geoms: Geometries, sound: Mask) -> Iterator[tuple[str, Mask]]:
    """Invalid polygons by GEOS's reason, without the place, which differs from row to row."""
    rows = np.flatnonzero(sound)
    rows = rows[~shapely.is_valid(geoms[rows])]
    reasons = np.array([str(r).split("[")[0].strip().lower() for r in shapely.is_valid_reason(geoms[rows])])
    for reason in np.unique(reasons).tolist():
        wrong = np.zeros(len(geoms), bool)
        wrong[rows[reasons == reason]] = True
        yield f"is an invalid polygon: {reason}", wrong


def _strokes(geoms: Geometries) -> tuple[Geometries, Rows]:
    """The lines and rings that geometries consist of, and their rows."""
    types = shapely.get_type_id(geoms)
    plain, other = np.flatnonzero(types == _LINEAR[0]), np.flatnonzero(types > _LINEAR[0])
    parts, of = shapely.get_parts(geoms[other], return_index=True)
    kinds = shapely.get_type_id(parts)
    lines, areas = np.flatnonzero(kinds == _LINEAR[0]), np.flatnonzero(kinds == _AREAL[0])
    rings, ring_of = shapely.get_rings(parts[areas], return_index=True)
    strokes = [geoms[plain], parts[lines], rings]
    return np.concatenate(strokes), np.concatenate([plain, other[of[lines]], other[of[areas[ring_of]]]])


def _corners(xy: Floats, part: Rows, closed: Mask) -> tuple[Rows, Rows, Rows]:
    """Each vertex that has two neighbours, between them; in a ring the first one too."""
    inner = np.flatnonzero((part[2:] == part[:-2]) & (part[1:-1] == part[:-2])) + 1
    at = np.flatnonzero(np.r_[True, part[1:] != part[:-1]])
    last = np.r_[at[1:], len(xy)] - 1
    rings = closed[part[at]] & (last - at > 1)
    return (
        np.concatenate([inner - 1, last[rings] - 1]),
        np.concatenate([inner, at[rings]]),
        np.concatenate([inner + 1, at[rings] + 1]),
    )


def _mixed(xy: Floats) -> Keys:
    """A 64-bit hash of each vertex. Source: the multipliers and shifts of splitmix64 and xxHash."""
    bits = np.ascontiguousarray(xy + 0.0).view(np.uint64)  # adding 0 makes -0 and 0 the same, here and in the forms
    mixed = (bits[:, 0] * np.uint64(0x9E3779B97F4A7C15)) ^ (bits[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(mixed ^ (mixed >> np.uint64(32)))


def _curve() -> tuple[Keys, npt.NDArray[np.int64]]:
    """Tables of the Hilbert curve, four bits a step: key and next state by state (2 bits), x and y (4 bits each).

    A state says whether the axes are swapped (1) and whether both are mirrored (2). Source: the quadrant rule of
    Hilbert's curve as in Warren, Hacker's Delight, 2nd edition, 16-2.
    """
    at = np.arange(4 << 2 * _NIBBLE)
    state, x, y = at >> 8, at >> 4 & 15, at & 15
    key = np.zeros_like(at)
    for bit in range(_NIBBLE - 1, -1, -1):
        mirror, swap = state >> 1, state & 1
        across, up = (x >> bit & 1) ^ mirror, (y >> bit & 1) ^ mirror
        across, up = np.where(swap, up, across), np.where(swap, across, up)
        key = key << 2 | (3 * across) ^ up
        state = np.where(up == 0, state ^ 1 ^ (across << 1), state)
    return key.astype(np.uint64), state


_CURVE_KEY, _CURVE_STATE = _curve()
