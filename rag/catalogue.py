"""The catalogue: one SQLite file that is the truth. FAISS and tantivy are copies of it.

    with catalogue.atomic() as db:            everything in the block happens, or nothing
        commit.write(catalogue, record)       document, passages, vectors, rights, changes, generation + 1

Takes   the path of `catalogue.db`. What one commit changes is written by `commit.py`.
Gives   documents in all their versions, passages of the current ones, their vectors, and what changed since then.
Refuses a file of a later release, and names in `NotFound` what could not be found.
Threads each has its own connection; writers wait for each other up to BUSY_S. WAL: readers never wait.
Removed text is overwritten (secure_delete) and leaves the WAL with `truncate()`; see docs/formats.md.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.accounts.rights import reads, reads_today
from rag.errors import IndexDamaged, NotFound
from rag.moments import clock
from rag.schema import MIGRATIONS
from rag.types import Document, PageSpan, Passage

BUSY_S = 30.0  # how long a writer waits for another
DOCUMENTS_AT_ONCE = 100  # read together when all are
STORED = np.dtype("<f2")  # vectors on disk: fp16 moves a cosine by less than .0005

# The words stand once, in the document's text: a passage is cut out of it when it is read. Not by SQLite, which would
# go through the text anew for each of its passages.
_DOCUMENTS = """
    select d.id, d.collection, d.source, d.path, d.name, d.version, d.title, d.sha256, d.pages_without_text, d.passages,
           d.added_at, d.current
    from documents d where """
_PASSAGES = """
    select p.id, p.document_id, d.name, d.version, p.start, p.stop, p.page, p.headings, d.collection, p.near_group,
           p.at
    from passages p join documents d on d.id = p.document_id where """
_VECTORS = """
    select p.id, v.vector from state s, passages p
    join vectors v on v.text_hash = p.text_hash and v.embedder = coalesce(:embedder, s.embedder) """
_AMONG = " in (select value from json_each(?))"  # a list of ids as one bound value
_TEXTS = "select document_id, text from texts where document_id"
_NEAR = "select passage_id, key from near_keys where passage_id"
_HASHES = "select id, text_hash from passages where id"
# The passages of one document were numbered in one transaction, without a gap.
_READABLE = """
    select (select id from passages where document_id = d.id order by ordinal limit 1) as first,
           (select id from passages where document_id = d.id order by ordinal desc limit 1)
    from documents d where d.current = 1 and first is not null and """
# One collection or all, and what one person may read; the local owner (`local`) reads everything.
_COLLECTION = "(:collection is null or d.collection = :collection) and "
_SCOPE = _COLLECTION + reads("d")


def now() -> str:
    """The time as it is stored: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")  # two changes in a millisecond keep their order


@dataclass(frozen=True, slots=True)
class Changes:
    """What a copy has missed. An id is never in both."""

    generation: int  # where the copy stands once it has applied them
    added: tuple[int, ...]
    removed: tuple[int, ...]


class _Connection:
    """Owns one thread's connection and closes it when the thread ends (SQLite's own class has no weak references)."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __del__(self) -> None:
        self.db.close()


class Catalogue:
    """Opens `path`, creating or migrating it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._opening = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise IndexDamaged(
                f"{path}: not a catalogue ({error}). Restore it from a backup, or move it away and add the files again"
            ) from error

    # --- connections and transactions ---------------------------------------------------------------------------------

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection, for reading. Write inside `atomic()`."""
        held: _Connection | None = getattr(self._local, "held", None)
        if held is None:
            db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            held = _Connection(db)
            for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on", "secure_delete = on"):
                db.execute(f"pragma {pragma}")
            with self._opening:
                self._open.add(held)
            self._local.held = held
        return held.db

    @contextmanager
    def atomic(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block or none. A block inside a block belongs to the outer one."""
        db = self.db
        if db.in_transaction:
            yield db
            return
        db.execute("begin immediate")  # not deferred: a reader that turns writer would fail without waiting
        try:
            yield db
        except BaseException:
            db.execute("rollback")
            raise
        db.execute("commit")

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """All reads of the block see one state, whatever others commit meanwhile."""
        db = self.db
        if db.in_transaction:
            yield db
            return
        db.execute("begin deferred")
        try:
            yield db
        finally:
            db.execute("rollback")

    def close(self) -> None:
        """Close every thread's connection."""
        with self._opening:
            for held in list(self._open):
                held.db.close()
        self._local = threading.local()

    def truncate(self) -> None:
        """Empty the write-ahead log into the file: until then it holds what was removed."""
        self.db.execute("pragma wal_checkpoint(truncate)")

    def _migrate(self) -> None:
        with self.atomic() as db:
            at = int(db.execute("pragma user_version").fetchone()[0])
            if at > len(MIGRATIONS):
                known = f"step {at}, this one knows {len(MIGRATIONS)}"
                raise IndexDamaged(f"{self.path}: written by a later release ({known}). Update groundling")
            for migration in MIGRATIONS[at:]:
                migration(db)
            db.execute(f"pragma user_version = {len(MIGRATIONS)}")

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Grows by one with every commit that changes what can be found. Cheap: one row."""
        return int(self.db.execute("select generation from state").fetchone()[0])

    @property
    def library_id(self) -> str:
        """Given at creation; copies carry it."""
        return str(self.db.execute("select library_id from state").fetchone()[0])

    @property
    def embedder(self) -> str:
        """Identity of the embedder the vectors belong to; empty before the first document."""
        return str(self.db.execute("select embedder from state").fetchone()[0])

    def bump(self) -> int:
        """The next generation; call it inside `atomic()`."""
        with self.atomic() as db:
            return int(db.execute("update state set generation = generation + 1 returning generation").fetchone()[0])

    def changes_since(self, generation: int) -> Changes:
        """What happened after `generation`, each passage once: added and since removed counts as removed."""
        with self.snapshot() as db:
            rows = db.execute(
                "select passage_id, max(removed) from changes where generation > ? group by passage_id", (generation,)
            ).fetchall()
            latest = self.generation
        return Changes(
            latest,
            tuple(passage for passage, removed in rows if not removed),
            tuple(passage for passage, removed in rows if removed),
        )

    # --- documents ----------------------------------------------------------------------------------------------------

    def current(self, collection: str, source: str, path: str) -> Document | None:
        """The current version of one identity, its text not loaded."""
        where = "d.collection = :collection and d.source = :source and d.path = :path and d.current = 1"
        rows = self._documents(where, collection=collection, source=source, path=path)
        return rows[0] if rows else None

    def documents(
        self, *, collection: str | None = None, source: str | None = None, person: str | None = None
    ) -> list[Document]:
        """Current documents that `person` may read, by name; `text` and `pages` are not loaded."""
        where = "d.current = 1 and (:source is null or d.source = :source) and "
        order = " order by d.name, d.collection"
        return self._documents(where + _SCOPE + order, collection=collection, source=source, person=person)

    def document(
        self, name: str, version: int | None = None, *, collection: str | None = None, person: str | None = None
    ) -> Document:
        """One document with its text: the current version, or any that was not removed.

        Raises NotFound, also for what `person` may not read: its existence is no one else's business.
        """
        where = "d.removed_at is null and d.name = :name and d.version = coalesce(:version, d.version) and "
        order = " order by d.current desc, d.id desc limit 1"
        where = f"{where}{_COLLECTION}{reads_today('d')}{order}"
        rows = self._documents(where, name=name, version=version, collection=collection, person=person)
        if not rows:
            raise NotFound(self._not_found(name, version, collection, person))
        return self.document_of(rows[0].id, with_text=True)

    def document_of(self, document: int, *, with_text: bool = False) -> Document:
        """The version with this id."""
        rows = self._documents("d.id = :id", id=document)
        if not rows:
            raise NotFound(f"document {document}: no such id in {self.path}")
        if not with_text:
            return rows[0]
        found = self.db.execute("select text, pages from texts where document_id = ?", (document,)).fetchone()
        text, pages = found or ("", "[]")  # removed: the words are erased
        return replace(rows[0], text=text, pages=tuple(PageSpan(*span) for span in json.loads(pages)))

    def collections(self) -> list[str]:
        """Names of the collections that hold documents."""
        rows = self.db.execute("select distinct collection from documents where current = 1 order by 1")
        return [row[0] for row in rows]

    def counts(self) -> tuple[int, int]:
        """(documents, passages) that can be found."""
        documents = self.db.execute("select count(*) from documents where current = 1").fetchone()[0]
        return int(documents), int(self.db.execute("select count(*) from passages").fetchone()[0])

    def _documents(self, where: str, **values: Any) -> list[Document]:
        return [_document(row) for row in self.db.execute(_DOCUMENTS + where, values)]

    def _not_found(self, name: str, version: int | None, collection: str | None, person: str | None) -> str:
        """Say what does exist, as far as this person may know it."""
        where = f" in collection {collection}" if collection else ""
        there = self.documents(collection=collection, person=person)
        current = [document.version for document in there if document.name == name]
        if current:
            return f"{name}{where}: no version {version}; the current one is {current[0]}"
        near = get_close_matches(name, [document.name for document in there], 3)
        hint = f"did you mean {', '.join(near)}?" if near else "`rag documents` lists what is there"
        return f"{name}{where}: no such document; {hint}"

    # --- passages and vectors -----------------------------------------------------------------------------------------

    def passages(self, ids: Iterable[int]) -> list[Passage]:
        """Passages in the order of `ids`; those that were removed meanwhile are left out."""
        wanted = [int(passage) for passage in ids]
        with self.snapshot() as db:
            rows = db.execute(_PASSAGES + "p.id" + _AMONG, (json.dumps(wanted),)).fetchall()
            found = {passage.id: passage for passage in self._cut(rows)}
        return [found[passage] for passage in wanted if passage in found]

    def passages_of(self, document: int) -> list[Passage]:
        """The passages of a current version, in reading order."""
        with self.snapshot() as db:
            rows = db.execute(_PASSAGES + "p.document_id = ? order by p.ordinal", (document,)).fetchall()
            return list(self._cut(rows))

    def _cut(self, rows: list[tuple[Any, ...]]) -> Iterator[Passage]:
        """Rows of `_PASSAGES` with their words."""
        documents = json.dumps(sorted({row[1] for row in rows}))
        texts = dict(self.db.execute(_TEXTS + _AMONG, (documents,)).fetchall())
        return (_passage(row, texts[row[1]]) for row in rows)

    def every_passage(self) -> Iterator[list[Passage]]:
        """All passages, a document at a time. Iterate inside `snapshot()` for one state of the whole."""
        documents = [row[0] for row in self.db.execute("select distinct document_id from passages order by 1")]
        for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
            some = json.dumps(documents[start : start + DOCUMENTS_AT_ONCE])
            rows = self.db.execute(f"{_PASSAGES}p.document_id{_AMONG} order by p.document_id, p.ordinal", (some,))
            for _, passages in groupby(self._cut(rows.fetchall()), key=lambda passage: passage.document_id):
                yield list(passages)

    def readable(self, person: str | None, collection: str | None) -> npt.NDArray[np.int64]:
        """Ids of the passages that `person` may read in `collection` (None: in all), ascending."""
        rows = self.db.execute(_READABLE + _SCOPE + "order by 1", {"person": person, "collection": collection})
        ends = np.array(rows.fetchall(), dtype=np.int64).reshape(-1, 2)
        sizes = ends[:, 1] - ends[:, 0] + 1
        before = np.cumsum(sizes) - sizes
        return np.repeat(ends[:, 0] - before, sizes) + np.arange(sizes.sum())

    def vectors(
        self, ids: Iterable[int], embedder: str | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """(ids, rows) of the vectors of this embedder (None: of the one that counts); passages without are left out."""
        wanted = json.dumps([int(passage) for passage in ids])
        where = "where p.id in (select value from json_each(:ids))"
        return _matrix(self.db.execute(_VECTORS + where, {"embedder": embedder, "ids": wanted}).fetchall())

    def vector_batches(
        self, size: int, embedder: str | None = None
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """All vectors of this embedder (None: of the one that counts), `size` at a time, by passage."""
        rows = self.db.execute(_VECTORS + "order by p.id", {"embedder": embedder})
        while found := rows.fetchmany(size):
            yield _matrix(found)

    def known(self, hashes: Iterable[str], embedder: str) -> set[str]:
        """Which of these texts have a vector already."""
        rows = self.db.execute(
            "select text_hash from vectors where embedder = ? and text_hash in (select value from json_each(?))",
            (embedder, json.dumps(list(hashes))),
        )
        return {row[0] for row in rows}

    def without_vector(self, embedder: str | None = None) -> list[int]:
        """Ids of passages that have no vector of this embedder (None: of the one that counts)."""
        rows = self.db.execute(
            "select p.id from passages p, state s where not exists (select 1 from vectors v "
            "where v.text_hash = p.text_hash and v.embedder = coalesce(?, s.embedder)) order by p.id",
            (embedder,),
        )
        return [row[0] for row in rows]

    def near_keys(self, ids: Iterable[int]) -> dict[int, frozenset[str]]:
        """The keys of each passage; two passages that share one may be near copies."""
        found: dict[int, set[str]] = {}
        for passage, key in self.db.execute(_NEAR + _AMONG, (json.dumps([int(passage) for passage in ids]),)):
            found.setdefault(passage, set()).add(key)
        return {passage: frozenset(keys) for passage, keys in found.items()}

    def hashes(self, ids: Iterable[int]) -> dict[int, str]:
        """The hash under which each passage's vector is kept."""
        wanted = json.dumps([int(passage) for passage in ids])
        return dict(self.db.execute(_HASHES + _AMONG, (wanted,)).fetchall())


def _matrix(rows: list[tuple[int, bytes]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    if not rows:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
    matrix = np.frombuffer(b"".join(row for _, row in rows), dtype=STORED).reshape(len(rows), -1)
    return np.array([passage for passage, _ in rows], dtype=np.int64), matrix.astype(np.float32)


def _document(row: tuple[Any, ...]) -> Document:
    """A row of `_DOCUMENTS`."""
    number, collection, source, path, name, version, title, sha256, without_text, passages, added_at, current = row
    return Document(
        number, collection, source, path, name, version, title, text="", pages=(), sha256=sha256,
        pages_without_text=without_text, passages=passages, added_at=added_at, current=bool(current),
    )  # fmt: skip


def _passage(row: tuple[Any, ...], text: str) -> Passage:
    """A row of `_PASSAGES`, cut out of its document's text."""
    number, document, name, version, start, end, page, headings, collection, group, at = row
    path = tuple(json.loads(headings))
    return Passage(
        number, document, name, version, start, end, text[start:end], page, path, collection, group, clock(at)
    )
