"""Ingestion beside other products: `make bench-ingest`, or `python -m benchmarks.ingest --data FOLDER [--quick]`.

    the same files ─► each product's own loaders, splitter, embedder, index on disk      in turns, medians of the rounds
    the same texts ─► vectors of the fastest peer, of our default, of our `[fast]`       nDCG@10 of vectors alone

Takes   the data folder: pages of documents/handbooks, and the collections under retrieval/.
Gives   seconds, passages a second, peak memory and size of each product. `ratio_default` and `ratio_fast` compare with
        the fastest peer, by seconds for the same files or by passages a second, whichever flatters us less.
        `ndcg_difference` (of the default install) and `ndcg_difference_fast`: ours less the peer's, mean of the sets.
Fair    same MiniLM folder, same torch, same cores, passages of the same size without overlap, larger batches than the
        peers' defaults; a new process each, whose start and loading of weights are not timed. See `benchmarks/peers`.
Time    17 minutes on two idle cores; the first time, 10 more to install the peers.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks import peers, retrieval_sets
from benchmarks.ingest_vs_embedding import sources
from benchmarks.record import record
from rag.config import Settings
from rag.embed import NAME, open_embedder
from rag.embed_int8 import FAST

ROOT = Path(__file__).resolve().parent.parent
OURS = {"default": NAME, "fast": FAST}  # our contestants: the embedder of each
READ = (".md", ".html", ".txt")  # what every peer reads without further packages
ROUNDS, FILES = 3, 130
K = 10


def main() -> None:
    """Rounds, ratios, quality."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments.add_argument("--quick", action="store_true", help="few files, one round, one collection; nothing is kept")
    arguments.add_argument("--peers", default=",".join(peers.PEERS), help="only these, with commas between")
    given = arguments.parse_args()
    named = [name for name in given.peers.split(",") if name]
    files = [file for file in sources(given.data, 12 if given.quick else FILES) if file.suffix in READ]
    files = [file for file in files if file.stat().st_size]
    if not files or files[0].is_dir():
        sys.exit(f"{given.data}: no documents there. Name the data folder with --data")
    for name in named:
        peers.prepare(name)
    runs = rounds(files, named, 1 if given.quick else ROUNDS)
    table = {name: summary(measured) for name, measured in runs.items()}
    best, ratio = ratios(table, named)
    sets = retrieval_sets.BEIR[1:2] if given.quick else retrieval_sets.BEIR
    ndcg = quality(given.data, sets, best)
    differences = {name: round(mean(row[name] - row[best] for row in ndcg.values()), 4) for name in OURS}
    whole = {
        **{f"ratio_{name}": ratio[name] for name in OURS}, "best_peer": best,
        "ndcg_difference": differences["default"], "ndcg_difference_fast": differences["fast"],
        "ndcg10": ndcg, "files": len(files), "threads": os.cpu_count(), "products": table,
    }  # fmt: skip
    if not given.quick:
        record("ingest", whole)
    sys.stdout.write(json.dumps(whole) + "\n")


def rounds(files: Sequence[Path], named: Sequence[str], count: int) -> dict[str, list[peers.Measured]]:
    """Every contestant once a round, one after the other; what disturbs the machine for minutes disturbs all."""
    runs: dict[str, list[peers.Measured]] = {}
    for turn in range(count):
        for name in (*OURS, *named):
            options = {"embedder": OURS[name]} if name in OURS else {}
            task = peers.Task(files=files, options=options)
            measured = peers.run(peers.OWN if name in OURS else name, task)
            runs.setdefault(name, []).append(measured)
            told = f"{measured.passages} passages, {measured.passages_per_s:.1f}/s, {measured.peak_mb:.0f} MB"
            sys.stderr.write(f"round {turn + 1}, {name}: {told}\n")
    return runs


def summary(measured: Sequence[peers.Measured]) -> dict[str, Any]:
    """Medians over the rounds."""
    one = measured[0]
    figures = ("seconds", "cpu_seconds", "passages_per_s", "peak_mb", "index_mb")
    medians = {name: round(median(getattr(each, name) for each in measured), 2) for name in figures}
    return {"passages": one.passages, "characters": one.characters, **medians, "versions": one.versions}


def ratios(table: Mapping[str, Mapping[str, Any]], named: Sequence[str]) -> tuple[str, dict[str, float]]:
    """The fastest peer, and how many times as fast ours are."""
    found = {
        name: {
            ours: min(
                table[name]["seconds"] / table[ours]["seconds"],
                table[ours]["passages_per_s"] / table[name]["passages_per_s"],
            )
            for ours in OURS
        }
        for name in named
    }
    best = min(found, key=lambda name: found[name]["default"])
    return best, {ours: round(min(found[name][ours] for name in named), 3) for ours in OURS}


def quality(data: Path, sets: Sequence[str], peer: str) -> dict[str, dict[str, float]]:
    """nDCG@10 of vectors alone, per collection: the peer's own search, and ours by exact products."""
    scores: dict[str, dict[str, float]] = {}
    for name in sets:
        collection = retrieval_sets.read(data, name)
        texts = [(text.id, text.whole) for text in collection.texts]
        task = peers.Task(texts=texts, queries=collection.questions, method="meaning", k=K)
        scores[name] = {peer: ndcg(peers.run(peer, task).ranking, collection.gains)}
        for ours, embedder in OURS.items():
            scores[name][ours] = ndcg(ranked(embedder, texts, collection.questions), collection.gains)
        sys.stderr.write(f"{name}: {scores[name]}\n")
    return scores


def ranked(embedder: str, texts: Sequence[tuple[str, str]], questions: Mapping[str, str]) -> dict[str, list[str]]:
    """Per question the ids of the nearest texts."""
    ours = open_embedder(Settings(embedder=embedder, query_side=Path("none")))
    nearness = ours.embed_questions(list(questions.values())) @ ours.embed([text for _, text in texts]).T
    nearest = np.argsort(-nearness, axis=1, kind="stable")[:, :K]
    return {key: [texts[place][0] for place in row] for key, row in zip(questions, nearest, strict=True)}


def ndcg(ranking: Mapping[str, Sequence[str]], gains: Mapping[str, Mapping[str, int]]) -> float:
    """Mean over the questions; a judged gain counts as it is (trec_eval's way)."""
    scores = []
    for question, found in ranking.items():
        wanted = gains[question]
        reached = sum(wanted.get(text, 0) / math.log2(rank + 2) for rank, text in enumerate(found[:K]))
        ideal = sorted(wanted.values(), reverse=True)[:K]
        scores.append(reached / sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal)))
    return round(mean(scores), 4)


if __name__ == "__main__":
    main()
