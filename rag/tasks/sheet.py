"""The words of a task's answer, each statement a quotation with its number.

Takes   lines of ours (headings, names, counts) and ranges of documents.
Gives   `Made`: lines such as `- The warranty is 36 months. [2]` and citations in that order. A range is compared with
        its document before it is cited; one that is quoted twice keeps its number.
Limits  prose is cut at a sentence's 300 characters, lists, steps and rows at 1,200, as in every other answer.
"""

from __future__ import annotations

import re

from rag import cite, quote
from rag.tasks.desk import Desk
from rag.tasks.task import Made
from rag.types import Citation, Document
from rag.units import strip

MOST = 300  # citations of one answer; what is left out is said
_BULLET = re.compile(r"^(?:[-*•‣◦▪●]|\(?[a-zA-Z]\)|#{1,6})\s+")


class Sheet:
    """An answer being written."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines: list[str] = []
        self._numbers: dict[tuple[int, int, int], int] = {}
        self.citations: list[Citation] = []
        self.notices: list[str] = []

    def say(self, line: str) -> None:
        """A line of ours: it says where quotations come from or how many there are, never what a document says."""
        self._lines.append(line)

    def say_first(self, line: str) -> None:
        """A line of ours above all others."""
        self._lines.insert(0, line)

    def quote(
        self, document: Document, start: int, end: int, *, label: str = "", shown: str = "", score: float = 1.0
    ) -> bool:
        """A line with the words `document.text[start:end]` (or what `shown` gives of them) and their number."""
        number = self.cite(document, start, end, score=score)
        if number:
            said = one_line(shown or document.text[start:end])
            self._lines.append(f"- {label + ': ' if label else ''}{said} [{number}]")
        return bool(number)

    def items(self, document: Document, entries: list[tuple[int, int]], *, ordered: bool, score: float = 1.0) -> bool:
        """The entries of a list, one a line; neighbours share a quotation as long as that stays short enough."""
        done = 0
        while done < len(entries):
            last = done
            while last + 1 < len(entries) and entries[last + 1][1] - entries[done][0] <= quote.WHOLE_LIMIT:
                last += 1
            number = self.cite(document, entries[done][0], entries[last][1], limit=quote.WHOLE_LIMIT, score=score)
            if not number:
                return False
            for at in range(done, last + 1):
                said = one_line(document.text[entries[at][0] : min(entries[at][1], entries[at][0] + quote.WHOLE_LIMIT)])
                said = re.sub(r"^(?:step )?\(?[0-9a-zA-Z]{1,3}[.)]\s+", "", said, flags=re.I) if ordered else said
                self._lines.append(f"{at + 1}. {said} [{number}]" if ordered else f"- {said} [{number}]")
            done = last + 1
        return True

    def cite(self, document: Document, start: int, end: int, *, limit: int = 0, score: float = 1.0) -> int:
        """The number of this quotation; 0 where it does not stand in the document, or no more fit."""
        start, end = strip(document.text, start, end)
        if limit and end - start > limit:
            start, end = quote.clip(document.text[:end], (start, end), (start, start + 1), limit)
        key = (document.id, start, end)
        if key in self._numbers:
            return self._numbers[key]
        if start >= end or len(self.citations) >= MOST:
            return 0
        cited = cite.citation(self._desk.window(document, start, end), 0, end - start, score)
        if not cited.passage or not cite.check(cited, document.text):
            return 0
        self.citations.append(cited)
        self._numbers[key] = len(self.citations)
        return len(self.citations)

    def made(self, confidence: float) -> Made | None:
        """The answer; None where nothing could be quoted."""
        if not self.citations:
            return None
        words = "\n".join(self._lines)
        return Made(words, tuple(self.citations), min(1.0, confidence), notices=tuple(self.notices))


def one_line(words: str) -> str:
    """Quoted words on one line, without the sign of a list in front; a table row's cells apart by semicolons."""
    line = " ".join(words.split())
    return _BULLET.sub("", line).replace(" | ", "; ")


def name(document: Document) -> str:
    """How a document is called in an answer: its name, and its title where that says more."""
    return (
        document.name
        if document.title.casefold() in document.name.casefold()
        else f"{document.title} ({document.name})"
    )
