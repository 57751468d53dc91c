"""Optimisers and the learning rate's course.

Takes   a model and an `OptimConfig`.
Gives   a list of torch optimisers (one, or Muon with AdamW beside it) and the factor on their rate at each step.
Source  AdamW: Loshchilov & Hutter, arXiv:1711.05101. Muon: Jordan et al. 2024, scaled to AdamW's update size as in
        Liu et al., arXiv:2502.16982, so that both share one learning rate. Warm-up, stable, decay: Hu et al.,
        arXiv:2404.06395.
GPU     matrices of one shape are made orthogonal together: one by one, thousands of products a step wait for launch.
Left out: no per-layer rates, no second-moment tricks; torch's own implementations do the work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainer.errors import ANY, RecipeError, within


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How weights move."""

    steps: int = 1000
    optimiser: str = "adamw"  # or "muon": Muon for matrices, AdamW for the rest
    peak_learning_rate: float = 1e-3
    head_rate_factor: float = 1.0  # reading heads learn this much faster than the trunk
    weight_decay: float = 0.1
    beta2: float = 0.95
    schedule: str = "wsd"  # up, flat, down; or "cosine"
    warmup_share: float = 0.02  # of all steps
    decay_share: float = 0.2  # of all steps, at the end of "wsd"

    def __post_init__(self) -> None:
        within(self, peak_learning_rate=(0, ANY), head_rate_factor=(0, ANY), weight_decay=(0, ANY))
        within(self, beta2=(0, 1), warmup_share=(0, ANY), decay_share=(0, 1))


def build(model: nn.Module, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """Matrices decay towards zero; norms, biases and the embedding do not. Heads may learn faster than the trunk."""
    matrices: list[Tensor] = []
    embeddings: list[Tensor] = []
    heads: list[Tensor] = []
    plain: list[Tensor] = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        if "heads." in name and "heads.layers." not in name:
            heads.append(weight)
        elif weight.ndim == 2:
            (embeddings if "embed" in name else matrices).append(weight)
        else:
            plain.append(weight)
    rate, decay = config.peak_learning_rate, config.weight_decay
    groups = [
        {"params": embeddings + plain, "lr": rate, "weight_decay": 0.0},
        {"params": heads, "lr": rate * config.head_rate_factor, "weight_decay": 0.0},
    ]
    optimisers: list[torch.optim.Optimizer] = []
    if config.optimiser == "muon":
        kind = StackedMuon if all(type(w.data) is Tensor and w.is_cuda for w in matrices) else torch.optim.Muon
        optimisers.append(kind(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    elif config.optimiser == "adamw":
        groups.append({"params": matrices, "lr": rate, "weight_decay": decay})
    else:
        raise RecipeError(f"optimiser is {config.optimiser!r}; use 'adamw' or 'muon'")
    groups = [group for group in groups if group["params"]]
    fused = all(weight.is_cuda for weight in model.parameters())
    optimisers.append(torch.optim.AdamW(groups, lr=rate, betas=(0.9, config.beta2), eps=1e-8, fused=fused))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


class StackedMuon(torch.optim.Muon):
    """torch's Muon with the same state and update, computed for all matrices of one shape at once."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of all matrices that have a gradient."""
        if closure is not None:
            return super().step(closure)  # type: ignore[no-untyped-call]
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault(weight.shape, []).append(weight)
            for shape, weights in shapes.items():
                gradients = [weight.grad for weight in weights if weight.grad is not None]
                for weight in weights:
                    if "momentum_buffer" not in self.state[weight]:
                        self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
                moments = [self.state[weight]["momentum_buffer"] for weight in weights]
                torch._foreach_lerp_(moments, gradients, 1 - group["momentum"])
                wanted = torch._foreach_lerp(gradients, moments, group["momentum"]) if group["nesterov"] else moments
                moves = orthogonal(torch.stack(wanted), group["ns_coefficients"], group["ns_steps"], group["eps"])
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))  # an update as large as AdamW's: arXiv:2502.16982
                torch._foreach_add_(weights, [move.to(weights[0].dtype) for move in moves], alpha=-rate)
        return None


def orthogonal(stack: Tensor, coefficients: Sequence[float], rounds: int, least: float) -> Tensor:
    """Each matrix of [count, rows, columns] with its singular values near 1: Newton-Schulz steps in bf16."""
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(least)
    a, b, c = coefficients
    for _ in range(rounds):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def factor(step: int, config: OptimConfig) -> float:
    """What the peak learning rate is multiplied by at a step (from 0): up, then flat and down, or along a cosine."""
    warmup = max(1, round(config.steps * config.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "wsd":
        left, decay = config.steps - step, max(1, round(config.steps * config.decay_share))
        return min(1.0, left / decay)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))
    raise RecipeError(f"schedule is {config.schedule!r}; use 'wsd' or 'cosine'")


def set_rate(optimisers: list[torch.optim.Optimizer], scale: float) -> None:
    """Put every group's learning rate at `scale` times its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * scale
