"""Journey 1 over real loaders, catalogue, FAISS and tantivy; only the embedder is a small one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rag import ingest, parse
from rag.config import Settings
from rag.discover import upload_path
from rag.errors import IndexDamaged, LoadError, NotFound
from rag.ingest import Progress
from rag.parts import Parts, open_parts
from rag.types import FileReport
from tests.miniature import WordCounts

ROOT = Path(__file__).resolve().parents[2]


DAYS = "Everybody has 25 days. " + "Days are planned with the team and entered in the portal before. " * 5
NOTE = "Bring a note on day three. " + "The note goes to the personnel office, which keeps it for a year. " * 5


@pytest.fixture
def embedder() -> WordCounts:
    return WordCounts()


@pytest.fixture
def parts(tmp_path: Path, embedder: WordCounts) -> Iterator[Parts]:
    parts = open_parts(tmp_path / "index", Settings(), embedder)
    yield parts
    parts.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents in a folder."""
    folder = tmp_path / "papers"
    (folder / "travel").mkdir(parents=True)
    sections = [f"## {name}\n\n{text}\n" for name, text in (("Annual", DAYS), ("Sick", NOTE))]
    (folder / "leave.md").write_text("\n".join(["# Leave\n", *sections]))
    (folder / "canteen.txt").write_text("The canteen opens at noon.\n")
    (folder / "travel" / "hotels.md").write_text("# Hotels\n\nThe limit is 140 euros a night.\n")
    return folder


def statuses(reports: list[FileReport]) -> dict[str, str]:
    return {report.document: report.status for report in reports}


def found(parts: Parts, query: str) -> list[str]:
    """Texts by both stores, each once."""
    parts.refresh()
    rows = parts.vectors.search(query, 3) + parts.lexical.search(query, 3)
    return list(dict.fromkeys(passage.text for passage in parts.catalogue.passages(row.passage for row in rows)))


def whole(parts: Parts) -> bool:
    """Copies equal the catalogue, every passage lies in its text, the audit chain holds."""
    for document in parts.catalogue.documents():
        text = parts.catalogue.document_of(document.id, with_text=True).text
        passages = parts.catalogue.passages_of(document.id)
        assert len(passages) == document.passages
        assert all(text[passage.start : passage.end] == passage.text for passage in passages)
    assert parts.vectors.check() + parts.lexical.check() + parts.audit.verify() == []
    assert parts.catalogue.without_vector() == []
    return True


# --- adding -----------------------------------------------------------------------------------------------------------


def test_a_folder_goes_in_with_one_report_for_each_file(parts: Parts, folder: Path) -> None:
    reports = ingest.ingest(parts, [folder])
    assert statuses(reports) == {"canteen.txt": "added", "leave.md": "added", "travel/hotels.md": "added"}
    assert found(parts, "limit for a night in euros")[0] == "The limit is 140 euros a night."
    assert whole(parts)


def test_one_bad_file_never_stops_the_others(parts: Parts, folder: Path) -> None:
    (folder / "a.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "b.bin").write_bytes(b"\0\1\2")
    (folder / "c.docx").write_bytes(b"PK\x03\x04 not a zip")
    (folder / "d.txt").write_bytes(b"")
    reports = ingest.ingest(parts, [folder, folder / "nowhere.md"])
    failed = {report.document: report.reason or "" for report in reports if report.status == "failed"}
    assert set(failed) == {"a.pdf", "b.bin", "c.docx", "d.txt", str(folder / "nowhere.md")}
    assert all(name.rsplit("/", 1)[-1] in reason and "\n" not in reason for name, reason in failed.items())
    assert "no reader for '.bin'" in failed["b.bin"]
    assert len(parts.catalogue.documents()) == 3
    assert whole(parts)


def test_the_same_bytes_again_cost_nothing(parts: Parts, folder: Path, embedder: WordCounts) -> None:
    ingest.ingest(parts, [folder])
    embedder.embedded.clear()
    before = parts.catalogue.generation
    (folder / "leave.md").touch()
    assert set(statuses(ingest.ingest(parts, [folder])).values()) == {"unchanged"}
    assert embedder.embedded == []
    assert parts.catalogue.generation == before


def test_only_new_words_are_embedded(parts: Parts, folder: Path, embedder: WordCounts) -> None:
    ingest.ingest(parts, [folder])
    embedder.embedded.clear()
    text = (folder / "leave.md").read_text()
    (folder / "leave.md").write_text(text.replace("25 days", "27 days"))
    (folder / "travel" / "canteen.txt").write_text((folder / "canteen.txt").read_text())
    ingest.ingest(parts, [folder])
    assert all("27 days" in text for text in embedder.embedded)
    assert len(embedder.embedded) == 1


def test_a_passage_is_embedded_with_its_heading_path(parts: Parts, folder: Path, embedder: WordCounts) -> None:
    ingest.ingest(parts, [folder])
    passages = [passage for some in parts.catalogue.every_passage() for passage in some]
    assert sorted(embedder.embedded) == sorted(passage.context for passage in passages)
    assert "Hotels\nThe limit is 140 euros a night." in embedder.embedded


def test_a_replaced_document_answers_with_its_new_words_and_keeps_the_old_readable(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    (folder / "canteen.txt").write_text("The canteen opens at eleven.\n")
    assert statuses(ingest.ingest(parts, [folder]))["canteen.txt"] == "replaced"
    assert found(parts, "canteen opens")[0] == "The canteen opens at eleven."
    assert "noon" not in " ".join(found(parts, "canteen opens at noon"))
    assert "noon" in parts.catalogue.document("canteen.txt", 1).text
    assert whole(parts)


def test_a_changed_file_that_cannot_be_read_leaves_the_old_version_answering(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    (folder / "canteen.txt").write_bytes(b"")
    report = next(r for r in ingest.ingest(parts, [folder], sync=True) if r.document == "canteen.txt")
    assert report.status == "failed"
    assert found(parts, "canteen opens")[0] == "The canteen opens at noon."


def test_a_file_alone_and_in_its_folder_is_one_document(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    assert statuses(ingest.ingest(parts, [folder / "leave.md"])) == {"leave.md": "unchanged"}
    assert statuses(ingest.ingest(parts, [folder / "leave.md", folder, folder / "travel" / ".." / "leave.md"])) == {
        "leave.md": "unchanged", "canteen.txt": "unchanged", "travel/hotels.md": "unchanged",
    }  # fmt: skip


def test_a_second_folder_with_the_same_names_stands_beside_the_first(
    parts: Parts, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "it"
    other.mkdir()
    (other / "leave.md").write_text("# Leave\n\nDevelopers leave early.\n")
    reports = ingest.ingest(parts, [folder, other])
    assert statuses(reports) == {
        "leave.md": "added", "canteen.txt": "added", "travel/hotels.md": "added", "it/leave.md": "added",
    }  # fmt: skip
    assert "25 days" in parts.catalogue.document("leave.md").text


def test_hidden_files_and_litter_are_left_out(parts: Parts, folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden")
    (folder / "~$leave.docx").write_text("lock")
    (folder / "Thumbs.db").write_text("litter")
    assert len(ingest.ingest(parts, [parts.folder.parent])) == 3  # the index stands there too and is no document


def test_a_file_name_that_is_no_text_goes_in(parts: Parts, folder: Path) -> None:
    for byte in (b"\xff", b"\xfe"):
        with open(os.fsencode(folder) + b"/" + byte + b".txt", "w") as file:  # noqa: PTH123 - a name of bytes
            file.write("Odd names happen.")
    reports = ingest.ingest(parts, [folder])
    assert [report.document for report in reports if report.document.startswith("\\")] == ["\\udcfe.txt", "\\udcff.txt"]
    assert whole(parts)


def test_copies_of_one_text_are_grouped(parts: Parts, folder: Path) -> None:
    words = " ".join(f"the word {chr(97 + n % 26) * (n % 7 + 2)} has a meaning" for n in range(30))
    (folder / "one.txt").write_text(words)
    (folder / "two.txt").write_text(words.replace("the word hh ", "our word hh ", 1))
    ingest.ingest(parts, [folder])
    groups = [p.group for some in parts.catalogue.every_passage() for p in some if p.document in ("one.txt", "two.txt")]
    assert len(groups) == 2
    assert len(set(groups)) == 1


def test_readers_are_named_once_and_kept(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder / "leave.md"], access=["ada"])
    (folder / "leave.md").write_text("# Leave\n\nEverybody has 27 days.\n")
    ingest.ingest(parts, [folder / "leave.md"])
    assert parts.catalogue.documents(person="bob") == []
    ingest.ingest(parts, [folder / "leave.md"], access=["ada", "bob"])  # same bytes, other readers
    assert len(parts.catalogue.documents(person="bob")) == 1


def test_every_change_is_audited(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder / "leave.md"])
    (folder / "leave.md").write_text("# Leave\n\nEverybody has 27 days.\n")
    ingest.ingest(parts, [folder / "leave.md"])
    ingest.remove(parts, parts.catalogue.document("leave.md"), person="ada")
    assert [(entry.kind, entry.person) for entry in parts.audit.entries()] == [
        ("added", "local"), ("replaced", "local"), ("removed", "ada"),
    ]  # fmt: skip


def test_progress_counts_files_and_ends_with_all_of_them(parts: Parts, folder: Path) -> None:
    told: list[Progress] = []
    ingest.ingest(parts, [folder], progress=told.append)
    assert [step.done for step in told] == sorted(step.done for step in told)
    assert (told[-1].done, told[-1].total, told[-1].seconds_left) == (3, 3, 0)
    assert told[-1].passages == 4
    assert told[-1].passages_per_second > 0


def test_embedding_begins_with_few_passages_and_goes_on_with_many() -> None:
    read = cast(Any, SimpleNamespace(parsed=SimpleNamespace(chunks=range(40))))
    sizes = [sum(len(one.parsed.chunks) for one in group) for group in ingest._groups(iter([read] * 20))]
    assert sizes == [80, 280, 280, 160]


def test_an_interruption_keeps_what_was_committed(parts: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "GROUP", 1)

    def stop(step: Progress) -> None:
        if step.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest.ingest(parts, [folder], progress=stop)
    assert len(parts.catalogue.documents()) == 2
    parts.refresh()
    assert whole(parts)
    assert sorted(statuses(ingest.ingest(parts, [folder])).values()) == ["added", "unchanged", "unchanged"]


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_replaced_by_its_name(parts: Parts) -> None:
    assert ingest.ingest_bytes(parts, "note.md", b"# Note\n\nDogs are welcome.").status == "added"
    assert ingest.ingest_bytes(parts, "note.md", b"# Note\n\nDogs are welcome.").status == "unchanged"
    assert ingest.ingest_bytes(parts, "note.md", b"# Note\n\nCats are welcome.").status == "replaced"
    assert [document.source for document in parts.catalogue.documents()] == ["upload"]
    assert found(parts, "are welcome") == ["Cats are welcome."]


def test_an_upload_that_cannot_be_read_is_one_line(parts: Parts) -> None:
    report = ingest.ingest_bytes(parts, "x.docx", b"PK\x03\x04")
    assert (report.status, report.document) == ("failed", "x.docx")
    assert (report.reason or "").startswith("x.docx: ")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a.md", "a.md"), ("../../etc/a.md", "etc/a.md"), ("C:\\x\\a.md", "C:/x/a.md"), ("/", "upload"), ("", "upload")],
)
def test_an_uploads_name_leads_nowhere(name: str, path: str) -> None:
    assert upload_path(name) == path


# --- removing, syncing ------------------------------------------------------------------------------------------------


def test_a_removed_document_is_gone_at_once_and_its_words_from_the_disk(parts: Parts, folder: Path) -> None:
    (folder / "vault.txt").write_text("The password is swordfish.")
    ingest.ingest(parts, [folder])
    report = ingest.remove(parts, parts.catalogue.document("vault.txt"))
    assert (report.status, report.passages) == ("removed", 1)
    assert "swordfish" not in " ".join(found(parts, "the password is swordfish"))
    with pytest.raises(NotFound):
        parts.catalogue.document("vault.txt")
    left = [path.name for path in parts.folder.rglob("*") if path.is_file() and b"swordfish" in path.read_bytes()]
    assert left == []
    assert whole(parts)


def test_sync_removes_what_vanished_and_plain_adding_never_does(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    (folder / "canteen.txt").unlink()
    (folder / "new.txt").write_text("Fresh.")
    assert "canteen.txt" not in statuses(ingest.ingest(parts, [folder]))
    assert len(parts.catalogue.documents()) == 4
    (folder / "travel" / "hotels.md").unlink()
    reports = statuses(ingest.ingest(parts, [folder], sync=True))
    assert (reports["canteen.txt"], reports["travel/hotels.md"]) == ("removed", "removed")
    assert [document.name for document in parts.catalogue.documents()] == ["leave.md", "new.txt"]
    assert whole(parts)


def test_sync_leaves_other_folders_collections_and_uploads_alone(parts: Parts, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.txt").write_text("Elsewhere.")
    ingest.ingest(parts, [folder, other])
    ingest.ingest(parts, [folder], collection="archive")
    ingest.ingest_bytes(parts, "note.md", b"Dogs are welcome.")
    (folder / "canteen.txt").unlink()
    (other / "x.txt").unlink()
    ingest.ingest(parts, [folder], sync=True)
    assert sorted((d.collection, d.name) for d in parts.catalogue.documents()) == [
        ("archive", "canteen.txt"), ("archive", "leave.md"), ("archive", "travel/hotels.md"),
        ("default", "leave.md"), ("default", "note.md"), ("default", "travel/hotels.md"), ("default", "x.txt"),
    ]  # fmt: skip


def test_sync_takes_nothing_away_that_it_could_not_look_at(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    (folder / "leave.md").unlink()
    (folder / "leave.md").symlink_to(folder / "gone.md")  # met, and leads to nothing
    assert statuses(ingest.ingest(parts, [folder], sync=True))["leave.md"] == "failed"
    folder.rename(folder.with_name("moved"))  # as a share that is not mounted
    assert [report.status for report in ingest.ingest(parts, [folder], sync=True)] == ["failed"]
    assert len(parts.catalogue.documents()) == 3


def test_sync_takes_nothing_away_below_a_folder_that_cannot_be_opened(
    parts: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest.ingest(parts, [folder])
    real = os.scandir

    def refusing(path: str) -> object:  # file rights do not bind the super user, who may be running this
        if str(path).endswith("travel"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    reports = ingest.ingest(parts, [folder], sync=True)
    assert statuses(reports) == {"canteen.txt": "unchanged", "leave.md": "unchanged", "travel": "failed"}
    assert "travel: cannot be opened (Permission denied)" in (reports[-1].reason or "")
    assert parts.catalogue.document("travel/hotels.md").current


# --- children that parse ----------------------------------------------------------------------------------------------


def test_children_read_the_same_as_this_process(folder: Path) -> None:
    pool = parse.Pool(2)
    try:
        files = [folder / "leave.md", folder / "canteen.txt", folder / "travel" / "hotels.md"] * 3
        futures = [pool.submit(file, file.stem) for file in files]
        assert [future.result() for future in futures] == [parse.parse(file, file.stem) for file in files]
    finally:
        pool.close()


def test_a_crashed_parser_is_the_failure_of_one_file(folder: Path) -> None:
    pool = parse.Pool(1)
    try:
        child = pool._children[0]._started()
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(LoadError, match=r"leave\.md: its parser crashed \(signal 9\)"):
            pool.submit(folder / "leave.md", "leave").result()
        assert pool.submit(folder / "leave.md", "leave").result().chunks
    finally:
        pool.close()


def test_a_parser_that_falls_silent_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = parse.Pool(1)
    try:
        monkeypatch.setattr(parse, "SILENT_S", 0.0)
        with pytest.raises(LoadError, match=r"leave\.md: no page was read for 0 s"):
            pool.submit(folder / "leave.md", "leave").result()
        monkeypatch.undo()
        assert pool.submit(folder / "leave.md", "leave").result().chunks
    finally:
        pool.close()


def test_no_child_outlives_the_pool(folder: Path) -> None:
    pool = parse.Pool(2)
    pool.submit(folder / "leave.md", "leave").result()
    processes = [child._process for child in pool._children if child._process]
    pool.close()
    assert processes
    assert all(process.poll() is not None for process in processes)


def test_a_script_without_a_main_guard_can_ingest(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from rag import ingest\nfrom rag.config import Settings\nfrom rag.parts import open_parts\n"
        "from tests.miniature import WordCounts\n"
        f"parts = open_parts(Path({str(tmp_path / 'by_script')!r}), Settings(), WordCounts())\n"
        f"print([report.status for report in ingest.ingest(parts, [Path({str(folder)!r})], workers=2)])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, env=env, cwd=tmp_path)
    assert done.stdout.strip() == "['added', 'added', 'added']", done.stderr


# --- several at once --------------------------------------------------------------------------------------------------


def test_an_open_library_serves_what_another_has_committed(parts: Parts, folder: Path) -> None:
    reader = open_parts(parts.folder, Settings(), WordCounts())
    assert found(reader, "canteen opens") == []
    ingest.ingest(parts, [folder])
    assert found(reader, "canteen opens")[0] == "The canteen opens at noon."
    ingest.remove(parts, parts.catalogue.document("canteen.txt"))
    assert "The canteen opens at noon." not in found(reader, "canteen opens")
    reader.close()


def test_a_long_group_is_served_while_it_is_still_being_written(
    parts: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "SERVED_S", 0.0)
    reader = open_parts(parts.folder, Settings(), WordCounts())
    seen: list[int] = []

    def look(step: Progress) -> None:
        reader.refresh()
        seen.append(len(reader.lexical.search("canteen opens", 3)))

    ingest.ingest(parts, [folder], progress=look)
    assert seen[0] == 0  # embedded, not yet committed
    assert seen[-1] == 1  # the last of the group was committed just now, the lock is still held
    reader.close()


def test_a_writer_that_died_before_its_copies_followed_is_made_good_by_a_reader(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    reader = open_parts(parts.folder, Settings(), WordCounts())
    from rag import commit

    commit.remove(parts.catalogue, parts.catalogue.document("canteen.txt"))  # and here the writer dies
    assert reader.refresh() == reader.lexical.generation == reader.vectors.generation
    assert "The canteen opens at noon." not in found(reader, "canteen opens")
    reader.close()


def test_two_libraries_ingest_into_one_index_at_once(parts: Parts, tmp_path: Path) -> None:
    others = [parts, open_parts(parts.folder, Settings(), WordCounts())]
    threads = []
    for number, library in enumerate(others):
        folder = tmp_path / f"set{number}"
        folder.mkdir()
        for n in range(6):
            (folder / f"{number}-{n}.txt").write_text(f"Document {n} of set {number}. The same words stand in both.")
        threads.append(threading.Thread(target=ingest.ingest, args=(library, [folder])))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for library in others:
        library.refresh()
        assert len(library.catalogue.documents()) == 12
        assert whole(library)
    others[1].close()


def test_two_embedders_are_mixed_neither_by_adding_nor_by_repair(parts: Parts, folder: Path) -> None:
    ingest.ingest(parts, [folder])
    changed = open_parts(parts.folder, Settings(), WordCounts("another"))
    with pytest.raises(IndexDamaged, match="rag reembed"):
        ingest.ingest(changed, [folder.parent / "papers" / "..", folder], collection="x")
    with pytest.raises(IndexDamaged, match="rag reembed"):
        ingest.repair(changed)
    assert whole(parts)
    changed.close()
