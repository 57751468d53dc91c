"""Keep a library sound: check it, copy it, bring it back.

Takes   an open library's parts, or its catalogue; the path of a backup, which holds catalogue and promoted models.
Gives   problems in words, sizes, or nothing.
Refuses to restore over documents unless told to, and from a file that is no backup; a restore is one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path

from rag import backed_up, files
from rag.catalogue import Catalogue
from rag.errors import IndexDamaged, NotFound, SettingsError
from rag.parts import Parts
from rag.schema import MIGRATIONS
from rag.versions import Versions


def problems(parts: Parts) -> list[str]:
    """Everything that is not as it must be; empty when all is well."""
    found = [
        f"catalogue.db: {row[0]}" for row in parts.catalogue.db.execute("pragma integrity_check") if row[0] != "ok"
    ]
    found += _misplaced(parts.catalogue)
    return [*found, *parts.vectors.check(), *parts.lexical.check(), *parts.audit.verify()]


def _misplaced(catalogue: Catalogue) -> list[str]:
    """Passages that do not lie inside their document, and pages that do not cover its text in order."""
    found = []
    for listed in catalogue.documents():
        document = catalogue.document_of(listed.id, with_text=True)
        passages = catalogue.passages_of(document.id)
        for passage in passages:
            if not passage.start < passage.end <= len(document.text):
                found.append(f"{document.name}: passage {passage.id} lies outside its text. Add the file again")
        if len(passages) != document.passages:
            found.append(f"{document.name}: {len(passages)} of {document.passages} passages. Add the file again")
    return found


def backup(catalogue: Catalogue, file: Path) -> int:
    """Copy catalogue and promoted models while they are in use; returns the size in bytes.

    The files the catalogue's words can be searched with are made again, so they need no backup.
    """
    versions = Versions(catalogue.path.parent)
    try:
        with (
            files.aside(file, private=True) as part,  # it holds every document's words
            closing(sqlite3.connect(part)) as target,
        ):
            with versions.held() if versions.folder.is_dir() else nullcontext():  # no first one is in its audit yet
                standing = backed_up.standing(versions)
                catalogue.db.backup(target)
            target.execute("pragma journal_mode = delete")  # one file, no log beside it
            backed_up.keep(target, versions.folder, standing)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"{file}: the backup cannot be written ({error}). Choose another place") from error
    return file.stat().st_size


def restore(parts: Parts, file: Path, *, force: bool = False) -> None:
    """Make the library what it was when `file` was written: its models, then the catalogue in one transaction.

    The generation goes on from where it stood, and everything that was there counts as changed: the copies, also those
    in other processes' memory, follow as after any other commit.
    """
    _refuse_what_is_no_backup(file)
    documents, _ = parts.catalogue.counts()
    if documents and not force:
        raise SettingsError(
            f"{parts.folder} holds {documents} documents; --force replaces them, or choose another --index"
        )
    aside = parts.folder / f".restore.{os.getpid()}.db"
    with (
        parts.writing(),
        closing(_read_only(file)) as source,
        backed_up.models(source, Versions(parts.folder)) as models,
    ):
        try:
            with closing(sqlite3.connect(aside)) as staged:
                source.backup(staged)
                backed_up.forget(staged)
            Catalogue(aside).close()  # opening migrates what an earlier release has written
            if models:
                models.place()  # before the catalogue names them; they answer after it does
            with closing(sqlite3.connect(aside)) as staged:
                _continue_from(staged, parts.catalogue)
                staged.backup(parts.catalogue.db)
            if models:
                models.switch()
        finally:
            for left in parts.folder.glob(f"{aside.name}*"):
                left.unlink()


def _continue_from(staged: sqlite3.Connection, before: Catalogue) -> None:
    """Note in the staged catalogue what copies of the state before have to drop and to take in."""
    known = before.db.execute("select id from passages union select passage_id from changes").fetchall()
    last = before.db.execute("select coalesce(max(seq), 0) from sqlite_sequence where name = 'passages'").fetchone()[0]
    with staged:
        staged.execute("update state set generation = max(generation, ?) + 1", (before.generation,))
        staged.execute("insert or ignore into changes select generation, id, 0 from state, passages")
        staged.executemany(
            "insert or ignore into changes select generation, ?1, 1 from state "
            "where not exists (select 1 from passages where id = ?1)",
            known,
        )
        # ids are never reused, also not by what the state before has called so
        staged.execute("update sqlite_sequence set seq = max(seq, ?) where name = 'passages'", (last,))


def _refuse_what_is_no_backup(file: Path) -> None:
    if not file.is_file():
        raise NotFound(f"{file}: no such file. `rag backup FILE` writes one")
    try:
        with closing(_read_only(file)) as db:
            step = int(db.execute("pragma user_version").fetchone()[0])
            sound = db.execute("pragma quick_check").fetchone()[0]
            db.execute("select generation from state").fetchone()
    except sqlite3.Error as error:
        raise IndexDamaged(f"{file}: no backup of a library ({error})") from error
    if sound != "ok":
        raise IndexDamaged(f"{file}: damaged ({sound}). Use an older backup")
    if step > len(MIGRATIONS):
        raise IndexDamaged(
            f"{file}: written by a later release (step {step}, this one knows {len(MIGRATIONS)}). Update"
        )


def _read_only(file: Path) -> sqlite3.Connection:
    """A backup is looked at, never changed."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
