"""The lines of a page become text: running text and tables, in their order.

Takes   lines in reading order, and how their document uses its sizes of type.
Gives   text in the convention of `rag.load`, for pages written in a file and for pages recognised in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.load import columns, grid, layout, order
from rag.load.layout import Line

_LONGEST_CAPTION = 300  # characters


def text(lines: Sequence[Line], type_: layout.Type) -> str:
    """Running text and tables, each with its caption, in their order."""
    blocks: list[str] = []
    lines = order.notes_last(lines, type_.body)
    at = 0
    for start, end, rendered in [*_tables(lines), (len(lines), len(lines), [])]:
        blocks.extend(layout.paragraphs(lines[at:start], type_))
        if rendered and blocks and layout.CAPTION.match(blocks[-1]) and len(blocks[-1]) < _LONGEST_CAPTION:
            rendered = [blocks.pop(), *rendered]
        blocks.append("\n".join(rendered))
        at = end
    return "\n\n".join(block for block in blocks if block)


def _tables(lines: Sequence[Line]) -> Iterator[tuple[int, int, list[str]]]:
    """Where tables stand, of numbers and, between these, of words; and their rows."""
    at = 0
    for start, end in [*columns.tables(lines), (len(lines), len(lines))]:
        for first, last in grid.tables(lines[at:start]):
            yield at + first, at + last, grid.render(lines[at + first : at + last])
        if start < end:
            yield start, end, columns.render(lines[start:end])
        at = end
