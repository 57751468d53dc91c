"""Text of documents and people, made safe to draw.

Streamlit draws labels and most texts as Markdown, in which a document could place links, pictures, formulas or colours.
So nothing that we did not write ourselves goes there as it is: it becomes escaped HTML (`prose`, `quotation`, `notice`,
`leaf`), or, where Streamlit takes nothing but Markdown, an escaped label (`label`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from html import escape as escape
from typing import Any

JOINER = "\u2060"  # word joiner: invisible, and enough to keep `:name:`, `http://` or `a@b.c` from being noticed
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_NOTICED = re.compile(r":|@|(?<=www)(?=\\\.)", re.IGNORECASE)
_BULLET = re.compile(r"(?:[-*•])\s+(.*)")
_NUMBERED = re.compile(r"(\d{1,3})[.)]\s+(.*)")
_REFERENCE = re.compile(r"\[(\d{1,3})\]")
_HEADING = re.compile(r"#{1,6} ")


def label(text: str, limit: int = 0) -> str:
    """Markdown that shows `text` letter by letter on one line, shortened to `limit` characters where that is not 0."""
    line = " ".join(text.split())
    if limit and len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    escaped = _PUNCTUATION.sub(r"\\\1", line)
    return _NOTICED.sub(lambda found: found.group() + JOINER, escaped)


def prose(text: str) -> str:
    """An answer as HTML: paragraphs, lists, and [1] as a small raised number."""
    blocks: list[str] = []
    kind = ""  # of the list that is open: ul, ol or none
    for line in text.strip().splitlines():
        bullet, numbered = _BULLET.fullmatch(line.strip()), _NUMBERED.fullmatch(line.strip())
        wanted = "ul" if bullet else "ol" if numbered else ""
        if wanted != kind:
            blocks.append((f"</{kind}>" if kind else "") + (f"<{wanted}>" if wanted else ""))
            kind = wanted
        if bullet:
            blocks.append(f"<li>{_inline(bullet.group(1))}</li>")
        elif numbered:
            blocks.append(f'<li value="{numbered.group(1)}">{_inline(numbered.group(2))}</li>')
        elif line.strip():
            blocks.append(f"<p>{_inline(line.strip())}</p>")
    blocks.append(f"</{kind}>" if kind else "")
    return f'<div class="gl-answer">{"".join(blocks)}</div>'


def _inline(text: str) -> str:
    return _REFERENCE.sub(r'<sup class="gl-ref">\1</sup>', escape(text))


def quotation(quote: str, number: int | None = None) -> str:
    """Exact words, numbered where an answer rests on them."""
    badge = f'<span class="gl-number" aria-label="Quotation {number}">{number}</span>' if number else ""
    return f'<figure class="gl-quote">{badge}<blockquote>{escape(quote)}</blockquote></figure>'


def notice(text: str, kind: str = "note") -> str:
    """A message in its own box; `kind` is note, good, warning or error."""
    role = "alert" if kind == "error" else "status"
    return f'<div class="gl-notice gl-{kind}" role="{role}">{escape(text)}</div>'


def count(number: int, noun: str) -> str:
    """`1 page`, `2 pages`, `1,200 passages`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def place(citation: Mapping[str, Any]) -> str:
    """Document, and its page, or the time at which a recording says it."""
    if citation["page"] is not None:
        return f"{citation['document']}, page {citation['page']}"
    return f"{citation['document']}, {citation['time']}" if citation.get("time") else str(citation["document"])


def day(moment: str) -> str:
    """The day of an ISO 8601 moment, as people write it; it does not break across lines."""
    try:
        return datetime.fromisoformat(moment).strftime("%d\u00a0%b\u00a0%Y").lstrip("0")
    except ValueError:
        return moment[:10]


def moment(at: str) -> str:
    """Day and minute of an ISO 8601 moment, in UTC as it is stored."""
    try:
        return f"{day(at)}, {datetime.fromisoformat(at):%H:%M}"
    except ValueError:
        return at


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `1 h 20 min`: as exactly as it can be known."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def plain(text: str, kind: str = "quiet") -> str:
    """One paragraph of the page's small print; `kind` is a class of style.css without its prefix."""
    return f'<p class="gl-{kind}">{escape(text)}</p>'


def leaf(text: str, marked: tuple[int, int], begins: int = 0) -> str:
    """One page of a document with `text[marked[0]:marked[1]]` highlighted; headings stand out, every letter stays.

    `begins` is where the page begins in its document: each line says where it stands, for `browser.select_words`.
    """
    lines: list[str] = []
    at = 0
    for line in text.splitlines(keepends=True):
        words = "".join(line.splitlines())  # without what ends it
        heading = _HEADING.match(words)
        sign = heading.end() if heading else 0
        kind = "gl-head" if heading else "gl-row" if " | " in words else "gl-line"
        start, end = marked[0] - at, marked[1] - at
        drawn = _marked(words[sign:], start - sign, end - sign)
        if sign:
            drawn = f'<span class="gl-hash">{_marked(words[:sign], start, end)}</span>{drawn}'
        lines.append(f'<div class="{kind}" data-at="{begins + at}">{drawn or "&nbsp;"}</div>')
        at += len(line)
    return f'<article class="gl-leaf" tabindex="0" aria-label="Text of the page">{"".join(lines)}</article>'


def _marked(words: str, start: int, end: int) -> str:
    start, end = max(0, min(start, len(words))), max(0, min(end, len(words)))
    if start >= end:
        return escape(words)
    return f'{escape(words[:start])}<mark class="gl-mark">{escape(words[start:end])}</mark>{escape(words[end:])}'
