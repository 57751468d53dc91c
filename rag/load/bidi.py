"""Hebrew, Arabic and their like in a PDF: characters where they stand become text in the order in which it is read.

Takes   the characters of a page that holds such letters, with boxes, in the order of its content.
Gives   cells as `layout` wants them. Where most letters of the page run from right to left it is mirrored: its lines
        then begin at the left, and columns, margins and rows of tables need no second set of rules.
Why     PDF has no order of reading: some programs write such lines backwards, others forwards, a word at a time even,
        and PDFium turns some of them about. Only the places are certain.
Source  what is undone here is UAX #9, reduced to what documents hold: runs of Latin letters and numbers inside.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rag.load.layout import Cell

_GAP = 1.0  # line heights between two cells
_SPACE = 0.12  # line heights between two words
_SAME_LINE = 0.3  # share of the lower height by which neighbours must overlap
_FAR = 2.0  # line heights; a character so far off that stands on another belongs to another line
_BETWEEN = frozenset(" .,:;/-–_'’@&+#%$€")  # stand inside runs of Latin letters and numbers
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


class Character(NamedTuple):
    """One character and its box in points."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    bold: bool = False


def runs_left(code: int) -> bool:
    """Whether this is a letter of a script that runs from right to left."""
    return 0x590 <= code < 0x900 or 0xFB1D <= code < 0xFE00 or 0xFE70 <= code < 0xFEFF or 0x10800 <= code < 0x11000


def cells(characters: Sequence[Character]) -> list[Cell]:
    """Cells of the page, line by line in the order of its content."""
    leftward = sum(runs_left(ord(one.text)) for one in characters)
    mirrored = leftward * 2 > sum(one.text.isalpha() for one in characters)
    found: list[Cell] = []
    for line in _lines(characters):
        pieces = [_cell(piece) for piece in _pieces(line)]
        if mirrored:
            pieces = [_mirrored(piece) for piece in reversed(pieces)]
        found.extend(pieces)
    return found


def _lines(characters: Sequence[Character]) -> Iterator[list[Character]]:
    line: list[Character] = []
    taken: set[float] = set()  # where characters of this line begin
    bottom = top = 0.0
    for one in characters:
        shared = min(top, one.top) - max(bottom, one.bottom)
        lower = min(top - bottom, one.top - one.bottom)
        printed_over = line and abs(one.left - line[-1].left) > _FAR * lower and round(one.left, 1) in taken
        if line and (shared < _SAME_LINE * lower or printed_over):
            yield line
            line, taken = [], set()
        bottom, top = (min(bottom, one.bottom), max(top, one.top)) if line else (one.bottom, one.top)
        line.append(one)
        taken.add(round(one.left, 1))
    if line:
        yield line


def _pieces(line: Sequence[Character]) -> Iterator[list[Character]]:
    """Characters from left to right, parted where there is a gap; those of one glyph stand in one box, backwards."""
    height = max(one.top - one.bottom for one in line)
    numbered = sorted(enumerate(line), key=lambda pair: (round(pair[1].left, 1), pair[0]))
    piece: list[Character] = []
    right = 0.0
    for _, one in numbered:
        if piece and one.left - right > _GAP * height:
            yield piece
            piece = []
        right = max(right, one.right) if piece else one.right
        piece.append(one)
    yield piece


def _cell(piece: Sequence[Character]) -> Cell:
    height = max(one.top - one.bottom for one in piece)
    text = piece[0].text
    right = piece[0].right
    for before, one in itertools.pairwise(piece):
        right = max(right, before.right)
        text += (" " if one.left - right > _SPACE * height else "") + one.text
    return Cell(
        logical(text), piece[0].left, max(right, piece[-1].right),
        statistics.median(one.bottom for one in piece), statistics.median(one.top for one in piece), piece[0].bold,
    )  # fmt: skip


def logical(visual: str) -> str:
    """Text as it stands on the line, left to right, in the order in which it is read."""
    leftward = sum(runs_left(ord(letter)) for letter in visual)
    if leftward * 2 <= sum(letter.isalpha() for letter in visual):  # Latin text with a word of the other kind inside
        return "".join(run[::-1] if inside else run for run, inside in _runs(visual, leftward=True))
    turned = "".join(run[::-1] if inside else run for run, inside in _runs(visual[::-1], leftward=False))
    first = next((letter for letter in turned if letter in "()[]{}"), "")
    return turned.translate(_MIRRORED) if first in ")]}" and first else turned


def _runs(text: str, *, leftward: bool) -> Iterator[tuple[str, bool]]:
    """Stretches of one direction and what stands between them."""
    start = 0
    while start < len(text):
        end = start
        if _is(text[start], leftward):
            at = start
            while at < len(text) and (_is(text[at], leftward) or text[at] in _BETWEEN):
                at += 1
                end = at if _is(text[at - 1], leftward) else end
            yield text[start:end], True
        else:
            end = start + 1
            yield text[start:end], False
        start = end


def _is(letter: str, leftward: bool) -> bool:
    return runs_left(ord(letter)) if leftward else letter.isalnum() and not runs_left(ord(letter))


def _mirrored(cell: Cell) -> Cell:
    return Cell(cell.text, -cell.right, -cell.left, cell.bottom, cell.top, cell.bold)
