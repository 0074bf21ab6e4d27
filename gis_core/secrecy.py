"""How secret rows are, up to which of it somebody is cleared, and where an open incident shows more for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.orm import Mapped, mapped_column

from gis_core.model import Record

LEVELS: Final = ("open", "internal", "restricted", "secret")
"""The codes of a layer's secrecy column, the most secret last. A row without a mark is as open as its layer."""

UNLIMITED: Final = LEVELS[-1]
"""The clearance of who may be told everything."""

INCIDENT: Final = "incident"
"""The clearance of who sees rows of any level, but only inside the areas of incidents that are open now."""


class Incident(Record):
    """An emergency for whose time and area the emergency teams see in full what lies there."""

    __tablename__ = "incident"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    title: Mapped[str]
    area: Mapped[Any] = mapped_column(Geometry("POLYGON", 4326, spatial_index=False))
    opened_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    opened_by: Mapped[str]
    closes_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]


class TakenCell(Record):
    """One cell of the ground that somebody took full detail of, and when last: see `gis_core.allowance`."""

    __tablename__ = "taken_cell"

    who: Mapped[str] = mapped_column(primary_key=True)
    cell: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


OPEN_AREA: Final = """
CREATE OR REPLACE FUNCTION chengtu_open_area() RETURNS geometry LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT AS $body$
    SELECT ST_Union(area) FROM incident WHERE closed_at IS NULL AND closes_at > now()
$body$
""".strip()
"""Where incidents are open at this moment, by the database's clock; NULL where none is. The reader role may call it and
sees nothing else of the incidents."""


def up_to(column: Any, clearance: str) -> Any:
    """The condition that a row's mark is within a clearance; None where every mark is."""
    if clearance == UNLIMITED:
        return None
    told = LEVELS[: LEVELS.index(clearance) + 1]
    return sa.or_(column.is_(None), sa.type_coerce(column, sa.Text).in_(told))


def in_open_incident(geom: Any) -> Any:
    """The condition that a geometry column touches the area of incidents that are open when it is asked."""
    untyped = sa.types.NullType()
    geom = sa.type_coerce(geom, untyped)
    # A sub-select is computed once per statement, and so the index serves.
    area = sa.select(sa.func.chengtu_open_area(type_=untyped)).scalar_subquery()
    return sa.and_(geom.op("&&")(area), sa.func.ST_Intersects(geom, area, type_=sa.Boolean))


def as_policy(secrecy: str, geom: str, setting: str) -> str:
    """The same rules as the text of a row-level security policy; `setting` is where the clearance is bound.

    What is bound is looked up once per statement (a sub-select), in as few of them as can be: each costs every tile.
    Where nothing is bound, no row is told.
    """
    cases = " ".join(f"WHEN '{level}' THEN '{{{','.join(LEVELS[: n + 1])}}}'" for n, level in enumerate(LEVELS))
    levels = f"(SELECT CASE current_setting('{setting}', true) {cases} ELSE '{{}}' END)::text[]"
    known = ", ".join(f"'{level}'" for level in LEVELS)
    area = f"(SELECT CASE current_setting('{setting}', true) WHEN '{INCIDENT}' THEN chengtu_open_area() END)"
    return (
        f"({secrecy} IS NULL AND (SELECT current_setting('{setting}', true) IN ({known})))"
        f" OR {secrecy} = ANY ({levels}) OR ST_Intersects({geom}, {area})"
    )
