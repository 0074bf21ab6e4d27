"""Camera points (视频点位): where cameras stand, never what they see."""

from sqlalchemy.orm import Mapped

from gis_core import Access, Appears, Circle, Feature, Ingest, Label, Layer, Measure, field, point
from layers._groups import SAFETY


class Camera(Feature):
    """One camera position."""

    __tablename__ = "cameras"

    geom = point()
    code: Mapped[str] = field("点位编号", "Camera code", key=True)
    name: Mapped[str] = field("点位名称", "Place", name=True)
    direction: Mapped[str | None] = field("朝向", "Direction")
    town: Mapped[str | None] = field("所属镇街", "Town")
    kind: Mapped[str | None] = field("类型", "Kind")


LAYER = Layer(
    Camera,
    title=Label("视频点位", "Cameras"),
    group=SAFETY,
    style=Circle("#6ee7ff", radius=4),
    appears=(Appears(10),),
    measures=(Measure("cameras", Label("点位数", "Cameras"), palette="teal"),),
    ingest=Ingest(
        aliases={
            Camera.code: ("camera_id", "id", "点位编号"),
            Camera.name: ("点位名称", "名称", "address"),
            Camera.town: ("所属镇街", "乡镇"),
        }
    ),
    access=Access(read="cameras.view"),
)
