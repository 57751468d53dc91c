"""Questions about how it was: "As of 1 March 2024, how long is the warranty?", "In version 2 of leave.md, ..."

    day or version ─► documents that said something else then ─► their passages of then take the place of today's

Takes   a question, the hits of today, and who asks in which collection.
Gives   the hits as they would have been found then, and a line that says which versions were read. Without a day or a
        version in the question, or where every document is still as it was, the hits stay as they are.
Rights  a former version asks for its own and for the present readers of its document; a removed one is gone for good.
Limits  a version counts from the day it was added here: that is what is known for certain. Of a day before all of
        them, the one holds that by its own date ("valid from 1 January 2024") was the latest then; else this is said.
        Former versions are in no index: their passages are made again, chosen by words, and have negative ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from rag import access
from rag.chunk import chunk
from rag.dates import dated, day_in
from rag.moments import clock
from rag.parts import Parts
from rag.types import Document, Draft, Hit, Passage
from rag.wording import stems

READ = 8  # passages of former versions that are read
VERSIONS = 200  # former versions that are looked at; the newest first
_VERSION = re.compile(r"\b(?:in|of|according to|by) (?:the )?(?:version|revision) (\d{1,4})\b", re.IGNORECASE)
_FORMER = """
    select d.id, now.id, d.version
    from documents d join documents now on now.collection = d.collection and now.source = d.source
    and now.path = d.path and now.current = 1
    where d.current = 0 and d.removed_at is null and (:collection is null or d.collection = :collection)
    and (d.version = :version or now.added_at > :day)
    order by d.id desc limit :most"""


class Then(NamedTuple):
    """The moment a question asks about: the end of a day, or a version of its documents."""

    day: date | None
    version: int | None


def moment(question: str) -> Then | None:
    """The day after "as of", or the version that is named; None where the question asks about today."""
    found = _VERSION.search(question)
    if found:
        return Then(None, int(found.group(1)))
    day = day_in(question, after=r"as (?:of|at|on|it was on)")
    return Then(day, None) if day is not None and day < date.today() else None


def as_it_was(
    question: str, hits: Sequence[Hit], *, parts: Parts, collection: str | None, person: str | None
) -> tuple[list[Hit], list[str]]:
    """The hits as of the moment the question names, and what to say of it."""
    then = moment(question)
    if then is None:
        return list(hits), []
    replaced = _replaced(then, parts, collection, person)
    named = {present: one for present, one in replaced.items() if one.name.casefold() in question.casefold()}
    if then.version is not None and named:
        replaced = named  # "version 2 of leave.md" means no other document
    found = _found(question, list(replaced.values()), parts)
    if not found:
        return list(hits), _younger(then.day, hits, parts) if then.day else []
    today = [hit for hit in hits if hit.passage.document_id not in replaced]
    read = dict.fromkeys(f"{hit.document} in version {hit.version}" for hit in found)
    when = f"as of {then.day:%d %B %Y}".replace("as of 0", "as of ") if then.day else f"in version {then.version}"
    return [*found, *today], [f"Read {when}: {', '.join(read)}. Ask without it for what holds today."]


def _replaced(then: Then, parts: Parts, collection: str | None, person: str | None) -> dict[int, Document]:
    """By the id of the present version the one that is meant instead."""
    end = None if then.day is None else _end_of(then.day)
    values = {"collection": collection, "version": then.version, "day": end, "most": VERSIONS}
    versions: dict[int, list[Document]] = {}
    for former, present, version in parts.catalogue.db.execute(_FORMER, values).fetchall():
        document = parts.catalogue.document_of(former, with_text=True)
        if document.text and access.may_read_version(parts.catalogue, person, document.name, version):
            versions.setdefault(present, []).append(document)
    if then.day is None:
        return {present: former[0] for present, former in versions.items()}
    held = {present: _holding(then.day, former, parts, present) for present, former in versions.items()}
    return {present: one for present, one in held.items() if one is not None and one.id != present}


def _holding(day: date, former: Sequence[Document], parts: Parts, present: int) -> Document | None:
    """The version that was here on that day; where none was, the one that by its own date held then."""
    here = [one for one in former if one.added_at <= _end_of(day)]
    if here:
        return max(here, key=lambda one: one.version)
    every = [*former, parts.catalogue.document_of(present, with_text=True)]
    stated = [(dated(one, date.today()), one) for one in every]
    held = [(said.day, one.version, one) for said, one in stated if said.kind == "dated" and said.day <= str(day)]
    return max(held, key=lambda row: row[:2])[2] if held else None


def _younger(day: date, hits: Sequence[Hit], parts: Parts) -> list[str]:
    """That what was found first came later than the day that is asked about, and does not say that it held then."""
    if not hits:
        return []
    document = parts.catalogue.document_of(hits[0].passage.document_id, with_text=True)
    said = dated(document, date.today())
    if document.added_at <= _end_of(day) or (said.kind == "dated" and said.day <= str(day)):
        return []
    of = f"is dated {said.day}" if said.kind == "dated" else f"was added on {document.added_at[:10]}"
    return [f"Nothing found is known to be from {day.isoformat()} or before: {document.name} {of}."]


def _end_of(day: date) -> str:
    """The end of a day here, as the catalogue writes moments."""
    return datetime.combine(day, time.max).astimezone().astimezone(UTC).isoformat(timespec="microseconds")


def _found(question: str, documents: Sequence[Document], parts: Parts) -> list[Hit]:
    """The passages of these documents that share most words with the question, with their nearness to it."""
    wanted = stems(question)
    every = [passage for document in documents for passage in _passages(document)]
    shared = [(len(wanted & stems(f"{one.document} {one.context}")) / max(1, len(wanted)), one) for one in every]
    best = sorted((row for row in shared if row[0] > 0), key=lambda row: (-row[0], -row[1].id))[:READ]
    if not best:
        return []
    near = parts.embedder.embed([one.context for _, one in best]) @ parts.embedder.embed_questions([question])[0]
    return [Hit(one, share, float(cosine)) for (share, one), cosine in zip(best, near, strict=True)]


def _passages(document: Document) -> list[Passage]:
    """The passages that a former version had."""
    draft = Draft(document.title, document.text, document.pages)
    return [
        Passage(
            -(document.id * 100_000 + n), document.id, document.name, document.version, piece.start, piece.end,
            piece.text, piece.page, piece.headings, document.collection, time=clock(piece.at),
        )
        for n, piece in enumerate(chunk(draft), start=1)
    ]  # fmt: skip
