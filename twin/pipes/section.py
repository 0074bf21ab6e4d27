"""A cross-section along a drawn line: every pipe that it cuts, at its depth, in its size and colour, and the ground."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis_core.model import Codes
from twin.pipes.paper import LIGHT, Anchor, Disc, Drawing, Patch, Stroke, Theme, Words, box, spread, width_of

Language = Literal["zh", "en"]
Floats = npt.NDArray[np.float64]

SCALES: Final = (
    10, 20, 25, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 2500, 5000, 7500, 10_000,
)  # fmt: skip
_WIDTH, _LEFT, _RIGHT, _TOP = 280.0, 30.0, 12.0, 26.0
_PLOT_HEIGHT, _ROW, _FOOT = 92.0, 5.6, 14.0
_MOST_COLUMNS: Final = 26
_WIDEST_COLUMN: Final = 17.0
_SMALLEST_MM: Final = 1.0
_HOLLOW_MM: Final = 1.7
_SKY: Final = 0.12
_NEAR_GROUND_M: Final = 15.0
_CROWDED_MM: Final = 6.0


@dataclass(frozen=True)
class Cut:
    """One pipe where the line cuts it: `along_m` from the line's start, depths of its upper and lower edge in metres.

    `ground_m` is the elevation of the ground above it, NaN where the pipe's elevation is not known.
    """

    id: int
    code: str
    pipe_class: str
    size: str
    owner: str
    along_m: float
    crown_m: float
    invert_m: float
    width_m: float
    ground_m: float
    boxed: bool
    simulated: bool


def cuts_of(line: shapely.LineString, frame: pd.DataFrame, shapes: npt.NDArray[np.object_]) -> list[Cut]:
    """Where a line (metres) cuts pipes (columns of `pipe_segments` and lines in metres), by distance from its start."""
    met = shapely.intersection(shapes, line)
    cuts = []
    for row in np.flatnonzero(~shapely.is_empty(met)):
        about: dict[str, Any] = frame.iloc[row].to_dict()  # type: ignore[assignment]  # names are texts
        for part in shapely.get_parts(met[row]):
            place = part if part.geom_type == "Point" else shapely.line_interpolate_point(part, 0.5, normalized=True)
            share = shapely.line_locate_point(shapes[row], place, normalized=True)
            cuts.append(_cut(about, float(shapely.line_locate_point(line, place)), float(share)))
    return sorted(cuts, key=lambda cut: (cut.along_m, cut.crown_m))


def _cut(about: dict[str, Any], along_m: float, share: float) -> Cut:
    height = _known(about.get("height_mm"), about["diameter_mm"]) / 1000
    width = _known(about.get("width_mm"), about["diameter_mm"]) / 1000
    depth = _mix(about["start_depth_m"], about["end_depth_m"], share)
    level = _mix(about.get("start_level_m"), about.get("end_level_m"), share)
    crown = depth - height if about.get("depth_reference") == "invert" else depth
    return Cut(
        id=int(about["id"]),
        code=str(about["code"]),
        pipe_class=str(about["pipe_class"]),
        size=size_of(about),
        owner=str(about["owner"]),
        along_m=along_m,
        crown_m=crown,
        invert_m=crown + height,
        width_m=width,
        ground_m=level + depth,
        boxed=about.get("section") == "rectangular",
        simulated=bool(about.get("simulated")),
    )


def size_of(about: dict[str, Any]) -> str:
    """The size of a pipe as drawings write it: DN300, or width by height."""
    width, height = about.get("width_mm"), about.get("height_mm")
    if about.get("section") == "rectangular" and is_number(width) and is_number(height):
        return f"{float(width or 0):.0f}×{float(height or 0):.0f}"
    return f"DN{float(about['diameter_mm']):.0f}"


def ground_of(line: shapely.LineString, cuts: Sequence[Cut], points: pd.DataFrame, shapes: Any) -> Floats | None:
    """The ground along a line as rows of (distance from start, elevation); None where too little is known.

    From the pipes' own elevations and depths and from surveyed points within 15 m.
    """
    known = [(cut.along_m, cut.ground_m) for cut in cuts if is_number(cut.ground_m)]
    if len(points) and "ground_m" in points:
        close = shapely.distance(shapes, line) <= _NEAR_GROUND_M
        at = shapely.line_locate_point(line, shapes)
        known += [
            (float(a), float(g)) for a, g, c in zip(at, points["ground_m"], close, strict=True) if c and is_number(g)
        ]
    if not known or any(not is_number(cut.ground_m) for cut in cuts):
        return None
    along, ground = np.array(sorted(known)).T
    step = max(line.length / 40, 1.0)
    bins = np.floor(along / step)
    frame = pd.DataFrame({"along": along, "ground": ground}).groupby(bins).median()
    return np.asarray(frame.sort_values("along"), dtype=np.float64)


def draw(
    cuts: Sequence[Cut],
    length_m: float,
    classes: type[Codes],
    *,
    ground: Floats | None = None,
    language: Language = "zh",
    theme: Theme = LIGHT,
    note: str = "",
    dig: tuple[float, float, float] | None = None,
    numbers: Mapping[int, int] | None = None,
) -> Drawing:
    """The drawing of a section `length_m` long.

    With `ground` heights are elevations; without it the ground is flat and heights are depths. Pipes stand at the
    vertical scale, so that crown and invert can be read off the axis. `dig` is a trench: from, to and depth in metres;
    `numbers` are those that pipes have elsewhere, by id (default: in order from the line's start).
    """
    return _Section(cuts, length_m, classes, ground, language, theme, note, dig, numbers or {}).drawn()


class _Section:
    def __init__(
        self,
        cuts: Sequence[Cut],
        length_m: float,
        classes: type[Codes],
        ground: Floats | None,
        language: Language,
        theme: Theme,
        note: str,
        dig: tuple[float, float, float] | None,
        numbers: Mapping[int, int],
    ) -> None:
        self.cuts, self.length, self.classes, self.ground = cuts, max(length_m, 0.1), classes, ground
        self.language, self.theme, self.note, self.dig = language, theme, note, dig
        self.numbers = [str(numbers.get(cut.id, "") if numbers else n) for n, cut in enumerate(cuts, 1)]
        deepest = [cut.invert_m for cut in cuts] + ([dig[2]] if dig else []) + [1.0]
        tops = [self.surface(x) for x in (0.0, self.length, *(cut.along_m for cut in cuts))]
        lows = [self.surface(cut.along_m) - cut.invert_m for cut in cuts]
        lows += [self.surface(dig[0]) - dig[2]] if dig else []
        self.high = max(tops) + max(0.3, _SKY * max(deepest))
        self.low = min([*lows, min(tops) - 1.0]) - 0.3
        self.across = fit_scale(self.length, _WIDTH - _LEFT - _RIGHT)
        self.upright = fit_scale(self.high - self.low, _PLOT_HEIGHT)
        self.rows = 5 if ground is not None else 4
        self.bottom = _TOP + (self.high - self.low) * 1000 / self.upright
        foot = self.bottom + 12 + _ROW * self.rows + _FOOT
        self.drawing = Drawing(_WIDTH, foot, self.say("管线横断面图", "Cross-section of pipelines"), theme.paper)

    def say(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    def surface(self, along_m: float) -> float:
        return 0.0 if self.ground is None else float(np.interp(along_m, self.ground[:, 0], self.ground[:, 1]))

    def x(self, along_m: float) -> float:
        return _LEFT + along_m * 1000 / self.across

    def y(self, height_m: float) -> float:
        return _TOP + (self.high - height_m) * 1000 / self.upright

    def drawn(self) -> Drawing:
        self._title()
        self._axes()
        self._earth()
        if self.dig:
            self._trench(*self.dig)
        self._table()
        for number, cut in enumerate(self.cuts, 1):
            self._pipe(number, cut)
        self._legend()
        return self.drawing

    def _title(self) -> None:
        ink, soft = self.theme.ink, self.theme.soft
        other = "Cross-section of pipelines" if self.language == "zh" else "管线横断面图"
        self.drawing.add(
            Words(_LEFT, 11, self.drawing.title, 5.4, ink, bold=True),
            Words(_LEFT + width_of(self.drawing.title, 5.4) + 4, 11, other, 3.2, soft),
        )
        scale = self.say(f"横 1:{self.across:,}  纵 1:{self.upright:,}", f"H 1:{self.across:,}  V 1:{self.upright:,}")
        told = self.say(
            f"长 {self.length:.1f} m · 管线 {len(self.cuts)} 处 · {scale}",
            f"{self.length:.1f} m long · {len(self.cuts)} crossings · {scale}",
        )
        self.drawing.add(Words(_LEFT, 17, told, 3.0, soft))
        if self.note:
            self.drawing.add(Words(_WIDTH - _RIGHT, 11, self.note, 3.0, self.theme.accent, "end", bold=True))

    def _axes(self) -> None:
        theme, right = self.theme, self.x(self.length)
        step = nice_step((self.high - self.low) / 6)
        for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            y = self.y(k * step)
            shown = f"{k * step:.{0 if step >= 1 else 1}f}" if self.ground is not None else f"{-k * step:.1f}"
            if self.ground is None and k > 0:
                continue
            self.drawing.add(
                Stroke([(_LEFT, y), (right, y)], theme.grid, 0.18),
                Words(_LEFT - 2, y + 0.9, shown, 2.6, theme.soft, "end"),
            )
        title = self.say("高程 (m)", "Elevation (m)") if self.ground is not None else self.say("埋深 (m)", "Depth (m)")
        middle = (_TOP + self.bottom) / 2
        self.drawing.add(Words(_LEFT - 13, middle, title, 2.8, theme.soft, "middle", turn=90))
        step = nice_step(self.length / 8)
        for k in range(int(self.length / step + 1e-9) + 1):
            x = self.x(k * step)
            self.drawing.add(
                Stroke([(x, _TOP), (x, _TOP - 1.5)], theme.soft, 0.2),
                Words(x, _TOP - 2.6, f"{k * step:g}", 2.4, theme.soft, "middle"),
            )
        self.drawing.add(Words(right + 2, _TOP - 2.6, "m", 2.4, theme.soft))

    def _earth(self) -> None:
        stations = [0.0, self.length, *([] if self.ground is None else self.ground[:, 0].tolist())]
        inside = sorted({min(max(s, 0.0), self.length) for s in stations})
        top = [(self.x(s), self.y(self.surface(s))) for s in inside]
        floor = [(self.x(self.length), self.bottom), (_LEFT, self.bottom)]
        self.drawing.marks.insert(0, Patch([*top, *floor], self.theme.earth))
        self.drawing.add(Stroke(top, self.theme.earth_line, 0.55))
        # Short strokes below the line: how drawings have marked ground since they were inked by hand.
        for x in np.arange(_LEFT + 2, self.x(self.length) - 1, 5.5):
            y = float(np.interp(x, [p[0] for p in top], [p[1] for p in top]))
            for k in range(3):
                self.drawing.add(Stroke([(x + k * 0.9, y), (x + k * 0.9 - 1.3, y + 1.5)], self.theme.earth_line, 0.16))

    def _trench(self, start_m: float, end_m: float, depth_m: float) -> None:
        tops = [(self.x(s), self.y(self.surface(s))) for s in (start_m, end_m)]
        floor = min(self.surface(start_m), self.surface(end_m)) - depth_m
        corners = [*tops, (tops[1][0], self.y(floor)), (tops[0][0], self.y(floor))]
        words = self.say(f"开挖 {depth_m:g} m", f"dig {depth_m:g} m")
        self.drawing.add(
            Patch(corners, self.theme.accent, opacity=0.13),
            Stroke([corners[0], corners[3], corners[2], corners[1]], self.theme.accent, 0.35, (1.6, 0.9)),
            Words(tops[1][0] - 1, self.y(floor) - 1.2, words, 2.6, self.theme.accent, "end", halo=self.theme.earth),
        )

    def _pipe(self, number: int, cut: Cut) -> None:
        colour = self.classes[cut.pipe_class].colour
        x, tall = self.x(cut.along_m), (cut.invert_m - cut.crown_m) * 500 / self.upright
        y = self.y(self.surface(cut.along_m) - (cut.crown_m + cut.invert_m) / 2)
        ry = max(tall, _SMALLEST_MM)
        rx = max(cut.width_m * 500 / self.upright, _SMALLEST_MM)
        fill = blend(colour, self.theme.paper, 0.72) if ry > _HOLLOW_MM else colour
        edge, width = (colour, 0.75) if ry > _HOLLOW_MM else (self.theme.ink, 0.2)
        if cut.boxed:
            self.drawing.add(Patch(box(x - rx, y - ry, 2 * rx, 2 * ry), fill, edge, width))
        else:
            self.drawing.add(Disc(x, y, rx, ry, fill, edge, width))
        after = self.cuts[number] if number < len(self.cuts) else None
        crowded = after is not None and self.x(after.along_m) - x < rx + _CROWDED_MM
        where = (x, y - ry - 0.9) if crowded else (x + rx + 0.9, y + 0.9)
        anchor: Anchor = "middle" if crowded else "start"
        self.drawing.add(
            Words(*where, self.numbers[number - 1], 2.5, self.theme.ink, anchor, bold=True, halo=self.theme.earth)
        )

    def _table(self) -> None:
        shown = self.cuts[:_MOST_COLUMNS]
        top, right = self.bottom + 12, _WIDTH - _RIGHT
        room = right - _LEFT
        each = min(_WIDEST_COLUMN, room / max(len(shown), 1))
        size = min(2.5, each / 5.2)
        names: list[tuple[str, Callable[[int, Cut], str]]] = [
            (self.say("编号 · 管类", "No. · class"), lambda n, c: f"{self.numbers[n - 1]} {self._class(c)}".strip()),
            (self.say("规格", "Size (mm)"), lambda _, c: c.size),
            (self.say("管顶埋深", "Cover (m)"), lambda _, c: f"{c.crown_m:.2f}"),
            (self.say("管顶高程", "Crown (m)"), lambda _, c: f"{self.surface(c.along_m) - c.crown_m:.2f}"),
            (self.say("距起点", "Station (m)"), lambda _, c: f"{c.along_m:.2f}"),
        ]
        if self.ground is None:
            del names[3]
        for k in range(len(names) + 1):
            y = top + k * _ROW
            self.drawing.add(Stroke([(8, y), (right, y)], self.theme.grid, 0.2))
        for k, (name, _) in enumerate(names):
            self.drawing.add(Words(10, top + k * _ROW + 3.8, name, 2.6, self.theme.soft))
        places = spread([self.x(c.along_m) for c in shown], each, _LEFT, right)
        for number, (cut, x) in enumerate(zip(shown, places, strict=True), 1):
            own = self.x(cut.along_m)
            colour = self.classes[cut.pipe_class].colour
            under = self.y(self.surface(cut.along_m) - cut.invert_m)
            leader = [(own, under), (own, self.bottom + 2), (x, top - 2.5), (x, top)]
            self.drawing.add(Stroke(leader, blend(colour, self.theme.ink, 0.25), 0.18, (0.9, 0.7)))
            for k, (_, told) in enumerate(names):
                words = told(number, cut)
                fitting = min(size, size * (each - 0.8) / max(width_of(words, size), 0.1))
                y = top + k * _ROW + 3.8
                self.drawing.add(Words(x, y, words, fitting, self.theme.ink, "middle", bold=k == 0))

    def _class(self, cut: Cut) -> str:
        label = self.classes[cut.pipe_class].label
        return self.say(label.zh, label.en)

    def _legend(self) -> None:
        y, x = self.drawing.height - 5.5, 10.0
        for known in self.classes:
            count = sum(cut.pipe_class == known.name for cut in self.cuts)
            if not count:
                continue
            words = f"{self.say(known.label.zh, known.label.en)} {count}"
            self.drawing.add(
                Disc(x + 1.4, y - 1, 1.3, 1.3, known.colour, self.theme.ink, 0.15),
                Words(x + 3.8, y, words, 2.8, self.theme.ink),
            )
            x += 9 + width_of(words, 2.8)
        more = len(self.cuts) - _MOST_COLUMNS
        said = self.say("管径按纵比例绘制", "Pipes are drawn at the vertical scale")
        if more > 0:
            said += self.say(f"；另有 {more} 处未列入表", f"; {more} more are not in the table")
        self.drawing.add(Words(_WIDTH - _RIGHT, y, said, 2.5, self.theme.soft, "end"))


def blend(colour: str, other: str, share: float) -> str:
    """A colour with a share of another mixed in."""
    one, two = ([int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in (colour, other))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))


def fit_scale(metres: float, room_mm: float) -> int:
    """The largest usual scale at which so many metres fit."""
    return next((s for s in SCALES if metres * 1000 / s <= room_mm), math.ceil(metres * 1000 / room_mm))


def nice_step(step: float) -> float:
    """A step of 1, 2 or 5 times a power of ten, at least the given one."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-6)))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= step - 1e-12)


def is_number(value: Any) -> bool:
    """Whether a value of a row is there."""
    return value is not None and not math.isnan(float(value))


def _known(value: Any, otherwise: Any) -> float:
    return float(value) if is_number(value) else float(otherwise)


def _mix(start: Any, end: Any, share: float) -> float:
    if not (is_number(start) and is_number(end)):
        return math.nan
    return float(start) + share * (float(end) - float(start))
