"""Documents that belong together stand on one side, and what was learnt from never becomes a measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rag.catalogue import Catalogue
from rag.clean import near_keys
from rag.split import Split, split
from rag.types import Document
from tests.miniature import put

FOOTER = "This page belongs to the company and may not be given to anybody outside of it without being asked first."
COPIED = "Whoever is ill tells the office before nine in the morning and sends a note from the doctor on the third day."


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def add(catalogue: Catalogue, name: str, *texts: str) -> Document:
    return put(catalogue, name, *texts, near_keys=near_keys(texts))


def library(catalogue: Catalogue, count: int, *more: str) -> list[int]:
    """Documents that have nothing in common but `more`."""
    with catalogue.atomic():
        names = [f"{number:02d}.md" for number in range(count)]
        return [add(catalogue, name, f"Only {name} says {'word ' * n}.", *more).id for n, name in enumerate(names)]


def sides(
    catalogue: Catalogue,
    documents: Sequence[int],
    *together: Sequence[int],
    judged: Sequence[int] = (),
    share: float = 0.2,
    seed: str = "",
) -> Split:
    return split(catalogue, documents, together, set(judged), share=share, seed=seed)


def test_about_a_fifth_is_held_out_and_always_the_same(catalogue: Catalogue) -> None:
    documents = library(catalogue, 20)
    found = sides(catalogue, documents)
    assert sum(found.held.values()) == 4
    assert found == sides(catalogue, documents)
    assert not found.everywhere


def test_the_share_is_as_asked_and_another_seed_draws_others(catalogue: Catalogue) -> None:
    documents = library(catalogue, 20)
    found = sides(catalogue, documents, share=0.5)
    assert sum(found.held.values()) == 10
    drawn = {tuple(sides(catalogue, documents, share=0.5, seed=seed).held.values()) for seed in "123456"}
    assert len(drawn) > 1
    for document, held in found.held.items():
        remember(catalogue, document, held=held)
    assert sides(catalogue, documents, share=0.5, seed="1") == found, "what was decided stays"


def test_near_copies_stand_on_one_side_and_so_do_their_copies(catalogue: Catalogue) -> None:
    documents = library(catalogue, 18)
    one = add(catalogue, "ill.md", COPIED).id
    two = add(catalogue, "ill-again.md", COPIED, "Another thing that is said here.").id
    three = add(catalogue, "else.md", "Another thing that is said here.").id
    for _ in range(2):  # as it is new, and as it was decided
        found = sides(catalogue, [*documents, one, two, three])
        assert found.held[one] == found.held[two] == found.held[three]


def test_documents_of_one_question_stand_on_one_side(catalogue: Catalogue) -> None:
    documents = library(catalogue, 12)
    found = sides(catalogue, documents, documents[:5])
    assert len({found.held[document] for document in documents[:5]}) == 1
    assert any(found.held.values())


def test_judged_documents_are_held_out_too_however_few(catalogue: Catalogue) -> None:
    documents = library(catalogue, 12)
    found = sides(catalogue, documents, judged=documents[:2])
    assert sum(found.held[document] for document in documents[:2]) == 1
    alone = sides(catalogue, documents[:1], judged=documents[:1])
    assert alone.held == {documents[0]: False}, "one document is for learning"


def test_what_stands_everywhere_unites_nothing_and_is_on_neither_side(catalogue: Catalogue) -> None:
    documents = library(catalogue, 12, FOOTER)
    found = sides(catalogue, documents)
    texts = {passage.text for passage in catalogue.passages(found.everywhere)}
    assert texts == {FOOTER}
    assert len(found.everywhere) == 12
    assert 0 < sum(found.held.values()) < 12


def test_a_few_copies_are_a_family_even_if_they_are_most_of_the_library(catalogue: Catalogue) -> None:
    documents = library(catalogue, 4, COPIED)
    found = sides(catalogue, documents)
    assert not found.everywhere
    assert set(found.held.values()) == {False}


def remember(catalogue: Catalogue, document: int, *, held: bool) -> None:
    """As a bundle does that held this document."""
    with catalogue.atomic() as db:
        db.execute("insert or ignore into bundles values ('b', '', 'local', 1)")
        db.execute("insert into bundle_documents values ('b', ?, ?)", (document, held))


def test_a_document_keeps_its_side_also_in_a_new_version(catalogue: Catalogue) -> None:
    documents = library(catalogue, 10)
    before = sides(catalogue, documents)
    for document, held in before.held.items():
        remember(catalogue, document, held=not held)  # the other way round than chance would have it
    fresh = add(catalogue, "00.md", "Another version.").id
    after = sides(catalogue, [fresh, *documents[1:]])
    assert after.held[fresh] is not before.held[documents[0]]
    assert all(after.held[document] is not before.held[document] for document in documents[1:])


def test_a_copy_of_what_was_learnt_from_is_no_measure(catalogue: Catalogue) -> None:
    documents = library(catalogue, 3)
    learnt, measured = add(catalogue, "ill.md", COPIED).id, add(catalogue, "other.md", "Quite another thing.").id
    remember(catalogue, learnt, held=False)
    remember(catalogue, measured, held=True)
    copy = add(catalogue, "copy.md", COPIED, "Quite another thing.").id
    found = sides(catalogue, [*documents, learnt, measured, copy])
    assert [found.held[document] for document in (learnt, measured, copy)] == [False] * 3
