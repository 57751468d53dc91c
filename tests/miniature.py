"""Real parts in miniature, for tests that are not about the model: an embedder of word counts, short documents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rag import commit
from rag.catalogue import Catalogue
from rag.types import Chunk, Document, Draft, PageSpan


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
                row[sum(ord(c) * 31**i for i, c in enumerate(word)) % self.dimension] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_questions(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed(texts)


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
