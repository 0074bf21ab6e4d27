"""Pipes near a place, read through the gate, in metres; and how many are there that the asker may not see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import sqlalchemy as sa

from gis_core import crs
from gis_core.access import Viewer, visible
from gis_core.allowance import RESOLUTION
from gis_core.database import Database
from gis_core.errors import TooLarge, Unprocessable
from gis_core.hexagons import FINEST_PRESENCE, rounded_up
from gis_core.hexgrid import cells_in_bbox, cells_of, child_range, parent
from gis_core.rows import bare
from gis_core.spec import Layer

MOST: Final = 20_000
"""Pipes that one question may meet."""
_ELSEWHERE: Final = "what is drawn does not lie in the city"
_FOLDED_DEG: Final = 1e-5
_NAMELESS: Final = frozenset({"shape", "cell", "dataset_id", "updated_at"})


@dataclass(frozen=True)
class Seen:
    """Rows of a layer with their columns (codes as words) and their geometries in metres, in the same order."""

    frame: pd.DataFrame
    shapes: npt.NDArray[np.object_]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.frame)


@dataclass(frozen=True)
class Unseen:
    """Rows that the asker may not see: about how many lie in the hexagons of this resolution that the place touches."""

    count: int
    resolution: int = FINEST_PRESENCE


def text_of(value: Any) -> str:
    """A text of a frame; empty where it is missing, in whichever way frames say so."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124  NaN


def to_metres(geometry: shapely.Geometry, metric_crs: str) -> Any:
    """A geometry of EPSG:4326 in metres."""
    return crs.to_metric(np.array([geometry], dtype=object), metric_crs)[0]


def drawn(place: Any, metric_crs: str) -> Any:
    """What somebody drew in EPSG:4326, in metres.

    Raises:
        Unprocessable: it is empty, crosses itself, or lies where the city's system does not reach.
    """
    if place.is_empty or not place.is_valid:
        raise Unprocessable("what is drawn is empty or crosses itself")
    try:
        moved = to_metres(place, metric_crs)
    except shapely.errors.GEOSException as error:  # a ring some of whose corners are nowhere closes no more
        raise Unprocessable(_ELSEWHERE) from error
    # Far from the city a projection folds: whatever does not come back to its place is not there.
    if np.isfinite(shapely.get_coordinates(moved)).all() and moved.is_valid:
        x, y = shapely.get_coordinates(moved).T
        lon, lat = crs.convert(x, y, crs.declare(metric_crs))
        there = shapely.get_coordinates(place)
        if np.abs(np.column_stack([lon, lat]) - there).max() < _FOLDED_DEG:
            return moved
    raise Unprocessable(_ELSEWHERE)


def ground_of(shapes: Any, metric_crs: str) -> set[int]:
    """The cells of `gis_core.allowance` in which the vertices of geometries (metres) lie."""
    x, y = shapely.get_coordinates(shapes).T
    lon, lat = crs.convert(x, y, crs.declare(metric_crs))
    return set(cells_of(lon, lat, RESOLUTION).tolist())


def to_degrees(geometry: shapely.Geometry, metric_crs: str) -> Any:
    """A geometry in metres as EPSG:4326."""
    return crs.to_lonlat(np.array([geometry], dtype=object), crs.declare(metric_crs))[0]


def near(
    connection: sa.Connection,
    layer: Layer,
    viewer: Viewer,
    place: shapely.Geometry | None,
    metric_crs: str,
    *,
    columns: Collection[str] | None = None,
    most: int = MOST,
) -> Seen:
    """What a viewer may see of a layer at a place (in metres, grown already by how near is meant; None: all).

    `columns` narrows what is read; the id and the geometry always are.

    Raises:
        Forbidden: the viewer may not see the layer.
        TooLarge: there is more than one question may meet.
    """
    rows = visible(layer, viewer, None if columns is None else {*columns, "id", "geom"})
    wanted = sa.true() if place is None else _meets(rows.c.geom, to_degrees(place, metric_crs))
    return _gather(connection, rows, wanted, metric_crs, place, most)


def named(
    connection: sa.Connection, layer: Layer, viewer: Viewer, column: str, values: Sequence[str], metric_crs: str
) -> Seen:
    """What a viewer may see of a layer whose column has one of some values. Raises Forbidden, TooLarge."""
    rows = visible(layer, viewer)
    return _gather(connection, rows, rows.c[column].in_(list(values)), metric_crs, None, MOST)


def unseen(database: Database, layer: Layer, viewer: Viewer, place: Any, metric_crs: str) -> Unseen:
    """About how many rows of a layer, that the viewer may not see, lie in the hexagons about a place (in metres).

    As presence is told: whole hexagons, each number rounded up. Rows of every mark count: who digs has to ask.
    """
    cells = cells_in_bbox(shapely.bounds(to_degrees(place, metric_crs)).tolist(), FINEST_PRESENCE)
    with database.writing() as connection:
        there = _counted(connection, layer.model.__table__, cells)
    with database.reading(viewer) as connection:
        known = _counted(connection, visible(layer, viewer, ("cell",)), cells)
    others = np.array([count - known.get(cell, 0) for cell, count in there.items()], np.float64)
    return Unseen(int(rounded_up(others[others > 0]).sum()))


def _counted(connection: sa.Connection, rows: Any, cells: Any) -> dict[int, int]:
    """How many rows lie in each of some cells, each row in one."""
    cell = parent(rows.c.cell, FINEST_PRESENCE)
    spans = [rows.c.cell.between(*child_range(int(c))) for c in cells]
    found = connection.execute(sa.select(cell, sa.func.count()).where(sa.or_(*spans)).group_by(cell))
    return {int(row[0]): int(row[1]) for row in found}


def _meets(column: Any, area: shapely.Geometry) -> Any:
    shape = sa.func.ST_GeomFromWKB(sa.literal(shapely.to_wkb(area), sa.LargeBinary), 4326, type_=sa.types.NullType())
    geom = bare(column)
    return sa.and_(geom.op("&&")(shape), sa.func.ST_Intersects(geom, shape, type_=sa.Boolean))


def _gather(
    connection: sa.Connection,
    rows: sa.Subquery,
    wanted: Any,
    metric_crs: str,
    place: shapely.Geometry | None,
    most: int,
) -> Seen:
    columns = [c for c in rows.c if c.key not in _NAMELESS | {"geom"}]
    shape = sa.func.ST_AsBinary(bare(rows.c.geom), type_=sa.LargeBinary)
    query = sa.select(*columns, shape.label("geom")).where(wanted).order_by(rows.c.id).limit(most + 1)
    found = connection.execute(query).all()
    if len(found) > most:
        raise TooLarge(f"more than {most:,} are there; ask for a smaller place")
    frame = pd.DataFrame([_plain(row[:-1]) for row in found], columns=[c.key for c in columns])
    shapes = crs.to_metric(shapely.from_wkb(np.array([bytes(row[-1]) for row in found], dtype=object)), metric_crs)
    if place is not None and len(found):
        kept = shapely.intersects(shapes, place)
        frame, shapes = frame[kept].reset_index(drop=True), shapes[kept]
    return Seen(frame, np.asarray(shapes, dtype=object))


def _plain(values: Iterable[Any]) -> list[Any]:
    return [value.name if isinstance(value, Enum) else value for value in values]
