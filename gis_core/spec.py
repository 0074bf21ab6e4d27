"""The words in which a layer is described: frozen data that points at the class's attributes, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from gis_core.errors import Problem
from gis_core.model import Codes, Feature, Field, Label, geometry_type
from gis_core.style import Style

Attr = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Group:
    """A heading of the layer tree; smaller `order` comes first."""

    name: str
    label: Label
    order: int


class Combine(Enum):
    """How the values of many features become one number of a hexagon.

    A line or area that lies in several cells counts with its share in each, so `count` and `sum` add up to the
    whole whatever the resolution; `mean` is weighted by the share; `max` and `min` are not.
    """

    count = "count"
    sum = "sum"
    mean = "mean"
    max = "max"
    min = "min"


@dataclass(frozen=True)
class Measure:
    """One number per hexagon: `value` is a row's number (None for a plain count).

    `presence`: those who may see no row are told it too, coarsely; for counts and sums only.
    """

    name: str
    label: Label
    combine: Combine = Combine.count
    value: ColumnElement[Any] | Attr | None = None
    unit: str = ""
    palette: str = "viridis"
    presence: bool = False


@dataclass(frozen=True)
class Reading:
    """One thing learnt about one feature at one moment, measured or simulated."""

    key: str
    at: datetime
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Live:
    """Where a layer's readings come from and how to read them."""

    topic: str
    decode: Callable[[Mapping[str, Any]], Reading]
    example: Mapping[str, Any]
    silent_after: timedelta = timedelta(minutes=5)


Check = Callable[[Any], Iterable[Problem]]


@dataclass(frozen=True)
class Ingest:
    """How foreign files are read into the layer.

    `aliases` name the columns under which a field is found in foreign files, `words` translate foreign values of a
    code list, `checks` look at the whole frame (a GeoDataFrame in EPSG:4326 whose index is the row number in the
    file, from 1) and yield problems.
    """

    aliases: Mapping[Attr, tuple[str, ...]] = field(default_factory=dict)
    words: Mapping[Attr, Mapping[str, Codes]] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Access:
    """Who may see and change the layer.

    `read` and `write` are rights (see `gis_core.access.RIGHTS`); `hide` maps a column to the right that shows it.
    Where `owner` names a column, a viewer who is bound to an owner sees and changes that owner's rows only.
    Where `secrecy` names a column, its codes are those of `gis_core.secrecy.LEVELS`; a role sees rows up to its
    clearance, and the emergency role all that lies in the area of an open incident and nothing else.
    """

    read: str = "public"
    write: str = "edit"
    hide: Mapping[Attr, str] = field(default_factory=dict)
    owner: Attr | None = None
    secrecy: Attr | None = None


@dataclass(frozen=True)
class Appears:
    """From this zoom on, the rows for which `where` holds are in the tiles (None: all of them)."""

    zoom: int
    where: ColumnElement[bool] | None = None


@dataclass(frozen=True)
class Layer:
    """One kind of thing in the city: what it is called, how it is drawn, measured, fed and guarded.

    `appears` is sorted by zoom; below its first zoom the layer has no tiles, and the last one in force at a zoom is
    the one that counts. `tile_fields` are the columns that travel in tiles (None: every register field).
    `visible` says whether the wall shows the layer at start.
    """

    model: type[Feature]
    title: Label
    group: Group
    style: Style
    appears: tuple[Appears, ...] = (Appears(12),)
    measures: tuple[Measure, ...] = ()
    tile_fields: tuple[Attr, ...] | None = None
    ingest: Ingest = field(default_factory=Ingest)
    live: Live | None = None
    access: Access = field(default_factory=Access)
    visible: bool = True

    @property
    def name(self) -> str:
        """The layer's name everywhere: table, collection, file, URL."""
        return str(self.model.__tablename__)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """What is known of each of the layer's own columns, by name, in order."""
        return {str(c.key): c.info["field"] for c in self.model.__table__.columns if "field" in c.info}

    @cached_property
    def key(self) -> str:
        """The column by which the owner of the data knows a feature."""
        return next(name for name, f in self.fields.items() if f.key)

    @cached_property
    def name_field(self) -> str | None:
        """The column people know a feature by, if any."""
        return next((name for name, f in self.fields.items() if f.name), None)

    @cached_property
    def geometry(self) -> str:
        """The geometry's type as PostGIS names it, for example `MULTIPOLYGON`."""
        return geometry_type(self.model)

    @property
    def is_point(self) -> bool:
        """Whether each feature is one point, and so lies in one cell."""
        return self.model.cover is None

    @property
    def min_zoom(self) -> int:
        """The first zoom at which the layer has tiles."""
        return self.appears[0].zoom

    def codes(self, name: str) -> type[Codes] | None:
        """The code list of a column, if it has one."""
        return getattr(self.model.__table__.c[name].type, "enum_class", None)

    def kind_of(self, name: str) -> str:
        """The column's type as JSON Schema and the browser name it."""
        return _KINDS.get(self.model.__table__.c[name].type.python_type, "string")


_KINDS = {bool: "boolean", int: "integer", float: "number", datetime: "date-time", date: "date"}
