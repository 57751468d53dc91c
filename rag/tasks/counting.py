"""Which documents mention something, and how many: the whole catalogue, not the best few.

    words ─► passages that hold them all (no limit) ─► their documents ─► the words one after the other ─► a row each

Takes   what is looked for and which kind of document is meant ("policies" are those whose name or title says so).
Gives   honest numbers (of how many documents, how often in each) and a row with the exact words for each document.
Nothing found is a refusal that names how many documents were searched.
"""

from __future__ import annotations

import re

from rag import quote
from rag.tasks.desk import Desk
from rag.tasks.sheet import MOST, Sheet
from rag.tasks.task import Made, Task
from rag.types import Document
from rag.units import strip

_ANY = "document doc file page text source article handbook"  # these mean any document
_BEGINS = 3  # letters that words of one stem share: owned, owner; signed, signature; approved, approval
_AROUND = 900  # characters on each side of a mention in which its sentence is looked for

Found = tuple[Document, list[tuple[int, int]]]  # where a document mentions it


def count(task: Task, desk: Desk) -> Made | None:
    """The documents that mention `task.subject`, or all of them where nothing is named."""
    among = _of_kind(desk, task.unit)
    kind = "documents" if among is None else f"documents called {task.unit}"
    searched = list(desk.readable) if among is None else sorted(among)
    if task.about:
        return _called(desk, task, searched, kind)
    if not task.subject:
        return _all(desk, searched, f"{_number(len(searched), kind, plural=kind)}.")
    with_all, exact = _mentioning(desk, task.subject, set(searched), task.said)
    if task.without:
        left = sorted(set(searched) - {document.id for document, _ in exact})
        return _all(desk, left, f"{_of(len(left), searched, kind)} do not mention “{task.subject}”.")
    if task.other:
        return _both(desk, task, exact, searched, kind)
    if not exact:
        return _none(desk, task.subject, kind, searched)
    sheet = Sheet(desk)
    for document, places in exact:
        times = f" ({len(places)} times)" if len(places) > 1 else ""
        start, end = around(document, *places[0])
        sheet.quote(document, start, end, label=f"{document.name}{times}")
    total = sum(len(places) for _, places in exact)
    verb, what = ("mentions" if len(exact) == 1 else "mention"), f"“{task.subject}”"
    if task.said:
        what = f"“{task.said}” and {what} in one sentence"
    sheet.say_first(f"{_of(len(exact), searched, kind)} {verb} {what}, {_number(total, 'time')} in all.")
    if len(exact) > MOST:
        sheet.notices.append(f"The first {MOST} are quoted; name a collection or more words to see the others.")
    loose = len(with_all) - len(exact)
    if loose:
        sheet.notices.append(
            f"Not counted: {_number(loose, 'document')} with all of these words in one passage, but not together."
        )
    return sheet.made(1.0) or _none(desk, task.subject, kind, searched)


def _mentioning(desk: Desk, subject: str, among: set[int], said: str = "") -> tuple[list[int], list[Found]]:
    """Documents with all of these words in a passage; those with the words one after the other, and where.

    `said` must begin as a word of the same sentence does: "owned by the legal team" is what "Owner: legal team" says.
    """
    with_all = [number for number in desk.with_words(subject) if number in among]
    found = []
    for number in with_all:
        document = desk.document(number)
        places = desk.mentions(subject, document.text)
        if said:
            begins = re.compile(rf"\b{said[:_BEGINS]}", re.IGNORECASE)
            places = [place for place in places if begins.search(document.text, *around(document, *place))]
        found.append((document, places))
    exact = [row for row in found if row[1]]
    return with_all, sorted(exact, key=lambda row: (-len(row[1]), row[0].name))


def _both(desk: Desk, task: Task, first: list[Found], searched: list[int], kind: str) -> Made:
    """Documents that mention two things, with one place of each."""
    second = {one.id: places for one, places in _mentioning(desk, task.other, set(searched))[1]}
    sheet, count = Sheet(desk), 0
    for document, places in sorted(first, key=lambda row: row[0].name):
        if document.id in second:
            count += 1
            for place in (places[0], second[document.id][0]):
                sheet.quote(document, *around(document, *place), label=document.name)
    verb = "mentions" if count == 1 else "mention"
    sheet.say_first(f"{_of(count, searched, kind)} {verb} both “{task.subject}” and “{task.other}”.")
    if 2 * count > MOST:
        sheet.notices.append(f"The first {MOST // 2} are quoted; name a collection or more words to see the others.")
    one_only = f"{len(first)} mention “{task.subject}”, {len(second)} “{task.other}”"
    none = f"None of {_number(len(searched), kind, plural=kind)} mentions both: {one_only}."
    return sheet.made(1.0) or Made(reason=none)


def _called(desk: Desk, task: Task, searched: list[int], kind: str) -> Made | None:
    """Documents that belong to what is named, by their names, titles and folders; None where the names say nothing."""
    names = {
        number: desk.stems(f"{document.title} {document.name.replace('/', ' ')} {document.collection}")
        for number, document in desk.readable.items()
    }
    known = frozenset().union(*names.values())
    proper = " ".join(word for word in task.about.split() if word[:1].isupper())
    wanted = desk.stems(proper) & known
    if not wanted:
        return None
    found = [number for number in searched if wanted <= names[number]]
    return _all(desk, found, f"{_of(len(found), searched, kind)} are of {proper}.") if len(found) > 1 else None


def around(document: Document, start: int, end: int) -> tuple[int, int]:
    """What to quote of the place `start:end`: its sentence, list entry, row or heading."""
    text = document.text
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    opens, closes = text.rfind("\n\n", first, start), text.find("\n\n", end, last)
    first = opens + 2 if opens >= 0 else max(first, text.rfind("\n", first, start) + 1)
    last = closes if closes >= 0 else last
    line = text.rfind("\n", first, start) + 1 or first
    if text.startswith("#", max(first, line)):
        stop = text.find("\n", end)
        return strip(text, max(first, line), stop if stop >= 0 else len(text))
    left, right = quote.expand(text[first:last], start - first, end - first)
    return first + left, first + right


def _of_kind(desk: Desk, unit: str) -> set[int] | None:
    """Documents whose name or title says that they are what is counted; None for any document."""
    wanted = desk.stems(unit)
    special = wanted - desk.stems(_ANY)
    if not special:
        return None
    found = {
        number
        for number, document in desk.readable.items()
        if special <= desk.stems(f"{document.title} {document.name.replace('/', ' ')}")
    }
    return found or None  # nothing is called so: then everything is meant


def _all(desk: Desk, searched: list[int], head: str) -> Made:
    """Documents under a line of ours, each with its first line."""
    sheet = Sheet(desk)
    for number in sorted(searched, key=lambda one: desk.readable[one].name)[:MOST]:
        document = desk.document(number)
        end = document.text.find("\n")
        sheet.quote(document, *strip(document.text, 0, end if end > 0 else len(document.text)), label=document.name)
    sheet.say_first(head)
    if len(searched) > len(sheet.citations):
        sheet.notices.append(f"{len(sheet.citations)} are shown; `rag documents` and the Documents page list all.")
    return sheet.made(1.0) or Made(reason="There are no documents yet; add some and ask again.")


def _none(desk: Desk, subject: str, kind: str, searched: list[int]) -> Made:
    """That nothing mentions it, and what comes near: other documents that do, or such that hold its words apart."""
    numbers = desk.with_words(subject)
    exact = sum(bool(desk.mentions(subject, desk.document(number).text)) for number in numbers)
    told = f"None of {_number(len(searched), kind, plural=kind)} mentions “{subject}”."
    if exact:
        told += f" {_number(exact, 'other document')} {'does' if exact == 1 else 'do'}; ask for “documents”."
    elif numbers:
        apart = "other forms of it" if len(subject.split()) == 1 else "its words apart from one another"
        told += f" {_number(len(numbers), 'document')} {'has' if len(numbers) == 1 else 'have'} {apart}."
    return Made(reason=told)


def _of(count: int, searched: list[int], kind: str) -> str:
    return f"{_number(count, 'document')} of {len(searched):,}{kind.removeprefix('documents')}"


def _number(count: int, noun: str, *, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
