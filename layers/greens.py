"""Green and water areas (绿地水系) of the base map."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Codes, Combine, Feature, Ground, Ingest, Label, Layer, Measure, area, by, field
from layers._groups import BASE


class GreenKind(Codes):
    """What covers the ground."""

    park = "公园绿地", "Park", "#1e4d3a"
    forest = "林地", "Forest", "#1a4434"
    grass = "草地", "Grass", "#21513f"
    sport = "运动场地", "Sports ground", "#2a5a4a"
    water = "水域", "Water", "#123a5c"
    farmland = "农用地", "Farmland", "#2b4530"


class Green(Feature):
    """One green or water area."""

    __tablename__ = "greens"

    geom = area()
    code: Mapped[str] = field("编号", "Code", key=True)
    name: Mapped[str | None] = field("名称", "Name", name=True)
    kind: Mapped[GreenKind] = field("类别", "Kind")
    area_m2: Mapped[float | None] = field("面积", "Area", unit="m²", within=(0, 1e9))


LAYER = Layer(
    Green,
    title=Label("绿地水系", "Green and water"),
    group=BASE,
    style=Ground(by(Green.kind)),
    appears=(Appears(9, Green.area_m2 > 100_000), Appears(12, Green.area_m2 > 4_000), Appears(14)),
    measures=(
        Measure(
            "area",
            Label("绿地水系面积", "Area"),
            Combine.sum,
            Green.area_m2 / 1e4,
            unit="ha",
            palette="greens",
        ),
    ),
    ingest=Ingest(aliases={Green.code: ("osm_id", "id"), Green.area_m2: ("area", "面积")}),
)
