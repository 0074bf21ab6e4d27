"""Foreign map files read in record batches, whatever their format: columns by name, geometry as WKB.

GDAL (through pyogrio) and pyarrow's Parquet reader stand behind this one file. A file reaches only the driver of the
kind that its content showed, as a plain path in a folder of ours; nothing in it can make GDAL ask another host.
"""

from __future__ import annotations

import codecs
import json
import mmap
import re
import shutil
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyogrio

from gis_core.errors import TooLarge, Unprocessable
from gis_core.ingest import dbase, tabular
from gis_core.ingest.batches import Batch
from gis_core.ingest.unpacking import LARGEST_UNPACKED, Kind, Unreadable, beside, opened, sniff

BATCH: Final = 65_536
"""Rows that are read at a time."""
_LARGEST_BATCH: Final = 512 * 2**20
_LONGEST_CRS: Final = 20_000
_GDAL: Final = {
    "SHAPE_RESTORE_SHX": "YES",
    "OGR_GEOJSON_MAX_OBJ_SIZE": "64",
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "OGR_SQLITE_LOAD_EXTENSIONS": "",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GDAL_HTTP_CONNECTTIMEOUT": "1",
}
# A key may be spelt with escapes; an object under it may tell GDAL to fetch a definition from a URL.
_CRS_KEY: Final = re.compile(rb'"(?:c|\\u0063)(?:r|\\u0072)(?:s|\\u0073)"\s*:\s*\{')
_BROKEN: Final = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError,
    pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, pyogrio.errors.CRSError,
    pa.ArrowException, OSError, UnicodeError, ValueError, RuntimeError, RecursionError, struct.error, IndexError,
)  # fmt: skip

Read = Callable[[Sequence[str]], Iterator[Batch]]


@dataclass(frozen=True)
class Foreign:
    """A file that is open: what it is, its columns, what it says its coordinates are in, and how to read its rows.

    `crs` is None when the file does not say. `stated` is False where only the format's standard says so, as for
    GeoJSON without `crs`: then a declared datum counts for more. `read` takes the names of the columns wanted.
    """

    kind: Kind
    columns: tuple[str, ...]
    crs: str | None
    stated: bool
    read: Read
    notes: tuple[str, ...] = ()


@contextmanager
def open_foreign(
    path: Path, *, name: str | None = None, encoding: str | None = None, inner: str | None = None
) -> Iterator[Foreign]:
    """Open a file for reading; what had to be unpacked or copied for it is gone afterwards.

    `name` is what its giver calls it, `encoding` that of text in it where the file does not say, `inner` the layer
    of a GeoPackage that has several.

    Raises:
        Unreadable, UnsafeArchive, TooLarge: see `unpacking.opened`.
        Unprocessable: it has no geometry, or several layers and none was named.

    """
    _set_up_gdal()
    if encoding is not None:
        encoding = tabular.checked_encoding(encoding)
    with opened(path, name) as (kind, place), TemporaryDirectory(prefix="chengtu-in-") as folder:
        with _said(place):
            foreign = _open(kind, place, Path(folder), encoding, inner)

        def read(columns: Sequence[str]) -> Iterator[Batch]:
            with _said(place):
                yield from foreign.read(columns)

        yield replace(foreign, read=read)


@contextmanager
def open_table(path: Path, encoding: str | None = None) -> Iterator[Foreign]:
    """Open a dBASE table that has no geometry. Raises Unreadable."""
    _set_up_gdal()
    notes: list[str] = []
    with TemporaryDirectory(prefix="chengtu-in-") as folder, _said(path):
        copy = Path(folder) / "data.dbf"
        shutil.copyfile(path, copy)
        given = tabular.checked_encoding(encoding) if encoding is not None else None
        named = dbase.encoding(copy, path.with_suffix(".cpg"), given, notes)
        dbase.mend_names(copy, named)
        yield _gdal(Kind.shapefile, str(copy), encoding=named.upper(), notes=tuple(notes), bare=True)


def layers_of(path: Path) -> list[str]:
    """The names of the layers of a GeoPackage that have geometry. Raises Unreadable."""
    _set_up_gdal()
    with path.open("rb") as file:
        if sniff(file) is not Kind.geopackage:
            raise Unreadable("The file is called *.gpkg, but its content is none.")
    with _said(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]


def _open(kind: Kind, path: Path, folder: Path, encoding: str | None, inner: str | None) -> Foreign:
    match kind:
        case Kind.geojson | Kind.lines:
            return _geojson(kind, path, folder, encoding)
        case Kind.shapefile:
            return _shapefile(beside(path, folder), encoding)
        case Kind.geopackage:
            return _gdal(kind, str(path), _layer_of(path, inner))
        case Kind.parquet:
            return _parquet(path)
        case _:
            text = tabular.inspect(path, encoding)
            return Foreign(kind, text.attributes, None, stated=False, read=lambda _: text.batches(BATCH))


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """What libraries cannot read, in one sentence without our own paths."""
    try:
        yield
    except _BROKEN as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = re.sub(r"(?<!\w)/[\w./~-]+", path.name, first)
        raise Unreadable(f"The file cannot be read: {what[:300]}") from error


@lru_cache(maxsize=1)
def _set_up_gdal() -> None:
    pyogrio.set_gdal_config_options(_GDAL)


def _gdal(
    kind: Kind,
    address: str,
    layer: str | None = None,
    *,
    crs: str | None = None,
    stated: bool | None = None,
    encoding: str | None = None,
    notes: tuple[str, ...] = (),
    bare: bool = False,
) -> Foreign:
    """A file that one of GDAL's drivers reads; `bare` is one without geometry."""

    def read(columns: Sequence[str]) -> Iterator[Batch]:
        with _reader(address, layer, encoding, list(columns)) as (meta, reader):
            geometry = meta["geometry_name"] or "wkb_geometry"
            if geometry not in reader.schema.names and not bare:
                raise Unprocessable("The file has no geometry.")
            for batch in reader:
                parts = dict(zip(batch.schema.names, batch.columns, strict=True))
                wkb = pa.nulls(batch.num_rows, pa.binary()) if bare else parts.pop(geometry)
                yield Batch(parts, wkb.storage if isinstance(wkb, pa.ExtensionArray) else wkb)

    with _reader(address, layer, encoding, None) as (meta, _):
        own = meta["crs"]
        columns = tuple(str(field) for field in meta["fields"])
    said = own if crs is None and stated is None else crs
    return Foreign(kind, columns, said, said is not None if stated is None else stated, read, notes)


@contextmanager
def _reader(address: str, layer: str | None, encoding: str | None, columns: list[str] | None) -> Iterator[Any]:
    context = pyogrio.open_arrow(
        address, layer=layer, encoding=encoding, columns=columns, batch_size=BATCH, use_pyarrow=True
    )
    with ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opening = stack.enter_context(context)
        yield opening


def _geojson(kind: Kind, path: Path, folder: Path, encoding: str | None) -> Foreign:
    """GeoJSON under a plain name, in UTF-8, after a look at the systems it names."""
    plain = folder / "data.json"
    if encoding in {None, "utf-8"} and tabular.is_text(tabular.read_chunks(path), "utf-8"):
        shutil.copyfile(path, plain) if path.is_symlink() else plain.symlink_to(path.resolve())
    else:
        _transcode(path, plain, encoding or "gb18030")
    named = _crs_members(plain)
    if len(named) > 1:
        raise Unprocessable(f"The file mixes coordinate systems: {', '.join(sorted(named)[:5])}.")
    driver = "GeoJSON" if kind is Kind.geojson else "GeoJSONSeq"
    crs = next(iter(named), "OGC:CRS84")
    return _gdal(kind, f"{driver}:{plain}", crs=crs, stated=bool(named))


def _crs_members(path: Path) -> set[str]:
    """The coordinate systems that a GeoJSON file names, wherever in it. Raises Unreadable for one to be fetched."""
    found: set[str] = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for match in _CRS_KEY.finditer(text):
            start = match.end() - 1
            member = _first_object(text[start : start + _LONGEST_CRS].decode("utf-8", "replace"))
            properties = member.get("properties")
            name = properties.get("name") if isinstance(properties, dict) else None
            code = properties.get("code") if isinstance(properties, dict) else None
            if member.get("type") == "name" and isinstance(name, str):
                found.add(name)
            elif member.get("type") == "EPSG" and isinstance(code, int | str):
                found.add(f"EPSG:{code}")
            elif "type" in member:
                raise Unreadable("The file's `crs` is not a name; give the datum instead of a link.")
    return found


def _first_object(text: str) -> dict[str, Any]:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("The file's `crs` cannot be read.") from error
    return value if isinstance(value, dict) else {}


def _transcode(path: Path, target: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    with target.open("w", encoding="utf-8") as file:
        for chunk in tabular.read_chunks(path):
            file.write(decoder.decode(chunk))
        file.write(decoder.decode(b"", final=True))


def _shapefile(path: Path, given: str | None) -> Foreign:
    """A shapefile whose table is in the encoding that was given, that its .cpg names, or that its bytes show."""
    notes: list[str] = []
    encoding = given
    if path.with_suffix(".dbf").exists():
        encoding = dbase.encoding(path.with_suffix(".dbf"), path.with_suffix(".cpg"), given, notes)
        dbase.mend_names(path.with_suffix(".dbf"), encoding)
    projection = path.with_suffix(".prj")
    if projection.exists() and projection.stat().st_size > _LONGEST_CRS:
        raise Unreadable("The .prj file is too long.")
    return _gdal(Kind.shapefile, str(path), encoding=(encoding or "utf-8").upper(), notes=tuple(notes))


def _layer_of(path: Path, inner: str | None) -> str:
    """The spatial layer of a GeoPackage: the one that is named, or the only one."""
    found = layers_of(path)
    if inner is not None and inner in found:
        return inner
    if inner is not None or len(found) != 1:
        listed = ", ".join(found[:20]) or "none"
        what = f"has no layer {inner!r}" if inner is not None else f"has {len(found)} layers with geometry; name one"
        raise Unprocessable(f"The GeoPackage {what}. Its layers are: {listed}.")
    return found[0]


def _parquet(path: Path) -> Foreign:
    """A GeoParquet file with WKB geometry. Text is read in dictionaries, so that repeated values cost nothing."""
    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if size > LARGEST_UNPACKED:
        raise TooLarge(f"The file unpacks to more than {LARGEST_UNPACKED:,} bytes.")
    said = (schema.metadata or {}).get(b"geo")
    if said is None:
        raise Unprocessable("The Parquet file has no geometry: its `geo` metadata are missing.")
    geo = _first_object(said.decode("utf-8", "replace"))
    primary = geo.get("primary_column")
    columns = geo.get("columns")
    entry = columns.get(primary) if isinstance(columns, dict) else None
    if not isinstance(entry, dict) or primary not in schema.names or entry.get("encoding") != "WKB":
        raise Unprocessable("The Parquet file's `geo` metadata name no geometry column in WKB.")
    crs = entry.get("crs", "OGC:CRS84")
    texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_binary(f.type)]

    def read(wanted: Sequence[str]) -> Iterator[Batch]:
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=[*wanted, primary]):
                parts = {n: _flat(c) for n, c in zip(batch.schema.names, batch.columns, strict=True)}
                wkb = parts.pop(primary)
                yield Batch(parts, wkb)

    names = tuple(n for n in schema.names if n != primary)
    return Foreign(
        Kind.parquet, names, json.dumps(crs) if isinstance(crs, dict) else crs, stated="crs" in entry, read=read
    )


def _flat(column: pa.Array) -> pa.Array:
    """A column without its dictionary, if it is not too large so. Raises TooLarge."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if not pa.types.is_dictionary(column.type):
        return column
    size = pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
    if size > _LARGEST_BATCH:
        raise TooLarge(f"{BATCH:,} rows of one column unpack to {size:,} bytes.")
    return column.dictionary_decode()
