"""Ours, measured as the peers are: through the library's own functions, with its defaults.

Options: precision, of the embedder (see `rag.embed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import made_library
from benchmarks.made_library import Made
from rag import commit, ingest
from rag.config import Settings
from rag.embed import open_embedder
from rag.parts import open_parts
from rag.retrieve import retrieve


class Peer:
    """A library of documents; ids are documents' names, so one text is one document."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        del model  # the default embedder loads the same folder
        self.settings = Settings(**options)
        self.embedder = open_embedder(self.settings)
        self.embedder.embed(["warm"])

    def add_files(self, files: Sequence[Path], index: Path) -> tuple[int, int]:
        """As `rag add` does."""
        parts = open_parts(index / "library", self.settings, self.embedder)
        reports = ingest.ingest(parts, files)
        failed = [report.reason for report in reports if report.status == "failed"]
        if failed:
            raise RuntimeError(f"{len(failed)} files failed: {failed[0]}")
        texts = [passage.text for some in parts.catalogue.every_passage() for passage in some]
        parts.close()
        return len(texts), sum(map(len, texts))

    def add_texts(self, texts: Sequence[tuple[str, str]], vectors: Any, index: Path) -> None:
        """Through the same transactions as every document, GROUP at a time."""
        rows = self.embedder.embed([text for _, text in texts]) if vectors is None else vectors
        parts = open_parts(index / "library", self.settings, self.embedder)
        made = (Made("default", key, [text], rows[at : at + 1]) for at, (key, text) in enumerate(texts))
        made_library.commit_all(parts, made)
        with parts.writing():
            pass  # at its end the copies follow
        parts.save()
        parts.close()

    def open(self, index: Path) -> None:
        """With its copies."""
        self.parts = open_parts(index / "library", self.settings, self.embedder)

    def search(self, query: str, k: int, method: str) -> list[str]:
        """As `Library.search` does; `meaning` asks FAISS alone."""
        if method == "both":
            return [hit.document for hit in retrieve(query, parts=self.parts, k=k)]
        found = self.parts.catalogue.passages(row.passage for row in self.parts.vectors.search(query, k))
        return [passage.document for passage in found]

    def change(self, identity: str, text: str, index: Path) -> None:
        """A new version of one document."""
        del index  # it is open
        made = Made("default", identity, [text], self.embedder.embed([text]))
        with self.parts.writing():
            commit.write(self.parts.catalogue, made_library.record(made, self.embedder.identity))
        self.parts.save()
