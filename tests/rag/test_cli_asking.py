"""Asking on the command line, judging, replaying, evaluating: with a real reader whose heads are untrained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rag.cli import main
from rag.library import Library

ROOT = Path(__file__).resolve().parent.parent.parent
QUESTION = "How many days of annual leave do full-time employees have?"


@pytest.fixture
def asking(shared_library: Library, untrained_reader: Path, tmp_path: Path) -> list[str]:
    """Options that name a library of one's own and the model."""
    shared_library.backup(tmp_path / "backup.db")
    with pytest.raises(SystemExit):
        main(["restore", str(tmp_path / "backup.db"), "--index", str(tmp_path / "index")])
    return ["--index", str(tmp_path / "index"), "--model", str(untrained_reader)]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert int(left.value.code or 0) == code
    return capsys.readouterr().out


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, "ask", *arguments, "--json"))


def test_every_quotation_stands_in_the_document_that_show_prints(
    asking: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = asked(capsys, QUESTION, *asking)
    assert not answer["abstained"]
    assert answer["citations"]
    for cited in answer["citations"]:
        shown = json.loads(
            said(capsys, "show", cited["document"], "--version", str(cited["version"]), *asking[:2], "--json")
        )
        assert shown["text"][cited["start"] : cited["end"]] == cited["quote"]
    assert answer["model"].startswith("untrained-")
    assert answer["question"] == answer["standalone_question"] == QUESTION


def test_people_see_the_answer_then_its_quotations_with_their_place(
    asking: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = asked(capsys, QUESTION, *asking)
    lines = said(capsys, "ask", QUESTION, *asking).splitlines()
    assert lines[0] == answer["answer"].splitlines()[0]
    assert f"[1] {answer['citations'][0]['document']}" in lines
    assert f"    {answer['citations'][0]['quote'].splitlines()[0]}" in lines


def test_a_refusal_is_an_answer_and_names_the_nearest(asking: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(capsys, QUESTION, *asking, "--strictness", "1")
    assert answer["abstained"]
    assert answer["citations"] == []
    assert 1 <= len(answer["nearest"]) <= 3
    told = said(capsys, "ask", QUESTION, *asking, "--strictness", "1")
    assert told.startswith(answer["answer"] + "\n")
    assert f"nearest: {answer['nearest'][0]['document']}" in told
    assert "confidence" in told


def test_a_chat_shows_how_it_understood_a_follow_up(asking: list[str]) -> None:
    command = [sys.executable, "-c", "from rag.cli import main; main()", "chat", *asking]
    done = subprocess.run(
        command, cwd=ROOT, input=f"{QUESTION}\nAnd part-time employees?\n", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    searching = [line for line in done.stdout.splitlines() if line.startswith("(searching: ")]
    assert len(searching) == 1, "the first question is not rewritten, the second is"
    assert "part-time" in searching[0].casefold()
    assert "leave" in searching[0]
    assert done.stdout.count("[1] ") >= 2


@pytest.mark.slow  # another process loads the model
def test_how_a_follow_up_is_understood_can_be_changed_in_a_chat(asking: list[str]) -> None:
    command = [sys.executable, "-c", "from rag.cli import main; main()", "chat", "--edit", *asking]
    typed = f"{QUESTION}\nAnd part-time employees?\nHow many days can be carried over?\nAnd sick leave?\n\n"
    done = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    understood = [line for line in done.stdout.splitlines() if line.startswith("(understood as: ")]
    searched = [line for line in done.stdout.splitlines() if line.startswith("(searching: ")]
    assert len(understood) == 2, "the first question is no follow-up"
    assert searched[0] == "(searching: How many days can be carried over?)"
    assert searched[1] == understood[1].replace("understood as", "searching"), "an empty line keeps the rewrite"


def test_an_answer_is_judged_exported_listed_and_replayed(
    asking: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    index = asking[:2]
    answer = asked(capsys, QUESTION, *asking)
    identity = answer["answer_id"]
    judged = json.loads(said(capsys, "rate", identity, "down", "--reason", "wrong_words", *index, "--json"))
    assert (judged["verdict"], judged["reason"]) == ("down", "wrong_words")
    said(capsys, "export", "--out", str(tmp_path / "judged.jsonl"), *index)
    rows = [json.loads(line) for line in (tmp_path / "judged.jsonl").read_text("utf-8").splitlines()]
    assert [(row["answer_id"], row["question"]) for row in rows] == [(identity, QUESTION)]
    assert identity in said(capsys, "audit", "--last", "1", *index)
    replayed = json.loads(said(capsys, "replay", identity, *asking, "--json"))
    assert replayed["same"]
    assert replayed["changed"] == []
    assert replayed["now"]["answer_id"] != identity


def test_a_replay_over_other_documents_says_what_changed(asking: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked(capsys, QUESTION, *asking)
    said(capsys, "remove", answer["citations"][0]["document"], *asking[:2])
    replayed = json.loads(said(capsys, "replay", answer["answer_id"], *asking, "--json", code=1))
    assert not replayed["same"]
    assert replayed["changed"][0].startswith("index generation: ")


def test_evaluate_prints_percentages_and_keeps_every_row(
    asking: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [
        {"question": QUESTION, "answers": ["27"], "documents": ["leave.md"], "answerable": True},
        {"question": "Who is the president of France?", "answers": [], "documents": [], "answerable": False},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    figures = json.loads(said(capsys, "evaluate", str(file), *asking, "--strictness", "1", "--json"))
    text = (ROOT / "docs" / "contracts.md").read_text("utf-8")
    assert list(figures) == list(json.loads(text.partition("contract: evaluate -->\n```json\n")[2].partition("```")[0]))
    assert (figures["refused"], figures["unanswerable_refused"], figures["n"]) == (100.0, 100.0, 2)
    assert figures["recall_at_5"] == 100.0
    assert [row["outcome"] for row in figures["rows"]] == ["refused", "refused"]


def test_evaluate_names_the_line_that_is_wrong(asking: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "A?", "answers": ["a"]}\n{nonsense\n', "utf-8")
    command = [
        sys.executable,
        "-c",
        "from rag.cli import main; main()",
        "evaluate",
        str(tmp_path / "bad.jsonl"),
        *asking,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "bad.jsonl, line 2: not JSON" in done.stderr
