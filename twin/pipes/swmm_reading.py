"""SWMM input files read into rows of our layers: nodes become points, conduits pipes; the rest is told in notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import shapely

from gis_core.errors import Unprocessable
from twin.pipes.frames import Frames, frames_of

_FOOT_M: Final = 0.3048
_AMERICAN: Final = frozenset({"CFS", "GPM", "MGD"})
_NODES: Final = {"JUNCTIONS": "manhole", "STORAGE": "other", "DIVIDERS": "manhole", "OUTFALLS": "outfall"}
_NOT_PIPES: Final = ("PUMPS", "ORIFICES", "WEIRS", "OUTLETS")
_SHORTEST_M: Final = 0.05
_ROUND: Final = frozenset({"CIRCULAR", "FILLED_CIRCULAR", "FORCE_MAIN"})
_CELLS: Final = {"CONDUITS": 4, "XSECTIONS": 3, "COORDINATES": 3, "VERTICES": 3}

Sections = Mapping[str, Sequence[Sequence[str]]]


def read_inp(text: str, declared_crs: str, owner: str, *, pipe_class: str = "storm") -> Frames:
    """A SWMM 5 input file as rows of `pipe_points` and `pipe_segments`; `declared_crs` is what its coordinates are in.

    American units become metres. Depths are of the invert, as SWMM has them; the ground is invert plus maximum depth.
    Pumps, orifices, weirs and outlets are no pipes: they are counted in the notes. Codes are `owner/NAME`.

    Raises:
        Unprocessable: it is no SWMM file, a figure in it is none, or no conduit has coordinates.
        UnknownCrs: nobody knows this coordinate system.
    """
    found = _Reader(sections_of(text), owner, pipe_class)
    return frames_of(found.points, found.segments, declared_crs, found.notes)


def sections_of(text: str) -> dict[str, list[list[str]]]:
    """The sections of an `.inp` file by name in capitals: rows of words, comments left out."""
    sections: dict[str, list[list[str]]] = {}
    rows: list[list[str]] | None = None
    for line in text.splitlines():
        bare = line.partition(";")[0].strip()
        if bare.startswith("["):
            rows = sections.setdefault(bare.strip("[]").upper(), [])
        elif bare and rows is not None:
            rows.append([word.strip('"') for word in bare.split()])
    return sections


class _Reader:
    def __init__(self, sections: Sections, owner: str, pipe_class: str) -> None:
        if "CONDUITS" not in sections or "COORDINATES" not in sections:
            raise Unprocessable("this is no SWMM input file with conduits and coordinates")
        self.sections, self.owner, self.pipe_class = sections, owner, pipe_class
        options = {row[0].upper(): row[1].upper() for row in sections.get("OPTIONS", ()) if len(row) > 1}
        self.unit = _FOOT_M if options.get("FLOW_UNITS", "CFS") in _AMERICAN else 1.0
        self.by_elevation = options.get("LINK_OFFSETS", "DEPTH") == "ELEVATION"
        self.notes: list[str] = []
        self.places = {row[0]: (self.figure(row, 1), self.figure(row, 2)) for row in self.rows("COORDINATES")}
        self.invert: dict[str, float] = {}
        self.deep: dict[str, float] = {}
        self.kind: dict[str, str] = {}
        for section, kind in _NODES.items():
            for row in sections.get(section, ()):
                self.invert[row[0]] = self.figure(row, 1) * self.unit
                self.kind[row[0]] = kind
                has_depth = section in {"JUNCTIONS", "STORAGE"}
                self.deep[row[0]] = self.figure(row, 2) * self.unit if has_depth and len(row) > 2 else 0.0  # noqa: PLR2004
        self.sizes = {row[0]: row for row in self.rows("XSECTIONS")}
        self.bends: dict[str, list[tuple[float, float]]] = {}
        for row in self.rows("VERTICES"):
            self.bends.setdefault(row[0], []).append((self.figure(row, 1), self.figure(row, 2)))
        self._count_what_is_left()
        self.segments = [told for row in self.rows("CONDUITS") if (told := self._segment(row))]
        used = {told[end] for told in self.segments for end in ("start_point", "end_point")}
        self.points = [point for name in self.invert if (point := self._point(name))["code"] in used]

    def rows(self, section: str) -> Sequence[Sequence[str]]:
        """The rows of a section that have all the words they need."""
        return [row for row in self.sections.get(section, ()) if len(row) >= _CELLS[section]]

    def figure(self, row: Sequence[str], place: int) -> float:
        try:
            return float(row[place]) if place < len(row) and row[place] != "*" else 0.0
        except ValueError as error:
            raise Unprocessable(f"{row[0]}: {row[place][:40]!r} is no number") from error

    def _count_what_is_left(self) -> None:
        for section in _NOT_PIPES:
            if count := len(self.sections.get(section, ())):
                self.notes.append(f"{count} {section.lower()} are no pipes and were left out")
        if lost := [name for name in self.invert if name not in self.places]:
            self.notes.append(f"{len(lost)} nodes without coordinates were left out with their conduits")

    def _ground(self, name: str) -> float:
        return self.invert[name] + self.deep[name]

    def _point(self, name: str) -> dict[str, Any]:
        return {
            "code": f"{self.owner}/{name}",
            "pipe_class": self.pipe_class,
            "kind": self.kind[name],
            "ground_m": self._ground(name),
            "depth_m": min(self.deep[name], 50.0),
            "invert_m": self.invert[name],
            "owner": self.owner,
            "shape": shapely.Point(self.places.get(name, (0.0, 0.0))),
        }

    def _segment(self, row: Sequence[str]) -> dict[str, Any] | None:
        name, *ends = row[:3]
        if any(end not in self.places or end not in self.invert for end in ends):
            return None
        line = shapely.LineString([self.places[ends[0]], *self.bends.get(name, ()), self.places[ends[1]]])
        if line.length < _SHORTEST_M:
            x, y = self.places[ends[0]]
            line = shapely.LineString([(x, y), (x + _SHORTEST_M, y)])
        levels = []
        for place, end in zip((5, 6), ends, strict=True):
            stated = self.figure(row, place) * self.unit
            said = place < len(row) and row[place] != "*"
            levels.append((stated if said else self.invert[end]) if self.by_elevation else self.invert[end] + stated)
        size = self.sizes.get(name, (name, "CIRCULAR", "0"))
        height, width = self.figure(size, 2) * self.unit * 1000, self.figure(size, 3) * self.unit * 1000
        shape = size[1].upper()
        boxed = shape not in _ROUND and width > 0
        return {
            "code": f"{self.owner}/{name}",
            "pipe_class": self.pipe_class,
            "start_point": f"{self.owner}/{ends[0]}",
            "end_point": f"{self.owner}/{ends[1]}",
            "section": "rectangular" if boxed else "round",
            "diameter_mm": max(width if boxed else height, 10.0),
            "width_mm": width if boxed else None,
            "height_mm": height if boxed else None,
            "start_depth_m": self._ground(ends[0]) - levels[0],
            "end_depth_m": self._ground(ends[1]) - levels[1],
            "start_level_m": levels[0],
            "end_level_m": levels[1],
            "depth_reference": "invert",
            "length_m": max(self.figure(row, 3) * self.unit, _SHORTEST_M),
            "flow": "forward",
            "owner": self.owner,
            "shape": line,
        }
