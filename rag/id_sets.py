"""Sets of passage ids: ascending arrays, and a condition inside a search of tantivy.

Takes   ids as any collection; those that `access` hands out are ascending arrays that nobody can write to.
Gives   an array with each id once, which of some ids stand in it, a `Query` that only passages in it fulfil.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tantivy
from tantivy import Occur, Query

MOST_RANGES = 64  # of ids in a condition; beyond, a set of single ids is faster

Ids = npt.NDArray[np.int64]


def within(found: Sequence[int], ids: Ids) -> npt.NDArray[np.bool_]:
    """Which of these stand among `ids`, ascending."""
    places = np.searchsorted(ids, found).clip(max=len(ids) - 1)
    here: npt.NDArray[np.bool_] = ids[places] == found
    return here


def ascending(allowed: Collection[int]) -> Ids:
    """Each id once, without 0, the stamp's. What `access` hands out, and nobody can write to, is in order already."""
    if isinstance(allowed, np.ndarray) and not allowed.flags.writeable:
        return allowed
    ids = np.unique(np.asarray(allowed if isinstance(allowed, np.ndarray) else list(allowed), dtype=np.int64))
    return ids[ids > 0]


def condition(schema: Any, ids: Ids) -> Query:
    """The ids, ascending, as a condition that adds nothing to the score.

    Documents get their ids in one go, so most filters are a few ranges; a set of a million single ids would be slow.
    """
    ranges = _ranges(ids)
    if len(ranges) > MOST_RANGES or not ranges:
        return Query.const_score_query(Query.term_set_query(schema, "id", ids.tolist()), 0.0)
    kind = tantivy.FieldType.Unsigned
    within = [(Occur.Should, Query.range_query(schema, "id", kind, first, last)) for first, last in ranges]
    return Query.const_score_query(Query.boolean_query(within), 0.0)


def _ranges(ids: Ids) -> Sequence[tuple[int, int]]:
    """Ascending ids as (first, last) of stretches without a gap."""
    if not len(ids):
        return []
    cuts = np.flatnonzero(np.diff(ids) > 1)
    firsts, lasts = np.append(0, cuts + 1), np.append(cuts, len(ids) - 1)
    return [(int(ids[first]), int(ids[last])) for first, last in zip(firsts, lasts, strict=True)]
