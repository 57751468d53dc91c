"""What real files say: the hand-made truth, and which part of it stays unseen.

Takes   truth/*.json (README.md says how they were written).
Gives   `Truth`, one a file, in the order of the files of truth and of their lines.
Refuses an unknown key with TypeError.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "truth"
UNSEEN = {"scans": 2, "rotated": 1, "columns": 1, "merged": 2, "scripts": 1, "ordinary": 3}  # files a group


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table, or of a label where `row` is empty."""

    row: tuple[str, ...]  # all of them stand in the row
    column: tuple[str, ...]  # path of headers, the outermost first
    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What one file says. An empty part is not scored."""

    file: str  # under documents/ of the data folder, or derived/...
    group: str  # the file of truth
    tags: tuple[str, ...]
    derived: str = ""  # from what, in words
    cells: tuple[Cell, ...] = ()
    order: tuple[str, ...] = ()  # phrases as a person reads them
    headings: tuple[str, ...] | None = None  # all of the file
    exclude: tuple[str, ...] = ()  # must not occur
    exclude_lines: tuple[str, ...] = ()  # must not be a line
    required: tuple[str, ...] = ()
    count: tuple[tuple[str, int], ...] = ()  # a phrase and how often it stands
    unseen: bool = False


def load(folder: Path = HERE) -> list[Truth]:
    """All of it."""
    found = [
        _truth(entry, path.stem) for path in sorted(folder.glob("*.json")) for entry in json.loads(path.read_text())
    ]
    hidden = {
        file for group, n in UNSEEN.items() for file in _unseen([one.file for one in found if one.group == group], n)
    }
    return [replace(one, unseen=True) if one.file in hidden else one for one in found]


def _unseen(files: list[str], n: int) -> list[str]:
    return sorted(files, key=lambda file: hashlib.sha256(file.encode()).hexdigest())[:n]


def _truth(entry: dict[str, Any], group: str) -> Truth:
    held: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    held["cells"] = tuple(Cell(_path(row), _path(column), value) for row, column, value in held.get("cells", ()))
    held["count"] = tuple((phrase, n) for phrase, n in held.get("count", ()))
    return Truth(group=group, **held)


def _path(value: str | list[str]) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else ((value,) if value else ())
