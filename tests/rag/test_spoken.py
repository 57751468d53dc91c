"""Words that go beyond the quotations are found out and dropped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.generate import SpanSpeaker
from rag.quote import PROSE_LIMIT, WHOLE_LIMIT
from rag.spoken import kept, supported, unsupported
from rag.types import Passage, Span
from rag.units import TEXT, blocks, sentences

QUOTES = [
    "Full-time employees accrue 15 days of paid vacation per year.",
    "Alcohol is not reimbursed. A meal costs up to $38 on 17 October 2025, says Maria Lopez.",
]


@pytest.mark.parametrize(
    "words",
    [
        "You get 15 days.",
        "Fifteen days a year.",
        "Full-time employees accrue 15 days [1].",
        "No. Alcohol is not reimbursed.",
        "Maria Lopez allows $38 for a meal.",
        "Vacation is paid.",
    ],
)
def test_words_that_the_quotations_hold_are_supported(words: str) -> None:
    assert unsupported(words, QUOTES) == []


@pytest.mark.parametrize(
    "words",
    [
        "You get 16 days.",
        "You get 15 weeks.",
        "You get fifteen weeks.",
        "It is due on 18 October 2025.",
        "It is due in November.",
        "Ask John Miller.",
        "A meal costs up to €38.",
        "Alcohol is reimbursed.",
    ],
)
def test_invented_figures_units_dates_names_and_dropped_negations_are_found(words: str) -> None:
    assert unsupported(words, QUOTES) == [words]


def test_an_invented_negation_is_found() -> None:
    assert unsupported("Vacation is not paid.", QUOTES[:1]) == ["Vacation is not paid."]


def test_only_the_sentence_that_goes_too_far_is_named() -> None:
    assert unsupported("You get 15 days. You also get 3 hats.", QUOTES) == ["You also get 3 hats."]


@pytest.mark.parametrize(
    ("words", "quotes"),
    [
        ("It ends on 17 October.", ["It ends on October 17, 2025."]),
        ("It ends in October 2025.", ["It ends on 2025-10-17."]),
        ("Not alcohol, but meals of up to $38 are reimbursed.", QUOTES),
        ("The trip takes 2 hrs.", ["The trip takes two hours."]),
    ],
)
def test_the_same_said_another_way_is_supported(words: str, quotes: list[str]) -> None:
    assert supported(words, quotes)


@pytest.mark.parametrize(
    ("words", "quotes"),
    [
        ("It ends on 17 November 2025.", ["It ends on 17 October 2025 or in November 2025."]),
        ("It ends on 17 October 2026.", ["It ends on 17 October 2025, and 2026 is open."]),
        ("Vacation is not paid.", QUOTES),  # another statement is denied, this one is not
        ("The trip takes 2 days.", ["The trip takes 2 hours."]),
        ("Use Form SF-71.", ["Use Form SF-70."]),
    ],
)
def test_parts_of_the_quotations_put_together_wrongly_are_found(words: str, quotes: list[str]) -> None:
    assert not supported(words, quotes)


def test_a_sentence_that_goes_too_far_is_dropped_and_the_others_stay() -> None:
    assert kept("You get 15 days. You also get 3 hats.", QUOTES) == "You get 15 days."
    assert kept("You get 16 days.", QUOTES) == ""
    assert kept("Allowed:\n- Alcohol\n- 4 hats\n  - 15 days", QUOTES) == "Allowed:\n- Alcohol\n  - 15 days"


def test_a_list_is_held_by_its_entries_and_by_the_line_that_announces_them() -> None:
    quoted = "You may not carry:\n- pets of any kind to the office\n- food:\n  - hot soup with garlic"
    assert kept(quoted, [quoted]) == quoted
    for said in ("You may not carry: pets of any kind to the office.", "You may not carry hot soup with garlic."):
        assert supported(said, [quoted])
    for said in ("You may carry pets of any kind to the office.", "You may carry: food: hot soup with garlic."):
        assert not supported(said, [quoted])


def test_a_yes_or_no_stays_while_its_reason_does() -> None:
    assert kept("Yes. Vacation is paid.", QUOTES) == "Yes. Vacation is paid."
    assert kept("No. You get 16 days.", QUOTES) == ""


_PARTS = st.sampled_from(
    "Staff accrue|You may not take|Nobody gets|15 days|fifteen weeks|$1,250.50|on 17 October 2025|by Maria Lopez|"
    "of leave|without approval|per year|42|A4 paper|café|Ünï 漢字|3.5%".split("|")
)
_SENTENCES = st.lists(_PARTS, min_size=1, max_size=6).map(
    lambda parts: (made := " ".join(parts))[0].upper() + made[1:] + "."
)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_whatever_stands_in_the_quotation_is_supported_by_it(text: str) -> None:
    assert supported(text, [text])
    assert kept(text, [text]).split() == text.split()


@settings(max_examples=50, deadline=None)
@given(st.lists(_SENTENCES, min_size=1, max_size=4), st.data())
def test_each_sentence_of_a_quotation_is_supported_and_kept(made: list[str], data: st.DataObject) -> None:
    said = data.draw(st.sampled_from(made))
    quoted = " ".join(made)
    assert supported(said, [quoted])
    assert kept(f"{said} There were 977 of them.", [quoted]) == said


@settings(max_examples=50, deadline=None)
@given(_SENTENCES, st.integers(200, 900))
def test_another_number_in_the_same_words_is_never_supported(sentence: str, number: int) -> None:
    changed = re.sub(r"\b(?:15|42|17)\b", str(number), sentence)
    assert supported(changed, [sentence]) == (changed == sentence)


@settings(max_examples=50, deadline=None)
@given(st.lists(_SENTENCES, min_size=1, max_size=3), _SENTENCES)
def test_what_is_kept_is_supported_and_adds_nothing(made: list[str], other: str) -> None:
    quotes = [other]
    left = kept(" ".join(made), quotes)
    assert supported(left, quotes)
    assert " ".join(made).replace(left, "") != " ".join(made) or not left or len(made) > 1


_LINES = _SENTENCES | st.sampled_from(
    ["# Rules", "- item one.", "  - nested: not two", "You may not bring:", "1. Open it.", "2. Do not close it.",
     "Name: Sentry | Kept for: 90 days", "", "No. Never.", "x " * 200, "This is, " * 50 + "not so.", "Unless: 漢字。"]
)  # fmt: skip
_QUESTIONS = st.sampled_from(
    ["How many days?", "How do I do it?", "Which ones are there?", "May I take 15 days of leave?"]
)


@pytest.mark.slow  # a hundred passages taken apart: ten seconds on a busy machine
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(_LINES, min_size=1, max_size=10).map("\n".join), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=4),
    _QUESTIONS,
)
def test_whatever_is_composed_stands_in_quotations_of_a_bearable_length(
    texts: list[str], places: list[tuple[int, int, int]], question: str
) -> None:
    passages = [Passage(n, n, f"{n}.md", 1, 0, len(text), text, None) for n, text in enumerate(texts)]
    spans = [Span(n % len(texts), start, start + length, 0.9) for n, start, length in places]
    made = SpanSpeaker().compose(question, spans, passages, shares=[0.4] * len(spans))
    quotes = [texts[each.passage][each.start : each.end] for each in made.quotations]
    words = re.sub(r"^(?:Yes|No)[.]\s", "", made.words)
    assert supported(words, quotes[: made.said])
    assert {word.strip(".,:;–—").casefold() for word in words.split()} <= {
        part.strip(".,:;–—").casefold() for quoted in quotes for part in quoted.split()
    }
    for quoted in quotes:
        assert len(quoted) <= WHOLE_LIMIT
        if {block.kind for block in blocks(quoted)} == {TEXT}:
            assert len(quoted) <= PROSE_LIMIT or len(sentences(quoted)) <= 2 or ":" in quoted
