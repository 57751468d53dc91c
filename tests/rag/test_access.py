"""Who may read what, as the filter that searches get and as what can be opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import access, commit
from rag.catalogue import Catalogue
from rag.errors import NotFound
from rag.lexical import Lexical
from tests.miniature import put


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    put(catalogue, "open.md", "The canteen opens at noon.")
    put(catalogue, "board.md", "The salary of the board is secret.", access=["ada"])
    put(catalogue, "it.md", "The server room is locked.", collection="it")
    yield catalogue
    catalogue.close()


def ids(catalogue: Catalogue, person: str | None, collection: str | None) -> list[int] | None:
    found = access.allowed(catalogue, person, collection)
    return None if found is None else found.tolist()


def test_the_local_owner_who_asks_everywhere_needs_no_filter(catalogue: Catalogue) -> None:
    assert ids(catalogue, None, None) is None
    assert ids(catalogue, "local", None) is None


def test_a_person_finds_what_is_open_and_what_names_them(catalogue: Catalogue) -> None:
    assert ids(catalogue, "ada", None) == [1, 2, 3]  # a list, though it is everything
    assert ids(catalogue, "bob", None) == [1, 3]


def test_a_collection_limits_the_owner_too(catalogue: Catalogue) -> None:
    assert ids(catalogue, None, "it") == [3]
    assert ids(catalogue, "bob", "default") == [1]
    assert ids(catalogue, None, "none such") == []


def test_a_change_of_rights_counts_at_once(catalogue: Catalogue) -> None:
    assert ids(catalogue, "bob", None) == [1, 3]
    commit.set_access(catalogue, catalogue.document("board.md"), ["ada", "bob"])
    assert ids(catalogue, "bob", None) == [1, 2, 3]
    commit.set_access(catalogue, catalogue.document("board.md"), ["ada"])
    assert ids(catalogue, "bob", None) == [1, 3]


def test_another_persons_filter_is_not_mixed_up_with_ones_own(catalogue: Catalogue) -> None:
    for _ in range(2):
        assert ids(catalogue, "ada", "default") == [1, 2]
        assert ids(catalogue, "bob", "default") == [1]
        assert ids(catalogue, None, "default") == [1, 2]


def test_a_new_version_keeps_its_readers(catalogue: Catalogue) -> None:
    put(catalogue, "board.md", "The salary of the board is still secret.")
    assert ids(catalogue, "bob", "default") == [1]
    assert access.readers_of(catalogue, catalogue.document("board.md").id) == ("ada",)


def test_a_name_is_compared_whole(catalogue: Catalogue) -> None:
    put(catalogue, "x.md", "For quotes.", access=['o"neil', "%"])
    assert ids(catalogue, 'o"neil', "default") == [1, 4]
    assert ids(catalogue, "neil", "default") == [1]
    assert ids(catalogue, "anybody", "default") == [1]


def test_what_may_not_be_read_does_not_exist_for_that_person(catalogue: Catalogue) -> None:
    assert [document.name for document in catalogue.documents(person="bob")] == ["it.md", "open.md"]
    with pytest.raises(NotFound, match=r"board\.md: no such document"):
        catalogue.document("board.md", person="bob")
    with pytest.raises(NotFound, match="no such document"):
        catalogue.document("board.md", 9, person="bob")  # not "no version 9"
    assert catalogue.document("board.md", person="ada").text
    assert access.may_read(catalogue, "ada", 2)
    assert access.may_read(catalogue, None, 2)
    assert not access.may_read(catalogue, "bob", 2)


def test_a_former_version_needs_the_same_right(catalogue: Catalogue) -> None:
    put(catalogue, "board.md", "The salary of the board is still secret.")
    with pytest.raises(NotFound):
        catalogue.document("board.md", 1, person="bob")


def test_a_search_under_a_persons_filter_never_shows_a_foreign_passage(tmp_path: Path, catalogue: Catalogue) -> None:
    store = Lexical(tmp_path, catalogue)
    store.catch_up()
    query = "the salary of the board is secret, the canteen opens"
    assert store.search(query, 1)[0].passage == 2
    assert [row.passage for row in store.search(query, 3, access.allowed(catalogue, "bob", "default"))] == [1]
