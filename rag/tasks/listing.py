"""A list or a procedure that stands in the documents, whole.

    words ─► sections that speak of them ─► lists, steps and tables in these ─► the likeliest, whole, with its place

Takes   what is to be listed ("countries that teammates may not work from") or done ("add a DNS record").
Gives   the entries in their order, as they stand. Lists that fit as well in other documents
        follow.
None    where no list is about that: the ordinary answer may still know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rag.tasks import outline
from rag.tasks.desk import Desk
from rag.tasks.outline import Run, Section
from rag.tasks.sheet import Sheet, name
from rag.tasks.task import Made, Task
from rag.types import Document, Hit, Passage

READ = 6  # candidates that the reader judges
_LOOKED_AT = 14  # documents in which lists are looked for
_LEAST = 0.5  # share of the words that a list, its heading and its document must hold
_BESIDE = 0.85  # of the best score: a list in another document is shown too
_SHOWN = 3  # lists
_PROCEDURE = re.compile(r"\b(?:steps?|process|procedure|how to|follow|instructions|workflow|guide)\b", re.IGNORECASE)
_CONTEXT = 700  # characters of a candidate that the reader sees


@dataclass(frozen=True, slots=True)
class Candidate:
    """A list with its document, and how much of what was asked stands around it."""

    document: Document
    run: Run
    share: float
    steps: bool = False
    heads: tuple[Section, ...] = ()  # of steps that are headings
    near: float = 0.0  # of the search, 0..1


def listing(task: Task, desk: Desk) -> Made | None:
    """The lists that hold what `task.subject` names."""
    wanted = desk.stems(task.subject)
    found = [one for one in _candidates(desk, wanted, task.subject) if one.share >= _LEAST]
    if not found:
        return None
    ranked = _judged(desk, found, f"What are {task.subject}?")
    best = ranked[0][0]
    kept: list[tuple[float, Candidate]] = []
    for score, one in ranked:
        known = any(other.document.id == one.document.id for _, other in kept)
        if score >= _BESIDE * best and not known and one.share >= ranked[0][1].share and len(kept) < _SHOWN:
            kept.append((score, one))
    sheet = Sheet(desk)
    for _, one in kept:
        sheet.say(f"{name(one.document)}{_where(one.run.section)}:")
        sheet.items(one.document, list(one.run.entries), ordered=one.run.kind == "steps", score=one.share)
    others = _mentioning(desk, task.subject, {one.document.id for _, one in kept})
    if others:
        sheet.notices.append(others)
    return sheet.made(kept[0][1].share)


def steps(task: Task, desk: Desk) -> Made | None:
    """The steps of one procedure, whole; the notice names other documents that have one as likely."""
    wanted = desk.stems(task.subject)
    found = [one for one in _candidates(desk, wanted, task.subject) if one.share >= _LEAST and len(one.run.entries) > 1]
    if not found:
        return None
    ranked = _judged(desk, found, f"How do I {task.subject}?", ordered=True)
    best, chosen = ranked[0]
    sheet = Sheet(desk)
    sheet.say(f"{name(chosen.document)}{_where(chosen.run.section)}:")
    if chosen.heads:
        for number, head in enumerate(chosen.heads, start=1):
            line = chosen.document.text.find("\n", head.at)
            said = outline._STEP.sub("", head.heading)
            at = sheet.cite(
                chosen.document, head.at, line if line >= 0 else len(chosen.document.text), score=chosen.share
            )
            sheet.say(f"{number}. {said} [{at}]")
    else:
        sheet.items(chosen.document, list(chosen.run.entries), ordered=True, score=chosen.share)
    others = [one for score, one in ranked[1:] if score >= _BESIDE * best and one.document.id != chosen.document.id]
    names = list(dict.fromkeys(one.document.name for one in others))[:_SHOWN]
    if names:
        sheet.notices.append(f"Steps that fit nearly as well stand in {', '.join(names)}.")
    return sheet.made(chosen.share)


def _candidates(desk: Desk, wanted: frozenset[str], subject: str) -> Iterable[Candidate]:
    """Lists of the documents that the search found, or whose passages hold all the words."""
    near: dict[int, float] = {}
    for hit in desk.found:
        near.setdefault(hit.passage.document_id, hit.score)
    numbers = list(near)[:_LOOKED_AT]
    numbers += [number for number in desk.with_words(subject)[:_LOOKED_AT] if number not in near]
    numbers += [one.document.id for one in desk.named(subject, most=2) if one.document.id not in numbers]
    passages: dict[int, list[Hit]] = {}
    for hit in desk.found:
        passages.setdefault(hit.passage.document_id, []).append(hit)
    for number in numbers:
        document = desk.document(number)
        found = outline.sections(document.text)
        title = f"{document.title} {document.name.rpartition('/')[2]}"
        for section in found:
            closeness = max(
                (hit.score for hit in passages.get(number, ()) if hit.start < section.end and hit.end > section.start),
                default=0.0,
            )
            for run in outline.runs(document.text, section):
                if len(run.entries) == 1:
                    continue  # one entry is no list
                share = _share(desk, wanted, run, document.text, title)
                yield Candidate(document, run, share, run.kind == "steps", (), closeness)
        for parent, heads in outline.numbered(found):
            run = Run("steps", (parent.start, parent.start), tuple((head.at, head.end) for head in heads), parent)
            share = desk.share(wanted, f"{title} {' '.join(parent.path)}")
            yield Candidate(document, run, share, True, tuple(heads), near.get(number, 0.0))


def _share(desk: Desk, wanted: frozenset[str], run: Run, text: str, title: str) -> float:
    """How much of what was asked stands right around the list; what only its document is called counts less."""
    close = desk.stems(f"{text[run.lead[0] : run.lead[1]]} {run.section.heading}")
    if run.kind == "rows":
        close |= desk.stems(" ".join(key for row in outline.rows(text, run)[:1] for key, _ in row.cells[:1]))
    far = desk.stems(f"{title} {' '.join(run.section.path)}") - close
    inside = desk.stems(text[run.entries[0][0] : run.entries[-1][1]]) - close - far
    if not wanted:
        return 0.0
    return (len(wanted & close) + 0.75 * len(wanted & far) + 0.35 * len(wanted & inside)) / len(wanted)


def _judged(
    desk: Desk, found: Sequence[Candidate], question: str, *, ordered: bool = False
) -> list[tuple[float, Candidate]]:
    """The candidates by the words around them, the search and the reader's evidence, the best first."""

    def plain(one: Candidate) -> float:
        leads = bool(_PROCEDURE.search(f"{one.run.section.heading} {one.document.text[slice(*one.run.lead)]}"))
        procedure = 0.3 * one.steps + 0.15 * leads if ordered else 0.0
        return one.share + 0.3 * one.near + procedure + 0.1 * (len(one.run.entries) > 2)

    best = sorted(found, key=plain, reverse=True)[:READ]
    evidence = desk.evidence(question, [_passage(desk, one) for one in best])
    ranked = [(plain(one) + 0.5 * judged, one) for one, judged in zip(best, evidence, strict=True)]
    return sorted(ranked, key=lambda row: -row[0])


def _passage(desk: Desk, one: Candidate) -> Passage:
    """The list as the reader sees it: with what introduces it, under its headings."""
    start = min(one.run.lead[0], one.run.entries[0][0])
    found = desk.window(one.document, start, min(one.run.entries[-1][1], start + _CONTEXT))
    path = one.run.section.path or (one.document.title,)
    return Passage(
        found.id, found.document_id, found.document, found.version, found.start, found.end, found.text, found.page, path
    )


def _where(section: Section) -> str:
    return f", {section.heading}" if section.heading else ""


def _mentioning(desk: Desk, subject: str, shown: set[int]) -> str:
    """How many other documents mention what was listed: the list may not be the only place."""
    others = [number for number in desk.with_words(subject) if number not in shown] if len(subject.split()) <= 3 else []
    count = sum(bool(desk.mentions(subject, desk.document(number).text)) for number in others)
    if not count:
        return ""
    mention = "document mentions" if count == 1 else "documents mention"
    return f"{count} other {mention} “{subject}”; “Which documents mention {subject}?” lists them."
