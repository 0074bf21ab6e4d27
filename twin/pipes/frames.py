"""Points and pipes of a foreign model as rows of our layers, in EPSG:4326, ready for ingest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np

from gis_core import crs
from gis_core.errors import Unprocessable


@dataclass(frozen=True)
class Frames:
    """Rows of `pipe_points` and `pipe_segments` in EPSG:4326, and what had to be assumed or left out."""

    points: gpd.GeoDataFrame
    segments: gpd.GeoDataFrame
    notes: tuple[str, ...]


def frames_of(
    points: Sequence[dict[str, Any]], segments: Sequence[dict[str, Any]], declared_crs: str, notes: Sequence[str]
) -> Frames:
    """Rows with a `shape` in the declared system as frames.

    Raises:
        UnknownCrs: nobody knows this coordinate system.
        Unprocessable: coordinates do not exist in it, or there is nothing.
    """
    if not points or not segments:
        raise Unprocessable("this model has no pipes with coordinates")
    source = crs.declare(declared_crs)
    return Frames(_frame(points, source), _frame(segments, source), tuple(notes))


def _frame(rows: Sequence[dict[str, Any]], source: crs.Source) -> gpd.GeoDataFrame:
    shapes = crs.to_lonlat(np.array([row["shape"] for row in rows], dtype=object), source)
    values = [{name: value for name, value in row.items() if name != "shape"} for row in rows]
    return gpd.GeoDataFrame(values, geometry=list(shapes), crs=4326)
