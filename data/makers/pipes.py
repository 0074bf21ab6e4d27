"""Makes the underground: every class of pipe along the real streets, points and segments that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from data.frames import frame_of
from data.makers import pipe_facts
from data.makers.pipe_kinds import KINDS, Kind
from data.makers.pipe_lines import Stations, place
from data.makers.pipe_profiles import lay
from data.makers.pipe_routes import Routes, Site, choose, seed_of
from data.makers.street_graph import Ints, StreetGraph
from data.makers.terrain import Heights, Rolling
from gis_core import crs

_NEWEST: Final = 2024
_AGE_M: Final = 2600.0
_INLET_RANK: Final = 4
_INLET = {"depth_m": 0.8, "fall_m": 0.15, "diameter_mm": 300}
_MEETING: Final = 3

Words = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Network:
    """Points and segments of one class, as rows of the layers `pipe_points` and `pipe_segments`, in metres."""

    points: pd.DataFrame
    segments: pd.DataFrame


def make_pipes(site: Site, heights: Heights) -> Iterator[Network]:
    """Every class that the city has, one after the other; the same site gives the same rows."""
    for kind in KINDS.values():
        if routes := choose(kind, site):
            yield _network(routes, site, heights)


def gather(networks: list[Network], metric_crs: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """The points and the segments of all classes in EPSG:4326."""
    source = crs.declare(metric_crs)
    frames = []
    for tables in ([n.points for n in networks], [n.segments for n in networks]):
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"shape": []})
        geometry = crs.to_lonlat(table.pop("shape").to_numpy(), source)
        frames.append(frame_of(geometry, {str(name): table[name] for name in table.columns}))
    return frames[0], frames[1]


def _network(routes: Routes, site: Site, heights: Heights) -> Network:
    kind, graph = routes.kind, site.graph
    stations = place(routes, graph)
    ground = np.round(heights(stations.xy), 3)
    diameter = kind.diameters(routes.load)
    depths = lay(routes, stations, ground, diameter, site)
    owner, year = _owners(kind, graph, site), _years(kind, graph, site)
    own = np.flatnonzero(stations.node < 0)
    joined = np.flatnonzero(stations.node >= 0)
    nodes, at_first, which = np.unique(stations.node[joined], return_index=True, return_inverse=True)
    row = np.empty(len(stations.node), np.int64)
    row[joined] = which
    row[own] = len(nodes) + np.arange(len(own))
    seen = np.concatenate([joined[at_first], own])
    deepest = np.zeros(len(seen))
    np.maximum.at(deepest, row, np.where(stations.last_of_street, depths.arriving, depths.leaving))
    np.maximum.at(deepest, row, np.where(stations.along_m > 0, depths.arriving, 0))
    lifted = np.zeros(len(seen), bool)
    np.logical_or.at(lifted, row, depths.lifted)
    codes = np.array([f"{kind.prefix}{n:06d}" for n in range(1, len(seen) + 1)], object)
    street = stations.street[seen]
    points = pd.DataFrame({
        "code": codes, "pipe_class": kind.name,
        "kind": _point_kinds(routes, stations, seen, len(nodes), lifted, diameter),
        "ground_m": ground[seen], "depth_m": deepest.round(3), "road_name": graph.name[street],
        "owner": owner[street], "shape": shapely.points(stations.xy[seen]),
    })  # fmt: skip
    tail = np.flatnonzero(~stations.last_of_street)
    street = stations.street[tail]
    length = np.hypot(*(stations.xy[tail + 1] - stations.xy[tail]).T)
    segments = pd.DataFrame({
        "code": _segment_codes(kind, len(tail)), "pipe_class": kind.name,
        "start_point": codes[row[tail]], "end_point": codes[row[tail + 1]],
        "diameter_mm": diameter[street].astype(float), "material": kind.material(diameter[street]),
        "start_depth_m": depths.leaving[tail].round(3), "end_depth_m": depths.arriving[tail + 1].round(3),
        "length_m": length.round(2), "built_year": year[street], "road_name": graph.name[street],
        "owner": owner[street], "shape": shapely.linestrings(np.stack([stations.xy[tail], stations.xy[tail + 1]], 1)),
    })  # fmt: skip
    network, ends = Network(points, segments), np.stack([row[tail], row[tail + 1]], axis=1)
    pipe_facts.serve(points, routes, stations, row, site)
    pipe_facts.equip(points, routes, stations.street[seen], np.arange(len(seen)) >= len(nodes), site.seed)
    if kind.name == "storm":
        network, ends = _with_inlets(network, ends, routes, graph, stations, row, heights)
    pipe_facts.describe(network.points, network.segments, ends, routes, site.seed)
    return network


def _point_kinds(
    routes: Routes, stations: Stations, seen: Ints, joined: int, lifted: npt.NDArray[np.bool_], diameter: Ints
) -> Words:
    """What stands at each point: the first `joined` are at junctions, the rest along streets."""
    kind = routes.kind
    found = np.full(len(seen), kind.junction, object)
    inner = np.arange(len(seen)) >= joined
    cycle = np.array(kind.between, object)
    place = _places(stations, seen[inner])
    found[inner] = cycle[place % len(cycle)]
    if kind.gravity:
        found[lifted] = "pump_station"
    else:
        nodes = stations.node[seen[:joined]]
        meeting = np.bincount(stations.node[stations.node >= 0])[nodes]
        if "valve" in kind.between:
            found[:joined] = np.select([meeting < _MEETING, meeting == _MEETING], ["valve", "tee"], "cross")
            found[np.flatnonzero(inner)[stations.bend[seen[inner]] & (place > 0)]] = "bend"
        if kind.name == "gas":
            found[:joined][pipe_facts.regulated(stations, diameter, nodes)] = "regulator"
        found[:joined][meeting == 1] = kind.last
    root = np.isin(stations.node[seen], routes.roots) & ~inner
    found[root] = "outfall" if kind.gravity else "source"
    return found


def _places(stations: Stations, own: Ints) -> Ints:
    """Which of its street's own points each is, counted from 0; `own` are stations in order."""
    _, first, which = np.unique(stations.street[own], return_index=True, return_inverse=True)
    return np.asarray(np.arange(len(own)) - first[which])


def _with_inlets(
    network: Network, ends: Ints, routes: Routes, graph: StreetGraph, stations: Stations, row: Ints, heights: Heights
) -> tuple[Network, Ints]:
    """Inlets at the kerb beside the storm manholes of greater streets, each joined to its manhole; and all ends."""
    kind = routes.kind
    inner = np.flatnonzero((stations.node < 0) & (graph.rank[stations.street] <= _INLET_RANK))
    inner = inner[(stations.along_m[inner] > 0) & ~stations.last_of_street[inner]]
    if not len(inner):
        return network, ends
    ahead = stations.xy[inner + 1] - stations.xy[inner]
    left = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    side = np.where(np.arange(len(inner)) % 2 == 0, 1.0, -1.0)
    reach = np.maximum(graph.half_width_m[stations.street[inner]] + side * kind.across_m, 1.5)
    xy = stations.xy[inner] + left * (side * reach)[:, None]
    manhole = network.points.iloc[row[inner]]
    count = len(network.points)
    codes = [f"{kind.prefix}{n:06d}" for n in range(count + 1, count + len(inner) + 1)]
    ground = heights(xy).round(3)
    points = pd.DataFrame({
        "code": codes, "pipe_class": kind.name, "kind": "inlet", "ground_m": ground, "depth_m": _INLET["depth_m"],
        "road_name": manhole["road_name"].to_numpy(), "owner": manhole["owner"].to_numpy(),
        "shape": shapely.points(xy),
    })  # fmt: skip
    arriving = manhole["ground_m"].to_numpy() - (ground - _INLET["depth_m"] - _INLET["fall_m"])
    first = len(network.segments)
    diameter = np.full(len(inner), _INLET["diameter_mm"], np.int64)
    segments = pd.DataFrame({
        "code": _segment_codes(kind, len(inner), first), "pipe_class": kind.name, "start_point": codes,
        "end_point": manhole["code"].to_numpy(), "diameter_mm": diameter.astype(float),
        "material": kind.material(diameter), "start_depth_m": _INLET["depth_m"],
        "end_depth_m": np.maximum(arriving, 0.1).round(3), "length_m": reach.round(2),
        "built_year": _year_of_road(network, manhole), "road_name": manhole["road_name"].to_numpy(),
        "owner": manhole["owner"].to_numpy(),
        "shape": shapely.linestrings(np.stack([xy, stations.xy[inner]], 1)),
    })  # fmt: skip
    joined = Network(
        pd.concat([network.points, points], ignore_index=True),
        pd.concat([network.segments, segments], ignore_index=True),
    )
    return joined, np.concatenate([ends, np.column_stack([np.arange(count, count + len(inner)), row[inner]])])


def _year_of_road(network: Network, manhole: pd.DataFrame) -> Any:
    """The year of the sewer that leaves each manhole."""
    years = network.segments.drop_duplicates("start_point").set_index("start_point")["built_year"]
    return years.reindex(manhole["code"]).to_numpy()


def _segment_codes(kind: Kind, count: int, first: int = 0) -> Words:
    return np.array([f"GX-{kind.prefix}-{n:06d}" for n in range(first + 1, first + count + 1)], object)


def _owners(kind: Kind, graph: StreetGraph, site: Site) -> Words:
    """The owner of each street's pipe: one for the class, or several that share the city out between them."""
    names = np.array(kind.owners, object)
    if len(names) == 1:
        return np.full(len(graph), names[0], object)
    field = Rolling(seed_of(site.seed, kind.name, "owners"), 4 * _AGE_M)(graph.middle)
    return np.asarray(names[np.minimum((field > 0).astype(np.int64), len(names) - 1)])


def _years(kind: Kind, graph: StreetGraph, site: Site) -> Ints:
    """The year each street's pipe was laid: older near the middle of the city, patchy, some renewed."""
    rng = np.random.default_rng(seed_of(site.seed, kind.name, "years"))
    away = np.hypot(*(graph.middle - site.centre).T)
    grown = 1 - np.exp(-away / _AGE_M) + 0.16 * Rolling(seed_of(site.seed, "age"), _AGE_M)(graph.middle)
    share = np.clip(grown + rng.normal(0, 0.06, len(graph)), 0, 1)
    renewed = rng.random(len(graph)) < 0.12  # noqa: PLR2004 -- about one street in eight
    share = np.where(renewed, np.clip(share + rng.uniform(0.2, 0.8, len(graph)), 0, 1), share)
    return np.asarray(np.round(kind.since + (_NEWEST - kind.since) * share), np.int64)
