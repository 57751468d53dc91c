"""The reviewers' queue: who sees what, who agrees, what becomes of each judgement, and who decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag import commit, feedback, review
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound, SettingsError
from rag.judgement import Judgement, Marked
from tests.miniature import put

LEAVE = "Leave is 20 days."
BOARD = "The board meets in May."


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    put(opened, "leave.md", LEAVE)
    put(opened, "board.md", BOARD, access=["ada"])
    yield opened
    opened.close()


def place(document: str, text: str) -> dict[str, Any]:
    return {"document": document, "version": 1, "start": 0, "end": len(text)}


def record(
    catalogue: Catalogue,
    words: str = "20 days",
    *,
    question: str = "How much leave?",
    cites: str = "leave.md",
    refused: bool = False,
) -> str:
    """An answer in the audit that read both documents."""
    cited = {**place(cites, LEAVE), "quote": LEAVE}
    answer = {"answer": words, "abstained": refused, "citations": [] if refused else [cited], "nearest": [cited]}
    payload = {
        "question": question, "standalone": question, "model": "m", "collection": "hr", "answer": answer,
        "passages": [place("leave.md", LEAVE), place("board.md", BOARD)],
    }  # fmt: skip
    return Audit(catalogue).record("answer", "local", payload)


def test_a_row_holds_what_a_reviewer_needs(catalogue: Catalogue) -> None:
    answer = record(catalogue)
    made = feedback.rate(catalogue, answer, "down", reason="wrong_words", correction="Twenty.")
    (row,) = review.queue(catalogue)
    assert row.judgement == made
    assert (row.question, row.answer["answer"], row.answer["answer_id"]) == ("How much leave?", "20 days", answer)
    assert [passage["text"] for passage in row.passages] == [LEAVE, BOARD]
    assert (row.withheld, row.collection, row.model) == (0, "hr", "m")


def test_a_reviewer_sees_only_what_they_may_read(catalogue: Catalogue) -> None:
    feedback.rate(catalogue, record(catalogue), "up")
    about_the_board = feedback.rate(catalogue, record(catalogue, cites="board.md"), "up")
    refused = feedback.rate(catalogue, record(catalogue, cites="board.md", refused=True), "up")
    marked = feedback.rate(catalogue, record(catalogue), "down", marked={"document": "board.md", "quote": "May"})
    assert len(review.queue(catalogue, person="ada")) == 4
    shown = review.queue(catalogue, person="bob")
    assert [passage["text"] for row in shown for passage in row.passages] == [LEAVE, LEAVE]
    assert "board" not in str(shown)
    assert {row.judgement.id for row in shown} & {about_the_board.id, marked.id} == set()
    assert next(row for row in shown if row.judgement.id == refused.id).answer["nearest"] == []
    for hidden in (about_the_board, marked):
        with pytest.raises(NotFound, match="no such judgement"):
            review.review(catalogue, hidden.id, "accepted", person="bob")


def test_passages_of_a_removed_document_are_counted_not_shown(catalogue: Catalogue) -> None:
    feedback.rate(catalogue, record(catalogue), "up")
    commit.remove(catalogue, catalogue.document("board.md"))
    (row,) = review.queue(catalogue)
    assert ([passage["text"] for passage in row.passages], row.withheld) == ([LEAVE], 1)


def test_the_queue_is_filtered(catalogue: Catalogue) -> None:
    up = feedback.rate(catalogue, record(catalogue), "up")
    style = feedback.rate(catalogue, record(catalogue), "down", reason="style", correction="Say it in Latin.")
    choice = feedback.choose(catalogue, record(catalogue), record(catalogue, "21 days"), "b")

    def found(**by: Any) -> list[str]:
        return [row.judgement.id for row in review.queue(catalogue, **by)]

    assert found() == [up.id, style.id, choice.id]
    assert found(reason="style") == [style.id]
    assert found(reason="up") == [up.id]
    assert found(reason="choice") == found(text="21 DAYS leave") == [choice.id]
    assert found(text="latin") == [style.id]
    assert found(collection="it") == found(state="accepted") == []
    assert len(found(state=None, collection="hr")) == 3
    with pytest.raises(SettingsError, match="state is 'done'"):
        review.queue(catalogue, state="done")


def test_a_decision_is_kept_with_who_made_it_and_can_be_taken_back(catalogue: Catalogue) -> None:
    made = feedback.rate(catalogue, record(catalogue), "down", reason="style", person="ann")
    done = review.review(
        catalogue, made.id, "accepted", note=" seen ", edits={"reason": "wrong_words", "better": "20"}, person="ada"
    )
    assert (done.state, done.reviewer, done.note, done.editor) == ("accepted", "ada", "seen", "ada")
    assert (done.reason, done.better, done.person) == ("wrong_words", "20", "ann")
    assert review.queue(catalogue) == []
    assert [row.judgement for row in review.queue(catalogue, state="accepted")] == [done]
    entry = next(Audit(catalogue).entries(kind="reviewed"))
    assert entry.payload == {"entry": made.id, "decision": "accepted", "edited": ["better", "reason"]}
    assert entry.person == "ada"
    back = review.review(catalogue, made.id, "new")
    assert (back.state, back.reviewer, back.reviewed_at) == ("new", None, None)
    with pytest.raises(SettingsError, match="decision is 'maybe'"):
        review.review(catalogue, made.id, "maybe")


def test_an_edit_that_fails_decides_nothing(catalogue: Catalogue) -> None:
    made = feedback.rate(catalogue, record(catalogue), "down")
    with pytest.raises(SettingsError, match="do not stand there"):
        review.review(catalogue, made.id, "accepted", edits={"marked": {"document": "leave.md", "quote": "99"}})
    assert feedback.judgement(catalogue, made.id) == made


def test_an_erased_answer_leaves_the_queue(catalogue: Catalogue) -> None:
    answer = record(catalogue)
    made = feedback.rate(catalogue, answer, "up")
    Audit(catalogue).erase(answer)
    assert review.queue(catalogue) == []
    with pytest.raises(NotFound, match="answer was erased"):
        review.one(catalogue, made.id)


def test_agreement_counts_people_over_equal_answers_to_equal_questions(catalogue: Catalogue) -> None:
    first, second = record(catalogue), record(catalogue, question="how much LEAVE?")
    made = feedback.rate(catalogue, first, "down", person="ann")
    feedback.rate(catalogue, second, "down", person="bob")
    feedback.rate(catalogue, first, "up", person="ada")
    feedback.rate(catalogue, second, "down", person="ann")  # the same person again is no second voice
    feedback.rate(catalogue, record(catalogue, "21 days"), "up", person="cid")  # of another answer
    found = review.agreements(catalogue)
    assert found[made.id] == (1, 1)
    assert {row.judgement.id: row.agreement for row in review.queue(catalogue)} == found


def test_agreement_of_choices_looks_at_what_was_preferred(catalogue: Catalogue) -> None:
    a, b = record(catalogue, "20 days"), record(catalogue, "21 days")
    again_a, again_b = record(catalogue, "20 days"), record(catalogue, "21 days")
    ann = feedback.choose(catalogue, a, b, "a", person="ann")
    bob = feedback.choose(catalogue, again_b, again_a, "b", person="bob")  # the same answer, shown on the other side
    cid = feedback.choose(catalogue, a, b, "b", person="cid")
    dan = feedback.choose(catalogue, a, b, "equal", person="dan")
    found = review.agreements(catalogue)
    assert [found[made.id] for made in (ann, bob, cid, dan)] == [(1, 2), (1, 2), (0, 3), (0, 3)]


@pytest.mark.parametrize(
    ("made", "refused", "becomes"),
    [
        (Judgement("x", "up"), False, ("retriever pair", "span label", "preference")),
        (Judgement("x", "up"), True, ("no-answer label",)),
        (Judgement("x", "down", "wrong_words", "20 days"), False, ("retriever pair", "span label")),
        (Judgement("x", "down", "wrong_words", "Something else."), False, ("preference",)),
        (Judgement("x", "down", "wrong_words"), False, ()),
        (Judgement("x", "down", "passage_missed", marked=Marked("leave.md", 1, 0, 5)), False, ("retriever pair", "span label")),
        (Judgement("x", "down", "should_have_answered"), True, ()),
        (Judgement("x", "down", "unsupported"), False, ("no-answer label",)),
        (Judgement("x", "down", "should_have_refused"), False, ("no-answer label",)),
        (Judgement("x", "down", "outdated", "20 days"), False, ("document",)),
        (Judgement("x", "down", "style"), False, ("preference",)),
        (Judgement("x", "down"), False, ("preference",)),
        (Judgement("x", "down"), True, ()),
        (Judgement("x", "chosen", kind="choice", other="y"), False, ("preference",)),
        (Judgement("x", "equal", kind="choice", other="y"), False, ()),
    ],
)  # fmt: skip
def test_what_becomes_of_each_judgement(made: Judgement, refused: bool, becomes: tuple[str, ...]) -> None:
    assert review.route(made, {"abstained": refused}, [{"text": LEAVE}]) == becomes


def test_a_better_answer_is_found_as_whole_words_that_stand_once() -> None:
    passages = [{"text": "Room 20 has 20 seats."}, {"text": "Leave is 20 days a year."}]
    found = review.place_of("20 DAYS.", passages)
    assert found is not None
    assert found[0]["text"][found[1] : found[2]] == "20 days"
    assert review.place_of("0 days", passages) is None, "half a number is no number"
    assert review.place_of("20", [passages[0]]) is None, "it stands there twice"
    assert review.place_of(" . ", passages) is None
