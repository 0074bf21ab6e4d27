"""Public bike stations (公共自行车站)."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Circle, Combine, Feature, Ingest, Label, Layer, Measure, field, live, point
from layers._groups import MOBILITY


class BikeStation(Feature):
    """One station with docks; the words follow GBFS 3.0."""

    __tablename__ = "bike_stations"

    geom = point()
    code: Mapped[str] = field("站点编号", "Station id", key=True)
    name: Mapped[str | None] = field("站点名称", "Name", name=True)
    docks: Mapped[int] = field("锁柱数", "Docks", unit="个", within=(1, 500))
    operator: Mapped[str | None] = field("运营单位", "Operator")
    bikes: Mapped[int | None] = live("可借车辆", "Bikes available", unit="辆", within=(0, 500))


LAYER = Layer(
    BikeStation,
    title=Label("自行车站", "Bike stations"),
    group=MOBILITY,
    style=Circle("#ffb3c7", radius=4),
    appears=(Appears(12),),
    measures=(
        Measure("stations", Label("站点数", "Stations"), palette="magma"),
        Measure("docks", Label("锁柱数", "Docks"), Combine.sum, BikeStation.docks, unit="个", palette="magma"),
        Measure("bikes", Label("可借车辆", "Bikes"), Combine.sum, BikeStation.bikes, unit="辆", palette="magma"),
    ),
    ingest=Ingest(
        aliases={
            BikeStation.code: ("station_id", "osm_id", "id", "站点编号"),
            BikeStation.name: ("站点名称",),
            BikeStation.docks: ("capacity", "锁柱数"),
        }
    ),
)
