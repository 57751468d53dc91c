"""The order in which a page is read, and what stands on it beside its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag import clean
from rag.types import Page
from tests.rag.test_load_pdf import drawn, read

pytest.importorskip("reportlab")

LEFT = [f"Left line {n} of the report tells of sheds" for n in range(1, 9)]
RIGHT = [f"Right line {n} of the report tells of bikes" for n in range(1, 9)]
TITLE = "A title that stands over both of the columns of this page, from one margin to the other, and is long"


def columns(page: Any, lines: list[tuple[float, float, str]]) -> None:
    for x, y, text in lines:
        page.drawString(x, y, text)


PLACES = {text: (x, 680 - 14 * n) for x, side in ((40, LEFT), (310, RIGHT)) for n, text in enumerate(side)}


@pytest.mark.parametrize(
    "written",
    [
        [*RIGHT, *LEFT],  # the second column before the first
        [line for pair in zip(LEFT, RIGHT, strict=True) for line in pair],  # woven, line by line
        [*LEFT[4:], *LEFT[:4], *RIGHT],  # the foot before the head
    ],
    ids=["swapped", "woven", "climbing"],
)
def test_columns_are_read_one_after_the_other_however_they_were_written(written: list[str], tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        columns(page, [(*PLACES[text], text) for text in written])
        page.drawString(40, 730, TITLE)

    text = " ".join(read(drawn(tmp_path / "a.pdf", draw)).text.split())
    assert text == " ".join([TITLE, *LEFT, *RIGHT])


def test_a_table_of_words_names_its_columns_and_joins_the_lines_of_a_cell(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.setFont("Helvetica-Bold", 10)
        columns(page, [(40, 700, "Duty"), (160, 700, "Who"), (300, 700, "When")])
        page.setFont("Helvetica", 10)
        columns(page, [(40, 676, "Kitchen"), (160, 676, "Team Blue, and"), (300, 676, "every Monday")])
        columns(page, [(160, 664, "whoever is free")])
        columns(page, [(40, 640, "Garden"), (160, 640, "Team Red"), (300, 640, "in spring")])
        columns(page, [(40, 616, "Post"), (160, 616, "Ann"), (300, 616, "daily")])

    assert read(drawn(tmp_path / "a.pdf", draw)).text.splitlines() == [
        "Duty: Kitchen | Who: Team Blue, and whoever is free | When: every Monday",
        "Duty: Garden | Who: Team Red | When: in spring",
        "Duty: Post | Who: Ann | When: daily",
    ]


@pytest.mark.parametrize("kind", ["words", "numbers"])
def test_a_table_that_goes_on_over_the_page_keeps_its_header(kind: str, tmp_path: Path) -> None:
    from reportlab.pdfgen import canvas

    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(600, 800))
    rows = [(f"Room {n}", f"Team {'RGBYPK'[n]}", f"{n},500") for n in range(6)]
    for part, rest in enumerate((rows[:3], rows[3:])):
        if part == 0:
            page.setFont("Helvetica-Bold", 10)
            columns(page, [(40, 120, "Room"), (200, 120, "Owner")])
            page.drawRightString(400, 120, "Cost") if kind == "numbers" else page.drawString(360, 120, "Cost")
        page.setFont("Helvetica", 10)
        for n, (room, team, cost) in enumerate(rest):
            y = 104 - 14 * n if part == 0 else 700 - 14 * n
            columns(page, [(40, y, room), (200, y, team)])
            page.drawRightString(400, y, cost) if kind == "numbers" else page.drawString(360, y, f"see {team[-1]}")
        page.showPage()
    page.save()
    last = read(tmp_path / "a.pdf").text.splitlines()[-1]
    assert last == f"Room: Room 5 | Owner: Team K | Cost: {'5,500' if kind == 'numbers' else 'see K'}"


def test_a_form_keeps_its_labels_with_their_values(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        for y, row in ((700, ["Name:", "Ann Lee", "Year:", "2026"]), (686, ["City:", "Graz", "Badge:", "77"])):
            columns(page, [(x, y, text) for x, text in zip((40, 120, 300, 380), row, strict=True)])

    assert "Name: Ann Lee | Year: 2026" in read(drawn(tmp_path / "a.pdf", draw)).text


def test_a_caption_stands_with_its_table_and_is_no_name_of_a_column(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.drawString(150, 720, "Table 1: Countries and people")
        columns(page, [(40, 700, "Country"), (200, 700, "People"), (300, 700, "Area")])
        columns(page, [(40, 686, "Austria"), (215, 686, "8.9"), (300, 686, "83,879")])
        columns(page, [(40, 672, "Finland"), (215, 672, "5.5"), (300, 672, "338,424")])

    assert read(drawn(tmp_path / "a.pdf", draw)).text.splitlines() == [
        "Table 1: Countries and people",
        "Country: Austria | People: 8.9 | Area: 83,879",
        "Country: Finland | People: 5.5 | Area: 338,424",
    ]


def test_a_footnote_parts_no_paragraph_and_is_kept(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        columns(page, [(40, 700 - 14 * n, text) for n, text in enumerate(LEFT)])
        page.setFont("Helvetica", 7)
        columns(page, [(40, 400, "1 Sheds are counted in spring"), (40, 391, "and once more in autumn.")])
        page.setFont("Helvetica", 10)
        columns(page, [(310, 700 - 14 * n, text) for n, text in enumerate(RIGHT)])

    words = " ".join(read(drawn(tmp_path / "a.pdf", draw)).text.split())
    assert words == " ".join([*LEFT, *RIGHT, "1 Sheds are counted in spring and once more in autumn."])


def test_a_line_of_the_text_that_begins_with_a_number_is_no_footnote(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        columns(page, [(40, 700 - 14 * n, text) for n, text in enumerate(LEFT)])
        page.setFont("Helvetica", 9)
        last = ["Small print tells of Rule 405 and of the past", "90 days. It goes on after", "12 Sheds and ends here."]
        columns(page, [(40, 560 - 12 * n, text) for n, text in enumerate([*last, *RIGHT[:3]])])

    words = " ".join(read(drawn(tmp_path / "a.pdf", draw)).text.split())
    assert "of the past 90 days. It goes on after 12 Sheds and ends here. Right line 1" in words


def test_the_number_and_the_stamp_in_the_margins_of_a_single_page_are_no_text(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        columns(page, [(40, 775, "A guide to sheds"), (540, 775, "xii"), (290, 30, "Page 4 of 9")])
        columns(page, [(60, 700 - 14 * n, text) for n, text in enumerate(LEFT)])
        page.saveState()
        page.translate(25, 300)
        page.rotate(90)
        page.drawString(0, 0, "stamp:2604.00001")
        page.restoreState()

    assert " ".join(read(drawn(tmp_path / "a.pdf", draw)).text.split()) == " ".join(LEFT)


def test_a_heading_over_two_lines_is_one_and_an_address_is_none(tmp_path: Path) -> None:
    def draw(page: Any) -> None:
        page.setFont("Helvetica-Bold", 10)
        columns(page, [(40, 720, "Chapter Two: Planning and"), (40, 708, "Building of Sheds")])
        page.setFont("Helvetica", 10)
        columns(page, [(40, 690 - 14 * n, text) for n, text in enumerate(LEFT)])
        page.setFont("Helvetica", 14)
        columns(page, [(40, 500, "ann@example.com")])

    text = read(drawn(tmp_path / "a.pdf", draw)).text
    assert text.startswith("#### Chapter Two: Planning and Building of Sheds\n\n")
    assert "\n\nann@example.com" in text


def test_a_notice_on_every_page_is_kept_once_and_names_and_numbers_are_not() -> None:
    notice = "Suspension damages may be present but cannot be told before an alignment."
    bodies = [f"{word} are counted here." for word in ("Sheds", "Bikes", "Gates", "Locks", "Bells")]
    pages = [Page(n, f"Repair shop {n}\n\n{body}\n\n{notice}\n\n{n}") for n, body in enumerate(bodies, 1)]
    text = clean.draft(pages, title="a").text
    assert text.count(notice) == 1
    assert "Repair shop" not in text
