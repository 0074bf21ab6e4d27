"""The base of every layer's table, and the few kinds of column it may have."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


@dataclass(frozen=True)
class Label:
    """A name as people read it, in Chinese and in English."""

    zh: str
    en: str

    def as_json(self) -> dict[str, str]:
        """The label as the browser gets it."""
        return {"zh": self.zh, "en": self.en}


class Codes(enum.Enum):
    """A short fixed code list: the member's name is stored, its value is (zh, en, colour).

    Long lists that follow a standard are data with an edition (`data/codes`), never a class.
    """

    @property
    def label(self) -> Label:
        """The code as people read it."""
        return Label(self.value[0], self.value[1])

    @property
    def colour(self) -> str:
        """The code's colour on map and legend, `#rrggbb`."""
        return str(self.value[2])


@dataclass(frozen=True)
class Field:
    """What a person needs to know of one column.

    `within` is the closed range of believable values. A `name` field is what search looks in and what labels show.
    A `live` field is the latest word of a feed and never travels in tiles.
    """

    label: Label
    unit: str = ""
    within: tuple[float, float] | None = None
    key: bool = False
    name: bool = False
    live: bool = False
    pattern: str | None = None


class Record(DeclarativeBase):
    """A table that is not a layer: data sets, changes, tokens, the audit trail, uploads."""

    metadata = metadata
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: sa.DateTime(timezone=True)}


class Feature(DeclarativeBase):
    """One kind of thing in the city: the base of every layer's table.

    Every layer has these columns beside its own: `geom` is stored in EPSG:4326 (CGCS2000 and WGS 84 agree to a
    decimetre), `shape` is the same in EPSG:3857 for tiles, `cell` is the finest H3 cell of a point on the feature,
    `dataset_id` says where the row came from and `simulated` whether it is made up.
    """

    __abstract__ = True

    metadata = metadata
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        enum.Enum: sa.Enum(enum.Enum, native_enum=False, length=32),
        datetime: sa.DateTime(timezone=True),
    }

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True, sort_order=-10)
    shape: Mapped[Any] = mapped_column(
        Geometry("GEOMETRY", 3857, spatial_index=False),
        sa.Computed("ST_Transform(geom, 3857)", persisted=True),
        deferred=True,
        sort_order=30,
    )
    cell: Mapped[int] = mapped_column(sa.BigInteger, index=True, sort_order=31)
    # No foreign key: its check, row by row, would double the time of a bulk load, and data sets are never renumbered.
    dataset_id: Mapped[int | None] = mapped_column(sort_order=32)
    simulated: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false(), sort_order=33)
    updated_at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), sort_order=34)

    geom: Mapped[Any]
    cover: ClassVar[sa.Table | None]

    def __init_subclass__(cls, **options: Any) -> None:
        """Map the class and give it its spatial indexes and, for lines and areas, its table of H3 shares."""
        super().__init_subclass__(**options)
        table: Any = cls.__table__
        for column in ("geom", "shape"):
            sa.Index(f"ix_{table.name}_{column}", table.c[column], postgresql_using="gist")
        cls.cover = None if geometry_type(cls) == "POINT" else _cover(table)


def geometry_type(model: type[Feature]) -> str:
    """The type of a layer's geometry as PostGIS names it, for example `MULTIPOLYGON`."""
    column_type: Any = model.__table__.c.geom.type
    return str(column_type.geometry_type)


def _cover(table: sa.Table) -> sa.Table:
    """The side table that says which share of each line or area lies in which cell."""
    return sa.Table(
        f"{table.name}_cells",
        metadata,
        sa.Column("feature_id", sa.ForeignKey(table.c.id, ondelete="CASCADE"), primary_key=True),
        sa.Column("cell", sa.BigInteger, primary_key=True, index=True),
        sa.Column("share", sa.REAL, nullable=False),
    )


def field(
    zh: str,
    en: str,
    *,
    unit: str = "",
    within: tuple[float, float] | None = None,
    key: bool = False,
    name: bool = False,
    live: bool = False,
    index: bool = False,
    pattern: str | None = None,
    default: Any = None,
) -> Any:
    """A register column: what stands in files and changes slowly. `pattern`: a regular expression of all of it."""
    info = {"field": Field(Label(zh, en), unit, within, key, name, live, pattern)}
    return mapped_column(info=info, unique=key or None, index=index or None, default=default, sort_order=10)


def live(zh: str, en: str, **options: Any) -> Any:
    """A column that a feed keeps current; it is stored in the row and travels by the live channel, not in tiles."""
    return field(zh, en, live=True, **options)


def point() -> Any:
    """The geometry column of a layer of points, EPSG:4326."""
    return _geometry("POINT")


def line() -> Any:
    """The geometry column of a layer of single lines, EPSG:4326."""
    return _geometry("LINESTRING")


def area() -> Any:
    """The geometry column of a layer of areas, EPSG:4326; a single polygon is stored as a multi-polygon."""
    return _geometry("MULTIPOLYGON")


def _geometry(kind: str) -> Any:
    column_type = Geometry(kind, 4326, spatial_index=False)
    return mapped_column(column_type, nullable=False, sort_order=20)
