"""Pictures: what is done to them before they are read, and what their words become: tables, headings, order."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rag.load import image, pixels
from rag.types import Page

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


def word(text: str, left: int, top: int, *, wide: int = 60, ink: float = 3.0) -> Any:
    return image._Word(text, 95.0, left, left + wide, top, top + 20, ink)


def scanned(path: Path, draw: Any) -> Page:
    """A page drawn as a PDF, seen as a picture of 200 dpi, recognised."""
    import pypdfium2
    from reportlab.pdfgen import canvas

    page = canvas.Canvas(str(path), pagesize=(500, 400))
    draw(page)
    page.showPage()
    page.save()
    with pypdfium2.PdfDocument(path) as pdf:
        return image.read(pdf[0].render(scale=200 / 72).to_pil(), 1)


def test_rules_go_and_letters_and_blocks_stay() -> None:
    picture = Image.new("L", (600, 400), 255)
    pen = ImageDraw.Draw(picture)
    pen.line((10, 100, 590, 100), fill=0, width=3)
    pen.line((300, 20, 300, 380), fill=0, width=3)
    pen.rectangle((40, 200, 60, 230), fill=0)  # as large as a letter
    pen.rectangle((350, 150, 580, 300), fill=0)  # a picture: long, but thick
    clean, upright = pixels.without_rules(picture)
    left = pixels.ink(clean)
    assert not left[100, 20:290].any()
    assert not left[320:370, 300].any()
    assert left[200:230, 40:60].all()
    assert left[160:290, 360:570].all()
    assert upright[200, 295:305].any()
    assert not upright[:, 40:60].any(), "only upright rules part cells"


def test_a_coloured_cell_becomes_white_paper_and_white_on_black_is_left() -> None:
    picture = Image.new("L", (1200, 400), 255)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, 600, 400), fill=150)
    pen.rectangle((100, 100, 110, 110), fill=20)
    pen.rectangle((900, 0, 1200, 400), fill=10)
    grey = np.asarray(pixels.ready(picture))
    assert grey[200, 300] > 240
    assert grey[105, 105] < 80
    assert grey[200, 1050] < 80


def test_a_small_picture_is_enlarged_and_a_page_is_not() -> None:
    assert pixels.ready(Image.new("RGBA", (300, 200))).size == (600, 400)
    assert pixels.ready(Image.new("L", (1700, 2200), 255)).size == (1700, 2200)


def test_columns_of_cells_become_rows_and_columns_of_prose_stay_columns() -> None:
    cells = [[[word("Grade", 10, 0)], [word("A", 10, 40)]], [[word("Days", 300, 2)], [word("25", 300, 41)]]]
    assert [[w.text for w in line] for line in image._in_rows(cells)[0]] == [["Grade", "Days"], ["A", "25"]]
    long = "everybody who works here has leave"
    prose = [[[word(long, 10, y)] for y in (0, 40)], [[word(long, 600, y)] for y in (0, 40)]]
    assert image._in_rows(prose) == prose


def test_a_rule_parts_what_a_narrow_gap_does_not() -> None:
    line = [word("Austria", 10, 0), word("Vienna", 80, 0)]
    rules = np.zeros((100, 400), dtype=np.bool_)
    assert len(image._parted(line, rules)) == 1
    rules[:, 75] = True
    assert len(image._parted(line, rules)) == 2


def test_more_ink_is_bold() -> None:
    blocks = [[[word("Leave", 10, 0, ink=5.0)], [word("of all who work here", 10, 40, wide=300)]]]
    bold, plain = image._lines(blocks, 20.0, np.zeros((100, 400), dtype=np.bool_))
    assert (bold.bold, plain.bold) == (True, False)


def test_a_script_that_no_installed_language_reads_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_languages", lambda: "eng")
    said = image._note(3, image._Reading("garbled", 62.0, 20.0), "Hangul")
    assert said is not None
    assert "tesseract-ocr-kor" in said
    assert "confidence" in str(image._note(3, image._Reading("garbled", 62.0, 20.0), "Latin"))
    assert image._note(3, image._Reading("well read", 92.0, 20.0), "") is None


@needs_tesseract
@pytest.mark.slow  # OCR of a page: seconds
def test_a_scanned_page_keeps_its_heading_and_ties_values_to_headers(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.setFont("Helvetica-Bold", 11)
        page.drawString(40, 360, "Annual leave of the staff")
        page.setFont("Helvetica", 11)
        page.drawString(40, 335, "Everybody who works here has leave, and may take it in days or in weeks.")
        page.drawString(40, 320, "The table says how much, by the grade in which somebody is employed.")
        rows = [("Grade", "Days a year", "Notice in weeks"), ("Clerk", "25", "2"), ("Engineer", "28", "4")]
        for number, row in enumerate(rows):
            y = 280 - 24 * number
            page.setFillGray(0.7 if not number else 1)
            page.rect(40, y - 8, 360, 24, fill=1)
            page.setFillGray(0)
            for place, text in enumerate(row):
                page.drawString(50 + 120 * place, y, text)
                page.line(40 + 120 * place, y - 8, 40 + 120 * place, y + 16)

    text = scanned(tmp_path / "leave.pdf", draw).text
    assert "# Annual leave of the staff" in text
    assert "Engineer | Days a year: 28 | Notice in weeks: 4" in text
