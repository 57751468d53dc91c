"""The pages Review and Insight, run by Streamlit's own test runner over a real library; no model is needed."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit import cache_data, cache_resource
from streamlit.testing.v1 import AppTest

import rag
from app_pages import prose
from app_pages.correcting import place_of
from app_pages.opening import open_library, warming
from rag.audit import Audit
from rag.config import Settings
from rag.library import Library

ROOT = Path(__file__).resolve().parent.parent
TRICK = "May <b>dogs</b> **come** along?"


@pytest.fixture(scope="module")
def stocked(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review") / "index"
    with rag.open(folder, Settings(index=folder)) as library:
        library.add([papers])
    return folder


@pytest.fixture
def library(stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library that the app opens, a copy for this test."""
    shutil.copytree(stocked, tmp_path / "index")
    monkeypatch.setenv("GROUNDLING_INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("GROUNDLING_MODEL", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    cache_resource.clear()
    cache_data.clear()
    yield open_library()
    warming().wait()
    open_library().close()
    cache_resource.clear()
    cache_data.clear()


def answer(library: Library, question: str, words: str | None = "27 days.", *, person: str = "local") -> str:
    """An answer in the audit that read the leave policy; `words` None refuses."""
    passage = library.search("annual leave", 1)[0].passage
    place = {"document": passage.document, "version": 1, "start": passage.start, "end": passage.end}
    quote = {**place, "page": None, "quote": passage.text}
    said: dict[str, Any] = {"answer": words or "The documents do not say.", "abstained": words is None}
    said |= {"citations": [quote] if words else [], "nearest": [] if words else [quote], "reason": "none answers"}
    payload = {
        "purpose": "asked", "question": question, "standalone": question, "collection": None, "model": "m-1",
        "generation": 3, "confidence": 0.1, "threshold": 0.5, "passages": [place], "answer": said,
    }  # fmt: skip
    return Audit(library._catalogue).record("answer", person, payload)


def page(name: str, **address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params.update(address)
    return shown(shown(app).switch_page(f"app_pages/{name}.py"))


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return shown(app)


def words(app: AppTest) -> str:
    drawn = " ".join(each.value for each in app.html if not each.value.startswith("<style>"))
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", drawn)).split())


def labels(app: AppTest) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", each.label).replace(prose.JOINER, "") for each in app.button]


def form(app: AppTest, name: str, judgement: str) -> Any:
    """A field of the form that corrects a judgement."""
    fields = [*app.text_area, *app.text_input, *app.selectbox]
    return next(field for field in fields if field.key == f"correct-{name}-{judgement}")


# --- review -----------------------------------------------------------------------------------------------------------


def test_an_empty_queue_says_where_judgements_come_from(library: Library) -> None:
    app = page("feedback")
    assert "Nothing waits for a review. Judgements come from the thumbs under answers." in words(app)
    assert "Only what was accepted here ever trains a model" in words(app)


def test_a_judgement_shows_its_answer_passages_agreement_and_what_it_becomes(library: Library) -> None:
    made = answer(library, "How much leave?")
    library.rate(made, "up", person="ann")
    library.rate(made, "up", person="bob")
    library.rate(made, "down", reason="unsupported", correction="Ask <i>Bob</i>.", person="cleo")
    app = page("feedback")
    told = words(app)
    assert "Judged up 1 of 3 · by ann" in told
    assert "1 other says the same · 1 other says otherwise" in told
    assert "If accepted, becomes Retriever pair. The search learns" in told
    assert "Span label." in told
    assert "How much leave?" in told
    assert "27 days." in told
    assert "Full-time employees have 27 days of annual leave a year." in told  # the passage
    assert "Model m-1 · index generation 3" in told
    press(press(app, "next"), "next")
    told = words(app)
    assert "Judged down: the quotation does not support it 3 of 3 · by cleo" in told
    assert "It should have said Ask <i>Bob</i>." in told  # letters, no markup
    assert "No-answer label." in told


def test_accepting_rejecting_and_undoing_go_on_to_the_next(library: Library) -> None:
    first = library.rate(answer(library, "First?"), "up")
    second = library.rate(answer(library, "Second?"), "up")
    third = library.rate(answer(library, "Third?"), "down")
    app = page("feedback")
    assert "First?" in words(app)
    press(app, "accept")
    assert "Second?" in words(app)
    press(app, "reject")
    assert "Third?" in words(app)
    states = {made.id: made.state for made in library.judgements_of()}
    assert states == {first.id: "accepted", second.id: "rejected", third.id: "new"}
    assert "Undo rejecting" in labels(app)
    press(app, "undo")
    assert "Second?" in words(app)
    assert library.judgement_row(second.id).judgement.state == "new"
    assert "Undo rejecting" not in labels(app)
    press(press(app, "accept"), "accept")
    assert "Nothing waits for a review." in words(app)
    assert "Undo accepting" in labels(app)


def test_accepted_judgements_can_be_looked_at_and_put_back(library: Library) -> None:
    made = library.rate(answer(library, "How much leave?"), "up")
    library.review(made.id, "accepted", note="Checked with the works council.", person="bob")
    app = page("feedback")
    app.segmented_control(key="state").set_value("accepted")
    shown(app)
    assert "accepted by bob" in words(app)
    assert "Note: Checked with the works council." in words(app)
    assert "Accept" not in labels(app)
    press(app, "back")
    assert library.judgement_row(made.id).judgement.state == "new"


def test_a_correction_changes_what_a_judgement_becomes_before_it_is_accepted(library: Library) -> None:
    made = library.rate(answer(library, "How much leave?"), "down", reason="wrong_words")
    app = page("feedback")
    assert "Nothing: it says too little." in words(app)
    press(app, "edit")
    form(app, "words", made.id).set_value("28 days")
    press(app, f"correct-save-{made.id}")
    assert "These words do not stand in leave.md" in words(app)
    form(app, "words", made.id).set_value("27  days of\nannual leave")
    form(app, "note", made.id).set_value("Seen in the policy.")
    press(app, f"correct-save-{made.id}")
    assert "Retriever pair." in words(app)
    changed = library.judgement_row(made.id).judgement
    assert changed.marked is not None
    assert changed.marked.quote == "27 days of annual leave"
    assert library.document("leave.md").text[changed.marked.start : changed.marked.end] == changed.marked.quote
    assert (changed.state, changed.note, changed.editor) == ("new", "Seen in the policy.", "local")
    assert not app.text_area  # the form is closed
    press(app, "accept")
    kept = library.judgement_row(made.id).judgement
    assert (kept.state, kept.note) == ("accepted", "Seen in the policy.")


def test_what_another_reviewer_decided_meanwhile_is_said_and_not_overruled(library: Library) -> None:
    made = library.rate(answer(library, "How much leave?"), "up")
    app = page("feedback")
    library.review(made.id, "rejected", person="bob")
    press(app, "accept")
    assert "bob has rejected it since it was shown" in words(app)
    assert library.judgement_row(made.id).judgement.state == "rejected"


def test_a_judgement_withdrawn_while_it_is_looked_at_leaves_the_queue(library: Library) -> None:
    library.rate(gone := answer(library, "Gone?"), "up")
    library.rate(answer(library, "Stays?"), "up")
    app = page("feedback")
    library.withdraw(gone)
    press(app, "accept")
    assert "no such judgement" in words(app)
    assert "Stays? " in words(app)


def test_the_queue_is_filtered_by_kind_and_words(library: Library) -> None:
    library.rate(answer(library, "How much leave?"), "up")
    library.rate(answer(library, "Who books hotels?"), "down", reason="style")
    app = page("feedback")
    app.selectbox(key="review-kind").set_value("style")
    assert "Who books hotels?" in words(shown(app))
    assert "1 of 1" in words(app)
    app.text_input(key="review-text").set_value("leave")
    assert "Nothing here fits these filters." in words(shown(app))


def test_of_a_choice_both_answers_are_shown_the_preferred_one_first(library: Library) -> None:
    one, other = answer(library, "How much?", "27 days."), answer(library, "How much?", "Ask your manager.")
    library.choose(one, other, "b")
    told = words(page("feedback"))
    assert "Preferred one of two answers" in told
    assert told.index("Preferred Ask your manager.") < told.index("Not preferred 27 days.")
    assert "Preference." in told


@pytest.mark.parametrize(
    ("typed", "found"),
    [("seven  days", "seven\ndays"), ("days", "stand 2 times"), ("eight", "do not stand"), (" ", None)],
)
def test_words_are_found_in_a_passage_whatever_white_space_was_typed(typed: str, found: str | None) -> None:
    passage = {"document": "a.md", "version": 2, "start": 100, "text": "It is seven\ndays. Ten days."}
    place = place_of(typed, passage)
    if isinstance(place, dict):
        assert (place["quote"], place["start"], place["version"]) == (found, 106, 2)
    else:
        assert place is found is None or str(found) in str(place)


# --- insight ----------------------------------------------------------------------------------------------------------


def test_a_library_nobody_asked_says_so_and_lists_what_is_never_cited(library: Library) -> None:
    assert "Nobody has asked anything in this period." in words(page("insight"))
    app = page("insight")
    app.segmented_control(key="view").set_value("Gaps")
    assert "Nobody has asked anything yet." in words(shown(app))
    app.segmented_control(key="view").set_value("Documents")
    told = words(shown(app))
    assert "No answer of this period quotes a document." in told
    assert "leave.md" in told.partition("Never cited")[2]


def test_questions_are_counted_listed_and_opened(library: Library) -> None:
    asked = answer(library, "How much leave?")
    refused = answer(library, TRICK, None, person="ann")
    library.rate(asked, "down", reason="style")
    app = page("insight")
    told = words(app)
    assert "Asked 2 by 2 people" in told
    assert "Answered 50%" in told
    assert "Judged down 1 0 up" in told
    assert TRICK in told
    assert not app.markdown or not any("dogs" in each.value for each in app.markdown)
    press(app, f"open-question-{refused}")
    told = words(app)
    assert "none answers" in told
    assert "What came nearest" in told
    app.pills(key="kind").set_value("Judged down")
    assert TRICK not in words(shown(app)).partition("The questions")[2]
    assert f"open-question-{asked}" in {each.key for each in app.button}


def test_a_gap_says_what_to_write_and_leads_to_its_questions_and_documents(library: Library) -> None:
    for question in ("Can I take a sabbatical?", "Who approves a sabbatical?"):
        answer(library, question, None)
    app = page("insight")
    app.segmented_control(key="view").set_value("Gaps")
    told = words(shown(app))
    assert "2 questions found no answer, about 1 subject." in told
    assert "Sabbatical Write a document about sabbatical. 2 questions by 1 person" in told
    press(app, "gap-near-0-0")
    assert any('class="gl-leaf"' in each.value for each in app.html)  # leave.md is open


def test_asking_again_goes_to_the_chat_and_asks(library: Library) -> None:
    answer(library, "Can I take a sabbatical?", None)
    app = page("insight")
    app.segmented_control(key="view").set_value("Gaps")
    press(shown(app), "gap-ask-0")
    told = words(app)
    assert "Can I take a sabbatical?" in told
    assert "no model there" in told  # it was asked: only the model is missing here


def test_what_was_found_is_forgotten_with_the_next_change(library: Library) -> None:
    made = answer(library, "Is Bob ill?", None)
    app = page("insight")
    assert "Is Bob ill?" in words(app)
    Audit(library._catalogue).erase(made)
    assert "Is Bob ill?" not in words(shown(app))
