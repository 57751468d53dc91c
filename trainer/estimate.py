"""What a run would take, before it is started: `trainer pretrain --config FILE --dry-run [--json]`.

    the stage builds its model and batches ─► loop.train meets `dry_run` ─► a few measured seconds ─► Estimated

Takes   the same recipe as the run; pretraining can be estimated before there is any text.
Gives   parameters, tokens, floating-point operations (flops.FORMULA), and from a few measured seconds on this machine
        the minutes, the kWh and, where the recipe has prices, the cost. Nothing is written.
Limits  a few seconds are measured, so heat, other programs and longer rows later in the run are not seen; compiling
        is not measured either. How near it came: docs/experiments.md.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trainer import distributed, optim, recipe
from trainer.energy import Meter
from trainer.errors import DataError, RecipeError
from trainer.flops import FORMULA, peak, per_token
from trainer.loop import LoopConfig
from trainer.machine import size
from trainer.model import ModelConfig, Transformer
from trainer.step import Batch, Batches, Losses, Step, parts_of, rows_of, share
from trainer.tokenizer import RESERVED

SECONDS = 8.0  # measured at least; but no more than a step once these are over
PIECE = 2048  # tokens computed at once while measuring on a CPU
DOCUMENT = 600  # tokens, about what documents of the collected text have
STAGES = ("pretrain", "finetune", "reader")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take. Fields are the keys of `--json`."""

    stage: str = ""
    parameters: int
    steps: int
    steps_done: int  # by a checkpoint that the run would go on from
    tokens_per_step: int
    tokens: int  # still to be learnt from
    flops: float  # for them
    flops_per_token: float
    formula: str = FORMULA
    device: str
    devices: int
    precision: str
    rows_at_a_time: int
    threads: int
    tokens_per_second: int
    mfu: float
    peak: str  # "known" or "measured"
    measured_seconds: float
    minutes: float
    kwh: float
    energy_method: str
    cost: float
    currency: str
    checkpoint_bytes: int  # of each one on the disk
    made_up_text: bool = False  # there was none yet, so rows of chance were measured


class Estimated(Exception):  # noqa: N818 (no error: the loop hands its estimate over to whoever asked)
    """Carries the estimate out of the stage, which must not go on as if it had trained."""

    def __init__(self, estimate: Estimate) -> None:
        super().__init__("estimated")
        self.estimate = estimate


def measure(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    config: LoopConfig,
    *,
    state: Mapping[str, Any],
    device: torch.device,
) -> Estimate:
    """Run a few real pieces and one optimiser step; nothing of it is kept."""
    first = batches.step(state["step"])
    step = Step(lambda arrays, kind: losses(model, arrays, kind), {}, device, state["precision"])
    meter = Meter(threads=torch.get_num_threads(), cuda=device.type == "cuda")
    rate, spent = timed(step, first, state["rows_at_a_time"])
    joules, moving = meter.sample(), moved(model, config)
    world, todo = distributed.world(), max(config.steps - state["step"], 0)
    per_step = sum(batch.tokens for batch in first)
    seconds = todo * (per_step / (rate * world) + moving)
    kwh = joules / max(spent, 1e-9) * seconds * world / 3.6e6
    work, best = per_token(model, first), peak(device, state["precision"])
    averaged = 1 if config.ema else 0
    return Estimate(
        parameters=sum(weight.numel() for weight in model.parameters()),
        steps=config.steps,
        steps_done=state["step"],
        tokens_per_step=per_step,
        tokens=todo * per_step,
        flops=todo * per_step * work,
        flops_per_token=work,
        device=str(device),
        devices=world,
        precision=state["precision"],
        rows_at_a_time=state["rows_at_a_time"],
        threads=torch.get_num_threads(),
        tokens_per_second=round(per_step * todo / seconds) if todo else round(rate),
        mfu=round(rate * work / best.rate, 4),
        peak=best.how,
        measured_seconds=round(spent, 1),
        minutes=round(seconds / 60, 2),
        kwh=round(kwh, 6),
        energy_method=meter.method,
        cost=round(config.price_per_kwh * kwh + config.price_per_hour * seconds / 3600 * world, 2),
        currency=config.currency,
        checkpoint_bytes=(3 + averaged) * sum(weight.nbytes for weight in model.parameters()),
    )


def timed(step: Step, first: Sequence[Batch], rows_at_a_time: int) -> tuple[float, float]:
    """Tokens a second of one device, learning without moving; and how long this looked."""
    if step.device.type == "cpu":  # where speed hardly depends on it, pieces are small: a look should be short
        rows_at_a_time = max(1, min(rows_at_a_time, PIECE * rows_of(first[0]) // max(first[0].tokens, 1)))
    parts = parts_of(first, rows_at_a_time)
    pieces = share(first, parts)
    began, tokens, counted = time.monotonic(), 0.0, 0.0
    for number, piece in enumerate(itertools.cycle(pieces)):
        start = time.monotonic()
        step.backward([piece])
        if number:  # the first one pays for what is set up once
            counted += time.monotonic() - start
            tokens += first[piece.number // parts].tokens / parts
            if time.monotonic() - began > SECONDS and number >= len({p.batch.kind for p in pieces}):
                return tokens / counted, time.monotonic() - began
    raise AssertionError("cycle never ends")


def moved(model: nn.Module, config: LoopConfig) -> float:
    """Seconds of one move of the weights."""
    optimisers, seconds = optim.build(model, config), 0.0
    for _ in range(2):  # the first one makes the moments
        start = time.monotonic()
        for optimiser in optimisers:
            optimiser.step()
        seconds = time.monotonic() - start
    return seconds


def estimate(stage: Callable[[recipe.Recipe], Path], plan: recipe.Recipe) -> Estimate:
    """What a stage of a recipe would take."""
    name = stage.__name__
    if name not in STAGES:
        raise RecipeError(f"{name} has no --dry-run; {', '.join(STAGES)} have")
    section = dict(plan.sections.get(name, {}))
    if name == "pretrain" and not (plan.out / "shards" / "shards.json").is_file():
        return before_text(plan)
    if name != "pretrain" and not ("rows" in section or (plan.out / "rows" / "train.jsonl").is_file()):
        raise DataError(f"{plan.out / 'rows'} holds no rows to measure with; run `trainer rows` first")
    if section.get("steps") == 0:
        raise RecipeError(f"[{name}] steps is 0: there is nothing to learn, and so nothing to estimate")
    try:
        stage(dataclasses.replace(plan, sections={**plan.sections, name: {**section, "dry_run": True}}))
    except Estimated as done:
        return dataclasses.replace(done.estimate, stage=name)
    raise AssertionError(f"{name} did not reach the loop")


def before_text(plan: recipe.Recipe) -> Estimate:
    """Pretraining with the largest vocabulary the tokenizer may get, on rows of chance."""
    from trainer import data, loop, pretrain  # the stage imports the loop, and the loop this module

    config = dataclasses.replace(plan.section("pretrain", pretrain.PretrainConfig), dry_run=True)
    vocabulary = plan.section("tokenizer", data.TokenizerConfig).vocabulary
    values = {**plan.sections.get("model", {}), "vocabulary": vocabulary}
    model = Transformer(recipe.build(ModelConfig, values, where="[model]"))
    text: Any = Chance(length=config.length, vocabulary=vocabulary)
    batches = pretrain.TextBatches(text, text, config)
    try:
        loop.train(model, batches, pretrain.text_losses, config, folder=plan.out / "pretrain", identity={})
    except Estimated as done:
        return dataclasses.replace(done.estimate, stage="pretrain", made_up_text=True)
    raise AssertionError("the loop did not estimate")


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Rows of chance, with a tokenizer's names for what ends a document and hides a word."""

    length: int
    vocabulary: int

    @property
    def size(self) -> int:
        """Of the vocabulary."""
        return self.vocabulary

    @property
    def end(self) -> int:
        """Closes a document."""
        return RESERVED["end"]

    @property
    def mask(self) -> int:
        """Hides a word."""
        return RESERVED["mask"]

    def row(self, number: int) -> npt.NDArray[np.uint16]:
        """Row `number`: [length + 1] ids."""
        chance = np.random.default_rng(number)
        ids = chance.integers(len(RESERVED), self.vocabulary, self.length + 1)
        ids[chance.random(self.length + 1) < 1 / DOCUMENT] = self.end
        return ids.astype(np.uint16)


def report(stage: Callable[[recipe.Recipe], Path], plan: recipe.Recipe, *, as_json: bool) -> str:
    """An estimate for people, or as one JSON object."""
    found = estimate(stage, plan)
    if as_json:
        return json.dumps(dataclasses.asdict(found), indent=2)
    text = "rows of chance, for there is no text yet" if found.made_up_text else "this run's own rows"
    lines = {
        "model": f"{found.parameters / 1e6:.2f} million parameters; {size(found.checkpoint_bytes)} a checkpoint",
        "text": f"{found.tokens:,} tokens in {found.steps - found.steps_done:,} steps of {found.tokens_per_step:,}"
        + (f"; {found.steps_done:,} steps are done" if found.steps_done else ""),
        "work": f"{found.flops:.3g} operations, {found.flops_per_token:.3g} a token: {found.formula}",
        "machine": f"{found.devices} x {found.device}, {found.precision}, {found.threads} thread(s), "
        f"{found.rows_at_a_time} rows at a time",
        "speed": f"{found.tokens_per_second:,} tokens/s, measured for {found.measured_seconds:.0f} s on {text}; "
        f"{found.mfu:.1%} of a {found.peak} peak",
        "time": f"{found.minutes:,.1f} minutes ({found.minutes / 60:,.1f} hours)",
        "energy": f"{found.kwh:.4g} kWh ({found.energy_method})",
        "cost": f"{found.cost:.2f} {found.currency}" if found.cost else "no prices in the recipe",
    }
    return "\n".join([f"{found.stage}: dry run, nothing was written", *(f"  {k:8} {v}" for k, v in lines.items())])
