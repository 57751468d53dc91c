"""Memory, retention and pinned questions on the command line: with a real reader whose heads are untrained."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rag.cli import main
from rag.library import Library

QUESTION = "How many days of annual leave do full-time employees have?"


@pytest.fixture
def index(shared_library: Library, tmp_path: Path) -> list[str]:
    """An option that names a library of one's own."""
    shared_library.backup(tmp_path / "backup.db")
    with pytest.raises(SystemExit):
        main(["restore", str(tmp_path / "backup.db"), "--index", str(tmp_path / "index")])
    return ["--index", str(tmp_path / "index")]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert int(left.value.code or 0) == code, (out, err)
    return out, err


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json")[0])


def test_memory_is_kept_listed_changed_and_erased_for_one_person(
    index: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ann = [*index, "--person", "ann"]
    kept = printed(capsys, "remember", "I work in Lisbon", *ann)
    assert printed(capsys, "memory", *ann) == {"remembered": [kept]}
    assert printed(capsys, "memory", *index) == {"remembered": []}
    assert "nothing is remembered under this id" in said(capsys, "forget", kept["id"], *index, code=1)[1]
    said(capsys, "remember", "I work in Porto", "--instead-of", kept["id"], *ann)
    assert f"{kept['id']}\tI work in Porto\t" in said(capsys, "memory", *ann)[0]
    assert said(capsys, "forget", kept["id"], *ann)[0] == "1 erased\n"
    assert said(capsys, "forget", "--everything", *ann)[0] == "0 erased\n"
    assert "name one ID" in said(capsys, "forget", *ann, code=1)[1]
    assert "name one ID" in said(capsys, "forget", "x", "--everything", *ann, code=1)[1]


def test_chat_remembers_lists_and_forgets_without_a_model(
    index: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "Remember that I work in Lisbon.\nWhat do you remember about me?\nForget that I work in Lisbon.\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    out, _ = said(capsys, "chat", *index, "--model", str(tmp_path / "none"))
    told = [line for line in out.splitlines() if line]
    assert told[0].startswith("I will remember, for you alone: “I work in Lisbon”.")
    assert told[1:] == ["Remembered, for you alone: “I work in Lisbon”.", "Erased: “I work in Lisbon”."]


def test_retention_is_said_changed_and_applied(index: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "retention", *index)[0] == "Conversations are kept for ever.\n"
    assert "Conversations are kept 30 days.\nDeleted: 0 conv" in said(capsys, "retention", "--days", "30", *index)[0]
    found = printed(capsys, "retention", "--purge", *index)
    assert found == {
        "days": 30, "own": 30, "limit": 0, "audit_keeps_purged": False,
        "due": {"conversations": 0, "answers": 0}, "purged": {"conversations": 0, "answers": 0},
    }  # fmt: skip
    assert "-1 days: use 1 to 36500" in said(capsys, "retention", "--days", "-1", *index, code=1)[1]


@pytest.mark.slow
def test_a_question_is_pinned_seen_to_drop_and_unpinned(
    index: list[str], untrained_reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [*index, "--model", str(untrained_reader)]
    assert said(capsys, "pinned", *index)[0].startswith("No pinned questions. A thumb up pins")
    out, err = said(capsys, "pin", QUESTION, "--expect", "no answer says this", *both)
    identity = out.split()[0]
    assert "note: what must occur is not in this answer: no answer says this" in err
    out, _ = said(capsys, "pinned", *both)
    assert f"{identity}\tanswered from other words\t{QUESTION}\t\n0 of 1 pinned questions hold.\n" == out
    said(capsys, "pinned", "--run", *both, code=1)
    given = printed(capsys, "ask", QUESTION, *both)
    said(capsys, "pin", "--answer", given["answer_id"], "--instead-of", identity, *both)
    [found] = printed(capsys, "pinned", "--run", *both)["pinned"]
    assert (found["answer_id"], found["holds"], found["waiting"]) == (given["answer_id"], True, False)
    assert said(capsys, "unpin", found["id"], *index)[0] == f"unpinned  {found['id']}\n"
    assert "give a QUESTION, or --answer" in said(capsys, "pin", *both, code=1)[1]
    assert "look at the new answer first" in said(capsys, "pin", "Why?", "--instead-of", "x", *both, code=1)[1]


@pytest.mark.slow
def test_adding_and_removing_tell_how_the_pinned_questions_fare(
    index: list[str], untrained_reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("GROUNDLING_MODEL", str(untrained_reader))
    said(capsys, "pin", QUESTION, "--expect", "no answer says this", *index)
    new = tmp_path / "new.md"
    new.write_text("# New\n\nNothing of interest.\n", "utf-8")
    _, err = said(capsys, "add", str(new), *index)
    assert "pinned questions: 0 of 1 hold\n" in err
    assert f"dropped   {QUESTION} (" in err
    assert "pinned" not in said(capsys, "add", str(new), *index)[1]  # nothing changed
    assert "pinned questions: 0 of 1 hold\n" in said(capsys, "remove", "new.md", *index)[1]
    monkeypatch.setenv("GROUNDLING_MODEL", str(tmp_path / "none"))
    assert "not all were asked again" in said(capsys, "add", str(new), *index)[1]
    assert "1 were not asked yet" in said(capsys, "pinned", *index)[0]
