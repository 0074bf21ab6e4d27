"""Emergency shelters (应急避难场所)."""

from sqlalchemy.orm import Mapped

from gis_core import Appears, Circle, Combine, Feature, Ingest, Label, Layer, Measure, field, point
from layers._groups import SAFETY


class Shelter(Feature):
    """One place where people may stay in an emergency (GB 51143-2015)."""

    __tablename__ = "shelters"

    geom = point()
    code: Mapped[str] = field("场所编号", "Code", key=True)
    name: Mapped[str] = field("名称", "Name", name=True)
    places: Mapped[int | None] = field("可容纳人数", "Places", unit="人", within=(1, 1_000_000))
    address: Mapped[str | None] = field("地址", "Address")


LAYER = Layer(
    Shelter,
    title=Label("避难场所", "Shelters"),
    group=SAFETY,
    style=Circle("#57e389", radius=5),
    appears=(Appears(10),),
    measures=(
        Measure("shelters", Label("场所数", "Shelters"), palette="greens"),
        Measure("places", Label("可容纳人数", "Places"), Combine.sum, Shelter.places, unit="人", palette="greens"),
    ),
    ingest=Ingest(
        aliases={
            Shelter.code: ("id", "编号"),
            Shelter.name: ("名称",),
            Shelter.places: ("capacity", "容纳人数"),
        }
    ),
)
