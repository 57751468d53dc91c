"""Find the passages that may answer a question.

                      ┌─► vectors.search ─┐
    question ─► spell ┴─► lexical.search ─┴─► both scores of each ─► in spreads, summed ─┬─► drop copies ─► best first
                                                        ▲ the question leans to the best three ┘ (once)

Takes   a question, and who asks in which collection: nothing else is ever looked at, both searches filter inside.
Gives   at most `k` hits, each passage once, none that is a near copy of a better one. No match: an empty list.
Scores  from 0 (worst of both) to 1 (best of both). They compare hits of one call, never of two.
Why     every passage that one store found is scored by the other too, however far down its list it stands: that both
        like it a little is then told from one liking it not at all. Scores count in standard deviations: where all
        cosines are alike and one passage alone has the question's rare words, words decide, and the other way round.
        The best three passages show what else the question is about: vectors alone know only its few words.
Source  pseudo relevance feedback with vectors: Rocchio 1971; Li et al., TOIS 2023, arXiv:2108.11044.
        Weighted sum of normalised scores: Bruch, Gai & Ingber, TOIS 2023, arXiv:2210.11934, who find it ahead of ranks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rag import access
from rag.parts import Parts
from rag.spelling import respelled
from rag.types import Hit, Scored

DEPTH = 60  # rows asked of each store: deep enough that near copies do not use up the list
LEADERS = 3  # passages towards which the question leans
LEAN = 0.3  # how much of their mean is added to the question
LOOKED_AT = 5  # passages that are looked through for a word letter by letter

Column = npt.NDArray[np.float64]
Row = npt.NDArray[np.float32]


class Scores(NamedTuple):
    """What is known of every passage that one of the stores found."""

    near: dict[int, float]  # cosine with the question
    same: dict[int, float]  # BM25; no entry without a word of the question
    rows: dict[int, Row]  # vectors of length 1


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
    found = scored(words, parts=parts, depth=max(DEPTH, 2 * k), allowed=allowed)
    fused = rank(found, weight=parts.settings.fusion_weight)
    scores = dict(fused)
    hits = [
        Hit(passage, scores[passage.id], found.near.get(passage.id, 0.0))
        for passage in parts.catalogue.passages(row.passage for row in fused)
    ]
    return without_copies(hits, parts.catalogue.near_keys(hit.passage.id for hit in hits))[:k]


def scored(question: str, *, parts: Parts, depth: int = DEPTH, allowed: Collection[int] | None = None) -> Scores:
    """Both scores of every passage that is among the first `depth` of either store."""
    words = respelled(question, parts.lexical.counting(allowed), lambda word: _is_written(word, parts, allowed))
    vector = parts.embedder.embed_questions([words])[0]
    near = dict(parts.vectors.search_vector(vector, depth, allowed))
    same = dict(parts.lexical.search(words, depth, allowed))
    ids, rows = parts.catalogue.vectors(near.keys() | same.keys())
    near |= {number: float(row @ vector) for number, row in zip(ids.tolist(), rows, strict=True) if number not in near}
    same |= parts.lexical.scores(words, near.keys() - same.keys(), allowed)
    return Scores(near, same, dict(zip(ids.tolist(), rows, strict=True)))


def rank(found: Scores, *, weight: float) -> list[Scored]:
    """Passages by both scores, best first; the second time the question leans towards what came first."""
    first = fuse(found.near, found.same, weight=weight)
    leaders = [found.rows[row.passage] for row in first if row.passage in found.rows][:LEADERS]
    if len(leaders) < LEADERS:
        return first
    mean = np.mean(leaders, axis=0)
    mean /= np.linalg.norm(mean)
    leant = {
        passage: cosine + LEAN * float(found.rows[passage] @ mean)
        for passage, cosine in found.near.items() if passage in found.rows
    }  # fmt: skip
    return fuse(leant, found.same, weight=weight)


def _is_written(word: str, parts: Parts, allowed: Collection[int] | None) -> bool:
    """Does a passage hold exactly this word? The stores know stems only."""
    nearest = [row.passage for row in parts.lexical.search(word, LOOKED_AT, allowed)]
    whole = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE)
    return any(whole.search(passage.context) for passage in parts.catalogue.passages(nearest))


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
