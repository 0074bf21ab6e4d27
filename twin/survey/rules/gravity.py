"""G1-G7: slopes, velocities, turns, spacings and sizes of drains (GB 50014-2021)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from data.codes import limits
from data.codes.limits import Slope
from twin.survey.fields import Table
from twin.survey.findings import WARNING, Floats, Found, Mask, each, where
from twin.survey.network import Network
from twin.survey.rules import rule
from twin.survey.rules.topology import next_along_flow

_NORM: Final = "GB 50014-2021"
_LEVEL_M: Final = 0.01
_RELATIVE: Final = 0.02
"""A slope or velocity this little under its limit is a matter of rounded levels."""
_WELLS: Final = ("manhole", "inlet", "outfall", "pump_station")


@rule("G1", "排水管线不逆坡", "Drains fall along their flow", standard="survey tool default", clause="uphill check")
def uphill(net: Network) -> Iterator[Found]:
    """The invert at the lower end is not above that at the upper end."""
    rise = net.falls[1] - net.falls[0]
    rows = where((net.downstream[0] >= 0) & (rise > _LEVEL_M))
    yield Found(Table.lines, rows, "end_level_m", "沿流向管底抬高 {} 米", "rises by {} m along the flow", (rise[rows],))


@rule("G2", "坡度不小于最小坡度", "Drains are steep enough", standard=_NORM, clause="5.2.10", severity=WARNING)
def flat(net: Network) -> Iterator[Found]:
    """By diameter and material; the row of the next smaller listed diameter counts. Rises are G1's."""
    least: Floats = np.zeros(len(net.lines))
    size = np.nan_to_num(net.number("diameter_mm"))
    group = _groups(net)
    for row in sorted((s for s in limits.slopes() if s.limit == "least"), key=lambda s: s.diameter_mm):
        least = np.where(_speaks_of(row, net, size, group), row.slope, least)
    slope = net.slope
    round_ = net.lines["height_mm"].isna().to_numpy()
    # What the levels' centimetres hide over the length of the line is not held against it.
    slack = np.maximum(least * _RELATIVE, _LEVEL_M / np.maximum(net.length, 1.0))
    rows = where(round_ & (slope > -_LEVEL_M / np.maximum(net.length, 1.0)) & (slope < least - slack))
    said = (1000 * slope[rows], 1000 * least[rows])
    yield Found(Table.lines, rows, "end_level_m", "坡度 {}‰ 小于最小坡度 {}‰", "falls by {} per mille, least {}", said)


@rule(
    "G3",
    "坡度不过大",
    "Drains are not too steep",
    standard="survey tool default",
    clause="10 and 30 degrees",
    severity=WARNING,
)
def steep(net: Network) -> Iterator[Found]:
    """More than 10 degrees is told, more than 30 in stronger words."""
    steepest = {row.limit: row.slope for row in limits.slopes() if row.limit != "least"}
    degrees = np.degrees(np.arctan(net.slope))
    rows = where((net.slope > steepest["steep"]) & (net.slope <= steepest["most"]))
    yield Found(
        Table.lines,
        rows,
        "end_level_m",
        "坡度 {} 度，超过 10 度",
        "falls by {} degrees, more than 10",
        (degrees[rows],),
    )
    rows = where(net.slope > steepest["most"])
    yield Found(
        Table.lines,
        rows,
        "end_level_m",
        "坡度 {} 度，超过 30 度",
        "falls by {} degrees, more than 30",
        (degrees[rows],),
    )


@rule(
    "G4",
    "满流流速不小于最小设计流速",
    "Drains run fast enough when full",
    standard=_NORM,
    clause="5.2.7",
    severity=WARNING,
)
def slow(net: Network) -> Iterator[Found]:
    """By Manning for the full pipe: v = R^(2/3) S^(1/2) / n, with R = d/4, or the area over the perimeter of a box."""
    width = np.where(np.isnan(net.number("width_mm")), net.number("diameter_mm"), net.number("width_mm")) / 1000
    box = ~net.lines["height_mm"].isna().to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.where(box, width * net.height_m / (2 * (width + net.height_m)), net.height_m / 4)
        roughness = _roughness(net)
        speed = radius ** (2 / 3) * np.sqrt(np.maximum(net.slope, 0.0)) / roughness
        # The levels are rounded to centimetres: the fall may be that much more.
        fastest = (
            radius ** (2 / 3) * np.sqrt(np.maximum(net.slope, 0.0) + _LEVEL_M / np.maximum(net.length, 1.0)) / roughness
        )
    for name, (least, _) in limits.velocities().items():
        enough = fastest >= least * (1 - _RELATIVE)
        rows = where((net.line_class == name) & (net.slope >= 0) & ~enough & ~np.isnan(fastest) & ~net.branch)
        zh, en = f"满流流速 {{}} 米/秒小于 {least:g}", f"runs at {{}} m/s when full, less than {least:g}"
        yield Found(Table.lines, rows, "end_level_m", zh, en, (speed[rows],))


@rule("G5", "水流转角不小于90度", "Water is not turned back", standard=_NORM, clause="5.3.2", severity=WARNING)
def turned_back(net: Network) -> Iterator[Found]:
    """The angle between the line that comes and the one that goes on is at least 90 degrees."""
    line, out = next_along_flow(net)
    upper, lower = net.downstream
    x, y = net.placed.x, net.placed.y
    ax, ay = x[upper[line]] - x[lower[line]], y[upper[line]] - y[lower[line]]
    bx, by = x[lower[out]] - x[upper[out]], y[lower[out]] - y[upper[out]]
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = (ax * bx + ay * by) / (np.hypot(ax, ay) * np.hypot(bx, by))
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    sharp = angle < limits.limit("widest_turn_deg") - 1.0
    yield Found(
        Table.lines,
        line[sharp],
        "end_point",
        "与下游管线的夹角仅 {} 度",
        "meets the next line at {} degrees",
        (angle[sharp],),
    )


@rule("G6", "检查井间距不超过最大间距", "Wells are not too far apart", standard=_NORM, clause="5.4.4", severity=WARNING)
def spacing(net: Network) -> Iterator[Found]:
    """The length of a line between two wells, by its diameter."""
    size = net.number("diameter_mm")
    kind = np.append(net.kind.astype(str), "")
    wells = net.gravity & np.isin(kind[net.start], _WELLS) & np.isin(kind[net.end], _WELLS)
    for row in limits.spacings():
        rows = where(wells & (size >= row.from_mm) & (size <= row.to_mm) & (net.length > row.metres))
        zh, en = f"井距 {{}} 米超过 {row.metres:g} 米", f"{{}} m between wells, most {row.metres:g}"
        yield Found(Table.lines, rows, "length_m", zh, en, (net.length[rows],))


@rule("G7", "管径不小于最小管径", "Drains are wide enough", standard=_NORM, clause="5.2.10", severity=WARNING)
def narrow(net: Network) -> Iterator[Found]:
    """300 mm, from a gully 200 mm."""
    size = net.number("diameter_mm")
    for (name, role), (least, _) in limits.least_sizes().items():
        of_role = (net.downstream[0] >= 0) & (net.branch == (role == "branch"))
        # What is too small to be a diameter in millimetres is A9's.
        rows = where((net.line_class == name) & of_role & (size >= 100) & (size < least))  # noqa: PLR2004
        zh, en = f"管径 {{}} 毫米小于 {least:g}", f"diameter {{}} mm is less than {least:g}"
        yield Found(Table.lines, rows, "size", zh, en, (size[rows],))


def _groups(net: Network) -> Any:
    """Rigid or plastic, by material; empty where it is not known."""
    said = net.lines["material"]
    known = {letters: row.group for letters, row in limits.roughnesses().items()}
    return each(said, lambda letters: known.get(letters, ""), nothing="")


def _roughness(net: Network) -> Floats:
    said = net.lines["material"]
    known = {letters: row.n for letters, row in limits.roughnesses().items()}
    return each(said, lambda letters: known.get(letters, np.nan), nothing=np.nan).astype(np.float64)


def _speaks_of(row: Slope, net: Network, size: Floats, group: Floats) -> Mask:
    """Which drains a row of least slopes is for: from its diameter up, of its role and material."""
    fits: Mask = net.gravity & (size >= row.diameter_mm) & (net.branch == (row.role == "branch"))
    return fits & (group == row.group) if row.group else fits
