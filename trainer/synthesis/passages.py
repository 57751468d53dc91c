"""Passages of documents, from which questions are made.

    {"id": "leave.md#3", "document": "leave.md", "headings": ["Leave", "Carry over"], "text": "Up to five days ..."}

Takes   JSONL, plain or `.xz`, one passage a line. `id`, `document`, `headings` and `text` must be there; `title`,
        `version`, `access` (who may read it: any JSON), `hash`, `licence`, `domain` and others may: rows carry them on.
        Passages of one document stand together, in their order.
Gives   `Passage`s in shelves: as many whole lines as one shelf holds, so that memory does not grow with the file.
Refuses a line that is no object, lacks a key, or repeats an id (DataError naming file and line).
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from trainer.chat import Source
from trainer.errors import DataError

OWN = ("id", "document", "headings", "text")


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document with the headings it stands under."""

    id: str
    document: str
    headings: tuple[str, ...]
    text: str
    extra: dict[str, Any] = field(default_factory=dict)  # all other keys, carried to the rows

    @property
    def access(self) -> str:
        """Who may read it, comparable: one row never mixes passages that different people may read."""
        return json.dumps(self.extra.get("access"), sort_keys=True)

    @property
    def path(self) -> tuple[str, ...]:
        """The document's title, where it has one of its own, and the headings."""
        title = str(self.extra.get("title") or "").strip()
        own = self.headings
        return own if not title or (own and own[0].casefold() == title.casefold()) else (title, *own)

    @property
    def source(self) -> Source:
        """As a reader sees it: heading path and text."""
        return Source(" > ".join(self.path), self.text)


def read(path: Path) -> Iterator[Passage]:
    """The passages of a file. Raises DataError."""
    number, seen = 0, set()
    try:
        with opened(path) as file:
            for line in file:
                number += 1
                if line.strip():
                    passage = _passage(json.loads(line))
                    if hash(passage.id) in seen:
                        raise ValueError(f"the id {passage.id!r} stands on an earlier line")
                    seen.add(hash(passage.id))
                    yield passage
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; give a JSONL file of passages (docs/formats.md)") from error
    except (ValueError, TypeError, EOFError, lzma.LZMAError) as error:
        rule = f"Each line is an object with {', '.join(OWN)}; mend or remove it"
        raise DataError(f"{path}, line {max(1, number)}: {error}. {rule}") from error


def opened(path: Path) -> IO[str]:
    """A file's text, unpacked."""
    return lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")


def _passage(raw: Any) -> Passage:
    if not isinstance(raw, dict):
        raise TypeError(f"a JSON object is needed, not {type(raw).__name__}")
    missing = [key for key in OWN if key not in raw]
    if missing:
        raise ValueError(f"{missing} missing")
    headings, text = raw["headings"], raw["text"]
    if not isinstance(text, str) or not isinstance(headings, list) or not all(isinstance(h, str) for h in headings):
        raise TypeError("text must be a string and headings a list of strings")
    extra = {key: value for key, value in raw.items() if key not in OWN}
    return Passage(str(raw["id"]), str(raw["document"]), tuple(headings), text, extra)


def count(path: Path) -> int:
    """How many passages a file holds; all of them are checked on the way."""
    return sum(1 for _ in read(path))


def shelf(path: Path, number: int, size: int) -> list[Passage]:
    """Passages from `number * size` up to the next shelf, of a file that `count` has checked."""
    with opened(path) as file:
        lines = (line for line in file if line.strip())
        return [_passage(json.loads(line)) for line in islice(lines, number * size, (number + 1) * size)]
