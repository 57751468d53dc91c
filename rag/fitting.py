"""Weights of witnesses, of the confidence and its threshold, from questions whose answers are known. Pure numpy.

Takes   per question the witnesses of its spans and which of them are right; per asking the features and whether the
        answer was right; optionally weights to stay near.
Gives   named weights as they stand in a model's config.json, thresholds, and how far confidence is from the truth.
Stays   near given weights by a ridge on the standardised differences: with few questions the old weights speak, with
        many the new ones. It is the largest posterior under a normal prior around the old weights.
Source  log-linear combination of experts: Hinton, doi:10.1162/089976602760128018; Platt, Probabilistic outputs for
        support vector machines, 1999; calibration error: Guo et al., arXiv:1706.04599.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rag.rerank import FEATURES, WEIGHTS

ELSEWHERE = ("span", "likeness", "lead", "agreement")  # of FEATURES: what holds in libraries that nobody judged yet
RIDGE = 0.5  # of a fit from nothing
BINS = 10
_FEWEST = 20  # answers from which a share of wrong ones is told from chance

Array = npt.NDArray[np.float64]


def order_weights(
    found: Sequence[tuple[Array, npt.NDArray[np.bool_]]],
    *,
    near: Mapping[str, float] | None = None,
    ridge: float = RIDGE,
) -> dict[str, float]:
    """The weights under which right spans get the largest share, by gradient ascent on the log share.

    found: of each question the witnesses, [spans, 5] in the order of WEIGHTS, and which spans are right, [spans];
    questions without a right or without a wrong span say nothing. Raises ValueError where none says anything.
    """
    found = [(x, good) for x, good in found if len(good) and good.any() and not good.all()]
    if not found:
        raise ValueError("no question has right and wrong spans, so nothing can be weighed")
    scale = np.concatenate([x for x, _ in found]).std(axis=0) + 1e-6
    prior = np.array([(near or {}).get(name, 0.0) for name in WEIGHTS]) * scale
    weights, hold = prior.copy(), ridge / len(found)
    for _ in range(2000):
        slope = hold * (weights - prior)
        for x, good in found:
            chance = softmax(x / scale @ weights)
            among = np.where(good, chance, 0.0)
            slope += ((chance - among / among.sum()) @ (x / scale)) / len(found)
        weights -= 0.5 / (1 + hold) * slope
    return dict(zip(WEIGHTS, (round(float(w), 4) for w in weights / scale), strict=True))


def softmax(worths: Array) -> Array:
    """Shares of 1."""
    powers = np.exp(worths - worths.max())
    result: Array = powers / powers.sum()
    return result


def confidence_weights(
    x: Array,
    good: Array,
    *,
    used: Sequence[str] = FEATURES,
    near: Mapping[str, float] | None = None,
    ridge: float = RIDGE,
) -> dict[str, float]:
    """A logistic regression by Newton's method; x: [askings, features] in the order of FEATURES, of which `used` count.

    >>> x = np.zeros((2, len(FEATURES)))
    >>> x[:, FEATURES.index("span")] = [-1.0, 1.0]
    >>> confidence_weights(x, np.array([0.0, 1.0]))["span"] > 0
    True
    """
    x = x * np.isin(FEATURES, used)
    scale = x.std(axis=0) + 1e-6
    x = np.hstack([x / scale, np.ones((len(x), 1))])
    prior = np.append([(near or {}).get(name, 0.0) for name in FEATURES] * scale, (near or {}).get("bias", 0.0))
    weights = prior.copy()
    hold = ridge * np.diag([1.0] * len(FEATURES) + [0.0])  # the bias is free: how often answers are right is no taste

    def loss(at: Array) -> float:
        signed = np.where(good > 0, x @ at, -(x @ at))
        return float(np.logaddexp(0, -signed).sum() + (at - prior) @ hold @ (at - prior) / 2)

    for _ in range(50):
        chance = 0.5 * (1 + np.tanh(x @ weights / 2))  # the logistic function, without overflow
        slope = x.T @ (chance - good) + hold @ (weights - prior)
        curve = (x * (chance * (1 - chance))[:, None]).T @ x + hold + 1e-9 * np.eye(len(weights))
        step, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-4 and loss(weights - size * step) > loss(
            weights
        ):  # far from the end Newton's steps are too long
            size /= 2
        weights = weights - size * step
    values = [*(weights[:-1] / scale), weights[-1]]
    return {name: round(float(w), 4) for name, w in zip((*FEATURES, "bias"), values, strict=True)}


def calibration_error(said: Array, good: Array, *, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass.

    >>> calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0]), bins=1)
    0.0
    """
    parts = [part for part in np.array_split(np.argsort(said, kind="stable"), bins) if len(part)]
    return float(sum(abs(said[p].mean() - good[p].mean()) * len(p) for p in parts) / len(said))


def least(said: Array, *, refuse: float) -> float:
    """The smallest threshold below which this share of the confidences stays.

    >>> least(np.array([0.1, 0.2, 0.3, 0.4]), refuse=0.5)
    0.25
    """
    return round(float(np.quantile(said, refuse)), 4)


def risks(said: Array, good: Array) -> list[list[float]]:
    """[threshold, share refused, share wrong of what is answered] in percent, for thresholds of 0, 0.05, ... 0.95."""
    rows = []
    for threshold in np.arange(0, 1, 0.05):
        given = said >= threshold
        if given.sum() < _FEWEST:
            break
        wrong = 100 * float((~good[given].astype(bool)).mean())
        rows.append([round(float(threshold), 2), round(100 * float((~given).mean()), 1), round(wrong, 1)])
    return rows
