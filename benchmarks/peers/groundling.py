"""Ours, measured as the peers are: through the library's own functions, with its defaults.

Options: precision, of the embedder (see `rag.embed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag import ingest
from rag.config import Settings
from rag.embed import open_embedder
from rag.parts import open_parts


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
