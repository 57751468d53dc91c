"""Which passage answers, with which words, and how sure is that? Three witnesses are heard together.

    the reader's evidence and spans ─┐
    retrieval's score of the passage ─┼─► order of passages and spans ─► confidence
    likeness of question and sentence ┘

Takes   hits and the reading of their passages, in the same order; the words each span would say, and a way to embed.
Gives   the best hits in their new order, the reading of these alone with its spans counted in that order, and the
        confidence that the best span is right. Span scores become shares of 1 among the spans of one question.
Why     a small reader mistakes an opening sentence for an answer; retrieval saw the whole passage, and the likeness of
        the one sentence to the question corrects both. The weights are measured in docs/experiments.md.
Source  log-linear combination of experts: Hinton, Neural Computation 2002, doi:10.1162/089976602760128018; the logistic
        confidence: Platt, 1999.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from rag.types import Hit, Reading, Span

KEEP = 8  # passages that may answer
COMPARED = 16  # spans whose words are compared with the question
RETRIEVAL = 12.0  # weight of retrieval's score (0..1) against log shares of the reader
LIKENESS = 6.0  # weight of the cosine between the question and what would be said
FEATURES = ("support", "likeness", "lead")
LEAST = 1e-9  # smallest share that is told from none

Likeness = Callable[[Sequence[Span]], Sequence[float]]  # cosine of the question with the words of each span


def rerank(
    hits: Sequence[Hit], reading: Reading, *, keep: int = KEEP, retrieval: float = RETRIEVAL
) -> tuple[list[Hit], Reading]:
    """The `keep` best hits and their reading. Hits keep retrieval's score; the order is the new one."""
    if len(reading.evidence) != len(hits):
        raise ValueError(f"{len(hits)} hits and evidence for {len(reading.evidence)}: read the passages of these hits")
    worth = [_log(seen) + retrieval * hit.score for hit, seen in zip(hits, reading.evidence, strict=True)]
    order = sorted(range(len(hits)), key=lambda at: (-worth[at], at))[:keep]
    place = {old: new for new, old in enumerate(order)}
    kept = [span._replace(passage=place[span.passage]) for span in reading.spans if span.passage in place]
    chosen = [hits[at] for at in order]
    worths = [_log(span.score) + retrieval * chosen[span.passage].score for span in kept]
    return chosen, Reading(tuple(reading.evidence[at] for at in order), reading.support, _shares(kept, worths))


def prefer_like(reading: Reading, likeness: Likeness, *, weight: float = LIKENESS) -> tuple[Reading, float]:
    """The reading with its best spans ordered anew by how like the question their words are, and the best one's cosine.

    Spans beyond the first `COMPARED` are dropped. Without spans the reading stays as it is, with likeness 0.
    """
    compared = reading.spans[:COMPARED]
    if not compared:
        return reading, 0.0
    cosines = list(likeness(compared))
    worths = [_log(span.score) + weight * cosine for span, cosine in zip(compared, cosines, strict=True)]
    best = cosines[max(range(len(worths)), key=lambda at: (worths[at], -at))]
    return Reading(reading.evidence, reading.support, _shares(compared, worths)), best


def confidence(reading: Reading, likeness: float, weights: Mapping[str, float] | None) -> float:
    """How likely the best span is right, 0..1; the reader's own support where the model has no fitted `weights`.

    weights: `bias`, and a factor for each of FEATURES.
    """
    if not reading.spans:
        return 0.0
    if not weights:
        return reading.support
    values = features(reading, likeness)
    total = weights["bias"] + sum(weights[name] * value for name, value in zip(FEATURES, values, strict=True))
    return 1 / (1 + math.exp(-total))


def features(reading: Reading, likeness: float) -> tuple[float, float, float]:
    """What confidence rests on, in the order of FEATURES.

    Log odds of support; the likeness of question and answer; the lead of the best span over the best one of any other
    passage (log ratio of shares, at most 10).
    """
    first = reading.spans[0].score if reading.spans else 0.0
    elsewhere = (span.score for span in reading.spans if span.passage != reading.spans[0].passage)
    lead = min(10.0, _log(first) - _log(next(elsewhere, 0.0)))
    return _log(reading.support) - _log(1 - reading.support), likeness, lead


def _log(share: float) -> float:
    return math.log(max(share, LEAST))


def _shares(spans: Sequence[Span], worths: Sequence[float]) -> tuple[Span, ...]:
    """The spans, best first, their scores a softmax of `worths`; equal ones keep their order."""
    if not spans:
        return ()
    highest = max(worths)
    powers = [math.exp(worth - highest) for worth in worths]
    scored = [span._replace(score=power / sum(powers)) for span, power in zip(spans, powers, strict=True)]
    return tuple(sorted(scored, key=lambda span: -span.score))
