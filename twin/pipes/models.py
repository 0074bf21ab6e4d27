"""Models for calculation, made of what a viewer may see of an area: EPANET for water, SWMM for drains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from gis_core.errors import TooLarge, Unprocessable
from twin.pipes import epanet, hydraulics, reading, swmm
from twin.pipes.permit import POINTS, SEGMENTS, Desk
from twin.pipes.reading import Seen

MOST_PIPES: Final = 100_000
MOST_SOLVED: Final = 20_000
"""Pipes of a model that is solved once or twice while somebody waits."""
MOST_TRIED: Final = 3_000
"""Pipes of a model that is solved once for each of its points."""
_READ_S: Final = 60.0
_LIKELIEST: Final = 20
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
    points, segments = _read(desk, area)
    made_up = _simulated(segments)
    if network == "water":
        model = epanet.model_of(points, segments)
        model.network.title = ["Chengtu", *(["simulated data"] if made_up else []), *model.notes[-3:]]
        text = epanet.as_inp(model)
    else:
        text = swmm.as_inp(points, segments, note="Contains simulated data." if made_up else "")
    return Exported(text, len(segments), made_up, reading.ground_of(segments.shapes, desk.metric_crs))


def pressure_loss(desk: Desk, area: Any, closed: Sequence[str], least_m: float, limit: int) -> dict[str, Any]:
    """What closing pipes (by code) costs the water network of an area in pressure, as JSON, the worst points first.

    Raises:
        Forbidden: the viewer may not see pipes.
        TooLarge: there are too many pipes to be solved while somebody waits.
        Unprocessable: a pipe is not among those of the area, or EPANET finds no solution.
    """
    model, told = _solvable(desk, area, MOST_SOLVED)
    if missing := [code for code in closed if code not in model.links]:
        raise Unprocessable(f"the water network of this area has no pipe {missing[0]!r} that you may see")
    loss = hydraulics.pressure_loss(model.network, [model.links[code] for code in closed], least_m=least_m)
    rows = hydraulics.as_rows(loss, model.nodes)
    return {
        **told,
        "least_m": least_m,
        "points": len(loss.nodes),
        "below": int((loss.below & ~loss.cut_off).sum()),
        "cut_off": int(loss.cut_off.sum()),
        "worst": rows[:limit],
    }


def likely_bursts(desk: Desk, area: Any, falls_m: Mapping[str, float], leak_m3h: float) -> dict[str, Any]:
    """Where a burst likely is in the water network of an area, by how far the head fell at points with sensors.

    Raises:
        Forbidden: the viewer may not see pipes.
        TooLarge: there are too many pipes to be tried one after the other.
        Unprocessable: a point is not in the network, or EPANET finds no solution.
    """
    model, told = _solvable(desk, area, MOST_TRIED)
    if missing := [code for code in falls_m if code not in model.nodes]:
        raise Unprocessable(f"the water network of this area has no point {missing[0]!r} that you may see")
    known = hydraulics.sensitivity(model.network, [model.nodes[code] for code in falls_m], leak_m3h)
    ranked = hydraulics.localise(known, np.array(list(falls_m.values())))
    codes = {name: code for code, name in model.nodes.items()}
    places = [(codes[name], score) for name, score in ranked if name in codes]
    return {**told, "likely": [{"code": code, "score": round(score, 4)} for code, score in places[:_LIKELIEST]]}


def _solvable(desk: Desk, area: Any, most: int) -> tuple[epanet.Model, dict[str, Any]]:
    points, segments = _read(desk, area)
    model = epanet.model_of(points, segments)
    if len(model.links) > most:
        raise TooLarge(f"{len(model.links):,} water pipes lie in this area; up to {most:,} are solved: choose less")
    return model, {"pipes": len(model.links), "simulated": _simulated(segments) > 0, "notes": list(model.notes[-5:])}


def _read(desk: Desk, area: Any) -> tuple[Seen, Seen]:
    place = reading.drawn(area, desk.metric_crs)
    with desk.database.reading(desk.viewer, limit_s=_READ_S) as connection:
        points, segments = (
            reading.near(
                connection, desk.layers[layer], desk.viewer, place, desk.metric_crs, columns=columns, most=MOST_PIPES
            )
            for layer, columns in ((POINTS, _POINT), (SEGMENTS, _SEGMENT))
        )
    return points, segments


def _simulated(segments: Seen) -> int:
    return int(segments.frame["simulated"].sum()) if len(segments) else 0
