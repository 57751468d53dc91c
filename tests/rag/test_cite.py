"""Citations are exact; words that go beyond the quotations are found out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cite import Documents, check, citation, distinct, widen
from rag.types import Document, PageSpan, Passage

TEXT = "# Head\n\nYou need:\n- a badge\n- a laptop\n- a phone\n\nLast words."


def passage(start: int, end: int, text: str = TEXT) -> Passage:
    return Passage(7, 1, "a.md", 2, start, end, text[start:end], page=3)


def document(text: str = TEXT, pages: tuple[PageSpan, ...] = ()) -> Document:
    return Document(1, "default", "s", "a.md", "a.md", 2, "A", text, pages, "", 0, 1, "")


@given(st.text(min_size=1), st.integers(0, 40), st.integers(0, 40), st.text(max_size=10))
def test_a_citation_holds_the_documents_characters(words: str, start: int, length: int, before: str) -> None:
    text = before + words
    part = passage(len(before), len(text), text)
    try:
        cited = citation(part, start, start + length, 0.5)
    except ValueError:
        assert not words[start : start + length].strip()
        return
    assert text[cited.start : cited.end] == cited.quote == cited.quote.strip()
    assert check(cited, text)
    assert not check(cited, "x" + text + "x") or cited.quote == ("x" + text + "x")[cited.start : cited.end]


def test_the_check_refuses_other_words_and_places_outside_the_document() -> None:
    cited = citation(passage(8, 40), 0, 8, 0.5)
    assert check(cited, TEXT)
    assert not check(cited, TEXT.replace("You", "you"))
    assert not check(replace(cited, start=-8, end=0), TEXT)
    assert not check(replace(cited, start=cited.start + 1, end=cited.end + 1), TEXT)


def test_a_range_without_words_is_no_citation() -> None:
    with pytest.raises(ValueError, match="holds no words"):
        citation(passage(6, 10), 0, 2, 0.5)


def test_overlapping_and_repeated_quotations_are_shown_once() -> None:
    first, inside, other = (citation(passage(0, len(TEXT)), *ends, 0.5) for ends in ((8, 30), (10, 20), (50, 60)))
    copy = replace(other, document="b.md", start=0, end=len(other.quote))
    assert distinct([first, inside, other, copy], 3) == [first, other]
    assert distinct([first, other], 1) == [first]


def test_a_passage_that_cuts_a_list_is_widened_to_the_whole_list_with_its_lead_in() -> None:
    cut = passage(TEXT.index("- a laptop"), TEXT.index("- a phone") - 1)
    wide = widen(cut, document())
    assert wide.text == "You need:\n- a badge\n- a laptop\n- a phone"
    assert TEXT[wide.start : wide.end] == wide.text
    assert wide.id == cut.id


def test_a_passage_is_not_widened_beyond_its_page() -> None:
    page_end = TEXT.index("- a phone")
    pages = (PageSpan(1, 0, page_end), PageSpan(2, page_end, len(TEXT)))
    wide = widen(passage(TEXT.index("- a laptop"), page_end - 1), document(pages=pages))
    assert wide.text == "You need:\n- a badge\n- a laptop"


@given(st.text(min_size=1, max_size=200), st.integers(0, 200), st.integers(1, 80))
def test_a_widened_passage_is_exact_and_holds_the_narrow_one(text: str, start: int, length: int) -> None:
    start = min(start, len(text) - 1)
    narrow = passage(start, min(start + length, len(text)), text)
    wide = widen(narrow, document(text))
    assert wide.start <= narrow.start <= narrow.end <= wide.end
    assert text[wide.start : wide.end] == wide.text


def test_entries_that_a_quotation_leaves_out_are_counted_on_both_sides() -> None:
    text = "Intro.\n\nYou need:\n" + "\n".join(f"- thing {n}\n  - detail" for n in range(9)) + "\n\nLast words."
    whole = document(text)
    shelf = Documents.__new__(Documents)
    shelf._loaded = {1: whole}
    part = passage(0, len(text), text)
    start, end = text.index("- thing 3"), text.index("- thing 6") - 1
    assert shelf.left_out(citation(part, start, end, 0.5), part) == 6
    assert shelf.left_out(citation(part, text.index("- thing 0"), text.index("\n\nLast"), 0.5), part) == 0
    assert shelf.left_out(citation(part, start, start + 9, 0.5), part) == 0  # one entry is no list
    assert shelf.left_out(citation(part, 0, 6, 0.5), part) == 0


def test_a_passage_with_the_first_steps_is_widened_to_all_of_them() -> None:
    text = "To enrol:\n1. Open it.\n\nIt is online.\n\n2. Choose.\n\nAny will do.\n\n3. Sign.\n\nLast words."
    wide = widen(passage(0, text.index("\n\nIt is"), text), document(text))
    assert wide.text.endswith("3. Sign.")
