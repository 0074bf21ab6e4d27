"""Excel workbooks of a survey: read by calamine, written by openpyxl, both behind this one file.

A formula is never evaluated: the value that Excel kept beside it counts, and a formula without one is a fault.
calamine (MIT, in Rust) reads a survey of 100,000 rows in seconds where openpyxl takes a minute.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import openpyxl
import pyarrow as pa
import python_calamine
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import column_index_from_string, get_column_letter

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
# A cell with a formula and no value: <c r="B2"><f>A1</f></c>, also with an empty <v>.
_EMPTY_FORMULA: Final = re.compile(
    rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d+)"[^>]*>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HEAD_FILL: Final = PatternFill("solid", fgColor="FFDCE6F2")
_ERROR_FILL: Final = PatternFill("solid", fgColor="FFF8CBAD")
_WARNING_FILL: Final = PatternFill("solid", fgColor="FFFFF2CC")


def read(path: Path) -> list[Raw]:
    """Every sheet that has rows, without titles above the headers. Raises Unreadable, UnsafeArchive, TooLarge."""
    check_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise Unreadable("The file is called *.xlsx, but its content is no Excel workbook.")
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        names = [sheet.name for sheet in book.sheets_metadata if str(sheet.typ).endswith("WorkSheet")][:_SHEETS]
        found = []
        for name in names:
            sheet = book.get_sheet_by_name(name)
            cells = sheet.to_python(skip_empty_area=False)
            if raw := _table(name, cells):
                found.append(raw)
        formulas = _formulas_without_value(path, names)
    except (zipfile.BadZipFile, python_calamine.CalamineError, OSError, ValueError, KeyError) as error:
        raise Unreadable(f"The Excel file is damaged: {str(error)[:200]}") from error
    if not found:
        raise Unreadable("The Excel file has no sheet with rows.")
    return [_with_formulas(raw, formulas.get(raw.name, ())) for raw in found]


def write(path: Path, sheets: Iterable[tuple[str, Sequence[str], Iterable[tuple[Sequence[Any], str]]]]) -> None:
    """Write sheets: name, headers, rows each with its severity (`error`, `warning` or empty), which colours it."""
    book = openpyxl.Workbook(write_only=True)
    for name, headers, rows in sheets:
        sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", name)[:31])
        sheet.freeze_panes = "A2"
        for i, header in enumerate(headers):
            sheet.column_dimensions[get_column_letter(i + 1)].width = min(max(8, 2 * len(header) + 2), 60)
        sheet.append([_cell(sheet, header, _HEAD_FILL, bold=True) for header in headers])
        for values, severity in rows:
            plain = [_plain(value) for value in values]
            if severity:
                fill = _ERROR_FILL if severity == "error" else _WARNING_FILL
                plain = [_cell(sheet, value, fill) for value in plain]
            sheet.append(plain)
    book.save(path)


def _cell(sheet: Any, value: Any, fill: PatternFill, *, bold: bool = False) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=_plain(value))
    cell.fill = fill
    if bold:
        cell.font = Font(bold=True)
    if cell.data_type == "f":
        cell.data_type = "s"
    return cell


def _plain(value: Any) -> Any:
    """A value that Excel can hold and will not run: text that looks like a formula gets an apostrophe before it."""
    if isinstance(value, str):
        value = _ILLEGAL.sub("", value)[:32_000]
        return f"'{value}" if value.startswith(("=", "+", "@", "\t")) else value
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


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
    """A column of cells: numbers where all are, else text as people read it."""
    kinds = {type(value) for value in values if value != ""}
    if kinds and kinds <= {float, int}:
        return pa.array([None if value == "" else float(value) for value in values], pa.float64())
    return pa.array([_said(value) for value in values], pa.string())


def _said(value: Any) -> str | None:
    if value is None or value == "":
        return None
    match value:
        case bool():
            return "1" if value else "0"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case datetime():
            return value.isoformat(sep=" ")
    return str(value).encode("utf-8", "replace").decode()


def _formulas_without_value(path: Path, names: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Cells (row and column from 1) of each sheet that have a formula and no value."""
    found: dict[str, list[tuple[int, int]]] = {}
    with zipfile.ZipFile(path) as archive:
        parts = sorted(
            (n for n in archive.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", n)),
            key=lambda n: int(re.sub(r"\D", "", n)),
        )
        # Programs number the parts in the order of the sheets; where they do not, the count still tells.
        for name, part in zip(names, parts, strict=False):
            cells: dict[tuple[int, int], None] = {}
            with archive.open(part) as file:
                tail = b""
                while chunk := file.read(_CHUNK):
                    text = tail + chunk
                    tail = text[-_OVERLAP:]
                    if b"<f" not in text:
                        continue
                    for match in _EMPTY_FORMULA.finditer(text):
                        cells[int(match[2]), column_index_from_string(match[1].decode())] = None
                    if len(cells) > _KEPT_REFERENCES:
                        break
            found[name] = list(cells)
    return found


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
