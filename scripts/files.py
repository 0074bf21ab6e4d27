"""Files in and out from the command line, by the same paths as uploads and downloads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import layers
from gis_core.access import Role, Viewer
from gis_core.crs.uris import CRS84, find
from gis_core.errors import BadInput, NotFound
from gis_core.export import LIMIT_S, Format, export
from gis_core.ingest import Mode, Report, Source, ingest_file
from gis_core.queries import Query
from gis_core.spec import Layer
from scripts.opening import OpenCity

OPERATOR = Viewer(Role.operator, name="command line")


def store(
    city: OpenCity,
    layer: str,
    file: Path,
    *,
    datum: str | None,
    mode: str,
    dry_run: bool,
    title: str | None,
    licence: str,
) -> Report:
    """Ingest a file into a layer as an operator."""
    source = Source(title=title or file.name, licence=licence)
    return ingest_file(
        city.database,
        _layer(layer),
        file,
        source=source,
        datum=datum,
        mode=Mode(mode),
        viewer=OPERATOR,
        facts=city.facts,
        dry_run=dry_run,
    )


def write(city: OpenCity, layer: str, file: Path) -> int:
    """Write a layer to a file as an operator sees it; returns how many features."""
    kind = next((k for k in Format if k.suffix == file.suffix), None)
    if kind is None:
        raise BadInput(f"{file.name}: the ending must be one of {', '.join(k.suffix for k in Format)}")
    if file.is_dir() or not file.parent.is_dir():
        raise BadInput(f"{file} cannot be written: {'it is a folder' if file.is_dir() else 'its folder is not there'}")
    with tempfile.TemporaryDirectory() as folder, city.database.reading(OPERATOR, limit_s=LIMIT_S) as connection:
        made = export(connection, _layer(layer), OPERATOR, Query(find(CRS84, None)), kind, Path(folder))
        try:
            shutil.move(made.path, file)
        except OSError as error:
            raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    return made.rows


def _layer(name: str) -> Layer:
    known = layers.load()
    if name not in known:
        raise NotFound(f"there is no layer {name!r}; the layers are {', '.join(known)}")
    return known[name]
