"""The parts of one open library, as the journeys share them.

Takes   an index folder and an embedder; the folder is created when it is missing.
Gives   `Parts`: catalogue, its two copies, audit, the embedder, and whoever reads and speaks.
        `refresh()` before a search, `writing()` around a change; nothing else has to know about copies or locks.

    indexes/NAME/catalogue.db      the truth
                 vectors.faiss     a copy of its vectors       (FAISS)
                 lexical/          a copy of its words         (tantivy)
                 writer.lock       who changes it now
                 file.lock         who writes vectors.faiss now: minutes where it is large, and changes go on
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.catalogue import Catalogue
from rag.lock import WriterLock

if TYPE_CHECKING:  # faiss, tantivy and torch come in with the modules that need them
    from rag.audit import Audit
    from rag.config import Settings
    from rag.lexical import Lexical
    from rag.types import Embedder, Reader, Speaker
    from rag.vectors import Vectors

log = logging.getLogger(__name__)


@dataclass
class Parts:
    """What `ingest`, `retrieve` and `answer` work with. Threads may share it."""

    folder: Path
    settings: Settings
    catalogue: Catalogue
    vectors: Vectors
    lexical: Lexical
    embedder: Embedder
    audit: Audit
    lock: WriterLock
    file_lock: WriterLock
    reader: Reader | None = None  # set by the library once a model folder is open
    speaker: Speaker | None = None
    _followed: float = 0.0  # when the copies last caught up, by the monotonic clock
    _saving: threading.Thread | None = None

    def refresh(self) -> int:
        """Let both copies follow what any process has committed; returns the catalogue's generation.

        Costs one row where nothing changed. FAISS follows in memory. tantivy is written by whoever holds the lock: a
        process that commits does it at once, so here it is done only where that process died in between.
        """
        generation = self.catalogue.generation
        if self.vectors.generation != generation:
            self.vectors.catch_up()
        if self.lexical.generation < generation:
            self.lexical.reload()
        if self.lexical.generation < generation:
            with self.lock.if_free() as mine:
                if mine:
                    self.lexical.catch_up()
        return generation

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around a change of the catalogue: no other process writes meanwhile, and the copies follow at the end."""
        with self.lock.held():
            yield
            self.follow()

    def follow(self, *, after_s: float = 0.0) -> None:
        """Let both copies catch up, unless they did less than `after_s` seconds ago. Needs the lock: see `writing`."""
        if time.monotonic() - self._followed >= after_s:
            self.lexical.catch_up()
            self.vectors.catch_up()
            self._followed = time.monotonic()

    def save(self) -> None:
        """Write the vectors' file if enough has changed since it was written last; a large one in the background."""
        if not self.vectors.due:
            return
        if not self.vectors.is_large:
            self._save()
        elif self._saving is None or not self._saving.is_alive():
            self._saving = threading.Thread(target=self._save_large, name="vectors' file")
            self._saving.start()

    def erase(self) -> None:
        """Take the words and vectors of what was removed off the disk too. Needs the lock."""
        with self.file_lock.held():
            self.lexical.rebuild()
            self.vectors.erase()

    def _save(self) -> None:
        with self.file_lock.if_free() as mine:
            if mine:
                self.vectors.save()

    def _save_large(self) -> None:
        try:
            self._save()
        except (OSError, RuntimeError) as error:  # FAISS raises the second, also where the disk is full
            log.warning("%s: the vectors' file was not written (%s); it will be tried again", self.folder, error)

    def close(self) -> None:
        """Let go of files and connections, once the vectors' file is written."""
        if self._saving is not None:
            self._saving.join()
        self.lexical.close()
        self.catalogue.close()


def open_parts(folder: Path, settings: Settings, embedder: Embedder) -> Parts:
    """Open or create the library in `folder`, its copies repaired. Raises IndexDamaged, with the cure."""
    from rag.audit import Audit
    from rag.lexical import Lexical
    from rag.vectors import Vectors

    folder.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue(folder / "catalogue.db")
    parts = Parts(
        folder=folder,
        settings=settings,
        catalogue=catalogue,
        vectors=Vectors(folder, catalogue, embedder),
        lexical=Lexical(folder, catalogue),
        embedder=embedder,
        audit=Audit(catalogue),
        lock=WriterLock(folder),
        file_lock=WriterLock(folder, name="file"),
    )
    with parts.lock.if_free() as mine:
        if mine:
            parts.lexical.sweep()
    parts.refresh()
    return parts
