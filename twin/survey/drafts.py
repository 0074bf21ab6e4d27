"""An examined survey as rows of the layers: what would stand in the city if it were published.

A point's code is `OWNER/number`, a segment's `OWNER/start-end`. Where a number is used in several classes, the code of
whoever stood first stays as it is and the others are told apart by their class: `OWNER/number@gas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import shapely

from gis_core import crs
from gis_core.spec import Layer
from twin.survey import words
from twin.survey.examination import Examination
from twin.survey.fields import LAYERS, Table
from twin.survey.standing import Shapes, Stand

ROW, START, END, FAMILY = "_row", "_start", "_end", "_family"
_OWN: Final = frozenset({"code", "owner"})
_MADE: Final = {
    Table.points: ("code", "point_no", "pipe_class", "kind", "owner"),
    Table.lines: (
        "code", "pipe_class", "start_point", "end_point", "diameter_mm", "start_depth_m", "end_depth_m",
        "start_level_m", "end_level_m", "depth_reference", "length_m", "owner",
    ),
}  # fmt: skip
_FROM_SIZE: Final = ("section", "width_mm", "height_mm")
_DIGITS_M: Final = 3


@dataclass(frozen=True)
class Draft:
    """Rows of one layer that a survey holds: fields that it knows, `_row` in the file, shapes in degrees.

    Rows without a number or a place are left out; they have errors of their own.
    """

    frame: pd.DataFrame
    shapes: Shapes

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.frame)

    @property
    def fields(self) -> list[str]:
        """The layer's fields that the survey speaks of."""
        return [name for name in self.frame.columns if not name.startswith("_")]

    def as_geo(self) -> gpd.GeoDataFrame:
        """The rows as ingest takes them."""
        return gpd.GeoDataFrame(self.frame[self.fields], geometry=self.shapes, crs=crs.LONLAT)

    def write(self, path: Path) -> None:
        """Keep the rows in a file."""
        frame = self.frame.assign(_geometry=shapely.to_wkb(self.shapes))
        frame.to_parquet(path, compression="zstd", index=False)

    @classmethod
    def read(cls, path: Path) -> Draft:
        """The rows that were kept."""
        frame = pd.read_parquet(path)
        shapes = np.asarray(shapely.from_wkb(frame.pop("_geometry").to_numpy(object)), object)
        return cls(frame, shapes)


Drafts = Mapping[Table, Draft]


def draft(found: Examination, layers: Mapping[str, Layer]) -> Drafts:
    """The rows of both layers, their codes still to be given by `coded`."""
    net, placed = found.net, found.net.placed
    points, lines = net.points, net.lines
    there = points["point_no"].notna().to_numpy() & np.isfinite(placed.lon) & np.isfinite(placed.lat)
    position = np.where(there, np.cumsum(there) - 1, -1)
    dots = np.asarray(shapely.points(placed.lon[there], placed.lat[there]), object)
    made = _columns(Table.points, found, layers)
    made["pipe_class"] = pd.Series(net.point_class, dtype="str")
    made["kind"] = points["kind"].fillna("other")
    first = _finished(made, points, there, found.owner)
    start, end = (np.append(position, -1)[ends] for ends in (net.start, net.end))
    tied = net.tied & (start >= 0) & (end >= 0)
    made = _columns(Table.lines, found, layers)
    made["pipe_class"] = pd.Series(net.line_class, dtype="str")
    for name, values in zip(("start_level_m", "end_level_m"), net.level, strict=True):
        made[name] = np.round(values, _DIGITS_M)
    stated = lines["length_m"].to_numpy(float)
    made["length_m"] = np.where(np.isnan(stated), np.round(net.length, _DIGITS_M), stated)
    for name in ("start_point", "end_point"):
        made[name] = lines[name]
    second = _finished(made, lines, tied, found.owner)
    second[START], second[END] = start[tied], end[tied]
    return {Table.points: Draft(first, dots), Table.lines: Draft(second, _drawn(found, tied))}


def _columns(table: Table, found: Examination, layers: Mapping[str, Layer]) -> dict[str, Any]:
    """The layer's fields that the file has a column for, and those that are made of others."""
    frame = found.net.points if table is Table.points else found.net.lines
    layer = layers[LAYERS[table]]
    said = set(found.net.columns[table]) | set(_MADE[table])
    if "size" in said:
        said.update(_FROM_SIZE)
    if frame["subclass"].notna().any():
        said.add("subclass")
    made: dict[str, Any] = {}
    for name in layer.fields:
        if name not in said or name in _OWN or name not in frame:
            continue
        column = frame[name]
        match layer.kind_of(name):
            case "integer":
                made[name] = column.round().astype("Int64")
            case "boolean":
                made[name] = column.astype("boolean")
            case "date":
                made[name] = pd.Series(pd.array(pa.array(column).cast(pa.date32()), dtype=pd.ArrowDtype(pa.date32())))
            case _:
                made[name] = column
    return made


def _finished(made: dict[str, Any], frame: pd.DataFrame, mask: npt.NDArray[np.bool_], owner: str) -> pd.DataFrame:
    rows = pd.DataFrame(made)[mask].reset_index(drop=True)
    rows.insert(0, "code", pd.Series(None, index=rows.index, dtype="str"))
    rows["owner"] = pd.Series(owner, index=rows.index, dtype="str")
    rows[ROW] = frame["row"].to_numpy()[mask]
    rows[FAMILY] = families(rows["pipe_class"])
    return rows


def families(classes: pd.Series) -> pd.Series:
    """The class within which a number may stand once; all drains are one."""
    return classes.where(~classes.isin(words.GRAVITY), "drains").fillna("").astype("str")


def _drawn(found: Examination, tied: npt.NDArray[np.bool_]) -> Shapes:
    """Lines in degrees: their own shapes where the file has some, else straight between their points."""
    net, placed = found.net, found.net.placed
    ends = [np.column_stack([placed.lon[at[tied]], placed.lat[at[tied]]]) for at in (net.start, net.end)]
    shapes = np.asarray(shapely.linestrings(np.stack(ends, axis=1)), object)
    if net.geometries is not None and placed.metric:
        own = net.geometries[tied]
        good = np.flatnonzero(shapely.get_type_id(own) == shapely.GeometryType.LINESTRING)
        shapes[good] = crs.to_lonlat(shapely.force_2d(own[good]), crs.declare(placed.metric))
    return shapes


def coded(drafts: Drafts, owner: str, stand: Stand) -> Drafts:
    """The drafts with codes: those that the same rows have in the city already, else new ones that nobody has."""
    standing = stand.tables[Table.points].frame
    points, lines = drafts[Table.points], drafts[Table.lines]
    known = dict(zip(standing["code"], families(standing["pipe_class"]), strict=True))
    plain = owner + "/" + points.frame["point_no"]
    codes = _codes(plain, points.frame[FAMILY], known)
    ends = [codes.to_numpy(object)[lines.frame[name].to_numpy()] for name in (START, END)]
    standing = stand.tables[Table.lines].frame
    known = dict(zip(standing["code"], families(standing["pipe_class"]), strict=True))
    begin, finish = (pd.Series(part, dtype="str") for part in ends)
    plain = begin + "-" + finish.str.removeprefix(f"{owner}/")
    numbered = _codes(plain, lines.frame[FAMILY], known)
    # Two pipes between the same points, as two circuits in one trench, are told apart by their order.
    again = numbered.groupby(numbered).cumcount()
    numbered = numbered.mask(again > 0, numbered + "#" + (again + 1).astype("str"))
    return {
        Table.points: Draft(points.frame.assign(code=codes), points.shapes),
        Table.lines: Draft(lines.frame.assign(code=numbered, start_point=begin, end_point=finish), lines.shapes),
    }


def _codes(plain: pd.Series, family: pd.Series, known: Mapping[str, str]) -> pd.Series:
    """The plain code where it is this family's already or nobody's, else the one with the family."""
    apart = plain + "@" + family
    theirs = plain.map(known)
    # Of several families in one survey, the first by name takes the plain code.
    first = family.groupby(plain).transform("min")
    taken = (theirs.notna() & (theirs != family)) | (theirs.isna() & (apart.isin(set(known)) | (first != family)))
    return plain.mask(taken, apart).astype("str")
