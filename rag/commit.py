"""One commit to the catalogue: a document comes, is replaced, goes, or changes its readers.

Takes   a `Record`: everything of one document that was read, cut and embedded.
Gives   the committed `Document`; each function is one transaction, or part of the caller's `catalogue.atomic()`.
Every function moves the generation by one and leaves in `changes` what the copies (FAISS, tantivy) have to follow.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from rag.catalogue import STORED, Catalogue, now
from rag.errors import IndexDamaged
from rag.types import Chunk, Document, Draft

SWEPT = 5_000  # vectors in one transaction: their bytes are overwritten, 8 MB of log


@dataclass(frozen=True, kw_only=True)
class Record:
    """A document ready to be written: everything of one transaction."""

    collection: str
    source: str
    path: str
    sha256: str  # of the file's bytes
    draft: Draft
    chunks: Sequence[Chunk]
    hashes: Sequence[str]  # per chunk: of what was embedded
    vectors: dict[str, npt.NDArray[np.float32]]  # the new ones; others are known
    embedder: str
    access: Sequence[str] = ()  # empty: as before, or everybody for a new document
    near_keys: Sequence[Collection[str]] = ()  # per chunk; chunks that share a key are near copies


def write(catalogue: Catalogue, record: Record) -> Document:
    """Make `record` the current version of its document; the version before stays readable, no longer findable."""
    with catalogue.atomic() as db:
        check_embedder(catalogue, record.embedder)
        before = catalogue.current(record.collection, record.source, record.path)
        name = before.name if before else _free_name(catalogue, record)
        access = json.dumps(sorted(set(record.access))) if record.access else _access(catalogue, before)
        generation = catalogue.bump()
        former = _unlist(catalogue, before.id, generation) if before else []
        document = _insert_document(catalogue, record, name=name, access=access)
        db.execute("update state set embedder = ?", (record.embedder,))
        write_vectors(catalogue, record.vectors, record.embedder)
        _insert_passages(catalogue, record, document, generation)
        _drop_unused(catalogue, former)
        return catalogue.document_of(document)


def check_embedder(catalogue: Catalogue, identity: str) -> None:
    """Refuse to mix vectors of two embedders: their cosines mean nothing."""
    if catalogue.embedder not in ("", identity):
        folder = catalogue.path.parent
        raise IndexDamaged(
            f"{folder}: its vectors belong to the embedder {catalogue.embedder}, the settings name {identity}. "
            f"Move it there with `rag reembed --index {folder}`, or change the setting back"
        )


def remove(catalogue: Catalogue, document: Document) -> int:
    """Take a document and all its former versions away and erase their words. Returns the number of passages."""
    with catalogue.atomic() as db:
        generation = catalogue.bump()
        identity = (document.collection, document.source, document.path)
        rows = db.execute("select id from documents where collection = ? and source = ? and path = ?", identity)
        former: list[str] = []
        for (version,) in rows.fetchall():
            former += _unlist(catalogue, version, generation)
            db.execute("delete from texts where document_id = ?", (version,))
            db.execute(
                "update documents set removed_at = coalesce(removed_at, ?), title = '', sha256 = '', notes = '[]'"
                " where id = ?",
                (now(), version),
            )
        _drop_unused(catalogue, former)
        return len(former)


def set_access(catalogue: Catalogue, document: Document, persons: Sequence[str]) -> None:
    """Say who may read a document; nobody named means everybody of the library."""
    with catalogue.atomic() as db:
        db.execute("update documents set access = ? where id = ?", (json.dumps(sorted(set(persons))), document.id))
        catalogue.bump()


def set_embedder(catalogue: Catalogue, identity: str, late: Sequence[int] = ()) -> None:
    """Say which vectors count from now on; the generation grows, so that copies follow. `sweep` drops the others.

    `late` are passages that were embedded after a copy was written: it takes them in as if they were new.
    """
    with catalogue.atomic() as db:
        db.execute("update state set embedder = ?, keeps = ''", (identity,))
        generation = catalogue.bump()
        db.execute(
            "insert into changes select ?, id, 0 from passages where id in (select value from json_each(?))",
            (generation, json.dumps(list(late))),
        )


def sweep(catalogue: Catalogue, but: Collection[str]) -> int:
    """Drop the vectors of all embedders but these and say how many; a little at a time, since others want to write."""
    names, dropped = json.dumps(list(but)), 0
    while True:
        with catalogue.atomic() as db:
            gone = db.execute(
                "delete from vectors where rowid in (select rowid from vectors"
                " where embedder not in (select value from json_each(?)) limit ?)",
                (names, SWEPT),
            ).rowcount
        dropped += gone
        if gone < SWEPT:
            return dropped


def write_vectors(catalogue: Catalogue, vectors: dict[str, npt.NDArray[np.float32]], embedder: str) -> None:
    """Keep vectors by the hash of their text; one that is there already stays."""
    with catalogue.atomic() as db:
        db.executemany(
            "insert or ignore into vectors values (?, ?, ?)",
            [(key, embedder, vector.astype(STORED).tobytes()) for key, vector in vectors.items()],
        )


def _access(catalogue: Catalogue, before: Document | None) -> str:
    """A replaced document keeps its readers; a new one starts open to everybody of the library."""
    if before is None:
        return "[]"
    return str(catalogue.db.execute("select access from documents where id = ?", (before.id,)).fetchone()[0])


def _free_name(catalogue: Catalogue, record: Record) -> str:
    """The relative path; where another source holds that name, its own folder's name in front; then numbered."""
    folder = PurePosixPath(record.source.replace("\\", "/")).name or "root"
    candidates = [record.path, f"{folder}/{record.path}"]
    number = 2
    while True:
        for name in candidates:
            taken = catalogue.db.execute(
                "select 1 from documents where name = ? and current = 1 and not (source = ? and path = ?)",
                (name, record.source, record.path),
            ).fetchone()
            if not taken:
                return name
        candidates = [f"{folder} ({number})/{record.path}"]
        number += 1


def _next_version(catalogue: Catalogue, record: Record, name: str) -> int:
    """One more than the document's last, and never one under which `name` already means other words.

    So (name, version) means one text for ever, also when the same folder stands in two collections, or a name becomes
    free and another source takes it: an old citation can end in nothing, but not in wrong words.
    """
    row = catalogue.db.execute(
        "select max(d.version) from documents d left join texts t on t.document_id = d.id "
        "where (d.collection = ? and d.source = ? and d.path = ?) or (d.name = ? and t.text is not ?)",
        (record.collection, record.source, record.path, name, record.draft.text),
    ).fetchone()
    return int(row[0] or 0) + 1


def _insert_document(catalogue: Catalogue, record: Record, *, name: str, access: str) -> int:
    draft = record.draft
    values = {
        "collection": record.collection,
        "source": record.source,
        "path": record.path,
        "name": name,
        "version": _next_version(catalogue, record, name),
        "title": draft.title,
        "sha256": record.sha256,
        "pages_without_text": len(draft.pages_without_text),
        "passages": len(record.chunks),
        "notes": json.dumps(draft.notes),
        "access": access,
        "added_at": now(),
    }
    cursor = catalogue.db.execute(
        "insert into documents (collection, source, path, name, version, title, sha256, pages_without_text, passages,"
        " notes, access, current, added_at) values (:collection, :source, :path, :name, :version, :title, :sha256,"
        " :pages_without_text, :passages, :notes, :access, 1, :added_at)",
        values,
    )
    document = int(cursor.lastrowid or 0)
    catalogue.db.execute("insert into texts values (?, ?, ?)", (document, json.dumps(draft.pages), draft.text))
    return document


def _insert_passages(catalogue: Catalogue, record: Record, document: int, generation: int) -> None:
    db = catalogue.db
    keys = record.near_keys or [()] * len(record.chunks)
    for ordinal, (chunk, text_hash, near) in enumerate(zip(record.chunks, record.hashes, keys, strict=True)):
        cursor = db.execute(
            "insert into passages (document_id, ordinal, start, stop, page, headings, text_hash, near_group, at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (document, ordinal, chunk.start, chunk.end, chunk.page, json.dumps(chunk.headings), text_hash,
             _group(catalogue, near), chunk.at),
        )  # fmt: skip
        passage = int(cursor.lastrowid or 0)
        db.execute("update passages set near_group = id where id = ? and near_group = 0", (passage,))
        db.executemany("insert or ignore into near_keys values (?, ?)", [(key, passage) for key in near])
    db.execute("insert into changes select ?, id, 0 from passages where document_id = ?", (generation, document))


def _group(catalogue: Catalogue, keys: Collection[str]) -> int:
    """The group of the first passage that shares a key, or 0."""
    if not keys:
        return 0
    row = catalogue.db.execute(
        "select min(p.near_group) from near_keys n join passages p on p.id = n.passage_id "
        "where n.key in (select value from json_each(?))",
        (json.dumps(list(keys)),),
    ).fetchone()
    return int(row[0] or 0)


def _unlist(catalogue: Catalogue, document: int, generation: int) -> list[str]:
    """Nothing of this version can be found from now on. Returns the hashes of its passages."""
    db = catalogue.db
    rows = db.execute("select id, text_hash from passages where document_id = ?", (document,)).fetchall()
    db.executemany("insert into changes values (?, ?, 1)", [(generation, passage) for passage, _ in rows])
    db.executemany("delete from near_keys where passage_id = ?", [(passage,) for passage, _ in rows])
    db.execute("delete from passages where document_id = ?", (document,))
    db.execute("update documents set current = 0 where id = ?", (document,))
    return [text_hash for _, text_hash in rows]


def _drop_unused(catalogue: Catalogue, hashes: Iterable[str]) -> None:
    """Forget the vectors that no passage needs any more: a vector tells something about its text."""
    catalogue.db.executemany(
        "delete from vectors where text_hash = ?1 and not exists (select 1 from passages where text_hash = ?1)",
        [(text_hash,) for text_hash in set(hashes)],
    )
