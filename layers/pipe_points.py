"""Underground pipe points (管线点): manholes, valves, inlets, bends and joints, on the line of the pipes."""

from sqlalchemy.orm import Mapped

from gis_core import (
    Access,
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
    point,
)
from layers._groups import UTILITIES
from layers._pipes import WORDS, PipeClass


class PointKind(Codes):
    """Features and appurtenances that every class of pipe shares; the full code tables are data."""

    manhole = "检查井", "Manhole", "#c9d4e8"
    valve = "阀门", "Valve", "#ffd166"
    inlet = "雨水箅子", "Inlet", "#3f8cff"
    hydrant = "消火栓", "Hydrant", "#ff5964"
    joint = "连接点", "Joint", "#8fa3c4"
    bend = "弯头", "Bend", "#7086ad"
    source = "源点", "Source", "#f2f5ff"
    outfall = "排出口", "Outfall", "#00c2a8"
    other = "其他", "Other", "#9a5cff"


class PipePoint(Feature):
    """One surveyed point of a pipe network; `depth_m` is that of the pipe's crown below the surface."""

    __tablename__ = "pipe_points"

    geom = point()
    code: Mapped[str] = field("管点编号", "Point code", key=True)
    pipe_class: Mapped[PipeClass] = field("管类", "Class", index=True)
    kind: Mapped[PointKind] = field("特征或附属物", "Kind")
    ground_m: Mapped[float | None] = field("地面高程", "Ground elevation", unit="m", within=(-200, 9000))
    depth_m: Mapped[float | None] = field("埋深", "Depth", unit="m", within=(0, 50))
    road_name: Mapped[str | None] = field("所在道路", "Road", name=True)
    owner: Mapped[str] = field("权属单位", "Owner", index=True)


LAYER = Layer(
    PipePoint,
    title=Label("管线点", "Pipe points"),
    group=UTILITIES,
    style=Circle(by(PipePoint.kind), radius=2.5),
    appears=(Appears(14, PipePoint.kind.in_((PointKind.source, PointKind.outfall))), Appears(16)),
    tile_fields=(PipePoint.code, PipePoint.pipe_class, PipePoint.kind, PipePoint.depth_m, PipePoint.owner),
    measures=(
        Measure("points", Label("管点数", "Points")),
        Measure(
            "depth",
            Label("平均埋深", "Mean depth"),
            Combine.mean,
            PipePoint.depth_m,
            unit="m",
            palette="plasma",
        ),
        Measure("deepest", Label("最大埋深", "Deepest"), Combine.max, PipePoint.depth_m, unit="m", palette="magma"),
    ),
    ingest=Ingest(
        aliases={
            PipePoint.code: ("GDBH", "WTDH", "管点编号", "物探点号"),
            PipePoint.pipe_class: ("GXLX", "class", "管类"),
            PipePoint.kind: ("TZ", "FSW", "特征", "附属物"),
            PipePoint.ground_m: ("DMGC", "地面高程"),
            PipePoint.depth_m: ("MS", "埋深"),
            PipePoint.owner: ("QSDW", "权属单位"),
        },
        words={
            PipePoint.pipe_class: WORDS,
            PipePoint.kind: {
                "检查井": PointKind.manhole,
                "窨井": PointKind.manhole,
                "阀门": PointKind.valve,
                "阀门井": PointKind.valve,
                "雨水箅子": PointKind.inlet,
                "雨水箅": PointKind.inlet,
                "消火栓": PointKind.hydrant,
                "三通": PointKind.joint,
                "四通": PointKind.joint,
                "弯头": PointKind.bend,
                "转折点": PointKind.bend,
                "出水口": PointKind.outfall,
            },
        },
    ),
    access=Access(read="pipes.view", write="pipes.edit", owner=PipePoint.owner),
    visible=False,
)
