"""Foreign files before any library opens them: what they really are, and what a zip may put where.

Nothing of a file is believed: its kind is read from its first bytes, and an archive is unpacked under names of our
own into a private folder, by sizes that are counted and not by those it states.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Final

from gis_core.errors import BadInput, TooLarge

LARGEST_UNPACKED: Final = 4 * 2**30
"""Bytes that an archive may hold in all."""
MOST_ENTRIES: Final = 2_000
_LARGEST_RATIO: Final = 300
_SMALL: Final = 16 * 2**20
_CHUNK: Final = 2**20
_HEAD: Final = 4_096
_SHAPE_MAGIC: Final = b"\x00\x00\x27\x0a"
_BESIDE: Final = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_SKIPPED: Final = re.compile(r"(^|/)(__MACOSX/|\.|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)


class Kind(StrEnum):
    """The formats that are read."""

    geojson = "GeoJSON"
    lines = "newline-delimited GeoJSON"
    shapefile = "Shapefile"
    geopackage = "GeoPackage"
    csv = "CSV"
    parquet = "GeoParquet"
    zip = "zip archive"


ENDINGS: Final[dict[str, frozenset[Kind]]] = {
    ".geojson": frozenset({Kind.geojson, Kind.lines}),
    ".json": frozenset({Kind.geojson, Kind.lines}),
    ".geojsonl": frozenset({Kind.lines, Kind.geojson}),
    ".geojsons": frozenset({Kind.lines, Kind.geojson}),
    ".ndjson": frozenset({Kind.lines, Kind.geojson}),
    ".jsonl": frozenset({Kind.lines, Kind.geojson}),
    ".shp": frozenset({Kind.shapefile}),
    ".gpkg": frozenset({Kind.geopackage}),
    ".csv": frozenset({Kind.csv}),
    ".tsv": frozenset({Kind.csv}),
    ".txt": frozenset({Kind.csv}),
    ".parquet": frozenset({Kind.parquet}),
    ".geoparquet": frozenset({Kind.parquet}),
    ".zip": frozenset({Kind.zip}),
}
ACCEPTED: Final = "GeoJSON, zipped Shapefile, GeoPackage, CSV, GeoParquet (also within one zip)"


class Unreadable(BadInput):
    """This file cannot be read as what it says it is."""


class UnsafeArchive(BadInput):
    """This archive would do harm, so nothing of it was unpacked."""


@contextmanager
def opened(path: Path, name: str | None = None) -> Iterator[tuple[Kind, Path]]:
    """The kind of a file and where it can be read, unpacked into a private folder if it is an archive.

    `name` is what its giver calls it (default: the path's own). What was unpacked is gone afterwards.

    Raises:
        Unreadable: it is empty, of no known kind, or not what its ending says.
        UnsafeArchive: an entry would leave the folder, is a link, is encrypted or cannot be what it seems.
        TooLarge: the archive holds too much.

    """
    if not path.is_file():
        raise Unreadable(f"{path.name} is no file.")
    kind = _checked_kind(path, name or path.name)
    if kind is not Kind.zip:
        yield kind, path
        return
    with TemporaryDirectory(prefix="chengtu-in-") as folder:
        inner = _unpack(path, Path(folder))
        yield _checked_kind(inner, inner.name), inner


def check_archive(path: Path) -> None:
    """Refuse a zip (such as an Excel file) that would do harm. Raises Unreadable, UnsafeArchive, TooLarge."""
    try:
        with zipfile.ZipFile(path) as archive:
            _safe_entries(archive)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise Unreadable(f"The file is damaged or not what its ending says: {error}.") from error


def unpack_all(path: Path, folder: Path, endings: Sequence[str]) -> list[tuple[str, Path]]:
    """Unpack every data set of these endings under names of our own; returns the names in the archive and the files.

    A shapefile's table is unpacked beside it and is no data set of its own. Raises as `opened` does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in _safe_entries(archive) if not e.is_dir() and not _SKIPPED.search(e.filename)]
            kept = {e.filename: PurePosixPath(e.filename.lower()).suffix for e in entries}
            shapes = {_stem(e) for e in entries if kept[e.filename] == ".shp"}
            found, numbers, budget = [], dict[str, int](), LARGEST_UNPACKED
            for entry in entries:
                ending, stem = kept[entry.filename], _stem(entry)
                part = stem in shapes and ending in _BESIDE
                if not part and ending not in endings:
                    continue
                target = folder / f"data{numbers.setdefault(stem, len(numbers))}{ending}"
                budget -= _extract(archive, entry, target, budget)
                if ending == ".shp" or not part:
                    found.append((entry.filename.rsplit("/", 1)[-1], target))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise Unreadable(f"The zip is damaged or cut off: {error}.") from error
    return found


def _checked_kind(path: Path, name: str) -> Kind:
    """The kind by content, which must be one that the name's ending allows."""
    ending = PurePosixPath(name.lower()).suffix
    if ending not in ENDINGS:
        raise Unreadable(f"Files ending in {ending or 'nothing'!r} are not read. Accepted: {ACCEPTED}.")
    with path.open("rb") as file:
        found = sniff(file)
    if found is None or found not in ENDINGS[ending]:
        what = "unknown" if found is None else f"a {found}"
        raise Unreadable(f"The file is called *{ending}, but its content is {what}.")
    return found


def sniff(file: IO[bytes]) -> Kind | None:
    """What a file is by its first bytes; None for what is not read here."""
    head = file.read(_HEAD)
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind.zip
    if head.startswith(b"SQLite format 3\0"):
        return Kind.geopackage if head[68:72] in {b"GPKG", b"GP10", b"GP11"} else None
    if head.startswith(b"PAR1"):
        return Kind.parquet
    if head.startswith(_SHAPE_MAGIC):
        return Kind.shapefile
    if plain.startswith(b"{"):
        file.seek(0)
        return Kind.lines if head.startswith(b"\x1e") or _is_by_line(file) else Kind.geojson
    binary = b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return None if binary or not plain or plain.startswith((b"<", b"[", b"%PDF", b"\x1f\x8b")) else Kind.csv


def _is_by_line(file: IO[bytes]) -> bool:
    """Whether the first line is a whole feature and another follows."""
    first = file.readline(_SMALL).strip()
    if not first.endswith(b"}") or re.search(rb'"type"\s*:\s*"Feature"', first) is None:
        return False
    return re.search(rb'"type"\s*:\s*"FeatureCollection"', first) is None and file.readline(2).lstrip()[:1] in {
        b"{",
        b"\x1e",
        b"",
    }


def _unpack(path: Path, folder: Path) -> Path:
    """Unpack the one data set of an archive under names of our own; returns its main file."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in _safe_entries(archive) if not e.is_dir() and not _SKIPPED.search(e.filename)]
            main = _main_entry(entries)
            stem, ending = _stem(main), PurePosixPath(main.filename).suffix.lower()
            wanted = [main]
            if ending == ".shp":
                wanted = [
                    e for e in entries if _stem(e) == stem and PurePosixPath(e.filename.lower()).suffix in _BESIDE
                ]
            budget = LARGEST_UNPACKED
            for entry in wanted:
                target = folder / f"data{PurePosixPath(entry.filename.lower()).suffix}"
                budget -= _extract(archive, entry, target, budget)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise Unreadable(f"The zip is damaged or cut off: {error}.") from error
    return folder / f"data{ending}"


def _safe_entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries of an archive that does no harm."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise UnsafeArchive(f"The zip has {len(entries)} entries; at most {MOST_ENTRIES} are unpacked.")
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry.filename):
            raise UnsafeArchive(f"The zip has an entry that climbs out of its folder: {entry.filename[:80]!r}.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UnsafeArchive(f"The zip has a link in it: {entry.filename[:80]!r}.")
        if entry.flag_bits & 1:
            raise UnsafeArchive("The zip is encrypted.")
        if entry.file_size > _SMALL and entry.file_size > _LARGEST_RATIO * max(entry.compress_size, 1):
            raise UnsafeArchive(f"The zip holds an entry that unpacks to {entry.file_size:,} bytes of almost nothing.")
    if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
        raise TooLarge(f"The zip unpacks to more than {LARGEST_UNPACKED:,} bytes.")
    return entries


def _main_entry(entries: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The one data set in an archive: a shapefile before all else."""
    for endings in ({".shp"}, set(ENDINGS) - {".shp", ".zip", ".txt", ".json"}, {".json"}):
        found = [e for e in entries if PurePosixPath(e.filename.lower()).suffix in endings]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(e.filename for e in found[:10])
            raise Unreadable(f"The zip holds {len(found)} data sets; give them one by one: {names}.")
    raise Unreadable(f"The zip holds no file that is read. Accepted: {ACCEPTED}.")


def _stem(entry: zipfile.ZipInfo) -> str:
    return str(PurePosixPath(entry.filename).with_suffix("")).lower()


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, budget: int) -> int:
    """Unpack one entry, counting what really comes out of it; returns the bytes."""
    most = min(budget, max(_SMALL, _LARGEST_RATIO * max(entry.compress_size, 1)))
    written = 0
    with archive.open(entry) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise UnsafeArchive(f"The zip's entry {entry.filename[:80]!r} unpacks to far more than it should.")
            file.write(chunk)
    return written


def beside(path: Path, folder: Path) -> Path:
    """A shapefile's parts copied into a folder of our own, whatever the case of their endings; returns the .shp."""
    for part in path.parent.iterdir():
        if part.stem == path.stem and part.suffix.lower() in _BESIDE:
            shutil.copyfile(part, folder / f"data{part.suffix.lower()}")
    return folder / "data.shp"
