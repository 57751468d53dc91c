"""OpenDocument text, sheets and slides become plain text.

Takes   a path (.odt, .ods, .odp).
Gives   .odt: one Page without a number; .ods: one a sheet, headed by its name; .odp: one a slide, numbered.
        Read from `content.xml` itself: the format is small, and a style's number is not needed to read it.
Refuses protected and damaged files (LoadError).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import LoadError, need
from rag.load import limits, rows, table
from rag.load.html import plain
from rag.types import Page

_NAMES = "{urn:oasis:names:tc:opendocument:xmlns:"
TEXT, TABLE, DRAW = f"{_NAMES}text:1.0}}", f"{_NAMES}table:1.0}}", f"{_NAMES}drawing:1.0}}"
OFFICE, STYLE, PRESENTATION = f"{_NAMES}office:1.0}}", f"{_NAMES}style:1.0}}", f"{_NAMES}presentation:1.0}}"
_SKIPPED = frozenset(
    (
        f"{TEXT}tracked-changes",
        f"{OFFICE}annotation",
        f"{TEXT}table-of-content",
        f"{TEXT}sequence-decls",
        f"{OFFICE}forms",
    )
)
_WIDEST = 500  # columns of a sheet; a repeated empty cell often fills the grid
_REPEATED_ROWS = 1_000


def pages(path: Path) -> Iterator[Page]:
    """Read one OpenDocument file."""
    root = _content(path)
    body = root.find(f"{OFFICE}body")
    if body is None or not len(body):
        raise LoadError(f"{path.name}: holds no document body; open it in its program and save it again")
    main = body[0]
    if path.suffix.lower() == ".ods":
        for worksheet in main.iter(f"{TABLE}table"):
            yield table.sheet(worksheet.get(f"{TABLE}name", ""), _cells(worksheet))
    elif path.suffix.lower() == ".odp":
        for number, slide in enumerate(main.iter(f"{DRAW}page"), 1):
            yield Page(number, "\n\n".join(_Blocks({}, frozenset()).slide(slide)))
    else:
        yield Page(None, "\n\n".join(_Blocks(_numbered_lists(root), _titles(root)).read(main)))


def _content(path: Path) -> Any:
    etree = need("defusedxml.ElementTree", extra="formats", task=f"Reading {path.suffix}")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "content.xml" not in names:
            raise LoadError(f"{path.name}: has no content.xml; open it in its program and save it again")
        if "META-INF/manifest.xml" in names and b"encryption-data" in limits.member(archive, "META-INF/manifest.xml"):
            raise LoadError(f"{path.name}: protected by a password; save it without one")
        return etree.fromstring(limits.member(archive, "content.xml"))


def _numbered_lists(root: Any) -> dict[str, bool]:
    """List style -> does its first level carry numbers?"""
    return {
        style.get(f"{STYLE}name", ""): style.find(f"{TEXT}list-level-style-number") is not None
        for style in root.iter(f"{TEXT}list-style")
    }


def _titles(root: Any) -> frozenset[str]:
    """Names of paragraph styles that are the title's, or derived from it in this document."""
    derived = (
        s.get(f"{STYLE}name", "") for s in root.iter(f"{STYLE}style") if s.get(f"{STYLE}parent-style-name") == "Title"
    )
    return frozenset(("Title", *derived))


class _Blocks:
    """Walks the elements of a body; recursion is bounded by `limits.DEPTH`."""

    def __init__(self, numbered: dict[str, bool], titles: frozenset[str]) -> None:
        self.numbered = numbered
        self.titles = titles
        self.below_title = False  # headings that follow a title are one level below it

    def read(self, parent: Any, depth: int = 0) -> list[str]:
        """Blocks in document order."""
        if depth > limits.DEPTH:
            raise LoadError(f"elements nested more than {limits.DEPTH} deep; save it again from its program")
        blocks: list[str] = []
        for element in parent:
            tag = element.tag
            if tag in _SKIPPED:
                continue
            if tag == f"{TEXT}h":
                stated = element.get(f"{TEXT}outline-level", "1")
                level = (int(stated) if stated.isdigit() else 1) + self.below_title
                words = _words(element).replace("\n", " ")
                blocks.append(f"{'#' * min(level, 6)} {words}" if words else "")
            elif tag == f"{TEXT}p":
                title = element.get(f"{TEXT}style-name", "") in self.titles and not depth
                self.below_title = self.below_title or title
                words = _words(element)
                blocks.append(f"# {words}" if title and words else "\n".join(plain(line) for line in words.split("\n")))
                for box in element.iter(f"{DRAW}text-box"):
                    blocks.extend(self.read(box, depth + 1))
            elif tag == f"{TEXT}list":
                blocks.append("\n".join(self.items(element, 0)))
            elif tag == f"{TABLE}table":
                blocks.append("\n".join(self.table(element)))
            else:  # sections, frames, groups
                blocks.extend(self.read(element, depth + 1))
        return [block for block in blocks if block.strip()]

    def items(self, parent: Any, level: int) -> list[str]:
        """The lines of a list."""
        if level > limits.DEPTH:
            raise LoadError(f"lists nested more than {limits.DEPTH} deep; save it again from its program")
        lines: list[str] = []
        indent = "  " * min(level, 8)
        number = 0
        counted = self.numbered.get(parent.get(f"{TEXT}style-name", ""), False)
        for item in parent:
            if item.tag not in (f"{TEXT}list-item", f"{TEXT}list-header"):
                continue
            number += 1
            marker = f"{number}. " if counted else "- "
            for child in item:
                if child.tag == f"{TEXT}list":
                    lines.extend(self.items(child, level + 1))
                elif child.tag in (f"{TEXT}p", f"{TEXT}h") and (words := _words(child)):
                    lines.append(indent + marker + words.replace("\n", f"\n{indent}  "))
                    marker = "  "
        return lines

    def table(self, element: Any) -> list[str]:
        """A table inside a text."""
        header = len(element.findall(f"{TABLE}table-header-rows/{TABLE}table-row"))
        return rows.lines(list(_cells(element)), header=header or rows.GUESS)

    def slide(self, slide: Any) -> list[str]:
        """A slide: its title first, then the rest, then the notes."""
        titles: list[str] = []
        rest: list[str] = []
        notes: list[str] = []
        for element in slide:
            if element.tag == f"{PRESENTATION}notes":
                notes = self.read(element)
            elif element.get(f"{PRESENTATION}class") == "title":
                titles = [f"## {' '.join(' '.join(self.read(element)).split())}"]
            else:
                rest.extend(self.read([element]))
        spoken = ["Notes: " + " ".join(notes)] if notes else []
        return [block for block in [*titles, *rest, *spoken] if block.strip("# ")]


def _words(element: Any) -> str:
    """The text of a paragraph; text boxes, notes' numbers and comments left out."""
    pieces: list[str] = [element.text or ""]
    todo: list[Any] = list(reversed(element))
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        if node.tail:
            todo.append(node.tail)
        if node.tag in (f"{TEXT}s", f"{TEXT}tab"):
            pieces.append(" ")
        elif node.tag == f"{TEXT}line-break":
            pieces.append("\n")
        elif node.tag not in (*_SKIPPED, f"{TEXT}note", f"{DRAW}frame"):
            todo.extend(reversed(node))
            pieces.append(node.text or "")
    return "\n".join(line for line in (" ".join(line.split()) for line in "".join(pieces).split("\n")) if line)


def _cells(element: Any) -> Iterator[list[str]]:
    """Rows of cell texts; repeated rows and columns written out, within reason."""
    for row in element.iter(f"{TABLE}table-row"):
        line: list[str] = []
        for cell in row:
            if cell.tag not in (f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
                continue
            text = "\n".join(words for part in cell.iter(f"{TEXT}p") if (words := _words(part)))
            times = _times(cell, f"{TABLE}number-columns-repeated", _WIDEST - len(line))
            line.extend([text] * (times if text else min(times, _WIDEST - len(line))))
        filled = any(line)
        for _ in range(_times(row, f"{TABLE}number-rows-repeated", _REPEATED_ROWS) if filled else 1):
            yield line


def _times(element: Any, attribute: str, most: int) -> int:
    value = element.get(attribute, "1")
    return max(0, min(int(value) if value.isdigit() and len(value) < 9 else 1, most))
