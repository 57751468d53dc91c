"""Is an answer that claims 70% right in 70%? `make bench-calibration`, or `python -m benchmarks.calibration`.

Takes   qa/eval/new_wiki of the data folder (1,275 human questions that taught nothing and fitted nothing), the library
        that `fit_confidence.py` leaves, and a model whose confidence was fitted.
Gives   the questions asked of a real library: half of their articles' passages stand in it among the texts of that
        other library, half do not. Expected calibration error over ten bins of equal mass with a 95% interval by
        bootstrap over questions, the bins, and right, wrong and refused at the model's threshold; the last line is one
        JSON object.
Source  Guo et al., On calibration of modern neural networks, arXiv:1706.04599.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import rag
from benchmarks import fit_confidence, libraries
from benchmarks.fit_confidence import ROOT
from benchmarks.libraries import Text
from benchmarks.record import record
from rag.calibrate import Known
from rag.fitting import calibration_error
from rag.read import open_reader
from rag.rerank import confidence
from trainer import jsonl

BINS = 10
DRAWS = 1000


def kept(context: str) -> bool:
    """Whether a passage stands in the library."""
    return zlib.crc32(context.encode()) % 2 == 0


def library(rows: list[dict[str, Any]], without: Path, folder: Path) -> Path:
    """The library, made where it is missing: the other texts, and half of the passages, an article a document."""
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(without, part)
        articles: dict[str, dict[str, None]] = defaultdict(dict)
        for row in rows:
            if kept(row["context"]):
                articles[row["title"]][row["context"]] = None
        texts = (Text("articles", f"{title}.md", "\n\n".join(parts)) for title, parts in articles.items())
        with tempfile.TemporaryDirectory() as aside, rag.open(part) as opened:
            libraries.fill(opened, texts, Path(aside))
        part.rename(folder)
    return folder


def interval(said: np.ndarray, good: np.ndarray) -> tuple[float, float]:
    """Between what 95% of the draws of as many questions lie. An error is never below 0, so the interval leans up."""
    chance = np.random.default_rng(0)
    draws = [chance.integers(0, len(said), len(said)) for _ in range(DRAWS)]
    errors = [calibration_error(said[draw], good[draw], bins=BINS) for draw in draws]
    low, high = np.quantile(errors, (0.025, 0.975))
    return round(100 * float(low), 1), round(100 * float(high), 1)


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "changed" / "rows")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-calibration")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--every", type=int, default=1, help="ask each n-th question only, to try it out")
    given = parser.parse_args()
    rows = list(jsonl.objects(given.data / "qa" / "eval" / "new_wiki.jsonl.xz"))
    without, _ = fit_confidence.made(given.rows, given.index)
    index = library(rows, without, given.index / "articles")
    questions = [
        Known(row["question"], tuple(a["text"] for a in row["answers"]) if kept(row["context"]) else (), None)
        for row in rows[:: given.every]
    ]
    reader = open_reader(given.model)
    halves = [(index, questions[::2]), (index, questions[1::2])]
    cases = [case for part in fit_confidence.side_by_side(halves, given.model) for case in part]
    chosen = [case.chosen(dict(reader.order or {}) or None) for case in cases]
    told = [(case, one) for case, one in zip(cases, chosen, strict=True) if one.features]
    said = np.array([confidence(one.features, 0.0, reader.confidence) for _, one in told])
    good = np.array([case.right(one) for case, one in told], dtype=float)
    there = np.array([bool(case.question.answers) for case, _ in told])
    shown = said >= reader.threshold
    parts = np.array_split(np.argsort(said, kind="stable"), BINS)
    result: dict[str, Any] = {
        "calibration_error": round(100 * calibration_error(said, good, bins=BINS), 1),
        "interval": interval(said, good),
        "questions": len(said),
        "bins": [[round(100 * float(x[part].mean()), 1) for x in (said, good)] for part in parts],  # claimed, right
        "right": round(100 * float((shown & (good > 0))[there].mean()), 1),
        "wrong": round(100 * float((shown & (good == 0))[there].mean()), 1),
        "unanswerable_refused": round(100 * float((~shown)[~there].mean()), 1),
        "model": reader.name,
    }
    if given.every == 1:
        record("calibration", result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
