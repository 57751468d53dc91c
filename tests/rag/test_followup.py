"""Follow-ups that stand alone."""

from __future__ import annotations

import pytest

from rag.memory import standalone
from rag.types import Message

LEAVE = [Message("How long is paid parental leave?", "Twelve weeks.")]


@pytest.mark.parametrize(
    ("question", "carried"),
    [
        ("By when do I have to use it?", "paid parental leave"),
        ("And for contractors?", "paid parental leave"),
        ("What about adoption?", "paid parental leave"),
        ("Who approves?", "paid parental leave"),
        ("Is that paid in full?", "paid parental leave"),
    ],
)
def test_a_question_that_leans_on_the_one_before_carries_its_topic(question: str, carried: str) -> None:
    alone = standalone(question, LEAVE)
    assert carried in alone
    assert question.removeprefix("And ").rstrip("?").lower() in alone.lower()  # no word of its own is lost


@pytest.mark.parametrize(
    "question",
    [
        "How many vacation days does a part-time employee get per year?",
        "Where is the lactation room in the Chicago building located?",
        "I lost my laptop on the train and it holds customer data. Whom do I tell about it?",
    ],
)
def test_a_full_question_stays_as_it_is(question: str) -> None:
    assert standalone(question, LEAVE) == question


@pytest.mark.parametrize(
    ("question", "fresh"),
    [
        ("New topic: when did we open in Berlin?", "When did we open in Berlin?"),
        ("Something else. What does POAM mean?", "What does POAM mean?"),
        ("Thanks. Who runs the Writing Lab?", "Who runs the Writing Lab?"),
        ("By the way, what does a coach do?", "What does a coach do?"),
        ("Okay. Which channel is for small purchases, by the way?", "Which channel is for small purchases?"),
    ],
)
def test_a_change_of_subject_is_not_dragged_along(question: str, fresh: str) -> None:
    assert standalone(question, LEAVE) == fresh


def test_thanks_before_a_follow_up_is_no_change_of_subject() -> None:
    assert "parental leave" in standalone("Thanks. Who approves it?", LEAVE)


@pytest.mark.parametrize("question", ["What is it?", "And for contractors?", "New topic: hats?", "  Who  approves? "])
def test_a_first_question_is_unharmed(question: str) -> None:
    assert standalone(question, []) == " ".join(question.split())


def test_what_the_answer_added_is_carried_too() -> None:
    turns = [Message("Which password manager is recommended?", "KeePassXC.")]
    assert "KeePassXC" in standalone("Where does it keep my data?", turns)


def test_a_chain_of_follow_ups_keeps_its_subject() -> None:
    turns = [*LEAVE, Message("And who approves it?", "Your supervisor.")]
    assert "parental leave" in standalone("How long does that take?", turns)


def test_a_long_answer_does_not_drown_the_question() -> None:
    turns = [Message("What is Tock?", "It is " + " ".join(f"word{n}" for n in range(200)))]
    assert len(standalone("Who runs it?", turns).split()) < 30
