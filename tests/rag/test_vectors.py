"""The file of vectors: written seldom, followed from where it stands; lists that differ from exact search in nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

from rag import commit, vector_file, vector_index
from rag.catalogue import STORED, Catalogue
from rag.config import Settings
from rag.parts import open_parts
from rag.vectors import Vectors
from tests.miniature import WordCounts, put

MANY = tuple(
    f"Clause {number} speaks of topic {number % 7} and of matter {number * 37 % 101}." for number in range(100)
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    put(catalogue, "many.md", *MANY)
    yield catalogue
    catalogue.close()


def opened(catalogue: Catalogue, ivf_from: int = 10**9) -> Vectors:
    store = Vectors(catalogue.path.parent, catalogue, WordCounts(), ivf_from=ivf_from)
    store.catch_up()
    return store


def first(store: Vectors, words: str) -> int:
    return store.search(words, 1)[0].passage


def generation(catalogue: Catalogue) -> int:
    found = vector_file.read(catalogue.path.parent / "vectors.faiss", WordCounts.dimension)
    assert found is not None
    return found.stamp.generation


# --- the file is written seldom ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ivf_from", [10**9, 40], ids=["exact", "lists"])
def test_the_file_is_written_for_a_tenth_of_it_and_not_for_one_document(catalogue: Catalogue, ivf_from: int) -> None:
    store = opened(catalogue, ivf_from)
    assert store.due
    store.save()
    written = generation(catalogue)
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    store.catch_up()
    assert not store.due
    assert first(store, "dogs are welcome on fridays") == 101
    put(catalogue, "more.md", *(f"Wombat number {number} sleeps." for number in range(9)))
    store.catch_up()
    assert store.due
    catalogue.vector_batches = None  # type: ignore[assignment]  # what a rebuild reads: the file is written from itself
    store.save()
    assert not store.due
    assert written < generation(catalogue) == catalogue.generation
    again = opened(catalogue, ivf_from)
    assert len(again) == 110
    assert first(again, "wombat number 4 sleeps") == 106
    assert again.check() == []


def test_a_file_that_is_behind_is_followed_and_not_made_anew(catalogue: Catalogue) -> None:
    opened(catalogue).save()
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    commit.remove(catalogue, catalogue.document("pets.md"))
    put(catalogue, "cats.md", "Cats are welcome on Mondays.")
    catalogue.vector_batches = None  # type: ignore[assignment]
    store = opened(catalogue)
    assert first(store, "cats are welcome on mondays") == 102
    assert 101 not in [row.passage for row in store.search("dogs are welcome on fridays", 200)]
    assert store.check() == []


def test_removed_vectors_are_taken_off_the_disk_when_asked(tmp_path: Path, catalogue: Catalogue) -> None:
    put(catalogue, "vault.md", "The password is swordfish.")
    store = opened(catalogue)
    store.save()
    _, rows = catalogue.vectors([101])
    secret = rows[0].astype(STORED).tobytes()
    assert secret in (tmp_path / "vectors.faiss").read_bytes()
    commit.remove(catalogue, catalogue.document("vault.md"))
    store.catch_up()
    store.erase()
    assert secret not in (tmp_path / "vectors.faiss").read_bytes()
    assert store.check() == []


def test_a_reader_goes_on_from_the_file_that_a_writer_has_written(catalogue: Catalogue) -> None:
    writer, reader = opened(catalogue), opened(catalogue)
    writer.save()
    for number in range(15):
        put(catalogue, f"{number}.md", f"Wombat number {number} sleeps.")
    writer.catch_up()
    writer.save()
    reader.catch_up()
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    reader.catch_up()
    assert reader._pending <= 1  # not sixteen: the others stand in the file
    assert first(reader, "wombat number 4 sleeps") == 105
    assert first(reader, "dogs are welcome on fridays") == 116
    assert len(reader) == 116


def test_more_than_there_was_is_built_at_once(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.vectors.MOST_PENDING", 5)
    store = opened(catalogue)
    put(catalogue, "more.md", *(f"Wombat number {number} sleeps." for number in range(120)))
    store.catch_up()
    assert store._pending == 0
    assert first(store, "wombat number 4 sleeps") == 105


def test_a_large_file_is_written_beside_the_work_and_before_the_library_closes(tmp_path: Path) -> None:
    parts = open_parts(tmp_path, Settings(), WordCounts())
    parts.vectors._ivf_from = 40
    with parts.writing():
        put(parts.catalogue, "many.md", *MANY)
    parts.save()
    with parts.writing():  # the writer's lock is free meanwhile
        put(parts.catalogue, "pets.md", "Dogs are welcome on Fridays.")
    assert first(parts.vectors, "dogs are welcome on fridays") == 101
    parts.close()
    catalogue = Catalogue(tmp_path / "catalogue.db")
    assert isinstance(opened(catalogue, 40)._base, faiss.IndexIVF)
    assert opened(catalogue, 40).check() == []
    catalogue.close()


# --- filters ----------------------------------------------------------------------------------------------------------


def test_a_filter_that_is_kept_follows_every_change(catalogue: Catalogue) -> None:
    store = opened(catalogue)
    allowed = np.arange(1, 102, dtype=np.int64)
    allowed.flags.writeable = False  # as `access` gives them
    words = "dogs are welcome on fridays"
    assert 101 not in [row.passage for row in store.search(words, 200, allowed)]
    put(catalogue, "pets.md", "Dogs are welcome on Fridays.")
    store.catch_up()
    assert store.search(words, 1, allowed)[0].passage == 101
    commit.remove(catalogue, catalogue.document("many.md"))
    store.catch_up()
    assert [row.passage for row in store.search(words, 200, allowed)] == [101]


def test_a_list_that_was_changed_by_its_owner_is_another_filter(catalogue: Catalogue) -> None:
    store, allowed = opened(catalogue), [3]
    assert [row.passage for row in store.search("clause", 5, allowed)] == [3]
    allowed[0] = 4
    assert [row.passage for row in store.search("clause", 5, allowed)] == [4]


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    made = np.random.default_rng(0).standard_normal((6000, 32), dtype=np.float32)
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)  # as stored


@pytest.fixture(scope="module")
def lists(rows: np.ndarray) -> object:
    ids = np.arange(1, 6001)
    return vector_index.built(lambda: iter([(ids, rows)]), 6000, 32, ivf_from=1000, threads=1)


def nearest(rows: np.ndarray, query: np.ndarray, allowed: np.ndarray) -> list[int]:
    order = np.argsort(-(rows[allowed - 1] @ query), kind="stable")
    return [int(allowed[place]) for place in order[:10]]


def found(lists: object, query: np.ndarray, allowed: np.ndarray | None) -> list[int]:
    may = None
    if allowed is not None:
        truth = np.zeros(6001, dtype=bool)
        truth[allowed] = True
        may = vector_index.mask(truth)
    return [row.passage for row in vector_index.search(lists, query.reshape(1, -1), 10, may)]


def test_a_filter_that_leaves_no_more_than_the_probed_share_is_exact(rows: np.ndarray, lists: object) -> None:
    allowed = np.sort(np.random.default_rng(1).choice(np.arange(1, 6001), 6000 // vector_index.PROBED, replace=False))
    for query in rows[:40]:
        assert set(found(lists, query, allowed)) == set(nearest(rows, query, allowed))


def test_lists_give_the_cosines_of_exact_search(rows: np.ndarray, lists: object) -> None:
    for query in rows[:20]:
        for passage, score in vector_index.search(lists, query.reshape(1, -1), 10, None):
            assert score == pytest.approx(float(rows[passage - 1] @ query), abs=1e-5)


def test_an_index_gets_new_centres_once_it_has_doubled_and_becomes_exact_again_when_it_shrinks() -> None:
    centres = vector_index.lists(100_000)
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(16), 16, centres)  # found for 100,000 rows
    assert vector_index.fits(index, 100_000, ivf_from=50_000)
    assert vector_index.fits(index, 190_000, ivf_from=50_000)
    assert not vector_index.fits(index, 210_000, ivf_from=50_000)
    assert not vector_index.fits(index, 20_000, ivf_from=50_000)
    assert not vector_index.fits(vector_index.exact(16), 1000, ivf_from=1000)
