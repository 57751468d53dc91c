"""Pictures of text become text, where tesseract is installed.

Takes   a path (.png, .jpg, .jpeg, .tif, .tiff), or an image in memory (a scanned PDF page).
Gives   one Page a picture, numbered, `ocr=True`. A page whose words cannot be read is empty and its note says why:
        a photograph holds no text, which is no error; a missing tesseract comes with the line that installs it. A page
        that was recognised with doubts says how sure it is.
Refuses damaged pictures, and pictures too large to be a page (LoadError).
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rag.errors import LoadError, MissingExtra, need
from rag.load.html import plain
from rag.types import Page

CURE = "install OCR: `apt-get install tesseract-ocr` (Debian, Ubuntu) or `brew install tesseract` (macOS)"
LARGEST_PIXELS = 100_000_000  # an A3 page at 600 dpi has 70 million
SECONDS_A_PAGE = 90
CHECK = "compare its words with the page, or scan it again at 300 dpi"
_DOUBTFUL = 80  # per cent: below it a page's words want a look
_SURE = 45  # per cent: lines below it are mostly texture
_CELL_GAP = 2.2  # times the height of the letters
_FEWEST_LETTERS = 8  # fewer on a whole page are specks
_SMALLEST = 1_000  # pixels of the longer side below which a picture is enlarged before it is read


class _Word(NamedTuple):
    text: str
    sure: float  # per cent
    left: int  # pixels, as the others
    right: int
    high: int


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
    picture = _prepared(picture)
    try:
        text, sure = _upright(picture)
    except RuntimeError as error:  # pytesseract: time ran out
        return Page(number, "", ocr=True, note=f"page {number}: a picture, not read ({error}); scan it again")
    note = None if text else f"page {number}: a picture without text; scan it again if it should hold some"
    if text and sure < _DOUBTFUL:  # tens, so that pages scanned alike share a line of the report
        tens = int(sure // 10) * 10
        note = f"page {number}: recognised with a confidence of {tens} to {tens + 10}%; {CHECK}"
    return Page(number, text, ocr=True, note=note)


def _prepared(picture: Any) -> Any:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        pillow = need("PIL.Image", extra="formats", task="OCR")
        white = pillow.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    picture = picture.convert("L")
    if 0 < max(picture.size) < _SMALLEST:
        factor = 2 if max(picture.size) * 2 > _SMALLEST // 2 else 3
        picture = picture.resize((picture.width * factor, picture.height * factor))
    return picture


def _upright(picture: Any) -> tuple[str, float]:
    """Read as it stands; only where that gives little, ask which way is up and read again."""
    text, sure = _recognised(picture)
    if sure >= 70:
        return text, sure
    turned = _turn(picture)
    if turned:
        again, surer = _recognised(picture.rotate(-turned, expand=True))
        if surer > sure:
            return again, surer
    return text, sure


def _turn(picture: Any) -> int:
    """Degrees to turn clockwise, as tesseract's orientation model sees it."""
    library = need("pytesseract", extra="formats", task="OCR")
    try:
        seen = library.image_to_osd(
            picture, output_type=library.Output.DICT, timeout=SECONDS_A_PAGE, config="--dpi 200"
        )
    except library.TesseractError:  # too few characters to tell
        return 0
    return int(seen.get("rotate", 0)) if float(seen.get("orientation_conf", 0)) > 0.5 else 0


def _recognised(picture: Any) -> tuple[str, float]:
    """Text in paragraphs, and the mean confidence of its words in per cent."""
    library = need("pytesseract", extra="formats", task="OCR")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # tesseract's threads slow each other down on small machines
    data = library.image_to_data(
        picture, lang=_languages(), output_type=library.Output.DICT, timeout=SECONDS_A_PAGE, config="--dpi 200"
    )
    paragraphs: dict[tuple[int, int], dict[int, list[_Word]]] = {}
    for index, text in enumerate(data["text"]):
        if text.strip() and float(data["conf"][index]) >= 0:
            left, wide, high = (int(data[name][index]) for name in ("left", "width", "height"))
            word = _Word(text, float(data["conf"][index]), left, left + wide, high)
            key = (data["block_num"][index], data["par_num"][index])
            paragraphs.setdefault(key, {}).setdefault(data["line_num"][index], []).append(word)
    found = [[line for line in lines.values() if _sure(line) >= _SURE] for lines in paragraphs.values()]
    text = "\n\n".join("\n".join(_line(line) for line in lines) for lines in found if lines)
    sure = _sure([word for lines in found for line in lines for word in line])
    if sum(character.isalnum() for character in text) < _FEWEST_LETTERS or sure < 60:
        return "", 0.0
    return text, sure


def _sure(words: Sequence[_Word]) -> float:
    """Mean confidence, weighted by length. Lines are judged whole: one doubtful word may be the `not`."""
    letters = sum(len(word.text) for word in words)
    return sum(word.sure * len(word.text) for word in words) / letters if letters else 0.0


def _line(words: Sequence[_Word]) -> str:
    """Words of one line; a gap wider than two letters' height parts the cells of a table."""
    high = sorted(word.high for word in words)[len(words) // 2]
    text = words[0].text
    for before, word in itertools.pairwise(words):
        text += (" | " if word.left - before.right > _CELL_GAP * high else " ") + word.text
    return plain("- " + text[2:] if text[:2] in ("+ ", "* ", "¢ ", "« ") else text)


@lru_cache(maxsize=1)
def _languages() -> str:
    """All installed languages: whoever installs one wants it read. English first."""
    library = need("pytesseract", extra="formats", task="OCR")
    names = [name for name in library.get_languages(config="") if name not in ("osd", "eng", "equ")]
    return "+".join(["eng", *names[:3]])
