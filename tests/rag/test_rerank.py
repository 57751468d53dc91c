"""The reader's evidence decides together with retrieval's score."""

from __future__ import annotations

import pytest

from rag.rerank import rerank
from rag.types import Hit, Passage, Reading, Span


def hit(number: int, score: float) -> Hit:
    return Hit(Passage(number, 1, "a.md", 1, 0, 5, "words", None), score)


HITS = [hit(10, 1.0), hit(11, 0.5), hit(12, 0.0)]


def test_evidence_can_lift_a_passage_over_a_better_found_one() -> None:
    kept, reading = rerank(HITS, Reading((0.1, 0.1, 0.9), 0.8, (Span(2, 0, 3, 0.9),)))
    assert [one.passage.id for one in kept] == [12, 10, 11]
    assert reading.evidence == (0.9, 0.1, 0.1)
    assert reading.support == 0.8
    assert HITS[2].score == kept[0].score == 0.0  # hits keep retrieval's score


def test_spans_follow_their_passage_and_those_of_dropped_ones_go() -> None:
    spans = (Span(0, 1, 2, 0.9), Span(2, 0, 3, 0.8), Span(1, 0, 1, 0.7))
    kept, reading = rerank(HITS, Reading((0.1, 0.9, 0.8), 0.8, spans), keep=2)
    assert [one.passage.id for one in kept] == [11, 12]
    assert {(kept[span.passage].passage.id, span.start, span.end) for span in reading.spans} == {(11, 0, 1), (12, 0, 3)}


def test_spans_liked_alike_are_ordered_by_how_well_their_passage_was_found() -> None:
    _, reading = rerank(HITS, Reading((0.5, 0.5, 0.5), 0.8, (Span(2, 0, 3, 0.7), Span(0, 0, 3, 0.7))))
    assert [span.passage for span in reading.spans] == [0, 2]


def test_a_reading_of_other_passages_is_refused() -> None:
    with pytest.raises(ValueError, match="3 hits and evidence for 1"):
        rerank(HITS, Reading((0.5,), 0.5, ()))


def test_nothing_found_stays_nothing() -> None:
    assert rerank([], Reading((), 0.0, ())) == ([], Reading((), 0.0, ()))
