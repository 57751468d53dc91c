"""Bits per byte of held-out text against the tokens learnt from: one figure a domain for each checkpoint of a run.

    OUT/pretrain/step-* ─► bits.of_shards on the held-out shards ─► OUT/curve.json, OUT/curve.html

Takes   a run whose pretraining kept its checkpoints (`[pretrain] keep`), and [curve].
Gives   the curve as numbers and as a plot. A checkpoint before the rate came down is worse than a run that had ended
        there: the curve of one run is an upper bound of what so many tokens can give.
Refuses a run with fewer than two checkpoints. Run again, it measures only what is not in curve.json yet.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer import checkpoint, data, files, plots, recipe, tokenizer
from trainer.errors import CheckpointError, MissingExtra
from trainer.machine import pick_device, pick_precision
from trainer.scoring import bits


@dataclass(frozen=True, kw_only=True)
class CurveConfig:
    """Settings of the curve."""

    domains: tuple[str, ...] = ("documentation", "handbooks")  # those that are measured
    rows: int = 40  # of each domain
    length: int = 512  # tokens of a row
    precision: str = "auto"


def curve(plan: recipe.Recipe) -> Path:
    """Measure every checkpoint of the pretraining; returns curve.json."""
    config = plan.section("curve", CurveConfig)
    found = checkpoint.steps(plan.out / "pretrain")
    if len(found) < 2:
        raise CheckpointError(
            f"{plan.out / 'pretrain'} keeps {len(found)} checkpoints; a curve needs [pretrain] keep > 1"
        )
    words = tokenizer.load(plan.out / "tokenizer.json")
    held = [s for s in data.open_shards(plan.out / "shards", "held", words) if s.entry.domain in config.domains]
    device = torch.device(pick_device("auto"))
    bf16 = pick_precision(config.precision, device) == "bf16"
    target = plan.out / "curve.json"
    settings = {"rows": config.rows, "length": config.length, "tokenizer": words.identity}
    points = known(target, settings)
    for path in found:
        state = checkpoint.read_state(path)
        if any(point["step"] == state["step"] for point in points):
            continue
        model = checkpoint.load(path).to(device).eval()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            measured = bits.of_shards(model, held, words, rows=config.rows, length=config.length)
        rounded = {domain: round(value, 4) for domain, value in measured.items()}
        points.append({"step": state["step"], "tokens": state["tokens"], "bits_per_byte": rounded})
        points.sort(key=lambda point: int(point["step"]))
        files.write_json(target, {**settings, "points": points})
        sys.stderr.write(f"step {state['step']:,}, {state['tokens']:,} tokens: {rounded}\n")
    try:
        files.write_text(plan.out / "curve.html", page(plan.name, points))
    except MissingExtra as error:
        sys.stderr.write(f"no page: {error}\n")
    return target


def known(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of an earlier measurement with the same settings."""
    try:
        earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    points: list[dict[str, Any]] = earlier.pop("points", [])
    return points if earlier == settings else []


def page(name: str, points: list[dict[str, Any]]) -> str:
    """The curve as a plot and a table."""
    domains = sorted({domain for point in points for domain in point["bits_per_byte"]})
    tokens = [point["tokens"] / 1e6 for point in points]
    series = {domain: (tokens, [point["bits_per_byte"][domain] for point in points]) for domain in domains}
    title = "Bits per byte of held-out text"
    plot = plots.lines(series, title=title, x="millions of tokens learnt from", y="bits per byte")
    rows = [[p["step"], p["tokens"], *(p["bits_per_byte"][domain] for domain in domains)] for p in points]
    return plots.page(f"Pretraining of {name}", [(title, plot + plots.table(["step", "tokens", *domains], rows))])


if __name__ == "__main__":
    recipe.main(curve)
