"""What was measured of a model is kept, and asked again as soon as anything could have changed it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag import gate, outcomes, probes, probing
from rag.parts import Parts
from rag.probing import Asked, Outcomes
from tests.miniature import OverlapReader, WordCounts, small_library

FEW = [
    one for one in probes.sample(probes.probes(), 50) if one.kind in ("harmless", "harmful", "unanswerable", "people")
]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """An open library; few probes are asked about few papers, and one general question."""
    general = {"id": "g1", "question": "What is kept?", "sources": [["", "Outcomes are kept."]], "spans": [[0, 8]]}
    monkeypatch.setattr(probes, "probes", lambda: FEW)
    monkeypatch.setattr(probing, "papers", lambda: probes.papers()[:2])
    monkeypatch.setattr(gate, "general_rows", lambda: [general])
    with small_library(tmp_path / "index") as library:
        assert library._opened
        yield library._opened


def model(name: str) -> Asked:
    return Asked(OverlapReader(name), WordCounts())


def told_by(parts: Parts, *models: Asked) -> tuple[list[Outcomes], set[str]]:
    """What was measured, and which models were asked for it."""
    asked: set[str] = set()
    return gate._measured(parts, models, False, lambda what, *_: asked.add(what.split(", ")[1])), asked


def test_the_model_that_answers_is_asked_once_and_each_candidate_after_it_alone(parts: Parts) -> None:
    first, asked = told_by(parts, model("current"), model("one"))
    assert asked == {"current", "one"}
    second, asked = told_by(parts, model("current"), model("two"))
    assert asked == {"two"}
    assert second[0] == first[0]
    assert set(first[0].rows) >= {"general", "harmful", "bias", "refusals"}


def test_another_strictness_asks_again(parts: Parts) -> None:
    told_by(parts, model("current"))
    stricter = replace(parts, settings=parts.settings.but(strictness="strict"))
    assert told_by(stricter, model("current"))[1] == {"current"}
    assert told_by(parts, model("current"))[1] == set()


def test_what_was_measured_by_another_release_is_not_taken(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes.keep(parts, model("current"), Outcomes({"facts": {"p": 1.0}}))
    assert outcomes.load(parts, model("current")) == Outcomes({"facts": {"p": 1.0}})
    monkeypatch.setattr(outcomes, "_release", lambda: "another")
    assert outcomes.load(parts, model("current")) is None


def test_a_damaged_file_is_no_fault_and_only_the_last_few_models_stay(parts: Parts) -> None:
    file = parts.folder / "models" / outcomes.FILE
    file.parent.mkdir()
    file.write_text("{")
    for number in range(outcomes.KEPT + 1):
        outcomes.keep(parts, model(str(number)), Outcomes({"facts": {"p": float(number)}}))
    assert outcomes.load(parts, model("0")) is None
    assert outcomes.load(parts, model("1")) == Outcomes({"facts": {"p": 1.0}})


def test_a_quick_look_neither_takes_nor_keeps(parts: Parts) -> None:
    gate._measured(parts, [model("current")], True, None)
    assert outcomes.load(parts, model("current")) is None
