"""Documents as they are. `make bench-documents`, or `python -m benchmarks.documents --data FOLDER`.

    files with hand-made truth ─► ours, pypdf, markitdown ─► cells, order, headings, exclusions ─► per kind, paired

Takes   the data folder; the truth under benchmarks/parsing. `--ingest` measures instead how the whole of documents/
        goes into an index (files failed and why, passages, minutes, memory), which stays at --index.
Gives   a table per kind of document and per part of the score, medians, wins and losses against each other reader on
        the files that it reads; the last line is one JSON object. Files kept unseen while readers were mended are told
        apart. `--show TEXT` prints what ours lost in the files whose name holds TEXT.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.parsing import derived
from benchmarks.parsing.readers import READERS
from benchmarks.parsing.score import PARTS, Read, missing, score
from benchmarks.parsing.truth import Truth, load
from benchmarks.record import record
from rag.metrics import paired_interval

ROOT = Path(__file__).resolve().parent.parent
TAGS = ("scan", "columns", "merged", "rotated", "script", "ordinary")
SAME = 0.005  # two scores nearer than this are a tie

Scores = dict[str, dict[str, dict[str, float]]]  # reader, file, part


def main() -> None:
    """Read, score, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-documents")
    parser.add_argument("--ingest", action="store_true", help="put all of documents/ into the index and measure that")
    parser.add_argument("--quick", action="store_true", help="no scans: seconds instead of minutes")
    parser.add_argument("--show", help="print what ours lost in files whose name holds this; '' is all")
    given = parser.parse_args()
    if given.ingest:
        from benchmarks.parsing import everything

        result = everything.ingest(given.data, given.index)
        record("documents", result)
    else:
        truths = [one for one in load() if not (given.quick and "scan" in one.tags)]
        with tempfile.TemporaryDirectory() as folder:
            reads = read(truths, given.data / "documents", Path(folder))
        if given.show is not None:
            show([one for one in truths if given.show in one.file], reads["ours"])
        result = summary(truths, reads)
        if not given.quick:
            record("parsing", result)
    sys.stdout.write(json.dumps(result, default=str) + "\n")


def read(truths: Sequence[Truth], documents: Path, folder: Path) -> dict[str, dict[str, Read]]:
    """What each reader gives for each file it reads."""
    made = folder / "derived"
    derived.make(documents, made)
    paths = [made / Path(one.file).name if one.derived else documents / one.file for one in truths]
    found: dict[str, dict[str, Read]] = {}
    for name, reader in READERS.items():
        found[name] = {}
        for place, (one, given) in enumerate(zip(truths, reader(paths), strict=True), start=1):
            sys.stderr.write(f"\r{name} {place}/{len(truths)} ")
            if given is not None:
                found[name][one.file] = given
    return found


def summary(truths: Sequence[Truth], reads: dict[str, dict[str, Read]]) -> dict[str, Any]:
    """The tables, written; the result, returned."""
    scores: Scores = {
        name: {one.file: score(one, given[one.file]) for one in truths if one.file in given}
        for name, given in reads.items()
    }
    parts = {part: _row(scores, truths, part) for part in (*PARTS, "rows")}
    kinds = {tag: _row(scores, [one for one in truths if tag in one.tags], "mean") for tag in TAGS}
    _table("part of the score, mean over files", parts)
    _table("kind of document, mean over files", kinds)
    result = {
        "files": len(truths),
        "cells": sum(len(one.cells) for one in truths),
        "parts": parts,
        "kinds": kinds,
        "seen": _row(scores, [one for one in truths if not one.unseen], "mean"),
        "unseen": _row(scores, [one for one in truths if one.unseen], "mean"),
        "medians": {name: round(median(one["mean"] for one in given.values()), 3) for name, given in scores.items()},
        "failed": {name: sum(bool(one.failed) for one in given.values()) for name, given in reads.items()},
        "seconds": {name: round(sum(one.seconds for one in given.values()), 1) for name, given in reads.items()},
        "pairs": {name: _pairs(scores, name) for name in scores if name != "ours"},
        "each": {one.file: {name: _rounded(given.get(one.file)) for name, given in scores.items()} for one in truths},
    }
    told = {key: result[key] for key in ("seen", "unseen", "medians", "failed", "pairs")}
    sys.stdout.write("\n".join(f"{key}: {value}" for key, value in told.items()) + "\n")
    return result


def show(truths: Sequence[Truth], reads: dict[str, Read]) -> None:
    """What is lost, for the one who mends; unseen files stay closed."""
    for one in truths:
        if one.unseen:
            continue
        given = reads[one.file]
        lost = {part: what for part, what in missing(one, given).items() if what}
        sys.stdout.write(f"== {one.file} {_rounded(score(one, given))} {given.failed}\n")
        for part, what in lost.items():
            sys.stdout.write("".join(f"   {part}: {line}\n" for line in what))


def _row(scores: Scores, truths: Sequence[Truth], part: str) -> dict[str, list[float]]:
    """Per reader the mean and over how many files."""
    row = {}
    for name, given in scores.items():
        values = [given[one.file][part] for one in truths if part in given.get(one.file, {})]
        row[name] = [round(fmean(values), 3), len(values)] if values else [0.0, 0]
    return row


def _pairs(scores: Scores, other: str) -> dict[str, Any]:
    """Ours against another reader on the files that it reads."""
    before, after = (
        [one["mean"] for one in scores[other].values()],
        [scores["ours"][file]["mean"] for file in scores[other]],
    )
    differences = [ours - theirs for theirs, ours in zip(before, after, strict=True)]
    low, high = paired_interval(before, after)
    return {
        "files": len(differences),
        "better": sum(one > SAME for one in differences),
        "worse": sum(one < -SAME for one in differences),
        "difference": round(fmean(differences), 3),
        "interval_95": [round(low, 3), round(high, 3)],
    }


def _rounded(values: dict[str, float] | None) -> dict[str, float] | None:
    return values and {part: round(value, 3) for part, value in values.items()}


def _table(title: str, rows: dict[str, dict[str, list[float]]]) -> None:
    names = list(READERS)
    sys.stdout.write(f"{title:36s}" + "".join(f"{name:>18s}" for name in names) + "\n")
    for label, row in rows.items():
        cells = "".join(f"{row[name][0]:12.3f} ({row[name][1]:3.0f})" for name in names)
        sys.stdout.write(f"{label:36s}{cells}\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
