"""Memory, retention and approved questions in a real browser: said, used, shown, changed and gone."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect

from tests.journeys.test_browser import Server as Server
from tests.journeys.test_browser import (  # noqa: F401 - fixtures
    _fits,
    _window,
    ask,
    chromium,
    go,
    page,
    pick,
    pytestmark,
    says,
    server,
    telephone,
    upload,
)

HOLIDAYS = """# Public holidays

## Berlin office

Employees in Berlin have 10 public holidays a year.

## Lisbon office

Employees in Lisbon have 13 public holidays a year.
"""
HOW_MANY = "How many public holidays do I have?"


@pytest.fixture(scope="module", autouse=True)
def _stocked(server: Server, chromium: Browser) -> None:  # noqa: F811
    file = server.folder / "holidays.md"
    file.write_text(HOLIDAYS, "utf-8")
    for window in _window(chromium, server, 1280, 800):
        upload(window, server, file)
        window.get_by_role("button", name="Done").click()
        expect(window.get_by_role("button", name="Done")).to_have_count(0)


def say(page: Page, words: str) -> None:  # noqa: F811
    """Say it in the chat, where no answer is expected."""
    page.get_by_test_id("stChatInputTextArea").fill(words)
    page.keyboard.press("Enter")


def on_disk(server: Server, words: bytes) -> bool:  # noqa: F811
    """Do the catalogue's files hold these words?"""
    return any(words in file.read_bytes() for file in (server.folder / "index").glob("catalogue.db*"))


def test_a_fact_is_said_used_changed_and_erased(page: Page, server: Server) -> None:  # noqa: F811
    say(page, "Remember that I work in Lisbon, at Quillfeather.")
    expect(page.locator(".st-key-told")).to_contain_text("I will remember, for you alone")
    assert on_disk(server, b"Quillfeather")
    ask(page, HOW_MANY)
    says(page.locator(".gl-understood"), "I work in Lisbon, at Quillfeather")
    says(page.locator(".gl-answer"), "13 public holidays")

    go(page, server, "/settings")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Remember about me").fill("I work in Berlin")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The former words are erased.")).to_be_visible()
    assert not on_disk(server, b"Quillfeather")
    page.get_by_role("textbox", name="Remember about me").fill("I keep Quillfeather company")
    page.get_by_role("button", name="Remember", exact=True).click()
    expect(page.locator("[class*=st-key-row-fact-]")).to_have_count(2)
    page.get_by_role("button", name="Erase everything").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    expect(page.get_by_text("Nothing is remembered about you yet.")).to_be_visible()
    assert not on_disk(server, b"Quillfeather")
    go(page, server)
    page.locator(".st-key-conversations").get_by_role("button", name=HOW_MANY).first.click()
    says(page.locator(".gl-understood"), "which is erased")


def test_conversations_go_when_their_time_is_over(page: Page, server: Server) -> None:  # noqa: F811
    ask(page, "How many public holidays are there in Lisbon?")
    with sqlite3.connect(server.folder / "index" / "catalogue.db", timeout=30) as db:
        db.execute("update conversations set updated_at = '2020-01-01'")
    db.close()
    go(page, server, "/settings")
    pick(page, "Keep my conversations", re.compile("^30 days"))
    expect(page.get_by_text("Older, and deleted when you save")).to_be_visible()
    page.locator(".st-key-retention-save button").click()
    expect(page.get_by_text("Your conversations will be listed here.")).to_be_visible()


def test_an_approved_question_drops_after_an_upload_and_todays_answer_is_approved(
    page: Page,  # noqa: F811
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    ask(page, "How many public holidays are there in Berlin?")
    page.get_by_test_id("stFeedback").locator("button").first.click()
    go(page, server, "/documents")
    expect(page.get_by_text("1 of 1 hold")).to_be_visible()
    changed = tmp_path / "holidays.md"
    changed.write_text(HOLIDAYS.replace("10", "11"), "utf-8")
    upload(page, server, changed)
    expect(page.get_by_text("0 of 1 hold")).to_be_visible()  # asked again by itself, and shown by itself
    expect(page.locator("[class*=st-key-drop-] .gl-failed")).to_contain_text("replaced holidays.md")
    page.get_by_role("button", name="Today’s answer").click()
    expect(page.get_by_role("dialog")).to_contain_text("11 public holidays")
    page.get_by_role("button", name="This is right now").click()
    expect(page.get_by_text("1 of 1 hold")).to_be_visible()


def test_memory_and_approved_questions_fit_a_telephone_and_a_keyboard(
    telephone: Page,  # noqa: F811
    server: Server,  # noqa: F811
) -> None:
    go(telephone, server, "/settings")
    field = telephone.get_by_role("textbox", name="Remember about me")
    field.focus()
    telephone.keyboard.type("I am a part-time employee of a company with a very long name indeed")
    telephone.keyboard.press("Enter")
    expect(telephone.locator("[class*=st-key-row-fact-]")).to_have_count(1)
    _fits(telephone)
    erase = telephone.locator("[class*=st-key-erase-] button")
    erase.focus()
    telephone.keyboard.press("Enter")
    expect(telephone.get_by_text("Nothing is remembered about you yet.")).to_be_visible()
    go(telephone, server, "/documents")
    expect(telephone.get_by_text("Approved questions")).to_be_visible()
    telephone.get_by_text("Pin a question by hand").click()
    expect(telephone.get_by_role("button", name="Ask and pin")).to_be_visible()
    _fits(telephone)
