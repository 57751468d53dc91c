"""Files appear whole or not at all: written aside, flushed to the disk, renamed, and the new name flushed as well.

    with aside(file) as part: ...  ─► flush(part) ─► rename to `file` ─► flush(folder)

Takes   a path and what is to stand there.
Gives   the file, complete, also after a power cut: it is the former one or the new one, never a mixture.
A kill leaves the former file untouched and at most a hidden one beside it, which nothing reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OWNER_ONLY, LIKE_ANY = 0o600, 0o666  # the second as the process makes any file


@contextmanager
def aside(file: Path, *, private: bool = False) -> Iterator[Path]:
    """Give an empty neighbour to write to, which takes the place of `file` when the block ends well, else goes.

    `private`: only its owner may read it, from its first byte on.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}.part")  # two may write at once
    part.unlink(missing_ok=True)  # of a process that was killed and had our numbers
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY if private else LIKE_ANY))
    try:
        yield part
        place(part, file)
    finally:
        part.unlink(missing_ok=True)


def place(part: Path, file: Path) -> None:
    """Let a finished file take the place of another, or a folder a free one, so that it stands after a power cut."""
    flush_all(part)
    part.replace(file)
    flush(file.parent)


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    windows = sys.platform == "win32"  # it flushes only what may be written, and no folder, nor need it
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_all(path: Path) -> None:
    """A file, or a folder with everything in it."""
    for inner in sorted(path.rglob("*"), reverse=True) if path.is_dir() else ():
        flush(inner)
    flush(path)


def sha256(file: Path) -> str:
    """Of its bytes, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write(file: Path, text: str, *, private: bool = False) -> None:
    """Replace a text file."""
    with aside(file, private=private) as part:
        part.write_text(text, encoding="utf-8")


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file, indented for people."""
    write(file, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of ours; {} where there is none, or none that can be read."""
    for _ in range(3):  # Windows refuses to open a file in the moment of its renaming
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            return said if isinstance(said, dict) else {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            time.sleep(0.02)
    return {}
