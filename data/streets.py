"""Streets out of OpenStreetMap ways: a routable graph, simplified, with speeds. osmnx stands behind this one file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import geopandas as gpd
import networkx as nx
import osmnx
import pandas as pd
import shapely

from data.frames import LONLAT, frame_of
from data.osm import Extract, Way
from gis_core import crs

Shape: TypeAlias = tuple[tuple[float, float], ...]

ROAD_CLASS: Final = {
    "motorway": "motorway", "motorway_link": "motorway", "trunk": "trunk", "trunk_link": "trunk",
    "primary": "primary", "primary_link": "primary", "secondary": "secondary", "secondary_link": "secondary",
    "tertiary": "tertiary", "tertiary_link": "tertiary", "residential": "residential", "unclassified": "residential",
    "living_street": "residential", "road": "residential", "busway": "service", "service": "service",
    "track": "service", "pedestrian": "path", "footway": "path", "cycleway": "path", "path": "path", "steps": "path",
    "trail": "path", "bridleway": "path",
}  # fmt: skip
RANK: Final = {
    "motorway": 1, "trunk": 2, "primary": 3, "secondary": 4, "tertiary": 5, "residential": 6, "service": 7, "path": 8,
}  # fmt: skip
DEFAULT_SPEED_KMH: Final = {
    "motorway": 100.0, "trunk": 80.0, "primary": 60.0, "secondary": 50.0, "tertiary": 50.0, "residential": 40.0,
    "service": 20.0, "path": 5.0,
}  # fmt: skip
_SAID: Final = ("name", "lanes", "maxspeed", "bridge", "tunnel")
_WITH, _AGAINST = ("yes", "true", "1"), ("-1", "reverse")
_EARTH_M: Final = 6_371_009.0
_MOST_LANES: Final = 16
_SPEED_LIMITS: Final = (3.0, 140.0)


def read_streets(extract: Extract, metric_crs: str) -> gpd.GeoDataFrame:
    """The streets of an extract as rows of the layer `roads`, each stretch between two junctions once.

    Ways are cut at junctions, at signals and where name, class, lanes, speed limit, bridge or tunnel change; one-way
    streets are drawn in the direction of travel. Speeds are the limits, else usual ones of the class.
    """
    graph = simplify(build_graph(extract))
    edges = sorted(_once(graph), key=lambda e: (_first(e["osmid"]), e["from_node"], e["to_node"], e["geometry"].wkb))
    table = pd.DataFrame.from_records(edges)
    if table.empty:
        table = pd.DataFrame(columns=["osmid", "geometry", "highway", "name", "lanes", "speed_kph", "oneway", "bridge",
                                      "tunnel", "from_node", "to_node"])  # fmt: skip
    first = table["osmid"].map(_first).astype("int64")
    road_class = table["highway"].map(_text).map(ROAD_CLASS)
    geometry = table["geometry"].to_numpy()
    ordinal = first.groupby(first).cumcount() + 1
    return frame_of(
        geometry,
        {
            "code": [f"{way}-{n}" for way, n in zip(first, ordinal, strict=True)],
            "name": table["name"].map(_text).astype(object),
            "road_class": road_class,
            "rank": road_class.map(RANK).astype(int),
            "lanes": table["lanes"].map(_lanes).astype("Int64"),
            "speed_kmh": table["speed_kph"].astype(float).clip(*_SPEED_LIMITS),
            "oneway": table["oneway"].astype(bool),
            "bridge": table["bridge"].map(_is_set).astype(bool),
            "tunnel": table["tunnel"].map(_is_set).astype(bool),
            "length_m": crs.lengths_m(geometry, metric_crs).round(2),
            "osm_id": first.astype(str).astype(object),
            "from_node": table["from_node"].astype(str).astype(object),
            "to_node": table["to_node"].astype(str).astype(object),
        },
    )


def build_graph(extract: Extract) -> nx.MultiDiGraph:
    """The directed graph in the form osmnx works on, an edge for each stretch of a way between nodes that count.

    Nodes count where ways begin, end or touch, and at signals; the others are the edge's `shape` (lon, lat), which
    spares osmnx nine tenths of a graph. Where a street must end though no other joins, the node has an attribute:
    `signal`, or `change` of the tags. `length` is in metres.
    """
    graph = nx.MultiDiGraph(crs=LONLAT, simplified=False)
    ways = [w for w in extract.ways if w.tags["highway"] in ROAD_CLASS and w.tags.get("area") != "yes"]
    used = Counter(ref for way in ways for ref in way.refs)
    used.update(ref for way in ways for ref in (way.refs[0], way.refs[-1]))
    signals = {ref for ref, tags in extract.node_tags.items() if tags.get("highway") == "traffic_signals"}
    kinds: dict[int, tuple[Any, ...]] = {}
    for way in ways:
        ahead, back = _directions(way)
        said: dict[str, Any] = {key: way.tags[key] for key in _SAID if key in way.tags}
        said.setdefault("name", way.tags.get("ref", ""))
        kind = (way.tags["highway"], *sorted(said.items()))
        said |= {"osmid": way.id, "highway": way.tags["highway"], "oneway": not (ahead and back)}
        for refs in _stretches(way.refs, lambda ref: used[ref] > 1 or ref in signals):
            shape = tuple(extract.places[ref] for ref in refs)
            length = _length_m(shape)
            if length == 0:
                continue  # nodes on one spot
            for node, (lon, lat) in ((refs[0], shape[0]), (refs[-1], shape[-1])):
                graph.add_node(node, x=lon, y=lat, **({"signal": True} if node in signals else {}))
                if kinds.setdefault(node, kind) != kind:
                    graph.add_node(node, change=True)
            if ahead:
                graph.add_edge(refs[0], refs[-1], reversed=False, shape=shape, length=length, **said)
            if back:
                graph.add_edge(refs[-1], refs[0], reversed=True, shape=shape[::-1], length=length, **said)
    return graph


def simplify(graph: nx.MultiDiGraph, summed: Sequence[str] = ()) -> nx.MultiDiGraph:
    """Only junctions, ends and signals stay nodes; edges get speeds (km/h). No request is made.

    Where edges become one, their `length` and what else is to be `summed` add up.
    """
    osmnx.settings.use_cache = False
    if not graph:
        return graph
    graph = osmnx.simplification.simplify_graph(
        graph,
        node_attrs_include=["signal", "change"],
        remove_rings=False,
        edge_attr_aggs={"length": sum, "shape": _joined, **dict.fromkeys(summed, sum)},
    )
    usual = {highway: DEFAULT_SPEED_KMH[road_class] for highway, road_class in ROAD_CLASS.items()}
    return osmnx.routing.add_edge_speeds(graph, hwy_speeds=usual, fallback=DEFAULT_SPEED_KMH["residential"])


def _stretches(refs: Sequence[int], counts: Callable[[int], bool]) -> Iterator[Sequence[int]]:
    """A way cut at the nodes that count."""
    begin = 0
    for i in range(1, len(refs)):
        if i == len(refs) - 1 or counts(refs[i]):
            yield refs[begin : i + 1]
            begin = i


def _length_m(shape: Shape) -> float:
    """Length in metres on a sphere, flat from point to point."""
    widest = math.cos(math.radians(shape[0][1]))
    return sum(math.hypot((b[0] - a[0]) * widest, b[1] - a[1]) for a, b in pairwise(shape)) * math.radians(_EARTH_M)


def _joined(shapes: Sequence[Shape]) -> Shape:
    """The shapes of a path's edges as one."""
    return (*shapes[0], *(point for shape in shapes[1:] for point in shape[1:]))


def _directions(way: Way) -> tuple[bool, bool]:
    """Whether one may travel with and against the way's order."""
    if ROAD_CLASS[way.tags["highway"]] == "path":
        return True, True
    said = way.tags.get("oneway", "")
    if said in _AGAINST:
        return False, True
    implied = way.tags["highway"] == "motorway" or way.tags.get("junction") in ("roundabout", "circular")
    only_ahead = said in _WITH or (implied and said != "no")
    return True, not only_ahead


def _once(graph: nx.MultiDiGraph) -> Iterable[Mapping[str, Any]]:
    """Every stretch once: of a two-way street's two edges the one that runs with its way, else from the lesser node."""
    seen: set[tuple[int, int, Any, int]] = set()
    for a, b, said in sorted(graph.edges(data=True), key=lambda e: (_reversed(e[2]), e[0] > e[1], e[0], e[1])):
        osmids = frozenset(said["osmid"]) if isinstance(said["osmid"], list) else said["osmid"]
        key = (min(a, b), max(a, b), osmids, round(said["length"] * 100))
        if not said["oneway"]:
            if key in seen:
                continue
            seen.add(key)
        rest = {name: said.get(name) for name in (*_SAID, "highway", "osmid", "oneway", "speed_kph")}
        yield {**rest, "geometry": shapely.LineString(said["shape"]), "from_node": a, "to_node": b}


def _reversed(said: Mapping[str, Any]) -> bool:
    """Whether all of an edge runs against its ways."""
    value = said.get("reversed", False)
    return all(value) if isinstance(value, list) else bool(value)


def _first(osmid: Any) -> int:
    return int(min(osmid)) if isinstance(osmid, list) else int(osmid)


def _text(value: Any) -> str | None:
    """One word where merging left a list; None for nothing."""
    value = value[0] if isinstance(value, list) else value
    return str(value) if isinstance(value, str) and value else None


def _lanes(value: Any) -> int | None:
    """The number of lanes where it is told in a number that can be."""
    text = (_text(value) or "").split(";")[0].strip()
    return int(text) if text.isdigit() and 1 <= int(text) <= _MOST_LANES else None


def _is_set(value: Any) -> bool:
    return (_text(value) or "no") != "no"
