"""What the questions of a period say about the documents, over a real library with the real embedder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import rag
from rag import audit, feedback
from rag.audit import Audit
from rag.cli import main
from rag.config import Settings
from rag.errors import NotFound, SettingsError
from rag.insight import Insight, insight
from rag.library import Library

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday
OLD_RATES = (
    "# Rates\n\nThe old rates of 2019, 2020 and 2021 are valid until 31 December 2021. A night costs 90 euros.\n"
)
SECRET = "# Salaries\n\nThe director earns 9,000 euros a month.\n"


@pytest.fixture(scope="module")
def stocked(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index over the papers, a document that has ended, and one that only Ann may read."""
    folder = tmp_path_factory.mktemp("insight")
    (folder / "secret").mkdir()
    (folder / "secret" / "salaries.md").write_text(SECRET, "utf-8")
    with rag.open(folder / "index", Settings(index=folder / "index")) as library:
        library.add(papers)
        library.add_bytes("rates.md", OLD_RATES.encode(), collection="old")
        library.add(folder / "secret", access=["ann"])
    return folder / "index"


@dataclass
class Asking:
    """Writes answers into the audit as they were given at some time."""

    library: Library
    monkeypatch: pytest.MonkeyPatch

    def at(self, moment: datetime) -> None:
        self.monkeypatch.setattr(audit, "now", lambda: moment.isoformat(timespec="microseconds"))

    def __call__(
        self,
        question: str,
        *cited: str,
        ago: float = 0.0,  # days
        person: str = "local",
        near: str = "leave.md",
        **more: Any,
    ) -> str:
        self.at(NOW - timedelta(days=ago))
        refused = not cited

        def places(*names: str) -> list[dict[str, Any]]:
            return [
                {"document": name, "version": 1, "page": None, "start": 0, "end": 5, "quote": "#"} for name in names
            ]

        answer = {"answer": "Yes.", "abstained": refused, "citations": places(*cited)}
        if refused:
            answer |= {"answer": "The documents do not say.", "nearest": places(near), "reason": "none answers"}
        payload = {
            "purpose": "asked", "question": question, "standalone": question, "collection": None, "confidence": 0.1,
            "threshold": 0.5, "passages": places(near, *cited), "answer": answer, "model": "m", "generation": 1,
        }  # fmt: skip
        return Audit(self.library._catalogue).record("answer", person, payload | more)


@pytest.fixture
def asking(stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    shutil.copytree(stocked, tmp_path / "index")
    with rag.open(tmp_path / "index", Settings(index=tmp_path / "index")) as library:
        yield Asking(library, monkeypatch)


@pytest.fixture
def look(asking: Asking) -> Callable[..., Insight]:
    return lambda **wanted: insight(asking.library._parts(), now=NOW, **wanted)


# --- counts -----------------------------------------------------------------------------------------------------------


def test_a_library_nobody_asked_shows_zeros_and_every_document_as_never_cited(look: Callable[..., Insight]) -> None:
    found = look(days=7)
    assert (found.totals.asked, found.gaps, found.questions) == (0, (), ())
    assert len(found.steps) == 7
    assert {use.document for use in found.never_cited} == {
        "leave.md", "travel/expenses.md", "security.txt", "rates.md", "salaries.md",
    }  # fmt: skip
    assert look(days=None).since == ""


def test_totals_count_questions_people_and_judged_answers_of_the_period_and_the_one_before(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    good = asking("How much leave?", "leave.md", person="ann")
    asking("Who may park?", person="bob")
    bad = asking("How long?", "leave.md", ago=6.2, person="bob")
    asking("Before?", "leave.md", ago=8)
    asking("Long before?", "leave.md", ago=20)
    for person, answer, verdict in (("ann", good, "up"), ("ann", bad, "down"), ("bob", bad, "down")):
        feedback.rate(asking.library._catalogue, answer, verdict, person=person)
    found = look(days=7)
    totals = found.totals
    assert (totals.asked, totals.answered, totals.refused, totals.people) == (3, 2, 1, 2)
    assert (totals.up, totals.down) == (1, 1)  # answers, not votes
    assert found.before is not None
    assert (found.before.asked, found.before.refused) == (1, 0)
    assert sum(step.totals.asked for step in found.steps) == 3
    assert found.steps[-1].totals.asked == 2
    everything = look(days=None)
    assert (everything.totals.asked, everything.before) == (5, None)
    assert everything.since == (NOW - timedelta(days=20)).date().isoformat()


@pytest.mark.parametrize(("days", "by", "steps"), [(30, "day", 30), (90, "week", 14), (365, "month", 13)])
def test_longer_periods_are_counted_by_week_and_month(
    asking: Asking, look: Callable[..., Insight], days: int, by: str, steps: int
) -> None:
    asking("One?", "leave.md")
    asking("Two?", "leave.md", ago=20)
    found = look(days=days)
    assert (found.by, len(found.steps)) == (by, steps)
    assert sum(step.totals.asked for step in found.steps) == 2
    starts = [step.start for step in found.steps]
    assert starts == sorted(set(starts))


def test_what_nobody_asked_is_not_counted(asking: Asking, look: Callable[..., Insight]) -> None:
    asking("How much leave?", "leave.md")
    for purpose in ("evaluated", "replayed", "compared"):
        asking("How much leave?", "leave.md", purpose=purpose)
    assert look().totals.asked == 1


def test_an_erased_answer_vanishes_also_from_what_was_looked_at_before(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    answer = asking("Is Bob ill?")
    assert look().questions[0].question == "Is Bob ill?"
    Audit(asking.library._catalogue).erase(answer)
    found = look()
    assert (found.questions, found.gaps) == ((), ())
    with pytest.raises(NotFound, match="erased"):
        asking.library.answered(answer)


def test_days_below_one_are_refused(look: Callable[..., Insight]) -> None:
    with pytest.raises(SettingsError, match="days is 0: use 1 or more"):
        look(days=0)


# --- gaps -------------------------------------------------------------------------------------------------------------


def test_unanswered_questions_become_a_gap_that_says_what_to_write(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    asking("How much leave?", "leave.md")
    asking("Can I take a sabbatical?", person="ann", ago=2)
    asking("How long may an unpaid sabbatical last?", person="bob")
    asking("Can I take a sabbatical?", person="ann", near="security.txt")
    asking("Who won the football world cup in 2014?", person="ann")
    asking("Who won the football world cup in 2014?", person="ann")
    asking("Who won the football world cup in 2014?", person="ann")
    sabbatical, football = look().gaps
    assert (sabbatical.about, sabbatical.people, len(sabbatical.questions)) == ("sabbatical", 2, 3)  # people first
    assert sabbatical.advice == "Write a document about sabbatical."
    assert sabbatical.nearest == (("leave.md", 2), ("security.txt", 1))
    assert (football.people, len(football.questions)) == (1, 3)


def test_a_gap_whose_refusals_came_near_points_at_the_document(asking: Asking, look: Callable[..., Insight]) -> None:
    asking("May leave be sold?", confidence=0.4)
    (gap,) = look().gaps
    assert gap.advice == "leave.md may answer this. Look there; if it does, judge the refusals."


def test_a_gap_is_closed_by_a_later_answer_that_nobody_judged_down(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    asking("Who may park in the yard?", ago=3)
    answer = asking("who may park in the yard", "security.txt", ago=1)
    assert look().gaps == ()
    feedback.rate(asking.library._catalogue, answer, "down", reason="unsupported")
    (gap,) = look().gaps
    assert len(gap.questions) == 2  # refused once, once answered with what does not say so
    asking("Who may park in the yard?")
    assert len(look().gaps[0].questions) == 3  # an answer closes what came before it, not what comes after


def test_a_refusal_of_which_people_say_that_the_documents_answer_it_is_no_gap(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    answer = asking("How much leave?")
    made = feedback.rate(asking.library._catalogue, answer, "down", reason="should_have_answered")
    assert look().gaps == ()
    assert look().reasons == {"should_have_answered": 1}
    asking.library.review(made.id, "rejected")
    assert len(look().gaps) == 1
    assert look().reasons == {}


# --- documents --------------------------------------------------------------------------------------------------------


def test_documents_are_counted_by_what_was_read_and_what_was_quoted(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    asking("How much leave?", "leave.md", near="security.txt")
    asking("How much leave?", "leave.md", "travel/expenses.md", near="security.txt")
    asking("Long ago?", "security.txt", ago=40)
    used = {use.document: use for use in look().documents}
    assert (used["leave.md"].read, used["leave.md"].cited) == (2, 2)
    assert (used["security.txt"].read, used["security.txt"].cited) == (2, 0)
    assert used["leave.md"].last_cited_at == NOW.isoformat(timespec="microseconds")
    never = [use.document for use in look().never_cited]
    assert never[0] == "security.txt"  # often read, never quoted: look there first
    assert set(never) == {"security.txt", "rates.md", "salaries.md"}
    assert "security.txt" not in {use.document for use in look(days=60).never_cited}


def test_quoting_a_former_version_counts_for_the_present_one(asking: Asking, look: Callable[..., Insight]) -> None:
    answer = asking("What does a night cost?", "rates.md")
    feedback.rate(asking.library._catalogue, answer, "down", reason="outdated")
    (use,) = (use for use in look().documents if use.document == "rates.md")
    assert use.signs[0].words == "1 answer from it judged out of date"
    asking.library.add_bytes("rates.md", b"# Rates\n\nA night costs 110 euros.\n", collection="old")
    (use,) = (use for use in look().documents if use.document == "rates.md")
    assert (use.version, use.cited, use.signs) == (2, 1, ())  # the new version may have mended it


def test_signs_of_age_name_the_words_and_where_they_stand(asking: Asking, look: Callable[..., Insight]) -> None:
    (use,) = look().outdated
    ended, year = use.signs
    assert use.document == "rates.md"
    assert ended.words == "It says “valid until 31 December 2021”"
    text = asking.library.document("rates.md").text
    assert text[ended.start : ended.end] == "valid until 31 December 2021"
    assert year.words == "It names no year after 2021"
    later = insight(asking.library._parts(), now=datetime.now(UTC) + timedelta(days=400))
    assert {use.document for use in later.outdated} == {use.document for use in later.documents}
    assert "Unchanged here for 13 months" in {sign.words for use in later.outdated for sign in use.signs}


# --- whose questions --------------------------------------------------------------------------------------------------


def test_a_person_sees_nothing_of_documents_they_may_not_read(asking: Asking, look: Callable[..., Insight]) -> None:
    answer = asking("What does the director earn?", "salaries.md", person="ann")
    asking("And the deputy?", near="salaries.md", person="ann")
    asking("How much leave?", "leave.md", person="ann")
    assert look(person="ann").totals.asked == 3
    assert look(person=None).totals.asked == 3
    told = json.dumps(look(person="bob").as_dict())
    assert "salaries" not in told
    assert "director" not in told
    assert "deputy" not in told
    assert look(person="bob").totals.asked == 1
    assert asking.library.answered(answer, person="ann")["question"] == "What does the director earn?"
    with pytest.raises(NotFound, match="no such answer"):
        asking.library.answered(answer, person="bob")


def test_the_documented_json_has_the_keys_of_a_real_one(asking: Asking, look: Callable[..., Insight]) -> None:
    asking("Who may park in the yard?")
    text = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text("utf-8")
    documented = json.loads(text.partition("<!-- contract: insight -->\n```json\n")[2].partition("```")[0])
    real = look().as_dict()
    assert list(documented) == list(real)
    for name in ("totals", "before"):
        assert list(documented[name]) == list(real[name])
    for name in ("steps", "gaps", "never_cited"):
        assert list(documented[name][0]) == list(real[name][0])
    for name in ("questions", "nearest"):
        assert list(documented["gaps"][0][name][0]) == list(real["gaps"][0][name][0])


def test_no_person_is_named(asking: Asking, look: Callable[..., Insight]) -> None:
    asking("Who may park in the yard?", person="ann.smith")
    assert "ann.smith" not in json.dumps(look().as_dict())


def test_one_collection_shows_what_was_asked_of_it_or_answered_from_it(
    asking: Asking, look: Callable[..., Insight]
) -> None:
    asking("What does a night cost?", "rates.md")
    asking("Who may park?", collection="old")
    asking("How much leave?", "leave.md")
    found = look(collection="old")
    assert {question.question for question in found.questions} == {"What does a night cost?", "Who may park?"}
    assert [use.document for use in found.documents] == ["rates.md"]


def test_an_answer_is_shown_with_ones_own_conversation_only(asking: Asking) -> None:
    answer = asking("How much leave?", "leave.md", person="ann")
    shown = asking.library.answered(answer, person="ann")
    assert (shown["answer"], shown["conversation"]) == ("Yes.", None)
    with pytest.raises(NotFound):
        asking.library.answered("nothing")


def test_the_revision_changes_with_every_commit(asking: Asking) -> None:
    before = asking.library.revision()
    assert asking.library.revision() == before
    asking("How much leave?", "leave.md")
    assert asking.library.revision() != before


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_asking_for_real_is_counted_and_measuring_is_not(
    stocked: Path, untrained_reader: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(stocked, tmp_path / "index")
    settings = Settings(index=tmp_path / "index", model=untrained_reader)
    with rag.open(tmp_path / "index", settings) as library:
        answer = library.ask("How many days of annual leave do full-time employees have?")
        conversation = library.new_conversation()
        library.append(conversation.id, answer)
        library.evaluate([{"question": "Who books hotels?", "answers": ["travel desk"]}])
        library.replay(answer.answer_id)
        found = library.insight()
        assert [question.answer_id for question in found.questions] == [answer.answer_id]
        assert {use.document for use in found.documents if use.read} >= {cited.document for cited in answer.citations}
        assert library.answered(answer.answer_id)["conversation"] == conversation.id
    for arguments in (("--json",), ()):
        with pytest.raises(SystemExit) as left:
            main(["insight", "--index", str(tmp_path / "index"), *arguments])
        assert left.value.code == 0
    printed = capsys.readouterr().out
    assert "1 asked by 1" in printed
    assert json.JSONDecoder().raw_decode(printed)[0]["totals"]["asked"] == 1
