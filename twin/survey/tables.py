"""The tables of a survey as they stand in its files, whatever the files are; nothing is believed and nothing rewritten.

Excel is read through `workbook`, drawings through `drawing`; all else through the rooms of `gis_core.ingest`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyarrow import csv

from gis_core.errors import TooLarge
from gis_core.ingest import tabular
from gis_core.ingest.foreign import layers_of, open_foreign, open_table
from gis_core.ingest.unpacking import LARGEST_UNPACKED, Kind, Unreadable, sniff, unpack_all
from gis_core.ingest.values import Fault

Ints: TypeAlias = npt.NDArray[np.int64]
Geometries: TypeAlias = npt.NDArray[np.object_]

MOST_ROWS: Final = 2_000_000
ACCEPTED: Final = "Excel (.xlsx), CSV, DBF, zipped Shapefile, GeoPackage, GeoJSON, DXF (also several within one zip)"
_TEXT: Final = (".csv", ".txt", ".tsv")
_MAPS: Final = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".jsonl", ".shp", ".parquet", ".geoparquet")
_IN_ZIP: Final = (".xlsx", *_TEXT, ".dbf", ".gpkg", *_MAPS, ".dxf")
_POINT, _LINE = "Point", "Line"
_WKB_KINDS: Final = {1: _POINT, 2: _LINE, 4: _POINT, 5: _LINE}
_WKB_HEAD: Final = 5
_ONE_PART: Final = 2
_PLAIN: Final = {"utf-8": "utf8", "utf-8-sig": "utf8", "gb18030": "gb18030"}


@dataclass(frozen=True)
class Raw:
    """One table: columns by name as the file has them, numbers of its rows from 1, what reading itself found wrong.

    `geometries` are points or lines as the file has them, None for a table without any; `crs` is what the file says
    of their coordinates. `numbers` are those of the rows in the file where some were left out.
    """

    name: str
    columns: Mapping[str, pa.Array]
    numbers: Ints
    geometries: Geometries | None = None
    crs: str | None = None
    faults: tuple[tuple[str, Fault], ...] = ()
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    @property
    def shape(self) -> str:
        """`Point`, `Line`, or nothing for a table without geometry."""
        if self.geometries is None or not len(self.geometries):
            return ""
        kinds = shapely.get_type_id(self.geometries)
        return _LINE if (kinds == shapely.GeometryType.LINESTRING).sum() * 2 > (kinds >= 0).sum() else _POINT


def read_tables(path: Path, *, name: str | None = None, encoding: str | None = None) -> list[Raw]:
    """Every table of a file.

    Raises:
        Unreadable, UnsafeArchive, TooLarge, Unprocessable: it is not what its ending says, or cannot be read.

    """
    name = name or path.name
    ending = PurePosixPath(name.lower()).suffix
    if not path.is_file():
        raise Unreadable(f"{name} is no file.")
    if path.stat().st_size > LARGEST_UNPACKED:
        raise TooLarge(f"{name} is larger than {LARGEST_UNPACKED:,} bytes.")
    match ending:
        case ".xls":
            raise Unreadable("Old Excel files (.xls) are not read: open it and save it as .xlsx.")
        case ".xlsx":
            from twin.survey import workbook  # noqa: PLC0415  its library is slow to import

            found = workbook.read(path)
        case ".dxf":
            from twin.survey import drawing  # noqa: PLC0415  its library is slow to import

            found = drawing.read(path)
        case ".dbf":
            found = [_dbf(path, encoding)]
        case ".gpkg":
            found = [raw for layer in layers_of(path) for raw in _map(path, name, encoding, layer)]
        case ".zip":
            found = _zip(path, encoding)
        case _ if ending in _TEXT:
            found = [_text(path, name, encoding)]
        case _ if ending in _MAPS:
            found = list(_map(path, name, encoding, None))
        case _:
            raise Unreadable(f"Files ending in {ending or 'nothing'!r} are not read. Accepted: {ACCEPTED}.")
    if sum(len(raw) for raw in found) > MOST_ROWS:
        raise TooLarge(f"{name} has more than {MOST_ROWS:,} rows.")
    return [replace(raw, name=raw.name or Path(name).stem) for raw in found]


def split_by_shape(raw: Raw) -> list[Raw]:
    """A table of points and lines as two tables; others as they are."""
    if raw.geometries is None:
        return [raw]
    kinds = shapely.get_type_id(raw.geometries)
    line = kinds == shapely.GeometryType.LINESTRING
    if not line.any() or line.all() or not (kinds == shapely.GeometryType.POINT).any():
        return [raw]
    return [_taken(raw, ~line), _taken(raw, line)]


def _taken(raw: Raw, mask: npt.NDArray[np.bool_]) -> Raw:
    chosen = pa.array(mask)
    assert raw.geometries is not None  # noqa: S101  only tables with geometry are split
    faults = tuple(
        (name, replace(f, mask=f.mask[mask], values=None if f.values is None else f.values.filter(chosen)))
        for name, f in raw.faults
        if f.mask[mask].any()
    )
    columns = {name: column.filter(chosen) for name, column in raw.columns.items()}
    # A column that only the other shape has is none of this table.
    columns = {name: column for name, column in columns.items() if column.null_count < len(column)}
    return replace(raw, columns=columns, numbers=raw.numbers[mask], geometries=raw.geometries[mask], faults=faults)


def _zip(path: Path, encoding: str | None) -> list[Raw]:
    """Every data set of an archive."""
    with path.open("rb") as file:
        if sniff(file) is not Kind.zip:
            raise Unreadable("The file is called *.zip, but its content is none.")
    with TemporaryDirectory(prefix="chengtu-in-") as folder:
        inner = unpack_all(path, Path(folder), _IN_ZIP)
        if not inner:
            raise Unreadable(f"The zip holds no file that is read. Accepted: {ACCEPTED}.")
        return [raw for name, place in inner for raw in read_tables(place, name=name, encoding=encoding)]


def _text(path: Path, name: str, encoding: str | None) -> Raw:
    with path.open("rb") as file:
        found = sniff(file)
    if found is not Kind.csv:
        what = "unknown" if found is None else f"a {found}"
        raise Unreadable(f"The file is called *{Path(name).suffix}, but its content is {what}.")
    text = tabular.inspect(path, encoding, placed=False)
    if (even := _even(text)) is not None:
        return Raw("", even, np.arange(1, len(next(iter(even.values()))) + 1))
    parts: list[Mapping[str, pa.Array]] = []
    faults: list[tuple[str, Fault]] = []
    for batch in text.batches(MOST_ROWS):
        parts.append(batch.columns)
        faults += batch.faults
    columns = parts[0] if parts else {column: pa.array([], pa.string()) for column in text.columns}
    count = len(next(iter(columns.values())))
    return Raw("", columns, np.arange(1, count + 1), faults=tuple(faults))


def _even(text: tabular.Text) -> dict[str, pa.Array] | None:
    """The columns of a delimited file all of whose rows are alike, as text; None where it has to be read with care."""
    if text.encoding not in _PLAIN or any("\n" in name or "\r" in name for name in text.columns):
        return None
    try:
        table = csv.read_csv(
            text.path,
            read_options=csv.ReadOptions(
                encoding=_PLAIN[text.encoding], column_names=list(text.columns), skip_rows=1, use_threads=True
            ),
            parse_options=csv.ParseOptions(delimiter=text.delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(text.columns, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, UnicodeError, OSError):
        return None
    return {name: table[name].combine_chunks() for name in text.columns}


def _dbf(path: Path, encoding: str | None) -> Raw:
    with open_table(path, encoding) as foreign:
        parts = [batch.columns for batch in foreign.read(foreign.columns)]
        columns = {name: pa.concat_arrays([part[name] for part in parts]) for name in foreign.columns} if parts else {
            name: pa.array([], pa.string()) for name in foreign.columns
        }  # fmt: skip
        count = len(next(iter(columns.values()), ()))
        return Raw("", columns, np.arange(1, count + 1), notes=foreign.notes)


def _map(path: Path, name: str, encoding: str | None, inner: str | None) -> Iterator[Raw]:
    with open_foreign(path, name=name, encoding=encoding, inner=inner) as foreign:
        batches = list(foreign.read(foreign.columns))
        count = sum(len(batch.geometries) for batch in batches)
        columns = {
            column: pa.concat_arrays([b.columns[column] for b in batches]) if batches else pa.array([], pa.string())
            for column in foreign.columns
        }  # fmt: skip
        faults: list[tuple[str, Fault]] = []
        geometries = np.full(count, None, object)
        at = 0
        for batch in batches:
            here = batch.geometries
            shapes = _shapes(here) if isinstance(here, pa.Array) else np.asarray(here, object)
            geometries[at : at + len(here)] = shapes
            at += len(here)
        missing = shapely.is_missing(geometries)
        if missing.any():
            faults.append(("geometry", Fault(missing, "is missing, or is neither a point nor a line")))
        # What only a format's own standard says is overruled by what the giver declares.
        crs = foreign.crs if foreign.stated else None
        raw = Raw(inner or "", columns, np.arange(1, count + 1), geometries, crs, tuple(faults), foreign.notes)
        yield from split_by_shape(raw)


def _shapes(wkb: pa.Array) -> Geometries:
    """Points and lines from WKB; all else is None, and is not parsed: a hostile one nests until the stack is gone."""
    heads = pc.dictionary_encode(pc.binary_slice(wkb, 0, _WKB_HEAD))
    fits = [_wkb_kind(head) in _WKB_KINDS for head in heads.dictionary.to_pylist()]
    known = pc.fill_null(pc.take(pa.array(fits, pa.bool_()), heads.indices), fill_value=False)
    safe = pc.if_else(known, wkb, pa.scalar(None, wkb.type))
    found = np.asarray(shapely.from_wkb(safe.to_numpy(zero_copy_only=False), on_invalid="ignore"), object)
    # A multi-part geometry of one part is that part.
    parts = shapely.get_num_geometries(found)
    multi = np.isin(shapely.get_type_id(found), (4, 5))
    found[multi & (parts == 1)] = shapely.get_geometry(found[multi & (parts == 1)], 0)
    found[multi & (parts >= _ONE_PART)] = None
    found[shapely.is_empty(found)] = None
    return found


def _wkb_kind(head: bytes | None) -> int:
    if head is None or len(head) < _WKB_HEAD:
        return 0
    (code,) = struct.unpack("<I" if head[0] else ">I", head[1:])
    return int(code & 0x0FFFFFFF) % 1000
