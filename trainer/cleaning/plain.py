"""The words of a file without its layout: good enough to learn from, and to compare runs of words.

Takes   text (UTF-8, or UTF-16 that says so), Markdown, HTML, XML, zipped office files, PDF (where pypdfium2 is
        installed), `.xz` and `.gz` of text.
Gives   one string, or None for a kind that is not text, is locked or is broken.
"""

from __future__ import annotations

import codecs
import gzip
import lzma
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ZIPPED = {".docx", ".pptx", ".xlsx", ".odt", ".ods", ".odp", ".epub"}
PACKED = ZIPPED | {".pdf"}
MARKED_UP = {".html", ".htm", ".xml"}
BLOCK_END = re.compile(r"</(?:\w+:)?(?:p|t|si|h\d|li|tr|td|title|div)>|<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"<[^>]*>")


def text_of(path: Path) -> str | None:
    """The words of a file; None for a kind that is not text."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        return packed_text(path)
    if suffix in {".xz", ".gz"}:
        unpack = lzma.decompress if suffix == ".xz" else gzip.decompress
        return unpack(path.read_bytes()).decode("utf-8", "replace")
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else unmarked(path, text)


def unmarked(path: Path, text: str) -> str:
    """The text of a file, without tags where its name says that it has them."""
    return without_tags(text) if path.suffix.lower() in MARKED_UP else text


def packed_text(path: Path) -> str | None:
    """The words of an office file or a PDF."""
    if path.suffix.lower() == ".pdf":
        return pdf_text(path)
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as box:
            names = [name for name in box.namelist() if name.endswith((".xml", ".xhtml", ".html"))]
            return "\n".join(without_tags(box.read(name).decode("utf-8", "replace")) for name in names)
    except (zipfile.BadZipFile, RuntimeError, OSError):  # damaged inside, or locked
        return None


def without_tags(markup: str) -> str:
    """Visible text of XML or HTML, roughly."""
    return TAG.sub("", BLOCK_END.sub("\n", markup))


def pdf_text(path: Path) -> str | None:
    """Text of a PDF; None for one that is locked or broken, or where pypdfium2 is not installed."""
    try:
        import pypdfium2
    except ModuleNotFoundError:
        return None
    try:
        with pypdfium2.PdfDocument(path) as document:
            return "\n".join(page.get_textpage().get_text_bounded() for page in document)
    except pypdfium2.PdfiumError:
        return None


def strings(value: Any) -> Iterator[str]:
    """Every string inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
