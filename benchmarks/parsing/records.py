"""A reader's text as what it states: rows of tables with their headers, lines, headings.

Takes   plain text in one of three notations: rows as `Header: value | Header: value` (ours), Markdown tables with a
        rule below the header (markitdown), or bare lines (pypdf), which tie no value to a header.
Gives   `Record`s, one a line; texts made comparable by `plain` (letters and digits) and `exact` (signs kept too).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?")
_HEADING = re.compile(r"#{1,6} +(\S.*)")
_CELLS = re.compile(r"(?<!\\)\|")
_SIGNS = "+-.%/@(),<>&"


@dataclass(frozen=True, slots=True)
class Record:
    """One line: its fields as (header, value), the header empty where none is tied to the value."""

    fields: tuple[tuple[str, str], ...]
    line: str


@lru_cache(maxsize=100_000)
def plain(text: str) -> str:
    """Letters, marks and digits only, in one case."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum() or c.isdigit())


@lru_cache(maxsize=100_000)
def exact(text: str) -> str:
    """As `plain`, with the signs that change a value; thousands without commas, 13.0 as 13."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join("-" if unicodedata.category(c) == "Pd" or c == "−" else c for c in text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<![\d.])(\d+)\.0+(?![\d.])", r"\1", text)
    return "".join(c for c in text if c.isalnum() or c in _SIGNS).rstrip(".,")


def records(text: str) -> Iterator[Record]:
    """The lines of a text, top to bottom."""
    header: list[str] | None = None  # of the Markdown table we are in
    before = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("|") and _RULE.fullmatch(line):
            header = _cells(before)
        elif line.startswith("|"):
            cells = _cells(line)
            headers = [*(header or ()), *[""] * len(cells)]
            yield Record(tuple((head, cell) for head, cell in zip(headers, cells, strict=False) if cell), line)
        else:
            header = None
            if line:
                yield Record(tuple(field for part in line.split(" | ") for field in _fields(part)), line)
        before = line


def headings(text: str) -> list[str]:
    """Lines marked as headings."""
    found = (_HEADING.match(line) for line in text.splitlines())
    return [match[1].strip("*# ") for match in found if match]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELLS.split(line.strip().strip("|"))]


def _fields(part: str) -> set[tuple[str, str]]:
    """`Header: value`; a header of two levels has a colon too, and so may a value: both readings count."""
    part = part.strip().lstrip("- ")
    if ": " not in part:
        return {("", part)}
    (first, _, rest), (path, _, last) = part.partition(": "), part.rpartition(": ")
    return {(first.strip(), rest.strip()), (path.strip(), last.strip())}
