"""Cross-entropy of the next token, a stretch of tokens at a time: the table of all logits never exists.

    states [tokens, width] ─► for each stretch: logits ─► nats, gradient of states and embedding ─► sums

Takes   states, the output embedding [vocabulary, width], targets (-100 where nothing is asked).
Gives   the sum of nats, and the sum of squared log-sums Z² as a second figure. With `z_weight` the gradient is that of
        nats + z_weight x Z², which keeps logits from drifting; what is shown stays pure.
Why     logits of 32,768 tokens x 8,192 words take 1 GB in fp32 and as much again for their gradient. Here the gradient
        is made while a stretch's logits are at hand, so nothing is computed twice and one stretch is all that is held.
Source  z-loss: Chowdhery et al., PaLM, arXiv:2204.02311, section 5. Gradients in the forward pass: Hsu et al., Liger
        Kernel, arXiv:2410.10989.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainer.attention import compiles

IGNORED = -100  # a target that is not counted
STRETCH = {"cpu": 512, "cuda": 8192}  # tokens at a time: what a CPU's cache holds, what fills a GPU


class Nats(NamedTuple):
    """Sums over counted tokens."""

    nats: Tensor  # cross-entropy; the gradient includes the z-loss
    squares: Tensor  # of the log of the summed exponentials; carries no gradient


def nats_of(states: Tensor, embedding: Tensor, targets: Tensor, *, z_weight: float = 0.0) -> Nats:
    """Cross-entropy of targets [tokens] under states [tokens, width] and the output embedding [vocabulary, width]."""
    kind = states.dtype
    if torch.is_autocast_enabled(states.device.type):
        kind = torch.get_autocast_dtype(states.device.type)
    learns = torch.is_grad_enabled() and (states.requires_grad or embedding.requires_grad)
    how = How(kind, z_weight, learns)
    nats, squares = StretchedNats.apply(states, embedding, targets, how)  # type: ignore[no-untyped-call]
    return Nats(nats, squares.detach())


class How(NamedTuple):
    """What the sums are made with."""

    kind: torch.dtype  # of products; sums and exponentials are fp32
    z_weight: float
    learns: bool  # make gradients on the way


class StretchedNats(torch.autograd.Function):
    """The sums, with gradients made on the way."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, embedding: Tensor, targets: Tensor, how: How) -> tuple[Tensor, Tensor]:
        """Sum of nats and of squares."""
        words, flat = embedding.to(how.kind), states.to(how.kind)  # [vocabulary, width], [tokens, width]
        sums = torch.zeros(2, device=states.device)
        to_states = torch.empty_like(flat) if how.learns else flat
        to_words = torch.zeros(embedding.shape if how.learns else (), device=states.device)
        size = STRETCH[states.device.type]
        measure = compiled_stretch() if states.is_cuda and compiles() else stretch
        for first in range(0, len(flat), size):
            part = slice(first, first + size)
            found, gradient = measure(flat[part] @ words.T, targets[part], how.z_weight, how.learns)
            sums += found
            if how.learns:
                torch.mm(gradient, words, out=to_states[part])
                to_words += gradient.T @ flat[part]
        ctx.save_for_backward(to_states, to_words)
        ctx.kinds = states.dtype, embedding.dtype
        return sums[0], sums[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Scale what was made: the sum has one gradient for all tokens."""
        to_states, to_words = ctx.saved_tensors
        states, words = ctx.kinds
        return (to_states * grads[0]).to(states), (to_words * grads[0]).to(words), None, None


def stretch(logits: Tensor, targets: Tensor, z_weight: float, learns: bool) -> tuple[Tensor, Tensor]:
    """Sums [2] of nats and squares over a stretch, and the gradient of its logits [stretch, vocabulary]."""
    counted = targets != IGNORED  # [stretch]
    place = targets.clamp_min(0)[:, None]  # [stretch, 1]
    logs = functional.log_softmax(logits, dim=-1, dtype=torch.float32)  # [stretch, vocabulary]
    chosen = logs.gather(1, place)  # [stretch, 1]
    z = logits.gather(1, place) - chosen  # [stretch, 1]: log of the summed exponentials, fp32
    sums = torch.stack([-(chosen[:, 0] * counted).sum(), (z[:, 0].square() * counted).sum()])
    if not learns:
        return sums, logits
    gradient = logs.exp_().mul_(counted[:, None] * (1 + 2 * z_weight * z))
    return sums, gradient.scatter_add_(1, place, -counted[:, None].to(gradient.dtype)).to(logits.dtype)


@cache
def compiled_stretch() -> Any:
    """The same as one or two kernels, which read the logits twice instead of ten times."""
    return torch.compile(stretch, dynamic=False)
