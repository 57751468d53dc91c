"""Which stretches of a text can stand alone: sentences, list items, lists, table rows.

Takes   text as the loaders write it: headings `# `, items `- ` or `1. ` (nesting by two spaces), a table row on one
        line `Header: value | Header: value`, paragraphs apart by a blank line. Plain text without these works too.
Gives   ranges of that text, in order, never overlapping; `text[start:end]` has no white space at either end.
Limits  sentence ends are found by rules for Latin, Cyrillic, Greek, Chinese and Japanese punctuation; a rule can err.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

TEXT, LIST, ROW, HEADING = "text", "list", "row", "heading"

_HEADING = re.compile(r"#{1,6} \S")
_ITEM = re.compile(r"[ \t]*(?:[-*•‣◦▪●]|\d{1,3}[.)]|\(?[a-zA-Z][)]|[a-z][.])[ \t]+(?=\S)")
_ORDERED = re.compile(r"[ \t]*\(?[0-9a-zA-Z]{1,3}[.)]")
_ROW = re.compile(r"[^|\n]*\S:\s[^\n]* \| [^\n]*\S:(?:\s|$)")
_FIGURE = re.compile(r"[($€£¥]?-?\d[\d.,]*[)%]?")
_ENDS = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[”」』）]*)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|viz|approx|incl|excl|tel|dept|est|al|"
    r"mr|mrs|ms|dr|prof|gen|sen|rep|rev|hon|jr|sr|st|inc|ltd|corp|co|bros|gov|"
    r"jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thur|thurs|fri)|\b[A-Z])\.$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\b(?:no|nos|nr|art|sec|fig|figs|eq|vol|pp|para|ext)\.$", re.IGNORECASE)  # No. 5
_CLIPPED = re.compile(r"\b(?:[A-Za-z]\.){2,}$")  # U.S., D.C., a.m., p.m., Ph.D.
_STARTERS = re.compile(
    r"(?:the|an?|this|that|these|those|its?|he|she|they|we|you|i|if|in|on|at|as|when|while|for|from|to|by|but|and|or|"
    r"however|please|all|any|each|every|no|not|there|here|what|which|who|how|why|where|do|does|is|are|can|may|must|"
    r"after|before|with|see|use|our|your|their|his|her)",
    re.IGNORECASE,
)


class Block(NamedTuple):
    """A paragraph, a whole list, one table row or one heading."""

    kind: str
    start: int
    end: int


class Item(NamedTuple):
    """One entry of a list: `body` is where its words start, after the bullet."""

    start: int
    body: int
    end: int
    indent: int
    ordered: bool


def lines(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of the lines, without their line ends."""
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        if end < 0:
            end = len(text)
        yield start, end
        start = end + 1


def strip(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends; empty ranges stay where they are."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def kind_of(line: str) -> str:
    """What one line is, or an empty string for a blank one. Continuations of items look like text."""
    if not line.strip():
        return ""
    if _HEADING.match(line):
        return HEADING
    if _ITEM.match(line):
        return LIST
    if _ROW.match(line):
        return ROW
    return TEXT


def blocks(text: str) -> list[Block]:
    """The text's blocks in order. A list keeps its continuation lines and the blank lines between its items."""
    found: list[Block] = []
    after_blank = False
    for start, end in lines(text):
        line = text[start:end]
        kind = kind_of(line)
        if not kind:
            after_blank = True
            continue
        last = found[-1] if found else None
        joins = last is not None and (
            (kind == TEXT and last.kind == TEXT and not after_blank)
            or (kind == TEXT and last.kind == LIST and (not after_blank or line.startswith(("  ", "\t"))))
            or (kind == LIST and last.kind == LIST and (not after_blank or _same_list(text, last, line)))
        )
        if joins and last is not None:
            found[-1] = last._replace(end=end)
        else:
            found.append(Block(kind, start, end))
        after_blank = False
    trimmed = (Block(block.kind, *strip(text, block.start, block.end)) for block in found)
    return [block for block in trimmed if block.end > block.start]


def _same_list(text: str, last: Block, line: str) -> bool:
    """After a blank line, an item goes on with the list if it is nested or marked like the list's first item."""
    first = text[last.start : text.find("\n", last.start) if "\n" in text[last.start :] else len(text)]
    nested = len(line) - len(line.lstrip()) > len(first) - len(first.lstrip())
    return nested or bool(_ORDERED.match(first)) == bool(_ORDERED.match(line))


def entries(text: str, block: Block) -> list[Item]:
    """Every entry of a list, nested ones too, each ending where the next begins."""
    found: list[Item] = []
    for line_start, end in lines(text[: block.end]):
        if end <= block.start:
            continue
        start = max(line_start, block.start)
        marker = _ITEM.match(text[start:end])
        if marker is not None:
            indent = start - line_start + len(marker.group()) - len(marker.group().lstrip())
            found.append(Item(start, start + marker.end(), block.end, indent, bool(_ORDERED.match(marker.group()))))
    if not found:
        return [Item(block.start, block.start, block.end, 0, False)]
    return _until_next(text, found, block.end)


def items(text: str, block: Block) -> list[Item]:
    """The top entries of a list, each with what is nested under it."""
    found = entries(text, block)
    top = min(entry.indent for entry in found)
    return _until_next(text, [entry for entry in found if entry.indent <= top + 1], block.end)


def _until_next(text: str, found: list[Item], end: int) -> list[Item]:
    ends = [item.start for item in found[1:]] + [end]
    return [item._replace(end=strip(text, item.start, stop)[1]) for item, stop in zip(found, ends, strict=True)]


def is_tabular(line: str) -> bool:
    """Does this line look like a row of figures, as PDF tables arrive: a label and at least two figures?"""
    words = line.split()
    figures = [word for word in words if _FIGURE.fullmatch(word)]
    return len(figures) >= 2 and len(figures) * 3 >= len([word for word in words if word != "$"])


def sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Ranges of the sentences in `text[start:end]`, which is one block's words or one entry's.

    A line of figures stands alone: otherwise a table of a PDF would be one sentence of a thousand words.
    """
    end = len(text) if end is None else end
    cuts = {start, *_sentence_ends(text, start, end)}
    for line_start, line_end in lines(text[:end]):
        if line_start > start:
            before = text[text.rfind("\n", 0, line_start - 1) + 1 : line_start - 1]
            if is_tabular(text[line_start:line_end]) or is_tabular(before):
                cuts.add(line_start)
    ordered = [*sorted(at for at in cuts if start <= at < end), end]
    found = (strip(text, left, right) for left, right in pairwise(ordered))
    return [(left, right) for left, right in found if right > left]


def _sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    """Where a sentence has ended, one past its last character."""
    for mark in _ENDS.finditer(text, start, end):
        at = mark.end()
        if at >= end:
            return
        if text[mark.start()] in "。！？":
            yield at
            continue
        follower = text[at:end].lstrip()
        if not follower:
            return
        if mark.group()[0] == "." and not _full_stop(text[start : mark.start() + 1], follower):
            continue
        if follower[0].islower() and mark.group()[0] in ".…":
            continue
        yield at


def _full_stop(before: str, follower: str) -> bool:
    """Does this period end a sentence, or an abbreviation?"""
    next_word = re.split(r"[\s,;:.!?]", follower, maxsplit=1)[0]
    tail = before[-24:]
    if _CLIPPED.search(tail):
        return _STARTERS.fullmatch(next_word) is not None and next_word[:1].isupper()
    if _NUMBERED.search(tail) and follower[0].isdigit():
        return False
    if _ABBREVIATION.search(tail):
        # a company's name may end a sentence; a capital letter alone is an initial or a list mark
        word = re.split(r"\s", tail)[-1].strip("(\"'“‘").lower()
        return word in ("co.", "inc.", "ltd.", "corp.", "al.", "st.") and (
            _STARTERS.fullmatch(next_word) is not None and next_word[:1].isupper()
        )
    return True
