"""How well questions find their passages: pure measures over vectors.

Takes   unit vectors of questions and passages, and which passage answers each question.
Gives   for each question nDCG at 10 and whether its passage is among the first 5; gains of one encoder over another
        with an interval.
Source  nDCG: Järvelin & Kekäläinen, TOIS 2002, doi:10.1145/582415.582418, with one right passage a question. Interval:
        paired bootstrap, Efron & Tibshirani 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
AT_ONCE = 256  # questions compared with all passages at a time: bounds memory
DRAWS = 1000  # of the bootstrap


class Ranked(NamedTuple):
    """Scores question by question."""

    ndcg: Floats  # at 10, 0..1
    found: Floats  # 1 where the passage is among the first 5

    def percent(self) -> dict[str, float]:
        """Means, for people and for JSON."""
        return {
            "ndcg_at_10": round(100 * float(self.ndcg.mean()), 2) if len(self.ndcg) else 0.0,
            "recall_at_5": round(100 * float(self.found.mean()), 2) if len(self.found) else 0.0,
            "questions": len(self.ndcg),
        }


def rank(questions: Floats, passages: Floats, gold: Sequence[int]) -> Ranked:
    """questions: [n, width]; passages: [m, width]; gold: the row of `passages` that answers each question.

    >>> two = np.eye(2, dtype=np.float32)
    >>> rank(two, two, [0, 0]).ndcg.round(2).tolist()
    [1.0, 0.63]
    """
    places = np.empty(len(questions), dtype=np.int64)  # 0 is first
    right = np.asarray(gold, dtype=np.int64)
    for start in range(0, len(questions), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        scores = questions[some] @ passages.T  # [some, m]
        own = scores[np.arange(len(scores)), right[some]]
        places[some] = (scores > own[:, None]).sum(1)
    ndcg = np.where(places < 10, 1 / np.log2(places + 2), 0).astype(np.float32)
    return Ranked(ndcg, (places < 5).astype(np.float32))


def gain(before: Floats, after: Floats, *, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `after - before` and its 90% interval, by paired bootstrap over questions."""
    difference = np.asarray(after, dtype=np.float64) - before
    if not len(difference):
        return 0.0, 0.0, 0.0
    chance = np.random.default_rng(seed)
    drawn = difference[chance.integers(0, len(difference), (DRAWS, len(difference)))].mean(1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    return float(difference.mean()), float(low), float(high)
