"""Measures, against values worked out by hand."""

from __future__ import annotations

import pytest

from rag.metrics import exact, f1, occurs, percent, recall, right, same_document, wilson


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("12 weeks", "At least 12 weeks after", True),
        ("12 weeks", "At least 112 weeks after", False),
        ("2 weeks", "At least 12 weeks", False),
        ("$60", "It is $60.", True),
        ("Don't abbreviate", "DON’T   abbreviate it", True),
        ("10-20", "between 10–20 people", True),
        ("cat", "concatenate", False),
        ("", "anything", False),
        ("c++", "We use C++ here", True),
    ],
)
def test_a_phrase_occurs_as_whole_words(phrase: str, text: str, expected: bool) -> None:
    assert occurs(phrase, text) is expected


def test_an_answer_is_right_with_one_alternative_of_which_all_parts_stand_in_it() -> None:
    assert right("Child, spouse, parent.", [["child", "spouse", "parent"]])
    assert not right("Child and spouse.", [["child", "spouse", "parent"]])
    assert right("It takes ten days.", ["10 days", "ten days"])
    assert not right("It takes a while.", ["10 days"])
    assert not right("anything", [])
    assert not right("anything", [[]])


def test_more_than_sixty_words_of_prose_are_never_right_but_lists_may_be_long() -> None:
    assert right("word " * 59 + "gold", ["gold"])
    assert not right("word " * 60 + "gold", ["gold"])
    assert right("You need:\n" + "- one more thing\n" * 40 + "- gold", ["gold"])


def test_exact_match_and_f1_are_those_of_squad() -> None:
    assert exact("The Eiffel Tower!", "eiffel tower") == 1
    assert exact("Eiffel", "eiffel tower") == 0
    assert f1("the cat sat", "cat sat down") == pytest.approx(2 * 2 / (2 + 3))
    assert f1("", "") == 1
    assert f1("a b", "c d") == 0


def test_documents_are_the_same_by_name_or_by_the_end_of_their_path() -> None:
    assert same_document("18F/pages/tools/trello.md", "pages/tools/trello.md")
    assert same_document("tools/trello.md", "pages/tools/trello.md")
    assert not same_document("pages/tools/my-trello.md", "trello.md")
    assert not same_document("a/trello.md", "b/trello.md")


def test_recall_looks_at_the_first_k() -> None:
    assert recall(["a.md", "b.md"], ["b.md", "c.md"], 2) == 1
    assert recall(["a.md", "b.md"], ["b.md"], 1) == 0
    assert recall([], ["b.md"], 5) == 0


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)
    assert percent(1, 3) == 33.3
    assert percent(0, 0) == 0.0
