"""Hand-written backward passes give the values and gradients of the plain steps."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from trainer.backward import RmsNorm, Rotate, SwiGlu


def leaves(*shapes):
    chance = torch.Generator().manual_seed(4)
    return [torch.randn(shape, generator=chance).requires_grad_() for shape in shapes]


def compare(plain, ours, inputs, *, tolerance=1e-5):
    """Both functions' values, and the gradients of a sum that weighs every value otherwise."""
    found = []
    for function in (plain, ours):
        for leaf in inputs:
            leaf.grad = None
        value = function(*inputs)
        weights = torch.linspace(-1, 2, value.numel()).view(value.shape).to(value.dtype)
        (value * weights).sum().backward()
        found.append([value.detach().float(), *(leaf.grad.float() for leaf in inputs)])
    for expected, got in zip(*found, strict=True):
        assert torch.allclose(got, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("shape", [(7, 48), (2, 5, 3, 16)])
def test_the_norm(shape):
    compare(
        lambda x, weight: functional.rms_norm(x, weight.shape, weight, 1e-6),
        lambda x, weight: RmsNorm.apply(x, weight, 1e-6, torch.float32),
        leaves(shape, shape[-1:]),
    )


def test_the_norm_in_bf16_stays_within_its_rounding():
    compare(
        lambda x, weight: functional.rms_norm(x, weight.shape, weight, 1e-6).bfloat16(),
        lambda x, weight: RmsNorm.apply(x.bfloat16(), weight, 1e-6, torch.bfloat16),
        leaves((64, 48), (48,)),
        tolerance=2e-2,
    )


def test_the_rotation():
    angles = torch.linspace(0, 3, 5 * 8).view(1, 5, 1, 8)
    cosine, sine = angles.cos(), angles.sin()

    def plain(x):
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)

    compare(plain, lambda x: Rotate.apply(x, cosine, sine), leaves((2, 5, 3, 16)))


def test_the_gated_unit():
    compare(lambda gate, up: functional.silu(gate) * up, SwiGlu.apply, leaves((6, 32), (6, 32)))
