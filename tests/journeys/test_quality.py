"""Measuring the answers from the Quality page, in a real Chromium, with the real model in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect, sync_playwright

import rag
from rag.config import Settings
from tests.journeys.test_browser import CHROMIUM, MODEL, SWITCHES, Server
from tests.journeys.test_review import window

pytestmark = [
    pytest.mark.slow,  # a server, a browser and a model, twice
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there"),
]
ROWS = [
    {"question": "How many days of annual leave do full-time employees have?", "answers": ["27 days"],
     "documents": ["leave.md"]},
    {"question": "How many characters do passwords have at least?", "answers": ["99 characters"]},
    {"question": "Who founded the village of Rennstein?", "answers": [], "answerable": False},
]  # fmt: skip


@pytest.fixture(scope="module")
def server(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with rag.open(folder / "index", Settings(index=folder / "index", model=MODEL)) as library:
        library.add([papers])
    started = Server(folder)
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


def measure(page: Page, name: str, rows: list[dict[str, Any]]) -> None:
    """Upload a question file and start."""
    page.get_by_text("A question file", exact=True).click()
    file = {"name": name, "mimeType": "application/jsonl", "buffer": "\n".join(map(json.dumps, rows)).encode()}
    page.locator(".st-key-question-file input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    button = page.locator(".st-key-measure button")
    expect(button).to_be_enabled()
    button.click()


def test_a_question_file_is_measured_and_a_wrong_row_leads_to_its_passages(browser: Browser, server: Server) -> None:
    page = window(browser, server, "/quality")
    expect(page.locator(".gl-lead")).to_contain_text("Nothing was measured yet")
    measure(page, "checked.jsonl", ROWS)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".gl-figures").first).to_contain_text("of 3")
    page.reload()  # kept: in the library, not on the page
    wrong = page.locator(".st-key-row-1")
    expect(wrong).to_contain_text("expected: 99 characters")
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    wrong.get_by_role("button", name="Open").click()
    expect(page.get_by_role("dialog")).to_contain_text("at least 14 characters")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")


def test_a_measurement_is_stopped_and_keeps_what_was_asked(browser: Browser, server: Server) -> None:
    page = window(browser, server, "/quality", width=390)
    measure(page, "many.jsonl", [{**ROWS[0], "question": f"{ROWS[0]['question']} ({n})"} for n in range(150)])
    expect(page.get_by_test_id("stProgress")).to_contain_text("asked")  # the first answers are there
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".gl-quiet", has_text="stopped early")).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth")
