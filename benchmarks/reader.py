"""How well does the reader read? `make bench-reader`, or `python -m benchmarks.reader --data FOLDER [--model FOLDER]`.

Takes   qa/eval of the data folder, which no training row shares thirteen words in a row with.
Gives   exact match and F1 on new_wiki (the gold passage alone is read, as SQuAD does), the right passage among five
        (one gold, four that BM25 confuses with it) beside the bi-encoder of the embedder alone, and on
        long_answers_and_refusals the balanced accuracy of answering at the threshold stored in the model folder, with
        the area under its risk-coverage curve. The last line is one JSON object.
Source  F1 after SQuAD (arXiv:1606.05250); risk-coverage: El-Yaniv & Wiener, JMLR 2010.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.record import record
from trainer.chat import Source
from trainer.evaluate import f1, open_folder, plain
from trainer.reading import SourceReader
from trainer.rows import Example, ReadingRow, read_jsonl, with_near_misses

ROOT = Path(__file__).resolve().parent.parent


def whole_examples(path: Path) -> Iterator[Example]:
    """The rows of a question file with their contexts uncut."""
    for raw in read_jsonl(path):
        spans = tuple((a["start"], a["start"] + len(a["text"])) for a in raw["answers"])  # type: ignore[attr-defined]
        yield Example(str(raw["question"]), "", str(raw["context"]), spans, "new_wiki", str(raw["licence"]))


def spans(reader: SourceReader, rows: list[ReadingRow]) -> tuple[float, float]:
    """Exact match and F1 in percent, the gold passage alone being read."""
    exact, overlap = [], []
    for row in progress(rows, "spans"):
        heading, text = row.sources[0]
        _, _, found = reader.read(row.question, [Source(heading, text)])
        said = text[found[0].start : found[0].end] if found else ""
        answers = [text[start:end] for start, end in row.spans]
        exact.append(max(float(plain(said) == plain(answer)) for answer in answers))
        overlap.append(max(f1(said, answer) for answer in answers))
    return 100 * float(np.mean(exact)), 100 * float(np.mean(overlap))


def evidence(reader: SourceReader, rows: list[ReadingRow]) -> tuple[float, float]:
    """How often the gold passage is first among five, in percent: by the reader, by the embedder alone."""
    from rag.config import Settings
    from rag.embed import open_embedder

    embedder = open_embedder(Settings())
    asked = [row for row in rows if len(row.sources) == 5]
    texts = sorted({f"{heading}\n{text}" for row in asked for heading, text in row.sources})
    place = {text: at for at, text in enumerate(texts)}
    passages, questions = embedder.embed(texts), embedder.embed([row.question for row in asked])
    ours, theirs = [], []
    for row, question in zip(progress(asked, "evidence"), questions, strict=True):
        sources = [Source(*source) for source in row.sources]
        seen, _, _ = reader.read(row.question, sources)
        ours.append(int(np.argmax(seen)) == 0)
        theirs.append(int(np.argmax(passages[[place[f"{s.heading}\n{s.text}"] for s in sources]] @ question)) == 0)
    return 100 * float(np.mean(ours)), 100 * float(np.mean(theirs))


def refusals(reader: SourceReader, path: Path, threshold: float) -> tuple[float, float]:
    """Balanced accuracy in percent at the threshold, and the area under the risk-coverage curve (0 best, 1 worst)."""
    support, answerable = [], []
    for raw in progress(list(read_jsonl(path)), "refusals"):
        _, value, _ = reader.read(str(raw["question"]), [Source(str(raw.get("title", "")), str(raw["context"]))])
        support.append(value)
        answerable.append(bool(raw["answerable"]))
    values, truth = np.array(support), np.array(answerable)
    said = values >= threshold
    balanced = (np.mean(said[truth]) + np.mean(~said[~truth])) / 2
    wrong = ~truth[np.argsort(-values)]
    risk = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    return 100 * float(balanced), float(risk.mean())


def progress(items: list, name: str) -> Iterator:  # type: ignore[type-arg]
    """The items, with a count on stderr."""
    for number, item in enumerate(items, 1):
        if number % 25 == 0:
            sys.stderr.write(f"\r{name} {number}/{len(items)} ")
        yield item
    sys.stderr.write("\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--limit", type=int, default=0, help="read only so many rows of new_wiki")
    given = parser.parse_args()
    reader = open_folder(given.model)
    threshold = reader.threshold
    examples = list(whole_examples(given.data / "qa" / "eval" / "new_wiki.jsonl.xz"))
    rows = list(with_near_misses(examples, misses=4, seed=1))[: given.limit or None]
    exact, overlap = spans(reader, rows)
    ours, theirs = evidence(reader, rows)
    balanced, area = refusals(reader, given.data / "qa" / "eval" / "long_answers_and_refusals.jsonl.xz", threshold)
    result = {
        "new_wiki_exact_match": exact,
        "new_wiki_f1": overlap,
        "evidence_of_5": ours,
        "evidence_of_5_embedder": theirs,
        "refusal_balanced_accuracy": balanced,
        "risk_coverage_area": area,
        "rows": len(rows),
        "threshold": threshold,
    }
    result = {name: round(float(value), 3) for name, value in result.items()}
    if not given.limit:
        record("reader", result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
