"""Which passage answers, with which words, and how sure is that? Witnesses are heard together.

    the reader's evidence and spans ───────┐
    retrieval's score of the passage ──────┼─► order of passages and spans ─► features ─► confidence
    likeness and coverage of the sentence ─┘

Takes   hits and the reading of their passages, in the same order, and a way to compare what would be said with the
        question.
Gives   the best hits in their new order, the reading of these alone with its spans counted in that order and their
        scores shares of 1, and the features from which a model's fitted weights make the confidence.
Why     a small reader mistakes an opening sentence for an answer; retrieval saw the whole passage, the likeness of the
        one sentence to the question and the question's rare words in it correct both. Weights belong to a model
        (`order` and `confidence` in its config.json); `benchmarks/fit_confidence.py` fits them.
Source  log-linear combination of experts: Hinton, Neural Computation 2002, doi:10.1162/089976602760128018; the logistic
        confidence: Platt, 1999.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rag.types import Hit, Reading, Span
from rag.wording import say, stems

KEEP = 8  # passages that may answer
COMPARED = 16  # spans whose words are compared with the question
LEAST = 1e-9  # smallest share that is told from none
WEIGHTS = {  # of a model that has none of its own: what each witness counts in the log share of a span
    "evidence": 0.4,  # log of the reader's evidence for the passage
    "span": 0.17,  # log probability of the span inside its passage
    "retrieval": 1.9,  # score of the passage, 0..1
    "likeness": 3.9,  # cosine of the question and what would be said
    "coverage": 4.7,  # share of the question's words, weighed by rarity, that stand in it
}
FEATURES = ("support", "evidence", "span", "likeness", "coverage", "lead", "nearness", "agreement")
LIKENED = 200  # characters of what would be said that are compared with the question
AGREE = 3  # more passages that say the same make nothing surer


class Alike(NamedTuple):
    """How like the question the words are that a span would say."""

    likeness: float  # cosine
    coverage: float = 0.0  # 0..1
    lean: float = 0.0  # added to the likeness for the order alone
    words: str = ""  # the words themselves, their beginning


class Chosen(NamedTuple):
    """What may answer, best first, and what its confidence rests on: `features` in the order of FEATURES."""

    hits: list[Hit]
    reading: Reading
    features: tuple[float, ...]


Matrix = npt.NDArray[np.float32]
Compare = Callable[[Sequence[Hit], Sequence[Span]], Sequence[Alike]]  # spans count passages of the hits given with them


def choose(
    hits: Sequence[Hit],
    reading: Reading,
    compare: Compare,
    *,
    keep: int = KEEP,
    weights: Mapping[str, float] | None = None,
) -> Chosen:
    """The `keep` best hits and their reading, its `COMPARED` best spans in their final order.

    Hits keep retrieval's score; the order is the new one. Without spans there are no features.
    """
    if len(reading.evidence) != len(hits):
        raise ValueError(f"{len(hits)} hits and evidence for {len(reading.evidence)}: read the passages of these hits")
    weights = weights or WEIGHTS
    worth = [
        weights["evidence"] * _log(seen) + weights["retrieval"] * hit.score
        for hit, seen in zip(hits, reading.evidence, strict=True)
    ]
    order = sorted(range(len(hits)), key=lambda at: (-worth[at], at))[:keep]
    place = {old: new for new, old in enumerate(order)}
    kept, evidence = [hits[at] for at in order], tuple(reading.evidence[at] for at in order)
    spans = [span for span in reading.spans if span.passage in place]
    inside = {span: _log(span.score) - _log(reading.evidence[span.passage]) for span in spans}  # log p(span | passage)
    firsts = {span: worth[span.passage] + weights["span"] * inside[span] for span in spans}
    ranked = sorted(spans, key=lambda span: -firsts[span])[:COMPARED]
    if not ranked:
        return Chosen(kept, Reading(evidence, reading.support, ()), ())
    moved = [span._replace(passage=place[span.passage]) for span in ranked]
    alike = compare(kept, moved)
    worths = [
        firsts[span] + weights["likeness"] * (one.likeness + one.lean) + weights["coverage"] * one.coverage
        for span, one in zip(ranked, alike, strict=True)
    ]
    best = max(range(len(worths)), key=lambda at: (worths[at], -at))
    final = Reading(evidence, reading.support, _shares(moved, worths))
    return Chosen(kept, final, _features(kept, final, inside[ranked[best]], alike[best]))


def _features(hits: Sequence[Hit], reading: Reading, inside: float, alike: Alike) -> tuple[float, ...]:
    """What confidence rests on, in the order of FEATURES.

    Log odds of support; evidence of the passage against "nowhere", a log ratio; log probability of the span in its
    passage; likeness and coverage of what is said; the lead of the best span over the best one of any other passage
    (log ratio of shares, at most 10); the cosine of question and nearest passage; other passages that say the same.
    """
    first = reading.spans[0]
    elsewhere = (span.score for span in reading.spans if span.passage != first.passage)
    lead = min(10.0, _log(first.score) - _log(next(elsewhere, 0.0)))
    nowhere = _log(1 - reading.support)
    return (
        _log(reading.support) - nowhere,
        _log(reading.evidence[first.passage]) - nowhere,
        inside,
        alike.likeness,
        alike.coverage,
        lead,
        max(hit.nearness for hit in hits),
        float(min(AGREE, _agreeing(hits, reading.spans))),
    )


def _agreeing(hits: Sequence[Hit], spans: Sequence[Span]) -> int:
    """How many other passages' best spans hold most content words of the best span."""
    said = {span: stems(hits[span.passage].text[span.start : span.end]) for span in spans}
    wanted, seen, count = said[spans[0]], {spans[0].passage}, 0
    for span in spans[1:]:
        if span.passage not in seen:
            seen.add(span.passage)
            count += bool(wanted) and len(wanted & said[span]) > 0.6 * len(wanted)
    return count


def confidence(features: Sequence[float], support: float, weights: Mapping[str, float] | None) -> float:
    """How likely the best span is right, 0..1; the reader's own support where the model has no fitted `weights`.

    weights: `bias`, and a factor for each of FEATURES; those that an older model does not name count nothing.
    """
    if not features:
        return 0.0
    if not weights:
        return support
    total = weights["bias"]
    total += sum(weights.get(name, 0.0) * value for name, value in zip(FEATURES, features, strict=True))
    return 1 / (1 + math.exp(-total))


def against(question: str, read: Sequence[Hit], embed: Callable[[Sequence[str]], Matrix]) -> Compare:
    """A way to compare what spans would say with the question; `read` are all passages that were read.

    embed: texts to vectors of length 1, [texts, dimension].
    """
    covered = coverage(question, [hit.passage.context for hit in read])

    def compare(hits: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
        said = [say(question, hits[span.passage].text, (span.start, span.end)).words[:LIKENED] for span in spans]
        vectors = embed([question, *said])
        return [
            Alike(float(like), covered(f"{' '.join(hits[span.passage].passage.headings)} {words}"), words=words)
            for like, span, words in zip(vectors[1:] @ vectors[0], spans, said, strict=True)
        ]

    return compare


def coverage(question: str, passages: Sequence[str]) -> Callable[[str], float]:
    """How much of the question's content words a text has, 0..1, rare words of the `passages` counting more.

    >>> covered = coverage("How long is parental leave?", ["Parental leave.", "Leave is granted.", "Leave."])
    >>> covered("Leave is 27 days.") < covered("It is parental.") < covered("Parental leave is long.")
    True
    """
    wanted = stems(question)
    count = Counter(word for passage in passages for word in stems(passage) & wanted)
    rarity = {word: math.log(1 + (len(passages) + 1) / (1 + count[word])) for word in wanted}
    total = sum(rarity.values())

    def covered(text: str) -> float:
        return sum(rarity[word] for word in wanted & stems(text)) / total if total else 0.0

    return covered


def _log(share: float) -> float:
    return math.log(max(share, LEAST))


def _shares(spans: Sequence[Span], worths: Sequence[float]) -> tuple[Span, ...]:
    """The spans, best first, their scores a softmax of `worths`; equal ones keep their order."""
    highest = max(worths)
    powers = [math.exp(worth - highest) for worth in worths]
    scored = [span._replace(score=power / sum(powers)) for span, power in zip(spans, powers, strict=True)]
    return tuple(sorted(scored, key=lambda span: -span.score))
