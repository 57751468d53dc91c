"""Indexes in memory over what somebody may read: what they are shown rests on that, and on nothing else.

    allowed ids ─► held already? grown? ─► the same passages in an index of their own ─► searched without a filter

BM25 weighs a word by how many passages hold it and a passage by the average length. Under a filter in the library's own
index these numbers would be those of all passages: the order of what Bob finds would tell how often a word stands in
documents that are not for him. In an index of the allowed passages alone his list is, score for score, that of a
library which holds nothing else.

Takes   ascending ids of passages, as `access.allowed` gives them, and how an index is made.
Gives   a searcher; the same one for everybody who may read the same passages. It follows when passages are added, and
        is made anew when one goes: removed words and their counts stay nowhere.
Costs   1.1 s of a core and less than 50 MB for 20,000 passages of 150 words, once for each set of rights and process;
        in memory only: nothing of it is on the disk.
Refuses nothing: above MOST passages there is no view (None), and the store filters inside the library's own index.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
MOST = 200_000  # passages; from here on FAISS searches by lists too, and neither store is exact
KEPT = 64  # views of a library
KEPT_PASSAGES = 2_000_000  # of all of them together


class _View(NamedTuple):
    ids: Ids
    index: Any
    searcher: Any  # of one moment: what is added later, for others, is not in it


class Views:
    """Threads may share it. `make` gives an empty index; `put` adds the passages with these ids, so that they count."""

    def __init__(self, make: Callable[[], Any], put: Callable[[Any, Ids], None]) -> None:
        self._make, self._put = make, put
        self._lock = threading.Lock()
        self._held: list[_View] = []  # the last one was used last

    def of(self, allowed: Ids) -> Any | None:
        """A searcher over exactly these passages; None where they are too many."""
        if len(allowed) > MOST:
            return None
        with self._lock:
            view = self._same(allowed) or self._grown(allowed) or self._made(allowed)
            self._held = [held for held in self._held if held is not view]
            self._held.append(view)
            while len(self._held) > 1 and (
                len(self._held) > KEPT or sum(len(held.ids) for held in self._held) > KEPT_PASSAGES
            ):
                self._held.pop(0)
            return view.searcher

    def clear(self) -> None:
        """Let go of all of them."""
        with self._lock:
            self._held = []

    def forget(self, ids: Collection[int]) -> None:
        """Drop every view that holds one of these: their words must not stay."""
        gone = np.fromiter(ids, dtype=np.int64)
        with self._lock:
            self._held = [held for held in self._held if not np.isin(gone, held.ids).any()]

    def _same(self, allowed: Ids) -> _View | None:
        return next((held for held in self._held if np.array_equal(held.ids, allowed)), None)

    def _grown(self, allowed: Ids) -> _View | None:
        """The view that these passages only add to, at its end: then the order inside is that of a new one."""
        for held in self._held:
            if 0 < len(held.ids) < len(allowed) and np.array_equal(allowed[: len(held.ids)], held.ids):
                self._put(held.index, allowed[len(held.ids) :])
                grown = _View(allowed, held.index, held.index.searcher())
                self._held[:] = [grown if one is held else one for one in self._held]
                return grown
        return None

    def _made(self, allowed: Ids) -> _View:
        index = self._make()
        self._put(index, allowed)
        return _View(allowed, index, index.searcher())
