"""What a document says about its own time: its date, until when it holds, and the last year it names.

Takes   a document's text and the day from which it is looked at.
Gives   `Dated`: what tells its age best; and `Dates`: the last statement of an end ("valid until 31 December 2024")
        with its place in the text, and the newest year that is not in the future. None where the text says nothing of
        the kind.
Limits  English words and the common ways to write a day. It is a sign for a person to look at, never a verdict: a
        standard of 2015 may be the present one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from rag.types import Document

MENTIONS = 3  # years named before the newest one tells something
LOOKED_AT = 1_000_000  # characters of a document

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = (
    r"(?:(?P<d1>\d{1,2})(?:st|nd|rd|th)?\.? (?:of )?" + _MONTH.format("m1") + r",? (?P<y1>(?:19|20)\d\d)"
    r"|" + _MONTH.format("m2") + r" (?:(?P<d2>\d{1,2})(?:st|nd|rd|th)?,? )?(?P<y2>(?:19|20)\d\d)"
    r"|(?P<y3>(?:19|20)\d\d)-(?P<m3>\d\d)-(?P<d3>\d\d)"
    r"|(?P<d4>\d{1,2})\.(?P<m4>\d{1,2})\.(?P<y4>(?:19|20)\d\d)"
    r"|the end of (?P<y5>(?:19|20)\d\d))\b"
)
_ENDS = re.compile(
    r"\b(?:(?:valid|in force|in effect|effective|appl(?:y|ies|icable)|available|binding|runs?)(?: only)?"
    r" (?:until|till|through|up to)|expir(?:e|es|ed|ing)(?: on| in| at)?"
    r"|(?:expiry date|end date|next review|review due):?)"
    r"(?: and including)?\s+" + _DAY,
    re.IGNORECASE,
)
_STATED = re.compile(
    r"\b(?:(?:(?:last )?(?:updated|revised|reviewed|modified|amended|changed)|published|issued|effective(?: date)?|"
    r"in (?:force|effect)|valid)(?: on| from| since| as of)?\s*:?|as of|(?:date|status|version)\s*:)\s+" + _DAY,
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?<!\d)(?:19[89]|20\d)\d(?!\d)")
HEAD, FOOT = 2_000, 1_000  # characters at the beginning and at the end where a document says its date
_YEAR = re.compile(r"(?<![\d.,:/§$€£-])(?:19[89]\d|20\d\d)(?![\d%]|[.,]\d)")


@dataclass(frozen=True, slots=True)
class Dates:
    """What was found; `text[start:end]` is the statement of an end."""

    ends: date | None = None
    start: int = 0
    end: int = 0
    newest_year: int | None = None


def dates(text: str, today: date) -> Dates:
    """Read a text."""
    looked = text[:LOOKED_AT]
    years = [int(year) for year in _YEAR.findall(looked)]
    years = [year for year in years if year <= today.year]
    newest = max(years) if len(years) >= MENTIONS else None
    found = [(day, match) for match in _ENDS.finditer(looked) if (day := _day(match)) is not None]
    if not found:
        return Dates(newest_year=newest)
    last, match = max(found, key=lambda pair: pair[0])
    return Dates(last, match.start(), match.end(), newest)


class Dated(NamedTuple):
    """When a document is of: `day` is ISO 8601, a day or a year; `kind` is "valid until", "dated" or "added"."""

    day: str
    kind: str


def dated(document: Document, today: date) -> Dated:
    """What tells a document's age best: its own end, its own date, a year in its name, the day it came here."""
    if ends := dates(document.text, today).ends:
        return Dated(ends.isoformat(), "valid until")
    text = document.text if len(document.text) <= HEAD + FOOT else document.text[:HEAD] + "\n" + document.text[-FOOT:]
    said = (_day(match) for match in _STATED.finditer(text))
    if past := [day for day in said if day is not None and day <= today]:
        return Dated(max(past).isoformat(), "dated")
    years = (int(year) for year in _NAMED.findall(f"{document.name} {document.title}"))
    if named := [year for year in years if year <= today.year]:
        return Dated(str(max(named)), "dated")
    return Dated(datetime.fromisoformat(document.added_at).astimezone().date().isoformat(), "added")


def day_in(text: str, *, after: str) -> date | None:
    """The day that follows the words `after` (a pattern): a month or a year alone means its last day."""
    found = re.search(rf"\b{after}\s+(?:the\s+)?(?:{_DAY}|(?P<year>(?:19|20)\d\d)\b)", text, re.IGNORECASE)
    if found is None:
        return None
    return date(int(found["year"]), 12, 31) if found["year"] else _day(found)


def _day(match: re.Match[str]) -> date | None:
    """The day of a match; a month or a year alone means its last day. None for a 31st of June."""
    said = match.groupdict()
    if said["y5"]:
        return date(int(said["y5"]), 12, 31)
    n = next(n for n in "1234" if said[f"y{n}"])
    year, month = int(said[f"y{n}"]), said[f"m{n}"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    try:
        if said[f"d{n}"] is None:
            return date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)
        return date(year, number, int(said[f"d{n}"]))
    except ValueError:
        return None
