"""Which collections are for whom, and who may read a document within its collection.

Takes   the catalogue; holders: names of people, or `group:NAME`.
Gives   the rights as they stand. A collection that names nobody is open to everybody of the library, and only
        administrators change its documents. A document's own list narrows that of its collection, it never widens it.
Refuses (SettingsError) holders that do not exist: a misspelt name would close a document to the one it is meant for.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag import access
from rag.accounts import people
from rag.accounts.rights import GROUP, WRITES
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound, SettingsError


def listed(catalogue: Catalogue) -> dict[str, dict[str, bool]]:
    """By collection: each holder, and whether they may also write. Collections without rows are left out."""
    found: dict[str, dict[str, bool]] = {}
    for collection, holder, writes in catalogue.db.execute("select * from grants order by collection, holder"):
        found.setdefault(collection, {})[holder] = bool(writes)
    return found


def grant(catalogue: Catalogue, collection: str, holder: str, *, writes: bool = False, by: str | None = None) -> None:
    """Let somebody read a collection, and with `writes` also change it. Its first right closes it to all others."""
    if not collection.strip():
        raise SettingsError("name the collection")
    with catalogue.atomic() as db:
        known = checked(catalogue, [holder])[0]
        db.execute("insert or replace into grants values (?, ?, ?)", (collection, known, writes))
        _changed(catalogue, by, {"change": "granted", "collection": collection, "holder": known, "writes": writes})


def revoke(catalogue: Catalogue, collection: str, holder: str, *, by: str | None = None) -> None:
    """Take a right back. The last one cannot be: the collection would be open to all. Raises NotFound."""
    held = listed(catalogue).get(collection, {})
    holder = people.plain(holder)
    if holder not in held:
        raise NotFound(f"{collection}: {holder} has no right of its own there. `rag user rights` lists them")
    if len(held) == 1:
        raise SettingsError(
            f"{holder} is the only holder of {collection}: without one it would be open to everybody. "
            f"Grant it to somebody else first, or open it: rag user open {collection}"
        )
    with catalogue.atomic() as db:
        db.execute("delete from grants where collection = ? and holder = ?", (collection, holder))
        _changed(catalogue, by, {"change": "revoked", "collection": collection, "holder": holder})


def open_to_all(catalogue: Catalogue, collection: str, *, by: str | None = None) -> None:
    """Let everybody of the library read a collection."""
    with catalogue.atomic() as db:
        db.execute("delete from grants where collection = ?", (collection,))
        _changed(catalogue, by, {"change": "opened", "collection": collection})


def may_write(catalogue: Catalogue, person: str | None, collection: str) -> bool:
    """May this person add and remove documents of a collection?"""
    if access.reads_everything(catalogue, person):
        return True
    asked = {"person": person, "collection": collection}
    return catalogue.db.execute(WRITES, asked).fetchone() is not None


def writable(catalogue: Catalogue, person: str | None) -> list[str] | None:
    """The collections that this person may change; None: all there are or will be."""
    if access.reads_everything(catalogue, person):
        return None
    return [name for name in listed(catalogue) if may_write(catalogue, person, name)]


def checked(catalogue: Catalogue, holders: Sequence[str]) -> list[str]:
    """The same holders as they are compared. Without accounts any name will do."""
    if not people.exist(catalogue):
        return list(holders)
    known = [people.plain(holder) for holder in holders]
    for holder in known:
        if holder.startswith(GROUP):
            row = catalogue.db.execute("select 1 from memberships where team = ?", (holder[len(GROUP) :],)).fetchone()
            if row is None:
                raise SettingsError(f"{holder}: no such group. It begins with its first member: rag user group")
        else:
            try:
                people.one(catalogue, holder)
            except NotFound as error:
                raise SettingsError(str(error)) from error
    return known


def _changed(catalogue: Catalogue, by: str | None, what: dict[str, object]) -> None:
    catalogue.bump()
    Audit(catalogue).record("account", by, what)
