"""How quick is finding, however much there is? `make bench-query`: 20 minutes the first time, 10 with kept libraries.

    made_library: 100,000 and 1,000,000 passages ─► a new process: reopen, ask, 10,000 searches, change one document
                                                 ─► against exact search: recall and nDCG@10, also under filters
    20,000 passages with given vectors           ─► the same of every peer, each in its environment

Takes   `--data`, the data folder; `--sizes` for smaller libraries; `--peers` of them, or none; `--searches`.
Gives   on its last line one JSON object: p95_ms_100k, p95_ms_1m (`library.search`: the question embedded, FAISS,
        tantivy, fusion, the texts of ten hits), reopen_s_1m (in a new process that holds the embedder, until the first
        search is answered), change_s_10k (`library.add` of a changed file among more than 10,000 documents, until its
        new words are found), remove_s_10k, memory_growth_mb over the searches.
Says    what is not real: passages beyond the judged collections carry noisy copies of real vectors, on texts of
        `pretrain`. Such copies flatter lists; the share that is probed was chosen on real vectors (docs/formats.md).
"""

from __future__ import annotations

import argparse
import json
import lzma
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import made_library, peers, retrieval_sets
from benchmarks.peers.child import resident_mb
from benchmarks.record import record
from rag.config import Settings
from rag.embed import open_embedder

SIZES = (100_000, 1_000_000)
NAMES = {100_000: "100k", 1_000_000: "1m"}
KEPT = Path(__file__).resolve().parent.parent / "runs" / "query"
ASKED = ("search_questions", "new_wiki", "policies", "squad_part")  # of qa/train: questions of people
QUESTIONS = 400
SEARCHES = 10_000
CHANGES = 5
BESIDE = 20_000  # passages that the peers hold
DEEP = (10, 60)  # recall: of a person's list, and of what fusion is given
SHARES = (0.5, 0.1, 0.01)  # of the passages that a filter leaves


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"), help="data folder")
    arguments.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), help="passages of the libraries")
    arguments.add_argument("--searches", type=int, default=SEARCHES, help="to see whether memory grows")
    arguments.add_argument("--beside", type=int, default=BESIDE, help="passages that the peers hold")
    arguments.add_argument("--peers", nargs="*", default=list(peers.PEERS), help="which ones")
    given = arguments.parse_args()
    if not (given.data / "pretrain").is_dir():
        sys.exit(f"{given.data}: no folder `pretrain` there. Name the data folder with --data")
    result: dict[str, Any] = {"made": made_library.__doc__.partition("\n")[0] if made_library.__doc__ else ""}
    questions = asked(given.data)
    for size in given.sizes:
        name = NAMES.get(size, str(size))
        embedder = open_embedder(Settings())
        about = made_library.build(KEPT / name, size, given.data, embedder)
        searches = given.searches if size == min(given.sizes) else 0
        told = apart(use, KEPT / name, questions, searches)
        told |= apart(compare, KEPT / name, given.data)
        result[name] = about | told
        result |= {f"p95_ms_{name}": told["p95_ms"], f"reopen_s_{name}": told["reopen_s"]}
        sys.stderr.write(f"{name}: {json.dumps(about | told)}\n")
        if searches:
            result |= {"change_s_10k": told["change_s"], "remove_s_10k": told["remove_s"]}
            result["memory_growth_mb"] = told["memory_growth_mb"]
    if given.beside:
        result["beside"] = beside(given.data, given.beside, questions, given.peers)
    if given.sizes == list(SIZES) and given.peers == list(peers.PEERS):
        record("query", result)
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")


def asked(data: Path) -> list[str]:
    """Questions that people asked, from several collections in turns."""
    found: list[str] = []
    for name in ASKED:
        with lzma.open(data / "qa" / "train" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line)["question"] for line in lines]
        found += rows[:: max(1, len(rows) * len(ASKED) // QUESTIONS)][: QUESTIONS // len(ASKED)]
    return found


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """In a new process: nothing that built a library is in its memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


# --- in the new process -----------------------------------------------------------------------------------------------


def use(folder: Path, questions: Sequence[str], searches: int) -> dict[str, Any]:
    """Open the library, ask, and change a document where memory is watched too."""
    import rag
    from rag.parts import open_parts
    from rag.retrieve import retrieve

    settings = Settings(index=folder)
    embedder = open_embedder(settings)
    embedder.embed_questions(["warm"])
    start = time.perf_counter()
    parts = open_parts(folder, settings, embedder)
    retrieve(questions[0], parts=parts, k=10)
    told: dict[str, Any] = {"reopen_s": round(time.perf_counter() - start, 3)}
    parts.close()
    with rag.open(folder) as library:
        for question in questions[::5]:
            library.search(question)
        told |= latencies([timed(library.search, question) for question in questions])
        told["stages_ms"] = stages(library, questions)
        told["filtered"] = filtered(library, questions)
        if searches:
            before = resident_mb()
            for number in range(searches):
                library.search(questions[number % len(questions)])
            told["memory_mb"], told["searches"] = resident_mb(), searches
            told["memory_growth_mb"] = round(told["memory_mb"] - before, 1)
            told |= changes(library)
    return told


def timed(work: Callable[..., object], *given: Any, **named: Any) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work(*given, **named)
    return 1000 * (time.perf_counter() - start)


def latencies(times: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"p50_ms": round(float(np.median(times)), 2), "p95_ms": round(float(np.percentile(times, 95)), 2)}


def stages(library: Any, questions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Where the time of a search goes."""
    parts = library._parts()
    vectors = [parts.embedder.embed_questions([question])[0] for question in questions]
    embed, near, same = parts.embedder.embed_questions, parts.vectors.search_vector, parts.lexical.search
    return {
        "embed": latencies([timed(embed, [question]) for question in questions]),
        "vectors": latencies([timed(near, vector, max(DEEP)) for vector in vectors]),
        "words": latencies([timed(same, question, max(DEEP)) for question in questions]),
    }


def filtered(library: Any, questions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Latencies within one collection; the first search makes the filter, for as long as nothing changes."""
    told = {}
    for collection in sorted({document.collection for document in library.documents()}):
        first = timed(library.search, questions[0], collection=collection)
        times = [timed(library.search, question, collection=collection) for question in questions[::4]]
        told[collection] = {"first_ms": round(first, 1)} | latencies(times)
    return told


def changes(library: Any) -> dict[str, float]:
    """Seconds until a changed file is in and found, and until it is out."""
    added, removed = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "changed.md"
        for number in range(CHANGES + 1):
            words = f"The quarterly zeppelin allowance is {40 + number} crowns for each of {number} journeys."
            file.write_text(f"# Allowances\n\n{words}\n", encoding="utf-8")
            start = time.perf_counter()
            (report,) = library.add(file)
            found = [hit.text for hit in library.search(words, k=3)]
            added.append(time.perf_counter() - start)
            if not any(words in text for text in found):
                raise RuntimeError(f"{report} was changed, but is not found by its new words: {found}")
        for number in range(CHANGES):
            start = time.perf_counter()
            library.remove(report.document)
            removed.append(time.perf_counter() - start)
            if number < CHANGES - 1:
                library.add(file)
    return {
        "documents": len(library.documents()),
        "change_s": round(statistics.median(added[1:]), 3),  # the first was no change
        "remove_s": round(statistics.median(removed), 3),
    }


def compare(folder: Path, data: Path) -> dict[str, Any]:
    """What is lost to lists that are not looked at, for the judged questions: recall, and nDCG@10 by vectors alone."""
    from rag.parts import open_parts

    embedder = open_embedder(Settings())
    parts = open_parts(folder, Settings(index=folder), embedder)
    sets = [retrieval_sets.read(data, name) for name in made_library.REAL]
    keys = [(each.name, key) for each in sets for key in each.questions]
    rows = embedder.embed_questions([words for each in sets for words in each.questions.values()])
    _, count = parts.catalogue.counts()
    chance = np.random.default_rng(1)
    told: dict[str, Any] = {}
    names = dict(
        parts.catalogue.db.execute("select p.id, d.path from passages p join documents d on d.id = p.document_id")
    )
    every = np.array(sorted(names), dtype=np.int64)
    for share in (1.0, *SHARES):
        allowed = None if share == 1.0 else np.sort(chance.choice(every, int(share * count), replace=False))
        best = nearest(parts, rows, allowed)
        mine = [[row.passage for row in parts.vectors.search_vector(row, max(DEEP), allowed)] for row in rows]
        recall = {
            f"recall_at_{k}": round(
                float(np.mean([len({*one[:k]} & {*other[:k]}) / k for one, other in zip(mine, best, strict=True)])), 4
            )
            for k in DEEP
        }
        told["whole" if allowed is None else f"filtered_{share:g}"] = recall
        if allowed is None:
            for name, found in (("lists", mine), ("exact", best)):
                told[f"ndcg10_{name}"] = ndcg10(sets, keys, [[names[p] for p in ranks] for ranks in found])
    parts.close()
    return {"against_exact": told}


def nearest(parts: Any, rows: Any, allowed: Any) -> list[list[int]]:
    """The ids nearest to each row by looking at all vectors of the catalogue, as they are stored there."""
    k = max(DEEP)
    scores = np.full((len(rows), k), -2.0, dtype=np.float32)
    ids = np.zeros((len(rows), k), dtype=np.int64)
    for some, vectors in parts.catalogue.vector_batches(50_000):
        here = np.isin(some, allowed) if allowed is not None else np.ones(len(some), dtype=bool)
        if not here.any():
            continue
        fresh = rows @ vectors[here].T
        scores = np.concatenate([scores, fresh], axis=1)
        ids = np.concatenate([ids, np.broadcast_to(some[here], fresh.shape)], axis=1)
        order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    order = np.lexsort((ids, -scores), axis=1)
    return [[int(p) for p in row] for row in np.take_along_axis(ids, order, 1)]


def ndcg10(sets: Sequence[Any], keys: Sequence[tuple[str, str]], found: Sequence[Sequence[str]]) -> float:
    """Mean over all judged questions; a document's passage counts once."""
    gains = {(each.name, key): each.gains[key] for each in sets for key in each.questions}
    discount = 1 / np.log2(np.arange(2, 12))
    values = []
    for key, paths in zip(keys, found, strict=True):
        wanted = {f"{key[0]}/{text}.txt": gain for text, gain in gains[key].items()}
        got = np.array([wanted.get(path, 0) for path in list(dict.fromkeys(paths))[:10]], dtype=float)
        ideal = np.array(sorted(wanted.values(), reverse=True)[:10], dtype=float)
        values.append(float((got * discount[: len(got)]).sum() / (ideal * discount[: len(ideal)]).sum()))
    return round(float(np.mean(values)), 4)


# --- beside others ----------------------------------------------------------------------------------------------------


def beside(data: Path, size: int, questions: Sequence[str], others: Sequence[str]) -> dict[str, Any]:
    """Ours and the peers over the same passages with the same vectors: reopening, searches, one changed passage."""
    embedder = open_embedder(Settings())
    texts, rows = made_library.real(data, embedder, KEPT)
    made = list(made_library.documents(texts, rows, data, size))
    ready = [(f"{each.name}#{at}", text) for each in made for at, text in enumerate(each.passages)]
    file = KEPT / f"vectors-{size}.npy"
    np.save(file, np.concatenate([each.vectors for each in made]))
    task = peers.Task(
        texts=ready, vectors=file, queries={str(at): question for at, question in enumerate(questions[::2])},
        change=(ready[size // 2][0], "The quarterly zeppelin allowance is 47 crowns for each of three journeys."),
    )  # fmt: skip
    told = {}
    for name in (peers.OWN, *others):
        measured = peers.run(name, task)
        told[name] = {
            key: getattr(measured, key)
            for key in ("query_p50_ms", "query_p95_ms", "reopen_s", "changed_document_s", "index_mb", "peak_mb")
        }
        sys.stderr.write(f"{name}: {json.dumps(told[name])}\n")
    return {"passages": size} | told


if __name__ == "__main__":
    main()
