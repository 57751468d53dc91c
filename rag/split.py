"""Which documents a model may learn from, and which are kept to measure it.

    near copies ─┐
    questions ───┴─► documents that belong together ─► a side for each such family ─► kept for ever

Takes   the documents of a bundle, and which of them share a question.
Gives   for each document whether it is held out. Documents with near copies of one another's passages stand on one
        side, and so do documents that answer one question: no text and no question is on both.
Keeps   what an earlier bundle decided: what was learnt from never becomes a measure. Where a family joins both sides,
        it is learnt from.
Leaves  out what stands almost everywhere (a footer in every document): it would make all documents one family.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.catalogue import Catalogue

EVERYWHERE = 8  # documents that share a passage before it may count as standing everywhere
_KEYS = """
    select k.key, p.document_id, p.id from near_keys k join passages p on p.id = k.passage_id
    where p.document_id in (select value from json_each(?))"""
_GROUPS = "select near_group, document_id, id from passages where document_id in (select value from json_each(?))"
_BEFORE = """
    select c.id, min(b.held) from bundle_documents b join documents d on d.id = b.document_id
    join documents c on c.collection = d.collection and c.source = d.source and c.path = d.path
    where c.current = 1 group by c.id"""


@dataclass(frozen=True, slots=True)
class Split:
    """`held[document]`; `everywhere` are ids of passages that are on neither side."""

    held: Mapping[int, bool]
    everywhere: frozenset[int]


def split(
    catalogue: Catalogue,
    documents: Sequence[int],
    together: Iterable[Sequence[int]],
    judged: set[int],
    *,
    share: float,
    seed: str = "",
) -> Split:
    """Choose a side for each document. `together` have to stand on one side; `judged` have rows of their own.

    Of judged and of other documents about `share` are held out each, so that a small library has something to measure.
    `seed` draws otherwise than the library's own id does, where nothing was decided yet.
    """
    shared, passages = _shared(catalogue, documents)
    limit = max((len(found) for found in shared.values()), default=0)
    ties = [list(each) for each in together]
    while True:
        near = [found for found in shared.values() if 1 < len(found) <= limit]
        families = _families(documents, [*map(sorted, near), *ties])
        if limit <= EVERYWHERE or 2 * max(map(len, families), default=0) <= len(documents):
            break
        limit = max(EVERYWHERE, limit // 2)
    everywhere = frozenset(p for key, found in shared.items() if len(found) > limit for p in passages[key])
    before = {document: bool(held) for document, held in catalogue.db.execute(_BEFORE)}
    sides: dict[int, bool] = {}
    for wanted in (True, False):
        some = [family for family in families if bool(judged & set(family)) is wanted]
        for family, held in zip(some, _sides(seed or catalogue.library_id, some, before, share), strict=True):
            sides |= dict.fromkeys(family, held)
    return Split(sides, everywhere)


def _shared(catalogue: Catalogue, documents: Sequence[int]) -> tuple[dict[str, frozenset[int]], dict[str, list[int]]]:
    """What passages share (a key or a group of near copies): in which documents it stands, and in which passages."""
    among = json.dumps(list(documents))
    found: defaultdict[str, set[int]] = defaultdict(set)
    passages: defaultdict[str, list[int]] = defaultdict(list)
    for select in (_KEYS, _GROUPS):
        for key, document, passage in catalogue.db.execute(select, (among,)):
            found[str(key)].add(document)
            passages[str(key)].append(passage)
    several = {key: frozenset(where) for key, where in found.items() if len(where) > 1}
    return several, {key: passages[key] for key in several}


def _families(documents: Sequence[int], ties: Iterable[Sequence[int]]) -> list[list[int]]:
    """Documents that are tied to each other, directly or through others; in the order of `documents`."""
    head = {document: document for document in documents}

    def of(document: int) -> int:
        while head[document] != document:
            head[document] = head[head[document]]
            document = head[document]
        return document

    for tie in ties:
        for document in tie[1:]:
            head[of(document)] = of(tie[0])
    families: defaultdict[int, list[int]] = defaultdict(list)
    for document in documents:
        families[of(document)].append(document)
    return list(families.values())


def _sides(seed: str, families: Sequence[Sequence[int]], before: Mapping[int, bool], share: float) -> Iterator[bool]:
    """Held out or not, for each family: as before, else by chance that is the same each time, up to the share."""
    chosen: dict[int, bool] = {}
    for number, family in enumerate(families):
        known = [before[document] for document in family if document in before]
        if known:
            chosen[number] = all(known)  # one that was learnt from is enough
    fresh = [number for number in range(len(families)) if number not in chosen]
    fresh.sort(key=lambda number: hashlib.sha256(f"{seed} {min(families[number])}".encode()).digest())
    wanted = share * sum(map(len, families))
    held = sum(len(families[number]) for number, side in chosen.items() if side)
    for number in fresh:
        chosen[number] = held + len(families[number]) / 2 <= wanted
        held += len(families[number]) * chosen[number]
    if not any(chosen.values()) and len(fresh) > 1:  # something to measure, however few there are
        chosen[min(fresh, key=lambda number: len(families[number]))] = True
    return (chosen[number] for number in range(len(families)))
