"""The trunk: what each mask lets a token see, the cache, packing, and that it learns."""

from __future__ import annotations

import pytest
import torch

from trainer.errors import RecipeError
from trainer.model import Cache, ModelConfig, Transformer, allowed_pairs
from trainer.pretrain import next_token_nats


def ids_of(model: Transformer, count: int, seed: int = 0, rows: int = 1) -> torch.Tensor:
    return torch.randint(16, model.config.vocabulary, (rows, count), generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def changed(model: Transformer, *, at: int, **mask: object) -> list[bool]:
    """Which states differ after the token at one position is replaced."""
    before = ids_of(model, 12)
    after = before.clone()
    after[0, at] = 17 if before[0, at] != 17 else 18
    difference = (model(before, **mask) - model(after, **mask)).abs().amax(-1)[0]
    return (difference > 1e-6).tolist()


def test_the_causal_mask_does_not_look_ahead(model):
    assert changed(model, at=7, causal=True) == [False] * 7 + [True] * 5


def test_the_full_mask_sees_what_comes_later(model):
    assert changed(model, at=7, causal=False) == [True] * 12


def test_a_prompt_is_read_in_full_and_its_answer_looks_back_only(model):
    allowed = allowed_pairs(torch.zeros(1, 12, dtype=torch.long), causal=True, prefix=torch.tensor([6]))
    assert changed(model, at=5, allowed=allowed) == [True] * 12
    assert changed(model, at=8, allowed=allowed) == [False] * 8 + [True] * 4


@pytest.mark.parametrize("causal", [True, False])
def test_changing_one_document_of_a_packed_row_leaves_the_others_as_they_were(model, causal):
    documents = torch.tensor([[0] * 4 + [1] * 4 + [2] * 4])
    seen = changed(model, at=5, allowed=allowed_pairs(documents, causal=causal))
    assert seen[:4] == [False] * 4
    assert seen[5]
    assert seen[8:] == [False] * 4


@torch.inference_mode()
def test_a_document_reads_the_same_wherever_it_stands_in_a_row(model):
    document, other = ids_of(model, 8, seed=1), ids_of(model, 9, seed=2)
    documents = torch.tensor([[0] * 9 + [1] * 8])
    packed = model(torch.cat((other, document), dim=1), allowed=allowed_pairs(documents, causal=False))
    assert torch.allclose(packed[:, 9:], model(document, causal=False), atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("steps", [[1] * 10, [4, 1, 5], [10]])
def test_reading_with_a_cache_equals_one_forward_pass(model, steps):
    ids = ids_of(model, 10)
    cache, states, at = Cache(model.config, capacity=10, like=model.embed.weight), [], 0
    for size in steps:
        states.append(model(ids[:, at : at + size], cache=cache))
        at += size
    assert torch.allclose(torch.cat(states, dim=1), model(ids), atol=1e-5)


@torch.inference_mode()
def test_speaking_after_a_full_read_equals_the_prefix_mask_of_training(model):
    ids = ids_of(model, 12)
    allowed = allowed_pairs(torch.zeros(1, 12, dtype=torch.long), causal=True, prefix=torch.tensor([7]))
    cache = Cache(model.config, capacity=12, like=model.embed.weight)
    read = model(ids[:, :7], causal=False, cache=cache)
    spoken = [model(ids[:, at : at + 1], cache=cache) for at in range(7, 12)]
    assert torch.allclose(torch.cat([read, *spoken], dim=1), model(ids, allowed=allowed), atol=1e-5)


def test_it_learns_a_small_batch_by_heart(model):
    model.train()
    ids = ids_of(model, 17, rows=4)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        nats = next_token_nats(model, model(ids[:, :-1]), ids[:, 1:]) / ids[:, 1:].numel()
        optimiser.zero_grad()
        nats.backward()
        optimiser.step()
    assert float(nats.detach()) < 0.05


def test_input_beyond_the_context_is_refused_with_both_numbers(model):
    with pytest.raises(RecipeError, match="257 tokens do not fit the context of 256"):
        model(ids_of(model, 257))


def test_sizes_that_do_not_fit_each_other_are_refused():
    with pytest.raises(RecipeError, match="heads 8 is no multiple of key_value_heads 3"):
        ModelConfig(key_value_heads=3)
