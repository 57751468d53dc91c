"""What people asked, as the audit keeps it: one `Question` an answer, with what became of it and how it was judged.

Takes   the catalogue, a time from which on, who looks and at which collection.
Gives   questions, the youngest first, at most MOST of them. Follow-ups stand as they were understood.
Left out: answers that no person asked for (evaluations, replays), answers whose content was erased, and for a named
        person those that quote or point at a document which this person may not read.
Cost    a payload is parsed once a process (about 0.2 ms); later calls only ask which rows are new or erased.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from weakref import WeakKeyDictionary

from rag import feedback
from rag.access import may_know, may_read_version
from rag.audit import ASKED
from rag.catalogue import Catalogue
from rag.types import LOCAL_OWNER

MOST = 20_000  # questions looked at
NEAR = 0.5  # share of the confidence needed: a refusal above it found something that may be the answer

Version = tuple[str, int]  # a document's name and version: one text for ever

_PATHS = ("purpose", "question", "standalone", "collection", "confidence", "threshold", "answer.abstained")
_LISTS = ("answer.citations", "answer.nearest", "passages")
_ROWS = "select seq, payload is null from audit where kind = 'answer' and at >= ? order by seq desc limit ?"
_PAYLOADS = (
    "select seq, id, at, person, json_extract(payload, "  # noqa: S608 - our own paths
    + ", ".join(f"'$.payload.{path}'" for path in (*_PATHS, *_LISTS))
    + ") from audit where payload is not null and seq in (select value from json_each(?))"
)
_JUDGED = (
    "select answer_id, verdict, reason from judgements where withdrawn = 0 and kind = 'rating' and state <> 'rejected'"
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question, what became of it, and what people thought of that."""

    answer_id: str
    at: str  # ISO 8601, UTC
    question: str  # as it was searched: a follow-up stands alone
    person: str  # for counting people; pages show no names
    collection: str | None  # that was asked; None: all
    refused: bool
    near: bool  # refused, though something that may be the answer was found
    cited: tuple[Version, ...]  # each once, the best first
    nearest: tuple[Version, ...]  # of a refusal
    read: tuple[Version, ...]
    up: int = 0  # judgements of each kind, those that a reviewer rejected left out
    down: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def documents(self) -> tuple[str, ...]:
        """Names of the documents it was answered from, or that came nearest."""
        return tuple(dict.fromkeys(name for name, _ in self.cited or self.nearest))

    @property
    def unanswered(self) -> bool:
        """Do the documents fail to answer it? A refusal of which people say that they do answer is none."""
        if self.refused:
            return "should_have_answered" not in self.reasons
        return "should_have_refused" in self.reasons or "unsupported" in self.reasons


def day(at: str) -> date:
    """The day of a stored moment, by this machine's calendar."""
    return datetime.fromisoformat(at).astimezone().date()


_kept: WeakKeyDictionary[Catalogue, dict[int, Question | None]] = WeakKeyDictionary()  # by seq; None: nobody asked
_lock = threading.Lock()


def questions(
    catalogue: Catalogue, since: str = "", *, person: str | None = None, collection: str | None = None
) -> list[Question]:
    """Questions from `since` on (ISO 8601, UTC; empty: all) that `person` may see, the youngest first."""
    with _lock, catalogue.snapshot():
        found = _facts(catalogue, since)
    seen = _Sight(catalogue, person)
    inside = [question for question in found if seen(question)]
    if collection is not None:
        held = _versions_in(catalogue, collection)
        inside = [question for question in inside if _belongs(question, collection, held)]
    judged = _judgements(catalogue)
    inside.sort(key=lambda question: question.at, reverse=True)  # a clock may have been set back between two rows
    return [_with(question, judged.get(question.answer_id, ())) for question in inside]


def _facts(catalogue: Catalogue, since: str) -> list[Question]:
    """What stands in the audit, from memory where it was read before. Erased rows leave the memory, too."""
    rows = catalogue.db.execute(_ROWS, (since, MOST)).fetchall()
    kept = _kept.setdefault(catalogue, {})
    for (seq,) in catalogue.db.execute("select seq from audit where kind = 'answer' and payload is null"):
        kept.pop(seq, None)
    wanted = [seq for seq, erased in rows if not erased]
    missing = [seq for seq in wanted if seq not in kept]
    for row in catalogue.db.execute(_PAYLOADS, (json.dumps(missing),)):
        kept[row[0]] = _question(row)
    found = (kept.get(seq) for seq in wanted)
    return [question for question in found if question is not None]


def _question(row: tuple[Any, ...]) -> Question | None:
    """One row of `_PAYLOADS`; None where no person asked."""
    _, answer_id, at, person, extracted = row
    purpose, asked, standalone, collection, confidence, needed, refused, cited, nearest, read = json.loads(extracted)
    if (purpose or ASKED) != ASKED or not asked:
        return None
    near = bool(refused) and float(confidence or 0.0) >= NEAR * float(needed or 1.0)
    return Question(
        answer_id, at, standalone or asked, person, collection, bool(refused), near,
        _versions(cited), _versions(nearest), _versions(read),
    )  # fmt: skip


def _versions(places: Iterable[dict[str, Any]] | None) -> tuple[Version, ...]:
    return tuple(dict.fromkeys((str(place["document"]), int(place["version"])) for place in places or ()))


class _Sight:
    """What one person may see; each version is looked up once."""

    def __init__(self, catalogue: Catalogue, person: str | None) -> None:
        self._catalogue, self._person = catalogue, person
        self._all = person is None or person == LOCAL_OWNER
        self._known: dict[Version, bool] = {}

    def __call__(self, question: Question) -> bool:
        return self._all or (
            may_know(self._catalogue, self._person, question.person) and self._quotes_nothing_foreign(question)
        )

    def _quotes_nothing_foreign(self, question: Question) -> bool:
        return all(self._readable(version) for version in (*question.cited, *question.nearest))

    def _readable(self, version: Version) -> bool:
        if version not in self._known:
            self._known[version] = may_read_version(self._catalogue, self._person, *version)
        return self._known[version]


def _versions_in(catalogue: Catalogue, collection: str) -> set[Version]:
    rows = catalogue.db.execute("select name, version from documents where collection = ?", (collection,))
    return {(name, version) for name, version in rows}


def _belongs(question: Question, collection: str, held: set[Version]) -> bool:
    """Was it asked of the collection, or of all and answered from it (or came nearest to it)?"""
    if question.collection is not None:
        return question.collection == collection
    return any(version in held for version in question.cited or question.nearest)


def _judgements(catalogue: Catalogue) -> dict[str, list[tuple[str, str | None]]]:
    """Verdict and reason of each rating that stands, by answer."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for answer_id, verdict, reason in catalogue.db.execute(_JUDGED):
        found.setdefault(answer_id, []).append((verdict, reason))
    return found


def _with(question: Question, judged: Iterable[tuple[str, str | None]]) -> Question:
    verdicts = list(judged)
    if not verdicts:
        return question
    down = [reason for verdict, reason in verdicts if verdict == "down"]
    reasons = tuple(dict.fromkeys(reason for reason in down if reason))
    return replace(question, up=len(verdicts) - len(down), down=len(down), reasons=reasons)


def answer(catalogue: Catalogue, answer_id: str, *, person: str | None = None) -> dict[str, Any]:
    """One answer as `person` may see it: the object of `rag ask --json`, its question, and who asked when.

    `conversation` is the person's own conversation that holds it, else None. Raises NotFound, also for an answer that
    quotes what this person may not read.
    """
    payload = feedback.judged(catalogue, answer_id, person)
    shown = {**payload["answer"], "answer_id": answer_id, "question": payload["standalone"]}
    shown["nearest"] = [near for near in shown.get("nearest", ()) if feedback.may_read(catalogue, person, near)]
    at = catalogue.db.execute("select at from audit where id = ?", (answer_id,)).fetchone()[0]
    held = catalogue.db.execute(
        "select c.id from turns t join conversations c on c.id = t.conversation_id"
        " where c.person = ? and json_extract(t.answer_json, '$.answer_id') = ?",
        (person or LOCAL_OWNER, answer_id),
    ).fetchone()
    return {**shown, "at": at, "conversation": held[0] if held else None}
