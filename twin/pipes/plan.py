"""A plan of the place about a dig, drawn from the city's own data: streets, buildings, pipes in their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis_core.model import Codes
from twin.pipes.dig import Examination, Neighbour
from twin.pipes.paper import LIGHT, Disc, Drawing, Patch, Stroke, Theme, Words, box
from twin.pipes.section import Language, fit_scale, nice_step

_LEAST_M: Final = 40.0
_STREET_M: Final = {1: 22.0, 2: 18.0, 3: 14.0, 4: 11.0, 5: 9.0}
_USUAL_STREET_M: Final = 6.0
_NAMED: Final = 4
_NUMBERED: Final = 40


@dataclass(frozen=True)
class Ground:
    """What stands about the place, in metres: buildings, streets with their frame (`name`, `rank`)."""

    buildings: Sequence[Any] = ()
    streets: Sequence[Any] = ()
    about: pd.DataFrame = field(default_factory=pd.DataFrame)


def extent(found: Examination, width: float, height: float) -> tuple[float, float, float, float, int]:
    """West, south, east, north (metres) of what a plan of `width` x `height` mm shows, and its scale."""
    west, south, east, north = found.dig.outline.buffer(found.near_m + 6).bounds
    across, up = max(east - west, _LEAST_M), max(north - south, _LEAST_M * height / width)
    scale = max(fit_scale(across, width), fit_scale(up, height))
    middle = ((west + east) / 2, (south + north) / 2)
    half = (width * scale / 2000, height * scale / 2000)
    return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1], scale


def draw(
    found: Examination,
    ground: Ground,
    classes: type[Codes],
    *,
    width: float = 182.0,
    height: float = 96.0,
    section: Any = None,
    language: Language = "zh",
    theme: Theme = LIGHT,
) -> Drawing:
    """The plan; neighbours bear the numbers under which the sheet's table lists them. `section` is a line A-A'."""
    return _Plan(found, ground, classes, width, height, section, language, theme).drawn()


class _Plan:
    def __init__(
        self, found: Examination, ground: Ground, classes: type[Codes], width: float, height: float,
        section: Any, language: Language, theme: Theme,
    ) -> None:  # fmt: skip
        self.found, self.ground, self.classes, self.section = found, ground, classes, section
        self.language, self.theme = language, theme
        self.west, self.south, self.east, self.north, self.scale = extent(found, width, height)
        title = "平面图" if language == "zh" else "Plan"
        self.drawing = Drawing(width, height, title, "#fbfaf7" if theme is LIGHT else theme.paper)
        self.frame = shapely.box(self.west, self.south, self.east, self.north)

    def drawn(self) -> Drawing:
        self._streets()
        self._buildings()
        self._pipes()
        self._dig()
        self._numbers()
        self._furniture()
        return self.drawing

    def at(self, xy: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
        """Metres to millimetres of the sheet."""
        k = 1000 / self.scale
        return [((x - self.west) * k, (self.north - y) * k) for x, y in xy.tolist()]

    def _areas(self, shapes: Any, fill: str, stroke: str | None, width: float = 0.2, opacity: float = 1.0) -> None:
        for part in shapely.get_parts(shapely.intersection(shapes, self.frame)):
            for polygon in shapely.get_parts(part):
                if polygon.geom_type == "Polygon" and not polygon.is_empty:
                    corners = self.at(shapely.get_coordinates(polygon.exterior))
                    self.drawing.add(Patch(corners, fill, stroke, width, opacity))

    def _lines(self, shape: Any) -> list[list[tuple[float, float]]]:
        parts = shapely.get_parts(shapely.intersection(shape, self.frame))
        return [self.at(shapely.get_coordinates(p)) for p in parts if p.geom_type == "LineString" and not p.is_empty]

    def _streets(self) -> None:
        street = "#ffffff" if self.theme is LIGHT else "#141d2e"
        names: dict[str, Any] = {}
        for number, shape in enumerate(self.ground.streets):
            about = self.ground.about.iloc[number]
            wide = _STREET_M.get(int(about["rank"]), _USUAL_STREET_M)
            self._areas(np.array([shape.buffer(wide / 2)]), street, self.theme.grid, 0.15)
            inside = shapely.intersection(shape, self.frame)
            if isinstance(about["name"], str) and inside.length > names.get(str(about["name"]), (0.0, None))[0]:
                names[str(about["name"])] = (inside.length, inside)
        for name, (_, inside) in sorted(names.items(), key=lambda item: -item[1][0])[:_NAMED]:
            longest = max(shapely.get_parts(inside), key=lambda part: part.length)
            (x0, y0), (x1, y1) = self.at(
                shapely.get_coordinates([longest.interpolate(s, normalized=True) for s in (0.49, 0.51)])
            )
            turn = math.degrees(math.atan2(y0 - y1, x1 - x0))
            turn = turn - 180 if turn > 90 else turn + 180 if turn < -90 else turn  # noqa: PLR2004  upright
            if longest.length * 1000 / self.scale > len(name) * 3:
                place = (x0 + x1) / 2, (y0 + y1) / 2
                self.drawing.add(Words(*place, name, 2.6, self.theme.soft, "middle", turn=turn, halo=street))

    def _buildings(self) -> None:
        fill, edge = ("#e7e3da", "#cfc8ba") if self.theme is LIGHT else ("#1c2739", "#2b3a54")
        self._areas(np.array(list(self.ground.buildings), dtype=object), fill, edge, 0.15)

    def _pipes(self) -> None:
        near = {one.id for one in self.found.neighbours}
        frame = self.found.seen.frame
        for number, shape in enumerate(self.found.seen.shapes):
            about = frame.iloc[number]
            colour = self.classes[str(about["pipe_class"])].colour
            wide = min(max(float(about["diameter_mm"]) / self.scale, 0.35), 2.2)
            for points in self._lines(shape):
                if int(about["id"]) in near:
                    self.drawing.add(Stroke(points, self.theme.ink, wide + 0.25))
                self.drawing.add(Stroke(points, colour, wide))

    def _dig(self) -> None:
        dig, accent = self.found.dig, self.theme.accent
        around = np.array([dig.outline.buffer(self.found.near_m)], dtype=object)
        for polygon in shapely.get_parts(shapely.intersection(around, self.frame)):
            rim = self.at(shapely.get_coordinates(polygon.exterior))
            self.drawing.add(Stroke(rim, accent, 0.2, (1.2, 1.0)))
        self._areas(np.array([dig.outline], dtype=object), accent, accent, 0.5, 0.22)
        if self.section is None:
            return
        for points in self._lines(self.section):
            self.drawing.add(Stroke(points, self.theme.ink, 0.3, (3, 0.8, 0.6, 0.8)))
        ends = self.at(shapely.get_coordinates(self.section))
        for (x, y), name in ((ends[0], "A"), (ends[-1], "A'")):
            inside = min(max(x, 3), self.drawing.width - 3), min(max(y, 4), self.drawing.height - 3)
            self.drawing.add(Words(*inside, name, 3.2, self.theme.ink, "middle", bold=True, halo=self.drawing.paper))

    def _numbers(self) -> None:
        taken: list[tuple[float, float]] = []
        for number, one in enumerate(self.found.neighbours[:_NUMBERED], 1):
            place = self._free(one, taken)
            if place is None:
                continue
            taken.append(place)
            colour = self.classes[one.pipe_class].colour
            self.drawing.add(
                Disc(*place, 2.0, 2.0, self.theme.paper, colour, 0.4),
                Words(place[0], place[1] + 0.8, str(number), 2.3, self.theme.ink, "middle", bold=True),
            )

    def _free(self, one: Neighbour, taken: list[tuple[float, float]]) -> tuple[float, float] | None:
        """A place for a number beside the nearest place of its pipe, where no other number stands."""
        ((x, y),) = self.at(np.array([one.at]))
        for radius in (0.0, 4.2, 8.0):
            for turn in range(0, 360, 45):
                tried = x + radius * math.cos(math.radians(turn)), y + radius * math.sin(math.radians(turn))
                inside = 2.5 < tried[0] < self.drawing.width - 2.5 and 2.5 < tried[1] < self.drawing.height - 2.5  # noqa: PLR2004
                if inside and all(math.dist(tried, other) > 4.1 for other in taken):  # noqa: PLR2004  two radii
                    return tried
        return None

    def _furniture(self) -> None:
        width, height, ink = self.drawing.width, self.drawing.height, self.theme.ink
        step = nice_step((self.east - self.west) / 8)
        long = step * 1000 / self.scale
        x, y = width - long - 8, height - 5
        self.drawing.add(
            Patch(box(x - 3, y - 5.2, long + 9, 8.4), self.theme.paper, opacity=0.85),
            Stroke([(x, y - 1), (x, y), (x + long, y), (x + long, y - 1)], ink, 0.35),
            Words(x + long / 2, y - 1.4, f"{step:g} m", 2.5, ink, "middle"),
            Words(x + long / 2, y + 2.4, f"1:{self.scale:,}", 2.2, self.theme.soft, "middle"),
            Disc(width - 8, 9, 4.4, 4.4, self.theme.paper, self.theme.grid, 0.2),
            Patch([(width - 8, 4.2), (width - 6.2, 10.8), (width - 8, 9.6), (width - 9.8, 10.8)], ink),
            Words(width - 8, 13, "N", 2.2, ink, "middle", bold=True),
            Stroke([*box(0, 0, width, height), (0, 0)], self.theme.soft, 0.3),
        )
