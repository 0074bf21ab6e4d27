"""Delimited text as foreign programs write it: any of the usual encodings and delimiters, geometry as lon/lat or WKT.

Every value stays text until the layer's own types are known, so codes keep their zeros and a formula stays a text.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from gis_core.errors import BadInput, Unprocessable
from gis_core.ingest import values
from gis_core.ingest.batches import ROW, Batch
from gis_core.ingest.columns import Target, fold
from gis_core.ingest.unpacking import Unreadable
from gis_core.model import Field, Label

ENCODINGS: Final = ("utf-8", "gb18030", "gbk", "gb2312", "big5", "utf-16", "latin-1", "cp1252", "ascii")
LON: Final = (
    "lon", "lng", "long", "longitude", "经度", "东经", "x", "xcoord", "coordx", "pointx", "lonwgs84", "wgs84lon",
    "lngwgs84", "x坐标", "坐标x", "东坐标", "横坐标", "easting", "east", "e",
)  # fmt: skip
LAT: Final = (
    "lat", "latitude", "纬度", "北纬", "y", "ycoord", "coordy", "pointy", "latwgs84", "wgs84lat",
    "y坐标", "坐标y", "北坐标", "纵坐标", "northing", "north", "n",
)  # fmt: skip
WKT: Final = ("wkt", "geom", "geometry", "thegeom", "shape", "几何", "几何信息", "geomwkt", "wktgeom")
_DELIMITERS: Final = ",;\t|"
_SAMPLE: Final = 65_536
_CHUNK: Final = 2**20
_LONGEST_CELL: Final = 16 * 2**20
_MOST_COLUMNS: Final = 2_000
# Only these kinds: a parser follows collections within collections until its stack is gone.
_WKT_FORM: Final = r"(?i)^\s*(?:SRID=(\d{1,6});)?\s*(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\s*(?:Z|M|ZM)?\s*(?:\(|EMPTY)"
_SRID: Final = r"(?i)^\s*SRID=(?P<srid>\d{1,6});"
_NUMBER: Final = Target("number", Field(Label("数", "Number")), pa.float64(), False, None, False, 0)


@dataclass(frozen=True)
class Text:
    """A delimited file: how it is written, its columns, and which of them hold the geometry."""

    path: Path
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    lon: int | None
    lat: int | None
    wkt: int | None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that are not the geometry."""
        geometry = {self.wkt} if self.wkt is not None else {self.lon, self.lat}
        return tuple(name for i, name in enumerate(self.columns) if i not in geometry)

    def batches(self, size: int) -> Iterator[Batch]:
        """The rows, `size` at a time. Raises Unreadable where the text breaks off or a cell is endless."""
        try:
            with _open(self.path, self.encoding) as file:
                reader = csv.reader(file, delimiter=self.delimiter)
                next(reader)
                lines = (line for line in reader if line)
                while part := list(islice(lines, size)):
                    yield self._batch(part)
        except (csv.Error, UnicodeDecodeError) as error:
            raise Unreadable(f"The text cannot be read as {self.encoding}: {error}.") from error

    def _batch(self, lines: list[list[str]]) -> Batch:
        width = len(self.columns)
        uneven = np.array([len(line) != width for line in lines])
        faults: list[tuple[str, values.Fault]] = []
        if uneven.any():
            counts = pa.array([len(line) for line in lines])
            faults.append((ROW, values.Fault(uneven, f"has not {width} columns as the header says", counts)))
            lines = [line if len(line) == width else [""] * width for line in lines]
        columns = [_column(column, uneven, faults) for column in zip(*lines, strict=True)]
        named = dict(zip(self.columns, columns, strict=True))
        if self.wkt is not None:
            geometries, srids = _from_wkt(columns[self.wkt])
            known = {name: column for i, (name, column) in enumerate(named.items()) if i != self.wkt}
            return Batch(known | ({} if srids is None else {"srs": srids}), geometries, tuple(faults))
        if self.lon is None or self.lat is None:
            return Batch(named, np.full(len(lines), None, object), tuple(faults))
        x, y = (self._coordinate(columns[i], self.columns[i], faults) for i in (self.lon, self.lat))
        nowhere = np.isnan(x) | np.isnan(y)
        points = np.asarray(shapely.points(np.where(nowhere, 0, x), np.where(nowhere, 0, y)), object)
        points[nowhere] = None
        return Batch(named, points, tuple(faults))

    def _coordinate(self, column: pa.Array, name: str, faults: list[tuple[str, values.Fault]]) -> Any:
        read = values.convert(column, _NUMBER)
        faults += [(name, fault) for fault in read.faults]
        return pc.fill_null(read.values, float("nan")).to_numpy(zero_copy_only=False)


def inspect(path: Path, encoding: str | None = None, *, placed: bool = True) -> Text:
    """Find out how a delimited file is written. Raises Unreadable, Unprocessable where there is no geometry in it.

    `placed` False: no column is its geometry, whatever its name; all are attributes.
    """
    encoding = _encoding(path, encoding)
    try:
        with _open(path, encoding) as file:
            sample = file.read(_SAMPLE)
        widths = {d: len(next(csv.reader(StringIO(sample, newline=""), delimiter=d), [])) for d in _DELIMITERS}
        delimiter = max(widths, key=lambda d: widths[d])
        with _open(path, encoding) as file:
            header = next(csv.reader(file, delimiter=delimiter), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable(f"The text cannot be read as {encoding}: {error}.") from error
    if not 1 < len(header) <= _MOST_COLUMNS:
        raise Unreadable(f"The table's first line names {len(header)} columns; is it a table with a header?")
    columns = distinct(header)
    if not placed:
        return Text(path, encoding, delimiter, columns, None, None, None)
    folded = [_bare(name) for name in columns]
    lon, lat, wkt = (next((folded.index(n) for n in names if n in folded), None) for names in (LON, LAT, WKT))
    if wkt is not None and not re.match(_WKT_FORM, _first_value(sample, delimiter, wkt)):
        wkt = None if lon is not None and lat is not None else wkt
    if wkt is None and (lon is None or lat is None):
        raise Unprocessable(
            "The table has no geometry: name columns lon and lat (经度, 纬度) or one column wkt. "
            f"Its columns are {', '.join(columns[:30])}."
        )
    return Text(path, encoding, delimiter, columns, lon, lat, wkt)


def checked_encoding(name: str) -> str:
    """An encoding as a user names it (GBK, UTF8, cp936), by Python's name. Raises BadInput."""
    try:
        found = codecs.lookup({"65001": "utf-8", "936": "gbk", "54936": "gb18030"}.get(name.strip(), name.strip())).name
    except (LookupError, ValueError, UnicodeError):
        found = ""
    known = {codecs.lookup(e).name for e in ENCODINGS} | {"utf-8-sig"}
    if found not in known:
        raise BadInput(f"{name[:40]!r} is no encoding that is read here; known are {', '.join(ENCODINGS)}.")
    # GB18030 holds all of GBK and GB 2312, which programs name when they mean it.
    return "gb18030" if found in {"gbk", "gb2312"} else found


def is_text(chunks: Iterator[bytes], encoding: str) -> bool:
    """Whether bytes are text in an encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read_chunks(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _encoding(path: Path, given: str | None) -> str:
    """The encoding: what the file's mark says, what was given, or what it can be read as."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if given is not None:
        chosen = checked_encoding(given)
        return "utf-8-sig" if chosen == "utf-8" else chosen
    for name in ("utf-8-sig", "gb18030"):
        if is_text(read_chunks(path), name):
            return name
    raise Unreadable("The text is neither UTF-8 nor GBK; say its encoding.")


def _open(path: Path, encoding: str) -> TextIO:
    csv.field_size_limit(_LONGEST_CELL)
    return path.open(encoding=encoding, newline="")


def _column(cells: Sequence[str], uneven: Any, faults: list[tuple[str, values.Fault]]) -> pa.Array:
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:  # lone surrogates, from UTF-16
        bad = np.array([_is_broken(cell) for cell in cells])
        faults.append((ROW, values.Fault(bad & ~uneven, "is not text in the file's encoding")))
        return pa.array(["" if broken else cell for cell, broken in zip(cells, bad, strict=True)], pa.string())


def _is_broken(cell: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in cell)


def _from_wkt(column: pa.Array) -> tuple[Any, pa.Array | None]:
    """Geometries from WKT or EWKT, None where there is none; and the system each row names, if any does."""
    fits = pc.match_substring_regex(column, _WKT_FORM)
    text = pc.if_else(fits, column, pa.scalar(None, pa.string()))
    named = pc.match_substring_regex(text, _SRID)
    srids = None
    if pc.any(named).as_py():
        number = pc.struct_field(pc.extract_regex(text, _SRID), "srid")
        srids = pc.binary_join_element_wise("EPSG", number, ":")
        text = pc.replace_substring_regex(text, _SRID, "")
    with np.errstate(all="ignore"):
        geometries = shapely.from_wkt(text.to_numpy(zero_copy_only=False), on_invalid="ignore")
    return np.asarray(geometries, object), srids


def distinct(header: Sequence[str]) -> tuple[str, ...]:
    """Column names without outer blanks, each once; nameless ones by their number."""
    names: dict[str, None] = {}
    for i, given in enumerate(header):
        name = given.strip().replace("\0", "") or f"column {i + 1}"
        names[name if name not in names else f"{name} ({i + 1})"] = None
    return tuple(names)


def _bare(header: str) -> str:
    """A header without a remark in brackets, such as the unit."""
    return fold(re.sub(r"[(（\[].*?[)）\]]", "", header)) or fold(header)


def _first_value(sample: str, delimiter: str, column: int) -> str:
    rows = csv.reader(StringIO(sample, newline=""), delimiter=delimiter)
    next(rows, None)
    row = next((r for r in rows if len(r) > column), None)
    return row[column] if row else ""
