"""How a document is built: its sections, and in them lists, steps and tables.

Takes   a document's text in the convention of `rag.load`: `# ` headings, `- ` and `1. ` items, `Key: value |` rows.
Gives   ranges of that text, in order. PDF tables arrive as `a | b` lines whose first line names the columns; a line
        that ends with a colon makes a list of the lines right under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rag.units import HEADING, LIST, ROW, TEXT, Block, blocks, entries, items, lines, sentences, strip

_HEADING = re.compile(r"^(#{1,6}) +(\S.*)$", re.MULTILINE)
_NUMBER = re.compile(r"\s*\(?(\d{1,3})[.)]")
_STEP = re.compile(r"(?:step )?\(?(\d{1,2})[.):]\s", re.IGNORECASE)
_LONGEST = 40_000  # characters of one section that are looked at: a text without headings is one section


class Section(NamedTuple):
    """A heading and what stands under it, up to the next heading of any level."""

    level: int
    heading: str  # "" for what stands before the first heading
    at: int  # where the heading's line begins
    start: int
    end: int
    path: tuple[str, ...]  # headings above and its own


class Run(NamedTuple):
    """A list, steps or the rows of a table: `entries` are ranges, the words that introduce them stand at `lead`."""

    kind: str  # list, steps, rows or lines
    lead: tuple[int, int]  # empty range where nothing introduces it
    entries: tuple[tuple[int, int], ...]
    section: Section


class Row(NamedTuple):
    """A table's row as (column, cell) pairs; the column is empty where the table names none."""

    start: int
    end: int
    cells: tuple[tuple[str, str], ...]


def sections(text: str) -> list[Section]:
    """The document's sections in order; headings alone have an empty body."""
    found: list[Section] = []
    above: list[tuple[int, str]] = []
    marks = list(_HEADING.finditer(text))
    first = marks[0].start() if marks else len(text)
    if text[:first].strip():
        found.append(Section(0, "", 0, *strip(text, 0, first), ()))
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        level = len(mark.group(1))
        above = [(depth, words) for depth, words in above if depth < level] + [(level, mark.group(2).strip())]
        body = strip(text, mark.end(), end)
        found.append(Section(level, mark.group(2).strip(), mark.start(), *body, tuple(words for _, words in above)))
    return found


def parts(text: str, section: Section) -> list[Block]:
    """The blocks of a section, as ranges of the text."""
    stop = min(section.end, section.start + _LONGEST)
    found = blocks(text[section.start : stop])
    return [Block(b.kind, b.start + section.start, b.end + section.start) for b in found if b.kind != HEADING]


def said(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The sentences of `text[start:end]`. Cut out first: what stands before would be read each time."""
    return [(start + left, start + right) for left, right in sentences(text[start:end])]


def units(text: str, section: Section) -> list[tuple[str, int, int]]:
    """What can be quoted for itself, with the kind of block it stands in: sentences, also of list entries, and rows."""
    found: list[tuple[str, int, int]] = []
    for block in parts(text, section):
        if block.kind == LIST:
            inner = text[block.start : block.end]
            rows_ = entries(inner, Block(LIST, 0, len(inner)))
            found += [
                (LIST, block.start + a, block.start + b) for row in rows_ for a, b in said(inner, row.body, row.end)
            ]
        elif block.kind == ROW:
            found.append((ROW, block.start, block.end))
        else:
            found += [(TEXT, start, end) for start, end in said(text, block.start, block.end)]
    return found


def runs(text: str, section: Section) -> list[Run]:
    """The lists, steps and tables of a section. Steps that a picture or a note interrupts stay together."""
    found: list[Run] = []
    inside = parts(text, section)
    for at, block in enumerate(inside):
        before = inside[at - 1] if at else None
        lead = (
            said(text, before.start, before.end)[-1] if before and before.kind == TEXT else (block.start, block.start)
        )
        if block.kind == LIST:
            entries = tuple((item.start, item.end) for item in _items(text, block))
            ordered = bool(_NUMBER.match(text, block.start))
            last = next((n for n in reversed(range(len(found))) if found[n].kind == "steps"), None) if ordered else None
            joined = _continued(text, found[last], entries) if last is not None else None
            if last is not None and joined is not None:
                found[last] = joined
            else:
                found.append(Run("steps" if ordered else "list", lead, entries, section))
        elif block.kind == ROW and found and found[-1].kind == "rows" and before is not None and before.kind == ROW:
            found[-1] = found[-1]._replace(entries=(*found[-1].entries, (block.start, block.end)))
        elif block.kind == ROW:
            found.append(Run("rows", lead, ((block.start, block.end),), section))
        elif run := _lines(text, block, section):
            found.append(run)
    return found


def _items(text: str, block: Block) -> list[Block]:
    """Ranges of a list's top entries, each with what is nested under it."""
    shift = block.start
    inner = text[block.start : block.end]
    return [Block(LIST, item.start + shift, item.end + shift) for item in items(inner, Block(LIST, 0, len(inner)))]


def _continued(text: str, before: Run, entries: tuple[tuple[int, int], ...]) -> Run | None:
    """The steps before with these, where the numbering goes on: 1, 2, then a picture, then 3."""
    last, first = _NUMBER.match(text, before.entries[-1][0]), _NUMBER.match(text, entries[0][0])
    if before.kind != "steps" or not last or not first:
        return None
    goes_on = int(first.group(1)) == int(last.group(1)) + 1
    restarts = int(first.group(1)) == 1 and len(before.entries) == 1 and int(last.group(1)) == 1
    if not goes_on and not restarts:
        return None  # `1.` again and again is how Markdown numbers a list that was cut
    return before._replace(entries=(*before.entries, *entries))


def _lines(text: str, block: Block, section: Section) -> Run | None:
    """A paragraph of lines under one that ends with a colon, or of cells under their columns."""
    ranges = [(block.start + a, block.start + b) for a, b in lines(text[block.start : block.end])]
    if len(ranges) < 3:
        return None
    if text[ranges[0][0] : ranges[0][1]].rstrip().endswith(":"):
        return Run("lines", ranges[0], tuple(strip(text, *one) for one in ranges[1:]), section)
    if all(" | " in text[a:b] for a, b in ranges):
        return Run("rows", ranges[0], tuple(ranges[1:]), section)
    return None


def rows(text: str, run: Run) -> list[Row]:
    """The rows of a table with the names of their columns."""
    header = text[run.lead[0] : run.lead[1]]
    columns = [cell.strip() for cell in header.split(" | ")] if " | " in header and not _keyed(header) else []
    found = []
    for start, end in run.entries:
        cells = [cell.strip() for cell in text[start:end].split(" | ")]
        if columns:
            pairs = list(zip(columns, cells, strict=False))
        else:
            pairs = [(key.strip(), value.strip()) for key, _, value in (cell.partition(": ") for cell in cells)]
        found.append(Row(start, end, tuple(pairs)))
    return found


def _keyed(line: str) -> bool:
    return all(": " in cell for cell in line.split(" | "))


def numbered(found: list[Section]) -> Iterator[tuple[Section, list[Section]]]:
    """Steps that are headings (`### 1. Fill out the form`): the heading above them, and they in order."""
    steps: list[Section] = []
    parent: Section | None = None
    for at, section in enumerate(found):
        number = _STEP.match(section.heading)
        if number and steps and section.level == steps[0].level and int(number.group(1)) == len(steps) + 1:
            steps.append(section)
        elif number and int(number.group(1)) == 1:
            if len(steps) > 1 and parent is not None:
                yield parent, steps
            steps = [section]
            parent = next((one for one in reversed(found[:at]) if one.level < section.level), section)
        elif steps and section.level <= steps[0].level:
            if len(steps) > 1 and parent is not None:
                yield parent, steps
            steps = []
    if len(steps) > 1 and parent is not None:
        yield parent, steps
