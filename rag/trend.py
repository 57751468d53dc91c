"""What people thought of the answers over time, and of which model's.

Takes   the catalogue, who looks.
Gives   a `Trend`: thumbs up and down for each day, week or month an answer was given in, and for each model that gave
        it. What `rag/asked.py` leaves out is not counted: withdrawn and rejected judgements, answers nobody asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from rag import asked
from rag.asked import Question, day
from rag.catalogue import Catalogue
from rag.metrics import wilson

DAYS, WEEKS = 31, 200  # spans up to which thumbs are counted by day, by week; longer ones by month


class Thumbs(NamedTuple):
    """Judgements of some answers: a day on which a step begins, or a model's name."""

    name: str
    up: int
    down: int

    @property
    def share(self) -> float:
        """Percent of the judgements that are up."""
        return 100 * self.up / (self.up + self.down)

    @property
    def interval(self) -> tuple[float, float]:
        """95%, in percent."""
        low, high = wilson(self.up, self.up + self.down)
        return 100 * low, 100 * high


@dataclass(frozen=True, slots=True)
class Trend:
    """See the module; steps without a judgement are there, with zeros, so that time runs evenly."""

    by: str  # day, week or month
    steps: tuple[Thumbs, ...]
    models: tuple[Thumbs, ...]  # in the order in which they first answered


def trend(catalogue: Catalogue, *, person: str | None = None) -> Trend:
    """All judgements of answers that this person may see."""
    judged = [one for one in asked.questions(catalogue, person=person) if one.up or one.down]
    if not judged:
        return Trend("day", (), ())
    judged.reverse()  # the oldest first
    first, last = day(judged[0].at), max(day(one.at) for one in judged)
    by = "day" if (last - first).days < DAYS else "week" if (last - first).days < WEEKS else "month"
    begins = [_start(first, by)]
    while (following := _next(begins[-1], by)) <= last:
        begins.append(following)
    steps = _thumbs(judged, lambda one: _start(day(one.at), by).isoformat(), [one.isoformat() for one in begins])
    answered_by = _models(catalogue, judged)
    models = list(dict.fromkeys(answered_by.values()))
    return Trend(by, steps, _thumbs(judged, lambda one: answered_by.get(one.answer_id, ""), models))


def _thumbs(judged: Sequence[Question], of: Callable[[Question], str], names: Sequence[str]) -> tuple[Thumbs, ...]:
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for one in judged:
        up[of(one)] += one.up
        down[of(one)] += one.down
    return tuple(Thumbs(name, up[name], down[name]) for name in names)


def _models(catalogue: Catalogue, judged: Sequence[Question]) -> dict[str, str]:
    """Which model gave each answer."""
    rows = catalogue.db.execute(
        "select id, json_extract(payload, '$.payload.model') from audit where payload is not null"
        " and id in (select value from json_each(?)) order by seq",
        (json.dumps([one.answer_id for one in judged]),),
    )
    return {answer: str(model) for answer, model in rows}


def _start(of: date, by: str) -> date:
    if by == "day":
        return of
    return of - timedelta(days=of.weekday()) if by == "week" else of.replace(day=1)


def _next(start: date, by: str) -> date:
    if by == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=1 if by == "day" else 7)
