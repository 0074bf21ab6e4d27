"""What publishing a survey would change: rows added, removed, moved and changed, against those that stand.

Compared are the owner's rows of the survey's classes, and within its extent where that is its scope. A row has moved
where it lies farther from its place than the survey is accurate; it has changed where a field that the survey speaks
of says something else. What a survey has no column for is not compared, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis_core.spec import Layer
from twin.survey.drafts import Draft, Drafts
from twin.survey.fields import LAYERS, Table
from twin.survey.standing import Shapes, Stand, Standing

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Scope(StrEnum):
    """Which standing rows a survey speaks for, so that those which it does not hold are removed.

    `extent`: those of its classes that lie within its outline, which is what a survey of some streets means;
    `classes`: all of its classes; `owner`: all that the owner has.
    """

    extent = "extent"
    classes = "classes"
    owner = "owner"


ACCURACY_M: Final = 0.1
"""How far a point may lie off where the survey does not say how accurate it is: twice the error of a plan position
that CJJ 61-2017 allows for points that can be seen (0.05 m)."""
_SAME: Final = 5e-4
"""Numbers nearer than this are the same: surveys are written to the millimetre."""
_AROUND_M: Final = 1.0
_METRES_PER_DEGREE: Final = 111_195.0
_ACCURACIES: Final = {Table.points: "position_rmse_m", Table.lines: "accuracy_m"}
_DRAWN: Final = 20_000
_DIGITS: Final = 8


@dataclass(frozen=True)
class Change:
    """One table's changes, as positions: `added` in the draft, `removed` in what stands, and pairs of both.

    `fields` says for each pair of `changed` (and `moved`) which fields differ, as a mask by field; `apart_m` how far
    the pairs of `moved` lie from each other.
    """

    table: Table
    draft: Draft
    standing: Standing
    added: npt.NDArray[np.int64]
    removed: npt.NDArray[np.int64]
    old: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]
    apart_m: Floats
    moved: Mask
    fields: Mapping[str, Mask]

    @property
    def changed(self) -> Mask:
        """Pairs that lie where they lay and say something else."""
        differs = np.zeros(len(self.old), bool)
        for mask in self.fields.values():
            differs |= mask
        return differs & ~self.moved

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {
            "added": len(self.added), "removed": len(self.removed),
            "moved": int(self.moved.sum()), "changed": int(self.changed.sum()),
        }  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """What publishing would change in both tables."""

    changes: Mapping[Table, Change]
    scope: Scope

    def counts(self) -> dict[str, Any]:
        """Numbers of both tables together, and of each."""
        parts = {str(table): change.counts() for table, change in self.changes.items()}
        names = ("added", "removed", "moved", "changed")
        total = {name: sum(part[name] for part in parts.values()) for name in names}
        fields = {
            str(table): {name: int(mask.sum()) for name, mask in change.fields.items() if mask.any()}
            for table, change in self.changes.items()
        }
        return {**total, **parts, "fields": fields, "scope": str(self.scope)}

    def geojson(self, layers: Mapping[str, Layer], most: int = _DRAWN) -> dict[str, Any]:
        """Every change as a GeoJSON feature, longitude first; a removed row where it stood, all others where they lie.

        `fields` names what differs, `changes` says it before and after.
        """
        features: list[dict[str, Any]] = []
        total = 0
        for change in self.changes.values():
            found = _Told(change, layers[LAYERS[change.table]])
            parts = (
                ("removed", change.removed), ("added", change.added),
                ("moved", np.flatnonzero(change.moved)), ("changed", np.flatnonzero(change.changed)),
            )  # fmt: skip
            for kind, rows in parts:
                total += len(rows)
                features += found.features(kind, rows[: max(0, most - len(features))])
        return {"type": "FeatureCollection", "features": features, "total": total}


def compare(drafts: Drafts, stand: Stand, scope: Scope = Scope.extent) -> Difference:
    """Compare drafts that have their codes with what stands of the same owner."""
    inside = _in_scope(drafts, stand, scope)
    changes = {table: _change(table, drafts[table], stand.tables[table], inside[table]) for table in Table}
    # A point at which a pipe stays stays too, or the pipe would end nowhere.
    points, lines = changes[Table.points], changes[Table.lines]
    staying = np.ones(len(lines.standing), bool)
    staying[lines.removed] = staying[lines.old] = False
    frame = lines.standing.frame[staying]
    held = set(frame["start_point"].dropna()) | set(frame["end_point"].dropna())
    codes = points.standing.frame["code"].to_numpy(object)[points.removed]
    loose = ~pd.Index(codes, dtype=object).isin(list(held))
    changes[Table.points] = Change(**{**vars(points), "removed": points.removed[loose]})
    return Difference(changes, scope)


def _in_scope(drafts: Drafts, stand: Stand, scope: Scope) -> dict[Table, Mask]:
    """Which standing rows the survey speaks for."""
    if scope is Scope.owner:
        return {t: np.ones(len(stand.tables[t]), bool) for t in Table}
    classes = set(drafts[Table.points].frame["pipe_class"].dropna()) | set(
        drafts[Table.lines].frame["pipe_class"].dropna()
    )
    inside = {t: stand.tables[t].frame["pipe_class"].isin(list(classes)).to_numpy(copy=True) for t in Table}
    if scope is Scope.classes:
        return inside
    outline = extent(drafts)
    for table, mask in inside.items():
        rows = np.flatnonzero(mask)
        covered = shapely.covers(outline, stand.tables[table].shapes[rows])
        mask[rows] = covered
    return inside


def extent(drafts: Drafts) -> shapely.Geometry:
    """The outline of a survey in degrees: the convex hull of its points, a metre wider."""
    shapes = drafts[Table.points].shapes
    if not len(shapes):
        return shapely.Polygon()
    hull: Any = shapely.convex_hull(shapely.multipoints(shapes))
    outline: shapely.Geometry = shapely.buffer(hull, _AROUND_M / _METRES_PER_DEGREE)
    shapely.prepare(outline)
    return outline


def _change(table: Table, draft: Draft, standing: Standing, inside: Mask) -> Change:
    codes = pd.Index(standing.frame["code"])
    at = codes.get_indexer(pd.Index(draft.frame["code"]))
    added = np.flatnonzero(at < 0)
    new = np.flatnonzero(at >= 0)
    old = at[new].astype(np.int64)
    met = np.zeros(len(standing), bool)
    met[old] = True
    removed = np.flatnonzero(inside & ~met)
    apart = _apart_m(draft.shapes[new], standing.shapes[old])
    name = _ACCURACIES[table]
    accuracy = draft.frame[name].to_numpy(float)[new] if name in draft.frame else np.full(len(new), np.nan)
    allowed = np.where(np.isnan(accuracy), ACCURACY_M, accuracy)
    fields = {
        field: _differs(draft.frame[field].iloc[new], standing.frame[field].iloc[old])
        for field in draft.fields
        if field not in {"code", "owner"} and field in standing.frame
    }
    return Change(table, draft, standing, added, removed, old, new, apart, apart > allowed, fields)


def _apart_m(new: Shapes, old: Shapes) -> Floats:
    """How far shapes lie from each other at most (Hausdorff), in metres of a plane that fits them to 0.5 %."""
    apart = np.zeros(len(new))
    differ = np.flatnonzero(~shapely.equals_exact(new, old))
    if not len(differ):
        return apart
    middle = float(np.median(shapely.get_coordinates(new[differ])[:, 1]))
    scale = np.array([np.cos(np.radians(middle)) * _METRES_PER_DEGREE, _METRES_PER_DEGREE])
    a, b = (shapely.transform(part[differ], lambda xy: xy * scale) for part in (new, old))
    apart[differ] = shapely.hausdorff_distance(a, b)
    return apart


def _differs(new: pd.Series, old: pd.Series) -> Mask:
    """Where two columns say something else; nothing and nothing is the same."""
    none_new, none_old = new.isna().to_numpy(bool), old.isna().to_numpy(bool)
    if pd.api.types.is_float_dtype(new.dtype):
        with np.errstate(invalid="ignore"):
            other = np.abs(new.to_numpy(float) - old.to_numpy(float, na_value=np.nan)) > _SAME
    else:
        a, b = (part.astype(object).to_numpy(object) for part in (new, old))
        both = ~none_new & ~none_old
        other = np.zeros(len(a), bool)
        other[both] = a[both] != b[both]
    found: Mask = (none_new != none_old) | (other & ~none_new & ~none_old)
    return found


class _Told:
    """Changes of one table as the browser gets them."""

    def __init__(self, change: Change, layer: Layer) -> None:
        self._change, self._layer = change, layer

    def features(self, kind: str, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """Those of one kind."""
        change = self._change
        paired = kind in {"moved", "changed"}
        side = change.standing if kind == "removed" else change.draft
        at = change.new[rows] if paired else rows
        drawn = _geometries(side.shapes[at])
        codes, classes = (side.frame[name].iloc[at].tolist() for name in ("code", "pipe_class"))
        found = []
        for i, (row, geometry) in enumerate(zip(rows.tolist(), drawn, strict=True)):
            told: dict[str, Any] = {
                "change": kind, "table": str(change.table), "code": codes[i], "pipe_class": classes[i],
            }  # fmt: skip
            if kind != "removed":
                told["row"] = int(change.draft.frame["_row"].iloc[at[i]])
            if paired:
                told["changes"] = self._fields(row)
                told["fields"] = [change["field"] for change in told["changes"]]
            if kind == "moved":
                told["moved_m"] = round(float(change.apart_m[row]), 3)
            found.append({"type": "Feature", "geometry": geometry, "properties": told})
        return found

    def _fields(self, pair: int) -> list[dict[str, Any]]:
        old, new = self._change.old[pair], self._change.new[pair]
        told = []
        for name, mask in self._change.fields.items():
            if mask[pair]:
                label = self._layer.fields[name].label
                before, after = (
                    _plain(side.frame[name].iloc[at])
                    for side, at in ((self._change.standing, old), (self._change.draft, new))
                )
                told.append({"field": name, "zh": label.zh, "en": label.en, "before": before, "after": after})
        return told


def _geometries(shapes: Shapes) -> list[dict[str, Any]]:
    found = []
    for shape in shapes:
        xy = np.round(shapely.get_coordinates(shape), _DIGITS).tolist()
        point = shapely.get_type_id(shape) == shapely.GeometryType.POINT
        found.append({"type": "Point" if point else "LineString", "coordinates": xy[0] if point else xy})
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    return round(float(value), 6) if isinstance(value, (float, np.floating)) else str(value)
