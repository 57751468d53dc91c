"""What people thought of answers: typed judgements, tied to the audited answer.

    rate     up or down, with one of REASONS, a better answer in words, the right words marked in a document
    choose   which of two answers to one question is better, shown without saying how they were made
    edit     change one's own; it goes back to the reviewers
    withdraw take one's own back: it is no longer listed, and the next bundle says so

Takes   the id of an audited answer and who judges. A document that an answer quotes must be open to who judges it.
Gives   stored judgements, and rows for export: each with question, answer and the passages that were read.
Refuses unknown answers, and those that rest on what the person may not read (NotFound); verdicts, reasons and marks
        that do not stand in their document byte for byte (SettingsError). A person has one rating of an answer: a new
        one withdraws the one before, which stays in the table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from sqlite3 import Connection
from typing import Any

from rag import access
from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.judgement import Judgement, Marked
from rag.types import LOCAL_OWNER

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
WINNERS = ("a", "b", "equal")
STATES = ("new", "accepted", "rejected")
EDITABLE = ("verdict", "reason", "better", "marked")
LONGEST_MARK = 1_000  # characters: an answer is a sentence, a list or a few steps, not a page
LONGEST_WORDS = 4_000  # characters of a better answer or a note

_SELECT = """
    select j.answer_id, j.verdict, j.reason, j.better, j.person, j.at, j.id, j.kind, j.other_id, j.side, j.state,
           j.reviewer, j.reviewed_at, j.note, j.editor, j.edited_at, d.name, d.version, j.marked_start, j.marked_stop,
           coalesce(substr(t.text, j.marked_start + 1, j.marked_stop - j.marked_start), '')
    from judgements j left join documents d on d.id = j.marked_document left join texts t on t.document_id = d.id
    where j.withdrawn = 0 """


# --- judging ----------------------------------------------------------------------------------------------------------


def rate(
    catalogue: Catalogue,
    answer_id: str,
    verdict: str,
    *,
    reason: str | None = None,
    correction: str | None = None,
    marked: Marked | Mapping[str, Any] | None = None,
    person: str = LOCAL_OWNER,
) -> Judgement:
    """Store a rating in place of this person's earlier one of the same answer.

    `correction` is the better answer in words, `marked` the right words in their document: {"document", "version",
    "start", "end", "quote"}. Of these `quote` alone is enough where it stands once in the current version.
    """
    _check(verdict, reason)
    better = written(correction)
    with catalogue.atomic() as db:
        judged(catalogue, answer_id, person)
        place = find_mark(catalogue, marked, person)
        _withdraw(db, "answer_id = ? and person = ? and kind = 'rating'", (answer_id, person))
        made = _insert(
            db, answer_id=answer_id, person=person, verdict=verdict, reason=reason, better=better, kind="rating",
            marked_document=place and place[0], marked_start=place and place[1], marked_stop=place and place[2],
        )  # fmt: skip
        return judgement(catalogue, made)


def choose(catalogue: Catalogue, a: str, b: str, winner: str, *, person: str = LOCAL_OWNER) -> Judgement:
    """Store which of two answers to one question is better; `a` is the one that was shown first.

    A person has one choice between two answers: a new one withdraws the one before.
    """
    if winner not in WINNERS:
        raise SettingsError(f"winner is {winner!r}: use a, b or equal")
    if a == b:
        raise SettingsError(f"{a} and {b} are one answer: choose between two")
    chosen, other = (b, a) if winner == "b" else (a, b)
    with catalogue.atomic() as db:
        asked = [judged(catalogue, answer, person)["standalone"] for answer in (a, b)]
        if asked[0] != asked[1]:
            raise SettingsError(
                f"{a} and {b} answer two questions ({asked[0]!r}, {asked[1]!r}): choose between answers to one"
            )
        pair = (a, b, b, a, person)
        _withdraw(db, "((answer_id, other_id) in (values (?, ?), (?, ?))) and person = ? and kind = 'choice'", pair)
        made = _insert(
            db, answer_id=chosen, other_id=other, person=person, kind="choice",
            verdict="equal" if winner == "equal" else "chosen", side=None if winner == "equal" else winner,
        )  # fmt: skip
        return judgement(catalogue, made)


def edit(
    catalogue: Catalogue, identity: str, changes: Mapping[str, Any], *, person: str = LOCAL_OWNER, review: bool = False
) -> Judgement:
    """Change one's own rating: `verdict`, `reason`, `better`, `marked`; it is new again, and waits for a review.

    `review`: changed by whoever reviews it, so it may be another person's, and its state is the caller's business.
    """
    if unknown := set(changes) - set(EDITABLE):
        raise SettingsError(f"{', '.join(sorted(unknown))} cannot be changed; {', '.join(EDITABLE)} can")
    with catalogue.atomic() as db:
        before = judgement(catalogue, identity, person=None if review else person)
        if before.kind != "rating":
            raise SettingsError(f"judgement {identity} is a choice between two answers: choose again instead")
        values = {name: value for name, value in changes.items() if name != "marked"}
        _check(values.get("verdict", before.verdict), values.get("reason", before.reason))
        if "better" in values:
            values["better"] = written(values["better"])
        if "marked" in changes:
            place = find_mark(catalogue, changes["marked"], person)
            names = ("marked_document", "marked_start", "marked_stop")
            values |= dict(zip(names, place or (None, None, None), strict=True))
        values |= {"editor": person, "edited_at": now()}
        if not review:
            values |= {"state": "new", "reviewer": None, "reviewed_at": None, "note": None}
        columns = ", ".join(f"{name} = ?" for name in values)
        db.execute(f"update judgements set {columns} where id = ?", (*values.values(), identity))  # noqa: S608 - our names
        return judgement(catalogue, identity)


def withdraw(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> None:
    """Take a judgement back, named by its own id or by that of the answer; it is no longer listed or exported."""
    with catalogue.atomic() as db:
        by_answer = "answer_id = ? and person = ? and kind = 'rating'"
        if not (
            _withdraw(db, "id = ? and person = ?", (identity, person)) or _withdraw(db, by_answer, (identity, person))
        ):
            raise NotFound(f"{identity}: {person} has not judged it, or has withdrawn the judgement")


# --- reading ----------------------------------------------------------------------------------------------------------


def judgements(
    catalogue: Catalogue,
    *,
    answer_id: str | None = None,
    person: str | None = None,
    verdict: str | None = None,
    state: str | None = None,
) -> list[Judgement]:
    """Judgements that stand, the oldest first; None means all."""
    rows = catalogue.db.execute(
        f"{_SELECT} and j.answer_id = coalesce(?, j.answer_id) and j.person = coalesce(?, j.person)"
        " and j.verdict = coalesce(?, j.verdict) and j.state = coalesce(?, j.state) order by j.at, j.rowid",
        (answer_id, person, verdict, state),
    )
    return [_judgement(row) for row in rows]


def judgement(catalogue: Catalogue, identity: str, *, person: str | None = None) -> Judgement:
    """One that stands. Raises NotFound, also for another person's where `person` is given."""
    row = catalogue.db.execute(f"{_SELECT} and j.id = ?", (identity,)).fetchone()
    found = _judgement(row) if row else None
    if found is None or (person is not None and found.person != person):
        raise NotFound(
            f"judgement {identity}: no such judgement, or it was withdrawn. `rag judgements list` shows them"
        )
    return found


def judged(catalogue: Catalogue, answer_id: str, person: str | None) -> dict[str, Any]:
    """What was kept of an answer. Raises NotFound: it is none, was erased, or is not for `person`.

    It is for whoever asked it, and for reviewers, as far as they may read what it quotes.
    """
    row = catalogue.db.execute("select person from audit where id = ? and kind = 'answer'", (answer_id,)).fetchone()
    if row is None or not access.may_know(catalogue, person, row[0]):
        raise NotFound(f"answer {answer_id}: no such answer. `rag audit` lists the ids")
    payload = Audit(catalogue).load(answer_id)
    if not may_see(catalogue, payload, person):
        raise NotFound(f"answer {answer_id}: no such answer. `rag audit` lists the ids")
    return payload


def may_see(catalogue: Catalogue, payload: Mapping[str, Any], person: str | None) -> bool:
    """May this person read every document that the answer quotes?"""
    return all(may_read(catalogue, person, cited) for cited in payload["answer"].get("citations", ()))


def may_read(catalogue: Catalogue, person: str | None, place: Mapping[str, Any]) -> bool:
    """May this person read the document of a citation or a passage, in that version and as it is now?"""
    return access.may_read_version(catalogue, person, str(place.get("document")), int(place.get("version") or 0))


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
                "id": made.id,
                "answer_id": made.answer_id,
                "kind": made.kind,
                "verdict": made.verdict,
                "reason": made.reason,
                "better": made.better,
                "marked": made.marked and {name: getattr(made.marked, name) for name in Marked.__slots__},
                "other": made.other,
                "side": made.side,
                "state": made.state,
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
                "generation": payload.get("generation"),
            }
        )
    return rows


# --- marks and rows ---------------------------------------------------------------------------------------------------


def find_mark(
    catalogue: Catalogue, marked: Marked | Mapping[str, Any] | None, person: str | None
) -> tuple[int, int, int] | None:
    """(id of the version, start, end) of words that stand there byte for byte. Raises NotFound, SettingsError."""
    if marked is None:
        return None
    given = {name: getattr(marked, name) for name in Marked.__slots__} if isinstance(marked, Marked) else marked
    document = catalogue.document(str(given.get("document", "")), given.get("version"), person=person)
    if not access.may_read_version(catalogue, person, document.name, document.version):
        raise NotFound(f"{document.name}: no such document; `rag documents` lists what is there")
    quote, start, end = given.get("quote"), given.get("start"), given.get("end")
    if start is None and quote:
        times = document.text.count(quote)
        if times != 1:
            how = "do not stand there" if not times else f"stand there {times} times; say with start which is meant"
            raise SettingsError(f"{document.name}, version {document.version}: the words {quote[:80]!r} {how}")
        start = document.text.index(quote)
    if start is None or (end is None and not quote):
        raise SettingsError(f"{document.name}: a mark needs its words, or start and end in characters of the text")
    end = start + len(quote or "") if end is None else end
    if not 0 <= start < end <= len(document.text) or not document.text[start:end].strip():
        raise SettingsError(
            f"{document.name}: characters {start} to {end} hold no words (the text has {len(document.text)})"
        )
    if quote and document.text[start:end] != quote:
        raise SettingsError(
            f"{document.name}, version {document.version}: characters {start} to {end} are "
            f"{document.text[start:end][:80]!r}, not {quote[:80]!r}. Mark the words again"
        )
    if end - start > LONGEST_MARK:
        raise SettingsError(f"{end - start} characters are marked; mark at most {LONGEST_MARK}: the words that answer")
    return document.id, int(start), int(end)


def written(words: str | None) -> str | None:
    """What a person wrote, without white space at its ends; nothing is None."""
    text = (words or "").strip()
    if len(text) > LONGEST_WORDS:
        raise SettingsError(f"{len(text)} characters are too many; write at most {LONGEST_WORDS}")
    return text or None


def _check(verdict: str, reason: str | None) -> None:
    if verdict not in VERDICTS:
        raise SettingsError(f"verdict is {verdict!r}: use up or down")
    if reason is not None and reason not in REASONS:
        raise SettingsError(f"reason is {reason!r}: use one of {', '.join(REASONS)}")


def _insert(db: Connection, **values: Any) -> str:
    row = {"id": uuid.uuid4().hex, "at": now(), **values}
    marks = ", ".join("?" for _ in row)
    db.execute(f"insert into judgements ({', '.join(row)}) values ({marks})", tuple(row.values()))  # noqa: S608 - our names
    return str(row["id"])


def _withdraw(db: Connection, where: str, values: Iterable[Any]) -> int:
    """A withdrawn judgement keeps that it was made, not what was said."""
    taken = "update judgements set withdrawn = 1, withdrawn_at = ?, better = null, note = null where withdrawn = 0 and "
    return db.execute(taken + where, (now(), *values)).rowcount


def _judgement(row: tuple[Any, ...]) -> Judgement:
    """A row of `_SELECT`."""
    answer, verdict, reason, better, person, at, identity, kind, other, side, state = row[:11]
    reviewer, reviewed_at, note, editor, edited_at, name, version, start, stop, quote = row[11:]
    marked = None if name is None else Marked(name, version, start, stop, quote)
    return Judgement(
        answer, verdict, reason, better, person, at, identity, kind, other, side, marked, state,
        reviewer, reviewed_at, note, editor, edited_at,
    )  # fmt: skip
