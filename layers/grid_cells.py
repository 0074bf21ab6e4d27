"""Unit grid cells (单元网格): the smallest areas of city management, each within one community."""

from sqlalchemy.orm import Mapped

from gis_core import Access, Appears, Combine, Feature, Fill, Ingest, Label, Layer, Measure, area, field
from layers._groups import GRID


class GridCell(Feature):
    """One unit grid cell.

    The code has 15 digits: 6 county, 3 street or town, 3 community, 3 sequence (DB11/T 2157-2023); the 14-digit
    form of GB/T 30428.1 with a sequence of 2 is accepted.
    """

    __tablename__ = "grid_cells"

    geom = area()
    code: Mapped[str] = field("单元网格标识码", "Unit grid code", key=True, pattern=r"\d{14,15}")
    name: Mapped[str | None] = field("名称", "Name", name=True)
    area_m2: Mapped[float | None] = field("面积", "Area", unit="m²", within=(1, 5e7))
    land_use: Mapped[str | None] = field("用地类别", "Land use")
    grade: Mapped[str | None] = field("管理等级", "Management grade")
    steward: Mapped[str | None] = field("责任主体", "Responsible body")


LAYER = Layer(
    GridCell,
    title=Label("单元网格", "Grid cells"),
    group=GRID,
    style=Fill("#4fc3f7", opacity=0.06, outline=1),
    appears=(Appears(11, GridCell.area_m2 > 80_000), Appears(13)),
    measures=(
        Measure("cells", Label("网格数", "Cells"), palette="viridis"),
        Measure("area", Label("网格面积", "Area"), Combine.sum, GridCell.area_m2 / 1e4, unit="ha"),
        Measure("mean_area", Label("平均面积", "Mean area"), Combine.mean, GridCell.area_m2 / 1e4, unit="ha"),
    ),
    ingest=Ingest(
        aliases={
            GridCell.code: ("grid_code", "WGBSM", "SZDYWGBSM", "网格编码", "单元网格标识码"),
            GridCell.area_m2: ("area", "面积"),
            GridCell.steward: ("责任主体", "责任人"),
        }
    ),
    access=Access(hide={GridCell.steward: "staff"}),
    visible=False,
)
