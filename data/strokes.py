"""Classes for streets of which only the lines are known: long straight streets are taken for great ones."""

from __future__ import annotations

from typing import Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data.frames import frame_of
from data.streets import DEFAULT_SPEED_KMH, RANK
from gis_core import crs

_STRAIGHT: Final = np.cos(np.radians(150.0))
# A street goes on straight through junctions for at least so many metres to be of the class.
_CLASSES: Final = ((9000.0, "primary"), (4000.0, "secondary"), (1500.0, "tertiary"), (0.0, "residential"))


def roads_from_lines(edges: gpd.GeoDataFrame, metric_crs: str) -> gpd.GeoDataFrame:
    """Rows of the layer `roads` from bare lines with end nodes `u`, `v` and `edge_id`, in longitude and latitude.

    At each node the two edges that continue each other best (within 30 degrees) belong to one street, a stroke; its
    length gives the class. Source of the method: Thomson and Richardson 1999, good continuation.
    """
    lines = crs.to_metric(edges.geometry.to_numpy(), metric_crs)
    length = shapely.length(lines)
    stroke = _strokes(lines, edges["u"].to_numpy(), edges["v"].to_numpy())
    total = np.bincount(stroke, length)[stroke]
    road_class = np.array([next(name for least, name in _CLASSES if t >= least) for t in total], object)
    return frame_of(
        edges.geometry.to_numpy(),
        {
            "code": [f"E{n}" for n in edges["edge_id"]],
            "name": np.full(len(edges), None, object),
            "road_class": road_class,
            "rank": [RANK[name] for name in road_class],
            "lanes": np.full(len(edges), np.nan),
            "speed_kmh": [DEFAULT_SPEED_KMH[name] for name in road_class],
            "oneway": False,
            "bridge": False,
            "tunnel": False,
            "length_m": length.round(2),
            "osm_id": np.full(len(edges), None, object),
            "from_node": edges["u"].astype(str).to_numpy(object),
            "to_node": edges["v"].astype(str).to_numpy(object),
        },
    )


def _strokes(
    lines: npt.NDArray[np.object_], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp]:
    """A street number for each line: at every node the straightest pairs are joined, each line once."""
    count = len(lines)
    node = np.concatenate([start, end])
    first, second = (shapely.get_coordinates(shapely.get_point(lines, i)) for i in (0, 1))
    last, before = (shapely.get_coordinates(shapely.get_point(lines, i)) for i in (-1, -2))
    outward = np.concatenate([second - first, before - last])
    outward /= np.maximum(np.hypot(*outward.T), 1e-9)[:, None]
    order = np.argsort(node, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(node[order])) + 1)
    joined: list[tuple[int, int]] = []
    for group in groups:
        straight = outward[group] @ outward[group].T
        straight[np.tril_indices(len(group))] = 1.0
        while straight.size and straight.min() <= _STRAIGHT:
            i, j = np.unravel_index(int(straight.argmin()), straight.shape)
            joined.append((int(group[i]) % count, int(group[j]) % count))
            straight[[i, j], :] = straight[:, [i, j]] = 1.0
    pairs = np.array(joined, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)
