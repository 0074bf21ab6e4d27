"""A street of mains of two owners, stored by the product's own ingest.

S1 --a-- T1 --b-- V1 --c-- T2 --d-- V2 --e-- M1      S: source, T: tee, V: valve, M: meters with customers
                           |
                           f (of the other owner)
                           |
                           V3 --g-- M2               V3, M2 and g are the other owner's too
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import shapely

from gis_core.database import Database
from gis_core.ingest import Report, Source, ingest_frame
from gis_core.spec import Layer

OURS, THEIRS = "Waterworks A", "Waterworks B"
WEST, SOUTH, STEP = 116.3, 39.6, 0.001
POINTS: dict[str, tuple[int, int, str, dict[str, Any]]] = {
    "S1": (0, 0, "source", {}),
    "T1": (1, 0, "tee", {}),
    "V1": (2, 0, "valve", {"valve_open": True, "operable": True, "accessible": True}),
    "T2": (3, 0, "tee", {}),
    "V2": (4, 0, "valve", {"valve_open": True}),
    "M1": (5, 0, "meter", {"customers": 120}),
    "V3": (3, 1, "valve", {}),
    "M2": (3, 2, "meter", {"customers": 30}),
}
PIPES = {
    "a": ("S1", "T1"), "b": ("T1", "V1"), "c": ("V1", "T2"), "d": ("T2", "V2"), "e": ("V2", "M1"),
    "f": ("T2", "V3"), "g": ("V3", "M2"),
}  # fmt: skip
OF_THE_OTHER = {"V3", "M2", "f", "g"}


def place(code: str) -> tuple[float, float]:
    """Where a point lies, lon and lat."""
    x, y, _, _ = POINTS[code]
    return WEST + x * STEP, SOUTH + y * STEP


def points(codes: Iterable[str] = POINTS, **changed: Any) -> gpd.GeoDataFrame:
    """Rows of pipe points; `changed` columns are the same for all."""
    rows = [
        {
            "code": code, "pipe_class": "water", "kind": POINTS[code][2], "ground_m": 40.0, "depth_m": 1.2,
            "owner": THEIRS if code in OF_THE_OTHER else OURS, **POINTS[code][3], **changed,
            "geometry": shapely.Point(place(code)),
        }
        for code in codes
    ]  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=4326)


def pipes(codes: Iterable[str] = PIPES, **changed: Any) -> gpd.GeoDataFrame:
    """Rows of pipe segments, 100 m each; `changed` columns are the same for all."""
    rows = [
        {
            "code": code, "pipe_class": "water", "start_point": PIPES[code][0], "end_point": PIPES[code][1],
            "diameter_mm": 300.0, "start_depth_m": 1.2, "end_depth_m": 1.2, "length_m": 100.0,
            "owner": THEIRS if code in OF_THE_OTHER else OURS, **changed,
            "geometry": shapely.LineString([place(PIPES[code][0]), place(PIPES[code][1])]),
        }
        for code in codes
    ]  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=4326)


def store(database: Database, layer: Layer, frame: gpd.GeoDataFrame) -> Report:
    """Bring rows in; a row whose key stands already takes its place."""
    report = ingest_frame(database, layer, frame, source=Source("test", simulated=True))
    assert report.stored == len(frame), report.problems
    return report


def fill(database: Database, layers: dict[str, Layer]) -> None:
    """The whole street."""
    store(database, layers["pipe_points"], points())
    store(database, layers["pipe_segments"], pipes())
