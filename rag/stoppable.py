"""Work in the main thread that stops when it is asked to: by a file that appears, by SIGTERM, by Ctrl-C.

    with stoppable(folder / "stop"):     from now on Stopped may be raised anywhere in the block,
        work()
        with shielded():                 except here: what is begun here is finished first
            place()

Takes   the file whose appearance asks to stop; a file needs no process id and works on every system.
Gives   Stopped, raised once; it is no Exception, so that `except Exception` around one failed item does not eat it.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

LOOK_S = 0.5  # between two looks at the file


class Stopped(BaseException):
    """Somebody asked to stop."""


class _Request:
    """Whether a stop was asked for, and whether it may be obeyed now."""

    asked = obeyed = False
    shields = 0


_now = _Request()


@contextmanager
def stoppable(file: Path) -> Iterator[None]:
    """Raise Stopped in the block when `file` appears, or at SIGTERM or Ctrl-C. Main thread only."""
    _now.asked = _now.obeyed = False
    before = {name: signal.signal(name, _heard) for name in (signal.SIGTERM, signal.SIGINT)}
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(file, over), name="stop-file", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Let the block end before a stop is obeyed. Without `stoppable` around it nothing is changed."""
    _now.shields += 1
    try:
        yield
    finally:
        _now.shields -= 1
    _obey()


def _heard(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    _now.asked = True
    _obey()


def _obey() -> None:
    if _now.asked and not _now.obeyed and not _now.shields:
        _now.obeyed = True
        raise Stopped


def _watch(file: Path, over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        if file.exists():
            _thread.interrupt_main(signal.SIGTERM)  # as if the signal had come
            return
