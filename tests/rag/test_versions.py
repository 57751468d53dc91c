"""The models of one library: numbers, the pointer, and a library that follows it without a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.errors import ModelError
from rag.library import Library
from rag.versions import Versions
from tests.miniature import small_library


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("leave.md", b"# Leave\n\nFull-time employees have 27 days of annual leave.\n")
        yield opened


def test_a_version_added_does_not_answer_before_the_switch(tmp_path: Path, untrained_reader: Path) -> None:
    versions = Versions(tmp_path)
    assert versions.current() is None
    assert versions.history() == []
    assert versions.add(untrained_reader, {"bundle": "b1"}) == 1
    assert versions.current() is None
    versions.switch(1, audit="a1")
    assert versions.current() == tmp_path / "models" / "1"
    assert versions.pointer()["audit"] == "a1"
    [version] = versions.history()
    assert (version.number, version.name, version.current) == (1, "untrained", True)
    assert version.about["bundle"] == "b1"
    versions.switch(None)
    assert versions.current() is None


def test_a_number_is_never_given_twice(tmp_path: Path, untrained_reader: Path) -> None:
    versions = Versions(tmp_path)
    assert [versions.add(untrained_reader), versions.add(untrained_reader)] == [1, 2]
    versions.switch(2)
    versions.switch(None)
    (tmp_path / "models" / "2").rename(tmp_path / "elsewhere")
    assert versions.add(untrained_reader) == 3
    with pytest.raises(ModelError, match=r"version 2: not there.*1, 3"):
        versions.switch(2)


def test_unfinished_work_and_links_of_a_candidate_stay_outside(tmp_path: Path, untrained_reader: Path) -> None:
    candidate = tmp_path / "candidate"
    (candidate / ".work").mkdir(parents=True)
    (candidate / ".work" / "rows.jsonl").write_text("{}")
    for file in untrained_reader.iterdir():
        (candidate / file.name).write_bytes(file.read_bytes())
    (candidate / "more").symlink_to("/etc")
    versions = Versions(tmp_path / "index")
    versions.add(candidate)
    assert {file.name for file in (versions.folder / "1").iterdir()} == {
        *(file.name for file in untrained_reader.iterdir()), "version.json"}  # fmt: skip


def test_a_folder_that_is_no_model_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "candidate").mkdir()
    with pytest.raises(ModelError, match=r"no model there \(config.json is missing\)"):
        Versions(tmp_path).add(tmp_path / "candidate")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("said", ["{", "3", '{"version": "../../elsewhere"}', '{"version": 0}', '{"version": true}'])
def test_a_pointer_that_cannot_be_read_names_the_cure(tmp_path: Path, said: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "current.json").write_text(said)
    with pytest.raises(ModelError, match="rag promote --back"):
        Versions(tmp_path).current()
    assert Versions(tmp_path).history() == []
    Versions(tmp_path).switch(None)
    assert Versions(tmp_path).current() is None


def test_a_switch_reaches_an_open_library_with_its_next_question(library: Library, untrained_reader: Path) -> None:
    asked = "How many days of annual leave do full-time employees have?"
    assert library.ask(asked).model == "overlap-1"
    versions = Versions(library.path)
    versions.add(untrained_reader)
    assert library.ask(asked).model == "overlap-1"
    running = library.stream(asked)
    next(running)
    versions.switch(1)
    assert list(running)[-1].answer.model == "overlap-1"  # type: ignore[union-attr]
    assert library.ask(asked).model.startswith("untrained-")
    assert library.status()["model"].startswith("untrained-")


def test_a_version_that_is_gone_is_named_with_the_way_back(library: Library, untrained_reader: Path) -> None:
    versions = Versions(library.path)
    versions.switch(versions.add(untrained_reader))
    (versions.folder / "1").rename(versions.folder / "lost")
    with pytest.raises(ModelError, match=r"models/1: no model there.*rag promote --back"):
        library.ask("How many days?")


def test_the_model_of_the_settings_can_be_asked_for(library: Library, untrained_reader: Path) -> None:
    versions = Versions(library.path)
    versions.switch(versions.add(untrained_reader))
    library._promoted = False
    assert library.ask("How many days?").model == "overlap-1"


PLACED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from rag.versions import Versions
versions = Versions(Path(sys.argv[1]))
versions.switch(versions.add(Path(sys.argv[2])))
second = versions.add(Path(sys.argv[2]))
Path.replace = lambda self, other: os.kill(os.getpid(), signal.SIGKILL)
versions.switch(second)
"""


@pytest.mark.slow  # starts a process
def test_a_kill_between_placing_and_switching_leaves_the_old_one_answering(
    tmp_path: Path, untrained_reader: Path
) -> None:
    arguments = [sys.executable, "-c", PLACED_AND_KILLED, str(tmp_path), str(untrained_reader)]
    done = subprocess.run(arguments, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    versions = Versions(tmp_path)
    assert versions.number() == 1
    assert [version.number for version in versions.history()] == [1, 2]
    versions.switch(2)
    assert versions.number() == 2


COPIED_HALF_AND_KILLED = """
import os, signal, sys, shutil
from pathlib import Path
from rag.versions import Versions
def copied(file, to):
    Path(to).write_bytes(Path(file).read_bytes()[:100])
    os.kill(os.getpid(), signal.SIGKILL)
shutil.copytree.__kwdefaults__, shutil.copytree.__defaults__ = None, (False, None, copied, False, False)
Versions(Path(sys.argv[1])).add(Path(sys.argv[2]))
"""


@pytest.mark.slow  # starts a process
def test_half_a_copy_of_a_killed_process_is_no_version_and_is_swept(tmp_path: Path, untrained_reader: Path) -> None:
    arguments = [sys.executable, "-c", COPIED_HALF_AND_KILLED, str(tmp_path), str(untrained_reader)]
    done = subprocess.run(arguments, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    versions = Versions(tmp_path)
    assert versions.history() == []
    assert list(versions.folder.glob(".adding.*"))
    assert versions.add(untrained_reader) == 1
    assert not list(versions.folder.glob(".adding.*"))
    assert json.loads((versions.folder / "1" / "config.json").read_text())["name"] == "untrained"
