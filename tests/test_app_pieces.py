"""What the pages are made of: text that never becomes markup, work that outlives a rerun, the leaves of a document."""

from __future__ import annotations

import ast
import json
import re
import threading
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from app_pages import prose
from app_pages.source import leaves
from app_pages.work import Stopped, Work
from rag.types import Document, PageSpan

ROOT = Path(__file__).resolve().parent.parent


class Visible(HTMLParser):
    """The letters a browser would show, and those inside <mark>."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.marked, self.tags, self._in_mark = "", "", set[str](), False
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self._in_mark = self._in_mark or tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        self._in_mark = self._in_mark and tag != "mark"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.marked += data if self._in_mark else ""


texts = st.text() | st.text(alphabet="<>&/\"'ib#| \n\r\x85")


@given(texts, st.integers(0, 60), st.integers(0, 60))
@example("<b>x</b>", 0, 0)
@example("# <i>\nx", 2, 7)
def test_a_leaf_shows_every_letter_and_marks_exactly_the_quotation(text: str, one: int, other: int) -> None:
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    visible = Visible(prose.leaf(text, (start, end)))
    assert "".join(visible.text.split()) == "".join("".join(text.splitlines()).split())
    marked = "".join("".join(text[start:end].splitlines()).split())
    assert "".join(visible.marked.split()) == marked
    assert visible.tags <= {"article", "div", "span", "mark"}


@given(texts)
@example("<b>x</b>\n- <i>y</i>\n1. <u>z</u>")
def test_an_answer_is_never_markup(text: str) -> None:
    assert Visible(prose.prose(text)).tags <= {"div", "p", "ul", "ol", "li", "sup"}


@pytest.mark.parametrize(
    "trick", ["**b**", "[a](http://b.c)", "![a](b)", "$x$", ":red[x]", ":smile:", "<b>", "www.x.de", "a@b.de", "`c`"]
)
def test_a_label_escapes_whatever_markdown_would_notice(trick: str) -> None:
    label = prose.label(trick)
    assert re.sub(r"\\(.)", r"\1", label).replace(prose.JOINER, "") == trick
    assert not re.search(r"(?<!\\)[*_`$<\[\]()!]", label)
    assert not re.search(r"https?\\?:\\?/|:\w+\\?:|www\\?\.|@\w", label)


# --- pieces -----------------------------------------------------------------------------------------------------------


@given(st.text(alphabet="ab \n", max_size=400), st.integers(0, 24_000), st.integers(0, 24_000))
@example("a" * 99 + "\n", 5_500, 6_500)
def test_leaves_cover_a_document_without_pages_and_never_cut_the_quotation(text: str, one: int, other: int) -> None:
    text = text * 60 if len(text) > 100 else text * 240  # some are long enough to be cut
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    document = Document(1, "c", "s", "p", "n", 1, "t", text, (PageSpan(None, 0, len(text)),), "", 0, 1, "")
    found = leaves(document, start, end)
    assert "".join(text[leaf.start : leaf.end] for leaf in found) == text
    assert start == end or any(leaf.start <= start and end <= leaf.end for leaf in found)


def test_followers_see_everything_from_the_first_report_on() -> None:
    go = threading.Event()

    def task(emit: object) -> None:
        emit(1)  # type: ignore[operator]
        go.wait(10)
        emit(2)  # type: ignore[operator]

    work: Work[int] = Work(task)
    following = work.follow(pulse=0.01)
    assert next(following) == 1
    assert next(following) is None  # nothing new: a sign of life
    go.set()
    assert [item for item in following if item is not None] == [2]
    assert list(work.follow()) == [1, 2]  # a follower that comes late


def test_stopping_unwinds_the_task_at_its_next_report() -> None:
    begun, stopped, unwound = threading.Event(), threading.Event(), threading.Event()

    def task(emit: object) -> None:
        try:
            emit("a")  # type: ignore[operator]
            begun.set()
            stopped.wait(10)
            emit("b")  # type: ignore[operator]
        except Stopped:
            unwound.set()
            raise

    work: Work[str] = Work(task)
    assert begun.wait(10)
    work.stop()
    assert not work.running
    stopped.set()
    assert work.wait(10)
    assert unwound.is_set()
    assert work.items == ("a",)
    assert work.error is None


def test_an_error_of_the_task_is_kept_for_who_follows() -> None:
    def task(emit: object) -> None:
        raise ValueError("no")

    work: Work[int] = Work(task)
    assert list(work.follow()) == []
    assert isinstance(work.error, ValueError)


WIDGETS = {
    "button", "download_button", "form_submit_button", "text_input", "text_area", "selectbox", "radio", "pills",
    "feedback", "chat_input", "file_uploader", "menu_button", "pagination", "segmented_control",
}  # fmt: skip


@pytest.mark.parametrize("path", [ROOT / "app.py", *sorted((ROOT / "app_pages").glob("*.py"))], ids=lambda p: p.name)
def test_every_widget_has_a_key_and_a_label(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WIDGETS:
            where = f"{path.name}:{node.lineno} {node.func.attr}"
            assert "key" in {keyword.arg for keyword in node.keywords}, f"{where} has no key"
            first = node.args[0] if node.args else None
            assert first is not None, f"{where} has no label"
            assert not (isinstance(first, ast.Constant) and first.value == ""), f"{where} has an empty label"


def test_the_theme_is_whole() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert set(config["theme"]["light"]) == set(config["theme"]["dark"])
    assert json.dumps(config["browser"]) == '{"gatherUsageStats": false}'


def two_sides() -> None:
    """What a page draws of an answer in which two of three quotations contradict each other."""
    from app_pages import turns

    cited = [
        {"document": name, "version": 1, "page": None, "start": 0, "end": 9, "quote": words, "passage": 1, "score": 0.9}
        for name, words in (("old.md", "24 bikes."), ("other.md", "A rack."), ("new.md", "40 bikes."))
    ]
    sides = [{**cited[0], "date": "2023", "dated": "dated"}, {**cited[2], "date": "2026-03-04", "dated": "added"}]
    turns.draw_sides({"citations": cited, "disagreement": sides}, "0", turns.Pressed())


def test_quotations_that_contradict_each_other_stand_side_by_side_under_their_dates() -> None:
    page = AppTest.from_function(two_sides, default_timeout=60).run()
    assert not page.exception
    assert len(page.columns) == 2
    drawn = [Visible(element.proto.body).text for column in page.columns for element in column.get("html")]
    assert drawn == ["Dated 2023", "124 bikes.", "Added 4\u00a0Mar\u00a02026", "340 bikes."]
    assert [button.key for button in page.button] == ["open-0-1", "open-0-3", "open-0-2"]
