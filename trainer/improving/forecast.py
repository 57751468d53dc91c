"""What a run will take on this machine, from a few measured seconds; and what is settled once so that it stays equal.

    base ─► one step learnt, a few questions read ─► seconds of each stage

Takes   the base, how many rows the bundle has, the settings.
Gives   seconds by stage. They steer one thing: where the whole would take longer than `most_minutes`, the reader gets
        fewer steps, and the number is written down, so that a run that was stopped goes on with it.
Limits  other programs, and longer rows than those measured, are not seen: watch the state file, which goes by the pace.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from trainer import files, machine
from trainer.chat import Source
from trainer.improving import tuning
from trainer.improving.mixing import Mixed, steps_of
from trainer.improving.replay import shipped
from trainer.improving.settings import ImproveConfig, quota
from trainer.reader import reading_losses
from trainer.step import Step, share

QUESTIONS = 6  # of the step that is measured, and read


class Pace(NamedTuple):
    """What things cost here, in seconds."""

    learn: float  # a question of a step
    read: float  # a question with four sources


def settled(path: Path, config: ImproveConfig) -> dict[str, Any]:
    """Precisions as they were chosen when the run began; the first time, or where others are asked for, chosen now."""
    asked = {"precision": config.precision, "device": config.device}
    if path.is_file():
        found: dict[str, Any] = files.read_json(path)
        if found["asked"] == asked:
            return found
    device = torch.device(machine.pick_device(config.device))
    learning = machine.pick_precision(config.precision, device)
    reading = learning if device.type == "cpu" else machine.pick_precision(config.precision, torch.device("cpu"))
    chosen = {"asked": asked, "precision": learning, "reading": reading, "most_steps": 0}
    files.write_json(path, chosen)
    return chosen


def measure(base: Path, config: ImproveConfig, *, reading: str) -> Pace:
    """One step and a few questions, the best of three: other programs come and go, and the first sets things up."""
    model = tuning.start(base)
    model.bf16 = reading == "bf16"
    device = torch.device(machine.pick_device(config.device))
    rows = shipped()["measured"][:QUESTIONS]
    batch = Mixed({"replay": rows}, model.encoder, config).step(0)
    step = Step(lambda arrays, kind: reading_losses(model, arrays, kind), {}, device, config.precision)
    spent = []
    for _ in range(3):
        model.to(device)
        began = time.monotonic()
        step.backward(share(batch, 1))
        middle = time.monotonic()
        model.cpu()
        for row in rows:
            model.read(row.question, [Source(*source) for source in row.sources])
        spent.append((middle - began, time.monotonic() - middle))
    questions = sum(each.counts["rank"] for each in batch)
    learnt, read = (min(times) for times in zip(*spent, strict=True))
    return Pace(learnt / questions, read / len(rows))


def seconds(pace: Pace, counts: Mapping[str, int], config: ImproveConfig) -> tuple[dict[str, float], int]:
    """Seconds by stage, and the reader's steps; how many made questions survive their round trip is a guess."""
    passages = min(counts["passages.train.jsonl"], config.most_passages) if config.synthetic else 0
    made = min(round(0.25 * passages), config.most_synthetic)
    judged = counts["rows.train.jsonl"] if config.judgements else 0
    chosen = counts["preferences.train.jsonl"] if config.preferences and config.judgements else 0
    measured = min(counts["rows.held.jsonl"], config.most_measured) + len(shipped()["measured"])
    dev = len(shipped()["dev"]) + min(config.most_dev, (judged + made) // config.dev_one_in)
    wanted = steps(judged, made, config)
    looks = (len(config.alphas) + 1) * dev * 0.3  # a look at the dev rows costs a third of learning
    return {
        "synthesise": passages * pace.read,
        "retriever": (0.5 * (passages + 2_500) + 400) * pace.read if config.retriever else 0.0,
        "reader": (wanted * config.questions_per_step + looks) * pace.learn,
        "preference": 3 * 1.5 * chosen * pace.learn,
        "evaluate": (4 * measured + dev) * pace.read,
        "export": 3.0,
    }, wanted


def steps(judged: int, made: int, config: ImproveConfig) -> int:
    """About how many steps the reader takes."""
    per_step = quota(config.shares, {"judged": judged, "synthetic": made, "replay": 1}, config.questions_per_step)
    pools = {"judged": range(judged), "synthetic": range(made)}
    return steps_of(config, pools, per_step)


def most_steps(expected: Mapping[str, float], wanted: int, config: ImproveConfig) -> int:
    """How many of the wanted steps of the reader the budget allows; 0 where it allows all."""
    over = sum(expected.values()) - 60 * config.most_minutes
    if over <= 0 or not expected["reader"]:
        return 0
    return max(config.least_steps, math.floor(wanted * max(0.0, 1 - over / expected["reader"])))
