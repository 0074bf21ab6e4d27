"""What a viewer is told of a layer before looking into it: how many, where, from whom; and search by name or code."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from gis_core.access import Viewer, hidden, is_guarded, may_read, visible
from gis_core.records import Dataset
from gis_core.spec import Layer

Bounds = tuple[float, float, float, float]
_STEPS_PER_DEGREE: Final = 1000


@dataclass(frozen=True)
class Summary:
    """How many features the viewer may see, how many of them are simulated, and their bounds in EPSG:4326."""

    count: int
    simulated: int
    bounds: Bounds | None


@dataclass(frozen=True)
class Hit:
    """One feature found by search; `center` is lon, lat. Of a guarded layer the place is told coarsely."""

    layer: str
    id: int
    key: str
    name: str | None
    center: tuple[float, float]
    bounds: Bounds


def summarise(connection: sa.Connection, layer: Layer, viewer: Viewer) -> Summary:
    """Count the rows that this viewer sees and measure their extent."""
    rows = visible(layer, viewer, ("simulated", "geom"))
    box = _extent(rows)
    query = sa.select(sa.func.count(), sa.func.count().filter(rows.c.simulated), *box).select_from(rows)
    count, simulated, *bounds = connection.execute(query).one()
    return Summary(count, simulated, tuple(bounds) if count else None)


def sources(connection: sa.Connection, layer: Layer) -> list[dict[str, Any]]:
    """The data sets from which the layer's rows came, newest first, as the catalogue tells them."""
    query = (
        sa.select(Dataset.title, Dataset.licence, Dataset.attribution, Dataset.simulated)
        .where(Dataset.layer == layer.name)
        .distinct()
        .order_by(Dataset.title)
    )
    return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001 (the public name of a row's dict)


def search(connection: sa.Connection, layers: Iterable[Layer], viewer: Viewer, text: str, limit: int) -> list[Hit]:
    """Features whose name or key contains the text, the ones that start with it first.

    Many features bear one name (the segments of a street): of those the search gives one, with the whole's extent.
    """
    hits: list[tuple[int, Hit]] = []
    for layer in layers:
        if not may_read(layer, viewer):
            continue
        hits += _search_layer(connection, layer, viewer, text, limit)
    hits.sort(key=lambda pair: (pair[0], len(pair[1].name or pair[1].key)))
    return [hit for _, hit in hits[:limit]]


def _search_layer(
    connection: sa.Connection, layer: Layer, viewer: Viewer, text: str, limit: int
) -> list[tuple[int, Hit]]:
    rows = visible(layer, viewer)
    named = layer.name_field if layer.name_field not in hidden(layer, viewer) else None
    key = rows.c[layer.key]
    shown = rows.c[named] if named else key
    wanted = [c for c in (key, rows.c[named] if named else None) if c is not None]
    matches = sa.or_(*(c.icontains(text, autoescape=True) for c in wanted))
    rank = sa.case(
        (sa.or_(*(sa.func.lower(c) == text.lower() for c in wanted)), 0),
        (sa.or_(*(c.istartswith(text, autoescape=True) for c in wanted)), 1),
        else_=2,
    )
    exact = sa.func.lower(key) == text.lower()
    label = sa.case((exact, key), else_=sa.func.coalesce(shown, key))
    query = (
        sa.select(sa.func.min(rank), sa.func.min(rows.c.id), sa.func.min(key), label, *_extent(rows))
        .where(matches)
        .group_by(label)
        .order_by(sa.func.min(rank), sa.func.length(label))
        .limit(limit)
    )
    found = []
    for place, row_id, key_value, name, *box in connection.execute(query):
        west, south, east, north = _coarsely(box) if is_guarded(layer) else box
        middle = ((west + east) / 2, (south + north) / 2)
        found.append((place, Hit(layer.name, row_id, key_value, name, middle, (west, south, east, north))))
    return found


def _coarsely(box: list[float]) -> list[float]:
    """Bounds widened to whole steps of _STEPS_PER_DEGREE: a search is no way to read a register's coordinates."""
    low, high = box[:2], box[2:]
    return [math.floor(v * _STEPS_PER_DEGREE) / _STEPS_PER_DEGREE for v in low] + [
        math.ceil(v * _STEPS_PER_DEGREE) / _STEPS_PER_DEGREE for v in high
    ]


def _extent(rows: sa.Subquery) -> list[sa.ColumnElement[float]]:
    geom = sa.type_coerce(rows.c.geom, sa.types.NullType())
    box = sa.func.ST_Extent(geom, type_=sa.types.NullType())
    return [getattr(sa.func, name)(box, type_=sa.Float) for name in ("ST_XMin", "ST_YMin", "ST_XMax", "ST_YMax")]
