"""The catalogue: all or nothing, versions, names, rights of ids, what changed since, and what is left after removal."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag import commit
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged, NotFound
from rag.lock import WriterLock
from rag.schema import MIGRATIONS
from tests.miniature import put, text_hash


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(tmp_path / "catalogue.db")
    yield catalogue
    catalogue.close()


# --- one file, all or nothing -----------------------------------------------------------------------------------------


def test_a_failed_block_leaves_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.atomic():  # noqa: PT012 - the block is the case
        put(catalogue, "a.md", "One.")
        assert catalogue.counts() == (1, 1)
        raise RuntimeError("the power fails")
    assert catalogue.counts() == (0, 0)
    assert catalogue.generation == 0
    assert catalogue.changes_since(0).added == ()


def test_a_block_inside_a_block_belongs_to_the_outer_one(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.atomic():  # noqa: PT012 - the block is the case
        with catalogue.atomic():
            put(catalogue, "a.md", "One.")
        raise RuntimeError
    assert catalogue.counts() == (0, 0)


def test_a_snapshot_does_not_see_what_is_committed_meanwhile(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.")
    with catalogue.snapshot():
        assert catalogue.counts() == (1, 1)
        writer = threading.Thread(target=put, args=(catalogue, "b.md", "Two."))
        writer.start()
        writer.join()
        assert catalogue.counts() == (1, 1)
    assert catalogue.counts() == (2, 2)


def test_opening_again_finds_everything(tmp_path: Path, catalogue: Catalogue) -> None:
    before = put(catalogue, "a.md", "One.", "Two.")
    catalogue.close()
    again = Catalogue(tmp_path / "catalogue.db")
    assert again.documents() == [before]
    assert [passage.text for passage in again.passages_of(before.id)] == ["One.", "Two."]
    again.close()


def test_a_file_of_a_later_release_is_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    catalogue.db.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(IndexDamaged, match=r"later release .*Update"):
        Catalogue(tmp_path / "catalogue.db")


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("create table half_done (x)")
        raise sqlite3.OperationalError("disk full")

    Catalogue(tmp_path / "catalogue.db").close()
    monkeypatch.setattr("rag.catalogue.MIGRATIONS", [*MIGRATIONS, broken])
    with pytest.raises(IndexDamaged, match="disk full"):
        Catalogue(tmp_path / "catalogue.db")
    monkeypatch.undo()
    with_what_was = Catalogue(tmp_path / "catalogue.db")
    assert not with_what_was.db.execute("select 1 from sqlite_master where name = 'half_done'").fetchall()
    with_what_was.close()


def test_a_file_that_is_no_database_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(IndexDamaged, match=r"not a catalogue .*backup"):
        Catalogue(tmp_path / "catalogue.db")


def test_threads_write_without_losing_anything(catalogue: Catalogue) -> None:
    threads = [
        threading.Thread(target=lambda t=t: [put(catalogue, f"{t}-{n}.md", f"Text {t} {n}.") for n in range(5)])
        for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalogue.counts() == (20, 20)
    assert catalogue.generation == 20
    assert len(set(catalogue.changes_since(0).added)) == 20


def test_a_finished_thread_leaves_no_open_connection(catalogue: Catalogue) -> None:
    thread = threading.Thread(target=lambda: catalogue.generation)
    thread.start()
    thread.join()
    assert len(list(catalogue._open)) == 1


# --- versions and names -----------------------------------------------------------------------------------------------


def test_a_new_version_replaces_the_old_in_search_and_leaves_it_readable(catalogue: Catalogue) -> None:
    old = put(catalogue, "a.md", "Leave is 25 days.")
    new = put(catalogue, "a.md", "Leave is 27 days.")
    assert (old.version, new.version, new.name) == (1, 2, "a.md")
    assert [document.id for document in catalogue.documents()] == [new.id]
    assert [passage.text for some in catalogue.every_passage() for passage in some] == ["Leave is 27 days."]
    assert catalogue.document("a.md").text == "Leave is 27 days."
    assert catalogue.document("a.md", 1).text == "Leave is 25 days."
    assert not catalogue.document("a.md", 1).current


def test_passage_ids_are_never_used_again(catalogue: Catalogue) -> None:
    first = catalogue.passages_of(put(catalogue, "a.md", "One.").id)[0].id
    commit.remove(catalogue, catalogue.document("a.md"))
    assert catalogue.passages_of(put(catalogue, "a.md", "One.").id)[0].id > first


def test_another_source_with_the_same_path_gets_its_folder_in_front(catalogue: Catalogue) -> None:
    assert put(catalogue, "a.md", "One.", source="/x/hr").name == "a.md"
    assert put(catalogue, "a.md", "Two.", source="/x/it").name == "it/a.md"
    assert put(catalogue, "a.md", "Three.", source="/y/it").name == "it (2)/a.md"
    assert put(catalogue, "a.md", "Four.", source="/x/it").name == "it/a.md"  # its next version keeps its name
    assert put(catalogue, "a.md", "Five.", source="C:\\docs\\law").name == "law/a.md"


def test_the_same_folder_in_two_collections_keeps_the_relative_path(catalogue: Catalogue) -> None:
    assert put(catalogue, "a.md", "One.", collection="hr").name == "a.md"
    assert put(catalogue, "a.md", "One.", collection="it").name == "a.md"
    assert catalogue.collections() == ["hr", "it"]
    assert len(catalogue.documents(collection="it")) == 1


def test_a_name_and_a_version_mean_one_text_for_ever(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.", collection="hr")
    put(catalogue, "a.md", "Other words.", collection="it")  # same folder, changed in between
    texts = {(d.name, d.version): catalogue.document(d.name, d.version).text for d in catalogue.documents()}
    assert sorted(texts.values()) == ["One.", "Other words."]


def test_a_name_that_became_free_never_shows_other_words_under_an_old_version(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "Cited words.", source="/hr")
    commit.remove(catalogue, catalogue.document("a.md"))
    again = put(catalogue, "a.md", "Other words.", source="/it")
    assert again.name == "a.md"
    with pytest.raises(NotFound):
        catalogue.document("a.md", 1)
    assert catalogue.document("a.md", again.version).text == "Other words."


def test_an_unknown_document_is_named_with_what_is_near(catalogue: Catalogue) -> None:
    put(catalogue, "leave-policy.md", "One.")
    with pytest.raises(NotFound, match=r"leave-polcy\.md: no such document; did you mean leave-policy\.md\?"):
        catalogue.document("leave-polcy.md")
    with pytest.raises(NotFound, match="no version 7; the current one is 1"):
        catalogue.document("leave-policy.md", 7)


# --- passages, vectors, changes ---------------------------------------------------------------------------------------


def test_passages_come_in_the_order_asked_and_missing_ones_are_left_out(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", *(f"Text number {n}." for n in range(1200)))  # more than one statement could bind
    assert [passage.id for passage in catalogue.passages([3, 9999, 1])] == [3, 1]
    assert len(catalogue.passages(range(1, 1201))) == 1200


def test_a_passage_is_the_exact_stretch_of_its_document(catalogue: Catalogue) -> None:
    document = put(catalogue, "a.md", "Grüße 🎉 aus Łódź.", "e\u0301 \U0001f469\u200d\U0001f680 end.")
    text = catalogue.document("a.md").text
    for passage in catalogue.passages_of(document.id):
        assert text[passage.start : passage.end] == passage.text
    assert catalogue.passages_of(document.id)[1].text == "e\u0301 \U0001f469\u200d\U0001f680 end."


def test_changes_name_each_passage_once(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.")
    at = catalogue.generation
    put(catalogue, "b.md", "Two.", "Three.")
    commit.remove(catalogue, catalogue.document("b.md"))
    put(catalogue, "a.md", "Four.")
    changes = catalogue.changes_since(at)
    assert changes.added == (4,)
    assert set(changes.removed) == {1, 2, 3}
    assert changes.generation == catalogue.generation
    assert catalogue.changes_since(changes.generation).added == ()


def test_vectors_are_kept_by_text_and_lost_with_the_last_passage_of_that_text(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "Shared words.", "Own words.")
    put(catalogue, "b.md", "Shared words.", vectors={})  # known, so not embedded again
    ids, rows = catalogue.vectors([1, 2, 3])
    assert ids.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(rows[0], rows[2])
    commit.remove(catalogue, catalogue.document("a.md"))
    shared, own = text_hash("Shared words."), text_hash("Own words.")
    assert catalogue.known([shared, own], "word-counts") == {shared}
    assert catalogue.without_vector() == []


def test_vectors_of_another_embedder_are_not_mixed_in(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.")
    with pytest.raises(IndexDamaged, match="belong to the embedder word-counts"):
        put(catalogue, "b.md", "Two.", embedder="another")
    assert catalogue.counts() == (1, 1)


def test_passages_that_share_a_near_key_share_the_first_ones_group(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.", "Two.", near_keys=[["k1", "k2"], ["k3"]])
    put(catalogue, "b.md", "One!", "Three.", near_keys=[["k2", "k9"], ["k4"]])
    put(catalogue, "c.md", "One?", near_keys=[["k9"]])  # near to the second, so of the same group
    assert [passage.group for passage in catalogue.passages(range(1, 6))] == [1, 2, 1, 4, 1]


def test_a_group_does_not_outlive_its_passages(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "One.", near_keys=[["k1"]])
    commit.remove(catalogue, catalogue.document("a.md"))
    put(catalogue, "b.md", "One!", near_keys=[["k1"]])
    assert [passage.group for passage in catalogue.passages([2])] == [2]


# --- removal ----------------------------------------------------------------------------------------------------------


def test_a_removed_document_is_gone_with_all_its_versions(catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "Old secret.")
    put(catalogue, "a.md", "New secret.")
    assert commit.remove(catalogue, catalogue.document("a.md")) == 1
    for version in (None, 1, 2):
        with pytest.raises(NotFound):
            catalogue.document("a.md", version)
    assert catalogue.counts() == (0, 0)


def test_removed_words_are_in_no_file_any_more(tmp_path: Path, catalogue: Catalogue) -> None:
    put(catalogue, "a.md", "The password of the vault is swordfish.")
    catalogue.truncate()
    assert b"swordfish" in (tmp_path / "catalogue.db").read_bytes()
    commit.remove(catalogue, catalogue.document("a.md"))
    catalogue.truncate()
    assert not [path.name for path in tmp_path.iterdir() if b"swordfish" in path.read_bytes()]


# --- the writer's lock ------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    with (
        WriterLock(tmp_path).held(),
        pytest.raises(IndexDamaged, match=r"is being changed by process \d+ .*waited 0\.1 s"),
        WriterLock(tmp_path, patience_s=0.1).held(),
    ):
        pass


def test_the_lock_is_free_again_after_its_block_and_after_an_error(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path)
    with pytest.raises(RuntimeError), lock.held(), lock.held():
        raise RuntimeError
    with WriterLock(tmp_path, patience_s=0).held():
        pass


def test_a_process_that_only_helps_does_not_wait(tmp_path: Path) -> None:
    with WriterLock(tmp_path).held(), WriterLock(tmp_path).if_free() as mine:
        assert not mine
    with WriterLock(tmp_path).if_free() as mine:
        assert mine
