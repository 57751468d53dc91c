"""Passwords: made, kept as argon2 hashes, looked at a few times and then not for a while.

Takes   a name and a password as they were typed.
Gives   the `Person`, or SignInRefused, which says the same for a wrong password and for a name that does not exist.
Locks   a name after FREE wrong passwords in a row: 30 s, doubled with each further one up to 15 min. What is typed
        meanwhile is not looked at, so it tells nothing. The count outlives a restart.
Cost    argon2id with the package's defaults (RFC 9106, low memory): 64 MiB and about 50 ms, at most two at once.
"""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from rag.accounts import people
from rag.accounts.people import Person
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import SettingsError, SignInRefused, need

SHORTEST, LONGEST = 10, 200  # characters
FREE = 5  # wrong passwords before a name has to wait
FIRST_WAIT_S, LONGEST_WAIT_S = 30, 900
MOST_NAMES = 10_000  # that are counted for: names that do not exist are counted too, and anybody can invent them
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
WRONG = "Name or password is wrong."
_at_once = threading.Semaphore(2)  # each takes 64 MiB and a core


def make() -> str:
    """A password that can be read out: four groups of five, 99 bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))


def hashed(password: str, *, name: str = "") -> str:
    """As it is kept. Raises SettingsError for one that is too easily guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(f"the password has {len(password)} characters; use {SHORTEST} to {LONGEST}")
    if len(set(password)) < 5 or (name and name in password.lower()):
        raise SettingsError("the password is too easily guessed; use different characters, and not the name")
    with _at_once:
        return str(_hasher().hash(password))


def set_password(
    catalogue: Catalogue, name: str, password: str, *, temporary: bool = False, by: str | None = None
) -> None:
    """Give a person another password. Everywhere else they are signed out."""
    there = people.one(catalogue, name)
    made = hashed(password, name=there.name)
    with catalogue.atomic() as db:
        db.execute("update people set password = ?, temporary = ? where name = ?", (made, temporary, there.name))
        db.execute("delete from sessions where person = ?", (there.name,))
        db.execute("delete from failures where name = ?", (there.name,))
        Audit(catalogue).record("account", by, {"change": "password", "name": there.name})


def check(catalogue: Catalogue, name: str, password: str) -> Person:
    """Who this is. Raises SignInRefused."""
    name = people.plain(name)[:64]
    waits = waits_s(catalogue, name)
    if waits:
        raise SignInRefused(f"Too many wrong passwords for this name. Wait {_spoken(waits)}, then try again.")
    row = catalogue.db.execute("select password from people where name = ? and active = 1", (name,)).fetchone()
    kept = row[0] if row else None
    right = _matches(kept or _nobodys(), password[: LONGEST + 1]) and kept is not None
    if not right:
        _count(catalogue, name)
        raise SignInRefused(WRONG)
    with catalogue.atomic() as db:
        db.execute("delete from failures where name = ?", (name,))
    return people.one(catalogue, name)


def waits_s(catalogue: Catalogue, name: str) -> int:
    """Seconds until a password for this name is looked at again; 0: now."""
    row = catalogue.db.execute("select until from failures where name = ?", (name,)).fetchone()
    left = (datetime.fromisoformat(row[0]) - datetime.now(UTC)).total_seconds() if row else 0.0
    # a clock that was set back must not lock somebody out for longer than the rule says
    return int(min(max(left, 0.0), LONGEST_WAIT_S) + 0.999)


def _count(catalogue: Catalogue, name: str) -> None:
    with catalogue.atomic() as db:
        row = db.execute("select times from failures where name = ?", (name,)).fetchone()
        times = (row[0] if row else 0) + 1
        wait = min(FIRST_WAIT_S * 2 ** min(times - FREE, 10), LONGEST_WAIT_S) if times >= FREE else 0
        until = (datetime.now(UTC) + timedelta(seconds=wait)).isoformat()
        db.execute("insert or replace into failures values (?, ?, ?)", (name, times, until))
        db.execute(
            "delete from failures where name in (select name from failures order by until desc limit -1 offset ?)",
            (MOST_NAMES,),
        )
        if times == FREE and db.execute("select 1 from people where name = ?", (name,)).fetchone():
            Audit(catalogue).record("account", name, {"change": "locked", "name": name, "times": times})


def _matches(kept: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    with _at_once:
        try:
            return bool(_hasher().verify(kept, password))
        except (VerificationError, InvalidHashError):
            return False


_nobody: list[str] = []


def _nobodys() -> str:
    """The hash of a password that nobody has: an unknown name takes as long as a known one."""
    if not _nobody:
        _nobody.append(str(_hasher().hash(secrets.token_urlsafe(32))))
    return _nobody[0]


def _hasher() -> Any:
    return need("argon2", extra="accounts", task="a password").PasswordHasher()


def _spoken(seconds: int) -> str:
    return f"{seconds} s" if seconds < 90 else f"{-(-seconds // 60)} min"
