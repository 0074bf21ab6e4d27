"""Administrative areas (行政区划): district, towns and subdistricts, communities."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Boundary, Combine, Feature, Ingest, Label, Layer, Measure, area, field
from layers._groups import BASE


class AdminArea(Feature):
    """One area of the administration; codes have 6, 9 or 12 digits by level (GB/T 2260, GB/T 10114)."""

    __tablename__ = "admin_areas"

    geom = area()
    code: Mapped[str] = field("区划代码", "Code", key=True)
    name: Mapped[str] = field("名称", "Name", name=True)
    level: Mapped[int] = field("级别", "Level", within=(1, 3))
    population: Mapped[int | None] = field("常住人口", "Population", unit="人", within=(0, 50_000_000))


LAYER = Layer(
    AdminArea,
    title=Label("行政区划", "Administrative areas"),
    group=BASE,
    style=Boundary("#5b7fb5", name=AdminArea.name, level=AdminArea.level),
    appears=(Appears(0, AdminArea.level == 1), Appears(8)),
    measures=(
        Measure(
            "population",
            Label("人口", "Population"),
            Combine.sum,
            AdminArea.population,
            unit="人",
            palette="magma",
        ),
    ),
    ingest=Ingest(
        aliases={
            AdminArea.code: ("adcode", "zone_id", "行政区划代码", "区划代码"),
            AdminArea.name: ("名称", "town", "乡镇"),
            AdminArea.population: ("pop", "人口", "常住人口"),
        }
    ),
)
