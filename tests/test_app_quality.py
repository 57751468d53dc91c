"""The page Quality, run by Streamlit's own test runner over a real library; no model is needed."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import cache_data, cache_resource
from streamlit.testing.v1 import AppTest

import rag
from app_pages.opening import open_library, warming
from rag.config import Settings
from rag.library import Library
from tests.miniature import OverlapReader
from tests.test_app_review import shown

pytestmark = pytest.mark.slow  # each runs the whole app
ROOT = Path(__file__).resolve().parent.parent
ROWS = [
    {"question": "How many days of annual leave do employees have?", "answers": ["27 days"], "documents": ["leave.md"]},
    {
        "question": "What is the limit for a <b>hotel</b> a night?",
        "answers": ["99 euros"],
        "documents": ["expenses.md"],
    },
    {"question": "Who founded the village?", "answers": [], "answerable": False},
]


@pytest.fixture(scope="module")
def stocked(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quality") / "index"
    with rag.open(folder, Settings(index=folder)) as library:
        library.add([papers])
    return folder


@pytest.fixture
def library(stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library that the app opens, a copy for this test; words compared by hand stand in for a model's reading."""
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


def measured(library: Library, reader: str = "overlap-1") -> int:
    (library.settings.model).mkdir(exist_ok=True)
    (library.settings.model / "config.json").write_text("{}", "utf-8")
    library._parts().reader = OverlapReader(reader)
    return library.start_measuring(library.question_rows("checked.jsonl", ROWS), apart=False).id


def page(view: str = "Answers") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.query_params.update({"quality": view} if view != "Answers" else {})
    return shown(shown(app).switch_page("app_pages/quality.py"))


def text(app: AppTest) -> str:
    """Everything the page says, as a reader sees it."""
    return html.unescape(re.sub(r"<[^>]+>", " ", " ".join(block.proto.body for block in app.get("html"))))


def test_a_measurement_shows_its_figures_its_curve_and_the_wrong_rows(library: Library) -> None:
    measured(library)
    app = page()
    said = text(app)
    assert "33%" in said
    assert "of 3" in said
    assert "checked.jsonl" in said
    assert "What is the limit for a <b>hotel</b> a night?" in said  # its letters, no markup
    assert "expected: 99 euros" in said
    assert len(app.get("vega_lite_chart")) == 1
    assert app.button(key="measure").disabled  # nothing is approved yet: there is nothing to ask
    app.button(key="open-1").click()
    assert "140 euros" in text(shown(app))  # the answer with its quotation, in the drawer


def test_views_without_anything_say_what_to_do_first(library: Library) -> None:
    assert "Nothing was measured yet" in text(page())
    assert "Nobody has judged an answer yet" in text(page("Feedback"))
    assert "Measure two models with the same questions" in text(page("Models"))


def test_models_that_were_asked_the_same_questions_stand_side_by_side(library: Library) -> None:
    measured(library)
    measured(library, "overlap-2")
    app = page("Models")
    said = text(app)
    assert "overlap-1, normal" in said
    assert "overlap-2, normal" in said
    assert len(app.get("vega_lite_chart")) == 1


def test_thumbs_are_drawn_with_their_numbers(library: Library) -> None:
    run = library.measurement(measured(library))
    answer = library.ask(ROWS[0]["question"])  # type: ignore[arg-type]
    library.rate(answer.answer_id, "up")
    app = page("Feedback")
    assert "1 judgement: 1 up, 0 down" in text(app)
    assert run.model in text(app)


def test_documents_are_listed_by_distance_with_a_way_into_each(library: Library) -> None:
    library.add_bytes("weit.md", ("Die Kündigungsfrist beträgt vier Wochen zum Ende des Kalendermonats. " * 9).encode())
    app = page("Documents")
    said = text(app)
    assert "weit.md" in said
    assert "leave.md" not in said  # too short to say anything
    assert "Beyond the band" in said
    assert "has not been measured yet" in said or "It rests on" in said
    app.button(key="open-gap-0").click()
    assert "Kündigungsfrist" in text(shown(app))
