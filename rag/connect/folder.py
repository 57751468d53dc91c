"""A folder that is followed: what was written since, by size and time of its files.

Takes   the path of a folder. Its documents have the identity that `rag add FOLDER` gives them.
Gives   a file once it is at rest: until it is SETTLED_S old, or unchanged between two looks, somebody may still write.
        A file that could not be read is not tried again before it changes.
Never   takes an empty folder for one whose files were deleted: a disk that is not mounted looks the same (Missing).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rag import discover
from rag.connect.source import Brought, Event, Kept, Missing, Options, stamp
from rag.errors import LoadError

SETTLED_S = 2.0


class Folder:
    """See the module. One object follows one folder; it remembers what it has seen between two looks."""

    alone = True

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.source = discover.source_of(path)
        self.address = self.source
        self.options = options
        self._seen: dict[str, str] = {}  # path to stamp, of the look before
        self._tried: dict[str, str] = {}  # path to stamp, of what was brought

    def bring(self, known: Mapping[str, str], into: Path) -> Iterator[Event]:  # noqa: ARG002 - nothing is copied
        """Every file, by a look at the folder; nothing of an unchanged one is read."""
        if not self.path.is_dir():
            raise LoadError(f"{self.path}: no such folder now; its documents stay. Mount it, or name another")
        met = list(discover.discover([self.path]))
        if not met and known:
            cure = "its documents stay. If they are to go: rag add --sync FOLDER"
            raise LoadError(f"{self.path}: holds no files now, which is how a disk looks that is not mounted; {cure}")
        for found in met:
            if isinstance(found, discover.Missing):
                closed = "" if "no file or a link" in found.reason else "/"
                yield Missing("/" if found.path == "." else found.path + closed, found.reason)
            elif self.options.wanted(found.path):
                yield from self._look(found, known)

    def _look(self, found: discover.Found, known: Mapping[str, str]) -> Iterator[Event]:
        try:
            mark = stamp(found.file)
            age = time.time() - found.file.stat().st_mtime
        except OSError:  # deleted since it was listed
            return
        before, self._seen[found.path] = self._seen.get(found.path), mark
        resting = age >= SETTLED_S or before == mark
        if known.get(found.path) == mark or not resting or self._tried.get(found.path) == mark:
            yield Kept(found.path)
        else:
            self._tried[found.path] = mark
            yield Brought(found.path, found.file, mark)
