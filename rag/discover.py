"""Paths become files with an identity: (source, relative path).

Takes   files and folders as people name them.
Gives   every file met, in a stable order, each once: of a folder the folder is the source, of a single file the folder
        it lies in. A path that leads nowhere and a folder that cannot be opened are `Missing`, with the reason.
Leaves out hidden files and folders (a leading dot), lock files of office programs (`~$`), litter of operating systems,
        and index folders of this program. Linked files are followed, linked folders are not: they can form rings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UPLOAD = "upload"  # the source of what came without a folder
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Found:
    """A file to be read."""

    file: Path
    source: str  # absolute path of the folder, or UPLOAD
    path: str  # relative to the source, POSIX slashes
    size: int  # bytes


@dataclass(frozen=True)
class Missing:
    """What was named or met and cannot be read. Documents from below `path` in `source` have not vanished."""

    source: str
    path: str
    reason: str


def discover(paths: Iterable[Path]) -> Iterator[Found | Missing]:
    """Every file that `paths` name or hold, each once."""
    seen: set[tuple[str, str]] = set()
    for path in paths:
        for found in _below(path) if path.is_dir() else [_single(path)]:
            if (found.source, found.path) not in seen:
                seen.add((found.source, found.path))
                yield found


def is_archive(found: Found | Missing) -> bool:
    """A ZIP file: a folder of its own, which `rag.connect` opens."""
    return isinstance(found, Found) and found.file.suffix.lower() == ".zip"


def archives(paths: Iterable[Path]) -> list[Path]:
    """The ZIP files in the folders among `paths`."""
    folders = [path for path in paths if path.is_dir()]
    return [found.file for found in discover(folders) if isinstance(found, Found) and is_archive(found)]


def source_of(folder: Path) -> str:
    """A folder's name as a source: absolute, links resolved, so that it does not depend on how it was named."""
    return _readable(str(folder.resolve()))


def upload_path(name: str) -> str:
    """An upload's name as a relative path: no drive, no root, no way up."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return _readable("/".join(parts)) or "upload"


def _single(path: Path) -> Found | Missing:
    source, name = source_of(path.parent), _readable(path.name)
    if not path.exists():
        return Missing(source, str(path), f"{path}: no such file or folder; check the path")
    if not path.is_file():
        return Missing(source, str(path), f"{path}: neither a file nor a folder; name a document")
    return Found(path, source, name, path.stat().st_size)


def _below(folder: Path) -> Iterator[Found | Missing]:
    source = source_of(folder)
    closed: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(where)
        folders[:] = sorted(name for name in folders if not is_litter(name) and not _is_index(here / name))
        for name in sorted(names):
            file = here / name
            if is_litter(name):
                continue
            relative = _readable(file.relative_to(folder).as_posix())
            if os.path.isfile(file):  # noqa: PTH113 - False too where it may not be looked at
                yield Found(file, source, relative, file.stat().st_size)
            else:
                reason = "no file, a link to nothing, or closed to this user; mend the link or allow reading"
                yield Missing(source, relative, f"{relative}: {reason}")
    for error in closed:
        relative = Path(error.filename).relative_to(folder).as_posix()
        reason = f"{relative}: cannot be opened ({error.strerror}); allow reading and add it again"
        yield Missing(source, relative, reason)


def is_litter(name: str) -> bool:
    """Hidden, a lock file of an office program, or what an operating system leaves behind."""
    return name.startswith((".", "~$")) or name.lower() in _LITTER


def _is_index(folder: Path) -> bool:
    return os.path.exists(folder / "catalogue.db")  # noqa: PTH110 - False too where it may not be looked into


def _readable(name: str) -> str:
    """File names may hold bytes that are no text, the catalogue only text; and two names must not become one."""
    return name.encode("utf-8", "backslashreplace").decode()
