"""Excel workbooks of a survey; calamine (MIT, in Rust) stands behind this file and reads them in seconds.

A formula is never evaluated: the value that Excel kept beside it counts, and a formula without one is a fault.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import python_calamine

from gis_core.ingest.tabular import distinct
from gis_core.ingest.unpacking import Unreadable, check_archive
from gis_core.ingest.values import Fault
from twin.survey.fields import Table
from twin.survey.mapping import recognised
from twin.survey.tables import Raw

_SHEETS: Final = 50
_TITLE_ROWS: Final = 10
_CHUNK: Final = 8 * 2**20
_OVERLAP: Final = 64 * 2**10
_KEPT_REFERENCES: Final = 100_000
_MOST_COLUMNS: Final = 2_000
_EXACT: Final = 2**53
_LETTERS: Final = 26
_NO_SHEETS: Final = frozenset({"xl/sharedStrings.xml", "xl/styles.xml", "[Content_Types].xml"})
_SMALL_AREA: Final = 4_000_000
_SPARSEST: Final = 30
_ODD: Final = (b"r='", b"r =", b"r= ", b"r\n", b"r\t", b"r\r", b"r=\n", b"r=\t", b"r=\r", b"\nr=", b"\tr=", b"\rr=")
"""Ways to write a reference other than the usual ` r="`."""
_WIDE_PLAIN: Final = re.compile(rb' r="([A-Za-z]{2,3})\d')
_WIDE: Final = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{2,3})\d""")
# A cell with a formula and no value: <c r="B2"><f>A1</f></c>, also with an empty <v>.
_EMPTY_FORMULA: Final = re.compile(
    rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d+)"[^>]*>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)


def read(path: Path) -> list[Raw]:
    """Every sheet that has rows, without titles above the headers. Raises Unreadable, UnsafeArchive, TooLarge."""
    check_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise Unreadable("The file is called *.xlsx, but its content is no Excel workbook.")
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        names = [sheet.name for sheet in book.sheets_metadata if str(sheet.typ).endswith("WorkSheet")][:_SHEETS]
        formulas = _scan(path, names)
        tables = (_table(name, book.get_sheet_by_name(name).to_python(skip_empty_area=False)) for name in names)
        found = [table for table in tables if table is not None]
    except (zipfile.BadZipFile, python_calamine.CalamineError, OSError, ValueError, KeyError) as error:
        raise Unreadable(f"The Excel file is damaged: {str(error)[:200]}") from error
    if not found:
        raise Unreadable("The Excel file has no sheet with rows.")
    return [_with_formulas(raw, formulas.get(raw.name, ())) for raw in found]


def _table(name: str, cells: list[list[Any]]) -> Raw | None:
    """A sheet as a table: the row that names the most fields is its header, rows without any value are left out."""
    head = _header_row(cells)
    if head is None:
        return None
    headers = ["" if cell is None else str(cell) for cell in cells[head]]
    while headers and not headers[-1].strip():
        headers.pop()
    width = len(headers)
    if width > _MOST_COLUMNS:
        raise Unreadable(f"Sheet {name!r} has {width} columns.")
    body = cells[head + 1 :]
    used = [i for i, row in enumerate(body) if any(cell not in {"", None} for cell in row[:width])]
    body = [body[i][:width] for i in used]
    names = distinct(headers)
    columns = list(zip(*body, strict=True)) if body else [()] * width
    arrays = {n: _column(c) for n, c in zip(names, columns, strict=True)}
    numbers = np.array(used, np.int64) + 1
    return Raw(name, arrays, numbers, more={"head": head})


def _header_row(cells: list[list[Any]]) -> int | None:
    best, at = 0, None
    for i, row in enumerate(cells[:_TITLE_ROWS]):
        words = [str(cell) for cell in row if cell not in {"", None}]
        if len(words) < 2:  # noqa: PLR2004  one cell is a title
            continue
        score = 1 + max(recognised(table, words) for table in Table)
        if score > best:
            best, at = score, i
    return at


def _column(values: Sequence[Any]) -> pa.Array:
    """A column of cells: numbers where all are, else text as people read it; an empty cell is an empty text."""
    kinds = set(map(type, values))
    if kinds <= {str}:
        return _texts(values)
    if kinds <= {float, int, str} and not any(word.strip() for word in {v for v in values if v.__class__ is str}):
        return pa.array([None if value.__class__ is str else value for value in values], pa.float64())
    return _texts([value if value.__class__ is str else _said(value) for value in values])


def _texts(values: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair
        return pa.array([value and value.encode("utf-8", "replace").decode() for value in values], pa.string())


def _said(value: Any) -> str | None:
    if value is None:
        return None
    match value:
        case bool():
            return "1" if value else "0"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case datetime():
            return value.isoformat(sep=" ")
    return str(value)


def _scan(path: Path, names: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Cells (row and column from 1) of each sheet that have a formula and no value.

    Raises Unreadable for a sheet whose few cells lie so far apart that the space between them would fill the memory.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    with zipfile.ZipFile(path) as archive:
        # Programs number the parts in the order of the sheets; where they do not, the count still tells.
        ordered = sorted(
            (n for n in archive.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", n)),
            key=lambda n: int(re.sub(r"\D", "", n)),
        )
        sheets = dict(zip(ordered, names, strict=False))
        for part in archive.namelist():
            if part.endswith(".xml") and part not in _NO_SHEETS:
                with archive.open(part) as file:
                    found[sheets.get(part, part)] = _scan_part(file)
    return found


def _scan_part(file: IO[bytes]) -> list[tuple[int, int]]:
    formulas: dict[tuple[int, int], None] = {}
    tail, count, farthest = b"", 0, (0, 0)
    while chunk := file.read(_CHUNK):
        text = tail + chunk
        tail = text[-_OVERLAP:]
        count += chunk.count(b"<c ")
        farthest = _farthest(text, farthest)
        if b"<f" in text and len(formulas) < _KEPT_REFERENCES:
            for match in _EMPTY_FORMULA.finditer(text):
                formulas[int(match[2]), _column_number(match[1])] = None
    rows, columns = farthest
    if columns > _MOST_COLUMNS or rows * columns > max(_SMALL_AREA, _SPARSEST * count):
        raise Unreadable("A sheet has cells far away from all others: delete them, or copy the table to a new sheet.")
    return list(formulas)


def _farthest(text: bytes, known: tuple[int, int]) -> tuple[int, int]:
    """The last row, by its number of digits, and the last column that cells of a sheet's XML name."""
    rows, columns = known
    plain = not any(mark in text for mark in _ODD)
    wide = _WIDE_PLAIN if plain else _WIDE
    columns = max((columns, _LETTERS, *(_column_number(letters) for letters in set(wide.findall(text)))))
    for digits in (7, 6, 5, 4):
        if rows >= 10**digits - 1:
            break
        before = rb' r="' if plain else rb"""\sr\s*=\s*["']"""
        if re.search(before + rb"[A-Za-z]{1,3}\d{%d}" % digits, text):
            rows = 10**digits - 1
            break
    return max(rows, 999), columns


def _column_number(letters: bytes) -> int:
    """The number of a column from 1 by its letters, such as 28 for AB."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number


def _with_formulas(raw: Raw, cells: Sequence[tuple[int, int]]) -> Raw:
    """The table with a fault for each formula that has no value."""
    if not cells:
        return raw
    head = int(raw.more["head"])
    place = {int(number): i for i, number in enumerate(raw.numbers)}
    names = list(raw.columns)
    masks: dict[str, Any] = {}
    for row, column in cells:
        at = place.get(row - 1 - head)
        if at is not None and column <= len(names):
            masks.setdefault(names[column - 1], np.zeros(len(raw), bool))[at] = True
    why = "is a formula without a value: open the file in Excel and save it, or paste values"
    faults = tuple((name, Fault(mask, why)) for name, mask in masks.items())
    return Raw(raw.name, raw.columns, raw.numbers, faults=(*raw.faults, *faults), more=raw.more)
