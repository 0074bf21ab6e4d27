"""Underground pipe points (管线点): manholes, valves, inlets, bends and joints, on the line of the pipes."""

from datetime import date

from sqlalchemy.orm import Mapped

from data import codes
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
from layers._pipes import (
    ABOUT,
    SECRECY_WORDS,
    STATUS_WORDS,
    SURVEY_WORDS,
    WORDS,
    PipeClass,
    Secrecy,
    Status,
    SurveyKind,
    words_of,
)


class PointKind(Codes):
    """Features and appurtenances that matter to a network, whatever its class; the full code tables are data."""

    manhole = "检查井", "Manhole", "#c9d4e8"
    valve = "阀门", "Valve", "#ffd166"
    inlet = "雨水箅子", "Inlet", "#3f8cff"
    hydrant = "消火栓", "Hydrant", "#ff5964"
    meter = "计量表", "Meter", "#b18cff"
    regulator = "调压箱", "Regulator", "#ff4dff"
    pump_station = "泵站", "Pump station", "#00d5ff"
    source = "源点", "Source", "#f2f5ff"
    outfall = "排出口", "Outfall", "#00c2a8"
    handhole = "手孔", "Handhole", "#a3b3d1"
    transformer = "变压器", "Transformer", "#ff4040"
    cabinet = "交接箱", "Cabinet", "#3ddc5b"
    drip = "凝水缸", "Drip", "#c78bff"
    expansion = "补偿器", "Expansion joint", "#ff8c1a"
    cap = "盖堵", "Cap", "#5f7397"
    entry = "入户", "House entry", "#7bd88f"
    reserved = "预留口", "Reserved end", "#d0a95a"
    tee = "三通", "Tee", "#9aadcf"
    cross = "四通", "Cross", "#93a6c8"
    bend = "弯头", "Bend", "#7086ad"
    joint = "连接点", "Joint", "#8fa3c4"
    other = "其他", "Other", "#9a5cff"


class PipePoint(Feature):
    """One surveyed point of a pipe network.

    `depth_m` is that of the deepest pipe there below the surface, negative above it. `customers` and `demand_m3h` are
    those served at the point itself.
    """

    __tablename__ = "pipe_points"

    geom = point()
    code: Mapped[str] = field("管点编号", "Point code", key=True)
    point_no: Mapped[str | None] = field("图上点号", "Number on the map")
    pipe_class: Mapped[PipeClass] = field("管类", "Class", index=True)
    subclass: Mapped[str | None] = field("小类", "Minor class", pattern=r"[A-Z]{2}")
    kind: Mapped[PointKind] = field("特征或附属物", "Kind")
    feature_code: Mapped[str | None] = field("要素代码", "Feature code", pattern=codes.FEATURE_CODE)
    ground_m: Mapped[float | None] = field("地面高程", "Ground elevation", unit="m", within=(-200, 9000))
    depth_m: Mapped[float | None] = field("埋深", "Depth", unit="m", within=(-50, 50))
    invert_m: Mapped[float | None] = field("井底高程", "Well bottom elevation", unit="m", within=(-250, 9000))
    well_depth_m: Mapped[float | None] = field("井深", "Well depth", unit="m", within=(0, 60))
    well_shape: Mapped[str | None] = field("井形状", "Well shape")
    well_size: Mapped[str | None] = field("井尺寸", "Well size")
    well_material: Mapped[str | None] = field("井材质", "Well material")
    cover_shape: Mapped[str | None] = field("井盖形状", "Cover shape")
    cover_size: Mapped[str | None] = field("井盖尺寸", "Cover size")
    cover_material: Mapped[str | None] = field("井盖材质", "Cover material")
    offset_m: Mapped[float | None] = field("偏心距", "Offset of the cover", unit="m", within=(0, 50))
    rotation_deg: Mapped[float | None] = field("符号角度", "Rotation of the symbol", unit="deg", within=(-360, 360))
    road_name: Mapped[str | None] = field("所在道路", "Road", name=True)
    owner: Mapped[str] = field("权属单位", "Owner", index=True)
    built_year: Mapped[int | None] = field("建设年份", "Year built", within=(1850, 2100))
    surveyed_by: Mapped[str | None] = field("探测单位", "Surveyed by")
    surveyed_on: Mapped[date | None] = field("探测日期", "Surveyed on")
    survey_kind: Mapped[SurveyKind | None] = field("明显或隐蔽", "Exposed or hidden")
    position_rmse_m: Mapped[float | None] = field("平面中误差", "Error of position", unit="m", within=(0, 100))
    depth_rmse_m: Mapped[float | None] = field("埋深中误差", "Error of depth", unit="m", within=(0, 100))
    status: Mapped[Status | None] = field("使用状态", "Status")
    secrecy: Mapped[Secrecy | None] = field("密级", "Secrecy")
    valve_open: Mapped[bool | None] = field("阀门开启", "Valve open")
    operable: Mapped[bool | None] = field("可操作", "Operable")
    accessible: Mapped[bool | None] = field("可到达", "Accessible")
    customers: Mapped[int | None] = field("用户数", "Customers", within=(0, 1_000_000))
    demand_m3h: Mapped[float | None] = field("用水量", "Demand", unit="m3/h", within=(0, 100_000))


LAYER = Layer(
    PipePoint,
    title=Label("管线点", "Pipe points"),
    group=UTILITIES,
    style=Circle(by(PipePoint.kind), radius=2.5),
    appears=(Appears(14, PipePoint.kind.in_((PointKind.source, PointKind.outfall))), Appears(16)),
    tile_fields=(PipePoint.code, PipePoint.pipe_class, PipePoint.kind, PipePoint.depth_m, PipePoint.owner),
    measures=(
        Measure("points", Label("管点数", "Points"), presence=True),
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
            PipePoint.point_no: ("TSDH", "图上点号", "点号"),
            PipePoint.pipe_class: ("GXLX", "class", "管类", "管线类型"),
            PipePoint.subclass: ABOUT["subclass"],
            PipePoint.kind: ("TZ", "FSW", "特征", "附属物"),
            PipePoint.feature_code: ABOUT["feature_code"],
            PipePoint.ground_m: ("DMGC", "地面高程"),
            PipePoint.depth_m: ("MS", "埋深"),
            PipePoint.invert_m: ("JDGC", "井底高程"),
            PipePoint.well_depth_m: ("JS", "JDMS", "井深", "井底埋深"),
            PipePoint.well_shape: ("JXZ", "井形状", "窨井形状"),
            PipePoint.well_size: ("JCC", "JSCC", "井尺寸", "井室尺寸"),
            PipePoint.well_material: ("JCZ", "井材质", "井室材质"),
            PipePoint.cover_shape: ("JGXZ", "井盖形状"),
            PipePoint.cover_size: ("JGCC", "JGGG", "井盖尺寸", "井盖规格"),
            PipePoint.cover_material: ("JGCZ", "井盖材质"),
            PipePoint.offset_m: ("PXJ", "PXJJ", "偏心距", "偏心井距"),
            PipePoint.rotation_deg: ("FHJD", "XZJ", "符号角度", "符号角", "旋转角"),
            PipePoint.road_name: ABOUT["road_name"],
            PipePoint.owner: ABOUT["owner"],
            PipePoint.built_year: ("JSNF", "JSND", "建设年份", "建设年代"),
            PipePoint.surveyed_by: ABOUT["surveyed_by"],
            PipePoint.surveyed_on: ABOUT["surveyed_on"],
            PipePoint.survey_kind: ("GDLB", "MXYC", "管点类别", "探测点类别"),
            PipePoint.position_rmse_m: ("PMZWC", "PMJD", "平面中误差", "平面精度"),
            PipePoint.depth_rmse_m: ("MSZWC", "MSJD", "埋深中误差", "埋深精度"),
            PipePoint.status: ABOUT["status"],
            PipePoint.secrecy: ABOUT["secrecy"],
            PipePoint.valve_open: ("FMZT", "KGZT", "阀门状态", "开关状态"),
            PipePoint.operable: ("KCZ", "可操作"),
            PipePoint.accessible: ("KDD", "可到达"),
            PipePoint.customers: ("YHS", "用户数"),
            PipePoint.demand_m3h: ("YSL", "用水量"),
        },
        words={
            PipePoint.pipe_class: WORDS,
            PipePoint.kind: words_of(PointKind, ((known.word, known.kind) for known in codes.point_kinds().values())),
            PipePoint.survey_kind: SURVEY_WORDS,
            PipePoint.status: STATUS_WORDS,
            PipePoint.secrecy: SECRECY_WORDS,
        },
    ),
    access=Access(
        read="pipes.view",
        write="pipes.edit",
        owner=PipePoint.owner,
        secrecy=PipePoint.secrecy,
        hide=dict.fromkeys(
            (
                PipePoint.built_year,
                PipePoint.secrecy,
                PipePoint.valve_open,
                PipePoint.operable,
                PipePoint.accessible,
                PipePoint.customers,
                PipePoint.demand_m3h,
            ),
            "pipes.attributes",
        ),
    ),
    visible=False,
)
