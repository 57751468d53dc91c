"""Judging on the command line: words marked, two answers compared, the queue, the bundle. With a real reader, untrained."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rag.cli import main
from rag.library import Library
from rag.library import open as open_library

QUESTION = "How many days of annual leave do full-time employees have?"


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
def run(
    shared_library: Library, untrained_reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:  # fmt: skip
    """Runs a command on a library of one's own; `typed` is what a person types."""
    shared_library.backup(tmp_path / "backup.db")
    with open_library(tmp_path / "index") as library:
        library.restore(tmp_path / "backup.db")

    def command(*arguments: object, typed: str = "") -> Said:
        monkeypatch.setenv("GROUNDLING_INDEX", str(tmp_path / "index"))
        monkeypatch.setenv("GROUNDLING_MODEL", str(untrained_reader))
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Said(int(left.value.code or 0), *capsys.readouterr())

    return command


@pytest.fixture
def answer(run: Run, tmp_path: Path) -> str:
    """An answer in the audit, as `answer.answer` leaves it; no model is needed to judge one."""
    with open_library(tmp_path / "index") as library:
        found = library.search("annual leave", 3)
        places = [
            {"id": hit.passage.id, "document": hit.document, "version": 1, "start": hit.start, "end": hit.end}
            for hit in found
        ]
        cited = {**places[0], "page": None, "quote": found[0].text, "passage": places[0]["id"], "score": 0.9}
        said = {"answer": "Many.", "abstained": False, "citations": [cited]}
        payload = {"question": QUESTION, "standalone": QUESTION, "passages": places, "model": "m", "answer": said}
        return library._parts().audit.record("answer", None, payload)


def test_right_words_are_marked_reviewed_and_exported_as_a_bundle(run: Run, answer: str, tmp_path: Path) -> None:
    made = run(
        "rate", answer, "down", "--reason", "wrong_words", "--document", "leave.md", "--words", "27 days", "--json"
    ).json
    assert made["marked"]["quote"] == "27 days"
    (row,) = run("judgements", "list", "--json").json["judgements"]
    assert (row["question"], row["becomes"]) == (QUESTION, ["retriever pair", "span label"])
    assert made["id"] in run("judgements", "list").out
    shown = run("judgements", "show", made["id"]).out
    assert "right words: leave.md" in shown
    assert "other people: 0 alike, 0 otherwise" in shown
    assert run("judgements", "review", made["id"], "accepted", "--note", "yes").out == f"{made['id']}: accepted\n"
    assert run("judgements", "list", "--json").json["judgements"] == []
    bundled = run("export", "--bundle", tmp_path / "b.zip", "--json").json
    assert (bundled["judgements"], bundled["people"], bundled["left_out"]) == (1, 1, {})
    with zipfile.ZipFile(tmp_path / "b.zip") as opened:
        lines = [line for side in ("train", "held") for line in opened.read(f"rows.{side}.jsonl").splitlines()]
    (start, end), (_, text) = json.loads(lines[0])["spans"][0], json.loads(lines[0])["sources"][0]
    assert text[start:end] == "27 days"
    run("judgements", "withdraw", made["id"])
    said = run("export", "--bundle", tmp_path / "b.zip")
    assert "0 judgements of 0 people" in said.out
    assert "withdrawn.jsonl\t1" in said.out


def test_a_judgement_is_changed_and_waits_again(run: Run, answer: str) -> None:
    made = run("rate", answer, "down", "--json").json["id"]
    run("judgements", "review", made, "rejected")
    said = run("judgements", "edit", made, "--reason", "style", "--correction", "Shorter.", "--json").json
    assert (said["reason"], said["better"], said["state"]) == ("style", "Shorter.", "new")
    assert [
        row["judgement"]["id"] for row in run("judgements", "list", "--text", "shorter", "--json").json["judgements"]
    ] == [made]
    refused = run("judgements", "edit", made)
    assert refused.code == 1
    assert "nothing to change: name --verdict" in refused.err


@pytest.mark.slow
def test_two_answers_are_compared_without_saying_which_is_which(run: Run) -> None:
    answer = str(run("ask", QUESTION, "--json").json["answer_id"])
    said = run("compare", answer, typed="a\n")
    assert said.code == 0, said.err
    assert "a: " in said.out
    assert "b: " in said.out
    assert answer not in said.out
    (row,) = run("judgements", "list", "--reason", "choice", "--json").json["judgements"]
    assert row["judgement"]["side"] == "a"
    assert answer in (row["judgement"]["answer_id"], row["judgement"]["other"])
    pair = row["judgement"]["answer_id"], row["judgement"]["other"]
    again = run("compare", *pair, "--winner", "b", "--json").json
    assert (again["answer_id"], again["other"]) == pair[::-1]
    assert len(run("judgements", "list", "--json").json["judgements"]) == 1
    assert "no such answer of bob" in run("compare", answer, "--person", "bob").err
    run("remove", "security.txt")
    assert "the documents have changed since" in run("compare", answer).err


def test_what_cannot_be_is_one_line_with_the_next_step(run: Run, answer: str) -> None:
    for arguments, message in (
        (("rate", answer, "down", "--words", "27 days"), "--document and --words belong together"),
        (("rate", answer, "down", "--document", "leave.md", "--words", "28 days"), "do not stand there"),
        (("compare", answer, "--winner", "a"), "--winner needs OTHER_ID"),
        (("compare", answer, answer, "--winner", "a"), "are one answer"),
        (("judgements", "review", answer, "accepted"), "no such judgement"),
        (("judgements", "show", "nothing"), "no such judgement"),
        (("judgements", "withdraw", "nothing"), "has not judged it"),
        (("judgements", "list", "--state", "done"), "state is 'done'"),
        (("export", "--bundle", "no/such/folder/b.zip"), "cannot be written"),
        (("export", "--bundle", "b.zip", "--influence", "2"), "influence is 2"),
    ):
        said = run(*arguments)
        assert said.code == 1, arguments
        assert said.err.count("\n") == 1, said.err
        assert message in said.err
