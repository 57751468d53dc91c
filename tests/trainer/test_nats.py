"""Cross-entropy a stretch at a time: the sums and gradients of the whole table of logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from trainer import nats
from trainer.nats import nats_of


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    monkeypatch.setitem(nats.STRETCH, "cpu", 7)  # 23 tokens: three stretches and a rest


@pytest.fixture
def given():
    chance = torch.Generator().manual_seed(2)
    states = torch.randn(23, 16, generator=chance).requires_grad_()
    embedding = torch.randn(40, 16, generator=chance).requires_grad_()
    targets = torch.randint(0, 40, (23,), generator=chance)
    targets[[3, 8, 22]] = -100
    return states, embedding, targets


def gradients(loss, states, embedding):
    states.grad = embedding.grad = None
    loss.backward()
    return states.grad.clone(), embedding.grad.clone()


@pytest.mark.parametrize("z_weight", [0.0, 0.3])
def test_sums_and_gradients_are_those_of_the_whole_table(given, z_weight):
    states, embedding, targets = given
    logits = states @ embedding.T
    squares = (logits.logsumexp(-1).square() * (targets != -100)).sum()
    plain = functional.cross_entropy(logits, targets, reduction="sum")
    expected = gradients(plain + z_weight * squares, states, embedding)

    found = nats_of(states, embedding, targets, z_weight=z_weight)
    assert float(found.nats.detach()) == pytest.approx(
        float(plain.detach()), rel=1e-6
    )  # the z-loss is not in what is shown
    assert float(found.squares) == pytest.approx(float(squares.detach()), rel=1e-6)
    got = gradients(found.nats, states, embedding)
    assert all(torch.allclose(g, e, rtol=1e-4, atol=1e-4) for g, e in zip(got, expected, strict=True))


def test_the_gradient_follows_what_the_sum_is_multiplied_by(given):
    states, embedding, targets = given
    one = gradients(nats_of(states, embedding, targets).nats, states, embedding)
    half = gradients(nats_of(states, embedding, targets).nats * 0.5, states, embedding)
    assert all(torch.allclose(h, o / 2) for h, o in zip(half, one, strict=True))


def test_bf16_stays_within_its_rounding(given):
    states, embedding, targets = given
    exact = nats_of(states, embedding, targets).nats
    expected = gradients(exact, states, embedding)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = nats_of(states, embedding, targets).nats
    got = gradients(rough, states, embedding)
    assert rough.dtype == torch.float32
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=1e-2)
    assert all(float((g - e).abs().max()) < 0.03 * float(e.abs().max()) for g, e in zip(got, expected, strict=True))


@torch.inference_mode()
def test_measuring_makes_no_gradients(given):
    states, embedding, targets = given
    expected = functional.cross_entropy(states @ embedding.T, targets, reduction="sum")
    assert float(nats_of(states, embedding, targets).nats) == pytest.approx(float(expected), rel=1e-6)
