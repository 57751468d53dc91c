"""What connectors have in common: a source brings documents, or says why not.

Takes   what the library knows already: `known[path]` is the mark that a document had when it came last.
Gives   one event for each document, as soon as it is known.

A mark is what the other side calls a version (an ETag, a blob's name, a size and time). The same mark is never fetched
twice. The mark of the whole address stands under the path `WHOLE`; it is given only where nothing of it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Protocol

WHOLE = ""
_LONGEST_NAME = 100
_UNSAFE = re.compile(r"[^\w.,=+@ -]+")


@dataclass(frozen=True)
class Brought:
    """A document that is new or has changed, as a file."""

    path: str  # in its source, with /
    file: Path
    mark: str


@dataclass(frozen=True)
class Kept:
    """A document that is as it was."""

    path: str


@dataclass(frozen=True)
class Gone:
    """A document that the other side says is no more."""

    path: str
    reason: str


@dataclass(frozen=True)
class Missing:
    """A document that is there and could not be brought. `path` ending in / stands for everything below it."""

    path: str
    reason: str


@dataclass(frozen=True)
class Whole:
    """The mark of the address, given last: the next run with the same one has nothing to do."""

    mark: str
    unchanged: bool = False  # nothing was looked at, since the mark is the one that is known


Event = Brought | Kept | Gone | Missing | Whole


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may say about a source."""

    only: tuple[str, ...] = ()  # patterns like docs/*.md; nothing said: everything
    hosts: tuple[str, ...] = ()  # further hosts that pages may lie on
    allow_private: bool = False  # whether the named hosts may have addresses inside one's own network
    pages: int = 500  # at most so many of a sitemap
    pause_s: float = 0.1  # between two requests to a host; its robots.txt may ask for more

    def wanted(self, path: str) -> bool:
        """Whether a document of this path is asked for."""
        return not self.only or any(fnmatch(path, pattern) for pattern in self.only)


class Source(Protocol):
    """Something that documents come from."""

    @property
    def address(self) -> str:
        """Names the source in messages and marks; holds no password."""

    @property
    def source(self) -> str:
        """The middle of a document's identity: (collection, source, path)."""

    @property
    def options(self) -> Options:
        """Documents that are not wanted are left as they are."""

    @property
    def alone(self) -> bool:
        """Whether every document of `source` comes by this address."""

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:
        """Everything the source has; `into` is an empty folder to write files in."""


def staged(into: Path, number: int, path: str, suffix: str | None = None) -> Path:
    """A file of its own to write a document to, named so that messages name what the person knows."""
    name = _UNSAFE.sub("_", PurePosixPath(path).name).lstrip(".") or "document"
    ending = PurePosixPath(name).suffix if suffix is None else suffix
    stem = name[: -len(ending)] if ending and name.endswith(ending) else name
    folder = into / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / (stem[:_LONGEST_NAME].rstrip() + ending[:20])


def stamp(path: Path) -> str:
    """Changes when a file is written to or replaced; costs no reading."""
    state = path.stat()
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}"
