"""Under a filter words are weighed among the allowed passages alone: hidden ones change neither order nor score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.catalogue import Catalogue
from rag.lexical import Lexical
from tests.miniature import put

MINE = ("The apple tree grows here.", "The banana tree grows here.")
HIDDEN = tuple(f"Banana number {number} of a long list of bananas that is secret." for number in range(8))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    put(opened, "mine.md", *MINE)  # passages 1 and 2
    put(opened, "hidden.md", *HIDDEN)
    yield opened
    opened.close()


def followed(catalogue: Catalogue) -> Lexical:
    store = Lexical(catalogue.path.parent, catalogue)
    store.catch_up()
    return store


def test_scores_are_those_of_a_library_of_the_allowed_passages_alone(catalogue: Catalogue, tmp_path: Path) -> None:
    alone = Catalogue(tmp_path / "alone" / "catalogue.db")
    put(alone, "mine.md", *MINE)
    expected = followed(alone).search("apple or banana", 5)
    alone.close()
    assert followed(catalogue).search("apple or banana", 5, [1, 2]) == expected
    assert len({row.score for row in expected}) == 1  # eight hidden bananas would make a banana cheaper than an apple


def test_what_is_added_for_one_person_is_not_found_by_another_who_shared_a_view(catalogue: Catalogue) -> None:
    store = followed(catalogue)
    assert [row.passage for row in store.search("banana", 9, [1, 2])] == [2]
    assert len(store.search("banana", 9, list(range(1, 11)))) == 9  # the view of 1 and 2 grows
    assert [row.passage for row in store.search("banana", 9, [1, 2])] == [2]


def test_words_that_were_removed_leave_the_views(catalogue: Catalogue) -> None:
    from rag import commit

    store = followed(catalogue)
    store.search("banana", 9, list(range(1, 11)))
    store.search("banana", 9, [1, 2])
    commit.remove(catalogue, catalogue.document("hidden.md"))
    store.catch_up()
    assert [held.ids.tolist() for held in store._views._held] == [[1, 2]]
