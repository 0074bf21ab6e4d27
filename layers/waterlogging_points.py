"""Waterlogging points (易涝积水点): low places where water stands after heavy rain."""

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
from layers._groups import WATER


class RiskLevel(Codes):
    """Warning levels; the four colours are fixed across the product (气象灾害预警)."""

    blue = "低风险", "Low", "#3f8cff"
    yellow = "一般风险", "Moderate", "#ffd23f"
    orange = "较高风险", "High", "#ff9f1c"
    red = "高风险", "Severe", "#ff4040"


class WaterloggingPoint(Feature):
    """One place known to flood; the thresholds are the point's own, since cities close roads at different depths."""

    __tablename__ = "waterlogging_points"

    geom = point()
    code: Mapped[str] = field("积水点编号", "Code", key=True)
    name: Mapped[str] = field("名称", "Name", name=True)
    kind: Mapped[str | None] = field("类型", "Kind")
    risk: Mapped[RiskLevel] = field("风险等级", "Risk")
    warn_depth_m: Mapped[float] = field("预警水深", "Warning depth", unit="m", within=(0, 5), default=0.15)
    close_depth_m: Mapped[float] = field("封路水深", "Closing depth", unit="m", within=(0, 5), default=0.27)
    pump_m3s: Mapped[float | None] = field("泵排能力", "Pump capacity", unit="m³/s", within=(0, 100))
    depth_m: Mapped[float | None] = live("当前水深", "Depth now", unit="m", within=(0, 10))


LAYER = Layer(
    WaterloggingPoint,
    title=Label("积水点", "Waterlogging points"),
    group=WATER,
    style=Circle(by(WaterloggingPoint.risk), radius=6),
    appears=(Appears(9),),
    measures=(
        Measure("points", Label("积水点数", "Points"), palette="blues"),
        Measure(
            "depth",
            Label("最大水深", "Deepest water"),
            Combine.max,
            WaterloggingPoint.depth_m,
            unit="m",
            palette="blues",
        ),
    ),
    ingest=Ingest(
        aliases={
            WaterloggingPoint.code: ("积水点编号", "编号", "point_id"),
            WaterloggingPoint.name: ("名称", "积水点名称"),
            WaterloggingPoint.risk: ("风险等级", "level"),
        },
        words={
            WaterloggingPoint.risk: {
                "蓝": RiskLevel.blue,
                "黄": RiskLevel.yellow,
                "橙": RiskLevel.orange,
                "红": RiskLevel.red,
                "低": RiskLevel.blue,
                "中": RiskLevel.yellow,
                "较高": RiskLevel.orange,
                "高": RiskLevel.red,
            }
        },
    ),
)
