"""What a word means, in the words of the documents.

    term ─► everywhere it stands ─► glossary entry, "X is ...", "Y (X)", heading of that name ─► the reader judges

Takes   a term, in any document that may be read.
Gives   the best definition, others that say something else (from other documents or a second entry), each quoted. Where
        no document defines the term, its first mention, and that it is no more than that.
None    for a term that stands nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rag.tasks.counting import around
from rag.tasks.desk import Desk
from rag.tasks.outline import Section, parts, said, sections
from rag.tasks.sheet import Sheet, name
from rag.tasks.task import Made, Task
from rag.types import Document
from rag.units import LIST, ROW, Block, entries

READ = 8  # definitions that the reader judges
_DOCUMENTS = 60  # documents that mention the term and are looked through, those with most mentions first
_SHOWN = 3
_PLACES = 40  # mentions in one document that are looked at
_LEAST = 0.5  # of a pattern's weight: below, it is a mention and no definition
_LONGEST = 420  # characters of a definition
_AFTER = r"[*_\"”’)]*(?: \([^)]{2,40}\))?,? "  # what may stand between a term and its verb
_FORMS = (  # what follows the term, and how surely it defines
    (re.compile(r"[*_\"”’)]*\s*(?:[:–—-]|\.)[*_]*\s+\S"), 1.0),  # **Term.** what it is; only where an entry begins so
    (
        re.compile(
            rf"{_AFTER}(?:is|are) (?:when|where|short for|an?|the|our|one of|how|what|any|all|every)\b", re.IGNORECASE
        ),
        0.8,
    ),
    (
        re.compile(
            rf"{_AFTER}(?:means?|stands? for|refers? to|denotes?|describes?|is (?:called|defined as|known as))\b",
            re.IGNORECASE,
        ),
        0.95,
    ),
    (re.compile(rf"{_AFTER}(?:allows?|enables?|entitles?|lets?|is|are) ", re.IGNORECASE), 0.55),
)
_NAMED_SO = re.compile(
    r"\b(?:called|known as|named|referred to as|abbreviated(?: as)?|we call (?:it|this|them))"
    r"\s+(?:an? |the )?[\"“*_‘]*$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")


class Found(NamedTuple):
    """A definition: how sure the form makes it, and where it stands."""

    weight: float
    document: Document
    start: int
    end: int


def define(task: Task, desk: Desk) -> Made | None:
    """The definitions of `task.subject`."""
    term = task.subject
    numbers = desk.with_words(term)
    placed = [(desk.document(number), desk.mentions(term, desk.document(number).text)) for number in numbers]
    placed = sorted(((one, at) for one, at in placed if at), key=lambda row: -len(row[1]))
    if not placed:
        return None
    found = [one for document, at in placed[:_DOCUMENTS] for one in _definitions(desk, term, document, at)]
    sheet = Sheet(desk)
    chosen = _best(desk, term, found)
    if not chosen:
        return _mentioned(desk, term, placed, sheet)
    for one in chosen:
        sheet.quote(one.document, one.start, one.end, label=name(one.document), score=one.weight)
    if len(placed) > 1:
        sheet.notices.append(
            f"{len(placed)} documents mention “{term}”; “How many documents mention {term}?” lists them."
        )
    return sheet.made(chosen[0].weight)


def _mentioned(
    desk: Desk, term: str, placed: list[tuple[Document, list[tuple[int, int]]]], sheet: Sheet
) -> Made | None:
    """The first mention, said to be no more; None for an abbreviation, which a mention does not explain."""
    if term.isupper():
        return None
    wanted = desk.stems(term)
    document, at = max(placed, key=lambda row: (desk.share(wanted, row[0].title), len(row[1])))
    sheet.say(f"No document says what “{term}” means. Its first mention:")
    sheet.quote(document, *around(document, *at[0]), label=name(document), score=0.3)
    return sheet.made(0.3)


def _definitions(desk: Desk, term: str, document: Document, at: list[tuple[int, int]]) -> Iterator[Found]:
    """Every stretch of the document whose form says that it explains the term."""
    text = document.text
    glossary = (
        0.15 if desk.stems("glossary terminology definition") & desk.stems(f"{document.title} {document.name}") else 0.0
    )
    places = at[:_PLACES]
    for section in sections(text):
        inside = [place for place in places if section.at <= place[0] < max(section.end, section.start)]
        if not inside:
            continue
        if section.heading and _is_term(desk, term, section.heading) and section.end > section.start:
            start, end = _opening(text, section)
            yield Found(0.85 + glossary, document, start, end)
        for block in parts(text, section):
            here = [place for place in inside if block.start <= place[0] < block.end]
            for place in here:
                unit = _unit(text, block.kind, (block.start, block.end), place)
                weight = _weight(term, text, unit, place, row=block.kind == ROW)
                if weight:
                    yield Found(weight + glossary, document, unit[0], _enough(text, unit))


def _is_term(desk: Desk, term: str, heading: str) -> bool:
    """Is a heading nothing but the term, its abbreviation in brackets perhaps, or "What is ...?"?"""
    plain = re.sub(r"\([^)]*\)", "", heading)
    inside = " ".join(re.findall(r"\(([^)]*)\)", heading))
    return desk.stems(term) in (desk.stems(plain), desk.stems(inside))


def _opening(text: str, section: Section) -> tuple[int, int]:
    """The first sentences under a heading."""
    found = parts(text, section)
    first = found[0] if found else None
    if first is None:
        return section.start, section.end
    return first.start, _enough(text, (first.start, first.end))


def _unit(text: str, kind: str, block: tuple[int, int], place: tuple[int, int]) -> tuple[int, int]:
    """The list entry, row or rest of the paragraph from the sentence on that holds the place."""
    if kind == LIST:
        inner = text[block[0] : block[1]]
        found = entries(inner, Block(LIST, 0, len(inner)))
        row = next((one for one in reversed(found) if block[0] + one.start <= place[0]), found[0])
        body = block[0] + row.body, block[0] + row.end
        return _from_sentence(text, body, place)
    if kind == ROW:
        return block
    return _from_sentence(text, block, place)


def _from_sentence(text: str, block: tuple[int, int], place: tuple[int, int]) -> tuple[int, int]:
    start = next((left for left, right in said(text, *block) if left <= place[0] < right), block[0])
    return start, block[1]


def _enough(text: str, unit: tuple[int, int]) -> int:
    """The end of the sentences that fit into a definition, the first in any case."""
    found = said(text, *unit)
    end = found[0][1] if found else unit[1]
    for _, right in found[1:3]:
        if right - unit[0] > _LONGEST:
            break
        end = right
    return end


def _weight(term: str, text: str, unit: tuple[int, int], place: tuple[int, int], *, row: bool) -> float:
    """How surely this stretch defines the term; 0 where it only mentions it."""
    before, after = text[unit[0] : place[0]], text[place[1] : unit[1]]
    opens = not _WORD.findall(re.sub(r"^(?:the|an?|our)\b", "", before.strip(' *_"“‘[('), flags=re.I))
    if row:
        cell = before.rpartition(" | ")[2].partition(": ")[2] or before
        return 0.8 if not _WORD.findall(cell) and after.lstrip().startswith("|") and " | " not in before else 0.0
    if re.match(r"-[^\W_]", after) or before.endswith(("#", "@", "/", "_")):
        return 0.0  # "compiler-accurate" is another word, #incident a channel
    if opens:
        for number, (form, weight) in enumerate(_FORMS):
            if form.match(after) and (number or len(_WORD.findall(after)) > 3):
                return weight
    if _NAMED_SO.search(before):
        return 0.85
    bracket = before.rstrip().endswith("(") and after.lstrip().startswith(")")
    if bracket and term.isupper() and _expands(term, before):
        return 0.9
    behind = re.match(r"\s*\(([^)]{4,80})\)", after)
    if behind and term.isupper() and _expands(term, behind.group(1)):
        return 0.9
    for form, weight in _FORMS[1:3]:
        if form.match(after) and len(_WORD.findall(before)) <= 3:
            return weight - 0.15
    return 0.0


def _expands(term: str, before: str) -> bool:
    """Do the words before the bracket begin with the letters of the abbreviation?"""
    words = _WORD.findall(before)[-2 * len(term) :]
    letters = [word[0].lower() for word in words]
    at = 0
    for letter in letters:
        if at < len(term) and letter == term[at].lower():
            at += 1
    return at == len(term)


def _best(desk: Desk, term: str, found: list[Found]) -> list[Found]:
    """The definition that form and reader find surest, and at most two that say something else."""
    likely = sorted((one for one in found if one.weight >= _LEAST), key=lambda one: -one.weight)[:READ]
    passages = [desk.window(one.document, one.start, one.end) for one in likely]
    evidence = desk.evidence(f"What does {term} mean?", passages) if len(likely) > 1 else [0.0] * len(likely)
    ranked = sorted(zip(likely, evidence, strict=True), key=lambda row: -(row[0].weight + 0.4 * row[1]))
    chosen: list[Found] = []
    for one, _ in ranked:
        mine = desk.stems(one.document.text[one.start : one.end])
        repeats = any(
            len(mine & other) >= 0.6 * min(len(mine), len(other))
            for other in (desk.stems(kept.document.text[kept.start : kept.end]) for kept in chosen)
        )
        sure = not chosen or one.weight >= max(0.75, chosen[0].weight - 0.2)
        if not repeats and sure and len(chosen) < _SHOWN:
            chosen.append(one)
    return chosen
