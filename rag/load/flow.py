"""The lines of a page become text: running text and tables, in their order.

Takes   lines in reading order, and how their document uses its sizes of type.
Gives   text in the convention of `rag.load`, for pages written in a file and for pages recognised in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.load import columns, grid, layout, order
from rag.load.layout import Line

_LONGEST_CAPTION = 300  # characters
_EDGE = 3  # lines between a table and the edge of its page: a running header, a page number


@dataclass
class Above:
    """The headers of the table that ended the page before, for one that goes on."""

    numbers: columns.Heads | None = None
    words: grid.Heads | None = None


def text(lines: Sequence[Line], type_: layout.Type, above: Above | None = None) -> str:
    """Running text and tables, each with its caption, in their order.

    `above` is brought up to date for the next page.
    """
    blocks: list[str] = []
    lines = order.notes_last(lines, type_.body)
    at = 0
    for start, end, rendered in [*_tables(lines, above or Above()), (len(lines), len(lines), [])]:
        blocks.extend(layout.paragraphs(lines[at:start], type_))
        if rendered and blocks and layout.CAPTION.match(blocks[-1]) and len(blocks[-1]) < _LONGEST_CAPTION:
            rendered = [blocks.pop(), *rendered]
        blocks.append("\n".join(rendered))
        at = end
    return "\n\n".join(block for block in blocks if block)


def _tables(lines: Sequence[Line], above: Above) -> Iterator[tuple[int, int, list[str]]]:
    """Where tables stand, of numbers and, between these, of words; and their rows."""
    numbers, words, ended = above.numbers, above.words, 0
    above.numbers = above.words = None
    at = 0
    for start, end in [*columns.tables(lines), (len(lines), len(lines))]:
        for first, last in grid.tables(lines[at:start]):
            first, last = at + first, at + last
            rendered, above.words = grid.render(lines[first:last], words if first <= _EDGE else None)
            above.numbers, ended = None, last
            yield first, last, rendered
        if start < end:
            rendered, above.numbers = columns.render(lines[start:end], numbers if start <= _EDGE else None)
            above.words, ended = None, end
            yield start, end, rendered
        at = end
    if len(lines) - ended > _EDGE:  # text follows: the table has ended
        above.numbers = above.words = None
