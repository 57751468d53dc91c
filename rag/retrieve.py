"""Find the passages that may answer a question.

                      ┌─► vectors.search ─┐
    question ─► spell ┴─► lexical.search ─┴─► both scores of each ─► in spreads, summed ─► drop copies ─► best first

Takes   a question, and who asks in which collection: nothing else is ever looked at, both searches filter inside.
Gives   at most `k` hits, each passage once, none that is a near copy of a better one. No match: an empty list.
Scores  from 0 (worst of both) to 1 (best of both). They compare hits of one call, never of two.
Why     every passage that one store found is scored by the other too, however far down its list it stands: that both
        like it a little is then told from one liking it not at all. Scores count in standard deviations: where all
        cosines are alike and one passage alone has the question's rare words, words decide, and the other way round.
Source  weighted sum of normalised scores: Bruch, Gai & Ingber, TOIS 2023, arXiv:2210.11934, who find it ahead of ranks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rag import access
from rag.parts import Parts
from rag.spelling import respelled
from rag.types import Hit, Scored

DEPTH = 60  # rows asked of each store: deep enough that near copies do not use up the list

Column = npt.NDArray[np.float64]


def retrieve(
    question: str, *, parts: Parts, k: int = 30, collection: str | None = None, person: str | None = None
) -> list[Hit]:
    """The passages that resemble the question in words or in meaning, best first."""
    words = " ".join(question.split())
    if not words or k < 1:
        return []
    parts.refresh()
    allowed = access.allowed(parts.catalogue, person, collection)
    if allowed is not None and len(allowed) == 0:
        return []
    near, same = scored(words, parts=parts, depth=max(DEPTH, 2 * k), allowed=allowed)
    fused = fuse(near, same, weight=parts.settings.fusion_weight)
    scores = dict(fused)
    hits = [
        Hit(passage, scores[passage.id], near.get(passage.id, 0.0))
        for passage in parts.catalogue.passages(row.passage for row in fused)
    ]
    return without_copies(hits, parts.catalogue.near_keys(hit.passage.id for hit in hits))[:k]


def scored(
    question: str, *, parts: Parts, depth: int = DEPTH, allowed: Collection[int] | None = None
) -> tuple[dict[int, float], dict[int, float]]:
    """The cosine and the BM25 score of every passage that is among the first `depth` of either store."""
    words = respelled(question, parts.lexical.counting(allowed))
    vector = parts.embedder.embed_questions([words])[0]
    near = dict(parts.vectors.search_vector(vector, depth, allowed))
    same = dict(parts.lexical.search(words, depth, allowed))
    ids, rows = parts.catalogue.vectors(same.keys() - near.keys())
    if len(ids):
        near |= zip(ids.tolist(), (rows @ vector).tolist(), strict=True)
    same |= parts.lexical.scores(words, near.keys() - same.keys(), allowed)
    return near, same


def fuse(near: Mapping[int, float], same: Mapping[int, float], *, weight: float) -> list[Scored]:
    """Passages by both scores, best first: `weight` is the share of `near`, the rest goes to `same`.

    Each score counts by how many standard deviations it stands above the least. A passage without a vector is as far as
    the farthest; one without a word of the question has 0 there. Equal scores keep the order of ids, so that a question
    is answered twice alike.
    """
    ids = sorted({*near, *same})
    if not ids:
        return []
    farthest = min(near.values(), default=0.0)
    above = [
        share * spread(np.array([rows.get(passage, least) for passage in ids], dtype=np.float64))
        for rows, least, share in ((near, farthest, weight), (same, 0.0, 1.0 - weight))
    ]
    best = sum(float(column.max()) for column in above)  # of a passage that is best in both
    whole = above[0] + above[1]
    scores = whole / best if best > 0 else np.ones(len(ids))
    rows = [Scored(passage, float(score)) for passage, score in zip(ids, scores, strict=True)]
    return sorted(rows, key=lambda row: (-row.score, row.passage))


def spread(scores: Column) -> Column:
    """Each score's distance from the least, in standard deviations; 0 where all are alike."""
    deviation = float(scores.std())
    return (scores - scores.min()) / deviation if deviation > 1e-9 else np.zeros(len(scores))


def without_copies(hits: Sequence[Hit], keys: Mapping[int, frozenset[str]]) -> list[Hit]:
    """The hits without those that are near copies of a better one, by the keys that near copies share.

    Not by `passage.group`: which passages form a group also depends on passages that are not for this person.
    """
    seen: set[str] = set()
    kept: list[Hit] = []
    for hit in hits:
        mine = keys.get(hit.passage.id, frozenset())
        if seen.isdisjoint(mine):
            seen |= mine
            kept.append(hit)
    return kept
