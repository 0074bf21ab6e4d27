"""The only way in: rows are renamed, read, checked and placed, then stored in one transaction with a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from gis_core import copying, crs
from gis_core.access import Viewer, owned, require_write
from gis_core.columns import match
from gis_core.database import Database
from gis_core.errors import Forbidden
from gis_core.intake import Intake
from gis_core.records import Audit, Dataset
from gis_core.report import Mode, Report, Rows, Source
from gis_core.spec import Layer

BATCH: Final = 65_536
"""Rows that are read and checked at a time."""

__all__ = ["Mode", "Report", "Source", "ingest_frame"]


def ingest_frame(
    database: Database,
    layer: Layer,
    frame: gpd.GeoDataFrame,
    *,
    source: Source,
    mode: Mode = Mode.all_or_nothing,
    viewer: Viewer | None = None,
    dry_run: bool = False,
) -> Report:
    """Check and store rows that are in memory: a frame in EPSG:4326 whose columns are the layer's fields.

    Rows count from 1 in the frame's order, whatever its index. A row whose key stands already replaces that row; the
    columns that the frame does not have stay as they are. `viewer` None is the service itself.

    Raises:
        Forbidden: the viewer may not change the layer.
        Unprocessable: a required column is missing.

    """
    _require(layer, viewer)
    geometry = frame.geometry.to_numpy()
    columns = {str(n): i for i, n in reversed(list(enumerate(frame.columns))) if n != frame.geometry.name}
    plan = match(layer, list(columns)[::-1])
    declared = crs.declare(frame.crs.to_wkt() if frame.crs is not None else crs.LONLAT)
    intake = Intake(layer, plan, declared, viewer=viewer)
    for start in range(0, len(frame), BATCH):
        part = frame.iloc[start : start + BATCH]
        batch = {name: arrow_column(part.iloc[:, i]) for name, i in columns.items()}
        intake.take(batch, np.asarray(geometry[start : start + BATCH], object))
    return _store(database, intake, source, Mode(mode), dry_run=dry_run)


def arrow_column(values: Any) -> pa.Array:
    """A pandas column as Arrow; one of mixed kinds as text."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, UnicodeError, OverflowError, TypeError, ValueError):
        said = [None if _is_nothing(v) else str(v).encode("utf-8", "surrogatepass") for v in values]
        return pa.array(said, pa.binary())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _is_nothing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124  NaN and NaT are not themselves


def _require(layer: Layer, viewer: Viewer | None) -> None:
    """Raise Forbidden unless the viewer may change rows; on an owned layer that takes an owner or staff."""
    if viewer is None:
        return
    require_write(layer, viewer)
    if owned(layer) is not None and viewer.owner is None and not viewer.may("staff"):
        raise Forbidden(f"role {viewer.role} may only change rows of an owner, and this token names none")


def _store(database: Database, intake: Intake, source: Source, mode: Mode, *, dry_run: bool) -> Report:
    """Settle what was taken in, and put it into the city unless it is refused or only tried."""
    arrivals = intake.arrivals()
    tally, viewer = intake.tally, intake.viewer
    accepted = arrivals.table.num_rows
    bound = viewer is not None and (viewer.owner is not None or viewer.area_wkb is not None)
    dataset_id, stored = None, 0
    if accepted and (bound if dry_run else not (tally.faulty and mode is Mode.all_or_nothing)):
        with database.writing() as connection:
            as_new = copying.claim(connection, intake.layer) and accepted >= copying.WORTH_REBUILDING
            others = np.empty(0, np.int64)
            if not as_new:
                copying.stage(connection, intake.layer, arrivals)
                others = _of_others(connection, intake)
                accepted -= len(others)
                copying.unstage(connection, others)
            if dry_run or not accepted or (tally.faulty and mode is Mode.all_or_nothing):
                connection.rollback()
            else:
                dataset_id = _open_dataset(connection, intake, source)
                constant = {"dataset_id": dataset_id, "simulated": source.simulated}
                arrivals = replace(arrivals, constant=constant)
                put = copying.fill if as_new else copying.publish
                stored = put(connection, intake.layer, arrivals)
                _close_dataset(connection, intake, dataset_id, stored)
    return Report(
        layer=intake.layer.name,
        rows=intake.rows,
        accepted=accepted,
        stored=stored,
        problems=tally.problems,
        counts=tally.counts,
        dataset_id=dataset_id,
        datum=intake.source.tag,
        notes=tuple(tally.notes),
        dry_run=dry_run,
    )


def _of_others(connection: sa.Connection, intake: Intake) -> Rows:
    """Staged rows that would replace a row which the viewer may not change."""
    layer, viewer = intake.layer, intake.viewer
    found = [np.empty(0, np.int64)]
    if viewer is not None and viewer.owner is not None and (column := owned(layer)) is not None:
        theirs = copying.standing(connection, layer, f't."{column}" IS DISTINCT FROM :owner', owner=viewer.owner)
        intake.tally.add(theirs, layer.key, "is already the key of another owner's row")
        found.append(theirs)
    if viewer is not None and viewer.area_wkb is not None:
        outside = "NOT ST_Intersects(t.geom, ST_GeomFromWKB(:area, 4326))"
        away = copying.standing(connection, layer, outside, area=viewer.area_wkb)
        intake.tally.add(away, layer.key, "is already the key of a row outside the area you may change")
        found.append(away)
    return np.unique(np.concatenate(found))


def _open_dataset(connection: sa.Connection, intake: Intake, source: Source) -> int:
    """Write down where the rows come from; returns the number that they carry."""
    said = {
        "layer": intake.layer.name,
        "title": source.title,
        "licence": source.licence,
        "attribution": source.attribution,
        "datum": source.datum or intake.source.tag,
        "simulated": source.simulated,
        "origin": source.origin,
    }
    return int(connection.execute(sa.insert(Dataset).values(said).returning(Dataset.id)).scalar_one())


def _close_dataset(connection: sa.Connection, intake: Intake, dataset_id: int, stored: int) -> None:
    """Write down how many rows came, and who brought them."""
    connection.execute(sa.update(Dataset).where(Dataset.id == dataset_id).values(stored=stored))
    copying.analyze(connection, intake.layer)
    if (viewer := intake.viewer) is not None:
        detail = f"{stored} rows as data set {dataset_id}"
        said = {"who": viewer.name, "role": str(viewer.role), "action": "ingest", "allowed": True, "detail": detail}
        connection.execute(sa.insert(Audit).values(target=intake.layer.name, **said))
