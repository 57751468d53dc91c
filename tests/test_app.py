"""The pages, run by Streamlit's own test runner over a real library, a real index and the real model."""

from __future__ import annotations

import html
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import cache_data, cache_resource
from streamlit.testing.v1 import AppTest

import rag
from app_pages import prose
from app_pages.opening import Asked, asked_questions, open_library, warming
from app_pages.work import Work
from rag.config import Settings
from rag.errors import EndpointError
from rag.library import Library
from rag.types import Event, Searching, Text

ROOT = Path(__file__).resolve().parent.parent
MODEL = Path(os.environ.get("READER_FOLDER", ROOT / "models" / "base"))
needs_model = pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there")
HOSTILE = """# Wall colours

The <script>alert(1)</script> wall is **blue** and $x^2$ [tall](http://evil.example) :red[loud] :smile:
![p](http://evil.example/p.png) in room 7.
"""
QUESTION = "How many days of annual leave do full-time employees have?"


@pytest.fixture(scope="session")
def index(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real library over the papers and one document full of tricks."""
    folder = tmp_path_factory.mktemp("app") / "index"
    with rag.open(folder, Settings(index=folder)) as library:
        library.add([papers])
        library.add_bytes("tricks.txt", HOSTILE.encode())
    return folder


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app reads and writes rag.toml here, and forgets afterwards what it opened."""
    monkeypatch.chdir(tmp_path)
    cache_resource.clear()
    cache_data.clear()
    yield tmp_path
    warming().wait()
    with open_library() as opened:
        opened.close()
    cache_resource.clear()
    cache_data.clear()


@pytest.fixture
def page(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The chat page of the shared library; the library stays open from test to test, as it does in a server."""
    monkeypatch.setenv("GROUNDLING_INDEX", str(index))
    monkeypatch.setenv("GROUNDLING_MODEL", str(MODEL))
    monkeypatch.chdir(tmp_path)
    return open_page()


@pytest.fixture
def empty(in_a_folder_of_its_own: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The chat page of a library without documents and without a model."""
    monkeypatch.setenv("GROUNDLING_INDEX", str(in_a_folder_of_its_own / "index"))
    monkeypatch.setenv("GROUNDLING_MODEL", str(in_a_folder_of_its_own / "models" / "missing"))
    return open_page()


def open_page(**address: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params.update(address)
    return shown(app)


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def ask(app: AppTest, question: str) -> AppTest:
    app.chat_input(key="question").set_value(question)
    return shown(app)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return shown(app)


def press_inside(app: AppTest, opener: str, key: str) -> AppTest:
    """Press a button of a dialog. The runner draws the whole page anew, so what opened it has to be pressed along."""
    app.button(key=opener).click()
    return press(app, key)


def markup(app: AppTest) -> list[str]:
    """The pieces of HTML that the page shows."""
    return [each.value for each in app.html if not each.value.startswith("<style>")]


def words(app: AppTest) -> str:
    """Their words, without the tags."""
    return html.unescape(re.sub(r"<[^>]+>", " ", " ".join(markup(app))))


def labels(app: AppTest) -> list[str]:
    """Labels of buttons as people read them."""
    return [re.sub(r"\\(.)", r"\1", each.label).replace(prose.JOINER, "") for each in app.button]


def library() -> Library:
    return open_library()


# --- the chat ---------------------------------------------------------------------------------------------------------


def test_an_empty_library_says_what_to_do(empty: AppTest) -> None:
    assert "Nothing to read yet" in words(empty)
    assert [link.label for link in empty.get("page_link")] == ["Add documents"]
    assert "0 documents" in words(empty)


def test_without_a_model_a_question_is_answered_with_what_is_missing(empty: AppTest) -> None:
    ask(empty, "Who may park in the yard?")
    assert "no model there" in words(empty)
    assert "Ask again" in labels(empty)


def test_a_setting_that_cannot_be_is_said_and_the_settings_page_still_opens(
    empty: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_resource.clear()
    monkeypatch.setenv("GROUNDLING_STRICTNESS", "severe")
    shown(empty)
    assert "strictness is 'severe'" in words(empty)
    empty.switch_page("app_pages/settings.py").run()
    assert not empty.exception
    monkeypatch.delenv("GROUNDLING_STRICTNESS")


def test_the_greeting_offers_three_questions_drawn_from_the_documents(page: AppTest) -> None:
    offered = [each for each in labels(page) if each in library().starters(3)]
    assert len(offered) == min(3, len(library().starters(3))) > 0


def test_the_status_line_names_model_documents_and_generation_on_every_page(page: AppTest) -> None:
    for name in ("documents", "settings"):
        status = [piece for piece in markup(page) if "gl-status" in piece]
        assert len(status) == 1
        assert re.search(r"Model .+ · 4 documents · index generation \d+", status[0])
        shown(page.switch_page(f"app_pages/{name}.py"))


@needs_model
def test_an_answer_shows_its_words_and_numbered_quotations_that_stand_in_their_documents(page: AppTest) -> None:
    ask(page, QUESTION)
    assert "27 days" in words(page)
    turn = library().conversation(page.query_params["c"]).turns[0]
    drawn = [html.unescape(piece) for piece in markup(page) if "gl-number" in piece]
    assert len(drawn) == len(turn["answer"]["citations"]) > 0
    for number, (figure, cited) in enumerate(zip(drawn, turn["answer"]["citations"], strict=True), start=1):
        assert f">{number}</span>" in figure
        assert f"<blockquote>{cited['quote']}</blockquote>" in figure
        document = library().document(cited["document"], cited["version"])
        assert document.text[cited["start"] : cited["end"]] == cited["quote"]


@needs_model
def test_a_quotation_opens_the_page_of_its_document_with_its_words_marked(page: AppTest) -> None:
    ask(page, QUESTION)
    cited = library().conversation(page.query_params["c"]).turns[0]["answer"]["citations"][0]
    press(page, "open-0-1")
    article = next(piece for piece in markup(page) if "gl-leaf" in piece)
    marked = html.unescape(" ".join(re.findall(r'<mark class="gl-mark">(.*?)</mark>', article)))
    assert marked.split() == cited["quote"].split()
    assert "Up to 5 days can be carried over" in html.unescape(article)


@needs_model
def test_a_follow_up_shows_how_it_was_understood(page: AppTest) -> None:
    ask(ask(page, QUESTION), "And how many can be carried over?")
    turns = library().conversation(page.query_params["c"]).turns
    assert turns[1]["standalone"] != turns[1]["question"]
    assert f"Understood as: {turns[1]['standalone']}" in words(page)
    assert not [field for field in page.text_area if field.key == "understood-0"], "a first question was not rewritten"
    page.text_area(key="understood-1").set_value("How many days of annual leave can be carried over?")
    press(page, "ask-understood-1")
    turns = library().conversation(page.query_params["c"]).turns
    assert [turn["question"] for turn in turns[1:]] == ["And how many can be carried over?"] * 2
    assert turns[2]["standalone"] == "How many days of annual leave can be carried over?"
    assert "5 days" in turns[2]["answer"]["answer"]


@needs_model
def test_a_refusal_shows_why_and_what_came_nearest(
    index: Path, in_a_folder_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDLING_INDEX", str(index))
    monkeypatch.setenv("GROUNDLING_MODEL", str(MODEL))
    monkeypatch.setenv("GROUNDLING_STRICTNESS", "1.0")  # no support is ever above one
    app = ask(open_page(), "Who won the football world cup in 2014?")
    answer = library().conversation(app.query_params["c"]).turns[0]["answer"]
    assert answer["abstained"]
    assert answer["reason"] in words(app)
    assert "What came nearest" in words(app)
    for n, near in enumerate(answer["nearest"], start=1):
        assert near["quote"] in html.unescape(" ".join(markup(app)))
        assert app.button(key=f"open-0-nearest-{n}")
    assert 1 <= len(answer["nearest"]) <= 3


@needs_model
def test_a_conversation_survives_a_reload(page: AppTest) -> None:
    ask(page, QUESTION)
    again = open_page(c=page.query_params["c"])
    assert QUESTION in words(again)
    assert "27 days" in words(again)


def test_an_address_of_a_conversation_that_is_gone_says_so_and_greets(page: AppTest) -> None:
    page.query_params["c"] = "nowhere"
    shown(page)
    assert "no such conversation" in words(page)
    assert "What would you like to know?" in words(page)
    assert "c" not in page.query_params


@needs_model
def test_asking_again_adds_a_turn_with_the_same_question(page: AppTest) -> None:
    ask(page, QUESTION)
    press(page, "again-0")
    assert [turn["question"] for turn in library().conversation(page.query_params["c"]).turns] == [QUESTION, QUESTION]


@needs_model
def test_a_thumb_down_is_stored_with_its_reason_and_correction_and_can_be_taken_back(page: AppTest) -> None:
    ask(page, QUESTION)
    answer_id = library().conversation(page.query_params["c"]).turns[0]["answer"]["answer_id"]
    page.feedback(key=f"verdict-{answer_id}").set_value(0)
    shown(page)
    assert (library().judgement(answer_id) or pytest.fail("not stored")).verdict == "down"
    page.pills(key=f"why-{answer_id}").set_value("wrong_words")
    page.text_area(key=f"right-{answer_id}").set_value("Say it shorter.")
    press(page, f"send-{answer_id}")
    made = library().judgement(answer_id)
    assert made is not None
    assert (made.verdict, made.reason, made.better) == ("down", "wrong_words", "Say it shorter.")
    assert not page.text_area  # the form is gone
    page.feedback(key=f"verdict-{answer_id}").set_value(None)
    shown(page)
    assert library().judgement(answer_id) is None


@needs_model
def test_the_right_words_are_typed_where_they_stand_and_the_judgement_stays_changeable(page: AppTest) -> None:
    ask(page, QUESTION)
    answer_id = library().conversation(page.query_params["c"]).turns[0]["answer"]["answer_id"]
    page.feedback(key=f"verdict-{answer_id}").set_value(1)
    shown(page)
    page.feedback(key=f"verdict-{answer_id}").set_value(0)
    shown(page)
    press(page, f"mark-{answer_id}")
    assert page.selectbox(key="mark-document").value == "leave.md"
    page.text_input(key="mark-typed").set_value("28 days")
    press_inside(page, f"mark-{answer_id}", "mark-send")
    assert "the words '28 days' do not stand there" in words(page)
    page.text_input(key="mark-typed").set_value("27 days")
    press_inside(page, f"mark-{answer_id}", "mark-send")
    made = library().judgement(answer_id)
    assert made is not None
    assert made.marked is not None
    assert (made.reason, made.marked.document, made.marked.quote) == ("wrong_words", "leave.md", "27 days")
    assert "It quoted the wrong words · Right words: “27 days” in leave.md" in words(page)
    press(page, f"change-{answer_id}")
    assert page.pills(key=f"why-{answer_id}").value == "wrong_words"
    page.pills(key=f"why-{answer_id}").set_value("style")
    press(page, f"send-{answer_id}")
    changed = library().judgement(answer_id)
    assert changed is not None
    assert (changed.id, changed.reason, changed.marked) == (made.id, "style", made.marked)


@needs_model
def test_words_in_another_document_mean_that_a_passage_was_missed(page: AppTest) -> None:
    ask(page, QUESTION)
    answer_id = library().conversation(page.query_params["c"]).turns[0]["answer"]["answer_id"]
    page.feedback(key=f"verdict-{answer_id}").set_value(0)
    shown(page)
    press(page, f"mark-{answer_id}")
    page.selectbox(key="mark-document").set_value("security.txt")
    press(page, f"mark-{answer_id}")
    assert "Passwords have at least 14 characters" in words(page)
    page.text_input(key="mark-typed").set_value("14 characters")
    press_inside(page, f"mark-{answer_id}", "mark-send")
    made = library().judgement(answer_id)
    assert made is not None
    assert made.marked is not None
    assert (made.reason, made.marked.document) == ("passage_missed", "security.txt")


@needs_model
def test_two_answers_are_compared_and_the_choice_is_kept(page: AppTest) -> None:
    ask(page, QUESTION)
    answer_id = library().conversation(page.query_params["c"]).turns[0]["answer"]["answer_id"]
    press(page, "compare-0")
    pair = page.session_state[f"second-{answer_id}"]
    assert len(pair) == 2
    assert answer_id in [each["answer_id"] for each in pair]
    assert all(each["answer"] in words(page) for each in pair)
    page.button(key="compare-0").click()
    page.slider(key="second-fusion").set_value(0.3)
    press(page, "second-send")
    made = library().audited(library().audit_rows(1)[0]["id"])
    assert (made["purpose"], made["settings"]["fusion_weight"]) == ("compared", 0.3)
    assert made["settings"]["generation"] == {"temperature": 0.0, "top_p": 1.0, "seed": 0}
    pair = page.session_state[f"second-{answer_id}"]
    assert len(pair) == 2, "where the settings change nothing, the pair of before stays"
    press_inside(page, "compare-0", "choose-b")
    (made,) = [
        made
        for made in library().judgements_of()
        if made.kind == "choice" and answer_id in (made.answer_id, made.other)
    ]
    assert (made.answer_id, made.other, made.side) == (pair[1]["answer_id"], pair[0]["answer_id"], "b")
    assert f"second-{answer_id}" not in page.session_state


@needs_model
def test_a_stored_verdict_is_shown_after_a_reload(page: AppTest) -> None:
    ask(page, QUESTION)
    answer_id = library().conversation(page.query_params["c"]).turns[0]["answer"]["answer_id"]
    page.feedback(key=f"verdict-{answer_id}").set_value(1)
    shown(page)
    assert open_page(c=page.query_params["c"]).feedback(key=f"verdict-{answer_id}").value == 1


def test_a_stopped_answer_keeps_its_words_and_offers_to_ask_again(page: AppTest) -> None:
    conversation = library().new_conversation()
    said = threading.Event()

    def task(emit: object) -> None:
        emit(Searching("Why?"))  # type: ignore[operator]
        emit(Text("Because of"))  # type: ignore[operator]
        said.set()

    work: Work[Event] = Work(task)
    assert said.wait(10)
    work.stop()
    asked_questions()[conversation.id] = Asked("Why?", work)
    app = open_page(c=conversation.id)
    assert "Because of" in words(app)
    assert "Stopped" in words(app)
    assert "Ask again" in labels(app)
    assert library().conversation(conversation.id).turns == ()
    asked_questions().clear()


def test_an_error_of_an_answer_is_shown_as_its_message(page: AppTest) -> None:
    conversation = library().new_conversation()

    def task(emit: object) -> None:
        raise EndpointError("http://10.0.0.1/v1 was <b>silent</b>. Is the model loaded there?")

    asked_questions()[conversation.id] = Asked("Why?", Work(task))
    app = open_page(c=conversation.id)
    assert "http://10.0.0.1/v1 was <b>silent</b>. Is the model loaded there?" in words(app)
    asked_questions().clear()


@needs_model
def test_where_there_are_several_collections_one_can_be_asked_alone(
    empty: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    library().add_bytes("old.md", b"# Yard\n\nTwelve cars fit into the yard.\n", collection="2019")
    shown(empty)
    assert not empty.selectbox  # nothing to choose from
    library().add_bytes("new.md", b"# Yard\n\nTwenty cars fit into the yard.\n", collection="today")
    monkeypatch.setenv("GROUNDLING_MODEL", str(MODEL))
    cache_resource.clear()
    shown(empty)
    assert empty.selectbox(key="collection-to-ask").options == ["All collections", "2019", "today"]
    empty.selectbox(key="collection-to-ask").set_value("2019")
    ask(empty, "How many cars fit into the yard?")
    answer = library().conversation(empty.query_params["c"]).turns[0]["answer"]
    assert {cited["document"] for cited in answer["citations"] or answer["nearest"]} == {"old.md"}


# --- conversations ----------------------------------------------------------------------------------------------------


def test_conversations_are_listed_and_searched_and_have_a_menu_to_rename_export_and_delete(page: AppTest) -> None:
    kept, other = library().new_conversation(), library().new_conversation()
    library().rename(kept.id, "Parking *in the yard*")
    library().rename(other.id, "Canteen")
    app = open_page(c=kept.id)
    assert {"Parking *in the yard*", "Canteen"} <= set(labels(app))
    app.text_input(key="sought").set_value("yard")
    shown(app)
    assert "Canteen" not in labels(app)
    assert "Parking *in the yard*" in labels(app)
    asked_questions()[kept.id] = Asked("Why?", Work(lambda emit: None))  # an open conversation has a menu
    app.text_input(key="sought").set_value("")
    shown(app)
    app.menu_button(key="menu").set_value("Rename")
    shown(app)
    assert app.text_input(key="title").value == "Parking *in the yard*"
    app.menu_button(key="menu").set_value("Export")
    shown(app)
    assert [each.label for each in app.get("download_button")] == ["Markdown", "JSON"]
    app.menu_button(key="menu").set_value("Delete")
    shown(app)
    assert {"Delete", "Keep"} <= set(labels(app))
    assert library().conversation(kept.id)  # not before it is confirmed; the browser's journey presses the button
    for each in (kept, other):
        library().delete(each.id)
    asked_questions().clear()


@needs_model
def test_choosing_a_conversation_on_another_page_opens_it_in_the_chat(page: AppTest) -> None:
    ask(page, QUESTION)
    identity = page.query_params["c"]
    shown(page.switch_page("app_pages/documents.py"))
    press(page, f"conversation-{identity}")
    assert page.query_params["c"] == identity
    assert QUESTION in words(page)
    press(page, "new")
    assert "c" not in page.query_params
    assert "What would you like to know?" in words(page)


# --- documents --------------------------------------------------------------------------------------------------------


def test_uploads_go_in_or_say_why_not_and_removing_a_document_asks_first(empty: AppTest) -> None:
    shown(empty.switch_page("app_pages/documents.py"))
    assert "No documents yet" in words(empty)
    empty.file_uploader(key="upload-0").set_value(
        [("yard.md", b"# Yard\n\nTwelve cars fit into the yard.\n", "text/markdown"), ("logo.zzz", b"x", "image/zzz")]
    )
    shown(empty)
    shown(empty)  # whatever the first run followed to its end is drawn by now
    told = words(empty)
    assert "1 of 2 files did not go in" in told
    assert re.search(r"logo\.zzz.*no reader for '\.zzz'", told)
    assert re.search(r"yard\.md\s+added · 1 passage", told)
    press(empty, "dismiss")
    document = library().documents()[0]
    assert re.search(r"yard\.md\s+default · version 1 · 1 passage · added", words(empty))
    press(empty, f"remove-{document.id}")
    assert "“yard.md” will no longer be found" in words(empty)
    assert library().documents() == [document]  # not before it is confirmed; the browser's journey presses the button


def test_a_folder_is_synced_and_a_missing_one_is_named(empty: AppTest, papers: Path) -> None:
    shown(empty.switch_page("app_pages/documents.py"))
    for folder in (papers / "nowhere", papers):
        empty.text_input(key="folder-path").set_value(str(folder))
        press(empty, "folder-send")
        assert str(folder) in words(empty) or folder == papers
        press(empty, "dismiss")
    assert {document.name for document in library().documents()} == {
        "leave.md", "security.txt", "travel/expenses.md",
    }  # fmt: skip


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_are_written_to_the_file_and_serve_at_once(empty: AppTest, in_a_folder_of_its_own: Path) -> None:
    shown(empty.switch_page("app_pages/settings.py"))
    empty.radio(key="strictness").set_value("strict")
    empty.text_input(key="endpoint-url").set_value("http://localhost:9/v1")
    empty.text_input(key="endpoint-model").set_value("small")
    empty.radio(key="speaker").set_value("span")
    empty.number_input(key="temperature").set_value(0.5)
    empty.number_input(key="seed").set_value(7)
    press(empty, "settings-save")
    assert "Saved." in words(empty)
    assert 'strictness = "strict"' in (in_a_folder_of_its_own / "rag.toml").read_text("utf-8")
    assert library().settings.strictness == "strict"
    assert library().settings.endpoint.model == "small"
    chosen = library().settings
    assert (chosen.speaker, chosen.trunk) == ("span", None)
    assert (chosen.generation.temperature, chosen.generation.seed) == (0.5, 7)


def test_a_share_of_wrong_answers_can_be_chosen_and_comes_back(empty: AppTest, in_a_folder_of_its_own: Path) -> None:
    shown(empty.switch_page("app_pages/settings.py"))
    empty.radio(key="strictness").set_value("share")
    empty.number_input(key="strictness-share").set_value(15)
    press(empty, "settings-save")
    assert 'strictness = "15%"' in (in_a_folder_of_its_own / "rag.toml").read_text("utf-8")
    assert empty.radio(key="strictness").value == "share"
    assert empty.number_input(key="strictness-share").value == 15


def test_a_saved_setting_that_the_environment_overrules_is_said(
    empty: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDLING_STRICTNESS", "lenient")
    shown(empty.switch_page("app_pages/settings.py"))
    empty.radio(key="strictness").set_value("strict")
    press(empty, "settings-save")
    assert "the environment sets GROUNDLING_STRICTNESS" in words(empty)


def test_an_outside_model_is_tried_before_it_is_saved(empty: AppTest, in_a_folder_of_its_own: Path) -> None:
    shown(empty.switch_page("app_pages/settings.py"))
    empty.text_input(key="endpoint-url").set_value("localhost:9")
    press(empty, "settings-test")
    assert "write the address like http://" in words(empty)
    empty.text_input(key="endpoint-url").set_value("http://localhost:9/v1")
    press(empty, "settings-test")
    assert "http://localhost:9/v1 cannot be reached" in words(empty)
    assert not (in_a_folder_of_its_own / "rag.toml").exists()


# --- text of documents is never markup --------------------------------------------------------------------------------


@needs_model
def test_tricks_in_a_document_reach_the_page_as_letters_only(page: AppTest) -> None:
    ask(page, "What colour is the wall in room 7?")
    answer = library().conversation(page.query_params["c"]).turns[0]["answer"]
    shown_quotes = answer["citations"] or answer["nearest"]
    at = next(n for n, cited in enumerate(shown_quotes, start=1) if cited["document"] == "tricks.txt")
    press(page, f"open-0-{at}" if answer["citations"] else f"open-0-nearest-{at}")
    drawn = " ".join(markup(page))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawn
    assert "<script" not in drawn
    assert not [each for each in page.markdown if "evil" in each.value or "blue" in each.value]
