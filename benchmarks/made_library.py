"""A library of any size whose vectors need not be computed: real texts with their own, others with noisy copies.

    retrieval/{msmarco,cacm}   real texts, a document each, embedded once (kept as .npy)
    pretrain/*.jsonl.xz        texts, PER_DOCUMENT passages a document; the vector of each is a copy of a real one,
                               turned at random until its cosine with that is NEAR

Takes   a folder, a number of passages, the data folder.
Gives   a library that came about as every other: through `commit.write`, audited, GROUP documents a transaction; then
        the copies follow. It is kept, and used again while passages, recipe and embedder are the same.
Left out: reading files, and the keys that find near copies of texts. Vectors are kept under numbers in order, not under
        hashes: writing a million of them in random order touches pages all over its index.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import retrieval_sets
from rag import commit
from rag.config import Settings
from rag.parts import Parts, open_parts
from rag.types import Chunk, Draft, Embedder, PageSpan

REAL = ("msmarco", "cacm")  # of benchmarks.retrieval_sets
TEXTS = ("handbooks", "textbooks", "documentation", "manuals", "reference", "books")
PASSAGE = 500  # characters of a text of `pretrain`, cut at a space
PER_DOCUMENT = 20  # passages
NEAR = 0.8  # cosine of a copy with its original: as near as two passages of one document
GROUP = 500  # documents in a transaction
RECIPE = 1  # grows when this file makes something else

Matrix = npt.NDArray[np.float32]


class Made(NamedTuple):
    """One document to be: its passages joined by blank lines."""

    collection: str
    name: str
    passages: list[str]
    vectors: Matrix  # a row a passage


def build(folder: Path, passages: int, data: Path, embedder: Embedder) -> dict[str, Any]:
    """The library in `folder`, made where it is not there already. What it is and the seconds it took."""
    wanted = {"passages": passages, "recipe": RECIPE, "embedder": embedder.identity}
    note = folder / "made.json"
    if note.is_file():
        found: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in wanted} == wanted:
            return found
    shutil.rmtree(folder, ignore_errors=True)
    texts, rows = real(data, embedder, folder.parent)
    start = time.perf_counter()
    parts = open_parts(folder, Settings(index=folder), embedder)
    commit_all(parts, documents(texts, rows, data, passages))
    told = {"commit_s": round(time.perf_counter() - start, 1)}
    with parts.writing():
        pass  # at its end the copies follow
    parts.save()
    parts.close()
    told["build_s"] = round(time.perf_counter() - start, 1)
    about = {**wanted, **told, "real": len(texts), "near": NEAR}
    note.write_text(json.dumps(about) + "\n", encoding="utf-8")
    return about


def real(data: Path, embedder: Embedder, keep: Path) -> tuple[list[tuple[str, str, str]], Matrix]:
    """(set, id, text) of the real texts and their vectors, which are kept in `keep`."""
    texts = [(name, text.id, text.whole) for name in REAL for text in retrieval_sets.read(data, name).texts]
    file = keep / f"real-{_sha256(json.dumps([embedder.identity, texts]))[:16]}.npy"
    if not file.is_file():
        sys.stderr.write(f"embedding {len(texts)} real texts ...\n")
        keep.mkdir(parents=True, exist_ok=True)
        np.save(file, embedder.embed([text for _, _, text in texts]))
    return texts, np.load(file)


def documents(texts: list[tuple[str, str, str]], rows: Matrix, data: Path, passages: int) -> Iterator[Made]:
    """Documents that hold exactly so many passages together, the real ones first."""
    chance = np.random.default_rng(0)
    judged = (Made(name, f"{name}/{key}.txt", [text], rows[at : at + 1]) for at, (name, key, text) in enumerate(texts))
    others = (
        Made(name, f"{name}/{number:06}.txt", some, noisy(rows[chance.integers(len(rows), size=len(some))], chance))
        for number, (name, some) in enumerate(cut(data))
    )
    left = passages
    for made in chain(judged, others):
        if left <= 0:
            return
        yield made._replace(passages=made.passages[:left], vectors=made.vectors[:left])
        left -= len(made.passages)


def noisy(rows: Matrix, chance: np.random.Generator) -> Matrix:
    """Vectors of length 1 whose cosine with `rows` is about NEAR, turned in directions of their own."""
    noise = chance.standard_normal(rows.shape, dtype=np.float32) / np.sqrt(np.float32(rows.shape[1]))
    turned = NEAR * rows + (1 - NEAR**2) ** 0.5 * noise
    whole: Matrix = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return whole


def cut(data: Path) -> Iterator[tuple[str, list[str]]]:
    """(domain, passages of one document), from all texts of `pretrain`, over and over with another beginning."""
    for skip in range(0, PASSAGE, 50):
        for name in TEXTS:
            with lzma.open(data / "pretrain" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
                for line in lines:
                    passages = _passages(json.loads(line)["text"][skip:])
                    while some := list(islice(passages, PER_DOCUMENT)):
                        yield name, some


def _passages(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = at + PASSAGE
        if end < len(text):
            end = max(text.rfind(" ", at + PASSAGE // 2, end), at + PASSAGE // 2)
        if found := " ".join(text[at:end].split()):
            yield found
        at = end


def commit_all(parts: Parts, made: Iterable[Made]) -> None:
    """Write them into an empty library; the copies follow at the next `writing()`."""
    count = 0
    source = iter(made)
    with parts.lock.held():
        while group := list(islice(source, GROUP)):
            with parts.catalogue.atomic():
                for document in group:
                    keys = [f"{count + number:032x}" for number in range(len(document.passages))]
                    written = commit.write(parts.catalogue, record(document, parts.embedder.identity, keys))
                    count += len(document.passages)
                    event = {"document": written.name, "version": 1, "collection": written.collection}
                    parts.audit.record("added", None, {**event, "passages": written.passages})
            sys.stderr.write(f"\r{count} passages ")
        sys.stderr.write("\n")


def record(made: Made, embedder: str, keys: Sequence[str] = ()) -> commit.Record:
    """Everything of one document's transaction; its vectors are kept under `keys`, by default hashes of the words."""
    text = "\n\n".join(made.passages)
    chunks, at = [], 0
    for passage in made.passages:
        chunks.append(Chunk(at, at + len(passage), passage, None))
        at += len(passage) + 2
    hashes = keys or [_sha256(passage)[:32] for passage in made.passages]
    return commit.Record(
        collection=made.collection, source="made", path=made.name, sha256=_sha256(text),
        draft=Draft(made.name, text, (PageSpan(None, 0, len(text)),)), chunks=chunks, hashes=hashes,
        vectors=dict(zip(hashes, made.vectors, strict=True)), embedder=embedder,
    )  # fmt: skip


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
