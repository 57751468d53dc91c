"""Words that stand nowhere are taken for those that do; all others stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

import pytest

from rag import spelling
from rag.spelling import slips

KNOWN = Counter({"vacation": 5, "vocation": 1, "policy": 9, "invoice": 2, "error": 3, "hello": 4, "zephyrdb": 1})


def respelled(question: str, known: Counter[str], *, written: Container[str] | None = None) -> str:
    return spelling.respelled(question, known.__getitem__, (known if written is None else written).__contains__)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("vacatoin", "vacation"),  # swapped
        ("vaction", "vacation"),  # one too few
        ("vaccation", "vacation"),  # one too many
        ("vecation", "vacation"),  # a wrong one
        ("Plicy", "policy"),
        ("zehpyrdb", "zephyrdb"),  # a name
    ],
)
def test_one_slip_is_mended(asked: str, meant: str) -> None:
    assert respelled(f"Our {asked}?", KNOWN) == f"Our {meant}?"


def test_of_two_words_a_slip_away_the_commoner_was_meant() -> None:
    assert respelled("vucation", KNOWN) == "vacation"
    assert respelled("vucation", Counter({"vacation": 1, "vocation": 2})) == "vocation"


@pytest.mark.parametrize(
    "asked", ["vacation", "tourism", "ABC-1203", "invoice2", "erroR", "e.rror", "hllo", "hallo@example", "pölicy"]
)
def test_known_short_and_coded_words_are_left_alone(asked: str) -> None:
    assert respelled(asked, KNOWN) == asked


def test_a_word_without_a_neighbour_stays() -> None:
    assert respelled("blockchain policy", KNOWN) == "blockchain policy"


def test_a_form_that_is_written_nowhere_is_no_correction() -> None:
    stems = Counter({"severates": 3, "separates": 1})  # as a stemmer counts them: "sever" stands in three
    assert respelled("seperates", stems, written={"separates"}) == "separates"
    assert respelled("seperates", stems, written=set()) == "seperates"


def test_a_common_word_stays_though_its_neighbour_is_in_the_documents() -> None:
    assert respelled("tourism", Counter({"tourist": 5})) == "tourism"


def test_slips_are_symmetric() -> None:
    assert all("leave" in slips(slip) for slip in slips("leave"))
