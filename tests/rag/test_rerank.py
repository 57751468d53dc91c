"""The reader, retrieval and the likeness of words decide together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rag.rerank import FEATURES, Alike, Compare, choose, confidence
from rag.types import Hit, Passage, Reading, Span

TEXTS = ("12 days of leave", "ten days of leave", "lunch at noon")


def hit(number: int, score: float) -> Hit:
    text = TEXTS[number]
    return Hit(Passage(number, 1, "a.md", 1, 0, len(text), text, None), score, nearness=score / 2)


HITS = [hit(0, 1.0), hit(1, 0.5), hit(2, 0.0)]
WEIGHTS = {"bias": -1.0, "support": 0.5, "likeness": 2.0, "lead": 0.3}


def alike(*values: float) -> Compare:
    def compare(_: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
        return [Alike(value) for _, value in zip(spans, values or [0.0] * len(spans), strict=False)]

    return compare


def test_evidence_can_lift_a_passage_over_a_better_found_one() -> None:
    reading = Reading((0.001, 0.001, 0.9), 0.8, (Span(2, 0, 3, 0.9),))
    kept, chosen, _ = choose(HITS, reading, alike())
    assert [one.passage.id for one in kept] == [2, 0, 1]
    assert chosen.evidence == (0.9, 0.001, 0.001)
    assert chosen.support == 0.8
    assert HITS[2].score == kept[0].score == 0.0  # hits keep retrieval's score


def test_a_little_more_evidence_does_not_outweigh_a_much_better_found_passage() -> None:
    assert [one.passage.id for one in choose(HITS, Reading((0.3, 0.2, 0.4), 0.8, ()), alike()).hits] == [0, 1, 2]


def test_spans_follow_their_passage_and_those_of_dropped_ones_go() -> None:
    spans = (Span(0, 1, 2, 0.9), Span(2, 0, 3, 0.8), Span(1, 0, 1, 0.7))
    kept, reading, _ = choose(HITS, Reading((1e-8, 0.9, 0.8), 0.8, spans), alike(), keep=2)
    assert [one.passage.id for one in kept] == [1, 2]
    assert {(kept[span.passage].passage.id, span.start, span.end) for span in reading.spans} == {(1, 0, 1), (2, 0, 3)}


def test_what_is_compared_counts_the_hits_that_were_kept() -> None:
    shown: list[tuple[int, int]] = []

    def compare(hits: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
        shown.extend((hits[span.passage].passage.id, span.start) for span in spans)
        return [Alike(0.0) for _ in spans]

    choose(HITS, Reading((0.1, 0.1, 0.9), 0.8, (Span(2, 6, 8, 0.9), Span(0, 0, 2, 0.05))), compare)
    assert sorted(shown) == [(0, 0), (2, 6)]


def test_spans_liked_alike_are_ordered_by_how_well_their_passage_was_found() -> None:
    spans = (Span(2, 0, 3, 0.35), Span(0, 0, 3, 0.35))
    kept, reading, _ = choose(HITS, Reading((0.5, 0.5, 0.5), 0.8, spans), alike())
    assert [kept[span.passage].passage.id for span in reading.spans] == [0, 2]
    assert sum(span.score for span in reading.spans) == pytest.approx(1.0)


def test_words_like_the_question_win_over_words_the_reader_liked_a_little_more() -> None:
    spans = (Span(0, 0, 3, 0.6), Span(0, 3, 5, 0.4))
    reading = Reading((1.0,), 0.8, spans)
    _, chosen, features = choose(HITS[:1], reading, alike(0.2, 0.7))
    assert [span.start for span in chosen.spans] == [3, 0]
    assert dict(zip(FEATURES, features, strict=True))["likeness"] == 0.7


def test_words_that_hold_the_questions_rare_words_win() -> None:
    reading = Reading((0.5, 0.5), 0.8, (Span(0, 0, 3, 0.25), Span(1, 0, 3, 0.25)))
    found = [hit(0, 0.5), hit(1, 0.5)]
    told = choose(found, reading, lambda _, spans: [Alike(0.5, coverage=float(s.passage)) for s in spans])
    assert [span.passage for span in told.reading.spans] == [1, 0]


def test_a_leaning_moves_the_order_and_makes_nothing_surer() -> None:
    reading = Reading((0.5, 0.5), 0.8, (Span(0, 0, 3, 0.25), Span(1, 0, 3, 0.25)))
    found = [hit(0, 0.5), hit(1, 0.5)]
    told = choose(found, reading, lambda _, spans: [Alike(0.5, lean=float(s.passage)) for s in spans])
    assert [span.passage for span in told.reading.spans] == [1, 0]
    assert dict(zip(FEATURES, told.features, strict=True))["likeness"] == 0.5


def test_a_models_own_weights_take_the_place_of_the_default_ones() -> None:
    reading = Reading((0.9, 0.1), 0.8, (Span(0, 0, 3, 0.8), Span(1, 0, 3, 0.09)))
    own = {"evidence": 0.0, "span": 0.0, "retrieval": 0.0, "likeness": 1.0, "coverage": 0.0}
    kept, chosen, _ = choose(HITS[:2], reading, alike(0.1, 0.9), weights=own)
    assert kept[chosen.spans[0].passage].passage.id == 1


def test_passages_that_say_the_same_and_a_near_one_are_told_to_the_confidence() -> None:
    spans = (Span(0, 3, 16, 0.4), Span(1, 4, 17, 0.3), Span(2, 0, 5, 0.1))  # "days of leave" twice, then "lunch"
    features = dict(zip(FEATURES, choose(HITS, Reading((0.4, 0.3, 0.1), 0.8, spans), alike()).features, strict=True))
    assert features["agreement"] == 1.0
    assert features["nearness"] == 0.5


def test_without_spans_there_is_nothing_to_compare() -> None:
    told = choose(HITS[:1], Reading((0.5,), 0.5, ()), lambda *_: pytest.fail("nothing to embed"))
    assert (told.reading, told.features) == (Reading((0.5,), 0.5, ()), ())
    assert confidence(told.features, 0.5, WEIGHTS) == 0.0


def test_confidence_grows_with_support_likeness_and_lead() -> None:
    reading = Reading((0.7, 0.2), 0.9, (Span(0, 0, 3, 0.5), Span(1, 0, 3, 0.1)))

    def sure(given: Reading, like: float = 0.5, weights: dict[str, float] = WEIGHTS) -> float:
        return confidence(choose(HITS[:2], given, alike(like, 0.2)).features, given.support, weights)

    base = sure(reading)
    assert sure(replace(reading, support=0.95)) > base
    assert sure(reading, 0.6) > base
    assert sure(replace(reading, evidence=(0.7, 0.01)), 0.5, {"bias": -1.0, "lead": 0.3}) > sure(
        reading, 0.5, {"bias": -1.0, "lead": 0.3}
    )
    assert 0 < base < 1


def test_without_fitted_weights_support_is_the_confidence() -> None:
    assert confidence((1.0,) * len(FEATURES), 0.9, None) == 0.9


def test_a_reading_of_other_passages_is_refused() -> None:
    with pytest.raises(ValueError, match="3 hits and evidence for 1"):
        choose(HITS, Reading((0.5,), 0.5, ()), alike())


def test_nothing_found_stays_nothing() -> None:
    assert choose([], Reading((), 0.0, ()), alike()) == ([], Reading((), 0.0, ()), ())
