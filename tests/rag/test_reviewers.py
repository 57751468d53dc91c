"""Two reviewers at one queue: neither decides about what the other has changed, and a long queue is listed at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import feedback, review
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import SettingsError
from rag.judgement import Judgement
from tests.miniature import put

LEAVE = "Leave is 20 days."


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    put(opened, "leave.md", LEAVE)
    put(opened, "board.md", "The board meets in May.", access=["ada"])
    yield opened
    opened.close()


def judged(catalogue: Catalogue, question: str = "How much leave?", *, cites: str = "leave.md") -> Judgement:
    """A judgement of an answer that read one document."""
    place = {"document": cites, "version": 1, "start": 0, "end": 5}
    answer = {"answer": "20 days", "abstained": False, "citations": [{**place, "quote": LEAVE[:5]}]}
    payload = {
        "question": question, "standalone": question, "model": "m", "collection": None, "answer": answer,
        "passages": [place],
    }  # fmt: skip
    return feedback.rate(catalogue, Audit(catalogue).record("answer", "ada", payload), "down", person="ada")


def test_a_decision_about_what_another_reviewer_has_decided_is_refused(catalogue: Catalogue) -> None:
    seen = judged(catalogue)
    review.review(catalogue, seen.id, "rejected", seen=seen, person="bob")
    with pytest.raises(SettingsError, match="bob has rejected it since it was shown"):
        review.review(catalogue, seen.id, "accepted", seen=seen, person="cleo")
    assert feedback.judgement(catalogue, seen.id).state == "rejected"
    review.review(catalogue, seen.id, "accepted", person="cleo")  # who does not say what was seen insists
    assert feedback.judgement(catalogue, seen.id).state == "accepted"


def test_a_decision_about_what_its_author_has_changed_is_refused(catalogue: Catalogue) -> None:
    seen = judged(catalogue)
    feedback.edit(catalogue, seen.id, {"better": "Twenty days."}, person="ada")
    with pytest.raises(SettingsError, match="ada has changed it since it was shown"):
        review.review(catalogue, seen.id, "accepted", seen=seen, person="bob")
    assert feedback.judgement(catalogue, seen.id).state == "new"


def test_of_two_reviewers_at_the_same_moment_exactly_one_decides(catalogue: Catalogue) -> None:
    seen = judged(catalogue)
    start, outcomes = threading.Barrier(2), []

    def decide(decision: str) -> None:
        start.wait(10)
        try:
            outcomes.append(review.review(catalogue, seen.id, decision, seen=seen, person=decision).state)
        except SettingsError:
            outcomes.append("refused")

    threads = [threading.Thread(target=decide, args=(decision,)) for decision in ("accepted", "rejected")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes.count("refused") == 1
    assert feedback.judgement(catalogue, seen.id).state in outcomes


def test_the_list_of_ids_is_that_of_the_queue_whatever_is_asked_for(catalogue: Catalogue) -> None:
    first, second = judged(catalogue), judged(catalogue, "When does the board meet?", cites="board.md")
    review.review(catalogue, second.id, "accepted")
    asked: list[dict[str, str | None]] = [
        {}, {"state": None}, {"state": "accepted"}, {"state": None, "text": "BOARD"}, {"state": None, "person": "bob"},
        {"state": None, "reason": "down"}, {"reason": "style"}, {"collection": "hr"},
    ]  # fmt: skip
    lists = [review.waiting(catalogue, **wanted) for wanted in asked]
    assert lists == [[row.judgement.id for row in review.queue(catalogue, **wanted)] for wanted in asked]
    assert lists[0] == [first.id]
    assert lists[1] == [first.id, second.id]
    assert lists[4] == [first.id]  # what quotes a document that is not for Bob is not in his queue
    with pytest.raises(SettingsError, match="state is 'old'"):
        review.waiting(catalogue, state="old")
