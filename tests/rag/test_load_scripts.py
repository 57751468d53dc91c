"""Scripts that run from right to left, in whichever order a program has written them; letters drawn as shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag import clean
from rag.load import bidi
from tests.rag.test_load_pdf import drawn, read

pytest.importorskip("reportlab")
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
needs_font = pytest.mark.skipif(not FONT.exists(), reason="no font with Hebrew letters here")

FIRST = "כל העובדים זכאים ל 30 ימי חופשה, לפי נוהל HR-12 של החברה,"
SECOND = "והבקשה מוגשת עד 15.3.2026 (למנהל)."


def visual(text: str) -> str:
    """As it stands on the line from left to right; turning it about twice gives it back."""
    return bidi.logical(text)


@pytest.mark.parametrize("text", [FIRST, SECOND, "يحق لجميع الموظفين 30 يوما", "plain English, 2026"])
def test_a_line_is_turned_into_the_order_of_reading(text: str) -> None:
    assert bidi.logical(visual(text)) == text


def test_a_word_from_right_to_left_inside_english_is_turned_alone() -> None:
    assert bidi.logical("the word םולש means peace") == "the word שלום means peace"


@needs_font
@pytest.mark.parametrize("backwards", [True, False])
def test_hebrew_is_read_the_same_whether_a_program_writes_its_lines_forwards_or_backwards(
    backwards: bool, tmp_path: Path
) -> None:
    from reportlab.pdfbase import pdfmetrics, ttfonts

    pdfmetrics.registerFont(ttfonts.TTFont("Wide", str(FONT)))

    def draw(page: Any) -> None:
        page.setFont("Wide", 10)
        for y, line in ((700, FIRST), (686, SECOND)):
            shown = visual(line)
            width = pdfmetrics.stringWidth
            places = [(560 - width(shown, "Wide", 10) + width(shown[:at], "Wide", 10), c) for at, c in enumerate(shown)]
            for x, letter in places if backwards else reversed(places):
                page.drawString(x, y, letter)

    assert read(drawn(tmp_path / "leave.pdf", draw)).text == f"{FIRST} {SECOND}"


def test_letters_drawn_as_shapes_become_letters() -> None:
    assert clean.tidy("\ufeb3\ufefc\ufee1") == "سلام"
