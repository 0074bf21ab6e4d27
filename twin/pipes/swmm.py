"""Drainage as a SWMM 5.2 model and back: the text of an `.inp` file that runs, made from points and pipes, and read.

No library is needed for the text. What a survey does not know is assumed and told in the file's title: the area that
drains to each inlet, how much of it is paved, and the rain. Levels come from elevations, or from depths below a level
ground where elevations are missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely

from data.codes.hydraulics import manning
from gis_core.errors import Unprocessable
from twin.pipes.reading import Seen, text_of

DRAINS: Final = ("storm", "combined", "sewage")
RAINED_ON: Final = frozenset({"storm", "combined"})
CHICAGO_MM: Final = (2.0, 3.1, 4.6, 7.9, 14.2, 9.8, 6.1, 4.3, 3.2, 2.5, 2.1, 1.8)
"""Rain of an hour in steps of five minutes, in millimetres: a peaked storm of 62 mm, for trying out."""
_STEP_MIN: Final = 5
_OUT_OF_USE: Final = frozenset({"abandoned", "empty"})
_LEAST_M: Final = 0.3
_ODD: Final = re.compile(r"[\s\";]+")
_OPTIONS: Final = """FLOW_UNITS           CMS
INFILTRATION         HORTON
FLOW_ROUTING         DYNWAVE
LINK_OFFSETS         DEPTH
MIN_SLOPE            0
ALLOW_PONDING        YES
SKIP_STEADY_STATE    NO
START_DATE           07/01/2026
START_TIME           00:00:00
REPORT_START_DATE    07/01/2026
REPORT_START_TIME    00:00:00
END_DATE             07/01/2026
END_TIME             {end}
SWEEP_START          01/01
SWEEP_END            12/31
DRY_DAYS             5
REPORT_STEP          00:05:00
WET_STEP             00:01:00
DRY_STEP             01:00:00
ROUTING_STEP         5
INERTIAL_DAMPING     PARTIAL
NORMAL_FLOW_LIMITED  BOTH
FORCE_MAIN_EQUATION  H-W
VARIABLE_STEP        0.75
MIN_SURFAREA         1.167
MAX_TRIALS           8
HEAD_TOLERANCE       0.0015
THREADS              1"""


@dataclass(frozen=True)
class Rain:
    """What falls where: millimetres by five minutes, hectares to each inlet or manhole, percent paved, hours run."""

    millimetres: Sequence[float] = CHICAGO_MM
    hectares: float = 0.15
    paved_percent: float = 65.0
    hours: int = 3


@dataclass
class _Node:
    name: str
    x: float
    y: float
    kind: str
    ground: float
    invert: float = math.inf
    rained_on: bool = False
    arriving: int = 0
    leaving: int = 0


@dataclass
class _Sheet:
    sections: dict[str, list[str]] = field(default_factory=dict)

    def add(self, section: str, *cells: object) -> None:
        words = [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells]
        self.sections.setdefault(section, []).append(" ".join(f"{word:<16}" for word in words).rstrip())

    def text(self) -> str:
        return "".join(f"[{name}]\n" + "\n".join(lines) + "\n\n" for name, lines in self.sections.items())


def as_inp(points: Seen, segments: Seen, *, rain: Rain | None = None, note: str = "") -> str:
    """The drains among `segments` (in metres) with what is known of their `points`, as a SWMM 5.2 input file.

    Pipes run as `flow` says, else downhill. An outfall that more than one pipe reaches gets a short pipe of its own,
    for SWMM lets one pipe end there. Where no outfall is known, the lowest point is one, and the title says so.

    Raises:
        Unprocessable: there is no drain here.
    """
    return _Writer(points, segments, rain or Rain(), note).written()


class _Writer:
    def __init__(self, points: Seen, segments: Seen, rain: Rain, note: str) -> None:
        self.rain, self.sheet, self.notes = rain, _Sheet(), [f"Made by Chengtu from surveyed drains. {note}".strip()]
        self.known = {about["code"]: about for about in points.frame.to_dict("records")} if len(points) else {}
        self.rows: list[dict[Hashable, Any]] = []
        for about, shape in zip(segments.frame.to_dict("records"), segments.shapes, strict=True):
            if about["pipe_class"] in DRAINS and about.get("status") not in _OUT_OF_USE:
                self.rows.append({**about, "shape": shape})
        if not self.rows:
            raise Unprocessable("there are no drains here")
        levels = [about.get(f"{end}_level_m") for about in self.rows for end in ("start", "end")]
        self.surveyed = all(_is(level) for level in levels)
        self.nodes: dict[str, _Node] = {}
        self.pipes: list[tuple[str, _Node, _Node, float, float, dict[Hashable, Any]]] = []

    def written(self) -> str:
        for about in self.rows:
            self._pipe(about)
        self._outfalls()
        self._title()
        self._rain()
        self._write_nodes()
        self._write_pipes()
        self._write_rest()
        return self.sheet.text()

    def _pipe(self, about: dict[Hashable, Any]) -> None:
        height = _size(about)[1]
        ends = []
        for end, place in (("start", 0), ("end", -1)):
            depth = float(about[f"{end}_depth_m"])
            level = float(about[f"{end}_level_m"]) if self.surveyed else -depth
            invert = level if about.get("depth_reference") == "invert" else level - height
            node = self._node(about, end, place, level + depth)
            node.invert = min(node.invert, invert)
            node.rained_on |= about["pipe_class"] in RAINED_ON
            ends.append((node, invert))
        if ends[0][0] is ends[1][0]:
            self.notes.append(f"{about['code']} starts and ends at one point: left out.")
            return
        flow = about.get("flow")
        if flow == "backward" or (flow != "forward" and ends[0][1] < ends[1][1]):
            ends.reverse()
        (upper, begin), (lower, finish) = ends
        upper.leaving += 1
        lower.arriving += 1
        self.pipes.append((_name(str(about["code"])), upper, lower, begin, finish, about))

    def _node(self, about: Mapping[Hashable, Any], end: str, place: int, ground: float) -> _Node:
        x, y = shapely.get_coordinates(about["shape"])[place].tolist()
        code = text_of(about.get(f"{end}_point")) or f"at_{x:.2f}_{y:.2f}"
        if code not in self.nodes:
            known = self.known.get(code, {})
            told = known.get("ground_m") if self.surveyed else None
            height = float(told) if told is not None and _is(told) else ground
            self.nodes[code] = _Node(_name(code), x, y, text_of(known.get("kind")), height)
        return self.nodes[code]

    def _outfalls(self) -> None:
        outfalls = [node for node in self.nodes.values() if node.kind == "outfall"]
        if not outfalls:
            lowest = min(self.nodes.values(), key=lambda node: (node.leaving > 0, node.invert))
            lowest.kind = "outfall"
            outfalls = [lowest]
            self.notes.append(f"No outfall is known: the lowest point {lowest.name} was taken for one.")
        for node in outfalls:
            if node.arriving == 1 and node.leaving == 0:
                continue
            node.kind = "manhole"
            free = _Node(f"{node.name}_OUT", node.x + 5.0, node.y, "outfall", node.ground, node.invert - 0.01)
            self.nodes[free.name] = free
            widest = max(_size(pipe)[1] for _, a, b, _, _, pipe in self.pipes if node in (a, b))
            about: dict[Hashable, Any] = {
                "diameter_mm": widest * 1000,
                "length_m": 5.0,
                "shape": None,
                "pipe_class": "storm",
            }
            self.pipes.append((f"{node.name}_OUT", node, free, node.invert, free.invert, about))

    def _title(self) -> None:
        rain = self.rain
        self.notes.append(
            f"Assumed: {rain.hectares:g} ha to each inlet or manhole, {rain.paved_percent:g} % paved, "
            f"{sum(rain.millimetres):g} mm of rain in {len(rain.millimetres) * _STEP_MIN} min."
        )
        if not self.surveyed:
            self.notes.append("Elevations are missing: levels are depths below a level ground.")
        for line in self.notes:
            self.sheet.add("TITLE", line)
        self.sheet.sections["OPTIONS"] = _OPTIONS.format(end=f"{min(rain.hours, 23):02}:00:00").splitlines()

    def _rain(self) -> None:
        self.sheet.add("EVAPORATION", "CONSTANT", 0.0)
        self.sheet.add("RAINGAGES", "RAIN", "VOLUME", f"0:{_STEP_MIN:02}", 1.0, "TIMESERIES", "STORM")
        area = self.rain.hectares
        for node in self.nodes.values():
            if not node.rained_on or node.kind == "outfall":
                continue
            name = f"S_{node.name}"
            width = math.sqrt(area * 10_000)
            self.sheet.add("SUBCATCHMENTS", name, "RAIN", node.name, area, self.rain.paved_percent, width, 0.5, 0)
            self.sheet.add("SUBAREAS", name, 0.013, 0.15, 1.5, 5.0, 25, "OUTLET")
            self.sheet.add("INFILTRATION", name, 76.0, 3.0, 4.0, 7, 0)

    def _write_nodes(self) -> None:
        for node in self.nodes.values():
            self.sheet.sections.setdefault("JUNCTIONS", [])
            if node.kind == "outfall":
                self.sheet.add("OUTFALLS", node.name, node.invert, "FREE", "NO")
            else:
                deep = max(node.ground - node.invert, _LEAST_M)
                self.sheet.add("JUNCTIONS", node.name, node.invert, deep, 0, 0, 100)

    def _write_pipes(self) -> None:
        for name, upper, lower, begin, finish, about in self.pipes:
            shape = about["shape"]
            length = about.get("length_m")
            metres = float(length) if length is not None and _is(length) else float(shape.length)
            offsets = max(begin - upper.invert, 0.0), max(finish - lower.invert, 0.0)
            rough = manning(about.get("material"))
            self.sheet.add("CONDUITS", name, upper.name, lower.name, max(metres, _LEAST_M), rough, *offsets, 0, 0)
            width, height = _size(about)
            boxed = about.get("section") == "rectangular"
            cells = ("RECT_CLOSED", height, width) if boxed else ("CIRCULAR", height, 0)
            self.sheet.add("XSECTIONS", name, *cells, 0, 0, 1)

    def _write_rest(self) -> None:
        for step, fallen in enumerate(self.rain.millimetres):
            minutes = step * _STEP_MIN
            self.sheet.add("TIMESERIES", "STORM", f"{minutes // 60}:{minutes % 60:02}", float(fallen))
        self.sheet.sections["REPORT"] = ["SUBCATCHMENTS NONE", "NODES ALL", "LINKS ALL"]
        for node in self.nodes.values():
            self.sheet.add("COORDINATES", node.name, node.x, node.y)
        for name, upper, _, _, _, about in self.pipes:
            inner = [] if about["shape"] is None else shapely.get_coordinates(about["shape"])[1:-1].tolist()
            if len(inner) > 1 and math.dist(inner[0], (upper.x, upper.y)) > math.dist(inner[-1], (upper.x, upper.y)):
                inner.reverse()
            for x, y in inner:
                self.sheet.add("VERTICES", name, x, y)


def _name(code: str) -> str:
    """A code as SWMM can take it: one word."""
    return _ODD.sub("_", code)


def _size(about: Mapping[Hashable, Any]) -> tuple[float, float]:
    """Width and height in metres."""
    width, height = about.get("width_mm"), about.get("height_mm")
    usual = float(about["diameter_mm"]) / 1000
    wide = float(width) / 1000 if width is not None and _is(width) else usual
    return wide, float(height) / 1000 if height is not None and _is(height) else usual


def _is(value: Any) -> bool:
    return value is not None and not math.isnan(float(value)) and bool(np.isfinite(float(value)))
