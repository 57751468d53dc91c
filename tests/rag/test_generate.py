"""Words by rules: the best span, and what is said and quoted beside it."""

from __future__ import annotations

from rag.generate import SpanSpeaker, stretches, whole
from rag.types import Passage, Span

LEAVE = "Full-time employees accrue 15 days of paid vacation per year. Ask your manager."
SICK = "Sick leave is 10 days. It needs a note."
PASSAGES = [
    Passage(1, 1, "leave.md", 1, 0, len(LEAVE), LEAVE, None),
    Passage(2, 2, "sick.md", 1, 0, len(SICK), SICK, None),
]


def span(passage: int, words: str, score: float) -> Span:
    start = PASSAGES[passage].text.index(words)
    return Span(passage, start, start + len(words), score)


def test_the_best_span_gives_the_words_and_close_ones_of_other_passages_stand_beside() -> None:
    spoken = SpanSpeaker().compose("How many days?", [span(0, "15 days", 0.9), span(1, "10 days", 0.8)], PASSAGES)
    assert spoken.words == "Full-time employees accrue 15 days of paid vacation per year."
    quoted = [PASSAGES[q.passage].text[q.start : q.end] for q in spoken.quotations]
    assert quoted == ["Full-time employees accrue 15 days of paid vacation per year.", "Sick leave is 10 days."]


def test_a_span_far_behind_the_best_is_not_cited() -> None:
    spoken = SpanSpeaker().compose("How many days?", [span(0, "15 days", 0.9), span(1, "10 days", 0.2)], PASSAGES)
    assert [q.passage for q in spoken.quotations] == [0]


def test_empty_spans_are_passed_over() -> None:
    spoken = SpanSpeaker().compose("How many days?", [Span(0, 5, 5, 0.9), span(1, "10 days", 0.8)], PASSAGES)
    assert spoken.words == "Sick leave is 10 days."
    assert SpanSpeaker().compose("How many?", [], PASSAGES).words == ""


def test_where_two_spans_are_about_equally_likely_both_are_said_and_quoted() -> None:
    spans = [span(0, "15 days", 0.9), span(1, "10 days", 0.1)]
    spoken = SpanSpeaker().compose("How many days?", spans, PASSAGES, shares=[0.5, 0.3])
    assert spoken.words == "Full-time employees accrue 15 days of paid vacation per year.\nSick leave is 10 days."
    assert spoken.said == 2
    assert [q.passage for q in spoken.quotations] == [0, 1]
    clear = SpanSpeaker().compose("How many days?", spans, PASSAGES, shares=[0.7, 0.2])
    assert (clear.words.count("\n"), clear.said, len(clear.quotations)) == (0, 1, 1)


def test_two_sentences_of_one_passage_may_both_be_said() -> None:
    spans = [span(1, "10 days", 0.9), span(1, "a note", 0.9)]
    spoken = SpanSpeaker().compose("What about sick leave?", spans, PASSAGES, shares=[0.4, 0.4])
    assert spoken.said == len(spoken.quotations) == 2
    assert [SICK[q.start : q.end] for q in spoken.quotations] == ["Sick leave is 10 days.", "It needs a note."]


def test_a_yes_or_no_is_never_followed_by_a_second_answer() -> None:
    spans = [span(0, "15 days", 0.9), span(1, "10 days", 0.9)]
    spoken = SpanSpeaker().compose("Can I take 15 days?", spans, PASSAGES, shares=[0.5, 0.5])
    assert spoken.said == 1
    assert len(spoken.quotations) == 2


def test_stretches_join_to_the_words() -> None:
    for words in ("One. Two! Three?", "You need:\n- a\n- b", "", "no end", "A.\n\nB."):
        assert "".join(stretches(words)) == words
    assert stretches("One. Two!") == ["One. ", "Two!"]
    speaker = SpanSpeaker()
    assert "".join(speaker.say("How?", [span(0, "15 days", 0.9)], PASSAGES)) == LEAVE.split(" Ask")[0]


def test_pieces_of_a_stream_become_whole_sentences() -> None:
    assert list(whole(iter(["On", "e. T", "wo! Thr", "ee", ""]))) == ["One. ", "Two! ", "Three"]
    assert list(whole(iter([]))) == []
