"""Inside a quotation only what stands in a passage may be said.

    span ──► expand ──► the sentence, list, steps or table row around it, as a range of the same passage

Takes   a passage's text and a span in it; for decoding, the passages and the vocabulary as bytes.
Gives   ranges of the passage (so a quotation is exact by construction), and the tokens that may come next.
Limits  prose: two sentences and 300 characters; a list, steps or a table row: whole, 1,200 characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.units import HEADING, LIST, ROW, TEXT, Block, Item, blocks, entries, items, sentences, strip

PROSE_LIMIT = 300  # characters of at most two sentences
WHOLE_LIMIT = 1200  # characters of a list, steps or a table row
_BRIEF = 5  # words; a sentence of fewer ("No.", "On your last day.") is quoted with the one after it
_INTRODUCES = re.compile(r"(?::|\b(?:following|below|these|as follows)\b[^.!?]*[.:]?)$", re.IGNORECASE)
_STEP = re.compile(r"\s*(\d{1,3})[.)]\s")
_CLAUSE = re.compile(r"[;:,)–—]\s")


class Quotation(NamedTuple):
    """A stretch to quote: `passages[passage].text[start:end]`."""

    passage: int
    start: int
    end: int
    score: float


def expand(text: str, start: int, end: int, *, whole: bool = False) -> tuple[int, int]:
    """The stretch to quote around `text[start:end]`: never empty where the text has words.

    `whole` asks for the complete list or steps with the line that introduces them. A span in a heading stands for the
    words under it.
    """
    start, end = strip(text, max(0, min(start, len(text))), max(0, min(end, len(text))))
    found = blocks(text)
    if not found:
        return start, end
    at = _block_of(found, start, end)
    if found[at].kind == HEADING and at + 1 < len(found) and found[at + 1].kind != HEADING:
        at += 1
        start, end = found[at].start, found[at].start + 1
    block = found[at]
    start, end = max(start, block.start), max(min(end, block.end), max(start, block.start))
    if block.kind == TEXT and at + 1 < len(found) and found[at + 1].kind == LIST:
        lead = sentences(text, block.start, block.end)[-1]
        if end > lead[0] and introduces(text[lead[0] : lead[1]]):
            return _whole_list(text, found, at + 1, (start, end))
    if block.kind == LIST:
        return _from_list(text, found, at, (start, end), whole=whole)
    if block.kind == ROW:
        return clip(text, (block.start, block.end), (start, end), WHOLE_LIMIT)
    return _prose(text, (block.start, block.end), (start, end))


def candidates(text: str) -> list[tuple[int, int]]:
    """Everything in the text that could be quoted for itself: sentences, list entries, table rows."""
    found: list[tuple[int, int]] = []
    for block in blocks(text):
        if block.kind == TEXT:
            found += sentences(text, block.start, block.end)
        elif block.kind == LIST:
            found += [part for row in entries(text, block) for part in sentences(text, row.body, row.end)]
        elif block.kind == ROW:
            found.append((block.start, block.end))
    return found


def brief(sentence: str) -> bool:
    """Is it too short to be understood alone?"""
    return len(sentence.split()) < _BRIEF


def introduces(sentence: str) -> bool:
    """Does this line announce a list: "You need:", "Follow these steps."?"""
    return bool(_INTRODUCES.search(sentence.rstrip()))


def _block_of(found: list[Block], start: int, end: int) -> int:
    """The block that shares most with the span; for a span between blocks, the next one."""
    shared = [min(end, block.end) - max(start, block.start) for block in found]
    best = max(range(len(found)), key=shared.__getitem__)
    if shared[best] > 0:
        return best
    return next((at for at, block in enumerate(found) if block.end > start), len(found) - 1)


def lead_in(text: str, found: list[Block], at: int) -> int:
    """Where the list at `at` begins together with the sentence that introduces it, if one does."""
    if at > 0 and found[at - 1].kind == TEXT:
        before = sentences(text, found[at - 1].start, found[at - 1].end)[-1]
        if introduces(text[before[0] : before[1]]):
            return before[0]
    return found[at].start


def _whole_list(text: str, found: list[Block], at: int, span: tuple[int, int]) -> tuple[int, int]:
    """The list with its lead-in; where that is too long, as many whole entries as fit and hold the span."""
    first, last = run(text, found, at)
    start = lead_in(text, found, first)
    if found[last].end - start <= WHOLE_LIMIT:
        return start, found[last].end
    block = found[at]
    start = lead_in(text, found, at)
    if block.end - start <= WHOLE_LIMIT:
        return start, block.end
    rows = items(text, block)
    inside = [n for n, row in enumerate(rows) if row.end > span[0] and row.start < span[1]] or [0]
    if rows[inside[-1]].end - start <= WHOLE_LIMIT:
        last = max(n for n in range(inside[-1], len(rows)) if rows[n].end - start <= WHOLE_LIMIT)
        return start, rows[last].end
    return _run(text, rows, inside, span)


def run(text: str, found: list[Block], at: int) -> tuple[int, int]:
    """The first and the last block of the steps at `at`: numbers that go on after a paragraph are one list."""
    first = last = at
    while (after := _next_list(found, last, 1)) is not None and _goes_on(text, found[last], found[after]):
        last = after
    while (before := _next_list(found, first, -1)) is not None and _goes_on(text, found[before], found[first]):
        first = before
    return first, last


def _next_list(found: list[Block], at: int, step: int) -> int | None:
    """The list beside the one at `at`, with at most one paragraph between."""
    for place in (at + step, at + 2 * step):
        if not 0 <= place < len(found) or found[place].kind not in (TEXT, LIST):
            return None
        if found[place].kind == LIST:
            return place
    return None


def _goes_on(text: str, one: Block, other: Block) -> bool:
    """Is the number of the other list's first step the one after this list's last?"""
    numbers = [_STEP.match(text[item.start : item.end]) for item in (items(text, one)[-1], items(text, other)[0])]
    last, first = (int(number.group(1)) if number else 0 for number in numbers)
    return 0 < last == first - 1


def _run(text: str, rows: list[Item], inside: list[int], span: tuple[int, int]) -> tuple[int, int]:
    """The entries that hold the span and as many after and before them as fit."""
    first, last = inside[0], inside[-1]
    if rows[last].end - rows[first].start > WHOLE_LIMIT:
        return clip(text, (rows[first].start, rows[last].end), span, WHOLE_LIMIT)
    while last + 1 < len(rows) and rows[last + 1].end - rows[first].start <= WHOLE_LIMIT:
        last += 1
    while first > 0 and rows[last].end - rows[first - 1].start <= WHOLE_LIMIT:
        first -= 1
    return rows[first].start, rows[last].end


def _from_list(text: str, found: list[Block], at: int, span: tuple[int, int], *, whole: bool) -> tuple[int, int]:
    rows = entries(text, found[at])
    inside = [n for n, row in enumerate(rows) if row.end > span[0] and row.start < span[1]] or [0]
    if whole or len(inside) > 1:
        return _whole_list(text, found, at, span)
    row = rows[inside[0]]
    parent = next((top for top in items(text, found[at]) if top.start == row.start), row)
    if parent.end > row.end and introduces(text[row.start : row.end]) and parent.end - row.start <= WHOLE_LIMIT:
        return row.start, parent.end  # "Allowed:" with what is nested under it
    whole_list = lead_in(text, found, at), found[at].end
    if brief(text[row.body : row.end]) and whole_list[1] - whole_list[0] <= PROSE_LIMIT:
        return whole_list  # "GitHub" alone says nothing
    return _prose(text, (row.body, row.end), (max(span[0], row.body), max(span[1], row.body)))


def _prose(text: str, block: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """The sentence that holds the span, two where it crosses or where the first is brief."""
    found = sentences(text, *block)
    if not found:
        return strip(text, *span)
    inside = [n for n, (left, right) in enumerate(found) if right > span[0] and left < max(span[1], span[0] + 1)]
    first = inside[0] if inside else 0
    last = min(inside[-1], first + 1) if inside else 0
    alone = first == last and brief(text[found[first][0] : found[first][1]])
    if alone and last + 1 < len(found) and found[last + 1][1] - found[first][0] <= PROSE_LIMIT:
        last += 1
    start, end = found[first][0], found[last][1]
    if end - start > PROSE_LIMIT and last > first and found[first][1] - start <= PROSE_LIMIT:
        end = found[first][1]
    return clip(text, (start, end), span, PROSE_LIMIT)


def clip(text: str, unit: tuple[int, int], span: tuple[int, int], limit: int) -> tuple[int, int]:
    """At most `limit` characters of a unit that keep the span (or its beginning), cut at a clause or between words."""
    start, end = unit
    if end - start <= limit:
        return start, end
    left, right = max(start, min(span[0], end - 1)), min(end, max(span[1], span[0] + 1))
    if right - start > limit:  # the beginning cannot stay: keep some words before the span
        room = max(0, limit - (right - left)) // 2
        start = max(start, left - room)
        if start < left and start > unit[0] and not text[start - 1].isspace():
            gap = re.compile(r"\s").search(text, start, left)
            start = gap.end() if gap else left
    if end - start > limit:
        stop = start + limit
        floor = min(max(right, start + 1), stop)
        clauses = [cut.start() for cut in _CLAUSE.finditer(text, floor, stop)]
        spaces = [cut.start() for cut in re.compile(r"\s").finditer(text, floor, stop + 1)]
        end = clauses[-1] if clauses else spaces[-1] if spaces and spaces[-1] <= stop else stop
    return strip(text, start, end)


class Place(NamedTuple):
    """Somewhere in the sources, in bytes: what was said so far is `sources[source][start:at]`."""

    source: int
    start: int
    at: int


class Quoting:
    """Which tokens may come next, so that everything said stands in one source byte for byte.

    One text has many tokenisations and a token may begin inside a character, so this walks bytes, not tokens.
    """

    def __init__(self, sources: Sequence[str], vocabulary: Sequence[bytes]) -> None:
        self._texts = tuple(sources)
        self._sources = tuple(source.encode("utf-8", "surrogatepass") for source in sources)
        self._tokens: dict[bytes, list[int]] = {}
        for token, piece in enumerate(vocabulary):
            if piece:  # control tokens have no bytes and are never part of a quotation
                self._tokens.setdefault(piece, []).append(token)
        self._vocabulary = tuple(vocabulary)
        self._longest = max(map(len, self._tokens), default=0)
        self._places = [
            Place(n, at, at)
            for n, source in enumerate(self._sources)
            for at in range(len(source))
            if not _inside_character(source, at)
        ]
        self._said = False

    def allow(self) -> frozenset[int]:
        """The tokens that keep what is said a stretch of a source."""
        found: set[int] = set()
        for place in self._places:
            source = self._sources[place.source]
            for stop in range(place.at + 1, min(place.at + self._longest, len(source)) + 1):
                found.update(self._tokens.get(source[place.at : stop], ()))
        return frozenset(found)

    def say(self, token: int) -> None:
        """Take note of the token that was chosen. Raises ValueError where it leaves the sources."""
        piece = self._vocabulary[token]
        kept = [
            place._replace(at=place.at + len(piece))
            for place in self._places
            if piece and self._sources[place.source].startswith(piece, place.at)
        ]
        if not kept:
            raise ValueError(f"token {token} ({piece!r}) leaves the passages; choose one of allow()")
        self._places, self._said = kept, True

    def range(self) -> tuple[int, int, int] | None:
        """What was said, as (source, start, end) in characters; None inside a character or before the first token."""
        for place in self._places if self._said else ():
            source = self._sources[place.source]
            if not _inside_character(source, place.at):
                start = len(source[: place.start].decode("utf-8", "surrogatepass"))
                return place.source, start, start + len(source[place.start : place.at].decode("utf-8", "surrogatepass"))
        return None


def _inside_character(source: bytes, at: int) -> bool:
    return at < len(source) and source[at] & 0xC0 == 0x80
