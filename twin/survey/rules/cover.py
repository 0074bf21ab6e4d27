"""C1-C3: what lies above the crown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import shapely

from data.codes import limits
from data.codes.limits import Cover
from twin.survey import words
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Floats, Found, Mask, where
from twin.survey.network import Network
from twin.survey.rules import rule

_TOLERANCE_M: Final = 0.02
_WET: Final = ("water", *words.GRAVITY)


@rule(
    "C1",
    "排水管覆土不小于0.7米（车行道）、0.6米（人行道）",
    "Drains are covered by 0.7 m under cars, 0.6 m elsewhere",
    standard="GB 50014-2021",
    clause="5.3.7",
    severity=WARNING,
)
def drains(net: Network) -> Iterator[Found]:
    """Where nobody says where cars drive, the lesser figure counts."""
    yield from _thin(net, [row for row in limits.covers() if row.origin.verified])


@rule(
    "C2",
    "各类管线最小覆土",
    "Each class has its least cover",
    standard="GB 50289-2016",
    clause="table 4.1.3",
    grade="M",
    severity=WARNING,
)
def others(net: Network) -> Iterator[Found]:
    """By class, way of laying and place."""
    yield from _thin(net, [row for row in limits.covers() if not row.origin.verified])


@rule(
    "C3",
    "管道宜埋在冰冻线以下",
    "Pipes with water lie below the frost",
    standard="GB 50014-2021",
    clause="5.3.8",
    grade="M",
    severity=WARNING,
)
def frost(net: Network) -> Iterator[Found]:
    """Cover of pipes with water against the frost depth of the place; nothing is said where that is not known."""
    depth = frost_depth_m(net)
    if depth is None:
        return
    cover = np.fmin(*net.cover)
    wet = np.isin(net.line_class.astype(str), _WET) & ~net.aloft
    floor = np.array([_least(net, name) for name in _WET])
    # What is less than the least cover has been said by C1 or C2.
    enough = np.zeros(len(cover))
    for name, metres in zip(_WET, floor, strict=True):
        enough[net.line_class == name] = metres
    rows = where(wet & (cover >= enough - _TOLERANCE_M) & (cover < depth - _TOLERANCE_M))
    zh, en = f"覆土 {{}} 米小于冰冻深度 {depth:g} 米", f"is covered by {{}} m; the ground freezes to {depth:g} m"
    yield Found(Table.lines, rows, "start_depth_m", zh, en, (cover[rows],))


def frost_depth_m(net: Network) -> float | None:
    """The frost depth where the survey lies: as given, else by the table; None where it is not known."""
    if net.facts.frost_m is not None:
        return net.facts.frost_m
    lon, lat = net.placed.lon, net.placed.lat
    if np.isnan(lon).all():
        return None
    x, y = float(np.nanmedian(lon)), float(np.nanmedian(lat))
    for row in limits.frost_depths():
        west, south, east, north = row.bounds
        if west <= x <= east and south <= y <= north:
            return row.metres
    return None


def _thin(net: Network, rows: list[Cover]) -> Iterator[Found]:
    cover = np.fmin(*net.cover)
    driven = _driven(net)
    conduit = net.lines["laying"].isin(words.CONDUIT).to_numpy(bool)
    depths = np.fmin(*net.depth)
    for row in rows:
        fits = (net.line_class == row.pipe_class) & ~net.aloft & (driven == (row.place == "carriageway"))
        if row.laying:
            fits &= conduit == (row.laying == "conduit")
        # A depth of nought or less is L5's.
        thin = where(fits & (depths > 0) & (cover < row.metres - _TOLERANCE_M))
        zh, en = f"覆土 {{}} 米小于 {row.metres:g} 米", f"is covered by {{}} m, least {row.metres:g}"
        yield Found(Table.lines, thin, "start_depth_m", zh, en, (cover[thin],))


def _driven(net: Network) -> Mask:
    """Lines of which an end or the middle lies under a carriageway, as far as the city knows them."""
    under = np.zeros(len(net.lines), bool)
    areas = net.facts.carriageways
    if areas is None or not len(areas):
        return under
    tree = shapely.STRtree(np.asarray(areas, object))
    for share in (0.0, 0.5, 1.0):
        lon, lat = (_between(net.at(v), share) for v in (net.placed.lon, net.placed.lat))
        good = np.flatnonzero(~np.isnan(lon) & ~np.isnan(lat))
        hit, _ = tree.query(shapely.points(lon[good], lat[good]), predicate="intersects")
        under[good[hit]] = True
    return under


def _between(ends: tuple[Floats, Floats], share: float) -> Floats:
    return ends[0] + share * (ends[1] - ends[0])


def _least(net: Network, name: str) -> float:
    place = "other" if net.facts.carriageways is None else "carriageway"
    return max((row.metres for row in limits.covers() if row.pipe_class == name and row.place == place), default=0.0)
