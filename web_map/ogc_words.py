"""Fixed words of the OGC services: conformance classes, parameters as OpenAPI tells them, links."""

from __future__ import annotations

from typing import Any, Final

from gis_core.queries import MOST_FEATURES, USUAL_FEATURES

_SPEC: Final = "http://www.opengis.net/spec/"
CONFORMANCE: Final = [
    f"{_SPEC}{name}"
    for name in (
        "ogcapi-common-1/1.0/conf/core",
        "ogcapi-common-1/1.0/conf/landing-page",
        "ogcapi-common-1/1.0/conf/json",
        "ogcapi-common-2/1.0/conf/collections",
        "ogcapi-features-1/1.0/conf/core",
        "ogcapi-features-1/1.0/conf/geojson",
        "ogcapi-features-2/1.0/conf/crs",
        "ogcapi-features-3/1.0/conf/queryables",
        "ogcapi-features-3/1.0/conf/queryables-query-parameters",
        "ogcapi-features-3/1.0/conf/filter",
        "ogcapi-features-3/1.0/conf/features-filter",
        "ogcapi-features-5/1.0/conf/schemas",
        "cql2/1.0/conf/cql2-text",
        "cql2/1.0/conf/cql2-json",
        "cql2/1.0/conf/basic-cql2",
        "cql2/1.0/conf/advanced-comparison-operators",
        "cql2/1.0/conf/case-insensitive-comparison",
        "cql2/1.0/conf/accent-insensitive-comparison",
        "cql2/1.0/conf/basic-spatial-functions",
        "cql2/1.0/conf/basic-spatial-functions-plus",
        "cql2/1.0/conf/temporal-functions",
        "cql2/1.0/conf/arithmetic",
        "ogcapi-tiles-1/1.0/conf/core",
        "ogcapi-tiles-1/1.0/conf/tileset",
        "ogcapi-tiles-1/1.0/conf/tilesets-list",
        "ogcapi-tiles-1/1.0/conf/geodata-tilesets",
        "ogcapi-tiles-1/1.0/conf/mvt",
    )
]


def link(address: str, relation: str, title: str, media_type: str = "application/json") -> dict[str, str]:
    """A link as OGC services write it."""
    return {"href": address, "rel": relation, "type": media_type, "title": title}


def _parameter(name: str, description: str, kind: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": kind or {"type": "string"},
    }


_CRS: Final = _parameter("crs", "coordinate system of the answer, a URI of the collection's list; default CRS84")
_FORMAT: Final = _parameter("f", "json", {"type": "string", "enum": ["json", "geojson"]})
FEATURE_PARAMETERS: Final = [
    _parameter("bbox", "west,south,east,north, in the axis order of bbox-crs"),
    _parameter("bbox-crs", "coordinate system of bbox; default CRS84"),
    _parameter("datetime", "last change: a moment, or an interval such as 2026-01-01/.."),
    _parameter(
        "limit",
        "features in a page; more than the maximum means the maximum",
        {"type": "integer", "minimum": 1, "maximum": MOST_FEATURES, "default": USUAL_FEATURES},
    ),
    _parameter("filter", "a condition in CQL2, over the collection's queryables"),
    _parameter("filter-lang", "how filter is written", {"type": "string", "enum": ["cql2-text", "cql2-json"]}),
    _parameter("filter-crs", "coordinate system of geometries in filter; default CRS84"),
    _CRS,
    _parameter("sortby", "up to three properties, - before those that descend"),
    _parameter("properties", "the properties to send, separated by commas"),
    _parameter("number-matched", "true: count all that match", {"type": "boolean"}),
    _parameter("cursor", "where the page starts; taken from a next link"),
    _FORMAT,
]
ITEM_PARAMETERS: Final = [_CRS, _FORMAT]
