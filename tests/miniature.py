"""Real parts in miniature, for tests that are not about the model: an embedder of word counts, short documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag import commit
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.library import Library
from rag.parts import open_parts
from rag.quote import candidates
from rag.types import Chunk, Document, Draft, PageSpan, Passage, Reading, Span
from rag.wording import stems


class WordCounts:
    """A real embedder in miniature: words hashed into 512 numbers, so that shared words mean a high cosine."""

    dimension = 512
    query_side = ""

    def __init__(self, identity: str = "word-counts") -> None:
        self.identity = identity
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.embedded += texts
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace(".", "").split():
                row[sum(ord(c) * pow(31, i, self.dimension) for i, c in enumerate(word)) % self.dimension] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_questions(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed(texts)


class OverlapReader:
    """A reader in miniature: evidence is the share of the question's words that a sentence and its headings hold."""

    threshold = 0.5
    confidence = None  # support is the confidence
    risk = ()  # never measured
    order = None  # the witnesses count as they do by default

    def __init__(self, name: str = "overlap-1") -> None:
        self.name = name

    def read(self, question: str, passages: Sequence[Passage]) -> Reading:
        wanted = stems(question)
        spans = [
            Span(number, start, end, len(wanted & stems(passage.text[start:end])) / max(1, len(wanted)))
            for number, passage in enumerate(passages)
            for start, end in candidates(passage.text)
        ]
        spans.sort(key=lambda span: -span.score)
        evidence = tuple(max((s.score for s in spans if s.passage == n), default=0.0) for n in range(len(passages)))
        return Reading(evidence, max(evidence, default=0.0), tuple(spans[:20]))


def small_library(folder: Path, reader: str = "overlap-1", **settings: Any) -> Library:
    """A real library that opens at once: its embedder counts words, its reader compares them.

    Its model's folder holds nothing but a name, so that the library knows that there is a model.
    """
    model = folder.parent / f"model-{reader}"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}", "utf-8")
    library = Library(folder, Settings(index=folder, model=model, **settings))
    library._opened = open_parts(folder, library.settings, WordCounts())
    library._opened.reader = OverlapReader(reader)
    return library


def text_hash(text: str) -> str:
    """As it keys vectors."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def put(catalogue: Catalogue, path: str, *texts: str, **other: Any) -> Document:
    """Commit a document with one passage for each text; `other` replaces fields of the record."""
    embedder = WordCounts()
    whole = "\n\n".join(texts)
    chunks, at = [], 0
    for text in texts:
        chunks.append(Chunk(at, at + len(text), text, 1))
        at += len(text) + 2
    hashes = [text_hash(text) for text in texts]
    fields: dict[str, Any] = {
        "collection": "default",
        "source": "/papers",
        "path": path,
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
        "draft": Draft(path, whole, (PageSpan(1, 0, len(whole)),)),
        "chunks": chunks,
        "hashes": hashes,
        "vectors": dict(zip(hashes, embedder.embed(texts), strict=True)),
        "embedder": embedder.identity,
    }
    return commit.write(catalogue, commit.Record(**fields | other))
