"""Approved questions are asked again when documents or the model change, and a drop is seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag import recheck
from rag.audit import Audit
from rag.errors import NotFound, SettingsError
from rag.library import Library
from rag.pinned import Pinned
from rag.types import Answer, Citation
from tests.miniature import OverlapReader, small_library

YARD = "# Yard\n\nTwelve cars fit into the yard.\n"
ROOF = "# Roof\n\nThirty people may stand on the roof.\n"
CARS, PEOPLE = "How many cars fit into the yard?", "How many people may stand on the roof?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("yard.md", YARD.encode())
        opened.add_bytes("roof.md", ROOF.encode())
        yield opened


def approve(library: Library, question: str, person: str | None = None) -> str:
    given = library.ask(question, person=person)
    library.rate(given.answer_id, "up", person=person)
    return given.answer_id


def only(library: Library, **how: Any) -> Pinned:
    found = library.pinned(**how)
    assert len(found) == 1, found
    return found[0]


def change(library: Library, name: str, text: str) -> None:
    """Replace a document, and wait until the pinned questions were asked again."""
    library.add_bytes(name, text.encode())
    assert library.recheck_pinned(30)


# --- what is pinned ---------------------------------------------------------------------------------------------------


def test_a_thumb_up_pins_the_question_in_the_collection_of_its_document(tmp_path: Path) -> None:
    with small_library(tmp_path / "index") as library:
        library.add_bytes("yard.md", YARD.encode(), collection="site")
        answer_id = approve(library, CARS)  # asked of all collections
        found = only(library)
        assert (found.question, found.collection, found.answer_id, found.by_hand) == (CARS, "site", answer_id, False)
        assert "Twelve cars" in found.answer
        assert found.holds
        assert not found.waiting  # it was approved with these documents
        assert library.pinned(collection="default") == []


def test_what_is_withdrawn_rejected_or_judged_down_is_not_pinned(library: Library) -> None:
    answer_id = approve(library, CARS)
    only(library)
    library.rate(answer_id, "down")
    assert library.pinned() == []
    library.rate(answer_id, "up")
    library.review(only_judgement(library), "rejected")
    assert library.pinned() == []


def only_judgement(library: Library) -> str:
    [made] = library.judgements_of()
    return made.id


def test_an_erased_answer_takes_its_pin_along(library: Library) -> None:
    answer_id = approve(library, CARS)
    only(library)
    Audit(library._catalogue).erase(answer_id)
    assert library.pinned() == []
    assert library._catalogue.db.execute("select count(*) from pinned_results").fetchone() == (0,)


def test_the_latest_approval_of_a_question_counts(library: Library) -> None:
    approve(library, CARS)
    only(library)
    latest = approve(library, f"  {CARS.upper()} ")
    for _ in range(2):  # the former one does not come back either
        assert only(library).answer_id == latest


def test_a_question_taken_out_by_hand_stays_out(library: Library) -> None:
    approve(library, CARS)
    library.unpin(only(library).id)
    assert library.pinned() == []
    with pytest.raises(NotFound, match="no pinned question has this id"):
        library.unpin("nowhere")


def test_a_question_is_pinned_by_hand_with_what_must_occur(library: Library) -> None:
    library.pin_question(CARS, expected=["twelve cars"])
    library.pin_question(PEOPLE, expected=["forty"])
    fares = {one.question: (one.holds, one.result and one.result.outcome) for one in library.pinned()}
    assert fares == {CARS: (True, "kept"), PEOPLE: (False, "changed")}
    with pytest.raises(SettingsError, match="needs words"):
        library.pin_question("  ")


def test_an_answer_that_used_somebodys_memory_is_not_pinned(library: Library) -> None:
    library.add_bytes("porto.md", b"# Porto\n\nTwenty cars fit into the yard in Porto.\n")
    library.remember("I work in Porto")
    given = library.ask("How many cars fit into our yard?")
    assert given.remembered
    library.rate(given.answer_id, "up")
    assert library.pinned() == []
    with pytest.raises(SettingsError, match="used what local asked to be remembered"):
        library.pin(given.answer_id)


# --- two people -------------------------------------------------------------------------------------------------------


def test_others_see_a_question_once_it_was_accepted_and_only_what_they_may_read(
    library: Library, tmp_path: Path
) -> None:
    secret = tmp_path / "bonus.md"
    secret.write_text("# Bonus\n\nThe bonus for cars is 900 euros.\n", "utf-8")
    library.add(secret, access=["eva", "ann"])
    approve(library, CARS, person="ann")
    approve(library, "How many euros is the bonus for cars?", person="ann")
    assert len(library.pinned(person="ann")) == len(library.pinned()) == 2
    assert library.pinned(person="bob") == library.pinned(person="eva") == []
    for made in library.judgements_of("ann"):
        library.review(made.id, "accepted")
    assert len(library.pinned(person="eva")) == 2
    assert [one.question for one in library.pinned(person="bob")] == [CARS]
    hidden = next(one for one in library.pinned() if one.question != CARS)
    with pytest.raises(NotFound):
        library.unpin(hidden.id, person="bob")
    with pytest.raises(NotFound):
        library.pin(hidden.answer_id, person="bob")


def test_a_question_is_asked_again_with_the_rights_of_who_asked_it(library: Library, tmp_path: Path) -> None:
    approve(library, CARS, person="ann")
    secret = tmp_path / "fleet.md"
    secret.write_text("# Cars\n\nNinety cars fit into the yard how many cars fit.\n", "utf-8")
    library.add(secret, access=["eva"])
    assert library.recheck_pinned(30)
    assert only(library).holds


# --- asked again ------------------------------------------------------------------------------------------------------


def test_a_replaced_document_makes_a_drop_that_says_why_and_its_return_ends_it(library: Library) -> None:
    approve(library, CARS)
    approve(library, PEOPLE)
    assert all(one.holds for one in library.pinned())
    change(library, "yard.md", YARD.replace("Twelve", "Nine"))
    dropped, held = library.pinned()
    assert (dropped.question, dropped.holds, held.holds) == (CARS, False, True)
    assert dropped.result is not None
    assert dropped.result.outcome == "changed"
    assert dropped.because == ("replaced yard.md",)
    assert dropped.before is not None
    assert not dropped.waiting
    change(library, "yard.md", YARD)
    assert all(one.holds for one in library.pinned())


def test_a_removed_document_loses_its_answer(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    library.remove("yard.md")
    assert library.recheck_pinned(30)
    found = only(library)
    assert found.result is not None
    assert (found.holds, found.result.outcome, found.because) == (False, "lost", ("removed yard.md",))


def test_a_refusal_that_was_approved_drops_when_it_is_answered(library: Library) -> None:
    given = library.ask("Which colour has the canteen?")
    assert given.abstained
    library.rate(given.answer_id, "up")
    library.pinned()
    change(library, "canteen.md", "# Canteen\n\nThe canteen has the colour blue.\n")
    found = only(library)
    assert found.refused
    assert found.result is not None
    assert found.result.outcome == "answered"


def test_a_new_answer_can_be_approved_in_place_of_the_old_one(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    change(library, "yard.md", YARD.replace("Twelve", "Nine"))
    old = only(library)
    today = library.answer_pinned(old.id)
    assert "Nine" in today.text
    assert library.audited(today.answer_id)["purpose"] == "pinned"
    library.pin(today.answer_id, instead_of=old.id)
    new = only(library)
    assert new.holds
    assert "Nine" in new.answer


def test_another_model_is_asked_when_it_is_loaded_and_is_named_where_it_drops(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    library.close()
    with small_library(library.path, "overlap-2") as other:
        assert other._opened is not None
        other._opened.reader = NothingAnswers("overlap-2")
        assert only(other).waiting
        other.warm()
        assert other.recheck_pinned(30)
        found = only(other)
        assert not found.waiting
        assert found.result is not None
        assert found.result.outcome == "lost"
        assert found.because == ("model overlap-1 became overlap-2",)


class NothingAnswers(OverlapReader):
    threshold = 1.1


def test_asking_again_leaves_no_trace_in_the_audit_and_uses_no_memory(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    library.remember("I work on the roof in the yard")
    rows = len(list(Audit(library._catalogue).entries()))
    change(library, "new.md", "# New\n\nNothing of interest.\n")
    assert [entry.kind for entry in Audit(library._catalogue).entries()][rows:] == ["added"]
    assert only(library).holds
    assert library.verify() == []


def test_nothing_is_asked_twice_with_the_same_documents_and_model(library: Library) -> None:
    approve(library, CARS)
    parts = library._model_parts()
    assert list(recheck.recheck(parts)) == []  # approved a moment ago with these
    library._catalogue.bump()
    assert len(list(recheck.recheck(parts))) == 1
    assert list(recheck.recheck(parts)) == []


def test_a_run_that_is_stopped_goes_on_where_it_was(library: Library) -> None:
    for question in (CARS, PEOPLE):
        approve(library, question)
    library.pinned()
    library._catalogue.bump()
    parts = library._model_parts()
    first = next(recheck.recheck(parts))  # the generator is dropped after one
    assert first.holds
    assert [one.waiting for one in library.pinned()].count(True) == 1
    assert len(list(recheck.recheck(parts))) == 1
    assert not any(one.waiting for one in library.pinned())
    library._catalogue.bump()
    assert list(recheck.recheck(parts, go_on=lambda: False)) == []


def test_results_are_bounded(library: Library) -> None:
    approve(library, CARS)
    parts = library._model_parts()
    for _ in range(25):
        library._catalogue.bump()
        list(recheck.recheck(parts))
    assert library._catalogue.db.execute("select count(*) from pinned_results").fetchone() == (20,)


def test_nobody_waits_for_pinned_questions_while_an_answer_is_on_its_way(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    library._catalogue.bump()
    answering = library.stream(PEOPLE)
    next(answering)
    assert not library.recheck_pinned(0.05)
    assert only(library).waiting
    list(answering)
    assert library.recheck_pinned(30)
    assert not only(library).waiting


def test_closing_ends_the_background_and_the_next_opening_takes_it_up(library: Library) -> None:
    approve(library, CARS)
    library.pinned()
    library._catalogue.bump()
    answering = library.stream(PEOPLE)
    next(answering)
    library.recheck_pinned(0)
    library.close()  # does not wait for ever for a person who reads slowly
    assert not [thread for thread in threading.enumerate() if thread.name == "groundling-recheck"]
    with small_library(library.path) as again:
        again.warm()
        assert again.recheck_pinned(30)
        assert not only(again).waiting


# --- comparing --------------------------------------------------------------------------------------------------------


def given(text: str, quote: str, *, abstained: bool = False) -> Answer:
    cited = () if abstained else (Citation("a.md", 1, None, 0, len(quote), quote, 1, 0.9),)
    return Answer(text, abstained, 0.9, cited, "id", "model", 1, {})


@pytest.mark.parametrize(
    ("today", "outcome"),
    [
        (given("12 Cars", "It holds 12 cars."), "same"),
        (given("Twelve.", "The yard is open. It holds 12 cars."), "kept"),
        (given("9 cars.", "It holds 9 cars."), "changed"),
        (given("", "", abstained=True), "lost"),
    ],
)
def test_an_answer_is_compared_with_what_was_approved(today: Answer, outcome: str) -> None:
    approved = given("12 cars", "It holds 12 cars.").as_dict()
    assert recheck.compared(approved, today) == outcome


def test_what_must_occur_decides_where_it_is_said(library: Library) -> None:
    approved = given("12 cars", "It holds 12 cars.").as_dict()
    other = given("Room for 12 cars.", "Room for 12 cars.")
    assert recheck.compared(approved, other) == "changed"
    assert recheck.compared(approved, other, ["12 cars"]) == "kept"
    assert recheck.compared(approved, replace(other, abstained=True), ["12 cars"]) == "lost"
