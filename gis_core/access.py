"""Who looks, and the one gate through which every read goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry

from gis_core.errors import Forbidden
from gis_core.secrecy import INCIDENT, LEVELS, UNLIMITED, in_open_incident, up_to
from gis_core.spec import Layer

READER = "chengtu_reader"
"""The database role under which every read runs: it owns nothing, so row-level security binds it."""

EVERYONE = "*"
"""The scope of staff who are not bound to one owner."""

OUTSIDE = "-"
"""The scope of everybody else. Not empty: a forgotten scope opens less than this."""


class Role(StrEnum):
    """What somebody is here to do."""

    public = "public"
    wall = "wall"
    planner = "planner"
    utility = "utility"
    emergency = "emergency"
    operator = "operator"
    auditor = "auditor"
    admin = "admin"


_PUBLIC = frozenset({"public"})
_STAFF = _PUBLIC | {"staff", "pipes.view", "cameras.view"}
RIGHTS: dict[Role, frozenset[str]] = {
    Role.public: _PUBLIC,
    Role.wall: _STAFF,
    Role.planner: _STAFF | {"export", "analyse"},
    Role.utility: _PUBLIC | {"pipes.view", "pipes.attributes", "pipes.edit", "upload", "export"},
    Role.emergency: _STAFF | {"pipes.attributes", "dispatch"},
    Role.operator: _STAFF | {"pipes.attributes", "edit", "upload", "export", "incidents"},
    Role.auditor: _PUBLIC | {"audit.view"},
    Role.admin: _STAFF
    | {"pipes.attributes", "pipes.edit", "edit", "upload", "export", "analyse", "dispatch", "tokens", "incidents"},
}
"""What each role may do. Nobody who may change data or grant tokens may read the audit trail (separation of duties,
GB/T 22239-2019 level 3)."""

_OPEN, _INTERNAL, _RESTRICTED, _ = LEVELS
CLEARANCES: dict[Role, str] = {
    Role.public: _OPEN,
    Role.wall: _INTERNAL,
    Role.planner: _RESTRICTED,
    Role.utility: UNLIMITED,
    Role.emergency: INCIDENT,
    Role.operator: _RESTRICTED,
    Role.auditor: _OPEN,
    Role.admin: UNLIMITED,
}
"""How secret a row each role may be told of, where a layer marks its rows. A utility is told all, but of its own only;
a wall hangs where visitors pass."""


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks: a role, and perhaps bound to one owner's rows or one area (WKB, EPSG:4326).

    `user` stands for the person in what is summed up over time: the same for all sessions of one token.
    """

    role: Role = Role.public
    owner: str | None = None
    area: str | None = None
    area_wkb: bytes | None = None
    name: str = "public"
    expires_at: datetime | None = None
    user: str = "public"

    @property
    def rights(self) -> frozenset[str]:
        """All that this viewer may do."""
        return RIGHTS[self.role]

    @property
    def scope(self) -> str:
        """What row-level security knows of this viewer: the owner it is bound to, or EVERYONE, or OUTSIDE."""
        if self.owner is not None:
            return self.owner
        return EVERYONE if self.may("staff") else OUTSIDE

    @property
    def clearance(self) -> str:
        """What row-level security knows of the viewer's clearance: one of LEVELS, or INCIDENT."""
        return CLEARANCES[self.role]

    def may(self, right: str) -> bool:
        """Whether the viewer has this right."""
        return right in self.rights


PUBLIC = Viewer()


def may_read(layer: Layer, viewer: Viewer) -> bool:
    """Whether the viewer may see the layer at all."""
    return viewer.may(layer.access.read)


def is_guarded(layer: Layer) -> bool:
    """Whether the layer marks how secret its rows are, so that clearances, incidents and the allowance count."""
    return layer.access.secrecy is not None


def is_fleeting(layer: Layer, viewer: Viewer) -> bool:
    """Whether what the viewer sees of the layer changes with the hour alone, so that no answer may be kept."""
    return is_guarded(layer) and viewer.clearance == INCIDENT


def sees_presence_only(layer: Layer, viewer: Viewer) -> bool:
    """Whether the viewer is told of the layer by hexagon, as a rule: it may not see it, or only where incidents are."""
    return is_guarded(layer) and (not may_read(layer, viewer) or is_fleeting(layer, viewer))


def hidden(layer: Layer, viewer: Viewer) -> frozenset[str]:
    """The names of the layer's columns that this viewer may not see."""
    return frozenset(a.key for a, right in layer.access.hide.items() if not viewer.may(right))


def require(viewer: Viewer, right: str, what: str) -> None:
    """Raise `Forbidden`, naming what was asked for, unless the viewer has the right."""
    if not viewer.may(right):
        msg = f"role {viewer.role} may not {what} (it needs the right {right!r})"
        raise Forbidden(msg)


def require_write(layer: Layer, viewer: Viewer) -> None:
    """Raise `Forbidden` unless the viewer may change this layer (an owner may change its own rows)."""
    if not (viewer.may(layer.access.write) or viewer.may("edit")):
        msg = f"role {viewer.role} may not change {layer.name}"
        raise Forbidden(msg)


def visible(layer: Layer, viewer: Viewer, columns: Iterable[str] | None = None) -> sa.Subquery:
    """The layer's rows as this viewer may see them. Everything that is read from a layer starts here.

    A hidden column stays in the select and reads NULL, so no filter, measure, tile or export can leak it. Rows of
    other owners, rows above the viewer's clearance, and rows outside the viewer's area (or, for emergency teams, the
    areas of incidents that are open at that moment) are not there. `columns` narrows the select to those names.

    Raises:
        Forbidden: the viewer may not see the layer.

    """
    if not may_read(layer, viewer):
        msg = f"role {viewer.role} may not see the layer {layer.name}"
        raise Forbidden(msg)
    table = layer.model.__table__
    unseen = hidden(layer, viewer)
    wanted = [c for c in table.c if columns is None or c.key in set(columns)]
    query = sa.select(*(sa.cast(sa.null(), c.type).label(c.key) if c.key in unseen else c for c in wanted))
    return _within(layer, viewer, query).subquery(layer.name)


def _within(layer: Layer, viewer: Viewer, query: sa.Select[Any]) -> sa.Select[Any]:
    """Keep the rows of the viewer's owner, clearance and area."""
    table: Any = layer.model.__table__
    if layer.access.owner is not None:
        if viewer.owner is not None:
            query = query.where(table.c[layer.access.owner.key] == viewer.owner)
        elif viewer.scope == OUTSIDE and layer.access.read != "public":
            query = query.where(sa.false())
    if layer.access.secrecy is not None:
        if is_fleeting(layer, viewer):
            query = query.where(in_open_incident(table.c.geom))
        elif (told := up_to(table.c[layer.access.secrecy.key], viewer.clearance)) is not None:
            query = query.where(told)
    if viewer.area_wkb is not None:
        untyped = sa.types.NullType()
        area = sa.func.ST_GeomFromWKB(sa.literal(viewer.area_wkb, sa.LargeBinary), 4326, type_=untyped)
        geom = sa.type_coerce(table.c.geom, untyped)
        query = query.where(geom.op("&&")(area), sa.func.ST_Intersects(geom, area, type_=sa.Boolean))
    return query


def owned(layer: Layer) -> str | None:
    """The name of the layer's owner column, if rows of the layer have owners."""
    return layer.access.owner.key if layer.access.owner is not None else None


def is_geometry(column: sa.ColumnElement[Any]) -> bool:
    """Whether a column of `visible` holds a geometry."""
    return isinstance(column.type, Geometry)
