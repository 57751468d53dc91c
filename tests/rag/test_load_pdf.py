"""PDF: reading order, headings, tables of numbers, passwords, scanned pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag import load
from rag.chunk import chunk
from rag.clean import draft
from rag.errors import LoadError
from rag.load import image, unlock
from rag.parse import Pool
from rag.types import Draft
from tests import formats

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


def read(path: Path) -> Draft:
    return draft(load.pages(path), title=path.stem)


def drawn(path: Path, draw: Callable[[Any], None]) -> Path:
    """A PDF of one page; `draw` gets its canvas."""
    from reportlab.pdfgen import canvas

    page = canvas.Canvas(str(path), pagesize=(600, 800))
    page.setFont("Helvetica", 10)
    draw(page)
    page.showPage()
    page.save()
    return path


def test_pages_are_numbered_and_running_headers_are_gone(tmp_path: Path) -> None:
    formats.pdf(tmp_path / "leave.pdf")
    text = read(tmp_path / "leave.pdf")
    assert [span.number for span in text.pages] == [1, 2, 3]
    assert "Staff handbook" not in text.text
    steps = next(passage for passage in chunk(text) if "Pick the days" in passage.text)
    assert (steps.page, steps.headings) == (2, ("leave", "Asking"))


def test_lines_of_a_paragraph_are_joined(tmp_path: Path) -> None:
    formats.pdf(tmp_path / "leave.pdf")
    assert "It is granted in the year it accrues." in read(tmp_path / "leave.pdf").text


def test_amounts_carry_the_periods_above_their_columns(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.drawCentredString(380, 700, "Three Months Ended")
        for x, words in ((330, "July 1, 2023"), (450, "June 25, 2022")):
            page.drawRightString(x, 686, words)
        page.drawString(40, 672, "Net sales:")
        for y, (label, *amounts) in enumerate((("Products", "60,584", "63,355"), ("Services", "21,213", "(19,604)"))):
            page.drawString(52, 658 - 14 * y, label)
            for x, amount in zip((330, 450), amounts, strict=True):
                page.drawString(x - 60, 658 - 14 * y, "$")
                page.drawRightString(x, 658 - 14 * y, amount)

    text = read(drawn(tmp_path / "q.pdf", draw)).text
    period = "Three Months Ended"
    assert f"Products | {period} July 1, 2023: $ 60,584 | {period} June 25, 2022: $ 63,355" in text
    assert f"Services | {period} July 1, 2023: $ 21,213 | {period} June 25, 2022: $ (19,604)" in text


def test_a_group_label_stands_before_the_rows_that_follow_later(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        for x, year in ((330, "2023"), (450, "2022")):
            page.drawRightString(x, 700, year)
        lines = [("Sales", "5", "6"), ("Costs:",), ("  Products", "1", "2"), ("  Services", "3", "4")]
        for y, (label, *amounts) in enumerate(lines):
            page.drawString(52 if label.startswith(" ") else 40, 686 - 14 * y, label.strip())
            for x, amount in zip((330, 450), amounts, strict=False):
                page.drawRightString(x, 686 - 14 * y, amount)

    text = read(drawn(tmp_path / "q.pdf", draw)).text
    assert "Sales | 2023: 5 | 2022: 6\nCosts:\nCosts: Products | 2023: 1 | 2022: 2\nCosts: Services" in text


def test_two_columns_of_text_are_not_woven_together(tmp_path: Path) -> None:
    left = ["The left column begins here and is read", "from its first line down to its last one."]
    right = ["The right column follows after the left", "and also holds two lines of its own text."]

    def draw(page: Any) -> None:
        for x, column in ((40, left), (320, right)):
            for y, line in enumerate(column):
                page.drawString(x, 700 - 12 * y, line)

    text = " ".join(read(drawn(tmp_path / "c.pdf", draw)).text.split())
    assert text == " ".join([*left, *right])


def test_words_divided_at_the_end_of_a_line_are_joined(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        lines = [
            "Every agreement is signed twice. The agree-",
            "ment of a part-",
            "time employee is kept for ten years.",
        ]
        for y, line in enumerate(lines):
            page.drawString(40, 700 - 12 * y, line)

    assert "The agreement of a part-time employee" in " ".join(read(drawn(tmp_path / "h.pdf", draw)).text.split())


@pytest.mark.parametrize(("angle", "x", "y"), [(90, 100, -300), (180, -400, -300), (270, -700, 300)])
def test_text_that_is_turned_is_read_in_lines(angle: int, x: int, y: int, tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.rotate(angle)
        page.drawString(x, y, "Turned pages are read as well.")

    assert read(drawn(tmp_path / "t.pdf", draw)).text == "Turned pages are read as well."


@pytest.mark.parametrize(("user", "opens"), [("", True), ("secret", False)])
def test_only_a_password_for_opening_keeps_a_file_closed(user: str, opens: bool, tmp_path: Path) -> None:
    import pypdf

    formats.pdf(tmp_path / "plain.pdf")
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain.pdf")
    writer.encrypt(user_password=user, owner_password="owner", algorithm="RC4-128")
    path = tmp_path / "locked.pdf"
    writer.write(path)
    if opens:
        assert "accrue paid leave" in read(path).text
    else:
        with pytest.raises(LoadError, match=r"locked\.pdf: protected by a password; give it with `rag add --password`"):
            read(path)


def scan(path: Path, *, turned: int = 0) -> Path:
    """A PDF whose only page is a picture of words."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (1240, 600), "white")
    words = "The canteen opens at eleven\nand closes at half past two."
    ImageDraw.Draw(picture).multiline_text(
        (80, 120), words, fill="black", font=ImageFont.load_default(size=56), spacing=30
    )
    picture.rotate(turned, expand=True).save(path, resolution=150)
    return path


@needs_tesseract
@pytest.mark.parametrize("suffix", [".pdf", ".png", ".tiff", ".jpg"])
def test_a_scanned_page_is_read_by_ocr_when_tesseract_is_installed(suffix: str, tmp_path: Path) -> None:
    text = read(scan(tmp_path / f"scan{suffix}"))
    assert "canteen opens at eleven" in text.text
    assert (text.ocr_pages, text.pages_without_text) == ((1,), ())
    assert all(text.text[passage.start : passage.end] == passage.text for passage in chunk(text))


def test_without_tesseract_a_scanned_page_is_counted_and_the_note_has_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # an empty folder: no program is found
    text = read(scan(tmp_path / "scan.pdf"))
    assert (text.text, text.pages_without_text) == ("", (1,))
    assert "page 1: a picture, not read" in text.notes[0]
    assert "apt-get install tesseract-ocr" in text.notes[0]


def test_a_picture_too_large_to_be_a_page_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "LARGEST_PIXELS", 10_000)
    with pytest.raises(LoadError, match=r"1240 x 600 pixels"):
        read(scan(tmp_path / "scan.png"))


def test_a_blank_page_is_counted_without_a_complaint(tmp_path: Path) -> None:
    text = read(drawn(tmp_path / "blank.pdf", lambda page: None))
    assert (text.pages_without_text, text.notes) == ((1,), ())


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A PDF that opens with `open sesame`."""
    pypdf = pytest.importorskip("pypdf")
    drawn(tmp_path / "plain.pdf", lambda page: page.drawString(40, 700, "The canteen opens at eleven."))
    writer = pypdf.PdfWriter(clone_from=tmp_path / "plain.pdf")
    writer.encrypt(user_password="open sesame", algorithm="RC4-128")
    writer.write(tmp_path / "locked.pdf")
    return tmp_path / "locked.pdf"


def test_a_password_that_was_given_opens_a_file_and_no_message_tells_it(locked: Path) -> None:
    with unlock.using(["wrong", "open sesame"]):
        assert "opens at eleven" in read(locked).text
    with unlock.using(["wrong"]), pytest.raises(LoadError, match="no password that was given opens it") as refused:
        read(locked)
    assert "wrong" not in str(refused.value)
    with pytest.raises(LoadError, match="rag add --password"):
        read(locked)


@pytest.mark.slow  # starts a child
@pytest.mark.parametrize("workers", [0, 1])
def test_the_readers_of_a_run_know_its_passwords_and_those_of_the_next_do_not(workers: int, locked: Path) -> None:
    with unlock.using(["open sesame"]):
        knowing = Pool(workers)
    unknowing = Pool(workers)
    try:
        assert "opens at eleven" in knowing.submit(locked, "").result().draft.text
        with pytest.raises(LoadError, match="rag add --password"):
            unknowing.submit(locked, "").result()
    finally:
        knowing.close()
        unknowing.close()
