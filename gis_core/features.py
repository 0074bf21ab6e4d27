"""Features of a layer, page by page, as GeoJSON.

Each page starts where the one before ended, not at a row's number,
so no page costs more than the first and rows that come in between neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from gis_core.access import Viewer, hidden, visible
from gis_core.allowance import RESOLUTION
from gis_core.crs.uris import NamedCrs
from gis_core.errors import NotFound
from gis_core.filters import compile_filter
from gis_core.filters.queryables import Kind, column, kinds
from gis_core.filters.shapes import intersects
from gis_core.hexgrid import parent
from gis_core.queries import Query, write_cursor
from gis_core.records import Dataset
from gis_core.rows import answered, bare, spatial
from gis_core.spec import Layer

_DEGREE_DIGITS: Final = 7
_METRE_DIGITS: Final = 3
_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True)
class Page:
    """Some features, each as the bytes of a GeoJSON feature; `cursor` leads to the next page, None on the last.

    `matched` is how many there are in all, where that was asked for or is seen from the page itself. `cells` are those
    of `gis_core.allowance` in which the features lie.
    """

    features: Sequence[bytes]
    cursor: str | None
    matched: int | None
    cells: frozenset[int] = frozenset()


def page(connection: sa.Connection, layer: Layer, viewer: Viewer, query: Query) -> Page:
    """The features that a query asks for.

    Raises:
        Forbidden: the viewer may not see the layer.
        BadInput: the filter asks for what is not there, or cannot be computed.
    """
    rows = visible(layer, viewer)
    wanted = _conditions(rows, layer, viewer, query)
    order = [*query.sortby, ("id", False)]
    known = kinds(layer, viewer)
    keys = [column(rows, name, known[name]) for name, _ in order]
    shown = _shown(layer, viewer, query.properties)
    chosen = _select(rows, layer, query.crs, shown).add_columns(
        parent(rows.c.cell, RESOLUTION).label("_cell"), *(k.label(f"_key{n}") for n, k in enumerate(keys))
    )
    if query.after is not None:
        chosen = chosen.where(_after(keys, [descending for _, descending in order], query.after))
    for key, (_, descending) in zip(keys, order, strict=True):
        chosen = chosen.order_by(key.desc().nulls_last() if descending else key.asc().nulls_last())
    with answered():
        found = connection.execute(chosen.where(*wanted).limit(query.limit + 1)).all()
        more = len(found) > query.limit
        matched = None
        if query.counted:
            matched = connection.scalar(sa.select(sa.func.count()).select_from(rows).where(*wanted))
        elif not more and query.after is None:
            matched = len(found)
    found = found[: query.limit]
    cursor = write_cursor(query.sortby, list(found[-1])[-len(keys) :]) if more else None
    cells = frozenset(row[-len(keys) - 1] for row in found)
    return Page([_feature(row, shown) for row in found], cursor, matched, cells)


def one(connection: sa.Connection, layer: Layer, viewer: Viewer, row_id: int, crs: NamedCrs) -> dict[str, Any]:
    """One feature as GeoJSON (its geometry already written). Raises NotFound, Forbidden."""
    rows = visible(layer, viewer)
    shown = _shown(layer, viewer, None)
    row = None
    if 0 < row_id <= _LARGEST_ID:
        row = connection.execute(_select(rows, layer, crs, shown).where(rows.c.id == row_id)).one_or_none()
    if row is None:
        raise NotFound(f"{layer.name} has no feature {row_id} that you may see")
    return _as_dict(row, shown)


def cell_of(connection: sa.Connection, layer: Layer, viewer: Viewer, row_id: int) -> frozenset[int]:
    """The cell of `gis_core.allowance` in which a feature lies, as a set; empty where the viewer may not see it."""
    rows = visible(layer, viewer, ("id", "cell"))
    if not 0 < row_id <= _LARGEST_ID:
        return frozenset()
    return frozenset(connection.scalars(sa.select(parent(rows.c.cell, RESOLUTION)).where(rows.c.id == row_id)))


def conditions(layer: Layer, viewer: Viewer, query: Query) -> tuple[sa.Subquery, list[Any]]:
    """The rows that a viewer sees and the conditions of a query on them, its page aside. Raises BadInput, Forbidden."""
    rows = visible(layer, viewer)
    return rows, _conditions(rows, layer, viewer, query)


def _conditions(rows: sa.Subquery, layer: Layer, viewer: Viewer, query: Query) -> list[Any]:
    known = kinds(layer, viewer)
    wanted: list[Any] = []
    if query.bbox is not None:
        wanted.append(intersects(bare(rows.c.geom), query.bbox))
    if query.start is not None:
        wanted.append(rows.c.updated_at >= query.start)
    if query.end is not None:
        wanted.append(rows.c.updated_at <= query.end)
    wanted += [column(rows, name, known[name]) == value for name, value in query.equals.items()]
    if query.filter is not None:
        wanted.append(compile_filter(query.filter, rows, layer, viewer, query.filter_crs or query.crs))
    return wanted


def _after(keys: Sequence[Any], descending: Sequence[bool], values: Sequence[Any]) -> Any:
    """Whether a row comes after the one with these values, in an order where NULL is last."""
    cases = []
    for depth in range(len(keys)):
        same = [k.is_(None) if v is None else k == v for k, v in zip(keys[:depth], values[:depth], strict=True)]
        key, value = keys[depth], values[depth]
        if value is None:
            continue  # nothing but the next key comes after NULL
        beyond = key < value if descending[depth] else key > value
        cases.append(sa.and_(*same, beyond if depth == len(keys) - 1 else sa.or_(beyond, key.is_(None))))
    return sa.or_(*cases)


def _shown(layer: Layer, viewer: Viewer, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The names of a feature's properties, in order."""
    unseen = hidden(layer, viewer)
    names = [*(n for n in layer.fields if n not in unseen), "source", "simulated", "updated_at"]
    return tuple(name for name in names if asked is None or name in asked)


def _select(rows: sa.Subquery, layer: Layer, crs: NamedCrs, shown: Sequence[str]) -> sa.Select[Any]:
    """Id, geometry as GeoJSON and the properties, all as JSON can hold them."""
    geometry = bare(rows.c.shape if crs.srid == _MERCATOR else rows.c.geom)
    if crs.srid not in _AS_STORED:
        geometry = spatial("ST_Transform", geometry, crs.srid)
    if crs.north_first:
        geometry = spatial("ST_FlipCoordinates", geometry)
    digits = _DEGREE_DIGITS if crs.in_degrees else _METRE_DIGITS
    chosen = [rows.c.id, spatial("ST_AsGeoJSON", geometry, digits, 0, type_=sa.Text)]
    for name in shown:
        if name == "source":
            source = sa.select(Dataset.title).where(Dataset.id == rows.c.dataset_id).scalar_subquery()
            chosen.append(source.label("source"))
        else:
            chosen.append(
                column(rows, name, Kind.text) if layer.fields.get(name) and _is_code(layer, name) else rows.c[name]
            )
    return sa.select(*chosen).select_from(rows)


_MERCATOR: Final = 3857
# CGCS2000 and WGS 84 agree to a decimetre, so degrees are the same; Mercator is stored beside them.
_AS_STORED: Final = {4326, 4490, _MERCATOR}


def _is_code(layer: Layer, name: str) -> bool:
    return layer.codes(name) is not None


def _as_dict(row: Any, shown: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": row[0],
        "geometry": orjson.Fragment(row[1]) if row[1] is not None else None,
        "properties": dict(zip(shown, row[2 : 2 + len(shown)], strict=True)),
    }


def _feature(row: Any, shown: Sequence[str]) -> bytes:
    return orjson.dumps(_as_dict(row, shown), default=_plain)


def _plain(value: Any) -> Any:
    """What JSON does not know of itself."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
