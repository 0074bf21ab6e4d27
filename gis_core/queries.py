"""What a client of OGC API - Features asks for: parameters read into one typed query, or refused by name."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
import shapely

from gis_core.access import Viewer
from gis_core.crs.uris import CRS84, NamedCrs, box, find
from gis_core.errors import BadInput
from gis_core.filters import LONGEST_TEXT, parse
from gis_core.filters.queryables import GEOMETRY, Kind, kinds
from gis_core.filters.times import read_interval, read_moment
from gis_core.spec import Layer

MOST_FEATURES: Final = 10_000
USUAL_FEATURES: Final = 100
PARAMETERS: Final = (
    "bbox", "bbox-crs", "crs", "cursor", "datetime", "f", "filter", "filter-crs", "filter-lang", "limit",
    "number-matched", "properties", "sortby",
)  # fmt: skip
"""Those of every collection; each column's name is one more."""
LANGUAGES: Final = ("cql2-text", "cql2-json")
"""How a filter may be written, the usual way first."""
_MOST_SORT_KEYS: Final = 3
_LONGEST_NUMBER: Final = 40
_LARGEST_WHOLE: Final = 2**53
_FORMATS: Final = {"json", "geojson", "application/geo+json", "application/json"}
_YES_NO: Final = {"true": True, "false": False}


class BadParameter(BadInput):
    """A parameter of this request cannot be read."""


@dataclass(frozen=True)
class Query:
    """One page of features that are asked for.

    `sortby` has (column, whether descending), `after` the place to go on from, one value per sort key and the id;
    `properties` None means all.
    """

    crs: NamedCrs
    bbox: shapely.Geometry | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = USUAL_FEATURES
    filter: Any = None
    filter_crs: NamedCrs | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)
    sortby: tuple[tuple[str, bool], ...] = ()
    properties: tuple[str, ...] | None = None
    after: tuple[Any, ...] | None = None
    counted: bool = False


def read_query(
    pairs: Iterable[tuple[str, str]],
    layer: Layer,
    viewer: Viewer,
    metric_crs: str | None,
    *,
    allowed: Iterable[str] = PARAMETERS,
    columns: bool = True,
) -> Query:
    """The query that the parameters of a request say; `columns`: each column's name is a parameter as well.

    Raises BadInput, naming what is unknown or cannot be read.
    """
    known = kinds(layer, viewer)
    own = {name for name, kind in known.items() if kind is not Kind.geometry} if columns else set()
    given = _named_once(pairs, {*allowed}, own)
    if given.get("f", "json") not in _FORMATS:
        raise BadParameter(f"f: this is served as json (GeoJSON), not as {given['f'][:40]!r}")
    language = given.get("filter-lang", LANGUAGES[0])
    if language not in LANGUAGES:
        raise BadParameter(f"filter-lang is {' or '.join(LANGUAGES)}, not {language[:40]!r}")
    start, end = read_interval(given["datetime"]) if "datetime" in given else (None, None)
    bbox_crs = find(given.get("bbox-crs", CRS84), metric_crs)
    sortby = _sort_keys(given["sortby"], own) if "sortby" in given else ()
    return Query(
        crs=find(given.get("crs", CRS84), metric_crs),
        bbox=box(given["bbox"], bbox_crs) if "bbox" in given else None,
        start=start,
        end=end,
        limit=_limit(given.get("limit")),
        filter=parse(given["filter"], language) if "filter" in given else None,
        filter_crs=find(given.get("filter-crs", CRS84), metric_crs),
        equals={name: _value(name, given[name], known[name]) for name in given if name in own and name not in allowed},
        sortby=sortby,
        properties=_listed(given["properties"], layer, own) if "properties" in given else None,
        after=read_cursor(given["cursor"], sortby, known) if "cursor" in given else None,
        counted=_yes_no("number-matched", given.get("number-matched", "false")),
    )


def write_cursor(sortby: tuple[tuple[str, bool], ...], values: Iterable[Any]) -> str:
    """The place after a row, as opaque text. It holds only what the row showed to the same viewer."""
    return base64.urlsafe_b64encode(orjson.dumps([_signature(sortby), *values])).decode().rstrip("=")


def read_cursor(text: str, sortby: tuple[tuple[str, bool], ...], known: Mapping[str, Kind]) -> tuple[Any, ...]:
    """The values of a cursor, one per sort key and the id. Raises BadParameter if it is not one for this order."""
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        signature, *values = found
        wanted = [*(known[name] for name, _ in sortby), Kind.number]
        if signature != _signature(sortby) or len(values) != len(wanted) or not isinstance(values[-1], int):
            raise BadParameter("cursor: this cursor belongs to another order of the features")
        return tuple(_restored(value, kind) for value, kind in zip(values, wanted, strict=True))
    except (ValueError, TypeError) as error:
        raise BadParameter("cursor: take it from a `next` link as it stands") from error


def _named_once(pairs: Iterable[tuple[str, str]], allowed: set[str], own: set[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed and name not in own:
            names = ", ".join(sorted(allowed) + sorted(own - allowed))
            raise BadParameter(f"there is no parameter {name[:60]!r} here; there are: {names}")
        if name in given:
            raise BadParameter(f"{name} is given twice")
        given[name] = value
    return given


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL_FEATURES
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise BadParameter(f"limit: a whole number from 1 to {MOST_FEATURES}, not {text[:40]!r}")
    # A larger one is no error by the standard; the answer says how many it has.
    return MOST_FEATURES if len(text.lstrip("0")) > len(str(MOST_FEATURES)) else min(int(text), MOST_FEATURES)


def _sort_keys(text: str, own: set[str]) -> tuple[tuple[str, bool], ...]:
    keys = [(part.strip().lstrip("+-"), part.strip().startswith("-")) for part in text.split(",")]
    for name, _ in keys:
        if name not in own:
            raise BadParameter(f"sortby: there is no property {name[:60]!r}; there are: {', '.join(sorted(own))}")
    if len(keys) > _MOST_SORT_KEYS or len({name for name, _ in keys}) < len(keys):
        raise BadParameter(f"sortby takes up to {_MOST_SORT_KEYS} different properties")
    return tuple(keys)


def _listed(text: str, layer: Layer, own: set[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    shown = {*own, "source"} - {"id"}
    if unknown := [name for name in names if name not in shown | {"id", GEOMETRY}]:
        raise BadParameter(
            f"properties: {layer.name} has no property {unknown[0][:60]!r}; it has: {', '.join(sorted(shown))}"
        )
    return names


def _value(name: str, text: str, kind: Kind) -> Any:
    try:
        if kind is Kind.number:
            return _number(text)
        if kind is Kind.boolean:
            return _yes_no(name, text)
        if kind is Kind.time:
            return read_moment(text)
    except ValueError as error:
        raise BadParameter(f"{name}: {text[:40]!r} is no {kind}") from error
    if "\0" in text or len(text) > LONGEST_TEXT:
        raise BadParameter(f"{name}: this text is too long or holds the character NUL")
    return text


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    return int(number) if number.is_integer() and abs(number) < _LARGEST_WHOLE else number


def _yes_no(name: str, text: str) -> bool:
    if text.lower() not in _YES_NO:
        raise BadParameter(f"{name} is true or false, not {text[:40]!r}")
    return _YES_NO[text.lower()]


def _signature(sortby: tuple[tuple[str, bool], ...]) -> str:
    return ",".join(f"{'-' if descending else '+'}{name}" for name, descending in sortby)


def _restored(value: Any, kind: Kind) -> Any:
    """A value of a cursor as the database compares it."""
    wanted: dict[Kind, Any] = {Kind.number: (int, float), Kind.boolean: bool}
    if value is None:
        return None
    if not isinstance(value, wanted.get(kind, str)) or (kind is Kind.number and isinstance(value, bool)):
        raise TypeError(kind)
    if kind is Kind.text and "\0" in value:
        raise ValueError(kind)
    return read_moment(value) if kind is Kind.time else value
