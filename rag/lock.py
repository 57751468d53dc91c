"""One process at a time changes an index folder.

Takes   the folder of an index; a name where the folder has several locks.
Gives   `WriterLock`: a context manager, re-entrant within a thread, exclusive among threads and processes.
        `holder`: who holds a lock now.
Refuses to wait longer than `patience_s`: the error names the process that holds the lock.

The system drops the lock when its holder dies, also by power loss: nothing has to be cleaned up by hand.
Only the moments of writing are locked, not the minutes of reading and embedding: writers interleave.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rag.errors import IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_S = 0.05  # between attempts to take a lock that another process holds
LOOKS = 3  # where the system knows no shared locks, two that look at once must not take each other for the holder

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _drop(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

    def _is_free(file: IO[bytes]) -> bool:
        for _ in range(LOOKS):
            if _take(file):
                _drop(file)
                return True
            time.sleep(POLL_S)
        return False

else:
    import fcntl

    def _take(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _drop(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)

    def _is_free(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: any number may look at once
        except BlockingIOError:
            return False
        _drop(file)
        return True


class WriterLock:
    """The right to change the index in `folder`. Two locks on one folder exclude each other even in one process."""

    def __init__(self, folder: Path, *, patience_s: float = 30.0, name: str = "writer") -> None:
        self._path = folder / f"{name}.lock"
        self._holder_path = folder / f"{name}.json"  # beside the lock: Windows forbids reading a locked file
        self._patience_s = patience_s
        self._threads = threading.RLock()
        self._depth = 0
        self._file: IO[bytes] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the length of the block, after waiting at most `patience_s`."""
        if not self._acquire(self._patience_s):
            raise IndexDamaged(self._busy())
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """Hold the lock if nobody else does (True), else go on without (False)."""
        taken = self._acquire(0.0)
        try:
            yield taken
        finally:
            if taken:
                self._release()

    def _acquire(self, patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        if not self._threads.acquire(timeout=patience_s):
            return False
        if self._depth == 0 and not self._open(deadline):
            self._threads.release()
            return False
        self._depth += 1
        return True

    def _open(self, deadline: float) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab+")
        while not _take(file):
            if time.monotonic() >= deadline:
                file.close()
                return False
            time.sleep(POLL_S)
        self._file = file
        holder = {"process": os.getpid(), "program": Path(sys.argv[0]).name, "since": datetime.now(UTC).isoformat()}
        self._holder_path.write_text(json.dumps(holder), encoding="utf-8")
        return True

    def _release(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._file is not None:
            _drop(self._file)
            self._file.close()
            self._file = None
        self._threads.release()

    def _busy(self) -> str:
        try:
            holder = json.loads(self._holder_path.read_text(encoding="utf-8"))
            who = f"process {holder['process']} ({holder['program']}, since {holder['since']})"
        except (OSError, ValueError, KeyError):
            who = "another process"  # it has taken the lock and not yet written its name
        return (
            f"{self._path.parent} is being changed by {who}; waited {self._patience_s:g} s. "
            "Try again when it is done, or end that process"
        )


def holder(folder: Path, name: str) -> dict[str, Any] | None:
    """Who holds the lock of this name now: process, program, since; {} where it has not said so yet, None if nobody."""
    path = folder / f"{name}.lock"
    try:
        with path.open("rb+") as file:
            if _is_free(file):
                return None
    except FileNotFoundError:
        return None
    try:
        said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {}  # it has taken the lock and not yet written its name
    return said if isinstance(said, dict) else {}
