"""The contract of `Store`, passed by FAISS and by tantivy: the real ones, over a real catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rag import commit
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged
from rag.lexical import Lexical
from rag.types import Store
from rag.vectors import Vectors
from tests.miniature import WordCounts, put

TEXTS = (
    "Annual leave is 25 days a year for everybody.",
    "Annual leave must be taken before the end of March.",
    "The canteen opens at noon.",
    "A visitor signs in at the desk.",
    "Parking costs 40 euros a month.",
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    put(catalogue, "rules.md", *TEXTS)  # passages 1 to 5
    yield catalogue
    catalogue.close()


def open_vectors(catalogue: Catalogue) -> Vectors:
    store = Vectors(catalogue.path.parent, catalogue, WordCounts())
    store.catch_up()
    return store


def open_inverted(catalogue: Catalogue) -> Vectors:
    store = Vectors(catalogue.path.parent, catalogue, WordCounts(), ivf_from=2)
    store.catch_up()
    return store


def open_lexical(catalogue: Catalogue) -> Lexical:
    store = Lexical(catalogue.path.parent, catalogue)
    store.catch_up()
    return store


OPEN = {"vectors": open_vectors, "lexical": open_lexical}


@pytest.fixture(params=["vectors", "lexical"])
def opened(request: pytest.FixtureRequest) -> Callable[[Catalogue], Vectors | Lexical]:
    return OPEN[request.param]


@pytest.fixture
def store(opened: Callable[[Catalogue], Vectors | Lexical], catalogue: Catalogue) -> Vectors | Lexical:
    return opened(catalogue)


def ids(store: Store, query: str, k: int = 5, allowed: Sequence[int] | None = None) -> list[int]:
    return [row.passage for row in store.search(query, k, allowed)]


def test_the_passage_with_the_words_of_the_query_comes_first(store: Store) -> None:
    assert ids(store, "when does the canteen open")[0] == 3
    assert ids(store, "parking euros")[0] == 5


def test_scores_fall_from_the_first_to_the_last(store: Store) -> None:
    scores = [row.score for row in store.search("annual leave days", 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_a_forbidden_passage_never_takes_a_place(store: Store) -> None:
    assert ids(store, "annual leave canteen", 1, allowed=[3]) == [3]  # filtering afterwards would give []


def test_allowing_nothing_finds_nothing(store: Store) -> None:
    assert store.search("annual leave", 2, allowed=[]) == []  # [] is not None


def test_allowed_ids_that_do_not_exist_are_ignored(store: Store) -> None:
    assert ids(store, "annual leave", 5, allowed=[2, 77, 10**9, -4, 0]) == [2]
    assert store.search("annual leave", 5, allowed=[77, 10**9]) == []


def test_a_filter_with_many_gaps_is_the_same_filter(catalogue: Catalogue, opened: Callable[[Catalogue], Store]) -> None:
    put(catalogue, "many.md", *(f"Annual leave, clause number {n}." for n in range(300)))
    odd = [number for number in range(1, 306) if number % 2]
    found = ids(opened(catalogue), "annual leave clause", 400, allowed=odd)
    assert set(found) <= set(odd)
    assert len(found) >= 150


def test_an_empty_query_finds_nothing(store: Store) -> None:
    assert store.search("", 3) == []
    assert store.search("  \n\t ", 3) == []


def test_asking_for_no_rows_gives_none(store: Store) -> None:
    assert store.search("annual leave", 0) == []


def test_more_rows_than_passages_gives_each_passage_once(store: Store) -> None:
    found = ids(store, "the annual leave canteen visitor parking", 99)
    assert sorted(found) == sorted(set(found))
    assert min(found) >= 1  # FAISS fills short lists with -1, and 0 is the stamp in tantivy
    assert len(found) <= 5


@pytest.mark.parametrize(
    "query", ['leave AND ("', "text:leave^9 OR -canteen", "[a TO z] /x/ ~2 *?", "\\", "l'été 🎉 休暇", "a" * 5000]
)
def test_what_people_type_is_never_read_as_syntax(store: Store, query: str) -> None:
    store.search(query, 3)
    assert ids(store, f"{query} parking costs 40 euros a month")[0] == 5


def test_a_removed_passage_is_found_no_more(store: Vectors | Lexical) -> None:
    store.remove([3])
    assert 3 not in ids(store, "canteen opens at noon")
    assert len(store) == 4


def test_removing_unknown_ids_changes_nothing(store: Vectors | Lexical) -> None:
    store.remove([99, 3])
    store.remove([99, 3])
    assert len(store) == 4


def test_an_id_added_again_is_replaced(store: Vectors | Lexical, catalogue: Catalogue) -> None:
    store.add(catalogue.passages([3, 4]))
    store.add(catalogue.passages([3, 4]))
    assert len(store) == 5
    assert ids(store, "canteen opens at noon").count(3) == 1


def test_a_passage_the_catalogue_does_not_know_can_be_added(store: Vectors | Lexical, catalogue: Catalogue) -> None:
    from dataclasses import replace

    stranger = replace(catalogue.passages([3])[0], id=900, text="Zebras graze.")
    store.add([stranger])
    assert ids(store, "zebras graze")[0] == 900


# --- copies follow the catalogue --------------------------------------------------------------------------------------


def test_a_copy_follows_what_was_committed(store: Vectors | Lexical, catalogue: Catalogue) -> None:
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    commit.remove(catalogue, catalogue.document("rules.md"))
    assert store.generation < catalogue.generation
    store.catch_up()
    assert store.generation == catalogue.generation
    assert ids(store, "dogs welcome annual leave canteen") == [6]
    assert store.check() == []


def test_a_replaced_document_is_found_by_its_new_words_only(store: Vectors | Lexical, catalogue: Catalogue) -> None:
    put(catalogue, "rules.md", "Bicycles are kept in the yard.")
    store.catch_up()
    assert ids(store, "annual leave canteen visitor parking bicycles") == [6]


def test_a_copy_that_is_behind_on_opening_catches_up(
    catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    first = opened(catalogue)
    first.rebuild()
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")  # and here the power fails
    second = opened(catalogue)
    assert ids(second, "dogs welcome")[0] == 6
    assert second.check() == []


def test_a_whole_copy_is_not_built_again(
    catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    opened(catalogue).rebuild()
    catalogue.every_passage = catalogue.vector_batches = None  # type: ignore[assignment]  # what a rebuild reads
    assert ids(opened(catalogue), "canteen opens at noon")[0] == 3


def test_a_copy_of_another_library_is_not_used(
    tmp_path: Path, catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    opened(catalogue).rebuild()
    other = Catalogue(tmp_path / "other" / "catalogue.db")
    put(other, "zoo.md", "Zebras graze.")
    for name in ("vectors.faiss", "lexical"):
        if (tmp_path / name).exists():
            (tmp_path / name).rename(tmp_path / "other" / name)
    store = opened(other)
    assert ids(store, "annual leave zebras graze") == [1]
    assert store.check() == []
    other.close()


def test_a_copy_from_the_future_of_a_restored_catalogue_is_not_used(
    tmp_path: Path, catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    opened(catalogue).rebuild()
    catalogue.db.execute("delete from passages where id = 6")  # as an older backup of the file would be
    catalogue.db.execute("delete from changes where passage_id = 6")
    catalogue.db.execute("update state set generation = generation - 1")
    store = opened(catalogue)
    assert 6 not in ids(store, "dogs welcome on fridays annual leave")
    assert store.check() == []


def damage(folder: Path, how: str) -> None:
    """Cut or change what was written."""
    files = [folder / "vectors.faiss", *(folder / "lexical").glob("meta.json"), *(folder / "lexical").glob("*.idx")]
    for file in filter(Path.exists, files):
        data = file.read_bytes()
        if how == "cut":
            file.write_bytes(data[: len(data) // 2])
        elif how == "empty":
            file.write_bytes(b"")
        else:
            middle = len(data) // 2
            file.write_bytes(data[:middle] + bytes(255 - b for b in data[middle : middle + 8]) + data[middle + 8 :])


@pytest.mark.parametrize("how", ["cut", "empty", "changed"])
def test_a_damaged_copy_is_built_anew(
    tmp_path: Path, catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical], how: str
) -> None:
    opened(catalogue).rebuild()
    damage(tmp_path, how)
    store = opened(catalogue)
    assert ids(store, "canteen opens at noon")[0] == 3
    store.rebuild()
    assert store.check() == []
    assert ids(opened(catalogue), "canteen opens at noon")[0] == 3


def test_a_second_reader_sees_what_the_first_has_written(
    catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    writer, reader = opened(catalogue), opened(catalogue)
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    writer.catch_up()
    if isinstance(reader, Lexical):
        reader.reload()
    else:
        reader.catch_up()
    assert ids(reader, "dogs welcome")[0] == 6


def test_a_reader_survives_a_rebuild_by_another(
    catalogue: Catalogue, opened: Callable[[Catalogue], Vectors | Lexical]
) -> None:
    writer, reader = opened(catalogue), opened(catalogue)
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    writer.rebuild()
    assert ids(reader, "canteen opens at noon")[0] == 3  # as it was, until it looks again
    if isinstance(reader, Lexical):
        reader.reload()
    else:
        reader.catch_up()
    assert ids(reader, "dogs welcome")[0] == 6


# --- only FAISS -------------------------------------------------------------------------------------------------------


def test_inverted_lists_filter_inside_the_search_and_follow_changes(catalogue: Catalogue) -> None:
    put(catalogue, "many.md", *(f"Clause {n} speaks of topic {n % 7}." for n in range(400)))
    store = open_inverted(catalogue)
    store.rebuild()
    store = open_inverted(catalogue)  # from the file
    assert ids(store, "the canteen opens at noon", 3)[0] == 3
    assert ids(store, "the canteen opens at noon", 3, allowed=[200]) == [200]
    put(catalogue, "rules.md", "Bicycles are kept in the yard.")
    store.catch_up()
    assert ids(store, "bicycles are kept in the yard", 1) == [406]
    assert not {1, 2, 3, 4, 5} & set(ids(store, "annual leave canteen visitor parking", 406))
    assert store.check() == []


def test_vectors_of_another_embedder_are_refused_with_the_cure(catalogue: Catalogue) -> None:
    store = Vectors(catalogue.path.parent, catalogue, WordCounts("another"))
    store.catch_up()
    with pytest.raises(IndexDamaged, match=r"belong to the embedder word-counts.*another.*rag reembed"):
        store.search("annual leave", 3)


def test_saving_writes_a_small_index_and_leaves_nothing_beside_it(tmp_path: Path, catalogue: Catalogue) -> None:
    store = open_vectors(catalogue)
    store.save()
    assert [path.name for path in tmp_path.glob("vectors*")] == ["vectors.faiss"]
    assert Vectors(tmp_path, catalogue, WordCounts()).generation == catalogue.generation


# --- only tantivy -----------------------------------------------------------------------------------------------------


def test_a_filter_too_large_for_a_view_gives_the_best_of_what_it_allows(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.views.MOST", 0)
    put(catalogue, "many.md", *(f"Annual leave, clause {'of leave ' * (n % 9)}number {n}." for n in range(300)))
    store, words = open_lexical(catalogue), "annual leave clause"
    allowed = [*range(290, 306), 2]  # sixteen in one stretch, so that a longer list is needed than their share tells
    best = [row for row in store.search(words, 400) if row.passage in allowed]
    assert store.search(words, 12, allowed) == best[:12]
    assert store.search(words, 400, allowed) == best
    assert store.every("annual leave", allowed) == sorted(allowed)
    assert store.counting(allowed)("clause") == 16


def test_words_are_compared_by_their_stems_without_case_and_accents(catalogue: Catalogue) -> None:
    put(catalogue, "cafe.md", "Résumés are REVIEWED weekly.")
    assert ids(open_lexical(catalogue), "resume reviewing")[0] == 6


def test_a_query_of_stop_words_alone_still_finds_them(catalogue: Catalogue) -> None:
    put(catalogue, "hamlet.md", "To be or not to be.")
    assert ids(open_lexical(catalogue), "to be or not to be", 1) == [6]


def test_headings_and_the_name_of_the_document_count(catalogue: Catalogue) -> None:
    put(catalogue, "travel/hotels.md", "The limit is 140 euros.")
    assert ids(open_lexical(catalogue), "hotels")[0] == 6


def test_the_text_cannot_be_read_out_of_the_index(tmp_path: Path, catalogue: Catalogue) -> None:
    open_lexical(catalogue)
    written = b"".join(path.read_bytes() for path in (tmp_path / "lexical").iterdir())
    assert b"signs in at the desk" not in written
