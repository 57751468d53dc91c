"""The running average of a model's weights (EMA): steadier than the last step, and what later stages start from.

Takes   a model and a decay; `update` after each step.
Gives   averaged weights by name, which a checkpoint keeps as `ema.safetensors`; `swapped` puts them into the model.
Decay   grows from 1/10 to the wanted one, (1 + step) / (10 + step), so that the random start is soon forgotten.
Source  Polyak & Juditsky 1992, doi:10.1137/0330046; the growing decay as in TensorFlow's ExponentialMovingAverage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainer.errors import RecipeError


class Average:
    """Averages of what a model learns; weights that do not move are left out."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise RecipeError(f"ema is {decay}; use 0 for none, or a decay such as 0.999")
        self.model, self.decay = model, decay
        self.weights: dict[str, Tensor] = {}
        if decay:
            learnt = ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)
            self.weights = {name: weight.detach().clone() for name, weight in learnt}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after step `step` (from 1)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, weight in self.model.named_parameters():
            if name in self.weights:
                self.weights[name].lerp_(weight.detach(), share)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The model with averaged weights, for the length of the block."""
        own = {name: weight.detach().clone() for name, weight in self.model.named_parameters() if name in self.weights}
        self.put(self.weights)
        try:
            yield
        finally:
            self.put(own)

    @torch.no_grad()
    def put(self, weights: dict[str, Tensor]) -> None:
        """Copy weights into the model."""
        for name, weight in self.model.named_parameters():
            if name in weights:
                weight.copy_(weights[name])
