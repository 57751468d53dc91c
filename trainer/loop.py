"""The one training loop: accumulate, clip, step, log, save, and go on after a stop. It knows no stage.

    batches(step) ─► pieces of this device ─► backward over all of them ─► clip ─► step ─► log ─► save

Takes   a model, `batches.step(n)` (micro-batches of step n: a pure function of n) and `losses` (sums by term).
Gives   a folder of checkpoints; run again after a stop, it goes on from the newest and, on a CPU, ends with equal bits.
Counts  a term's sum is divided by its count over all micro-batches of the step and all devices: a token weighs the same
        anywhere (step.py).
Chance  is seeded by (seed, step, piece), so a step draws the same numbers whether or not the run was stopped before it,
        and on however many devices.
Refuses to go on with a loss that is no number or that left its course, naming the last good checkpoint.
Writes  metrics.jsonl beside the checkpoints, and a line of progress to stderr (progress.py).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainer import checkpoint, distributed, flops, machine, optim
from trainer.average import Average
from trainer.errors import ANY, DivergedError, RecipeError, within
from trainer.machine import pick_device as pick_device
from trainer.progress import Log, Seen, Watch, smooth
from trainer.step import Batch as Batch
from trainer.step import Batches as Batches
from trainer.step import Learnt, Piece, Step, bytes_of_a_row, parts_of, rows_of, share
from trainer.step import Losses as Losses


@dataclass(frozen=True, kw_only=True)
class LoopConfig(optim.OptimConfig):
    """What every stage of training can choose."""

    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.0  # decay of the averaged weights, such as 0.999; 0: none
    seed: int = 1
    device: str = "auto"  # cuda where there is one that holds the model, else cpu
    precision: str = "auto"  # bf16 where a short probe finds it faster, else fp32
    parallel: str = "ddp"  # under torchrun: "ddp" keeps the weights whole on each device, "fsdp" shares them out
    rows_at_a_time: int = 0  # of a micro-batch, where its rows stand alone; 0: as many as memory holds
    compile: bool = False  # torch.compile: pays on a GPU, for runs of many minutes
    checkpoint_every: int = 500  # steps
    keep: int = 2  # checkpoints, beside the best
    evaluate_every: int = 0  # steps between looks at held-out text, where the stage has some; 0: never
    patience: int = 20  # steps in a row with a loss far above the usual before the run stops; 0: never stop for that
    log_every: int = 20  # steps
    minutes: float = 0.0  # stop after this long with a checkpoint, to go on another time; 0: run to the end
    price_per_kwh: float = 0.0  # in the currency of the card
    price_per_hour: float = 0.0  # of a device, likewise
    currency: str = "EUR"
    dry_run: bool = False  # measure a little, say what the run would take, and write nothing (estimate.py)

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, checkpoint_every=(1, ANY), keep=(1, ANY), log_every=(1, ANY), clip=(1e-6, ANY), ema=(0, 0.999999))
        within(self, rows_at_a_time=(0, ANY), evaluate_every=(0, ANY), patience=(0, ANY), minutes=(0, ANY))


def train(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    config: LoopConfig,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    weights: Mapping[str, float] | None = None,
    held: Batches | None = None,
    each: Callable[[int, float], bool] | None = None,
) -> Path:
    """Run to `config.steps`; returns the folder of the last checkpoint, and leaves the model with its weights.

    identity: what a checkpoint must share with this run to be continued (sizes, tokenizer, batches).
    weights: how much each term counts in the total; 1 where not named.
    held: micro-batches that are not learnt from (its step 0); their loss, looked at every `evaluate_every` steps,
        names the best checkpoint. Without them the smoothed training loss does.
    each: told the number and the loss of every step that is read; where it says True the run saves and pauses.
    """
    if config.steps < 1:
        raise RecipeError(f"steps is {config.steps}; use at least 1")
    needed = 16 * sum(weight.numel() for weight in model.parameters())  # weight, gradient and two moments in fp32
    chosen = machine.choose_device(config.device, needed=needed)
    with distributed.group(chosen.value) as device:
        state, newest = begin(folder, identity)
        model.to(device).train()
        first = batches.step(state["step"])
        why = settle(state, model, losses, config, first=first, device=device)
        if config.dry_run:
            from trainer import estimate  # it asks this module in turn

            raise estimate.Estimated(estimate.measure(model, batches, losses, config, state=state, device=device))
        if distributed.rank() == 0:
            sys.stderr.write(f"{device}: {chosen.why}; {why}\n{going_on(state['step'], config.steps, newest)}")
        work = flops.per_token(model, first)
        learner = distributed.shard(model, device, config.parallel)
        computer = distributed.together(learner, torch.compile(learner) if config.compile else learner, losses, device)
        optimisers = optim.build(learner, config)  # weights that are shared out are other tensors than before
        average = Average(learner, config.ema)
        if newest is not None:
            checkpoint.restore(newest, learner, optimisers, average.weights)
        checkpoint.clear(folder)
        step = Step(computer, dict(weights or {}), device, state["precision"])
        run = Run(
            model=learner,
            optimisers=optimisers,
            average=average,
            step=step,
            parts=parts_of(first, state["rows_at_a_time"]),
            config=config,
            state=state,
            folder=folder,
            newest=newest,
            log=Log(folder, config, state, device, work=work),
            watch=Watch(config.patience),
            each=each,
        )
        saved = run.go(batches, held)
        average.put(average.weights)
        if learner is not model:
            checkpoint.load_weights(saved, model.to(device))
        model.eval()
    return saved


def begin(folder: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """The state of the newest checkpoint, if it belongs to this run; else that of a new run."""
    state: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0, "joules": 0.0}
    newest = checkpoint.latest(folder)
    if newest is not None:
        state = checkpoint.read_state(newest)
        checkpoint.check_identity(newest, state.get("identity", {}), identity)
    return state | {"identity": dict(identity)}, newest


def going_on(done: int, steps: int, newest: Path | None) -> str:
    """A line about what an earlier run left; empty where nothing."""
    if newest is None:
        return ""
    if done < steps:
        return f"{newest}: going on behind step {done} of {steps}\n"
    return f"{newest}: {done} steps are done and {steps} were asked for, so nothing is left to learn\n"


def settle(
    state: dict[str, Any],
    model: nn.Module,
    losses: Losses,
    config: LoopConfig,
    *,
    first: Sequence[Batch],
    device: torch.device,
) -> str:
    """Choose precision and rows at a time, as a run that goes on began with them; gives the choices with their reasons.

    Both decide how sums are rounded, so a run that changed them would end with other bits.
    """
    precision, rows = machine.Choice(state.get("precision", ""), "as the run began"), rows_of(first[0])
    if not precision.value:
        precision = machine.choose_precision(config.precision, device)
    fit = machine.Choice(str(state.get("rows_at_a_time", 0)), "as the run began")
    if config.rows_at_a_time:
        fit = machine.Choice(str(min(config.rows_at_a_time, rows)), "as the recipe says")
    elif fit.value == "0" and rows == 1:
        fit = machine.Choice("1", "its micro-batches are not cut")
    elif fit.value == "0":
        cost = partial(bytes_of_a_row, model, losses, device=device, precision=precision.value)
        row = max(cost(batch) for batch in (first[0], first[-1]))
        learnt = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
        share_of_all = distributed.world() if config.parallel == "fsdp" else 1
        fixed = learnt * (4 if config.ema else 3) // share_of_all  # gradient, two moments, average
        fit = machine.rows_that_fit(row, rows=rows, fixed=fixed, device=device)
    threads = torch.get_num_threads()
    warning = ""
    if state.get("threads", threads) != threads and device.type == "cpu":
        warning = f"; the run began with {state['threads']}: results stay equal up to rounding only"
    taken = distributed.least(int(fit.value), device)
    state |= {"precision": precision.value, "rows_at_a_time": taken, "threads": threads}
    state |= {"device": str(device), "devices": distributed.world(), "steps": config.steps, "seed": config.seed}
    state |= {"parallel": config.parallel, "currency": config.currency}
    return (
        f"{precision.value}: {precision.why}; {taken} of {rows} rows at a time: {fit.why}; "
        f"{distributed.world()} device(s), {threads} thread(s){warning}"
    )


@dataclass(kw_only=True)
class Run:
    """A run while it goes."""

    model: nn.Module
    optimisers: list[torch.optim.Optimizer]
    average: Average
    step: Step
    parts: int  # that each micro-batch is cut into
    config: LoopConfig
    state: dict[str, Any]
    folder: Path
    newest: Path | None  # checkpoint
    log: Log
    watch: Watch
    each: Callable[[int, float], bool] | None = None  # told of every step; True asks for a pause
    due: bool = False  # a checkpoint, put off while the loss looks odd
    smoothed: float = 0.0  # training loss

    def go(self, batches: Batches, held: Batches | None) -> Path:
        """Learn up to the last step, or until the minutes are over; gives the last checkpoint."""
        state, config, began = self.state, self.config, time.monotonic()
        kept = share(held.step(0), self.parts) if held and config.evaluate_every else []
        with ThreadPoolExecutor(1) as ahead:  # the next step's batches are made while this one computes
            coming = ahead.submit(self.pieces, batches, state["step"])
            while state["step"] < config.steps:
                pieces = coming.result()
                if state["step"] + 1 < config.steps:
                    coming = ahead.submit(self.pieces, batches, state["step"] + 1)
                read = self.reads(state["step"] + 1)
                learnt, norm = self.learn(pieces, read=read)
                if not read:
                    continue
                rate = optim.factor(state["step"] - 1, config) * config.peak_learning_rate
                last = state["step"] == config.steps
                looked = self.look(kept) if kept and (state["step"] % config.evaluate_every == 0 or last) else None
                self.log.step(Seen(learnt.means, norm, rate, looked))
                over = 0 < config.minutes * 60 < time.monotonic() - began
                over = (self.each is not None and self.each(state["step"], learnt.loss)) or over
                paused = (config.minutes > 0 or self.each is not None) and distributed.agree(over, self.step.device)
                if self.worth_saving(looked, asked=paused or last):
                    self.save()
                if paused:
                    coming.cancel()
                    break
        assert self.newest is not None  # steps is at least 1, and the last step is saved
        return self.newest

    def pieces(self, batches: Batches, number: int) -> list[Piece]:
        """What this device computes of a step."""
        return share(batches.step(number), self.parts)

    def reads(self, number: int) -> bool:
        """Whether to look at a step's loss: always on a CPU; on a GPU, which would stand still meanwhile, when due.

        Whatever is logged, evaluated or saved is read first, so a loss that is no number never reaches a checkpoint.
        """
        config = self.config
        due = [config.log_every, config.checkpoint_every, *filter(None, [config.evaluate_every])]
        return self.step.device.type != "cuda" or number == config.steps or any(number % n == 0 for n in due)

    def learn(self, pieces: Sequence[Piece], *, read: bool) -> tuple[Learnt, float]:
        """One step; gives what it came to and the gradient's norm. Raises DivergedError before a bad one is taken."""
        state, config = self.state, self.config
        optim.set_rate(self.optimisers, optim.factor(state["step"], config))
        learnt = self.step.backward(pieces, seed=config.seed * 1_000_003 + state["step"], read=read)
        found = distributed.whole(nn.utils.clip_grad_norm_(self.model.parameters(), config.clip))
        norm = float(found) if read else 0.0
        complaint = self.watch.see(learnt.loss, norm) if read else ""
        if complaint:
            raise DivergedError(
                f"step {state['step']}: {complaint} ({learnt.means}, gradient norm {norm:.3g}); the last good "
                f"checkpoint is {self.newest or 'none'}; go on with a lower peak_learning_rate"
            )
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        state["step"] += 1
        state["tokens"] += learnt.tokens
        self.average.update(state["step"])
        if read:
            self.smoothed = smooth(state, learnt.loss)
        return learnt, norm

    def look(self, pieces: Sequence[Piece]) -> float:
        """Loss on held-out text, of the averaged weights where there are any."""
        self.model.eval()
        with self.average.swapped():
            found = self.step.measure(pieces).loss
        self.model.train()
        return found

    def worth_saving(self, looked: float | None, *, asked: bool) -> bool:
        """Whether to save now: when it is due and the loss is not odd, when asked, and whenever a best was found."""
        self.due = self.due or self.state["step"] % self.config.checkpoint_every == 0
        found = looked is not None and self.note_best(looked, "held-out loss")
        return found or asked or (self.due and not self.watch.high)

    def note_best(self, loss: float, by: str) -> bool:
        """Note this step if it is the best so far by the same measure."""
        best = self.state.get("best", {})
        if best.get("by") == by and best["loss"] <= loss:
            return False
        self.state["best"] = {"step": self.state["step"], "loss": loss, "by": by}
        return True

    def save(self) -> None:
        """Write a checkpoint."""
        self.due = False
        if self.state.get("best", {}).get("by") != "held-out loss":
            self.note_best(self.smoothed, "smoothed training loss")
        self.log.account()
        self.newest = checkpoint.save(
            self.folder,
            self.model,
            self.optimisers,
            self.state,
            keep=self.config.keep,
            average=self.average.weights,
        )
