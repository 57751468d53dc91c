"""People of a library, their roles and groups.

Takes   the catalogue; names of people and groups; who changes something, for the audit.
Gives   `Person`s. A change is one transaction with a row of the audit, and moves the generation: filters follow.
Refuses (SettingsError) a name that is taken or was, unknown roles, and to leave a library without an administrator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.errors import NotFound, SettingsError
from rag.types import LOCAL_OWNER

READER, REVIEWER, ADMINISTRATOR = "reader", "reviewer", "administrator"
ROLES = (READER, REVIEWER, ADMINISTRATOR)  # each may what those before it may
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_SELECT = """
    select p.name, p.role, p.active, p.password is not null, p.temporary, p.identity, p.created_at,
           coalesce((select group_concat(team, char(10)) from memberships m where m.person = p.name), '')
    from people p """


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    name: str
    role: str  # of ROLES
    active: bool
    has_password: bool
    temporary: bool  # the password was made by somebody else
    identity: str | None
    created_at: str
    groups: tuple[str, ...]

    def may(self, role: str) -> bool:
        """Does this person's role reach so far?"""
        return self.active and ROLES.index(self.role) >= ROLES.index(role)


def exist(catalogue: Catalogue) -> bool:
    """Has the library accounts?"""
    return bool(catalogue.db.execute("select exists (select 1 from people)").fetchone()[0])


def everybody(catalogue: Catalogue) -> list[Person]:
    """All of them by name; removed ones last."""
    return [_person(row) for row in catalogue.db.execute(_SELECT + "order by p.active desc, p.name")]


def one(catalogue: Catalogue, name: str) -> Person:
    """An active person. Raises NotFound."""
    row = catalogue.db.execute(_SELECT + "where p.name = ? and p.active = 1", (plain(name),)).fetchone()
    if row is None:
        raise NotFound(f"{name}: no such person. `rag user list` shows who has an account")
    return _person(row)


def known_as(catalogue: Catalogue, identity: str) -> Person | None:
    """The active person that the company's sign-in names so."""
    where = "where p.identity = ? and p.active = 1"
    row = catalogue.db.execute(_SELECT + where, (identity.strip().lower(),)).fetchone()
    return _person(row) if row else None


def add(
    catalogue: Catalogue,
    name: str,
    role: str,
    *,
    password: str | None,
    temporary: bool = False,
    identity: str | None = None,
    by: str | None = None,
) -> Person:
    """Give somebody an account; `password` is its hash. The first person is an administrator, whatever `role` says."""
    name = plain(name)
    identity = identity.strip().lower() if identity else None
    _check(name, role)
    with catalogue.atomic() as db:
        role = role if exist(catalogue) else ADMINISTRATOR
        if db.execute("select 1 from people where name = ?", (name,)).fetchone():
            raise SettingsError(f"{name}: there is or was somebody of this name; names are not given twice")
        if identity and db.execute("select 1 from people where identity = ?", (identity,)).fetchone():
            raise SettingsError(f"{identity}: belongs to another person. `rag user list` says to whom")
        db.execute(
            "insert into people (name, role, password, temporary, identity, created_at) values (?, ?, ?, ?, ?, ?)",
            (name, role, password, temporary, identity, now()),
        )
        _changed(catalogue, by, change="added", name=name, role=role)
    return one(catalogue, name)


def set_role(catalogue: Catalogue, name: str, role: str, *, by: str | None = None) -> Person:
    """Give a person another role."""
    _check(plain(name), role)
    with catalogue.atomic() as db:
        there = one(catalogue, name)
        if role != ADMINISTRATOR:
            _keep_an_administrator(catalogue, there)
        db.execute("update people set role = ? where name = ?", (role, there.name))
        _changed(catalogue, by, change="role", name=there.name, role=role)
    return one(catalogue, name)


def remove(catalogue: Catalogue, name: str, *, by: str | None = None) -> None:
    """Close an account at once: no password, token, session, group or right is left. The name stays taken."""
    with catalogue.atomic() as db:
        there = one(catalogue, name)
        _keep_an_administrator(catalogue, there)
        db.execute("update people set active = 0, password = null, identity = null where name = ?", (there.name,))
        for table in ("sessions", "memberships", "tokens"):
            db.execute(f"delete from {table} where person = ?", (there.name,))  # noqa: S608 - our names
        # A right that is the last of its collection stays, or the collection would open: nobody can use it any more.
        db.execute(
            "delete from grants where holder = :name and exists ("
            "select 1 from grants other where other.collection = grants.collection and other.holder <> :name)",
            {"name": there.name},
        )
        _changed(catalogue, by, change="removed", name=there.name)


def put_in_group(catalogue: Catalogue, group: str, name: str, *, by: str | None = None) -> Person:
    """Make a person a member of a group, which begins with its first member."""
    group = plain(group)
    if not _NAME.fullmatch(group):
        raise SettingsError(f"group {group!r}: {_RULE}")
    with catalogue.atomic() as db:
        there = one(catalogue, name)
        db.execute("insert or ignore into memberships values (?, ?)", (group, there.name))
        _changed(catalogue, by, change="group", name=there.name, group=group)
    return one(catalogue, name)


def take_out_of_group(catalogue: Catalogue, group: str, name: str, *, by: str | None = None) -> Person:
    """End a membership. Raises NotFound where there is none."""
    with catalogue.atomic() as db:
        there = one(catalogue, name)
        if not db.execute("delete from memberships where team = ? and person = ?", (plain(group), there.name)).rowcount:
            raise NotFound(f"{there.name} is not in the group {group}")
        _changed(catalogue, by, change="group left", name=there.name, group=plain(group))
    return one(catalogue, name)


def plain(name: str) -> str:
    """As names are compared."""
    return name.strip().lower()


_RULE = "a name has up to 64 letters a-z, digits and . _ - + @, and begins with a letter or digit"


def _check(name: str, role: str) -> None:
    if role not in ROLES:
        raise SettingsError(f"role is {role!r}: use {', '.join(ROLES)}")
    if not _NAME.fullmatch(name) or name == LOCAL_OWNER:
        rule = "means whoever owns the files; choose another" if name == LOCAL_OWNER else _RULE
        raise SettingsError(f"name {name!r}: {rule}")


def _keep_an_administrator(catalogue: Catalogue, there: Person) -> None:
    others = "select 1 from people where role = ? and active = 1 and name <> ?"
    if there.role == ADMINISTRATOR and not catalogue.db.execute(others, (ADMINISTRATOR, there.name)).fetchone():
        raise SettingsError(f"{there.name} is the only administrator. Make somebody else one first: rag user role NAME")


def _changed(catalogue: Catalogue, by: str | None, **what: Any) -> None:
    """Inside a transaction: filters that were made before no longer count, and the audit says who did it."""
    catalogue.bump()
    Audit(catalogue).record("account", by, what)


def _person(row: tuple[Any, ...]) -> Person:
    name, role, active, has_password, temporary, identity, created_at, groups = row
    listed = tuple(sorted(filter(None, groups.split("\n"))))
    return Person(name, role, bool(active), bool(has_password), bool(temporary), identity, created_at, listed)
