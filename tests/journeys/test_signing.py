"""Signing in in a real browser: a wrong password, the session over a reload, its end, what another person sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, expect

import rag
from rag.config import Settings
from tests.journeys.test_browser import PATIENCE, Server
from tests.journeys.test_browser import chromium as chromium
from tests.journeys.test_browser import pytestmark as pytestmark

WORDS = "correct horse battery"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The pages of a library with two people; one document is for ada alone."""
    started = Server(tmp_path_factory.mktemp("guarded"))
    try:
        with rag.open(started.folder / "index", Settings(index=started.folder / "index")) as library:
            library.add_bytes("canteen.md", b"# Canteen\n\nThe canteen opens at noon.\n")
            library.add_bytes("board.md", b"# Board\n\nThe board meets in May.\n", collection="board")
            for name in ("ada", "bob"):
                library.add_person(name, password=WORDS)
            library.grant("board", "ada")
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture
def page(chromium: Browser, guarded: Server) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(f"{guarded.url}/documents")
    yield page
    context.close()


def sign_in(page: Page, name: str, password: str = WORDS) -> None:
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_person_signs_in_stays_signed_in_and_sees_what_is_theirs(page: Page, guarded: Server) -> None:
    sign_in(page, "bob", "not the password")
    expect(page.get_by_text("Name or password is wrong.")).to_be_visible()
    sign_in(page, "bob")
    expect(page.get_by_text("canteen.md")).to_be_visible()  # the page that was asked for
    expect(page.get_by_text("1 document · 1 passage")).to_be_visible()
    expect(page.get_by_text("board.md")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    page.wait_for_function("document.cookie.includes('groundling_session')")
    page.reload()
    expect(page.get_by_text("canteen.md")).to_be_visible()
    with sqlite3.connect(guarded.folder / "index" / "catalogue.db") as db:
        db.execute("update sessions set seen_at = '2020-01-01T00:00:00+00:00'")
    page.reload()
    expect(page.get_by_text("the session is over")).to_be_visible()


def test_signing_out_ends_it_in_the_browser_and_in_the_library(page: Page, guarded: Server) -> None:
    sign_in(page, "ada")
    expect(page.get_by_text("board.md")).to_be_visible()
    page.wait_for_function("document.cookie.includes('groundling_session')")
    kept = page.context.cookies()
    page.goto(f"{guarded.url}/account")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    page.wait_for_function("!document.cookie.includes('groundling_session')")
    page.context.add_cookies(kept)  # a cookie that somebody has kept opens nothing
    page.reload()
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
