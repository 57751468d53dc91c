"""The Training page, run by Streamlit's own test runner over a real library; runs are as processes leave them on disk."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from app_pages.course import POINTS, thinned
from rag import files, runs
from rag.gate import Figure, GateReport
from rag.library import Library, Loss
from rag.runs import Asked, Runs
from tests.test_app_review import answer, labels, library, page, press, stocked, words  # noqa: F401 - fixtures

REASON = "the lower end of the gain on held-out questions is -3.1 points"
FIGURES = (
    Figure("held_out", "held-out questions that are right", 40, 50.0, 52.5, 2.5, (-3.1, 8.0), None, False),
    Figure(
        "refusals", "questions without an answer that are refused", 90, 95.0, 85.0, -10.0, (-15.0, -5.0), 5.0, False
    ),
)


@pytest.fixture
def refused(library: Library) -> Path:  # noqa: F811
    """A run that the gate refused."""
    report = GateReport(
        promoted=False, version=None, before=None, candidate="candidate-2", current="base-1", bundle="b", figures=FIGURES,
        reasons=(REASON,), notes=(), changed=({"source": "held", "id": "x", "from": "wrong", "to": "right"},),
        at="2026-11-22T09:00:00+00:00", seconds=9.0,
    )  # fmt: skip
    stages = [
        runs.blank(name) | {"status": "done", "seconds": 200.0, "detail": f"{name} <b>went</b> well"}
        for name in runs.STAGES
    ]
    folder = Runs(library.path).of(1)
    folder.mkdir(parents=True)
    files.write_json(folder / "state.json", {
        "format": 1, "number": 1, "status": "refused", "asked": asdict(Asked("<i>ann</i>")), "pid": 1, "error": None,
        "began": "2026-11-22T08:00:00+00:00", "ended": "2026-11-22T09:00:00+00:00", "outlook": {"judgements": 7, "passages": {"train": 5, "held": 1}},
        "outcome": json.loads(json.dumps(report.as_dict())), "stages": stages,
    })  # fmt: skip
    points = [{"stage": "reader", "step": step, "steps": 3, "loss": 1.0 / step} for step in (1, 2, 3)]
    (folder / "progress.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points), "utf-8")
    return folder


@pytest.mark.slow  # draws the page
def test_a_damaged_pointer_is_told_and_the_way_back_stands_on_the_page(library: Library) -> None:  # noqa: F811
    app = page("training")
    pointer = library.path / "models" / "current.json"
    pointer.parent.mkdir()
    pointer.write_text("{")
    app.run()
    assert "None of these answers: models/current.json cannot be read. Go back to one." in words(app)
    assert "The base answers now" not in words(app)
    press(app, "back-base")
    assert "The base answers from the next question on." in words(app)


def test_without_accepted_judgements_the_page_says_what_to_do_and_cannot_start(library: Library) -> None:  # noqa: F811
    library.rate(answer(library, "How much leave?"), "up")
    app = page("training")
    told = words(app)
    assert "Judgements 0 accepted, of 0 people" in told
    assert "No accepted judgements yet: 1 judgement waits for a review." in told
    assert app.button(key="improve").disabled
    assert "The base answers now" in told
    assert "The model has not been improved here yet." in told
    assert "rag export --bundle training.zip" in app.code[0].value


def test_a_refused_candidate_is_explained_with_every_figure_and_can_be_compared_again(
    library: Library,  # noqa: F811
    refused: Path,
) -> None:
    made = library.rate(answer(library, "How much leave?"), "up")
    library.review(made.id, "accepted")
    app = page("training")
    told = words(app)
    assert f"The candidate was not good enough, so the current model stays: {REASON}." in told
    assert "held-out questions that are right 40 50.0 52.5 +2.5 -3.1 to +8.0 it decides not shown" in told
    assert "questions without an answer that are refused 90 95.0 85.0 -10.0 -15.0 to -5.0 5 lost too much" in told
    assert "Of people’s questions 1 end otherwise: 1 of them right now." in told
    assert "Improvement 1: the current model stays begun 22 Nov 2026, 08:00 by <i>ann</i>" in told  # letters, no markup
    assert "Train a candidate done · train <b>went</b> well · 3 min" in told
    assert "Tune the reader 3 3 1.000 0.333 0.333" in told  # the numbers of its loss curve
    assert "Pairs for the search a better passage" in told
    assert not app.button(key="improve").disabled
    assert {"Improve", "Compare again", "Open"} <= set(labels(app))


def test_an_interrupted_run_offers_to_go_on_and_a_damaged_one_does_not_close_the_page(
    library: Library,  # noqa: F811
    refused: Path,
) -> None:
    state = files.read_json(refused / "state.json")
    files.write_json(refused / "state.json", state | {"status": "running", "outcome": None})
    (refused / "log").write_text("MemoryError\n", "utf-8")
    app = page("training")
    told = words(app)
    assert "Improvement 1: interrupted: its process is gone" in told
    assert "MemoryError" in told
    assert {"Go on", "Start anew"} <= set(labels(app))
    (refused / "state.json").write_text("{", "utf-8")
    assert "Improvement 1: interrupted" in words(page("training"))


def test_a_curve_keeps_its_ends_however_long_it_is() -> None:
    points = [Loss("reader", step, 1000, 1.0) for step in range(1, 1001)]
    drawn = thinned(points)
    assert len(drawn) == POINTS
    assert (drawn[0], drawn[-1]) == (points[0], points[-1])
    assert thinned(points[:5]) == points[:5]
