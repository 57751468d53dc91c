"""Conversations: stored turns, and what a follow-up takes from them.

Takes   the catalogue, and whose conversations: nobody sees another person's.
Gives   `Conversation`s; a turn is {"question", "standalone", "answer", "at"} where `answer` is the object of the
        command line's JSON. `history()` is what `answer.answer` wants to know; `standalone` is in followup.py.
Rights  an answer that quotes what its asker may no longer read is not shown again, found by a search, exported or taken
        as history: only that it was given.
Refuses unknown ids and other people's alike: NotFound.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from rag.access import may_read_version
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.followup import standalone
from rag.types import LOCAL_OWNER, Answer, Conversation, Message

__all__ = [
    "append", "conversation", "conversations", "create", "delete", "export", "history", "rename", "standalone",
]  # fmt: skip

CLOSED = "This answer quotes what you may no longer read."
KEPT = ("confidence", "answer_id", "model", "index_generation", "timings_ms", "question")  # of such an answer
TITLE = 80  # characters; a longer first question is cut between words


def create(
    catalogue: Catalogue, *, person: str = LOCAL_OWNER, collection: str | None = None, title: str = ""
) -> Conversation:
    """An empty conversation. Without a title, the first question becomes it."""
    identity, at = uuid.uuid4().hex, now()
    with catalogue.atomic() as db:
        db.execute(
            "insert into conversations (id, person, collection, title, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?)",
            (identity, person, collection, _titled(title), at, at),
        )
    return Conversation(identity, _titled(title), person, at)


def conversations(catalogue: Catalogue, *, person: str = LOCAL_OWNER, search: str | None = None) -> list[Conversation]:
    """A person's conversations without their turns, the latest first; `search` looks in titles, questions, answers.

    Every word of `search` must occur somewhere in the conversation; capitals do not matter.
    """
    rows = catalogue.db.execute(
        "select id, title, person, updated_at from conversations where person = ? order by updated_at desc, rowid desc",
        (person,),
    ).fetchall()
    words = (search or "").casefold().split()
    return [Conversation(*row) for row in rows if not words or _holds(catalogue, row, words)]


def _holds(catalogue: Catalogue, row: tuple[str, str, str, str], words: list[str]) -> bool:
    """Does each of these words occur in the conversation, as its person may see it?"""
    turns = conversation(catalogue, row[0], person=row[2]).turns
    said = " ".join([row[1], *(f"{turn['question']} {turn['answer']['answer']}" for turn in turns)]).casefold()
    return all(word in said for word in words)


def conversation(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> Conversation:
    """One conversation with its turns in order."""
    row = catalogue.db.execute(
        "select id, title, person, updated_at from conversations where id = ? and person = ?", (identity, person)
    ).fetchone()
    if row is None:
        raise NotFound(f"conversation {identity}: no such conversation; it may have been deleted")
    turns = catalogue.db.execute(
        "select question, standalone, answer_json, created_at from turns where conversation_id = ? order by ordinal",
        (identity,),
    )
    title, updated_at = row[1], row[3]
    shown = [(question, alone, _as_now(catalogue, person, answer), at) for question, alone, answer, at in turns]
    closed = any(answer["answer"] == CLOSED for _, _, answer, _ in shown)  # then a follow-up may repeat its words
    return Conversation(
        identity,
        title,
        person,
        updated_at,
        turns=tuple(
            {"question": question, "standalone": question if closed else alone, "answer": answer, "at": at}
            for question, alone, answer, at in shown
        ),
    )


def _as_now(catalogue: Catalogue, person: str, stored: str) -> dict[str, Any]:
    """An answer as its person may see it with the rights they have now."""
    answer: dict[str, Any] = json.loads(stored)
    places = (*answer.get("citations", ()), *answer.get("nearest", ()))
    if all(may_read_version(catalogue, person, place["document"], place["version"]) for place in places):
        return answer
    kept = {name: answer[name] for name in KEPT if name in answer}
    return {**kept, "answer": CLOSED, "abstained": True, "citations": [], "nearest": [], "reason": None}


def append(catalogue: Catalogue, identity: str, answer: Answer, *, person: str = LOCAL_OWNER) -> None:
    """Store an answer as the next turn; the first question becomes the title of a conversation without one."""
    with catalogue.atomic() as db:
        title = _title(catalogue, identity, person)
        db.execute(
            "insert into turns (conversation_id, ordinal, question, standalone, answer_json, created_at)"
            " select ?, coalesce(max(ordinal), 0) + 1, ?, ?, ?, ? from turns where conversation_id = ?",
            (
                identity, answer.question, answer.standalone, json.dumps(answer.as_dict(), ensure_ascii=False), now(),
                identity,
            ),
        )  # fmt: skip
        db.execute(
            "update conversations set updated_at = ?, title = ? where id = ?",
            (now(), title or _titled(answer.question), identity),
        )


def rename(catalogue: Catalogue, identity: str, title: str, *, person: str = LOCAL_OWNER) -> None:
    """Give it another title."""
    if not title.strip():
        raise SettingsError("a conversation needs a title with at least one letter")
    with catalogue.atomic() as db:
        _title(catalogue, identity, person)
        db.execute("update conversations set title = ? where id = ?", (_titled(title), identity))


def delete(catalogue: Catalogue, identity: str, *, person: str = LOCAL_OWNER) -> None:
    """Delete it with its turns. The audit keeps the answers: they are its evidence, not this person's notes."""
    with catalogue.atomic() as db:
        _title(catalogue, identity, person)
        db.execute("delete from turns where conversation_id = ?", (identity,))
        db.execute("delete from conversations where id = ?", (identity,))


def history(found: Conversation, *, before: int | None = None) -> tuple[Message, ...]:
    """The turns (all, or those before one) as `answer.answer` takes them."""
    return tuple(Message(turn["question"], turn["answer"]["answer"]) for turn in found.turns[:before])


def export(found: Conversation) -> str:
    """The conversation as Markdown, each answer with its quotations."""
    parts = [f"# {found.title or 'Conversation'}"]
    for turn in found.turns:
        answer: dict[str, Any] = turn["answer"]
        parts += [f"## {turn['question']}", str(answer["answer"])]
        for number, cited in enumerate(answer.get("citations", ()), start=1):
            page = f", page {cited['page']}" if cited.get("page") is not None else ""
            page = f", at {cited['time']}" if cited.get("time") else page
            quoted = "\n".join(f"> {line}" for line in str(cited["quote"]).split("\n"))
            parts.append(f"{quoted}\n>\n> [{number}] {cited['document']}{page}, version {cited['version']}")
        if answer.get("reason"):
            parts.append(str(answer["reason"]))
    return "\n\n".join(parts) + "\n"


def _title(catalogue: Catalogue, identity: str, person: str) -> str:
    """Its title. Raises NotFound."""
    row = catalogue.db.execute(
        "select title from conversations where id = ? and person = ?", (identity, person)
    ).fetchone()
    if row is None:
        raise NotFound(f"conversation {identity}: no such conversation; it may have been deleted")
    return str(row[0])


def _titled(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= TITLE else line[: TITLE - 1].rsplit(" ", 1)[0] + "…"
