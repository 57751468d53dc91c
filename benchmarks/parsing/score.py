"""Truth against what a reader gave.

    cells     F1 of values tied to their row and headers (a label to its value); another value in that place counts
              against it
    rows      share of cells whose row label and value stand on one line at all: what bare text can give
    order     share of neighbouring phrases that are both there, the first before the second
    headings  F1 of the lines marked as headings; numbering in front may be missing, one letter in ten may differ
    excluded  share of what must not be there that is not; nothing read scores nothing
    required  share of required phrases found; a phrase that should stand n times scores the nearer the truer
    mean      of those above that the truth holds, without `rows`

Takes   a `Truth` and a `Read`.
Gives   a score from 0 to 1 for each part that the truth holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from benchmarks.parsing.records import Record, exact, headings, plain, records
from benchmarks.parsing.truth import Cell, Truth

PARTS = ("cells", "order", "headings", "excluded", "required")
GAP = 8  # characters between a label and its value: a unit, a colon
ALIKE = 0.9


@dataclass(frozen=True)
class Read:
    """What a reader made of one file."""

    text: str
    passages: Sequence[str] = ()  # what would be indexed; the text where it makes none
    failed: str = ""  # why there is nothing
    seconds: float = 0.0


def score(truth: Truth, read: Read) -> dict[str, float]:
    """Each part that the truth holds, `rows` and `mean`."""
    found: dict[str, float] = {}
    lines = list(records(read.text))
    whole = plain(read.text)
    if truth.cells:
        found["cells"] = _f1(*_cells(truth.cells, lines, read.text))
        found["rows"] = sum(_on_one_line(cell, lines) for cell in truth.cells) / len(truth.cells)
    if len(truth.order) > 1:
        pairs = list(pairwise(_places(truth.order, whole)))
        found["order"] = sum(0 <= first < second for first, second in pairs) / len(pairs)
    if truth.headings is not None:
        found["headings"] = _headings(truth.headings, headings(read.text))
    wanted = {plain(one) for one in (*truth.required, *truth.order, *(cell.value for cell in truth.cells))} - {""}
    if truth.exclude or truth.exclude_lines:
        something = any(one in whole for one in wanted)
        found["excluded"] = _excluded(truth, read.passages or [read.text]) if something else 0.0
    if truth.required or truth.count:
        each = [float(plain(phrase) in whole) for phrase in truth.required]
        each += [_near(whole.count(plain(phrase)), n) for phrase, n in truth.count]
        found["required"] = sum(each) / len(each)
    parts = [found[part] for part in PARTS if part in found]
    return {**found, "mean": sum(parts) / len(parts)}


def missing(truth: Truth, read: Read) -> dict[str, list[str]]:
    """What a score below 1 lost, in words, for those who look."""
    lines, whole = list(records(read.text)), plain(read.text)
    passages = plain("\n".join(read.passages or [read.text]))
    cells = [cell for cell in truth.cells if not _tied(cell, lines, read.text)[0]]
    places = list(zip(truth.order, _places(truth.order, whole), strict=True))
    swapped = [f"{a} < {b} ({i}, {j})" for (a, i), (b, j) in pairwise(places) if not 0 <= i < j]
    marked = headings(read.text)
    return {
        "cells": [f"{cell.row} {cell.column} = {cell.value}: {_tied(cell, lines, read.text)[1]}" for cell in cells],
        "order": swapped,
        "headings": [f"missing {one}" for one in truth.headings or () if not any(_same(one, other) for other in marked)]
        + [f"false {one}" for one in marked if truth.headings and not any(_same(one, x) for x in truth.headings)],
        "excluded": [phrase for phrase in truth.exclude if plain(phrase) in passages]
        + [line for line in truth.exclude_lines if _is_a_line(line, read.passages or [read.text])],
        "required": [phrase for phrase in truth.required if plain(phrase) not in whole],
    }


def _places(phrases: Sequence[str], whole: str) -> list[int]:
    """Where each phrase stands: after the one before it if that is possible, else its first place, or -1."""
    places: list[int] = []
    for phrase in map(plain, phrases):
        after = whole.find(phrase, places[-1] + 1) if places and places[-1] >= 0 else -1
        places.append(after if after >= 0 else whole.find(phrase))
    return places


def _cells(cells: Sequence[Cell], lines: Sequence[Record], text: str) -> tuple[int, int, int]:
    """Right, contradicted and wanted."""
    right = contradicted = 0
    for cell in cells:
        is_right, others = _tied(cell, lines, text)
        right += is_right
        contradicted += bool(others)
    return right, contradicted, len(cells)


def _tied(cell: Cell, lines: Sequence[Record], text: str) -> tuple[bool, list[str]]:
    """Is the value stated in its place, and what else is."""
    wanted = exact(cell.value)
    if not cell.row:
        stated = [value for line in lines for value in _under(line, cell.column)]
        return any(exact(value) == wanted for value in stated) or _labelled(cell, lines, text), []
    stated = [value for line in lines if _is_row(line, cell.row) for value in _under(line, cell.column)]
    others = {value for value in stated if exact(value) != wanted and not any(_cell(value, row) for row in cell.row)}
    return any(exact(value) == wanted for value in stated), sorted(others)


def _is_row(line: Record, labels: Iterable[str]) -> bool:
    values = [value for _, value in line.fields]
    return all(any(_cell(value, label) for value in values) for label in labels)


def _cell(value: str, label: str) -> bool:
    return plain(value) == plain(label)


def _under(line: Record, column: Iterable[str]) -> list[str]:
    wanted = [plain(part) for part in column]
    return [value for head, value in line.fields if head and all(part in plain(head) for part in wanted)]


def _labelled(cell: Cell, lines: Sequence[Record], text: str) -> bool:
    """Does the value follow its label, on one line with little between, or at once on the next?"""
    label, value = re.escape(plain("".join(cell.column))), re.escape(plain(cell.value))
    close = re.compile(rf"{label}\w{{0,{GAP}}}?{value}" + (r"(?!\d)" if value[-1:].isdigit() else ""))
    at_once = re.compile(rf"{label}{value}" + (r"(?!\d)" if value[-1:].isdigit() else ""))
    return any(close.search(plain(line.line)) for line in lines) or bool(at_once.search(plain(text)))


def _on_one_line(cell: Cell, lines: Sequence[Record]) -> bool:
    labels = [plain(label) for label in (cell.row or cell.column)]
    return any(exact(cell.value) in exact(line.line) and all(x in plain(line.line) for x in labels) for line in lines)


def _headings(wanted: Sequence[str], given: Sequence[str]) -> float:
    right = sum(any(_same(one, other) for other in given) for one in wanted)
    false = sum(not any(_same(one, other) for other in wanted) for one in given)
    return _f1(right, false, len(wanted))


def _same(one: str, other: str) -> bool:
    first, second = (re.sub(r"^[\d.§\s]+", "", text) or text for text in (one, other))
    return SequenceMatcher(None, plain(first), plain(second)).ratio() >= ALIKE


def _excluded(truth: Truth, passages: Sequence[str]) -> float:
    whole = plain("\n".join(passages))
    absent = [plain(phrase) not in whole for phrase in truth.exclude]
    absent += [not _is_a_line(line, passages) for line in truth.exclude_lines]
    return sum(absent) / len(absent)


def _is_a_line(line: str, passages: Sequence[str]) -> bool:
    return any(line == one.strip() for passage in passages for one in passage.splitlines())


def _near(found: int, wanted: int) -> float:
    return min(found, wanted) / max(found, wanted)


def _f1(right: int, false: int, wanted: int) -> float:
    return 2 * right / (right + false + wanted) if wanted else float(not false)
