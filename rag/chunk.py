"""A document becomes passages that know where they stand.

    Draft ─► lines ─► units (paragraph, list item, table row, code) ─► sections ─► passages of about `size` characters

Takes   a `Draft` in the text convention of `rag.load`.
Gives   `Chunk`s in order, each with `draft.text[start:end] == text`, its page and its heading path.
Rules   a passage never crosses a page or a heading; headings stand in the path, not in the text, and never alone;
        a table row or list item is cut only when it alone is longer than `size`; "Steps:" stays with the first step, a
        caption with the first row; neighbouring sections of a line or two become one passage (their headings inside);
        a small remainder joins the passage before it.
Offsets are never searched for (repeated text would be found in the wrong place): every cut is made on spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from rag.errors import need
from rag.moments import moment
from rag.types import Chunk, Draft, PageSpan

TINY = 200  # characters: a section below it may join its neighbours, a remainder below it joins the passage before
_STRETCH = 1.15  # a passage may be this much longer than `size` where that saves a tiny remainder
_HEADING = re.compile(r"(#{1,6}) +(\S.*)")
_ITEM = re.compile(r"( *)(?:- |\d{1,4}[.)] )")
_CODE = re.compile(r" {4,}\S")
# Where long stretches may be cut, best first: paragraphs, lines, cells, sentences, clauses, words, anywhere.
_CUTS = [r"\n\n+", r"\n", r" \| ", r"(?<=[.!?…])[\"”’)]* +|(?<=[。！？])", r"(?<=[;:]) +", r"(?<=,) +", r"\s+", ""]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A stretch that is not cut unless it alone is too long."""

    start: int
    end: int
    kind: str  # text, item, row or code
    close: bool  # no blank line stands between this unit and the one before


@dataclass(frozen=True, slots=True)
class _Section:
    """The units between two headings (or page ends)."""

    units: tuple[_Unit, ...]
    page: int | None
    span: int  # index of the page span
    path: tuple[str, ...]
    opens: int  # where its heading line begins


def chunk(draft: Draft, *, size: int = 900, overlap: int = 0) -> list[Chunk]:
    """Cut a draft into passages of about `size` characters; `overlap` characters of the one before are repeated."""
    if size < 50 or not 0 <= overlap < size:
        raise ValueError(f"size is {size}, overlap {overlap}; use a size of at least 50 and an overlap below it")
    chunks: list[Chunk] = []
    pending: list[_Section] = []
    for section in _sections(draft):
        if pending and not _may_join(pending, section, size):
            chunks.extend(_written(draft, pending, size, overlap))
            pending = []
        pending.append(section)
    if pending:
        chunks.extend(_written(draft, pending, size, overlap))
    return chunks


def _may_join(pending: Sequence[_Section], section: _Section, size: int) -> bool:
    """Sections of a line or two, side by side under the same heading of one page."""
    first = pending[0]
    whole = section.units[-1].end - first.opens
    siblings = len(section.path) == len(first.path) > 0 and section.path[:-1] == first.path[:-1]
    return (
        siblings and section.span == first.span and whole <= size and _length(first) < TINY and _length(section) < TINY
    )


def _length(section: _Section) -> int:
    return section.units[-1].end - section.units[0].start


def _written(draft: Draft, sections: Sequence[_Section], size: int, overlap: int) -> Iterator[Chunk]:
    first, last = sections[0], sections[-1]
    path = first.path
    if len(sections) > 1:
        path = path[:-1]
        spans = [(first.opens, last.units[-1].end)]
    else:
        spans = _packed(draft.text, first.units, size)
    headings = path if (path and _same(path[0], draft.title)) or not draft.title else (draft.title, *path)
    floor = spans[0][0] if spans else 0
    for start, end in spans:
        if overlap and start > floor:
            start = _overlapped(draft.text, start, max(floor, start - overlap))
        text = draft.text[start:end]
        yield Chunk(start, end, text, first.page, headings, moment(draft.pages, start))


def _same(one: str, other: str) -> bool:
    return re.sub(r"\W+", "", one).casefold() == re.sub(r"\W+", "", other).casefold()


def _overlapped(text: str, start: int, least: int) -> int:
    """A start between `least` and `start` at which a word begins."""
    found = re.compile(r"(?<=\s)\S").search(text, least, start)
    return found.start() if found else start


# --- from text to sections --------------------------------------------------------------------------------------------


def _sections(draft: Draft) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    for index, span in enumerate(_whole_recording(draft.pages)):
        units: list[_Unit] = []
        opens = span.start
        for start, end, kind, close in _units(draft.text, span.start, span.end):
            if kind != "heading":
                units.append(_Unit(start, end, kind, close))
                continue
            if units:
                yield _Section(tuple(units), span.number, index, tuple(name for _, name in path), opens)
                units = []
            heading = _HEADING.match(draft.text, start, end)
            if heading is not None:
                level = len(heading[1])
                path = [*((known, name) for known, name in path if known < level), (level, heading[2].strip())]
            opens = start
        if units:
            yield _Section(tuple(units), span.number, index, tuple(name for _, name in path), opens)


def _whole_recording(pages: Sequence[PageSpan]) -> Sequence[PageSpan]:
    """The sentences of a recording are no pages: a passage may hold several."""
    if not pages or pages[0].at is None:
        return pages
    return [PageSpan(None, pages[0].start, pages[-1].end)]


def _units(text: str, start: int, end: int) -> Iterator[tuple[int, int, str, bool]]:
    """Stretches of one page as (start, end, kind, close), trimmed of white space around them."""
    current: list[Any] | None = None  # start, end, kind, close, indentation
    blank = True
    for line_start, line_end in _lines(text, start, end):
        line = text[line_start:line_end]
        if not line.strip():
            blank = True
            if current and current[2] != "code":
                yield _unit(text, current)
                current = None
            continue
        kind = _kind(line, current, blank)
        indent = len(line) - len(line.lstrip())
        if current is not None:
            grows = not blank or current[2] == "code"
            same = kind == current[2] and kind in ("text", "code")
            below = current[2] == "item" and kind in ("text", "code") and indent > current[4]
            if grows and (same or below):
                current[1] = line_end
                blank = False
                continue
            yield _unit(text, current)
        current = [line_start, line_end, kind, not blank, indent]
        blank = False
    if current:
        yield _unit(text, current)


def _unit(text: str, current: list[Any]) -> tuple[int, int, str, bool]:
    start, end, kind, close, _ = current
    stretch = text[start:end]
    if kind != "code":  # the first line of code keeps its indentation, or the lines below would not fit it
        start += len(stretch) - len(stretch.lstrip())
    return start, start + len(text[start:end].rstrip()), kind, close


def _kind(line: str, current: list[Any] | None, blank: bool) -> str:
    if _HEADING.match(line):
        return "heading"
    if _ITEM.match(line):
        return "item"
    if _CODE.match(line) and (current is None or current[2] == "code" or blank or current[2] == "item"):
        return "code"
    return "row" if " | " in line else "text"


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield start, stop
        start = stop + 1


# --- from units to spans ----------------------------------------------------------------------------------------------


def _packed(text: str, units: Sequence[_Unit], size: int) -> list[tuple[int, int]]:
    """Group the units of one section into spans of about `size` characters."""
    groups: list[list[_Unit]] = [[]]
    for unit in (piece for whole in units for piece in _cut(text, whole, size)):
        group = groups[-1]
        if group and unit.end - group[0].start > size:
            leads = _leads(text, group[-1], unit) and len(group) > 1 and unit.end - group[-1].start <= size
            groups.append([group.pop()] if leads else [])
        groups[-1].append(unit)
    if len(groups) > 1 and groups[-1][-1].end - groups[-1][0].start < TINY:
        _settle(groups, size)
    return [(group[0].start, group[-1].end) for group in groups if group]


def _leads(text: str, unit: _Unit, following: _Unit) -> bool:
    """`unit` announces what follows: `Steps:`, or the caption of a table."""
    if unit.kind != "text":
        return False
    if following.close and following.kind in ("row", "item"):
        return True
    last = text[unit.end - 1 : unit.end]
    return last in (":", "：") or (unit.end - unit.start < 80 and last not in '.!?。！？”"')


def _settle(groups: list[list[_Unit]], size: int) -> None:
    """Give a tiny last group to the one before it, or share with it more evenly."""
    last, before = groups[-1], groups[-2]
    if last[-1].end - before[0].start <= size * _STRETCH:
        before.extend(groups.pop())
        return
    while len(before) > 1 and last[-1].end - before[-1].start < before[-2].end - before[0].start:
        last.insert(0, before.pop())


def _cut(text: str, unit: _Unit, size: int) -> list[_Unit]:
    """A unit that is too long, in pieces that follow each other without a gap but for white space."""
    if unit.end - unit.start <= size:
        return [unit]
    pieces: list[_Unit] = []
    at = unit.start
    for piece in _splitter(size).split_text(text[unit.start : unit.end]):
        start = at + len(piece) - len(piece.lstrip())
        end = at + len(piece.rstrip())
        at += len(piece)
        if start < end:
            pieces.append(replace(unit, start=start, end=end, close=bool(pieces) or unit.close))
    return pieces


@lru_cache(maxsize=8)
def _splitter(size: int) -> Any:
    """Pieces whose concatenation is the text again: separators are kept at the end of a piece, nothing is stripped."""
    library = need("langchain_text_splitters", extra="formats", task="Cutting long passages")
    return library.RecursiveCharacterTextSplitter(
        chunk_size=size,
        chunk_overlap=0,
        separators=_CUTS,
        is_separator_regex=True,
        keep_separator="end",
        strip_whitespace=False,
    )
