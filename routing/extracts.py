"""Road segments straight from an OpenStreetMap extract: ways cut at junctions and joined again where nothing changes.

The model and its simplification are osmnx's (Boeing 2025, doi 10.1111/tgis.70037); turn restrictions, barriers, access
and limits, which osmnx leaves to others, are kept beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import networkx as nx
import numpy as np

from data.osm import Extract, Way, read_roads
from data.streets import DEFAULT_SPEED_KMH, ROAD_CLASS, simplify
from routing import permits
from routing.segments import Rows, Segments, lengths_m
from routing.vehicles import CLASSES

_MOST_LANES: Final = 16
_SPEED_LIMITS: Final = (3.0, 140.0)
# Signals met with and against a stretch are summed in the two halves of one number.
_HALF: Final = 16


def read_segments(path: Path) -> Segments:
    """The segments of an `.osm.pbf` or `.osm` file. Raises ExtractUnreadable."""
    return from_extract(read_roads(path))


def from_extract(extract: Extract) -> Segments:
    """The segments of what was read of an extract, each between two junctions, once, with who may travel which way."""
    ways = [w for w in extract.ways if w.tags["highway"] in ROAD_CLASS and w.tags.get("area") != "yes"]
    stops = {ref: bits for ref, tags in extract.node_tags.items() if (bits := permits.past_node(tags))}
    kept = stops.keys() | {r.via for r in extract.restrictions}
    graph = simplify(_raw(ways, extract, kept), summed=("signals",))
    return _segments(graph, extract, stops)


def _raw(ways: list[Way], extract: Extract, kept: set[int]) -> nx.MultiDiGraph:
    """Both directions of every stretch between nodes that count; where two unlike stretches meet, the node stays."""
    used = Counter(ref for way in ways for ref in way.refs)
    used.update(ref for way in ways for ref in (way.refs[0], way.refs[-1]))
    signals = {ref for ref, tags in extract.node_tags.items() if tags.get("highway") == "traffic_signals"}
    graph = nx.MultiDiGraph(crs="EPSG:4326", simplified=False)
    met: dict[int, tuple[Any, ...]] = {}
    for way in ways:
        ahead, back = permits.on_way(way.tags)
        said = _said(way)
        rest = tuple(said.values())
        counts = [i for i, ref in enumerate(way.refs) if used[ref] > 1 or ref in signals or ref in kept]
        for i, j in pairwise(sorted({0, *counts, len(way.refs) - 1})):
            a, b = way.refs[i], way.refs[j]
            shape = tuple(extract.places[ref] for ref in way.refs[i : j + 1])
            length = float(lengths_m(np.array(shape), np.array([0, len(shape)]))[0])
            if length == 0:
                continue  # nodes on one spot
            for node, place, onto, off in ((a, shape[0], back, ahead), (b, shape[-1], ahead, back)):
                graph.add_node(node, x=place[0], y=place[1], **({"signal": True} if node in kept else {}))
                # Two stretches go on into one another where who comes by one may leave by the other, both ways.
                if node not in met:
                    met[node] = (onto, off, rest)
                elif met[node] != (off, onto, rest):
                    graph.add_node(node, change=True)
            for begin, end, line, masks in ((a, b, shape, (ahead, back)), (b, a, shape[::-1], (back, ahead))):
                lit = int(end in signals) << _HALF | int(begin in signals)
                graph.add_edge(begin, end, shape=line, masks=masks, signals=lit, osmid=way.id, length=length, **said)
    return graph


def _said(way: Way) -> dict[str, Any]:
    """What a way's tags say of its travel, in the words that osmnx knows."""
    tags = way.tags
    said: dict[str, Any] = {"highway": tags["highway"], "name": tags.get("name") or tags.get("ref", "")}
    said |= {key: tags[key] for key in ("maxspeed", "lanes") if key in tags}
    said["round"] = tags.get("junction") in ("roundabout", "circular")
    said["level"] = int(tags.get("bridge", "no") != "no") - int(tags.get("tunnel", "no") != "no")
    said["limits"] = (permits.limit(tags.get("maxheight")), permits.limit(tags.get("maxweight")))
    return said


def _segments(graph: nx.MultiDiGraph, extract: Extract, stops: dict[int, int]) -> Segments:
    """The arrays of a simplified graph."""
    edges = sorted((e for e in graph.edges(data=True) if _leads(*e)), key=_order)
    refs = sorted({node for a, b, _ in edges for node in (a, b)})
    number = {ref: i for i, ref in enumerate(refs)}
    data = [e[2] for e in edges]
    ways = [sorted(_many(d["osmid"])) for d in data]
    firsts = [w[0] for w in ways]
    seen: Counter[int] = Counter()
    key = []
    for way in firsts:
        seen[way] += 1
        key.append(f"{way}-{seen[way]}")
    names, name = np.unique(np.array([d["name"] for d in data], np.str_), return_inverse=True)
    road_class = [ROAD_CLASS[d["highway"]] for d in data]
    speed = [d.get("speed_kph") or DEFAULT_SPEED_KMH[c] for d, c in zip(data, road_class, strict=True)]
    masks = np.array([d["masks"] for d in data], np.uint8).reshape(-1, 2)
    limits = np.array([d["limits"] for d in data], float).reshape(-1, 2)
    signals = np.array([d["signals"] for d in data], np.int64)
    tail = np.array([number[a] for a, _, _ in edges], np.int32)
    head = np.array([number[b] for _, b, _ in edges], np.int32)
    return Segments(
        key=np.array(key, np.str_),
        xy=np.array([p for d in data for p in d["shape"]], float).reshape(-1, 2),
        first=np.cumsum([0, *(len(d["shape"]) for d in data)]).astype(np.int64),
        tail=tail,
        head=head,
        length_m=np.array([d["length"] for d in data], float),
        road_class=np.array([CLASSES.index(c) for c in road_class], np.int8),
        speed_kmh=np.clip(np.array(speed, float), *_SPEED_LIMITS),
        lanes=np.array([_lanes(d.get("lanes")) for d in data], np.int8),
        level=np.array([d["level"] for d in data], np.int8),
        roundabout=np.array([d["round"] for d in data], bool),
        ahead=masks[:, 0].copy(),
        back=masks[:, 1].copy(),
        signals=np.stack([signals >> _HALF, signals & ((1 << _HALF) - 1)], 1).astype(np.int16),
        height_m=limits[:, 0].copy(),
        weight_t=limits[:, 1].copy(),
        name=name.astype(np.int32),
        names=names,
        way_first=np.cumsum([0, *map(len, ways)]).astype(np.int64),
        ways=np.array([w for several in ways for w in several], np.int64),
        bans=_bans(extract, ways, number, tail, head),
        blocked=np.array([stops.get(ref, 0) for ref in refs], np.uint8),
    )


def _leads(a: int, b: int, said: dict[str, Any]) -> bool:
    """Of a stretch's two edges the one to keep: the one that may be travelled, else by order; none if nobody may."""
    ahead, back = said["masks"]
    if not ahead | back:
        return False
    mine, other = (ahead, a, said["shape"]), (back, b, said["shape"][::-1])
    return bool((-mine[0], *mine[1:]) <= (-other[0], *other[1:]))


def _order(edge: tuple[int, int, dict[str, Any]]) -> tuple[Any, ...]:
    a, b, said = edge
    return min(_many(said["osmid"])), a, b, said["shape"]


def _bans(extract: Extract, ways: list[list[int]], number: dict[int, int], tail: Any, head: Any) -> Rows:
    """Restrictions as turns between segments: what must not, and for `only_` every other way on."""
    at: dict[int, list[int]] = defaultdict(list)
    for i, (a, b) in enumerate(zip(tail.tolist(), head.tolist(), strict=True)):
        at[a].append(i)
        if a != b:
            at[b].append(i)
    rows: set[tuple[int, int, int, int]] = set()
    for told in extract.restrictions:
        bits = permits.turning(told.tags, told.kind)
        node = number.get(told.via)
        if not bits or node is None:
            continue
        begin = [i for i in at[node] if told.from_way in ways[i]]
        end = [i for i in at[node] if told.to_way in ways[i]]
        if told.kind.startswith("only_"):
            end = [i for i in at[node] if i not in end] if end else []
        rows |= {(i, node, j, bits) for i in begin for j in end}
    return np.array(sorted(rows), np.int64).reshape(-1, 4)


def _many(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]


def _lanes(value: Any) -> int:
    """The number of lanes; 0 where it is not told in a number."""
    text = str(value[0] if isinstance(value, list) else value).split(";")[0].strip()
    return min(int(text), _MOST_LANES) if text.isdigit() else 0
