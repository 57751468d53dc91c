"""What the questions of a period say about the documents: what is missing, what nobody needs, what is out of date.

    audit ─► questions ─┬─► totals, a count for each day, week or month, the period before
                        ├─► the unanswered ones ─► gaps: "write a document about parental leave"
                        └─► documents: how often read and quoted ─► never cited, signs of age

Takes   an open library's parts, a number of days (None: everything), who looks, and one collection or all.
Gives   an `Insight`; every number in it counts things that are listed in it or stand in the audit.
Not counted: what nobody asked (evaluations, replays), erased answers, what `person` may not read. People are counted,
        never named. A gap is closed by an answer to the same question that nobody judged down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rag import asked, gaps
from rag.asked import Question, day
from rag.errors import SettingsError
from rag.parts import Parts
from rag.usage import Use, uses

SHORT, LONG = 31, 200  # days up to which a period is drawn by day, by week; longer ones by month


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one period."""

    asked: int = 0
    answered: int = 0
    refused: int = 0
    up: int = 0  # answers that somebody judged up
    down: int = 0
    people: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One day, week or month: the day it starts on, and its counts."""

    start: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask for the same thing and were not answered."""

    about: str
    questions: tuple[Question, ...]  # the youngest first
    people: int
    nearest: tuple[tuple[str, int], ...]  # documents that came nearest, and how often
    near: bool  # most of them found something that may be the answer

    @property
    def advice(self) -> str:
        """What to do about it, in one sentence."""
        if self.near and self.nearest:
            return f"{self.nearest[0][0]} may answer this. Look there; if it does, judge the refusals."
        return f"Write a document about {self.about}."


@dataclass(frozen=True, slots=True)
class Insight:
    """See the module. Lists stand in the order in which they should be looked at."""

    days: int | None
    since: str  # the first day, ISO 8601; empty where nothing was asked
    by: str  # day, week or month
    totals: Totals
    before: Totals | None  # the same number of days before; None where all time is looked at
    steps: tuple[Step, ...]
    reasons: dict[str, int]  # of judgements down
    questions: tuple[Question, ...]  # the youngest first
    gaps: tuple[Gap, ...]
    documents: tuple[Use, ...]  # all of them, the most quoted first

    @property
    def never_cited(self) -> tuple[Use, ...]:
        """Documents that no answer of the period quotes: those that were read most often first."""
        return tuple(
            sorted((use for use in self.documents if not use.cited), key=lambda use: (-use.read, use.added_at))
        )

    @property
    def outdated(self) -> tuple[Use, ...]:
        """Documents with a sign of age, the most quoted first."""
        return tuple(use for use in self.documents if use.signs)

    def as_dict(self) -> dict[str, Any]:
        """For `rag insight --json`."""
        return {
            "days": self.days,
            "since": self.since,
            "totals": asdict(self.totals),
            "before": asdict(self.before) if self.before else None,
            "steps": [{"start": step.start, **asdict(step.totals)} for step in self.steps],
            "reasons": self.reasons,
            "gaps": [
                {
                    "about": gap.about,
                    "advice": gap.advice,
                    "people": gap.people,
                    "questions": [_told(question) for question in gap.questions],
                    "nearest": [{"document": name, "questions": times} for name, times in gap.nearest],
                }
                for gap in self.gaps
            ],
            "judged_down": [_told(question) for question in self.questions if question.down],
            "never_cited": [_used(use) for use in self.never_cited],
            "outdated": [_used(use) for use in self.outdated],
        }


def insight(
    parts: Parts,
    *,
    days: int | None = 30,
    person: str | None = None,
    collection: str | None = None,
    now: datetime | None = None,
) -> Insight:
    """Look at the last `days` days, today included, by this machine's calendar."""
    if days is not None and days < 1:
        raise SettingsError(f"days is {days}: use 1 or more, or leave it out for everything")
    today = (now or datetime.now(UTC)).astimezone().date()
    first = today - timedelta(days=days - 1) if days else None
    start = _utc(first - timedelta(days=days or 0)) if first else ""
    found = asked.questions(parts.catalogue, start, person=person, collection=collection)
    border = _utc(first) if first else ""
    mine = [question for question in found if question.at >= border]
    first = first or (day(mine[-1].at) if mine else today)
    by = "day" if (today - first).days < SHORT else "week" if (today - first).days < LONG else "month"
    return Insight(
        days=days,
        since=first.isoformat() if mine or days else "",
        by=by,
        totals=_totals(mine),
        before=_totals(question for question in found if question.at < border) if days else None,
        steps=_steps(mine, first, today, by),
        reasons=dict(Counter(reason for question in mine for reason in question.reasons).most_common()),
        questions=tuple(mine),
        gaps=_gaps(parts, mine),
        documents=uses(parts.catalogue, mine, today, person=person, collection=collection),
    )


def _totals(questions: Iterable[Question]) -> Totals:
    listed = list(questions)
    refused = sum(question.refused for question in listed)
    return Totals(
        asked=len(listed),
        answered=len(listed) - refused,
        refused=refused,
        up=sum(bool(question.up) for question in listed),
        down=sum(bool(question.down) for question in listed),
        people=len({question.person for question in listed}),
    )


# --- over time --------------------------------------------------------------------------------------------------------


def _steps(questions: Sequence[Question], first: date, last: date, by: str) -> tuple[Step, ...]:
    """Every day, week or month of the period, also those without a question."""
    starts: dict[date, list[Question]] = {}
    at = _start(first, by)
    while at <= last:
        starts[at] = []
        at = _start(at + timedelta(days={"day": 1, "week": 7, "month": 31}[by]), by)
    for question in questions:
        starts.setdefault(_start(day(question.at), by), []).append(question)  # a clock that was set back adds a step
    return tuple(Step(start.isoformat(), _totals(asked_then)) for start, asked_then in sorted(starts.items()))


def _start(of: date, by: str) -> date:
    if by == "week":
        return of - timedelta(days=of.weekday())
    return of.replace(day=1) if by == "month" else of


def _utc(of: date) -> str:
    """The first moment of a day of this machine's calendar, as the audit writes moments."""
    return datetime(of.year, of.month, of.day).astimezone().astimezone(UTC).isoformat(timespec="microseconds")


# --- gaps -------------------------------------------------------------------------------------------------------------


def _gaps(parts: Parts, questions: Sequence[Question]) -> tuple[Gap, ...]:
    """Unanswered questions in groups: those of most people first, then the most often asked, then the latest."""
    answered: set[str] = set()  # since, and nobody said that it was wrong
    unanswered: list[Question] = []
    for question in questions:  # the youngest first
        if not question.refused and not question.down:
            answered.add(gaps.key(question.question))
        elif question.unanswered and gaps.key(question.question) not in answered:
            unanswered.append(question)
    found = [
        _gap(about, [unanswered[place] for place in places])
        for about, places in gaps.groups([question.question for question in unanswered], parts.embedder)
    ]
    return tuple(sorted(found, key=lambda gap: (gap.people, len(gap.questions), gap.questions[0].at), reverse=True))


def _gap(about: str, questions: list[Question]) -> Gap:
    nearest = Counter(question.nearest[0][0] for question in questions if question.nearest)
    return Gap(
        about=about,
        questions=tuple(questions),
        people=len({question.person for question in questions}),
        nearest=tuple(nearest.most_common(3)),
        near=2 * sum(question.near for question in questions) > len(questions),
    )


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _told(question: Question) -> dict[str, Any]:
    return {
        "answer_id": question.answer_id,
        "at": question.at,
        "question": question.question,
        "refused": question.refused,
        "up": question.up,
        "down": question.down,
        "reasons": list(question.reasons),
        "documents": list(question.documents),
    }


def _used(use: Use) -> dict[str, Any]:
    row = asdict(use)
    row["signs"] = [sign.words for sign in use.signs]
    return row
