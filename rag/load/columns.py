"""Table rows of a page get the headers that stand above their columns.

Takes   lines with positions, in reading order.
Gives   runs of lines that are tables, each row as `Label | Header: value | Header: value`. Where no header stands
        above a column its value stays plain: a wrong header would be worse. No word is lost.
Scope   tables with columns of numbers, as in accounts. Values are matched to columns by their right edge, as numbers
        are set; a header that is centred over several columns names them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.load.layout import CAPTION, NAMED, Cell, Line
from rag.load.rows import is_quantity

_VALUE = re.compile(r"[\s($€£¥+\-–—]*(?:\d[\d,.\s]*|[—–-]+|N/?A|NM|\*)\s*(?:[)%]|pts|bps|x)*\s*\)?", re.IGNORECASE)
_REACH = 7.5  # line heights above the first row in which headers stand
_WIDE = 0.62  # of the page's text width: a line of running text
_LONGEST_NAME = 80
_LONGEST_LABEL = 40
_PERIOD = re.compile(r"ENDED|\d")
_STUB = re.compile(r",$|\b(?:ended|ending|as of|at)\b", re.IGNORECASE)


class Heads(NamedTuple):
    """What stands over the columns of a table."""

    columns: Sequence[tuple[float, float]]  # of values: left and right edge
    names: Sequence[str]  # of these
    texts: Sequence[Cell]  # names over cells of words
    label: Cell | None  # over the labels
    margin: float  # labels begin left of it


def _texts(rows: Sequence[Line], names: Sequence[Cell]) -> bool:
    """Every name stands over a cell of words in some row."""
    return all(any(_overlap(name, cell) for line in rows for cell in line.cells[1:]) for name in names)


def _overlap(name: Cell, cell: Cell) -> bool:
    shared = min(name.right, cell.right) - max(name.left, cell.left)
    return shared > 0.5 * min(name.right - name.left, cell.right - cell.left)


def is_row(line: Line) -> bool:
    """A label with values beside it, or values alone."""
    return len(line.cells) > 1 and any(_is_value(cell.text) for cell in line.cells[1:])


def _is_value(text: str) -> bool:
    return _VALUE.fullmatch(text) is not None and not re.fullmatch(r"(?:19|20)\d\d", text.strip())


def tables(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Index ranges of `lines` that are tables: rows, with short label lines between them, and the headers above."""
    width = max((line.right for line in lines), default=0) - min((line.left for line in lines), default=0)
    found: list[tuple[int, int]] = []
    number = 0
    while number < len(lines):
        if not is_row(lines[number]):
            number += 1
            continue
        end = number + 1
        at = end
        while at < len(lines) and (is_row(lines[at]) or _is_label(lines[at], width)):
            at += 1
            if is_row(lines[at - 1]):
                end = at
            elif at - end >= 3:
                break
        if sum(is_row(line) for line in lines[number:end]) >= 2:
            floor = found[-1][1] if found else 0
            found.append((_header_start(lines, number, floor, width), end))
        number = end
    return found


def _is_label(line: Line, width: float) -> bool:
    return len(line.cells) == 1 and line.right - line.left < _WIDE * width and len(line.text) < 90


def _header_start(lines: Sequence[Line], first: int, floor: int, width: float) -> int:
    """How far up the lines belong to the header: short, close, and over the columns of values."""
    row = lines[first]
    edge = _edge(lines[first : first + 12])
    start = first
    at = first - 1
    while at >= floor and first - at <= 24:
        line = lines[at]
        alone = len(line.cells) == 1
        title = alone and (
            NAMED.match(line.text)
            or CAPTION.match(line.text)
            or (line.text.isupper() and not _PERIOD.search(line.text))
        )
        if is_row(line) or title:
            break
        height = line.bottom - row.bottom
        if not 0 <= height < _REACH * row.height or any(len(cell.text) > _LONGEST_NAME for cell in line.cells):
            break
        if line.right - line.left >= _WIDE * width and len(line.cells) == 1:
            break
        if any(_is_over(cell, edge) for cell in line.cells):
            start = at
        elif first - at > 4 and start < at:
            break
        at -= 1
    return start


def _edge(rows: Sequence[Line]) -> float:
    """Where the labels end and the values may begin."""
    rows = [line for line in rows if is_row(line)]
    values = min(line.cells[1].left for line in rows)
    labels = [line.cells[0].right for line in rows if not _is_value(line.cells[0].text)]
    return min(max(labels, default=0.0), values)


def _is_over(cell: Cell, edge: float) -> bool:
    """A name above the values, not a note such as `(In millions)`."""
    return cell.right > edge + 2 and (cell.left + cell.right) / 2 > edge and cell.text[0] != "("


def render(lines: Sequence[Line], before: Heads | None = None) -> tuple[list[str], Heads | None]:
    """The lines of one table, each row with its headers, and these.

    `before` are those of the table that ended the page before: one without headers in the same columns goes on with it.
    """
    body = next(number for number, line in enumerate(lines) if is_row(line))
    columns = _columns(lines[body:])
    edge = _edge(lines[body:])
    over = [cell for line in lines[:body] for cell in line.cells if _is_over(cell, edge)]
    cells = _names(over, columns)
    names = [_name(column) for column in cells]
    if not any(names) and before is not None and _is_same(before.columns, columns, lines[body].height):
        return [*(line.text for line in lines[:body]), *_body(lines[body:], before)], before
    if not any(names):  # nothing is known about the columns: leave every line as it stands
        return [line.text for line in lines], None
    beside = [[cell for cell in line.cells if not _is_over(cell, edge)] for line in lines[:body]]
    for stub in (cell for line in beside for cell in line):  # `Three Months Ended June 30,` beside `2023` and `2022`
        if _STUB.search(stub.text) and any(abs(cell.bottom - stub.bottom) < 0.5 * cell.height for cell in over):
            names = [f"{stub.text} {name}" if name else name for name in names]
    rest = [cell for cell in over if not any(cell is own for column in cells for own in column)]
    label = _label_name(over, [cell for line in beside for cell in line], lines[body:])
    captions = [" ".join(stub.text for stub in line) for line in beside if line and line != [label]]
    if rest and not _texts(lines[body:], rest):  # names of no column: their words must not be lost
        captions.append(" | ".join(cell.text for cell in rest))
    margin = min(line.left for line in lines[body:]) + 2 * lines[body].height
    heads = Heads(columns, names, rest, label, margin)
    return [*captions, *_body(lines[body:], heads)], heads


def _is_same(before: Sequence[tuple[float, float]], columns: Sequence[tuple[float, float]], height: float) -> bool:
    """Each column ends where one of the page before did."""
    return bool(columns) and all(any(abs(right - edge) < height for _, edge in before) for _, right in columns)


def _label_name(over: Sequence[Cell], beside: Sequence[Cell], lines: Sequence[Line]) -> Cell | None:
    """What the labels are: the word beside the lowest names (`Country`), no unit and no period."""
    lowest = min(over, key=lambda cell: cell.bottom)
    level = [cell for cell in beside if abs(cell.bottom - lowest.bottom) < 0.5 * cell.height]
    found = level[0] if len(level) == 1 else None
    if found is None or found.text[0] == "(" or found.text[-1] == ":" or len(found.text) > _LONGEST_LABEL:
        return None
    period = _STUB.search(found.text) or _PERIOD.search(found.text.upper())
    labels = [line.cells[0] for line in lines if is_row(line)]
    used = any(_overlap(found, label) for label in labels) and found.text not in {label.text for label in labels}
    return found if used and not period else None


def _body(lines: Sequence[Line], heads: Heads) -> list[str]:
    """Rows with their headers. A label such as `Cost of sales:` also stands before the rows indented below it."""
    found: list[str] = []
    group: Line | None = None
    broken: Line | None = None  # a label whose last words stand in the row below
    for number, line in enumerate(lines):
        if not is_row(line):
            following = lines[number + 1] if number + 1 < len(lines) else None
            if following is not None and is_row(following) and following.text[:1].islower():
                broken = line
                continue
            group = line if line.text.endswith(":") else None if group and line.left <= group.left else group
            found.append(line.text)
            continue
        row = _row(line, heads)
        if broken is not None:
            row, broken = f"{broken.text} {row}", None
        if group is not None and line.left > group.left + 2:
            row = f"{group.text} {row}"
        elif group is not None:
            group = None
        found.append(row)
    return found


def _columns(rows: Sequence[Line]) -> list[tuple[float, float]]:
    """Left and right edges of the columns of values, found by their common right edges."""
    values = [cell for line in rows if is_row(line) for cell in line.cells[1:] if _is_value(cell.text)]
    if not values:
        return []
    slack = 0.9 * values[0].height
    groups: list[list[Cell]] = []
    for cell in sorted(values, key=lambda cell: cell.right):
        if groups and cell.right - groups[-1][-1].right < slack:
            groups[-1].append(cell)
        else:
            groups.append([cell])
    return [(min(c.left for c in group), max(c.right for c in group)) for group in groups]


def _names(above: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> list[list[Cell]]:
    """The cells over each column, top to bottom."""
    levels: list[list[Cell]] = []
    for cell in sorted(above, key=lambda cell: -cell.bottom):
        if levels and abs(levels[-1][0].bottom - cell.bottom) < 0.5 * cell.height:
            levels[-1].append(cell)
        else:
            levels.append([cell])
    placed = [_placed(level, columns) for level in levels]
    for down in range(len(levels) - 1):  # the second line of a name that is centred over several columns names them all
        for cell in levels[down + 1]:
            upper = _columns_at(placed[down], cell)
            rivals = [own for column, own in placed[down + 1] if column in upper and own is not cell]
            if not rivals and len(upper) > sum(own is cell for _, own in placed[down + 1]):
                placed[down + 1] = [(c, own) for c, own in placed[down + 1] if own is not cell]
                placed[down + 1] += [(column, cell) for column in sorted(upper)]
    for up in range(len(levels) - 2, -1, -1):  # the first line of a name, narrower than the second, may touch no column
        for cell in levels[up]:
            if not any(own is cell for _, own in placed[up]):
                placed[up] += [(column, cell) for column in sorted(_columns_at(placed[up + 1], cell))]
    return [[cell for level in placed for column, cell in level if column == number] for number in range(len(columns))]


def _columns_at(level: Sequence[tuple[int, Cell]], cell: Cell) -> set[int]:
    """The columns named by what stands right above or below `cell`."""
    return {column for column, other in level if abs(_middle(other) - _middle(cell)) < 1.5 * cell.height}


def _name(cells: Sequence[Cell]) -> str:
    """The words over a column; a long title over the whole table goes, what stands nearest to the values stays."""
    name = ""
    for part in (cell.text for cell in reversed(cells)):
        if name and len(part) + len(name) > _LONGEST_NAME:
            break
        name = f"{part} {name}".strip()
    return name.rstrip(":")


def _middle(cell: Cell) -> float:
    return (cell.left + cell.right) / 2


def _placed(level: Sequence[Cell], columns: Sequence[tuple[float, float]]) -> list[tuple[int, Cell]]:
    """Which header of one height names which column."""
    each = len(columns) // len(level)
    if len(level) > 1 and each > 1 and each * len(level) == len(columns):  # two periods over four columns: two for each
        groups = [(cell, range(n * each, (n + 1) * each)) for n, cell in enumerate(sorted(level, key=_middle))]
        if all(columns[over[0]][0] < _middle(cell) < columns[over[-1]][1] for cell, over in groups):
            return [(column, cell) for cell, over in groups for column in over]
    if len(level) == 1 and _PERIOD.search(level[0].text.upper()) and len(level[0].text) > 8:  # one date over the table
        return [(column, level[0]) for column in range(len(columns))]
    placed: list[tuple[int, Cell]] = []
    for cell in level:
        touched = [n for n, (left, right) in enumerate(columns) if cell.left < right + 2 and cell.right > left - 2]
        placed.extend((column, cell) for column in touched)
    if len(level) * 2 > len(columns):  # as good as a name for each column: these are no group names
        return placed
    free = [n for n in range(len(columns)) if n not in {column for column, _ in placed}]
    for column in free:  # a name centred over several columns does not reach over the outer ones
        middle = sum(columns[column]) / 2
        nearest = min(level, key=lambda cell: abs(_middle(cell) - middle))
        own = [n for n, cell in placed if cell is nearest]
        if own and _is_centred(nearest, [*own, column], columns):
            placed.append((column, nearest))
    return placed


def _is_centred(cell: Cell, over: Sequence[int], columns: Sequence[tuple[float, float]]) -> bool:
    """The name's middle is that of the columns taken together, within half a column."""
    left, right = min(columns[n][0] for n in over), max(columns[n][1] for n in over)
    return abs(_middle(cell) - (left + right) / 2) < 0.3 * (right - left) / len(over) + cell.height


def _row(line: Line, heads: Heads) -> str:
    parts: list[str] = []
    for number, cell in enumerate(line.cells):
        beside = " ".join(name.text for name in heads.texts if _overlap(name, cell))
        label = heads.label.text if heads.label and number == 0 and _overlap(heads.label, cell) else ""
        if label or (number == 0 and not is_quantity(cell.text)):
            name = label.rstrip(":") or (beside if cell.left > heads.margin else "")
            parts.append(f"{name}: {cell.text}" if name else cell.text)
            continue
        column = next(
            (
                n
                for n, (left, right) in enumerate(heads.columns)
                if abs(cell.right - right) < cell.height or left <= cell.right <= right
            ),
            None,
        )
        name = beside if column is None else heads.names[column]
        parts.append(f"{name}: {cell.text}" if name else cell.text)
    return " | ".join(parts)
