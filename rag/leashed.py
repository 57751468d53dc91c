"""Run a module in a process that stops by itself when the one that started it is gone.

    python -m rag.leashed FOLDER trainer.cli improve bundle.zip ...

Takes   a folder, whose lock `train` is held meanwhile, the name of a module and its arguments; stdin is a pipe.
Gives   what the module gives. When the pipe closes (its writer closed it, or died in whatever way), the module gets
        SIGTERM as from `kill`: it saves and stops. So nobody's death leaves a process that works on alone.
Waits   for one before it that is still saving. The same way on every system; the priority is lowered.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

from rag.lock import WriterLock

LOCK = "train"
PATIENCE_S = 180.0  # a process that was told to stop finishes a step and saves
NICE = 10  # answering goes first


def main(arguments: list[str]) -> None:
    """Run the module as `python -m` would, on a leash."""
    folder, module, *rest = arguments
    lower_priority()
    with WriterLock(Path(folder), patience_s=PATIENCE_S, name=LOCK).held():
        threading.Thread(target=_listen, name="leash", daemon=True).start()
        sys.argv = [module, *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def lower_priority() -> None:
    """Let everything else on this machine go first. On Windows whoever starts the process says so."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICE)


def _listen() -> None:
    with contextlib.suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    _thread.interrupt_main(signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
