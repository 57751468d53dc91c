"""Does this passage answer? The reader's evidence decides together with retrieval's score.

Takes   hits and the reading of their passages, in the same order.
Gives   the best hits in their new order and the reading of these alone, its spans counted in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.types import Hit, Reading, Span

KEEP = 8  # passages that may answer
EVIDENCE = 0.7  # share of the reader's evidence in the order; the rest is retrieval's score
TRUST = 0.15  # share of retrieval's score in a span's: it decides between spans the reader likes alike


def rerank(
    hits: Sequence[Hit], reading: Reading, *, keep: int = KEEP, evidence: float = EVIDENCE, trust: float = TRUST
) -> tuple[list[Hit], Reading]:
    """The `keep` best hits and their reading. Hits keep retrieval's score; the order is the new one."""
    if len(reading.evidence) != len(hits):
        raise ValueError(f"{len(hits)} hits and evidence for {len(reading.evidence)}: read the passages of these hits")
    scored = [evidence * seen + (1 - evidence) * hit.score for hit, seen in zip(hits, reading.evidence, strict=True)]
    order = sorted(range(len(hits)), key=lambda at: (-scored[at], at))[:keep]
    place = {old: new for new, old in enumerate(order)}
    spans = [
        Span(place[span.passage], span.start, span.end, (1 - trust) * span.score + trust * hits[span.passage].score)
        for span in reading.spans
        if span.passage in place
    ]
    spans.sort(key=lambda span: -span.score)  # stable: the reader's order breaks ties
    chosen = tuple(reading.evidence[at] for at in order)
    return [hits[at] for at in order], Reading(chosen, reading.support, tuple(spans))
