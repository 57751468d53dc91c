"""The example handbook: its size and formats, its questions, and that its built files say what their sources say."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest

from rag import clean, load
from rag.metrics import occurs

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "examples" / "handbook"
FILES = sorted(path for path in HANDBOOK.rglob("*") if path.is_file())
SCAN = HANDBOOK / "workshop" / "first-aid-notice-scan.pdf"
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (ROOT / "examples" / "handbook.questions.jsonl").read_text("utf-8").splitlines()
]
KINDS = {"fact", "number", "table", "list", "howto", "yesno", "scan", "superseded", "followup"}
WORDS_A_PAGE = 400

needs_ocr = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


@cache
def text_of(path: Path) -> str:
    return clean.draft(load.pages(path), title=path.stem).text


def phrases(question: dict[str, Any]) -> list[str]:
    return [part for one in question["answers"] for part in ([one] if isinstance(one, str) else one)]


def page_count(path: Path) -> int:
    if path.suffix == ".pdf":
        with pypdfium2.PdfDocument(path) as document:
            return len(document)
    return max(1, len(text_of(path).split()) // WORDS_A_PAGE)


def picture(path: Path) -> np.ndarray:
    with pypdfium2.PdfDocument(path) as document:
        return document[0].render(scale=1, grayscale=True).to_numpy().astype(float)


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """The mean difference of grey in the worst square of 8 by 8 points, about one letter: 0 to 255."""
    height, width = (side // 8 * 8 for side in one.shape[:2])
    squares = np.abs(one - other)[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return float(squares.mean(axis=(1, 3)).max())


def test_the_handbook_has_at_least_25_pages_in_five_formats_and_stays_small():
    assert {path.suffix for path in FILES} == {".pdf", ".docx", ".md", ".html", ".xlsx"}
    assert sum(page_count(path) for path in FILES) >= 25
    assert sum(path.stat().st_size for path in (ROOT / "examples").rglob("*") if path.is_file()) < 1_500_000


def test_the_handbook_has_a_table_in_every_kind_of_file_that_can_hold_one():
    for name, row in {
        "people/onboarding.docx": "Day: Monday | What happens: badge, laptop, tour of the building",
        "customers/service-levels.md": "Plan: Storm | Support by: e-mail, telephone and named engineer | Hours:",
        "it/data-protection.html": "Data: Lists of visitors | Kept for: 30 days | Begins: day of the visit",
        "finance/expense-limits.xlsx": "Country: Portugal | Currency: EUR",
    }.items():
        assert row in text_of(HANDBOOK / name), name


def test_the_scanned_page_holds_a_picture_and_no_letters():
    with pypdfium2.PdfDocument(SCAN) as document:
        assert document[0].get_textpage().get_text_bounded().strip() == ""
    assert picture(SCAN).std() > 10  # not an empty page


def test_there_are_forty_questions_by_the_contract():
    assert len(QUESTIONS) == len({(row["question"], json.dumps(row.get("history"))) for row in QUESTIONS}) == 40
    assert sum(not row["answerable"] for row in QUESTIONS) == 10
    assert sum("history" in row for row in QUESTIONS) >= 4
    assert {row["kind"] for row in QUESTIONS} == KINDS
    for row in QUESTIONS:
        assert set(row) - {"history"} == {"question", "answers", "documents", "answerable", "kind"}, row
        assert row["answerable"] == bool(row["answers"]) == bool(row["documents"]), row
        assert all((HANDBOOK / name).is_file() for name in row["documents"]), row
        assert all(set(turn) == {"question", "answer"} for turn in row.get("history", [])), row
        assert row["kind"] != "followup" or row["history"], row


def test_the_questions_reach_every_format():
    asked = {Path(name).suffix for row in QUESTIONS for name in row["documents"]}
    assert asked == {path.suffix for path in FILES}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=needs_ocr if row["kind"] == "scan" else (), id=row["question"])
        for row in QUESTIONS
        if row["answerable"]
    ],
)
def test_every_answer_stands_in_the_document_that_its_question_names(row: dict[str, Any]):
    for name in row["documents"]:
        missing = [phrase for phrase in phrases(row) if not occurs(phrase, text_of(HANDBOOK / name))]
        assert not missing, name


def test_an_answer_is_not_merely_repeated_from_its_question():
    given_away = [row["question"] for row in QUESTIONS if any(occurs(one, row["question"]) for one in phrases(row))]
    assert not given_away


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("reportlab", reason="building the handbook needs reportlab, from the dev extra")
    from examples.build_handbook import build

    folder = tmp_path_factory.mktemp("handbook")
    build(folder)
    return folder


def test_the_built_files_say_what_their_sources_say(rebuilt: Path):
    names = sorted(path.relative_to(rebuilt) for path in rebuilt.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(HANDBOOK) for path in FILES if path.suffix in {".pdf", ".docx", ".xlsx"})
    # Texts, not bytes: another release of zlib packs the same words into other bytes.
    differing = [
        str(name)
        for name in names
        if name != SCAN.relative_to(HANDBOOK) and list(load.pages(rebuilt / name)) != list(load.pages(HANDBOOK / name))
    ]
    assert not differing, "run `python examples/build_handbook.py`"
    assert largest_difference(picture(rebuilt / SCAN.relative_to(HANDBOOK)), picture(SCAN)) < 12


def test_building_twice_gives_the_same_bytes(rebuilt: Path, tmp_path: Path):
    from examples.build_handbook import build

    assert [path.read_bytes() for path in build(tmp_path)] == [
        (rebuilt / path.relative_to(tmp_path)).read_bytes() for path in sorted(tmp_path.rglob("*.*"))
    ]
