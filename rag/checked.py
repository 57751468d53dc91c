"""Questions whose right answer a person has said: what a candidate is measured on, and what it must not forget.

    accepted judgements ─► lessons ─┐
    pinned questions ───────────────┼─► Checked ─► asked of both models ─► right, wrong or refused
    a file of questions ────────────┘

Takes   an open library's parts, the lineage of a candidate, and perhaps a question file.
Gives   `Checked`s: each is asked with the rights of the person who asked it, and says whether it is held out: whether
        neither its judgement nor its document taught the candidate anything.
Leaves  out what says too little to tell right from wrong; nothing unreviewed counts, except what a person pinned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag import evaluate, lessons, pinned, training_rows
from rag.errors import NotFound
from rag.feedback import judgements
from rag.lineage import Lineage
from rag.metrics import f1, occurs, right
from rag.parts import Parts
from rag.readable import LeftOut, Place, Readable
from rag.recheck import compared
from rag.types import LOCAL_OWNER, Answer, Message

ALIKE = 0.5  # F1 from which two wordings from the same words of a document are one answer


@dataclass(frozen=True)
class Checked:
    """One question, and how an answer to it is judged."""

    id: str  # of the judgement, the pin or the line
    source: str  # judged, approved, file
    question: str
    outcome: Callable[[Answer], str]  # right, wrong, refused
    history: tuple[Message, ...] = ()
    collection: str | None = None
    person: str | None = None
    held: bool = False  # taught the candidate nothing
    corrected: bool = False  # a person had said that the answer was wrong, and which one is right
    unanswerable: bool = False  # right is to refuse
    answer_id: str = ""  # the audited answer that it is about


def checked(parts: Parts, lineage: Lineage | None, questions: Path | None) -> list[Checked]:
    """Everything that people checked. An answer that was judged and is pinned counts once among the held-out ones.

    A question that taught the candidate in one place is held out in none, whoever asked it again.
    """
    judged = _judged(parts, lineage)
    approved = _approved(parts, lineage, {one.answer_id for one in judged})
    taught = {training_rows.same(one.question) for one in judged if not one.held}
    return [
        replace(one, held=one.held and training_rows.same(one.question) not in taught)
        for one in (*judged, *approved, *(_from_file(questions) if questions else []))
    ]


# --- judgements -------------------------------------------------------------------------------------------------------


def _judged(parts: Parts, lineage: Lineage | None) -> list[Checked]:
    """Accepted judgements that say which words answer, or that none do."""
    catalogue = parts.catalogue
    readable = Readable(catalogue)
    found = []
    for made in judgements(catalogue, state="accepted"):
        try:
            found.append(lessons.lesson(catalogue, readable, made))
        except LeftOut:
            continue
    rows = []
    for lesson in training_rows.settled(found):
        if not lesson.points or lesson.judgement.kind != "rating":
            continue
        payload = parts.audit.load(lesson.judgement.answer_id)
        rows.append(
            Checked(
                id=lesson.judgement.id,
                source="judged",
                question=payload["question"],
                outcome=_by_place(lesson.answers),
                history=tuple(Message(*turn) for turn in payload["history"]),
                collection=payload["collection"],
                person=_asker(parts, lesson.judgement.answer_id),
                held=_held(lineage, [lesson.judgement.id], lesson.tied),
                corrected=lesson.judgement.verdict == "down",
                unanswerable=lesson.answers is None,
                answer_id=lesson.judgement.answer_id,
            )
        )
    return rows


def _by_place(place: Place | None) -> Callable[[Answer], str]:
    """Right where it rests on the marked words and says about the same; without any, where it refuses."""

    def outcome(given: Answer) -> str:
        if given.abstained:
            return "right" if place is None else "refused"
        if place is None:
            return "wrong"
        if right(given.text, [place.words]):
            return "right"
        begin = place.passage.start + place.start
        rests = any(
            cited.document == place.passage.document and cited.start < begin + len(place.words) and begin < cited.end
            for cited in given.citations
        )
        same = f1(given.text, place.words) >= ALIKE or occurs(given.text.rstrip("."), place.words)
        return "right" if rests and same else "wrong"

    return outcome


def _held(lineage: Lineage | None, made: Sequence[str], documents: Sequence[int]) -> bool:
    return lineage is None or not (lineage.judgements & set(made) or lineage.families & lineage.of(documents))


def _asker(parts: Parts, answer_id: str) -> str:
    row = parts.catalogue.db.execute("select person from audit where id = ?", (answer_id,)).fetchone()
    return str(row[0])


# --- approved answers -------------------------------------------------------------------------------------------------


def _approved(parts: Parts, lineage: Lineage | None, judged: Collection[str]) -> list[Checked]:
    """Pinned questions; a thumb up pins one. `judged` are answers that count among the judgements already."""
    pinned.adopt(parts.catalogue)
    found = []
    for identity, _, person, answer_id, expected, *_ in pinned.rows(parts.catalogue, None, LOCAL_OWNER):
        try:
            payload = parts.audit.load(answer_id)
        except NotFound:  # erased since the list was made
            continue
        rated = judgements(parts.catalogue, answer_id=answer_id)
        shown = [*payload["answer"]["citations"], *payload["answer"].get("nearest", ())]
        found.append(
            Checked(
                id=identity,
                source="approved",
                question=payload["question"],
                outcome=_as_approved(payload["answer"], json.loads(expected)),
                history=tuple(Message(*turn) for turn in payload["history"]),
                collection=payload["collection"],
                person=person,
                held=answer_id not in judged and _held(lineage, [one.id for one in rated], _documents(parts, shown)),
                answer_id=answer_id,
                unanswerable=bool(payload["answer"]["abstained"] and not json.loads(expected)),
            )
        )
    return found


def _as_approved(approved: dict[str, Any], expected: Sequence[Any]) -> Callable[[Answer], str]:
    def outcome(given: Answer) -> str:
        if compared(approved, given, expected) in pinned.HOLDS:
            return "right"
        return "refused" if given.abstained else "wrong"

    return outcome


def _documents(parts: Parts, shown: Sequence[dict[str, Any]]) -> list[int]:
    """Ids of the versions that an answer shows."""
    found = []
    for one in shown:
        rows = parts.catalogue.db.execute(
            "select id from documents where name = ? and version = ?", (one["document"], one["version"])
        )
        found += [row[0] for row in rows]
    return found


# --- a file -----------------------------------------------------------------------------------------------------------


def _from_file(file: Path) -> list[Checked]:
    """Rows as `rag evaluate` takes them. Raises SettingsError."""
    return [
        Checked(
            id=str(row.get("id", number)),
            source="file",
            question=row["question"],
            outcome=_by_row(row),
            history=tuple(Message(turn["question"], turn["answer"]) for turn in row.get("history") or ()),
            held=True,
            unanswerable=not row.get("answerable", True),
        )
        for number, row in enumerate(evaluate.load(file), start=1)
    ]


def _by_row(row: dict[str, Any]) -> Callable[[Answer], str]:
    def outcome(given: Answer) -> str:
        said: str = evaluate.judge(row, given, ())["outcome"]
        return "right" if said == "refused" and not row.get("answerable", True) else said

    return outcome
