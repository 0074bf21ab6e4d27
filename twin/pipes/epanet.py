"""Water networks as EPANET models and back: `.inp` export and import. wntr stands behind this file and `hydraulics.py`.

What a survey does not know is assumed and told: the head at sources, roughness by material, no pumps. A closed valve
closes the pipes beside it. Names that EPANET cannot hold (31 letters of ASCII, no spaces) become tags.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from data.codes.hydraulics import coefficient
from gis_core.errors import Unprocessable
from twin.pipes.frames import Frames, frames_of
from twin.pipes.reading import Seen, text_of

WATER: Final = "water"
USUAL_HEAD_M: Final = 40.0
"""Head above the ground that is assumed at a source, in metres."""
USUAL_COVER_M: Final = 1.2
"""Cover that is assumed for pipes of a model, which knows elevations only."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./#-]{1,31}")
_UNFIT: Final = re.compile(r"[\s\";%]")
"""What a tag of EPANET cannot hold, and the sign by which it is replaced."""
_OUT_OF_USE: Final = frozenset({"abandoned", "empty"})
_SECONDS_AN_HOUR: Final = 3600.0
_SHORTEST_M: Final = 0.05
_STOPPED: Final = 0
_ASIDE_M: Final = 5.0


@dataclass(frozen=True)
class Model:
    """A water network as wntr has it; `nodes` and `links` lead from codes to its names. `notes`: what was assumed."""

    network: Any
    nodes: Mapping[str, str]
    links: Mapping[str, str]
    notes: tuple[str, ...]


def wntr_of() -> Any:
    """The library, loaded when it is first needed: that takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wntr  # noqa: PLC0415
    return wntr


def model_of(points: Seen, segments: Seen, *, source_head_m: float = USUAL_HEAD_M) -> Model:
    """The model of the water pipes among `segments` (in metres), with what is known of their `points`.

    Raises:
        Unprocessable: there is no water pipe.
    """
    return _Builder(points, segments, source_head_m).built()


class _Builder:
    def __init__(self, points: Seen, segments: Seen, source_head_m: float) -> None:
        frame = segments.frame
        if frame.empty or not (frame["pipe_class"] == WATER).any():
            raise Unprocessable("there are no water pipes here")
        self.rows: list[dict[Hashable, Any]] = []
        for about, shape in zip(frame.to_dict("records"), segments.shapes, strict=True):
            if about["pipe_class"] == WATER and about.get("status") not in _OUT_OF_USE:
                self.rows.append({**about, "shape": shape})
        if not self.rows:
            raise Unprocessable("the water pipes here are all out of use")
        self.points = {about["code"]: about for about in points.frame.to_dict("records")} if len(points) else {}
        self.places = dict(zip(points.frame["code"], points.shapes, strict=True)) if len(points) else {}
        self.head_m = source_head_m
        self.network = wntr_of().network.WaterNetworkModel()
        self.node_names: set[str] = set()
        self.link_names: set[str] = set()
        self.nodes: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.at: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def built(self) -> Model:
        for number, about in enumerate(self.rows, 1):
            ends = [self._node(about, end) for end in ("start", "end")]
            if ends[0] == ends[1]:
                self.notes.append(f"{about['code']}: starts and ends at one point, left out")
                continue
            self._pipe(number, about, ends)
        self._close_valves()
        self._feed_the_rest()
        self.notes.append(f"head at sources: {self.head_m:g} m above the ground, assumed")
        self.network.options.hydraulic.inpfile_units = "CMH"
        self.network.options.time.duration = 0
        return Model(self.network, self.nodes, self.links, tuple(self.notes))

    def _node(self, about: Mapping[Hashable, Any], end: str) -> str:
        place = 0 if end == "start" else -1
        x, y = shapely.get_coordinates(about["shape"])[place]
        code = text_of(about.get(f"{end}_point")) or f"at {x:.2f} {y:.2f}"
        if code in self.nodes:
            return self.nodes[code]
        name = self.nodes[code] = _name(code, f"N{len(self.nodes) + 1}", self.node_names)
        known = self.points.get(code, {})
        ground, level = known.get("ground_m"), about.get(f"{end}_level_m")
        depth = _number(about.get(f"{end}_depth_m"), 0.0)
        elevation = _number(level, _number(ground, 0.0) - depth)
        if code in self.places:
            x, y = shapely.get_coordinates(self.places[code])[0]
        if known.get("kind") == "source":
            head = _number(ground, elevation + depth) + self.head_m
            self.network.add_reservoir(name, base_head=head, coordinates=(float(x), float(y)))
        else:
            demand = _number(known.get("demand_m3h"), 0.0) / _SECONDS_AN_HOUR
            self.network.add_junction(name, base_demand=demand, elevation=elevation, coordinates=(float(x), float(y)))
        self.network.get_node(name).tag = _tag(code) if code != name else None
        return name

    def _pipe(self, number: int, about: Mapping[Hashable, Any], ends: list[str]) -> None:
        code = str(about["code"])
        name = self.links[code] = _name(code, f"P{number}", self.link_names)
        self.network.add_pipe(
            name,
            ends[0],
            ends[1],
            length=max(_number(about.get("length_m"), float(about["shape"].length)), _SHORTEST_M),
            diameter=float(about["diameter_mm"]) / 1000,
            roughness=coefficient(about.get("material")),
        )
        link = self.network.get_link(name)
        link.tag = _tag(code) if code != name else None
        link.vertices = [tuple(map(float, xy)) for xy in shapely.get_coordinates(about["shape"])[1:-1]]
        for end in ends:
            self.at.setdefault(end, []).append(name)

    def _feed_the_rest(self) -> None:
        """A part that no source reaches gets one at its widest pipe: EPANET could not solve it else."""
        names = self.network.node_name_list
        number = {name: place for place, name in enumerate(names)}
        pipes = [link for _, link in self.network.pipes()]
        ends = [(number[pipe.start_node_name], number[pipe.end_node_name]) for pipe in pipes]
        start, end = np.array(ends, dtype=np.int64).reshape(-1, 2).T
        joined = coo_matrix((np.ones(len(start)), (start, end)), shape=(len(names), len(names)))
        count, part = connected_components(joined, directed=False)
        fed = {int(part[number[name]]) for name in self.network.reservoir_name_list}
        widest: dict[int, Any] = {}
        for pipe in pipes:
            own = int(part[number[pipe.start_node_name]])
            if own not in fed and (own not in widest or pipe.diameter > widest[own].diameter):
                widest[own] = pipe
        for own, pipe in widest.items():
            node = self.network.get_node(pipe.start_node_name)
            name, (x, y) = _name(f"SRC{own}", f"SRC{own}", self.node_names), node.coordinates
            head = node.elevation + USUAL_COVER_M + self.head_m
            self.network.add_reservoir(name, base_head=head, coordinates=(x - _ASIDE_M, y))
            feed = _name(f"FEED{own}", f"FEED{own}", self.link_names)
            self.network.add_pipe(feed, name, node.name, length=1.0, diameter=pipe.diameter, roughness=pipe.roughness)
        if widest:
            self.notes.append(f"{len(widest)} of {count} parts have no known source: one was assumed (SRC...)")

    def _close_valves(self) -> None:
        for code, name in self.nodes.items():
            known = self.points.get(code, {})
            if known.get("kind") != "valve" or known.get("valve_open") is not False:
                continue
            # All pipes but one: what lies on the two sides of the valve is then apart, and the point is not.
            for link in self.at.get(name, [])[1:]:
                self.network.get_link(link).initial_status = "CLOSED"
            self.notes.append(f"{code}: closed valve")


def as_inp(model: Model) -> str:
    """The model as the text of an EPANET 2.2 input file, in cubic metres an hour."""
    with tempfile.TemporaryDirectory(prefix="chengtu-epanet-") as folder:
        path = Path(folder) / "network.inp"
        wntr_of().network.write_inpfile(model.network, str(path), units="CMH")
        return path.read_text(encoding="utf-8")


def read_model(text: str) -> Any:
    """The text of an EPANET input file as a wntr network.

    Raises:
        Unprocessable: EPANET could not read it; in its own words.
    """
    wntr = wntr_of()
    with tempfile.TemporaryDirectory(prefix="chengtu-epanet-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.inp"
        path.write_text(text, encoding="utf-8")
        try:
            return wntr.network.WaterNetworkModel(str(path))
        except Exception as error:  # its reader raises whatever it stumbles over
            raise Unprocessable(f"this is no EPANET input file: {str(error).replace(str(path), 'the file')}") from error


def read_inp(text: str, declared_crs: str, owner: str, *, cover_m: float = USUAL_COVER_M) -> Frames:
    """An EPANET input file as rows of `pipe_points` and `pipe_segments`; `declared_crs` is what its coordinates are in.

    Junctions with a demand become house entries, reservoirs and tanks sources. Pumps and valves become short pipes, so
    that the network hangs together as in the model. Codes are `owner/NAME`. Elevations are taken as those of the
    crown, `cover_m` below the ground.

    Raises:
        Unprocessable: EPANET could not read it, or no node has coordinates.
        UnknownCrs: nobody knows this coordinate system.
    """
    network = read_model(text)
    frames = _Importer(network, owner, cover_m)
    return frames_of(frames.points, frames.segments, declared_crs, frames.notes)


class _Importer:
    def __init__(self, network: Any, owner: str, cover_m: float) -> None:
        self.network, self.owner, self.cover_m = network, owner, cover_m
        placed = {name for name, node in network.nodes() if tuple(node.coordinates or (0, 0)) != (0, 0)}
        self.notes: list[str] = []
        if lost := network.num_nodes - len(placed):
            self.notes.append(f"{lost} nodes without coordinates were left out")
        if not placed:
            raise Unprocessable("no node of this model has coordinates")
        self.points = [self._point(name, node) for name, node in network.nodes() if name in placed]
        used = [link for link in network.links() if {link[1].start_node_name, link[1].end_node_name} <= placed]
        self.segments = [self._segment(name, link) for name, link in used]
        for kind, count in (("pumps", network.num_pumps), ("valves", network.num_valves)):
            if count:
                self.notes.append(f"{count} {kind} became short pipes")

    def _code(self, name: str, tag: object) -> str:
        return unquote(str(tag)) if tag else f"{self.owner}/{name}"

    def _elevation(self, node: Any) -> float:
        return float(node.base_head if node.node_type == "Reservoir" else node.elevation)

    def _point(self, name: str, node: Any) -> dict[str, Any]:
        demand = 0.0
        if node.node_type == "Junction":
            demand = sum(one.base_value for one in node.demand_timeseries_list) * _SECONDS_AN_HOUR
        kind = "entry" if demand > 0 else "joint" if node.node_type == "Junction" else "source"
        elevation = self._elevation(node)
        return {
            "code": self._code(name, node.tag),
            "pipe_class": WATER,
            "kind": kind,
            "ground_m": elevation + self.cover_m,
            "depth_m": self.cover_m,
            "demand_m3h": demand if demand > 0 else None,
            "owner": self.owner,
            "shape": shapely.Point(node.coordinates),
        }

    def _segment(self, name: str, link: Any) -> dict[str, Any]:
        ends = [self.network.get_node(n) for n in (link.start_node_name, link.end_node_name)]
        way = [ends[0].coordinates, *link.vertices, ends[1].coordinates]
        line = shapely.LineString(way)
        if line.length < _SHORTEST_M:
            x, y = ends[0].coordinates
            line = shapely.LineString([(x, y), (x + _SHORTEST_M, y)])
        levels = [self._elevation(end) for end in ends]
        plain = link.link_type == "Pipe"
        diameter = float(getattr(link, "diameter", 0.0) or 0.0)
        return {
            "code": self._code(name, link.tag),
            "pipe_class": WATER,
            "start_point": self._code(ends[0].name, ends[0].tag),
            "end_point": self._code(ends[1].name, ends[1].tag),
            "diameter_mm": diameter * 1000 if diameter > 0 else 300.0,
            "start_depth_m": self.cover_m,
            "end_depth_m": self.cover_m,
            "start_level_m": levels[0],
            "end_level_m": levels[1],
            "depth_reference": "crown",
            "length_m": max(float(link.length), _SHORTEST_M) if plain else max(line.length, _SHORTEST_M),
            "status": "other" if plain and int(link.initial_status) == _STOPPED else "in_use",
            "owner": self.owner,
            "shape": line,
        }


def _name(code: str, made: str, taken: set[str]) -> str:
    """The code where EPANET can hold it and nothing else is called so, else a made name; noted as taken."""
    name = code if _PLAIN.fullmatch(code) and code not in taken else made
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _tag(code: str) -> str:
    return _UNFIT.sub(lambda found: f"%{ord(found[0]):02X}", code)


def _number(value: Any, otherwise: float) -> float:
    return otherwise if value is None or math.isnan(float(value)) else float(value)
