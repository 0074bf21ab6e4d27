"""X1-X4: clear distances between pipes (GB 50289-2016), found in 3D by `twin.pipes.clearance`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from twin.survey.fields import Table
from twin.survey.findings import WARNING, Found, Mask, where
from twin.survey.network import Network
from twin.survey.rules import rule

_NORM: Final = "GB 50289-2016"
_YIELDS: Final = (
    ("两条管线中应由本管线避让", "of the two, this line gives way"),
    ("两条管线中应由对方避让", "of the two, the other line gives way"),
)
_TOLERANCE_M: Final = 0.02
"""Survey levels are to the centimetre."""


@rule(
    "X1",
    "管线间水平净距",
    "Lines side by side are apart enough",
    standard=_NORM,
    clause="table 4.1.9",
    severity=WARNING,
)
def beside(net: Network) -> Iterator[Found]:
    """Edge to edge in plan."""
    found = net.conflicts
    yield from _told(net, found.horizontal & ~_over_water(found) & ~found.beside_crossing, "水平净距", "apart in plan")


@rule(
    "X2",
    "管线交叉垂直净距",
    "Lines that cross are apart enough",
    standard=_NORM,
    clause="table 4.1.14",
    grade="M",
    severity=WARNING,
)
def above(net: Network) -> Iterator[Found]:
    """Lower edge of the upper to upper edge of the lower."""
    found = net.conflicts
    yield from _told(net, ~found.horizontal & ~_over_water(found), "垂直净距", "apart at the crossing")


@rule(
    "X3",
    "污水管不在给水管上方交叉（加套管除外）",
    "Sewers do not cross above water mains unless cased",
    standard=_NORM,
    clause="4.1.12",
    grade="M",
    severity=WARNING,
)
def over_water(net: Network) -> Iterator[Found]:
    """Told of both lines."""
    found = net.conflicts
    rows = where(_over_water(found))
    for own, other in ((found.a[rows], found.b[rows]), (found.b[rows], found.a[rows])):
        zh, en = "与 {}-{} 交叉：污水管位于给水管上方", "crosses {}-{}: the sewer lies above the water main"
        yield Found(Table.lines, own, "start_depth_m", zh, en, _names(net, other), at=_xy(found, rows))


@rule(
    "X4",
    "冲突时的避让次序",
    "Who gives way where lines conflict",
    standard=_NORM,
    clause="3.0.4",
    grade="M",
    severity=WARNING,
)
def yielding(net: Network) -> Iterator[Found]:
    """Pressure to gravity, what bends to what does not, small to large; told of the line that gives way."""
    found = net.conflicts
    crossing = ~found.horizontal
    for who, own, other in ((0, found.a, found.b), (1, found.b, found.a)):
        rows = where(crossing & (found.yields == who))
        zh, en = "与 {}-{} 冲突：" + _YIELDS[0][0], "conflicts with {}-{}: " + _YIELDS[0][1]
        yield Found(Table.lines, own[rows], "start_depth_m", zh, en, _names(net, other[rows]), at=_xy(found, rows))


def _told(net: Network, chosen: Mask, zh: str, en: str) -> Iterator[Found]:
    """Too near, told of the line that gives way, else of the first; errors of verified rows stay warnings here."""
    found = net.conflicts
    chosen &= found.gap < found.need - _TOLERANCE_M
    rows = where(chosen)
    turned = found.yields[rows] == 1
    own = np.where(turned, found.b[rows], found.a[rows])
    other = np.where(turned, found.a[rows], found.b[rows])
    start, end = _names(net, other)
    clause = (
        np.array([known.cited for known in found.rules], object)[found.rule[rows]] if len(rows) else np.empty(0, object)
    )
    yield Found(
        Table.lines,
        own,
        "start_depth_m",
        "与 {}-{} 的" + zh + " {} 米，应不小于 {} 米（{}）",
        "{}-{} is {} m " + en + ", least {} ({})",
        (start, end, found.gap[rows], found.need[rows], clause),
        at=_xy(found, rows),
    )


def _over_water(found: Any) -> Mask:
    """Findings of the last rule, which is X3."""
    chosen: Mask = found.rule == len(found.rules) - 1
    return chosen


def _names(net: Network, line: Any) -> tuple[Any, Any]:
    return net.lines["start_point"].to_numpy()[line], net.lines["end_point"].to_numpy()[line]


def _xy(found: Any, rows: Any) -> Any:
    return np.column_stack([found.x[rows], found.y[rows]])
