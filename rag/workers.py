"""Threads that compute, each with its number of cores for good: nothing changes thread counts while questions come in.

    reading()    one thread, all cores       a trunk's prompt: one large batch
    decoding()   one thread, one core        a trunk's words, one token after the other
    apart(...)   a thread a core             batches that do not need each other: embedding, an encoder's passages

Gives   executors; `precision`, by a short probe once a process.
Why     cores in step wait for each other in every layer: beside another busy program that was measured to be three
        times slower than one core, and decoding with two threads ten times. A thread's number of cores is its own once
        it has computed something, but setting it also changes the default of threads to come, which is put back.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

MOST = 8  # threads that compute apart
GAIN = 1.1  # bf16 must beat fp32 by this factor in the probe: a tie keeps the exact one
PROBES = 3  # of each precision: together half a second of one core

_chosen: dict[str, str] = {}  # precision by probe, once a process
_probing = threading.Lock()
_starting = threading.Lock()


@cache
def _started(name: str) -> ThreadPoolExecutor:
    """One executor of a kind for the whole process."""
    return _start(name, 1, cores=_cores() if name == "reading" else 1)


def reading() -> ThreadPoolExecutor:
    """The one thread that reads prompts, with all cores."""
    with _starting:
        return _started("reading")


def decoding() -> ThreadPoolExecutor:
    """The one thread that decodes, with one core."""
    with _starting:
        return _started("decoding")


def apart(name: str) -> ThreadPoolExecutor:
    """New threads, together all cores, which compute a batch each."""
    count = min(_cores(), MOST)
    with _starting:
        return _start(name, count, cores=max(1, _cores() // count))


def _cores() -> int:
    import torch

    return torch.get_num_threads()


def _start(name: str, count: int, *, cores: int) -> ThreadPoolExecutor:
    import torch

    default = torch.get_num_threads()

    def own() -> None:
        torch.get_num_threads()  # takes the default now, so that it does not overwrite the next line later
        torch.set_num_threads(cores)

    workers = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=own)
    started = threading.Barrier(count + 1)
    for _ in range(count):
        workers.submit(started.wait)
    started.wait()
    torch.set_num_threads(default)
    return workers


def precision(run: Callable[[bool], object], *, on: ThreadPoolExecutor) -> str:
    """fp32, or bf16 where that is faster here, as the first model of a process finds. `run(bf16)` reads a little."""
    with _probing:
        if "precision" not in _chosen:
            _chosen["precision"] = on.submit(_tried, run).result()
        return _chosen["precision"]


def _tried(run: Callable[[bool], object]) -> str:
    """Try both in turns and take the cheaper one.

    This worker's own processor time, not the clock: another program's load must not decide. The least of each counts,
    because the first call sets up its kernels.
    """
    least = {"fp32": float("inf"), "bf16": float("inf")}
    for _ in range(PROBES):
        for name in least:
            start = time.thread_time()
            run(name == "bf16")
            least[name] = min(least[name], time.thread_time() - start)
    return "bf16" if least["fp32"] > GAIN * least["bf16"] else "fp32"


def made_with(reader: object, embedder: object) -> dict[str, object]:
    """What may change the last bits of a number, and with them a word; torch is asked where something loaded it."""
    torch = sys.modules.get("torch")
    return {
        "precision": getattr(reader, "precision", None),
        "embedder_precision": getattr(embedder, "precision", None),
        "threads": torch.get_num_threads() if torch else None,
        "torch": str(torch.__version__) if torch else None,
        "machine": platform.machine(),
    }
