"""Roads (道路): centre lines between junctions, with class, name, lanes and speed."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Codes, Combine, Feature, Ingest, Label, Layer, Measure, Street, field, line
from layers._groups import BASE


class RoadClass(Codes):
    """Classes of GB 50220-95 as the common map tags express them."""

    motorway = "高速公路", "Motorway", "#e8a33d"
    trunk = "快速路", "Expressway", "#d98f3f"
    primary = "主干路", "Arterial", "#b98a54"
    secondary = "次干路", "Secondary", "#8896b3"
    tertiary = "支路", "Local distributor", "#6f7f9f"
    residential = "街巷", "Residential street", "#566583"
    service = "内部道路", "Service road", "#4a5670"
    path = "慢行道路", "Foot or cycle path", "#3f6b66"


class Road(Feature):
    """One stretch of road between two junctions, drawn in the direction of travel where it is one-way."""

    __tablename__ = "roads"

    geom = line()
    code: Mapped[str] = field("路段编号", "Segment code", key=True)
    name: Mapped[str | None] = field("道路名称", "Road name", name=True)
    road_class: Mapped[RoadClass] = field("道路等级", "Class")
    rank: Mapped[int] = field("等级序", "Rank", within=(1, 9))
    lanes: Mapped[int | None] = field("车道数", "Lanes", within=(1, 16))
    speed_kmh: Mapped[float | None] = field("设计车速", "Speed", unit="km/h", within=(3, 140))
    oneway: Mapped[bool] = field("单行", "One-way", default=False)
    bridge: Mapped[bool] = field("桥梁", "Bridge", default=False)
    tunnel: Mapped[bool] = field("隧道", "Tunnel", default=False)
    length_m: Mapped[float | None] = field("长度", "Length", unit="m", within=(0, 200_000))
    osm_id: Mapped[str | None] = field("OSM 编号", "OSM id")
    from_node: Mapped[str | None] = field("起点", "From node")
    to_node: Mapped[str | None] = field("终点", "To node")


LAYER = Layer(
    Road,
    title=Label("道路", "Roads"),
    group=BASE,
    style=Street(rank=Road.rank, name=Road.name),
    appears=(
        Appears(6, Road.rank <= 2),
        Appears(10, Road.rank <= 4),
        Appears(12, Road.rank <= 6),
        Appears(14),
    ),
    tile_fields=(Road.code, Road.name, Road.road_class, Road.rank, Road.oneway, Road.bridge, Road.tunnel),
    measures=(
        Measure(
            "length",
            Label("道路长度", "Road length"),
            Combine.sum,
            Road.length_m / 1000,
            unit="km",
            palette="viridis",
        ),
        Measure("roads", Label("路段数", "Segments")),
        Measure(
            "speed",
            Label("平均车速", "Mean speed"),
            Combine.mean,
            Road.speed_kmh,
            unit="km/h",
            palette="plasma",
        ),
    ),
    ingest=Ingest(
        aliases={
            Road.code: ("link_id", "segment_id", "路段编号"),
            Road.name: ("道路名称", "road_name", "路名"),
            Road.speed_kmh: ("maxspeed", "speed"),
            Road.osm_id: ("osm_way_id", "osmid"),
        }
    ),
)
