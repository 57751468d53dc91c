"""The reader's tuning: from the base's weights, by mixed rows, to the weights that read the dev rows best.

    base ─► Mixed steps (all weights, or adapters) ─► the part of the way from the base with the least dev loss
        ─► FOLDER/tuned.safetensors, chosen.json

Takes   a model folder of kind "encoder", the material, the settings, and a folder for checkpoints.
Gives   `Tuned`: the weights and what led to them. Stopped and run again it goes on, and ends with the same bits.
Keeps   the base where no part of the way reads the dev rows better: part 0 of the way, and it says so.
Source  a part of the way against forgetting: Wortsman et al., arXiv:2109.01903.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer import checkpoint, files, loop, lora
from trainer.encoder_reader import EncoderReader
from trainer.improving.course import Course
from trainer.improving.material import Material, Row
from trainer.improving.mixing import Held, Mixed, steps_of
from trainer.improving.settings import ImproveConfig
from trainer.reader import reading_losses
from trainer.rows import ReadingRow
from trainer.step import Step, share


class Tuned(NamedTuple):
    """What tuning found."""

    weights: Path  # safetensors of the whole reader, fp32
    chosen: dict[str, Any]


def start(base: Path) -> EncoderReader:
    """The base as a model that learns: its int8 and fp16 numbers in fp32, its words kept where they are."""
    model = EncoderReader.from_folder(base)
    for part in (model.encoder, *model.encoder.layers):
        part.dropout = 0.0  # a few visits of each row do not overfit, and replay holds it
    model.requires_grad_(True)
    model.encoder.words.weight.requires_grad_(False)  # words outside the rows keep their place among the others
    return model


def tune(base: Path, material: Material, config: ImproveConfig, *, folder: Path, most: int, course: Course) -> Tuned:
    """Tune the reader in `folder`, by at most `most` steps (0: all that are wanted). Raises Stopped, DivergedError."""
    out = folder / "tuned.safetensors"
    if (folder / "chosen.json").is_file():
        return Tuned(out, files.read_json(folder / "chosen.json"))
    torch.manual_seed(config.seed)
    model = start(base)
    before = {name: tensor.clone() for name, tensor in checkpoint.weights(model).items()}
    batches = Mixed(plain(material.pools), model.encoder, config)
    held = Held([row for rows in plain(material.dev).values() for row in rows], model.encoder, config)
    wanted = steps_of(config, material.pools, batches.quota)
    steps = min(wanted, most) if most else wanted
    settings = replace(config, steps=steps, minutes=0.0)
    identity = {"base": lora.identity(model), "quota": batches.quota, "rows": batches.sizes}
    adapters = lora.LoraConfig(rank=config.lora_rank, alpha=config.lora_alpha) if config.lora_rank else None
    if adapters:
        lora.add(model, adapters)
        identity["lora"] = {"rank": config.lora_rank, "alpha": config.lora_alpha}
    with course.stop.gently():
        last = loop.train(
            model,
            batches,
            reading_losses,
            settings,
            folder=folder,
            identity=identity,
            held=held,
            each=lambda step, loss: course.point(step, steps, loss),
        )
    state = checkpoint.read_state(last)
    checkpoint.load_weights(last, model)  # the rate falls to the end: a step before it has forgotten more
    if adapters:
        lora.merge(model)
    chosen = choose(model, before, held, config, precision=state["precision"])
    chosen |= {"step": state["step"], "steps": steps, "wanted": wanted, "per_step": batches.quota}
    chosen |= {key: state[key] for key in ("tokens", "seconds", "joules", "energy_method", "precision")}
    save(model, out)
    files.write_json(folder / "chosen.json", chosen)
    return Tuned(out, chosen)


@torch.no_grad()
def choose(
    model: EncoderReader, before: Mapping[str, Tensor], held: Held, config: ImproveConfig, *, precision: str
) -> dict[str, Any]:
    """Leave the model at the part of the way from the base whose dev loss is least; 0 is the base itself."""
    after = {name: tensor.clone() for name, tensor in checkpoint.weights(model).items()}
    before = {name: tensor.to(after[name]) for name, tensor in before.items()}
    losses: dict[float, float] = {}
    for alpha in sorted({0.0, *config.alphas}):
        put(model, before, after, alpha)
        losses[alpha] = dev_loss(model, held, precision)
    best = min(losses, key=lambda alpha: (losses[alpha], alpha))
    put(model, before, after, best)
    return {"alpha": best, "dev_loss": {f"{alpha:g}": round(loss, 5) for alpha, loss in losses.items()}}


@torch.no_grad()
def put(model: EncoderReader, before: Mapping[str, Tensor], after: Mapping[str, Tensor], alpha: float) -> None:
    """Set the weights to a part of the way from one set to another."""
    for name, own in checkpoint.weights(model).items():
        own.copy_(torch.lerp(before[name], after[name], alpha))


def dev_loss(model: EncoderReader, held: Held, precision: str) -> float:
    """Loss of the dev rows in nats."""
    model.eval()
    device = model.evidence.weight.device
    step = Step(lambda arrays, kind: reading_losses(model, arrays, kind), {}, device, precision)
    return step.measure(share(held.step(0), 1)).loss


def save(model: EncoderReader, path: Path) -> None:
    """Write all weights, fp32."""
    with files.aside(path) as part:
        save_file(checkpoint.plain(checkpoint.weights(model)), part)


def load(base: Path, weights: Path) -> EncoderReader:
    """The base's reader with tuned weights, ready to read."""
    model = start(base)
    model.load_state_dict(load_file(weights))
    return model.eval()


def plain(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[ReadingRow]]:
    """The rows alone."""
    return {kind: [row.row for row in some] for kind, some in rows.items()}
