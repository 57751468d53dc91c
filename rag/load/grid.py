"""Tables of words on a page: cells that stand in columns, with or without lines around them.

Takes   lines with positions, in reading order, of which no table of numbers was found (`columns.py`).
Gives   runs of lines that are tables, each row with the header over each of its cells.
Found   by their gaps: over three rows or more the cells fall into columns that no cell crosses. A line whose cells
        stand close below the row above, with nothing in the first column, goes on with that row.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from rag.load import rows
from rag.load.layout import Line

_FEWEST_ROWS = 3
_FAR = 3.6  # line heights between two rows
_CLOSE = 1.45  # line heights between two lines of one cell
_LONGEST = 70  # characters: half of the cells are shorter

Column = tuple[float, float]  # left and right edge


class Heads(NamedTuple):
    """What stands over the columns of a table."""

    columns: Sequence[Column]
    names: Sequence[str]


def tables(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Index ranges of `lines` that are tables."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(lines):
        end = _end(lines, at) if len(lines[at].cells) > 1 else at
        if _is_table(lines[at:end]):
            found.append((at - (at > (found[-1][1] if found else 0) and _is_header(lines[at - 1], lines[at:end])), end))
        at = max(end, at + 1)
    return found


def render(lines: Sequence[Line], before: Heads | None = None) -> tuple[list[str], Heads | None]:
    """The rows of one table, and its header where it is certain.

    `before` is that of the table that ended the page before: one without a header in the same columns goes on with it.
    """
    if _are_pairs(lines):
        return [_pairs(line) for line in lines], None
    above = lines[:1] if _is_header(lines[0], lines[1:]) else []
    body = lines[len(above) :]
    columns = _columns(body)
    table = [[_text_in(line, column) for column in columns] for line in above]
    bold: list[bool] = []
    for number, line in enumerate(body):
        row = [_text_in(line, column) for column in columns]
        if number and _goes_on(body, number, row):
            table[-1] = [f"{over} {text}".strip() for over, text in zip(table[-1], row, strict=True)]
        else:
            table.append(row)
            bold.append(line.bold)
    if above or (bold[0] and not all(bold)):
        return rows.lines(table, header=1), Heads(columns, table[0])
    names = _names_before(before, columns, body[0].height)
    if names:
        return rows.lines([names, *table], header=1), before
    labels = all(line.cells[0].bold for line in body) and not any(line.bold for line in body)
    return rows.lines(table, header=0 if labels else rows.GUESS), None


def _names_before(before: Heads | None, columns: Sequence[Column], height: float) -> list[str]:
    """For each column the name of the one that began there on the page before; nothing where one did not."""
    known = list(zip(before.columns, before.names, strict=True)) if before else []
    found = [next((name for (left, _), name in known if abs(left - start) < height), "") for start, _ in columns]
    return found if all(found) else []


def _text_in(line: Line, column: Column) -> str:
    left, right = column
    return " ".join(cell.text for cell in line.cells if cell.left <= right and cell.right >= left)


def _is_header(line: Line, body: Sequence[Line]) -> bool:
    """A line right above whose cells, close to each other or centred, cross the columns: it names them all the same."""
    if len(line.cells) < 2 or not body or not _is_table(body):
        return False
    columns = _columns(body)
    near = 0 < line.bottom - body[0].bottom < _FAR * line.height
    return near and not _fits([*body, line]) and all(_text_in(line, column) for column in columns)


def _are_pairs(lines: Sequence[Line]) -> bool:
    """A form: labels that end in a colon or are set bold, each with its value beside it."""
    several = [line for line in lines if len(line.cells) > 1]
    paired = sum(
        len(line.cells) % 2 == 0 and all(_is_label(line, at) for at in range(0, len(line.cells), 2)) for line in several
    )
    return paired > 0.7 * len(several)


def _is_label(line: Line, at: int) -> bool:
    label, value = line.cells[at], line.cells[at + 1]
    return label.text.endswith(":") or (label.bold and not value.bold)


def _pairs(line: Line) -> str:
    if len(line.cells) % 2:
        return line.text
    texts = [cell.text for cell in line.cells]
    return " | ".join(f"{label.rstrip(':')}: {value}" for label, value in zip(texts[::2], texts[1::2], strict=True))


def _end(lines: Sequence[Line], start: int) -> int:
    """One past the last line that keeps to the columns of those before it."""
    end, last = start + 1, start + 1
    while end < len(lines):
        above, line = lines[end - 1], lines[end]
        distance = above.bottom - line.bottom
        if not 0 < distance < _FAR * max(above.height, line.height):
            break
        if not _fits(lines[start : end + 1]):
            break
        end += 1
        if len(line.cells) > 1 or distance < _CLOSE * line.height:
            last = end
    return last


def _fits(lines: Sequence[Line]) -> bool:
    """No cell of the last line crosses from one column to another, and its cells do not share one."""
    columns = _columns(lines[:-1])
    if len(_columns(lines)) < len(columns) or len(columns) < 2:
        return False
    line = lines[-1]
    if len(line.cells) == 1:  # goes on with a cell that is not the first
        return line.left > columns[0][1]
    places = [
        [n for n, (left, right) in enumerate(columns) if cell.left <= right and cell.right >= left]
        for cell in line.cells
    ]
    met = [place[0] for place in places if place]
    return len(met) == len(set(met)) and len(met) >= 1


def _columns(lines: Sequence[Line]) -> list[Column]:
    """The stretches that cells cover, from left to right."""
    found: list[Column] = []
    for cell in sorted((cell for line in lines for cell in line.cells), key=lambda cell: cell.left):
        if found and cell.left <= found[-1][1] + 0.5:
            found[-1] = (found[-1][0], max(found[-1][1], cell.right))
        else:
            found.append((cell.left, cell.right))
    return found


def _is_table(lines: Sequence[Line]) -> bool:
    several = [line for line in lines if len(line.cells) > 1]
    if not several:
        return False
    enough = len(several) >= _FEWEST_ROWS or (len(several) == 2 and min(len(line.cells) for line in several) > 2)
    usual = statistics.median(len(cell.text) for line in several for cell in line.cells)
    return enough and usual <= _LONGEST


def _goes_on(lines: Sequence[Line], number: int, row: Sequence[str]) -> bool:
    """This line holds the next words of cells of the row above, not a row with an empty first cell."""
    above, line = lines[number - 1], lines[number]
    distance = above.bottom - line.bottom
    if row[0] or distance >= _CLOSE * line.height:
        return False
    steps = [
        before.bottom - after.bottom
        for before, after in itertools.pairwise(lines)
        if len(after.cells) > 1 and after.left < line.left
    ]
    return len(line.cells) == 1 or (bool(steps) and distance < 0.9 * statistics.median(steps))
