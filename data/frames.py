"""Frames as ingest takes them: rows that count from 0, a geometry in EPSG:4326, plain columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import geopandas as gpd

LONLAT: Final = "EPSG:4326"


def frame_of(geometry: Any, columns: Mapping[str, Any]) -> gpd.GeoDataFrame:
    """A frame of the geometries (lon, lat) with the columns, all of one length, in their order."""
    return gpd.GeoDataFrame(dict(columns), geometry=gpd.GeoSeries(list(geometry), crs=LONLAT), crs=LONLAT)


def frame_from_rows(rows: Sequence[Mapping[str, Any]], *columns: str) -> gpd.GeoDataFrame:
    """A frame of rows that have `geometry` and the columns; without rows it has the columns all the same."""
    return frame_of([row["geometry"] for row in rows], {name: [row[name] for row in rows] for name in columns})
