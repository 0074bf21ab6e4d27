"""Buildings (建筑物): footprints with height."""

from sqlalchemy import func
from sqlalchemy.orm import Mapped

from gis_core import Appears, Combine, Extrusion, Feature, Ingest, Label, Layer, Measure, area, field
from layers._groups import BASE


class Building(Feature):
    """One building or part of one."""

    __tablename__ = "buildings"

    geom = area()
    code: Mapped[str] = field("建筑编号", "Code", key=True)
    name: Mapped[str | None] = field("名称", "Name", name=True)
    use: Mapped[str | None] = field("用途", "Use")
    floors: Mapped[int | None] = field("层数", "Floors", within=(0, 200))
    height_m: Mapped[float] = field("高度", "Height", unit="m", within=(0, 1000))
    address: Mapped[str | None] = field("地址", "Address")
    footprint_m2: Mapped[float | None] = field("占地面积", "Footprint", unit="m²", within=(0, 5e6))


LAYER = Layer(
    Building,
    title=Label("建筑物", "Buildings"),
    group=BASE,
    style=Extrusion("#33507d", height=Building.height_m),
    appears=(Appears(13, Building.footprint_m2 > 400), Appears(15)),
    tile_fields=(Building.code, Building.name, Building.use, Building.height_m),
    measures=(
        Measure("buildings", Label("建筑数", "Buildings")),
        Measure("footprint", Label("占地面积", "Footprint"), Combine.sum, Building.footprint_m2 / 1e4, unit="ha"),
        Measure(
            "floor_area",
            Label("估算建筑面积", "Estimated floor area"),
            Combine.sum,
            Building.footprint_m2 * func.coalesce(Building.floors, 1) / 1e4,
            unit="ha",
            palette="magma",
        ),
        Measure(
            "height",
            Label("平均高度", "Mean height"),
            Combine.mean,
            Building.height_m,
            unit="m",
            palette="plasma",
        ),
        Measure(
            "tallest",
            Label("最高建筑", "Tallest"),
            Combine.max,
            Building.height_m,
            unit="m",
            palette="plasma",
        ),
    ),
    ingest=Ingest(
        aliases={
            Building.code: ("osm_id", "id", "建筑编号"),
            Building.height_m: ("height", "高度"),
            Building.floors: ("levels", "building:levels", "层数"),
            Building.use: ("building", "用途"),
        }
    ),
)
