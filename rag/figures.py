"""Figures of a measurement: shares with intervals, and the risk at each coverage.

Takes   `Outcome`s: one question each, without its words.
Gives   figures in percent with 95% intervals (shares: Wilson; mean F1: normal interval of a mean), points of a curve.
Source  risk-coverage curves: El-Yaniv & Wiener, JMLR 11, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rag.metrics import wilson


class Figure(NamedTuple):
    """A mean in percent with its 95% interval, over `n` rows."""

    value: float
    low: float
    high: float
    n: int


class Point(NamedTuple):
    """Answering the surest `coverage` percent of all questions, `risk` percent of those answers are wrong."""

    coverage: float
    risk: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of a run. Its words are in the audit: see `told`."""

    ordinal: int
    answer_id: str
    answerable: bool
    outcome: str  # right, wrong, refused
    would: str  # right or wrong, had it been answered; "" where nothing was found
    exact: float
    f1: float
    cited: bool | None
    found: bool | None
    confidence: float
    milliseconds: float
    expected: tuple[Any, ...] | None  # None once erased


def figures(rows: Sequence[Outcome]) -> dict[str, Figure]:
    """Shares in percent of all rows, unless there are none that count."""
    answered = [row for row in rows if row.outcome != "refused"]
    counted: dict[str, list[float]] = {
        "right": [row.outcome == "right" for row in rows],
        "wrong": [row.outcome == "wrong" for row in rows],
        "refused": [row.outcome == "refused" for row in rows],
        "unanswerable_refused": [row.outcome == "refused" for row in rows if not row.answerable],
        "recall_at_5": [row.found for row in rows if row.found is not None],
        "cited": [row.cited for row in answered if row.cited is not None],
        "exact_match": [row.exact for row in rows],
        "f1": [row.f1 for row in rows],
    }
    return {name: _figure(values, share=name != "f1") for name, values in counted.items() if values}


def _figure(values: Sequence[float], *, share: bool) -> Figure:
    n = len(values)
    mean = sum(values) / n
    if share:
        low, high = wilson(round(sum(values)), n)
    else:
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / max(n - 1, 1) / n)
        low, high = max(0.0, mean - 1.96 * spread), min(1.0, mean + 1.96 * spread)
    return Figure(round(100 * mean, 1), round(100 * low, 1), round(100 * high, 1), n)


def curve(rows: Sequence[Outcome]) -> list[Point]:
    """The share of wrong answers if only the surest were given; a refusal counts with what it would have said."""
    found = sorted((row for row in rows if row.would), key=lambda row: -row.confidence)
    points: list[Point] = []
    wrong = 0
    for count, row in enumerate(found, start=1):
        wrong += row.would == "wrong"
        if count == len(found) or found[count].confidence < row.confidence:  # equally sure ones come together
            points.append(Point(round(100 * count / len(rows), 1), round(100 * wrong / count, 1), row.confidence))
    return points
