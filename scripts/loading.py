"""A city pack becomes a city: every piece goes through the same `ingest` as an upload, with a progress bar."""

from __future__ import annotations

import hashlib
import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from tqdm import tqdm

import layers
from gis_core.access import Role, Viewer
from gis_core.errors import CityError, Conflict
from gis_core.records import City, Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.packs import Pack, Piece
    from gis_core.database import Database
    from gis_core.settings import Settings
    from gis_core.spec import Layer

LOADER = Viewer(Role.operator, name="city pack")
log = logging.getLogger(__name__)


def facts_of(database: Database) -> Mapping[str, Any] | None:
    """What is known of the city that this database holds; None before the first load has finished."""
    with database.writing() as connection:
        return connection.execute(sa.select(City.facts)).scalar_one_or_none()


def is_loaded(database: Database, pack: Pack, settings: Settings) -> bool:
    """Whether this very pack, with these very files, is what the database holds."""
    with database.writing() as connection:
        held = connection.execute(sa.select(City.fingerprint)).scalar_one_or_none()
    return held == fingerprint(pack, settings)


def require_own(database: Database, name: str) -> None:
    """Raise `Conflict` if the database holds another city, whose rows must not give way to this one's."""
    with database.writing() as connection:
        held = connection.execute(sa.select(City.name)).scalars().all()
    if others := [other for other in held if other != name]:
        raise Conflict(
            f"this database holds the city {', '.join(others)}, not {name}: say --city {others[0]}, or give {name} a "
            "database of its own (DATABASE_URL)"
        )


def fingerprint(pack: Pack, settings: Settings) -> str:
    """A digest of what a load would read: the product's version, the pack's facts, the user's files (size and time)."""
    digest = hashlib.sha256(repr((version("chengtu"), pack.facts.as_json(), pack.steps)).encode())
    given = [settings.osm] if settings.osm else []
    for folder in (settings.data, Path(settings.city) if settings.city else None):
        if folder is not None and folder.is_dir():
            given += sorted(p for p in folder.rglob("*") if p.is_file())
    for path in given:
        stat = path.stat()
        digest.update(repr((str(path.resolve()), stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()


def load(database: Database, pack: Pack, settings: Settings) -> None:
    """Load every piece of the pack, replacing what an earlier load of a pack left; uploads stay.

    A piece whose rows have problems loads its good rows and says how many were left out. The city counts as loaded
    only when all is in, so a load that was cut off starts again.
    """
    known = layers.load()
    _forget(database, known)
    facts = pack.facts.as_json()
    with tqdm(total=pack.steps, desc=f"loading {facts['name']}", unit="layer", dynamic_ncols=True) as bar:
        for piece in pack.pieces():
            bar.set_postfix_str(f"{piece.layer}: {piece.rows:,} rows" if piece.rows is not None else piece.layer)
            _store(database, known[piece.layer], piece, facts)
            bar.update()
    for missing in pack.missing:
        log.warning("%s", missing)
    facts["missing"] = list(pack.missing)
    with database.writing() as connection:
        connection.execute(
            sa.insert(City).values(name=facts["name"], facts=facts, fingerprint=fingerprint(pack, settings))
        )


def _store(database: Database, layer: Layer, piece: Piece, facts: Mapping[str, Any]) -> None:
    # Only a load needs geopandas and GDAL; a second start must not wait for their import.
    from gis_core.ingest import Mode, Source, ingest_file, ingest_frame  # noqa: PLC0415

    source = Source(
        title=piece.title,
        licence=piece.licence,
        attribution=piece.attribution,
        datum=piece.datum or "",
        simulated=piece.simulated,
        origin="pack",
    )
    if piece.file is None:
        report = ingest_frame(database, layer, piece.frame, source=source, mode=Mode.good_rows)
    else:
        report = ingest_file(
            database,
            layer,
            piece.file,
            source=source,
            datum=piece.datum,
            mode=Mode.good_rows,
            viewer=LOADER,
            facts=facts,
        )
    errors = [p for p in report.problems if p.severity == "error"]
    if errors:
        first = errors[0]
        log.warning(
            "%s (%s): %d of %d rows left out; the first: row %s, %s: %s",
            layer.name, piece.title, report.rows - report.stored, report.rows, first.row, first.field, first.why,
        )  # fmt: skip
    if errors and not report.stored:
        msg = f"{layer.name} ({piece.title}): not one of {report.rows} rows could be stored"
        raise CityError(msg, problems=report.problems[:20])


def _forget(database: Database, known: Mapping[str, Layer]) -> None:
    """Remove what an earlier load of a pack put in, the city's facts first."""
    with database.writing() as connection:
        connection.execute(sa.delete(City))
        packed = connection.execute(
            sa.select(Dataset.layer, sa.func.array_agg(Dataset.id))
            .where(Dataset.origin == "pack")
            .group_by(Dataset.layer)
        ).all()
        for name, ids in packed:
            if name in known:
                model = known[name].model
                connection.execute(sa.delete(model).where(model.dataset_id.in_(ids)))
        connection.execute(sa.delete(Dataset).where(Dataset.origin == "pack"))
