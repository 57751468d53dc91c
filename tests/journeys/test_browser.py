"""A person's journey through the app, in a real Chromium against the real server, index and model."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = Path(os.environ.get("READER_FOLDER", ROOT / "models" / "base"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,  # a server, a browser and a model: about a minute
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason="models/base is not there"),
]
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
TRICKS = """# Colours 🎨

The 🎨 <script>window.tricked = 1</script><img src=x onerror="window.tricked = 1"> lift in room 7 is **blue** and $x^2$
[tall](http://evil.example) :red[loud] ![p](http://evil.example/p.png)
"""
PATIENCE = 180_000  # milliseconds: the machine may be busy


class Server:
    """`streamlit run app.py` with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDLING_")}
        environment |= {
            "GROUNDLING_INDEX": str(folder / "index"), "GROUNDLING_MODEL": str(MODEL), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.log = (folder / "server.log").open("wb")
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self.log, stderr=self.log)

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + 180
        while True:
            assert self.process.poll() is None, (self.folder / "server.log").read_text("utf-8")
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < until, "the server did not come up"
                time.sleep(0.2)  # there is nothing to be notified by: the port opens when it opens

    def stop(self) -> None:
        """Ask, then insist."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("server"))
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, server: Server) -> Iterator[Page]:
    """A window of 1280 x 800; whatever it fetches from another host than ours fails the test."""
    yield from _window(chromium, server, 1280, 800)


@pytest.fixture
def telephone(chromium: Browser, server: Server) -> Iterator[Page]:
    """A window of 390 x 844."""
    yield from _window(chromium, server, 390, 844)


def _window(chromium: Browser, server: Server, width: int, height: int) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    foreign: list[str] = []
    page.on("request", lambda request: None if _ours(request.url, server) else foreign.append(request.url))
    go(page, server)
    yield page
    context.close()
    assert not foreign, f"the page called {foreign}"


def _ours(url: str, server: Server) -> bool:
    return url.startswith((server.url, server.url.replace("http", "ws"), "data:", "blob:"))


def go(page: Page, server: Server, path: str = "/") -> None:
    page.goto(server.url + path)
    expect(page.locator(".gl-status")).to_be_visible()
    settled(page)


def settled(page: Page) -> None:
    """Until the script has run to its end: what is opened before that may be closed again by what is still drawn."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def says(place: Locator, words: str) -> None:
    """There is one such place, and it holds these words. While a page is drawn anew the old one may stand beside it."""
    expect(place).to_have_text([re.compile(re.escape(words))])


def pick(page: Page, label: str, option: re.Pattern[str]) -> None:
    """From a closed list. It is opened again where something drawn meanwhile has closed it."""
    wanted = page.get_by_role("option", name=option)
    for _ in range(20):
        settled(page)
        page.get_by_role("combobox", name=label).click()
        try:
            wanted.click(timeout=PATIENCE / 20)
        except PlaywrightTimeoutError:
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"{label}: the list did not stay open")


def ask(page: Page, question: str) -> None:
    """Type it, and wait until the answer is whole: it then has its thumbs."""
    answered = page.get_by_test_id("stFeedback")
    before = answered.count()
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")
    expect(answered).to_have_count(before + 1)


def close_dialog(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def choose(page: Page, item: str) -> None:
    """From the menu of the open conversation."""
    page.get_by_role("button", name="More").click()
    page.get_by_text(item, exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()


def upload(page: Page, server: Server, *files: Path) -> None:
    go(page, server, "/documents")
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator(".gl-report").filter(has_text=files[-1].name)).to_be_visible()
    expect(page.get_by_role("button", name="Done")).to_be_visible()


def dismiss(page: Page) -> None:
    """Put the result of adding away, and wait until the server has done so: a closed window takes its clicks along."""
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Done")).to_have_count(0)


@pytest.fixture(scope="module", autouse=True)
def _stocked(server: Server, chromium: Browser, papers: Path) -> None:
    """The first visitor finds an empty library and adds documents, one of which cannot be read."""
    tricks, unknown = server.folder / "tricks.txt", server.folder / "logo.zzz"
    tricks.write_text(TRICKS, "utf-8")
    unknown.write_bytes(b"x")
    for page in _window(chromium, server, 1280, 800):
        expect(page.get_by_text("Nothing to read yet")).to_be_visible()
        page.get_by_test_id("stMain").get_by_role("link", name="Add documents").click()
        page.locator("input[type=file]").set_input_files([*sorted(papers.rglob("*.*")), tricks, unknown])
        expect(page.get_by_text("1 of 5 files did not go in.")).to_be_visible()
        expect(page.locator(".gl-failed")).to_contain_text("no reader for '.zzz'")
        dismiss(page)
        expect(page.locator(".gl-document")).to_have_count(4)
        expect(page.locator(".gl-status")).to_contain_text("4 documents")


def test_an_answer_opens_its_source_is_judged_and_survives_a_reload(page: Page) -> None:
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    ask(page, "How many days of annual leave do full-time employees have?")
    says(page.locator(".gl-answer"), "27 days")
    page.locator(".st-key-open-0-1 button").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator("mark")).to_contain_text("27 days of annual leave")
    expect(drawer.locator("mark").first).to_be_in_viewport()
    close_dialog(page)

    ask(page, "And how many can be carried over?")
    expect(page.locator(".gl-understood")).to_have_count(1)
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_focused()  # ready for the next question

    page.get_by_test_id("stFeedback").first.locator("button").nth(1).click()
    page.get_by_text("It quoted the wrong words").click()
    page.get_by_label("What would have been right?").fill("Only the number.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Your judgement is kept")).to_be_visible()

    page.reload()
    expect(page.locator(".gl-question")).to_have_count(2)
    expect(page.locator(".gl-answer").first).to_contain_text("27 days")


def test_the_right_words_are_selected_in_the_source_and_changed_later(page: Page) -> None:
    ask(page, "What colour is the lift in room 7?")
    page.get_by_test_id("stFeedback").locator("button").nth(1).click()
    page.get_by_role("button", name="Show where it stands").click()
    drawer = page.get_by_role("dialog")
    bar = drawer.locator(".st-key-mark-bar")
    expect(bar.get_by_role("button", name="Select the words")).to_be_disabled()
    expect(bar).to_be_in_viewport()
    _select(page, "**blue**")  # two pictures stand before it, each one character here and two in a browser
    bar.get_by_role("button", name="These are the right words: “**blue**”").click()
    expect(drawer).to_have_count(0)
    expect(page.locator(".gl-judged")).to_have_text(re.compile(r"Right words: “\*\*blue\*\*” in tricks.txt"))

    page.reload()
    page.get_by_role("button", name="Change").click()
    page.get_by_text("It is badly worded").click()
    page.get_by_label("What would have been right?").fill("Blue.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".gl-judged")).to_contain_text("It is badly worded · Better: Blue · Right words: “**blue**”")
    page.get_by_test_id("stFeedback").locator("button").nth(1).click()  # the same thumb again takes it back
    expect(page.locator(".gl-judged")).to_have_count(0)


def _select(page: Page, words: str) -> None:
    """With the mouse, from the first letter to the last, once the drawer has come to rest and shows them."""
    page.locator(".gl-leaf .gl-mark").last.hover()
    box = page.evaluate(
        """words => {
            const leaf = document.querySelector(".gl-leaf");
            const walker = document.createTreeWalker(leaf, NodeFilter.SHOW_TEXT);
            for (let node; (node = walker.nextNode()); ) {
                const at = node.data.indexOf(words);
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + words.length);
                const { left, right, top, bottom } = range.getBoundingClientRect();
                return { left, right, middle: (top + bottom) / 2 };
            }
        }""",
        words,
    )
    page.mouse.move(box["left"] + 0.5, box["middle"])
    page.mouse.down()
    page.mouse.move(box["right"] - 0.5, box["middle"], steps=5)
    page.mouse.up()


def test_two_answers_are_compared_on_a_telephone(telephone: Page) -> None:
    page = telephone
    ask(page, "How many days of annual leave do full-time employees have?")
    page.get_by_role("button", name="Compare").click()
    choices = page.get_by_role("dialog").get_by_role("button", name="This one")
    expect(choices).to_have_count(2)
    _fits(page)
    choices.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Your judgement is kept")).to_be_visible()


def test_a_conversation_is_renamed_found_exported_and_deleted(page: Page) -> None:
    ask(page, "Who books hotels?")
    choose(page, "Rename")
    page.get_by_label("Title").fill("Hotels :smile: *now*")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator(".gl-title")).to_have_text("Hotels :smile: *now*")
    listed = page.locator(".st-key-conversations").get_by_role("button")
    page.get_by_label("Search conversations").fill("hotels")
    page.keyboard.press("Enter")
    expect(listed).to_have_count(1)
    assert listed.inner_text().replace("\u2060", "") == "Hotels :smile: *now*"  # letters, no smiley

    choose(page, "Export")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Markdown").click()
    assert "Who books hotels?" in waiting.value.path().read_text("utf-8")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON").click()
    exported = json.loads(waiting.value.path().read_text("utf-8"))
    assert exported["turns"][0]["answer"]["citations"]
    close_dialog(page)

    choose(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("What would you like to know?")).to_be_visible()
    assert "c=" not in page.url


def test_tricks_in_a_document_stay_letters(page: Page) -> None:
    ask(page, "What colour is the lift in room 7?")
    opened = page.get_by_role("button", name="tricks.txt").first
    opened.click()
    expect(page.locator(".gl-leaf")).to_contain_text("<script>window.tricked = 1</script>")
    expect(page.locator(".gl-leaf")).to_contain_text("**blue** and $x^2$")
    assert page.evaluate("window.tricked") is None
    assert page.locator("a[href*='evil'], img[src*='evil'], .katex").count() == 0


def test_an_answer_is_copied_with_its_quotations(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "How many characters do passwords have?")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "14 characters" in copied
    assert "(security.txt)" in copied


def test_a_document_is_removed_once_confirmed(page: Page, server: Server, tmp_path: Path) -> None:
    passing = tmp_path / "passing.md"
    passing.write_text("# Passing\n\nThe canteen closes at three.\n", "utf-8")
    upload(page, server, passing)
    expect(page.locator(".gl-document")).to_have_count(5)
    go(page, server, "/documents")  # somebody who comes later sees the result, and may add files all the same
    expect(page.get_by_role("button", name="Done")).to_be_visible()
    expect(page.locator("input[type=file]")).to_have_count(1)
    dismiss(page)
    row = page.locator("[class*=st-key-row-]").filter(has_text="passing.md")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(".gl-document")).to_have_count(4)


def test_the_app_is_used_on_a_telephone_and_by_keyboard(telephone: Page) -> None:
    page = telephone
    page.get_by_test_id("stChatInputTextArea").focus()
    page.keyboard.type("How many days of annual leave do full-time employees have?")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stFeedback")).to_be_visible()
    _fits(page)
    page.locator(".st-key-open-0-1 button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").locator("mark").first).to_be_in_viewport()
    _fits(page)
    close_dialog(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("What would you like to know?")).to_be_in_viewport()
    expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")  # it folds itself away
    for name in ("Documents", "Settings"):
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_in_viewport()
        expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
        _fits(page)


def _fits(page: Page) -> None:
    """Nothing hangs over the right edge, once drawers have come to rest."""
    page.wait_for_function(
        "[...document.querySelectorAll('.stMain *, [role=dialog] *')]"
        ".every(e => !e.checkVisibility() || e.getBoundingClientRect().right <= innerWidth + 1"
        " || e.closest('[class*=unseen]'))"
    )


class SlowModel(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that says two words and then waits for the test."""

    go_on = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._say("Employees have 27 days. ")
            self._say("They can ")
            self.go_on.wait(60)
            self._say("rest. [1]\n")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return  # the app has hung up: that is what Stop is for

    def _say(self, words: str) -> None:
        self.wfile.write(f"data: {json.dumps({'choices': [{'delta': {'content': words}}]})}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *arguments: Any) -> None:
        """Silent."""


@pytest.fixture
def slow_model() -> Iterator[str]:
    SlowModel.go_on.clear()
    outside = ThreadingHTTPServer(("localhost", 0), SlowModel)
    serving = threading.Thread(target=outside.serve_forever, daemon=True)
    serving.start()
    yield f"http://localhost:{outside.server_port}/v1"
    SlowModel.go_on.set()
    outside.shutdown()
    serving.join()
    outside.server_close()


def test_an_answer_streams_survives_other_touches_and_is_stopped(page: Page, server: Server, slow_model: str) -> None:
    _set_endpoint(page, server, slow_model)
    try:
        go(page, server)
        page.get_by_test_id("stChatInputTextArea").fill("How many days of annual leave do full-time employees have?")
        page.keyboard.press("Enter")
        says(page.locator(".st-key-asked .gl-answer"), "Employees have 27 days.")
        page.get_by_label("Search conversations").fill("days")  # a rerun of the page
        page.keyboard.press("Enter")
        says(page.locator(".st-key-asked .gl-answer"), "Employees have 27 days.")
        page.reload()
        says(page.locator(".st-key-asked .gl-answer"), "Employees have 27 days.")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text("Stopped. Nothing of this was stored.")).to_be_visible()
        expect(page.get_by_test_id("stChatInputTextArea")).to_be_enabled()
        SlowModel.go_on.set()
        page.get_by_role("button", name="Ask again").click()
        expect(page.get_by_test_id("stFeedback")).to_be_visible()
        says(page.locator(".gl-answer"), "They can rest.")
    finally:
        _set_endpoint(page, server, "")


def _set_endpoint(page: Page, server: Server, url: str) -> None:
    go(page, server, "/settings")
    page.get_by_label("Address").fill(url)
    page.get_by_label("Model name").fill("slow" if url else "")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(re.compile(r"^Saved\.$"))).to_be_visible()
