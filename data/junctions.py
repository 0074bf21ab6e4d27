"""Places named by the streets that meet there, and points that belong to one place."""

from __future__ import annotations

from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gis_core import crs

_NAME_REACH_M: Final = 30.0
_CARRIES_CARS: Final = 6

Floats = npt.NDArray[np.float64]


def cluster(xy: Floats, reach_m: float) -> npt.NDArray[np.intp]:
    """A group number for each point (n, 2) in metres: chains of points nearer than `reach_m` are one group."""
    pairs = cKDTree(xy).query_pairs(reach_m, output_type="ndarray") if len(xy) else np.empty((0, 2), int)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(xy), len(xy)))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group, np.intp)


class StreetNames:
    """Asks which named streets run by a place; the greater ones come first."""

    def __init__(self, roads: gpd.GeoDataFrame, metric_crs: str) -> None:
        """Keep the named streets that carry cars, in the metres of `metric_crs`."""
        known = roads[roads["name"].notna() & (roads["rank"] <= _CARRIES_CARS)]
        self._names = known["name"].to_numpy()
        self._ranks = known["rank"].to_numpy()
        self._lines = crs.to_metric(known.geometry.to_numpy(), metric_crs)
        self._tree = shapely.STRtree(self._lines)

    @property
    def any(self) -> bool:
        """Whether any street has a name."""
        return bool(len(self._names))

    def near(self, points: Any, reach_m: float = _NAME_REACH_M) -> list[list[str]]:
        """For each point (metres) the names within reach: by class, then by distance."""
        at, line = self._tree.query(points, predicate="dwithin", distance=reach_m)
        apart = shapely.distance(points[at], self._lines[line]) if len(at) else np.empty(0)
        found: list[list[str]] = [[] for _ in points]
        for each in np.lexsort((self._names[line].astype(str), apart.round(1), self._ranks[line])):
            name = str(self._names[line[each]])
            if name not in found[at[each]]:
                found[at[each]].append(name)
        return found

    def crossing(self, points: Any, reach_m: float = _NAME_REACH_M) -> list[str | None]:
        """A name for each point (metres) from its two greatest streets, such as `Balmaceda / Gandarillas`."""
        return [" / ".join(names[:2]) or None for names in self.near(points, reach_m)]
