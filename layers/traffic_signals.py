"""Traffic signals (交通信号灯): the signalled junctions."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Circle, Feature, Ingest, Label, Layer, Measure, field, point
from layers._groups import MOBILITY


class TrafficSignal(Feature):
    """One signalled junction or crossing."""

    __tablename__ = "traffic_signals"

    geom = point()
    code: Mapped[str] = field("路口编号", "Junction code", key=True)
    name: Mapped[str | None] = field("路口名称", "Junction", name=True)
    arms: Mapped[int | None] = field("进口道数", "Arms", within=(1, 12))


LAYER = Layer(
    TrafficSignal,
    title=Label("信号灯", "Traffic signals"),
    group=MOBILITY,
    style=Circle("#ffe08a", radius=3.5),
    appears=(Appears(13),),
    measures=(Measure("signals", Label("信号灯数", "Signals"), palette="plasma"),),
    ingest=Ingest(
        aliases={
            TrafficSignal.code: ("osm_id", "id", "路口编号"),
            TrafficSignal.name: ("路口名称", "junction"),
        }
    ),
)
