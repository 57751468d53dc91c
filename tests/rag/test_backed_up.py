"""A backup holds the promoted models: they come back whole, answer again, and a damaged one changes nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rag import backed_up
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged, SettingsError
from rag.library import Library
from rag.versions import Versions
from tests.miniature import small_library

LEAVE = b"# Leave\n\nFull-time employees have 27 days of annual leave.\n"
Made = Callable[[str], Path]


@pytest.fixture
def model(tmp_path: Path) -> Made:
    """Makes folders that look like models and open as none: a damaged one must not keep a backup from coming back."""

    def made(name: str) -> Path:
        folder = tmp_path / name
        (folder / "query").mkdir(parents=True)
        for file, said in (("config.json", f'{{"name": "{name}"}}'), ("model.safetensors", name * 50_000),
                           ("tokenizer.json", "{}"), ("query/model.safetensors", name)):  # fmt: skip
            (folder / file).write_text(said)
        return folder

    return made


def library_with(index: Path, *models: Path) -> Library:
    """A library that has promoted these, the last one answering."""
    library = small_library(index)
    library.add_bytes("leave.md", LEAVE)
    versions = Versions(index)
    for number in map(versions.add, models):
        versions.switch(number, audit="a1")
    return library


def contents(index: Path) -> dict[str, bytes]:
    """Files of all versions and the pointer, by their names."""
    folder = index / "models"
    return {
        one.relative_to(folder).as_posix(): one.read_bytes()
        for one in [*folder.glob("[0-9]*/**/*"), folder / "current.json"]
        if one.is_file()
    }


def test_models_and_the_pointer_come_back_byte_for_byte(
    tmp_path: Path, model: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backed_up, "PART", 1000)  # several parts to a file
    with library_with(tmp_path / "index", model("first"), model("second")) as library:
        library.backup(tmp_path / "hr.db")
    with small_library(tmp_path / "again") as again:
        again.restore(tmp_path / "hr.db")
        assert [one.name for one in again.documents()] == ["leave.md"]
        assert "backed_up" not in {row[0] for row in again._catalogue.db.execute("select name from sqlite_master")}
    assert contents(tmp_path / "again") == contents(tmp_path / "index")
    assert Versions(tmp_path / "again").number() == 2
    assert (tmp_path / "again" / "catalogue.db").stat().st_size < 1_000_000


def test_a_restore_returns_to_the_model_of_that_time_and_keeps_the_later_one(tmp_path: Path, model: Made) -> None:
    with library_with(tmp_path / "index", model("first")) as library:
        library.backup(tmp_path / "hr.db")
        versions = Versions(library.path)
        versions.switch(versions.add(model("second")))
        library.restore(tmp_path / "hr.db", force=True)
        assert versions.number() == 1
        assert [one.name for one in versions.history()] == ["first", "second"]
        assert versions.add(model("third")) == 3


def test_where_the_base_answered_it_answers_again(tmp_path: Path, model: Made) -> None:
    with library_with(tmp_path / "index") as library:
        library.backup(tmp_path / "hr.db")
        versions = Versions(library.path)
        versions.switch(versions.add(model("first")))
        library.restore(tmp_path / "hr.db", force=True)
        assert versions.number() is None
        assert library.verify() == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("update backed_up set content = zeroblob(3) where path = '1/model.safetensors'", "is not what was written"),
        ("delete from backed_up where path = '1/model.safetensors' and part = 1", "is missing"),
        ("update backed_up set path = '1/../../../escaped' where path = '1/config.json'", "no file of a model"),
    ],
)
def test_a_damaged_model_is_refused_before_anything_changes(
    tmp_path: Path, model: Made, monkeypatch: pytest.MonkeyPatch, harm: str, said: str
) -> None:
    monkeypatch.setattr(backed_up, "PART", 100_000)
    with library_with(tmp_path / "index", model("first")) as library:
        library.backup(tmp_path / "hr.db")
    with closing(sqlite3.connect(tmp_path / "hr.db")) as backup:
        backup.execute(harm)
        backup.commit()
    with library_with(tmp_path / "other") as other:
        other.add_bytes("meals.md", b"# Meals\n\nA meal is reimbursed up to 38 euros a day.\n")
        with pytest.raises(IndexDamaged, match=said):
            other.restore(tmp_path / "hr.db", force=True)
        assert len(other.documents()) == 2
    assert Versions(tmp_path / "other").history() == []
    assert not list(tmp_path.glob("other/models/.restoring.*"))
    assert not (tmp_path / "escaped").exists()


def test_another_model_under_the_same_number_is_refused_before_anything_changes(tmp_path: Path, model: Made) -> None:
    with library_with(tmp_path / "index", model("first")) as library:
        library.backup(tmp_path / "hr.db")
    with library_with(tmp_path / "other") as other:
        other.remove("leave.md")
        versions = Versions(other.path)
        versions.switch(versions.add(model("stranger")))
        before = contents(other.path)
        with pytest.raises(SettingsError, match=r"another model than version 1 of the backup.*--index"):
            other.restore(tmp_path / "hr.db")
        assert contents(other.path) == before
        assert other.documents() == []


def test_a_promotion_during_a_backup_is_in_it_whole_or_not_at_all(
    tmp_path: Path, model: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library_with(tmp_path / "index", model("first")) as library:
        second, versions, copied = model("second"), Versions(library.path), backed_up.standing
        audited = "insert into state_of_a_test values ('promoted')"
        library._catalogue.db.execute("create table state_of_a_test (said text)")

        def promote() -> None:
            other = Catalogue(library.path / "catalogue.db")
            with Versions(library.path).held(), other.atomic() as db:
                db.execute(audited)
                versions.switch(versions.add(second), audit="a2")
            other.close()

        promoting = threading.Thread(target=promote)

        def meanwhile(of: Versions) -> list[Path]:
            found = copied(of)
            promoting.start()
            promoting.join(0.2)
            assert promoting.is_alive(), "it waits for the backup"
            return found

        monkeypatch.setattr(backed_up, "standing", meanwhile)
        library.backup(tmp_path / "hr.db")
        promoting.join(10)
        assert versions.number() == 2
    with closing(sqlite3.connect(tmp_path / "hr.db")) as backup:
        assert backup.execute("select count(*) from state_of_a_test").fetchone()[0] == 0
        assert {row[0].partition("/")[0] for row in backup.execute("select path from backed_up")} == {
            "1", "current.json"}  # fmt: skip
        [(pointer,)] = backup.execute("select content from backed_up where path = 'current.json'").fetchall()
        assert b'"a1"' in pointer


def test_a_backup_of_an_earlier_release_leaves_the_models_alone(tmp_path: Path, model: Made) -> None:
    with library_with(tmp_path / "index", model("first")) as library:
        library.backup(tmp_path / "hr.db")
        with closing(sqlite3.connect(tmp_path / "hr.db")) as backup:
            backup.execute("drop table backed_up")
        library.restore(tmp_path / "hr.db", force=True)
        assert Versions(library.path).number() == 1
