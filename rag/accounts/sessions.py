"""Who is signed in at the pages: a secret in the browser, its SHA-256 here.

Takes   a person who has just proved who they are.
Gives   a secret; later the `Person` it stands for, as they are now. A session ends after so many hours without a touch,
        after LONGEST in any case, when its person signs out, gets another password, or is removed.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from rag.accounts import people
from rag.accounts.people import Person
from rag.accounts.tokens import digest
from rag.catalogue import Catalogue, now
from rag.errors import NotFound

LONGEST = timedelta(days=7)
NOTED_EVERY_S = 60  # a write for every touch of a page would be many


def begin(catalogue: Catalogue, person: Person) -> str:
    """A new session's secret. What ended long ago is swept."""
    secret = secrets.token_urlsafe(32)
    with catalogue.atomic() as db:
        db.execute("delete from sessions where began_at < ?", ((datetime.now(UTC) - LONGEST).isoformat(),))
        db.execute("insert into sessions values (?, ?, ?, ?)", (digest(secret), person.name, now(), now()))
    return secret


def person(catalogue: Catalogue, secret: str, *, hours: float) -> Person | None:
    """Who is signed in with this secret; None where the session is over."""
    row = catalogue.db.execute(
        "select person, began_at, seen_at from sessions where sha256 = ?", (digest(secret),)
    ).fetchone()
    if row is None:
        return None
    at = datetime.now(UTC)
    idle = at - datetime.fromisoformat(row[2])
    if idle > timedelta(hours=hours) or at - datetime.fromisoformat(row[1]) > LONGEST:
        end(catalogue, secret)
        return None
    if idle.total_seconds() > NOTED_EVERY_S:
        with catalogue.atomic() as db:
            db.execute("update sessions set seen_at = ? where sha256 = ?", (now(), digest(secret)))
    try:
        return people.one(catalogue, row[0])
    except NotFound:
        return None


def end(catalogue: Catalogue, secret: str) -> None:
    """Sign out. An unknown one is no error: it is over."""
    with catalogue.atomic() as db:
        db.execute("delete from sessions where sha256 = ?", (digest(secret),))
