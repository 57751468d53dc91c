"""Characters with positions become lines, and lines become headings, paragraphs, lists and table rows.

    characters ─► cells (runs without a gap) ─► lines ─┬─► tables: rows with their column headers (`columns.py`)
                                                       └─► headings by size and weight, list items, paragraphs

Takes   the characters of a page in the order of its content, with boxes in points; y grows upwards.
Gives   blocks of text in the convention of `rag.load`.
Order   that of the content is kept: in files made by programs it is the reading order, columns included; sorting by
        position would weave columns together. Only cells that follow each other on one height become a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_GAP = 1.0  # line heights between two cells; spaces between words stay below half of one
_SAME_LINE = 0.45  # share of the height by which neighbours must overlap
_HEADING_SIZE = 1.12  # times the size of the body text
_LONGEST_HEADING = 120
_HEADING_LINES = 2  # after the first
_FEW_PAGES = 3  # documents that have no cover
CAPTION = re.compile(r"(?:table|figure|fig|chart|abbildung|abb|tabelle|tab)\.?\s*\d+\b", re.IGNORECASE)
NAMED = re.compile(
    r"(?:note|item|part|section|article|chapter|appendix|schedule|annex)\s+[\dIVXLA-Z]+\b", re.IGNORECASE
)
_DATE = re.compile(r"(?:[A-Z]\w+\.? \d{1,2}, |\d{1,2}\.? [A-Z]\w+ |\d{1,2}[./]\d{1,2}[./])\d{4}")
_SECTION = re.compile(r"\d{1,2}(?:\.\d{1,2}){1,3}\.?\s+[A-Z][^.;:!?]{2,70}")  # 3.1 Layout of pages
_ITEM = re.compile(r"(?:[•◦▪▫‣●○■□◆➢✓\uf0b7\uf0a7·*–-]\s+\S|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S)")
_LABEL = re.compile(
    r"[•◦▪▫‣●○■□◆➢✓\uf0b7\uf0a7·*–-]|\(?(?:\d{1,2}(?:\.\d{1,2}){0,3}|\.\d|[a-zA-Z]|[ivx]{1,4})[.)]?|[A-Z]{1,2}\.\d"
)
_BULLET = re.compile(r"[•◦▪▫‣●○■□◆➢✓\uf0b7\uf0a7·*–]\s+")
_LEADERS = re.compile(r"\s*(?:\.\s?){4,}\s*")
_TRAILING_SIGN = re.compile(r"(.*[\d)%—–])\s*(US\$|[$€£¥])")
_ENDS = (".", ";", ",", ":")


@dataclass(slots=True)
class Cell:
    """A run of characters without a gap."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool = False

    @property
    def height(self) -> float:
        """Of the characters' boxes, in points: about 1.2 times the size of the type."""
        return self.top - self.bottom


@dataclass(slots=True)
class Line:
    """Cells on one height, left to right."""

    cells: list[Cell] = field(default_factory=list)
    sideways: bool = False  # single letters below each other

    @property
    def text(self) -> str:
        """Its words; cells are parted by a bar, but not a label that ends in a colon from its value."""
        return " | ".join(cell.text for cell in self.cells).replace(": | ", ": ")

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.cells[0].left

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.cells[-1].right

    @property
    def height(self) -> float:
        """Of its tallest cell."""
        return max(cell.height for cell in self.cells)

    @property
    def bottom(self) -> float:
        """Lower edge of its first cell."""
        return self.cells[0].bottom

    @property
    def bold(self) -> bool:
        """All of it is set in bold type."""
        return all(cell.bold for cell in self.cells)


def lines(cells: Sequence[Cell]) -> list[Line]:
    """Cells that follow each other to the right on one height are a line."""
    found: list[Line] = []
    for cell in cells:
        if found and _beside(found[-1].cells[-1], cell):
            found[-1].cells.append(cell)
        else:
            found.append(Line([cell]))
    return [joined(line) for line in _upright(found)]


def _upright(found: Sequence[Line]) -> list[Line]:
    """Letters that stand below each other (text set sideways in the margin) are one line."""
    kept: list[Line] = []
    for line in found:
        last = kept[-1] if kept else None
        if last is not None and len(line.text) == 1 and abs(last.left - line.left) < line.height and last.sideways:
            last.cells[0].text += line.text
        else:
            line.sideways = len(line.text) == 1 and not line.text.isdigit()
            kept.append(line)
    return kept


def _beside(left: Cell, right: Cell) -> bool:
    overlap = min(left.top, right.top) - max(left.bottom, right.bottom)
    return right.left >= left.right - 1 and overlap > _SAME_LINE * min(left.height, right.height)


def joined(line: Line) -> Line:
    """Cells that are one value: a currency sign and its amount, an amount and its bracket or per cent sign."""
    cells: list[Cell] = []
    for cell in (part for whole in line.cells for part in _signs_apart(whole)):
        last = cells[-1] if cells else None
        if last is not None and _is_one(cells, last, cell, len(line.cells)):
            last.text += ("" if cell.left - last.right < 0.15 * last.height else " ") + cell.text
            last.right = cell.right
            continue
        sign_before = last is not None and last.text in ("$", "€", "£", "¥", "(", "($", "$(", "-", "–", "US$", "CHF")
        sign_after = cell.text in (")", "%", ")%", "%)", "pts", "*") and last is not None and last.text[-1:].isdigit()
        close = last is not None and cell.left - last.right < _GAP * min(cell.height, last.height)
        if last is not None and (
            sign_before or sign_after or (close and last.text[-1:].isdigit() and cell.text == ")")
        ):
            space = " " if (sign_before and last.text[-1] not in "($") or last.text[-1:] == "$" else ""
            last.text += space + cell.text
            last.right = cell.right
            if sign_before:  # signs stand far left of their amounts: the column is where the amounts are
                last.left = cell.left
        else:
            cells.append(cell)
    return Line(cells, line.sideways)


def _is_one(cells: Sequence[Cell], last: Cell, cell: Cell, count: int) -> bool:
    """Two runs that only look apart: raised type between them, a wide space after a sentence, an item's label."""
    gap = cell.left - last.right
    tall = max(last.height, cell.height)
    if cell.text in ("$", "US$", "€", "£", "¥"):
        return False
    if gap < 0.35 * tall:
        return True
    if gap < 1.8 * tall and last.text[-1:] in ".,;:!?" and len(last.text) > 3 and cell.text[:1].isalpha():
        return True
    label = len(cells) == 1 and count == 2 and _LABEL.fullmatch(last.text) is not None
    return label and (gap < 6 * tall) and cell.text[:1].isalpha() and len(cell.text) > 2


def _signs_apart(cell: Cell) -> list[Cell]:
    """`15,535 $` is an amount and the sign of the next column's amount."""
    found = _TRAILING_SIGN.fullmatch(cell.text)
    if found is None:
        return [cell]
    edge = cell.right - (cell.right - cell.left) * (len(cell.text) - len(found[1])) / len(cell.text)
    amount = Cell(found[1], cell.left, edge, cell.bottom, cell.top, cell.bold)
    return [amount, Cell(found[2], edge, cell.right, cell.bottom, cell.top, cell.bold)]


class Type(NamedTuple):
    """How a document uses its sizes of type."""

    body: float  # height of most of its text
    levels: dict[int, int]  # size (see `_size`) -> level of the headings set in it


def type_of(pages: Sequence[Sequence[Line]]) -> Type:
    """Body size and heading sizes of a whole document. Type that only a cover uses makes no headings: they would stand
    over every page that follows."""
    weights: Counter[int] = Counter()
    lengths: dict[int, list[int]] = {}
    used: dict[int, set[int]] = {}
    for number, page in enumerate(pages):
        for line in page:
            size = _size(line)
            weights[size] += len(line.text)
            lengths.setdefault(size, []).append(len(line.text))
            used.setdefault(size, set()).add(number)
    body = weights.most_common(1)[0][0] if weights else 2
    sizes = [
        size
        for size in sorted(lengths, reverse=True)
        if size >= body * _HEADING_SIZE
        and (len(used[size]) > 1 or len(pages) <= _FEW_PAGES)
        and not (
            len(lengths[size]) > 3 and sum(lengths[size]) / len(lengths[size]) > 50
        )  # whole paragraphs are set in it
    ]
    return Type(body / 2, {size: min(2 + rank, 3) for rank, size in enumerate(sizes)})


def _size(line: Line) -> int:
    """Height in half points."""
    return round(line.height * 2)


def heading_level(line: Line, type_: Type, roomy: bool, *, goes_on: bool = False) -> int:
    """2 to 4 for a heading (1 is the document's title), else 0. `roomy`: space above, or a change of type below.

    `goes_on`: the next line is of the same bold type.
    """
    text = line.text
    if len(line.cells) > 1 or len(text) > _LONGEST_HEADING or sum(c.isalpha() for c in text) < 3 or text[0] == "(":
        return 0
    if text.endswith((",", ";")) or text[0].islower() or "@" in text or CAPTION.match(text):
        return 0
    if _size(line) in type_.levels and not _DATE.fullmatch(text):
        return type_.levels[_size(line)]
    by_look = line.bold or NAMED.match(text) is not None or _SECTION.fullmatch(text) is not None
    return 4 if by_look and roomy and (goes_on or not text.endswith(_ENDS)) and line.height >= 0.9 * type_.body else 0


def paragraphs(found: Sequence[Line], type_: Type) -> list[str]:
    """Blocks of running text: lines of one paragraph joined, headings and list items recognised."""
    blocks: list[str] = []
    paragraph: list[Line] = []
    level = 0  # of the heading that `paragraph` is, else 0
    margins = _margins(found)
    for number, line in enumerate(found):
        goes_on = number + 1 < len(found) and _alike(line, found[number + 1])
        here = heading_level(line, type_, _roomy(found, number), goes_on=goes_on)
        if paragraph and (here > 0) == (level > 0) and _goes_on(paragraph, line, margins[number], heading=bool(here)):
            paragraph.append(line)
            continue
        if paragraph:
            blocks.append(_block(paragraph, level))
        paragraph, level = [line], here
    if paragraph:
        blocks.append(_block(paragraph, level))
    return _lists_closed(blocks)


def _roomy(found: Sequence[Line], number: int) -> bool:
    """Stands by itself, with up to two more lines of its type: distance above, and below distance or another weight."""
    line = found[number]
    first = last = number
    while first and number - first < _HEADING_LINES and _alike(found[first - 1], found[first]):
        first -= 1
    while last + 1 < len(found) and last - first < _HEADING_LINES and _alike(found[last], found[last + 1]):
        last += 1
    above = found[first - 1] if first else None
    below = found[last + 1] if last + 1 < len(found) else None
    lone_above = above is None or above.bottom - found[first].cells[0].top > 0.3 * line.height
    lone_above = lone_above or (above is not None and above.bottom < found[first].bottom)
    near = below is not None and found[last].bottom - below.cells[0].top <= 0.3 * line.height
    return lone_above and not (near and below is not None and below.bold)


def _alike(upper: Line, lower: Line) -> bool:
    """Two lines of one heading: both bold, of one size, close."""
    close = 0 < upper.bottom - lower.bottom < 1.4 * lower.height
    return close and upper.bold and lower.bold and abs(upper.height - lower.height) < 0.05 * lower.height


def _margins(found: Sequence[Line]) -> list[float]:
    """For each line the right edge of the stretch of text that it stands in."""
    margins: list[float] = []
    start = 0
    for number, line in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        if following is not None:
            distance = line.bottom - following.bottom
            tall = max(line.height, following.height)
            if 0 < distance < 2.1 * tall and abs(following.left - line.left) < 3 * tall:
                continue
        edge = max(other.right for other in found[start : number + 1])
        margins.extend([edge] * (number + 1 - start))
        start = number + 1
    return margins


def _goes_on(paragraph: Sequence[Line], line: Line, margin: float, *, heading: bool) -> bool:
    """`line` continues the paragraph: same type, next below, not indented anew, the line above was full."""
    last = paragraph[-1]
    distance = last.bottom - line.bottom
    if not 0 < distance < 2.1 * max(last.height, line.height) or abs(last.height - line.height) > 0.15 * line.height:
        return False
    if len(last.cells) > 1 or len(line.cells) > 1:
        return False
    if heading:
        return distance < 1.4 * line.height
    if len(paragraph) > 1 and distance > 1.25 * (paragraph[-2].bottom - last.bottom):
        return False
    item = _ITEM.match(paragraph[0].text) is not None
    if CAPTION.match(line.text) and line.text[:1].isupper():
        return False
    if _ITEM.match(line.text) and (item or line.text[0] in "•●▪■◦○\uf0b7" or last.text.endswith(_ENDS)):
        return False
    if line.left > last.left + 1.2 * line.height and not (item and len(paragraph) == 1):
        return False  # a new paragraph begins indented
    if item and line.left < paragraph[0].left - 1:
        return False
    first_word = line.text.split(" ", 1)[0]
    room = (line.right - line.left) / max(1, len(line.text)) * (len(first_word) + 1)
    return last.right + room > margin - 0.5 * line.height or last.text.endswith("-")


def _block(paragraph: Sequence[Line], level: int) -> str:
    text = ""
    for line in paragraph:
        words = _LEADERS.sub(" | ", line.text).strip(" |")
        if text.endswith("-") and words[:1].islower():
            text += "\n" + words  # `clean` knows the document's words and joins the halves
        else:
            text += (" " if text else "") + words
    if level:
        return f"{'#' * level} {text.replace(chr(10), '')}"
    if bullet := _BULLET.match(text):
        return "- " + text[bullet.end() :]
    if re.match(r"\d{1,2}\) ", text):
        return text.replace(")", ".", 1)
    return text if not re.match(r"#{1,6} ", text) else f" {text}"


def _lists_closed(blocks: list[str]) -> list[str]:
    """Items of one list, and rows of one table, stand on neighbouring lines."""
    closed: list[str] = []
    for block in blocks:
        last = closed[-1].rsplit("\n", 1)[-1] if closed else ""
        if closed and ((_is_item(block) and _is_item(last)) or (" | " in block and " | " in last)):
            closed[-1] += "\n" + block
        else:
            closed.append(block)
    return closed


def _is_item(text: str) -> bool:
    return re.match(r"(?:- |\d{1,2}\. )\S", text) is not None
