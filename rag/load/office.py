"""Word documents become plain text.

Takes   a path (.docx).
Gives   one Page without a number (a Word file has none until it is printed): headings by style or outline level, lists
        with the numbers that Word shows, tables a line a row, text boxes, footnotes, what is said of pictures, the
        numbers of charts. Deleted text of tracked changes, comments, headers, footers and tables of contents stay out.
Refuses damaged and protected files (LoadError).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.errors import need
from rag.load import pictures, rows
from rag.load.html import plain
from rag.load.numbering import Numbering
from rag.types import Page

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_DRAWN = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}docPr"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_SKIPPED = frozenset(
    (f"{W}del", f"{W}moveFrom", f"{W}instrText", f"{W}rPr", f"{W}pPr", f"{W}sectPr", f"{_CHOICE}Fallback")
)
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_LONGEST_HEADING = 200  # characters; a longer "heading" is a paragraph in large type
_LONGEST_CELL = 1_200  # a table with longer cells places text, it does not tabulate


def pages(path: Path) -> Iterator[Page]:
    """Read one Word document."""
    docx = need("docx", extra="formats", task="Reading .docx")
    with path.open("rb") as file:
        document = docx.Document(file)
    yield Page(None, _Document(document).text())


class _Document:
    """The parts of a document that its body refers to: styles, numbering, footnotes."""

    def __init__(self, document: Any) -> None:
        self.body = document.element.body
        self.part = document.part
        self.drawn: list[str] = []  # what is said of the pictures of the paragraph that is being read
        self.styles = _styles(document)
        self.numbering = Numbering(_part(document, "/numbering"))
        notes = _part(document, "/footnotes")
        self.notes = {} if notes is None else {n.get(f"{W}id"): n for n in notes if not n.get(f"{W}type")}
        self.used: list[str] = []  # ids of footnotes, in the order of their marks
        self.below_title = any(  # headings are one level below a title
            self.styles.get(_style_id(paragraph), {}).get("name") == "title" for paragraph in self.body.iter(f"{W}p")
        )
        self.has_headings = any(self.level(paragraph) for paragraph in self.body.iter(f"{W}p"))

    def text(self) -> str:
        """The whole document."""
        blocks = self.blocks(self.body)
        for number, key in enumerate(self.used, 1):  # a footnote may hold marks too, the list grows
            words = " ".join(" ".join(self.words(p)[0].split()) for p in self.notes[key].iter(f"{W}p"))
            blocks.append(f"Note {number}: {words.strip()}")
        return "\n\n".join(blocks)

    def blocks(self, container: Any) -> list[str]:
        """Paragraphs, lists and tables inside an element, in document order."""
        blocks: list[str] = []
        items: list[str] = []
        for element in _content(container):
            if element.tag == f"{W}tbl":
                found = [("", block) for block in self.table(element)]
            else:
                found = self.paragraph(element)
            for kind, text in found:
                if kind == "item":
                    items.append(text)
                    continue
                if items:
                    blocks.append("\n".join(items))
                    items = []
                blocks.append(text)
        return [*blocks, "\n".join(items)] if items else blocks

    def paragraph(self, paragraph: Any) -> list[tuple[str, str]]:
        """One paragraph, and the text boxes that hang on it."""
        style = self.styles.get(_style_id(paragraph), {})
        if str(style.get("name", "")).startswith("toc "):
            return []
        raw, boxes = self.words(paragraph)
        lines = [" ".join(line.split()) for line in raw.split("\n")]
        text = "\n".join(plain(line) for line in lines if line)
        found: list[tuple[str, str]] = []
        if text:
            level = self.level(paragraph)
            label = self.label(paragraph, style)
            if level and len(text) <= _LONGEST_HEADING:
                words = text.replace("\n", " ").strip()
                found.append(
                    ("", f"{'#' * level} {label[1]} {words}" if label and label[1] else f"{'#' * level} {words}")
                )
            elif label is not None:
                depth, shown = label
                found.append(("item", _item(depth, shown, text)))
            elif not self.has_headings and _is_bold(paragraph) and len(text) <= 80 and text[-1] not in ".:;,":
                found.append(("", f"## {text.replace(chr(10), ' ').strip()}"))
            else:
                found.append(("", text))
        for box in boxes:
            found.extend(("", block) for block in self.blocks(box))
        found.extend(("", block) for block in self.drawn if block)
        self.drawn = []
        return found

    def chart(self, reference: Any) -> list[str]:
        """The numbers of a chart, which stand in a part of their own."""
        part = self.part.rels.get(reference.get(_RELATION))
        if part is None or part.is_external:
            return []
        parse = need("docx.oxml", extra="formats", task="Reading .docx").parse_xml
        return pictures.chart(parse(part.target_part.blob))

    def words(self, paragraph: Any) -> tuple[str, list[Any]]:
        """The text of a paragraph as it reads, and the text boxes inside it."""
        pieces: list[str] = []
        boxes: list[Any] = []
        todo = list(reversed(paragraph))
        while todo:
            node = todo.pop()
            tag = node.tag
            if tag in (f"{W}t", f"{_MATH}t"):
                pieces.append(node.text or "")
            elif tag == f"{W}tab" or (tag == f"{W}ptab"):
                pieces.append(" ")
            elif tag in (f"{W}br", f"{W}cr"):
                pieces.append("\n")
            elif tag == f"{W}noBreakHyphen":
                pieces.append("-")
            elif tag == f"{W}footnoteReference" and node.get(f"{W}id") in self.notes:
                if node.get(f"{W}id") not in self.used:
                    self.used.append(node.get(f"{W}id"))
                pieces.append(f" [{self.used.index(node.get(f'{W}id')) + 1}]")
            elif tag == f"{W}txbxContent":
                boxes.append(node)
            elif tag == _DRAWN:
                if shown := pictures.described(node.get("descr")):
                    self.drawn.append(shown)
            elif tag == _CHART:
                self.drawn.append("\n".join(self.chart(node)))
            elif tag not in _SKIPPED and isinstance(tag, str):
                todo.extend(reversed(node))
        return "".join(pieces), boxes

    def level(self, paragraph: Any) -> int:
        """1 to 6 for a heading, else 0."""
        style = self.styles.get(_style_id(paragraph), {})
        outline = paragraph.find(f"{W}pPr/{W}outlineLvl")
        level = int(style.get("level", 0))
        if outline is not None and outline.get(f"{W}val", "9").isdigit():
            value = int(outline.get(f"{W}val"))
            level = value + 1 if value < 9 else 0
        return min(level + (self.below_title and style.get("name") != "title"), 6) if level else 0

    def label(self, paragraph: Any, style: dict[str, Any]) -> tuple[int, str] | None:
        """Depth and number of a list item (an empty number is a bullet), or None outside lists."""
        own = paragraph.find(f"{W}pPr/{W}numPr")
        number = _value(own, "numId") or style.get("number")
        if not number or number == "0":
            return None
        depth = _value(own, "ilvl") or style.get("depth") or "0"
        return self.numbering.next(str(number), int(depth) if str(depth).isdigit() else 0)

    def table(self, table: Any) -> list[str]:
        """A table's lines; the content of its cells where the table only places text."""
        grid: list[list[str]] = []
        header = 0
        for row in table.iter(f"{W}tr"):
            if _owner(row) is not table:
                continue  # of a table inside a cell
            above = grid[-1] if grid else []
            line: list[str] = []
            for cell in _content(row, f"{W}tc"):
                width = int(_value(cell.find(f"{W}tcPr"), "gridSpan") or 1)
                merged = cell.find(f"{W}tcPr/{W}vMerge")
                if merged is not None and merged.get(f"{W}val") != "restart" and len(line) < len(above):
                    text = above[len(line)]
                else:
                    text = "\n".join(block.lstrip("# ") for block in self.blocks(cell))
                line.extend([text] * min(width, 100))
            if row.find(f"{W}trPr/{W}tblHeader") is not None and header == len(grid):
                header += 1
            grid.append(line)
        nested = table.find(f".//{W}tbl") is not None
        if (
            nested
            or max((len(row) for row in grid), default=0) < 2
            or any(len(t) > _LONGEST_CELL for r in grid for t in r)
        ):
            return [text for row in grid for text in dict.fromkeys(row) if text]
        lines = rows.lines(grid, header=header or rows.FIRST)
        return ["\n".join(lines)] if lines else []


def _content(container: Any, *wanted: str) -> Iterator[Any]:
    """Direct paragraphs and tables (or the wanted tags); content controls and tracked insertions are transparent."""
    tags = wanted or (f"{W}p", f"{W}tbl")
    for element in container:
        if element.tag in tags:
            yield element
        elif element.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml", f"{W}smartTag"):
            yield from _content(element, *wanted)


def _owner(row: Any) -> Any:
    return next(row.iterancestors(f"{W}tbl"))


def _item(depth: int, shown: str, text: str) -> str:
    indent = "  " * min(depth, 8)
    if not shown and re.match(r"\d{1,3}[.)] ", text):  # a number that was typed
        return indent + text
    marker = "- " if not shown else f"{shown} " if re.fullmatch(r"\d+\.", shown) else f"- {shown} "
    return indent + marker + text.replace("\n", f"\n{indent}  ")


def _is_bold(paragraph: Any) -> bool:
    runs = [run for run in paragraph.iter(f"{W}r") if "".join(t.text or "" for t in run.iter(f"{W}t")).strip()]
    marks = [run.find(f"{W}rPr/{W}b") for run in runs]
    return bool(marks) and all(mark is not None and mark.get(f"{W}val", "1") not in ("0", "false") for mark in marks)


def _style_id(paragraph: Any) -> str:
    style = paragraph.find(f"{W}pPr/{W}pStyle")
    return "" if style is None else str(style.get(f"{W}val"))


def _value(parent: Any, name: str) -> str | None:
    found = None if parent is None else parent.find(f"{W}{name}")
    return None if found is None else found.get(f"{W}val")


def _part(document: Any, ending: str) -> Any:
    """The root element of a part that the document is related to, or None."""
    parse = need("docx.oxml", extra="formats", task="Reading .docx").parse_xml
    for relation in document.part.rels.values():
        if not relation.is_external and relation.reltype.endswith(ending):
            return parse(relation.target_part.blob)
    return None


def _styles(document: Any) -> dict[str, dict[str, Any]]:
    """Style id -> name, heading level and list number, those it inherits included."""
    elements = {style.get(f"{W}styleId"): style for style in document.styles.element.iter(f"{W}style")}
    found: dict[str, dict[str, Any]] = {}
    for key, element in elements.items():
        entry: dict[str, Any] = {"name": (_value(element, "name") or "").lower(), "level": 0}
        seen: set[str] = set()
        at = element
        while at is not None and at.get(f"{W}styleId") not in seen:
            seen.add(at.get(f"{W}styleId"))
            name = (_value(at, "name") or "").lower()
            outline = _value(at.find(f"{W}pPr"), "outlineLvl")
            if not entry["level"]:
                match = _HEADING.fullmatch(name)
                entry["level"] = min(int(match[1]), 6) if match else 1 if name == "title" else 0
                if not entry["level"] and outline and outline.isdigit() and int(outline) < 9:
                    entry["level"] = min(int(outline) + 1, 6)
            numbered = at.find(f"{W}pPr/{W}numPr")
            entry.setdefault("number", _value(numbered, "numId")) if numbered is not None else None
            entry.setdefault("depth", _value(numbered, "ilvl")) if numbered is not None else None
            at = elements.get(_value(at, "basedOn"))
        found[key] = entry
    return found
