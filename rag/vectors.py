"""A `Store` over FAISS: passages by meaning. A copy of the vectors in the catalogue, followed by generation.

    vectors.faiss  ─►  base: as it was written last, mapped when large; never changed in place
    changes since  ─►  delta: exact, in memory   +   hidden: ids of the base that were removed or replaced

Takes   the catalogue's vectors (fp16) and its list of changes; a query as text or as a vector of length 1.
Gives   at most `k` rows (passage, cosine), best first. Filtered inside the search: what is not allowed takes no place.
Sizes   `vector_index.py`: below IVF_FROM passages exact search over fp16; from there inverted lists, probed in part.
File    `vector_file.py`; one that is missing, damaged or of another library or embedder is not used: all is built anew.
        It is written when a tenth of it has changed, or MOST_PENDING passages: never for one document of many.
Writing `save()` only under the index folder's lock for it (`Parts`); other processes follow in memory.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rag import vector_file, vector_index
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged
from rag.types import Embedder, Passage, Scored
from rag.vector_file import Stamp
from rag.vector_index import Ids, Mask, Matrix

IVF_FROM = 200_000  # passages; exact fp16 takes one core 8 ms there, and 40 ms at a million
REWRITE_SHARE = 10  # the file is written once one in ten has changed,
MOST_PENDING = 20_000  # or so many: these are read from the catalogue on opening, a fifth of a second
ROWS_AT_ONCE = 50_000  # when building: 77 MB of fp32
MASKS = 8  # filters kept as bits: 125 kB each at a million passages
FILE, NEXT = "vectors.faiss", "vectors.next.faiss"

log = logging.getLogger(__name__)


class Vectors:
    """Threads may share it: they search the base side by side, and take turns to follow and at the delta."""

    def __init__(
        self, folder: Path, catalogue: Catalogue, embedder: Embedder, *, ivf_from: int = IVF_FROM, ahead: bool = False
    ) -> None:
        """`ahead`: a copy of this embedder's vectors before they count, in the file NEXT (see reembed.py)."""
        self._path = folder / (NEXT if ahead else FILE)
        self._ahead = ahead
        self._catalogue = catalogue
        self._embedder = embedder
        self._ivf_from = ivf_from
        self._lock = threading.RLock()
        self._stamp = Stamp("", "", -1)
        self._opened: tuple[int, int] | None = None  # the file's mark
        self._written = -1  # generation of the file; -1: the base stands in memory only
        self._set_base(None, np.empty(0, dtype=np.int64))
        self._open()

    @property
    def generation(self) -> int:
        """The catalogue's generation up to which this copy has followed."""
        return self._stamp.generation

    def __len__(self) -> int:
        """How many passages can be found."""
        return self._base_count - len(self._hidden) + int(self._delta.ntotal)

    # --- Store --------------------------------------------------------------------------------------------------------

    def add(self, passages: Collection[Passage]) -> None:
        """Find these too; an id added again is replaced. Vectors come from the catalogue, else they are made here."""
        ids, rows = self._vectors(passage.id for passage in passages)
        known = set(ids.tolist())
        fresh = [passage for passage in passages if passage.id not in known]
        with self._lock:
            self._put(ids, rows)
            if fresh:
                made = self._embedder.embed([passage.context for passage in fresh])
                self._put(np.array([passage.id for passage in fresh], dtype=np.int64), made)

    def remove(self, ids: Collection[int]) -> None:
        """Find these no more; unknown ids are ignored."""
        with self._lock:
            self._hide(ids)

    def search(self, query: str, k: int, allowed: Collection[int] | None = None) -> list[Scored]:
        """The `k` passages nearest in meaning among `allowed` (None: all)."""
        if not query.strip():
            return []
        return self.search_vector(self._embedder.embed_questions([query])[0], k, allowed)

    def search_vector(
        self, vector: npt.NDArray[np.float32], k: int, allowed: Collection[int] | None = None
    ) -> list[Scored]:
        """The same for a query that is embedded already."""
        if k < 1 or (allowed is not None and len(allowed) == 0):
            return []
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        with self._lock:
            self._check_embedder()
            base, of_base = self._base, self._mask(allowed, self._hidden)
            of_delta = None if allowed is None else self._mask(allowed, None)
            rows = vector_index.search(self._delta, query, k, of_delta)
        if base is not None:  # it never changes, so others may search it too
            rows += vector_index.search(base, query, k, of_base)
        return sorted(rows, key=lambda row: (-row.score, row.passage))[:k]

    # --- following the catalogue --------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Follow what was committed since; in memory only, so any process may."""
        with self._lock, self._catalogue.snapshot():
            at = self._now()
            if self._stamp == at or self._is_left_behind(at):
                return
            if self._pending >= self._enough:
                self._adopt()
            changes = None if self._is_foreign(at) else self._catalogue.changes_since(self.generation)
            if changes is None or len(changes.added) > max(MOST_PENDING, self._base_count):
                self._set_base(*self._built())
                self._stamp, self._written = at, -1
                return
            self._hide(changes.removed)
            self._put(*self._vectors(changes.added))
            self._stamp = at

    @property
    def due(self) -> bool:
        """Has enough changed since the file was written?"""
        with self._lock:
            changed = self._written < 0 or self._pending >= self._enough
            return changed and not self._is_left_behind(self._now())

    @property
    def is_large(self) -> bool:
        """Does writing take seconds, or minutes where new centres are found?"""
        return len(self) >= self._ivf_from

    def save(self) -> None:
        """Write the file anew: the one that is there with what has changed since. Searches go on meanwhile.

        Needs the lock for this file. The catalogue is read again only where the index becomes one of another kind.
        """
        with self._lock:
            self.catch_up()
            if self._is_left_behind(self._now()):
                return
            self._adopt()
            base, written, at, pending = self._base, self._written, self._stamp, self._pending
            hidden, delta = np.array(sorted(self._hidden), dtype=np.int64), faiss.clone_index(self._delta)
            fits = base is not None and vector_index.fits(base, len(self), ivf_from=self._ivf_from)
        if fits and pending == 0:
            if written < 0:
                self._write(base, at)
            return
        found = self._readable_file(own=True) if fits and written >= 0 else None
        if found is None:
            self.rebuild()
        else:
            self._write(vector_index.changed(found.index, hidden, delta), at)

    def erase(self) -> None:
        """Take the vectors that are found no more off the disk too. Needs the lock for this file."""
        self._path.with_name(NEXT).unlink(missing_ok=True)  # of a move to another embedder: it can do without
        if self._hidden:
            self.save()

    def rebuild(self) -> None:
        """Make the copy anew from the catalogue and write it. Needs the lock for this file; searches go on."""
        with self._catalogue.snapshot():
            at = self._now()
            if self._is_left_behind(at):
                self._path.unlink(missing_ok=True)  # whoever opens the library next makes it anew
                return
            index, _ = self._built()
        self._write(index, at)

    def _write(self, index: Any, at: Stamp) -> None:
        """Write an index that stands at `at`, use the file from now on, and follow what came meanwhile."""
        vector_file.write(self._path, index, at)
        with self._lock:
            self._open()
            self.catch_up()

    def check(self) -> list[str]:
        """One line for each difference from the catalogue; empty when all is well."""
        with self._lock, self._catalogue.snapshot():
            self.catch_up()
            faults = [f"{self._path}: {reason}" for reason in vector_file.faults(self._path, whole=True)]
            passages = self._catalogue.counts()[1]
            missing = len(self._catalogue.without_vector())
        if missing:
            faults.append(f"{missing} of {passages} passages have no vector: run `rag repair`")
        if len(self) != passages - missing:
            faults.append(f"{self._path}: finds {len(self)} passages of {passages - missing}: run `rag repair`")
        return faults

    def _now(self) -> Stamp:
        of = self._embedder.identity if self._ahead else self._catalogue.embedder
        return Stamp(self._catalogue.library_id, of, self._catalogue.generation)

    def _is_left_behind(self, at: Stamp) -> bool:
        """The library moved to another embedder: this copy stays as it was, for the answers that began with it.

        Following would compare their questions with another embedder's passages. The next question opens a new copy.
        """
        return at.embedder not in ("", self._stamp.embedder) and self._stamp.embedder == self._embedder.identity

    def _vectors(self, ids: Iterable[int]) -> tuple[Ids, Matrix]:
        return self._catalogue.vectors(ids, self._embedder.identity if self._ahead else None)

    def _batches(self) -> Iterator[tuple[Ids, Matrix]]:
        return self._catalogue.vector_batches(ROWS_AT_ONCE, self._embedder.identity if self._ahead else None)

    def _is_foreign(self, at: Stamp) -> bool:
        """Of another library or embedder, or from a future that this catalogue (an older backup) has not seen."""
        mine = self._stamp
        return (mine.library, mine.embedder) != (at.library, at.embedder) or mine.generation > at.generation

    def _check_embedder(self) -> None:
        of_index = self._stamp.embedder
        if of_index and of_index != self._embedder.identity:
            raise IndexDamaged(
                f"{self._path.parent}: its vectors belong to the embedder {of_index}, the settings name "
                f"{self._embedder.identity}. Move it there with `rag reembed --index {self._path.parent}`, or change "
                "the setting back"
            )

    # --- base, delta, hidden ------------------------------------------------------------------------------------------

    def _set_base(self, base: Any, ids: Ids) -> None:
        """A new base; delta and hidden start empty."""
        self._base, self._base_ids = base, ids
        self._base_count = len(ids)
        self._delta = vector_index.exact(self._embedder.dimension)
        self._hidden: set[int] = set()
        self._highest = int(ids[-1]) if len(ids) else 0
        self._masks: dict[tuple[int, bool], tuple[object, Mask]] = {}

    @property
    def _enough(self) -> int:
        """Changes for which the file is written anew."""
        return max(1, min(MOST_PENDING, self._base_count // REWRITE_SHARE))

    @property
    def _pending(self) -> int:
        """Passages that came or went since the base was made."""
        return int(self._delta.ntotal) + len(self._hidden)

    def _put(self, ids: Ids, rows: Matrix) -> None:
        if len(ids):
            self._hide(ids.tolist())
            self._delta.add_with_ids(rows, ids)
            self._highest = max(self._highest, int(ids.max()))

    def _hide(self, ids: Iterable[int]) -> None:
        wanted = np.unique(np.fromiter(ids, dtype=np.int64))
        if not len(wanted):
            return
        self._masks.clear()
        if self._base_count:
            places = np.searchsorted(self._base_ids, wanted).clip(max=self._base_count - 1)
            self._hidden.update(wanted[self._base_ids[places] == wanted].tolist())
        if self._delta.ntotal:
            self._delta.remove_ids(faiss.IDSelectorBatch(wanted))

    def _mask(self, allowed: Collection[int] | None, hidden: Collection[int] | None) -> Mask | None:
        """`allowed` (None: all) without `hidden`; None where all may be found.

        Kept until something changes, for the arrays that `access` hands out again and again: nobody can write to them.
        """
        if allowed is None and not hidden:
            return None
        key = (id(allowed), hidden is None)
        if key in self._masks:
            return self._masks[key][1]
        may = np.full(self._highest + 1, allowed is None)
        if allowed is not None:
            ids = np.asarray(allowed if isinstance(allowed, np.ndarray) else list(allowed), dtype=np.int64)
            may[ids[(ids >= 0) & (ids <= self._highest)]] = True
        if hidden:
            may[np.fromiter(hidden, dtype=np.int64)] = False
        made = vector_index.mask(may)
        if allowed is None or (isinstance(allowed, np.ndarray) and not allowed.flags.writeable):
            while len(self._masks) >= 2 * MASKS:
                del self._masks[next(iter(self._masks))]
            self._masks[key] = (allowed, made)  # the array stays alive, so its id is its own
        return made

    def _built(self) -> tuple[Any, Ids]:
        """A base with everything the catalogue has, and its ids. Call it in a snapshot."""
        _, passages = self._catalogue.counts()
        threads = max(1, (os.cpu_count() or 1) // (2 if self._base_count else 1))  # beside the searches that go on
        base = vector_index.built(
            self._batches, passages, self._embedder.dimension, ivf_from=self._ivf_from, threads=threads
        )
        return base, vector_index.ids_of(base)

    def _open(self) -> None:
        """Use the file if it is whole; otherwise the first `catch_up` builds everything."""
        mark = self._file_mark()
        found = self._readable_file()
        if found is not None:
            self._set_base(found.index, found.ids)
            self._stamp, self._written, self._opened = found.stamp, found.stamp.generation, mark

    def _adopt(self) -> None:
        """Use the file that another process has written since, and follow from there."""
        mark = self._file_mark()
        if mark in (None, self._opened):
            return
        self._opened = mark
        found = self._readable_file()
        if found is not None and replace(found.stamp, generation=0) == replace(self._stamp, generation=0):
            self._open()
            self.catch_up()

    def _file_mark(self) -> tuple[int, int] | None:
        """Differs after each writing of the file."""
        try:
            about = self._path.stat()
        except OSError:
            return None
        return about.st_ino, about.st_mtime_ns

    def _readable_file(self, *, own: bool = False) -> vector_file.Found | None:
        """What the file holds; None where it is missing or damaged."""
        try:
            return vector_file.read(self._path, self._embedder.dimension, own=own)
        except IndexDamaged as error:
            log.warning("%s; it is made anew from the catalogue", error)
            return None
