"""How sure an answer must be."""

from __future__ import annotations

import pytest

from rag.config import Settings
from rag.errors import SettingsError
from rag.risk import at_most, measured, threshold

RISK = measured([[0.0, 0, 60], [0.2, 30, 41], [0.4, 50, 24], [0.6, 65, 26], [0.8, 80, 9]])


def test_strictness_shifts_the_threshold() -> None:
    assert threshold(0.4, "lenient") < threshold(0.4, "normal") < threshold(0.4, "strict") < 1
    assert threshold(0.4, "normal") == pytest.approx(0.4)
    assert threshold(0.4, 0.9) == 0.9
    assert 0 <= threshold(0.0, "lenient") <= threshold(1.0, "strict") <= 1


def test_a_share_of_wrong_answers_takes_the_lowest_threshold_that_keeps_it() -> None:
    assert threshold(0.3, "45%", RISK) == 0.2
    assert threshold(0.3, "10%", RISK) == 0.8


def test_a_threshold_whose_stricter_neighbour_is_worse_is_not_trusted() -> None:
    assert at_most(25, RISK).threshold == 0.8  # 24% at 0.4 is luck where 0.6 has 26%


def test_a_share_that_no_threshold_keeps_takes_the_surest() -> None:
    assert at_most(1, RISK) == RISK[-1]


def test_a_share_needs_a_model_whose_risk_was_measured() -> None:
    with pytest.raises(SettingsError, match=r"strictness is 10%: .* never measured"):
        threshold(0.3, "10%", measured(None))


@pytest.mark.parametrize("value", ["10%", "2.5%"])
def test_a_share_is_a_setting(value: str) -> None:
    assert Settings(strictness=value).strictness == value


@pytest.mark.parametrize("value", ["100%", "-1%", "ten%", "%"])
def test_a_share_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="use lenient, normal, strict, a number from 0 to 1, or 10%"):
        Settings(strictness=value)
