"""From a reading to the words that are shown: what is said, what it rests on, and who disagrees.

    spans ─► speaker ─► quotations ─► found again in their documents? ─► another document contradicts? ─► Composed

Takes   the question, a speaker, the chosen hits with their reading and widened passages, and all that was read.
Gives   `Composed`: words and checked citations; none where the quotation that holds the words could not be confirmed.
        What a long list leaves out is counted in a last line; documents that contradict the first quotation are said
        beside it, with their dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag import cite, generate, wording
from rag.disagree import side_by_side
from rag.generate import SpanSpeaker, Spoken
from rag.types import Citation, Hit, Passage, Reading, Span, Statement


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer can be made of. `passages` are those of `hits`, with what their ends cut."""

    question: str  # as it was read
    hits: Sequence[Hit]
    reading: Reading  # of these hits
    passages: Sequence[Passage]
    read: Sequence[Hit]  # everything that was read, also what was not chosen
    documents: cite.Documents


class Composed(NamedTuple):
    """The answer in our own words. `disagreement` names all sides where documents contradict each other."""

    words: str
    citations: tuple[Citation, ...]
    disagreement: tuple[Statement, ...] = ()


def compose(of: Material, speaker: SpanSpeaker) -> Composed:
    """The words of the best spans, or of all sides where documents disagree, each with its checked quotation."""
    for both in (True, False):
        made = _spoken(of, speaker, both=both)
        citations = of.documents.confirmed(made.quotations, of.passages)
        if made.said == 1 or len(of.documents.confirmed(made.quotations[: made.said], of.passages)) > 1:
            break
    if not citations:
        return Composed("", ())
    aside = side_by_side(of.question, citations[0], [hit.passage for hit in of.read], of.documents)
    if aside is None:
        return Composed(made.words + _rest(of, made, citations[0]), citations)
    sides = (*(said.citation for said in aside.statements), *citations)
    return Composed(aside.words, tuple(cite.distinct(sides, generate.CITED)), aside.statements)


def _spoken(of: Material, speaker: SpanSpeaker, *, both: bool) -> Spoken:
    """The speaker's words, from the spans of the passages; spans count characters of the passages as they were read.

    Their order stays; as scores they carry the reader's evidence, for what is quoted beside the best span must answer
    too, not only resemble the question.
    """
    shifts = [hit.passage.start - wide.start for hit, wide in zip(of.hits, of.passages, strict=True)]
    spans = [
        Span(
            span.passage,
            span.start + shifts[span.passage],
            span.end + shifts[span.passage],
            of.reading.evidence[span.passage],
        )
        for span in of.reading.spans
    ]
    shares = [span.score for span in of.reading.spans] if both else []
    return speaker.compose(of.question, spans, of.passages, shares=shares)


def _rest(of: Material, made: Spoken, cited: Citation) -> str:
    """How much of a long list is not shown, and where it stands: our own words, a line of their own."""
    if made.said > 1 or wording.shape(of.question) not in ("list", "steps"):
        return ""
    left = of.documents.left_out(cited, of.passages[made.quotations[0].passage])
    page = "" if cited.page is None else f", page {cited.page}"
    return f"\n… and {left} more in {cited.document}{page}." if left else ""
