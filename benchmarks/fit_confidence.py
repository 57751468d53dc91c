"""Fit a model's confidence on questions outside the stated sixty: `python -m benchmarks.fit_confidence --model DIR`.

Takes   an index of the handbooks and filings, and their question files minus the sixty that results are stated on, with
        the example handbook's questions; everything is answered (strictness 0), so each answer shows right or wrong.
Gives   the weights of `rag/rerank.py` in the model's config.json, by logistic regression with a small ridge, and the
        threshold 0.5: above it an answer is more likely right than wrong. Prints what ten-fold cross-validation gives.
Source  Platt, Probabilistic outputs for support vector machines, 1999.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import rag
from benchmarks.answers import ROOT, question_sets, sixty, spread
from rag.evaluate import evaluate
from rag.rerank import FEATURES
from trainer import files
from trainer.formats import checksums

RIDGE = 0.5
ANSWERABLE, UNANSWERABLE = 75, 25  # of each handbook


def fit(x: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression by Newton's method; x: [rows, features], the bias comes last.

    >>> bool(fit(np.array([[-1.0], [1.0]]), np.array([0.0, 1.0]))[0] > 0)
    True
    """
    x = np.hstack([x, np.ones((len(x), 1))])
    weights, ridge = np.zeros(x.shape[1]), RIDGE * np.diag([1.0] * (x.shape[1] - 1) + [0.0])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (chance - right) + ridge @ weights
        curve = (x * (chance * (1 - chance))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def chances(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How likely each row is right."""
    result: np.ndarray = 1 / (1 + np.exp(-(x @ weights[:-1] + weights[-1])))
    return result


def development(data: Path) -> list[dict[str, Any]]:
    """Questions on which nothing is reported: the handbooks' files without the sixty."""
    sets = question_sets(data)
    stated = {row["question"] for row in sixty(sets)}
    chosen: list[dict[str, Any]] = []
    for name in ("18F", "sourcegraph"):
        rows = [row for row in sets[name] if row["question"] not in stated]
        chosen += spread([row for row in rows if row.get("answerable", True)], ANSWERABLE)
        chosen += spread([row for row in rows if not row.get("answerable", True)], UNANSWERABLE)
    return chosen


def main() -> None:
    """Ask, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-documents")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "base")
    given = parser.parse_args()
    with rag.open(given.index, rag.Settings(model=given.model, strictness=0.0)) as library:
        rows = development(given.data)
        told = evaluate(library, rows, progress=lambda done, total: sys.stderr.write(f"\r{done}/{total} ")).rows
        seen = [(library.audited(row["answer_id"]), row["outcome"] == "right") for row in told]
    x = np.array([payload["features"] for payload, _ in seen])
    right = np.array([good for _, good in seen], dtype=float)
    fold = np.arange(len(x)) % 10
    held = np.concatenate([chances(x[fold == k], fit(x[fold != k], right[fold != k])) for k in range(10)])
    good = np.concatenate([right[fold == k] for k in range(10)]) > 0
    said = held >= 0.5
    weights = fit(x, right)
    share = {"right": float((said & good).mean()), "wrong": float((said & ~good).mean())}
    how = (
        f"Fitted on {len(x)} handbook questions, none of the sixty; ten-fold cross-validation there gives "
        f"{100 * share['right']:.0f}% right, {100 * share['wrong']:.0f}% wrong, all else refused."
    )
    path = given.model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["confidence"] = {name: round(float(w), 4) for name, w in zip((*FEATURES, "bias"), weights, strict=True)}
    config["confidence_fit"] = {"how": how, "rows": len(x), **share}
    config["threshold"] = 0.5
    files.write_json(path, config)
    checksums.write(given.model)
    sys.stdout.write(json.dumps({**share, "weights": config["confidence"]}) + "\n")


if __name__ == "__main__":
    main()
