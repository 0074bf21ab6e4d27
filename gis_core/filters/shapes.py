"""The spatial part of CQL2: geometries given in a filter, and how a layer's geometry may stand to them."""

from __future__ import annotations

from typing import Any, Final

import orjson
import shapely
import sqlalchemy as sa

from gis_core.crs import WORLD, within
from gis_core.crs.uris import NamedCrs, as_lonlat, box
from gis_core.errors import BadInput
from gis_core.rows import spatial

MOST_VERTICES: Final = 10_000
_SIMPLE: Final = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"}
_TURNED: Final = {"s_within": "s_contains", "s_contains": "s_within"}
_FUNCTIONS: Final = {
    "s_intersects": "ST_Intersects",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
    "s_touches": "ST_Touches",
    "s_crosses": "ST_Crosses",
    "s_overlaps": "ST_Overlaps",
    "s_equals": "ST_Equals",
}


class BadShape(BadInput):
    """This is no geometry that can be compared with."""


def is_shape(node: Any) -> bool:
    """Whether a node is a geometry or a bbox literal."""
    return isinstance(node, dict) and ("bbox" in node or node.keys() >= {"type", "coordinates"} or "geometries" in node)


def shape_of(node: Any, crs: NamedCrs) -> shapely.Geometry:
    """A literal as a valid geometry in longitude and latitude. Raises BadShape."""
    if "bbox" in node:
        numbers = node["bbox"]
        if not isinstance(numbers, list) or not all(type(n) in {int, float} for n in numbers):
            raise BadShape("a bbox has four numbers")
        return box(",".join(map(repr, numbers)), crs)
    if node.get("type") not in _SIMPLE:
        raise BadShape(f"a geometry here is one of {', '.join(sorted(_SIMPLE))}")
    try:
        given = shapely.from_geojson(orjson.dumps({"type": node["type"], "coordinates": node["coordinates"]}))
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise BadShape(f"this geometry cannot be read: {str(error)[:120]}") from error
    if shapely.is_empty(given):
        raise BadShape("this geometry is empty")
    if (count := shapely.get_num_coordinates(given)) > MOST_VERTICES:
        raise BadShape(f"this geometry has {count} vertices; at most {MOST_VERTICES} are compared with")
    found = as_lonlat(given, crs)
    xy = shapely.get_coordinates(found)
    if not within(xy[:, 0], xy[:, 1], WORLD).all():
        raise BadShape(f"this geometry is not on the globe; are its axes in the order of {crs.uri}?")
    if not shapely.is_valid(found):
        raise BadShape(f"this geometry is not valid: {shapely.is_valid_reason(found)}")
    return found


def compare_shapes(op: str, given: tuple[Any, shapely.Geometry, bool]) -> Any:
    """The condition of an `s_` operator between a geometry column and a geometry, or the other way round."""
    column, shape, turned = given
    if op == "s_disjoint":
        return sa.not_(intersects(column, shape))
    name = _FUNCTIONS.get(_TURNED.get(op, op) if turned else op)
    if name is None:
        raise BadShape(f"the function {op[:60]!r} is not available in filters")
    return touches_box(column, shape) & spatial(name, column, literal(shape), type_=sa.Boolean)


def intersects(column: Any, shape: shapely.Geometry) -> Any:
    """Whether a geometry column meets a geometry in longitude and latitude."""
    return touches_box(column, shape) & spatial("ST_Intersects", column, literal(shape), type_=sa.Boolean)


def touches_box(column: Any, shape: shapely.Geometry) -> Any:
    """The test that the spatial index answers. It stands apart since only it may use the index under row security."""
    return column.op("&&", is_comparison=True)(literal(shape))


def literal(shape: shapely.Geometry) -> Any:
    """A geometry as a bound parameter."""
    return spatial("ST_GeomFromWKB", sa.literal(shapely.to_wkb(shape), sa.LargeBinary), 4326)
