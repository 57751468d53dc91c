"""Rows of cells become lines that stand alone: `Header: value | Header: value`.

Takes   a table as rows of cell texts, from any format; merged cells repeat their text or are empty.
Gives   one line a row, the header repeated in each, so that a row can be found and quoted by itself. A title above the
        table and a section label inside it (a row with one cell) stay lines of their own.
Header  said by the caller where the format says it; else guessed, carefully: a wrong header spoils every row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

Row = Sequence[str]

GUESS = -1  # let `lines` find out how many rows are header rows
FIRST = -2  # the first row is one, where nothing speaks against it: tables of words in documents that people write

_SPACE = re.compile(r"[ \t\r\f\v\u00a0]+")
_BREAKS = re.compile(r"\s*\n\s*")
_QUANTITY = re.compile(r"[\s($€£¥+\-–—]*\d[\d,.\s]*(?:[%)]|[A-Za-z]{1,2})*\s*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_MOST_HEADERS = 3  # rows
_SHORT_NAME = re.compile(r"[^(\s].{0,38}[^.;:,]")  # over one of two columns of words
_LONGEST_HEADER = 80  # characters; longer cells are content


def cell(text: str) -> str:
    """The text of one cell on one line: a break inside it becomes `; `, unless punctuation ends the line already."""
    parts = [part for part in _BREAKS.split(_SPACE.sub(" ", text).strip()) if part]
    line = ""
    for part in parts:
        line += ("" if not line else " " if line[-1] in ".,;:!?-–/(" else "; ") + part
    return line


def is_quantity(text: str) -> bool:
    """An amount, not a label: `81,797`, `$ 5`, `12%`; a year is a label (columns are often named by it)."""
    return bool(_QUANTITY.fullmatch(text)) and not _YEAR.fullmatch(text.strip())


def lines(rows: Sequence[Row], *, header: int = GUESS) -> list[str]:
    """The table's lines, top to bottom. `header` is the number of header rows after any title rows."""
    table = _rectangle([[cell(text) for text in row] for row in rows])
    if not table:
        return []
    titles: list[str] = []
    while header != 1 and len(table) > 1 and len(table[0]) > 1 and _is_title(table[0]):
        titles.append(next(text for text in table[0] if text))
        table = table[1:]
    table = _rectangle(table)
    if header > 0:  # rows that turned out to be titles no longer count
        header = header - len(titles) or FIRST
    count = min(_guess(table, first=header == FIRST) if header < 0 else header, len(table))
    names = _names(table[:count]) if count else [""] * len(table[0])
    if count == len(table):  # nothing but a header: its words are still worth finding
        return [*titles, *(" | ".join(text for text in row if text) for row in table)]
    return [*titles, *(_line(names, row) for row in table[count:])]


def _is_title(row: list[str]) -> bool:
    """One text, at the left or over everything; one that stands over an inner column names a group of columns."""
    return len({text for text in row if text}) == 1 and bool(row[0])


def _rectangle(rows: list[list[str]]) -> list[list[str]]:
    """Rows of equal width, without the rows and columns that are empty throughout."""
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    used = [column for column in range(width) if any(row[column] for row in rows)]
    if len(rows) > 1:  # cells that are merged over the same columns in every row are one column
        used = [
            column
            for number, column in enumerate(used)
            if not number or any(row[column] != row[used[number - 1]] for row in rows)
        ]
    return [[row[column] for column in used] for row in rows]


def _line(names: Sequence[str], row: Row) -> str:
    filled = [(name, text) for name, text in zip(names, row, strict=True) if text]
    same = len({text for _, text in filled}) == 1 and (len(filled) == 1 or not is_quantity(filled[0][1]))
    if len(row) > 2 and same:
        return filled[0][1]  # a section label, or one cell merged over the whole row
    parts: list[str] = []
    for number, (name, text) in enumerate(filled):
        name = name.rstrip(":")
        if number and filled[number - 1] == (name, text) and not is_quantity(text):
            continue  # merged over both
        parts.append(text if not name or name == text else f"{name}: {text}")
    return " | ".join(parts)


def _names(header: list[list[str]]) -> list[str]:
    """One name a column; the group names of an upper row (`Q1` over two columns) come first."""
    names: list[str] = []
    filled = [row if index == len(header) - 1 else _carried(row) for index, row in enumerate(header)]
    for column in range(len(header[0])):
        parts = dict.fromkeys(row[column].replace("; ", " ") for row in filled if row[column])
        names.append(" ".join(parts))
    return names


def _carried(row: Row) -> list[str]:
    """An upper header row names a group once, over its first column: carry the name to the right."""
    carried: list[str] = []
    for text in row:
        carried.append(text or (carried[-1] if len(carried) > 1 else ""))  # the corner names the rows, not a group
    return carried


def _guess(table: list[list[str]], *, first: bool) -> int:
    """How many rows are header rows: as many as it takes until each column has a name of its own."""
    width = len(table[0])
    if len(table) < 2 or width == 1 or not _may_be_header(table[0]):
        return 0
    if sum(row[0].endswith(":") for row in table) * 2 > len(table):
        return 0
    body = table[1:]
    if width == 2:  # pairs of label and value look like this too: only amounts below words speak for a header
        amounts = sum(is_quantity(row[1]) for row in body)
        words = first and len(table) > 2 and all(_SHORT_NAME.fullmatch(text) for text in table[0])
        return 1 if words or amounts * 2 > len(body) else 0
    for count in range(1, min(_MOST_HEADERS, len(table) - 1) + 1):
        last = table[count - 1]
        if not _may_be_header(last):
            break
        names = [name for name in _names(table[:count]) if name]
        amounts = count == 1 or any(is_quantity(text) for row in table[count:] for text in row)
        if amounts and sum(bool(text) for text in last) >= width - 1 <= len(names) == len(set(names)):
            return count
    return 1 if first and sum(bool(text) for text in table[0]) >= width - 1 else 0


def _may_be_header(row: Row) -> bool:
    if any(unicodedata.category(text[0]) == "So" for text in row if text):
        return False  # a box to tick
    return any(row) and not any(is_quantity(text) or len(text) > _LONGEST_HEADER for text in row)
