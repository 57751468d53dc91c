"""Pure measures of answers and of retrieval.

Takes   strings, lists and counts.
Gives   numbers from 0 to 1; nothing here reads a file or asks a model.
Source  exact match and F1: Rajpurkar et al., EMNLP 2016, arXiv:1606.05250. Intervals: Wilson, JASA 22, 1927; paired
        bootstrap: Efron & Tibshirani 1993, section 13.3.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rag.units import LIST, kind_of

Alternative = str | Sequence[str]  # a string, or several that must all occur
WORDS = 60  # an answer's prose may not be longer and still be right

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain(text: str) -> str:
    """For comparison: one form of letters, dashes, quotation marks and spaces, no capitals."""
    text = unicodedata.normalize("NFKC", text)
    text = text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2010: "-", 0x2011: "-", 0x2013: "-"})
    return " ".join(text.casefold().split())


def occurs(phrase: str, text: str) -> bool:
    """Does the phrase stand in the text as whole words? Capitals and the kind of dash do not matter."""
    wanted = plain(phrase)
    if not wanted:
        return False
    left = r"(?<!\w)" if wanted[0].isalnum() or wanted[0] == "_" else ""
    right = r"(?!\w)" if wanted[-1].isalnum() or wanted[-1] == "_" else ""
    return re.search(left + re.escape(wanted) + right, plain(text)) is not None


def stands(alternatives: Sequence[Alternative], text: str) -> bool:
    """Does one alternative stand in the text, however long that is?

    >>> stands(["27 days"], "Leave is 27 days."), stands([["27", "days"]], "Leave is 27.")
    (True, False)
    """
    return any(
        occurs(one, text) if isinstance(one, str) else bool(one) and all(occurs(part, text) for part in one)
        for one in alternatives
    )


def right(answer: str, alternatives: Sequence[Alternative]) -> bool:
    """Does one alternative stand in the answer, whose prose has at most 60 words (lists and steps do not count)?"""
    prose = [line for line in answer.split("\n") if kind_of(line) != LIST]
    if sum(len(line.split()) for line in prose) > WORDS:
        return False
    return stands(alternatives, answer)


def _bag(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def exact(answer: str, gold: str) -> float:
    """1 where both say the same words, apart from case, punctuation and articles."""
    return float(_bag(answer) == _bag(gold))


def f1(answer: str, gold: str) -> float:
    """Harmonic mean of the shares of shared words; two empty texts agree."""
    mine, theirs = _bag(answer), _bag(gold)
    if not mine or not theirs:
        return float(mine == theirs)
    shared = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * shared / (len(mine) + len(theirs))


def same_document(name: str, wanted: str) -> bool:
    """Is `wanted`, a name or the end of its path, this document?"""
    name, wanted = name.replace("\\", "/").strip("/"), wanted.replace("\\", "/").strip("/")
    return name == wanted or name.endswith("/" + wanted) or wanted.endswith("/" + name)


def recall(found: Sequence[str], wanted: Sequence[str], k: int) -> float:
    """1 where one of the wanted documents is among the first k found. Question files name alternatives, not a set."""
    return float(any(same_document(name, one) for name in found[:k] for one in wanted))


def percent(part: float, whole: float) -> float:
    """`part` of `whole` in percent, one decimal; 0 of nothing."""
    return round(100 * part / whole, 1) if whole else 0.0


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval that holds the true share with 95% confidence; (0, 1) where nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def paired_interval(
    before: Sequence[float], after: Sequence[float], *, resamples: int = 4000, seed: int = 0
) -> tuple[float, float]:
    """The interval of the mean gain that holds the true one with 95% confidence: the same questions, asked twice.

    Questions are drawn with replacement; (0, 0) of nothing. Where no question changed, the interval is as narrow as
    that is certain: a gain of 0 and nothing else was seen.
    """
    gains = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)  # [n]
    if not len(gains):
        return 0.0, 0.0
    drawn = np.random.default_rng(seed)
    values, counts = np.unique(gains, return_counts=True)
    means = drawn.multinomial(len(gains), counts / len(gains), size=resamples) @ values / len(gains)  # [resamples]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
