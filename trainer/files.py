"""Files appear whole or not at all: written aside, flushed to the disk, renamed.

Takes   a path and what to put there.
Gives   the same path, complete; after a crash the old file stands untouched and at most a `*.part` lies beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a neighbour to write to; when the block ends well it is flushed and takes the name of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    yield part
    flush(part)
    share(part)
    part.replace(path)
    flush(path.parent)


def share(path: Path) -> None:
    """Let those read a file who may read any new one: safetensors leaves its files to their owner alone."""
    mask = os.umask(0o077)  # it can only be asked by setting it
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def flush(path: Path) -> None:
    """Wait until a file or a folder's list of names is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a text file."""
    with aside(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file of ours."""
    return json.loads(path.read_text(encoding="utf-8"))
