"""Question sets asked of a model, kept and counted; what people thought over time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag import quality, trend
from rag.catalogue import Catalogue
from rag.errors import GroundlingError, ModelError, NotFound, SettingsError
from rag.figures import Outcome, curve, figures
from rag.library import Library
from rag.lock import WriterLock
from rag.types import Done
from tests.miniature import OverlapReader, put, small_library

LEAVE = "Full-time employees have 27 days of annual leave a year."
HOTEL = "The limit for a hotel is 140 euros a night."
ROWS: list[dict[str, Any]] = [
    {"question": "How many days of annual leave do employees have a year?", "answers": ["27 days"], "documents": ["leave.md"], "answerable": True},
    {"question": "What is the limit for a hotel a night?", "answers": ["190 euros"], "documents": ["hotel.md"], "answerable": True},
    {"question": "Who founded the village?", "answers": [], "documents": [], "answerable": False},
]  # fmt: skip


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = small_library(tmp_path / "index")
    put(library._catalogue, "leave.md", LEAVE)
    put(library._catalogue, "hotel.md", HOTEL)
    yield library
    library.close()


def measured(library: Library, **how: Any) -> Any:
    return library.start_measuring(library.question_rows("checked.jsonl", ROWS), apart=False, **how)


def test_what_was_measured_is_kept_with_intervals_and_each_row_leads_to_its_answer(library: Library) -> None:
    run = measured(library)
    assert (run.state, run.total, run.model, run.name) == ("done", 3, "overlap-1", "checked.jsonl")
    assert [row.outcome for row in run.rows] == ["right", "wrong", "refused"]
    right = run.figures["right"]
    assert (right.value, right.n) == (33.3, 3)
    assert right.low < 33.3 < right.high
    assert run.figures["recall_at_5"].value == 100.0
    assert run.figures["unanswerable_refused"].n == 1
    assert run.figures["f1"].value > 33  # the refusal that was right, and words in common
    question, answer = library.measured_words(run.rows[1]) or ("", "")
    assert question == ROWS[1]["question"]
    assert "140 euros" in answer
    assert run.rows[1].expected == ("190 euros",)
    assert library.answered(run.rows[1].answer_id)["citations"]
    assert library.measurements() == [run]
    assert not list((library.path / "measuring").iterdir())  # the questions lay aside only while they were asked
    assert library.insight(None).totals.asked == 0  # measuring is no asking


def test_the_same_questions_asked_of_two_models_compare(library: Library, tmp_path: Path) -> None:
    first = measured(library)
    assert library._opened is not None
    library._opened.reader = OverlapReader("overlap-2")
    second = measured(library)
    assert first.questions == second.questions
    assert (first.model, second.model) == ("overlap-1", "overlap-2")
    other = library.start_measuring(library.question_rows("other", ROWS[:2]), apart=False)
    assert other.questions != first.questions


def test_a_refusal_counts_on_the_curve_with_what_it_would_have_said() -> None:
    def row(outcome: str, would: str, confidence: float) -> Outcome:
        return Outcome(0, "", True, outcome, would, 0, 0, None, None, confidence, 1.0, ())

    rows = [
        row("right", "right", 0.9),
        row("wrong", "wrong", 0.8),
        row("refused", "right", 0.2),
        row("refused", "", 0.1),
    ]
    points = curve(rows)
    assert [(one.coverage, one.risk) for one in points] == [(25.0, 0.0), (50.0, 50.0), (75.0, 33.3)]
    tied = curve([row("right", "right", 0.5), row("wrong", "wrong", 0.5)])
    assert [(one.coverage, one.risk) for one in tied] == [(100.0, 50.0)]  # equally sure answers are given together
    assert curve([]) == []
    assert figures([]) == {}


class Meddling:
    """A library to which something happens while it is measured."""

    def __init__(self, library: Library, meddle: Any) -> None:
        self.path, self._library, self._meddle, self.asked = library.path, library, meddle, 0

    def stream(self, question: str, **how: Any) -> Iterator[Any]:
        self.asked += 1
        for event in self._library.stream(question, **how):
            if isinstance(event, Done) and self.asked == 1:
                self._meddle()
            yield event


def prepared(library: Library) -> int:
    asked = library.question_rows("checked.jsonl", ROWS)
    return quality.prepare(library._catalogue, library.path, asked, library.settings, person=None)


def test_a_stopped_measurement_keeps_what_was_asked(library: Library) -> None:
    identity = prepared(library)
    quality.measure(Meddling(library, lambda: library.stop_measuring(identity)), library._catalogue, identity)
    run = library.measurement(identity)
    assert (run.state, len(run.rows), run.total) == ("stopped", 1, 3)


def test_a_model_that_changes_in_the_middle_ends_the_measurement(library: Library) -> None:
    identity = prepared(library)

    def promote() -> None:
        assert library._opened is not None
        library._opened.reader = OverlapReader("overlap-2")

    with pytest.raises(ModelError, match="changed from overlap-1 to overlap-2"):
        quality.measure(Meddling(library, promote), library._catalogue, identity)
    run = library.measurement(identity)
    assert run.state == "failed"
    assert "overlap-2" in (run.error or "")


def test_a_second_measurement_waits_for_the_first(library: Library) -> None:
    prepared(library)
    with WriterLock(library.path, name=quality.LOCK).held(), pytest.raises(SettingsError, match="is going on"):
        measured(library)


def test_a_process_that_died_leaves_an_interrupted_measurement_that_blocks_nobody(library: Library) -> None:
    identity = prepared(library)
    assert library.measurement(identity).state == "running"  # it may still be starting
    with library._catalogue.atomic() as db:
        db.execute("update evaluations set began_at = '2026-01-01T00:00:00+00:00'")
    assert library.measurement(identity).state == "interrupted"
    assert measured(library).state == "done"
    library.forget_measurement(identity)
    with pytest.raises(NotFound):
        library.measurement(identity)


def test_erasing_an_answer_takes_the_words_and_what_was_expected(library: Library) -> None:
    run = measured(library)
    library._parts().audit.erase(run.rows[1].answer_id)
    row = library.measurement(run.id).rows[1]
    assert (row.outcome, row.expected) == ("wrong", None)
    assert library.measured_words(row) is None


def test_another_persons_measurement_does_not_exist(library: Library) -> None:
    run = measured(library, person="ann")
    assert [one.id for one in library.measurements(person="ann")] == [run.id]
    assert [one.id for one in library.measurements()] == [run.id]  # the owner's library
    assert library.measurements(person="bob") == []
    for reach in (library.measurement, library.stop_measuring, library.forget_measurement):
        with pytest.raises(NotFound):
            reach(run.id, person="bob")


def test_a_closed_document_is_not_asked_with_somebody_elses_rights(library: Library) -> None:
    put(library._catalogue, "secret.md", "The vault code is 4711.", access=["ann"])
    row = {"question": "What is the vault code?", "answers": ["4711"], "documents": ["secret.md"], "answerable": True}
    asked = library.question_rows("secret", [row])
    assert library.start_measuring(asked, apart=False, person="ann").rows[0].outcome == "right"
    assert library.start_measuring(asked, apart=False, person="bob").rows[0].found is False


# --- question sets of the library -------------------------------------------------------------------------------------


def test_approved_questions_are_right_while_they_rest_on_what_was_approved(library: Library) -> None:
    library.pin_question(ROWS[0]["question"])
    library.pin_question(ROWS[1]["question"], expected=["190 euros"])
    library.pin_question("Who founded the village?")
    asked = library.question_set("pinned")
    run = library.start_measuring(asked, apart=False)
    outcomes = {row["question"]: done.outcome for row, done in zip(asked.rows, run.rows, strict=True)}
    assert outcomes == {
        ROWS[0]["question"]: "right",
        ROWS[1]["question"]: "wrong",
        "Who founded the village?": "refused",
    }
    assert run.figures["unanswerable_refused"].value == 100.0


def test_judged_questions_are_those_of_documents_that_are_kept_from_training(library: Library) -> None:
    subjects = ("kiln", "lathe", "crane", "boiler", "drill", "press", "saw", "mill")
    for subject in subjects:
        put(library._catalogue, f"{subject}.md", f"{subject} {subject} cleaned {subject} by team {subject}-nine.")
        answer = library.ask(f"{subject} {subject} cleaned {subject}")
        library.review(library.rate(answer.answer_id, "up").id, "accepted")
    everything = library.question_set("judged", learnt=True)
    held = library.question_set("judged")
    assert 0 < len(held.rows) < len(everything.rows)
    assert {row["question"] for row in held.rows} < {row["question"] for row in everything.rows}
    assert all(row["answers"] and row["documents"] for row in held.rows)
    with pytest.raises(SettingsError, match="pinned or judged"):
        library.question_set("guessed")


def test_an_empty_set_or_a_broken_row_is_refused_before_anything_is_asked(library: Library) -> None:
    with pytest.raises(SettingsError, match="no such questions yet"):
        library.start_measuring(library.question_set("pinned"), apart=False)
    with pytest.raises(SettingsError, match="no questions"):
        library.question_rows("empty.jsonl", [])
    with pytest.raises(GroundlingError, match="without answers"):
        library.start_measuring(library.question_rows("x", [{"question": "Why?", "answers": []}]), apart=False)


# --- thumbs -----------------------------------------------------------------------------------------------------------


def test_thumbs_are_counted_by_day_and_by_the_model_that_answered(library: Library) -> None:
    first = library.ask(ROWS[0]["question"])
    library.rate(first.answer_id, "up")
    assert library._opened is not None
    library._opened.reader = OverlapReader("overlap-2")
    second = library.ask(ROWS[1]["question"])
    library.rate(second.answer_id, "down", reason="wrong_words")
    catalogue: Catalogue = library._catalogue
    with catalogue.atomic() as db:
        db.execute("update audit set at = '2026-11-02T12:00:00+00:00' where id = ?", (first.answer_id,))
        db.execute("update audit set at = '2026-11-05T12:00:00+00:00' where id = ?", (second.answer_id,))
    found = trend.trend(catalogue)
    assert found.by == "day"
    assert [(one.name[-2:], one.up, one.down) for one in found.steps] == [
        ("02", 1, 0), ("03", 0, 0), ("04", 0, 0), ("05", 0, 1),
    ]  # fmt: skip
    assert [(one.name, one.up, one.down) for one in found.models] == [("overlap-1", 1, 0), ("overlap-2", 0, 1)]
    assert trend.trend(catalogue, person="bob").models == found.models  # nothing here is closed


def test_long_stretches_are_counted_by_month(library: Library) -> None:
    for at in ("2024-11-30T12:00:00+00:00", "2026-11-05T12:00:00+00:00"):
        answer = library.ask(ROWS[0]["question"])
        library.rate(answer.answer_id, "up")
        with library._catalogue.atomic() as db:
            db.execute("update audit set at = ? where id = ?", (at, answer.answer_id))
    found = library.feedback_trend()
    assert (found.by, len(found.steps)) == ("month", 25)
    assert [one.name for one in found.steps[:3]] == ["2024-11-01", "2024-12-01", "2025-01-01"]


def test_a_run_as_json_holds_no_words(library: Library) -> None:
    said = json.dumps(measured(library).as_dict())
    assert "hotel" not in said
    assert "recall_at_5" in said
