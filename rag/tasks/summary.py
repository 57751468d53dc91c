"""A document in few sentences, all of them its own, from its beginning to its end.

    name ─► document (or section) ─► outline ─► sentences to each part in turn ─► in the document's order, with headings

Takes   the name of a document or a heading in one; how many sentences, where that was asked.
Gives   headings of the outline and under each the sentences that hold most of what the document speaks of.
None    where no document, heading or topic is meant.
Source  sentences by the words they share with the whole: Nenkova & Vanderwende, SumBasic, MSR-TR-2005-101.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rag.tasks.desk import Desk
from rag.tasks.outline import Section, sections, units
from rag.tasks.sheet import Sheet, name
from rag.tasks.task import Made, Task
from rag.types import Document
from rag.units import TEXT

SENTENCES = 14  # of a summary, unless asked otherwise
LENGTH = 330  # words of a summary
_SHORT, _LONG = 5, 45  # words of a sentence that can be said alone
_LOOKED_AT = 400_000  # characters of a document
_DUTY = re.compile(r"\b(?:must|may|can|cannot|never|always|required|only|at least|at most|within|up to|not)\b", re.I)
_DULL = re.compile(
    r"^(?:see|click|read|learn more|here|note|for example|e\.g\.|looking for|on this page"
    r"|if you have (?:any )?questions)\b|(?:[:?]|\bhere)\W*$|^\W*https?:|\bsee (?:below|above)\b"
    r"|\bthis (?:page|document|guide) (?:outlines|describes|covers|defines)\b|^this is an overview\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, entry or row that could stand in the summary."""

    start: int
    end: int
    section: int  # its number in the outline
    stems: frozenset[str]
    words: int
    bonus: float  # of place and form


def dull(said: str) -> bool:
    """Does this sentence only point elsewhere, or announce what follows?"""
    return bool(_DULL.search(said))


def summarise(task: Task, desk: Desk) -> Made | None:
    """The summary of what `task.subject` names."""
    meant = desk.named(task.subject)
    if meant:
        document = desk.document(meant[0].document.id)
        found = sections(document.text[:_LOOKED_AT])
        title = name(document)
        others = [one.document.name for one in meant[1:] if one.likeness >= meant[0].likeness - 0.05]
        likeness = meant[0].likeness
    else:
        headed = _headed(desk, task.subject)
        if headed is None:
            return None
        document, found, others, likeness = headed
        title = f"{name(document)}, {found[0].heading}"
    sheet = Sheet(desk)
    chosen = _chosen(desk, document, found, task.most or SENTENCES)
    sheet.say(f"{title}:" if task.most else f"Summary of {title}, in its own sentences:")
    for number, group in groupby(chosen, key=lambda one: one.section):
        if found[number].heading and len(found) > 1 and not task.most:
            sheet.say(found[number].heading)
        for one in group:
            sheet.quote(document, one.start, one.end, score=likeness)
    if others:
        sheet.notices.append(f"Also called so: {', '.join(others[:3])}.")
    return sheet.made(likeness)


def _headed(desk: Desk, subject: str) -> tuple[Document, list[Section], list[str], float] | None:
    """The section whose heading names the subject and what stands under it, in the documents found for the question."""
    wanted = desk.stems(subject)
    best: tuple[float, Document, list[Section]] | None = None
    for number in dict.fromkeys(hit.passage.document_id for hit in desk.found):
        document = desk.document(number)
        found = sections(document.text[:_LOOKED_AT])
        for at, section in enumerate(found):
            own = desk.stems(section.heading)
            if not own or not wanted:
                continue
            like = len(own & wanted) / len(wanted | own)
            if like >= 0.6 and (best is None or like > best[0]):
                end = next((n for n in range(at + 1, len(found)) if found[n].level <= section.level), len(found))
                best = like, document, found[at:end]
    return (best[1], best[2], [], best[0]) if best else None


def _chosen(desk: Desk, document: Document, found: Sequence[Section], most: int) -> list[Sentence]:
    """The sentences of the summary in the document's order."""
    every = [one for number, section in enumerate(found) for one in _sentences(desk, document.text, section, number)]
    weights = _weights(every)
    groups = _groups(found, every, most)
    kept: list[Sentence] = []
    said: Counter[str] = Counter()
    words, turn = 0, 0
    while groups and len(kept) < most and words < LENGTH:
        rest = [group for group in groups if len(group) > turn or group]
        if not rest:
            break
        for group in rest:
            left = [one for one in group if one not in kept and (words + one.words <= LENGTH or not kept)]
            if left and len(kept) < most:
                best = max(left, key=lambda one: _worth(one, weights, said))
                kept.append(best)
                said.update(best.stems)
                words += best.words
        if not any(one not in kept and words + one.words <= LENGTH for group in groups for one in group):
            break
        turn += 1
    return sorted(kept, key=lambda one: one.start)


def _sentences(desk: Desk, text: str, section: Section, number: int) -> list[Sentence]:
    """Everything in a section that can stand alone."""
    found: list[Sentence] = []
    for kind, start, end in units(text, section):
        said = text[start:end]
        words = len(said.split())
        least = _SHORT if kind == TEXT else 3
        if not least <= words <= _LONG or dull(said) or not any(c.isalpha() for c in said):
            continue
        first = 0.3 if start == section.start else 0.0
        figures = 0.12 if any(c.isdigit() for c in said) else 0.0
        duty = 0.1 if _DUTY.search(said) else 0.0
        form = 0.0 if kind == TEXT else -0.15
        found.append(Sentence(start, end, number, desk.stems(said), words, first + figures + duty + form))
    return found


def _weights(every: Sequence[Sentence]) -> dict[str, float]:
    """How much the document speaks of each word: the share of its sentences that hold it."""
    counts = Counter(stem for one in every for stem in one.stems)
    return {stem: count / max(1, len(every)) for stem, count in counts.items()}


def _worth(one: Sentence, weights: dict[str, float], said: Counter[str]) -> float:
    """What a sentence adds: the weight of its words, less where they were said already."""
    if not one.stems:
        return one.bonus
    total = sum(weights.get(stem, 0.0) / (1 + said[stem]) for stem in one.stems)
    return float(total / len(one.stems) ** 0.7 + one.bonus)


def _groups(found: Sequence[Section], every: Sequence[Sentence], most: int) -> list[list[Sentence]]:
    """Sentences by part of the outline: its sections, or so many neighbours together that each part has its turn."""
    by_section = [list(group) for _, group in groupby(every, key=lambda one: one.section)]
    if len(by_section) <= most:
        return by_section
    for level in sorted({section.level for section in found}, reverse=True):
        heads = [number for number, section in enumerate(found) if section.level < level]
        if 2 < len(heads) <= most:
            return [
                group
                for first, last in zip(heads, [*heads[1:], len(found)], strict=True)
                if (group := [one for one in every if first <= one.section < last])
            ]
    size = -(-len(by_section) // most)
    return [[one for group in by_section[at : at + size] for one in group] for at in range(0, len(by_section), size)]
