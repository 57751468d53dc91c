"""A picture made ready for OCR: shades evened, rules of tables gone, letters of a size that is read well.

    picture ─► grey ─► evened (paper white, whatever its shade) ─► without rules ─► read ─► letters too high? smaller

Takes   a picture in memory.
Gives   a grey picture, white paper and dark letters as far as the picture allows.
Why     cells between rules lose their only digit, and headers on a coloured ground are taken for pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import need

_SMALLEST = 1_000  # pixels of the longer side below which a picture is enlarged before it is read
_RULE = 96  # pixels: no stroke of a letter is so long at the sizes read
_THICK = 9  # pixels: no rule is so thick
_INK = 150  # grey below it is ink
_COARSE = 8  # the shade of the paper is looked at in squares of so many pixels
_DARKEST_PAPER = 90  # grey: what is darker is a picture, or white letters on black

Mask = npt.NDArray[np.bool_]


def ready(picture: Any) -> Any:
    """Grey, evened, large enough."""
    picture = _grey(picture)
    if 0 < max(picture.size) < _SMALLEST:
        factor = 2 if max(picture.size) * 4 > _SMALLEST else 3
        picture = picture.resize((picture.width * factor, picture.height * factor))
    return _evened(picture)


def ink(picture: Any) -> Mask:
    """Where a prepared picture holds ink, [height, width]."""
    return np.asarray(picture) < _INK


def _grey(picture: Any) -> Any:
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        pillow = need("PIL.Image", extra="formats", task="OCR")
        white = pillow.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    return picture.convert("L")


def _evened(picture: Any) -> Any:
    """Each pixel against the lightest around it: a coloured cell, or the shadow of a fold, becomes white paper."""
    pillow = need("PIL.Image", extra="formats", task="OCR")
    filters = need("PIL.ImageFilter", extra="formats", task="OCR")
    coarse = picture.resize((max(1, picture.width // _COARSE), max(1, picture.height // _COARSE)))
    paper = coarse.filter(filters.MaxFilter(5)).filter(filters.MedianFilter(5)).resize(picture.size)
    shade = np.asarray(paper, dtype=np.float32)
    grey = np.asarray(picture, dtype=np.float32)
    evened = np.where(shade > _DARKEST_PAPER, np.minimum(grey * (255 / np.maximum(shade, 1)), 255), grey)
    return pillow.fromarray(evened.astype(np.uint8))


def without_rules(picture: Any) -> tuple[Any, Mask]:
    """The prepared picture without rules, and where upright rules stood: they part the cells of a row."""
    pillow = need("PIL.Image", extra="formats", task="OCR")
    dark = ink(picture)
    across, down = _long(dark, _RULE), np.ascontiguousarray(_long(np.ascontiguousarray(dark.T), _RULE).T)
    across &= ~_long(np.ascontiguousarray(across.T), _THICK).T
    down &= ~_long(down, _THICK)
    if not (across.any() or down.any()):
        return picture, down
    grey = np.array(picture)
    grey[_wider(across | down)] = 255
    return pillow.fromarray(grey), down


def _long(dark: Mask, length: int) -> Mask:
    """The pixels of runs along a row that are at least so long: eroded, then dilated, by doubling steps."""
    if dark.shape[1] < length:
        return np.zeros_like(dark)
    starts, reach = dark[:, :], 1
    while reach < length:
        step = min(reach, length - reach)
        starts, reach = starts[:, :-step] & starts[:, step:], reach + step
    grown, reach = starts, 1
    while reach < length:
        step = min(reach, length - reach)
        wide = np.zeros((grown.shape[0], grown.shape[1] + step), dtype=np.bool_)
        wide[:, :-step] |= grown
        wide[:, step:] |= grown
        grown, reach = wide, reach + step
    return grown


def _wider(rules: Mask) -> Mask:
    """With the grey edge of a rule, a pixel to each side."""
    wide = rules.copy()
    wide[1:] |= rules[:-1]
    wide[:-1] |= rules[1:]
    wide[:, 1:] |= rules[:, :-1]
    wide[:, :-1] |= rules[:, 1:]
    return wide
