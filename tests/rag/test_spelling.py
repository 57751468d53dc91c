"""Words that stand nowhere are taken for those that do; all others stay."""

from __future__ import annotations

from collections import Counter

import pytest

from rag.spelling import respelled, slips

KNOWN = Counter({"vacation": 5, "vocation": 1, "policy": 9, "invoice": 2, "error": 3, "hello": 4})


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("vacatoin", "vacation"),  # swapped
        ("vaction", "vacation"),  # one too few
        ("vaccation", "vacation"),  # one too many
        ("vecation", "vacation"),  # a wrong one
        ("Plicy", "policy"),
    ],
)
def test_one_slip_is_mended(asked: str, meant: str) -> None:
    assert respelled(f"Our {asked}?", KNOWN.__getitem__) == f"Our {meant}?"


def test_of_two_words_a_slip_away_the_commoner_was_meant() -> None:
    assert respelled("vucation", KNOWN.__getitem__) == "vacation"
    assert respelled("vucation", Counter({"vacation": 1, "vocation": 2}).__getitem__) == "vocation"


@pytest.mark.parametrize(
    "asked", ["vacation", "ABC-1203", "invoice2", "erroR", "e.rror", "hllo", "hallo@example", "pölicy"]
)
def test_known_short_and_coded_words_are_left_alone(asked: str) -> None:
    assert respelled(asked, KNOWN.__getitem__) == asked


def test_a_word_without_a_neighbour_stays() -> None:
    assert respelled("blockchain policy", KNOWN.__getitem__) == "blockchain policy"


def test_slips_are_symmetric() -> None:
    assert all("leave" in slips(slip) for slip in slips("leave"))
