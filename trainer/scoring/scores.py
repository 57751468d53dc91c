"""Measures of reading and refusing: pure functions of strings and numbers.

Takes   texts; or arrays with one entry a question: how sure the model was, whether it was right.
Gives   shares from 0 to 1. `right` may be fractional (F1, say) wherever a mean is taken.
Refuses nothing: an empty array gives `nan`, which says that there was nothing to measure.
Source  exact match and F1: Rajpurkar et al., arXiv:1606.05250 (as its script normalises). Risk and coverage:
        El-Yaniv & Wiener, JMLR 11, 2010; for questions Kamath et al., arXiv:2006.09462. Calibration error: Guo et al.,
        arXiv:1706.04599, with bins of equal mass after Nixon et al., arXiv:1904.01685. Intervals: the percentile
        bootstrap, Efron & Tibshirani, 1993; paired for two models, Koehn, EMNLP 2004.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
OVERLAP_FOR_RIGHT = 0.5  # F1 over words at which a span counts as right
BINS = 10  # of a reliability diagram, of equal mass
ROUNDS = 1000  # of the bootstrap

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


# --- one answer -------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Lower-cased words without punctuation and articles.

    >>> plain("The  Cat's pyjamas!")
    'cats pyjamas'
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(said: str, answer: str) -> float:
    """1 where both are the same words."""
    return float(plain(said) == plain(answer))


def word_f1(said: str, answer: str) -> float:
    """Harmonic mean of the shares of words in common; two texts without words agree.

    >>> word_f1("in the year 1900", "1900")
    0.5
    """
    ours, theirs = plain(said).split(), plain(answer).split()
    common = sum((Counter(ours) & Counter(theirs)).values())
    if not common:
        return float(ours == theirs)
    return 2 * common / (len(ours) + len(theirs))


def word_precision(said: str, answer: str) -> float:
    """Share of what was said that the answer says too; 0 for saying nothing.

    >>> word_precision("15 paid days", "Full-time staff get 15 days a year, paid.")
    1.0
    """
    ours, theirs = plain(said).split(), plain(answer).split()
    return sum((Counter(ours) & Counter(theirs)).values()) / len(ours) if ours else 0.0


def best(measure: Callable[[str, str], float], said: str, answers: Sequence[str]) -> float:
    """The measure against the answer that suits best; 0 where there is none.

    >>> best(exact, "1900", ["year 1900", "1900"])
    1.0
    """
    return max((measure(said, answer) for answer in answers), default=0.0)


# --- many answers -----------------------------------------------------------------------------------------------------


def mean(values: Sequence[float] | npt.NDArray[Any]) -> float:
    """The mean, nan of nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def balanced_accuracy(support: Floats, answerable: npt.NDArray[np.bool_], threshold: float) -> float:
    """Mean of two shares: answerable questions answered, unanswerable ones refused. nan where one kind is absent."""
    said = support >= threshold
    return (mean(said[answerable]) + mean(~said[~answerable])) / 2


class RiskCoverage(NamedTuple):
    """What is wrong of the answered, when only the surest are answered: one point a number of answers."""

    coverage: Floats  # share of questions answered, ascending to 1
    risk: Floats  # share of those that is wrong

    @property
    def area(self) -> float:
        """Mean risk over all coverages: 0 is best, the share of wrong answers is what an order by chance gives."""
        return mean(self.risk)

    def coverage_at(self, risk: float) -> float:
        """The largest share that can be answered with at most `risk` wrong; 0 where none can."""
        return float(max(self.coverage[self.risk <= risk], default=0.0))


def risk_coverage(support: Floats, wrong: npt.NDArray[Any]) -> RiskCoverage:
    """The curve. Questions of equal support count as if their order were chance, so no order of rows helps.

    >>> risk_coverage(np.array([0.9, 0.8, 0.1]), np.array([0, 0, 1])).risk.round(2).tolist()
    [0.0, 0.0, 0.33]
    """
    _, place, count = np.unique(-support, return_inverse=True, return_counts=True)
    losses = np.bincount(place, weights=np.asarray(wrong, dtype=float), minlength=len(count))
    expected = (losses / np.maximum(count, 1))[np.sort(place)]
    answered = np.arange(1, len(expected) + 1)
    return RiskCoverage(answered / max(len(expected), 1), np.cumsum(expected) / answered)


class Bin(NamedTuple):
    """Questions of like confidence."""

    confidence: float  # mean of what was claimed
    right: float  # share that was right
    n: int


def reliability(confidence: Floats, right: npt.NDArray[Any], *, bins: int = BINS) -> list[Bin]:
    """Bins of equal mass, least sure first."""
    order = np.argsort(confidence, kind="stable")
    edges = np.unique(np.linspace(0, len(order), bins + 1).round().astype(int))  # of few questions fewer bins
    counts = np.diff(edges)
    if not len(counts):
        return []
    claimed, kept = (
        np.add.reduceat(np.asarray(values, dtype=float)[order], edges[:-1]) / counts for values in (confidence, right)
    )
    return [Bin(*one) for one in zip(claimed.tolist(), kept.tolist(), counts.tolist(), strict=True)]


def calibration_error(found: Sequence[Bin]) -> float:
    """Mean distance between what was claimed and what was right, over the bins of `reliability`.

    >>> calibration_error([Bin(0.9, 0.7, 10), Bin(0.5, 0.5, 10)])
    0.1
    """
    total = sum(one.n for one in found)
    return round(sum(one.n * abs(one.confidence - one.right) for one in found) / total, 10) if total else math.nan


def draws(n: int, *, rounds: int = ROUNDS, seed: int = 0) -> Iterator[Indices]:
    """The bootstrap: `rounds` times n of n questions, drawn with replacement.

    For two models measure their difference on the same draw: then the luck of the questions cancels out.
    """
    chance = np.random.default_rng(seed)
    for _ in range(rounds if n else 0):
        yield chance.integers(0, n, n)


def interval(values: Sequence[float]) -> list[float]:
    """The middle 95% of what was measured on draws; those on which it is nan are left out."""
    known = [value for value in values if not math.isnan(value)]
    return [float(edge) for edge in np.percentile(known, [2.5, 97.5])] if known else [math.nan, math.nan]


def percent(share: float) -> float | None:
    """A share in percent with two decimals; None, null in JSON, where nothing was measured."""
    return None if math.isnan(share) else round(100 * share, 2)
