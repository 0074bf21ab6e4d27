"""A long profile along a line of sewers: ground, crown and invert, manholes, slopes and sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from gis_core.errors import Unprocessable
from gis_core.model import Codes
from twin.pipes.paper import LIGHT, Drawing, Patch, Stroke, Theme, Words, box, width_of
from twin.pipes.reading import text_of
from twin.pipes.section import Language, blend, fit_scale, is_number, nice_step, size_of

_WIDTH, _LEFT, _RIGHT, _TOP = 320.0, 30.0, 10.0, 26.0
_PLOT_HEIGHT, _ROW = 96.0, 6.2
_NARROW_MM: Final = 9.0
_WELL_MM: Final = 1.1
_LEGIBLE_MM: Final = 1.5
_FORWARD: Final = ("forward", "none", "")


@dataclass(frozen=True)
class Reach:
    """One pipe of a path, as it is gone: levels of crown and invert at both ends, and of the ground, in metres."""

    code: str
    pipe_class: str
    size: str
    start: str
    end: str
    length_m: float
    start_invert_m: float
    end_invert_m: float
    height_m: float
    start_ground_m: float
    end_ground_m: float
    simulated: bool

    @property
    def slope(self) -> float:
        """Fall by length, positive downwards along the path."""
        return (self.start_invert_m - self.end_invert_m) / self.length_m


def path_of(frame: pd.DataFrame, codes: Sequence[str]) -> list[Reach]:
    """The pipes with these codes (columns of `pipe_segments`), in this order, each turned to follow the one before.

    Elevations are used where all have them; else depths below a level ground.

    Raises:
        Unprocessable: a code is missing, or a pipe does not begin where the one before ends.
    """
    rows = frame.set_index("code", drop=False)
    if missing := [code for code in codes if code not in rows.index]:
        raise Unprocessable(f"no pipe {missing[0]!r} that you may see")
    ordered: list[Mapping[str, Any]] = [rows.loc[code].to_dict() for code in codes]  # type: ignore[misc]  # names are texts
    surveyed = all(is_number(about.get(k)) for about in ordered for k in ("start_level_m", "end_level_m"))
    reaches: list[Reach] = []
    for about in ordered:
        ends = (text_of(about.get("start_point")), text_of(about.get("end_point")))
        if reaches:
            turned = ends[0] != reaches[-1].end
            if turned and ends[1] != reaches[-1].end:
                raise Unprocessable(
                    f"pipe {about['code']!r} does not begin at {reaches[-1].end!r}, where the last ends"
                )
        elif len(ordered) > 1:
            turned = ends[0] in (text_of(ordered[1].get("start_point")), text_of(ordered[1].get("end_point")))
        else:
            turned = about.get("flow") == "backward"
        reaches.append(_reach(about, turned=turned, surveyed=surveyed))
    return reaches


def downstream(start: str, leaving: Callable[[str], pd.DataFrame], most: int) -> list[str]:
    """The codes of the pipes from a point downwards, the widest where several leave; `leaving` tells a point's pipes.

    Ends where nothing leaves, where the path comes back to itself, or after `most` pipes.
    """
    codes: list[str] = []
    met, at = {start}, start
    while len(codes) < most:
        found = leaving(at)
        onward = [
            (float(row["diameter_mm"]), str(row["code"]), text_of(row["end_point"] if starts else row["start_point"]))
            for row in found.to_dict("records")
            for starts in (row["start_point"] == at,)
            if (text_of(row.get("flow")) in _FORWARD if starts else row.get("flow") == "backward")
        ]
        onward = [step for step in onward if step[2] and step[2] not in met]
        if not onward:
            break
        _, code, at = max(onward)
        codes.append(code)
        met.add(at)
    return codes


def _reach(about: Mapping[str, Any], *, turned: bool, surveyed: bool) -> Reach:
    height = float(about["height_mm"] if is_number(about.get("height_mm")) else about["diameter_mm"]) / 1000
    ends = ("end", "start") if turned else ("start", "end")
    depths = [float(about[f"{end}_depth_m"]) for end in ends]
    levels = [float(about[f"{end}_level_m"]) if surveyed else -depth for end, depth in zip(ends, depths, strict=True)]
    ground = [level + depth for level, depth in zip(levels, depths, strict=True)]
    inverts = [level if about.get("depth_reference") == "invert" else level - height for level in levels]
    length = about.get("length_m")
    return Reach(
        code=str(about["code"]),
        pipe_class=str(about["pipe_class"]),
        size=size_of(dict(about)),
        start=text_of(about.get(f"{ends[0]}_point")),
        end=text_of(about.get(f"{ends[1]}_point")),
        length_m=max(float(about["metres"] if length is None or not is_number(length) else length), 0.01),
        start_invert_m=inverts[0],
        end_invert_m=inverts[1],
        height_m=height,
        start_ground_m=ground[0],
        end_ground_m=ground[1],
        simulated=bool(about.get("simulated")),
    )


def draw(
    reaches: Sequence[Reach],
    classes: type[Codes],
    *,
    language: Language = "zh",
    theme: Theme = LIGHT,
    note: str = "",
) -> Drawing:
    """The long profile of a path, from its first point at the left; under it the table of levels, slopes and sizes."""
    return _Profile(reaches, classes, language, theme, note).drawn()


class _Profile:
    def __init__(
        self, reaches: Sequence[Reach], classes: type[Codes], language: Language, theme: Theme, note: str
    ) -> None:
        self.reaches, self.classes, self.language, self.theme, self.note = reaches, classes, language, theme, note
        self.station = np.concatenate([[0.0], np.cumsum([r.length_m for r in reaches])])
        grounds = [g for r in reaches for g in (r.start_ground_m, r.end_ground_m)]
        inverts = [i for r in reaches for i in (r.start_invert_m, r.end_invert_m)]
        self.high, self.low = max(grounds) + 0.5, min(inverts) - 0.6
        self.across = fit_scale(float(self.station[-1]), _WIDTH - _LEFT - _RIGHT)
        self.upright = fit_scale(self.high - self.low, _PLOT_HEIGHT)
        self.bottom = _TOP + (self.high - self.low) * 1000 / self.upright
        self.top = self.bottom + 5
        title = self.say("管线纵断面图", "Long profile")
        self.drawing = Drawing(_WIDTH, self.top + 7 * _ROW + 8, title, theme.paper)

    def say(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    def x(self, metres: float) -> float:
        return _LEFT + metres * 1000 / self.across

    def y(self, level: float) -> float:
        return _TOP + (self.high - level) * 1000 / self.upright

    def drawn(self) -> Drawing:
        self._title()
        self._grid()
        self._ground()
        for k, reach in enumerate(self.reaches):
            self._pipe(k, reach)
        self._wells()
        self._table()
        return self.drawing

    def _title(self) -> None:
        ink, soft, length = self.theme.ink, self.theme.soft, float(self.station[-1])
        other = "Long profile" if self.language == "zh" else "管线纵断面图"
        known = self.classes[self.reaches[0].pipe_class].label
        fall = self.reaches[0].start_invert_m - self.reaches[-1].end_invert_m
        scale = self.say(f"横 1:{self.across:,}  纵 1:{self.upright:,}", f"H 1:{self.across:,}  V 1:{self.upright:,}")
        told = self.say(
            f"{known.zh} · 全长 {length:,.1f} m · {len(self.reaches)} 段 · 落差 {fall:.2f} m · {scale}",
            f"{known.en} · {length:,.1f} m · {len(self.reaches)} pipes · falls {fall:.2f} m · {scale}",
        )
        self.drawing.add(
            Words(_LEFT, 11, self.drawing.title, 5.4, ink, bold=True),
            Words(_LEFT + width_of(self.drawing.title, 5.4) + 4, 11, other, 3.2, soft),
            Words(_LEFT, 17, told, 3.0, soft),
        )
        if self.note:
            self.drawing.add(Words(_WIDTH - _RIGHT, 11, self.note, 3.0, self.theme.accent, "end", bold=True))

    def _grid(self) -> None:
        step, right = nice_step((self.high - self.low) / 7), self.x(float(self.station[-1]))
        for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            y = self.y(k * step)
            shown = f"{k * step:.{0 if step >= 1 else 1}f}"
            self.drawing.add(Stroke([(_LEFT, y), (right, y)], self.theme.grid, 0.18))
            self.drawing.add(Words(_LEFT - 2, y + 0.9, shown, 2.6, self.theme.soft, "end"))
        title, middle = self.say("高程 (m)", "Elevation (m)"), (_TOP + self.bottom) / 2
        self.drawing.add(Words(_LEFT - 14, middle, title, 2.8, self.theme.soft, "middle", turn=90))

    def _ground(self) -> None:
        line = [(self.x(float(self.station[0])), self.y(self.reaches[0].start_ground_m))]
        line += [
            (self.x(float(s)), self.y(r.end_ground_m)) for s, r in zip(self.station[1:], self.reaches, strict=True)
        ]
        floor = [(line[-1][0], self.bottom), (line[0][0], self.bottom)]
        self.drawing.marks.insert(0, Patch([*line, *floor], self.theme.earth))
        self.drawing.add(Stroke(line, self.theme.earth_line, 0.55))

    def _pipe(self, k: int, reach: Reach) -> None:
        colour = self.classes[reach.pipe_class].colour
        left, right = self.x(float(self.station[k])), self.x(float(self.station[k + 1]))
        inverts = [self.y(reach.start_invert_m), self.y(reach.end_invert_m)]
        crowns = [self.y(reach.start_invert_m + reach.height_m), self.y(reach.end_invert_m + reach.height_m)]
        body = [(left, crowns[0]), (right, crowns[1]), (right, inverts[1]), (left, inverts[0])]
        adverse = reach.slope < 0
        self.drawing.add(
            Patch(body, blend(colour, self.theme.paper, 0.55)),
            Stroke([body[0], body[1]], colour, 0.3),
            Stroke([body[3], body[2]], self.theme.accent if adverse else colour, 0.6),
        )
        if adverse:
            words = self.say("逆坡", "adverse")
            x, y = (left + right) / 2, (inverts[0] + inverts[1]) / 2 + 3.4
            self.drawing.add(Words(x, y, words, 2.4, self.theme.accent, "middle", bold=True, halo=self.theme.earth))

    def _wells(self) -> None:
        for k in range(len(self.station)):
            before, after = self.reaches[max(k - 1, 0)], self.reaches[min(k, len(self.reaches) - 1)]
            ground = after.start_ground_m if k < len(self.reaches) else before.end_ground_m
            inverts = ([before.end_invert_m] if k else []) + ([after.start_invert_m] if k < len(self.reaches) else [])
            x, top, low = self.x(float(self.station[k])), self.y(ground), self.y(min(inverts))
            shaft = box(x - _WELL_MM / 2, top, _WELL_MM, low - top)
            self.drawing.add(
                Patch(shaft, self.theme.paper, self.theme.ink, 0.2),
                Stroke([(x, low), (x, self.top)], self.theme.grid, 0.18, (0.9, 0.7)),
            )

    def _table(self) -> None:
        names = [
            self.say("点号", "Point"), self.say("地面高程 (m)", "Ground (m)"), self.say("管内底高程 (m)", "Invert (m)"),
            self.say("管内底埋深 (m)", "Depth (m)"), self.say("管径", "Size"),
            self.say("坡度 (‰) · 长度", "Slope ‰ · length"), self.say("里程 (m)", "Station (m)"),
        ]  # fmt: skip
        right = _WIDTH - _RIGHT
        for k in range(len(names) + 1):
            y = self.top + k * _ROW
            self.drawing.add(Stroke([(4, y), (right, y)], self.theme.grid, 0.2))
        for k, name in enumerate(names):
            self.drawing.add(Words(5, self.top + k * _ROW + 4.1, name, 2.5, self.theme.soft))
        last = -math.inf
        for k in range(len(self.station)):
            x = self.x(float(self.station[k]))
            if x - last < _NARROW_MM and k < len(self.station) - 1:
                continue
            if k == len(self.station) - 1 and x - last < _NARROW_MM:
                continue
            last = x
            reach = self.reaches[min(k, len(self.reaches) - 1)]
            at_end = k == len(self.reaches)
            name = reach.end if at_end else reach.start
            ground = reach.end_ground_m if at_end else reach.start_ground_m
            invert = reach.end_invert_m if at_end else reach.start_invert_m
            values = {
                0: name,
                1: f"{ground:.2f}",
                2: f"{invert:.2f}",
                3: f"{ground - invert:.2f}",
                6: f"{self.station[k]:.0f}",
            }
            for row, words in values.items():
                self._cell(x, row, words, _NARROW_MM)
        self._sizes()
        for k, reach in enumerate(self.reaches):
            left, end = self.x(float(self.station[k])), self.x(float(self.station[k + 1]))
            words = f"{reach.slope * 1000:.1f} · {reach.length_m:.1f}"
            if end - left < _NARROW_MM:
                words = f"{reach.slope * 1000:.1f}"
            self._cell((left + end) / 2, 5, words, end - left)

    def _sizes(self) -> None:
        """Sizes, each once for all the pipes in a row that have it."""
        first = 0
        for k in range(1, len(self.reaches) + 1):
            if k < len(self.reaches) and self.reaches[k].size == self.reaches[first].size:
                continue
            left, end = self.x(float(self.station[first])), self.x(float(self.station[k]))
            top = self.top + 4 * _ROW
            for x in (left, end):
                self.drawing.add(Stroke([(x, top + 1), (x, top + _ROW - 1)], self.theme.soft, 0.2))
            self._cell((left + end) / 2, 4, self.reaches[first].size, end - left)
            first = k

    def _cell(self, x: float, row: int, words: str, room: float) -> None:
        size = min(2.5, 2.5 * (room - 0.6) / max(width_of(words, 2.5), 0.1))
        if size < _LEGIBLE_MM:
            return
        y = self.top + row * _ROW + 4.1
        self.drawing.add(Words(x, y, words, size, self.theme.ink, "middle", bold=row == 0, halo=self.theme.paper))
