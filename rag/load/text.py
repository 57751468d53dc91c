"""Plain text, logs, YAML and RTF; and `decode`, which finds the encoding for every text format.

Takes   a path, or bytes.
Gives   one Page without a number. Lines that were wrapped by hand at a fixed width become paragraphs again, so that a
        sentence can be found and quoted whole; lists, tables and short lines stay as they are.
Refuses binary data under a text suffix (LoadError).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from rag.errors import LoadError, need
from rag.types import Page

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 200_000  # bytes that are looked at to guess an encoding
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ITEM = re.compile(r"\s*(?:[-*•+>|]|\d{1,3}[.)]|[a-z][.)]|#{1,6} )\s")
_ASIDE = re.compile(r"\s{2,}\S|\t|\S {3,}\S")  # indentation, or columns made of spaces
_WRAPPED = range(55, 101)  # width of a hand-wrapped line, in characters


def pages(path: Path) -> Iterator[Page]:
    """Read one text file."""
    text = decode(path.read_bytes(), path.name)
    suffix = path.suffix.lower()
    if suffix == ".rtf":
        rtf = need("striprtf.striprtf", extra="formats", task="Reading .rtf")
        yield Page(None, _rows(rtf.rtf_to_text(text, errors="replace")))
    elif suffix == ".rst":
        from rag.load import rst

        yield Page(None, rst.to_text(text))
    elif suffix in (".log", ".yaml", ".yml"):
        yield Page(None, text)
    elif path.stem.lower().endswith((".md", ".html")):  # a page kept under a second suffix
        from rag.load import markdown

        yield Page(None, markdown.to_text(text))
    else:
        yield Page(None, unwrap(text))


def decode(data: bytes, name: str, *, declared: str | None = None) -> str:
    """Text from bytes: byte order mark, then UTF-8, then what the file declares, then the likeliest guess."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    halves = data[:4096]
    if len(halves) > 3 and halves.count(0) > len(halves) // 4:  # UTF-16 without a mark: every other byte is zero
        even, odd = halves[::2].count(0), halves[1::2].count(0)
        if max(even, odd) > 4 * min(even, odd):
            return data.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
    if halves.count(0) > len(halves) // 50:
        raise LoadError(f"{name}: holds binary data, not text; give it the suffix of its real format")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass  # not UTF-8: the next steps find out what else
    try:
        return data.decode(declared or "ascii")
    except (UnicodeDecodeError, LookupError):
        return _guess(data)


def _guess(data: bytes) -> str:
    detect = need("charset_normalizer", extra="formats", task="Reading text that is not UTF-8").from_bytes
    sample = data[:_SAMPLE]
    if len(_CONTROLS.findall(sample)) > len(sample) // 50:
        raise LoadError("holds binary data, not text; give it the suffix of its real format")
    best = detect(sample).best()
    try:
        return data.decode(best.encoding if best is not None else "cp1252")
    except (UnicodeDecodeError, LookupError):
        return data.decode("cp1252", "replace")


def unwrap(text: str) -> str:
    """Join lines that were wrapped by hand at a fixed width."""
    blocks = re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    return "\n\n".join(_joined(block) if _is_wrapped(block) else block for block in blocks)


def _is_wrapped(block: str) -> bool:
    lines = block.split("\n")
    if len(lines) < 2 or any(_ASIDE.match(line) or _ITEM.match(line) for line in lines[1:]) or _ASIDE.search(lines[0]):
        return False
    widths = [len(line.rstrip()) for line in lines[:-1]]
    return max(widths) in _WRAPPED and min(widths) > max(widths) * 0.7 and len(lines[-1].rstrip()) <= max(widths)


def _joined(block: str) -> str:
    return " ".join(line.strip() for line in block.split("\n"))


def _rows(text: str) -> str:
    """RTF tables arrive as `a|b|` lines: give them the spaces of table rows."""
    return "\n".join(
        " | ".join(cell.strip() for cell in line.strip("|").split("|") if cell.strip())
        if line.endswith("|") and line.count("|") > 1
        else line
        for line in text.split("\n")
    )
