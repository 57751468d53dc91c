"""What a token costs to learn from, and what a device could do: together, how well it is used (MFU).

Takes   a model and the micro-batches of a step; a device and a precision.
Gives   floating-point operations a token, and the device's peak with the word "known" (data sheet) or "measured".
Formula 6 for each weight of a matrix product (2 forward, 4 backward; 4 in all where the weight is frozen), after Kaplan
        et al., arXiv:2001.08361, section 2.1; 12 x layers x heads x head width x length for attention, without credit
        for the causal half, after Chowdhery et al., arXiv:2204.02311, appendix B. The output layer counts for the
        tokens it is computed on; looking up an embedding costs nothing.
Left out: norms, softmax, the optimiser, recomputation: MFU speaks of the model's own work. Attention is counted for
        trunks, whose sizes are known here; other models count their matrices alone, which is a little less than all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from trainer.model import Transformer

FORMULA = "6 x weights in products + 12 x layers x heads x head width x length, a token (arXiv:2001.08361, 2204.02311)"
PROBE = 0.15  # seconds that measuring a peak may take
KNOWN = {  # dense bf16 products with fp32 sums, in operations a second: the makers' data sheets
    "B200": 2250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


class Peak(NamedTuple):
    """Operations a second that one device could do at best."""

    rate: float
    how: str  # "known" or "measured"


class Counted(Protocol):
    """What is read off a micro-batch."""

    @property
    def arrays(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def tokens(self) -> int: ...  # noqa: D102


def per_token(model: nn.Module, micro: Iterable[Counted]) -> float:
    """Operations to learn from one token, as a mean over micro-batches with `ids` and, for trunks, `targets`."""
    matrices = sum(
        (6 if part.weight.requires_grad else 4) * part.weight.numel()
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and "heads." not in name
    )
    total = tokens = 0.0
    for batch in micro:
        tokens += batch.tokens
        total += batch.tokens * matrices
        if isinstance(model, Transformer) and "ids" in batch.arrays:
            sizes, length = model.config, batch.arrays["ids"].shape[-1]
            total += batch.tokens * 12.0 * sizes.layers * sizes.heads * sizes.head_width * length
            targets = batch.arrays.get("targets")
            predicted = batch.tokens if targets is None else int((targets != -100).sum())
            total += 6.0 * predicted * sizes.vocabulary * sizes.width
    return total / max(tokens, 1.0)


def peak(device: torch.device, precision: str) -> Peak:
    """What the device could do: from its data sheet where it is in the list, else measured."""
    if device.type == "cuda" and precision == "bf16":
        name = torch.cuda.get_device_name(device)
        for known, rate in KNOWN.items():
            if known in name:
                return Peak(rate, "known")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    return Peak(measured(str(device), kind, torch.get_num_threads()), "measured")


@lru_cache
def measured(device: str, kind: torch.dtype, threads: int) -> float:  # noqa: ARG001 (threads are part of the question)
    """Operations a second in the best of a few square products."""
    side = 1024 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    best, began, tries = math.inf, time.perf_counter(), 0
    while tries < 2 or (tries < 20 and time.perf_counter() - began < PROBE):
        tries += 1
        start = time.perf_counter()
        _ = a @ b
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * side**3 / best
