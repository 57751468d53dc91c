"""Lists, counts, comparisons, steps, summaries and definitions over real stores: everything said is quoted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rag.answer import REFUSAL
from rag.library import Library
from rag.tasks import Desk, Task, recognise
from rag.types import Answer, Done, Found, Quoted, Searching, Text
from tests.miniature import small_library

MANY = 70  # documents that mention one word: more than any search returns

PLANS = """# Service plans

Customers choose between two plans, Breeze and Storm.

## First answer

| Priority | Breeze | Storm |
| --- | --- | --- |
| no readings | 8 hours | 20 minutes |
| a question | 5 days | 1 day |

## Prices

| Plan | Price | Notice |
| --- | --- | --- |
| Breeze | 40 euros | one month |
| Storm | 90 euros | two weeks |
"""
BADGE = """# Access

## Asking for a key

1. Write to the gatehouse with this form:

- Name:
- Room:

2. Wait for the answer.

3. Fetch the key.

## If you lose your badge

Follow these steps:

1. Call the gatehouse. It blocks the badge at once.
2. Go to reception with an identity card.
3. Order a new badge in the portal.

## What the warranty does not cover

- lightning
- opened seals
- salt and birds
"""
WORDS = """# Glossary

- **Fetch** - The open water over which the wind can blow freely.
- **VLT** - Voluntary Leave Transfer. Days given to a colleague.

## Hysteresis

The difference between the rising and the falling series.
"""
MEMO = """# Memo on home working

## Days

You may work from home on one day a week.

## Equipment

There is a contribution of 150 euros to a desk.
"""
POLICY = """# Remote work policy

## How many days

You may work remotely on up to three days a week.

## Equipment for your home

You have a budget of 400 euros for a desk and a lamp.
"""
GUIDE = "# Field guide\n" + "".join(
    f"\n## Part {n}\n\nPart {n} of the guide says that mast {n} must stand {n} metres from the wall. "
    f"The crew of mast {n} checks the ropes of the mast. It is a mast.\n"
    for n in range(1, 31)
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("tasks")
    papers = folder / "papers"
    papers.mkdir()
    texts = {"plans": PLANS, "badge": BADGE, "glossary": WORDS, "memo": MEMO, "policy": POLICY, "guide": GUIDE}
    for name, text in texts.items():
        (papers / f"{name}.md").write_text(text, "utf-8")
    for n in range(MANY):
        (papers / f"site-{n:02}.md").write_text(
            f"# Site {n}\n\nThe site {n} sends a zephyr report each week.\n", "utf-8"
        )
    secret = folder / "secret"
    secret.mkdir()
    (secret / "board.md").write_text("# Board\n\nThe board reads the zephyr report too.\n", "utf-8")
    with small_library(folder / "index", strictness=0.3) as opened:
        opened.add(papers)
        opened.add(secret, access=["mia"])
        yield opened


def asked(library: Library, question: str, **how: str) -> Answer:
    """The answer, each of its quotations compared with its document."""
    answer = library.ask(question, **how)  # type: ignore[arg-type]
    for cited in answer.citations:
        assert library.document(cited.document, cited.version).text[cited.start : cited.end] == cited.quote
    return answer


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("How many documents mention DriveLog?", Task("count", "DriveLog", unit="documents")),
        ("Please list all policies that mention remote work.", Task("count", "remote work", unit="policies")),
        ("Where is the badge mentioned?", Task("count", "badge", unit="documents")),
        ("Which guides don't mention leave?", Task("count", "leave", unit="guides", without=True)),
        ("Count the documents that mention both mail and post.", Task("count", "mail", "post", unit="documents")),
        ("List every memo owned by the legal team.", Task("count", "legal team", unit="memo", said="owned")),
        ("Which policies of the Berlin office do we have?", Task("count", unit="policies", about="Berlin office")),
        ("List all countries that staff may not work from.", Task("list", "countries that staff may not work from")),
        ("Compare Gale with Storm for support", Task("compare", "Gale", "Storm", "support")),
        ("Compare the plans Gale and Storm.", Task("compare", "Gale", "Storm")),
        ("What's the difference between overtime and comp time?", Task("compare", "overtime", "comp time")),
        ("Breeze vs. Storm", Task("compare", "Breeze", "Storm")),
        ("What are the steps to add a DNS record?", Task("steps", "add a DNS record")),
        ("Can you summarise the leave policy in three sentences?", Task("summarise", "leave policy", most=3)),
        ("What does ATO stand for?", Task("define", "ATO")),
        ("Define personal data.", Task("define", "personal data")),
    ],
)
def test_a_plain_request_is_recognised_with_its_subject(question: str, task: Task) -> None:
    assert recognise(question) == task


@pytest.mark.parametrize(
    "question",
    [
        "How many days of leave do I have?",
        "Which Trello Power-Ups have been approved?",
        "How do I request leave?",
        "What is the deadline for expenses?",
        "Which documents do I need to bring on my first day?",
        "Will my leave be carried over to next year?",
        "How can I get a handbook page translated into Spanish?",
        "What does it mean that my request is pending?",
        "How is the half hour divided?",
        "How many documents are required for a visa?",
        "Which policy is the newest of all?",
        "May I write an e-mail to a customer?",
    ],
)
def test_an_ordinary_question_is_no_task(question: str) -> None:
    assert recognise(question) is None


def test_counting_looks_at_the_whole_catalogue_and_cites_every_row(library: Library) -> None:
    answer = asked(library, "How many documents mention the zephyr report?")
    assert answer.text.startswith(
        f"{MANY + 1} documents of {MANY + 7} mention “zephyr report”, {MANY + 1} times in all."
    )
    assert len({cited.document for cited in answer.citations}) == MANY + 1
    assert all("zephyr report" in cited.quote for cited in answer.citations)
    assert answer.text.count("\n- ") == MANY + 1


def test_every_passage_with_the_words_is_found_and_none_that_is_not_allowed(library: Library) -> None:
    lexical = library._parts().lexical
    everything = lexical.every("the zephyr report")
    assert len(everything) == MANY + 1
    assert lexical.every("the zephyr report", everything[3:5]) == everything[3:5]
    assert lexical.every("the zephyr report", []) == []


def test_what_a_person_may_not_read_is_not_counted(library: Library) -> None:
    question = "How many documents mention the zephyr report?"
    otto, mia = (asked(library, question, person=name) for name in ("otto", "mia"))
    assert otto.text.startswith(f"{MANY} documents of {MANY + 6} ")
    assert "board" not in otto.text
    assert mia.text.startswith(f"{MANY + 1} documents of {MANY + 7} ")
    nothing = asked(library, "Which documents mention board reads?", person="otto")
    assert nothing.abstained
    assert all(cited.document != "board.md" for cited in nothing.nearest)


def test_only_another_collection_is_searched_where_one_is_named(library: Library) -> None:
    assert asked(library, "How many documents mention the zephyr report?", collection="other").abstained


def test_words_apart_from_one_another_are_no_mention(library: Library) -> None:
    answer = asked(library, "Which documents mention report zephyr?")
    assert answer.abstained
    assert answer.reason == (
        f"None of {MANY + 7} documents mentions “report zephyr”. "
        f"{MANY + 1} documents have its words apart from one another."
    )


def test_a_mention_is_the_word_itself_in_singular_or_plural(library: Library) -> None:
    parts = library._parts()
    assert parts.reader is not None
    text = "Compiled by a compiler, two compilers and a non-compiler; our policies say: one policy. IT has it."
    desk = Desk(parts, parts.reader, [])
    said = [[text[slice(*place)] for place in desk.mentions(term, text)] for term in ("compiler", "policy", "IT")]
    assert said == [["compiler", "compilers"], ["policies", "policy"], ["IT"]]


def test_documents_that_do_not_mention_something_are_counted_and_cited_too(library: Library) -> None:
    answer = asked(library, "How many documents do not mention the zephyr report?")
    assert answer.text.startswith(f"6 documents of {MANY + 7} do not mention “zephyr report”.")
    assert sorted(cited.document for cited in answer.citations) == [
        "badge.md", "glossary.md", "guide.md", "memo.md", "plans.md", "policy.md"
    ]  # fmt: skip


def test_documents_that_mention_two_things_are_cited_for_both(library: Library) -> None:
    answer = asked(library, "Which documents mention both equipment and euros?")
    assert answer.text.startswith(f"2 documents of {MANY + 7} mention both “equipment” and “euros”.")
    assert [cited.document for cited in answer.citations] == ["memo.md", "memo.md", "policy.md", "policy.md"]
    one = asked(library, "Which documents mention both the gatehouse and euros?")
    assert one.reason == f"None of {MANY + 7} documents mentions both: 1 mention “gatehouse”, 3 “euros”."


def test_a_word_of_the_same_stem_in_the_same_sentence_counts(tmp_path: Path) -> None:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("a.md", b"# Badges\n\nThe owner of this document is the legal team.\n")
        opened.add_bytes("b.md", b"# Masts\n\nThe legal team is asked. The owner is the crew.\n")
        answer = asked(opened, "How many documents are owned by the legal team?")
        assert answer.text.startswith("1 document of 2 mentions “owned” and “legal team” in one sentence")
        assert [cited.document for cited in answer.citations] == ["a.md"]


def test_documents_of_a_place_are_those_called_or_filed_so(tmp_path: Path) -> None:
    with small_library(tmp_path / "index") as opened:
        for place in ("oslo", "lyon"):
            for name in ("leave", "parking"):
                text = f"# {name} policy\n\nAsk the office.\n"
                opened.add_bytes(f"{place}/{name}.md", text.encode())
        answer = asked(opened, "List all policies of the Oslo office.")
        assert answer.text.startswith("2 documents of 4 called policies are of Oslo.")
        assert sorted(cited.document for cited in answer.citations) == ["oslo/leave.md", "oslo/parking.md"]


def test_documents_of_a_kind_are_those_called_so(library: Library) -> None:
    answer = asked(library, "How many policies mention days?")
    assert answer.text.startswith("1 document of 1 called policies mentions “days”")


def test_a_count_of_none_of_a_kind_names_the_others(library: Library) -> None:
    answer = asked(library, "How many policies mention the gatehouse?")
    assert answer.reason == (
        "None of 1 documents called policies mentions “gatehouse”. 1 other document does; ask for “documents”."
    )


def test_a_list_is_given_whole(library: Library) -> None:
    answer = asked(library, "List everything that the warranty does not cover.")
    assert answer.text.endswith("- lightning [1]\n- opened seals [1]\n- salt and birds [1]")
    assert [cited.document for cited in answer.citations] == ["badge.md"]


def test_steps_are_given_whole_and_in_order(library: Library) -> None:
    answer = asked(library, "What are the steps if I lose my badge?")
    said = [line.partition(" ")[2] for line in answer.text.splitlines() if line[0].isdigit()]
    assert said == [
        "Call the gatehouse. It blocks the badge at once. [1]",
        "Go to reception with an identity card. [1]",
        "Order a new badge in the portal. [1]",
    ]


def test_steps_go_on_after_a_form_that_stands_between_them(library: Library) -> None:
    text = asked(library, "Walk me through asking for a key").text
    assert text.endswith("2. Wait for the answer. [1]\n3. Fetch the key. [1]")


def test_two_columns_and_two_rows_of_a_table_stand_side_by_side(library: Library) -> None:
    text = asked(library, "Compare Breeze and Storm").text
    assert "Priority: no readings\n- Breeze: 8 hours [1]\n- Storm: 20 minutes [1]" in text
    assert "Price\n- Breeze: 40 euros [3]\n- Storm: 90 euros [4]" in text
    assert "Said of both\n- Customers choose between two plans, Breeze and Storm." in text


def test_two_documents_are_compared_aspect_by_aspect(library: Library) -> None:
    answer = asked(library, "What is the difference between the memo on home working and the remote work policy?")
    lines = answer.text.splitlines()
    one, two = (next(n for n, line in enumerate(lines) if words in line) for words in ("one day a week", "three days"))
    assert (two, lines[one - 1]) == (one + 1, "Days / How many days")
    assert "150 euros" in lines[one + 3]
    assert "400 euros" in lines[two + 3]
    assert {cited.document for cited in answer.citations} == {"memo.md", "policy.md"}


def test_a_side_of_which_nothing_is_said_is_named(library: Library) -> None:
    answer = asked(library, "Compare hysteresis and wombats")
    assert "The documents say nothing of “wombats”." in answer.text
    assert not answer.abstained


def test_a_summary_reaches_from_the_beginning_to_the_end(library: Library) -> None:
    answer = asked(library, "Summarise the field guide.")
    text = library.document("guide.md").text
    places = [cited.start / len(text) for cited in answer.citations]
    assert len(places) <= 14
    assert places == sorted(places)
    assert places[0] < 0.1
    assert places[-1] > 0.9
    assert all(0.0 < after - before < 0.2 for before, after in pairwise(places))


def test_a_summary_keeps_to_the_number_of_sentences_asked_for(library: Library) -> None:
    answer = asked(library, "Summarise the field guide in four sentences.")
    assert len(answer.citations) == 4
    assert answer.citations[-1].start > len(library.document("guide.md").text) / 2


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What does fetch mean?", "The open water over which the wind can blow freely."),
        ("What does VLT stand for?", "Voluntary Leave Transfer"),
        ("Define hysteresis.", "The difference between the rising and the falling series."),
    ],
)
def test_a_term_is_defined_by_glossary_or_heading(library: Library, question: str, said: str) -> None:
    answer = asked(library, question)
    assert said in answer.text
    assert answer.citations[0].document == "glossary.md"


def test_a_term_that_no_document_defines_is_shown_where_it_is_mentioned(library: Library) -> None:
    answer = asked(library, "Define ropes.")
    assert answer.text.startswith("No document says what “ropes” means. Its first mention:\n- Field guide (guide.md): ")
    assert "ropes" in answer.citations[0].quote


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Add up the prices of Breeze and Storm.", "never calculated"),
        ("Which plan do you think is better?", "No opinions"),
        ("Will the price of Storm rise next year?", "future"),
        ("Write a letter to a customer about Storm.", "No letters"),
        ("Translate the remote work policy into German.", "never translated"),
        ("Draw a chart of the prices.", "No pictures"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(library: Library, question: str, reason: str) -> None:
    answer = asked(library, question)
    assert (answer.text, answer.abstained, answer.citations) == (REFUSAL, True, ())
    assert reason in str(answer.reason)
    assert "Ask " in str(answer.reason)
    assert 1 <= len(answer.nearest) <= 3


def test_a_task_has_the_events_and_the_audit_of_every_answer(library: Library) -> None:
    events = list(library.stream("Define hysteresis."))
    kinds = [type(event) for event in events]
    assert kinds == [Searching, Found, *[Text] * kinds.count(Text), *[Quoted] * kinds.count(Quoted), Done]
    last = events[-1]
    assert isinstance(last, Done)
    assert "".join(event.text for event in events if isinstance(event, Text)) == last.answer.text
    kept = library.audited(last.answer.answer_id)
    assert kept["speaker"] == "task:define"
    assert kept["answer"]["citations"] == last.answer.as_dict()["citations"]
    again = library.replay(last.answer.answer_id)
    assert again.then["answer"] == again.now["answer"]


def test_a_task_that_the_documents_offer_nothing_for_is_answered_like_any_question(library: Library) -> None:
    answer = asked(library, "Define quokka.")
    kept = library.audited(answer.answer_id)
    assert not str(kept["speaker"]).startswith("task:")
    assert answer.abstained


def test_a_removed_document_is_counted_no_more(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    for name in ("one", "two"):
        (papers / f"{name}.md").write_text(f"# {name}\n\nThe barograph of {name} is blue.\n", "utf-8")
    with small_library(tmp_path / "index") as library:
        library.add(papers)
        library.remove("one.md")
        answer = library.ask("Which documents mention the barograph?")
        assert answer.text.startswith("1 document of 1 mentions “barograph”, 1 time in all.")
        assert [cited.document for cited in answer.citations] == ["two.md"]
