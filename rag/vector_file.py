"""The file `vectors.faiss`: FAISS's own format with a trailer that says what it belongs to.

    [ FAISS index ][ ids ][ JSON: format, library, embedder, generation, count, bytes, crc32 ][ its length ][ GROUNDL1 ]

Takes   a FAISS index with ids, and its `Stamp`.
Gives   the same again, mapped into memory when it is large: FAISS reads from the front and never sees the rest. The ids
        stand a second time, ascending: an index with lists would have to be read through to know which it holds.
Refuses a file that is cut short, changed or of another release, with IndexDamaged.
Written aside, synced and renamed, so that index and stamp change together or not at all.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import faiss
import numpy as np

from rag import files
from rag.errors import IndexDamaged
from rag.vector_index import Ids, ids_of

FORMAT = 2
MAPPED_FROM = 64 * 2**20  # bytes; a smaller file is read whole and its checksum is compared
_END = struct.Struct("<I8s")  # length of the JSON before it, magic
_MAGIC = b"GROUNDL1"
_ID = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a copy belongs to and where it stands."""

    library: str
    embedder: str
    generation: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds."""

    index: Any
    ids: Ids  # ascending
    stamp: Stamp


def write(path: Path, index: Any, stamp: Stamp) -> None:
    """Replace the file by `index`, all at once."""
    aside = path.with_name(f"{path.name}.new")  # one name: there is one writer, and a crash leaves one file
    try:
        faiss.write_index(index, str(aside))
        with aside.open("rb+") as file:
            file.seek(0, os.SEEK_END)
            file.write(ids_of(index).astype(_ID).tobytes())
            file.seek(0)
            size, checksum = _measure(file)
            about = {"format": FORMAT, **asdict(stamp), "count": index.ntotal, "bytes": size, "crc32": checksum}
            trailer = json.dumps(about).encode()
            file.write(trailer + _END.pack(len(trailer), _MAGIC))
        files.place(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path, dimension: int, *, own: bool = False) -> Found | None:
    """What the file holds, or None where there is no file. `own`: in memory of its own, to be changed."""
    if not path.exists():
        return None
    found = faults(path)
    if found:
        raise IndexDamaged(f"{path}: {found[0]}")
    about = _trailer(path)
    mapped = not own and about["bytes"] >= MAPPED_FROM and sys.platform != "win32"  # it cannot replace a mapped file
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    if (index.d, index.ntotal) != (dimension, about["count"]):
        raise IndexDamaged(f"{path}: {index.ntotal} vectors of {index.d}, expected {about['count']} of {dimension}")
    count = int(about["count"])
    place = {"dtype": _ID, "offset": about["bytes"] - count * _ID.itemsize}
    ids: Ids = np.memmap(path, mode="r", shape=(count,), **place) if mapped else np.fromfile(path, count=count, **place)
    return Found(index, ids, Stamp(about["library"], about["embedder"], about["generation"]))


def faults(path: Path, *, whole: bool = False) -> list[str]:
    """Why the file cannot be used. A large file is read only when `whole`; a missing one has no fault."""
    if not path.exists():
        return []
    try:
        about = _trailer(path)
        if whole or about["bytes"] < MAPPED_FROM:
            with path.open("rb") as file:
                if _measure(file, about["bytes"])[1] != about["crc32"]:
                    return ["its bytes do not fit its checksum"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"not a vector file of this release ({error})"]
    return []


def _measure(file: IO[bytes], limit: int | None = None) -> tuple[int, int]:
    """(size, CRC-32) of an open file from here to its end, or of its next `limit` bytes."""
    size = checksum = 0
    while block := file.read(2**20 if limit is None else min(2**20, limit - size)):
        size, checksum = size + len(block), zlib.crc32(block, checksum)
    return size, checksum


def _trailer(path: Path) -> dict[str, Any]:
    """The JSON at the end of the file; ValueError where it does not fit."""
    with path.open("rb") as file:
        total = file.seek(0, os.SEEK_END)
        if total < _END.size:
            raise ValueError(f"{total} bytes are too few")
        file.seek(total - _END.size)
        length, magic = _END.unpack(file.read(_END.size))
        if magic != _MAGIC or length > total - _END.size:
            raise ValueError("it does not end as such a file does")
        file.seek(total - _END.size - length)
        about: dict[str, Any] = json.loads(file.read(length))
    if about["format"] != FORMAT or about["bytes"] + length + _END.size != total:
        raise ValueError("its size is not the one it names")
    return about
