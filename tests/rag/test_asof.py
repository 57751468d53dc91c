"""A newer version is preferred; an older one stays citable, and a question "as of" a day is answered from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from rag.asof import Then, moment
from rag.library import Library
from tests.miniature import small_library

OLD = "# Leave\n\nFull-time employees have 27 days of annual leave.\n"
NEW = "# Leave\n\nFull-time employees have 30 days of annual leave.\n"
QUESTION = "how many days of annual leave do full-time employees have?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """leave.md as it was from January 2024 on, and as it is since June 2025; canteen.md never changed."""
    tmp_path = tmp_path_factory.mktemp("asof")
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "canteen.md").write_text("# Canteen\n\nThe canteen opens at noon on all days.\n", "utf-8")
    with small_library(tmp_path / "index", strictness=0.3) as opened:
        for version, text in enumerate((OLD, NEW), start=1):
            (papers / "leave.md").write_text(text, "utf-8")
            opened.add(papers)
            since = ("2024-01-10", "2025-06-01")[version - 1]
            with opened._catalogue.atomic() as db:
                db.execute("update documents set added_at = ? where name = 'leave.md' and version = ?",
                           (f"{since}T09:00:00.000000+00:00", version))  # fmt: skip
        yield opened


def access(library: Library, readers: str) -> None:
    """Who may read the present version of leave.md."""
    with library._catalogue.atomic() as db:
        db.execute("update documents set access = ? where name = 'leave.md' and version = 2", (readers,))
        library._catalogue.bump()


@pytest.mark.parametrize(
    ("question", "then"),
    [
        ("As of 1 March 2024, how long is the warranty?", Then(date(2024, 3, 1), None)),
        ("What was the limit as of the end of 2023?", Then(date(2023, 12, 31), None)),
        ("What was the limit as at March 2024?", Then(date(2024, 3, 31), None)),
        ("What was the limit as of 2022?", Then(date(2022, 12, 31), None)),
        ("In version 2 of leave.md, how many days are there?", Then(None, 2)),
        ("What is the limit as of today?", None),
        ("What is the limit as of 1 March 2199?", None),
        ("How long is the warranty?", None),
    ],
)
def test_the_moment_a_question_asks_about_is_found(question: str, then: Then | None) -> None:
    assert moment(question) == then


def test_without_a_day_the_newest_version_answers(library: Library) -> None:
    answer = library.ask(QUESTION)
    assert [cited.version for cited in answer.citations] == [2]
    assert "30 days" in answer.text
    assert answer.notices == ()


@pytest.mark.parametrize("begins", ["As of 1 March 2024, ", "In version 1 of leave.md, "])
def test_a_question_about_then_is_answered_and_cited_from_the_version_of_then(library: Library, begins: str) -> None:
    answer = library.ask(begins + QUESTION)
    assert "27 days" in answer.text
    first = answer.citations[0]
    assert (first.document, first.version) == ("leave.md", 1)
    assert library.document("leave.md", 1).text[first.start : first.end] == first.quote
    assert "leave.md in version 1" in answer.notices[0]
    assert all(cited.version == 1 for cited in answer.citations if cited.document == "leave.md")


def test_from_the_day_of_the_change_on_the_new_version_answers(library: Library) -> None:
    answer = library.ask("As of 2 June 2025, " + QUESTION)
    assert "30 days" in answer.text
    assert answer.notices == ()


def test_what_has_not_changed_since_is_answered_as_today(library: Library) -> None:
    answer = library.ask("As of 1 March 2024, when does the canteen open on all days?")
    assert answer.citations[0].document == "canteen.md"


def test_a_former_version_is_read_by_those_who_may_read_the_present_one(library: Library) -> None:
    access(library, '["mia"]')
    question = "As of 1 March 2024, " + QUESTION
    assert "27 days" in library.ask(question, person="mia").text
    assert not [c for c in library.ask(question, person="otto").citations if c.document == "leave.md"]
    assert "leave.md" not in " ".join(library.ask(question, person="otto").notices)
    access(library, "[]")


def test_before_all_versions_were_here_the_date_that_they_state_decides(library: Library) -> None:
    for since, price in (("2023-01-01", 40), ("2024-06-01", 60), ("2025-01-01", 70)):
        text = f"# Garage\n\nValid from {since}.\n\nA place in the garage costs {price} euros a month.\n"
        library.add_bytes("garage.md", text.encode())
    answer = library.ask("As of March 2024, what does a place in the garage cost?")
    assert (answer.citations[0].document, answer.citations[0].version) == ("garage.md", 1)
    assert "40 euros" in answer.text
    assert "70 euros" in library.ask("What does a place in the garage cost?").text
    early = library.ask("As of 2 May 2020, what does a place in the garage cost?")
    assert "garage.md is dated 2025-01-01" in early.notices[0], "today's version is read, and that is said"


def test_a_removed_document_answers_for_no_day(library: Library) -> None:
    library.remove("leave.md")  # the last test of this library
    answer = library.ask("As of 1 March 2024, " + QUESTION)
    assert not [cited for cited in answer.citations if cited.document == "leave.md"]
