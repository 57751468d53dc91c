"""txtai, as its documentation recommends: Textractor, Embeddings with content and a hybrid of FAISS and its own BM25.

Settings: `sections` of Textractor are joined to passages of about our 900 characters; batches of 64. Methods: hybrid
weighs words and vectors half and half; vectors alone is an index without the keyword part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from txtai import Embeddings

SIZE, BATCH = 900, 64


class Peer:
    """Rows under their ids."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        batch = options.get("batch_size", BATCH)
        self.how = {
            "path": str(model), "content": True, "hybrid": True, "backend": "faiss", "encodebatch": batch, "batch": 1024,
            "gpu": False,
        }  # fmt: skip
        self.embeddings = Embeddings(**self.how)
        self.embeddings.transform("warm")

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """Extract, cut, index, save."""
        parts = [part for file in files for part in _cut(file.read_text(encoding="utf-8"))]
        self.embeddings.index(parts)
        self.embeddings.save(str(index / "txtai"))
        return len(parts), sum(map(len, parts))
