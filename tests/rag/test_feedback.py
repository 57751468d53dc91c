"""Judgements are typed, tied to an audited answer, one a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import feedback
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound, SettingsError


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    yield opened
    opened.close()


@pytest.fixture
def answered(catalogue: Catalogue) -> str:
    payload = {
        "question": "How much?", "standalone": "How much leave?", "passages": [{"id": 1}], "model": "m",
        "answer": {"answer": "15 days.", "abstained": False, "citations": [{"quote": "15 days"}]},
    }  # fmt: skip
    return Audit(catalogue).record("answer", "local", payload)


def test_a_judgement_is_stored_and_exported_with_what_was_judged(catalogue: Catalogue, answered: str) -> None:
    feedback.rate(catalogue, answered, "down", reason="wrong_words", correction="  20 days ")
    (row,) = feedback.export(catalogue)
    assert (row["verdict"], row["reason"], row["correction"]) == ("down", "wrong_words", "20 days")
    assert (row["question"], row["answer"], row["citations"]) == ("How much?", "15 days.", [{"quote": "15 days"}])


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
