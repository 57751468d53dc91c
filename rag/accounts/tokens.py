"""Tokens for programs: shown once when made, kept as SHA-256, each a person's, for a while, and revocable.

Takes   the catalogue; whose token, for how many days, and its scope.
Gives   `Token`s without the secret; `Caller` for a secret that counts now.
Scope   read: search, ask, read, judge. write: also add and remove documents where the person may. Never more than the
        person's own rights, as they are at that moment; nothing that needs a role above reader.
A secret has 256 random bits: nobody guesses it, so a fast hash is enough.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rag.accounts import people
from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError

PREFIX = "gl_"  # so that a token that was published by mistake can be found
SCOPES = ("read", "write")
LONGEST_DAYS = 3650
_NAMES = "id, person, label, scope, created_at, expires_at, used_at"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token."""

    id: str
    person: str
    label: str
    scope: str  # of SCOPES
    created_at: str
    expires_at: str
    used_at: str | None  # the day of the last use


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a program speaks for, and whether it may change documents."""

    person: str
    scope: str = "read"


def digest(secret: str) -> str:
    """As secrets are kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def make(
    catalogue: Catalogue, name: str, *, label: str = "", scope: str = "read", days: int = 90, by: str | None = None
) -> tuple[Token, str]:
    """A new token and its secret, which is nowhere kept."""
    if scope not in SCOPES:
        raise SettingsError(f"scope is {scope!r}: use {' or '.join(SCOPES)}")
    if not 1 <= days <= LONGEST_DAYS:
        raise SettingsError(f"days is {days}: use 1 to {LONGEST_DAYS}")
    secret = PREFIX + secrets.token_urlsafe(32)
    identity = uuid.uuid4().hex[:12]
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    with catalogue.atomic() as db:
        person = people.one(catalogue, name).name
        db.execute(
            "insert into tokens (id, person, label, sha256, scope, created_at, expires_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (identity, person, label.strip()[:100], digest(secret), scope, now(), ends),
        )
        Audit(catalogue).record("account", by, {"change": "token", "name": person, "token": identity, "scope": scope})
    return next(token for token in listed(catalogue, person) if token.id == identity), secret


def listed(catalogue: Catalogue, name: str | None = None) -> list[Token]:
    """Tokens that count, of one person or of all, the latest first."""
    rows = catalogue.db.execute(
        f"select {_NAMES} from tokens where revoked_at is null and expires_at > ?"  # noqa: S608 - our names
        " and person = coalesce(?, person) order by created_at desc",
        (now(), people.plain(name) if name else None),
    )
    return [Token(*row) for row in rows]


def revoke(catalogue: Catalogue, identity: str, *, name: str | None = None, by: str | None = None) -> None:
    """A token counts no more, at once. Raises NotFound, also for another person's where `name` is given."""
    with catalogue.atomic() as db:
        taken = "update tokens set revoked_at = ? where id = ? and person = coalesce(?, person) and revoked_at is null"
        if not db.execute(taken, (now(), identity, people.plain(name) if name else None)).rowcount:
            raise NotFound(f"token {identity}: no such token. `rag user token list` shows them")
        Audit(catalogue).record("account", by, {"change": "token revoked", "token": identity})


def caller(catalogue: Catalogue, secret: str) -> Caller | None:
    """Whose token this is; None where it does not count."""
    at = now()
    row = catalogue.db.execute(
        "select t.id, t.person, t.scope, t.used_at from tokens t join people p on p.name = t.person and p.active = 1"
        " where t.sha256 = ? and t.revoked_at is null and t.expires_at > ?",
        (digest(secret), at),
    ).fetchone()
    if row is None:
        return None
    if (row[3] or "") < at[:10]:  # once a day: a write for every question would make readers wait
        with catalogue.atomic() as db:
            db.execute("update tokens set used_at = ? where id = ?", (at[:10], row[0]))
    return Caller(row[1], row[2])
