"""The command line: its JSON, its exit codes, its one-line errors, and what people see."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rag.cli import main
from rag.cli.options import duration
from rag.library import Library

ROOT = Path(__file__).resolve().parent.parent.parent


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command in this process; `rag` itself is run in another one below."""

    def command(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Said(int(left.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def index(shared_library: Library, tmp_path: Path) -> Path:
    """A library of one's own, made without embedding anything again."""
    shared_library.backup(tmp_path / "backup.db")
    folder = tmp_path / "index"
    folder.mkdir()
    shutil.copy(tmp_path / "backup.db", folder / "catalogue.db")
    return folder


# --- documents --------------------------------------------------------------------------------------------------------


def test_add_prints_one_entry_for_every_file_met_and_fails_when_one_did_not_go_in(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.md").write_text("# Good\n\nThe canteen opens at noon.\n", "utf-8")
    (folder / "logo.xyz").write_bytes(b"\x00\x01")
    said = run("add", folder, "--index", tmp_path / "index", "--json")
    files = {entry["document"]: entry for entry in said.json["files"]}
    assert list(said.json) == ["files"]
    assert files["good.md"] == {
        "document": "good.md", "status": "added", "passages": 1, "pages_without_text": 0, "reason": None,
    }  # fmt: skip
    assert files["logo.xyz"]["status"] == "failed"
    assert "logo.xyz" in files["logo.xyz"]["reason"]
    assert said.code == 1
    (folder / "logo.xyz").unlink()
    said = run("add", folder, "--index", tmp_path / "index", "--json")
    assert [entry["status"] for entry in said.json["files"]] == ["unchanged"]
    assert said.code == 0


def test_add_tells_people_what_went_in_and_what_did_not(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("# Good\n\nThe canteen opens at noon.\n", "utf-8")
    (tmp_path / "bad.pdf").write_bytes(b"no PDF at all")
    said = run("add", tmp_path / "good.md", tmp_path / "bad.pdf", "--index", tmp_path / "index")
    assert "added     good.md: 1 passages" in said.out
    assert "2 files: 1 added, 1 failed" in said.out
    assert said.err.count("\n") == 1
    assert "bad.pdf" in said.err
    assert said.code == 1


def test_sync_removes_what_vanished_and_plain_add_does_not(run: Run, tmp_path: Path) -> None:
    folder, index = tmp_path / "in", tmp_path / "index"
    folder.mkdir()
    for name in ("one.md", "two.md"):
        (folder / name).write_text(f"# {name}\n\nThe {name} gate closes at eight.\n", "utf-8")
    run("add", folder, "--index", index)
    (folder / "two.md").unlink()
    run("add", folder, "--index", index)
    assert len(run("documents", "--index", index, "--json").json["documents"]) == 2
    said = run("add", folder, "--sync", "--index", index, "--json")
    assert {entry["document"]: entry["status"] for entry in said.json["files"]} == {
        "one.md": "unchanged", "two.md": "removed",
    }  # fmt: skip
    assert [entry["document"] for entry in run("documents", "--index", index, "--json").json["documents"]] == ["one.md"]


def test_a_search_hit_is_where_show_says(run: Run, index: Path) -> None:
    hit = run("search", "annual leave", "-k", "1", "--index", index, "--json").json["hits"][0]
    shown = run("show", hit["document"], "--version", hit["version"], "--index", index, "--json").json
    assert shown["text"][hit["start"] : hit["end"]] == hit["text"]
    assert run("show", hit["document"], "--index", index).out == shown["text"] + "\n"


def test_a_removed_document_is_gone(run: Run, index: Path) -> None:
    assert run("remove", "leave.md", "--index", index, "--json").json["status"] == "removed"
    said = run("show", "leave.md", "--index", index)
    assert said.code == 1
    assert said.err.startswith("rag: leave.md: no such document")
    assert said.err.count("\n") == 1


def test_documents_are_separated_by_tabs_for_programs(run: Run, index: Path) -> None:
    lines = run("documents", "--index", index).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["leave.md", "security.txt", "travel/expenses.md"]


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_misspelt_index_is_no_empty_library(run: Run, tmp_path: Path) -> None:
    said = run("documents", "--index", tmp_path / "hr")
    assert said.code == 1
    assert "no library there. Make one: rag add FOLDER --index" in said.err
    assert not (tmp_path / "hr").exists()


def test_asking_without_a_model_is_one_line_and_code_one(run: Run, index: Path, tmp_path: Path) -> None:
    said = run("ask", "How much leave?", "--index", index, "--model", tmp_path / "none")
    assert said.code == 1
    assert said.err.startswith("rag: ")
    assert said.err.count("\n") == 1
    assert "no model there" in said.err
    assert said.out == ""


def test_a_wrong_strictness_is_named(run: Run, index: Path) -> None:
    said = run("ask", "How much leave?", "--index", index, "--strictness", "harsh")
    assert (said.code, said.err.split(":")[1].strip()) == (1, "strictness is 'harsh'")


def test_arguments_that_make_no_sense_have_code_two(run: Run) -> None:
    assert run("add").code == 2
    assert run("nonsense").code == 2
    assert run("search", "x", "-k", "0").code == 2


# --- quality and upkeep -----------------------------------------------------------------------------------------------


def test_verify_repair_backup_and_restore(run: Run, index: Path, tmp_path: Path) -> None:
    assert run("verify", "--index", index, "--json").json["ok"] is True
    assert run("repair", "--index", index).code == 0
    assert run("backup", tmp_path / "b.db", "--index", index, "--json").json["bytes"] > 0
    said = run("restore", tmp_path / "b.db", "--index", tmp_path / "again", "--json")
    assert said.json["documents"] == 3
    assert run("restore", tmp_path / "b.db", "--index", index).code == 1, "documents are there: --force is needed"
    assert run("restore", tmp_path / "b.db", "--index", index, "--force").code == 0


def test_verify_has_code_one_when_something_is_wrong(run: Run, index: Path) -> None:
    import sqlite3

    with sqlite3.connect(index / "catalogue.db") as db:
        db.execute("update documents set passages = passages + 1 where id = 1")
    said = run("verify", "--index", index)
    assert said.code == 1
    assert "passages. Add the file again" in said.out


def test_rating_an_unknown_answer_is_refused(run: Run, index: Path) -> None:
    said = run("rate", "0000", "up", "--index", index)
    assert (said.code, "answer 0000: no such" in said.err) == (1, True)


def test_export_without_judgements_is_empty(run: Run, index: Path, tmp_path: Path) -> None:
    assert run("export", "--index", index).out == ""
    assert run("export", "--index", index, "--out", tmp_path / "out.jsonl").code == 0
    assert (tmp_path / "out.jsonl").read_text("utf-8") == ""


def test_audit_lists_what_was_added(run: Run, index: Path) -> None:
    rows = run("audit", "--index", index, "--json").json["rows"]
    assert {row["kind"] for row in rows} == {"added"}
    assert {row["about"] for row in rows} == {"leave.md", "security.txt", "travel/expenses.md"}


def test_doctor_gives_every_fault_its_cure(run: Run, tmp_path: Path) -> None:
    said = run("doctor", "--index", tmp_path / "none", "--model", tmp_path / "no-model", "--json")
    findings = {finding["name"]: finding for finding in said.json["findings"]}
    assert said.code == 1
    assert findings["index"]["fix"] == f"rag add FOLDER --index {tmp_path / 'none'}"
    assert findings["model"]["fix"]
    assert findings["python"]["fix"] == ""
    assert "fp32" in findings["embedder"]["found"] or "bf16" in findings["embedder"]["found"]
    assert not (tmp_path / "none").exists(), "a doctor changes nothing"


# --- the program itself -----------------------------------------------------------------------------------------------


def read_all(screen: int) -> str:
    """What a terminal was sent until its last writer closed it."""
    drawn = b""
    with contextlib.suppress(OSError):  # Linux's way to say that nobody writes any more
        while piece := os.read(screen, 65536):
            drawn += piece
    os.close(screen)
    return drawn.decode()


def rag(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rag.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def test_a_reader_that_goes_away_is_no_error(index: Path) -> None:
    command = f"{sys.executable} -c 'from rag.cli import main; main()' show leave.md --index {index} | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_settings_come_from_the_environment(index: Path) -> None:
    done = rag("documents", "--json", env={**os.environ, "GROUNDLING_INDEX": str(index)})
    assert len(json.loads(done.stdout)["documents"]) == 3


def test_progress_is_drawn_for_a_person_and_stays_out_of_the_json(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.md").write_text(f"# {number}\n\nRoom {number} has {number} windows.\n", "utf-8")
    screen, terminal = pty.openpty()
    command = [sys.executable, "-c", "from rag.cli import main; main()", "add", str(tmp_path), "--index"]
    with subprocess.Popen(
        [*command, str(tmp_path / "index")], cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as child:  # fmt: skip
        os.close(terminal)
        drawn = read_all(screen)
        assert child.stdout is not None
        out = child.stdout.read()
    assert "3 files: 3 added" in out
    assert "passages" in drawn
    assert "3/3" in drawn


def test_a_taken_port_is_named_with_the_way_out(index: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = rag("app", "--port", port, "--index", index)
    assert done.returncode == 1
    assert f"port {port} on localhost cannot be used" in done.stderr
    assert f"rag app --port {port + 1}" in done.stderr


@pytest.mark.parametrize(("seconds", "told"), [(9.4, "9 s"), (75, "1 min 15 s"), (7325, "2 h 2 min")])
def test_durations_are_told_in_two_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
