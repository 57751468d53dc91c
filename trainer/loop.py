"""The one training loop: accumulate, clip, step, log, save, and go on after a stop. It knows no stage.

    batches(step) ─► counts over the whole step ─► for each micro-batch: loss sums / counts ─► backward ─► clip ─► step

Takes   a model, `batches.step(n)` (micro-batches of step n: a pure function of n) and `losses` (sums by term).
Gives   a folder of checkpoints; run again after a stop, it goes on from the newest and, on a CPU, ends with equal bits.
Counts  a term's sum is divided by its count over all micro-batches of the step: a token weighs the same anywhere.
Chance  is seeded by (seed, step), so a step draws the same numbers whether or not the run was stopped before it.
Writes  metrics.jsonl (one line every `log_every` steps) beside the checkpoints, and a line of progress to stderr.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainer import checkpoint, optim
from trainer.energy import Meter
from trainer.errors import DivergedError, RecipeError


@dataclass(frozen=True, kw_only=True)
class LoopConfig(optim.OptimConfig):
    """What every stage of training can choose."""

    clip: float = 1.0  # largest norm of the gradient
    seed: int = 1
    device: str = "auto"  # cuda where there is one, else cpu
    precision: str = "auto"  # bf16 where a short probe finds it faster, else fp32
    compile: bool = False  # torch.compile: pays on a GPU, for runs of many minutes
    checkpoint_every: int = 500  # steps
    keep: int = 2  # checkpoints
    log_every: int = 20  # steps
    minutes: float = 0.0  # stop after this long with a checkpoint, to go on another time; 0: run to the end


class Batch(NamedTuple):
    """One micro-batch: arrays for the model, and how much each loss term of it counts."""

    arrays: dict[str, npt.NDArray[Any]]
    counts: dict[str, float]  # term -> how many tokens, rows or sources its sum runs over
    tokens: int  # for the speed that is shown
    kind: str = ""  # what the stage's loss tells apart


class Batches(Protocol):
    """Where batches come from: the same step gives the same batches, always."""

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step."""
        ...


Losses = Callable[[Any, Mapping[str, Tensor], str], dict[str, Tensor]]  # (model, arrays, kind) -> sums by term, nats


def train(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    config: LoopConfig,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Run to `config.steps`; returns the folder of the last checkpoint.

    identity: what a checkpoint must share with this run to be continued (sizes, tokenizer, batches).
    weights: how much each term counts in the total; 1 where not named.
    """
    device = torch.device(pick_device(config.device))
    model.to(device).train()
    optimisers = optim.build(model, config)
    newest = checkpoint.latest(folder)
    state: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0, "joules": 0.0}
    if newest is not None:
        state = checkpoint.restore(newest, model, optimisers, identity)
    state |= {"identity": dict(identity), "steps": config.steps, "seed": config.seed, "device": str(device)}
    if "precision" not in state:  # a run keeps the precision it began with
        state["precision"] = pick_precision(config.precision, device)
    meter = Meter(threads=torch.get_num_threads(), cuda=device.type == "cuda")
    state["energy_method"] = meter.method
    compiled = torch.compile(model) if config.compile else model
    run = Run(compiled, losses, dict(weights or {}), device, str(state["precision"]))
    log = Log(folder, config, state, meter)
    with ThreadPoolExecutor(1) as ahead:  # the next step's batches are made while this one computes
        coming = ahead.submit(batches.step, state["step"])
        while state["step"] < config.steps:
            micro = coming.result()
            coming = ahead.submit(batches.step, state["step"] + 1)
            torch.manual_seed(config.seed * 1_000_003 + state["step"])
            optim.set_rate(optimisers, optim.factor(state["step"], config))
            means = run.backward(micro)
            norm = float(nn.utils.clip_grad_norm_(model.parameters(), config.clip))
            if not (math.isfinite(norm) and all(map(math.isfinite, means.values()))):
                raise DivergedError(
                    f"step {state['step']}: loss {means}, gradient norm {norm}; the last good checkpoint is "
                    f"{checkpoint.latest(folder) or 'none'}; go on with a lower peak_learning_rate"
                )
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            state["step"] += 1
            state["tokens"] += sum(batch.tokens for batch in micro)
            paused = log.step(means, norm)
            if paused or state["step"] % config.checkpoint_every == 0 or state["step"] == config.steps:
                log.account()
                newest = checkpoint.save(folder, model, optimisers, state, keep=config.keep)
            if paused:
                break
        coming.cancel()
    if newest is None:
        raise RecipeError(f"steps is {config.steps}; use at least 1")
    model.eval()
    return newest


@dataclass(frozen=True)
class Run:
    """One step's forward and backward passes."""

    model: Any  # the module, compiled or not
    losses: Losses
    weights: dict[str, float]
    device: torch.device
    precision: str

    def backward(self, micro: Sequence[Batch]) -> dict[str, float]:
        """Add up gradients over micro-batches; gives the mean of each term in nats."""
        counts: dict[str, float] = {}
        for batch in micro:
            for term, count in batch.counts.items():
                counts[term] = counts.get(term, 0.0) + count
        sums: dict[str, Tensor] = {}
        for batch in micro:
            arrays = {name: self.tensor(array) for name, array in batch.arrays.items()}
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
                terms = self.losses(self.model, arrays, batch.kind)
            total = torch.zeros((), device=self.device)
            for term, value in terms.items():
                total = total + self.weights.get(term, 1.0) * value / max(counts.get(term, 0.0), 1.0)
                sums[term] = sums.get(term, torch.zeros((), device=self.device)) + value.detach()
            total.backward()  # type: ignore[no-untyped-call]
        return {term: float(value) / max(counts.get(term, 0.0), 1.0) for term, value in sums.items()}

    def tensor(self, array: npt.NDArray[Any]) -> Tensor:
        """An array on the device; ids become int64 there."""
        tensor = torch.from_numpy(array.astype(np.int64) if array.dtype == np.uint16 else array)
        return tensor.to(self.device, non_blocking=True)


class Log:
    """Progress for people, metrics for plots, and the account of time and energy."""

    def __init__(self, folder: Path, config: LoopConfig, state: dict[str, Any], meter: Meter) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.config, self.state, self.meter = folder / "metrics.jsonl", config, state, meter
        self.began = self.then = time.monotonic()
        self.then_tokens = self.first_tokens = state["tokens"]
        self.first_step, self.counted = state["step"], 0.0

    def step(self, means: Mapping[str, float], norm: float) -> bool:
        """Note one step; true when the run's minutes are over."""
        state, now = self.state, time.monotonic()
        last = state["step"] == self.config.steps
        if state["step"] % self.config.log_every == 0 or last:
            self.account()
            speed = (state["tokens"] - self.then_tokens) / max(now - self.then, 1e-9)
            left = (self.config.steps - state["step"]) * (now - self.began) / (state["step"] - self.first_step)
            self.then, self.then_tokens = now, state["tokens"]
            row = {
                "step": state["step"],
                **{term: round(value, 5) for term, value in means.items()},
                "norm": round(norm, 4),
                "rate": optim.factor(state["step"] - 1, self.config) * self.config.peak_learning_rate,
                "tokens": state["tokens"],
                "tokens_per_second": round(speed),
                "seconds_left": round(left),
                "kwh": round(state["joules"] / 3.6e6, 6),
            }
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
            shown = "  ".join(f"{term} {value:.4f}" for term, value in means.items())
            sys.stderr.write(
                f"step {state['step']}/{self.config.steps}  {shown}  {speed:,.0f} tokens/s  {left / 60:.1f} min left\n"
            )
        return not last and 0 < self.config.minutes * 60 < now - self.began

    def account(self) -> None:
        """Bring seconds and joules in the state up to now."""
        elapsed, before = time.monotonic() - self.began, self.meter.joules
        self.state["joules"] += self.meter.sample() - before
        self.state["seconds"] += elapsed - self.counted
        self.counted = elapsed


def pick_device(wanted: str) -> str:
    """`auto` is cuda where there is one."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def pick_precision(wanted: str, device: torch.device) -> str:
    """bf16 where it is faster here: some processors compute it natively, on others it costs twice the time."""
    if wanted in ("bf16", "fp32"):
        return wanted
    if wanted != "auto":
        raise RecipeError(f"precision is {wanted!r}; use 'auto', 'bf16' or 'fp32'")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if seconds_of_matmul(torch.bfloat16) < 0.8 * seconds_of_matmul(torch.float32) else "fp32"


def seconds_of_matmul(kind: torch.dtype) -> float:
    """Best of a few products of the size that training spends its time on."""
    a, b = torch.ones(1024, 512, dtype=kind), torch.ones(512, 1152, dtype=kind)
    best = math.inf
    for _ in range(6):
        start = time.perf_counter()
        _ = a @ b
        best = min(best, time.perf_counter() - start)
    return best
