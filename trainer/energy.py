"""How much energy a run took, and how we know.

Takes   nothing: call `sample()` now and then.
Gives   `joules` and `method`: "rapl" (the processor's own counter), "nvidia-smi" (power of the GPU, sampled) or
        "estimate" (seconds times assumed watts, where the machine lets nobody measure).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

WATTS_PER_THREAD = 10.0  # the assumption behind "estimate": a server core under load, memory and losses included
COUNTERS = Path("/sys/class/powercap")


class Meter:
    """Adds up energy from the moment it is made."""

    def __init__(self, *, threads: int, cuda: bool) -> None:
        self.joules = 0.0
        self.threads = threads
        self._then = time.monotonic()
        self._counter = counter()
        if cuda and shutil.which("nvidia-smi"):
            self.method = "nvidia-smi"
        else:
            self.method = "rapl" if self._counter is not None else "estimate"

    def sample(self) -> float:
        """Account for the time since the last call; gives all joules up to now."""
        now = time.monotonic()
        seconds, self._then = now - self._then, now
        if self.method == "nvidia-smi":
            self.joules += gpu_watts() * seconds
        elif self.method == "rapl":
            reading, before = counter(), self._counter
            if reading is not None and before is not None and reading >= before:  # the counter wraps around
                self.joules += reading - before
            self._counter = reading
        else:
            self.joules += seconds * WATTS_PER_THREAD * self.threads
        return self.joules


def counter() -> float | None:
    """Joules since some moment, over all processor packages; None where the counter is not readable."""
    total, found = 0.0, False
    for package in COUNTERS.glob("intel-rapl:?") if COUNTERS.is_dir() else ():
        try:
            total += int((package / "energy_uj").read_text()) / 1e6
            found = True
        except OSError:
            return None  # present, but only root may read it: then the estimate is the honest answer
    return total if found else None


def gpu_watts() -> float:
    """Power that all GPUs draw now."""
    query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    return sum(float(line) for line in answer.stdout.split() if line.replace(".", "", 1).isdigit())
