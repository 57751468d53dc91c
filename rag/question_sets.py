"""Question sets that a library already holds: approved questions, and judged ones that no model learnt from.

Takes   an open library's parts, who asks, one collection or all.
Gives   `QuestionSet`s, whose rows are those of a question file (`rag/evaluate.py`), with two more keys: `collection`,
        and for approved questions without a stated answer `approved`, the answer object that today's is compared with.
Held    judged questions count where their document is kept to measure with (`rag/split.py`): then neither its words nor
        the question were in any bundle for training. All of them are given with `learnt=True`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag import bundle, evaluate, pinned, review
from rag.audit import Audit
from rag.errors import NotFound, SettingsError
from rag.lessons import Lesson
from rag.parts import Parts
from rag.types import LOCAL_OWNER

KINDS = ("file", "pinned", "judged")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions to ask; two sets with the same `identity` hold the same questions."""

    kind: str
    name: str
    rows: tuple[Row, ...]

    @property
    def identity(self) -> str:
        """sha256 over what is asked and expected."""
        asked = [
            [row["question"], row.get("answers"), row.get("answerable", True), row.get("history")] for row in self.rows
        ]
        return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def of_file(file: Path) -> QuestionSet:
    """A question file. Raises SettingsError where it cannot be read or a row cannot be asked."""
    return of_rows(file.name, evaluate.load(file))


def of_rows(name: str, rows: Sequence[Row]) -> QuestionSet:
    """Rows that somebody holds. Raises SettingsError where there are none, or one cannot be asked."""
    if not rows:
        raise SettingsError(f"{name}: no questions. Each line needs at least question, answers and answerable")
    for number, row in enumerate(rows, start=1):
        evaluate.refuse(row, f"{name}, question {number}")
    return QuestionSet("file", name, tuple(rows))


def of_pinned(parts: Parts, *, collection: str | None = None, person: str | None = None) -> QuestionSet:
    """Questions that people approved an answer to."""
    rows: list[Row] = []
    for one in pinned.pinned(parts.catalogue, collection=collection, person=person or LOCAL_OWNER, model=None):
        try:
            approved = Audit(parts.catalogue).load(one.answer_id)["answer"]
        except NotFound:  # erased a moment ago
            continue
        quotes = [cited["quote"] for cited in approved["citations"]]
        row: Row = {
            "id": one.id,
            "question": one.question,
            "answerable": bool(one.expected) or not one.refused,
            "answers": list(one.expected) or ([] if one.refused else [one.answer, *quotes]),
            "documents": [cited["document"] for cited in approved["citations"]],
            "collection": one.collection,
        }
        rows.append(row if one.expected else {**row, "approved": approved})
    return QuestionSet("pinned", "Approved questions", tuple(rows))


def of_judged(
    parts: Parts, *, collection: str | None = None, learnt: bool = False, person: str | None = None
) -> QuestionSet:
    """Questions with an accepted judgement that says what is right."""
    lessons, split = bundle.taught(parts, bundle.Wanted((person,) if person else (), collection, passages=False))
    rows = [_judged(parts, one) for one in lessons if one.points and (learnt or split.held[one.home])]
    name = "Judged questions" if learnt else "Judged questions, kept from training"
    unique = {row["question"]: row for row in rows}  # of several judgements of one question they agree: see `settled`
    return QuestionSet("judged", name, tuple(unique.values()))


def _judged(parts: Parts, lesson: Lesson) -> Row:
    home = parts.catalogue.document_of(lesson.home)
    answerable = review.NO_ANSWER not in lesson.teaches and lesson.answers is not None
    return {
        "id": lesson.judgement.id,
        "question": lesson.question,
        "answerable": answerable,
        "answers": [lesson.answers.words] if answerable and lesson.answers else [],
        "documents": [home.name] if answerable else [],
        "collection": home.collection,
    }
