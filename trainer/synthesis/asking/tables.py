"""Questions about table rows, which stand on single lines: `Header A: value | Header B: value`.

Takes   the passage's text.
Gives   a cell as the answer; the row's first cell names what is asked about. The other way round ("Which plan has a
        price of $20?") only for numbers that one row of the passage holds.
Refuses headers that say nothing about what stands below them ("Info", "Example").
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from trainer.synthesis.asking.grammar import VERBS, asker, sentence_case
from trainer.synthesis.asking.sentences import ROW, Asked, lines

_CELL = re.compile(r"(?:^|(?<= \| ))(?P<header>[^|:\n]{1,60}): (?P<value>[^|\n]*?)(?=\s*\||\s*$)")
_LONGEST = 240  # characters of a cell that is an answer
_EMPTY = frozenset(("n/a", "none", "tbd", "-", "yes", "no", "x", "✓", "✔", "todo", "unknown", "?"))
# Headers whose numbers tell rows apart, things a row may be, and headers that say nothing.
_TELLING = frozenset(
    """price cost fee rate amount limit maximum minimum duration length size weight score budget capacity
    threshold timeout port code""".split()
)
_SINGULAR = re.compile(
    r"(?:level|grade|role|plan|product|service|team|tier|type|position|tool|environment|package|model|size|option)"
)
_DULL = frozenset(
    """info information example examples attribute attributes item items name names value data type types title link
    links url overview column field key id no text content contents resource resources other staff engineer impact
    result results output status item's answer response correct incorrect do don't good bad how what when why who where
    which is are can if yes no before after more less pro con pros cons a b c first second delivers accountable
    responsible substitute alternative see""".split()
)
_DEFINES = frozenset(("description", "definition", "meaning", "explanation", "what it is", "what it does"))
# What a header may end with to be asked as "What is the ... of": a thing that a row has.
_NOUNS = frozenset(
    """responsibility responsibilities limit limits budget salary rate rates amount importance weight score size
    version priority severity level grade capacity maximum minimum threshold timeout default format syntax
    command port unit scope audience goal goals objective objectives risk risks requirement requirements benefit
    benefits deliverable deliverables color colour code symbol phone email extension channel team department
    approach approval eligibility target age range ratio share percentage points allowance period frequency term
    theme topic brand model category flags symptoms causes cause solution remedy penalty fine discount tax total
    quantity balance address abbreviation acronym expectation expectations skills prerequisites window region
    currency speed distance temperature dose""".split()
)
# Header -> how one asks for what stands below it.
_ASKED = {
    r"(?:purpose|use|usage)": "What is {} for?",
    r"(?:owner|contact|lead|manager|point of contact|approver|chair|facilitator|author)s?": "Who is the {low} of {}?",
    r"(?:responsible|responsible person|responsibility of)": "Who is responsible for {}?",
    r"time": "What time is {}?",
    r"(?:date|when|start|starts|start date)": "When is {}?",
    r"(?:deadline|due|due date)": "When is {} due?",
    r"(?:location|where|place|room|office|address)": "Where is {}?",
    r"(?:price|cost|fee)s?": "How much does {} cost?",
    r"(?:duration|length|time required)": "How long does {} take?",
    r"(?:frequency|how often|cadence)": "How often does {} take place?",
}
_COUNTS = re.compile(r"(?:days|hours|weeks|months|minutes|people|seats|points|users)")


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
        if " | " in line.text and ROW.match(line.text):
            found = [
                Cell(m["header"].strip(), m["value"], line.start + m.start("value")) for m in _CELL.finditer(line.text)
            ]
            if len(found) >= 2:
                yield found


def asked(text: str, chance: random.Random) -> Iterator[Asked]:
    """Two questions a row at most, so that one table does not drown a document."""
    table = list(rows(text))
    counts = Counter((cell.header, cell.value.lower()) for row in table for cell in row)
    for row in table:
        key, others = row[0], [cell for cell in row[1:] if cell.value]
        if not _names(key.value) or counts[(key.header, key.value.lower())] > 1:
            continue
        made = [one for cell in others for one in _of_cell(key, cell, counts, chance)]
        chance.shuffle(made)
        yield from made[:2]


def _of_cell(key: Cell, cell: Cell, counts: Counter[tuple[str, str]], chance: random.Random) -> Iterator[Asked]:
    question = _forward(key, cell, chance)
    if question and 1 < len(cell.value) <= _LONGEST and cell.value.lower() not in _EMPTY:
        yield Asked(question, cell.start, cell.end, _kind(cell), "table")
    low, back = _low(cell.header), _low(key.header)
    alone = counts[(cell.header, cell.value.lower())] == 1 and len(cell.value) <= 24 and re.search(r"\d", cell.value)
    if alone and low in _TELLING and _SINGULAR.fullmatch(back):
        question = sentence_case(f"Which {back} has a {low} of {cell.value}")
        yield Asked(question, key.start, key.end, "name", "table-back")


def _names(value: str) -> bool:
    long = len(value) > 50 or len(value.split()) > 6 or value.endswith((".", "?"))
    return not long and len(value) > 2 and re.search(r"[A-Za-z]{2}", value) is not None


def _low(header: str) -> str:
    return " ".join(word if word.isupper() or not word[1:].islower() else word.lower() for word in header.split())


def _forward(key: Cell, cell: Cell, chance: random.Random) -> str | None:
    low, thing = _low(cell.header), asker(key.value)
    words = low.split()
    if not re.fullmatch(r"[A-Za-z][A-Za-z '/&-]{1,40}", low) or len(words) > 3:
        return None
    if low in _DEFINES:
        doing = words[0].endswith("ing") or key.value.split()[0].lower().endswith("ing")
        return None if len(key.value.split()) > 4 or doing else f"What is {thing}?"
    for header, ask in _ASKED.items():
        if key.value.split()[0].lower() in VERBS:
            break  # "Discuss roles": no name of a thing
        if re.fullmatch(header, low):
            return ask.format(thing, low=low.removesuffix("s"))
    if _COUNTS.fullmatch(low) and re.match(r"\d", cell.value):
        return f"How many {low} does {thing} have?"
    if words[-1] not in _NOUNS or words[0] in _DULL:
        return None
    be = "are" if low.endswith("s") and not low.endswith(("ss", "us", "is")) else "is"
    return f"What {be} the {low} {chance.choice(('for', 'of'))} {thing}?"


def _kind(cell: Cell) -> str:
    if re.search(r"[$£€]\s?\d", cell.value):
        return "amount"
    if re.fullmatch(r"[\d,.%\s-]+", cell.value):
        return "value"
    return "table cell"
