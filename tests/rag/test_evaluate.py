"""Counting what a question set gave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag.errors import SettingsError
from rag.evaluate import evaluate, load
from rag.types import Answer, Citation, Done, Event, Found, Hit, Message, Passage, Searching


class Fixed:
    """Answers that are known beforehand; the counting is what is tested."""

    def __init__(self, answers: dict[str, tuple[str, bool, str]]) -> None:
        self.answers = answers
        self.histories: list[Sequence[Message]] = []

    def stream(self, question: str, *, history: Sequence[Message], purpose: str) -> Iterator[Event]:
        assert purpose == "evaluated"
        text, abstained, document = self.answers[question]
        self.histories.append(history)
        hits = tuple(
            Hit(Passage(n, n, name, 1, 0, 1, "x", None), 0.5)
            for n, name in enumerate(["f.md"] * 4 + [document, "late.md"])
        )
        cited = () if abstained else (Citation(document, 1, None, 0, 1, "x", 4, 0.9),)
        yield Searching(question)
        yield Found(hits)
        yield Done(Answer(text, abstained, 0.5, cited, "id", "m", 1, {"total": 5.0}, question, question))


ROWS: list[dict[str, Any]] = [
    {"question": "a", "answers": ["15 days"], "documents": ["pages/leave.md"], "answerable": True},
    {"question": "b", "answers": ["15 days"], "documents": ["pages/leave.md"], "answerable": True},
    {"question": "c", "answers": ["15 days"], "documents": ["late.md"], "answerable": True},
    {"question": "d", "answers": [], "documents": [], "answerable": False},
    {"question": "e", "answers": ["15 days"], "documents": [], "answerable": False},  # a trap: nobody should answer it
]
ANSWERS = {
    "a": ("You get 15 days.", False, "18F/pages/leave.md"),
    "b": ("You get 16 days.", False, "18F/pages/leave.md"),
    "c": ("The documents do not say.", True, "other.md"),
    "d": ("The documents do not say.", True, "other.md"),
    "e": ("You get 15 days.", False, "other.md"),
}


def test_right_wrong_and_refused_share_all_rows() -> None:
    report = evaluate(Fixed(ANSWERS), ROWS)
    assert (report.right, report.wrong, report.refused, report.n) == (20.0, 40.0, 40.0, 5)
    assert report.unanswerable_refused == 50.0
    assert report.cited == 100.0  # of the two answered rows that name documents
    assert report.recall_at_5 == pytest.approx(66.7)
    assert [row["outcome"] for row in report.rows] == ["right", "wrong", "refused", "refused", "wrong"]


def test_the_report_keeps_the_contracts_keys_and_every_row() -> None:
    seen: list[tuple[int, int]] = []
    figures = evaluate(Fixed(ANSWERS), ROWS, progress=lambda *at: seen.append(at)).as_dict()
    assert {"right", "wrong", "refused", "unanswerable_refused", "cited", "recall_at_5", "n", "rows"} <= set(figures)
    assert len(figures["rows"]) == 5
    assert seen[-1] == (5, 5)
    json.dumps(figures)


def test_rows_with_a_history_are_asked_as_follow_ups() -> None:
    library = Fixed(ANSWERS)
    evaluate(library, [{**ROWS[0], "history": [{"question": "How long?", "answer": "Long."}]}, ROWS[1]])
    assert library.histories == [[Message("How long?", "Long.")], []]


def test_a_question_file_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n", encoding="utf-8")
    assert load(file) == ROWS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ('{"answers": ["a"]}', "line 2: no question"),
        ('{"question": "Q?"}', "line 2: answerable, but"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps(ROWS[0]) + "\n" + line, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.jsonl: cannot be read"):
        load(tmp_path / "gone.jsonl")


def test_no_rows_give_zeros() -> None:
    report = evaluate(Fixed({}), [])
    assert (report.right, report.wrong, report.refused, report.n) == (0.0, 0.0, 0.0, 0)
