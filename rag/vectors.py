"""A `Store` over FAISS: passages by meaning. A copy of the vectors in the catalogue, followed by generation.

    vectors.faiss  ─►  base: as it was written last, mapped when large; never changed in place
    changes since  ─►  delta: exact, in memory   +   hidden: ids of the base that were removed or replaced

Takes   the catalogue's vectors (fp16) and its list of changes; a query as text or as a vector of length 1.
Gives   at most `k` rows (passage, cosine), best first. Filtered inside the search: what is not allowed takes no place.
Sizes   below IVF_FROM passages exact search over fp16; from there inverted lists of 8-bit vectors, probed in part.
File    `vector_file.py`; one that is missing, damaged or of another library or embedder is not used: all is built anew.
Writing `save()` only under the index folder's `WriterLock`; other processes follow in memory.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from rag import vector_file
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged
from rag.types import Embedder, Passage, Scored
from rag.vector_file import Stamp

IVF_FROM = 200_000  # passages; exact fp16 takes 6 ms there on two cores, 32 ms at a million
PROBED = 16  # of IVF's lists; recall .977 at a million against exact search
SELECTIVE = 50  # a filter that leaves less than 1 in 50 is searched in all lists: its few rows may stand in any
SMALL = 20_000  # passages; up to here every save writes the file (15 MB)
REWRITE_SHARE = 10  # beyond: once one in ten has changed
ROWS_AT_ONCE = 50_000  # when building: 77 MB of fp32

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
log = logging.getLogger(__name__)


class Vectors:
    """Threads may share it: searching and following take turns."""

    def __init__(self, folder: Path, catalogue: Catalogue, embedder: Embedder, *, ivf_from: int = IVF_FROM) -> None:
        self._path = folder / "vectors.faiss"
        self._catalogue = catalogue
        self._embedder = embedder
        self._ivf_from = ivf_from
        self._lock = threading.RLock()
        self._stamp = Stamp("", "", -1)
        self._written = -1  # generation of the file
        self._set_base(None)
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
        ids, rows = self._catalogue.vectors(passage.id for passage in passages)
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
        with self._lock:
            self._check_embedder()
            query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
            rows: list[Scored] = []
            if self._base is not None and self._base_count:
                rows += _search(self._base, query, k, self._filter(allowed, self._hidden))
            if self._delta.ntotal:
                rows += _search(self._delta, query, k, self._filter(allowed, ()))
        return sorted(rows, key=lambda row: (-row.score, row.passage))[:k]

    # --- following the catalogue --------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Follow what was committed since; in memory only, so any process may."""
        with self._lock, self._catalogue.snapshot():
            at = self._now()
            if self._stamp == at:
                return
            if self._is_foreign(at):
                self._set_base(self._built())
                self._stamp = at
                return
            changes = self._catalogue.changes_since(self.generation)
            self._hide(changes.removed)
            self._put(*self._catalogue.vectors(changes.added))
            self._stamp = at

    def save(self) -> None:
        """Write the file if enough has changed since it was written. Needs the writer's lock."""
        with self._lock:
            pending = int(self._delta.ntotal) + len(self._hidden)
            worthwhile = len(self) <= SMALL or pending * REWRITE_SHARE >= self._base_count
            due = worthwhile and self._written != self.generation
        if due:
            self.rebuild()

    def rebuild(self) -> None:
        """Make the copy anew from the catalogue and write it. Needs the writer's lock; searches go on meanwhile."""
        with self._catalogue.snapshot():
            at, base = self._now(), self._built()
        vector_file.write(self._path, base, at)
        with self._lock:
            self._set_base(base)
            self._stamp, self._written = at, at.generation
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
        return Stamp(self._catalogue.library_id, self._catalogue.embedder, self._catalogue.generation)

    def _is_foreign(self, at: Stamp) -> bool:
        """Of another library or embedder, or from a future that this catalogue (an older backup) has not seen."""
        mine = self._stamp
        return (mine.library, mine.embedder) != (at.library, at.embedder) or mine.generation > at.generation

    def _check_embedder(self) -> None:
        of_index = self._stamp.embedder
        if of_index and of_index != self._embedder.identity:
            raise IndexDamaged(
                f"{self._path.parent}: its vectors belong to the embedder {of_index}, the settings name "
                f"{self._embedder.identity}. Run `rag repair --index {self._path.parent}`, or change the setting back"
            )

    # --- base, delta, hidden ------------------------------------------------------------------------------------------

    def _set_base(self, base: Any) -> None:
        """A new base; delta and hidden start empty."""
        self._base = base
        self._base_count = 0 if base is None else int(base.ntotal)
        self._base_ids = _ids_of(base)
        self._delta = _exact(self._embedder.dimension)
        self._hidden: set[int] = set()
        self._highest = int(self._base_ids[-1]) if self._base_count else 0

    def _put(self, ids: Ids, rows: Matrix) -> None:
        if len(ids):
            self._hide(ids.tolist())
            self._delta.add_with_ids(rows, ids)
            self._highest = max(self._highest, int(ids.max()))

    def _hide(self, ids: Iterable[int]) -> None:
        wanted = np.unique(np.fromiter(ids, dtype=np.int64))
        if not len(wanted):
            return
        if self._base_count:
            places = np.searchsorted(self._base_ids, wanted).clip(max=self._base_count - 1)
            self._hidden.update(wanted[self._base_ids[places] == wanted].tolist())
        if self._delta.ntotal:
            self._delta.remove_ids(faiss.IDSelectorBatch(wanted))

    def _filter(self, allowed: Collection[int] | None, hidden: Collection[int]) -> npt.NDArray[np.bool_] | None:
        """For every id from 0 to the highest: may it be found? None where all may."""
        if allowed is None and not hidden:
            return None
        may = np.full(self._highest + 1, allowed is None)
        if allowed is not None:
            ids = np.asarray(allowed if isinstance(allowed, np.ndarray) else list(allowed), dtype=np.int64)
            may[ids[(ids >= 0) & (ids <= self._highest)]] = True
        may[list(hidden)] = False
        return may

    def _built(self) -> Any:
        """A base with everything the catalogue has. Call it in a snapshot."""
        _, passages = self._catalogue.counts()
        base = _exact(self._embedder.dimension) if passages < self._ivf_from else self._trained(passages)
        for ids, rows in self._catalogue.vector_batches(ROWS_AT_ONCE):
            if rows.shape[1] != self._embedder.dimension:
                break  # of another embedder: `_check_embedder` says so at the first search
            base.add_with_ids(rows, ids)
        return base

    def _trained(self, passages: int) -> Any:
        """Empty inverted lists whose centres were found on a sample."""
        lists = int(4 * passages**0.5)
        step = max(1, passages // (lists * 40))  # 40 rows a list are enough for k-means; FAISS warns below 39
        sample = [rows[::step] for _, rows in self._catalogue.vector_batches(ROWS_AT_ONCE)]
        centres = faiss.IndexFlatIP(self._embedder.dimension)
        ivf = faiss.IndexIVFScalarQuantizer(
            centres, self._embedder.dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        faiss.omp_set_num_threads(os.cpu_count() or 1)  # a search in this thread has set it to one
        ivf.train(np.concatenate(sample))
        return ivf

    def _open(self) -> None:
        """Use the file if it is whole; otherwise the first `catch_up` builds everything."""
        try:
            found = vector_file.read(self._path, self._embedder.dimension)
        except IndexDamaged as error:
            log.warning("%s; it is made anew from the catalogue", error)
            return
        if found is not None:
            base, self._stamp = found
            self._set_base(base)
            self._written = self.generation


def _exact(dimension: int) -> Any:
    """Exact inner product over fp16, the precision of the catalogue."""
    quantizer = faiss.ScalarQuantizer.QT_fp16
    return faiss.IndexIDMap2(faiss.IndexScalarQuantizer(dimension, quantizer, faiss.METRIC_INNER_PRODUCT))


def _ids_of(base: Any) -> Ids:
    """The ids in a base, ascending."""
    if base is None or base.ntotal == 0:
        return np.empty(0, dtype=np.int64)
    if isinstance(base, faiss.IndexIDMap):
        return np.sort(faiss.vector_to_array(base.id_map)).astype(np.int64)
    lists = base.invlists
    sizes = [(number, lists.list_size(number)) for number in range(base.nlist)]
    held = [faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in sizes if size]
    return np.sort(np.concatenate(held)).astype(np.int64)


def _search(index: Any, query: Matrix, k: int, may: npt.NDArray[np.bool_] | None) -> list[Scored]:
    """One index under a filter; FAISS fills short lists with -1."""
    ivf = isinstance(index, faiss.IndexIVF)
    settings: dict[str, Any] = {}
    if may is not None:
        bits = np.packbits(may, bitorder="little")  # must live as long as the search
        settings["sel"] = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    if ivf:
        few = may is not None and int(may.sum()) * SELECTIVE < index.ntotal
        settings["nprobe"] = index.nlist if few else PROBED
    # One core a query: FAISS's threads wait for each other actively. On two cores beside another busy program, 50,000
    # vectors took 256 ms with two threads and 1.4 ms with one.
    faiss.omp_set_num_threads(1)
    kind = faiss.SearchParametersIVF if ivf else faiss.SearchParameters
    scores, ids = index.search(query, min(k, index.ntotal), params=kind(**settings))
    return [Scored(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
