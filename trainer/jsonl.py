"""JSONL files, plain, `.xz` or `.gz`: a value a line, and an error that names the line.

Takes   a path; blank lines are passed over.
Gives   values with the number of their line, or objects alone.
Refuses a file that is missing, damaged or no UTF-8, and a line that is no JSON (for `objects`: no JSON object).
"""

from __future__ import annotations

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from trainer.errors import DataError


def opened(path: Path) -> IO[str]:
    """A file's text, unpacked where its name ends in .xz or .gz."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")


def numbered(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and value of each line that is not blank. Raises DataError."""
    try:
        with opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, parsed(line, f"{path}, line {number}")
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; name a JSONL file, plain, .xz or .gz") from error
    except (lzma.LZMAError, zlib.error, EOFError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read ({error}); it must be UTF-8, packed as its name says") from error


def parsed(line: str, where: str) -> Any:
    """The value of one line."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error}); write one object a line") from error


def objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file. Raises DataError."""
    for number, value in numbered(path):
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: {str(value)[:60]!r} is no object; write one object a line")
        yield value
