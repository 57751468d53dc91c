"""The round trip: does a made question lead back to its passage, and the reader to its answer?

    question ─► BM25 and embedder over the shelf ─► source among the first? ─► reader over the row's sources ─► span?

Takes   a shelf of passages, questions with their answers, a reader of either kind.
Gives   the ranks of the source, near misses without the answer, and a `Verdict` with the reason of a refusal.
Source  round-trip consistency: Alberti et al., ACL 2019, arXiv:1906.05416.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trainer.chat import Source
from trainer.encoder import Encoder
from trainer.neighbours import embed
from trainer.reading import SourceReader
from trainer.rows import BM25, in_context, normalise
from trainer.scoring.scores import word_f1
from trainer.synthesis.passages import Passage

LOOKED_AT = 40  # passages by words and by vector from which near misses are drawn
NEARBY = 3  # passages before and after the source in its document that count as neighbours


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a question must reach to be kept."""

    found_within: int = 10  # rank of the source among all passages of its shelf, by words and by vector
    least_f1: float = 0.5  # of one of the reader's first `spans` with the answer
    spans: int = 3  # what the product looks at, too: docs/experiments.md, "choosing among fourteen read passages"
    most_support: float = 0.5  # of a question without an answer


class Verdict(NamedTuple):
    """Kept where `reason` is empty."""

    reason: str
    f1: float  # best of the spans looked at; 0 for a question without an answer
    support: float


class Neighbours(NamedTuple):
    """What retrieval says about one question."""

    by_words: int  # rank of the source, from 1; 0 where it is not among the LOOKED_AT
    by_vector: int
    near: tuple[int, ...]  # near misses, alternately by words and by vector, best first
    beside: tuple[int, ...]  # near misses in the source's own document, nearest first


class Shelf:
    """Passages that are searched together."""

    def __init__(self, passages: Sequence[Passage], encoder: Encoder, *, bf16: bool) -> None:
        self.passages, self.encoder, self.bf16 = passages, encoder, bf16
        texts = [in_context(*passage.source) for passage in passages]
        self.engine = BM25(texts)
        self.vectors = embed(texts, encoder, length=256, bf16=bf16)  # [passages, width]
        self.plain = [f" {normalise(passage.text)} " for passage in passages]

    def look(self, questions: Sequence[str], owners: Sequence[int], answers: Sequence[str]) -> list[Neighbours]:
        """For each question where its source (index `owner`) is found, and what stands near it without the answer."""
        if not questions:
            return []
        asked = embed(questions, self.encoder, length=64, bf16=self.bf16)  # [questions, width]
        k = min(LOOKED_AT, len(self.passages))
        found = []
        for at, (question, owner, answer) in enumerate(zip(questions, owners, answers, strict=True)):
            words = self.engine.top(question, k)
            scores = self.vectors @ asked[at]  # [passages]
            vector = [int(i) for i in np.argsort(-scores, kind="stable")[:k]]
            may = self.may_mislead(owner, answer)
            mixed = list(dict.fromkeys(i for pair in zip(words, vector, strict=True) for i in pair))
            around = sorted(
                range(max(0, owner - NEARBY), min(len(self.plain), owner + NEARBY + 1)), key=lambda i: abs(i - owner)
            )
            document = self.passages[owner].document
            found.append(
                Neighbours(
                    words.index(owner) + 1 if owner in words else 0,
                    vector.index(owner) + 1 if owner in vector else 0,
                    tuple(i for i in mixed if may(i)),
                    tuple(i for i in around if self.passages[i].document == document and may(i)),
                )
            )
        return found

    def may_mislead(self, owner: int, answer: str) -> Callable[[int], bool]:
        """Which passages may stand beside the source: same readers, without the answer, no copy of it."""
        wanted, own, access = f" {normalise(answer)} ", self.plain[owner], self.passages[owner].access

        def may(i: int) -> bool:
            text = self.plain[i]
            return i != owner and self.passages[i].access == access and wanted not in text and text[:80] != own[:80]

        return may


def answerable(
    reader: SourceReader, question: str, sources: Sequence[Source], *, gold: int, span: tuple[int, int], limits: Limits
) -> Verdict:
    """Does the reader return the span from the sources as they stand in the row?"""
    answer = sources[gold].text[span[0] : span[1]]
    _, support, spans = reader.read(question, sources)
    seen = [s for s in spans if s.source == gold][: limits.spans]
    best = max((word_f1(sources[gold].text[s.start : s.end], answer) for s in seen), default=0.0)
    return Verdict("" if best >= limits.least_f1 else "reader: other words", best, support)


def unanswerable(reader: SourceReader, question: str, sources: Sequence[Source], limits: Limits) -> Verdict:
    """Does the reader see that no source answers?"""
    _, support, _ = reader.read(question, sources)
    return Verdict("" if support <= limits.most_support else "reader: sees an answer", 0.0, support)
