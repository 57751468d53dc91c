"""Documents that contradict each other stand side by side, with their dates; those that do not are left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from rag.cite import Documents, citation
from rag.dates import Dated, dated
from rag.disagree import Aside, side_by_side
from rag.types import Document, PageSpan, Passage

TODAY = date(2026, 11, 22)
ADDED = "2026-03-04T10:00:00.000000+00:00"


def document(number: int, text: str, name: str = "", title: str = "") -> Document:
    name = name or f"{'abcdef'[number]}.md"
    return Document(
        number, "default", "s", name, name, 1, title, text, (PageSpan(None, 0, len(text)),), "", 0, 1, ADDED
    )


class Shelf(Documents):
    """Documents that need no catalogue."""

    def __init__(self, documents: list[Document]) -> None:
        self._loaded = {one.id: one for one in documents}


def aside(question: str, *texts: str, heads: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Aside | None:
    """What the first text and the others say side by side, each text being one document and one passage."""
    documents = [document(n, text, names[n] if names else "") for n, text in enumerate(texts)]
    read = [
        Passage(n, n, one.name, 1, 0, len(one.text), one.text, None, (heads[n],) if heads else ())
        for n, one in enumerate(documents)
    ]
    first = citation(read[0], 0, len(read[0].text), 0.9)
    return side_by_side(question, first, read, Shelf(documents), today=TODAY)


CONTRARY = [
    (
        "How many days of vacation do I get?",
        "Full-time employees accrue 15 days of paid vacation per year.",
        "Full-time employees accrue 20 days of paid vacation per year.",
    ),
    (
        "How many days of vacation do I get?",
        "Full-time employees accrue 15 days of paid vacation per year.",
        "Full-time staff earn twenty days of paid vacation each year.",
    ),
    ("What may a hotel cost?", "A hotel room may cost up to $180.", "A hotel room may cost up to $210."),
    ("Until when must I book travel?", "Travel is booked by 1 March.", "Travel is booked by 15 March."),
    ("Is alcohol reimbursed?", "Alcohol at team dinners is reimbursed.", "Alcohol at team dinners is not reimbursed."),
    (
        "How large was the team?",
        "In March 2024 the design team had 15 staff.",
        "In March 2024 the design team had 18 staff.",
    ),
    ("What is the stipend?", "We offer a $100 monthly wellness stipend.", "We offer a $120 monthly wellness stipend."),
    ("How many bikes fit in the shed?", "The bicycle shed holds 24 bikes.", "The bicycle shed holds 40 bikes."),
    ("Who signs orders?", "Orders are signed by 2 managers.", "Orders are signed by 3 managers."),
    ("When does the canteen open?", "The canteen opens at 11:30.", "The canteen opens at 12:00."),
    (
        "How long are logs kept?",
        "Provider: Sentry logs | Kept for: 90 days",
        "Provider: Sentry logs | Kept for: 30 days",
    ),
]


@pytest.mark.parametrize(("question", "one", "other"), CONTRARY)
def test_another_figure_date_or_polarity_in_like_words_is_shown_beside(question: str, one: str, other: str) -> None:
    found = aside(question, one, other)
    assert found is not None
    assert [said.citation.quote for said in found.statements] == [one, other]
    assert [said.citation.document for said in found.statements] == ["a.md", "b.md"]


AGREEING = [
    # the same, said alike or otherwise
    ("How many days?", "Staff accrue 15 days of paid vacation.", "Staff accrue 15 days of paid vacation."),
    ("How many days?", "Staff accrue 15 days of paid vacation.", "Employees get fifteen paid vacation days."),
    # another subject
    ("How many days of leave?", "Staff accrue 15 days of paid vacation.", "Staff accrue 10 days of paid sick leave."),
    (
        "How many days of vacation?",
        "Full-time staff accrue 15 days of paid vacation.",
        "Part-time staff accrue 8 days of paid vacation.",
    ),
    ("How many days of vacation?", "Staff accrue 15 days of paid vacation.", "New staff accrue 5 days of paid vacation."),
    (
        "How many days of vacation?",
        "Staff accrue 15 days of paid vacation.",
        "Staff in Germany accrue 30 days of paid vacation.",
    ),
    ("When does the office open?", "The Lisbon office opens at 9:00.", "The Porto office opens at 8:30."),
    # another time
    ("What were net sales?", "Net sales of products rose to $391 million in 2024.",
     "Net sales of products rose to $383 million in 2023."),
    ("When is the party?", "The summer party is on 3 July 2024.", "The summer party is on 1 July 2025."),
    # conditions
    ("How many days?", "Staff accrue 15 days of paid vacation.", "Staff accrue 20 days of paid vacation if they are senior."),
    ("Is alcohol reimbursed?", "Alcohol at dinners is reimbursed.", "Alcohol at dinners is not reimbursed unless approved."),
    ("What may a hotel cost?", "A hotel room may cost about $180.", "A hotel room may cost about $210."),
    # too little in common, or too many differences
    ("How many?", "It takes 5 days.", "It takes 9 days."),
    ("How long is leave?", "Paid leave of 5 days needs 2 signatures.", "Paid leave of 8 days needs 3 signatures."),
    ("What are net sales?", "Net product sales 391 402", "Net product sales 391 407"),
    # the other covers less of the question
    ("How early must vacation be requested?", "Vacation requests are made 14 days ahead.", "Requests are made 3 days ahead."),
]  # fmt: skip


@pytest.mark.parametrize(("question", "one", "other"), AGREEING)
def test_like_words_about_something_else_raise_no_alarm(question: str, one: str, other: str) -> None:
    assert aside(question, one, other) is None


def test_headings_tell_subjects_apart_and_may_hold_the_word_that_is_missing() -> None:
    question = "How many days can be carried over?"
    one, other = "Employees may carry over 5 unused days.", "Employees may carry over 10 unused days."
    assert aside(question, one, other, heads=("Leave handbook 2023", "Leave handbook 2025")) is not None
    assert aside(question, one, other, heads=("Sick notes", "Vacation")) is None
    longer = "Employees may carry over 10 unused vacation days."
    assert aside(question, one, longer, heads=("Vacation", "Vacation")) is not None
    assert aside(question, one, longer) is None


def test_what_the_question_names_must_stand_in_both_or_above_them() -> None:
    one, other = (f"Requests reach the manager {days} days ahead in writing." for days in ("14", "3"))
    for question, alarm in (("How early must vacation be requested?", False), ("How early are requests made?", True)):
        found = aside(question, one, other, heads=("Vacation", "Sick leave"))
        assert (found is not None) == alarm


def test_a_document_that_also_says_the_same_does_not_disagree() -> None:
    one, other = "Staff accrue 15 days of paid vacation.", "Staff accrue 20 days of paid vacation."
    assert aside("How many days of vacation?", one, f"{other}\n\n{one}") is None


def test_a_document_that_says_both_itself_does_not_disagree() -> None:
    one, other = "Staff accrue 15 days of paid vacation.", "Staff accrue 20 days of paid vacation."
    documents = [document(0, f"{one}\n\n{other}"), document(1, other)]
    read = [
        Passage(7, 0, "a.md", 1, 0, len(one), one, None),
        Passage(8, 0, "a.md", 1, len(one) + 2, len(one) + 2 + len(other), other, None),
        Passage(9, 1, "b.md", 1, 0, len(other), other, None),
    ]
    shelf = Shelf(documents)
    assert side_by_side("How many days of vacation?", citation(read[0], 0, len(one), 0.9), read, shelf) is None
    alone = [read[0], replace(read[1], document_id=2, document="c.md", start=0, end=len(other)), read[2]]
    found = side_by_side(
        "How many days of vacation?",
        citation(read[0], 0, len(one), 0.9),
        alone,
        Shelf([*documents, document(2, other)]),
    )
    assert found is not None
    assert [said.citation.document for said in found.statements] == ["a.md", "c.md", "b.md"]


def test_what_no_longer_stands_in_its_document_is_not_shown() -> None:
    one, other = "Staff accrue 15 days of paid vacation.", "Staff accrue 20 days of paid vacation."
    read = [Passage(n, n, "x", 1, 0, len(text), text, None) for n, text in enumerate((one, other))]
    changed = [document(0, one), document(1, other.replace("20", "25"))]
    assert side_by_side("How many days of vacation?", citation(read[0], 0, len(one), 0.9), read, Shelf(changed)) is None


def test_the_words_name_both_sides_with_their_dates() -> None:
    texts = (
        "Staff accrue 15 days of paid vacation.\n\nLast updated: 1 March 2023",
        "Staff accrue 20 days of paid vacation.",
    )
    found = aside("How many days of vacation?", *texts, names=("leave.md", "new/leave.md"))
    assert found is not None
    assert found.words == (
        "The documents disagree:\n"
        "- Staff accrue 15 days of paid vacation. (leave.md, dated 1 March 2023) [1]\n"
        "- Staff accrue 20 days of paid vacation. (new/leave.md, added 4 March 2026) [2]"
    )
    assert [(said.date, said.dated) for said in found.statements] == [("2023-03-01", "dated"), ("2026-03-04", "added")]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("Effective from 1 January 2025. Valid until 31 December 2024.", "a.md", ("2024-12-31", "valid until")),
        ("Revised on 2025-02-03, published 1 May 2020.", "a.md", ("2025-02-03", "dated")),
        ("Date: March 2024", "a.md", ("2024-03-31", "dated")),
        ("As of 5 June 2024 it holds. Updated 1 January 2099.", "a.md", ("2024-06-05", "dated")),
        ("Nothing.", "policy-2022.pdf", ("2022", "dated")),
        ("We met on 5 June 2024.", "a.md", ("2026-03-04", "added")),
        ("Nothing.", "form-20225.pdf", ("2026-03-04", "added")),
    ],
)
def test_a_document_is_dated_by_what_tells_most(text: str, name: str, expected: tuple[str, str]) -> None:
    assert dated(document(0, text, name), TODAY) == Dated(*expected)
