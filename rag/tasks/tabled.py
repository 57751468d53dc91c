"""Two things that one table holds: as two of its columns, or as two of its rows.

Takes   the names of both, and the documents of one person.
Gives   the cells beside one another, aspect by aspect, each with the row that it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rag.tasks.desk import Desk
from rag.tasks.outline import Row, Run, rows, runs, sections
from rag.tasks.task import Task
from rag.types import Document

_DOCUMENTS = 12  # that are looked at
_TABLES = 3  # that are shown
_ASPECTS = 8  # of one table


@dataclass(frozen=True, slots=True)
class Aspect:
    """One line of the comparison: what it is about, both values, and the ranges of the rows that hold them."""

    name: str
    one: str
    two: str
    first: tuple[int, int]
    second: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Beside:
    """A table that holds both."""

    document: Document
    heading: str
    aspects: tuple[Aspect, ...]
    worth: float


def beside(desk: Desk, task: Task) -> list[Beside]:
    """The tables that hold both sides, the ones that fit best first."""
    near = list(dict.fromkeys(hit.passage.document_id for hit in desk.found))
    both = [number for number in desk.with_words(task.subject) if number in set(desk.with_words(task.other))]
    numbers = list(dict.fromkeys([*both[:_DOCUMENTS], *near[:_DOCUMENTS]]))
    respect = desk.stems(task.about)
    found: list[Beside] = []
    for number in numbers:
        document = desk.document(number)
        if " | " not in document.text:
            continue
        for section in sections(document.text):
            for run in runs(document.text, section):
                if run.kind != "rows" or not (aspects := tuple(_aspects(desk, task, document.text, run))):
                    continue
                context = f"{' '.join(section.path)} {document.title} {' '.join(aspect.name for aspect in aspects)}"
                worth = (
                    desk.share(respect, context) + (0.5 if number in near[:3] else 0.0) - 0.02 * numbers.index(number)
                )
                found.append(Beside(document, section.heading or document.title, aspects[:_ASPECTS], worth))
    found.sort(key=lambda one: -one.worth)
    kept = [one for one in found if one.worth >= found[0].worth - 0.6]
    return kept[:_TABLES]


def _aspects(desk: Desk, task: Task, text: str, run: Run) -> Iterator[Aspect]:
    """By columns where both name one, else by rows where both name one."""
    table = rows(text, run)
    columns = [key for key, _ in table[0].cells] if table else []
    first, second = _like(desk, task.subject, columns), _like(desk, task.other, columns)
    if first is not None and second is not None and first != second:
        for row in table:
            cells = dict(row.cells)
            if columns[first] in cells and columns[second] in cells:
                where = (row.start, row.end)
                yield Aspect(": ".join(row.cells[0]), cells[columns[first]], cells[columns[second]], where, where)
        return
    one, two = _row(desk, task.subject, table), _row(desk, task.other, table)
    if one is None or two is None or one == two:
        return
    left, right = dict(one.cells), dict(two.cells)
    for key in list(left)[1:]:
        if key in right and left[key] and right[key]:
            yield Aspect(key, left[key], right[key], (one.start, one.end), (two.start, two.end))


def _like(desk: Desk, words: str, names: list[str]) -> int | None:
    """Which of the names these words mean: the one that holds all of them, or all of whose words they hold."""
    wanted = desk.stems(words)
    best: tuple[float, int] | None = None
    for at, said in enumerate(names):
        own = desk.stems(said)
        if own and wanted and (wanted <= own or own <= wanted):
            like = len(own & wanted) / len(own | wanted)
            if best is None or like > best[0]:
                best = like, at
    return best[1] if best else None


def _row(desk: Desk, words: str, table: list[Row]) -> Row | None:
    """The row one of whose first cells these words mean."""
    names = [cell for row in table for _, cell in row.cells[:2]]
    owners = [row for row in table for _ in row.cells[:2]]
    at = _like(desk, words, names)
    return owners[at] if at is not None else None
