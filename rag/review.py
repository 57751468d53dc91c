"""The reviewers' queue: every judgement with what it is about, who agrees, and what will become of it.

    judgements ─► with question, answer, passages ─► agreement ─► route ─► accept · reject · edit

Takes   judgements (`feedback.py`), the audit, and who reviews.
Gives   `QueueRow`s, the oldest first. `review` decides about one; only what was accepted ever trains a model.
Refuses a judgement whose answer quotes what the reviewer may not read (NotFound: it is not in that person's queue);
        passages that they may not read are left out of a row, and so are those whose document was removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rag import feedback
from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.judgement import Judgement
from rag.types import LOCAL_OWNER

RETRIEVER, SPAN, NO_ANSWER = "retriever pair", "span label", "no-answer label"
PREFERENCE, DOCUMENT = "preference", "document"
ROUTES = (RETRIEVER, SPAN, NO_ANSWER, PREFERENCE, DOCUMENT)
_JUDGED = """
    select j.id, j.person, j.verdict,
           lower(json_extract(a.payload, '$.payload.standalone')) || char(0)
               || json_extract(a.payload, '$.payload.answer.answer'),
           lower(json_extract(b.payload, '$.payload.standalone')) || char(0)
               || json_extract(b.payload, '$.payload.answer.answer')
    from judgements j join audit a on a.id = j.answer_id left join audit b on b.id = j.other_id
    where j.withdrawn = 0 and a.payload is not null order by j.at, j.rowid"""
DECISIONS = ("accepted", "rejected", "new")  # new: back into the queue


class Agreement(NamedTuple):
    """How many other people judged the same answer to the same question."""

    alike: int
    otherwise: int


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One judgement, ready to be reviewed."""

    judgement: Judgement
    question: str  # as it was searched
    answer: dict[str, Any]  # the object of `rag ask --json`, its citations being open to the reviewer
    other: dict[str, Any] | None  # of a choice: the answer that was not preferred
    passages: tuple[dict[str, Any], ...]  # document, version, start, end, headings, text, score; best first
    withheld: int  # passages that were read and cannot be shown: not for this reviewer, or removed since
    agreement: Agreement
    route: tuple[str, ...]  # of ROUTES; empty: it says too little to teach anything
    collection: str | None
    model: str
    generation: int | None

    def as_dict(self) -> dict[str, Any]:
        """For `rag judgements list --json`."""
        names = ("question", "answer", "other", "passages", "withheld", "collection", "model", "generation")
        agreement, becomes = self.agreement._asdict(), list(self.route)
        told = {name: getattr(self, name) for name in names}
        return {"judgement": asdict(self.judgement), **told, "agreement": agreement, "becomes": becomes}


def queue(
    catalogue: Catalogue,
    *,
    state: str | None = "new",
    reason: str | None = None,
    collection: str | None = None,
    text: str | None = None,
    person: str | None = None,
) -> list[QueueRow]:
    """Judgements in one state (None: all) with everything a reviewer needs, the oldest first.

    `reason` is one of REASONS, a verdict, or `choice`; `text` looks in question, answer, better answer, marked words.
    """
    if state is not None and state not in feedback.STATES:
        raise SettingsError(f"state is {state!r}: use {', '.join(feedback.STATES)}")
    counted = agreements(catalogue)
    rows = []
    for made in feedback.judgements(catalogue, state=state):
        if reason is not None and reason not in (made.reason, made.verdict, made.kind):
            continue
        row = _row(catalogue, made, counted, person)
        if row is not None and _matches(row, collection, text):
            rows.append(row)
    return rows


def waiting(
    catalogue: Catalogue,
    *,
    state: str | None = "new",
    reason: str | None = None,
    collection: str | None = None,
    text: str | None = None,
    person: str | None = None,
) -> list[str]:
    """Ids of what `queue` gives for the same arguments, without reading passages: a long queue is listed at once."""
    if state is not None and state not in feedback.STATES:
        raise SettingsError(f"state is {state!r}: use {', '.join(feedback.STATES)}")
    found = []
    for made in feedback.judgements(catalogue, state=state):
        if reason is None or reason in (made.reason, made.verdict, made.kind):
            row = _row(catalogue, made, {}, person, passages=False)
            if row is not None and _matches(row, collection, text):
                found.append(made.id)
    return found


def one(catalogue: Catalogue, identity: str, *, person: str | None = None) -> QueueRow:
    """The row of one judgement. Raises NotFound."""
    row = _row(catalogue, feedback.judgement(catalogue, identity), agreements(catalogue), person)
    if row is None:
        raise NotFound(f"judgement {identity}: no such judgement, or its answer was erased")
    return row


def review(
    catalogue: Catalogue,
    identity: str,
    decision: str,
    *,
    note: str | None = None,
    edits: Mapping[str, Any] | None = None,
    seen: Judgement | None = None,
    person: str = LOCAL_OWNER,
) -> Judgement:
    """Accept or reject a judgement, or put it back (`new`); `edits` correct it first, as `feedback.edit` takes them.

    `seen` is the judgement as the reviewer saw it: where it has changed since, nothing is decided (SettingsError).
    Who decided what and when stands in the audit, without any words.
    """
    if decision not in DECISIONS:
        raise SettingsError(f"decision is {decision!r}: use {', '.join(DECISIONS)}")
    with catalogue.atomic() as db:
        there = one(catalogue, identity, person=person).judgement  # NotFound where this person has nothing to decide
        if seen is not None and there != seen:
            raise SettingsError(f"judgement {identity}: {_happened(there, seen)}. Look at it again, then decide")
        if edits:
            feedback.edit(catalogue, identity, edits, person=person, review=True)
        who, when = (None, None) if decision == "new" else (person, now())
        db.execute(
            "update judgements set state = ?, reviewer = ?, reviewed_at = ?, note = ? where id = ?",
            (decision, who, when, feedback.written(note), identity),
        )
        Audit(catalogue).record(
            "reviewed", person, {"entry": identity, "decision": decision, "edited": sorted(edits or ())}
        )
        return feedback.judgement(catalogue, identity)


def _happened(there: Judgement, seen: Judgement) -> str:
    """What somebody did to a judgement while another person looked at it."""
    if there.state != seen.state and there.state != "new":
        return f"{there.reviewer} has {there.state} it since it was shown"
    return f"{there.editor or there.person} has changed it since it was shown"


# --- what it is about -------------------------------------------------------------------------------------------------


def _row(
    catalogue: Catalogue,
    made: Judgement,
    counted: Mapping[str, Agreement],
    person: str | None,
    *,
    passages: bool = True,
) -> QueueRow | None:
    """None where the answer was erased or is not for this reviewer."""
    try:
        payload = feedback.judged(catalogue, made.answer_id, person)
        other = feedback.judged(catalogue, made.other, person) if made.other else None
    except NotFound:
        return None
    if made.marked and not feedback.may_read(
        catalogue, person, {"document": made.marked.document, "version": made.marked.version}
    ):
        return None
    read = payload.get("passages", ())
    open_ones = [place for place in read if feedback.may_read(catalogue, person, place)] if passages else []
    shown = with_text(catalogue, open_ones)
    return QueueRow(
        judgement=made,
        question=payload["standalone"],
        answer=_shown(catalogue, payload, made.answer_id, person),
        other=_shown(catalogue, other, made.other or "", person) if other else None,
        passages=shown,
        withheld=len(read) - len(shown),
        agreement=counted.get(made.id, Agreement(0, 0)),
        route=route(made, payload["answer"], shown),
        collection=payload.get("collection"),
        model=str(payload.get("model", "")),
        generation=payload.get("generation"),
    )


def _shown(catalogue: Catalogue, payload: dict[str, Any], answer_id: str, person: str | None) -> dict[str, Any]:
    """The answer, without what came near and is not for this reviewer."""
    answer = {**payload["answer"], "answer_id": answer_id}
    if "nearest" in answer:
        answer["nearest"] = [near for near in answer["nearest"] if feedback.may_read(catalogue, person, near)]
    return answer


def with_text(catalogue: Catalogue, places: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The same places with the words that stand there; those of documents that were removed are left out."""
    found = []
    for place in places:
        row = catalogue.db.execute(
            "select substr(t.text, ?3 + 1, ?4 - ?3) from documents d join texts t on t.document_id = d.id"
            " where d.name = ?1 and d.version = ?2",
            (place.get("document"), place.get("version"), place.get("start"), place.get("end")),
        ).fetchone()
        if row and row[0]:
            found.append({**place, "text": row[0]})
    return tuple(found)


def _matches(row: QueueRow, collection: str | None, text: str | None) -> bool:
    if collection is not None and row.collection != collection:
        return False
    made = row.judgement
    said = (row.question, row.answer["answer"], made.better, made.marked.quote if made.marked else "", made.person)
    held = " ".join(part for part in said if part).casefold()
    return all(word in held for word in (text or "").casefold().split())


# --- agreement and route ----------------------------------------------------------------------------------------------


def agreements(catalogue: Catalogue) -> dict[str, Agreement]:
    """By judgement: how many other people judged alike, and otherwise.

    Counted over answers that say the same to the same question: people ask in conversations of their own.
    """
    rows = catalogue.db.execute(_JUDGED).fetchall()
    held: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}  # what was judged -> person -> (verdict, preferred)
    for _, person, verdict, answer, other in rows:
        held.setdefault(_about(answer, other), {})[person] = (verdict, answer if verdict == "chosen" else "")
    found = {}
    for identity, person, verdict, answer, other in rows:
        others = Counter(view for who, view in held[_about(answer, other)].items() if who != person)
        alike = others[(verdict, answer if verdict == "chosen" else "")]
        found[identity] = Agreement(alike, others.total() - alike)
    return found


def _about(answer: str, other: str | None) -> tuple[str, ...]:
    """What was judged: one answer, or two in whichever order."""
    return (answer,) if other is None else tuple(sorted((answer, other)))


def route(made: Judgement, answer: Mapping[str, Any], passages: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What an accepted judgement becomes; the bundle makes exactly these rows of it."""
    if made.kind == "choice":
        return (PREFERENCE,) if made.verdict == "chosen" else ()
    refused = bool(answer["abstained"])
    if made.verdict == "up":
        return (NO_ANSWER,) if refused else (RETRIEVER, SPAN, PREFERENCE)
    if made.reason == "outdated":
        return (DOCUMENT,)
    pointed = made.marked is not None or place_of(made.better, passages) is not None
    words = (PREFERENCE,) if made.better and not refused and not pointed else ()
    if pointed:
        return (RETRIEVER, SPAN)
    if made.reason in ("unsupported", "should_have_refused") and not refused:
        return (NO_ANSWER,)
    if made.reason in ("passage_missed", "should_have_answered", "wrong_words"):
        return words  # without the right words there is nothing to point at
    return words or (() if refused else (PREFERENCE,))


def place_of(better: str | None, passages: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], int, int] | None:
    """Where a better answer stands word for word in a passage that was read: (passage, start, end in its text)."""
    words = (better or "").strip().rstrip(".")
    if not words:
        return None
    exactly = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)
    for passage in passages:
        found = list(exactly.finditer(str(passage["text"])))
        if len(found) == 1:  # twice in one passage: nobody said which
            return passage, found[0].start(), found[0].end()
    return None
