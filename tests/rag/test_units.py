"""Sentences, lists and rows: what a quotation can be made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.units import LIST, blocks, entries, items, kind_of, sentences

PAGE = """# Trello

Intro (e.g. this one). It has 3.5 parts.

The Power-Ups approved for use are:
- Any made by Trello:
  - Card Aging
  - Voting
- GitHub. It is
  good.

1. Do this.

2. Do that!

City: New York | ZIP: 10007
"""


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Ask Dr. Smith of the U.S. Army, e.g. by mail (approx. 3.5 pages, see https://a.b/c.d).",
        "The office of Acme Inc. in St. Louis opens at 9 a.m. daily.",
        "It costs $1,250.50 per seat vs. $900 before.",
        "Use version 2.0 of config.toml.",
    ],
)
def test_abbreviations_decimals_and_addresses_do_not_end_a_sentence(text: str) -> None:
    assert cut(text) == [text]


def test_sentences_end_at_full_stops_question_marks_and_closing_quotation_marks() -> None:
    assert cut('He said "no." Then he left. Why? Nobody knows!') == [
        'He said "no."',
        "Then he left.",
        "Why?",
        "Nobody knows!",
    ]
    assert cut("No. Please do not save hours.") == ["No.", "Please do not save hours."]
    assert cut("We meet at 5 p.m. The door closes then.") == ["We meet at 5 p.m.", "The door closes then."]
    assert cut("休暇は15日です。翌年に繰り越せます。") == ["休暇は15日です。", "翌年に繰り越せます。"]


def test_lines_of_figures_stand_alone() -> None:
    text = "Net sales by category were as follows\nProducts $ 60,584 $ 63,355\nServices 21,213 19,604"
    assert cut(text) == text.split("\n")


def test_blocks_are_headings_paragraphs_whole_lists_and_single_rows() -> None:
    kinds = [block.kind for block in blocks(PAGE)]
    assert kinds == ["heading", "text", "text", "list", "list", "row"]


def test_a_list_keeps_nested_entries_and_continuation_lines() -> None:
    first = next(block for block in blocks(PAGE) if block.kind == LIST)
    assert [PAGE[item.body : item.end] for item in items(PAGE, first)] == [
        "Any made by Trello:\n  - Card Aging\n  - Voting",
        "GitHub. It is\n  good.",
    ]
    assert [PAGE[entry.body : entry.end].split("\n")[0] for entry in entries(PAGE, first)] == [
        "Any made by Trello:", "Card Aging", "Voting", "GitHub. It is",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind"),
    [("## Leave", "heading"), ("- one", "list"), ("  12) two", "list"), ("A: 1 | B: 2", "row"), ("C: 3 | D:", "row"),
     ("Note: this | that is prose", "text"), ("   ", ""), ("#hashtag", "text")],
)  # fmt: skip
def test_a_line_is_known_by_its_form(line: str, kind: str) -> None:
    assert kind_of(line) == kind


@given(st.text())
def test_blocks_and_sentences_of_any_text_are_in_order_and_without_outer_space(text: str) -> None:
    at = 0
    for block in blocks(text):
        assert at <= block.start < block.end <= len(text)
        assert text[block.start : block.end] == text[block.start : block.end].strip()
        inner = block.start
        for start, end in sentences(text, block.start, block.end):
            assert inner <= start < end <= block.end
            assert text[start:end] == text[start:end].strip()
            inner = end
        at = block.end
