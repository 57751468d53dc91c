"""Do other documents say otherwise? Then both are shown, with their dates, instead of one being picked.

    what is quoted ─► its statement ─┐
    passages read ─► statements ─────┴─► same subject, other figure, date or polarity? ─► side by side

Takes   the question, the first quotation, all passages that were read, and the documents they stand in.
Gives   `Aside`: the words that name both sides, and one checked `Statement` a document, at most three; or None.
Same    subject: the content words agree, headings may tell what a sentence leaves out, and the other one covers as much
        of the question. A name, a place or a group that only one of them has makes it another subject.
Other   exactly one figure of the same unit, or a date of the same year, or one of the two denies.
Policy  a false alarm is worse than a miss: sentences with conditions, tables of figures, lists and former versions are
        not compared, and a document that says both itself does not disagree with another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from rag import cite, quote
from rag.dates import Dated, dated
from rag.question import stems, topic
from rag.spoken import NEGATION, VALUES, days, figures, plain
from rag.types import Citation, Passage, Statement
from rag.units import is_tabular
from rag.wording import tidy

MOST = 3  # documents shown side by side
UNITS = 3  # sentences of a quotation that are compared: a longer list is no statement
_SHORT = 4  # content words in common that name a subject even where the headings differ
_CONDITION = re.compile(
    r"\b(?:if|unless|except|only|depend\w*|otherwise|whichever|example|e\.g|until|till|since|between|about|around|"
    r"approximately|roughly|some|sometimes|another|additional|extra)\b",
    re.IGNORECASE,
)
_GENERIC = topic(
    "accrue receive earn entitled get have provide offer grant allow give given take cost is per each every year month "
    "week day hour policy please up maximum total must may can shall will employee staff people everyone all company "
    "currently now set made make limit amount"
)
_MONEY = "$€£¥"


class Aside(NamedTuple):
    """What is said where documents disagree, and the statements it rests on, the first answer's first."""

    words: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """One statement, taken apart."""

    passage: Passage
    start: int
    end: int
    words: frozenset[str]  # what it is about: content words without figures
    heads: frozenset[str]  # those of its headings and its document's title
    figures: dict[str, frozenset[str]]  # values by unit
    days: frozenset[tuple[int, int, int]]
    denied: int  # negations

    @property
    def text(self) -> str:
        return self.passage.text[self.start : self.end]

    @property
    def facts(self) -> tuple[object, ...]:
        return self.figures, self.days, self.denied


def side_by_side(
    question: str,
    first: Citation,
    read: Sequence[Passage],
    documents: cite.Documents,
    *,
    today: date | None = None,
) -> Aside | None:
    """What other documents say against the first citation; None where they agree or speak of other things."""
    mine = next((passage for passage in read if passage.id == first.passage), None)
    if mine is None or (found := _contrary(question, documents.widened(mine), first, read)) is None:
        return None
    statements: list[Statement] = []
    lines: list[str] = []
    for said in found[:MOST]:
        start, end = quote.expand(said.passage.text, said.start, said.end)
        cited = cite.citation(said.passage, start, end, first.score)
        if not cite.check(cited, documents.of(said.passage).text):
            continue
        when = dated(documents.of(said.passage), today or date.today())
        statements.append(Statement(cited, when.day, when.kind))
        lines.append(f"- {tidy(said.text)} ({cited.document}, {_told(when)}) [{len(statements)}]")
    if len(statements) < 2:
        return None
    return Aside("\n".join(["The documents disagree:", *lines]), tuple(statements))


def _told(when: Dated) -> str:
    """The date of a document in words: "dated 1 January 2023", "added 22 November 2026"."""
    year, *rest = (int(part) for part in when.day.split("-"))
    said = f"{rest[1]} {date(year, *rest):%B} {year}" if len(rest) == 2 else str(year)
    return f"{when.kind} {said}"


def _contrary(question: str, mine: Passage, first: Citation, read: Sequence[Passage]) -> list[_Said] | None:
    """The statement of the citation, then those of other documents that contradict it, one a document."""
    inside = [
        said
        for said in _statements([mine])
        if mine.start + said.start < first.end and mine.start + said.end > first.start
    ]
    if not 0 < len(inside) <= UNITS:
        return None
    wanted = topic(question)
    own = list(_statements(passage for passage in read if passage.document_id == mine.document_id))
    others = list(_statements(passage for passage in read if passage.document_id != mine.document_id))
    for one in inside:
        found: dict[int, _Said] = {}
        for other in others:
            if (
                other.passage.document_id not in found
                and _same_subject(one, other, wanted)
                and _differ(one, other)
                and not any(_same_subject(one, also, wanted) and also.facts == other.facts for also in own)
            ):
                found[other.passage.document_id] = other
        agreed = {other.passage.document_id for other in others if other.facts == one.facts and _alike(one, other)}
        found = {document: said for document, said in found.items() if document not in agreed}
        if found:
            return [one, *found.values()]
    return None


def _statements(passages: Iterable[Passage]) -> Iterable[_Said]:
    """What the passages state: sentences, entries of lists and rows; no conditions, questions or lines of figures."""
    for passage in passages:
        heads = _subject(" ".join(passage.headings))
        for start, end in quote.candidates(passage.text):
            words = passage.text[start:end]
            if words.endswith(("?", ":")) or is_tabular(words) or _CONDITION.search(words):
                continue
            text = plain(words)
            yield _Said(
                passage, start, end, _subject(text), heads, _by_unit(text),
                frozenset(days(text)), len(NEGATION.findall(text)),
            )  # fmt: skip


def _subject(text: str) -> frozenset[str]:
    """What it is about: content words that are neither numbers nor fit every rule of an office."""
    return frozenset(word for word in topic(text) if not word[0].isdigit() and word not in VALUES) - _GENERIC


def _by_unit(text: str) -> dict[str, frozenset[str]]:
    """Values by unit; a number without one goes by the word after it or before it."""
    units: dict[str, set[str]] = {}
    for value, unit in figures(text):
        units.setdefault(value, set()).add(unit)
    found: dict[str, set[str]] = {}
    for value, named in units.items():
        money = next((unit for unit in sorted(named) if unit and unit in _MONEY), "")  # "$100 monthly" is money
        found.setdefault(money or max(named) or _beside(text, value), set()).add(value)
    return {unit: frozenset(values) for unit, values in found.items()}


def _beside(text: str, value: str) -> str:
    """The content word after a bare number, or before it: its unit."""
    at = re.search(rf"(?<!\d){re.escape(value)}(?!\d)", text.replace(",", ""))
    if at is None:
        return ""
    bare = text.replace(",", "")
    after = re.match(r"\W*([^\W\d]+)", bare[at.end() :])
    before = re.search(r"([^\W\d]+)\W*$", bare[: at.start()])
    stem = stems(after.group(1)) if after else frozenset()
    return next(iter(stem or (stems(before.group(1)) if before else ())), "")


def _same_subject(one: _Said, other: _Said, wanted: frozenset[str]) -> bool:
    shared = one.words & other.words
    if len(shared) < 2:
        return False
    if (one.words - other.words) - other.heads or (other.words - one.words) - one.heads:
        return False
    if (wanted & (one.words | one.heads)) - other.words - other.heads:
        return False  # it covers less of what was asked
    apart = one.heads - other.heads - other.words, other.heads - one.heads - one.words
    return len(shared) >= _SHORT or not all(apart)


def _alike(one: _Said, other: _Said) -> bool:
    """Do they say the same in other words? Then that document does not disagree."""
    return len(one.words & other.words) >= 0.8 * max(1, min(len(one.words), len(other.words)))


def _differ(one: _Said, other: _Said) -> bool:
    """Do they contradict in exactly one thing: a figure, a date, or whether it is so?"""
    if _years(one) and _years(other) and _years(one) != _years(other):
        return False  # each speaks of its own time
    if one.days != other.days:
        both = bool(one.days) and bool(other.days)
        return both and _loose(one) == _loose(other) and one.denied == other.denied
    if one.figures.keys() != other.figures.keys():
        return False
    apart = [unit for unit in one.figures if one.figures[unit] != other.figures[unit]]
    if (one.denied == 0) != (other.denied == 0):
        return not apart and one.denied + other.denied == 1 and len(one.words & other.words) >= UNITS
    return len(apart) == 1 and not one.figures[apart[0]] & other.figures[apart[0]]


def _loose(said: _Said) -> Counter[str]:
    """Figures that are no part of a date."""
    dates = {str(part) for day in said.days for part in day}
    return Counter(f"{value} {unit}" for unit, values in said.figures.items() if unit for value in values - dates)


def _years(said: _Said) -> frozenset[str]:
    """The years a statement names."""
    return frozenset(re.findall(r"\b(?:19|20)\d\d\b", said.text))
