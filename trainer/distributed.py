"""Many devices as one: each takes other micro-batches of the same step, and what they learnt is added up.

    torchrun --nproc-per-node 8 -m trainer.pretrain --config configs/30m.toml

    group ─► together(model, losses) ─► each device: its own micro-batches ─► last(...) exchanges gradients ─► step

Takes   the processes that torchrun started. Alone, every function here does nothing and gives back what it was given.
Gives   "ddp": the weights whole on each device; "fsdp": weights, gradients and optimiser shared out among the devices.
        Either way a step equals the one that a single process would have computed, up to rounding.
Files   only the first process writes; `whole` gathers what is shared out, so a checkpoint is the same plain tensors
        whatever wrote it, and any number of devices can go on from it. All processes read the same folder.
Muon    needs whole matrices: under "fsdp" its products gather them from the devices, so it is right, and slower.
Imports of torch's own parts for this take a second, so they wait until there is more than one process.
Source  fully sharded data parallel: Zhao et al., arXiv:2304.11277; torch's own implementations do the work.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from trainer.errors import RecipeError

NOTE = 4096  # bytes of a message between devices
Result = TypeVar("Result")


def world() -> int:
    """How many devices work together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """The number of this one among them, from 0."""
    return distributed.get_rank() if world() > 1 else 0


@contextmanager
def group(kind: str) -> Iterator[torch.device]:
    """Join the processes that torchrun started, for the length of the block; gives this one's device."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or world() > 1:
        yield device
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    yield device
    distributed.destroy_process_group()  # after an error the process ends, and torchrun ends the others


class Together(nn.Module):
    """A model and its losses as one module, so that gradients are exchanged for all that its forward pass touches."""

    def __init__(self, model: Any, losses: Callable[..., dict[str, Tensor]]) -> None:
        super().__init__()
        self.model, self.losses = model, losses

    def forward(self, arrays: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
        """Sums of the losses by term."""
        return self.losses(self.model, arrays, kind)


def shard(model: nn.Module, device: torch.device, parallel: str) -> nn.Module:
    """The model to train. Under "fsdp" a copy whose weights are shared out, layer by layer.

    Weights that were shared out cannot be put together in place, so the model that was given waits on the CPU, whole,
    for what the copy has learnt.
    """
    if parallel not in ("ddp", "fsdp"):
        raise RecipeError(f"parallel is {parallel!r}; use 'ddp' or 'fsdp'")
    if world() == 1 or parallel == "ddp":
        return model
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    shared = copy.deepcopy(model)
    model.cpu()
    mesh = init_device_mesh(device.type, (world(),))
    for part in shared.modules():
        if isinstance(part, nn.ModuleList):
            for layer in part:
                fully_shard(layer, mesh=mesh)
    return shared


def together(model: nn.Module, compiled: Any, losses: Callable[..., dict[str, Tensor]], device: torch.device) -> Any:
    """What computes a micro-batch's losses: (arrays, kind) to sums by term."""
    if world() == 1:
        return lambda arrays, kind: losses(compiled, arrays, kind)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard
    from torch.nn.parallel import DistributedDataParallel

    both = Together(compiled, losses)
    if any(isinstance(part, FSDPModule) for part in model.modules()):
        return fully_shard(both, mesh=init_device_mesh(device.type, (world(),)))
    # some stages leave heads untouched; where none does, torch says so, and that is no news
    warnings.filterwarnings("ignore", message="find_unused_parameters=True")
    return DistributedDataParallel(both, find_unused_parameters=True, broadcast_buffers=False)


def last(computer: Any, *, of_step: bool) -> None:
    """Say before a micro-batch whether gradients are exchanged after it: once a step is enough."""
    if world() == 1:
        return
    if hasattr(computer, "set_requires_gradient_sync"):  # fully sharded
        computer.set_requires_gradient_sync(of_step)
    else:
        computer.require_backward_grad_sync = of_step


def total(values: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Sums by name over all devices, which may know different names; every device gets the same bits."""
    if world() == 1:
        return dict(values)
    said = json.dumps(dict(values)).encode("ascii").ljust(NOTE)
    note = torch.frombuffer(bytearray(said), dtype=torch.uint8).to(device)
    heard = [torch.empty_like(note) for _ in range(world())]
    distributed.all_gather(heard, note)
    sums: dict[str, float] = {}
    for values in (json.loads(bytes(note.cpu().numpy())) for note in heard):
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def agree(flag: bool, device: torch.device) -> bool:
    """True on all devices where any of them says so."""
    return total({"flag": float(flag)}, device)["flag"] > 0 if world() > 1 else flag


def least(value: int, device: torch.device) -> int:
    """The smallest of the devices' values."""
    if world() == 1:
        return value
    shared = torch.tensor(value, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MIN)
    return int(shared)


def wait() -> None:
    """Go on when all devices are here."""
    if world() > 1:
        distributed.barrier()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor that may be shared out; every device must ask."""
    if world() == 1:
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(full: Tensor, target: Tensor) -> Tensor:
    """A whole tensor, shared out as `target` is."""
    full = full.to(target.device, target.dtype)
    if world() == 1:
        return full
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(target, DTensor):
        return distribute_tensor(full, target.device_mesh, target.placements)
    return full
