"""PDF pages become text, page by page.

Takes   a path (.pdf).
Gives   one Page a page, numbered from 1: paragraphs joined from their lines, headings by size and weight of type (level
        2 and below: a PDF's title is its file's name), table rows on one line with their column headers, lists. A page
        that is only a picture is read by OCR where tesseract is installed; else it is empty and its note has the cure.
Refuses files that need a password which was not given (LoadError); one that opens without it is read.
Uses    pypdfium2 for the characters, pypdf to tell why a file does not open. PDFium is not thread-safe: a lock is held.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.errors import LoadError, need
from rag.load import attached, bidi, flow, image, layout, order, unlock
from rag.load.layout import Cell, Line
from rag.types import Page

_LOCK = threading.RLock()
_MOST_PAGES = 20_000
_MOST_CHARACTERS = 200_000  # of a page; more is a drawing made of letters
_FEWEST_CHARACTERS = 30  # a page with fewer, and with a large picture, is a scan with a stamp on it
_PICTURE_SHARE = 0.4  # of the page's area
_OCR_DPI = 200
_HYPHEN_AT_END = 0x02  # PDFium's mark for a word divided at the line's end
_GAP = 1.0  # line heights between two cells of a row
_BOLD_FROM = 600  # weight of type
_BOLD_NAMES = (b"bold", b"black", b"heavy", b"demi", b"cmbx", b"-medi")  # the last two are what TeX sets


def pages(path: Path) -> Iterator[Page]:
    """Read one PDF."""
    pdfium = need("pypdfium2", extra="formats", task="Reading .pdf")
    with _LOCK:
        document = _opened(pdfium, path)
        count = min(len(document), _MOST_PAGES)
    try:
        read = []
        for index in range(count):
            with _LOCK:
                read.append(_page(pdfium.raw, document, index))
        if not read:
            raise LoadError(f"{path.name}: holds no pages; open it in its program and save it again")
        with _LOCK:
            inside = _embedded(document)
    finally:
        with _LOCK:
            document.close()
    type_ = layout.type_of([lines for _, lines in read])
    above = flow.Above()
    for page, lines in read:
        yield replace(page, text=flow.text(lines, type_, above)) if lines else page
    for name, data in inside:
        yield from attached.pages(name, data)


def _embedded(document: Any) -> list[tuple[str, bytes | None]]:
    """Files that are embedded in this one: name and bytes."""
    found: list[tuple[str, bytes | None]] = []
    for index in range(min(document.count_attachments(), attached.MOST + 1)):
        try:
            one = document.get_attachment(index)
            found.append((one.get_name() or "attachment", bytes(one.get_data())))
        except (RuntimeError, ValueError):  # damaged: its name is told, the pages stay
            found.append((f"attachment {index + 1}", None))
    return found


def _opened(pdfium: Any, path: Path) -> Any:
    """The file, by a password where it needs one that was given."""
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        for password in unlock.given():
            with contextlib.suppress(pdfium.PdfiumError):
                return pdfium.PdfDocument(path, password=password)
        raise LoadError(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    """PDFium says little: ask pypdf whether it is the password."""
    pypdf = need("pypdf", extra="formats", task="Reading .pdf")
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # its remarks on damage are no news here
    try:
        encrypted = bool(pypdf.PdfReader(path).is_encrypted)
    except Exception:  # noqa: BLE001  # damaged beyond pypdf too: then PDFium's word stands
        encrypted = "password" in str(error).lower()
    if encrypted:
        return f"{path.name}: protected by a password; {unlock.cure()}"
    return f"{path.name}: damaged ({error}); open it in a viewer, print it to a new PDF and add that"


def _page(raw: Any, document: Any, index: int) -> tuple[Page, list[Line]]:
    """A page and its lines; where it was read by OCR its text stands in the page, and there are no lines."""
    number = index + 1
    try:
        page = document[index]
    except RuntimeError as error:  # pypdfium2's error: this page is damaged, the others may be whole
        return Page(number, "", note=f"page {number}: damaged, not read ({error}); print the file to a new PDF"), []
    try:
        textpage = page.get_textpage()
        cells = _cells(raw, textpage)
        textpage.close()
        lines = [line for line in layout.lines(cells) if any(c.isalnum() for c in line.text)]
        frame = _frame(page, lines)
        lines = order.arranged(order.without_margins(lines, frame), frame)
        letters = sum(len(line.text) for line in lines)
        if letters < _FEWEST_CHARACTERS and _is_picture(raw, page, anything=not letters):
            recognised = image.read(page.render(scale=_OCR_DPI / 72).to_pil(), number)
            if recognised.text or not lines:
                return recognised, []
        return Page(number, ""), lines
    finally:
        page.close()


def _is_picture(raw: Any, page: Any, *, anything: bool) -> bool:
    """A picture covers a good part of the page; with `anything`, outlines without letters count as well."""
    if anything:
        return next(iter(page.get_objects(max_depth=1)), None) is not None
    width, height = page.get_size()
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = item.get_bounds()
        if (right - left) * (top - bottom) > _PICTURE_SHARE * width * height:
            return True
    return False


def _cells(raw: Any, textpage: Any) -> list[Cell]:
    """Runs of characters without a gap. Two calls a character: text alone would lose rows, boxes alone the order."""
    count = min(raw.FPDFText_CountChars(textpage), _MOST_CHARACTERS)
    turn = _turn(raw, textpage, count)
    box = raw.FS_RECTF()
    cells: list[Cell] = []
    letters: list[str] = []
    left = right = bottom = top = 0.0
    first = 0
    space = leftward = False

    def close() -> None:
        nonlocal space
        text = "".join(letters).strip()
        if text:
            cells.append(Cell(text, left, right, bottom, top, _is_bold(raw, textpage, first)))
        letters.clear()
        space = False

    get_code, get_box = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    high = 0
    for index in range(count):
        code = get_code(textpage, index)
        if code in (0x20, 0xA0, 0x09):
            space = True
            continue
        if code in (0x0D, 0x0A):
            close()
            continue
        if 0xD800 <= code < 0xDC00:  # first half of a character beyond 16 bits
            high = code
            continue
        if 0xDC00 <= code < 0xE000 and high:
            code, high = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00), 0
        if code in (_HYPHEN_AT_END, 0xFFFE):
            code = 0x2D
        leftward = leftward or (code >= 0x590 and bidi.runs_left(code))
        if code < 0x20 or 0xD800 <= code < 0xE000 or not get_box(textpage, index, box):
            continue
        if turn:
            x0, x1, y0, y1 = _turned(turn, box)
        else:
            x0, x1, y0, y1 = box.left, box.right, box.bottom, box.top
        height = top - bottom
        if letters:
            lower = height if height < y1 - y0 else y1 - y0
            shared = (top if top < y1 else y1) - (bottom if bottom > y0 else y0)
            away = lower > 0 and shared < 0.3 * lower
            if away or x0 - right > _GAP * height or x0 < right - 2 * (height if height > 1 else 1.0):
                close()
        if not letters:
            left, right, bottom, top, first = x0, x1, y0, y1, index
        elif space:
            letters.append(" ")
        space = False
        letters.append(chr(code))
        right = right if right > x1 else x1
    close()
    return bidi.cells(_characters(raw, textpage, count, turn)) if leftward else cells


def _characters(raw: Any, textpage: Any, count: int, turn: int) -> list[bidi.Character]:
    """All characters but spaces, with their boxes."""
    box = raw.FS_RECTF()
    found: list[bidi.Character] = []
    bold, last = False, -1.0
    for index in range(count):
        code = raw.FPDFText_GetUnicode(textpage, index)
        if code <= 0x20 or code == 0xA0 or 0xD800 <= code < 0xE000 or code in (_HYPHEN_AT_END, 0xFFFE):
            continue
        if raw.FPDFText_GetLooseCharBox(textpage, index, box):
            x0, x1, y0, y1 = _turned(turn, box)
            if y0 != last:  # weight changes with the line: enough for headings
                bold, last = _is_bold(raw, textpage, index), y0
            found.append(bidi.Character(chr(code), x0, x1, y0, y1, bold))
    return found


def _frame(page: Any, lines: Sequence[Line]) -> order.Frame:
    """The page as turned text sees it: `_turned` and `bidi` put turned and mirrored pages below or left of zero."""
    width, height = page.get_size()
    right = max((line.right for line in lines), default=width)
    top = max((line.bottom + line.height for line in lines), default=height)
    if max(right, -min((line.left for line in lines), default=0.0)) > width + 1:  # turned by a quarter
        width, height = height, width
    return order.Frame(
        *((-width, 0.0) if right <= 0 else (0.0, width)), *((-height, 0.0) if top <= 0 else (0.0, height))
    )


def _turned(turn: int, box: Any) -> tuple[float, float, float, float]:
    """Left, right, bottom, top as a reader sees them who turns the page."""
    if turn == 3:
        return box.bottom, box.top, -box.right, -box.left
    if turn == 2:
        return -box.right, -box.left, -box.top, -box.bottom
    if turn == 1:
        return -box.top, -box.bottom, box.left, box.right
    return box.left, box.right, box.bottom, box.top


def _turn(raw: Any, textpage: Any, count: int) -> int:
    """Quarters, clockwise, by which most of the text is turned, from a sample."""
    votes = [0, 0, 0, 0]
    for index in range(0, count, max(1, count // 24)):
        if raw.FPDFText_GetUnicode(textpage, index) > 0x20:
            angle = raw.FPDFText_GetCharAngle(textpage, index)
            votes[round(angle / 1.5707963) % 4 if angle >= 0 else 0] += 1
    return votes.index(max(votes))


def _is_bold(raw: Any, textpage: Any, index: int) -> bool:
    """By the weight of the type, or by its name where the file states no weight."""
    if raw.FPDFText_GetFontWeight(textpage, index) >= _BOLD_FROM:
        return True
    flags = ctypes.c_int()
    length = raw.FPDFText_GetFontInfo(textpage, index, None, 0, flags)
    if not 0 < length < 256:
        return False
    name = ctypes.create_string_buffer(length)
    raw.FPDFText_GetFontInfo(textpage, index, name, length, flags)
    return any(mark in name.value.lower() for mark in _BOLD_NAMES)
