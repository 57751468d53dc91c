"""Bounds against hostile or broken input: sizes, zip bombs, XML entities.

Takes   a path, or a count that a reader keeps.
Gives   nothing where all is well.
Refuses with LoadError, naming the file, the bound and the next step.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from pathlib import Path

from rag.errors import LoadError
from rag.load import unlock

FILE_BYTES = 1_000_000_000
UNZIPPED_BYTES = 500_000_000
UNZIPPED_RATIO = 300  # unpacked to packed; real office files stay below 100
RATIO_COUNTS_FROM = 50_000_000  # small files may compress as well as they like
ZIP_ENTRIES = 20_000
TEXT_CHARACTERS = 100_000_000
DEPTH = 200  # nesting of elements, lists, groups, values

_HEAD = 65_536  # a document type declaration stands before the root element


def check_file(path: Path) -> None:
    """Refuse empty and enormous files."""
    size = path.stat().st_size
    if size == 0:
        raise LoadError(f"{path.name}: empty (0 bytes); get a fresh copy or leave it out")
    if size > FILE_BYTES:
        raise LoadError(f"{path.name}: {size:,} bytes, the limit is {FILE_BYTES:,}; split it and add the parts")


def check_text(name: str, characters: int) -> None:
    """Refuse a document whose text outgrows memory."""
    if characters > TEXT_CHARACTERS:
        raise LoadError(f"{name}: more than {TEXT_CHARACTERS:,} characters of text; split it and add the parts")


def check_zip(path: Path) -> None:
    """Refuse zip bombs, and XML parts that declare entities (office files never need them)."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        packed = max(1, path.stat().st_size)
        if len(entries) > ZIP_ENTRIES:
            raise LoadError(f"{path.name}: {len(entries):,} parts, the limit is {ZIP_ENTRIES:,}; save it again")
        if unpacked > UNZIPPED_BYTES or (unpacked > RATIO_COUNTS_FROM and unpacked / packed > UNZIPPED_RATIO):
            raise LoadError(
                f"{path.name}: unpacks to {unpacked:,} bytes ({unpacked // packed} times its size), "
                f"the limit is {UNZIPPED_BYTES:,}; split it and add the parts"
            )
        locked = any(entry.flag_bits & 1 for entry in entries)
        if locked and not unlock.given():
            raise LoadError(f"{path.name}: protected by a password; {unlock.cure()}")
        for entry in entries:
            if not locked and entry.filename.endswith((".xml", ".rels", ".opf")):
                with archive.open(entry) as part:
                    check_xml(path.name, part.read(_HEAD))


def check_xml(name: str, head: bytes) -> None:
    """Refuse XML that declares entities: expanding them is a known way to exhaust memory."""
    if b"<!ENTITY" in head or b"<\x00!\x00E\x00N\x00T\x00I\x00T\x00Y" in head:
        raise LoadError(f"{name}: its XML declares entities, which documents do not need; save it again")


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """One part of a zip file, never more than its directory promised. Raises RuntimeError where it stays locked."""
    entry = archive.getinfo(name)
    for password in unlock.given() if entry.flag_bits & 1 else (None,):
        wrong = (RuntimeError, zipfile.BadZipFile, zlib.error) if password else ()  # shows at once, or by the checksum
        with (
            contextlib.suppress(*wrong),
            archive.open(entry, pwd=password.encode() if password else None) as part,
        ):
            return part.read(entry.file_size)
    raise RuntimeError(f"protected by a password; {unlock.cure()}")
