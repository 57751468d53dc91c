"""Rows of pretraining: what is hidden, what is wasted, what the z-loss does; and the presets."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.office import page
from trainer import data, loop, pretrain, recipe
from trainer.data import Packed, Written
from trainer.errors import RecipeError
from trainer.model import ModelConfig, Transformer, parameters
from trainer.pretrain import PretrainConfig, TextBatches, text_losses, wasted
from trainer.step import Piece, Step

ROOT = Path(__file__).resolve().parents[2]
CONFIG = PretrainConfig(length=256, rows=4, tokens_per_step=2048, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def shards(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    documents = [Written("train", "rules", page(seed, 9)) for seed in range(80)]
    data.write([*documents, Written("held", "rules", page(99, 40))], words, folder)
    return data.open_shards(folder, "train", words)


@pytest.fixture(scope="module")
def batches(words, shards):
    return TextBatches(Packed(shards, length=256, seed=1), words, CONFIG)


def tensors(batch):
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.arrays.items()}


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_less_than_two_tokens_in_a_hundred_are_computed_for_nothing(batches, kind):
    lengths = np.concatenate([shard.lengths for shard in batches.packed.shards])
    assert lengths.mean() < 300  # shorter than documents are outside of tests, which is the harder case
    found = [wasted(batch) for step in range(5) for batch in batches.step(step) if batch.kind == kind]
    assert 0 < np.mean(found) < 0.02


def test_padding_counts_as_wasted(batches):
    batch = batches.batch(0, masked=False)
    half = dict(batch.arrays)
    half["targets"] = half["targets"].copy()
    half["targets"][:, 128:] = -100
    assert wasted(batch._replace(arrays=half)) > 0.45


def test_places_are_exactly_where_targets_are(batches):
    batch = batches.batch(1, masked=True)
    targets, places = batch.arrays["targets"], batch.arrays["places"]
    for row, columns in zip(targets, places, strict=True):
        assert set(np.flatnonzero(row != -100)) <= set(columns)
        assert (row[columns] != -100).sum() == (row != -100).sum()


def test_losses_at_places_are_those_over_all_tokens(model, batches):
    arrays = tensors(batches.batch(1, masked=True))
    some = text_losses(model, arrays, "masked")["masked"]
    whole = text_losses(model, {k: v for k, v in arrays.items() if k != "places"}, "masked")["masked"]
    assert float(some.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)


def test_a_row_never_hides_more_than_it_has_places_for(words, shards):
    config = replace(CONFIG, mask_rate=0.2)
    crowded = TextBatches(Packed(shards, length=256, seed=1), words, config)
    crowded.most_hidden = 20  # what chance would hide is about 45
    hidden = np.concatenate([(crowded.batch(n, masked=True).arrays["targets"] != -100).sum(axis=1) for n in range(4)])
    assert hidden.max() <= 20
    assert hidden.mean() > 15


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_the_z_loss_changes_gradients_but_not_what_is_shown(model, batches, kind):
    arrays = tensors(batches.batch(0, masked=kind == "masked"))

    def learn(z_loss):
        model.zero_grad()
        terms = text_losses(model, arrays, kind, z_loss=z_loss)
        terms[kind].backward()
        return terms, model.embed.weight.grad.clone()

    plain, without = learn(0.0)
    terms, with_z = learn(0.1)
    assert float(terms[kind].detach()) == pytest.approx(float(plain[kind].detach()), rel=1e-6)
    assert set(plain) == {kind}
    assert not terms["z"].requires_grad
    assert not torch.allclose(with_z, without, rtol=1e-2)


def test_the_z_loss_draws_the_sum_of_exponentials_to_one(model, batches):
    arrays = {name: tensor[:1, :64] for name, tensor in tensors(batches.batch(0, masked=False)).items()}

    def squares_after(z_loss):
        learner = Transformer(model.config)
        learner.load_state_dict(model.state_dict())
        optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-2)
        for _ in range(8):
            optimiser.zero_grad()
            terms = text_losses(learner, arrays, "causal", z_loss=z_loss)
            terms["causal"].backward()
            optimiser.step()
        return float(terms["z"])

    assert squares_after(10.0) < 0.8 * squares_after(1e-9)


def test_the_loop_counts_the_z_loss_once(model, batches):
    losses = partial(text_losses, z_loss=0.1)
    pieces = [Piece(0, batches.batch(0, masked=False))]
    step = Step(lambda a, k: losses(model, a, k), {"z": 0.0}, torch.device("cpu"), "fp32")
    learnt = step.backward(pieces)
    assert learnt.loss == pytest.approx(learnt.means["causal"])
    assert learnt.means["z"] > 0


def test_dropout_acts_while_training_only(sizes, batches):
    torch.manual_seed(3)
    model = Transformer(replace(sizes, dropout=0.3))
    ids = tensors(batches.batch(0, masked=False))["ids"]
    assert not torch.allclose(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))


@pytest.mark.parametrize("name", ["tiny", "12m", "30m", "58m"])
def test_a_preset_builds_and_has_the_size_in_its_name(name):
    plan = recipe.load(ROOT / "configs" / f"{name}.toml")
    vocabulary = plan.section("tokenizer", data.TokenizerConfig).vocabulary
    sizes = recipe.build(ModelConfig, {**plan.sections["model"], "vocabulary": vocabulary}, where=name)
    config = plan.section("pretrain", PretrainConfig)
    assert config.length <= sizes.context
    with torch.device("meta"):  # shapes without memory
        count = parameters(Transformer(sizes))
    wanted = float(re.sub("m$", "e6", name)) if name != "tiny" else 1e6
    assert count == pytest.approx(wanted, rel=0.05)


def test_a_share_that_leaves_no_room_for_the_other_kind_is_refused(words, shards):
    with pytest.raises(RecipeError, match="needs at least 2 of them"):
        TextBatches(Packed(shards, length=256, seed=1), words, replace(CONFIG, tokens_per_step=1024))


def test_held_out_rows_are_causal_and_the_same_each_time(words, shards):
    held = pretrain.HeldBatches(shards, words, CONFIG)
    first, again = held.step(0), held.step(7)
    assert {batch.kind for batch in first} == {"causal"}
    assert all((a.arrays["ids"] == b.arrays["ids"]).all() for a, b in zip(first, again, strict=True))
    assert 0 < sum(batch.tokens for batch in first) <= pretrain.HELD_TOKENS


def test_on_a_gpu_a_step_is_looked_at_only_where_that_is_due():
    config = replace(CONFIG, steps=50, log_every=20, checkpoint_every=30, evaluate_every=0)

    def looked_at(device):
        step = Step(None, {}, torch.device(device), "fp32")
        run = object.__new__(loop.Run)
        run.config, run.step = config, step
        return [number for number in range(1, 51) if run.reads(number)]

    assert looked_at("cuda") == [20, 30, 40, 50]
    assert looked_at("cpu") == list(range(1, 51))
