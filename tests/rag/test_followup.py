"""Follow-ups that stand alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.memory import standalone
from rag.types import Done, Message, Searching
from tests.miniature import small_library

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
        "On which day is the bonus that was promised in spring paid out?",
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
    assert standalone("Who runs it?", turns) == "Who runs it? (Tock)"


ANNUAL = [
    Message(
        "How many days of annual leave do I have?",
        "Full-time employees have 26 working days of paid annual leave a year.",
    )
]


@pytest.mark.parametrize(
    ("turn", "asked", "shown"),
    [
        (ANNUAL[0], "How many can I carry over?", "How many can I carry over? (days of annual leave)"),
        (ANNUAL[0], "And for contractors?", "For contractors? (days of annual leave)"),
        (
            Message("What must a project lead send out every week?", "The Weekly Ship. It tells the team's news."),
            "Which channel does it go in?",
            "Which channel does it go in? (project lead; Weekly Ship)",
        ),
        (
            Message("How do I reserve a locker in Chicago?", "Write to lockers@example.com."),
            "How long can I keep it?",
            "How long can I keep it? (locker in Chicago)",
        ),
        (
            Message("What happens to unused annual leave?", "Some of it can be carried over."),
            "What is the date?",
            "What is the date? (unused annual leave)",
        ),
        (Message("How many days can be carried over?", "Up to 5."), "Until when?", "Until when? (days carried)"),
        (
            Message("Is the New York lactation room bookable?", "Ideally yes."),
            "Where is it?",
            "Where is it? (New York lactation room)",
        ),
        (
            Message("What may a room cost per night when I travel to Portugal?", "128 euros."),
            "What about Norway?",
            "What about Norway? (room cost per night)",
        ),
        (Message("Who decides?", "The staffing team."), "Where do they sit?", "Where do they sit? (staffing team)"),
    ],
)
def test_what_is_carried_reads_like_a_note(turn: Message, asked: str, shown: str) -> None:
    assert standalone(asked, [turn]) == shown


@pytest.mark.parametrize(
    "question",
    [
        "How do I report a lost laptop?",
        "And how do I report a lost laptop?",
        "Who approves overtime?",
        "What does QASP stand for?",
        "How do I get a badge?",
        "How often does 18F bill its clients?",
        "How long does it take to set up a detail?",
        "What does one team member cost per week?",
        "How quickly must GSA IT hear of an incident?",
        "I need a spreadsheet just for one afternoon. How do I get at it?",
        "Two offices want to work for each other. Which document records that?",
        "Which lawyer outside the company takes reports about misconduct?",
    ],
)
def test_a_question_with_its_own_subject_is_not_dragged_to_the_old_one(question: str) -> None:
    assert standalone(question, ANNUAL) == question


@pytest.mark.parametrize(
    "question",
    [
        "When?",
        "Tell me more",
        "Which channel would I still see?",
        "How long may the decision take?",
        "Who looks after the status report on them?",
        "Can people from other agencies write too?",
        "How often does it have to be renewed?",
        "How often does its password change?",
    ],
)
def test_a_question_without_a_subject_of_its_own_is_given_the_old_one(question: str) -> None:
    assert standalone(question, ANNUAL) == f"{question} (days of annual leave)"


def test_a_note_is_short_however_long_the_question_was() -> None:
    turns = [Message("Which " + " ".join(f"noun{n}" for n in range(50)) + " do I need?", "Some " + "thing " * 90)]
    assert len(standalone("Who runs it?", turns).split()) <= 3 + 8


# --- edited by the person who asks ------------------------------------------------------------------------------------

RULES = "Paid parental leave lasts 12 weeks.\n\nContractors get no paid holiday.\n\nThe canteen opens at noon.\n"


def test_a_rewrite_can_be_changed_before_it_is_asked_and_is_audited_compared_and_replayed_so(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(RULES, "utf-8")
    with small_library(tmp_path / "index") as library:
        library.add(tmp_path / "rules.txt")
        assert library.rewritten("And for contractors?", LEAVE) == "For contractors? (paid parental leave)"
        meant = "Do contractors get paid holiday or bonuses?"
        events = list(library.stream("And for contractors?", history=LEAVE, standalone=f"  {meant} "))
        assert isinstance(events[0], Searching)
        assert events[0].question == meant
        done = events[-1]
        assert isinstance(done, Done)
        assert (done.answer.question, done.answer.standalone) == ("And for contractors?", meant)
        assert "no paid holiday" in done.answer.text
        assert library.audited(done.answer.answer_id)["standalone"] == meant
        assert library.replay(done.answer.answer_id).same
        second = library.second_answer(done.answer.answer_id, settings={"strictness": 1.0})
        assert second is not None
        assert (second.standalone, second.abstained) == (meant, True)


def test_an_empty_change_leaves_the_rewrite_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(RULES, "utf-8")
    with small_library(tmp_path / "index") as library:
        library.add(tmp_path / "rules.txt")
        given = library.ask("And for contractors?", history=LEAVE, standalone="  ")
        assert given.standalone == "For contractors? (paid parental leave)"


def test_full_questions_keep_their_own_subject_after_turns_about_something_else() -> None:
    file = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "questions" / "filings.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    asked = [" ".join(row["question"].split()) for row in rows]
    assert [standalone(question, []) for question in asked] == asked, "first questions"
    dragged = [
        question
        for at, question in enumerate(asked)
        for apart in (1, 7, 13)
        if standalone(question, [Message(asked[at - apart], "The documents do not say.")]) != question
    ]
    assert len(dragged) <= 3, f"{len(dragged)} of {3 * len(asked)}: {dragged}"
