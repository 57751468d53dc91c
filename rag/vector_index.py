"""The FAISS indexes behind `vectors.py`: exact where there is little, inverted lists where there is much.

Takes   vectors of length 1 with their ids; a query; a `Mask` of the ids that may be found.
Gives   (passage, cosine) rows. Every vector is kept in 16 bits, as in the catalogue, so that both kinds of index give
        the same cosines: inverted lists differ from exact search only in the lists they do not look at.
Lists   4 √n centres, found on a sample, which serve until the index has doubled. A query looks into one list of
        PROBED, a filtered one into as many more as the filter leaves out; one that leaves little sees all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

from rag.types import Scored

# Of the lists, one in so many. On 18,384 passages of the training questions, asked with held-out ones, a quarter of the
# lists holds .98 of the ten nearest, an eighth .95, a sixteenth .91, a sixty-fourth .78. Noisy copies flatter them all.
PROBED = 4
ROWS_A_CENTRE = 40  # enough for k-means; FAISS warns below 39
GROWN = 2  # times the size that the centres were found for: new centres

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Batches = Callable[[], Iterator[tuple[Ids, Matrix]]]


class Mask(NamedTuple):
    """Which ids may be found."""

    bits: npt.NDArray[np.uint8]  # a bit an id, from 0 on; ids beyond may not
    size: int  # how many ids are in it


def mask(may: npt.NDArray[np.bool_]) -> Mask:
    """From a truth value an id."""
    return Mask(np.packbits(may, bitorder="little"), int(np.count_nonzero(may)))


def exact(dimension: int) -> Any:
    """Exact inner product over fp16, the precision of the catalogue."""
    quantizer = faiss.ScalarQuantizer.QT_fp16
    return faiss.IndexIDMap(faiss.IndexScalarQuantizer(dimension, quantizer, faiss.METRIC_INNER_PRODUCT))


def built(batches: Batches, count: int, dimension: int, *, ivf_from: int, threads: int) -> Any:
    """An index of everything in `batches`, which hold about `count` rows."""
    faiss.omp_set_num_threads(threads)  # of this thread; a search in it has set one
    index = _trained(batches, count, dimension) if count >= ivf_from else exact(dimension)
    for ids, rows in batches():
        if rows.shape[1] != dimension:
            break  # of another embedder: the first search says so
        index.add_with_ids(rows, ids)
    return index


def fits(index: Any, count: int, *, ivf_from: int) -> bool:
    """Is this the kind of index, with centres for about as many rows, that `count` rows should have?"""
    if not isinstance(index, faiss.IndexIVF):
        return count < ivf_from
    return count * GROWN >= ivf_from and lists(count) <= index.nlist * math.sqrt(GROWN)


def lists(count: int) -> int:
    """How many lists suit so many rows."""
    return max(1, min(int(4 * math.sqrt(count)), count // ROWS_A_CENTRE))


def changed(index: Any, hidden: Ids, delta: Any) -> Any:
    """`index` itself, without `hidden` and with all of `delta`. It must own its memory: not be mapped."""
    if len(hidden):
        index.remove_ids(faiss.IDSelectorBatch(hidden))
    if delta.ntotal:
        index.add_with_ids(delta.index.reconstruct_n(0, delta.ntotal), faiss.vector_to_array(delta.id_map))
    return index


def ids_of(index: Any) -> Ids:
    """The ids in an index, ascending."""
    if index.ntotal == 0:
        return np.empty(0, dtype=np.int64)
    if isinstance(index, faiss.IndexIDMap):
        return np.sort(faiss.vector_to_array(index.id_map)).astype(np.int64)
    inverted = index.invlists
    sizes = [(number, inverted.list_size(number)) for number in range(index.nlist)]
    held = [faiss.rev_swig_ptr(inverted.get_ids(number), size).copy() for number, size in sizes if size]
    return np.sort(np.concatenate(held)).astype(np.int64)


def search(index: Any, query: Matrix, k: int, may: Mask | None) -> list[Scored]:
    """The `k` nearest of one index; FAISS fills short lists with -1."""
    if index.ntotal == 0 or (may is not None and may.size == 0):
        return []
    ivf = isinstance(index, faiss.IndexIVF)
    settings: dict[str, Any] = {}
    if may is not None:
        settings["sel"] = faiss.IDSelectorBitmap(len(may.bits), faiss.swig_ptr(may.bits))
    if ivf:
        share = 1.0 if may is None else min(1.0, may.size / index.ntotal)
        settings["nprobe"] = min(index.nlist, math.ceil(index.nlist / (PROBED * share)))
    # One core a query: FAISS's threads wait for each other actively. On two cores beside another busy program, 50,000
    # vectors took 256 ms with two threads and 1.4 ms with one.
    faiss.omp_set_num_threads(1)
    kind = faiss.SearchParametersIVF if ivf else faiss.SearchParameters
    scores, ids = index.search(query, min(k, index.ntotal), params=kind(**settings))
    return [Scored(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]


def _trained(batches: Batches, count: int, dimension: int) -> Any:
    """Empty inverted lists whose centres were found on a sample."""
    number = lists(count)
    step = max(1, count // (number * ROWS_A_CENTRE))
    ivf = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension), dimension, number, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT,
        False,  # vectors as they are, not their distance from the centre: the catalogue's own cosines
    )  # fmt: skip
    ivf.train(np.concatenate([rows[::step] for _, rows in batches()]))
    return ivf
