"""Improving the model for real: a run in processes of its own, followed, stopped and resumed on the Training page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect, sync_playwright

import rag
from rag.config import Settings
from rag.library import Library
from tests.journeys.test_browser import CHROMIUM, MODEL, SWITCHES, Server, settled
from tests.journeys.test_review import window

pytestmark = [
    pytest.mark.slow,  # a server, a browser, a training and a gate
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there"),
]
TINY = (
    "improve.steps=3", "improve.least_steps=1", "improve.synthetic=false", "improve.retriever=false",
    "improve.questions_per_step=4", "improve.most_dev=2", "improve.most_measured=2", "improve.evaluate_every=3",
    "improve.log_every=1",
)  # fmt: skip
WHOLE = 900_000  # milliseconds for the rest of a run, at low priority on a busy machine
ASKED = {
    "How many days of annual leave do full-time employees have?": "27 days",
    "How much is reimbursed for a meal on a business trip?": "38 euros",
    "What is the limit for a hotel night?": "140 euros",
    "How long must a password be?": "14 characters",
}


@pytest.fixture(scope="module")
def library(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """What the server shows: three documents, four questions whose answers people put right."""
    folder = tmp_path_factory.mktemp("server")
    with rag.open(folder / "index", Settings(index=folder / "index", model=MODEL)) as opened:
        opened.add([papers])
        for question, words in ASKED.items():
            answer = opened.ask(question)
            document = opened.search(words, 1)[0].passage.document
            marked = {"document": document, "quote": words}
            opened.rate(answer.answer_id, "down", reason="wrong_words", marked=marked)
        yield opened


@pytest.fixture(scope="module")
def server(library: Library) -> Iterator[Server]:
    started = Server(library.path.parent)
    try:
        started.wait()
        yield started
    finally:
        if (run := library.improvement()) and run.going_on:
            library.stop_improving()
        started.stop()


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser: Browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield window(browser, server, "/training")
        browser.close()


def test_a_run_is_followed_stopped_and_resumed_until_the_gate_says_why(library: Library, page: Page) -> None:
    waiting = page.get_by_text("No accepted judgements yet: 4 judgements wait for a review.")
    expect(waiting).to_be_visible()
    expect(page.get_by_role("button", name="Improve")).to_be_disabled()
    for judgement in library.judgements_waiting():
        library.review(judgement, "accepted")
    page.reload()
    settled(page)
    expect(page.get_by_role("button", name="Improve")).to_be_enabled()

    run = library.improve(overrides=TINY, quick=True)
    page.reload()
    expect(page.get_by_text("Improvement 1: at work").first).to_be_visible()
    expect(page.locator(".gl-stages > .gl-is-done").first).to_contain_text("4 judgements in")
    expect(page.locator(".gl-stages ol .gl-is-running").first).to_be_visible()  # the training tells its steps
    expect(page.get_by_role("button", name="Improve")).to_be_disabled()  # one at a time
    page.get_by_role("button", name="Stop", exact=True).click()
    resume = page.get_by_role("button", name="Go on", exact=True)
    expect(resume).to_be_visible()  # nobody touched the page: it follows the run by itself
    assert (library.improvement(run.number) or run).status == "stopped"

    resume.click()
    refused = page.get_by_text("The candidate was not good enough, so the current model stays").first
    expect(refused).to_be_visible(timeout=WHOLE)
    ended = library.improvement(run.number)
    assert ended
    assert ended.outcome
    assert ended.status == "refused"
    assert ended.outcome["quick"]
    assert [stage["status"] for stage in ended.stages] == ["done", "done", "skipped", "done"]
    assert library.improvement_losses(run.number)
    assert sorted(entry.name for entry in ended.folder.iterdir() if entry.is_dir()) == ["candidate"]
    settled(page)
    expect(page.get_by_text("Loss: how far its answers are").first).to_be_visible()
    expect(page.locator(".st-key-gate-figures-page table").first).to_contain_text("held")
    expect(page.locator(".st-key-models").first).to_contain_text("answers now")
