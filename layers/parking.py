"""Car parks (停车场): where cars may stand and how many."""

from sqlalchemy.orm import Mapped

from gis_core import (
    Appears,
    Circle,
    Codes,
    Combine,
    Feature,
    Ingest,
    Label,
    Layer,
    Measure,
    by,
    field,
    live,
    point,
)
from layers._groups import MOBILITY


class ParkingKind(Codes):
    """How the bays lie."""

    surface = "地面停车场", "Surface", "#7aa2ff"
    garage = "停车楼", "Multi-storey", "#5b7fff"
    underground = "地下车库", "Underground", "#4a63d8"
    street = "路侧停车", "Street side", "#9bb8ff"


class CarPark(Feature):
    """One car park."""

    __tablename__ = "parking"

    geom = point()
    code: Mapped[str] = field("停车场编号", "Code", key=True)
    name: Mapped[str | None] = field("名称", "Name", name=True)
    kind: Mapped[ParkingKind] = field("类型", "Kind", default=ParkingKind.surface)
    bays: Mapped[int] = field("泊位数", "Bays", unit="个", within=(1, 20000))
    charging_bays: Mapped[int | None] = field("充电泊位", "Charging bays", unit="个", within=(0, 20000))
    fee: Mapped[str | None] = field("收费", "Fee")
    free: Mapped[int | None] = live("空余泊位", "Free bays", unit="个", within=(0, 20000))


LAYER = Layer(
    CarPark,
    title=Label("停车场", "Car parks"),
    group=MOBILITY,
    style=Circle(by(CarPark.kind), radius=5),
    appears=(Appears(11, CarPark.bays >= 100), Appears(13)),
    measures=(
        Measure("bays", Label("泊位数", "Bays"), Combine.sum, CarPark.bays, unit="个", palette="blues"),
        Measure("car_parks", Label("停车场数", "Car parks"), palette="blues"),
        Measure("free", Label("空余泊位", "Free bays"), Combine.sum, CarPark.free, unit="个", palette="teal"),
    ),
    ingest=Ingest(
        aliases={
            CarPark.code: ("osm_id", "id", "编号", "停车场编号"),
            CarPark.name: ("名称", "停车场名称"),
            CarPark.bays: ("capacity", "泊位数", "车位数"),
        }
    ),
)
