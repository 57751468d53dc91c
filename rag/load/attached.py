"""Files inside a document: what hangs on a mail or is embedded in a PDF, archives and mails inside those too.

Takes   the name and the bytes of one such file.
Gives   its pages under a heading `Attachment: NAME` of the document that holds it; one that cannot be read is a line
        with its name, and a note with the reason. Its page numbers are its own and would mislead: they are left out.
Bounds  DEPTH files inside each other, MOST of them in one document, BYTES in all: beyond that they are named only.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag import load
from rag.errors import GroundlingError, LoadError
from rag.load import limits
from rag.types import Page

DEPTH = 3  # a mail in a mail in a mail
MOST = 200
BYTES = 500_000_000


@dataclass
class _Course:
    """What was met so far inside one document."""

    depth: int = 0
    files: int = 0
    bytes: int = 0


_COURSE: ContextVar[_Course | None] = ContextVar("attached", default=None)


def pages(name: str, data: object) -> Iterator[Page]:
    """The pages of one file that was found inside a document."""
    name = "/".join(part for part in PurePosixPath(name.replace("\\", "/").replace("\0", "")).parts if part != "/")
    name = name or "attachment"
    try:
        with _deeper(data) as content:
            inner = list(_of_archive(name, content) if name.lower().endswith(".zip") else _of_file(name, content))
    except GroundlingError as error:
        yield Page(None, f"Attachment: {name}", note=f"attachment {name} was not read: {error}")
        return
    yield from inner


@contextmanager
def _deeper(data: object) -> Iterator[bytes]:
    course = _COURSE.get() or _Course()
    before = _COURSE.set(course)
    course.depth += 1
    course.files += 1
    try:
        if not isinstance(data, bytes):
            raise LoadError("it holds no bytes; save it and add it by itself")
        course.bytes += len(data)
        if course.depth > DEPTH:
            raise LoadError(f"more than {DEPTH} files inside each other; save it and add it by itself")
        if course.files > MOST or course.bytes > BYTES:
            raise LoadError(f"more than {MOST} files or {BYTES:,} bytes in one document; save it and add it by itself")
        yield data
    finally:
        course.depth -= 1
        _COURSE.reset(before)


def _of_file(name: str, data: bytes) -> Iterator[Page]:
    suffix = Path(name).suffix.lower()
    if suffix not in load.READERS:
        raise LoadError("no reader for it; save it in a readable format and add it by itself")
    with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
        copy = Path(folder) / f"attachment{suffix}"
        copy.write_bytes(data)
        try:
            found = list(load.pages(copy))
        except GroundlingError as error:
            raise LoadError(str(error).removeprefix(f"{copy.name}: ")) from error
    yield Page(None, f"## Attachment: {name}")
    for page in found:
        text = "##" + page.text if page.text.startswith("# ") else page.text
        yield Page(None, text.replace("\n# ", "\n### "), page.ocr, page.note)


def _of_archive(name: str, data: bytes) -> Iterator[Page]:
    with tempfile.TemporaryDirectory(prefix="groundling-") as folder:
        copy = Path(folder) / "attachment.zip"
        copy.write_bytes(data)
        try:
            limits.check_file(copy)
            limits.check_zip(copy)
            with zipfile.ZipFile(copy) as archive:
                entries = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
                for entry in entries[:MOST]:
                    yield from pages(f"{name}/{entry}", _member(archive, entry))
                if len(entries) > MOST:
                    note = f"attachment {name}: {len(entries) - MOST} files of it were not read; add it by itself"
                    yield Page(None, "", note=note)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
            raise LoadError(f"damaged, or no ZIP file ({error}); get a fresh copy") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return limits.member(archive, name)
    except RuntimeError:  # locked: the line about it says that it holds no bytes
        return None
