"""Conversations are stored, found again, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import memory
from rag.catalogue import Catalogue
from rag.errors import NotFound, SettingsError
from rag.types import Answer, Citation, Message


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def answer(question: str, text: str, *, abstained: bool = False) -> Answer:
    cited = () if abstained else (Citation("leave.md", 1, 3, 0, 7, "15 days\nof leave", 1, 0.9),)
    return Answer(text, abstained, 0.8, cited, "id", "model", 1, {"total": 1.0}, question, question + " (leave)",
                  reason="Nothing was found." if abstained else None)  # fmt: skip


def test_turns_survive_reopening_in_their_order(tmp_path: Path, catalogue: Catalogue) -> None:
    made = memory.create(catalogue)
    for number in range(3):
        memory.append(catalogue, made.id, answer(f"Question {number}?", f"Answer {number}."))
    catalogue.close()
    found = memory.conversation(Catalogue(tmp_path / "catalogue.db"), made.id)
    assert [turn["question"] for turn in found.turns] == ["Question 0?", "Question 1?", "Question 2?"]
    assert found.turns[2]["standalone"] == "Question 2? (leave)"
    assert found.turns[2]["answer"]["citations"][0]["quote"] == "15 days\nof leave"
    assert memory.history(found) == tuple(Message(f"Question {n}?", f"Answer {n}.") for n in range(3))
    assert memory.history(found, before=1) == (Message("Question 0?", "Answer 0."),)


def test_the_first_question_becomes_the_title_unless_there_is_one(catalogue: Catalogue) -> None:
    long = "How " + "very " * 40 + "long?"
    plain, titled = memory.create(catalogue), memory.create(catalogue, title=" My   leave ")
    for made in (plain, titled):
        memory.append(catalogue, made.id, answer(long, "Yes."))
        memory.append(catalogue, made.id, answer("Second?", "No."))
    assert memory.conversation(catalogue, plain.id).title.startswith("How very")
    assert len(memory.conversation(catalogue, plain.id).title) <= memory.TITLE
    assert memory.conversation(catalogue, titled.id).title == "My leave"


def test_conversations_are_listed_latest_first_and_found_by_their_words(catalogue: Catalogue) -> None:
    first, second = memory.create(catalogue), memory.create(catalogue)
    memory.append(catalogue, second.id, answer("How is rain measured?", "In millimetres."))
    memory.append(catalogue, first.id, answer("How much leave?", "Fifteen days, says ÄRA."))
    assert [one.id for one in memory.conversations(catalogue)] == [first.id, second.id]
    assert [one.id for one in memory.conversations(catalogue, search="DAYS leave")] == [first.id]
    assert [one.id for one in memory.conversations(catalogue, search="ära")] == [first.id]
    assert memory.conversations(catalogue, search="leave rain") == []
    assert memory.conversations(catalogue, search="100%") == []


def test_nobody_reaches_another_persons_conversation(catalogue: Catalogue) -> None:
    made = memory.create(catalogue, person="ann")
    assert memory.conversations(catalogue, person="bob") == []
    for reach in (
        lambda: memory.conversation(catalogue, made.id, person="bob"),
        lambda: memory.append(catalogue, made.id, answer("Q?", "A."), person="bob"),
        lambda: memory.rename(catalogue, made.id, "mine", person="bob"),
        lambda: memory.delete(catalogue, made.id, person="bob"),
    ):
        with pytest.raises(NotFound, match="no such conversation"):
            reach()
    assert memory.conversation(catalogue, made.id, person="ann").turns == ()


def test_rename_and_delete(catalogue: Catalogue) -> None:
    made = memory.create(catalogue)
    memory.append(catalogue, made.id, answer("Q?", "A."))
    memory.rename(catalogue, made.id, "Leave")
    assert memory.conversation(catalogue, made.id).title == "Leave"
    with pytest.raises(SettingsError, match="at least one letter"):
        memory.rename(catalogue, made.id, "  ")
    memory.delete(catalogue, made.id)
    assert memory.conversations(catalogue) == []
    assert catalogue.db.execute("select count(*) from turns").fetchone()[0] == 0


def test_export_holds_questions_answers_quotations_and_reasons(catalogue: Catalogue) -> None:
    made = memory.create(catalogue, title="Leave")
    memory.append(catalogue, made.id, answer("How much?", "15 days."))
    memory.append(catalogue, made.id, answer("Why?", "The documents do not say.", abstained=True))
    text = memory.export(memory.conversation(catalogue, made.id))
    for part in ("# Leave", "## How much?", "15 days.", "> 15 days\n> of leave", "[1] leave.md, page 3, version 1",
                 "Nothing was found."):  # fmt: skip
        assert part in text
    json.dumps(text)
