"""Charging piles (充电桩): where they stand, what they can give, what they do now."""

from sqlalchemy import case
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


class PileKind(Codes):
    """How the pile gives its power."""

    fast = "直流快充", "DC fast", "#00e0a4"
    slow = "交流慢充", "AC", "#7be0a0"


class PileStatus(Codes):
    """States of T/CEC 102 ConnectorStatus."""

    offline = "离网", "Offline", "#8a93a5"
    idle = "空闲", "Available", "#34c77b"
    blocked = "占用未充电", "Blocked", "#ffb020"
    charging = "充电中", "Charging", "#3f8cff"
    reserved = "预约", "Reserved", "#b388ff"
    fault = "故障", "Fault", "#ff4040"


class ChargingPile(Feature):
    """One cabinet with one serial number."""

    __tablename__ = "charging_piles"

    geom = point()
    serial: Mapped[str] = field("桩编号", "Serial number", key=True)
    name: Mapped[str | None] = field("站点名称", "Station", name=True)
    kind: Mapped[PileKind] = field("类型", "Kind", default=PileKind.slow)
    power_kw: Mapped[float] = field("额定功率", "Rated power", unit="kW", within=(1, 1500))
    operator: Mapped[str | None] = field("运营商", "Operator")
    status: Mapped[PileStatus | None] = live("状态", "Status")
    load_kw: Mapped[float | None] = live("当前功率", "Load", unit="kW", within=(0, 1500))


LAYER = Layer(
    ChargingPile,
    title=Label("充电桩", "Charging piles"),
    group=MOBILITY,
    style=Circle(by(ChargingPile.kind), radius=4.5),
    appears=(Appears(12),),
    measures=(
        Measure("piles", Label("充电桩数", "Piles"), palette="greens"),
        Measure(
            "power",
            Label("装机功率", "Rated power"),
            Combine.sum,
            ChargingPile.power_kw,
            unit="kW",
            palette="greens",
        ),
        Measure(
            "busy",
            Label("充电占比", "Busy"),
            Combine.mean,
            case((ChargingPile.status == PileStatus.charging, 100.0), else_=0.0),
            unit="%",
            palette="plasma",
        ),
    ),
    ingest=Ingest(
        aliases={
            ChargingPile.serial: ("pile_id", "osm_id", "id", "桩编号"),
            ChargingPile.name: ("站点名称", "station"),
            ChargingPile.power_kw: ("power", "额定功率"),
            ChargingPile.operator: ("运营商",),
        },
        words={
            ChargingPile.kind: {
                "快充": PileKind.fast,
                "直流": PileKind.fast,
                "慢充": PileKind.slow,
                "交流": PileKind.slow,
            }
        },
    ),
)
