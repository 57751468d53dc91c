"""Judgements are typed, tied to an audited answer, one a person."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rag import commit, feedback
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound, SettingsError
from rag.schema import MIGRATIONS
from tests.miniature import put

WORDS = "Leave is 20 days. Half a day counts. Half a day counts."


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    put(opened, "leave.md", WORDS)
    put(opened, "board.md", "The board meets in May.", access=["ada"])
    yield opened
    opened.close()


def record(catalogue: Catalogue, document: str = "leave.md", question: str = "How much leave?") -> str:
    """An answer in the audit, as `answer.answer` would leave it."""
    cited = {"document": document, "version": 1, "start": 0, "end": 17, "quote": "Leave is 20 days."}
    payload = {
        "question": "How much?", "standalone": question, "passages": [{"id": 1}], "model": "m",
        "answer": {"answer": "15 days.", "abstained": False, "citations": [cited]},
    }  # fmt: skip
    return Audit(catalogue).record("answer", "local", payload)


@pytest.fixture
def answered(catalogue: Catalogue) -> str:
    return record(catalogue)


def test_a_judgement_is_stored_and_exported_with_what_was_judged(catalogue: Catalogue, answered: str) -> None:
    feedback.rate(catalogue, answered, "down", reason="wrong_words", correction="  20 days ")
    (row,) = feedback.export(catalogue)
    assert (row["verdict"], row["reason"], row["better"]) == ("down", "wrong_words", "20 days")
    assert (row["question"], row["answer"]) == ("How much?", "15 days.")
    assert row["citations"][0]["quote"] == "Leave is 20 days."


def test_a_new_judgement_replaces_the_persons_earlier_one_only(catalogue: Catalogue, answered: str) -> None:
    feedback.rate(catalogue, answered, "up")
    feedback.rate(catalogue, answered, "up", person="ann")
    feedback.rate(catalogue, answered, "down", reason="style")
    found = {(made.person, made.verdict) for made in feedback.judgements(catalogue)}
    assert found == {("local", "down"), ("ann", "up")}
    assert [made.person for made in feedback.judgements(catalogue, verdict="up")] == ["ann"]


def test_a_judgement_can_be_withdrawn_once(catalogue: Catalogue, answered: str) -> None:
    feedback.rate(catalogue, answered, "up")
    feedback.withdraw(catalogue, answered)
    assert feedback.judgements(catalogue) == []
    with pytest.raises(NotFound, match="has not judged it"):
        feedback.withdraw(catalogue, answered)


def test_unknown_answers_verdicts_and_reasons_are_refused(catalogue: Catalogue, answered: str) -> None:
    with pytest.raises(NotFound, match="nothing: no such answer"):
        feedback.rate(catalogue, "nothing", "up")
    with pytest.raises(SettingsError, match="verdict is 'great'"):
        feedback.rate(catalogue, answered, "great")
    with pytest.raises(SettingsError, match="reason is 'bad': use one of passage_missed"):
        feedback.rate(catalogue, answered, "down", reason="bad")
    change = Audit(catalogue).record("added", "local", {"document": "a.md"})
    with pytest.raises(NotFound, match="no such answer"):
        feedback.rate(catalogue, change, "up")
    assert feedback.judgements(catalogue) == []


def test_an_erased_answer_is_not_exported(catalogue: Catalogue, answered: str) -> None:
    feedback.rate(catalogue, answered, "up")
    Audit(catalogue).erase(answered)
    assert feedback.export(catalogue) == []
    assert len(feedback.judgements(catalogue)) == 1


# --- marked words -----------------------------------------------------------------------------------------------------


def test_the_right_words_are_kept_as_a_place_and_read_out_of_the_document(catalogue: Catalogue, answered: str) -> None:
    made = feedback.rate(
        catalogue, answered, "down", reason="wrong_words", marked={"document": "leave.md", "quote": "20 days"}
    )
    assert made.marked is not None
    assert (made.marked.start, made.marked.end, made.marked.quote) == (9, 16, "20 days")
    assert feedback.judgement(catalogue, made.id) == made
    commit.remove(catalogue, catalogue.document("leave.md"))
    gone = feedback.judgement(catalogue, made.id).marked
    assert gone is not None
    assert gone.quote == "", "no copy of the words outlives the document"
    assert "20 days" not in str(catalogue.db.execute("select * from judgements").fetchall())


@pytest.mark.parametrize(
    ("marked", "message"),
    [
        ({"document": "leave.md", "start": 9, "end": 16, "quote": "21 days"}, "are '20 days', not '21 days'"),
        ({"document": "leave.md", "quote": "21 days"}, "do not stand there"),
        ({"document": "leave.md", "quote": "Half a day"}, "stand there 2 times"),
        ({"document": "leave.md", "start": 50, "end": 999}, "hold no words"),
        ({"document": "leave.md", "start": 8, "end": 9}, "hold no words"),
        ({"document": "leave.md", "start": 5}, "needs its words"),
    ],
)
def test_words_that_do_not_stand_there_are_refused(
    catalogue: Catalogue, answered: str, marked: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        feedback.rate(catalogue, answered, "down", marked=marked)
    assert feedback.judgements(catalogue) == []


def test_nobody_marks_or_judges_what_they_may_not_read(catalogue: Catalogue, answered: str) -> None:
    secret = {"document": "board.md", "quote": "May"}
    feedback.rate(catalogue, answered, "down", marked=secret, person="ada")
    with pytest.raises(NotFound, match=r"board.md: no such document"):
        feedback.rate(catalogue, answered, "down", marked=secret, person="bob")
    about_the_board = record(catalogue, "board.md")
    feedback.rate(catalogue, about_the_board, "up", person="ada")
    with pytest.raises(NotFound, match="no such answer"):
        feedback.rate(catalogue, about_the_board, "up", person="bob")


def test_closing_a_document_closes_what_its_former_version_said(catalogue: Catalogue, answered: str) -> None:
    put(catalogue, "leave.md", "Leave is 25 days.")
    feedback.rate(catalogue, answered, "up", person="bob")
    commit.set_access(catalogue, catalogue.document("leave.md"), ["ada"])
    with pytest.raises(NotFound, match="no such answer"):
        feedback.rate(catalogue, answered, "down", person="bob")
    put(catalogue, "open.md", "Leave is 20 days.")
    former = {"document": "leave.md", "version": 1, "quote": "20 days"}
    still_open = record(catalogue, "open.md")
    with pytest.raises(NotFound, match="no such document"):
        feedback.rate(catalogue, still_open, "down", marked=former, person="bob")


# --- editing, withdrawing, erasing ------------------------------------------------------------------------------------


def test_an_edited_judgement_is_new_again(catalogue: Catalogue, answered: str) -> None:
    made = feedback.rate(catalogue, answered, "down", reason="style", person="ann")
    with catalogue.atomic() as db:
        db.execute("update judgements set state = 'accepted', reviewer = 'bob'")
    changed = feedback.edit(catalogue, made.id, {"reason": "outdated", "better": " 25 days "}, person="ann")
    assert (changed.reason, changed.better, changed.state, changed.reviewer) == ("outdated", "25 days", "new", None)
    assert (changed.editor, changed.at, changed.verdict) == ("ann", made.at, "down")
    assert feedback.edit(catalogue, made.id, {"better": ""}, person="ann").better is None


def test_a_judgement_is_edited_and_withdrawn_by_its_own_person_only(catalogue: Catalogue, answered: str) -> None:
    made = feedback.rate(catalogue, answered, "down", person="ann")
    with pytest.raises(NotFound, match="no such judgement"):
        feedback.edit(catalogue, made.id, {"reason": "style"}, person="bob")
    with pytest.raises(NotFound, match="bob has not judged it"):
        feedback.withdraw(catalogue, made.id, person="bob")
    with pytest.raises(SettingsError, match="person cannot be changed"):
        feedback.edit(catalogue, made.id, {"person": "bob"}, person="ann")
    feedback.withdraw(catalogue, made.id, person="ann")
    with pytest.raises(NotFound, match="it was withdrawn"):
        feedback.edit(catalogue, made.id, {"reason": "style"}, person="ann")


def test_what_was_said_goes_with_a_withdrawal_and_with_the_answer(catalogue: Catalogue, answered: str) -> None:
    def kept() -> str:
        return str(catalogue.db.execute("select better, note from judgements order by rowid").fetchall())

    feedback.rate(catalogue, answered, "down", correction="ask Zebediah")
    feedback.withdraw(catalogue, answered)
    assert "Zebediah" not in kept()
    feedback.rate(catalogue, answered, "down", correction="ask Ophelia")
    assert "Ophelia" in kept()
    Audit(catalogue).erase(answered)
    assert "Ophelia" not in kept()
    with pytest.raises(NotFound, match="content was erased"):
        feedback.rate(catalogue, answered, "up")


# --- choices ----------------------------------------------------------------------------------------------------------


def test_a_choice_names_the_preferred_answer_and_where_it_was_shown(catalogue: Catalogue, answered: str) -> None:
    other = record(catalogue)
    made = feedback.choose(catalogue, answered, other, "b", person="ann")
    assert (made.answer_id, made.other, made.side, made.verdict) == (other, answered, "b", "chosen")
    again = feedback.choose(catalogue, other, answered, "equal", person="ann")
    assert (again.verdict, again.side) == ("equal", None)
    assert feedback.judgements(catalogue) == [again], "the same two answers, whichever was shown first"
    feedback.choose(catalogue, answered, other, "a", person="bob")
    assert len(feedback.judgements(catalogue)) == 2


def test_a_choice_leaves_the_rating_of_the_same_answer_alone(catalogue: Catalogue, answered: str) -> None:
    rating = feedback.rate(catalogue, answered, "up")
    choice = feedback.choose(catalogue, answered, record(catalogue), "a")
    assert feedback.judgements(catalogue) == [rating, choice]
    feedback.withdraw(catalogue, answered)
    assert feedback.judgements(catalogue) == [choice]
    with pytest.raises(SettingsError, match="choose again"):
        feedback.edit(catalogue, choice.id, {"verdict": "down"})


def test_only_two_answers_to_one_question_can_be_compared(catalogue: Catalogue, answered: str) -> None:
    with pytest.raises(SettingsError, match="answer two questions"):
        feedback.choose(catalogue, answered, record(catalogue, question="Who pays?"), "a")
    with pytest.raises(SettingsError, match="are one answer"):
        feedback.choose(catalogue, answered, answered, "a")
    with pytest.raises(SettingsError, match="winner is 'left'"):
        feedback.choose(catalogue, answered, record(catalogue), "left")
    with pytest.raises(NotFound, match="no such answer"):
        feedback.choose(catalogue, answered, "nothing", "a")


def test_two_people_who_judge_at_once_both_count(tmp_path: Path, catalogue: Catalogue, answered: str) -> None:
    def judge(person: str) -> None:
        for verdict in ("up", "down") * 10:
            feedback.rate(catalogue, answered, verdict, person=person)

    people = [threading.Thread(target=judge, args=(person,)) for person in ("ann", "ann", "bob")]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert sorted(made.person for made in feedback.judgements(catalogue)) == ["ann", "bob"]


def test_judgements_of_an_earlier_release_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as db:
        for migration in MIGRATIONS[:2]:
            migration(db)
        db.execute("insert into audit values (1, 'a', 'answer', '', 'local', '', '', '', null)")
        db.execute("insert into judgements values ('j', 'a', 'ann', 'down', 'style', 'Shorter.', 'then', 0)")
        db.execute("pragma user_version = 2")
        db.commit()
    opened = Catalogue(file)
    (made,) = feedback.judgements(opened)
    assert (made.id, made.person, made.reason, made.better) == ("j", "ann", "style", "Shorter.")
    assert (made.kind, made.state, made.marked) == ("rating", "new", None)
    opened.close()
