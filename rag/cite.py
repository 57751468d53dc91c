"""Spans become citations; nothing is shown that does not stand in a document, byte for byte.

Takes   passages with ranges in them.
Gives   citations in characters of the document, and the verdict of the check. Whether the words of an answer stand in
        its quotations is checked in `spoken.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rag import quote
from rag.catalogue import Catalogue
from rag.moments import clock, moment
from rag.quote import WHOLE_LIMIT, Quotation
from rag.types import Citation, Document, Passage
from rag.units import LIST, TEXT, blocks, items, strip

LONGEST_LIST = 30_000  # characters on either side of a quotation in which its list is counted


def citation(passage: Passage, start: int, end: int, score: float) -> Citation:
    """The citation of `passage.text[start:end]`, without white space at its ends."""
    start, end = strip(passage.text, max(0, start), min(end, len(passage.text)))
    if start >= end:
        raise ValueError(f"passage {passage.id}: the range {start}:{end} holds no words; quote at least one")
    return Citation(
        document=passage.document,
        version=passage.version,
        page=passage.page,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
        passage=passage.id,
        score=round(float(score), 6),
        time=passage.time,
    )


def check(cited: Citation, document_text: str) -> bool:
    """Do exactly these words stand at exactly this place of the document?"""
    inside = 0 <= cited.start < cited.end <= len(document_text)
    return inside and document_text[cited.start : cited.end] == cited.quote


def widen(passage: Passage, document: Document) -> Passage:
    """The passage with the whole of a list or paragraph that its ends cut, from the same page of its document.

    The wider passage is as exact as the narrow one: `document.text[start:end] == text`.
    """
    page = next((span for span in document.pages if span.start <= passage.start < span.end), None)
    first = max(page.start if page else 0, passage.start - WHOLE_LIMIT)
    last = min(page.end if page else len(document.text), passage.end + WHOLE_LIMIT)
    found = blocks(document.text[first:last])
    start, end = passage.start, passage.end
    for at, block in enumerate(found):
        left, right = first + block.start, first + block.end
        if left < passage.start < right or (left == passage.start and block.kind == LIST):
            before = found[at - 1] if at and block.kind == LIST else block
            start = min(start, first + (before.start if before.kind in (TEXT, block.kind) else block.start))
        if left < passage.end < right:
            end = max(end, right)
        if block.kind == LIST and start <= left and right <= end:  # steps may go on after a paragraph
            begins, ends = (found[n] for n in quote.run(document.text[first:last], found, at))
            if ends.end - begins.start <= WHOLE_LIMIT:
                start, end = min(start, first + begins.start), max(end, first + ends.end)
    return replace(passage, start=start, end=end, text=document.text[start:end])


def distinct(citations: Iterable[Citation], most: int) -> list[Citation]:
    """The first `most` that neither overlap nor repeat one before them."""
    kept: list[Citation] = []
    for cited in citations:
        same = any(
            other.quote.split() == cited.quote.split()
            or (
                (other.document, other.version) == (cited.document, cited.version)
                and other.start < cited.end
                and cited.start < other.end
            )
            for other in kept
        )
        if not same:
            kept.append(cited)
    return kept[:most]


class Documents:
    """The documents of one answer, each loaded once from the catalogue; what does not stand there is not cited."""

    def __init__(self, catalogue: Catalogue, *, most: int) -> None:
        self._catalogue = catalogue
        self._most = most
        self._loaded: dict[int, Document] = {}

    def of(self, passage: Passage) -> Document:
        """The document of a passage, with its text."""
        if passage.document_id not in self._loaded:
            self._loaded[passage.document_id] = self._catalogue.document_of(passage.document_id, with_text=True)
        return self._loaded[passage.document_id]

    def widened(self, passage: Passage) -> Passage:
        """The passage with what its ends cut; as it is where its document holds other words by now."""
        document = self.of(passage)
        if document.text[passage.start : passage.end] != passage.text:
            return passage  # its quotations will fail the check
        return widen(passage, document)

    def left_out(self, cited: Citation, passage: Passage) -> int:
        """How many entries of the cited list stand before and after the quotation; 0 where no list is cited."""
        document = self.of(passage)
        page = next((span for span in document.pages if span.start <= cited.start < span.end), None)
        first = max(page.start if page else 0, cited.start - LONGEST_LIST)
        last = min(page.end if page else len(document.text), cited.end + LONGEST_LIST)
        text = document.text[first:last]
        found = blocks(text)
        start, end = cited.start - first, cited.end - first
        at = next((n for n, b in enumerate(found) if b.kind == LIST and b.start < end and b.end > start), None)
        if at is None:
            return 0
        begins, ends = quote.run(text, found, at)
        rows = [item for block in found[begins : ends + 1] if block.kind == LIST for item in items(text, block)]
        shown = sum(start <= row.start < end for row in rows)
        return len(rows) - shown if shown > 1 else 0

    def confirmed(self, quotations: Sequence[Quotation], passages: Sequence[Passage]) -> tuple[Citation, ...]:
        """Citations of the quotations that stand in their document. Without the first, which holds the words: none."""
        found: list[Citation] = []
        for number, item in enumerate(quotations):
            passage = passages[item.passage]
            cited = citation(passage, item.start, item.end, item.score)
            document = self.of(passage)
            if check(cited, document.text):
                said = moment(document.pages, cited.start)  # a passage of a recording holds several sentences
                found.append(replace(cited, time=clock(said)) if cited.time else cited)
            elif number == 0:
                return ()
        return tuple(distinct(found, self._most))
