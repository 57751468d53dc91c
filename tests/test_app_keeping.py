"""Memory, retention and approved questions on the pages, over a real library, a real index and the real model."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import cache_data, cache_resource
from streamlit.testing.v1 import AppTest

import rag
from app_pages import prose
from app_pages.opening import open_library, warming
from rag.config import Settings
from rag.library import Library
from rag.retention import Purged

ROOT = Path(__file__).resolve().parent.parent
MODEL = Path(os.environ.get("READER_FOLDER", ROOT / "models" / "base"))
needs_model = pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there")
HOLIDAYS = """# Public holidays

## Berlin office

Employees in Berlin have 10 public holidays a year.

## Lisbon office

Employees in Lisbon have 13 public holidays a year.
"""
HOW_MANY = "How many public holidays do I have?"
BERLIN = "How many public holidays are there in Berlin?"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library that the pages open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROUNDLING_INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("GROUNDLING_MODEL", str(MODEL))
    with rag.open(tmp_path / "index", Settings()) as made:
        made.add_bytes("holidays.md", HOLIDAYS.encode())
    cache_resource.clear()
    cache_data.clear()
    yield open_library()
    warming().wait()
    open_library().close()
    cache_resource.clear()
    cache_data.clear()


def page(name: str = "") -> AppTest:
    app = shown(AppTest.from_file(str(ROOT / "app.py"), default_timeout=120))
    return shown(app.switch_page(f"app_pages/{name}.py")) if name else app


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return shown(app)


def say(app: AppTest, words: str) -> AppTest:
    app.chat_input(key="question").set_value(words)
    return shown(app)


def words(app: AppTest) -> str:
    markup = [each.value for each in app.html if not each.value.startswith("<style>")]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", " ".join(markup))).split())


def labels(app: AppTest) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", each.label).replace(prose.JOINER, "") for each in app.button]


# --- memory -----------------------------------------------------------------------------------------------------------


@needs_model
def test_what_is_said_in_the_chat_is_remembered_used_and_shown_with_the_answer(library: Library) -> None:
    app = say(page(), "Remember that I work in Lisbon.")
    assert "I will remember, for you alone: “I work in Lisbon”." in words(app)
    assert library.conversations() == []  # it stands in one place only
    say(app, HOW_MANY)
    assert "Remembered about you: “I work in Lisbon”." in words(app)
    assert "13 public holidays" in words(app)
    assert "I will remember" not in words(app)
    [conversation] = library.conversations()
    assert "Lisbon" not in str(library.conversation(conversation.id).turns[0]["answer"]["standalone_question"])
    say(app, "Forget that I work in Lisbon.")
    assert "Erased: “I work in Lisbon”." in words(app)
    assert "It used something you asked to be remembered, which is erased." in words(app)
    assert library.remembered() == []


def test_too_long_a_fact_is_refused_in_words_and_the_page_stays(library: Library) -> None:
    app = say(page(), "Remember that " + "x" * 201)
    assert "201 characters are too many" in words(app)
    assert "What would you like to know?" in words(app)


def test_facts_are_added_and_erased_in_the_settings(library: Library) -> None:
    app = page("settings")
    assert "Nothing is remembered about you yet." in words(app)
    for text in ("I work in Lisbon", "I <b>work</b> nights"):
        app.text_input(key="remember-text").set_value(text)
        press(app, "remember-send")
    first, second = library.remembered()
    assert "I work in Lisbon since" in words(app)
    assert "I <b>work</b> nights since" in words(app)  # as letters
    press(app, f"erase-{first.id}")
    assert "Erased." in words(app)
    assert library.remembered() == [second]
    press(app, f"edit-{second.id}")  # the browser's journey goes on from here: a dialog is a run of its own
    assert app.text_input(key=f"edit-text-{second.id}").value == "I <b>work</b> nights"


def test_erasing_everything_asks_first(library: Library) -> None:
    library.remember("I work in Lisbon")
    library.remember("I work nights")
    app = press(page("settings"), "erase-all")
    assert "2 sentences about you will be gone for good." in words(app)
    assert {"Erase", "Keep"} <= set(labels(app))
    assert len(library.remembered()) == 2


# --- retention --------------------------------------------------------------------------------------------------------


def test_a_shorter_time_says_what_it_deletes_before_it_is_saved(library: Library) -> None:
    kept = library.new_conversation()
    with library._catalogue.atomic() as db:
        db.execute("update conversations set updated_at = '2020-01-01'")
    app = page("settings")
    assert "Nothing is deleted by itself." in words(app)
    app.selectbox(key="retention-days").set_value(30)
    shown(app)
    assert "Older, and deleted when you save: 1 conversation." in words(app)
    assert library.conversation(kept.id)
    press(app, "retention-save")
    assert "Saved." in words(app)
    assert library.conversations() == []
    assert library.retention().days == 30
    assert library.due() == Purged()


# --- approved questions -----------------------------------------------------------------------------------------------


@needs_model
def test_a_drop_is_shown_under_the_documents_and_todays_answer_can_be_approved(library: Library) -> None:
    assert "A thumb up under an answer puts its question here." in words(page("documents"))
    library.rate(library.ask(BERLIN).answer_id, "up")
    app = page("documents")
    assert "1 of 1 hold" in words(app)
    library.add_bytes("holidays.md", HOLIDAYS.replace("10", "11").encode())
    assert library.recheck_pinned(120)
    shown(app)
    assert "0 of 1 hold" in words(app)
    assert re.search(
        r"answered from other words now\. Approved: .*10 public holidays.*replaced holidays\.md", words(app)
    )
    [dropped] = library.pinned()
    press(app, f"today-{dropped.id}")
    assert "11 public holidays" in words(app)
    assert {"This is right now", "Leave it"} <= set(labels(app))
    assert library.pinned() == [dropped]  # looking approves nothing
    press(app, f"unpin-{dropped.id}")
    assert library.pinned() == []


@needs_model
def test_a_question_is_pinned_by_hand_with_words_that_must_occur(library: Library) -> None:
    app = page("documents")
    app.text_input(key="pin-question").set_value(BERLIN)
    app.text_input(key="pin-expected").set_value("ten public holidays | 99 public holidays")
    press(app, "pin-send")
    [one] = library.pinned()
    assert one.expected == ("ten public holidays", "99 public holidays")
    assert not one.holds
    assert "0 of 1 hold" in words(app)


def test_without_a_model_pinning_says_what_is_missing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDLING_MODEL", "nowhere")
    warming().wait()
    library.close()
    cache_resource.clear()
    app = page("documents")
    app.text_input(key="pin-question").set_value(BERLIN)
    press(app, "pin-send")
    assert "no model there" in words(app)
