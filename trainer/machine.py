"""What this machine offers: a device, a precision, memory; and how many rows fit at a time.

Takes   what the recipe asks for ("auto" leaves the choice here).
Gives   the choice and the reason for it, in words for the line that a run begins with.
Memory  is measured: one row runs forward, and what autograd keeps for the way back is counted. Half of what is free
        may be filled with rows; the other half is for what no count sees (temporary results, the rest of the machine).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.errors import RecipeError

SPARE = 1.5  # a row's backward pass holds temporary results beside what the forward pass kept
CGROUP = Path("/sys/fs/cgroup")


class Choice(NamedTuple):
    """What was chosen, and why."""

    value: str
    why: str


def pick_device(wanted: str) -> str:
    """`auto` is cuda where there is one."""
    return choose_device(wanted, needed=0).value


def choose_device(wanted: str, *, needed: int) -> Choice:
    """The device for weights and optimiser that take `needed` bytes: cuda where there is one that holds them."""
    if wanted != "auto":
        return Choice(wanted, "as the recipe says")
    if not torch.cuda.is_available():
        return Choice("cpu", "no CUDA here")
    free, _ = torch.cuda.mem_get_info()
    if free < needed:
        return Choice("cpu", f"the GPU has {size(free)} free, weights and optimiser take {size(needed)}")
    return Choice("cuda", torch.cuda.get_device_name())


def pick_precision(wanted: str, device: torch.device) -> str:
    """bf16 where it is faster here: some processors compute it natively, on others it costs twice the time."""
    return choose_precision(wanted, device).value


def choose_precision(wanted: str, device: torch.device) -> Choice:
    """The type that products are computed in."""
    if wanted in ("bf16", "fp32"):
        return Choice(wanted, "as the recipe says")
    if wanted != "auto":
        raise RecipeError(f"precision is {wanted!r}; use 'auto', 'bf16' or 'fp32'")
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Choice("bf16", "native here") if native else Choice("fp32", "this GPU has no bf16")
    gain = seconds_of_matmul(torch.float32) / seconds_of_matmul(torch.bfloat16)
    return Choice("bf16" if gain > 1.25 else "fp32", f"bf16 ran {gain:.1f} times as fast as fp32 in a short probe")


def seconds_of_matmul(kind: torch.dtype) -> float:
    """Best of a few products of the size that training spends its time on."""
    a, b = torch.ones(1024, 512, dtype=kind), torch.ones(512, 1152, dtype=kind)
    best = math.inf
    for _ in range(6):
        start = time.perf_counter()
        _ = a @ b
        best = min(best, time.perf_counter() - start)
    return best


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken: of the GPU, or of this machine within the limits of its container."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    pages = os.sysconf("SC_AVPHYS_PAGES") if hasattr(os, "sysconf") else 2**19
    free = pages * 4096
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        limit = (CGROUP / "memory.max").read_text(encoding="utf-8").strip()
        if limit != "max":
            free = min(free, int(limit) - int((CGROUP / "memory.current").read_text(encoding="utf-8")))
    except (OSError, StopIteration):
        pass  # no Linux, or no container with a limit: what is known so far holds
    return max(free, 0)


def kept_bytes(forward: Callable[[], Tensor], weights: Iterable[Tensor]) -> int:
    """Bytes that a forward pass keeps for its backward pass; the weights themselves are there anyway."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = forward()
    for weight in weights:
        kept.pop(weight.untyped_storage().data_ptr(), None)
    del result  # it held the storages, so that none was counted twice
    return sum(kept.values())


def rows_that_fit(row: int, *, rows: int, fixed: int, device: torch.device) -> Choice:
    """How many of `rows` to compute at a time when one keeps `row` bytes and gradients and optimiser take `fixed`."""
    free = free_memory(device)
    fit = int((free - fixed) / 2 / SPARE / max(row, 1))
    why = f"a row keeps {size(row)}, {size(free)} free"
    if fit < 1:
        return Choice("1", why + "; that is tight: use a shorter row or a smaller model if memory runs out")
    return Choice(str(min(fit, rows)), why)


def size(count: float) -> str:
    """Bytes for people.

    >>> size(1_234_567), size(2_500_000_000)
    ('1.2 MB', '2.5 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
