"""Clean text: characters, running lines, divided words, page spans, notes; and which passages are copies."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.clean import draft, groups, near_keys, sha256, tidy
from rag.types import Draft, Page

ANY_TEXT = st.text(st.characters(codec=None), max_size=300)  # with NUL, surrogates and what else there is


def cleaned(text: str) -> str:
    return draft([Page(None, text)], title="t").text


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x00b\x07c", "abc"),
        ("a\ud800b", "ab"),
        ("Bu\u0308ro", "Büro"),
        ("ef\ufb01cient \ufb02ow", "efficient flow"),
        ("10\u00a0%\u2009of\u3000it", "10 % of it"),
        ("co\u00adoperate", "cooperate"),
        ("a\u200b\ufeffb", "ab"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  b \t c", "a b c"),
        ("    code  kept", "    code  kept"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("• one\n◦ two", "- one\n- two"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # the joiner is spelling in Persian
    ],
)
def test_characters_are_cleaned(dirty: str, clean: str) -> None:
    assert cleaned(dirty) == clean


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 50)), ANY_TEXT), max_size=6))
def test_page_spans_tile_any_text_and_it_can_be_stored(pages: list[tuple[int | None, str]]) -> None:
    made = draft([Page(number, text) for number, text in pages], title="t")
    at = 0
    for span in made.pages:
        assert span.start == at <= span.end
        at = span.end
    assert at == len(made.text)
    assert made.text.encode("utf-8").decode("utf-8") == made.text
    assert "\x00" not in made.text


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert unicodedata.is_normalized("NFC", once)


def test_each_page_holds_its_own_words() -> None:
    made = draft([Page(1, "first"), Page(2, ""), Page(3, "third")], title="t")
    assert [made.text[span.start : span.end].strip() for span in made.pages] == ["first", "", "third"]
    assert made.pages_without_text == (2,)


def handbook(count: int) -> Draft:
    words = "alpha beta gamma delta epsilon zeta".split()
    return draft(
        [
            Page(
                n + 1,
                f"Example Ltd. | Handbook 2026\n\nChapter about {words[n]}\n\nBody {words[n]} {n}.\n\nPage {n + 1} of 9",
            )
            for n in range(count)
        ],
        title="t",
    )


def test_running_headers_and_page_numbers_are_removed() -> None:
    text = handbook(5).text
    assert "Example Ltd." not in text
    assert "of 9" not in text
    assert "Chapter about gamma\n\nBody gamma 2." in text


def test_two_pages_are_too_few_to_tell_what_is_furniture() -> None:
    assert handbook(2).text.count("Example Ltd.") == 2


def test_lines_that_return_inside_pages_stay() -> None:
    pages = [
        Page(n, "\n".join([*(f"line {n} {i} {'x' * i}" for i in range(9)), "Signed: HR"]) + "\nend " * 9)
        for n in (1, 2, 3)
    ]
    assert draft(pages, title="t").text.count("Signed: HR") == 3


@pytest.mark.parametrize(
    ("divided", "whole"),
    [
        ("The agree-\nment. An agreement.", "The agreement. An agreement."),
        (
            "A part-\ntime post. Part-time work, a part and a time.",
            "A part-time post. Part-time work, a part and a time.",
        ),
        ("A credit-\nfinancing plan: credit and financing.", "A credit-financing plan: credit and financing."),
        ("The Anglo-\nSaxon way", "The Anglo-Saxon way"),
    ],
)
def test_divided_words_are_joined_as_the_document_writes_them(divided: str, whole: str) -> None:
    assert cleaned(divided) == whole


def test_the_first_heading_names_the_document_else_the_file_does() -> None:
    assert draft([Page(None, "# Leave policy\n\nText")], title="file").title == "Leave policy"
    assert draft([Page(None, "Text\n\n# Leave policy")], title="file").title == "file"


def test_what_several_pages_share_is_noted_once() -> None:
    pages = [Page(n, "", note=f"page {n}: a picture, not read") for n in (2, 3, 4, 9)] + [Page(None, "x", note="alone")]
    assert draft(pages, title="t").notes == ("pages 2-4, 9: a picture, not read", "alone")


def test_a_fingerprint_of_bytes() -> None:
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


POLICY = (
    "Full-time employees accrue 15 days of paid vacation per year, which they may carry over until the end of March. "
    "Requests are made in the portal at least two weeks before the first day and are approved by the team lead. "
    "Part-time employees accrue vacation in proportion to their hours. Public holidays are not counted as vacation."
)


@pytest.mark.parametrize(
    ("other", "is_copy"),
    [
        (POLICY, True),
        (POLICY.upper().replace(".", " !"), True),
        (POLICY.replace("team lead", "team leader"), True),
        (POLICY.replace("15 days", "20 days"), False),
        (POLICY.replace("are not counted", "are counted"), False),
        (
            "The canteen opens at eleven. Guests are welcome when they register at the desk before noon on that day.",
            False,
        ),
    ],
)
def test_copies_share_a_group_and_other_facts_do_not(other: str, is_copy: bool) -> None:
    assert groups([POLICY, "Something else entirely", other]) == [0, 1, 0 if is_copy else 2]


def test_keys_depend_on_the_text_alone() -> None:
    assert near_keys([POLICY, "x"])[0] == near_keys(["y", POLICY])[1]
    assert near_keys([]) == []


@given(st.lists(ANY_TEXT, max_size=5))
def test_any_text_has_keys_and_is_a_copy_of_itself(texts: list[str]) -> None:
    found = groups([*texts, *texts])
    assert found[: len(texts)] == found[len(texts) :]
