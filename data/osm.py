"""OpenStreetMap extracts: what an `.osm.pbf` or `.osm` file holds, read in one walk. osmium stands behind this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import osmium
import shapely
from osmium import InvalidLocationError

from gis_core.crs import Bounds
from gis_core.errors import BadInput

NODE_KEYS: Final = ("highway", "amenity", "railway", "man_made", "public_transport", "building")
AREA_KEYS: Final = ("building", "leisure", "landuse", "natural", "waterway", "amenity")
RESTRICTION_KEYS: Final = ("restriction", "restriction:motorcar", "restriction:hgv")
_UNKNOWN_BOX: Final = 1e-9


class ExtractUnreadable(BadInput):
    """The OpenStreetMap extract cannot be read."""


@dataclass(frozen=True)
class Way:
    """One highway: its nodes in order and its tags."""

    id: int
    refs: tuple[int, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Thing:
    """One tagged point or area; `key` is the OSM id with the letter of its type, such as `n123` or `w45`."""

    key: str
    geometry: Any
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Restriction:
    """A turn that one node and two highways tell of: `kind` such as no_left_turn or only_straight_on."""

    id: int
    kind: str
    from_way: int
    via: int
    to_way: int
    tags: Mapping[str, str]


@dataclass
class Extract:
    """What was read: highways, where their nodes lie (lon, lat), tagged points and tagged areas."""

    bounds: Bounds
    ways: list[Way] = field(default_factory=list)
    places: dict[int, tuple[float, float]] = field(default_factory=dict)
    node_tags: dict[int, Mapping[str, str]] = field(default_factory=dict)
    points: list[Thing] = field(default_factory=list)
    areas: list[Thing] = field(default_factory=list)
    restrictions: list[Restriction] = field(default_factory=list)

    def tagged(self, key: str, *values: str) -> Iterator[Thing]:
        """Points, then areas, whose tag is one of the values (none given: any value)."""
        for thing in (*self.points, *self.areas):
            if key in thing.tags and (not values or thing.tags[key] in values):
                yield thing


def bounds_of(path: Path) -> Bounds:
    """West, south, east, north of an extract: from its header, else from its nodes. Raises ExtractUnreadable."""
    try:
        with osmium.io.Reader(str(path), osmium.osm.osm_entity_bits.NOTHING) as reader:
            box = reader.header().box()
        if box.valid() and box.size() > _UNKNOWN_BOX:
            return box.bottom_left.lon, box.bottom_left.lat, box.top_right.lon, box.top_right.lat
        nodes: Iterator[Any] = iter(osmium.FileProcessor(str(path), osmium.osm.NODE))
        lon, lat = zip(*((n.lon, n.lat) for n in nodes if n.location.valid()), strict=True)
    except (RuntimeError, ValueError, OSError) as error:
        raise ExtractUnreadable(f"{path} is no OpenStreetMap extract: {error}.") from error
    return min(lon), min(lat), max(lon), max(lat)


def read_extract(path: Path, within: Bounds | None = None) -> Extract:
    """Everything of an extract that the packs use; with `within`, only what begins in those bounds.

    Ways are kept whole, so that streets do not end at the bounds; nodes that a cut extract lacks are left out.
    Raises ExtractUnreadable.
    """
    found = Extract(within or bounds_of(path))
    walk = osmium.FileProcessor(str(path)).with_areas(osmium.filter.KeyFilter(*AREA_KEYS))
    walk = walk.with_filter(osmium.filter.KeyFilter(*{*NODE_KEYS, *AREA_KEYS, "highway"}))
    shapes = osmium.geom.WKBFactory()
    try:
        for each in walk:
            _take(each, found, shapes, within)
    except (RuntimeError, OSError) as error:
        raise ExtractUnreadable(f"{path} cannot be read to its end: {error}.") from error
    used = {ref for way in found.ways for ref in way.refs}
    found.node_tags = {ref: tags for ref, tags in found.node_tags.items() if ref in used}
    return found


def read_roads(path: Path) -> Extract:
    """What of an extract tells where one may travel: highways, their tagged nodes and restrictions of turns.

    Restrictions over a way instead of a node, and those whose members the extract lacks, are left out.
    Raises ExtractUnreadable.
    """
    found = Extract(bounds_of(path))
    walk = osmium.FileProcessor(str(path)).with_locations()
    try:
        found_here: Iterator[Any] = iter(
            walk.with_filter(osmium.filter.KeyFilter("highway", "barrier", *RESTRICTION_KEYS))
        )
        for each in found_here:
            if each.is_node():
                found.node_tags[each.id] = dict(each.tags)
            elif each.is_way():
                _take(each, found, None, None)
            else:
                _take_restriction(each, found)
    except (RuntimeError, OSError) as error:
        raise ExtractUnreadable(f"{path} cannot be read to its end: {error}.") from error
    used = {ref for way in found.ways for ref in way.refs}
    found.node_tags = {ref: tags for ref, tags in found.node_tags.items() if ref in used}
    return found


def _take_restriction(relation: Any, found: Extract) -> None:
    """Keep a relation that is a restriction at one node."""
    tags = dict(relation.tags)
    by_role: dict[str, list[tuple[str, int]]] = {}
    for member in relation.members:
        by_role.setdefault(member.role, []).append((member.type, member.ref))
    begin, via, end = (by_role.get(role, []) for role in ("from", "via", "to"))
    kind = next((tags[key] for key in RESTRICTION_KEYS if key in tags), None)
    if kind is None or len(via) != 1 or via[0][0] != "n":
        return
    for from_way in begin:
        for to_way in end:
            found.restrictions.append(Restriction(relation.id, kind, from_way[1], via[0][1], to_way[1], tags))


def _take(each: Any, found: Extract, shapes: Any, within: Bounds | None) -> None:
    """Put one object of the file where it belongs."""
    if each.is_node():
        tags = dict(each.tags)
        if _inside(each.lon, each.lat, within):
            found.points.append(Thing(f"n{each.id}", shapely.Point(each.lon, each.lat), tags))
        if "highway" in tags:
            found.node_tags[each.id] = tags
    elif each.is_way() and "highway" in each.tags:
        nodes = [(n.ref, n.lon, n.lat) for n in each.nodes if n.location.valid()]
        if len(nodes) > 1 and any(_inside(lon, lat, within) for _, lon, lat in nodes):
            found.ways.append(Way(each.id, tuple(ref for ref, _, _ in nodes), dict(each.tags)))
            found.places.update((ref, (lon, lat)) for ref, lon, lat in nodes)
    elif each.is_area():
        try:
            geometry = shapely.make_valid(shapely.from_wkb(shapes.create_multipolygon(each)))
        except (RuntimeError, InvalidLocationError, shapely.errors.GEOSException):
            return  # a relation whose ways the extract cuts off has no area to show
        inside = geometry.representative_point()
        if not geometry.is_empty and _inside(inside.x, inside.y, within):
            key = f"{'w' if each.from_way() else 'r'}{each.orig_id()}"
            found.areas.append(Thing(key, geometry, dict(each.tags)))


def _inside(lon: float, lat: float, bounds: Bounds | None) -> bool:
    return bounds is None or (bounds[0] <= lon <= bounds[2] and bounds[1] <= lat <= bounds[3])


def clip(extract: Extract, area: shapely.Geometry) -> Extract:
    """What of an extract lies in an area (longitude, latitude): ways with a node in it, whole, and things within."""
    shapely.prepare(area)
    refs = list(extract.places)
    inside = shapely.contains_xy(area, np.array([extract.places[r] for r in refs]).reshape(-1, 2))
    held = {ref for ref, within in zip(refs, inside, strict=True) if within}
    ways = [way for way in extract.ways if not held.isdisjoint(way.refs)]
    used = {ref for way in ways for ref in way.refs}
    return Extract(
        extract.bounds,
        ways,
        {ref: place for ref, place in extract.places.items() if ref in used},
        {ref: tags for ref, tags in extract.node_tags.items() if ref in used},
        [p for p in extract.points if shapely.contains(area, p.geometry)],
        [a for a in extract.areas if shapely.contains(area, a.geometry.representative_point())],
    )
