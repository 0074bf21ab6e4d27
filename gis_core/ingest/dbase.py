"""The table beside a shapefile: which encoding it is in, and column names that were cut within a character.

Layout of dBASE III: a 32-byte head (length of the header at 8, of a record at 10), 32 bytes for each field (name in
the first 11, type at 11, width at 16), a carriage return, then records of fixed width, each with a mark before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gis_core.errors import BadInput
from gis_core.ingest import tabular
from gis_core.ingest.unpacking import Unreadable

_HEAD: Final = 32
_NAME: Final = 11
_END: Final = 0x0D
_SAMPLE_RECORDS: Final = 5_000
_LONGEST_CHARACTER: Final = 4
_TOLERATED: Final = 0.02


def encoding(table: Path, named: Path, given: str | None, notes: list[str]) -> str:
    """A table's encoding: as given, as the .cpg file `named` says unless the bytes contradict it, or by the bytes.

    Raises Unreadable when it is neither UTF-8 nor GBK and nobody says what it is.
    """
    if given is not None:
        return given
    texts = [text for text in _texts(table) if not text.isascii()]
    broken = {name: _broken(texts, name) for name in ("utf-8", "gb18030")}
    shown = min(broken, key=lambda name: broken[name])
    if (said := _said(named)) is not None:
        if _broken(texts, said) <= max(_TOLERATED, broken[shown]):
            return said
        notes.append(f"The .cpg file names {said}, but the table is in {shown}.")
    if broken[shown] > _TOLERATED:
        raise Unreadable("The table is neither UTF-8 nor GBK; say its encoding.")
    return shown


def mend_names(table: Path, name: str) -> None:
    """Take the rest of a character off column names that were cut within it; the table is a copy of our own."""
    with table.open("r+b") as file:
        for at, field in _fields(file.read(_header_length(table))):
            own = field[:_NAME].split(b"\0")[0]
            whole = own.decode(name, "ignore").encode(name)
            if whole != own and own.startswith(whole):
                file.seek(at)
                file.write(whole.ljust(_NAME, b"\0"))


def _said(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return tabular.checked_encoding(path.read_text(encoding="ascii", errors="replace").strip()[:40])
    except BadInput:
        return None


def _broken(texts: list[bytes], name: str) -> float:
    """The share of texts that cannot be read; one that was cut within its last character can."""
    wrong = 0
    for text in texts:
        try:
            text.decode(name)
        except UnicodeDecodeError as error:
            wrong += error.start < len(text) - _LONGEST_CHARACTER + 1
    return wrong / len(texts) if texts else 0.0


def _texts(table: Path) -> Iterator[bytes]:
    """Column names, and the text in the first records."""
    length = _header_length(table)
    with table.open("rb") as file:
        head = file.read(length)
        (width,) = struct.unpack_from("<H", head, 10)
        spans, at = [], 1
        for _, field in _fields(head):
            yield field[:_NAME].split(b"\0")[0]
            if field[11:12] in b"CM":
                spans.append((at, at + field[16]))
            at += field[16]
        for _ in range(_SAMPLE_RECORDS):
            record = file.read(width)
            if not width or len(record) < width:
                return
            yield from (record[low:high].rstrip(b" \0") for low, high in spans)


def _header_length(table: Path) -> int:
    with table.open("rb") as file:
        head = file.read(_HEAD)
    if len(head) < _HEAD:
        raise Unreadable("The shapefile's table (.dbf) is cut off.")
    (length,) = struct.unpack_from("<H", head, 8)
    return int(length)


def _fields(head: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each field's description begins, and what it is."""
    for at in range(_HEAD, len(head) - _HEAD + 1, _HEAD):
        if head[at] == _END:
            return
        yield at, head[at : at + _HEAD]
