"""Weights come from what was right, and stay where they were for want of questions."""

from __future__ import annotations

import numpy as np
import pytest

from rag.fitting import calibration_error, confidence_weights, least, order_weights, risks
from rag.rerank import FEATURES, WEIGHTS, confidence

LIKENESS = list(WEIGHTS).index("likeness")
Question = tuple[np.ndarray, np.ndarray]


def questions(count: int, *, decides: int = LIKENESS) -> list[Question]:
    """Four spans each; the right one stands highest in one witness, all others are noise."""
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        x = chance.normal(size=(4, len(WEIGHTS)))
        good = np.arange(4) == x[:, decides].argmax()
        found.append((x, good))
    return found


def test_the_witness_that_is_right_gets_the_weight() -> None:
    weights = order_weights(questions(30))
    assert max(weights, key=lambda name: weights[name]) == "likeness"
    assert weights["likeness"] > 5 * max(abs(w) for name, w in weights.items() if name != "likeness")


def test_few_questions_leave_given_weights_almost_where_they_were() -> None:
    given = dict.fromkeys(WEIGHTS, 1.0)
    few = order_weights(questions(2), near=given, ridge=10.0)
    many = order_weights(questions(60), near=given, ridge=10.0)
    assert max(abs(few[name] - 1) for name in WEIGHTS) < 0.3
    assert many["likeness"] > few["likeness"] + 0.5


def test_questions_that_say_nothing_are_no_questions() -> None:
    x, _ = questions(1)[0]
    with pytest.raises(ValueError, match="nothing can be weighed"):
        order_weights([(x, np.zeros(4, dtype=bool)), (x, np.ones(4, dtype=bool))])


def askings(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Right as often as a logistic function of `span` says."""
    chance = np.random.default_rng(1)
    x = chance.normal(size=(count, len(FEATURES)))
    good = (chance.random(count) < 1 / (1 + np.exp(-2 * x[:, FEATURES.index("span")] + 1))).astype(float)
    return x, good


def test_confidence_is_as_often_right_as_it_says() -> None:
    x, good = askings(4000)
    weights = confidence_weights(x, good)
    said = np.array([confidence(tuple(row), 0.0, weights) for row in x])
    assert weights["span"] == pytest.approx(2, abs=0.2)
    assert calibration_error(said, good) < 0.03
    assert abs(said.mean() - good.mean()) < 0.01


def test_features_that_are_not_used_weigh_nothing() -> None:
    x, good = askings(300)
    weights = confidence_weights(x, good, used=("likeness",))
    assert weights["span"] == 0
    assert weights["bias"] != 0


def test_given_confidence_holds_against_few_askings_but_not_against_many() -> None:
    given = {**dict.fromkeys(FEATURES, 0.0), "span": -3.0, "bias": 0.0}
    few = confidence_weights(*askings(5), near=given, ridge=10.0)
    many = confidence_weights(*askings(3000), near=given, ridge=10.0)
    assert few["span"] < -1.5
    assert many["span"] > 1.5


def test_a_threshold_refuses_the_share_that_was_asked_for() -> None:
    said = np.linspace(0, 1, 101)
    assert (said < least(said, refuse=0.8)).mean() == pytest.approx(0.8, abs=0.01)


def test_risk_falls_as_the_threshold_rises_and_ends_where_few_answers_are_left() -> None:
    said = np.linspace(0, 1, 200)
    rows = risks(said, (np.random.default_rng(2).random(200) < said).astype(float))
    assert [row[0] for row in rows][:2] == [0.0, 0.05]
    assert rows[0][1] == 0
    assert rows[0][2] > rows[10][2] > rows[-1][2]
    assert (said >= rows[-1][0]).sum() >= 20 > (said >= rows[-1][0] + 0.05).sum()
