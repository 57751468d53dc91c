"""Questions people approved: what was approved, and how each fares with today's documents and model.

    thumb up, or by hand ─► pinned ─► documents or model change ─► asked again (recheck.py) ─► holds, or dropped

Takes   approved answers of the audit. A thumb up pins its question until it is withdrawn, or rejected by a reviewer; an
        answer that used what a person asked to be remembered is never pinned.
Gives   `Pinned`s, those that dropped first, with what changed since they held.
Rights  a question is asked with the rights of the person who asked it. Others see it once it was accepted or pinned by
        hand, and only where they may read all that the approved answer shows.
Words   stand in the audit alone: where an answer's content is erased, its pin is gone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rag import access
from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.metrics import plain, right
from rag.types import DEFAULT_COLLECTION, LOCAL_OWNER

HOLDS = ("same", "kept")
KEPT = 20  # results of each
NAMED = 3  # changed documents that a drop names

_STANDING = """
    select j.answer_id, a.person, max(j.at) from judgements j join audit a on a.id = j.answer_id
    where j.withdrawn = 0 and j.kind = 'rating' and j.verdict = 'up' and j.state <> 'rejected' and a.payload is not null
    """
_ROWS = """
    select p.id, p.collection, p.person, p.answer_id, p.expected, p.by_hand, p.at, exists (select 1 from judgements j
        where j.answer_id = p.answer_id and j.withdrawn = 0 and j.verdict = 'up' and j.state = 'accepted')
    from pinned p where p.dropped = 0 and (:collection is null or p.collection = :collection)
    order by p.at desc, p.rowid desc"""
_RESULTS = "select generation, model, at, outcome, confidence from pinned_results where pinned_id = ? order by at desc"


class Result(NamedTuple):
    """How a question fared, with which documents and which model."""

    generation: int
    model: str
    at: str
    outcome: str  # see recheck.py
    confidence: float

    @property
    def holds(self) -> bool:
        """Does it rest on what was approved?"""
        return self.outcome in HOLDS


@dataclass(frozen=True, slots=True)
class Pinned:
    """A question that people approved an answer to."""

    id: str
    collection: str
    question: str  # a follow-up as it was understood
    answer: str  # that was approved
    refused: bool  # the approved answer was a refusal
    answer_id: str
    person: str
    at: str  # when it was pinned
    by_hand: bool
    expected: tuple[Any, ...] = ()  # alternatives that must occur; empty: compared with the approved answer
    result: Result | None = None  # the latest
    before: Result | None = None  # the latest that held, where the present one does not
    because: tuple[str, ...] = ()  # what changed in between, a line each
    waiting: bool = False  # not asked yet with the present documents and model

    @property
    def holds(self) -> bool:
        """True until it was seen to drop."""
        return self.result is None or self.result.holds

    def as_dict(self) -> dict[str, Any]:
        """For `rag pinned --json`."""
        return {
            "id": self.id, "collection": self.collection, "question": self.question, "answer": self.answer,
            "abstained": self.refused, "answer_id": self.answer_id, "pinned_at": self.at, "by_hand": self.by_hand,
            "expected": list(self.expected), "holds": self.holds, "waiting": self.waiting,
            "because": list(self.because), "outcome": self.result and self.result.outcome,
            "asked_at": self.result and self.result.at, "held_at": self.before and self.before.at,
        }  # fmt: skip


# --- pinning ----------------------------------------------------------------------------------------------------------


def pin(
    catalogue: Catalogue,
    answer_id: str,
    *,
    expected: Sequence[Any] = (),
    instead_of: str | None = None,
    person: str = LOCAL_OWNER,
) -> str:
    """Pin an answer by hand and return the pin's id. `instead_of` is the pin whose answer is out of date."""
    audit = Audit(catalogue)
    with catalogue.atomic() as db:
        payload = audit.load(answer_id)
        asker, _ = _asked(catalogue, answer_id)
        if "question" not in payload or person not in (LOCAL_OWNER, asker):
            raise NotFound(f"answer {answer_id}: no such answer. `rag audit` lists the ids")
        if payload.get("remembered"):
            raise SettingsError(f"answer {answer_id} used what {asker} asked to be remembered, so it is not for others")
        if instead_of:
            unpin(catalogue, instead_of, person=person)
        db.execute("delete from pinned where answer_id = ?", (answer_id,))
        return _insert(catalogue, answer_id, payload, person=asker, expected=expected, by_hand=True)


def unpin(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> None:
    """Ask it no more. A judgement that stands does not bring it back."""
    with catalogue.atomic() as db:
        found = next((row for row in rows(catalogue, None, person) if row[0] == identity), None)
        if found is None:
            raise NotFound(f"{identity}: no pinned question has this id. `rag pinned` lists them")
        if found[5]:
            db.execute("delete from pinned where id = ?", (identity,))
        else:
            db.execute("update pinned set dropped = 1 where id = ?", (identity,))


def adopt(catalogue: Catalogue) -> None:
    """Pin what people approved since, and let go what was withdrawn, rejected or erased."""
    standing = catalogue.db.execute(_STANDING + "group by j.answer_id order by max(j.at)").fetchall()
    known = dict(catalogue.db.execute("select answer_id, by_hand from pinned").fetchall())
    approved = {row[0] for row in standing}
    erased = {row[0] for row in catalogue.db.execute(
        "select p.answer_id from pinned p join audit a on a.id = p.answer_id where a.payload is null")}  # fmt: skip
    gone = [one for one, by_hand in known.items() if one in erased or not (by_hand or one in approved)]
    new = [(one, person) for one, person, _ in standing if one not in known]
    if not gone and not new:
        return
    with catalogue.atomic() as db:
        db.executemany("delete from pinned where answer_id = ?", [(one,) for one in gone])
        audit = Audit(catalogue)
        for one, person in new:
            try:
                payload = audit.load(one)
            except NotFound:  # erased a moment ago
                continue
            if not payload.get("remembered"):
                _insert(catalogue, one, payload, person=person, by_hand=False)


def _insert(
    catalogue: Catalogue,
    answer_id: str,
    payload: dict[str, Any],
    *,
    person: str,
    expected: Sequence[Any] = (),
    by_hand: bool,
) -> str:
    """A row, its first result, and an end to former approvals of the same question."""
    identity, collection = uuid.uuid4().hex[:12], _collection(catalogue, payload)
    for other, where, whose, other_answer, *_ in rows(catalogue, collection, LOCAL_OWNER):
        if whose == person and where == collection and _same_question(catalogue, other_answer, payload):
            catalogue.db.execute("update pinned set dropped = 1 where id = ?", (other,))
    catalogue.db.execute(
        "insert into pinned (id, collection, person, answer_id, expected, by_hand, at) values (?, ?, ?, ?, ?, ?, ?)",
        (identity, collection, person, answer_id, json.dumps(list(expected), ensure_ascii=False), by_hand, now()),
    )
    given = payload["answer"]
    outcome = judged_by(expected, given["abstained"], given["answer"]) if expected else "same"
    model = named_model(payload["model"], given.get("query_side", ""), payload["settings"]["strictness"])
    _, at = _asked(catalogue, answer_id)
    store(catalogue, identity, Result(payload["generation"], model, at, outcome, payload.get("confidence", 0.0)))
    return identity


def _same_question(catalogue: Catalogue, answer_id: str, payload: dict[str, Any]) -> bool:
    try:
        other = Audit(catalogue).load(answer_id)
    except NotFound:
        return False
    return plain(other["standalone"]) == plain(payload["standalone"])


def _collection(catalogue: Catalogue, payload: dict[str, Any]) -> str:
    """The one that was asked; where all were asked, that of the document it was answered from."""
    if payload["collection"]:
        return str(payload["collection"])
    for cited in (*payload["answer"]["citations"], *payload["answer"].get("nearest", ())):
        row = catalogue.db.execute(
            "select collection from documents where name = ? and version = ?", (cited["document"], cited["version"])
        ).fetchone()
        if row:
            return str(row[0])
    return DEFAULT_COLLECTION


def _asked(catalogue: Catalogue, answer_id: str) -> tuple[str, str]:
    """By whom an answer was asked for, and when."""
    person, at = catalogue.db.execute("select person, at from audit where id = ?", (answer_id,)).fetchone()
    return str(person), str(at)


# --- how they fare ----------------------------------------------------------------------------------------------------


def pinned(
    catalogue: Catalogue, *, collection: str | None = None, person: str = LOCAL_OWNER, model: str | None = None
) -> list[Pinned]:
    """The pinned questions that this person may see, those that dropped first, then the latest.

    `model` is the present one as `model_of` names it; None where none is open: then only documents can make them wait.
    """
    adopt(catalogue)
    found = [_read(catalogue, row, person, model) for row in rows(catalogue, collection, person)]
    return sorted((one for one in found if one is not None), key=lambda one: one.holds)


def rows(catalogue: Catalogue, collection: str | None, person: str) -> list[tuple[Any, ...]]:
    """Rows of `pinned` that this person may see: id, collection, person, answer, expected; the latest first."""
    found = catalogue.db.execute(_ROWS, {"collection": collection}).fetchall()
    return [row for row in found if person in (LOCAL_OWNER, row[2]) or _open(catalogue, row, person)]


def _open(catalogue: Catalogue, row: tuple[Any, ...], person: str) -> bool:
    """May others know of it, and this person read everything that the approved answer shows?"""
    if not (row[5] or row[7]):
        return False
    try:
        given = Audit(catalogue).load(row[3])["answer"]
    except NotFound:
        return False
    shown = (*given["citations"], *given.get("nearest", ()))
    return all(access.may_read_version(catalogue, person, one["document"], one["version"]) for one in shown)


def _read(catalogue: Catalogue, row: tuple[Any, ...], person: str, model: str | None) -> Pinned | None:
    identity, collection, whose, answer_id, expected, by_hand, at, _ = row
    try:
        payload = Audit(catalogue).load(answer_id)
    except NotFound:  # erased a moment ago
        return None
    results = [Result(*one) for one in catalogue.db.execute(_RESULTS, (identity,))]
    latest = results[0] if results else None
    before = next((one for one in results if one.holds), None) if latest and not latest.holds else None
    due = latest is None or latest.generation != catalogue.generation or (model is not None and latest.model != model)
    return Pinned(
        identity, collection, payload["standalone"], payload["answer"]["answer"], payload["answer"]["abstained"],
        answer_id, whose, at, bool(by_hand), tuple(json.loads(expected)), latest, before,
        because=_because(catalogue, latest, before, person) if latest and before else (), waiting=due,
    )  # fmt: skip


def _because(catalogue: Catalogue, latest: Result, before: Result, person: str) -> tuple[str, ...]:
    """What changed between two results, as far as this person may know it."""
    lines = [f"model {before.model} became {latest.model}"] if before.model != latest.model else []
    changes = catalogue.db.execute(
        "select kind, json_extract(payload, '$.payload.document') from audit where at > ? and at <= ?"
        " and payload is not null and kind in ('added', 'replaced', 'removed', 'access') order by seq desc",
        (before.at, latest.at),
    )
    readable = {document.name for document in catalogue.documents(person=person)}
    seen = list(dict.fromkeys((kind, name) for kind, name in changes if person == LOCAL_OWNER or name in readable))
    words = {"added": "added", "replaced": "replaced", "removed": "removed", "access": "other readers of"}
    lines += [f"{words[kind]} {name}" for kind, name in seen[:NAMED]]
    if len(seen) > NAMED:
        lines.append(f"and {len(seen) - NAMED} other changes of documents")
    return tuple(lines)


def judged_by(expected: Sequence[Any], refused: bool, words: str) -> str:
    """The outcome where it is said what must occur."""
    return "lost" if refused else "kept" if right(words, expected) else "changed"


def any_pinned(catalogue: Catalogue) -> bool:
    """Is there anything to ask again? Quick."""
    if catalogue.db.execute("select 1 from pinned where dropped = 0 limit 1").fetchone():
        return True
    return catalogue.db.execute(_STANDING + "group by j.answer_id limit 1").fetchone() is not None


def named_model(reader: str, query_side: str, strictness: str | float) -> str:
    """What answers, by name: reader, query side, and the strictness where it is not the normal one."""
    return ", ".join(filter(None, (reader, query_side, "" if strictness == "normal" else f"strictness {strictness}")))


def store(catalogue: Catalogue, identity: str, result: Result) -> bool:
    """Keep a result and forget the oldest ones; False where the question was let go meanwhile."""
    with catalogue.atomic() as db:
        if db.execute("select 1 from pinned where id = ?", (identity,)).fetchone() is None:
            return False
        db.execute("insert or replace into pinned_results values (?, ?, ?, ?, ?, ?)", (identity, *result))
        db.execute(
            "delete from pinned_results where pinned_id = ?1 and at not in"
            " (select at from pinned_results where pinned_id = ?1 order by at desc limit ?2)",
            (identity, KEPT),
        )
    return True
