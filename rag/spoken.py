"""Is what is said also in the quotations shown with it?

    words ─► sentences and lines ─► figures · dates · names · negations ─► stand in a quotation? ─► kept or dropped

Takes   the words of an answer, and the quotations shown with them.
Gives   whether they are supported, the sentences that are not, and the words without these.
Rules   every number with its unit, every date, every name and every negation must stand in a quotation; a sentence may
        not drop the negation of the statement that it repeats. Other words are not checked: this finds invented facts,
        not clumsy paraphrase.
Limits  English units and months. A name is known by its capital or a digit among its letters, so a name that begins a
        sentence is not looked at.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from rag.question import stems
from rag.quote import introduces
from rag.units import LIST, blocks, entries, sentences

_NUMBER = re.compile(r"(?<![\w.,])[$€£¥]?\d+(?:[.,:/]\d+)*(?![\d])")
UNIT = re.compile(
    r"[\s-]*(?:(?:business|working|calendar|full|consecutive|paid|US|billable)[\s-]+)?"
    r"(percent|%|[kmgt]b\b|seconds?|minutes?|mins?|hours?|hrs?\b|days?|weeks?|months?|quarters?|years?|miles?|"
    r"kilomet(?:er|re)s?|km\b|met(?:er|re)s?\b|feet\b|kilograms?|kg\b|pounds?|grams?\b|lit(?:er|re)s?|degrees?|"
    r"dollars?|usd\b|euros?|eur\b|chf\b|gbp\b|cents?|people|persons?|pages?|words?|million|billion|thousand|times?)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’.&/-][^\W_]+)*")
NEGATION = re.compile(
    r"\b(?:no|not|cannot|never|nobody|none|neither|nor|nothing|without|\w+n['’]t|prohibited|forbidden|unable|illegal|"
    r"ineligible|except|unless)\b",
    re.IGNORECASE,
)
_SPELT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
VALUES = {word: str(value) for value, word in enumerate(_SPELT.split(" "))} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100",
}  # fmt: skip
_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = (
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.? (?:of )?(?P<m>{_MONTH})(?:,? (?P<y>\d{{4}}))?\b", re.I),
    re.compile(rf"\b(?P<m>{_MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y>\d{{4}})\b)?", re.I),
    re.compile(rf"\b(?P<m>{_MONTH}) (?P<y>\d{{4}})\b", re.I),
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b"),
    re.compile(r"\b(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})\b"),
)
_LEAD = re.compile(r"(?:Yes|No)[.,](?:\s+|$)")

Day = tuple[int, int, int]  # day, month, year; 0 where it is not said


def supported(words: str, quotations: Sequence[str]) -> bool:
    """Does every number, unit, date, name and negation of `words` stand in the quotations?

    >>> supported("You get 15 days.", ["Employees accrue 15 days."]), supported("16 days.", ["They accrue 15 days."])
    (True, False)
    """
    return not unsupported(words, quotations)


def unsupported(answer: str, quotes: Sequence[str]) -> list[str]:
    """Sentences of the answer whose numbers, units, dates, names or negations stand in no quotation.

    A sentence that drops the negation of the words it repeats is unsupported too.
    """
    check = _Quoted(quotes)
    lines = (line for line in answer.split("\n") if line.strip())
    return [line[start:end] for line in lines for start, end in sentences(line) if not check.holds(line[start:end])]


def kept(words: str, quotations: Sequence[str]) -> str:
    """The words without the sentences that the quotations do not hold; lines stay lines.

    A Yes or No in front is ours (rag/verdict.py): it stays while a reason is left.
    """
    lead = _LEAD.match(words)
    check = _Quoted(quotations)
    lines = []
    for line in words[lead.end() if lead else 0 :].split("\n"):
        found = [line[start:end] for start, end in sentences(line)]
        held = [sentence for sentence in found if check.holds(sentence)]
        if len(held) == len(found):
            lines.append(line)
        elif held:
            lines.append(line[: len(line) - len(line.lstrip())] + " ".join(held))
    reason = "\n".join(lines).strip("\n")
    return (lead.group() if lead else "") + reason if reason.strip() else ""


class _Quoted:
    """Quotations, looked through once."""

    def __init__(self, quotes: Sequence[str]) -> None:
        shown = plain("\n".join(quotes))
        words = {word.casefold() for word in _WORD.findall(shown)}
        self._words = words | {part for word in words for part in re.split(r"['.&/-]", word)}
        self._figures = figures(shown)
        self._days = days(shown)
        for month in (_MONTHS[number - 1] for _, number, _ in self._days if number <= len(_MONTHS)):
            self._words |= {month, month[:3]}  # "October" stands in "2025-10-17"
        self._negated = bool(NEGATION.search(shown))
        self._statements = [
            (stems(statement), bool(NEGATION.search(statement)))
            for shown_words in quotes
            for statement in _statements(plain(shown_words))
        ]

    def holds(self, sentence: str) -> bool:
        said = plain(re.sub(r"\[\d{1,2}\]", "", sentence))
        if {figure for figure in figures(said) if figure != ("1", "")} - self._figures or _names(said) - self._words:
            return False
        dated = all(any(_within(day, shown) for shown in self._days) for day in days(said))
        return dated and not self._flips(said)

    def _flips(self, said: str) -> bool:
        """Is a negation spoken that its statement lacks, or left out of the statement that is repeated?"""
        negated = bool(NEGATION.search(said))
        if negated and not self._negated:
            return True
        mine = stems(said)
        if len(mine) < 2:
            return False
        most = max((len(mine & theirs) for theirs, _ in self._statements), default=0)
        if most < 0.6 * len(mine):
            return False
        floor = most / 2 if negated else most  # "Not alcohol, but meals" repeats two statements
        return not any(len(mine & theirs) >= floor and one == negated for theirs, one in self._statements)


def _statements(text: str) -> Iterator[str]:
    """What a quotation states: sentences, rows, entries of a list, these also after the line that announces them."""
    lead = ""
    for block in blocks(text):
        if block.kind != LIST:
            found = [text[start:end] for start, end in sentences(text, block.start, block.end)]
            yield from found
            lead = found[-1] if found and introduces(found[-1]) else ""
            continue
        above: list[tuple[int, str]] = []
        for row in entries(text, block):
            body = text[row.body : row.end]
            above = [(indent, words) for indent, words in above if indent < row.indent]
            yield from (body[start:end] for start, end in sentences(body))
            yield " ".join((lead, *(words for _, words in above), body))
            if introduces(body):
                above.append((row.indent, body))
        lead = ""


def plain(text: str) -> str:
    """One form of letters, apostrophes and dashes."""
    return unicodedata.normalize("NFKC", text).translate({0x2019: "'", 0x2018: "'", 0x2013: "-", 0x2011: "-"})


def figures(text: str) -> set[tuple[str, str]]:
    """Numbers, each with and without the unit after it: ("15", ""), ("15", "day")."""
    found: set[tuple[str, str]] = set()
    for match in _NUMBER.finditer(text):
        found |= _figure(match.group(), text[match.end() : match.end() + 40])
    for match in re.finditer(r"[a-z]+", text.lower()):
        if match.group() in VALUES:
            found |= _figure(VALUES[match.group()], text[match.end() : match.end() + 40])
    return found


def _figure(number: str, after: str) -> set[tuple[str, str]]:
    value = number.lstrip("$€£¥").replace(",", "")
    money = number[0] if number[0] in "$€£¥" else ""
    unit = UNIT.match(after)
    stem = re.sub(r"s$", "", unit.group(1).lower()) if unit else ""
    stem = {"%": "percent", "min": "minute", "hr": "hour"}.get(stem, stem)
    return {(value, "")} | ({(value, money)} if money else set()) | ({(value, stem)} if stem else set())


def days(text: str) -> set[Day]:
    """The dates in a text: day, month and year, 0 for what is not said.

    >>> sorted(days("From 17 October 2025 or Oct 18; in November 2025, on 2025-12-01"))
    [(0, 11, 2025), (1, 12, 2025), (17, 10, 2025), (18, 10, 0)]
    """
    found: set[Day] = set()
    taken: list[tuple[int, int]] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            said = match.groupdict()
            month = said["m"]
            number = int(month) if month.isdigit() else _month(month)
            found.add((int(said.get("d") or 0), number, int(said.get("y") or 0)))
            taken.append(match.span())
    return found


def _month(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, start=1) if month.startswith(name[:3].lower()))


def _within(day: Day, shown: Day) -> bool:
    """Does the shown date say all that this one says?"""
    return all(mine in (0, theirs) for mine, theirs in zip(day, shown, strict=True))


def _names(sentence: str) -> set[str]:
    """Words that look like names: a capital or a digit among letters, not merely the sentence's first word."""
    found: set[str] = set()
    for n, match in enumerate(_WORD.finditer(sentence)):
        word = match.group()
        inner = any(character.isupper() for character in word[1:]) or (
            any(character.isdigit() for character in word) and any(character.isalpha() for character in word)
        )
        if inner or (n > 0 and word[0].isupper() and word not in ("I", "I'm", "I'll")):
            found.add(word.casefold())
    return {name.removesuffix("'s") for name in found}
