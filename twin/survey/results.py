"""What an examination leaves behind in the folder of its survey, and how it is read again, a page at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from twin.survey.drafts import Draft, Drafts
from twin.survey.examination import Issue
from twin.survey.fields import Table

_SCHEMA: Final = pa.schema(
    [
        ("n", pa.int32()), ("rule", pa.string()), ("severity", pa.string()), ("table", pa.string()),
        ("row", pa.int32()), ("field", pa.string()), ("zh", pa.string()), ("en", pa.string()),
        ("lon", pa.float64()), ("lat", pa.float64()),
    ]
)  # fmt: skip
_PROBLEMS: Final = "problems.parquet"
_DRAWN: Final = 20_000
_DIGITS: Final = 8


class Results:
    """The folder of one round of one survey."""

    def __init__(self, folder: Path) -> None:
        """Look at this folder, which may still be empty."""
        self.folder = folder

    @classmethod
    def of(cls, survey: Path, number: int) -> Results:
        """Those of a round in a survey's folder."""
        return cls(survey / f"round-{number}")

    def begin(self) -> None:
        """Make the folder, without what an interrupted examination left in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)

    def write(self, issues: Iterable[Issue], drafts: Drafts) -> None:
        """Keep the problems and the rows."""
        columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
        for number, issue in enumerate(issues, 1):
            columns["n"].append(number)
            for name in _SCHEMA.names[1:]:
                columns[name].append(getattr(issue, name))
        pq.write_table(pa.table(columns, schema=_SCHEMA), self.folder / _PROBLEMS, compression="zstd")
        for table, rows in drafts.items():
            rows.write(self.folder / f"{table}.parquet")

    def drafts(self) -> Drafts:
        """The rows."""
        return {table: Draft.read(self.folder / f"{table}.parquet") for table in Table}

    def problems(self, rule: str | None, severity: str | None, after: int, limit: int) -> dict[str, Any]:
        """A page of problems after a number, and the number after which the next page begins (None: there is none)."""
        rows = self._chosen(rule, severity)
        rows = rows.filter(pc.greater(rows.column("n"), after))
        page = rows.slice(0, limit)
        told = [_problem(row) for row in page.to_pylist()]
        return {"problems": told, "total": rows.num_rows, "next": told[-1]["n"] if rows.num_rows > limit else None}

    def problems_geojson(self, rule: str | None, severity: str | None) -> dict[str, Any]:
        """Problems that have a place, as GeoJSON points."""
        rows = self._chosen(rule, severity)
        rows = rows.filter(pc.is_valid(rows.column("lon")))
        features = [
            {
                "type": "Feature",
                "id": row["n"],
                "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
                "properties": {key: value for key, value in _problem(row).items() if key not in {"lon", "lat"}},
            }
            for row in rows.slice(0, _DRAWN).to_pylist()
        ]
        return {"type": "FeatureCollection", "features": features, "total": rows.num_rows}

    def features(self, limit: int) -> dict[str, Any]:
        """Lines and points as GeoJSON for a preview; where there are more than the limit, evenly chosen ones."""
        features: list[dict[str, Any]] = []
        total = 0
        drafts = self.drafts()
        for table in (Table.lines, Table.points):
            rows = drafts[table]
            total += len(rows)
            chosen = np.unique(np.linspace(0, len(rows) - 1, min(limit, len(rows))).astype(np.int64))
            features += _features(table, rows, chosen)
        return {"type": "FeatureCollection", "features": features, "total": total}

    def _chosen(self, rule: str | None, severity: str | None) -> pa.Table:
        rows = pq.read_table(self.folder / _PROBLEMS)
        for name, value in (("rule", rule), ("severity", severity)):
            if value is not None:
                rows = rows.filter(pc.equal(rows.column(name), value))
        return rows


def bounds(drafts: Drafts) -> list[float] | None:
    """West, south, east, north of the points in degrees."""
    shapes = drafts[Table.points].shapes
    return [round(value, _DIGITS) for value in shapely.total_bounds(shapes).tolist()] if len(shapes) else None


def _problem(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("n", "rule", "severity", "table", "row", "field", "lon", "lat")}
    return {**told, "message": {"zh": row["zh"], "en": row["en"]}}


def _features(table: Table, rows: Draft, chosen: Any) -> list[dict[str, Any]]:
    point = table is Table.points
    names = ("point_no", "pipe_class", "kind") if point else ("start_point", "end_point", "pipe_class", "diameter_mm")
    frame = rows.frame.iloc[chosen]
    said = frame[[name for name in (*names, "_row") if name in frame]].rename(columns={"_row": "row"})
    said = said.astype(object).where(said.notna(), None)
    found = []
    for properties, shape in zip(said.to_dict("records"), rows.shapes[chosen], strict=True):
        xy = np.round(shapely.get_coordinates(shape), _DIGITS).tolist()
        geometry = {"type": "Point" if point else "LineString", "coordinates": xy[0] if point else xy}
        told = {"table": str(table), **{str(key): _plain(value) for key, value in properties.items()}}
        found.append({"type": "Feature", "geometry": geometry, "properties": told})
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
