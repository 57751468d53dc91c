"""Passages: exact offsets whatever the text, pages and headings never crossed, what belongs together kept together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunk import TINY, chunk
from rag.clean import draft
from rag.types import Chunk, Draft, Page

PIECES = st.one_of(
    st.text(max_size=80),
    st.text(st.characters(codec=None), max_size=20),
    st.sampled_from(
        [
            "\n", "\n\n", "# A", "\n## B\n", "\n### B\n", "- item ", "\n1. step\n", "\n    code\n", "k: v | k: v\n",
            "same words again. " * 9, "日本語の文章。" * 20, "x" * 200, "Steps:", "  - deep\n",
        ]
    ),
)  # fmt: skip
PAGES = st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 9)), st.lists(PIECES, max_size=25)), max_size=4)


def of(text: str, *, size: int = 900, title: str = "Handbook", overlap: int = 0) -> list[Chunk]:
    return chunk(draft([Page(None, text)], title=title), size=size, overlap=overlap)


@settings(max_examples=300, deadline=None)
@given(pages=PAGES, size=st.integers(50, 400), overlap=st.integers(0, 49))
def test_offsets_are_exact_for_any_text(pages: list[tuple[int | None, list[str]]], size: int, overlap: int) -> None:
    made = draft([Page(number, "".join(parts)) for number, parts in pages], title="t")
    before = 0
    for passage in chunk(made, size=size, overlap=overlap):
        assert made.text[passage.start : passage.end] == passage.text
        assert passage.text.strip()
        assert passage.end > before
        assert overlap or passage.start >= before
        assert len(passage.text) <= size * 1.15 + overlap + 1
        span = next(span for span in made.pages if span.start <= passage.start < span.end)
        assert passage.end <= span.end
        assert passage.page == span.number
        before = passage.end


@settings(max_examples=150, deadline=None)
@given(PAGES)
def test_every_word_outside_headings_is_in_a_passage(pages: list[tuple[int | None, list[str]]]) -> None:
    made = draft([Page(number, "".join(parts)) for number, parts in pages], title="t")
    covered = [False] * len(made.text)
    for passage in chunk(made, size=120):
        covered[passage.start : passage.end] = [True] * (passage.end - passage.start)
    at = 0
    for line in made.text.split("\n"):
        is_heading = (
            line.lstrip("#").startswith(" ") and line.startswith("#") and len(line) - len(line.lstrip("#")) <= 6
        )
        if not is_heading:
            assert all(covered[i] for i in range(at, at + len(line)) if not made.text[i].isspace()), repr(line)
        at += len(line) + 1


def test_the_same_sentence_twice_is_found_in_both_places() -> None:
    text = "## A\n\nAsk your lead.\n\n## B\n\n" + "Words. " * 60 + "More.\n\n## C\n\nAsk your lead."
    found = [passage.start for passage in of(text, size=300) if "Ask your lead." in passage.text]
    assert found == [text.index("Ask"), text.rindex("Ask")]


def test_the_heading_path_begins_with_the_title_unless_a_heading_says_it() -> None:
    long = "Word after word. " * 20
    assert of(f"## Leave\n\n### Asking\n\n{long}")[0].headings == ("Handbook", "Leave", "Asking")
    assert of(f"# HANDBOOK!\n\n## Leave\n\n{long}", title="Handbook")[0].headings == ("HANDBOOK!", "Leave")
    after = of(f"## Leave\n\n### Asking\n\n{long}\n\n## Pay\n\n{long}")
    assert after[-1].headings == ("Handbook", "Pay")


def test_a_heading_alone_is_no_passage() -> None:
    assert of("# Leave\n\n## Asking\n\n### Steps") == []
    assert [passage.text for passage in of("# Leave\n\n## Asking\n\nAsk.")] == ["Ask."]


def test_a_page_ends_a_passage() -> None:
    made = draft([Page(1, "## Leave\n\nFirst."), Page(2, "Second.")], title="t")
    assert [(c.text, c.page, c.headings) for c in chunk(made)] == [
        ("First.", 1, ("t", "Leave")),
        ("Second.", 2, ("t", "Leave")),
    ]


def test_rows_and_items_are_never_cut_when_they_fit() -> None:
    rows = [f"Grade: {n} | Days: {20 + n} | Note: {'words ' * 8}".strip() for n in range(30)]
    lines = [line for passage in of("\n".join(rows), size=250) for line in passage.text.split("\n")]
    assert lines == rows
    items = [f"- item {n} {'words ' * 8}".strip() for n in range(30)]
    assert [line for passage in of("\n".join(items), size=250) for line in passage.text.split("\n")] == items


def test_a_row_longer_than_a_passage_is_cut_between_its_cells() -> None:
    cells = [f"Column {n}: value {n}" for n in range(40)]
    passages = of(" | ".join(cells), size=200)
    assert all(passage.text.startswith("Column") for passage in passages)
    assert len(passages) > 3


@pytest.mark.parametrize("marks", [("- ", "- "), ("1. ", "2. "), ("A: 1 | B: ", "A: 2 | B: ")])
def test_a_lead_in_stays_with_what_it_announces(marks: tuple[str, str]) -> None:
    before = "Sentence that fills the passage. " * 8
    follows = "\n".join(mark + "with several words " * 6 + "each" for mark in marks)
    passages = of(f"{before}\n\nDo this:\n\n{follows}", size=290)
    assert passages[-1].text == f"Do this:\n\n{follows}"


def test_long_text_is_cut_at_sentences() -> None:
    passages = of("This sentence has exactly nine words in it, really. " * 60, size=300)
    assert all(passage.text.endswith("really.") and passage.text.startswith("This") for passage in passages)


def test_a_tiny_remainder_joins_the_passage_before() -> None:
    passages = of(
        "\n\n".join(["Sentence number one is here. " * 10, "Sentence number two is here. " * 9, "End."]), size=560
    )
    assert passages[-1].text.endswith("End.")
    assert min(len(passage.text) for passage in passages) >= TINY


def test_neighbouring_sections_of_a_line_become_one_passage_under_their_parent() -> None:
    text = "## Terms\n\n### PTO\n\nPaid time off.\n\n### RTO\n\nReturn to office."
    passage = of(text)[0]
    assert passage.headings == ("Handbook", "Terms")
    assert passage.text == "### PTO\n\nPaid time off.\n\n### RTO\n\nReturn to office."
    long = "Long enough to stand alone. " * 9
    assert len(of(f"## Terms\n\n### PTO\n\n{long}\n\n### RTO\n\nReturn.")) == 2


def test_comments_in_code_are_no_headings() -> None:
    passage = of("## Build\n\nRun:\n\n    # build it\n    make")[0]
    assert passage.headings == ("Handbook", "Build")
    assert passage.text == "Run:\n\n    # build it\n    make"


def test_overlap_repeats_the_end_of_the_passage_before() -> None:
    passages = of("One sentence after the other. " * 40, size=300, overlap=60)
    assert all(passages[n + 1].start < passages[n].end for n in range(len(passages) - 1))
    assert all(passage.text == passage.text.strip() for passage in passages)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="size is 10"):
        chunk(Draft("t", "x", ()), size=10)
    with pytest.raises(ValueError, match="overlap 900"):
        chunk(Draft("t", "x", ()), overlap=900)
