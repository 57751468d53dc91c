"""Two things side by side: what the documents say of each, the same aspects beside one another.

    A, B ─┬─► columns or rows of one table ────────────► column by column
          └─► sentences about A, sentences about B ────► pairs of like meaning, then what is said of one only

Takes   two documents, sections or terms, and perhaps in which respect.
Gives   for each aspect a heading and a line for each side, every one quoted. Where the documents say nothing of a side,
        that is said.
None    where they say nothing of either.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.tasks.desk import Desk
from rag.tasks.outline import Section, sections, units
from rag.tasks.sheet import Sheet, name
from rag.tasks.summary import dull
from rag.tasks.tabled import Beside, beside
from rag.tasks.task import Made, Task
from rag.types import Document
from rag.units import ROW

_EACH = 26  # sentences of each side that are compared by meaning
_DOCUMENTS = 6  # of each side that are looked at
_ALIKE = 0.42  # least cosine of two sentences about the same aspect
_PAIRS = 6  # aspects shown side by side
_ALONE = 3  # sentences shown that have no counterpart, of each side
_WORDS = 60  # of a sentence
_IS_CALLED = 0.8  # least likeness of a document's name: the whole of it is about that side


@dataclass(frozen=True, slots=True)
class Said:
    """What one document says of one side."""

    document: Document
    start: int
    end: int
    heading: str
    worth: float

    @property
    def words(self) -> str:
        """Its words."""
        return self.document.text[self.start : self.end]


def compare(task: Task, desk: Desk) -> Made | None:
    """The two sides of the task."""
    sheet = Sheet(desk)
    tables = beside(desk, task)
    for table in tables:
        _tell_table(sheet, table, task)
    if tables:
        _tell_both(sheet, task, desk, tables[0].document)
    else:
        _tell_sentences(sheet, task, desk)
    return sheet.made(1.0 if tables else 0.8)


def _tell_table(sheet: Sheet, table: Beside, task: Task) -> None:
    """Column by column, the two cells under the name of the column."""
    sheet.say(f"{name(table.document)}{', ' + table.heading if table.heading else ''}:")
    for aspect in table.aspects:
        sheet.say(aspect.name)
        sheet.quote(table.document, *aspect.first, label=task.subject, shown=aspect.one)
        sheet.quote(table.document, *aspect.second, label=task.other, shown=aspect.two)


def _tell_both(sheet: Sheet, task: Task, desk: Desk, document: Document) -> None:
    """What the table's document says of both in one sentence."""
    text = document.text
    said = [
        (start, end)
        for section in sections(text)
        for kind, start, end in units(text, section)
        if kind != ROW and len(text[start:end].split()) <= _WORDS
    ]
    both = [one for one in said if all(desk.mentions(side, text[slice(*one)]) for side in (task.subject, task.other))]
    if both:
        sheet.say("Said of both")
        for start, end in both[:_ALONE]:
            sheet.quote(document, start, end)


def _tell_sentences(sheet: Sheet, task: Task, desk: Desk) -> None:
    """Pairs of sentences about the same, then what is said of one side only."""
    first = _side(desk, task.subject, task.other, task.about)
    second = _side(desk, task.other, task.subject, task.about)
    for words, side in ((task.subject, first), (task.other, second)):
        if not side:
            sheet.say(f"The documents say nothing of “{words}”.")
    pairs = _pairs(desk, first, second, (task.subject, task.other))
    for one, two in pairs:
        sheet.say(_aspect(desk, one, two, task))
        for words, said in ((task.subject, one), (task.other, two)):
            sheet.quote(said.document, said.start, said.end, label=words)
    told = {id(said) for pair in pairs for said in pair}
    for words, side in ((task.subject, first), (task.other, second)):
        left = sorted((one for one in side if id(one) not in told), key=lambda one: -one.worth)[:_ALONE]
        if left:
            sheet.say(f"Said of {words}" + (" only" if pairs else ""))
            for one in sorted(left, key=lambda one: (one.document.name, one.start)):
                sheet.quote(one.document, one.start, one.end)


def _side(desk: Desk, words: str, other: str, about: str) -> list[Said]:
    """The sentences that speak of one side and not of the other, those that say most first."""
    numbers, whole = _where(desk, words, other, about)
    respect, mine, others = desk.stems(about), desk.stems(words), desk.stems(other)
    found: list[Said] = []
    for order, number in enumerate(numbers):
        document = desk.document(number)
        at, theirs = desk.mentions(words, document.text), desk.mentions(other, document.text)
        for section in sections(document.text):
            headed = _is_about(desk, section, mine, others)
            about_other = _is_about(desk, section, others, mine)
            for _, start, end in units(document.text, section):
                said = document.text[start:end]
                named = any(start <= place < end for place, _ in at)
                both = any(start <= place < end for place, _ in theirs)
                if number not in whole and (not (named or headed) or about_other or (both and not headed)):
                    continue
                if not 4 <= len(said.split()) <= _WORDS or said.rstrip().endswith("?"):
                    continue
                worth = (0.3 if number in whole else 1.0) * named + 0.6 * headed + 0.35 * any(c.isdigit() for c in said)
                worth += 0.25 * (start == section.start) - 0.15 * order - 0.6 * dull(said.rstrip(" :"))
                worth += 1.2 * desk.share(respect, f"{said} {document.title} {' '.join(section.path)}")
                found.append(Said(document, start, end, section.heading, worth))
    return sorted(found, key=lambda one: -one.worth)[:_EACH]


def _where(desk: Desk, words: str, other: str, about: str) -> tuple[list[int], set[int]]:
    """Ids of the documents in which a side is looked for, and of those that are about nothing else.

    Both sides are documents or neither is: what one page says of two terms stands in that page for both.
    """
    meant, theirs = desk.named(words, most=1), desk.named(other, most=1)
    called = min((one[0].likeness if one else 0.0 for one in (meant, theirs)), default=0.0)
    if called >= _IS_CALLED and meant[0].document.id != theirs[0].document.id and not about:
        return [meant[0].document.id], {meant[0].document.id}
    rank = {hit.passage.document_id: n for n, hit in reversed(list(enumerate(desk.found)))}
    holding = sorted(desk.with_words(words), key=lambda one: (rank.get(one, len(rank)), one))
    apt = [one.document.id for one in desk.named(about, most=2) if one.document.id in holding]
    return list(dict.fromkeys([*apt, *holding]))[:_DOCUMENTS], set()


def _is_about(desk: Desk, section: Section, mine: frozenset[str], others: frozenset[str]) -> bool:
    """Does the heading of a section, or one above it, name this side and not the other?"""
    for heading in section.path[-2:]:
        own = desk.stems(heading)
        if mine <= own and not (others <= own and not others <= mine):
            return True
    return False


def _pairs(desk: Desk, first: list[Said], second: list[Said], names: tuple[str, str]) -> list[tuple[Said, Said]]:
    """Sentences of both sides about the same aspect, in the order of the first side's document."""
    if not first or not second:
        return []
    sides = [[_without(desk, one, name_) for one in side] for side, name_ in zip((first, second), names, strict=True)]
    vectors = desk.parts.embedder.embed([*sides[0], *sides[1]])
    likeness = vectors[: len(first)] @ vectors[len(first) :].T
    for a, one in enumerate(first):
        for b, two in enumerate(second):
            same_head = (
                one.heading
                and two.heading
                and desk.stems(one.heading) & desk.stems(two.heading) - desk.stems(" ".join(names))
            )
            likeness[a, b] += 0.15 * bool(same_head) + 0.12 * (one.worth + two.worth) - 0.12
            if one.words.split() == two.words.split():
                likeness[a, b] = -1.0  # what is the same is no difference
    pairs: list[tuple[Said, Said]] = []
    order = sorted(((float(likeness[a, b]), a, b) for a in range(len(first)) for b in range(len(second))), reverse=True)
    used: tuple[set[int], set[int]] = set(), set()
    for score, a, b in order:
        if score < _ALIKE or len(pairs) == _PAIRS:
            break
        if a not in used[0] and b not in used[1]:
            used[0].add(a)
            used[1].add(b)
            pairs.append((first[a], second[b]))
    return sorted(pairs, key=lambda pair: (pair[0].document.name, pair[0].start))


def _without(desk: Desk, said: Said, subject: str) -> str:
    """The heading and the sentence without the side's own name: what is left is the aspect."""
    words = said.words
    for start, end in reversed(desk.mentions(subject, words)):
        words = f"{words[:start]}it{words[end:]}"
    return f"{said.heading}: {words}" if said.heading else words


def _aspect(desk: Desk, one: Said, two: Said, task: Task) -> str:
    """What a pair is about: the heading both stand under, else that of the first."""
    names = desk.stems(f"{task.subject} {task.other}")
    headings = [said.heading for said in (one, two) if said.heading and not desk.stems(said.heading) <= names]
    return " / ".join(dict.fromkeys(headings)) or "Both"
