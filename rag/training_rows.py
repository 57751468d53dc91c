"""Lessons become rows: for the reader and the retriever, for preferences, and the passages themselves.

    lessons ─► contradictions settled ─► equal ones joined ─► near misses of the same side ─► rows

Takes   lessons, the split of the documents, and the library's own two searches.
Gives   rows as plain values, in an order that does not depend on when they were judged. Every row names its document,
        version, readers and the hash of its text, and so does each of its passages.
Rules   what a row shows stands on one side of the split, is open to every future reader and has no copy on the other
        side. A near miss holds neither the answer's words nor a copy of its passage.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rag import review
from rag.lessons import Lesson
from rag.parts import Parts
from rag.readable import Readable
from rag.split import Split
from rag.types import Passage

MISSES = 7  # with the passage that answers: as many as the reader reads at once
DEPTH = 30  # rows asked of each search
NEAR = 6  # near misses named with each passage
MOST_NEAR = 50_000  # passages of a side above which none are named: each is compared with all others
BLOCK = 1_024  # passages compared at a time

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One side of the split: what its rows may show."""

    held: bool
    documents: tuple[int, ...]
    passages: Ids  # ascending


class Sides:
    """Both sides, and which passage stands on which."""

    def __init__(self, parts: Parts, readable: Readable, split: Split) -> None:
        self.parts, self.readable, self.split = parts, readable, split
        self.train, self.held = (self._side(held) for held in (False, True))

    def of(self, document: int) -> Side:
        """The side a document stands on."""
        return self.held if self.split.held[document] else self.train

    def shows(self, passage: Passage, side: Side) -> bool:
        """May a row of this side show the passage?"""
        open_to_all = self.split.held.get(passage.document_id) is side.held
        return open_to_all and passage.id not in self.split.everywhere

    def _side(self, held: bool) -> Side:
        documents = [each for each in self.readable.documents if self.split.held[each] is held]
        rows = self.parts.catalogue.db.execute(
            "select id from passages where document_id in (select value from json_each(?)) order by id",
            (json.dumps(documents),),
        )
        ids = [row[0] for row in rows if row[0] not in self.split.everywhere]
        return Side(held, tuple(documents), np.array(ids, dtype=np.int64))


# --- reading ----------------------------------------------------------------------------------------------------------


def settled(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Where people contradict each other about whether a passage answers a question, the greater number is right.

    As many on both sides: neither is taught.
    """
    votes: defaultdict[tuple[str, int], dict[bool, set[str]]] = defaultdict(lambda: {True: set(), False: set()})
    for lesson in lessons:
        for passage, answers in _claims(lesson):
            votes[asked(lesson), passage][answers].add(lesson.judgement.person)

    def stands(lesson: Lesson) -> bool:
        counts = (
            (len(votes[asked(lesson), passage][answers]), len(votes[asked(lesson), passage][not answers]))
            for passage, answers in _claims(lesson)
        )
        return all(mine > others for mine, others in counts)

    return [lesson for lesson in lessons if stands(lesson)]


def _claims(lesson: Lesson) -> Iterator[tuple[int, bool]]:
    if lesson.answers is not None:
        yield lesson.answers.passage.id, True
    elif review.NO_ANSWER in lesson.teaches:
        yield from ((passage.id, False) for passage in lesson.read)


def asked(lesson: Lesson) -> str:
    """What a lesson is about: its question."""
    return same(lesson.question)


def same(question: str) -> str:
    """A question, as two askers of the same would write it."""
    return " ".join(question.casefold().split()).rstrip(" ?.!")


def reading_rows(sides: Sides, lessons: Iterable[Lesson]) -> list[tuple[bool, dict[str, Any]]]:
    """(held out, row) for every lesson that points at words, or says that there are none."""
    alike: defaultdict[tuple[Any, ...], list[Lesson]] = defaultdict(list)
    known: defaultdict[str, set[int]] = defaultdict(set)
    for lesson in lessons:
        if lesson.points:
            place = lesson.answers
            where = (place.passage.document_id, place.passage.start + place.start, len(place.words)) if place else ()
            alike[(asked(lesson), where)].append(lesson)
            known[asked(lesson)] |= lesson.known | ({place.passage.id} if place else set())
    rows = []
    for (question, _), group in alike.items():
        first = min(group, key=lambda lesson: (lesson.judgement.at, lesson.judgement.id))
        side = sides.of(first.home)
        read = [passage for passage in first.read if sides.shows(passage, side)]
        if first.answers is not None:
            sources = [first.answers.passage, *near_misses(sides, side, first, known[question])]
            spans = [[first.answers.start, first.answers.end]]
        else:
            at_home = [passage for passage in read if passage.document_id == first.home]
            sources = [*at_home[:1], *(passage for passage in read if passage not in at_home[:1])][: MISSES + 1]
            spans = []
        if sources:
            rows.append((side.held, _reading_row(sides.readable, group, sources, spans)))
    return sorted(rows, key=lambda row: str(row[1]["id"]))


def near_misses(sides: Sides, side: Side, lesson: Lesson, known: set[int]) -> list[Passage]:
    """Passages that are easily taken for the one that answers: read for this question, alike in words, in meaning."""
    place = lesson.answers
    assert place is not None, "only what has an answer has near misses"
    parts, gold = sides.parts, place.passage
    ids, vectors = parts.catalogue.vectors([gold.id])
    found = [row.passage for row in parts.lexical.search(lesson.question, DEPTH, side.passages)]
    if len(ids):
        found += [row.passage for row in parts.vectors.search_vector(vectors[0], DEPTH, side.passages)]
    words = _plain(place.words)
    kept: dict[int, Passage] = {}
    for passage in [*lesson.read, *parts.catalogue.passages(dict.fromkeys(found))]:
        overlaps = passage.document_id == gold.document_id and passage.start < gold.end and gold.start < passage.end
        answers = passage.id in known or words in _plain(passage.text) or (gold.group and passage.group == gold.group)
        if sides.shows(passage, side) and not overlaps and not answers:
            kept.setdefault(passage.id, passage)
    return list(kept.values())[:MISSES]


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())


def _reading_row(
    readable: Readable, group: Sequence[Lesson], sources: Sequence[Passage], spans: Sequence[Sequence[int]]
) -> dict[str, Any]:
    first = group[0]
    row = {
        "question": first.question,
        "sources": [[" > ".join(source.headings), source.text] for source in sources],
        "spans": [list(span) for span in spans],
        "domain": "judged",
        "licence": "",
        "teaches": [name for name in review.ROUTES if name != review.PREFERENCE and name in first.teaches],
    }
    return _named(row) | _from(group) | _places(readable, sources)


# --- preferences ------------------------------------------------------------------------------------------------------


def preference_rows(sides: Sides, lessons: Iterable[Lesson]) -> list[tuple[bool, dict[str, Any]]]:
    """(held out, row) for every lesson about which words are better; of a single thumb one of the two is null."""
    alike: defaultdict[tuple[Any, ...], list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        if review.PREFERENCE in lesson.teaches:
            alike[(asked(lesson), lesson.chosen, lesson.rejected)].append(lesson)
    rows = []
    for group in alike.values():
        first = group[0]
        side = sides.of(first.home)
        sources = [passage for passage in first.read if sides.shows(passage, side)][: MISSES + 1]
        if not sources:
            continue
        row = {
            "question": first.question,
            "sources": [[" > ".join(source.headings), source.text] for source in sources],
            "chosen": first.chosen,
            "rejected": first.rejected,
            "domain": "judged",
            "licence": "",
            "teaches": [review.PREFERENCE],
        }
        rows.append((side.held, _named(row) | _from(group) | _places(sides.readable, sources)))
    return sorted(rows, key=lambda row: str(row[1]["id"]))


# --- passages ---------------------------------------------------------------------------------------------------------


def passage_rows(sides: Sides, side: Side) -> Iterator[dict[str, Any]]:
    """Every passage of a side with its near misses, a document after the other, in reading order."""
    near = near_of(sides, side)
    wanted = set(side.passages.tolist())
    for document in side.documents:
        listed = sides.readable.documents[document]
        for passage in sides.readable.passages_of(document):
            if passage.id in wanted:
                yield {
                    "id": f"{passage.id}",
                    "document": passage.document,
                    "title": listed.title,
                    "headings": list(passage.headings),
                    "text": passage.text,
                    "near": [str(each) for each in near.get(passage.id, ())],
                    "domain": "documents",
                    "licence": "",
                } | _place(sides.readable, passage)


def near_of(sides: Sides, side: Side) -> dict[int, list[int]]:
    """For each passage those nearest in meaning, copies left out. Nothing above MOST_NEAR passages."""
    if len(side.passages) > MOST_NEAR:
        return {}
    ids, vectors = sides.parts.catalogue.vectors(side.passages)
    rows = sides.parts.catalogue.db.execute(
        "select id, near_group from passages where id in (select value from json_each(?))", (json.dumps(ids.tolist()),)
    )
    groups = dict(rows.fetchall())
    group = np.array([groups[passage] for passage in ids.tolist()], dtype=np.int64)
    found: dict[int, list[int]] = {}
    for start in range(0, len(ids), BLOCK):
        likeness = np.round(vectors[start : start + BLOCK] @ vectors.T, 3)  # equal on every machine
        likeness[group[start : start + BLOCK, None] == group[None, :]] = -np.inf
        for row, passage in zip(likeness, ids[start : start + BLOCK].tolist(), strict=True):
            best = np.argsort(-row, kind="stable")[:NEAR]
            found[passage] = [int(ids[n]) for n in best if np.isfinite(row[n])]
    return found


# --- what every row says of itself ------------------------------------------------------------------------------------


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """With an id that is the hash of its content: the same row has the same id in every bundle."""
    content = json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
    return {"id": hashlib.sha256(content).hexdigest()[:16], **row}


def _from(group: Sequence[Lesson]) -> dict[str, Any]:
    """Which judgements a row comes from, and how many people gave them; never who."""
    return {
        "judgements": sorted(lesson.judgement.id for lesson in group),
        "people": len({lesson.judgement.person for lesson in group}),
        "judged": group[0].origin,
    }


def _places(readable: Readable, sources: Sequence[Passage]) -> dict[str, Any]:
    """Document, version, readers and hash of the first source, and the same of each."""
    readers = readable.readers([source.document_id for source in sources])
    first = _place(readable, sources[0]) | {"access": readers}
    return {"document": sources[0].document, **first, "passages": [
        {"id": str(source.id), "document": source.document, **_place(readable, source)} for source in sources
    ]}  # fmt: skip


def _place(readable: Readable, passage: Passage) -> dict[str, Any]:
    return {
        "document_id": passage.document_id,
        "version": passage.version,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "access": list(readable.access[passage.document_id]),
        "sha256": hashlib.sha256(passage.text.encode("utf-8", "surrogatepass")).hexdigest(),
    }
