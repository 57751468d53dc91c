"""How sure an answer must be: a word, a number, or "at most N% wrong".

Takes   the model's own threshold, its measured risk (config.json: rows of [threshold, % refused, % wrong of the given
        answers], thresholds rising) and the setting `strictness`.
Gives   the least confidence for an answer, and what that choice cost where it was measured.
Refuses (SettingsError) a share of wrong answers for a model whose risk was never measured.
Note    risk is measured on questions half of which nothing answers; other documents and questions differ. It orders the
        choices honestly and promises nothing to the percent.
Source  risk-coverage curves: El-Yaniv & Wiener, JMLR 11, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rag.errors import SettingsError

SHIFTS = {"lenient": -1.0, "normal": 0.0, "strict": 1.0}  # in log odds of confidence


Row = tuple[float, float, float]  # a `Measured`, as a reader's protocol names it


class Measured(NamedTuple):
    """What a threshold did where it was measured, in percent."""

    threshold: float
    refused: float  # of all questions, half of them without an answer
    wrong: float  # of the answers given


def measured(rows: object) -> tuple[Measured, ...]:
    """The rows of a model's config.json; nothing for a model without them."""
    found = rows if isinstance(rows, list) else []
    return tuple(Measured(*(float(value) for value in row)) for row in found)


def threshold(own: float, strictness: str | float, risk: Sequence[Row] = ()) -> float:
    """The least confidence for an answer: the model's own, shifted by a word, or what a share or number sets."""
    if not isinstance(strictness, str):
        return float(strictness)
    if strictness.endswith("%"):
        return at_most(float(strictness.rstrip("%")), risk).threshold
    odds = min(max(own, 1e-6), 1 - 1e-6)
    return 1 / (1 + math.exp(-(math.log(odds / (1 - odds)) + SHIFTS[strictness])))


def at_most(percent: float, risk: Sequence[Row]) -> Measured:
    """The lowest measured threshold with no more wrong answers than that, nor above it; the surest where none has.

    >>> at_most(30, measured([[0.1, 20, 50], [0.4, 50, 30], [0.5, 60, 25]])).threshold
    0.4
    """
    if not risk:
        raise SettingsError(
            f"strictness is {percent:g}%: this model's share of wrong answers was never measured. Use lenient, normal, "
            "strict or a number from 0 to 1, or choose a model whose config.json has `risk`"
        )
    rows = [Measured(*row) for row in risk]
    fitting = rows[-1]
    for row in reversed(rows):
        if row.wrong > percent:
            break
        fitting = row
    return fitting
