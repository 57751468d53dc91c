"""What the questions of a period did with each document, and which documents show signs of age.

Takes   the catalogue, questions (the youngest first), today, and who looks.
Gives   a `Use` of every current document that this person may read, the most quoted first. Quoting a former version
        counts for the present one; judging it out of date does not: a newer version may have mended it.
Signs   people judged answers from it out of date, it names an end that has passed, it names no recent year, it has not
        changed here for a year. They are reasons to look, no verdict. The LOOKED_AT most quoted documents are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from weakref import WeakKeyDictionary

from rag.asked import Question, Version, day
from rag.catalogue import Catalogue
from rag.dates import Dates, dates
from rag.types import Document

LOOKED_AT = 300  # documents read for signs of age
UNCHANGED = 365  # days after which an unchanged document is worth a look
YEARS = 3  # so many years ago: a document that names no later one


@dataclass(frozen=True, slots=True)
class Sign:
    """A reason to look at a document; `start` and `end` are the place in its text that says so, both 0 without one."""

    words: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """A current document and what the questions of the period did with it."""

    document: str
    version: int
    title: str
    collection: str
    added_at: str
    passages: int
    read: int  # questions for which it was read
    cited: int  # questions answered with its words
    last_cited_at: str | None
    signs: tuple[Sign, ...] = ()  # of age; the heaviest first


def uses(
    catalogue: Catalogue, questions: Sequence[Question], today: date, *, person: str | None, collection: str | None
) -> tuple[Use, ...]:
    """Every current document that `person` may read, with its use and its signs of age."""
    current = {document.id: document for document in catalogue.documents(collection=collection, person=person)}
    present = _present(catalogue)
    read, cited, outdated = Counter[int](), Counter[int](), Counter[int]()
    last: dict[int, str] = {}
    for question in questions:
        quoted = {present[version] for version in question.cited if version in present}
        read.update({present[version] for version in question.read if version in present} | quoted)
        cited.update(quoted)
        for document in quoted:
            last.setdefault(document, question.at)
        if "outdated" in question.reasons:
            outdated.update(_as_quoted(question, current, quoted))
    order = sorted(current, key=lambda document: (-cited[document], -read[document], current[document].name))
    found = [
        Use(
            d.name, d.version, d.title, d.collection, d.added_at, d.passages,
            read=read[d.id], cited=cited[d.id], last_cited_at=last.get(d.id),
        )
        for d in (current[document] for document in order)
    ]  # fmt: skip
    looked_at = [
        replace(use, signs=_signs(catalogue, current[document], outdated[document], today))
        for document, use in zip(order[:LOOKED_AT], found, strict=False)
    ]
    return (*looked_at, *found[LOOKED_AT:])


def _present(catalogue: Catalogue) -> dict[Version, int]:
    """For each version of a document that is still there: the id of the current one."""
    rows = catalogue.db.execute(
        "select d.name, d.version, c.id from documents d join documents c on c.current = 1"
        " and c.collection = d.collection and c.source = d.source and c.path = d.path"
    )
    return {(name, version): document for name, version, document in rows}


def _as_quoted(question: Question, current: dict[int, Document], quoted: set[int]) -> list[int]:
    """Those of the quoted documents that still stand as they were quoted."""
    there = ((document, current[document]) for document in quoted if document in current)
    return [document for document, found in there if (found.name, found.version) in question.cited]


_kept: WeakKeyDictionary[Catalogue, dict[int, Dates]] = WeakKeyDictionary()  # by id: a version never changes


def _signs(catalogue: Catalogue, document: Document, judged: int, today: date) -> tuple[Sign, ...]:
    """Reasons to look whether it still holds, the heaviest first."""
    kept = _kept.setdefault(catalogue, {})
    if document.id not in kept:
        kept[document.id] = dates(catalogue.document_of(document.id, with_text=True).text, today)
    said = kept[document.id]
    signs = []
    if judged:
        signs.append(Sign(f"{judged} {'answer' if judged == 1 else 'answers'} from it judged out of date"))
    if said.ends is not None and said.ends < today:
        words = catalogue.document_of(document.id, with_text=True).text[said.start : said.end]
        signs.append(Sign(f"It says “{' '.join(words.split())}”", said.start, said.end))
    if said.newest_year is not None and said.newest_year <= today.year - YEARS:
        signs.append(Sign(f"It names no year after {said.newest_year}"))
    age = (today - day(document.added_at)).days
    if age >= UNCHANGED:
        signs.append(Sign(f"Unchanged here for {age // 30} months"))
    return tuple(signs)
