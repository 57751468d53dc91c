"""Adapters: a low-rank change beside frozen weights, trained alone, saved alone, merged back without a trace.

    y = W x + alpha / rank · up (down (drop x))      down [rank, in], up [out, rank], zero at first

Takes   any module with `nn.Linear`s, the trunk as well as the encoder reader, and a `LoraConfig`.
Gives   `add` freezes the module and puts adapters on its linears; `merge` adds each product to its weight and leaves
        plain linears, so that export, quantisation and other runners never hear of adapters; `save` writes
        FOLDER/adapter.safetensors and adapter.json, a few per cent of the model; `load` puts them on a base again.
Refuses an adapter made on other base weights (their hash is kept with it), a rank below 1, targets that name nothing.
Exact   outside training the adapted layer computes with the merged weight itself, bit for bit what `merge` leaves.
Heads   of reading are new in a pretrained trunk, and small: they are trained in full and saved with the adapter.
Source  LoRA: Hu et al., arXiv:2106.09685. Adapters on all linears: Dettmers et al., arXiv:2305.14314, section 4.
        It forgets less than moving every weight, and learns less: Biderman et al., arXiv:2405.09673.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from trainer import files
from trainer.errors import CheckpointError, RecipeError

FORMAT = 1
WHOLE = ("heads", "span", "evidence")  # modules trained in full: the reading heads of trunk and encoder reader
PARTS = ("lora_down", "lora_up")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Settings of the adapters."""

    rank: int = 16
    alpha: float = 32.0  # the change is multiplied by alpha / rank, so that a rate fits every rank
    dropout: float = 0.0  # on what the adapter reads, while training
    targets: tuple[str, ...] = ()  # last names of linears, such as "query", "value"; empty: all outside the heads

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise RecipeError(f"LoRA rank is {self.rank}; use at least 1 (0 in a stage's lora_rank moves every weight)")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"LoRA dropout is {self.dropout}; use 0 to less than 1")


class Adapted(nn.Linear):
    """A frozen linear with a low-rank change. Its own tensors keep their names, so plain checkpoints still fit."""

    def __init__(self, linear: nn.Linear, config: LoraConfig) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.scale, self.drop = config.alpha / config.rank, nn.Dropout(config.dropout)
        self.lora_down = nn.Parameter(linear.weight.new_empty(config.rank, linear.in_features))
        self.lora_up = nn.Parameter(linear.weight.new_zeros(linear.out_features, config.rank))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))  # as nn.Linear begins

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        if not self.training:
            return functional.linear(input, self.merged(), self.bias)
        change = functional.linear(functional.linear(self.drop(input), self.lora_down), self.lora_up)  # [..., out]
        return functional.linear(input, self.weight, self.bias) + change * self.scale

    def merged(self) -> Tensor:
        """The weight with its change: [out, in]."""
        return self.weight + self.scale * (self.lora_up @ self.lora_down)


def add(model: nn.Module, config: LoraConfig) -> list[str]:
    """Freeze the model, put adapters on its linears; gives their names. The heads stay as they are, and learn."""
    chosen = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and not is_whole(name)
        and (not config.targets or name.rpartition(".")[2] in config.targets)
    ]
    known = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
    absent = sorted(set(config.targets) - set(known))
    if absent or not chosen:
        raise RecipeError(f"LoRA targets {absent or list(config.targets)} name no linear; this model has {known}")
    for name, weight in model.named_parameters():
        weight.requires_grad_(is_whole(name))
    for name, module in chosen:
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, Adapted(module, config))
    return [name for name, _ in chosen]


@torch.no_grad()
def merge(model: nn.Module) -> None:
    """Add each change to its weight; afterwards the model holds plain linears, and every weight may move again."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Adapted):
            plain = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device="meta")
            plain.weight, plain.bias = nn.Parameter(module.merged()), module.bias
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, plain.train(module.training))
    model.requires_grad_(True)


def save(model: nn.Module, folder: Path, config: LoraConfig, *, about: Mapping[str, Any] | None = None) -> Path:
    """Write the adapters and what was trained in full; `about` is stored beside them for people."""
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in adapter_tensors(model)}
    folder.mkdir(parents=True, exist_ok=True)
    with files.aside(folder / "adapter.safetensors") as part:
        save_file(tensors, part)
    stored = {"format": FORMAT, "kind": "lora", **asdict(config), "base": identity(model), **(about or {})}
    files.write_json(folder / "adapter.json", stored)
    return folder


def load(model: nn.Module, folder: Path) -> LoraConfig:
    """Put saved adapters on their base. Raises CheckpointError for another base, format or shape."""
    try:
        stored = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "adapter.safetensors")
    except Exception as error:  # safetensors raises its own type for truncated files, OSError for missing ones
        raise CheckpointError(f"{folder}: no readable adapter ({error}); train it again or copy it again") from error
    if (stored.get("format"), stored.get("kind")) != (FORMAT, "lora"):
        raise CheckpointError(f"{folder}: format {stored.get('format')!r}; this release reads {FORMAT} of kind 'lora'")
    found = identity(model)
    if stored["base"] != found:
        raise CheckpointError(
            f"{folder} was made on base {stored['base']}, these weights are {found}; name the base it was trained on"
        )
    names = ("rank", "alpha", "dropout")
    config = LoraConfig(**{name: stored[name] for name in names}, targets=tuple(stored["targets"]))
    add(model, config)
    own = dict(adapter_tensors(model))
    for name in sorted({*own, *tensors}):
        shapes = [tuple(t[name].shape) if name in t else None for t in (own, tensors)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(f"{folder}: {name} is {shapes[1]}, the model wants {shapes[0]}; use its own base")
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(tensors[name])
    return config


def identity(model: nn.Module) -> str:
    """Hash of the weights that adapters leave alone: what an adapter must find again."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not is_whole(name) and name.rpartition(".")[2] not in PARTS:
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:16]


def adapter_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Everything that an adapter holds: the low-rank parts and the modules trained in full."""
    for name, weight in model.named_parameters():
        if is_whole(name) or name.rpartition(".")[2] in PARTS:
            yield name, weight


def is_whole(name: str) -> bool:
    """Does this module or weight belong to what is trained in full?"""
    return name.partition(".")[0] in WHOLE
