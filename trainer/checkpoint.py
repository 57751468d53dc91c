"""Checkpoints: a run that was killed goes on from one as if nothing had happened.

    FOLDER/step-00000200/model.safetensors, optimiser.safetensors, state.json; ema.safetensors where there are averages

Takes   a model, its optimisers, perhaps averaged weights, and a small state (step, settings, energy).
Gives   a folder that appears by one rename, after every byte is on the disk: what can be seen is complete. The last
        few are kept, and the best. Whoever loads one gets the averaged weights where there are any.
Refuses a checkpoint of another model or run, naming the first setting that differs; damaged files; a disk without room,
        before anything is given up. No pickle: tensors and JSON only.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainer import distributed, files
from trainer.errors import CheckpointError
from trainer.machine import size
from trainer.model import ModelConfig, Transformer
from trainer.recipe import build

PREFIX = "step-"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no space, no quota, file too large


def save(
    folder: Path,
    model: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    state: Mapping[str, Any],
    *,
    keep: int,
    average: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the checkpoint of `state["step"]`, then remove all but the last `keep` and the best.

    All devices gather, the first one writes, and nobody goes on before the checkpoint is on the disk.
    """
    final = folder / f"{PREFIX}{state['step']:08d}"
    parts = {"model": plain(weights(model)), "optimiser": plain(optimiser_tensors(optimisers))}
    if average:
        parts["ema"] = {**parts["model"], **plain(average)}
    if distributed.rank() == 0:
        needed = sum(tensor.nbytes for tensors in parts.values() for tensor in tensors.values())
        folder.mkdir(parents=True, exist_ok=True)
        check_room(folder, needed)
        part = folder / f"part-{os.getpid()}"
        try:
            write(part, parts, state)
        except Exception as error:
            shutil.rmtree(part, ignore_errors=True)
            if is_full(error):
                raise no_room(folder, needed) from error
            raise
        remove(final)
        part.replace(final)
        files.flush(folder)
        prune(folder, keep=keep, best=state.get("best", {}).get("step", -1))
    distributed.wait()
    return final


def write(part: Path, parts: Mapping[str, dict[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Fill a folder and wait until it is on the disk."""
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, tensors in parts.items():
        save_file(tensors, part / f"{name}.safetensors")
    (part / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    for path in (*part.iterdir(), part):
        files.flush(path)
        files.share(path)


def check_room(folder: Path, needed: int) -> None:
    """Raise unless the disk holds another checkpoint."""
    if shutil.disk_usage(folder).free < needed + 1_000_000:
        raise no_room(folder, needed)


def no_room(folder: Path, needed: int) -> CheckpointError:
    """What to say when a checkpoint does not fit."""
    free, newest = shutil.disk_usage(folder).free, latest(folder)
    return CheckpointError(
        f"{folder}: a checkpoint takes {size(needed)} and the disk has {size(free)} free (or a quota is reached); make "
        f"room and run again: {f'{newest} is whole, and the run goes on from it' if newest else 'it starts anew'}"
    )


def is_full(error: Exception) -> bool:
    """Whether a write failed for want of room; safetensors says it in words only."""
    said = re.search(r"os error (\d+)", str(error))
    return getattr(error, "errno", None) in FULL or bool(said and int(said[1]) in FULL)


def prune(folder: Path, *, keep: int, best: int) -> None:
    """Remove all checkpoints but the last `keep` and the one of step `best`."""
    for old in steps(folder)[:-keep]:
        if old.name != f"{PREFIX}{best:08d}":
            remove(old)


def remove(path: Path) -> None:
    """Remove a checkpoint; its state goes first, for what has none is no checkpoint."""
    (path / "state.json").unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove what a killed run left half written or half removed."""
    if distributed.rank() == 0 and folder.is_dir():
        whole = set(steps(folder))
        for left in (*folder.glob("part-*"), *(p for p in folder.glob(f"{PREFIX}*") if p not in whole)):
            shutil.rmtree(left, ignore_errors=True)
    distributed.wait()


def steps(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if (p / "state.json").is_file())


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint."""
    return next(reversed(steps(folder)), None)


def best(folder: Path) -> Path | None:
    """The checkpoint of the least loss, as the newest one knows it."""
    newest = latest(folder)
    found = folder / f"{PREFIX}{read_state(newest).get('best', {}).get('step', -1):08d}" if newest else folder
    return found if (found / "state.json").is_file() else newest


def read_state(path: Path) -> dict[str, Any]:
    """The small state of a checkpoint."""
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: no readable state.json ({error}); remove this folder to use an earlier checkpoint"
        ) from error
    return state


def restore(
    path: Path,
    model: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Put weights, optimiser state and averages back in place. Averages begin with the weights where none were kept."""
    fill(path, "model", weights(model))
    if average:
        fill(path, "ema" if (path / "ema.safetensors").is_file() else "model", average, some=True)
    tensors = read(path, "optimiser")
    for index, optimiser in enumerate(optimisers):
        learnt = [weight for group in optimiser.param_groups for weight in group["params"]]
        kept: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            owner, number, key = name.split(".", 2)
            if int(owner) != index:
                continue
            if int(number) >= len(learnt) or (tensor.ndim and tensor.shape != learnt[int(number)].shape):
                raise CheckpointError(
                    f"{path}: optimiser.safetensors has {name} {tuple(tensor.shape)}, which fits no weight of this "
                    "run: it was written with other optimiser settings, so choose another --out"
                )
            shared = distributed.like(tensor, learnt[int(number)]) if tensor.ndim else tensor
            kept.setdefault(int(number), {})[key] = shared
        fresh = optimiser.state_dict()
        optimiser.load_state_dict({"state": kept, "param_groups": fresh["param_groups"]})


def check_identity(path: Path, stored: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Raise unless a checkpoint belongs to this run."""
    wanted = flat(json.loads(json.dumps(identity)))  # tuples and paths as JSON keeps them
    made = flat(stored)
    differ = [key for key in sorted({*wanted, *made}) if wanted.get(key) != made.get(key)]
    if differ:
        key, more = differ[0], f" (also other: {', '.join(differ[1:6])})" if differ[1:] else ""
        raise CheckpointError(
            f"{path} was made with {key} {made.get(key)!r}, this run has {wanted.get(key)!r}{more}; "
            "go on with the old settings, or choose another --out"
        )


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings under their full names.

    >>> flat({"model": {"width": 128}, "seed": 1})
    {'model.width': 128, 'seed': 1}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) and value else {f"{above}{key}": value}
    return found


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name; torch.compile's wrapper leaves no trace in the names."""
    return {name.removeprefix("_orig_mod."): tensor for name, tensor in model.state_dict().items()}


def plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors on the CPU, to be written."""
    return {name: distributed.whole(tensor.detach()).cpu().contiguous() for name, tensor in tensors.items()}


def read(path: Path, name: str) -> dict[str, Tensor]:
    """One file of a checkpoint."""
    try:
        return load_file(path / f"{name}.safetensors")
    except Exception as error:  # safetensors raises its own type for truncated files, OSError for missing ones
        raise CheckpointError(
            f"{path}: {name}.safetensors is damaged ({error}); remove this folder to use an earlier checkpoint"
        ) from error


def fill(path: Path, name: str, own: Mapping[str, Tensor], *, some: bool = False) -> None:
    """Copy one file's tensors into `own`; the message names the first that does not fit, before anything is copied.

    some: `own` may want fewer than the file has.
    """
    tensors = read(path, name)
    for key in sorted(own if some else {*own, *tensors}):
        shapes = [tuple(t[key].shape) if key in t else None for t in (own, tensors)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(f"{path}: {key} is {shapes[1]}, the model wants {shapes[0]}; use its own config")
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(distributed.like(tensors[key], tensor))


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a checkpoint's weights into the model: the averaged ones where it has them."""
    fill(path, "ema" if (path / "ema.safetensors").is_file() else "model", weights(model))


def load(path: Path) -> Transformer:
    """The trunk of a checkpoint (or of a run's folder: its newest one)."""
    found = path if (path / "state.json").is_file() else latest(path)
    if found is None:
        raise CheckpointError(f"{path} holds no checkpoint; run the stage before this one")
    sizes = read_state(found).get("identity", {}).get("model")
    if not isinstance(sizes, dict):
        raise CheckpointError(f"{found} is no trunk's checkpoint: its state.json names no sizes; name one of pretrain")
    model = Transformer(build(ModelConfig, sizes, where=f"{found}/state.json"))
    load_weights(found, model)
    return model


def describe(config: ModelConfig) -> dict[str, Any]:
    """A model's sizes as a checkpoint keeps them.

    Sizes that came later are left out where they are off, so that runs that began without them go on.
    """
    off = {"reading_layers": 0, "question_words": False, "detects": False}
    return {name: value for name, value in asdict(config).items() if name not in off or value != off[name]}


def optimiser_tensors(optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """State of the optimisers as "optimiser.parameter.key" -> tensor."""
    return {
        f"{index}.{parameter}.{key}": torch.as_tensor(value)
        for index, optimiser in enumerate(optimisers)
        for parameter, entries in optimiser.state_dict()["state"].items()
        for key, value in entries.items()
    }
