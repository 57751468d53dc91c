"""Checkpoints: a run that was killed goes on from one as if nothing had happened.

    FOLDER/step-00000200/model.safetensors, optimiser.safetensors, state.json

Takes   a model, its optimisers and a small state (step, settings, energy).
Gives   a folder that appears by one rename, after every byte is on the disk: what can be seen is complete.
Refuses a checkpoint of another model or run, naming the first setting that differs. No pickle: tensors and JSON only.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer import files
from trainer.errors import CheckpointError
from trainer.model import ModelConfig, Transformer
from trainer.recipe import build

PREFIX = "step-"


def save(
    folder: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer], state: Mapping[str, Any], *, keep: int
) -> Path:
    """Write the checkpoint of `state["step"]`, then remove all but the last `keep`."""
    final = folder / f"{PREFIX}{state['step']:08d}"
    part = folder / f"part-{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in weights(model).items()}
    save_file(tensors, part / "model.safetensors")
    save_file(optimiser_tensors(optimisers), part / "optimiser.safetensors")
    (part / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    for path in (*part.iterdir(), part):
        files.flush(path)
    shutil.rmtree(final, ignore_errors=True)
    part.replace(final)
    files.flush(folder)
    for old in steps(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def steps(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if (p / "state.json").is_file())


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint."""
    return next(reversed(steps(folder)), None)


def read_state(path: Path) -> dict[str, Any]:
    """The small state of a checkpoint."""
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable state.json ({error}); name a folder {PREFIX}N of a run") from error
    return state


def restore(
    path: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer], identity: Mapping[str, Any]
) -> dict[str, Any]:
    """Put weights and optimiser state back in place; gives the small state. `identity` is what must be equal."""
    state = read_state(path)
    stored = state.get("identity", {})
    plain = json.loads(json.dumps(identity))  # tuples and paths as JSON keeps them
    for key in sorted({*plain, *stored}):
        if plain.get(key) != stored.get(key):
            raise CheckpointError(
                f"{path} was made with {key} {stored.get(key)!r}, this run has {plain.get(key)!r}; "
                "go on with the old settings, or choose another --out"
            )
    load_weights(path, model)
    tensors = load_file(path / "optimiser.safetensors")
    for index, optimiser in enumerate(optimisers):
        fresh = optimiser.state_dict()
        kept: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, parameter, key = name.split(".", 2)
            if int(owner) == index:
                kept.setdefault(int(parameter), {})[key] = tensor
        optimiser.load_state_dict({"state": kept, "param_groups": fresh["param_groups"]})
    return state


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name; torch.compile's wrapper leaves no trace in the names."""
    return {name.removeprefix("_orig_mod."): tensor for name, tensor in model.state_dict().items()}


def load_weights(path: Path, model: nn.Module) -> None:
    """Read `model.safetensors` into the model; the message names the first tensor that does not fit."""
    try:
        tensors = load_file(path / "model.safetensors")
    except Exception as error:  # safetensors raises its own type for truncated files, OSError for missing ones
        raise CheckpointError(f"{path}: model.safetensors is damaged ({error}); use an earlier checkpoint") from error
    own = weights(model)
    for name in sorted({*own, *tensors}):
        shapes = [tuple(t[name].shape) if name in t else None for t in (own, tensors)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(f"{path}: {name} is {shapes[1]}, the model wants {shapes[0]}; use its own config")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def load(path: Path) -> Transformer:
    """The trunk of a checkpoint (or of a run's folder: its newest one)."""
    found = path if (path / "state.json").is_file() else latest(path)
    if found is None:
        raise CheckpointError(f"{path} holds no checkpoint; run the stage before this one")
    model = Transformer(build(ModelConfig, read_state(found)["identity"]["model"], where=f"{found}/state.json"))
    load_weights(found, model)
    return model


def describe(config: ModelConfig) -> dict[str, Any]:
    """A model's sizes as a checkpoint keeps them."""
    return asdict(config)


def optimiser_tensors(optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """State of the optimisers as "optimiser.parameter.key" -> tensor."""
    return {
        f"{index}.{parameter}.{key}": torch.as_tensor(value).detach().cpu().contiguous()
        for index, optimiser in enumerate(optimisers)
        for parameter, entries in optimiser.state_dict()["state"].items()
        for key, value in entries.items()
    }
