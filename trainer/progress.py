"""What a run says while it goes: a line for people, metrics for plots, the account of time, energy and money; and
whether its loss has left its course.

Takes   each step's mean losses, gradient norm and tokens.
Gives   metrics.jsonl (one line every `log_every` steps: step, losses, norm, rate, tokens, tokens_per_second, mfu,
        seconds_left, kwh, and held_out where it was measured) and a line on stderr, from the first device alone.
Resume  lines after the step that a run goes on from are dropped, so that plots do not fold back.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from trainer import distributed, files, flops
from trainer.energy import Meter

SMOOTH = 0.98  # the training loss that names the best checkpoint is an average over about 50 steps
RECENT = 100  # steps whose median says what is usual
SETTLED = 20  # steps before anything is called unusual


class Settings(Protocol):
    """What of the loop's configuration is used here."""

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def log_every(self) -> int: ...  # noqa: D102

    @property
    def price_per_kwh(self) -> float: ...  # noqa: D102

    @property
    def price_per_hour(self) -> float: ...  # noqa: D102


class Seen(NamedTuple):
    """One step, as it is noted down."""

    means: Mapping[str, float]  # nats by term
    norm: float  # of the gradient, before clipping
    rate: float  # learning rate
    held_out: float | None = None  # loss on text that is not learnt from, where it was measured


class Log:
    """Progress for people, metrics for plots, and the account of time, energy and money."""

    def __init__(
        self, folder: Path, config: Settings, state: dict[str, Any], device: torch.device, *, work: float = 0.0
    ) -> None:
        """`work`: floating-point operations to learn from one token; 0 where nobody counted."""
        self.path, self.config, self.state, self.device = folder / "metrics.jsonl", config, state, device
        self.meter = Meter(threads=torch.get_num_threads(), cuda=device.type == "cuda")
        methods = [*filter(None, state.get("energy_method", "").split(", ")), self.meter.method]
        state["energy_method"] = ", ".join(dict.fromkeys(methods))  # a run may go on where less can be measured
        self.began = self.then = time.monotonic()
        self.then_tokens, self.first_step, self.counted = state["tokens"], state["step"], 0.0
        self.work = work
        self.peak: flops.Peak | None = None
        if distributed.rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            forget(self.path, after=state["step"])

    def step(self, seen: Seen) -> None:
        """Note one step, if it is due."""
        state, now = self.state, time.monotonic()
        if not (state["step"] % self.config.log_every == 0 or state["step"] == self.config.steps or seen.held_out):
            return
        self.account()
        speed = (state["tokens"] - self.then_tokens) / max(now - self.then, 1e-9)
        left = (self.config.steps - state["step"]) * (now - self.began) / (state["step"] - self.first_step)
        self.then, self.then_tokens = now, state["tokens"]
        used = self.mfu(speed)
        row = {
            "step": state["step"],
            **{term: round(value, 5) for term, value in seen.means.items()},
            "norm": round(seen.norm, 4),
            "rate": seen.rate,
            "tokens": state["tokens"],
            "tokens_per_second": round(speed),
            "mfu": round(used, 4),
            "seconds_left": round(left),
            "kwh": round(state["joules"] / 3.6e6, 6),
            **({} if seen.held_out is None else {"held_out": round(seen.held_out, 5)}),
        }
        if distributed.rank() > 0:
            return
        shown = "  ".join(f"{term} {value:.4f}" for term, value in seen.means.items())
        shown += "" if seen.held_out is None else f"  held-out {seen.held_out:.4f}"
        peak = f"  MFU {used:.1%} of a {self.peak.how} {self.peak.rate / 1e12:.3g} TFLOP/s" if self.peak else ""
        where = f"step {state['step']}/{self.config.steps}"
        sys.stderr.write(f"{where}  {shown}  {speed:,.0f} tokens/s{peak}  {left / 60:.1f} min left\n")
        try:
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
        except OSError as error:  # plots can do without a line, the run can do without plots
            sys.stderr.write(f"{self.path}: not written ({error})\n")

    def mfu(self, speed: float) -> float:
        """Share of the devices' peak that the model's own work takes."""
        if not self.work:
            return 0.0
        if self.peak is None:
            self.peak = flops.peak(self.device, self.state["precision"])
        return speed * self.work / (self.peak.rate * distributed.world())

    def account(self) -> None:
        """Bring seconds, joules and cost in the state up to now; joules of all devices."""
        state, config = self.state, self.config
        elapsed, before = time.monotonic() - self.began, self.meter.joules
        seconds, self.counted = elapsed - self.counted, elapsed
        joules = distributed.total({"joules": self.meter.sample() - before}, self.device)["joules"]
        state["seconds"] += seconds
        state["joules"] += joules
        hours = seconds / 3600 * distributed.world()
        cost = config.price_per_kwh * joules / 3.6e6 + config.price_per_hour * hours
        state["cost"] = state.get("cost", 0.0) + cost


def forget(path: Path, *, after: int) -> None:
    """Drop lines of metrics after a step, and what a killed run left of its last line."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in lines if 0 < step_of(line) <= after]
    if len(kept) < len(lines):
        files.write_text(path, "".join(line + "\n" for line in kept))


def step_of(line: str) -> int:
    """The step of a line of metrics; 0 where it is not whole.

    >>> step_of('{"step": 20, "causal": 3.1}'), step_of('{"step": 40, "cau')
    (20, 0)
    """
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0


class Watch:
    """Notices when a loss has left its course: far above its running median, several steps in a row."""

    def __init__(self, patience: int) -> None:
        self.patience, self.high = patience, 0  # steps in a row
        self.recent: deque[float] = deque(maxlen=RECENT)

    def see(self, loss: float, norm: float) -> str:
        """Look at one step; gives what is wrong with it, or nothing."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return "the loss or its gradient is no number"
        if len(self.recent) >= SETTLED and loss > self.limit():
            self.high += 1
        else:
            self.high = 0
            self.recent.append(loss)
        if 0 < self.patience <= self.high:
            usual = statistics.median(self.recent)
            return f"the loss was above {self.limit():.3g} for {self.high} steps in a row, usual is {usual:.3g}"
        return ""

    def limit(self) -> float:
        """The median and six deviations, at least one nat."""
        usual = statistics.median(self.recent)
        spread = 1.4826 * statistics.median(abs(value - usual) for value in self.recent)
        return usual + max(1.0, 6 * spread)


def smooth(state: dict[str, Any], loss: float) -> float:
    """The training loss, averaged over the last steps, as the state keeps it."""
    held = state.get("smoothed", {"sum": 0.0, "weight": 0.0})
    held = {"sum": SMOOTH * held["sum"] + loss, "weight": SMOOTH * held["weight"] + 1.0}
    state["smoothed"] = held
    return float(held["sum"] / held["weight"])
