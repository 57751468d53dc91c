"""Packed rows: three ways to compute attention let the same pairs through, and nothing else."""

from __future__ import annotations

import warnings

import pytest
import torch

from trainer.attention import BLOCK, Pieces, allowed_pairs, blocks, packed
from trainer.errors import RecipeError
from trainer.model import ModelConfig, Transformer
from trainer.pretrain import text_losses

BLOCKS = pytest.param("blocks", marks=pytest.mark.slow)  # loading what FlexAttention needs takes seconds
WAYS = ["table", "pieces", BLOCKS]
MASKS = [
    pytest.param({"causal": True}, id="causal"),
    pytest.param({"causal": False}, id="full"),
    pytest.param({"causal": True, "prefix": torch.tensor([50, 140])}, id="prompt and answer"),
]


@pytest.fixture(autouse=True)
def flex_without_a_compiler():
    with warnings.catch_warnings():  # on a CPU FlexAttention runs uncompiled, which is what it warns of
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        yield


@pytest.fixture
def model():
    torch.manual_seed(3)
    sizes = ModelConfig(
        vocabulary=300, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=512
    )
    return Transformer(sizes)


@pytest.fixture
def ids():
    return torch.randint(16, 300, (2, 300), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def documents():
    """Borders inside blocks of 128, a document of several blocks, and padding at the end of the second row."""
    numbers = torch.zeros(2, 300, dtype=torch.long)
    numbers[0, 140:] = 1
    numbers[0, 150:] = 2
    numbers[1, 290:] = -1
    return numbers


def states(model, ids, mask):
    model.requires_grad_(False)  # FlexAttention has no backward pass on CPUs; tests marked gpu look at it
    return model(ids, allowed=mask)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("how", ["pieces", BLOCKS])
def test_every_way_to_compute_gives_the_states_of_the_table(model, ids, documents, how, mask):
    expected = states(model, ids, packed(documents, how="table", **mask))
    found = states(model, ids, packed(documents, how=how, **mask))
    real = documents >= 0  # padding may come out as anything
    assert torch.allclose(found[real], expected[real], atol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
def test_pieces_have_the_gradients_of_the_table(model, ids, documents, mask):
    def gradients(how):
        model.zero_grad()
        model(ids, allowed=packed(documents, how=how, **mask)).square()[:, :290].sum().backward()
        return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    expected, found = gradients("table"), gradients("pieces")
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max())), name


@pytest.mark.parametrize("kind", ["causal", "masked"])
@pytest.mark.parametrize("how", WAYS)
def test_changing_one_example_of_a_packed_row_leaves_the_losses_of_the_others(model, ids, documents, how, kind):
    model.requires_grad_(False)

    def loss_of(number, ids):
        targets = torch.where(documents == number, ids.roll(-1, dims=1), -100)
        targets[:, -1] = -100
        arrays = {"ids": ids, "documents": documents, "targets": targets}
        return float(text_losses(model, arrays, kind, how=how)[kind])

    changed = ids.clone()
    changed[0, 145] = 16 + (ids[0, 145] - 15) % 200
    assert loss_of(1, changed) != loss_of(1, ids)  # its own example notices
    for other in (0, 2):
        assert loss_of(other, changed) == pytest.approx(loss_of(other, ids), abs=1e-4 if how == "table" else 1e-6)


def test_no_key_block_is_listed_that_no_pair_needs(documents):
    pairs = allowed_pairs(documents, causal=True)[:, 0]  # [batch, time, time]
    mask = blocks(documents, causal=True)
    count = -(-documents.shape[1] // BLOCK)
    padded = torch.nn.functional.pad(pairs, (0, count * BLOCK - pairs.shape[2], 0, count * BLOCK - pairs.shape[1]))
    needed = padded.view(2, count, BLOCK, count, BLOCK).any(-1).any(-2)  # [batch, blocks, blocks]
    assert torch.equal(mask.to_dense()[:, 0].bool(), needed)


def test_pieces_follow_documents_across_rows():
    documents = torch.tensor([[0, 0, 1], [1, 1, 2]])
    causal = packed(documents, causal=True, how="pieces")
    assert causal == Pieces(((0, 2, 0), (2, 3, 0), (3, 5, 0), (5, 6, 0)))
    full = packed(documents, causal=False, how="pieces")
    assert [opened for _, _, opened in full.bounds] == [2, 1, 2, 1]


def test_an_unknown_way_is_refused(documents):
    with pytest.raises(RecipeError, match="attention is 'fast'; use 'auto', 'pieces', 'blocks' or 'table'"):
        packed(documents, causal=True, how="fast")


@pytest.mark.slow
def test_the_compiled_trunk_is_one_graph_that_new_documents_do_not_change(model, ids):
    torch._dynamo.reset()
    model.requires_grad_(False)
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(model, backend=keep, fullgraph=True)  # raises where the graph would break
    for seed in range(3):
        chance = torch.Generator().manual_seed(seed)
        documents = torch.randint(0, 4, ids.shape, generator=chance).sort(dim=1).values
        for causal in (True, False):
            mask = blocks(documents, causal=causal)
            table = allowed_pairs(documents, causal=causal)
            assert torch.allclose(compiled(ids, allowed=mask), model(ids, allowed=table), atol=1e-5)
    assert len(graphs) == 2  # causal and full
