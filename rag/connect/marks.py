"""What is remembered of a source between two runs, in the catalogue's table `brought`.

Takes   a collection and an address.
Gives   marks by path, and only those that still count: while the file a mark stands for is the current version.
So a document that was removed by hand, or replaced from elsewhere, comes again; nothing has to be told to forget.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from rag.catalogue import Catalogue
from rag.connect.source import WHOLE


class Mark(NamedTuple):
    """One row."""

    path: str
    mark: str
    sha256: str  # of the address as a whole: how many documents it stands for


def known(catalogue: Catalogue, collection: str, address: str, source: str) -> dict[str, str]:
    """Marks by path; that of the whole only while all its documents are as it left them."""
    rows = catalogue.db.execute(
        "select b.path, b.mark from brought b join documents d on d.collection = b.collection and d.source = ?"
        " and d.path = b.path and d.current = 1 and d.sha256 = b.sha256 where b.collection = ? and b.address = ?",
        (source, collection, address),
    )
    found = {path: mark for path, mark in rows if path != WHOLE}
    whole = catalogue.db.execute(
        "select mark from brought where collection = ? and address = ? and path = ? and sha256 = ?",
        (collection, address, WHOLE, str(len(found))),
    ).fetchone()
    return found | {WHOLE: str(whole[0])} if whole else found


def note(catalogue: Catalogue, collection: str, address: str, marks: Iterable[Mark]) -> None:
    """Remember marks; one of the same path is replaced."""
    with catalogue.atomic() as db:
        db.executemany(
            "insert or replace into brought values (?, ?, ?, ?, ?)",
            [(collection, address, *mark) for mark in marks],
        )


def paths(catalogue: Catalogue, collection: str, address: str) -> set[str]:
    """Everything that came by this address and was not forgotten."""
    rows = catalogue.db.execute("select path from brought where collection = ? and address = ?", (collection, address))
    return {path for (path,) in rows if path != WHOLE}


def shared(catalogue: Catalogue, collection: str, address: str, source: str) -> set[str]:
    """Paths of the source's current documents that came by another address too."""
    rows = catalogue.db.execute(
        "select b.path from brought b join documents d on d.collection = b.collection and d.path = b.path"
        " and d.sha256 = b.sha256 and d.current = 1 and d.source = ? where b.collection = ? and b.address <> ?",
        (source, collection, address),
    )
    return {path for (path,) in rows}


def forget(catalogue: Catalogue, collection: str, address: str, paths: Collection[str]) -> None:
    """These documents come by this address no more."""
    with catalogue.atomic() as db:
        db.executemany(
            "delete from brought where collection = ? and address = ? and path = ?",
            [(collection, address, path) for path in paths],
        )
