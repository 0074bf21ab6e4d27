"""Incidents: who opened which area to the emergency teams, until when; every opening and closing is in the trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import shapely
import sqlalchemy as sa

from gis_core import audit
from gis_core.access import Viewer, require
from gis_core.crs import WORLD, within
from gis_core.database import Database
from gis_core.errors import Conflict, NotFound, Unprocessable
from gis_core.secrecy import Incident

RIGHT: Final = "incidents"
LONGEST: Final = timedelta(hours=72)
USUAL_H: Final = 4.0
LARGEST_KM2: Final = 25.0
_SMALLEST_KM2: Final = 1e-6
_TABLE: Any = Incident.__table__
_IS_OPEN: Final = sa.and_(_TABLE.c.closed_at.is_(None), _TABLE.c.closes_at > sa.func.now())
_KM2_OF_M2: Final = 1e-6


@dataclass(frozen=True)
class Opened:
    """An incident as it stands; `area` is a polygon in EPSG:4326."""

    id: int
    title: str
    area: shapely.Polygon
    opened_at: datetime
    opened_by: str
    closes_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    is_open: bool


def open_incident(database: Database, viewer: Viewer, title: str, area: Any, hours: float) -> Opened:
    """Open an area (a shapely polygon in EPSG:4326) to the emergency teams for some hours.

    Raises:
        Forbidden: the viewer may not.
        Unprocessable: no valid polygon on the globe, too large, or for too long.
    """
    require(viewer, RIGHT, "open incidents")
    _check_shape(area)
    if not 0 < hours <= LONGEST / timedelta(hours=1):
        raise Unprocessable(f"an incident is open for more than 0 and at most {LONGEST / timedelta(hours=1):g} hours")
    shape = sa.func.ST_GeomFromWKB(sa.literal(shapely.to_wkb(area), sa.LargeBinary), 4326)
    closes_at = sa.func.now() + timedelta(hours=hours)
    made = sa.insert(_TABLE).values(title=title, area=shape, opened_by=viewer.name, closes_at=closes_at)
    with database.writing() as connection:
        area_km2 = _size_km2(connection, shape)
        number = connection.scalar(made.returning(_TABLE.c.id))
        found = _read(connection, _TABLE.c.id == number)[0]
        box = ",".join(f"{v:.5f}" for v in area.bounds)
        words = f"{title!r}: {area_km2:.3f} km2 in {box}, until {found.closes_at.isoformat(timespec='seconds')}"
        audit.record(connection, viewer, "open incident", f"incident {number}", detail=words)
    return found


def close_incident(database: Database, viewer: Viewer, number: int) -> Opened:
    """Close an incident before its time: from this moment nobody sees anything by it.

    Raises:
        Forbidden: the viewer may not.
        NotFound: there is no such incident.
        Conflict: it is closed already.
    """
    require(viewer, RIGHT, "close incidents")
    closed = sa.update(_TABLE).where(_TABLE.c.id == number, _IS_OPEN)
    with database.writing() as connection:
        done = connection.execute(closed.values(closed_at=sa.func.now(), closed_by=viewer.name)).rowcount
        found = _read(connection, _TABLE.c.id == number)
        if not found:
            raise NotFound(f"there is no incident {number}")
        if not done:
            raise Conflict(f"incident {number} is closed already")
        audit.record(connection, viewer, "close incident", f"incident {number}", detail=repr(found[0].title))
    return found[0]


def incidents(database: Database, *, closed_too: bool = False, limit: int = 200) -> list[Opened]:
    """The incidents that are open now, or the newest of all, newest first."""
    with database.writing() as connection:
        return _read(connection, sa.true() if closed_too else _IS_OPEN, limit)


def _read(connection: sa.Connection, wanted: Any, limit: int = 1) -> list[Opened]:
    shape = sa.func.ST_AsBinary(sa.type_coerce(_TABLE.c.area, sa.types.NullType()), type_=sa.LargeBinary)
    columns = [c for c in _TABLE.c if c.key != "area"]
    query = sa.select(*columns, shape.label("area"), _IS_OPEN.label("is_open"))
    found = connection.execute(query.where(wanted).order_by(_TABLE.c.id.desc()).limit(limit)).mappings()
    return [Opened(**{**row, "area": shapely.from_wkb(bytes(row["area"]))}) for row in found]


def _check_shape(area: Any) -> None:
    """Raise Unprocessable unless this is one valid polygon on the globe."""
    if area.geom_type != "Polygon" or area.is_empty or not shapely.is_valid(area):
        raise Unprocessable("the area of an incident is one valid polygon")
    xy = shapely.get_coordinates(area)
    if not np.all(within(xy[:, 0], xy[:, 1], WORLD)):
        raise Unprocessable("the area is not on the globe; longitude comes first")


def _size_km2(connection: sa.Connection, shape: Any) -> float:
    """The size on the ellipsoid. Raises Unprocessable where that is nothing, or more than may be opened."""
    untyped = sa.types.NullType()
    size_m2 = sa.func.ST_Area(sa.func.geography(sa.type_coerce(shape, untyped), type_=untyped), type_=sa.Double)
    size_km2 = float(connection.scalar(sa.select(size_m2)) or 0.0) * _KM2_OF_M2
    if not _SMALLEST_KM2 <= size_km2 <= LARGEST_KM2:
        raise Unprocessable(f"the area has {size_km2:.3g} km2; an incident has up to {LARGEST_KM2:g}")
    return size_km2
