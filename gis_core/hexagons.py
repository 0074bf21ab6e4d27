"""A layer's measures by H3 cell. A line or area counts in each cell with its share there, so that sums add up.

Of a layer that marks how secret its rows are, everybody else is told its `presence`: about how much lies in a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
import sqlalchemy as sa

from gis_core.access import Role, Viewer, visible
from gis_core.crs import Bounds
from gis_core.errors import BadInput, Forbidden, NotFound, TooLarge
from gis_core.filters.shapes import touches_box
from gis_core.hexgrid import COVER_RESOLUTION, FINEST, Cells, cells_in_bbox, parent, to_hex_strings
from gis_core.rows import answered, bare, seen_from
from gis_core.spec import Combine, Layer, Measure

COARSEST: Final = 4
MOST_HEXAGONS: Final = 150_000
FINEST_PRESENCE: Final = 8
"""Cells of 0.74 km2."""
PRESENT: Final = Viewer(Role.wall, name="presence")
"""With whose eyes presence is counted: rows that are too secret for a wall are in no number that anybody is told."""
_PRESENCE_STEPS: Final = np.array([1.0, 2.0, 5.0, 10.0])
_BREAKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_DIGITS: Final = 6
_EDGE_0_DEGREES: Final = 11.52
"""Mean edge of a cell of resolution 0, 1281 km, in degrees of latitude; h3geo.org."""
_REACH_EDGES: Final = 4.0
"""A cell that touches a box, and all that counts in it, lies within so many edges of the box."""


@dataclass(frozen=True)
class Hexagons:
    """One number per cell, in the order of the cells; `simulated` if any feature behind them is made up."""

    measure: Measure
    resolution: int
    cells: Cells
    values: npt.NDArray[np.float64]
    simulated: bool
    presence: bool = False

    @property
    def breaks(self) -> list[float]:
        """The bounds of five classes with equally many cells each, ascending; fewer where values repeat."""
        if not len(self.values):
            return []
        return [round(float(b), _DIGITS) for b in np.unique(np.quantile(self.values, _BREAKS))]

    def as_json(self) -> dict[str, Any]:
        """The hexagons as the browser gets them; cells as hexadecimal text."""
        values = np.round(self.values, _DIGITS)
        return {
            "measure": self.measure.name,
            "unit": self.measure.unit,
            "resolution": self.resolution,
            "label": self.measure.label.as_json(),
            "simulated": self.simulated,
            "presence": self.presence,
            "min": float(values.min()) if len(values) else None,
            "max": float(values.max()) if len(values) else None,
            "breaks": self.breaks,
            "cells": to_hex_strings(self.cells),
            "values": values.tolist(),
        }


def find_measure(layer: Layer, name: str | None) -> Measure:
    """The layer's measure of that name, its first one for None. Raises NotFound, naming those there are."""
    if not layer.measures:
        raise NotFound(f"{layer.name} has no measures")
    found = next((m for m in layer.measures if name in (None, m.name)), None)
    if found is None:
        names = ", ".join(m.name for m in layer.measures)
        raise NotFound(f"{layer.name} has no measure {str(name)[:60]!r}; it has: {names}")
    return found


def find_presence(layer: Layer, name: str | None) -> Measure:
    """The measure of that name, or the first, that is told as presence. Raises NotFound; Forbidden for the others."""
    told = [m for m in layer.measures if m.presence]
    if name is None and told:
        return told[0]
    found = find_measure(layer, name)
    if not found.presence:
        names = ", ".join(m.name for m in told)
        raise Forbidden(f"of {layer.name} you are told where something lies, by hexagon, as {names}; not {found.name}")
    return found


def finest(layer: Layer) -> int:
    """The finest resolution of a layer: that of its points' cells, or of the stored shares of lines and areas."""
    return FINEST if layer.is_point else COVER_RESOLUTION


def aggregate(
    connection: sa.Connection, layer: Layer, viewer: Viewer, measure: Measure, resolution: int, bounds: Bounds | None
) -> Hexagons:
    """The measure in every cell that touches the bounds (west, south, east, north), each with all that counts in it.

    A resolution that is finer than the layer's finest is answered at that one, and the answer says so.

    Raises:
        Forbidden: the viewer may not see the layer.
        BadInput: the resolution is out of range.
        TooLarge: more than MOST_HEXAGONS cells.

    """
    if not COARSEST <= resolution <= FINEST:
        raise BadInput(f"resolution is {COARSEST} to {FINEST}, not {resolution}")
    resolution = min(resolution, finest(layer))
    rows = visible(layer, viewer)
    query = _grouped(rows, layer, measure, resolution)
    if bounds is not None:
        query = query.where(touches_box(bare(rows.c.geom), shapely.box(*_widened(bounds, resolution))))
    with answered():
        found = connection.execute(query).all()
    cells = np.array([row[0] for row in found], dtype=np.int64)
    values = np.array([np.nan if row[1] is None else row[1] for row in found], dtype=np.float64)
    wanted = ~np.isnan(values)
    if bounds is not None:
        wanted &= np.isin(cells, cells_in_bbox(bounds, resolution))
    if wanted.sum() > MOST_HEXAGONS:
        raise TooLarge(f"{wanted.sum():,} hexagons; at most {MOST_HEXAGONS:,} are sent: ask coarser, or with a bbox")
    made_up = np.array([row[2] for row in found], dtype=bool)
    chosen = np.flatnonzero(wanted)
    chosen = chosen[np.argsort(cells[chosen])]
    return Hexagons(measure, resolution, cells[chosen], values[chosen], bool(made_up[chosen].any()))


def presence(
    connection: sa.Connection, layer: Layer, measure: Measure, resolution: int, bounds: Bounds | None
) -> Hexagons:
    """About how much lies in every cell that touches the bounds, for those who may see no row; read as PRESENT.

    Every number is rounded up to 1, 2 or 5 times a power of ten, at least 1. It is made of the whole cell, whatever
    the bounds, and coarser cells are made of the rounded numbers of the finest: no other question tells more.

    Raises:
        BadInput: the resolution is out of range.
    """
    if not COARSEST <= resolution <= FINEST:
        raise BadInput(f"resolution is {COARSEST} to {FINEST}, not {resolution}")
    found = aggregate(connection, layer, PRESENT, measure, FINEST_PRESENCE, None)
    cells, values = found.cells, rounded_up(found.values)
    if resolution < FINEST_PRESENCE and len(cells):
        cells, group = np.unique(parent(cells, resolution), return_inverse=True)
        values = rounded_up(np.bincount(group, values).astype(np.float64))
    resolution = min(resolution, FINEST_PRESENCE)
    if bounds is not None:
        near = np.isin(cells, cells_in_bbox(bounds, resolution))
        cells, values = cells[near], values[near]
    return Hexagons(measure, resolution, cells, values, found.simulated, presence=True)


def rounded_up(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Numbers as presence tells them: the next of 1, 2 and 5 times a power of ten, at least 1."""
    least = np.maximum(values, 1.0)
    power = 10.0 ** np.floor(np.log10(least) + _TINY)
    step = np.searchsorted(_PRESENCE_STEPS, least / power - _TINY)
    rounded: npt.NDArray[np.float64] = _PRESENCE_STEPS[step] * power
    return rounded


_TINY: Final = 1e-5
"""So that what was rounded once stays as it is; shares are kept to seven digits."""


def is_live(layer: Layer, measure: Measure) -> bool:
    """Whether the measure looks at a column that a feed keeps current, whose changes raise no version."""
    if measure.value is None:
        return False
    columns = sa.sql.visitors.iterate(sa.sql.coercions.expect(sa.sql.roles.ExpressionElementRole, measure.value))
    names = {element.key for element in columns if isinstance(element, sa.Column)}
    return any(layer.fields[name].live for name in names if name in layer.fields)


def _grouped(rows: sa.Subquery, layer: Layer, measure: Measure, resolution: int) -> sa.Select[Any]:
    """Cell, number and whether anything in it is simulated."""
    cover = layer.model.cover
    value = None if measure.value is None else seen_from(rows, measure.value)
    source: Any = rows
    if cover is None:
        cell = parent(rows.c.cell, resolution)
        number = _plain(measure.combine, value)
    else:
        cell = parent(cover.c.cell, resolution)
        number = _shared(measure.combine, value, cover.c.share)
        source = rows.join(cover, cover.c.feature_id == rows.c.id)
    simulated = sa.func.bool_or(rows.c.simulated)
    return sa.select(cell, sa.cast(number, sa.Double), simulated).select_from(source).group_by(cell)


_FUNCTIONS: Final[dict[Combine, Any]] = {
    Combine.sum: sa.func.sum,
    Combine.mean: sa.func.avg,
    Combine.max: sa.func.max,
    Combine.min: sa.func.min,
}


def _plain(combine: Combine, value: Any) -> Any:
    if combine is Combine.count:
        return sa.func.count() if value is None else sa.func.count(value)
    return _FUNCTIONS[combine](value)


def _shared(combine: Combine, value: Any, share: sa.ColumnElement[float]) -> Any:
    part = sa.cast(share, sa.Double)
    if combine in {Combine.max, Combine.min}:
        return _plain(combine, value)
    counted = sa.func.sum(part) if value is None else sa.func.sum(part).filter(value.is_not(None))
    if combine is Combine.count:
        return counted
    total = sa.func.sum(value * part)
    return total if combine is Combine.sum else total / counted


def _widened(bounds: Bounds, resolution: int) -> Bounds:
    """Bounds within which everything lies that counts in a cell that touches the given ones."""
    west, south, east, north = bounds
    reach = _REACH_EDGES * _EDGE_0_DEGREES / 7 ** (resolution / 2)
    low, high = max(south - reach, -90.0), min(north + reach, 90.0)
    across = reach / max(np.cos(np.radians(max(abs(low), abs(high)))), 0.01)
    return max(west - across, -180.0), low, min(east + across, 180.0), high
