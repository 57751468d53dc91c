"""Is the right text found? `make bench-quality`: 20 minutes the first time, 8 with kept libraries; --quick: 3.

    six collections (retrieval_sets) ─► a library each, by `library.add` ─┬─► words alone, meaning alone
                                                                         ├─► their fixed fusions: ranks, 19 weights
                                                                         ├─► `library.search`
                                                                         └─► other products, on the same passages
Takes   the data folder; `--sets` for some of them; `--peers` to name other products, or none.
Gives   on its last line one JSON object: ndcg10 and recall5 per set and method, their averages, and p: how often chance
        alone would make a difference as large as that between ours and each method (paired randomisation, two-sided).
        best_fixed_fusion is the one of twenty with the best average on these very sets: it was chosen after looking.
        left_out is ours with the weight of each set chosen on the other five. worst_gap: the least of ours minus the
        better single method, over the sets.
Counts  texts, not passages: a text stands where its best passage does. Gains as judged, not exponential.
Source  nDCG: Järvelin & Kekäläinen, TOIS 2002; randomisation: Smucker, Allan & Carterette, CIKM 2007.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import rag
from benchmarks import peers, retrieval_sets
from benchmarks.record import record
from benchmarks.retrieval_sets import Collection
from rag.retrieve import Scores, rank, scored
from rag.types import Scored

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("cisi", "new_wiki")
FOUND = 30  # passages asked of every method, as many as an answer is chosen from
FIRST, FEW = 10, 5
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(1, 20))
RANKS = 60  # the constant of reciprocal rank fusion, as published
SHUFFLES = 10_000
OURS, SINGLE = "groundling", ("bm25", "minilm")

Ranking = dict[str, list[str]]  # per question the texts, best first


class Candidates(NamedTuple):
    """What both stores know of one question."""

    words: list[Scored]  # each store's own list, best first
    meaning: list[Scored]
    both: Scores


class Measured(NamedTuple):
    """One set: per method the questions' nDCG@10 and recall@5, in the order of the questions."""

    ndcg: dict[str, list[float]]
    recall: dict[str, list[float]]
    passages: int
    search_ms: float  # median of `library.search`


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-quality")
    parser.add_argument("--sets", nargs="*", choices=retrieval_sets.NAMES, default=list(retrieval_sets.NAMES))
    parser.add_argument("--peers", nargs="*", choices=peers.PEERS, default=list(peers.PEERS))
    parser.add_argument("--quick", action="store_true", help="two small sets, no other products, nothing recorded")
    given = parser.parse_args()
    sets, others = (QUICK, ()) if given.quick else (given.sets, given.peers)
    began = time.monotonic()
    measured = {name: measure(retrieval_sets.read(given.data, name), given.index / name, others) for name in sets}
    result = summary(measured) | {"minutes": round((time.monotonic() - began) / 60, 1)}
    sys.stdout.write(table(result) + "\n")
    if not given.quick and set(sets) == set(retrieval_sets.NAMES):
        record("quality", result)
    sys.stdout.write(json.dumps(result) + "\n")


def measure(collection: Collection, index: Path, others: Sequence[str]) -> Measured:
    """Every method on one set."""
    clock = time.monotonic()
    with rag.open(index) as library:
        files = _filled(library, collection)
        parts = library._parts()
        passages = {p.id: p for some in parts.catalogue.every_passage() for p in some}
        texts = {number: files[p.document] for number, p in passages.items()}
        found: dict[str, Candidates] = {}
        ours: Ranking = {}
        times: list[float] = []
        for key, question in collection.questions.items():
            start = time.perf_counter()
            hits = library.search(question, k=FOUND)
            times.append(1000 * (time.perf_counter() - start))
            ours[key] = distinct(files[hit.document] for hit in hits)
            words, meaning = (store.search(question, FOUND) for store in (parts.lexical, parts.vectors))
            found[key] = Candidates(words, meaning, scored(question, parts=parts, depth=2 * FOUND))
        rankings = {OURS: ours}
        for name, order in ways().items():
            rankings[name] = {key: distinct(texts[row.passage] for row in order(each)) for key, each in found.items()}
        ids, vectors = parts.catalogue.vectors(passages)
    held = [(str(number), passages[number].context) for number in ids.tolist()]
    for name in others:
        ranked = beside(name, held, vectors, collection.questions)
        rankings[name] = {key: distinct(texts[int(one)] for one in row) for key, row in ranked.items()}
    sys.stderr.write(f"{collection.name}: {len(passages)} passages, {time.monotonic() - clock:.0f} s\n")
    asked = [(key, collection.gains[key]) for key in collection.questions]
    return Measured(
        {name: [ndcg(ranking[key], gains) for key, gains in asked] for name, ranking in rankings.items()},
        {name: [recall(ranking[key], gains) for key, gains in asked] for name, ranking in rankings.items()},
        len(passages),
        round(statistics.median(times), 1),
    )


def beside(
    peer: str, passages: Sequence[tuple[str, str]], vectors: np.ndarray[Any, Any], questions: Mapping[str, str]
) -> Ranking:
    """What another product finds among the same passages with the same vectors, by its own fusion."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npy"
        np.save(file, vectors)
        return peers.run(peer, peers.Task(texts=passages, vectors=file, queries=questions, k=FOUND)).ranking


def _filled(library: rag.Library, collection: Collection) -> dict[str, str]:
    """Add the texts as files, unless they are there; per document's name the text's id."""
    files = {text.file: text.id for text in collection.texts}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / collection.name
        for text in collection.texts if library.status()["documents"] < len(files) else ():
            place = folder / text.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.page, encoding="utf-8")
        if folder.exists():
            library.add(folder)
    return files


def ways() -> dict[str, Callable[[Candidates], Sequence[Scored]]]:
    """Single methods, fixed fusions of both lists, and our own fusion at other weights."""
    named: dict[str, Callable[[Candidates], Sequence[Scored]]] = {
        "bm25": lambda found: found.words,
        "minilm": lambda found: found.meaning,
        "ranks": lambda found: summed([by_rank(found.words), by_rank(found.meaning)]),
    }
    for weight in WEIGHTS:
        named[f"fixed {weight}"] = partial(fixed, weight=weight)
        named[f"ours {weight}"] = partial(own, weight=weight)
    return named


def fixed(found: Candidates, *, weight: float) -> list[Scored]:
    """Both lists, each stretched from 0 to 1, summed by weight."""
    return summed([stretched(found.words, 1 - weight), stretched(found.meaning, weight)])


def own(found: Candidates, *, weight: float) -> list[Scored]:
    """Our fusion."""
    return rank(found.both, weight=weight)


def by_rank(rows: Sequence[Scored]) -> dict[int, float]:
    """Reciprocal ranks (Cormack, Clarke & Buettcher, SIGIR 2009)."""
    return {row.passage: 1 / (RANKS + place) for place, row in enumerate(rows, start=1)}


def stretched(rows: Sequence[Scored], share: float) -> dict[int, float]:
    """Scores from 0 (last of the list) to `share` (first)."""
    if not rows:
        return {}
    low, high = rows[-1].score, rows[0].score
    return {row.passage: share * ((row.score - low) / (high - low) if high > low else 1.0) for row in rows}


def summed(parts: Sequence[Mapping[int, float]]) -> list[Scored]:
    """Passages by the sum of what each list gives them."""
    total: dict[int, float] = {}
    for part in parts:
        for passage, score in part.items():
            total[passage] = total.get(passage, 0.0) + score
    return sorted((Scored(*row) for row in total.items()), key=lambda row: (-row.score, row.passage))


def distinct(texts: Iterable[str]) -> list[str]:
    """Each text once, where its best passage stands."""
    return list(dict.fromkeys(texts))


def ndcg(ranking: Sequence[str], gains: Mapping[str, int], k: int = FIRST) -> float:
    """Discounted gain of the first k against that of the best order.

    >>> round(ndcg(["a", "x", "b"], {"a": 1, "b": 1}), 4)
    0.9197
    """
    best = sum(gain / np.log2(place + 2) for place, gain in enumerate(sorted(gains.values(), reverse=True)[:k]))
    return float(sum(gains.get(text, 0) / np.log2(place + 2) for place, text in enumerate(ranking[:k])) / best)


def recall(ranking: Sequence[str], gains: Mapping[str, int], k: int = FEW) -> float:
    """Share of all texts that help that is among the first k."""
    return len(set(ranking[:k]) & set(gains)) / len(gains)


def chance(ours: Sequence[float], theirs: Sequence[float], *, shuffles: int = SHUFFLES, seed: int = 0) -> float:
    """How often swapping both methods' values at random makes a mean difference as large as the one seen.

    >>> chance([1.0] * 12, [0.0] * 12) < 0.01 < chance([1.0, 0.0], [0.0, 1.0])
    True
    """
    gains = np.asarray(ours) - np.asarray(theirs)
    signs = np.random.default_rng(seed).integers(0, 2, (shuffles, len(gains)), dtype=np.int8) * 2 - 1
    means = np.abs(signs @ gains) / len(gains)
    return float((1 + np.sum(means >= abs(gains.mean()) - 1e-12)) / (1 + shuffles))


def summary(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """The result of all sets."""
    mean = {
        name: {way: statistics.fmean(values) for way, values in each.ndcg.items()} for name, each in measured.items()
    }
    fixed = ["ranks", *(f"fixed {weight}" for weight in WEIGHTS)]
    best = max(fixed, key=lambda way: statistics.fmean(each[way] for each in mean.values()))
    shown = {"bm25": "bm25", "minilm": "minilm", "best_fixed_fusion": best, OURS: OURS}
    shown |= {way: way for way in peers.PEERS if all(way in each for each in mean.values())}

    def told(values: Callable[[Measured], Mapping[str, list[float]]]) -> dict[str, dict[str, float]]:
        return {
            name: {label: round(statistics.fmean(values(each)[way]), 4) for label, way in shown.items()}
            for name, each in measured.items()
        }

    ndcg10, recall5 = told(lambda each: each.ndcg), told(lambda each: each.recall)
    left_out = {}
    for name in measured:
        others = [each for other, each in mean.items() if other != name] or [mean[name]]
        chosen = max(WEIGHTS, key=lambda weight: statistics.fmean(each[f"ours {weight}"] for each in others))
        left_out[name] = {"weight": chosen, "ndcg10": round(mean[name][f"ours {chosen}"], 4)}
    return {
        "ndcg10": ndcg10,
        "recall5": recall5,
        "average": {label: round(statistics.fmean(each[label] for each in ndcg10.values()), 4) for label in shown},
        "average_recall5": {
            label: round(statistics.fmean(each[label] for each in recall5.values()), 4) for label in shown
        },
        "best_fixed_fusion_is": best,
        "worst_gap": round(min(each[OURS] - max(each[way] for way in SINGLE) for each in ndcg10.values()), 4),
        "p": {
            name: {
                label: round(chance(each.ndcg[OURS], each.ndcg[way]), 4) for label, way in shown.items() if way != OURS
            }
            for name, each in measured.items()
        },
        "left_out": left_out,
        "questions": {name: len(each.ndcg[OURS]) for name, each in measured.items()},
        "passages": {name: each.passages for name, each in measured.items()},
        "search_ms": {name: each.search_ms for name, each in measured.items()},
    }


def table(result: Mapping[str, Any]) -> str:
    """nDCG@10 for people."""
    ways = list(result["average"])
    lines = [f"{'nDCG@10':12}" + "".join(f"{way:>19}" for way in ways)]
    for name, row in [*result["ndcg10"].items(), ("average", result["average"])]:
        lines.append(f"{name:12}" + "".join(f"{row[way]:19.4f}" for way in ways))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
