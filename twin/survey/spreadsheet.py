"""Excel workbooks written: plain sheets of numbers and texts, rows coloured by how grave they are.

Texts are written as texts, so nothing in them can become a formula. A table of 100,000 rows takes seconds, which is
why the few parts of the format that this needs (ECMA-376, part 1) are written here.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.sax.saxutils import escape

Row: TypeAlias = tuple[Sequence[Any], str]
"""The values of a row, and `error`, `warning` or nothing."""
Sheet: TypeAlias = tuple[str, Sequence[str], Iterable[Row]]
"""A name, headers, rows."""

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL: Final = re.compile(r"[&<>]")
_LONGEST_CELL: Final = 32_000
_LONGEST_NAME: Final = 31
_WIDEST: Final = 60
_STYLES: Final = {"": "", "head": ' s="1"', "error": ' s="2"', "warning": ' s="3"'}
_FILLS: Final = ("FFDCE6F2", "FFF8CBAD", "FFFFF2CC")
_LETTERS: Final = 26
_TOGETHER: Final = 2_000


def write(path: Path, sheets: Iterable[Sheet]) -> None:
    """Write a workbook of these sheets, whose first row is frozen."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
        names = []
        for number, (name, headers, rows) in enumerate(sheets, start=1):
            names.append(re.sub(r"[\[\]:*?/\\]", " ", name)[:_LONGEST_NAME])
            with archive.open(f"xl/worksheets/sheet{number}.xml", "w", force_zip64=True) as part:
                for text in _sheet(headers, rows):
                    part.write(text.encode())
        for place, text in _frame(names):
            archive.writestr(place, _HEAD + text)


def _sheet(headers: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """A sheet's XML, many rows at a time."""
    columns = [_letters(i + 1) for i in range(len(headers))]
    widths = "".join(
        f'<col min="{i}" max="{i}" width="{min(2 * len(header) + 4, _WIDEST)}" customWidth="1"/>'
        for i, header in enumerate(headers, start=1)
    )
    yield (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{widths}</cols><sheetData>"
    )
    lines = [_row(1, columns, headers, "head")]
    for number, (values, severity) in enumerate(rows, start=2):
        lines.append(_row(number, columns, values, severity))
        if len(lines) == _TOGETHER:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines) + "</sheetData></worksheet>"


def _row(number: int, columns: Sequence[str], values: Sequence[Any], severity: str) -> str:
    style = _STYLES[severity]
    cells = []
    for column, value in zip(columns, values, strict=True):
        if value is None or value == "":
            if style:
                cells.append(f'<c r="{column}{number}"{style}/>')
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if math.isfinite(value):
                cells.append(f'<c r="{column}{number}"{style}><v>{value!r}</v></c>')
        else:
            text = _text(str(value))
            cells.append(
                f'<c r="{column}{number}"{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
            )
    return f'<row r="{number}">{"".join(cells)}</row>'


def _text(value: str) -> str:
    if not value.isprintable():
        value = _ILLEGAL.sub("", value)
    if len(value) > _LONGEST_CELL:
        value = value[:_LONGEST_CELL]
    return escape(value) if _SPECIAL.search(value) else value


def _letters(number: int) -> str:
    """A column's letters by its number from 1, such as AB for 28."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters


def _frame(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The parts around the sheets: what there is, how it hangs together, what it looks like."""
    numbers = range(1, len(names) + 1)
    sheets = "".join(
        f'<sheet name="{escape(name, {chr(34): "&quot;"})}" sheetId="{i}" r:id="rId{i}"/>'
        for i, name in zip(numbers, names, strict=True)
    )
    yield "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>'
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in numbers
    )
    styles = f'<Relationship Id="rId{len(names) + 1}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    relations = f'<Relationships xmlns="{_PACKAGE}/relationships">'
    yield "xl/_rels/workbook.xml.rels", f"{relations}{links}{styles}</Relationships>"
    book = f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    yield "_rels/.rels", f"{relations}{book}</Relationships>"
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for i in numbers
    )
    yield "[Content_Types].xml", _types(kinds)
    yield "xl/styles.xml", _styles()


def _types(kinds: str) -> str:
    return (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{kinds}'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
    )


def _styles() -> str:
    """A plain cell, a header, an error, a warning."""
    fills = "".join(
        f'<fill><patternFill patternType="solid"><fgColor rgb="{colour}"/></patternFill></fill>' for colour in _FILLS
    )
    forms = "".join(
        f'<xf numFmtId="0" fontId="{int(i == 0)}" fillId="{i + 2}" borderId="0" xfId="0" applyFill="1"/>'
        for i in range(len(_FILLS))
    )
    return (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        f'<fills count="{len(_FILLS) + 2}"><fill><patternFill patternType="none"/></fill>'
        f'<fill><patternFill patternType="gray125"/></fill>{fills}</fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(_FILLS) + 1}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>{forms}'
        '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
