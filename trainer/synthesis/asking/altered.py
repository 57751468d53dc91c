"""A question that its passage nearly answers: a name, a role, a number or a day in it is changed.

    "How many days of leave do managers have?"  ─►  "How many days of leave do interns have?"

Takes   an answerable question, the texts it will be asked of, and names that other passages hold.
Gives   the changed question and what was changed; None where every change would stand in one of the texts.
Why     a reader that has only seen foreign questions refused learns to look at the topic, not at the facts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence

ROLES = (
    (
        "employees contractors interns managers volunteers vendors visitors customers freelancers apprentices retirees "
        "students trainees suppliers tenants shareholders pensioners board members temporary staff"
    )
    .replace("board members", "board_members")
    .replace("temporary staff", "temporary_staff")
    .split()
)
_ROLE = re.compile(
    r"\b(?:employees|contractors|interns|managers|supervisors|volunteers|vendors|visitors|customers|users|"
    r"developers|engineers|"
    r"designers|contributors|maintainers|reviewers|staff|team members|members|candidates|applicants|partners|clients|"
    r"administrators|admins|researchers|participants|students)\b"
)
_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z]{2,6}|[A-Z][a-z]{2,}(?:[A-Z][a-z]+)*)(?: [A-Z][a-z]{2,})?\b(?!['’])")
_NUMBER = re.compile(r"(?<![\w.,-])\d{1,4}(?:,\d{3})*(?![\w.,-]*\d)")
# Words that turn a question's premise; a text that holds the other word may answer, and is then not taken.
_TURNS = dict(
    pair.split("/")
    for pair in """internal/external external/internal annual/monthly monthly/annual weekly/yearly daily/yearly
    paid/unpaid full-time/seasonal part-time/seasonal new/retired first/ninth domestic/overseas
    public/confidential minimum/average maximum/average approve/veto submit/withdraw create/archive
    delete/restore install/uninstall enable/disable disable/enable join/leave start/postpone open/close
    buy/lease sell/donate hire/dismiss publish/retract merge/split add/exclude remove/duplicate request/refuse
    report/conceal upload/print download/print review/skip update/freeze manager/neighbour team/union
    customer/competitor laptop/projector password/fingerprint email/fax office/warehouse meeting/strike
    training/audition production/laboratory test/rehearse deploy/recall interview/banquet website/brochure
    software/furniture code/sculpture repository/aquarium page/billboard certificate/passport vendor/landlord""".split()
)
_TURN = re.compile(rf"\b(?:{'|'.join(_TURNS)})\b")
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_CALENDAR = re.compile(  # after a preposition: "May I" is no month
    rf"(?<!^)(?<= (?:in|on|by|of|to) )(?:{'|'.join(_DAYS + _MONTHS)})\b"
)
_NO_NAMES = frozenset({"I", "IT", "HR", "OK", "FAQ", *_DAYS, *_MONTHS})


def names(texts: Iterable[str]) -> list[str]:
    """Names and acronyms that stand inside sentences, each once, in alphabetical order."""
    return sorted({match[0] for text in texts for match in _NAME.finditer(text)} - _NO_NAMES)


def alter(
    question: str, texts: Sequence[str], others: Sequence[str], chance: random.Random
) -> tuple[str, str, str] | None:
    """The changed question, the kind of change (entity, number or premise), and "old -> new"."""
    held = " ".join(texts).lower()
    tries = [_number, _calendar, _role, _name, _word]
    chance.shuffle(tries)
    tries.sort(key=lambda one: one in (_role, _word))  # the weakest changes come last
    for one in tries:
        found = one(question, others, chance)
        if found is None:
            continue
        match, new, kind = found
        if new.lower() in held or new == match[0]:
            continue
        return question[: match.start()] + new + question[match.end() :], kind, f"{match[0]} -> {new}"
    return None


Change = tuple["re.Match[str]", str, str] | None


def _number(question: str, others: Sequence[str], chance: random.Random) -> Change:  # noqa: ARG001
    match = _NUMBER.search(question)
    if match is None:
        return None
    value = int(match[0].replace(",", ""))
    if 1900 <= value <= 2100:
        return match, str(value + chance.choice((-9, -7, -6, 6, 8, 11))), "number"
    return match, str(chance.choice((value * 3 + 1, value * 2 + 5, value * 7))), "number"


def _calendar(question: str, others: Sequence[str], chance: random.Random) -> Change:  # noqa: ARG001
    match = _CALENDAR.search(question)
    if match is None:
        return None
    return match, chance.choice(_DAYS if match[0] in _DAYS else _MONTHS), "number"


def _role(question: str, others: Sequence[str], chance: random.Random) -> Change:  # noqa: ARG001
    match = _ROLE.search(question)
    return (match, chance.choice(ROLES).replace("_", " "), "entity") if match else None


def _word(question: str, others: Sequence[str], chance: random.Random) -> Change:  # noqa: ARG001
    found = list(_TURN.finditer(question))
    match = chance.choice(found) if found else None
    return (match, _TURNS[match[0]], "premise") if match else None


def _name(question: str, others: Sequence[str], chance: random.Random) -> Change:
    match = next((m for m in _NAME.finditer(question) if m[0] not in _NO_NAMES), None)
    if match is None:
        return None
    capitals = match[0].isupper()
    last = match[0].split()[-1]
    like = [
        name
        for name in others
        if name.isupper() == capitals and (name.split()[-1] == last if " " in match[0] else " " not in name)
    ]
    return (match, chance.choice(like), "entity") if like else None
