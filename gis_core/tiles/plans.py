"""How a layer's tiles are asked of PostGIS: one statement per layer, kind of zoom and rights, prepared once.

The statement takes arrays of z, x and y and answers each one's place in them (from 1) and its vector tile, so that
any number of tiles that wait at the same moment cost one round trip, one start of the executor and no planning.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from gis_core.access import Viewer, hidden, is_fleeting, is_guarded, owned, visible
from gis_core.errors import BadInput
from gis_core.rows import as_text, bare, seen_from, spatial
from gis_core.spec import Appears, Layer
from gis_core.style import LABELS, Boundary

EXTENT = 4096
"""Steps across a tile."""
BUFFER = 64
"""Steps by which a tile holds more than its frame, so that wide lines and labels are not cut at its edge."""
MAX_ZOOM = 22
"""The deepest zoom that is answered; the map itself asks up to `MAX_TILE_ZOOM` and stretches that."""
EXACT_FROM_ZOOM = 14
"""From here on geometry is as stored; below, it is simplified to half a pixel."""
_TOLERANCE_STEPS = 4
_SMALLEST_AREA_STEPS = 8

_BATCH = """
SELECT n, {parts}
FROM (
  SELECT ST_TileEnvelope(z, x, y) AS frame, ST_TileEnvelope(z, x, y, margin => {margin}) AS reach,
         {width} / (1 << z) / {extent} AS step, n
  FROM unnest($1::int[], $2::int[], $3::int[]) WITH ORDINALITY AS asked(z, x, y, n) OFFSET 0
) AS tile
"""
_PART = "(SELECT ST_AsMVT(f, '{name}', {extent}, 'geom', 'id') FROM ({rows}) f)"
_WORLD_WIDTH_M = 40075016.685578488


class NoSuchTile(BadInput):
    """There is no such tile: zoom, row or column is out of range."""


@dataclass(frozen=True, eq=False)
class TilePlan:
    """One prepared question.

    `scope` and `clearance` are what the connection must be bound to; `digest` stands for all that the answer depends
    on beside place and version, so two viewers with the same digest may share tiles. An answer to a `fleeting` one
    depends on the hour as well, and is not kept.
    """

    layer: str
    scope: str
    text: str = field(repr=False)
    digest: str
    clearance: str = ""
    fleeting: bool = False


def check_address(z: int, x: int, y: int) -> None:
    """Raise NoSuchTile unless the tile exists."""
    if not 0 <= z <= MAX_ZOOM:
        raise NoSuchTile(f"zoom {z} is out of range: it is 0 to {MAX_ZOOM}")
    last = (1 << z) - 1
    if not (0 <= x <= last and 0 <= y <= last):
        raise NoSuchTile(f"row {y}, column {x} is out of range: at zoom {z} both are 0 to {last}")


def tile_fields(layer: Layer) -> tuple[str, ...]:
    """The names of the columns that travel in the layer's tiles."""
    if layer.tile_fields is not None:
        return tuple(attribute.key for attribute in layer.tile_fields)
    return tuple(name for name, field in layer.fields.items() if not field.live)


def appearance(layer: Layer, z: int) -> Appears | None:
    """The rule that says which rows are in tiles of this zoom; None below the layer's first zoom."""
    return next((a for a in reversed(layer.appears) if a.zoom <= z), None)


def make_plan(layer: Layer, viewer: Viewer, z: int) -> TilePlan | None:
    """The statement for tiles of zoom `z` (EPSG:3857) as this viewer may see them; None where the layer has none.

    Raises:
        Forbidden: the viewer may not see the layer.

    """
    rule = appearance(layer, z)
    fields = tile_fields(layer)
    rows = visible(layer, viewer)
    if rule is None:
        return None
    generalised = z < EXACT_FROM_ZOOM and not layer.is_point
    frame: sa.ColumnElement[Any] = sa.literal_column("tile.frame")
    reach: sa.ColumnElement[Any] = sa.literal_column("tile.reach")
    step: sa.ColumnElement[float] = sa.literal_column("tile.step", sa.Double)
    shape = bare(rows.c.shape)
    wanted: list[sa.ColumnElement[bool]] = [shape.op("&&")(reach)]
    if rule.where is not None:
        wanted.append(seen_from(rows, rule.where))
    drawn = shape
    if generalised:
        drawn = spatial("ST_Simplify", shape, step * _TOLERANCE_STEPS, sa.true())
        if layer.geometry.endswith("POLYGON"):
            side = spatial("ST_XMax", shape, type_=sa.Float) - spatial("ST_XMin", shape, type_=sa.Float)
            wanted.append(side > step * _SMALLEST_AREA_STEPS)
    geometry = spatial("ST_AsMVTGeom", drawn, frame, sa.literal(EXTENT), sa.literal(BUFFER), sa.true()).label("geom")
    unseen = hidden(layer, viewer)
    shown = [_value(rows.c[name]) for name in fields if name not in unseen]
    query = sa.select(rows.c.id, *shown, rows.c.simulated, geometry).where(*wanted)
    parts = {layer.name: query}
    if isinstance(layer.style, Boundary):
        # An area is cut into many tiles, and a map would write its name into each.
        anchor = spatial("ST_PointOnSurface", shape)
        spot = spatial("ST_AsMVTGeom", anchor, frame, sa.literal(EXTENT), sa.literal(0), sa.true()).label("geom")
        parts[layer.name + LABELS] = sa.select(rows.c.id, *shown, spot).where(*wanted, anchor.op("&&")(frame))
    told = [_PART.format(name=name, extent=EXTENT, rows=as_text(part)) for name, part in parts.items()]
    text = _BATCH.format(parts=" || ".join(told), extent=EXTENT, margin=BUFFER / EXTENT, width=_WORLD_WIDTH_M)
    locked = owned(layer) is not None or is_guarded(layer)
    scope, clearance = (viewer.scope, viewer.clearance) if locked else ("", "")
    digest = hashlib.sha256(f"{scope}\n{clearance}\n{text}".encode()).hexdigest()[:16]
    return TilePlan(layer.name, scope, text, digest, clearance, is_fleeting(layer, viewer))


def _value(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A column as ST_AsMVT takes it quickest: it knows `text`, and looks up how to print a `varchar` for each row."""
    return sa.cast(column, sa.Text).label(column.key) if isinstance(column.type, sa.String) else column
