"""Mailboxes and archives: which documents they become, what costs nothing, what is left out."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.connect import archive, is_address, mbox, open_source
from rag.connect.source import Options
from rag.connect.taking import take_from
from rag.errors import SettingsError
from rag.library import Library
from rag.types import FileReport
from tests.miniature import small_library


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr("rag.ingest._workers", lambda waiting: 0)  # files are read in this process: no child to start
    with small_library(tmp_path / "index") as library:
        yield library


def take(library: Library, path: Path, *, sync: bool = False, **options: Any) -> list[FileReport]:
    return take_from(library._parts(), open_source(path, Options(**options)), sync=sync)


def told(reports: list[FileReport]) -> dict[str, str]:
    return {report.document: report.status for report in reports}


# --- mailboxes --------------------------------------------------------------------------------------------------------


def message(number: int, subject: str, body: str, headers: str = "") -> str:
    return (
        f"From ada@example.com Mon Mar  2 10:0{number}:00 2026\n{headers}From: Ada <ada@example.com>\nTo: all@example.com\n"
        f"Date: Mon, 2 Mar 2026 10:0{number}:00 +0000\nMessage-ID: <{number}@example.com>\nSubject: {subject}\n\n{body}\n\n"
    )


PARKING = message(1, "Parking on Fridays", "The yard is closed on Fridays.\n\n>From May on it is open again.")
CANTEEN = message(2, "=?utf-8?q?Kantine_f=C3=BCr_G=C3=A4ste?=", "Guests eat for 9 euros.\nFrom now on, that is.")


def test_each_message_is_a_document_named_by_date_and_subject(library: Library, tmp_path: Path) -> None:
    box = tmp_path / "Policies.mbox"
    box.write_text(PARKING + CANTEEN)
    names = sorted(told(take(library, box)))
    assert [name[:-13] for name in names] == ["2026-03-02 Kantine für Gäste", "2026-03-02 Parking on Fridays"]
    parking = library.document(names[1])
    assert parking.source == str(box)
    assert "# Parking on Fridays" in parking.text
    assert "\nFrom May on it is open again." in parking.text
    assert "From now on, that is." in library.document(names[0]).text


def test_an_untouched_mailbox_is_not_even_opened(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmp_path / "a.mbox"
    box.write_text(PARKING)
    take(library, box)
    monkeypatch.setattr(mbox, "messages", None)
    assert list(told(take(library, box)).values()) == ["unchanged"]


def test_reading_flagging_and_moving_messages_changes_nothing(library: Library, tmp_path: Path) -> None:
    box = tmp_path / "a.mbox"
    box.write_text(PARKING + CANTEEN)
    take(library, box)
    read = PARKING.replace("Subject:", "Status: RO\nX-Mozilla-Status: 0001\nX-Keywords: a\n  b\nSubject:")
    box.write_text(CANTEEN + read)
    generation = library._catalogue.generation
    assert list(told(take(library, box, sync=True)).values()) == ["unchanged"] * 2
    assert library._catalogue.generation == generation


def test_a_new_message_comes_and_a_deleted_one_goes_with_sync(library: Library, tmp_path: Path) -> None:
    box = tmp_path / "a.mbox"
    box.write_text(PARKING)
    take(library, box)
    deleted = PARKING.replace("Subject:", "X-Mozilla-Status: 0009\nSubject:")
    box.write_text(deleted + CANTEEN)
    assert sorted(told(take(library, box)).values()) == ["added"]
    assert sorted(told(take(library, box, sync=True)).values()) == ["removed", "unchanged"]
    assert [document.title for document in library.documents()] == ["Kantine für Gäste"]


def test_the_same_message_twice_is_one_document(library: Library, tmp_path: Path) -> None:
    box = tmp_path / "a.mbox"
    box.write_text(PARKING + PARKING)
    assert list(told(take(library, box)).values()) == ["added"]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_only_a_line_that_begins_a_message_ends_the_one_before(ends: str) -> None:
    text = (
        message(1, "A", "Look:\n\nFrom here to there.\nFrom x@y Mon Mar  2 10:00:00 2026\nno blank line before it")
        + CANTEEN
    )
    found = list(mbox.messages(io.BytesIO(text.replace("\n", ends).encode())))
    assert len(found) == 2


def test_a_message_that_is_too_large_is_told_and_the_others_come(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mbox, "MESSAGE_BYTES", 300)
    box = tmp_path / "a.mbox"
    box.write_text(message(3, "Large", "word " * 100) + PARKING)
    assert sorted(told(take(library, box)).values()) == ["added", "failed"]


def test_a_file_without_messages_removes_nothing(library: Library, tmp_path: Path) -> None:
    box = tmp_path / "a.mbox"
    box.write_text(PARKING)
    take(library, box)
    box.write_text("")
    (report,) = take(library, box, sync=True)
    assert "holds no message" in (report.reason or "")
    assert len(library.documents()) == 1


# --- archives ---------------------------------------------------------------------------------------------------------


def pack(file: Path, **members: bytes) -> Path:
    """`notes__a.md` is notes/a.md."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(
                name.replace("__", "/").replace("_md", ".md").replace("_zip", ".zip").replace("_db", ".db"), data
            )
    return file


def packed(**members: bytes) -> bytes:
    whole = io.BytesIO()
    pack(whole, **members)  # type: ignore[arg-type]
    return whole.getvalue()


def test_an_archive_is_a_folder_of_documents_also_inside_archives(library: Library, tmp_path: Path) -> None:
    inner = packed(notes__b_md=b"The canteen opens at noon.\n")
    file = pack(tmp_path / "a.zip", leave_md=b"# Leave\n\n27 days.\n", inner_zip=inner, x__Thumbs_db=b"x", dir__x=b"\0")
    reports = told(take(library, file))
    assert reports == {"leave.md": "added", "inner.zip/notes/b.md": "added", "dir/x": "failed"}
    assert library.document("leave.md").source == str(file)


def test_only_changed_entries_are_unpacked_and_vanished_ones_go_with_sync(library: Library, tmp_path: Path) -> None:
    file = pack(tmp_path / "a.zip", a_md=b"Room one.\n", b_md=b"Room two.\n", c_md=b"Room three.\n")
    take(library, file)
    pack(file, a_md=b"Room one.\n", b_md=b"Room four.\n")
    assert told(take(library, file)) == {"a.md": "unchanged", "b.md": "replaced"}
    assert told(take(library, file, sync=True)) == {"a.md": "unchanged", "b.md": "unchanged", "c.md": "removed"}


def test_an_untouched_archive_is_not_even_opened(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pack(tmp_path / "a.zip", a_md=b"Room one.\n")
    take(library, file)
    monkeypatch.setattr(archive.zipfile, "ZipFile", None)
    assert told(take(library, file)) == {"a.md": "unchanged"}


def test_names_in_an_archive_lead_nowhere(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as whole:
        for name in ("../../up.md", "/etc/root.md", "c:\\x\\drive.md", f"{'n' * 300}.md"):
            whole.writestr(name, f"From {name[:9]}.\n")
        link = zipfile.ZipInfo("link.md")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        whole.writestr(link, "/etc/passwd")
    before = set(tmp_path.rglob("*"))
    assert set(told(take(library, file))) == {"up.md", "etc/root.md", "c:/x/drive.md", f"{'n' * 300}.md"}
    assert {one for one in set(tmp_path.rglob("*")) - before if "index" not in one.parts} == set()


def test_bombs_deep_nests_and_damage_are_told(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nest = packed(deepest_md=b"Too deep.\n")
    for _ in range(4):
        nest = packed(deeper_zip=nest)
    bomb = packed(zero_md=b"0" * 60_000_000)
    damaged = packed(a_md=b"Words." * 50).replace(b"PK\x01\x02", b"PK\x09\x09")
    file = pack(tmp_path / "a.zip", nest_zip=nest, bomb_zip=bomb, broken_zip=damaged, fine_md=b"Fine.\n")
    reports = take(library, file)
    assert [one.document for one in reports if one.status == "added"] == ["fine.md"]
    reasons = " ".join(one.reason or "" for one in reports)
    assert all(words in reasons for words in ("go too deep", "unpacks to 60,000,000 bytes", "no ZIP file"))


def test_a_nested_archive_that_cannot_be_opened_removes_nothing(library: Library, tmp_path: Path) -> None:
    file = pack(tmp_path / "a.zip", inner_zip=packed(b_md=b"Room two.\n"), a_md=b"Room one.\n")
    take(library, file)
    pack(file, inner_zip=b"PK\x03\x04 cut off", a_md=b"Room one.\n")
    assert told(take(library, file, sync=True)) == {"inner.zip/": "failed", "a.md": "unchanged"}
    assert len(library.documents()) == 2


# --- addresses --------------------------------------------------------------------------------------------------------


def test_what_is_an_address(tmp_path: Path) -> None:
    pack(tmp_path / "A.ZIP", a_md=b"x")
    for given in ("https://example.com", "http://example.com/a.pdf", "git+/srv/a", tmp_path / "A.ZIP"):
        assert is_address(given)
    for given in (tmp_path, tmp_path / "missing.zip", "leave.md", "https.md"):
        assert not is_address(given)
    with pytest.raises(SettingsError, match="no connector opens it"):
        open_source(tmp_path / "leave.md")


def test_add_takes_files_and_addresses_together(library: Library, tmp_path: Path) -> None:
    (tmp_path / "plain.md").write_text("Plain.\n")
    file = pack(tmp_path / "a.zip", a_md=b"Packed.\n")
    assert told(library.add([file, tmp_path / "plain.md"])) == {"plain.md": "added", "a.md": "added"}
    os.utime(file)  # another time, the same words
    assert told(library.add(str(file))) == {"a.md": "unchanged"}


def test_an_archive_in_a_folder_that_is_added_is_opened_and_its_files_are_documents(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "gate.md").write_text("The gate is closed at nine.")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("bikes.md", "Bikes stand in the shed.")
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("sheds/shed.md", "The shed is locked at ten.")
        archive.writestr("inner.zip", inner.getvalue())
    added = dict.fromkeys(("gate.md", "sheds/shed.md", "inner.zip/bikes.md"), "added")
    assert told(library.add(folder)) == added
    assert told(library.add(folder, sync=True)) == dict.fromkeys(added, "unchanged")
