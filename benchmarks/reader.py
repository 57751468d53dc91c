"""How well does the reader read? `make bench-reader`, or `python -m benchmarks.reader --data FOLDER [--model FOLDER]`.

Takes   qa/eval of the data folder, which no training row shares thirteen words in a row with.
Gives   what `trainer evaluate` measures there: exact match and F1 on new_wiki (the gold passage alone is read, as SQuAD
        does, under its article's title), the right passage among five (one gold, four that BM25 confuses with it) for
        every question beside the bi-encoder of the embedder alone; on long_answers_and_refusals the balanced accuracy
        of answering at the threshold stored in the model folder, with the areas under its risk-coverage curves. The
        last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.record import record
from trainer.evaluate import EvaluateConfig, score_file
from trainer.scoring.opening import open_model

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--limit", type=int, default=0, help="read only so many questions of each file")
    given = parser.parse_args()
    opened, folder = open_model(given.model), given.data / "qa" / "eval"
    every = EvaluateConfig(evidence_questions=1_000_000)
    wiki = score_file(opened, folder / "new_wiki.jsonl.xz", every, limit=given.limit)
    refusing = score_file(opened, folder / "long_answers_and_refusals.jsonl.xz", every, limit=given.limit)
    result = {
        "new_wiki_exact_match": wiki["em"],
        "new_wiki_f1": wiki["f1"],
        "evidence_of_5": wiki["evidence"]["reader"],
        "evidence_of_5_embedder": wiki["evidence"]["embedder"],
        "refusal_balanced_accuracy": refusing["balanced_accuracy"],
        "risk_coverage_area": refusing["auc_risk_coverage_refusals"],
        "risk_coverage_area_answers": refusing["auc_risk_coverage"],
        "rows": wiki["n"],
        "threshold": opened.threshold,
        "questions_per_second": wiki["speed"]["questions_per_second"],
    }
    if not given.limit:
        record("reader", result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
