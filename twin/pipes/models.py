"""Models for calculation, made of what a viewer may see of an area: EPANET for water, SWMM for drains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from twin.pipes import epanet, reading, swmm
from twin.pipes.permit import POINTS, SEGMENTS, Desk

MOST_PIPES: Final = 100_000
_READ_S: Final = 60.0
_SEGMENT: Final = (
    "code", "pipe_class", "start_point", "end_point", "material", "section", "diameter_mm", "width_mm", "height_mm",
    "start_depth_m", "end_depth_m", "start_level_m", "end_level_m", "depth_reference", "length_m", "flow", "status",
    "simulated",
)  # fmt: skip
_POINT: Final = ("code", "pipe_class", "kind", "ground_m", "depth_m", "valve_open", "demand_m3h", "simulated")


@dataclass(frozen=True)
class Exported:
    """An input file, how many pipes were looked at for it, how many of them are made up, and the ground they lie in."""

    text: str
    pipes: int
    simulated: int
    cells: set[int]


def export(desk: Desk, network: Literal["water", "drainage"], area: Any) -> Exported:
    """The input file of an area (EPSG:4326): EPANET 2.2 for `water`, SWMM 5.2 for `drainage`.

    Raises:
        Forbidden: the viewer may not see pipes.
        TooLarge: there are more pipes than one model can be expected to hold.
        Unprocessable: the area is none, or there is no such network in it.
    """
    place = reading.drawn(area, desk.metric_crs)
    with desk.database.reading(desk.viewer, limit_s=_READ_S) as connection:
        points, segments = (
            reading.near(
                connection, desk.layers[layer], desk.viewer, place, desk.metric_crs, columns=columns, most=MOST_PIPES
            )
            for layer, columns in ((POINTS, _POINT), (SEGMENTS, _SEGMENT))
        )
    made_up = int(segments.frame["simulated"].sum()) if len(segments) else 0
    if network == "water":
        model = epanet.model_of(points, segments)
        model.network.title = ["Chengtu", *(["simulated data"] if made_up else []), *model.notes[-3:]]
        text = epanet.as_inp(model)
    else:
        text = swmm.as_inp(points, segments, note="Contains simulated data." if made_up else "")
    return Exported(text, len(segments), made_up, reading.ground_of(segments.shapes, desk.metric_crs))
