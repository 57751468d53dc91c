"""The lines of a page in the order in which people read them, without what stands in its margins.

Takes   lines in the order of the page's content, the size of the page and of its type.
Gives   lines in reading order. The order of the content is kept where it can be one: programs write columns one after
        the other. Where it climbs back over what it has written, or weaves two columns into lines, places decide:
        columns are found by the gap that few lines cross, each is read from top to bottom, lines over all of them in
        between.
Leaves out page numbers with the line that they stand in, where it lies in the margin apart from the text, and stamps
        that run up the side.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rag.load.layout import Cell, Line, joined

_MARGIN = 0.09  # of the page's height
_SIDE = 0.1  # of its width
_STAMP = 8  # letters that stand below each other
_APART = 1.3  # line heights between a running line and the text
_NUMBER = r"(?:\d{1,4}|[ivxlc]{1,6}|[A-Z]-\d{1,3})"
_RUNNING = re.compile(
    rf"[-–—\s]*(?:page|seite|p\.)?\s*{_NUMBER}(?:\s*(?:/|of|von|de)\s*\d{{1,4}})?[-–—\s]*", re.IGNORECASE
)
_NOTE = re.compile(r"(?:\d{1,2}|[*∗†‡§¶])\s?[“\"'(]?(?![a-zß-ÿ])[^\W\d_]")
_NOTE_SIZE = 0.93  # times the size of the body text
_MARK = 4  # characters of a raised mark
_WOVEN = 4  # lines that hold stretches of two columns
_PROSE = 25  # characters of such a stretch
_SIDE_LINES = 3  # a column has as many
_CROSSED = 0.25  # of the lines may run over the gap between columns
_DEPTH = 6  # columns within columns


class Frame(NamedTuple):
    """The page as its reader holds it, in points."""

    left: float
    right: float
    bottom: float
    top: float


def arranged(lines: Sequence[Line], frame: Frame) -> list[Line]:
    """Lines as they are read."""
    edge = _MARGIN * (frame.top - frame.bottom)
    inner = [line for line in lines if frame.bottom + edge < line.bottom < frame.top - edge]
    if not (_climbs(inner) or _is_woven(inner)):
        return list(lines)
    return list(_ordered([cell for line in lines for cell in line.cells], 0))


def without_margins(lines: Sequence[Line], frame: Frame) -> list[Line]:
    """Lines without running numbers at the upper and lower edge and stamps at the sides."""
    if not lines:
        return []
    kept = [line for line in lines if not (line.sideways and len(line.text) >= _STAMP and _at_side(line, frame))]
    margin = _MARGIN * (frame.top - frame.bottom)
    for top in (True, False):
        inner = sorted(kept, key=lambda line: -line.bottom if top else line.bottom)
        if len(inner) < 2:
            continue
        edge, following = inner[0], inner[1]
        distance = abs(edge.bottom - following.bottom) - max(edge.height, following.height)
        outside = edge.bottom > frame.top - margin if top else edge.bottom + edge.height < frame.bottom + margin
        if outside and distance > (_APART - 1) * edge.height and _is_running(edge):
            kept = [line for line in kept if line is not edge]
    return kept


def notes_last(lines: Sequence[Line], body: float) -> list[Line]:
    """Footnotes, set in smaller type at the foot of a column, after the text that they would otherwise part."""
    if not lines:
        return []
    middle = statistics.median(line.bottom for line in lines)
    text: list[Line] = []
    notes: list[Line] = []
    last: Line | None = None
    for line in lines:
        small = line.height < _NOTE_SIZE * body and line.bottom < middle and len(line.cells) == 1
        begins = _NOTE.match(line.text) and (last is None or last in notes or line.height < _NOTE_SIZE * last.height)
        last = line
        if small and (begins or (notes and _follows(notes[-1], line))):
            notes.append(line)
        else:
            text.append(line)
    if notes and len(text) > 1:  # a running footer stays last, where it is known as one
        foot, above = text[-1], text[-2]
        if foot.bottom < min(note.bottom for note in notes) and abs(above.bottom - foot.bottom) > 2 * foot.height:
            return [*text[:-1], *notes, foot]
    return text + notes


def _follows(note: Line, line: Line) -> bool:
    return 0 < note.bottom - line.bottom < 1.6 * line.height and abs(note.height - line.height) < 0.15 * note.height


def _at_side(line: Line, frame: Frame) -> bool:
    margin = _SIDE * (frame.right - frame.left)
    return line.left < frame.left + margin or line.right > frame.right - margin


def _is_running(line: Line) -> bool:
    """A page number alone, or at one end of a line with the title or the author at the other."""
    ends = (line.cells[0].text, line.cells[-1].text)
    return any(_RUNNING.fullmatch(text) for text in ends)


def _climbs(lines: Sequence[Line]) -> bool:
    """The content goes back above something it has written in the same place, or up to the left."""
    for number in range(1, len(lines)):
        last, line = lines[number - 1], lines[number]
        if line.bottom < last.bottom + 0.5 * line.height or len(line.text) <= _MARK:
            continue
        if line.right <= last.left or any(_is_below(before, line) for before in lines[:number]):
            return True
    return False


def _is_below(before: Line, line: Line) -> bool:
    shared = min(before.right, line.right) - max(before.left, line.left)
    overlap = shared > 0.5 * min(before.right - before.left, line.right - line.left)
    return overlap and before.bottom + before.height < line.bottom + 0.3 * line.height


def _is_woven(lines: Sequence[Line]) -> bool:
    """Lines hold stretches of running text side by side."""
    pairs = [line.cells for line in lines if sum(_is_prose(cell) for cell in line.cells) >= 2]
    if len(pairs) < _WOVEN or len(pairs) < 0.3 * len(lines):
        return False
    lefts = sorted(cells[-1].left for cells in pairs)
    return lefts[len(lefts) * 3 // 4] - lefts[len(lefts) // 4] < 2 * pairs[0][0].height


def _is_prose(cell: Cell) -> bool:
    return len(cell.text) >= _PROSE and " " in cell.text and sum(c.isalpha() for c in cell.text) > 0.6 * len(cell.text)


def _ordered(cells: Sequence[Cell], depth: int) -> Iterator[Line]:
    gap = _gap(cells) if depth < _DEPTH else None
    if gap is None:
        yield from _rows(cells)
        return
    across = _rows([cell for cell in cells if cell.left < gap < cell.right])
    rest = [cell for cell in cells if not cell.left < gap < cell.right]
    for line in [*across, None]:
        above = [cell for cell in rest if line is None or cell.bottom > line.bottom]
        rest = [cell for cell in rest if line is not None and cell.bottom <= line.bottom]
        for side in ([c for c in above if c.right <= gap], [c for c in above if c.left >= gap]):
            if side:
                yield from _ordered(side, depth + 1)
        if line is not None:
            yield line


def _gap(cells: Sequence[Cell]) -> float | None:
    """Where running text in columns is parted: hardly a line crosses it. None for one column, and for a table."""
    if len(cells) < 2 * _SIDE_LINES:
        return None
    best, least = None, _CROSSED * len(cells)
    for place in sorted({round(cell.left) for cell in cells}):
        gap = place - 1.0
        left = [cell for cell in cells if cell.right <= gap]
        right = [cell for cell in cells if cell.left >= gap]
        crossed = len(cells) - len(left) - len(right)
        if crossed < least and _is_column(left) and _is_column(right):
            best, least = gap, crossed
    return best


def _is_column(cells: Sequence[Cell]) -> bool:
    """Lines of running text, not the short cells of a table."""
    return len(cells) >= _SIDE_LINES and statistics.median(_wide(cell.text) for cell in cells) >= _PROSE * 0.7


def _wide(text: str) -> int:
    """How long a text is in letters of our size: Chinese and Korean ones are twice as wide."""
    return len(text) + sum(letter >= "\u1100" for letter in text)


def _rows(cells: Sequence[Cell]) -> list[Line]:
    """Cells on one height are a line."""
    found: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda cell: -(cell.bottom + cell.top)):
        if found and _is_beside(found[-1], cell):
            found[-1].append(cell)
        else:
            found.append([cell])
    return [joined(Line(sorted(row, key=lambda cell: cell.left))) for row in found]


def _is_beside(row: Sequence[Cell], cell: Cell) -> bool:
    """On the height of the row, and not printed over it."""
    first = row[0]
    height = min(first.top, cell.top) - max(first.bottom, cell.bottom)
    free = all(cell.left > other.right - 2 or cell.right < other.left + 2 for other in row)
    return free and height > 0.45 * min(first.height, cell.height)
