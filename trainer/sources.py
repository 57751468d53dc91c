"""Raw files become texts: documents to learn from, and whatever must be recognised because it is used for measuring.

Takes   JSONL with `text`, `source`, `licence` (also `.xz`), text files, HTML, XML, zipped office files, PDF.
Gives   `Raw` documents, or the words of one file without layout, good enough to compare runs of words.
Refuses a JSONL line that is no JSON or has no `text`, naming file and line.
"""

from __future__ import annotations

import json
import lzma
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from trainer.errors import DataError

ZIPPED_SUFFIXES = {".docx", ".pptx", ".xlsx", ".odt", ".ods", ".odp", ".epub"}
BLOCK_END = re.compile(r"</(?:\w+:)?(?:p|t|si|h\d|li|tr|td|title|div)>|<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"<[^>]*>")


class Raw(NamedTuple):
    """A document as found."""

    text: str
    source: str
    licence: str


def find_sources(data: Path, sources: Mapping[str, str]) -> dict[str, list[Path]]:
    """Domain -> files. Raises DataError where a pattern finds nothing."""
    raw = sorted((data / "pretrain").glob("*"))
    patterns = sources or {path.name.split(".")[0]: f"pretrain/{path.name}" for path in raw}
    found = {domain: sorted(p for p in data.glob(pattern) if p.is_file()) for domain, pattern in patterns.items()}
    empty = [domain for domain, paths in found.items() if not paths]
    if empty or not found:
        raise DataError(f"{data} holds no files for {empty or 'pretrain/*'}; give --data or correct [corpus] sources")
    return found


def documents(paths: list[Path]) -> Iterator[Raw]:
    """The documents of files: a line of JSONL is one, any other text file is one."""
    for path in paths:
        if ".jsonl" not in path.suffixes:
            yield Raw(plain_text(path) or "", path.name, "")
            continue
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    yield Raw(str(row["text"]), str(row.get("source", path.name)), str(row.get("licence", "")))
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(f"{path}, line {number}: no object with a text ({error}); mend it") from error


def open_text(path: Path) -> TextIO:
    """A text file for reading, unpacked where it ends in .xz; bytes that are no UTF-8 become U+FFFD."""
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def plain_text(path: Path) -> str | None:
    """The words of a file, good enough to compare runs of words; None for a kind that is not text."""
    suffix = path.suffix.lower()
    if suffix == ".xz":
        return lzma.decompress(path.read_bytes()).decode("utf-8", "replace")
    if suffix in ZIPPED_SUFFIXES and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as box:
            names = [name for name in box.namelist() if name.endswith((".xml", ".xhtml", ".html"))]
            return "\n".join(without_tags(box.read(name).decode("utf-8", "replace")) for name in names)
    if suffix == ".pdf":
        return pdf_text(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    return without_tags(text) if suffix in {".html", ".htm", ".xml"} else text


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
