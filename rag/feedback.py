"""What people thought of answers: typed judgements, tied to the audited answer.

Takes   the id of an audited answer, `up` or `down`, one of REASONS, a correction in the person's words.
Gives   stored judgements, and rows for export: each with question, answer and the passages that were read.
Refuses unknown answers (NotFound), verdicts and reasons (SettingsError). A person has one judgement of an answer: a new
        one withdraws the one before, which stays in the table.
"""

from __future__ import annotations

import uuid
from typing import Any

from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.types import LOCAL_OWNER, Judgement

VERDICTS = ("up", "down")
REASONS = (
    "passage_missed",  # another passage answers better: trains the retriever
    "wrong_words",  # right passage, wrong span: trains the reader
    "unsupported",  # the quotation does not say so: trains the refusal
    "outdated",  # true once: a matter of the documents
    "should_have_refused",
    "should_have_answered",
    "style",
)


def rate(
    catalogue: Catalogue,
    answer_id: str,
    verdict: str,
    *,
    reason: str | None = None,
    correction: str | None = None,
    person: str = LOCAL_OWNER,
) -> Judgement:
    """Store a judgement in place of this person's earlier one of the same answer."""
    if verdict not in VERDICTS:
        raise SettingsError(f"verdict is {verdict!r}: use up or down")
    if reason is not None and reason not in REASONS:
        raise SettingsError(f"reason is {reason!r}: use one of {', '.join(REASONS)}")
    words = (correction or "").strip() or None
    made = Judgement(answer_id, verdict, reason, words, person, now())
    with catalogue.atomic() as db:
        if db.execute("select 1 from audit where id = ? and kind = 'answer'", (answer_id,)).fetchone() is None:
            raise NotFound(f"answer {answer_id}: no such answer. `rag audit` lists the ids")
        _withdraw(catalogue, answer_id, person)
        db.execute(
            "insert into judgements (id, answer_id, person, verdict, reason, correction, at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (uuid.uuid4().hex, answer_id, person, verdict, reason, words, made.at),
        )
    return made


def withdraw(catalogue: Catalogue, answer_id: str, *, person: str = LOCAL_OWNER) -> None:
    """Take a judgement back; it is no longer listed or exported."""
    with catalogue.atomic():
        if not _withdraw(catalogue, answer_id, person):
            raise NotFound(f"answer {answer_id}: {person} has not judged it, or has withdrawn the judgement")


def _withdraw(catalogue: Catalogue, answer_id: str, person: str) -> int:
    return catalogue.db.execute(
        "update judgements set withdrawn = 1 where answer_id = ? and person = ? and withdrawn = 0", (answer_id, person)
    ).rowcount


def judgements(
    catalogue: Catalogue, *, answer_id: str | None = None, person: str | None = None, verdict: str | None = None
) -> list[Judgement]:
    """Judgements that stand, the oldest first; None means all."""
    rows = catalogue.db.execute(
        "select answer_id, verdict, reason, correction, person, at from judgements where withdrawn = 0"
        " and answer_id = coalesce(?, answer_id) and person = coalesce(?, person) and verdict = coalesce(?, verdict)"
        " order by at, rowid",
        (answer_id, person, verdict),
    )
    return [Judgement(*row) for row in rows]


def export(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every judgement that stands with what was judged. Answers whose content was erased are left out."""
    audit = Audit(catalogue)
    rows: list[dict[str, Any]] = []
    for made in judgements(catalogue):
        try:
            payload = audit.load(made.answer_id)
        except NotFound:  # erased on somebody's request: nothing of it may leave the library
            continue
        answer = payload["answer"]
        rows.append(
            {
                "answer_id": made.answer_id,
                "verdict": made.verdict,
                "reason": made.reason,
                "correction": made.correction,
                "person": made.person,
                "at": made.at,
                "question": payload["question"],
                "standalone": payload["standalone"],
                "answer": answer["answer"],
                "abstained": answer["abstained"],
                "citations": answer["citations"],
                "nearest": answer.get("nearest", []),
                "passages": payload["passages"],
                "model": payload["model"],
            }
        )
    return rows
