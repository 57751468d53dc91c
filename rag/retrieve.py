"""Find the passages that may answer a question.

    question ─┬─► vectors.search ─┐
              └─► lexical.search ─┴─► normalise ─► weighted sum ─► drop near copies ─► hits, best first

Takes   a question, and who asks in which collection: nothing else is ever looked at, both searches filter inside.
Gives   at most `k` hits, each passage once, none that is a near copy of a better one. No match: an empty list.
Scores  from 0 to 1: each store's scores are stretched over its own list (best 1, last 0), then summed by weight. They
        compare hits of one call, never of two.
Source  weighted sum of min-max scores: Bruch, Gai & Ingber, TOIS 2023, arXiv:2210.11934, who find it ahead of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag import access
from rag.parts import Parts
from rag.types import Hit, Scored

DEPTH = 60  # rows asked of each store: deep enough that near copies do not use up the list


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
    depth = max(DEPTH, 2 * k)
    near = parts.vectors.search_vector(parts.embedder.embed_questions([words])[0], depth, allowed)
    same = parts.lexical.search(words, depth, allowed)
    fused = fuse(near, same, weight=parts.settings.fusion_weight)
    passages = parts.catalogue.passages(row.passage for row in fused)
    scores = dict(fused)
    cosines = dict(near)
    hits = [Hit(passage, scores[passage.id], cosines.get(passage.id, 0.0)) for passage in passages]
    return without_copies(hits, parts.catalogue.near_keys(hit.passage.id for hit in hits))[:k]


def fuse(near: Sequence[Scored], same: Sequence[Scored], *, weight: float) -> list[Scored]:
    """Both lists as one, best first: `weight` is the share of `near`, the rest goes to `same`.

    A passage that one store did not return scores 0 there, as that list's last row does. Where one list is empty the
    other counts alone. Equal scores keep the order of ids, so that a question is answered twice alike.
    """
    if not near or not same:
        weight = 1.0 if near else 0.0
    total: dict[int, float] = {}
    for rows, share in ((near, weight), (same, 1.0 - weight)):
        for passage, score in normalised(rows):
            total[passage] = total.get(passage, 0.0) + share * score
    return sorted((Scored(*row) for row in total.items()), key=lambda row: (-row.score, row.passage))


def normalised(rows: Sequence[Scored]) -> list[Scored]:
    """The same rows with scores from 0 to 1; rows that are all alike score 1."""
    if not rows:
        return []
    low, high = min(row.score for row in rows), max(row.score for row in rows)
    if high <= low:
        return [Scored(row.passage, 1.0) for row in rows]
    return [Scored(row.passage, (row.score - low) / (high - low)) for row in rows]


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
