"""The reader, retrieval and the likeness of words decide together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.rerank import confidence, prefer_like, rerank
from rag.types import Hit, Passage, Reading, Span


def hit(number: int, score: float) -> Hit:
    return Hit(Passage(number, 1, "a.md", 1, 0, 5, "words", None), score)


HITS = [hit(10, 1.0), hit(11, 0.5), hit(12, 0.0)]
WEIGHTS = {"bias": -1.0, "support": 0.5, "likeness": 2.0, "lead": 0.3}


def test_evidence_can_lift_a_passage_over_a_better_found_one() -> None:
    kept, reading = rerank(HITS, Reading((0.001, 0.001, 0.9), 0.8, (Span(2, 0, 3, 0.9),)), retrieval=2.0)
    assert [one.passage.id for one in kept] == [12, 10, 11]
    assert reading.evidence == (0.9, 0.001, 0.001)
    assert reading.support == 0.8
    assert HITS[2].score == kept[0].score == 0.0  # hits keep retrieval's score


def test_a_little_more_evidence_does_not_outweigh_a_much_better_found_passage() -> None:
    kept, _ = rerank(HITS, Reading((0.3, 0.2, 0.4), 0.8, ()))
    assert [one.passage.id for one in kept] == [10, 11, 12]


def test_spans_follow_their_passage_and_those_of_dropped_ones_go() -> None:
    spans = (Span(0, 1, 2, 0.9), Span(2, 0, 3, 0.8), Span(1, 0, 1, 0.7))
    kept, reading = rerank(HITS, Reading((1e-8, 0.9, 0.8), 0.8, spans), keep=2, retrieval=1.0)
    assert [one.passage.id for one in kept] == [11, 12]
    assert {(kept[span.passage].passage.id, span.start, span.end) for span in reading.spans} == {(11, 0, 1), (12, 0, 3)}


def test_spans_liked_alike_are_ordered_by_how_well_their_passage_was_found() -> None:
    _, reading = rerank(HITS, Reading((0.5, 0.5, 0.5), 0.8, (Span(2, 0, 3, 0.7), Span(0, 0, 3, 0.7))))
    assert [span.passage for span in reading.spans] == [0, 2]
    assert sum(span.score for span in reading.spans) == pytest.approx(1.0)


def test_words_like_the_question_win_over_words_the_reader_liked_a_little_more() -> None:
    spans = (Span(0, 0, 3, 0.6), Span(0, 3, 5, 0.4))
    reading, likeness = prefer_like(
        Reading((1.0,), 0.8, spans), lambda shown: [0.2 if s.start == 0 else 0.7 for s in shown]
    )
    assert [span.start for span in reading.spans] == [3, 0]
    assert likeness == 0.7


def test_without_spans_there_is_nothing_to_compare() -> None:
    empty = Reading((0.5,), 0.5, ())
    assert prefer_like(empty, lambda spans: pytest.fail("nothing to embed")) == (empty, 0.0)
    assert confidence(empty, 0.0, WEIGHTS) == 0.0


def test_confidence_grows_with_support_likeness_and_lead() -> None:
    reading = Reading((0.7, 0.2), 0.9, (Span(0, 0, 3, 0.6), Span(1, 0, 3, 0.4)))
    sure = confidence(reading, 0.5, WEIGHTS)
    assert confidence(replace(reading, support=0.95), 0.5, WEIGHTS) > sure
    assert confidence(reading, 0.6, WEIGHTS) > sure
    assert confidence(replace(reading, spans=(Span(0, 0, 3, 0.9), Span(1, 0, 3, 0.1))), 0.5, WEIGHTS) > sure
    assert 0 < sure < 1


def test_without_fitted_weights_support_is_the_confidence() -> None:
    assert confidence(Reading((0.7,), 0.9, (Span(0, 0, 3, 1.0),)), 0.5, None) == 0.9


def test_a_reading_of_other_passages_is_refused() -> None:
    with pytest.raises(ValueError, match="3 hits and evidence for 1"):
        rerank(HITS, Reading((0.5,), 0.5, ()))


def test_nothing_found_stays_nothing() -> None:
    assert rerank([], Reading((), 0.0, ())) == ([], Reading((), 0.0, ()))
