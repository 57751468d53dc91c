"""A candidate is calibrated on what people judged in this very library, with and without what answers."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag
from rag import calibrate
from rag.calibrate import FEWEST, Known
from rag.config import Settings
from rag.errors import TooFew
from rag.library import Library
from rag.metrics import stands
from rag.rerank import FEATURES

THINGS = [f"{size} {thing}" for size in ("small", "large", "old") for thing in
          ("table", "chair", "lamp", "shelf", "screen", "phone", "bottle", "carpet", "mirror", "basket", "ladder", "clock")]  # fmt: skip


@pytest.fixture(scope="module")
def library(untrained_reader: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Prices of things, a document each."""
    folder = tmp_path_factory.mktemp("prices")
    with rag.open(folder / "index", Settings(index=folder / "index", model=untrained_reader)) as opened:
        (folder / "papers").mkdir()
        for number, thing in enumerate(THINGS):
            text = f"# The {thing}\n\nWhoever buys the {thing} pays {100 + number} euros for it.\n"
            (folder / "papers" / f"{thing.replace(' ', '-')}.md").write_text(text, "utf-8")
        opened.add(folder / "papers")
        yield opened


@pytest.fixture
def candidate(untrained_reader: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "candidate"
    shutil.copytree(untrained_reader, folder)
    return folder


def known(count: int) -> list[Known]:
    asked = [Known(f"How much is the {thing}?", (f"{100 + n} euros",)) for n, thing in enumerate(THINGS[:count])]
    return [*asked, Known("Who waters the plants?", ())]


def test_a_question_is_asked_again_without_what_answers_it(library: Library) -> None:
    parts = library._model_parts()
    question = known(1)[0]
    there, gone = (calibrate.ask(parts, question, without=without) for without in (False, True))
    assert there is not None
    assert gone is not None
    assert any(stands(question.answers, hit.passage.text) for hit in there.hits)
    assert not any(stands(question.answers, hit.passage.text) for hit in gone.hits)
    assert gone.question.answers == ()
    right = there.witnesses()[1]
    assert right.any()
    assert not right.all()
    assert not gone.witnesses()[1].any()


def test_too_few_questions_change_nothing(library: Library, candidate: Path) -> None:
    with pytest.raises(TooFew, match=f"{FEWEST - 1} judged questions with an answer; {FEWEST} are needed"):
        calibrate.calibrate(library._model_parts(), candidate, known(FEWEST - 1))


@pytest.mark.slow  # a hundred and thirty readings
def test_a_calibrated_candidate_refuses_no_less_and_stays_whole(library: Library, candidate: Path) -> None:
    seen: list[tuple[int, int]] = []
    parts = library._model_parts()
    told = calibrate.calibrate(parts, candidate, known(FEWEST), progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (3 * (FEWEST + 1), 3 * (FEWEST + 1))
    assert "order" not in told, "that stays as it was"
    assert set(told["confidence"]) == {*FEATURES, "bias"}
    assert 0 <= told["answer_threshold"] <= 1

    calibrate.write(candidate, told)
    config = json.loads((candidate / "config.json").read_text("utf-8"))
    assert config["confidence"] == told["confidence"]
    assert config["kind"] == "encoder", "what was there stays"
    for line in (candidate / "SHA256SUMS").read_text("utf-8").splitlines():
        value, name = line.split("  ")
        assert hashlib.sha256((candidate / name).read_bytes()).hexdigest() == value

    before = calibrate._refused(parts, list(calibrate.lost(parts, known(FEWEST))))
    after = calibrate.with_model(parts, candidate)
    assert calibrate._refused(after, list(calibrate.lost(after, known(FEWEST)))) >= before - 0.1


def test_rows_of_a_bundle_become_questions_with_the_words_that_answer() -> None:
    rows = [
        {"question": "How long?", "sources": [["Leave", "It is 27 days."]], "spans": [[6, 13]]},
        {"question": "How long?", "sources": [["Leave", "It is 27 days."]], "spans": [[6, 13]]},
        {"question": "Why?", "sources": [["Leave", "It is 27 days."]], "spans": []},
    ]
    assert calibrate.known_of(rows) == [Known("How long?", ("27 days",)), Known("Why?", ())]
