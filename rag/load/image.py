"""Pictures of text become text, where tesseract is installed.

    picture ─► pixels: white paper, no rules ─► words with places ─► lines ─► flow: tables and headings as elsewhere

Takes   a path (.png, .jpg, .jpeg, .tif, .tiff), or an image in memory (a scanned PDF page).
Gives   one Page a picture, numbered, `ocr=True`. A page whose words cannot be read is empty and its note says why:
        a photograph holds no text, which is no error; a missing tesseract comes with the line that installs it. A page
        that was recognised with doubts says how sure it is, one in letters that no installed language reads which.
Refuses damaged pictures, and pictures too large to be a page (LoadError).
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import LoadError, MissingExtra, need
from rag.load import flow, layout, order, pixels
from rag.load.html import plain
from rag.load.layout import Cell, Line
from rag.types import Page

CURE = "install OCR: `apt-get install tesseract-ocr` (Debian, Ubuntu) or `brew install tesseract` (macOS)"
LARGEST_PIXELS = 100_000_000  # an A3 page at 600 dpi has 70 million
SECONDS_A_PAGE = 90
CHECK = "compare its words with the page, or scan it again at 300 dpi"
_DOUBTFUL = 80  # per cent: below it a page's words want a look
_SURE = 45  # per cent: lines below it are mostly texture
_CELL_GAP = 2.2  # times the height of the letters
_FEWEST_LETTERS = 8  # fewer on a whole page are specks
_SMALL, _GOOD = 13, 30  # pixels a word is high: below the first it is read again, enlarged to the second
_BODY = 10.0  # points: the height of a line of the body, from the depth of a g to the height of an l and some air
_TIGHT = 0.74  # of it: the height of most words
_BOLD = 1.3  # times the ink of the body's letters
_TITLE = 1.6  # times the height of the body's letters
_SIDEWAYS = 2.0  # times as high as wide: a word that runs up the side
_SHORT = 24  # characters in the lines of a column of cells, on the average
_PACKS = {
    "Arabic": "ara", "Cyrillic": "rus", "Devanagari": "hin", "Greek": "ell", "Han": "chi-sim", "Hangul": "kor",
    "Hebrew": "heb", "Japanese": "jpn", "Korean": "kor", "Thai": "tha",
}  # fmt: skip


class _Word(NamedTuple):
    text: str
    sure: float  # per cent
    left: int  # pixels, as the others
    right: int
    top: int
    bottom: int
    ink: float  # dark pixels per pixel of width: bold and large letters have more

    @property
    def high(self) -> int:
        return self.bottom - self.top


class _Reading(NamedTuple):
    text: str
    sure: float  # per cent
    high: float  # pixels, of most words


def pages(path: Path) -> Iterator[Page]:
    """Read one picture; a TIFF may hold several."""
    pillow = need("PIL.Image", extra="formats", task="Reading pictures")
    with pillow.open(path) as picture:
        for number in range(1, getattr(picture, "n_frames", 1) + 1):
            if number > 1:
                picture.seek(number - 1)
            width, height = picture.size
            if width * height > LARGEST_PIXELS:
                raise LoadError(
                    f"{path.name}: {width} x {height} pixels, the limit is {LARGEST_PIXELS:,}; scale it down"
                )
            yield read(picture, number)


def missing() -> str | None:
    """Why pictures cannot be read here, with the cure; None where they can."""
    if shutil.which("tesseract") is None:
        return CURE
    try:
        need("pytesseract", extra="formats", task="OCR")
    except MissingExtra as error:
        return str(error)
    return None


def read(picture: Any, number: int) -> Page:
    """Recognise the text of one picture, upright or turned by a quarter."""
    why = missing()
    if why:
        return Page(number, "", ocr=True, note=f"page {number}: a picture, not read; {why}")
    picture = pixels.ready(picture)
    try:
        found, script = _upright(picture)
    except RuntimeError as error:  # pytesseract: time ran out
        return Page(number, "", ocr=True, note=f"page {number}: a picture, not read ({error}); scan it again")
    return Page(number, found.text, ocr=True, note=_note(number, found, script))


def _note(number: int, found: _Reading, script: str) -> str | None:
    pack = _PACKS.get(script)
    if pack and found.sure < _DOUBTFUL and pack.replace("-", "_") not in _languages():
        return (
            f"page {number}: looks like {script} letters; install OCR for them: `apt-get install tesseract-ocr-{pack}`"
        )
    if not found.text:
        return f"page {number}: a picture without text; scan it again if it should hold some"
    if found.sure < _DOUBTFUL:  # tens, so that pages scanned alike share a line of the report
        tens = int(found.sure // 10 * 10)
        return f"page {number}: recognised with a confidence of {tens} to {tens + 10}%; {CHECK}"
    return None


def _upright(picture: Any) -> tuple[_Reading, str]:
    """Read as it stands; only where that gives little, ask which way is up and read again. With the script seen."""
    found = _well_sized(picture)
    if found.sure >= 70:
        return found, ""
    turn, script = _turn(picture)
    if turn:
        again = _well_sized(picture.rotate(-turn, expand=True, fillcolor=255))
        if again.sure > found.sure:
            return again, script
    return found, script


def _turn(picture: Any) -> tuple[int, str]:
    """Degrees to turn clockwise, and the script, as tesseract's orientation model sees them."""
    library = need("pytesseract", extra="formats", task="OCR")
    try:
        seen = library.image_to_osd(
            picture, output_type=library.Output.DICT, timeout=SECONDS_A_PAGE, config="--dpi 200"
        )
    except library.TesseractError:  # too few characters to tell
        return 0, ""
    turn = int(seen.get("rotate", 0)) if float(seen.get("orientation_conf", 0)) > 0.5 else 0
    return turn, str(seen.get("script", ""))


def _well_sized(picture: Any) -> _Reading:
    """Read, and read again enlarged where letters are so small that tesseract takes one for another."""
    found = _recognised(picture)
    if not 0 < found.high < _SMALL:
        return found
    factor = _GOOD / found.high
    if picture.width * picture.height * factor * factor > LARGEST_PIXELS:
        return found
    again = _recognised(picture.resize((round(picture.width * factor), round(picture.height * factor))))
    return again if again.sure > found.sure else found


def _recognised(picture: Any) -> _Reading:
    """Text in the convention of `rag.load`, and the mean confidence of its words in per cent."""
    library = need("pytesseract", extra="formats", task="OCR")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # tesseract's threads slow each other down on small machines
    picture, rules = pixels.without_rules(picture)
    data = library.image_to_data(
        picture, lang=_languages(), output_type=library.Output.DICT, timeout=SECONDS_A_PAGE, config="--dpi 200"
    )
    found = _blocks(data, pixels.ink(picture))
    words = [word for block in found for line in block for word in line]
    upright = [word for word in words if len(word.text) <= 3 or word.high <= _SIDEWAYS * (word.right - word.left)]
    sure = _sure(words)
    if sum(len(word.text) for word in upright) < _FEWEST_LETTERS or sure < 60 or 2 * len(upright) < len(words):
        return _Reading("", 0.0, 0.0)
    high = statistics.median(word.high for word in upright)
    stamps = set(words) - set(upright)  # that run up the side
    blocks = [[[word for word in line if word not in stamps] for line in block] for block in found]
    lines = _lines(_in_rows([[line for line in block if line] for block in blocks]), high, rules)
    scale = _TIGHT * _BODY / high
    frame = order.Frame(0.0, picture.width * scale, -picture.height * scale, 0.0)
    lines = order.arranged(order.without_margins(lines, frame), frame)
    return _Reading(flow.text(lines, layout.type_of([lines])), sure, high)


def _blocks(data: dict[str, list[Any]], ink: pixels.Mask) -> list[list[list[_Word]]]:
    """Block by block its lines, without texture."""
    found: dict[int, dict[tuple[int, int], list[_Word]]] = {}
    for index, text in enumerate(data["text"]):
        if not text.strip() or float(data["conf"][index]) < 0:
            continue
        left, wide, top, high = (int(data[name][index]) for name in ("left", "width", "top", "height"))
        weight = float(ink[top : top + high, left : left + wide].sum()) / max(wide, 1)
        word = _Word(text, float(data["conf"][index]), left, left + wide, top, top + high, weight)
        place = (data["par_num"][index], data["line_num"][index])
        found.setdefault(data["block_num"][index], {}).setdefault(place, []).append(word)
    return [[line for line in lines.values() if _sure(line) >= _SURE] for lines in found.values()]


def _in_rows(blocks: Sequence[list[list[_Word]]]) -> list[list[list[_Word]]]:
    """Columns of cells that tesseract takes for columns of text become rows again: short lines, side by side."""
    found: list[list[list[_Word]]] = []
    for short, run in groupby((block for block in blocks if block), key=_is_short):
        together = list(run)
        found.extend([_rows([line for block in together for line in block])] if short else together)
    return found


def _is_short(block: Sequence[Sequence[_Word]]) -> bool:
    cells = [cell for line in block for cell in _parted(line, None)]
    return sum(len(" ".join(word.text for word in cell)) for cell in cells) <= _SHORT * len(cells)


def _rows(lines: Sequence[list[_Word]]) -> list[list[_Word]]:
    """Lines on one height, taken together from left to right, from the top down."""
    rows: list[list[_Word]] = []
    for line in lines:
        mate = next((row for row in rows if _on_one_height(row, line)), None)
        if mate is None:
            rows.append(list(line))
        else:
            mate.extend(line)
    for row in rows:
        row.sort(key=lambda word: word.left)
    return sorted(rows, key=lambda row: statistics.median(word.bottom for word in row))


def _on_one_height(line: Sequence[_Word], other: Sequence[_Word]) -> bool:
    one, two = (statistics.median((word.top + word.bottom) / 2 for word in words) for words in (line, other))
    return abs(one - two) < 0.4 * max(word.high for word in (*line, *other))


def _lines(blocks: Sequence[Sequence[Sequence[_Word]]], high: float, rules: pixels.Mask) -> list[Line]:
    """As lines of a written page: places in points, y upwards, bold where there is more ink."""
    words = [word for block in blocks for line in block for word in line]
    body = statistics.median(word.ink for word in words for _ in word.text)
    scale = _TIGHT * _BODY / high
    return [
        Line([_cell(cell, line, body, scale) for cell in _parted(line, rules)]) for block in blocks for line in block
    ]


def _cell(words: Sequence[_Word], line: Sequence[_Word], body: float, scale: float) -> Cell:
    """Letters of one line share a baseline and a height: a word without descenders is as high as one with them."""
    weight = sum(word.ink * len(word.text) for word in words) / sum(len(word.text) for word in words)
    tall = statistics.median(word.high for word in line) * scale / _TIGHT
    height = tall if tall > _TITLE * _BODY and weight > _BOLD * body else _BODY
    bottom = -sorted(word.bottom for word in line)[len(line) // 4] * scale  # of words without descenders
    text = plain(" ".join(word.text for word in words))
    if text[:2] in ("+ ", "* ", "¢ ", "« "):  # what bullets are taken for
        text = f"• {text[2:]}"
    return Cell(text, words[0].left * scale, words[-1].right * scale, bottom, bottom + height, weight > _BOLD * body)


def _parted(line: Sequence[_Word], rules: pixels.Mask | None) -> list[list[_Word]]:
    """Words of one line; a wide gap, or a rule between two words, parts the cells of a table."""
    high = statistics.median(word.high for word in line)
    cells = [[line[0]]]
    for before, word in pairwise(line):
        middle = (word.top + word.bottom) // 2
        ruled = rules is not None and word.left > before.right and rules[middle, before.right : word.left].any()
        if ruled or word.left - before.right > _CELL_GAP * high:
            cells.append([])
        cells[-1].append(word)
    return cells


def _sure(words: Sequence[_Word]) -> float:
    """Mean confidence, weighted by length. Lines are judged whole: one doubtful word may be the `not`."""
    letters = sum(len(word.text) for word in words)
    return sum(word.sure * len(word.text) for word in words) / letters if letters else 0.0


@lru_cache(maxsize=1)
def _languages() -> str:
    """All installed languages: whoever installs one wants it read. English first."""
    library = need("pytesseract", extra="formats", task="OCR")
    names = [name for name in library.get_languages(config="") if name not in ("osd", "eng", "equ")]
    return "+".join(["eng", *names[:3]])
