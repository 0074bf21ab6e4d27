"""What a viewer may ask of a layer by name: its columns with their kinds, and their JSON Schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from gis_core.access import Viewer, hidden
from gis_core.rows import bare
from gis_core.spec import Layer


class Kind(StrEnum):
    """What a column or an expression is, as far as comparing goes."""

    number = "number"
    text = "text"
    boolean = "boolean"
    time = "time"
    geometry = "geometry"


GEOMETRY: Final = "geom"
"""The name of every layer's geometry in filters and schemas."""
_OF_ALL: Final = {"id": Kind.number, "simulated": Kind.boolean, "updated_at": Kind.time, GEOMETRY: Kind.geometry}
_KINDS: Final = {
    "integer": Kind.number,
    "number": Kind.number,
    "boolean": Kind.boolean,
    "date-time": Kind.time,
    "date": Kind.time,
    "string": Kind.text,
}
_SHAPES: Final = {"POINT": "point", "LINESTRING": "linestring", "MULTIPOLYGON": "multipolygon"}


def kinds(layer: Layer, viewer: Viewer) -> dict[str, Kind]:
    """The columns that this viewer may name in filters, and what each is. Hidden columns are not among them."""
    unseen = hidden(layer, viewer)
    own = {name: _KINDS[layer.kind_of(name)] for name in layer.fields if name not in unseen}
    return own | {name: kind for name, kind in _OF_ALL.items() if name not in unseen}


def column(rows: sa.Subquery, name: str, kind: Kind) -> sa.ColumnElement[Any]:
    """A column of what the viewer sees: code lists as text, dates as moments, geometry as it lies."""
    found = rows.c[name]
    if kind is Kind.geometry:
        return bare(found)
    if kind is Kind.text:
        return sa.type_coerce(found, sa.Text)
    if kind is Kind.time and isinstance(found.type, sa.Date):
        return sa.cast(found, sa.DateTime(timezone=True))
    return found


def schema(layer: Layer, viewer: Viewer, address: str, *, queryables: bool) -> dict[str, Any]:
    """The layer as JSON Schema: what can be asked for (`queryables`, OGC part 3) or what a feature holds (part 5)."""
    unseen = hidden(layer, viewer)
    properties: dict[str, Any] = {
        "id": {"title": "Id", "type": "integer", "x-ogc-role": "id"},
        GEOMETRY: {
            "title": "Geometry",
            "format": f"geometry-{_SHAPES.get(layer.geometry, 'any')}",
            "x-ogc-role": "primary-geometry",
        },
    }
    properties |= {name: _property(layer, name) for name in layer.fields if name not in unseen}
    properties["simulated"] = {
        "title": "Simulated",
        "type": "boolean",
        "x-title": {"zh": "模拟数据", "en": "Simulated"},
    }
    properties["updated_at"] = {
        "title": "Last change",
        "type": "string",
        "format": "date-time",
        "x-ogc-role": "primary-instant",
        "x-title": {"zh": "更新时间", "en": "Last change"},
    }
    if not queryables:
        properties["source"] = {"title": "Source", "type": "string", "x-title": {"zh": "数据来源", "en": "Source"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "type": "object",
        "title": layer.title.en,
        "x-title": layer.title.as_json(),
        "properties": properties,
        "additionalProperties": False,
    }


def _property(layer: Layer, name: str) -> dict[str, Any]:
    field, codes, kind = layer.fields[name], layer.codes(name), layer.kind_of(name)
    told: dict[str, Any] = {"title": field.label.en, "x-title": field.label.as_json()}
    told |= {"type": "string", "format": kind} if kind in {"date-time", "date"} else {"type": kind}
    if field.unit:
        told["x-ogc-unit"] = field.unit
    if field.within is not None:
        told["minimum"], told["maximum"] = field.within
    if field.pattern is not None:
        told["pattern"] = f"^{field.pattern}$"
    if field.key:
        told["x-ogc-role"] = "reference"
    if codes is not None:
        told["enum"] = [code.name for code in codes]
        told["x-codes"] = [{"value": code.name, "label": code.label.as_json(), "colour": code.colour} for code in codes]
    return told
