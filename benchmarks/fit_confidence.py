"""Fit how a model's witnesses are weighed, and how sure it may be: `python -m benchmarks.fit_confidence --model DIR`.

    dev questions ─► library without their texts ─┬─► order: softmax over spans (texts there)
                  └► the same library with them ──┴─► confidence: logistic regression (both) ─► threshold, risk

Takes   reading rows whose dev questions taught the model nothing (`trainer rows`), and a model folder.
Gives   in the model's config.json: `order` and `confidence` (the weights of `rag/rerank.py`), `answer_threshold`, the
        least confidence at which REFUSE of the questions without an answer are refused, and `risk`: what each threshold
        refuses and how much of what is then answered is wrong. Prints the same; no evaluation set was seen.
Why     each question is asked of two real libraries, with and without the text that answers it, so that the confidence
        is that of the shown answer, retrieval included.
Source  Platt, Probabilistic outputs for support vector machines, 1999; calibration error: Guo et al., arXiv:1706.04599.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import rag
from benchmarks import libraries
from rag import calibrate
from rag.calibrate import Case, Known
from rag.embed import open_embedder
from rag.fitting import ELSEWHERE, calibration_error, confidence_weights, least, order_weights, risks
from rag.parts import open_parts
from rag.read import open_reader
from rag.rerank import confidence

ROOT = Path(__file__).resolve().parent.parent
REFUSE = 0.75  # of the questions that nothing answers
FOLDS = 10


def cases(index: Path, model: Path, questions: Sequence[Known]) -> list[Case]:
    """Ask a library's questions with a model."""
    settings = rag.Settings(model=model)
    parts = open_parts(index, settings, open_embedder(settings))
    parts.reader = open_reader(model)
    try:
        return list(told(calibrate.ask(parts, question) for question in questions))
    finally:
        parts.close()


def told(found: Iterator[Case | None]) -> Iterator[Case]:
    """Those with hits, counted on the screen."""
    for number, case in enumerate(found, start=1):
        sys.stderr.write(f"\r{number} ")
        if case is not None:
            yield case
    sys.stderr.write("\n")


def side_by_side(asked: Sequence[tuple[Path, Sequence[Known]]], model: Path) -> list[list[Case]]:
    """The same for several libraries or lists of questions, each in a process of its own."""
    with ProcessPoolExecutor(len(asked), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(cases, index, model, questions) for index, questions in asked]
        return [done.result() for done in waiting]


def made(rows: Path, folder: Path) -> tuple[Path, Path]:
    """The two libraries, made where they are missing: without the dev questions' texts, and with them."""
    without, complete = folder / "without", folder / "with"
    train, dev = libraries.rows_of(rows)
    held = frozenset(row.sources[0][1] for row in dev)
    if not without.is_dir():
        part = without.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        with tempfile.TemporaryDirectory() as aside, rag.open(part) as library:
            libraries.fill(library, libraries.documents(train, without=held), Path(aside))
        part.rename(without)
    if not complete.is_dir():
        part = complete.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(without, part)
        human = [row for row in dev if row.domain in libraries.HUMAN]
        with tempfile.TemporaryDirectory() as aside, rag.open(part) as library:
            libraries.fill(library, libraries.documents(human), Path(aside))
        part.rename(complete)
    return without, complete


def main() -> None:
    """Ask, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "changed" / "rows")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-calibration")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--data", type=Path, help="not needed: the rows hold their texts; `make` names it")
    parser.add_argument("--every", type=int, default=1, help="ask each n-th question only, to try it out")
    given = parser.parse_args()
    without, complete = made(given.rows, given.index)
    questions = libraries.questions(libraries.rows_of(given.rows)[1])[:: given.every]
    unanswered = [question._replace(answers=()) for question in questions]
    removed, present = side_by_side([(without, unanswered), (complete, questions)], given.model)
    result = fitted(present, removed)
    calibrate.write(given.model, result)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def fitted(present: Sequence[Case], removed: Sequence[Case]) -> dict[str, Any]:
    """Weights, threshold and risk of one model; figures are of ten-fold cross-validation over questions."""
    order = order_weights([case.witnesses() for case in present])
    both = [*present, *removed]
    chosen = [case.chosen(order) for case in both]
    kept = [at for at, one in enumerate(chosen) if one.features]
    x = np.array([chosen[at].features for at in kept])
    good = np.array([both[at].right(chosen[at]) for at in kept], dtype=float)
    lost = np.array([not both[at].question.answers for at in kept])
    fold = np.array([sum(map(ord, both[at].question.question)) % FOLDS for at in kept])  # both askings in one fold
    said = np.zeros(len(x))
    for k in range(FOLDS):
        if (fold == k).any():
            weights = confidence_weights(x[fold != k], good[fold != k], used=ELSEWHERE)
            said[fold == k] = [confidence(tuple(row), 0.0, weights) for row in x[fold == k]]
    threshold = least(said[lost], refuse=REFUSE)
    given = said >= threshold
    figures = {
        "questions": len(x),
        "right": 100 * float((given & (good > 0) & ~lost).sum() / (~lost).sum()),
        "wrong": 100 * float((given & (good == 0) & ~lost).sum() / (~lost).sum()),
        "removed_refused": 100 * float((~given & lost).sum() / lost.sum()),
        "right_without_refusing": 100 * float(good[~lost].mean()),
        "calibration_error": 100 * calibration_error(said, good),
    }
    figures = {name: round(value, 1) for name, value in figures.items()}
    how = (
        f"Fitted on {figures['questions']} askings of held-out human questions in real libraries, half of them without "
        f"the text that answers; ten-fold cross-validation there: {figures['right']}% of the answerable right, "
        f"{figures['wrong']}% wrong, {figures['removed_refused']}% of the others refused, "
        f"calibration error {figures['calibration_error']}%."
    )
    return {
        "order": order,
        "confidence": confidence_weights(x, good, used=ELSEWHERE),
        "answer_threshold": threshold,
        "risk": risks(said, good),
        "confidence_fit": {"how": how, **figures},
    }


if __name__ == "__main__":
    main()
