"""Files made from others where a kind is rare or a file long: the same bytes of pixels and pages every time.

Takes   documents/ of the data folder.
Gives   a folder with the files that the truth calls `derived/...`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pypdfium2
from PIL import Image

SCAN_DPI = 200
NOISE = 12.0  # standard deviation of the grey of a pixel, of 255


def make(documents: Path, folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in RECIPES.items():
        write(documents, folder / name)


def _pages(file: str, first: int, last: int) -> Callable[[Path, Path], None]:
    def write(documents: Path, out: Path) -> None:
        with pypdfium2.PdfDocument(documents / file) as whole, closing(pypdfium2.PdfDocument.new()) as part:
            part.import_pages(whole, list(range(first - 1, last)))
            part.save(out)

    return write


def _scan(file: str, page: int, degrees: float) -> Callable[[Path, Path], None]:
    """A page as a grey picture with noise, a little turned, and nothing else."""

    def write(documents: Path, out: Path) -> None:
        with pypdfium2.PdfDocument(documents / file) as pdf:
            image: Any = pdf[page - 1].render(scale=SCAN_DPI / 72, grayscale=True).to_pil().convert("L")
        image = image.rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=255)
        noise = np.random.default_rng(7).normal(0.0, NOISE, (image.height, image.width))
        grey = np.clip(np.asarray(image, dtype=np.float64) * 0.9 + 15 + noise, 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(out, "PDF", resolution=SCAN_DPI)

    return write


def _turned(file: str, page: int, *, flag: int) -> Callable[[Path, Path], None]:
    """A page whose contents are drawn turned by 90 degrees; with `flag` the viewer turns them back."""

    def write(documents: Path, out: Path) -> None:
        source = pypdf.PdfReader(documents / file).pages[page - 1]
        width, height = float(source.mediabox.width), float(source.mediabox.height)
        writer = pypdf.PdfWriter()
        blank = writer.add_blank_page(height, width)
        blank.merge_transformed_page(source, pypdf.Transformation((0, 1, -1, 0, height, 0)))
        if flag:
            blank.rotate(flag)
        writer.write(out)

    return write


RECIPES: dict[str, Callable[[Path, Path], None]] = {
    "income-statement-scan.pdf": _scan("filings/2023 Q1 MSFT.pdf", 3, 0.0),
    "two-columns-skewed-scan.pdf": _scan("office/unstructured__multi-column-2p.pdf", 1, 1.2),
    "booking-sideways.pdf": _turned("office/markitdown__movie-theater-booking-2024.pdf", 1, flag=0),
    "inventory-turned.pdf": _turned("office/markitdown__SPARSE-2024-INV-1234_borderless_table.pdf", 2, flag=90),
    "apple-q3-2022.pdf": _pages("filings/2022 Q3 AAPL.pdf", 4, 9),
    "nvidia-q2-2023.pdf": _pages("filings/2023 Q2 NVDA.pdf", 3, 6),
    "microsoft-q1-2023.pdf": _pages("filings/2023 Q1 MSFT.pdf", 3, 7),
}
