"""How often are answers right, on real documents? `make bench-answers`, or `python -m benchmarks.answers --data DIR`.

Takes   the data folder with documents/handbooks and documents/filings, their question files, and ours over the filings.
Gives   a table of right, wrong and refused for each set, for the two handbooks together and for the fixed choice of
        sixty (forty answerable, twenty not), what simpler means reach on the handbooks' questions (`baselines.py`), all
        rows as JSON under --out, and last one JSON object with the keys right, wrong, refused (in percent) and, from
        processes of their own (`speed.py`), first_words_ms, answer_ms_p95, startup_s and memory_mb.
The sixty were fixed by a rule before any answer was seen: from each of the three files, evenly spread, 14, 13 and 13
answerable and 7, 7 and 6 unanswerable questions.
All documents stand in one index and every question is asked over all of them. The question files lie beside the
documents and must not go in: an index that holds them answers from them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rag
from benchmarks import speed
from benchmarks.baselines import baselines
from benchmarks.record import record
from rag.evaluate import Report, evaluate, load
from rag.metrics import percent

ROOT = Path(__file__).resolve().parent.parent
HANDBOOKS = ("18F", "sourcegraph")
SHARES = {"18F": (14, 7), "sourcegraph": (13, 7), "filings": (13, 6)}  # of the sixty: answerable, unanswerable


def question_sets(data: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of the three files by name."""
    handbooks = data / "documents" / "handbooks"
    return {
        "18F": load(handbooks / "18F.questions.jsonl"),
        "sourcegraph": load(handbooks / "sourcegraph.questions.jsonl"),
        "filings": load(ROOT / "benchmarks" / "questions" / "filings.jsonl"),
    }


def spread(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows, evenly spread over the list.

    >>> spread([{"id": n} for n in range(10)], 3)
    [{'id': 1}, {'id': 5}, {'id': 8}]
    """
    return [rows[(2 * n + 1) * len(rows) // (2 * count)] for n in range(count)]


def sixty(sets: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The fixed choice."""
    chosen: list[dict[str, Any]] = []
    for name, (answerable, not_) in SHARES.items():
        chosen += spread([row for row in sets[name] if row.get("answerable", True)], answerable)
        chosen += spread([row for row in sets[name] if not row.get("answerable", True)], not_)
    return chosen


def main() -> None:
    """Ingest what is not ingested yet, ask, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-answers")
    parser.add_argument("--model", type=Path, help="model folder; models/base when not given")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "answers")
    parser.add_argument("--only-sixty", action="store_true", help="ask the sixty alone (a minute)")
    given = parser.parse_args()
    settings = rag.Settings(model=given.model) if given.model else rag.Settings()
    documents = given.data / "documents"
    given.out.mkdir(parents=True, exist_ok=True)
    with rag.open(given.index, settings) as library:
        began = time.monotonic()
        added = library.add([*(path for path in sorted((documents / "handbooks").iterdir()) if path.is_dir())])
        added += library.add(sorted((documents / "filings").glob("*.pdf")))  # the question files stay outside
        failed = [file for file in added if file.status == "failed"]
        sys.stderr.write(f"{len(added)} files, {len(failed)} failed, {time.monotonic() - began:.0f} s\n")
        sets = question_sets(given.data)
        handbooks = [row for name in HANDBOOKS for row in sets[name]]
        asked = {"sixty": sixty(sets)} if given.only_sixty else {**sets, "sixty": sixty(sets)}
        plain = {} if given.only_sixty else baselines(library, handbooks, settings)
        reports = {name: ask(library, name, rows, given.out) for name, rows in asked.items()}
        model = str(library.status()["model"])
    for name, found in reports.items():
        sys.stdout.write(
            f"{name:12} n {found.n:4}  right {found.right:5.1f}  wrong {found.wrong:5.1f}  "
            f"refused {found.refused:5.1f}  unanswerable refused {found.unanswerable_refused:5.1f}  "
            f"cited {found.cited:5.1f}  recall@5 {found.recall_at_5:5.1f}\n"
        )
    if plain:
        together = among_answerable([row for name in HANDBOOKS for row in reports[name].rows])
        sys.stdout.write(f"handbooks, of the answerable: {together}\nplain stack there: {plain}\n")
    whole = reports["sixty"]
    result = {"right": whole.right, "wrong": whole.wrong, "refused": whole.refused, "n": whole.n, "model": model}
    result["sets"] = {
        name: {key: value for key, value in found.as_dict().items() if key not in ("rows", "intervals")}
        for name, found in reports.items()
    }
    quick = speed.measure(given.index, speed.chosen(given.data, speed.QUESTIONS), model=given.model)
    result |= {name: quick[name] for name in ("first_words_ms", "answer_ms_p95", "startup_s", "memory_mb")}
    result["speed"] = quick
    if not given.only_sixty:
        result |= {"handbooks": together, "plain_stack": plain}
        record("answers", result)
    sys.stdout.write(json.dumps(result) + "\n")


def among_answerable(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Right and wrong in percent of the answerable rows, and how many of the others are refused.

    >>> among_answerable([{"answerable": True, "outcome": "right"}, {"answerable": False, "outcome": "wrong"}])
    {'right': 100.0, 'wrong': 0.0, 'unanswerable_refused': 0.0, 'n': 2}
    """
    answerable = [row["outcome"] for row in rows if row["answerable"]]
    others = [row["outcome"] for row in rows if not row["answerable"]]
    return {
        "right": percent(answerable.count("right"), len(answerable)),
        "wrong": percent(answerable.count("wrong"), len(answerable)),
        "unanswerable_refused": percent(others.count("refused"), len(others)),
        "n": len(rows),
    }


def ask(library: rag.Library, name: str, rows: list[dict[str, Any]], out: Path) -> Report:
    """One set, its rows kept."""
    found = evaluate(library, rows, progress=lambda done, total: sys.stderr.write(f"\r{name} {done}/{total} "))
    (out / f"{name}.json").write_text(json.dumps(found.as_dict(), ensure_ascii=False, indent=1), encoding="utf-8")
    sys.stderr.write("\n")
    return found


if __name__ == "__main__":
    main()
