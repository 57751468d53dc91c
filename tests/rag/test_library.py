"""The handle: what it opens when, what it gives, what it refuses. Real embedder, FAISS, tantivy and SQLite."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import rag
from rag.config import Settings
from rag.errors import IndexDamaged, ModelError, NotFound, SettingsError
from rag.library import Library
from rag.types import Answer, Citation

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def library(shared_library: Library, tmp_path: Path) -> Iterator[Library]:
    """A library of one's own, to change: restored from the shared one, so nothing is embedded again."""
    shared_library.backup(tmp_path / "backup.db")
    folder = tmp_path / "index"
    with rag.open(folder, Settings(index=folder)) as own:
        own.restore(tmp_path / "backup.db")
        yield own


def answered(library: Library, question: str = "How much leave?") -> Answer:
    """An answer in the audit, as `answer.answer` would leave it; no model is needed to judge one."""
    passage = library.search("annual leave", 1)[0].passage
    cited = Citation(passage.document, passage.version, None, passage.start, passage.end, passage.text, passage.id, 0.9)
    answer = Answer("27 days.", False, 0.9, (cited,), "", "test", 1, {"total": 1.0}, question, question)
    payload = {"question": question, "standalone": question, "passages": [], "model": "test"}
    return replace(
        answer, answer_id=library._parts().audit.record("answer", None, {**payload, "answer": answer.as_dict()})
    )


# --- documents --------------------------------------------------------------------------------------------------------


def test_what_is_added_is_listed_shown_and_found(shared_library: Library) -> None:
    names = [document.name for document in shared_library.documents()]
    assert names == ["leave.md", "security.txt", "travel/expenses.md"]
    text = shared_library.document("leave.md").text
    hit = shared_library.search("days of annual leave", 1)[0]
    assert hit.document == "leave.md"
    assert "27 days" in hit.text
    assert text[hit.start : hit.end] == hit.text


def test_one_path_or_many_as_string_or_path(library: Library, tmp_path: Path) -> None:
    one, two = tmp_path / "one.md", tmp_path / "two.md"
    one.write_text("# One\n\nThe canteen opens at noon.\n", "utf-8")
    two.write_text("# Two\n\nThe gate closes at eight.\n", "utf-8")
    assert [report.status for report in library.add(str(one))] == ["added"]
    assert sorted(report.status for report in library.add([one, str(two)])) == ["added", "unchanged"]


def test_an_upload_is_found_replaced_and_removed(library: Library) -> None:
    assert library.add_bytes("pool.md", b"# Pool\n\nThe pool opens at seven.\n").status == "added"
    assert library.search("When does the pool open?", 1)[0].document == "pool.md"
    assert library.add_bytes("pool.md", b"# Pool\n\nThe pool opens at nine.\n").status == "replaced"
    assert "nine" in library.search("When does the pool open?", 1)[0].text
    assert library.remove("pool.md").status == "removed"
    assert "pool.md" not in [hit.document for hit in library.search("When does the pool open?")]
    with pytest.raises(NotFound):
        library.document("pool.md")


def test_documents_of_named_readers_are_hidden_from_others(library: Library, tmp_path: Path) -> None:
    secret = tmp_path / "salaries.md"
    secret.write_text("# Salaries\n\nThe director earns 200,000 euros.\n", "utf-8")
    library.add(secret, access=["ada"])
    question = "What does the director earn?"
    assert library.search(question, 1, person="ada")[0].document == "salaries.md"
    assert library.search(question, 1)[0].document == "salaries.md", "the local owner reads everything"
    assert "salaries.md" not in [hit.document for hit in library.search(question, person="bob")]
    assert "salaries.md" not in [document.name for document in library.documents(person="bob")]
    with pytest.raises(NotFound):
        library.document("salaries.md", person="bob")
    with pytest.raises(NotFound):
        library.remove("salaries.md", person="bob")


def test_a_collection_is_searched_alone(library: Library, tmp_path: Path) -> None:
    other = tmp_path / "canteen.md"
    other.write_text("# Canteen\n\nLeave your tray at the counter.\n", "utf-8")
    library.add(other, collection="site")
    assert {hit.document for hit in library.search("annual leave", collection="site")} == {"canteen.md"}
    assert library.search("annual leave", collection="nowhere") == []


def test_starters_come_from_the_headings(shared_library: Library) -> None:
    starters = shared_library.starters(3)
    assert "How do I request leave?" in starters, "a heading that asks is a question already"
    assert len(starters) == 3
    assert all(starter.endswith("?") for starter in starters)
    assert starters == shared_library.starters(3)


def test_an_empty_library_has_no_starters_and_finds_nothing(tmp_path: Path) -> None:
    with rag.open(tmp_path / "index") as library:
        assert library.starters() == []
        assert library.search("anything") == []
        assert library.documents() == []
        assert library.status()["documents"] == 0


# --- opening ----------------------------------------------------------------------------------------------------------


def test_listing_and_showing_documents_load_nothing_heavy(shared_library: Library) -> None:
    code = (
        "import sys, rag\n"
        f"library = rag.open({str(shared_library.path)!r})\n"
        "assert library.documents() and library.document('leave.md').text and library.status() and library.starters()\n"
        "library.close()\n"
        "print(sorted({'torch', 'faiss', 'tantivy', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_asking_without_a_model_says_where_one_comes_from(shared_library: Library, tmp_path: Path) -> None:
    settings = Settings(index=shared_library.path, model=tmp_path / "none")
    with rag.open(shared_library.path, settings) as library:
        assert library.status()["model"] == "none"
        with pytest.raises(ModelError, match="no model there") as raised:
            library.ask("How many days of leave?")
        assert "--model" in str(raised.value)


def test_threads_share_one_library(library: Library) -> None:
    found: list[str] = []

    def look() -> None:
        found.append(library.search("password length", 1)[0].document)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["security.txt"] * 6


def test_an_open_library_finds_what_another_process_commits(library: Library, tmp_path: Path) -> None:
    assert library.search("sauna")
    (tmp_path / "sauna.md").write_text("# Sauna\n\nThe sauna is in building C.\n", "utf-8")
    code = (
        f"import rag\nwith rag.open({str(library.path)!r}) as other: print(other.add({str(tmp_path / 'sauna.md')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "added" in done.stdout, done.stderr
    assert library.search("Where is the sauna?", 1)[0].document == "sauna.md"


# --- conversations and judgements -------------------------------------------------------------------------------------


def test_a_conversation_keeps_its_turns_until_it_is_deleted(library: Library) -> None:
    begun = library.new_conversation()
    library.append(begun.id, answered(library))
    again = library.conversation(begun.id)
    assert again.title == "How much leave?"
    assert [turn["answer"]["answer"] for turn in again.turns] == ["27 days."]
    library.rename(begun.id, "Leave")
    assert [found.title for found in library.conversations(search="LEAVE")] == ["Leave"]
    with pytest.raises(NotFound):
        library.conversation(begun.id, person="bob")
    library.delete(begun.id)
    assert library.conversations() == []


def test_a_judgement_is_exported_with_its_question(library: Library) -> None:
    answer = answered(library)
    library.rate(answer.answer_id, "down", reason="outdated", correction="28 days")
    row = library.judgements()[0]
    assert (row["question"], row["verdict"], row["reason"]) == ("How much leave?", "down", "outdated")
    with pytest.raises(SettingsError, match="reason is 'bad'"):
        library.rate(answer.answer_id, "down", reason="bad")
    with pytest.raises(NotFound):
        library.rate("nothing", "up")


def test_the_audit_lists_the_latest_first(library: Library) -> None:
    answer = answered(library, "What about Norway?")
    newest = library.audit_rows(2)[0]
    assert (newest["id"], newest["kind"], newest["about"]) == (answer.answer_id, "answer", "What about Norway?")


# --- sound, copied, brought back --------------------------------------------------------------------------------------


def test_a_sound_library_has_no_problems(library: Library) -> None:
    assert library.verify() == []


def test_verify_finds_a_passage_that_left_its_document(library: Library) -> None:
    with library._catalogue.atomic() as db:
        db.execute("update texts set text = substr(text, 1, 40) where document_id = 1")
    assert any("leave.md" in problem or "lies outside" in problem for problem in library.verify())


def test_verify_finds_a_changed_audit_row(library: Library) -> None:
    answered(library)
    with library._catalogue.atomic() as db:
        db.execute("update audit set payload = replace(payload, '27 days', '99 days') where kind = 'answer'")
    assert any("audit row" in problem for problem in library.verify())


def test_repair_makes_lost_copies_anew(library: Library) -> None:
    library.search("leave")
    library.close()
    (library.path / "vectors.faiss").unlink(missing_ok=True)
    shutil.rmtree(library.path / "lexical", ignore_errors=True)
    with rag.open(library.path) as again:
        again.repair()
        assert again.search("annual leave", 1)[0].document == "leave.md"
        assert again.verify() == []


def test_a_restored_library_finds_what_the_backup_held_and_nothing_else(library: Library, tmp_path: Path) -> None:
    library.backup(tmp_path / "before.db")
    library.add_bytes("later.md", b"# Later\n\nThe fountain is closed in winter.\n")
    library.remove("security.txt")
    assert library.search("fountain in winter", 1)[0].document == "later.md"
    with pytest.raises(SettingsError, match="--force"):
        library.restore(tmp_path / "before.db")
    library.restore(tmp_path / "before.db", force=True)
    assert [document.name for document in library.documents()] == ["leave.md", "security.txt", "travel/expenses.md"]
    assert "later.md" not in [hit.document for hit in library.search("fountain in winter")]
    assert library.search("password length", 1)[0].document == "security.txt"
    assert library.verify() == []


def test_ids_are_not_used_again_after_a_restore(library: Library, tmp_path: Path) -> None:
    library.backup(tmp_path / "before.db")
    library.add_bytes("later.md", b"# Later\n\nThe fountain is closed in winter.\n")
    former = library.search("fountain", 1)[0].passage.id
    library.restore(tmp_path / "before.db", force=True)
    library.add_bytes("other.md", b"# Other\n\nThe elevator is inspected in May.\n")
    assert library.search("elevator", 1)[0].passage.id > former


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\0" * 4096])
def test_what_is_no_backup_is_refused_and_changes_nothing(library: Library, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.db").write_bytes(content)
    with pytest.raises(IndexDamaged, match=r"bad\.db"):
        library.restore(tmp_path / "bad.db", force=True)
    assert len(library.documents()) == 3


def test_a_backup_is_one_file_for_its_owner(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    size = library.backup(folder / "hr.db")
    assert [path.name for path in folder.iterdir()] == ["hr.db"]
    assert (folder / "hr.db").stat().st_size == size
    assert (folder / "hr.db").stat().st_mode & 0o077 == 0
