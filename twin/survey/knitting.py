"""Points and lines of map files and drawings as tables: places from shapes, ends of lines from the points there."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from gis_core.crs import Source
from twin.survey.tables import Geometries, Raw

_NEAR_M: Final = 0.05
_METRES_PER_DEGREE: Final = 111_000.0


def pointed(points: pd.DataFrame, raw: Raw, notes: list[str]) -> pd.DataFrame:
    """Points with the coordinates of their shapes, and a number by their row where the file has none."""
    if raw.geometries is None or not len(points):
        return points
    shapes = raw.geometries
    dots = shapely.get_type_id(shapes) == shapely.GeometryType.POINT
    east, north = (np.where(dots, read(shapes), np.nan) for read in (shapely.get_x, shapely.get_y))
    number = points["point_no"]
    if number.isna().all():
        number = ("N" + pd.Series(raw.numbers).astype("str")).astype("str")
        notes.append("The points have no numbers; they are called by their row: N1, N2, ...")
    return points.assign(east=east, north=north, point_no=number)


def knit(
    points: pd.DataFrame, lines: pd.DataFrame, shapes: Geometries, source: Source | None, notes: list[str]
) -> pd.DataFrame:
    """Lines that do not name their ends, with the numbers of the points that lie there (within 0.05 m)."""
    if not (lines["start_point"].isna().all() and lines["end_point"].isna().all()) or not len(points):
        return lines
    east, north = points["east"].to_numpy(float), points["north"].to_numpy(float)
    good = np.flatnonzero(~np.isnan(east) & ~np.isnan(north))
    if not len(good):
        return lines
    near = _NEAR_M / _METRES_PER_DEGREE if source is not None and source.in_degrees else _NEAR_M
    tree = cKDTree(np.column_stack([east[good], north[good]]))
    classes = points["pipe_class"].to_numpy(object)
    found: dict[str, Any] = {}
    nobody = np.array([None], object)
    for name, corner in (("start_point", 0), ("end_point", -1)):
        tip = shapely.get_point(shapes, corner)
        xy = np.column_stack([shapely.get_x(tip), shapely.get_y(tip)])
        drawn = ~np.isnan(xy).any(axis=1)
        at = np.full(len(lines), -1, np.int64)
        apart, nearest = tree.query(xy[drawn], distance_upper_bound=near)
        at[drawn] = np.where(np.isfinite(apart), good[np.minimum(nearest, len(good) - 1)], -1)
        numbers = np.append(points["point_no"].to_numpy(object), nobody)[at]
        # An end without a point keeps a name, so that the report can say which it is.
        alone = drawn & (at < 0)
        numbers[alone] = [f"({x:.2f}, {y:.2f})" for x, y in xy[alone]]
        found[name] = pd.Series(numbers, dtype="str")
        if name == "start_point":
            own = lines["pipe_class"]
            found["pipe_class"] = own.fillna(pd.Series(np.append(classes, nobody)[at], dtype="str"))
    notes.append("The lines do not name their points; they were found by their place.")
    return lines.assign(**found)
