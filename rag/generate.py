"""Words by rules over the best span, taken from the quotation itself (wording.py): what is shown by default.

Others  speak.py, where our own trunk writes the words; endpoint.py, an outside model.
Takes   the question, spans of passages (best first) and the passages.
Gives   text in stretches; `compose` also gives the ranges that the words rest on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag import spoken, wording
from rag.quote import Quotation
from rag.types import Passage, Span
from rag.units import strip
from rag.wording import Said

CITED = 3  # most quotations of one answer
CLOSE = 0.6  # a further quotation needs this share of the best span's score
ALSO = 0.5  # a span that is at least so likely beside the best one is said too: neither is clearly the answer


class Spoken(NamedTuple):
    """The words of an answer, and what they rest on: the first `said` quotations hold them, others stand beside."""

    words: str
    quotations: tuple[Quotation, ...]
    said: int = 1


@dataclass(frozen=True, slots=True)
class SpanSpeaker:
    """Words by rules: the sentence, list, steps or row around the best span."""

    policy: wording.Policy = "sentence"
    close: float = CLOSE

    @property
    def name(self) -> str:
        """For the audit."""
        return f"span:{self.policy}"

    def compose(
        self, question: str, spans: Sequence[Span], passages: Sequence[Passage], *, shares: Sequence[float] = ()
    ) -> Spoken:
        """The answer of the best span that has words, and up to three quotations.

        shares: how likely each span is, in their order. Where the second is nearly as likely as the first, both are
        said, a line each, if that is brief enough; a yes or no stays alone.
        """
        told: list[Said] = []
        found: list[Quotation] = []
        likely = 0.0  # share of what is said first
        for number, span in enumerate(spans):
            if len(found) == CITED:
                break
            also = len(told) == 1 and bool(shares) and shares[number] >= ALSO * likely > 0
            if found and not also and span.score < self.close * spans[0].score:
                continue
            text = passages[span.passage].text
            start, end = strip(text, max(0, span.start), min(span.end, len(text)))
            beside = [other for other in found if other.passage == span.passage]
            if start >= end or (beside and (not also or any(start < o.end and end > o.start for o in beside))):
                continue
            headings = " > ".join(passages[span.passage].headings)
            said = wording.say(question, text, (start, end), policy=self.policy, about=headings)
            quoted = text[said.start : said.end]
            said = said._replace(words=spoken.kept(said.words, [quoted]) or (said.words and wording.in_full(quoted)))
            if not said.words or any(said.start < o.end and said.end > o.start for o in beside):
                continue
            quotation = Quotation(span.passage, said.start, said.end, span.score)
            if not told:
                told, likely = [said], shares[number] if shares else 0.0
                found.append(quotation)
            elif also and wording.together(question, told[0].words, said.words):
                told.append(said)
                found.insert(1, quotation)
            elif not beside and span.score >= self.close * spans[0].score:
                found.append(quotation)
        return Spoken("\n".join(said.words for said in told), tuple(found), max(1, len(told)))

    def say(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Iterator[str]:
        """The words in stretches of a line or a sentence, which join to `compose(...).words`."""
        yield from stretches(self.compose(question, spans, passages).words)


def stretches(words: str) -> list[str]:
    """Lines, and sentences of prose, each with the space after it: they join to `words`."""
    return re.findall(r".+?(?:\n+|(?<=[.!?])\s+(?=[A-Z\"“])|\Z)", words, re.DOTALL)


def whole(pieces: Iterator[str]) -> Iterator[str]:
    """The same text, cut where sentences and lines end: a sentence is checked before it is shown."""
    held = ""
    for piece in pieces:
        *ended, held = stretches(held + piece) or [""]
        yield from ended
    if held:
        yield held
