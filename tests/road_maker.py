"""Road networks for tests: small ones drawn by hand, random grids, and a plain Dijkstra that knows no hierarchy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from routing.graph import INFINITE, Graph

WEST, SOUTH = 116.40, 39.70
STEP_M: Final = 200.0
_DEGREE_M: Final = 111_195.0


def place(x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude of metres east and north of a corner in Daxing."""
    return WEST + x / (_DEGREE_M * np.cos(np.radians(SOUTH))), SOUTH + y / _DEGREE_M


def roads(places: Mapping[str, tuple[float, float]], links: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Rows like those of the layer `roads`: links named by their ends, such as `AB`, with what is not usual of them.

    Places are in steps of 200 m. A link's name may have a dash and more after its ends.
    """
    rows = []
    for code, more in links.items():
        ends = [place(*(STEP_M * v for v in places[node])) for node in code[:2]]
        row = {
            "code": code,
            "geometry": shapely.LineString(ends),
            "name": None,
            "road_class": "secondary",
            "speed_kmh": 36.0,
            "oneway": False,
        }
        rows.append(row | dict(more))
    return pd.DataFrame(rows)


def grid(width: int, height: int, seed: int) -> pd.DataFrame:
    """A grid of streets with a fifth of them missing, a fifth one-way, and classes and speeds by chance."""
    random = np.random.default_rng(seed)
    rows = []
    for x in range(width):
        for y in range(height):
            for to_x, to_y in ((x + 1, y), (x, y + 1)):
                if to_x == width or to_y == height or random.random() < 0.2:
                    continue
                shift = random.normal(0, 20, 4)
                ends = [(STEP_M * x, STEP_M * y), (STEP_M * to_x, STEP_M * to_y)]
                middle = (np.mean([e[0] for e in ends]) + shift[0], np.mean([e[1] for e in ends]) + shift[1])
                ends.insert(1, middle)
                if random.random() < 0.5:
                    ends.reverse()
                rows.append(
                    {
                        "code": f"{x}.{y}-{to_x}.{to_y}",
                        "geometry": shapely.LineString([place(*e) for e in ends]),
                        "name": f"{y} Street" if to_x > x else f"{x} Road",
                        "road_class": str(random.choice(["primary", "secondary", "residential", "service"])),
                        "speed_kmh": float(random.integers(20, 80)),
                        "oneway": bool(random.random() < 0.2),
                    }
                )
    return pd.DataFrame(rows)


def reference(graph: Graph, arc_ms: Any, turn_ms: Any, sources: Any) -> Any:
    """Times (sources, arcs) by scipy's Dijkstra over the turns themselves; INFINITE where there is no way."""
    cost = np.minimum(turn_ms.astype(np.int64) + arc_ms[graph.onto], INFINITE)
    open_ = cost < INFINITE
    size = len(graph)
    net = csr_array((cost[open_].astype(float), (graph.turn_from[open_], graph.onto[open_])), shape=(size, size))
    times = dijkstra(net, indices=np.atleast_1d(sources))
    return np.where(np.isfinite(times), times, INFINITE).astype(np.int64)
