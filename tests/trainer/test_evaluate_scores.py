"""Measures against values worked out by hand, and quotations that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainer.chat import Found, Source
from trainer.reading import TrunkReader
from trainer.scoring import outcomes, quotations, scores, speech
from trainer.scoring.outcomes import Case, Outcomes
from trainer.scoring.quotations import Quotations


class Fixed:
    """A reader whose answers are known: (evidence, support, spans) by question."""

    def __init__(self, **answers):
        self.answers = answers

    def read(self, question, sources):
        return self.answers[question]


def read_four() -> Outcomes:
    source = [Source("", "The desk opens at nine o'clock.")]
    two = [*source, Source("", "Nothing of use.")]
    reader = Fixed(
        whole=([0.9], 0.9, [Found(0, 18, 30, 1.0)]),
        half=([0.2, 0.7], 0.8, [Found(0, 9, 30, 1.0)]),
        absent=([0.1], 0.7, [Found(0, 4, 8, 1.0)]),
        silent=([0.1], 0.2, []),
    )
    asked = [
        Case("whole", source, 0, ["nine o'clock", "nine"]),
        Case("half", two, 0, ["opens"]),
        Case("absent", source, -1, []),
        Case("silent", source, 0, ["the desk"]),
    ]
    return outcomes.ask(reader, asked, title="test")


def test_each_measure_is_what_a_person_counts():
    found = outcomes.report(read_four(), 0.75)
    assert found["exact_match"] == 33.33
    assert found["f1"] == pytest.approx(100 * (1 + 2 / 5 + 0) / 3, abs=0.01)
    assert found["evidence_top1"] == 0  # only one question had a choice
    assert (found["answered"], found["refused"]) == (66.67, 100)
    assert found["balanced_accuracy"] == pytest.approx((200 / 3 + 100) / 2, abs=0.01)
    assert (found["right"], found["wrong"]) == (25, 25)
    # in order of support right, wrong, wrong, wrong
    assert found["auc_risk_coverage"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 3 / 4) / 4, abs=1e-4)
    assert found["auc_risk_coverage_refusals"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4, abs=1e-4)
    assert (found["answerable"], found["unanswerable"], found["threshold"]) == (3, 1, 0.75)


def test_windows_of_one_context_are_no_choice_for_evidence():
    two = [Source("", "The desk opens."), Source("", "It closes at six.")]
    case = Case("q", two, 0, ["six"], windows=True)
    found = outcomes.ask(Fixed(q=([0.1, 0.9], 0.9, [Found(1, 13, 16, 1.0)])), [case], title="")
    assert outcomes.report(found, 0.5)["evidence_top1"] is None
    assert outcomes.report(found, 0.5)["exact_match"] == 100


def test_a_span_of_free_wording_is_right_when_half_of_it_is_the_answers_words():
    source = [Source("", "The desk opens at nine o'clock.")]
    reader = Fixed(asked=([0.9], 0.9, [Found(0, 9, 30, 1.0)]))
    said = "From Monday to Friday, the desk opens for visitors at nine in the morning, not before."
    found = [outcomes.ask(reader, [Case("asked", source, 0, [said], free=free)], title="") for free in (True, False)]
    assert [bool(one.right[0]) for one in found] == [True, False]
    assert found[0].overlap[0] == found[1].overlap[0] < 0.5


def test_questions_of_equal_support_count_as_in_no_order():
    wrong = np.array([1, 0, 1, 0])
    one, other = (scores.risk_coverage(np.array([0.5, 0.5, 0.5, 0.1]), w) for w in (wrong, wrong[[1, 0, 2, 3]]))
    assert one.risk.tolist() == other.risk.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1 / 2])


def test_coverage_at_a_risk_is_the_largest_share_that_keeps_to_it():
    curve = scores.risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 1, 0, 0]))
    assert curve.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert curve.coverage_at(0.3) == 1.0
    assert curve.coverage_at(0.1) == 0.25
    assert curve.coverage_at(-1) == 0.0


def test_a_confidence_that_keeps_its_word_has_no_calibration_error():
    chance = np.random.default_rng(0)
    claimed = chance.random(20_000)
    right = chance.random(20_000) < claimed
    honest = scores.calibration_error(scores.reliability(claimed, right))
    boastful = scores.calibration_error(scores.reliability(np.sqrt(claimed), right))
    assert honest < 0.02
    assert boastful > 0.1
    assert [one.n for one in scores.reliability(claimed[:25], right[:25])] == [2, 3, 3, 2, 2, 3, 3, 2, 2, 3]


def test_bootstrap_intervals_hold_the_truth_and_shrink_with_the_square_root():
    values = np.random.default_rng(1).random(400)
    wide, narrow = (
        scores.interval([scores.mean(part[at]) for at in scores.draws(len(part))]) for part in (values[:100], values)
    )
    assert narrow[0] < 0.5 < narrow[1]
    assert 1.5 < (wide[1] - wide[0]) / (narrow[1] - narrow[0]) < 2.7


def test_a_model_compared_with_itself_differs_by_nothing_and_with_another_by_its_lead():
    found = read_four()
    apart = outcomes.differences(found, found, (0.75, 0.75))
    assert {one["difference"] for one in apart.values()} == {0}
    assert all(edge == 0 for one in apart.values() for edge in one["interval"])
    stricter = outcomes.differences(found, found, (0.75, 0.95))
    assert stricter["answered"]["difference"] == 66.67
    assert stricter["answered"]["value"] == 0


def test_nothing_measured_is_null_and_never_nan():
    empty = outcomes.ask(Fixed(), [], title="")
    found = outcomes.report(empty, 0.5)
    assert found["f1"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for value in found.values())
    assert outcomes.curves(empty)["risk"] == []


@pytest.mark.parametrize(
    ("said", "answer", "exact", "f1"),
    [
        ("The Andes.", "andes", 1.0, 1.0),
        ("twenty-one", "twentyone", 1.0, 1.0),  # SQuAD's script drops punctuation, it does not part words at it
        ("a", "the", 1.0, 1.0),  # nothing is left of either
        ("", "nine", 0.0, 0.0),
        ("in in in 1900", "in 1900", 0.0, 2 / 3),  # a word counts as often as both have it
    ],
)
def test_words_are_compared_as_squad_does(said, answer, exact, f1):
    assert scores.exact(said, answer) == exact
    assert scores.word_f1(said, answer) == pytest.approx(f1)


# --- quotations -------------------------------------------------------------------------------------------------------

SOURCES = [Source("Desk", "The desk opens at nine."), Source("Mill", "The mill closes at six.")]


def test_a_span_outside_its_source_or_of_blanks_is_a_failure():
    good = Found(0, 4, 8, 0.5)
    bad = [Found(2, 0, 3, 0.1), Found(1, 20, 99, 0.1), Found(0, 3, 4, 0.1), Found(0, 5, 5, 0.1)]
    found = quotations.of_spans("q", SOURCES, [good, *bad])
    assert (found.given, len(found.failures)) == (5, 4)
    assert [one.why for one in found.failures] == [
        "source 2 of 2", "characters 20 to 99 of 23", "only blanks", "characters 5 to 5 of 23",
    ]  # fmt: skip
    assert found.report()["literal"] == 20.0


def test_a_spoken_quotation_must_stand_in_the_source_it_names():
    said = [
        ("1", "opens at nine"),
        ("2", "opens at nine"),
        ("3", "at six"),
        ("²", "at six"),
        ("2", "closes at seven"),
        ("1", ""),
    ]
    found = quotations.of_speech("q", SOURCES, said)
    assert [one.why for one in found.failures] == [
        "stands in source 1", "names source '3' of 2", "names source '²' of 2", "stands nowhere", "stands nowhere",
    ]  # fmt: skip
    both = found.and_(Quotations(4))
    assert (both.given, both.report()["literal"]) == (10, 50.0)


def test_spoken_ids_are_cut_into_quotations_and_a_broken_one_is_left_out(words):
    said = [*words.encode("nine"), words.quote, *words.encode("1"), words.text, *words.encode("opens at nine")]
    said += [words.quote, *words.encode("2"), words.text, *words.encode("closes")]
    assert quotations.quoted(said, words, whole=True) == [("1", "opens at nine"), ("2", "closes")]
    assert quotations.quoted(said, words, whole=False) == [("1", "opens at nine")]
    assert quotations.quoted(words.encode("nine"), words, whole=True) == []


def test_a_trunk_speaks_until_it_ends_and_what_it_quotes_is_heard(model, words):
    reader = TrunkReader(model, words)
    asked = [
        Case("When does the desk open?", SOURCES, 0, ["at nine"]),
        Case("Who pays?", SOURCES, -1, []),
    ]
    found = speech.report(reader, asked)
    assert set(found) == {"both_ways", "looking_back"}
    for way, causal in (("both_ways", False), ("looking_back", True)):
        said = [quotations.speak(reader, case.question, case.sources, causal=causal) for case in asked]
        assert found[way]["n"] == 2
        assert found[way]["f1"] == 100 * scores.word_f1(said[0].answer, "at nine")
        assert found[way]["refused"] == 100.0 * (not said[1].answer)
        assert found[way]["quotations"]["given"] == sum(len(one.quoted) for one in said)


def test_an_answer_ends_where_its_first_quotation_begins(words):
    said = [*words.encode("nine"), words.quote, *words.encode("1"), words.text, *words.encode("opens at nine")]
    assert quotations.answered(said, words) == "nine"
    assert quotations.answered(words.encode("nine"), words) == "nine"
    assert quotations.answered([words.none], words) == ""
