"""How much energy a run took, how we know, and what it cost.

Takes   nothing: call `sample()` now and then.
Gives   `joules` and `method`, the first of these that the machine allows:
        "nvml" (the GPU's own counter; with "+rapl" where the processor's can be read too), "nvidia-smi" (power of the
        GPU, sampled), "rapl" (the processor's own counter), "codecarbon" (its estimate, where it is installed) or
        "estimate" (seconds times assumed watts, where the machine lets nobody measure).
Left out: the rest of the machine (disks, fans, cooling) under every method but the estimates.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from importlib import import_module, util
from pathlib import Path
from typing import Any, Protocol

import torch

WATTS_PER_THREAD = 10.0  # the assumption behind "estimate": a server core under load, memory and losses included
COUNTERS = Path("/sys/class/powercap")


class Source(Protocol):
    """Something that tells joules since some moment; it may begin anywhere, and never falls but where it wraps."""

    name: str

    def read(self) -> float: ...  # noqa: D102


class Meter:
    """Adds up energy from the moment it is made."""

    def __init__(self, *, threads: int, cuda: bool) -> None:
        self.joules = 0.0
        self.sources = sources(threads=threads, cuda=cuda)
        self.method = "+".join(source.name for source in self.sources)
        self._then = [source.read() for source in self.sources]

    def sample(self) -> float:
        """Account for the time since the last call; gives all joules up to now."""
        for index, source in enumerate(self.sources):
            now = source.read()
            self.joules += max(now - self._then[index], 0.0)  # a counter that wrapped around loses one interval
            self._then[index] = now
        return self.joules


def sources(*, threads: int, cuda: bool) -> list[Source]:
    """The best that this machine offers. What counts the whole machine is left to its first process."""
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    found: list[Source] = []
    if cuda:
        counted = Nvml.open()
        if counted is not None:
            found.append(counted)
        elif shutil.which("nvidia-smi"):
            found.append(NvidiaSmi())
    if rapl() is not None:
        return [*found, Rapl()] if first else found
    if found:
        return found
    if util.find_spec("codecarbon") is not None:
        return [CodeCarbon()] if first else []
    return [Estimate(threads)]


class Rapl:
    """The counter inside the processor (running average power limit), over all packages."""

    name = "rapl"

    def read(self) -> float:
        """Joules since some moment."""
        return rapl() or 0.0


def rapl() -> float | None:
    """Joules since some moment, over all processor packages; None where the counter is not readable."""
    total, found = 0.0, False
    for package in COUNTERS.glob("intel-rapl:?") if COUNTERS.is_dir() else ():
        try:
            total += int((package / "energy_uj").read_text()) / 1e6
            found = True
        except OSError:
            return None  # present, but only root may read it: then the estimate is the honest answer
    return total if found else None


class Nvml:
    """The counter inside the GPU that this process computes on, asked through the driver's own library."""

    name = "nvml"

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self.library, self.handle = library, handle

    @staticmethod
    def open() -> Nvml | None:
        """None where the driver is missing or the GPU is too old to count (before Volta)."""
        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
            name = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}".encode()
        except (OSError, AttributeError, RuntimeError):
            return None
        handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        failed = (
            library.nvmlInit_v2()
            or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle))
            or library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        )
        return None if failed else Nvml(library, handle)

    def read(self) -> float:
        """Joules since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle, ctypes.byref(millijoules))
        return millijoules.value / 1000


class NvidiaSmi:
    """Power of the GPU this process computes on, times the seconds between two readings."""

    name = "nvidia-smi"

    def __init__(self) -> None:
        self.joules, self.then = 0.0, time.monotonic()

    def read(self) -> float:
        """Joules since this was made."""
        which = f"--id={torch.cuda.current_device()}"
        query = ["nvidia-smi", which, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
        watts = sum(float(line) for line in answer.stdout.split() if line.replace(".", "", 1).isdigit())
        now = time.monotonic()
        self.joules, self.then = self.joules + watts * (now - self.then), now
        return self.joules


class CodeCarbon:
    """What the package codecarbon makes of processor, load and memory; it asks no network."""

    name = "codecarbon"

    def __init__(self) -> None:
        offline = import_module("codecarbon").OfflineEmissionsTracker
        # the country only matters for grams of CO2, which nobody asks for here
        self.tracker = offline(
            country_iso_code="USA", save_to_file=False, log_level="critical", allow_multiple_runs=True
        )
        self.tracker.start()

    def read(self) -> float:
        """Joules since this was made."""
        self.tracker.flush()
        return float(self.tracker._total_energy.kWh) * 3.6e6


class Estimate:
    """Seconds times assumed watts."""

    name = "estimate"

    def __init__(self, threads: int) -> None:
        self.watts = WATTS_PER_THREAD * threads

    def read(self) -> float:
        """Joules since some moment."""
        return time.monotonic() * self.watts
