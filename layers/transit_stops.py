"""Public transport stops (公交站点)."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Circle, Combine, Feature, Ingest, Label, Layer, Measure, field, point
from layers._groups import MOBILITY


class TransitStop(Feature):
    """One stop; the words follow GTFS `stops.txt`."""

    __tablename__ = "transit_stops"

    geom = point()
    code: Mapped[str] = field("站点编号", "Stop id", key=True)
    name: Mapped[str | None] = field("站名", "Stop name", name=True)
    routes: Mapped[int | None] = field("线路数", "Routes", within=(0, 500))


LAYER = Layer(
    TransitStop,
    title=Label("公交站点", "Transit stops"),
    group=MOBILITY,
    style=Circle("#c3a6ff", radius=3),
    appears=(Appears(14),),
    measures=(
        Measure("stops", Label("站点数", "Stops"), palette="magma"),
        Measure("routes", Label("线路数", "Routes"), Combine.sum, TransitStop.routes, palette="magma"),
    ),
    ingest=Ingest(
        aliases={TransitStop.code: ("stop_id", "id"), TransitStop.name: ("stop_name", "站名")},
    ),
    visible=False,
)
