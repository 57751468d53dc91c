"""txtai, as its documentation recommends: Textractor with a recursive chunker, and Embeddings with content, hybrid.

Settings: passages of at most our 900 characters, batches of 64. Its hybrid weighs words and vectors half and half;
vectors alone are the same index searched with the whole weight on them. Ready vectors stand in for its model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from txtai import Embeddings
from txtai.pipeline import Textractor

SIZE, BATCH = 900, 64
HALF = 0.5


class Peer:
    """Rows under their ids; rows of files are numbered by txtai."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        self.how = {
            "path": str(model), "content": True, "hybrid": True, "backend": "faiss", "gpu": False, "batch": 1024,
            "encodebatch": options.get("batch_size", BATCH),
        }  # fmt: skip
        self.embeddings = Embeddings(self.how)
        self.embeddings.batchtransform(["warm"])

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Extract, cut, index, save."""
        extract = Textractor(backend=None, chunker="recursive", tokenizer="character", chunk_size=SIZE)
        parts = [part for file in files for part in extract(file.read_text(encoding="utf-8")) if part.strip()]
        self.embeddings.index(parts)
        self.embeddings.save(str(index / "txtai"))
        return len(parts), sum(map(len, parts))

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Index passages under their ids."""
        model, known = self.embeddings.model, {}
        if vectors is not None:
            known = dict(zip((text for _, text in texts), vectors, strict=True))
            model.encode = lambda data, *_, **__: np.stack([known[text] for text in data])
        self.embeddings.index(texts)
        self.embeddings.save(str(index / "txtai"))

    def open(self, index: Path) -> None:
        """From its files."""
        self.embeddings.load(str(index / "txtai"))

    def search(self, query: str, k: int, method: str) -> list[str]:
        """Vectors alone, or both."""
        found = self.embeddings.search(query, k, weights=1.0 if method == "meaning" else HALF)
        return [str(row["id"]) for row in found]

    def change(self, identity: str, text: str, index: Path) -> None:
        """Write the row anew, save."""
        self.embeddings.upsert([(identity, text)])
        self.embeddings.save(str(index / "txtai"))
