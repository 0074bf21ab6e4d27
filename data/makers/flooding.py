"""Places where water is likely to stand after heavy rain: underpasses, hollows of the street network, low crossings."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.frames import frame_from_rows
from data.junctions import StreetNames, cluster
from data.makers.pipe_routes import seed_of
from data.makers.street_graph import Floats, StreetGraph
from data.makers.terrain import Heights
from gis_core import crs

UNDERPASS, HOLLOW, CROSSING = "下穿通道 underpass", "低洼路段 hollow", "低洼路口 low crossing"
_PEOPLE_PER_POINT: Final = 6000
_FEWEST: Final = 12
_APART_M: Final = 150.0
_GREAT: Final = 2
_SHARE: Final = {UNDERPASS: 0.3, HOLLOW: 0.4, CROSSING: 0.3}
# Depths (m) at which a city warns and at which it closes the road; 0.15 / 0.27 are Beijing's, others close at 0.25.
_THRESHOLDS: Final = ((0.15, 0.27), (0.15, 0.25), (0.10, 0.20))
_RISKS: Final = (("red", 0.12), ("orange", 0.35), ("yellow", 0.7), ("blue", 1.01))


def make_waterlogging_points(
    graph: StreetGraph, roads: gpd.GeoDataFrame, heights: Heights, people: float, county: str, seed: int
) -> gpd.GeoDataFrame:
    """Rows of the layer `waterlogging_points`, about one for every 6,000 people, named by the streets there."""
    rng = np.random.default_rng(seed_of(seed, "waterlogging"))
    wanted = max(round(people / _PEOPLE_PER_POINT), _FEWEST)
    found = {
        UNDERPASS: underpasses(roads, graph.metric_crs),
        HOLLOW: _hollows(graph, heights),
        CROSSING: _low_crossings(graph, heights),
    }
    names = StreetNames(roads, graph.metric_crs)
    taken = np.empty((0, 2))
    rows: list[dict[str, Any]] = []
    for kind, places in found.items():
        for xy in _spread(places, taken, round(wanted * _SHARE[kind])):
            taken = np.vstack([taken, xy])
            chance = rng.random() * (0.6 if kind == UNDERPASS else 1.0)
            warn, close = _THRESHOLDS[int(rng.integers(len(_THRESHOLDS)))]
            rows.append({
                "geometry": shapely.Point(xy), "kind": kind,
                "risk": next(risk for risk, limit in _RISKS if chance < limit),
                "warn_depth_m": warn, "close_depth_m": close,
                "pump_m3s": round(float(rng.uniform(0.3, 4.0)), 2) if kind == UNDERPASS else None,
            })  # fmt: skip
    crossing = names.crossing(np.array([row["geometry"] for row in rows], object), 60.0)
    for n, (row, name) in enumerate(zip(rows, crossing, strict=True), 1):
        row["code"] = f"{county}-JSD-{n:03d}"
        row["name"] = f"{name or f'积水点 {n}'} {row['kind'].split()[0]}"
    frame = frame_from_rows(
        rows, "code", "name", "kind", "risk", "warn_depth_m", "close_depth_m", "pump_m3s"
    )  # fmt: skip
    frame["pump_m3s"] = pd.to_numeric(frame["pump_m3s"])
    geometry = crs.to_lonlat(frame.geometry.to_numpy(), crs.declare(graph.metric_crs))
    return frame.set_geometry(gpd.GeoSeries(geometry, crs=frame.crs))


def underpasses(roads: gpd.GeoDataFrame, metric_crs: str) -> Floats:
    """Where a street passes a motorway or expressway, or runs in a tunnel, without meeting it (n, 2) in metres."""
    lines = crs.to_metric(roads.geometry.to_numpy(), metric_crs)
    rank = roads["rank"].to_numpy()
    great, lesser = np.flatnonzero(rank <= _GREAT), np.flatnonzero((rank > _GREAT) & (rank <= 6))  # noqa: PLR2004
    a, b = shapely.STRtree(lines[lesser]).query(lines[great], predicate="crosses")
    ends = roads[["from_node", "to_node"]].astype(str).to_numpy()
    meets = (ends[great[a]][:, :, None] == ends[lesser[b]][:, None, :]).any(axis=(1, 2))
    crossings = shapely.intersection(lines[great[a[~meets]]], lines[lesser[b[~meets]]])
    tunnels = lines[roads["tunnel"].to_numpy(bool) & (rank <= 6)]  # noqa: PLR2004
    below = shapely.line_interpolate_point(tunnels, 0.5, normalized=True)
    places = np.concatenate([shapely.point_on_surface(crossings), below])
    xy = shapely.get_coordinates(places)
    group = cluster(xy, _APART_M / 2)
    _, first = np.unique(group, return_index=True)
    return xy[first]


def _hollows(graph: StreetGraph, heights: Heights) -> Floats:
    """Junctions lower than all their neighbours, deepest first."""
    height = heights(graph.nodes)
    rise = np.full(len(height), np.inf)
    for one, two in ((graph.start, graph.end), (graph.end, graph.start)):
        np.minimum.at(rise, one, height[two] - height[one])
    hollow = np.flatnonzero((rise > 0) & (graph.degree >= 2))  # noqa: PLR2004 -- a dead end is no thoroughfare
    return graph.nodes[hollow[np.argsort(-rise[hollow], kind="stable")]]


def _low_crossings(graph: StreetGraph, heights: Heights) -> Floats:
    """Junctions of greater streets in the lowest tenth of the city, spread over it."""
    greatest = np.full(len(graph.nodes), 9)
    for ends in (graph.start, graph.end):
        np.minimum.at(greatest, ends, graph.rank)
    nodes = np.flatnonzero((greatest <= 4) & (graph.degree >= 3))  # noqa: PLR2004
    height = heights(graph.nodes[nodes])
    low = nodes[height <= np.quantile(height, 0.25)] if len(nodes) else nodes
    return graph.nodes[low[np.argsort(np.sin(low * 12.9898) * 43758.5453 % 1, kind="stable")]]


def _spread(places: Floats, taken: Floats, count: int) -> list[Floats]:
    """The first `count` places that keep their distance from each other and from those taken."""
    chosen: list[Floats] = []
    for xy in places:
        if len(chosen) == count:
            break
        near = np.vstack([taken, *chosen]) if len(taken) + len(chosen) else np.empty((0, 2))
        if not len(near) or np.hypot(*(near - xy).T).min() > _APART_M:
            chosen.append(xy)
    return chosen
