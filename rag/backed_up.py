"""The promoted models inside a backup: every file of every version, in parts that each carry their checksum.

    INDEX/models/N/*, current.json ─► table `backed_up` of the backup ─► aside, compared ─► placed, switched

Takes   a connection to a backup file, and the models of a library (`rag/versions.py`).
Gives   the versions as they were; those that were promoted later stay, for no number is ever given twice.
Refuses (IndexDamaged) a part that is missing or was changed, and a name that leads elsewhere; (SettingsError) another
        model under the same number. Both are found before anything here is changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag import files
from rag.errors import IndexDamaged, SettingsError
from rag.versions import POINTER, Versions

PART = 8 * 2**20  # bytes: a model may be larger than SQLite lets one value be
_ASIDE = ".restoring."  # and a process id
_TABLE = (
    "create table backed_up (path text, part integer, parts integer, sha256 text, content blob, "
    "primary key (path, part))"
)


@dataclass(frozen=True)
class Models:
    """The models of a backup, compared and ready."""

    versions: Versions
    aside: Path
    new: tuple[int, ...]  # numbers that are not here yet
    pointer: str | None  # what `current.json` said; None: the base answered

    def place(self) -> None:
        """Put the versions where they belong. Nothing answers with them before `switch`."""
        for number in self.new:
            files.place(self.aside / str(number), self.versions.folder / str(number))

    def switch(self) -> None:
        """Answer with the model of that time from the next question on."""
        pointer = self.versions.folder / POINTER
        if self.pointer is not None:
            files.write(pointer, self.pointer)
        elif pointer.exists():
            pointer.unlink()
            files.flush(pointer.parent)


def standing(versions: Versions) -> list[Path]:
    """What is to be kept, in a moment in which no model is promoted; a version never changes afterwards."""
    found = [one.folder for one in versions.history()]
    pointer = versions.folder / POINTER
    return [*found, *([pointer] if pointer.is_file() else [])]


def keep(backup: sqlite3.Connection, folder: Path, standing: Iterable[Path]) -> None:
    """Write what stands in the folder of models into a backup."""
    with backup:
        backup.execute("drop table if exists backed_up")
        backup.execute(_TABLE)
        for top in standing:
            for file in sorted(one for one in (top.rglob("*") if top.is_dir() else [top]) if one.is_file()):
                parts = max(1, -(-file.stat().st_size // PART))
                with file.open("rb") as opened:
                    for number in range(parts):
                        content = opened.read(PART)
                        row = (file.relative_to(folder).as_posix(), number, parts, _sha256(content), content)
                        backup.execute("insert into backed_up values (?, ?, ?, ?, ?)", row)


@contextmanager
def models(backup: sqlite3.Connection, versions: Versions) -> Iterator[Models | None]:
    """The models of a backup, written beside those that are here; None where an earlier release wrote it, without any.

    Nobody else may promote or restore meanwhile.
    """
    if not backup.execute("select 1 from sqlite_master where name = 'backed_up'").fetchone():
        yield None
        return
    aside = versions.folder / f"{_ASIDE}{os.getpid()}"
    with versions.held():
        for left in versions.folder.glob(f"{_ASIDE}*"):  # of a process that was killed: the lock is ours
            shutil.rmtree(left)
        aside.mkdir()
        try:
            _unpack(backup, aside)
            yield Models(versions, aside, tuple(_new(aside, versions)), _said(aside / POINTER))
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def forget(staged: sqlite3.Connection) -> None:
    """Take the models out of a copy of a backup: what is left is the catalogue."""
    if staged.execute("select 1 from sqlite_master where name = 'backed_up'").fetchone():
        staged.execute("drop table backed_up")
        staged.commit()
        staged.execute("vacuum")


def _unpack(backup: sqlite3.Connection, aside: Path) -> None:
    for path, parts in backup.execute("select distinct path, parts from backed_up").fetchall():
        file = aside / _inside(str(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            for number in range(parts):
                row = backup.execute(
                    "select sha256, content from backed_up where path = ? and part = ?", (path, number)
                ).fetchone()
                if row is None or _sha256(row[1]) != row[0]:
                    said = "is missing" if row is None else "is not what was written"
                    raise IndexDamaged(f"models/{path}: part {number + 1} of {parts} {said}. Use an older backup")
                out.write(row[1])


def _inside(path: str) -> PurePosixPath:
    """A name below the folder of models, and no other."""
    found = PurePosixPath(path)
    fits = path == POINTER or (len(found.parts) > 1 and found.parts[0].isdecimal())
    if not fits or ".." in found.parts or found.is_absolute() or "\\" in path or ":" in path:
        raise IndexDamaged(f"{path!r}: no file of a model. Somebody else than `rag backup` wrote this; use another")
    return found


def _new(aside: Path, versions: Versions) -> Iterator[int]:
    for folder in sorted(one for one in aside.iterdir() if one.is_dir()):
        here = versions.folder / folder.name
        if not here.exists():
            yield int(folder.name)
        elif _contents(folder) != _contents(here):
            raise SettingsError(
                f"{here}: another model than version {folder.name} of the backup. Choose another --index, or move "
                f"{versions.folder} away"
            )


def _contents(folder: Path) -> dict[str, str]:
    return {one.relative_to(folder).as_posix(): files.sha256(one) for one in folder.rglob("*") if one.is_file()}


def _said(pointer: Path) -> str | None:
    return pointer.read_text(encoding="utf-8") if pointer.is_file() else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
