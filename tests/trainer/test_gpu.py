"""On a GPU: block masks are right, the compiled step is one graph, and nothing in it waits for the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainer import nats
from trainer.attention import packed
from trainer.model import ModelConfig, Transformer
from trainer.pretrain import text_losses

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
SIZES = ModelConfig(vocabulary=1024, width=128, layers=2, heads=4, key_value_heads=2, head_width=32, hidden=256)


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Transformer(SIZES).cuda()


def arrays(seed, kind="causal"):
    chance = np.random.default_rng(seed)
    ids = torch.from_numpy(chance.integers(16, 1024, (4, 512)))
    documents = torch.from_numpy(np.sort(chance.integers(0, 5, (4, 512)), axis=1))
    targets = torch.where(documents == documents.roll(-1, 1), ids.roll(-1, 1), -100)
    targets[:, -1] = -100
    found = {"ids": ids, "documents": documents, "targets": targets}
    if kind == "masked":
        found["places"] = torch.arange(0, 512, 5).expand(4, -1).contiguous()
    return {name: tensor.cuda() for name, tensor in found.items()}


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_block_masks_have_the_losses_and_gradients_of_the_table(model, kind):
    given = arrays(1, kind)

    def learn(how):
        model.zero_grad()
        loss = text_losses(model, given, kind, how=how)[kind]
        loss.backward()
        return float(loss.detach()), model.layers[0].attention.key.weight.grad.clone()

    (expected, gradient), (found, other) = learn("table"), learn("blocks")
    assert found == pytest.approx(expected, rel=1e-3)
    assert float((gradient - other).norm() / gradient.norm()) < 0.02  # Triton multiplies in TF32


def test_block_masks_are_chosen_without_being_asked_for(model):
    assert not isinstance(packed(arrays(1)["documents"], causal=True), torch.Tensor)


def test_changing_one_example_leaves_the_loss_of_another(model):
    given = arrays(2)
    last = given["documents"] == 4
    alone = given | {"targets": torch.where(last, given["targets"], -100)}
    changed = alone | {"ids": torch.where(given["documents"] == 3, 17, given["ids"])}
    with torch.no_grad():
        one, other = (float(text_losses(model, a, "causal", how="blocks")["causal"]) for a in (alone, changed))
    assert one == other


def test_the_compiled_step_is_one_graph_and_never_waits_for_the_device(model):
    compiled = torch.compile(model, fullgraph=True)  # raises where the graph would break
    given = [arrays(seed, kind) for seed in range(3) for kind in ("causal", "masked")]

    def learn():
        for number, one in enumerate(given):
            kind = ("causal", "masked")[number % 2]
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = text_losses(compiled, one, kind, z_loss=1e-4)[kind]
            loss.backward()

    learn()  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        learn()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_compiled_cross_entropy_agrees_with_the_plain_one(monkeypatch):
    torch.manual_seed(1)
    states = torch.randn(1000, 64, device="cuda", requires_grad=True)
    embedding = torch.randn(512, 64, device="cuda", requires_grad=True)
    targets = torch.randint(0, 512, (1000,), device="cuda")
    monkeypatch.setitem(nats.STRETCH, "cuda", 256)
    fused = nats.nats_of(states, embedding, targets, z_weight=1e-3)
    monkeypatch.setattr(nats, "compiles", lambda: False)
    plain = nats.nats_of(states, embedding, targets, z_weight=1e-3)
    assert float(fused.nats.detach()) == pytest.approx(float(plain.nats.detach()), rel=1e-4)
    assert float(fused.squares) == pytest.approx(float(plain.squares), rel=1e-4)
