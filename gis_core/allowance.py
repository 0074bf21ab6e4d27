"""How much ground somebody may take full detail of within a day: kept in the database, for all processes and restarts.

What counts are the hexagons (H3 resolution 9, 0.108 km2 each) in which the rows lie that were handed out, each once
within the window, whatever boxes and filters they were asked by. So neither many small questions nor overlapping ones
get round it, and looking at the same place again costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from gis_core.access import Viewer
from gis_core.database import Database
from gis_core.errors import Forbidden
from gis_core.secrecy import TakenCell

RESOLUTION: Final = 9
CELL_KM2: Final = 4_357_449.4160781 / 7**RESOLUTION
"""The mean area of a cell; h3geo.org, table of cell statistics."""
WINDOW: Final = timedelta(hours=24)
_TABLE: Any = TakenCell.__table__


class OverAllowance(Forbidden):
    """This is more ground at full detail than one person may take within a day."""


class Allowance:
    """What each user of one city may still take."""

    def __init__(self, database: Database, limit_km2: float) -> None:
        """Keep the sums in this database."""
        self._database = database
        self.limit_km2 = limit_km2

    def take(self, viewer: Viewer, cells: Iterable[int], what: str) -> float:
        """Count cells (of RESOLUTION) as taken by the viewer now; returns the sum within the window, in km2.

        Two who take at once under one name wait for each other, so together they cannot take more than one could.

        Raises:
            OverAllowance: it would be too much; then nothing is counted, and nothing may be handed out. `what` names
                what was asked for, in the message and so in the audit trail.
        """
        wanted = sorted({int(cell) for cell in cells})
        if not wanted:
            return 0.0
        recent = sa.and_(_TABLE.c.who == viewer.user, _TABLE.c.at > sa.func.now() - WINDOW)
        with self._database.writing() as connection:
            connection.execute(_WAIT, {"who": viewer.user})
            connection.execute(sa.delete(_TABLE).where(_TABLE.c.who == viewer.user, sa.not_(recent)))
            before = set(connection.scalars(sa.select(_TABLE.c.cell).where(recent)))
            sum_km2 = len(before.union(wanted)) * CELL_KM2
            if sum_km2 > self.limit_km2 and not before.issuperset(wanted):
                more_km2 = len(set(wanted) - before) * CELL_KM2
                raise OverAllowance(
                    f"{what} is {more_km2:.2f} km2 at full detail beside {len(before) * CELL_KM2:.2f} km2 taken within "
                    f"24 hours; one person may take {self.limit_km2:g} km2 in all: ask for a smaller place",
                    asked_km2=round(more_km2, 3),
                    taken_km2=round(len(before) * CELL_KM2, 3),
                    limit_km2=self.limit_km2,
                )
            rows = insert(_TABLE).values([{"who": viewer.user, "cell": cell} for cell in wanted])
            again = {"at": sa.func.now()}
            connection.execute(rows.on_conflict_do_update(index_elements=[_TABLE.c.who, _TABLE.c.cell], set_=again))
        return sum_km2


_WAIT: Final = sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.allowance'), hashtext(:who))")
