"""Spreadsheets and delimited files become one line a row, the header in each.

Takes   a path (.csv, .tsv, .xlsx, .xlsm, .xls).
Gives   one Page without a number for a delimited file; one a sheet for a workbook, headed `## Sheet name`.
        A cell's text is what its program shows: percentages, thousands separators and dates by their number format;
        of a formula the stored result. Merged cells hold their text in each of their places, as a reader sees it.
        Blank rows and columns part the tables of a sheet.
Refuses damaged or protected workbooks (LoadError).
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import LoadError, need
from rag.load import limits, rows
from rag.load.text import decode
from rag.types import Page

_DECIMALS = re.compile(r"\.(0+)")
_DELIMITERS = ",;\t|"
_WIDEST = 2_000  # columns that are read of a sheet
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})["']""")
_LONGEST_TAG = 200


class Area(NamedTuple):
    """Merged cells: rows `top` to `bottom`, counted from 1, and columns `left` up to `right`, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int


def pages(path: Path) -> Iterator[Page]:
    """Read one spreadsheet or delimited file."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        yield from _delimited(path)
    elif suffix == ".xls":
        yield from _old_workbook(path)
    else:
        yield from _workbook(path)


def sheet(name: str, cells: Iterable[list[str]]) -> Page:
    """A sheet's tables under its name."""
    blocks = ["\n".join(lines) for table in _headed(list(_tables(cells))) if (lines := rows.lines(table))]
    return Page(None, "\n\n".join([f"## {rows.cell(name)}", *blocks]) if blocks else "")


def _delimited(path: Path) -> Iterator[Page]:
    text = decode(path.read_bytes(), path.name)
    csv.field_size_limit(limits.TEXT_CHARACTERS)
    try:
        table = list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=_delimiter(path, text)))
    except csv.Error as error:
        raise LoadError(f"{path.name}: not a table of delimited values ({error}); save it as .csv again") from error
    filled = [row for row in table if any(cell.strip() for cell in row)]
    if filled and max(len(row) for row in filled) == 1:  # a list, one entry a line
        yield Page(None, "\n".join(rows.cell(row[0]) for row in filled if row[0].strip()))
        return
    if filled and any(rows.is_quantity(cell) for cell in filled[0]):
        header = 0
    else:  # a row that names every column is the header; a title or groups of columns may stand above one
        header = 1 if filled and all(cell.strip() for cell in filled[0]) else rows.FIRST
    yield Page(None, "\n".join(rows.lines(filled, header=header)))


def _delimiter(path: Path, text: str) -> str:
    """The character that splits the first lines most evenly (csv.Sniffer fails on half of real files)."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    sample = [line for line in text[:20_000].splitlines()[:30] if line.strip()]
    best, most = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter)]
        usual = max(set(widths), key=widths.count) if widths else 1
        evenness = widths.count(usual) / len(widths) * (usual > 1) if widths else 0.0
        if evenness > most:
            best, most = delimiter, evenness
    return best


def _workbook(path: Path) -> Iterator[Page]:
    openpyxl = need("openpyxl", extra="formats", task="Reading .xlsx")
    with path.open("rb") as file:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            for worksheet in book.worksheets:
                worksheet.reset_dimensions()  # the size a file states is often that of the whole grid
                cells = ([_shown(cell) for cell in row[:_WIDEST]] for row in worksheet.iter_rows())
                yield sheet(worksheet.title, filled(cells, _merged(path, worksheet)))
        finally:
            book.close()


def _merged(path: Path, worksheet: Any) -> Iterator[Area]:
    """The merged areas of a sheet; openpyxl leaves them out where it reads a row at a time."""
    coordinates = need("openpyxl.utils.cell", extra="formats", task="Reading .xlsx").range_boundaries
    with zipfile.ZipFile(path) as archive, archive.open(worksheet._worksheet_path) as part:
        before = b""
        while some := part.read(1 << 20):
            stretch = before + some
            for found in _MERGED.finditer(stretch):
                left, top, right, bottom = coordinates(found[1].decode())
                yield Area(top, left - 1, bottom, min(right, _WIDEST))
            before = stretch[max(stretch.rfind(b"<"), len(stretch) - _LONGEST_TAG) :]


def filled(cells: Iterable[list[str]], areas: Iterable[Area]) -> Iterator[list[str]]:
    """Rows with the text of each merged area in all of its cells."""
    starting: dict[int, list[Area]] = defaultdict(list)
    for area in areas:
        starting[area.top].append(area)
    open_areas: list[tuple[Area, str]] = []
    for number, row in enumerate(cells, 1):
        for area in starting[number]:
            text = row[area.left] if area.left < len(row) else ""
            open_areas += [(area, text)] if text.strip() else []
        open_areas = [one for one in open_areas if one[0].bottom >= number]
        for area, text in open_areas:
            row = row + [""] * (area.right - len(row))
            row[area.left : area.right] = [one or text for one in row[area.left : area.right]]
        yield row


def _shown(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    return shown(value, str(getattr(cell, "number_format", "") or ""))


def shown(value: object, number_format: str = "") -> str:
    """A value the way its sheet shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat("minutes")
    if isinstance(value, (int, float)):
        return _number(value, number_format)
    return str(value)


def _number(value: float, number_format: str) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    pattern = number_format.split(";")[0].replace("\\", "")
    found = _DECIMALS.search(pattern)
    places = len(found[1]) if found else 0
    if "%" in pattern:
        return f"{value * 100:.{places}f}%"
    comma = "," if "#,#" in pattern or "0,0" in pattern else ""
    sign = next((symbol for symbol in "$€£¥" if symbol in pattern), "")
    if "0" in pattern and "E" not in pattern and "?" not in pattern and (comma or sign or found):
        text = f"{abs(value):{comma}.{places}f}"
        return ("-" if value < 0 else "") + sign + text
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(round(value, 10)) if isinstance(value, float) else str(value)


def _tables(cells: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """The tables of a sheet: parted by blank rows, and side by side by blank columns."""
    block: list[list[str]] = []
    for row in cells:
        if any(cell.strip() for cell in row):
            block.append(row)
        elif block:
            yield from _side_by_side(block)
            block = []
    if block:
        yield from _side_by_side(block)


def _headed(tables: list[list[list[str]]]) -> Iterator[list[list[str]]]:
    """A header that a blank row parts from its table goes back to it."""
    header: list[list[str]] = []
    for table, following in zip(tables, [*tables[1:], None], strict=False):
        if following is not None and not header and _is_header(table, following):
            header = table
            continue
        yield [*header, *table]
        header = []


def _is_header(table: list[list[str]], following: list[list[str]]) -> bool:
    width = sum(bool(cell.strip()) for cell in table[-1])
    words = not any(rows.is_quantity(rows.cell(cell)) for row in table for cell in row)
    return len(table) <= 3 and width >= 3 and words and any(rows.is_quantity(cell) for cell in following[0])


def _side_by_side(block: list[list[str]]) -> Iterator[list[list[str]]]:
    width = max(len(row) for row in block)
    filled = [any(column < len(row) and row[column].strip() for row in block) for column in range(width)]
    edges = [column for column in range(width) if filled[column] and (column == 0 or not filled[column - 1])]
    parts = [[row[start:end] for row in block] for start, end in zip(edges, [*edges[1:], width], strict=True)]
    if len(parts) > 1 and all(_is_wide(part) for part in parts):
        yield from parts
    else:
        yield block


def _is_wide(part: list[list[str]]) -> bool:
    return len(part) > 1 and max(sum(bool(cell.strip()) for cell in row) for row in part) > 1


def _old_workbook(path: Path) -> Iterator[Page]:
    xlrd = need("xlrd", extra="formats", task="Reading .xls")
    try:
        book = xlrd.open_workbook(path, on_demand=True, formatting_info=False, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        raise LoadError(f"{path.name}: cannot be read ({error}); save it as .xlsx without a password") from error
    for worksheet in book.sheets():
        yield sheet(
            worksheet.name, ([_old(xlrd, book, cell) for cell in worksheet.row(row)] for row in range(worksheet.nrows))
        )


def _old(xlrd: Any, book: Any, cell: Any) -> str:
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return shown(xlrd.xldate_as_datetime(cell.value, book.datemode))
        except (ValueError, OverflowError):
            return shown(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return ""
    return shown(bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value)
