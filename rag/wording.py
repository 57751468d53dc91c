"""From a quotation to the short answer: rules, no model.

    question ─► shape (fact, choice, list, steps) ─┐
    span, passage ─────────────────────────────────┴─► say ─► Said(words, range to quote)

Takes   a question, a passage's text and the span a reader pointed at.
Gives   the words of the answer, all of them taken from the range that is quoted with it (only "Yes."/"No." is ours),
        and that range. At most `WORDS` words; lists and steps are given whole.
Policy  `span` says the bare span, `sentence` the sentence around it, `unit` everything that is quoted.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from rag import quote
from rag.question import asked as asked  # one door for all that speaks of questions and words
from rag.question import shape as shape
from rag.question import stems as stems
from rag.spoken import NEGATION, UNIT
from rag.units import LIST, ROW, blocks, entries, kind_of, sentences, strip
from rag.verdict import verdict, without_own

Policy = Literal["span", "sentence", "unit"]
WORDS = 60


class Said(NamedTuple):
    """What to say and what to show: `words` rest on `passage_text[start:end]`."""

    words: str
    start: int
    end: int


def say(question: str, text: str, span: tuple[int, int], *, policy: Policy = "sentence", about: str = "") -> Said:
    """The short answer for a span of a passage's text; `about` are the headings that the passage stands under."""
    wanted = shape(question)
    span = _whole_words(text, span)
    if wanted == "choice":
        span = _asked_entry(question, text, span)
    lead = _lead(text, span)
    led = lead is not None and _decides(text[lead[0] : lead[1]], choice=wanted == "choice")
    start, end = quote.expand(text, *span, whole=led or wanted in ("list", "steps"))
    quoted = text[start:end]
    if _denied_before(text, start, end):
        return Said("", start, end)
    if lead and led and wanted in ("fact", "choice") and start <= lead[0] and _one_entry(text, span):
        words = tidy(f"{text[lead[0] : lead[1]].rstrip(' :')}: {text[slice(*_entry(text, (start, end), span))]}")
        if len(words.split()) <= WORDS:
            return Said(_decided(question, words, about) if wanted == "choice" else words, start, end)
    if any(block.kind == LIST for block in blocks(quoted)):
        several = sum(kind_of(line) == LIST for line in quoted.split("\n")) > 1
        if several and (wanted != "fact" or not _one_entry(text, span) or _needs_list(text, (start, end), span)):
            return Said(layout(quoted), start, end)
    inside = max(span[0], start), min(max(span[1], span[0] + 1), end)
    if inside[0] >= inside[1]:
        inside = start, end  # the span stood in a heading, the words are under it
    words = _words(text, _entry(text, (start, end), inside), inside, policy)
    return Said(_decided(question, words, about) if wanted == "choice" else words, start, end)


def in_full(quoted: str) -> str:
    """The whole quotation as words, where they are few enough."""
    if any(block.kind == LIST for block in blocks(quoted)):
        return layout(quoted)
    return tidy(quoted) if len(quoted.split()) <= WORDS else ""


def _denied_before(text: str, start: int, end: int) -> bool:
    """Was the beginning of a long sentence cut off, and the only "not" with it? Then it would say the opposite."""
    block = next((block for block in blocks(text) if block.start < start < block.end), None)
    if block is None or block.kind == LIST or NEGATION.search(text, start, end):
        return False
    found = (left for left, right in sentences(text, block.start, block.end) if left < start < right)
    return any(NEGATION.search(text, left, start) for left in found)


def _decided(question: str, words: str, about: str) -> str:
    """The reason after Yes or No; without one that answers another question where ours is not decided."""
    lead = verdict(question, words, about=about)
    if re.match(rf"{lead or '-'}\b", words, re.I):
        return words
    reason = tidy(without_own(words))
    return f"{lead}. {reason}" if lead else reason


_LIMITLESS = re.compile(r"\bnot (?:limited to|only|just)\b|\b(?:if|when|where|once|whether)\b.*", re.I | re.S)
_RULES = re.compile(
    r"\b(?:can|may|must|should|shall|allowed|permitted|required|mandatory|need to|have to|eligible)\b", re.I
)


def _decides(lead: str, *, choice: bool) -> bool:
    """Does the line that announces a list deny its entries, or say whether they may or must be?"""
    said = _LIMITLESS.sub("", lead)
    return NEGATION.search(said) is not None or (choice and _RULES.search(said) is not None)


def _asked_entry(question: str, text: str, span: tuple[int, int]) -> tuple[int, int]:
    """Where the span is the line that announces a list: the one entry that speaks of what was asked; else the span."""
    _, end = quote.expand(text, *span)
    found = next((b for b in blocks(text) if b.kind == LIST and span[1] <= b.start < end), None)
    if found is None:
        return span
    wanted = stems(question)
    shared = [(len(wanted & stems(text[row.body : row.end])), row) for row in entries(text, found)]
    most = max(count for count, _ in shared)
    best = [(row.body, row.end) for count, row in shared if count == most]
    return best[0] if most and len(best) == 1 else span


def _lead(text: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """The line that announces the entry in which the span stands: "You may not bring:" must not be lost with it."""
    found = blocks(text)
    at = next((n for n, block in enumerate(found) if block.kind == LIST and block.start <= span[0] < block.end), None)
    if at is None:
        return None
    rows = [row for row in entries(text, found[at]) if row.start <= span[0]]
    parent = next((row for row in reversed(rows[:-1]) if row.indent < rows[-1].indent), None)
    if parent is not None:
        return (parent.body, parent.end) if quote.introduces(text[parent.body : parent.end]) else None
    start = quote.lead_in(text, found, at)
    return (start, found[at - 1].end) if start < found[at].start else None


def together(question: str, first: str, second: str) -> bool:
    """May both be said, one under the other? They must be brief, differ, and neither may be a yes or no.

    >>> together("Which days?", "Monday.", "Or on Friday."), together("May I?", "Yes. You may.", "No.")
    (True, False)
    """
    if shape(question) == "choice" or len(first.split()) + len(second.split()) > WORDS:
        return False
    mine, theirs = stems(first), stems(second)
    return not (mine <= theirs or theirs <= mine)


def _whole_words(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The span grown to the ends of its words: half a number must never be said."""
    start, end = max(0, min(span[0], len(text))), max(0, min(span[1], len(text)))
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and end > start and not text[end - 1].isspace() and not text[end].isspace():
        end += 1
    return start, end


def _with_unit(text: str, unit: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """A span that ends in a number, with the unit after it: "15" says less than "15 days"."""
    found = UNIT.match(text, span[1], unit[1]) if text[span[0] : span[1]][-1:].isdigit() else None
    return (span[0], found.end()) if found else span


def _entry(text: str, unit: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """The words of the list entry that holds the span, where a list is quoted; else the unit."""
    for block in blocks(text[: unit[1]]):
        if block.kind == LIST and block.start <= span[0] < block.end:
            return next((row.body, row.end) for row in reversed(entries(text, block)) if row.start <= span[0])
    return unit


def _one_entry(text: str, span: tuple[int, int]) -> bool:
    """Does the span stay within one line of a list?"""
    return "\n" not in text[span[0] : span[1]].strip() and any(
        block.kind == LIST and block.start <= span[0] < block.end for block in blocks(text)
    )


def _needs_list(text: str, unit: tuple[int, int], span: tuple[int, int]) -> bool:
    """Does the span's entry only introduce what is nested under it, or is it a bare name in a short list?"""
    start, end = _entry(text, unit, span)
    short = quote.brief(text[start:end]) and len(text[unit[0] : unit[1]].split()) <= WORDS
    return short or quote.introduces(text[start:end])


def _words(text: str, unit: tuple[int, int], span: tuple[int, int], policy: Policy) -> str:
    """Prose or a table row, at most WORDS words."""
    if kind_of(text[unit[0] : unit[1]]) == ROW:
        return row_words(text[unit[0] : unit[1]], span[0] - unit[0])
    if policy == "span":
        return tidy(_shorten(text[slice(*_with_unit(text, unit, span))]))
    inside = [
        (left, right)
        for left, right in sentences(text, *unit)
        if policy == "unit" or (right > span[0] and left < span[1])
    ]
    if not inside:
        return tidy(_shorten(text[span[0] : span[1]]))
    left, right = inside[0][0], inside[-1][1]
    if quote.brief(text[left:right]):
        left, right = unit  # "No." is said with its reason
    if len(text[left:right].split()) > WORDS:
        left, right = _within(text, (left, right), span)
    return tidy(text[left:right])


def _within(text: str, unit: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """The clauses around the span, at most WORDS words."""
    left, right = max(unit[0], span[0]), min(unit[1], span[1])
    if len(text[left:right].split()) > WORDS:
        return left, left + len(_shorten(text[left:right]))
    before = [unit[0]] + [cut.end() for cut in re.finditer(r"[;:,.!?—–]\s+", text[unit[0] : left])]
    starts = [unit[0]] + [unit[0] + at for at in before[1:]]
    ends = [right + cut.start() for cut in re.finditer(r"[;:,.!?—–](?=\s)", text[right : unit[1]])] + [unit[1]]
    fitting = [
        (start, stop) for start in starts for stop in ends if len(text[start:stop].split()) <= WORDS and start <= left
    ]
    if not fitting:
        return left, right
    return strip(text, *max(fitting, key=lambda cut: cut[1] - cut[0]))


def _shorten(words: str) -> str:
    """The first WORDS words."""
    found = list(re.finditer(r"\S+", words))
    return words if len(found) <= WORDS else words[: found[WORDS - 1].end()]


def row_words(row: str, at: int) -> str:
    """A table row in words: whole where it is short, else its first cell and the cell that holds position `at`."""
    cells: list[tuple[str, int]] = []
    position = 0
    for cell in row.split(" | "):
        cells.append((cell.strip(), position + len(cell)))
        position += len(cell) + 3
    filled = [(cell, end) for cell, end in cells if not cell.endswith(":")]
    if len(row.split()) <= WORDS // 2:
        return tidy("; ".join(cell for cell, _ in filled) or row)
    chosen = next((cell for cell, end in cells if at <= end), cells[-1][0])
    first = filled[0][0] if filled else chosen
    return tidy(_shorten(chosen if chosen == first else f"{first}; {chosen}"))


def layout(quoted: str) -> str:
    """A list as it is shown: its lines, evenly indented, continuation lines joined to their entry."""
    shown: list[str] = []
    for line in quoted.split("\n"):
        words = " ".join(line.split())
        if not words:
            continue
        if shown and kind_of(line.strip()) != LIST and kind_of(shown[-1]) == LIST:
            shown[-1] += " " + words
        elif kind_of(line) == LIST:
            shown.append(" " * ((len(line) - len(line.lstrip())) // 2 * 2) + words)
        else:
            shown.append(words)
    return "\n".join(shown)


_CODE = re.compile(r"^[a-z]+(?:[-_./@:(]|\s+--?\w)|^[a-z]+[A-Z0-9]|^(?:npm|git|docker|pip|kubectl|curl|sudo|brew|ssh) ")


def tidy(words: str) -> str:
    """One line, a capital at the front, a full stop at the end; the words themselves stay."""
    line = " ".join(words.split()).strip(" ;,:–—")
    line = re.sub(r"^(?:(?:A|Answer|Note)\s?[:.]\s+|[-*•]\s+)", "", line)
    if not line:
        return ""
    if line[0].islower() and not _CODE.match(line):
        line = line[0].upper() + line[1:]
    if line[-1].isalnum() or line[-1] in ")]%\"'”’":
        line += "" if re.search(r"[.!?][)\]\"'”’]+$", line) else "."
    return line
