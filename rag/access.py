"""Who may read what: a person becomes a filter that both stores apply inside their search.

Takes   a person (None: the local owner, who reads everything) and a collection (None: all of them). The condition
        itself stands in `rag/accounts/rights.py`.
Gives   ascending ids of the passages that may be found, or None for everything. An empty array is not None.
A filter is kept while the generation stands; a change of rights moves the generation.
"""

from __future__ import annotations

import json
import threading
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from rag.accounts.rights import EVERYTHING, KNOWS, reads, reads_today
from rag.catalogue import Catalogue
from rag.errors import NotFound
from rag.types import LOCAL_OWNER

Ids = npt.NDArray[np.int64]

# One name and version means one text, also where two collections hold it: readable in one of them is readable.
_VERSION = f"select 1 from documents d where d.name = :name and d.version = :version and {reads_today('d')}"  # noqa: S608
_DOCUMENT = f"select 1 from documents d where d.id = :id and {reads('d')}"  # noqa: S608 - our own condition

KEPT = 64  # filters of a library: one of a million passages takes 8 MB

_kept: WeakKeyDictionary[Catalogue, tuple[int, dict[tuple[str | None, str | None], Ids]]] = WeakKeyDictionary()
_lock = threading.Lock()


def allowed(catalogue: Catalogue, person: str | None, collection: str | None) -> Ids | None:
    """Ids that `person` may find in `collection`; None only for an owner or administrator who asks everywhere.

    A person who happens to see everything still gets a list: a document that comes in between is not on it.
    """
    if collection is None and reads_everything(catalogue, person):
        return None
    generation = catalogue.generation  # before the ids: a list may be younger than its number, never older
    with _lock:
        at, filters = _kept.get(catalogue, (-1, {}))
        if at == generation and (person, collection) in filters:
            return filters[person, collection]
    ids = catalogue.readable(person, collection)
    ids.flags.writeable = False  # handed out again and again, and kept in other forms by the stores
    with _lock:
        at, filters = _kept.get(catalogue, (-1, {}))
        if at != generation:
            filters = {}
            _kept[catalogue] = (generation, filters)
        filters[person, collection] = ids
        while len(filters) > KEPT:
            del filters[next(iter(filters))]
    return ids


def reads_everything(catalogue: Catalogue, person: str | None) -> bool:
    """The owner of the files and administrators do."""
    return bool(catalogue.db.execute(EVERYTHING, {"person": person}).fetchone()[0])


def readers_of(catalogue: Catalogue, document: int) -> tuple[str, ...]:
    """The holders that may read a document, among those who may read its collection; empty means all of these."""
    row = catalogue.db.execute("select access from documents where id = ?", (document,)).fetchone()
    if row is None:
        raise NotFound(f"document {document}: no such id in {catalogue.path}")
    return tuple(json.loads(row[0]))


def may_read(catalogue: Catalogue, person: str | None, document: int) -> bool:
    """May `person` open this document?"""
    readers_of(catalogue, document)  # NotFound for one that does not exist
    return catalogue.db.execute(_DOCUMENT, {"id": document, "person": person}).fetchone() is not None


def may_read_version(catalogue: Catalogue, person: str | None, name: str, version: int) -> bool:
    """May `person` read what `name` says in `version`? A former version asks for the rights of the present one too.

    Also of a document that was removed since: what an answer quoted from it is no one else's business either.
    """
    if person is None or person == LOCAL_OWNER:
        return True  # also of what nobody has entered as a document any more
    row = catalogue.db.execute(_VERSION, {"name": name, "version": version, "person": person}).fetchone()
    return row is not None


def may_know(catalogue: Catalogue, person: str | None, asker: str) -> bool:
    """May `person` know what `asker` asked? What its answer quotes is another question."""
    return bool(catalogue.db.execute(KNOWS, {"person": person, "asker": asker}).fetchone()[0])
