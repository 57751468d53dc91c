"""A question becomes a cited answer: the whole journey over real stores.

The reader here reads: it scores sentences by the words they share with the question. It stands in for the shipped
model, so that these tests need no weights but the embedder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import rag
from rag.answer import REFUSAL, answer
from rag.config import Settings
from rag.errors import EndpointError, ModelError
from rag.library import Library
from rag.parts import Parts
from rag.quote import candidates
from rag.replay import replay
from rag.types import (
    Answer,
    Done,
    Event,
    Found,
    Message,
    Passage,
    Quoted,
    Reading,
    Searching,
    Span,
    Text,
)  # fmt: skip
from rag.wording import stems


class OverlapReader:
    """Evidence is the share of the question's words that a sentence holds."""

    name = "overlap-1"
    threshold = 0.5
    confidence = None  # support is the confidence
    risk = ()  # never measured
    order = None  # the witnesses count as they do by default

    def read(self, question: str, passages: Sequence[Passage]) -> Reading:
        wanted = stems(question)
        spans = [
            Span(number, start, end, len(wanted & (stems(passage.text[start:end]) | stems(" ".join(passage.headings))))
                 / max(1, len(wanted)))
            for number, passage in enumerate(passages)
            for start, end in candidates(passage.text)
        ]  # fmt: skip
        spans.sort(key=lambda span: -span.score)
        evidence = tuple(max((s.score for s in spans if s.passage == n), default=0.0) for n in range(len(passages)))
        return Reading(evidence, max(evidence, default=0.0), tuple(spans[:20]))


class Outside:
    """A speaker that says what it was given, and may fail."""

    name = "outside-model"

    def __init__(self, *pieces: str, failure: str | None = None) -> None:
        self.pieces, self.failure = pieces, failure

    def say(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Iterator[str]:
        yield from self.pieces
        if self.failure:
            raise EndpointError(self.failure)


@pytest.fixture(scope="module")
def library(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("answer") / "index"
    with rag.open(folder, Settings(index=folder)) as opened:
        opened.add([papers])
        yield opened


@pytest.fixture
def parts(library: Library) -> Parts:
    return replace(library._parts(), reader=OverlapReader(), speaker=None)


def done(events: Sequence[Event]) -> Answer:
    last = events[-1]
    assert isinstance(last, Done)
    return last.answer


def ask(parts: Parts, question: str, **how: object) -> Answer:
    return done(list(answer(parts, question, **how)))  # type: ignore[arg-type]


def test_events_come_in_order_and_join_to_the_answer(parts: Parts) -> None:
    events = list(answer(parts, "How many days of annual leave do full-time employees have?"))
    kinds = "".join({Searching: "S", Found: "F", Text: "T", Quoted: "Q", Done: "D"}[type(event)] for event in events)
    assert re.fullmatch("SFT+Q+D", kinds)
    result = done(events)
    assert "".join(event.text for event in events if isinstance(event, Text)) == result.text
    assert tuple(event.citation for event in events if isinstance(event, Quoted)) == result.citations
    assert [event.number for event in events if isinstance(event, Quoted)] == list(range(1, len(result.citations) + 1))


def test_the_answer_holds_the_figure_and_cites_its_exact_words(library: Library, parts: Parts) -> None:
    result = ask(parts, "How many days of annual leave do full-time employees have?")
    assert not result.abstained
    assert "27 days" in result.text
    first = result.citations[0]
    assert first.document == "leave.md"
    assert "27 days" in first.quote
    assert library.document(first.document, first.version).text[first.start : first.end] == first.quote


def test_the_json_object_is_that_of_the_contract(parts: Parts) -> None:
    given = ask(parts, "How many days of annual leave do full-time employees have?").as_dict()
    assert {
        "answer", "abstained", "confidence", "citations", "answer_id", "model", "index_generation", "timings_ms"
    } <= set(given)  # fmt: skip
    assert set(given["citations"][0]) == {"document", "version", "page", "start", "end", "quote", "passage", "score"}
    assert set(given["timings_ms"]) == {"search", "read", "speak", "total"}
    assert given["timings_ms"]["total"] >= given["timings_ms"]["search"]
    assert 0 <= given["confidence"] <= 1


def test_without_support_it_refuses_and_names_the_nearest(library: Library, parts: Parts) -> None:
    result = ask(parts, "Which parrot species nests on the roof in winter?")
    assert (result.text, result.abstained, result.citations) == (REFUSAL, True, ())
    assert result.reason is not None
    assert "confidence" in result.reason
    assert 1 <= len(result.nearest) <= 3
    for near in result.nearest:
        assert library.document(near.document, near.version).text[near.start : near.end] == near.quote


def test_a_refusal_speaks_and_quotes_nothing(parts: Parts) -> None:
    events = list(answer(parts, "Which parrot species nests on the roof in winter?"))
    assert [event.text for event in events if isinstance(event, Text)] == [REFUSAL]
    assert not [event for event in events if isinstance(event, Quoted)]


def test_a_strict_library_refuses_what_a_lenient_one_answers(parts: Parts) -> None:
    question = "How many days of annual leave may be carried over to the moon?"
    bold = replace(parts, settings=parts.settings.but(strictness=0.05))
    shy = replace(parts, settings=parts.settings.but(strictness=0.99))
    assert not ask(bold, question).abstained
    assert ask(shy, question).abstained


def test_an_empty_library_says_what_to_do(tmp_path: Path) -> None:
    with rag.open(tmp_path / "index", Settings(index=tmp_path / "index")) as empty:
        parts = replace(empty._parts(), reader=OverlapReader())
        result = ask(parts, "How many days?")
    assert result.abstained
    assert result.reason == "There are no documents yet; add some and ask again."


def test_a_collection_without_the_answer_refuses(parts: Parts) -> None:
    assert ask(parts, "How many days of annual leave do full-time employees have?", collection="other").abstained


def test_a_follow_up_is_searched_as_a_question_that_stands_alone(parts: Parts) -> None:
    history = [Message("How many days can be carried over?", "Up to five.")]
    assert ask(parts, "What is the date?").abstained
    result = ask(parts, "What is the date?", history=history)
    assert result.question == "What is the date?"
    assert "days carried" in result.standalone
    assert "31 March" in result.text


def test_without_a_model_nothing_is_answered(parts: Parts) -> None:
    with pytest.raises(ModelError, match="Name a model folder"):
        list(answer(replace(parts, reader=None), "How many days?"))


def test_a_quotation_that_no_longer_stands_in_its_document_is_not_shown(parts: Parts) -> None:
    class Lying(OverlapReader):
        """The words change between search and check, as when a document is replaced meanwhile."""

        def read(self, question: str, passages: Sequence[Passage]) -> Reading:
            parts.catalogue.db.execute("update texts set text = replace(text, '27 days', '72 days')")
            return super().read(question, passages)

    parts.catalogue.db.execute("begin")
    try:
        result = ask(replace(parts, reader=Lying()), "How many days of annual leave do full-time employees have?")
    finally:
        parts.catalogue.db.execute("rollback")
    assert result.abstained
    assert result.reason is not None
    assert "could not be confirmed" in result.reason
    assert all("27 days" not in near.quote for near in result.nearest)


def test_every_answer_and_refusal_is_audited_with_what_replays_it(parts: Parts) -> None:
    history = [Message("How much annual leave is there?", "27 days.")]
    for question in ("How many days can be carried over?", "Which parrot nests on the roof?"):
        result = ask(parts, question, history=history, person="ann")
        kept = parts.audit.load(result.answer_id)
        assert (kept["question"], kept["standalone"]) == (result.question, result.standalone)
        assert kept["history"] == [["How much annual leave is there?", "27 days."]]
        assert kept["model"] == "overlap-1"
        assert kept["generation"] == result.index_generation
        made_with = {name: kept["settings"][name] for name in ("strictness", "fusion_weight")}
        assert made_with == {"strictness": "normal", "fusion_weight": 0.7}
        assert kept["answer"]["answer"] == result.text
        assert all(len(read["sha256"]) == 64 for read in kept["passages"])
        assert {read["id"] for read in kept["passages"]} >= {span[0] for span in kept["spans"]}
        assert kept["purpose"] == "asked"
        assert replay(parts, result.answer_id).same
        again = next(parts.audit.entries(newest_first=True)).payload
        assert again is not None
        assert again["purpose"] == "replayed"  # nobody asked it a second time
    assert parts.audit.verify() == []
    newest = next(parts.audit.entries(newest_first=True))
    assert newest.kind == "answer"


def test_an_answer_in_another_language_says_that_the_model_does_not_know_it(
    parts: Parts, library: Library, tmp_path: Path
) -> None:
    words = "Die Kantine in Halle Sieben schließt um vierzehn Uhr und wird von den Nachbarn und ihren Kindern auch gern besucht."
    (tmp_path / "kantine.md").write_text(words)
    library.add(tmp_path / "kantine.md", collection="halle")
    try:
        result = ask(parts, "Wann schließt die Kantine in Halle Sieben?", collection="halle")
    finally:
        library.remove("kantine.md", collection="halle")
    assert result.citations[0].quote == words
    assert "German: outside the model's language" in result.notices[0]


def test_two_documents_that_answer_alike_are_both_cited(parts: Parts, library: Library, tmp_path: Path) -> None:
    new = tmp_path / "rules.md"
    new.write_text("# Rules\n\nA lost laptop is reported to the police within two days.\n", "utf-8")
    library.add([new])
    try:
        result = ask(parts, "How soon is a lost laptop reported?")
    finally:
        library.remove("rules.md")
    assert {citation.document for citation in result.citations} == {"security.txt", "rules.md"}


def test_a_list_that_the_passages_cut_is_answered_and_quoted_whole(
    parts: Parts, library: Library, tmp_path: Path
) -> None:
    tools = [f"- Tool {name}{name.lower()}{name.lower()} is meant for {name * 30}" for name in "ABCDEFGHIJKLMNOPQRST"]
    page = tmp_path / "tools.md"
    page.write_text(
        "# Workshop\n\nThese tools may be borrowed from the workshop:\n\n" + "\n".join(tools) + "\n", "utf-8"
    )
    (report,) = library.add([page])
    try:
        assert report.passages > 1  # the list does not fit one passage
        result = ask(parts, "Which tools may be borrowed from the workshop?")
    finally:
        library.remove("tools.md")
    assert all(tool in result.text for tool in tools)
    assert all(tool in result.citations[0].quote for tool in tools)


# --- documents that disagree, lists, yes and no -----------------------------------------------------------------------

SHED = "How many bikes does the bicycle shed hold?"


@pytest.fixture
def sheds(parts: Parts, library: Library, tmp_path: Path) -> Iterator[Parts]:
    """The library with two documents that contradict each other."""
    for name, bikes, said in (("shed-2023.md", 24, ""), ("shed.md", 40, "\n\nLast updated: 2 May 2025")):
        (tmp_path / name).write_text(f"# Bicycles\n\nThe bicycle shed holds {bikes} bikes.{said}\n", "utf-8")
    library.add([tmp_path / "shed-2023.md", tmp_path / "shed.md"])
    yield replace(library._parts(), reader=OverlapReader(), speaker=None)
    for name in ("shed-2023.md", "shed.md"):
        library.remove(name)


def test_documents_that_contradict_each_other_are_shown_side_by_side_with_their_dates(
    library: Library, sheds: Parts
) -> None:
    events = list(answer(sheds, SHED))
    result = done(events)
    first, *lines = result.text.split("\n")
    assert first == "The documents disagree:"
    assert {line[: line.index(" [")] for line in lines} == {
        "- The bicycle shed holds 24 bikes. (shed-2023.md, dated 2023)",
        "- The bicycle shed holds 40 bikes. (shed.md, dated 2 May 2025)",
    }
    assert {(said.citation.document, said.date, said.dated) for said in result.disagreement} == {
        ("shed-2023.md", "2023", "dated"), ("shed.md", "2025-05-02", "dated")
    }  # fmt: skip
    assert tuple(said.citation for said in result.disagreement) == result.citations[:2]
    for cited in result.citations:
        assert library.document(cited.document, cited.version).text[cited.start : cited.end] == cited.quote
    assert "".join(event.text for event in events if isinstance(event, Text)) == result.text
    told = result.as_dict()["disagreement"]
    assert {(side["document"], side["date"], side["dated"]) for side in told} == {
        ("shed-2023.md", "2023", "dated"), ("shed.md", "2025-05-02", "dated")
    }  # fmt: skip
    assert sheds.audit.load(result.answer_id)["answer"]["disagreement"] == told


def test_an_outside_model_that_picks_one_side_is_followed_by_both(sheds: Parts) -> None:
    result = ask(replace(sheds, speaker=Outside("It holds 24 bikes [1].")), SHED)
    assert result.text == "It holds 24 bikes [1]."
    assert len(result.disagreement) == 2
    assert {said.citation.document for said in result.disagreement} <= {cited.document for cited in result.citations}
    assert any("disagree" in notice and "40 bikes" in notice for notice in result.notices)


def test_where_documents_agree_nothing_is_said_of_it(parts: Parts) -> None:
    assert "disagreement" not in ask(parts, LEAVE).as_dict()


def test_a_list_too_long_to_quote_says_how_many_entries_are_left_and_where(
    parts: Parts, library: Library, tmp_path: Path
) -> None:
    page = tmp_path / "tools.md"
    tools = [f"- Tool {n:02} is meant for {'heavy ' * 12}work" for n in range(30)]
    page.write_text("# Workshop\n\nThese tools may be borrowed:\n\n" + "\n".join(tools) + "\n", "utf-8")
    library.add([page])
    try:
        result = ask(parts, "Which tools may be borrowed?")
    finally:
        library.remove("tools.md")
    *shown, last = result.text.split("\n")
    entries = [line for line in shown if line.startswith("- ")]
    assert len(result.citations[0].quote) <= 1200
    assert 1 < len(entries) < len(tools)
    assert last == f"… and {len(tools) - len(entries)} more in tools.md."


def test_steps_are_quoted_whole_and_a_yes_or_no_comes_first(parts: Parts, library: Library, tmp_path: Path) -> None:
    page = tmp_path / "badge.md"
    page.write_text(
        "# Badges\n\nTo replace a badge:\n\n1. Report the badge as lost.\n\n   The desk is open all day.\n\n"
        "2. Take a picture.\n\nPlain walls are best.\n\n3. Collect the badge.\n\nYou cannot lend your badge.\n", "utf-8",
    )  # fmt: skip
    library.add([page])
    try:
        steps = ask(parts, "How do I replace a badge?")
        lent = ask(parts, "Can I lend my badge?")
    finally:
        library.remove("badge.md")
    assert [line for line in steps.text.split("\n") if line[0].isdigit()] == [
        "1. Report the badge as lost. The desk is open all day.",
        "2. Take a picture. Plain walls are best.",
        "3. Collect the badge.",
    ]
    assert lent.text == "No. You cannot lend your badge."
    assert lent.citations[0].quote == "You cannot lend your badge."


# --- an outside model as speaker --------------------------------------------------------------------------------------

LEAVE = "How many days of annual leave do full-time employees have?"


def test_an_outside_models_words_are_cited_with_our_checked_quotations(library: Library, parts: Parts) -> None:
    spoken = replace(parts, speaker=Outside("Full-time employees have ", "27 days of annual leave [1]."))
    result = ask(spoken, LEAVE)
    assert result.text == "Full-time employees have 27 days of annual leave [1]."
    first = result.citations[0]
    assert "27 days" in first.quote
    assert library.document(first.document).text[first.start : first.end] == first.quote
    assert parts.audit.load(result.answer_id)["speaker"] == "outside-model"


def test_sentences_that_say_more_than_the_passages_are_marked(parts: Parts) -> None:
    result = ask(replace(parts, speaker=Outside("You have 27 days [1]. ", "Mr. Miller adds 99 more.")), LEAVE)
    assert result.text == "You have 27 days [1]. Mr. Miller adds 99 more. [not in the sources]"
    assert any("[not in the sources]" in notice for notice in result.notices)


def test_a_failing_outside_model_is_replaced_by_our_own_words_with_a_notice(parts: Parts) -> None:
    own = ask(parts, LEAVE)
    for speaker in (Outside(failure="silent for 60 s"), Outside("Full-time employees ", failure="broke off")):
        result = ask(replace(parts, speaker=speaker), LEAVE)
        assert (result.text, result.citations) == (own.text, own.citations)
        assert speaker.failure is not None
        assert speaker.failure in result.notices[0]
        assert parts.audit.load(result.answer_id)["speaker"] == "span:sentence"


def test_an_answer_that_is_stopped_is_audited_as_far_as_it_was_shown(parts: Parts) -> None:
    events = answer(replace(parts, speaker=Outside("You have 27 days [1]. ", "And so on. ", "And on.")), LEAVE)
    for event in events:
        if isinstance(event, Text):
            break
    events.close()
    newest = next(parts.audit.entries(newest_first=True))
    assert newest.payload is not None
    assert newest.payload["answer"]["answer"] == "You have 27 days [1]."
    assert newest.payload["answer"]["notices"] == ["Stopped before the end."]


def test_an_outside_models_refusal_is_a_refusal(parts: Parts) -> None:
    result = ask(replace(parts, speaker=Outside("The documents ", "do not say.")), LEAVE)
    assert (result.text, result.abstained, result.citations) == (REFUSAL, True, ())
    assert result.nearest


def test_below_the_threshold_no_outside_model_is_asked(parts: Parts) -> None:
    result = ask(replace(parts, speaker=Outside("Parrots, 3 of them.")), "Which parrot species nests on the roof?")
    assert result.abstained
