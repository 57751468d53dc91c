"""A library moves to another embedder while the one it has goes on answering.

    passages without a vector of the new one ─► embed, a batch a transaction ─► FAISS file beside the old one
                  ▲                    │                                              │
                  └── added meanwhile ─┘             the writer's lock: the last few ─► one commit switches ─► sweep

Takes   an open library's parts, and the embedder to move to.
Gives   how far it is, on the way; `Moved` at the end. Both kinds of vectors lie in the catalogue under their embedder's
        identity, and only one of them counts: no search ever sees both.
Resumed by calling it again: what has a vector is not embedded again, whoever killed it whenever.
Answers that began before the switch end with the copy they began with; the next question opens the new one.

    INDEX/reembed/run.lock     held by whoever does this; run.json names the process
                  state.json   how far it is, replaced after each batch
                  stop         its appearance asks to stop
                  log          what a process of its own said
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag import commit, embedders, files
from rag.config import Settings
from rag.detached import apart, environment
from rag.errors import NotFound, SettingsError
from rag.ingest import GROUP
from rag.lock import WriterLock, holder
from rag.parts import Parts
from rag.types import Embedder
from rag.vectors import FILE, NEXT, Vectors

FOLDER, LOCK = "reembed", "run"
LAST = 64  # passages that may be embedded while no other process can write
PATIENCE_S = 1.0  # for another process that moves the library already
_started: dict[Path, subprocess.Popen[bytes]] = {}  # by library: ours, seen before they can say that they work


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a move is."""

    wanted: str  # the embedder, as the settings name it
    done: int  # passages with a vector of it
    total: int
    per_second: float
    seconds_left: float | None  # None before there is anything to judge by
    going_on: bool = True
    error: str | None = None  # why the last process that moved the library ended early

    def as_dict(self) -> dict[str, Any]:
        """For `rag reembed --status --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of it."""

    embedder: str  # as the settings name it
    passages: int  # that were embedded in this run
    finished: bool  # False: it was asked to stop, and goes on where it is when it is called again


Tell = Callable[[Progress], None]


def reembed(parts: Parts, embedder: Embedder, settings: Settings, *, tell: Tell | None = None) -> Moved:
    """Give every passage a vector of `embedder`, then let these count. Raises IndexDamaged while another does it."""
    folder = parts.folder / FOLDER
    course = _Course(parts, embedder, embedders.named(settings), folder, tell)
    with WriterLock(folder, name=LOCK, patience_s=PATIENCE_S).held():
        (folder / "stop").unlink(missing_ok=True)
        try:
            finished = _move(course)
        except Exception as error:
            course.say(going_on=False, error=str(error) or type(error).__name__)
            raise
        course.say(going_on=False)
    return Moved(course.name, course.embedded, finished)


def _move(course: _Course) -> bool:
    """The story. False where it was asked to stop."""
    parts, identity = course.parts, course.embedder.identity
    catalogue = parts.catalogue
    commit.sweep(catalogue, (catalogue.embedder, identity))  # of a move that was given up
    if catalogue.embedder != identity:
        if not course.embed_all():
            return False
        late = catalogue.without_vector(identity)
        Vectors(parts.folder, catalogue, course.embedder, ahead=True).rebuild()
        if not course.embed_all():  # what came in while that was written
            return False
        with parts.lock.held():
            course.embed(catalogue.without_vector(identity))
            commit.set_embedder(catalogue, identity, late)
            _place(parts)
    embedders.note(catalogue, identity, course.name)
    course.left = 0
    commit.sweep(catalogue, (identity,))
    catalogue.truncate()
    return True


def _place(parts: Parts) -> None:
    """The file that was written ahead takes the place of the old one: nobody has to build it.

    Where it cannot (its place is being written, or somebody removed a document meanwhile), whoever opens the library
    builds the copy.
    """
    ahead = parts.folder / NEXT
    with parts.file_lock.if_free() as mine:
        if mine and ahead.exists():
            files.place(ahead, parts.folder / FILE)
    ahead.unlink(missing_ok=True)


class _Course:
    """One run of `reembed`."""

    def __init__(self, parts: Parts, embedder: Embedder, name: str, folder: Path, tell: Tell | None) -> None:
        self.parts, self.embedder, self.name, self._folder, self._tell = parts, embedder, name, folder, tell
        self.embedded = 0
        self.left = parts.catalogue.counts()[1]  # passages to embed, as far as is known
        self._begun = time.monotonic()

    def embed_all(self) -> bool:
        """Until all but the last few have a vector; False when asked to stop."""
        missing = self.parts.catalogue.without_vector(self.embedder.identity)
        while True:
            for start in range(0, len(missing), GROUP):
                self.left = len(missing) - start
                self.say()
                if (self._folder / "stop").exists():
                    return False
                self.embed(missing[start : start + GROUP])
            missing = self.parts.catalogue.without_vector(self.embedder.identity)
            self.left = len(missing)
            if len(missing) <= LAST:
                self.say()
                return True

    def embed(self, ids: list[int]) -> None:
        """Give these passages their vectors."""
        embedders.fill(self.parts.catalogue, self.embedder, ids)
        self.embedded += len(ids)

    def say(self, *, going_on: bool = True, error: str | None = None) -> None:
        """How far it is, to whoever asked and to the disk."""
        total = self.parts.catalogue.counts()[1]
        rate = self.embedded / max(time.monotonic() - self._begun, 1e-9)
        left = self.left / rate if rate else None
        now = Progress(self.name, max(0, total - self.left), total, round(rate, 1), left, going_on, error)
        files.write_json(self._folder / "state.json", now.as_dict())
        if self._tell is not None:
            self._tell(now)


# --- in a process of its own ------------------------------------------------------------------------------------------


def progress(index: Path) -> Progress | None:
    """How far the latest move is; None where none was begun."""
    said = files.read_json(index / FOLDER / "state.json")
    child = _started.get(index.resolve())
    alive = holder(index / FOLDER, LOCK) is not None or (child is not None and child.poll() is None)
    if not said and child is None:
        return None
    error = said.get("error") or ("its process was ended" if said.get("going_on") and not alive else None)
    if not said and not alive:  # it ended before it could say anything itself
        error = (index / FOLDER / "log").read_text("utf-8", "replace").strip().rpartition("\n")[2]
    unknown = Progress("", 0, 0, 0.0, None).as_dict()
    return Progress(**unknown | said | {"going_on": alive, "error": None if alive else error})


def start(index: Path, settings: Settings) -> None:
    """Begin or resume in a process that outlives this one. Raises SettingsError while another goes on."""
    folder = index / FOLDER
    refuse_second(index)
    folder.mkdir(parents=True, exist_ok=True)
    forget(index)
    with (folder / "log").open("wb") as log:
        _started[index.resolve()] = subprocess.Popen(
            [sys.executable, "-m", "rag.cli", "reembed"],
            env=environment(settings, index), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **apart(),
        )  # fmt: skip


def refuse_second(index: Path) -> None:
    """Raise SettingsError while the library is being moved."""
    going_on = progress(index)
    if going_on is not None and going_on.going_on:
        raise SettingsError(
            f"{index} is being moved to another embedder now. `rag reembed --status` shows how far, --stop ends it"
        )


def stop(index: Path) -> None:
    """Ask whoever moves the library to stop after the batch it is at. Raises NotFound where nobody does."""
    if holder(index / FOLDER, LOCK) is None:
        raise NotFound(f"{index} is not being moved to another embedder. `rag reembed` begins or resumes it")
    (index / FOLDER / "stop").touch()


def forget(index: Path) -> None:
    """What the latest move said is of no interest any more."""
    _started.pop(index.resolve(), None)
    for file in (*(index / FOLDER / name for name in ("state.json", "log", "stop")), index / NEXT):
        file.unlink(missing_ok=True)
