"""PowerPoint slides become pages.

Takes   a path (.pptx).
Gives   one Page a slide, numbered as in the program: the title as a heading, text from top to bottom, lists, tables,
        the numbers of charts, what is said of pictures, and the speaker's notes at the end.
Refuses damaged and protected files (LoadError). A shape that its library cannot read is noted, the slide stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import need
from rag.load import limits, pictures, rows
from rag.load.html import plain
from rag.types import Page


def pages(path: Path) -> Iterator[Page]:
    """Read one presentation."""
    pptx = need("pptx", extra="formats", task="Reading .pptx")
    with path.open("rb") as file:
        deck = pptx.Presentation(file)
        for number, slide in enumerate(deck.slides, 1):
            yield _page(number, slide)


def _page(number: int, slide: Any) -> Page:
    unread = 0
    title = slide.shapes.title
    heading = rows.cell(title.text_frame.text.replace("\v", " ")) if title is not None and title.has_text_frame else ""
    blocks = [f"## {heading}"] if heading else []
    for shape in _in_reading_order(slide.shapes, 0):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        try:
            blocks.extend(_shape(shape))
        except (KeyError, ValueError, AttributeError, TypeError, NotImplementedError):
            unread += 1  # one odd shape must not cost the deck; the note says so
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            blocks.append("Notes: " + notes)
    note = f"slide {number}: {unread} shape(s) not read; open the file and save it again" if unread else None
    return Page(number, "\n\n".join(block for block in blocks if block.strip()), note=note)


def _in_reading_order(shapes: Any, depth: int) -> Iterator[Any]:
    """The subtitle, then shapes from top to bottom and from left to right; groups opened."""
    if depth > limits.DEPTH:
        return
    placed = sorted(shapes, key=lambda shape: (not _is_subtitle(shape), (shape.top or 0) // 100_000, shape.left or 0))
    for shape in placed:
        if hasattr(shape, "shapes"):
            yield from _in_reading_order(shape.shapes, depth + 1)
        else:
            yield shape


def _is_subtitle(shape: Any) -> bool:
    return bool(shape.is_placeholder) and "SUBTITLE" in str(shape.placeholder_format.type)


def _shape(shape: Any) -> list[str]:
    if getattr(shape, "has_table", False):
        return ["\n".join(rows.lines(_grid(shape.table), header=rows.FIRST if shape.table.first_row else 0))]
    if getattr(shape, "has_chart", False):
        return ["\n".join(pictures.chart(shape.chart._chartSpace))]
    if str(shape._element.tag).endswith("}pic"):
        properties = next((node for node in shape._element.iter() if str(node.tag).endswith("}cNvPr")), None)
        return [pictures.described(None if properties is None else properties.get("descr"))]
    if not shape.has_text_frame:
        return []
    kind = str(shape.placeholder_format.type) if shape.is_placeholder else ""
    return _paragraphs(shape.text_frame.paragraphs, bulleted="BODY" in kind or "OBJECT" in kind)


def _grid(table: Any) -> list[list[str]]:
    """Cell texts, merged cells repeated in each of their places."""
    grid = [[cell.text for cell in row.cells] for row in table.rows]
    for top, row in enumerate(table.rows):
        for left, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for line in grid[top : top + cell.span_height]:
                    line[left : left + cell.span_width] = [cell.text] * len(line[left : left + cell.span_width])
    return grid


def _paragraphs(paragraphs: Any, *, bulleted: bool) -> list[str]:
    """Text of a frame: a list where its paragraphs carry bullets (a content placeholder gives them by itself)."""
    blocks: list[str] = []
    items: list[str] = []
    several = sum(bool(paragraph.text.strip()) for paragraph in paragraphs) > 1
    for paragraph in paragraphs:
        text = " ".join(paragraph.text.replace("\v", " ").split())
        if not text:
            continue
        if (bulleted and several and not _marked(paragraph, "buNone")) or _marked(paragraph, "buChar", "buAutoNum"):
            marker = "" if re.match(r"\d{1,3}[.)] ", text) else "- "
            items.append(f"{'  ' * min(paragraph.level, 8)}{marker}{text}")
            continue
        if items:
            blocks.append("\n".join(items))
            items = []
        blocks.append(plain(text))
    if items:
        blocks.append("\n".join(items))
    return blocks


def _marked(paragraph: Any, *tags: str) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and any(child.tag.rpartition("}")[2] in tags for child in properties)
