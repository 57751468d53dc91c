"""A checkpoint becomes a model folder that the product opens, with a card that says what it is made of.

    OUT/finetune + tokenizer.json + evaluation.json + clean/report.json ─► FOLDER/{config.json, model.safetensors,
                                                                           tokenizer.json, README.md}

Takes   the newest fine-tuned checkpoint of a run.
Gives   the folder by one rename: a product that serves from the old one never sees half of the new.
Refuses to export a trunk that was not fine-tuned (its heads know nothing) or not evaluated (its threshold is unknown).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from trainer import checkpoint, files, recipe, tokenizer
from trainer.errors import CheckpointError
from trainer.model import parameters
from trainer.reading import FORMAT

STAGES = ("pretrain", "finetune")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Settings of the export."""

    folder: Path | None = None  # OUT/model when not given
    licence: str = "Apache-2.0"
    precision: str = "fp32"  # of the stored weights; "bf16" halves the file


def export(plan: recipe.Recipe) -> Path:
    """Write the model folder; returns it."""
    config = plan.section("export", ExportConfig)
    newest = checkpoint.latest(plan.out / "finetune")
    if newest is None:
        raise CheckpointError(f"{plan.out / 'finetune'} holds no checkpoint; run `trainer finetune` first")
    scores = evaluation(plan, newest)
    model = checkpoint.load(newest)
    words = tokenizer.load(plan.out / "tokenizer.json")
    folder = config.folder or plan.out / "model"
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    kind = torch.bfloat16 if config.precision == "bf16" else torch.float32
    tensors = {name: weight.detach().to(kind).contiguous() for name, weight in checkpoint.weights(model).items()}
    save_file(tensors, part / "model.safetensors")
    words.save(part / "tokenizer.json")
    described = {
        "format": FORMAT,
        "kind": "trunk",
        "name": plan.name,
        "threshold": scores["reading"]["threshold"],
        "trainer_config": {"model": checkpoint.describe(model.config), "recipe": recipe.plain(plan)},
        "scores": scores,
        "sha256": {name: digest(part / name) for name in ("model.safetensors", "tokenizer.json")},
    }
    files.write_json(part / "config.json", described)
    states = {stage: checkpoint.read_state(path) for stage in STAGES if (path := checkpoint.latest(plan.out / stage))}
    report = plan.out / "clean" / "report.json"
    data = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    files.write_text(part / "README.md", card(described, parameters(model), states, data=data, licence=config.licence))
    for path in (*part.iterdir(), part):
        files.flush(path)
    replace(folder, part)
    return folder


def replace(folder: Path, part: Path) -> None:
    """Put a finished folder in the place of an older one."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    part.replace(folder)
    files.flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def evaluation(plan: recipe.Recipe, newest: Path) -> dict[str, Any]:
    """The scores of exactly this checkpoint."""
    path = plan.out / "evaluation.json"
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if scores.get("checkpoint") != newest.name or "reading" not in scores:
        raise CheckpointError(f"{path} does not score {newest}; run `trainer evaluate` first")
    return scores


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def card(
    described: dict[str, Any], count: int, states: dict[str, dict[str, Any]], *, data: dict[str, Any], licence: str
) -> str:
    """The model card."""
    sizes, scores = described["trainer_config"]["model"], described["scores"]
    training = [
        [
            stage,
            f"{s['step']:,}",
            f"{s['tokens']:,}",
            f"{s['seconds'] / 3600:.2f}",
            f"{s['joules'] / 3.6e6:.4f}",
            s["energy_method"],
            s["precision"],
            s["device"],
        ]
        for stage, s in states.items()
    ]
    domains = [
        [
            name,
            f"{domain['kept']:,}",
            f"{domain['bytes'] / 1e6:.2f}",
            ", ".join(f"{kind} ({size / 1e6:.2f})" for kind, size in domain["licences"].items()),
        ]
        for name, domain in data.get("domains", {}).items()
    ]
    return f"""# {described["name"]}

A trunk of {count / 1e6:.1f} million parameters ({sizes["layers"]} layers, width {sizes["width"]}, vocabulary
{sizes["vocabulary"]}, context {sizes["context"]}) that reads a question with numbered sources, points at the answer,
says when there is none, and speaks. Trained from random weights by `trainer`. Licence of the weights: {licence}.

Meant for finding the answer to a question in passages given with it; not for facts from memory and not for advice.

## Training

{table(["stage", "steps", "tokens", "hours", "kWh", "how the energy is known", "precision", "device"], training)}

All settings are in `config.json` under `trainer_config`.

## Data

{table(["domain", "documents", "MB", "licences (MB)"], domains)}

Reading was taught with question files whose rows each name their licence. Texts that share 13 words in a row with an
evaluation set were removed from both.

## Scores

{table(["measure", "value"], [[k.replace("_", " "), str(v)] for k, v in scores["reading"].items()])}

{table(["bits per byte of", "value"], [[k, str(v)] for k, v in scores["bits_per_byte"].items()])}
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    recipe.main(export)
