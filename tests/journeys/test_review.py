"""Reviewing judgements and reading the insight in a real Chromium, over answers of the real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect, sync_playwright

import rag
from rag.config import Settings
from rag.library import Library
from tests.journeys.test_browser import CHROMIUM, MODEL, PATIENCE, SWITCHES, Server, close_dialog, says, settled

pytestmark = [
    pytest.mark.slow,  # a server, a browser and a model
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there"),
]
LEAVE = "How many days of annual leave do full-time employees have?"
UNANSWERED = ("Can I take a sabbatical?", "Who approves a sabbatical?", "How long may a sabbatical last?")


@pytest.fixture(scope="module")
def library(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The library that the server shows: three answers judged by three people, three questions without an answer."""
    folder = tmp_path_factory.mktemp("server")
    with rag.open(folder / "index", Settings(index=folder / "index", model=MODEL, strictness="strict")) as opened:
        opened.add([papers])
        opened.add_bytes("rates.md", b"# Old rates\n\nThese rates are valid until 31 December 2021.\n")
        for question in UNANSWERED:
            assert opened.ask(question, person="ann").abstained
        yield opened


@pytest.fixture(scope="module")
def server(library: Library) -> Iterator[Server]:
    started = Server(library.path.parent)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield opened
        opened.close()


def window(browser: Browser, server: Server, path: str, *, width: int = 1280) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 844 if width < 800 else 900}).new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(server.url + path)
    expect(page.locator(".gl-status")).to_be_visible()
    settled(page)
    return page


def press(page: Page, key: str) -> None:
    """A key of the bar, which is drawn last."""
    settled(page)
    page.keyboard.press(key)


def ready(page: Page) -> None:
    """The bar is drawn last, and its keys come with it."""
    expect(page.locator(".st-key-decisions").get_by_role("button", name="Reject")).to_be_visible()


@pytest.fixture
def judged(library: Library) -> Iterator[dict[str, str]]:
    """Three fresh judgements, by question; what other tests left in the queue is taken back."""
    library_ids: dict[str, str] = {}
    for question, verdict, reason in (
        (LEAVE, "down", "wrong_words"),
        ("How many characters do passwords have?", "up", None),
        ("What is the limit for a hotel a night?", "up", None),
    ):
        answer = library.ask(question, person="bob")
        library_ids[question] = library.rate(answer.answer_id, verdict, reason=reason, person="bob").id
    yield library_ids
    for identity in library_ids.values():
        library.withdraw(identity, person="bob")


def test_judgements_are_corrected_accepted_rejected_and_taken_back_by_keyboard(
    browser: Browser, server: Server, library: Library, judged: dict[str, str]
) -> None:
    page = window(browser, server, "/review")
    leave, passwords, hotel = judged.values()
    says(page.locator(".gl-verdict"), "Judged down: it quoted the wrong words")
    says(page.locator(".gl-becomes"), "it says too little")
    ready(page)
    press(page, "e")
    page.get_by_role("textbox", name="The right words").fill("Up to 5 days can be carried over")
    page.keyboard.press("Tab")  # out of the box; letters typed in it are letters, no keys
    says(page.locator(".gl-question"), LEAVE)
    page.get_by_role("button", name="Save").click()
    says(page.locator(".gl-becomes"), "Span label.")
    marked = library.judgement_row(leave).judgement.marked
    assert marked is not None
    assert marked.quote == "Up to 5 days can be carried over"
    page.locator(f".st-key-open-mark-{leave}-1 button").click()
    expect(page.get_by_role("dialog").locator("mark")).to_have_text(marked.quote)
    close_dialog(page)

    press(page, "a")
    says(page.locator(".gl-question"), "passwords")
    assert library.judgement_row(leave).judgement.state == "accepted"
    press(page, "x")
    says(page.locator(".gl-question"), "hotel")
    assert library.judgement_row(passwords).judgement.state == "rejected"
    press(page, "u")
    says(page.locator(".gl-question"), "passwords")
    settled(page)
    expect(page.get_by_role("button", name="Next")).to_be_visible()  # there was nothing to go on to before
    press(page, "j")
    says(page.locator(".gl-question"), "hotel")
    press(page, "k")
    says(page.locator(".gl-question"), "passwords")
    settled(page)
    page.get_by_text("Accepted", exact=True).click()
    says(page.locator(".gl-question"), LEAVE)
    expect(page.get_by_text("accepted by the owner")).to_be_visible()
    press(page, "b")
    expect(page.get_by_text("Nothing has been accepted yet.")).to_be_visible()
    assert {library.judgement_row(each).judgement.state for each in (leave, passwords, hotel)} == {"new"}
    page.context.close()


def test_two_people_at_one_judgement_do_not_overrule_each_other(
    browser: Browser, server: Server, library: Library, judged: dict[str, str]
) -> None:
    first, second = (window(browser, server, "/review") for _ in range(2))
    for page in (first, second):
        says(page.locator(".gl-question"), LEAVE)
        ready(page)
    press(first, "x")
    expect(first.locator(".gl-question").filter(has_text=LEAVE)).to_have_count(0)
    press(second, "a")
    expect(second.get_by_text("local has rejected it since it was shown")).to_be_visible()
    expect(second.locator(".gl-question").filter(has_text=LEAVE)).to_have_count(0)
    assert library.judgement_row(judged[LEAVE]).judgement.state == "rejected"
    first.context.close()
    second.context.close()


def test_insight_leads_from_numbers_to_questions_answers_documents_and_the_chat(
    browser: Browser, server: Server, judged: dict[str, str]
) -> None:
    page = window(browser, server, "/insight")
    expect(page.locator(".gl-figures")).to_contain_text("by 2 people")
    expect(
        page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    ).to_be_visible()
    page.get_by_text("The numbers").click()
    expect(page.locator(".gl-table tbody tr")).to_have_count(30)
    row = page.locator("[class*=st-key-row-question]").filter(has_text=LEAVE).first
    row.get_by_role("button", name="Open").click()
    drawer = page.get_by_role("dialog")
    says(drawer.locator(".gl-question"), LEAVE)
    drawer.locator("[class*=st-key-open-recalled] button").first.click()
    expect(page.get_by_role("dialog").locator("mark").first).to_be_in_viewport()
    close_dialog(page)

    page.get_by_text("Gaps", exact=True).click()
    gap = page.locator(".st-key-gap-0")
    expect(gap).to_contain_text("Write a document about")
    expect(gap).to_contain_text("sabbatical")
    page.get_by_text("Documents", exact=True).last.click()
    aged = page.locator("[class*=st-key-row-aged]").filter(has_text="rates.md")
    expect(aged).to_contain_text("valid until 31 December 2021")
    aged.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog").locator("mark")).to_have_text("valid until 31 December 2021")
    close_dialog(page)

    page.goto(server.url + "/insight?view=Gaps")
    page.locator(".st-key-gap-ask-0 button").click()
    expect(page.get_by_test_id("stFeedback")).to_be_visible()
    expect(page.locator(".gl-question").first).to_contain_text("sabbatical")
    page.context.close()


@pytest.mark.parametrize("path", ["/review", "/insight", "/insight?view=Gaps", "/insight?view=Documents"])
def test_both_pages_fit_a_telephone(browser: Browser, server: Server, judged: dict[str, str], path: str) -> None:
    page = window(browser, server, path, width=390)
    expect(page.locator(".gl-status")).to_be_visible()
    expect(page.locator(".gl-verdict, .gl-section, .gl-gap").first).to_be_visible()
    page.wait_for_function(
        "[...document.querySelectorAll('.stMain *')].every(e => !e.checkVisibility()"
        " || e.getBoundingClientRect().right <= innerWidth + 1 || e.closest('[class*=unseen]'))"
    )
    if path == "/review":
        bar = page.locator(".st-key-decisions")
        for name in ("Accept", "Reject", "Correct"):
            expect(bar.get_by_role("button", name=name)).to_be_in_viewport()
    page.context.close()
