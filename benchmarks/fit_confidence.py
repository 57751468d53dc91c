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
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import rag
from benchmarks import libraries
from benchmarks.libraries import Question
from rag import prompt
from rag.embed import open_embedder
from rag.generate import SpanSpeaker
from rag.metrics import right
from rag.parts import Parts, open_parts
from rag.read import open_reader
from rag.rerank import FEATURES, WEIGHTS, Alike, Chosen, against, choose, confidence
from rag.retrieve import retrieve
from rag.types import Hit, Reading, Span
from trainer import files
from trainer.formats import checksums

ROOT = Path(__file__).resolve().parent.parent
REFUSE = 0.75  # of the questions that nothing answers
USED = ("span", "likeness", "lead", "agreement")  # of FEATURES: evidence says less where people use other words
RIDGE = 0.5
FOLDS = 10


@dataclass(frozen=True)
class Case:
    """One question asked of one library, with everything the choice of an answer rests on."""

    question: Question
    hits: tuple[Hit, ...]
    reading: Reading
    alike: dict[tuple[int, int, int], Alike]  # by passage id and characters

    def chosen(self, weights: dict[str, float] | None) -> Chosen:
        """The choice under these weights."""
        return choose(self.hits, self.reading, self.compare, weights=weights)

    def compare(self, hits: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
        """What was measured; spans that were not compared then count as unlike."""
        return [self.alike.get((hits[s.passage].passage.id, s.start, s.end), Alike(0.0)) for s in spans]

    def right(self, chosen: Chosen) -> bool:
        """Would the answer be right?"""
        passages = [hit.passage for hit in chosen.hits]
        shares = [span.score for span in chosen.reading.spans]
        spans = [span._replace(score=chosen.reading.evidence[span.passage]) for span in chosen.reading.spans]
        said = SpanSpeaker().compose(self.question.question, spans, passages, shares=shares)
        return bool(said.words) and right(said.words, self.question.answers)


def asked(parts: Parts, questions: Sequence[Question]) -> Iterator[Case]:
    """Ask every question once."""
    assert parts.reader is not None  # opened with one
    for number, question in enumerate(questions, start=1):
        sys.stderr.write(f"\r{number}/{len(questions)} ")
        found = retrieve(question.question, parts=parts, collection=question.collection)
        hits = prompt.fit(question.question, found).hits
        if not hits:
            continue
        reading = parts.reader.read(question.question, [hit.passage for hit in hits])
        alike: dict[tuple[int, int, int], Alike] = {}
        compare = against(question.question, hits, parts.embedder.embed)

        def noted(kept: Sequence[Hit], spans: Sequence[Span]) -> Sequence[Alike]:
            measured = compare(kept, spans)  # noqa: B023 (called before the next question)
            for span, one in zip(spans, measured, strict=True):
                alike[kept[span.passage].passage.id, span.start, span.end] = one  # noqa: B023
            return measured

        choose(hits, reading, noted)
        yield Case(question, hits, reading, alike)
    sys.stderr.write("\n")


# --- the order --------------------------------------------------------------------------------------------------------


def candidates(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Of each compared span the five witnesses, [spans, 5], and whether saying it is right, [spans]."""
    passages = {hit.passage.id: (at, hit) for at, hit in enumerate(case.hits)}
    scores = {(case.hits[s.passage].passage.id, s.start, s.end): s.score for s in case.reading.spans}
    rows, good = [], []
    for key, alike in case.alike.items():
        at, hit = passages[key[0]]
        seen = max(case.reading.evidence[at], 1e-9)
        inside = np.log(max(scores[key], 1e-9)) - np.log(seen)
        rows.append([np.log(seen), inside, hit.score, alike.likeness, alike.coverage])
        said = SpanSpeaker().compose(case.question.question, [Span(0, key[1], key[2], 1.0)], [hit.passage])
        good.append(bool(said.words) and right(said.words, case.question.answers))
    return np.array(rows), np.array(good)


def fit_order(cases: Sequence[Case]) -> dict[str, float]:
    """The weights under which the right spans get the largest share, by gradient ascent on the log share.

    Witnesses are standardised for the fit; a small ridge keeps the weights of a few hundred questions in bounds.
    """
    found = [pair for pair in map(candidates, cases) if pair[1].any() and not pair[1].all()]
    every = np.concatenate([x for x, _ in found])
    scale = every.std(axis=0) + 1e-6
    weights = np.zeros(len(WEIGHTS))
    for _ in range(2000):
        slope = 0.002 * weights
        for x, good in found:
            chance = softmax(x / scale @ weights)
            among = np.where(good, chance, 0.0)
            slope += ((chance - among / among.sum()) @ (x / scale)) / len(found)
        weights -= 0.5 * slope
    return dict(zip(WEIGHTS, (round(float(w), 4) for w in weights / scale), strict=True))


def softmax(worths: np.ndarray) -> np.ndarray:
    """Shares of 1."""
    powers = np.exp(worths - worths.max())
    result: np.ndarray = powers / powers.sum()
    return result


# --- the confidence ---------------------------------------------------------------------------------------------------


def fit(x: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression by Newton's method; x: [rows, features], the bias comes last.

    >>> bool(fit(np.array([[-1.0], [1.0]]), np.array([0.0, 1.0]))[0] > 0)
    True
    """
    scale = x.std(axis=0) + 1e-6
    x = np.hstack([x / scale, np.ones((len(x), 1))])
    weights, ridge = np.zeros(x.shape[1]), RIDGE * np.diag([1.0] * (x.shape[1] - 1) + [0.0])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (chance - good) + ridge @ weights
        curve = (x * (chance * (1 - chance))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return np.append(weights[:-1] / scale, weights[-1])


def named(weights: np.ndarray) -> dict[str, float]:
    """As they stand in a config.json."""
    return {name: round(float(w), 4) for name, w in zip((*FEATURES, "bias"), weights, strict=True)}


def chances(x: np.ndarray, weights: dict[str, float]) -> np.ndarray:
    """How likely each row is right, as the product computes it."""
    return np.array([confidence(tuple(row), 0.0, weights) for row in x])


def calibration_error(said: np.ndarray, good: np.ndarray, *, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass.

    >>> calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0]), bins=1)
    0.0
    """
    parts = [part for part in np.array_split(np.argsort(said, kind="stable"), bins) if len(part)]
    return float(sum(abs(said[p].mean() - good[p].mean()) * len(p) for p in parts) / len(said))


def least(said: np.ndarray, *, refuse: float) -> float:
    """The smallest threshold below which this share of the questions without an answer stays.

    >>> least(np.array([0.1, 0.2, 0.3, 0.4]), refuse=0.5)
    0.25
    """
    return round(float(np.quantile(said, refuse)), 4)


def risks(said: np.ndarray, good: np.ndarray) -> list[list[float]]:
    """[threshold, share refused, share wrong of what is answered] in percent, for thresholds of 0, 0.05, ... 0.95."""
    rows = []
    for threshold in np.arange(0, 1, 0.05):
        given = said >= threshold
        if given.sum() < 20:  # too few to tell a share from chance
            break
        wrong = 100 * float((~good[given].astype(bool)).mean())
        rows.append([round(float(threshold), 2), round(100 * float((~given).mean()), 1), round(wrong, 1)])
    return rows


# --- the whole --------------------------------------------------------------------------------------------------------


def cases(index: Path, model: Path, questions: Sequence[Question]) -> list[Case]:
    """Ask a library's questions with a model."""
    settings = rag.Settings(model=model)
    parts = open_parts(index, settings, open_embedder(settings))
    parts.reader = open_reader(model)
    try:
        return list(asked(parts, questions))
    finally:
        parts.close()


def side_by_side(asked: Sequence[tuple[Path, Sequence[Question]]], model: Path) -> list[list[Case]]:
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
    parser.add_argument("--every", type=int, default=1, help="ask each n-th question only, to try it out")
    given = parser.parse_args()
    without, complete = made(given.rows, given.index)
    questions = libraries.questions(libraries.rows_of(given.rows)[1])[:: given.every]
    unanswered = [question._replace(answers=()) for question in questions]
    removed, present = side_by_side([(without, unanswered), (complete, questions)], given.model)
    result = fitted(present, removed)
    path = given.model / "config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    config |= result
    files.write_json(path, config)
    checksums.write(given.model)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def fitted(present: Sequence[Case], removed: Sequence[Case]) -> dict[str, Any]:
    """Weights, threshold and risk of one model; figures are of ten-fold cross-validation over questions."""
    order = fit_order(present)
    both = [*present, *removed]
    chosen = [case.chosen(order) for case in both]
    kept = [at for at, one in enumerate(chosen) if one.features]
    x = np.array([chosen[at].features for at in kept]) * np.isin(FEATURES, USED)
    good = np.array([both[at].right(chosen[at]) for at in kept], dtype=float)
    lost = np.array([not both[at].question.answers for at in kept])
    fold = np.array([sum(map(ord, both[at].question.question)) % FOLDS for at in kept])  # both askings in one fold
    said = np.zeros(len(x))
    for k in range(FOLDS):
        if (fold == k).any():
            said[fold == k] = chances(x[fold == k], named(fit(x[fold != k], good[fold != k])))
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
        "confidence": named(fit(x, good)),
        "answer_threshold": threshold,
        "risk": risks(said, good),
        "confidence_fit": {"how": how, **figures},
    }


if __name__ == "__main__":
    main()
