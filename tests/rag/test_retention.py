"""Conversations go when their time is over, with their words in the audit; the chain stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rag import retention
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.errors import NotFound, SettingsError
from rag.library import Library
from rag.retention import Purged, Retention
from tests.miniature import small_library

TEXT = b"# Yard\n\nTwelve cars fit into the Quillfeather yard.\n"
QUESTION = "How many cars fit into the Quillfeather yard?"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with small_library(tmp_path / "index") as opened:
        opened.add_bytes("yard.md", TEXT)
        yield opened


def talk(library: Library, *, person: str | None = None, question: str = QUESTION) -> tuple[str, str]:
    """A conversation of one turn: its id, and that of its answer."""
    conversation = library.new_conversation(person=person)
    given = library.ask(question, person=person)
    library.append(conversation.id, given, person=person)
    return conversation.id, given.answer_id


def age(library: Library, days: int, *answers: str, conversation: str = "") -> None:
    """As if it had been so many days ago. The seals of aged answers no longer fit; those of the others do."""
    then = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    with library._catalogue.atomic() as db:
        db.execute("update conversations set updated_at = ? where id = ?", (then, conversation))
        db.executemany("update audit set at = ? where id = ?", [(then, answer) for answer in answers])


def there(library: Library, answer_id: str) -> bool:
    try:
        library.audited(answer_id)
    except NotFound:
        return False
    return True


def test_without_a_rule_everything_stays(library: Library) -> None:
    conversation, answer_id = talk(library)
    age(library, 10_000, answer_id, conversation=conversation)
    assert library.purge() == library.purge_all() == Purged(0, 0)
    assert library.conversation(conversation).turns


def test_a_conversation_over_its_time_goes_with_its_words_in_the_audit(library: Library) -> None:
    old, old_answer = talk(library)
    young, young_answer = talk(library)
    age(library, 31, old_answer, conversation=old)
    assert library.due(30) == Purged(1, 1)  # said before it is done
    assert library.conversation(old)
    assert library.keep_conversations(30) == Purged(1, 1)
    with pytest.raises(NotFound, match="no such conversation"):
        library.conversation(old)
    assert not there(library, old_answer)
    assert there(library, young_answer)
    assert library.conversation(young).turns
    assert library.purge() == Purged(0, 0)


def test_the_words_are_overwritten_and_the_chain_stays_whole(library: Library) -> None:
    _, answer_id = talk(library)
    rule = Retention(own=30, limit=0)
    later = datetime.now(UTC) + timedelta(days=31)
    library.remove("yard.md")  # what is left of the word stands in the conversation and in the audit
    assert b"Quillfeather" in (library.path / "catalogue.db").read_bytes()
    done = retention.purge_person(library._catalogue, rule, person="local", now=later)
    assert done == Purged(1, 1)
    assert not there(library, answer_id)
    for file in library.path.glob("catalogue.db*"):
        assert b"Quillfeather" not in file.read_bytes()
    assert library.verify() == []
    last = next(iter(Audit(library._catalogue).entries(newest_first=True)))
    assert last.kind == "erased"
    assert last.payload == {"entries": [answer_id], "why": "kept for 30 days"}


def test_a_new_turn_keeps_the_whole_conversation(library: Library) -> None:
    conversation, first = talk(library)
    library.append(conversation, library.ask(QUESTION))
    age(library, 90, first)
    assert library.keep_conversations(30) == Purged(0, 0)
    assert len(library.conversation(conversation).turns) == 2
    assert there(library, first)


def test_answers_outside_conversations_lose_their_words_too(library: Library) -> None:
    answer_id = library.ask(QUESTION).answer_id
    age(library, 31, answer_id)
    assert library.keep_conversations(30) == Purged(0, 1)


def test_answers_that_are_judged_or_pinned_keep_their_words_until_that_ends(library: Library) -> None:
    conversation, judged = talk(library)
    pinned, loose = library.ask(QUESTION).answer_id, library.ask(QUESTION).answer_id
    library.rate(judged, "down", reason="style")
    pin = library.pin(pinned)
    age(library, 31, judged, pinned, loose, conversation=conversation)
    assert library.keep_conversations(30) == Purged(1, 1)
    assert (there(library, judged), there(library, pinned), there(library, loose)) == (True, True, False)
    library.withdraw(judged)
    library.unpin(pin)
    assert library.purge() == Purged(0, 2)


def test_the_audit_keeps_its_words_where_the_settings_say_so(tmp_path: Path) -> None:
    with small_library(tmp_path / "index", audit_keeps_purged=True) as library:
        library.add_bytes("yard.md", TEXT)
        conversation, answer_id = talk(library)
        age(library, 31, answer_id, conversation=conversation)
        assert library.keep_conversations(30) == Purged(1, 0)
        assert there(library, answer_id)


def test_two_people_have_their_own_rules_and_the_limit_holds_for_both(tmp_path: Path) -> None:
    with small_library(tmp_path / "index", conversation_days=60) as library:
        library.add_bytes("yard.md", TEXT)
        talks = {person: talk(library, person=person) for person in ("ann", "bob", "cy")}
        for conversation, answer_id in talks.values():
            age(library, 45, answer_id, conversation=conversation)
        assert library.keep_conversations(30, person="ann") == Purged(1, 1)
        library.keep_conversations(90, person="bob")
        assert library.retention(person="bob").days == 60
        assert library.retention(person="ann").days == 30
        for conversation, answer_id in list(talks.values())[1:]:
            age(library, 61, answer_id, conversation=conversation)
        assert library.purge_all() == Purged(2, 2)
        for person, (conversation, _) in talks.items():
            with pytest.raises(NotFound):
                library.conversation(conversation, person=person)


def test_opening_a_library_purges_and_so_does_an_hour_of_use(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.keep_conversations(30)
    first, _ = talk(library)
    age(library, 31, conversation=first)
    assert [one.id for one in library.conversations()] == [first]  # opened a moment ago: not again so soon
    library._purged_at = -10_000.0  # as if that had been hours ago
    assert library.conversations() == []
    second, _ = talk(library)
    age(library, 31, conversation=second)
    with small_library(library.path) as again:
        assert again.conversations() == []


def test_a_catalogue_that_is_busy_opens_all_the_same(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.keep_conversations(30)
    conversation, _ = talk(library)
    age(library, 31, conversation=conversation)
    monkeypatch.setattr("rag.catalogue.BUSY_S", 0.01)
    writer = Catalogue(library._catalogue.path)
    with writer.atomic():
        opened = Library.__new__(Library)
        opened._catalogue, opened.settings = Catalogue.__new__(Catalogue), library.settings
        opened._catalogue.__dict__.update(library._catalogue.__dict__)
        opened._catalogue._local = type(library._catalogue._local)()
        opened._purge_now_and_then()  # gives up quietly
    writer.close()
    assert library.conversation(conversation)


@pytest.mark.parametrize("days", [-1, 36_501])
def test_days_that_cannot_be_are_refused(library: Library, days: int) -> None:
    with pytest.raises(SettingsError, match=f"{days} days: use 1 to 36500"):
        library.keep_conversations(days)


def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    assert Settings().conversation_days == 0
    values: dict[str, Any] = {"conversation_days": -1}
    with pytest.raises(SettingsError, match="conversation_days is -1"):
        Settings(**values)
