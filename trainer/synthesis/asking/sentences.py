"""Where the sentences, items and rows of a passage stand.

Takes   a passage's text.
Gives   `Sentence`s with their characters; list items and lines end a sentence, table rows and code are no sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ITEM = re.compile(r"^(\s*)(?:[-*+•]|\d{1,3}[.)])\s+")
STEP = re.compile(r"^\s*\d{1,3}[.)]\s+")
ROW = re.compile(r"^(?:[^|:\n]{1,60}: [^|\n]*)(?: \| [^|:\n]{1,60}: [^|\n]*)+(?: \|)?$")
_CODE = re.compile(r"^(?: {4,}|\t)\S|^\s*[$>#] \S|[{};]\s*$|=>|::")
# A point after these ends no sentence.
_SHORT = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|incl|no|nos|st|dr|mr|mrs|ms|inc|ltd|co|u\.s|fig|sec|p|pp|a\.m|p\.m)|\b[A-Z])\.$",
    re.I,
)
_END = re.compile(r"[.!?][\"”’')\]]*(?=\s+[\"“(\[]?[A-Z0-9]|\s*$)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the characters of its answer in the passage it was made from."""

    question: str
    start: int
    end: int
    kind: str  # what kind of question: amount, duration, time, frequency, person, place, manner, reason, ...
    rule: str  # which rule wrote it


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence without its bullet and final point: `text[start:end]` of the passage."""

    text: str
    start: int
    end: int
    item: bool  # stands in a list


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the passage without the blanks at its end."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.start + len(self.text)


def lines(text: str) -> Iterator[Line]:
    """The passage's lines that are not empty."""
    at = 0
    for raw in text.split("\n"):
        if raw.strip():
            yield Line(raw.rstrip(), at)
        at += len(raw) + 1


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of the passage in order. A fragment that a cut left at the edges of a passage is one, too.

    >>> [s.text for s in sentences("Ask HR, e.g. Ann. It is quick.\\n- Bring a pen.")]
    ['Ask HR, e.g. Ann', 'It is quick', 'Bring a pen']
    """
    for line in lines(text):
        if ROW.match(line.text) or " | " in line.text or _CODE.search(line.text) or line.text.startswith("#"):
            continue
        item = ITEM.match(line.text)
        at = item.end() if item else len(line.text) - len(line.text.lstrip())
        for end in _ends(line.text, at):
            words = line.text[at:end]
            start = at + len(words) - len(words.lstrip())
            shown = line.text[start:end].rstrip(" .!")
            if shown:
                yield Sentence(shown, line.start + start, line.start + start + len(shown), bool(item))
            at = end


def _ends(line: str, start: int) -> Iterator[int]:
    """Where the sentences of a line end."""
    last = start
    for match in _END.finditer(line, start):
        if not _SHORT.search(line[start : match.start() + 1]) or match.end() == len(line):
            last = match.end()
            yield last
    if last < len(line):
        yield len(line)
