"""Folders that are followed: when a file is read, what a restart costs, and what is never removed."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag import parse
from rag.cli import main
from rag.connect import watch
from rag.connect.folder import Folder
from rag.connect.source import Options
from rag.connect.taking import take_from
from rag.errors import SettingsError
from rag.library import Library
from rag.types import FileReport
from tests.miniature import small_library

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr("rag.ingest._workers", lambda waiting: 0)  # files are read in this process: no child to start
    with small_library(tmp_path / "index") as library:
        yield library


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    (folder / "travel").mkdir(parents=True)
    write(folder / "leave.md", "Everybody has 27 days.\n")
    write(folder / "travel" / "hotels.md", "The limit is 140 euros.\n")
    return folder


def write(file: Path, text: str, age: float = 60.0) -> None:
    """A file that was written so many seconds ago."""
    file.write_text(text, "utf-8")
    os.utime(file, (time.time() - age, time.time() - age))


def look(library: Library, folder: Folder, *, sync: bool = False) -> dict[str, str]:
    reports = take_from(library._parts(), folder, sync=sync, quiet=True)
    return {report.document: report.status for report in reports}


def test_what_is_written_changed_and_deleted_is_followed(library: Library, folder: Path) -> None:
    watched = Folder(folder, Options())
    assert look(library, watched) == {"leave.md": "added", "travel/hotels.md": "added"}
    assert look(library, watched) == {}
    write(folder / "leave.md", "Everybody has 30 days.\n")
    write(folder / "new.md", "The canteen opens at noon.\n")
    (folder / "travel" / "hotels.md").unlink()
    assert look(library, watched) == {"leave.md": "replaced", "new.md": "added"}
    assert look(library, watched, sync=True) == {"travel/hotels.md": "removed"}


def test_a_restart_reads_only_what_is_new_since(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(library, Folder(folder, Options()))
    write(folder / "new.md", "The canteen opens at noon.\n")
    read: list[str] = []
    real = parse.digest
    monkeypatch.setattr("rag.ingest.digest", lambda path: read.append(path.name) or real(path))
    monkeypatch.setattr("rag.parse.digest", lambda path: read.append(path.name) or real(path))
    assert look(library, Folder(folder, Options())) == {"new.md": "added"}
    assert set(read) == {"new.md"}


def test_a_watched_folder_and_an_added_one_are_the_same(library: Library, folder: Path) -> None:
    library.add(folder)
    assert look(library, Folder(folder, Options())) == {}
    assert {report.status for report in library.add(folder)} == {"unchanged"}
    assert len(library.documents()) == 2


def test_a_file_that_is_being_written_waits_until_it_rests(library: Library, folder: Path) -> None:
    watched = Folder(folder, Options())
    look(library, watched)
    write(folder / "long.md", "Half a sen", age=0)
    assert look(library, watched) == {}
    write(folder / "long.md", "Half a sentence is no sentence.\n", age=0)
    assert look(library, watched) == {}
    assert look(library, watched) == {"long.md": "added"}
    assert library.document("long.md").text == "Half a sentence is no sentence."


def test_a_file_whose_clock_is_ahead_is_read_all_the_same(library: Library, folder: Path) -> None:
    watched = Folder(folder, Options())
    write(folder / "tomorrow.md", "Written tomorrow.\n", age=-86_400)
    look(library, watched)
    assert look(library, watched) == {"tomorrow.md": "added"}


def test_an_unreadable_file_is_told_once_until_it_changes(library: Library, folder: Path) -> None:
    write(folder / "broken.json", "\0\1\2")
    watched = Folder(folder, Options())
    assert look(library, watched)["broken.json"] == "failed"
    assert look(library, watched) == {}
    write(folder / "broken.json", '{"canteen": "opens at noon"}')
    assert look(library, watched) == {"broken.json": "added"}


@pytest.mark.parametrize("trouble", ["empty", "away"])
def test_a_folder_that_is_empty_or_away_removes_nothing(trouble: str, library: Library, folder: Path) -> None:
    watched = Folder(folder, Options())
    look(library, watched)
    folder.rename(folder.with_name("elsewhere"))
    if trouble == "empty":
        folder.mkdir()
    assert look(library, watched, sync=True) == {str(folder): "failed"}
    assert len(library.documents()) == 2


@contextmanager
def rights_count() -> Iterator[None]:
    """The administrator reads what its rights close to him by two capabilities of Linux; this thread goes without."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3; effective comes first
    assert libc.capget(header, sets) == 0
    before = sets[0]
    sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


@pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="the administrator may read everything")
def test_a_folder_that_may_not_be_read_removes_nothing(library: Library, folder: Path) -> None:
    look(library, Folder(folder, Options()))
    (folder / "travel").chmod(0)
    with rights_count():
        assert look(library, Folder(folder, Options()), sync=True) == {"travel/": "failed"}
    (folder / "travel").chmod(0o755)
    assert len(library.documents()) == 2


def test_what_is_not_asked_for_stays_as_it_is(library: Library, folder: Path) -> None:
    library.add(folder)
    (folder / "leave.md").unlink()
    (folder / "travel" / "hotels.md").unlink()
    write(folder / "new.md", "New.\n")
    assert look(library, Folder(folder, Options(only=("travel/*", "new.md"))), sync=True) == {
        "new.md": "added",
        "travel/hotels.md": "removed",
    }
    assert {document.name for document in library.documents()} == {"leave.md", "new.md"}


def test_readers_named_for_a_watch_are_set_also_where_nothing_changed(library: Library, folder: Path) -> None:
    library.add(folder)
    for _ in library.watch(folder, access=("ada",), stop=threading.Event(), every=0.01):
        break
    assert library.documents(person="ben") == []
    assert len(library.documents(person="ada")) == 2


def test_the_rounds_tell_changes_and_a_lasting_trouble_once(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SHARE", 0)
    stop = threading.Event()
    rounds = library.watch([folder], every=0.01, stop=stop)
    assert [report.status for report in next(rounds)] == ["added", "added"]
    away = folder.with_name("elsewhere")
    folder.rename(away)
    (trouble,) = next(rounds)
    assert "its documents stay" in (trouble.reason or "")
    timer = threading.Timer(0.1, lambda: (write(away / "new.md", "New.\n"), away.rename(folder)))
    timer.start()
    told = [(report.status, report.reason) for report in next(rounds)]
    timer.join()
    assert told == [("added", None), ("unchanged", "can be reached again")]
    stop.set()
    assert list(rounds) == []


def test_a_pause_grows_with_the_look_before_it(library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            self.set()
            return True

    def slow(*arguments: object, **named: object) -> list[FileReport]:
        time.sleep(0.02)
        return []

    monkeypatch.setattr(watch, "take_from", slow)
    list(watch.rounds(library._parts, [Folder(folder, Options())], stop=Stop(), every=0.01))
    assert 0.3 < waits[0] <= watch.LONGEST_S


def test_an_address_nobody_opens_is_refused_before_watching(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no connector opens it"):
        next(library.watch([tmp_path / "nowhere"]))


def test_the_command_looks_once_for_a_scheduler(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.ingest._workers", lambda waiting: 0)
    monkeypatch.setattr("rag.cli.watching.library", lambda *_, **__: small_library(tmp_path / "index"))
    write(folder / "x.bin", "\0")
    for code, words in ((1, "added     leave.md: 1 passages"), (1, "")):
        with pytest.raises(SystemExit) as left:
            main(["watch", str(folder), "--once"])
        said = capsys.readouterr()
        assert left.value.code == code
        assert words in said.out
        assert "no reader for '.bin'" in said.err
    with pytest.raises(SystemExit):
        main(["watch", str(folder), "--once", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] == "failed"


@pytest.mark.slow
def test_the_command_follows_a_folder_until_it_is_told_to_end(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from rag.cli import main; main()", "watch", str(folder), "--sync", "--index"]
    with subprocess.Popen(
        [*command, str(tmp_path / "index"), "--every", "0.1"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as child:  # fmt: skip
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        assert "added     leave.md" in next(lines)
        assert "added     travel/hotels.md" in next(lines)
        assert "watching" in next(lines)
        (folder / "leave.md").unlink()
        assert "removed   leave.md" in next(lines)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
