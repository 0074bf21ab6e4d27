"""The only way in: rows are renamed, read, checked and placed, then stored in one transaction with a report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from gis_core import audit, crs
from gis_core.access import Viewer, owned, require_write
from gis_core.database import Database
from gis_core.errors import Forbidden, Problem, Unprocessable
from gis_core.ingest import copying
from gis_core.ingest.batches import Batch, ahead
from gis_core.ingest.columns import Plan, match
from gis_core.ingest.copying import Run, Staging
from gis_core.ingest.foreign import BATCH, Foreign, open_foreign
from gis_core.ingest.intake import Intake, is_datum_column
from gis_core.ingest.placing import sample_points
from gis_core.ingest.report import Mode, Report, Rows, Source
from gis_core.records import Dataset
from gis_core.spec import Layer

SAME_PLACE_DEG: Final = 1e-5
"""Two systems that put a file's first rows nearer together than this (1 m) do not contradict each other."""

__all__ = ["Mode", "Report", "Source", "ingest_file", "ingest_frame"]


def ingest_frame(
    database: Database,
    layer: Layer,
    frame: gpd.GeoDataFrame,
    *,
    source: Source,
    mode: Mode = Mode.all_or_nothing,
    viewer: Viewer | None = None,
    dry_run: bool = False,
    connection: sa.Connection | None = None,
) -> Report:
    """Check and store rows that are in memory: a frame in EPSG:4326 whose columns are the layer's fields.

    Rows count from 1 in the frame's order, whatever its index. A row whose key stands already replaces that row; the
    columns that the frame does not have stay as they are. `viewer` None is the service itself. `connection` is a
    transaction of the caller's, in which rows are stored beside what else it does: the caller writes the audit trail,
    ends the transaction, and takes it back where nothing was stored.

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

    def batches() -> Iterator[Batch]:
        for start in range(0, len(frame), BATCH):
            part = frame.iloc[start : start + BATCH]
            found = {name: arrow_column(part.iloc[:, i]) for name, i in columns.items()}
            yield Batch(found, np.asarray(geometry[start : start + BATCH], object))

    return _store(database, intake, batches(), source, Mode(mode), dry_run=dry_run, within=connection)


def ingest_file(  # noqa: PLR0913  each is something that the giver of a file may have to say
    database: Database,
    layer: Layer,
    path: Path,
    *,
    source: Source | None = None,
    datum: str | None = None,
    mode: Mode = Mode.all_or_nothing,
    viewer: Viewer | None = None,
    facts: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    encoding: str | None = None,
    name: str | None = None,
    inner: str | None = None,
) -> Report:
    """Check and store the rows of a file: GeoJSON, zipped Shapefile, GeoPackage, CSV or GeoParquet.

    `datum` is what the giver declares its coordinates to be in (see `crs.ACCEPTED`); a file that does not say needs
    it. `facts` are the city's: rows must lie near its bounds, and times without an offset are its clock's. `name` is
    what the file is called by its giver, `encoding` and `inner` see `foreign.open_foreign`. Rows and viewers are as
    in `ingest_frame`.

    Raises:
        Forbidden: the viewer may not change the layer.
        BadInput, TooLarge: the file cannot be read, is unsafe, or is more than fits.
        Unprocessable: no datum, a datum that contradicts the file, or a required column that is missing.

    """
    _require(layer, viewer)
    name = name or path.name
    declared = crs.declare(datum) if datum else None
    with open_foreign(path, name=name, encoding=encoding, inner=inner) as foreign:
        plan = match(layer, foreign.columns)
        with closing(ahead(foreign.read(_wanted(plan, foreign)))) as batches:
            first = next(batches, None)
            known = _datum(foreign, declared, first)
            bounds = facts.get("bounds") if facts else None
            zone = str(facts.get("time_zone") or "UTC") if facts else "UTC"
            intake = Intake(layer, plan, known, viewer=viewer, bounds=tuple(bounds) if bounds else None, zone=zone)
            for note in foreign.notes:
                intake.tally.note(note)
            every = chain([first] if first is not None else [], batches)
            source = source or Source(name, datum=known.tag)
            return _store(database, intake, every, source, Mode(mode), dry_run=dry_run)


def _wanted(plan: Plan, foreign: Foreign) -> list[str]:
    """The columns worth reading, in the file's order."""
    used = set(plan.columns.values())
    return [c for c in foreign.columns if c in used or is_datum_column(c)]


def _datum(foreign: Foreign, declared: crs.Source | None, first: Batch | None) -> crs.Source:
    """What the coordinates are in, by the file and by its giver. Raises Unprocessable where neither or both say."""
    said = None
    if foreign.crs:
        try:
            said = crs.declare(foreign.crs)
        except crs.UnknownCrs:
            if declared is None:
                raise
    if declared is None:
        if said is None:
            problem = Problem(None, "datum", "is not known: the file does not say it, so it must be declared")
            raise Unprocessable(f"Declare the datum of the file: {crs.ACCEPTED}.", problems=[problem])
        return said
    if said is None or not foreign.stated or first is None or _agree(said, declared, first):
        return declared
    problem = Problem(None, "datum", f"declared as {declared.tag}, but the file says {said.tag}")
    raise Unprocessable(
        f"The file says that it is in {said.tag}, and {declared.tag} was declared. Declare what it is in, or take the "
        "wrong statement out of the file.",
        problems=[problem],
    )


def _agree(said: crs.Source, declared: crs.Source, first: Batch) -> bool:
    """Whether two systems put the first rows of a file in the same place."""
    if (said.plain and declared.plain) or (said.datum, said.crs) == (declared.datum, declared.crs):
        return True
    points = sample_points(first.geometries)
    (lon, lat), (other_lon, other_lat) = (crs.convert(points[:, 0], points[:, 1], s) for s in (said, declared))
    apart = np.maximum(np.abs(lon - other_lon), np.abs(lat - other_lat))
    return bool(len(apart) and (apart <= SAME_PLACE_DEG).all())


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


def _store(
    database: Database,
    intake: Intake,
    batches: Iterator[Batch],
    source: Source,
    mode: Mode,
    *,
    dry_run: bool,
    within: sa.Connection | None = None,
) -> Report:
    """Put the good rows into the city while they are read, and take all back when they are refused or only tried."""
    tally, viewer = intake.tally, intake.viewer
    strict = mode is Mode.all_or_nothing
    runs = (run for run in intake.runs(batches) if not (strict and tally.faulty))
    bound = viewer is not None and (viewer.owner is not None or viewer.area_wkb is not None)
    dataset_id, stored = None, 0
    if dry_run and not bound:
        deque(runs, maxlen=0)
        intake.finish()
    else:
        with database.writing() if within is None else nullcontext(within) as connection:
            copying.begin(connection, intake.layer)
            dataset_id = _open_dataset(connection, intake, source)
            constant = {"dataset_id": dataset_id, "simulated": source.simulated}
            packed = source.origin == "pack"
            # Filling keeps readers out until the transaction ends, which is the caller's to say.
            rebuild = not dry_run and within is None
            options = {"strict": strict, "packed": packed, "dry_run": dry_run, "rebuild": rebuild}
            stored = _put(connection, intake, runs, constant, **options)
            if stored:
                _close_dataset(connection, intake, dataset_id, stored)
                if within is None and viewer is not None:
                    detail = f"{stored} rows as data set {dataset_id}"
                    audit.record(connection, viewer, "ingest", intake.layer.name, detail=detail)
            else:
                dataset_id = None
                if within is None:
                    connection.rollback()
    return Report(
        layer=intake.layer.name,
        rows=intake.rows,
        accepted=intake.good,
        stored=stored,
        problems=tally.problems,
        counts=tally.counts,
        dataset_id=dataset_id,
        datum=intake.source.tag,
        notes=tuple(tally.notes),
        dry_run=dry_run,
    )


def _put(
    connection: sa.Connection,
    intake: Intake,
    runs: Iterator[Run],
    constant: dict[str, Any],
    *,
    strict: bool,
    packed: bool,
    dry_run: bool,
    rebuild: bool,
) -> int:
    """Copy the runs into the layer; returns how many rows stand there now, 0 if the transaction shall not count.

    `packed`: the rows are a city pack's, which takes nothing back that somebody gave. `rebuild`: an empty layer may be
    filled without its indexes.
    """
    layer, tally = intake.layer, intake.tally
    first = next(runs, None)
    if first is None:
        intake.finish()
        return 0
    runs = chain([first], runs)
    if rebuild and len(first.order) >= copying.WORTH_REBUILDING and copying.claim(connection, layer):
        filling = copying.Filling(connection, layer)
        filling.pour(runs, constant)
        bad = intake.finish()
        return 0 if strict and tally.faulty else filling.finish(bad, intake.cover())
    staging = copying.Staging.of(connection, layer, runs)
    staging.remove(intake.finish())
    copying.lock(connection, layer)
    others = _given_since(staging, intake) if packed else _of_others(staging, intake)
    intake.good -= len(others)
    staging.remove(others)
    if dry_run or (strict and tally.faulty):
        return 0
    return staging.publish(intake.updated, constant, intake.cover())


def _given_since(staging: Staging, intake: Intake) -> Rows:
    """Staged rows of a pack whose key stands in a row that somebody gave: theirs is the newer word."""
    given = staging.standing("t.dataset_id IN (SELECT id FROM dataset WHERE origin <> 'pack')")
    if len(given):
        intake.tally.note(f"{len(given)} rows stay as they were given by an upload.")
    return given


def _of_others(staging: Staging, intake: Intake) -> Rows:
    """Staged rows that would replace a row which the viewer may not change."""
    layer, viewer = intake.layer, intake.viewer
    found = [np.empty(0, np.int64)]
    if viewer is not None and viewer.owner is not None and (column := owned(layer)) is not None:
        theirs = staging.standing(f't."{column}" IS DISTINCT FROM :owner', owner=viewer.owner)
        intake.tally.add(theirs, layer.key, "is already the key of another owner's row")
        found.append(theirs)
    if viewer is not None and viewer.area_wkb is not None:
        outside = "NOT ST_Intersects(t.geom, ST_GeomFromWKB(:area, 4326))"
        away = staging.standing(outside, area=viewer.area_wkb)
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
    """Write down how many rows came, and let the planner know of them."""
    connection.execute(sa.update(Dataset).where(Dataset.id == dataset_id).values(stored=stored))
    copying.analyze(connection, intake.layer)
