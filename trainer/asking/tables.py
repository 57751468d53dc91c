"""Questions about table rows, which stand on single lines: `Header A: value | Header B: value`.

Takes   the passage's text and headings.
Gives   a cell as the answer; the row's first cell names what is asked about. The other way round ("Which level has
        ...?") only where one row of the passage holds that value.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trainer.asking.grammar import sentence_case
from trainer.asking.sentences import ROW, Asked, lines

_CELL = re.compile(r"(?:^|(?<= \| ))(?P<header>[^|:\n]{1,60}): (?P<value>[^|\n]*?)(?=\s*\||\s*$)")
_LONGEST = 240


class Cell(NamedTuple):
    """One cell of a row; `start` counts characters of the passage."""

    header: str
    value: str
    start: int

    @property
    def end(self) -> int:
        """One past the value's last character."""
        return self.start + len(self.value)


def rows(text: str) -> Iterator[list[Cell]]:
    """The table rows of a passage."""
    for line in lines(text):
        if ROW.match(line.text.strip()) and " | " in line.text:
            found = [
                Cell(m["header"].strip(), m["value"].strip(), line.start + m.start("value"))
                for m in _CELL.finditer(line.text)
            ]
            if len(found) >= 2:
                yield found


def asked(text: str, headings: Sequence[str], chance: random.Random) -> Iterator[Asked]:
    """Two questions a row at most, so that one table does not drown a document."""
    table = list(rows(text))
    counts = Counter((cell.header, cell.value.lower()) for row in table for cell in row)
    for row in table:
        key, others = row[0], [cell for cell in row[1:] if cell.value]
        if not _names(key.value) or counts[(key.header, key.value.lower())] > 1:
            continue
        made = []
        for cell in others:
            question = _forward(key, cell, chance)
            if (
                question
                and 1 < len(cell.value) <= _LONGEST
                and cell.value.lower() not in ("n/a", "none", "tbd", "-", "yes", "no")
            ):
                made.append(Asked(question, cell.start, cell.end, _kind(cell), "table"))
            short = 3 <= len(cell.value) <= 50 and not cell.value.endswith(".")
            if (
                short
                and counts[(cell.header, cell.value.lower())] == 1
                and re.fullmatch(r"[A-Za-z ]{3,25}", key.header)
            ):
                header, value = _low(cell.header), cell.value
                question = f"Which {_low(key.header)} has {value} as its {header}"
                made.append(Asked(sentence_case(question), key.start, key.end, "name", "table-back"))
        chance.shuffle(made)
        yield from made[:2]


def _names(value: str) -> bool:
    return (
        2 < len(value) <= 50
        and len(value.split()) <= 7
        and re.search(r"[A-Za-z]{2}", value) is not None
        and not value.endswith((".", "?"))
    )


def _low(header: str) -> str:
    return " ".join(word if word.isupper() or not word[1:].islower() else word.lower() for word in header.split())


def _forward(key: Cell, cell: Cell, chance: random.Random) -> str | None:
    header, low = cell.header, _low(cell.header)
    if not re.fullmatch(r"[A-Za-z][A-Za-z '/&-]{1,40}", header) or len(header.split()) > 5:
        return None
    thing = (
        key.value
        if key.value[0].isupper() and not key.value.islower()
        else f"“{key.value}”"
        if len(key.value.split()) > 3
        else key.value
    )
    if re.fullmatch(
        r"(?:description|definition|meaning|explanation|notes?|details|comments?|purpose|what it (?:is|does)|use|usage)",
        low,
    ):
        if low in ("notes", "note", "comments", "comment", "details"):
            return None
        return f"What is {thing}?" if low not in ("purpose", "use", "usage") else f"What is {thing} for?"
    if re.fullmatch(
        r"(?:owner|contact|lead|manager|responsible|point of contact|dri|approver|chair|facilitator|author|person)s?",
        low,
    ):
        return (
            f"Who is the {low.rstrip('s') if low != 'dris' else 'DRI'} of {thing}?"
            if "responsible" not in low
            else f"Who is responsible for {thing}?"
        )
    if re.fullmatch(r"(?:date|deadline|due|due date|when|time|starts?|ends?|schedule)", low):
        return (
            chance.choice((f"When is {thing}?", f"What is the {low} of {thing}?"))
            if low != "when"
            else f"When is {thing}?"
        )
    if re.fullmatch(r"(?:location|where|place|room|office|address)", low):
        return f"Where is {thing}?"
    if re.fullmatch(r"(?:price|cost|fee|rate)s?", low):
        return f"How much does {thing} cost?"
    if re.fullmatch(r"(?:duration|length|time required|term)", low):
        return f"How long does {thing} last?"
    if re.fullmatch(r"(?:frequency|how often|cadence)", low):
        return f"How often does {thing} take place?"
    if re.fullmatch(r"(?:days|hours|weeks|months|minutes|people|seats|points|users)", low) and re.match(
        r"\d", cell.value
    ):
        return f"How many {low} does {thing} have?"
    if low.split()[0] in {
        "how",
        "what",
        "when",
        "why",
        "who",
        "where",
        "which",
        "is",
        "are",
        "can",
        "if",
        "correct",
        "incorrect",
        "do",
        "don't",
        "good",
        "bad",
    }:
        return None
    link = "for" if chance.random() < 0.5 else "of"
    be = "are" if low.endswith("s") and not low.endswith(("ss", "us", "is")) else "is"
    return chance.choice(
        (
            f"What {be} the {low} {link} {thing}?",
            f"Which {low} does {thing} have?" if len(cell.value) < 40 else f"What {be} the {low} {link} {thing}?",
        )
    )


def _kind(cell: Cell) -> str:
    if re.search(r"[$£€]\s?\d", cell.value):
        return "amount"
    if re.fullmatch(r"[\d,.%\s-]+", cell.value):
        return "value"
    return "table cell"
