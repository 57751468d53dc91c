"""The loop: every token weighs the same, and a run that was stopped ends as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.office import page
from trainer import checkpoint, data, loop, optim
from trainer.data import Packed, Written
from trainer.errors import CheckpointError, DivergedError
from trainer.model import Transformer
from trainer.pretrain import PretrainConfig, TextBatches, text_losses
from trainer.step import Batch, Piece, Step

ROOT = Path(__file__).resolve().parents[2]
CONFIG = PretrainConfig(
    steps=8, length=48, rows=2, tokens_per_step=384, precision="fp32", checkpoint_every=3, log_every=1, device="cpu"
)


@pytest.fixture
def shards(words, tmp_path):
    data.write([Written("train", "rules", page(seed, 4)) for seed in range(40)], words, tmp_path / "shards")
    return data.open_shards(tmp_path / "shards", "train", words)


def train(model, words, shards, folder, config):
    batches = TextBatches(Packed(shards, length=config.length, seed=config.seed), words, config)
    identity = {"model": checkpoint.describe(model.config), "tokenizer": words.identity}
    return loop.train(model, batches, text_losses, config, folder=folder, identity=identity)


def fresh(sizes):
    torch.manual_seed(3)
    return Transformer(replace(sizes, dropout=0.1))  # with dropout, so that chance has to be resumed as well


def losses_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: (row["causal"], row["masked"], row["norm"]) for row in rows}


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(sizes, words, shards, tmp_path, monkeypatch, optimiser):
    config = replace(CONFIG, optimiser=optimiser)
    straight = train(fresh(sizes), words, shards, tmp_path / "straight", config)

    real = optim.set_rate
    calls = iter(range(100))

    def die_in_step_five(*arguments):
        if next(calls) == 5:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(optim, "set_rate", die_in_step_five)
    with pytest.raises(KeyboardInterrupt):
        train(fresh(sizes), words, shards, tmp_path / "stopped", config)
    monkeypatch.setattr(optim, "set_rate", real)
    assert checkpoint.latest(tmp_path / "stopped").name == "step-00000003"
    torch.manual_seed(99)  # whatever happened in between
    resumed = train(fresh(sizes), words, shards, tmp_path / "stopped", config)

    assert losses_of(tmp_path / "stopped") == losses_of(tmp_path / "straight")
    for name in ("model.safetensors", "optimiser.safetensors"):
        one, other = load_file(straight / name), load_file(resumed / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


KILLED = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
import torch
from trainer import data, tokenizer
from trainer.model import ModelConfig, Transformer
from tests.trainer.test_loop import CONFIG, replace, train
torch.set_num_threads(1)
folder = Path({folder!r})
words = tokenizer.load(folder / "tokenizer.json")
torch.manual_seed(3)
model = Transformer(ModelConfig(**{sizes!r}))
config = replace(CONFIG, steps=1_000_000, checkpoint_every=1)
train(model, words, data.open_shards(folder / "shards", "train", words), folder / "run", config)
"""


def test_a_killed_process_leaves_only_whole_checkpoints(sizes, words, shards, tmp_path):
    words.save(tmp_path / "tokenizer.json")
    script = KILLED.format(root=str(ROOT), folder=str(tmp_path), sizes=checkpoint.describe(sizes))
    child = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    shown = next(line for line in child.stderr if line.startswith("step 3/"))  # by then two checkpoints are on the disk
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stderr.close()
    assert "tokens/s" in shown
    newest = checkpoint.latest(tmp_path / "run")
    assert newest is not None
    done = checkpoint.read_state(newest)["step"]
    config = replace(CONFIG, steps=done + 2)
    torch.manual_seed(3)
    model = Transformer(sizes)
    assert checkpoint.read_state(train(model, words, shards, tmp_path / "run", config))["step"] == done + 2


def test_a_token_weighs_the_same_wherever_it_lands(model):
    rows = np.random.default_rng(1).integers(16, 500, (4, 12))
    targets = rows.copy()
    targets[0, 2:] = -100  # rows that count very differently
    targets[2, 5:] = -100
    documents = np.zeros_like(rows)

    def batch(which):
        arrays = {"ids": rows[which], "targets": targets[which], "documents": documents[which]}
        return Batch(arrays, {"causal": float((targets[which] != -100).sum())}, tokens=0, kind="causal")

    def gradients(micro):
        model.zero_grad()
        step = Step(lambda arrays, kind: text_losses(model, arrays, kind), {}, torch.device("cpu"), "fp32")
        means = step.backward([Piece(number, batch) for number, batch in enumerate(micro)]).means
        return means["causal"], torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])

    together, one = gradients([batch([0, 1, 2, 3])])
    apart, other = gradients([batch([i]) for i in range(4)])
    assert together == pytest.approx(apart, rel=1e-5)
    assert torch.allclose(one, other, atol=1e-6)
    halves = [gradients([batch(which)])[0] for which in ([0, 1], [2, 3])]
    assert sum(halves) / 2 != pytest.approx(together, rel=1e-4)  # a mean of means would have been another number


def test_hidden_words_are_not_among_the_inputs_and_borders_are_not_targets(words, shards):
    batches = TextBatches(Packed(shards, length=48, seed=1), words, replace(CONFIG, rows=8, tokens_per_step=768))
    causal, masked = batches.step(0)
    assert (causal.kind, masked.kind) == ("causal", "masked")
    for batch in (causal, masked):
        ids, targets, documents = (batch.arrays[name] for name in ("ids", "targets", "documents"))
        assert batch.counts[batch.kind] == (targets != -100).sum()
        ends = documents[:, 1:] != documents[:, :-1]
        assert ends.any()
        assert (targets[:, :-1][ends] == -100).all()
    ids, targets = masked.arrays["ids"], masked.arrays["targets"]
    rows = np.stack([batches.packed.row(8 + r) for r in range(8)])[:, :-1]
    hidden = targets[:, :-1] != -100
    assert 0.1 < hidden.mean() < 0.3
    assert (ids[:, 1:] == words.mask)[hidden].mean() > 0.7
    assert ((ids != rows)[:, 1:] <= hidden).all()  # nothing else was touched


def test_a_checkpoint_of_another_model_is_refused_and_stays(sizes, words, shards, tmp_path):
    first = train(fresh(sizes), words, shards, tmp_path / "run", replace(CONFIG, steps=2))
    before = (first / "model.safetensors").read_bytes()
    torch.manual_seed(3)
    with pytest.raises(CheckpointError, match="choose another --out"):
        train(Transformer(replace(sizes, hidden=128)), words, shards, tmp_path / "run", CONFIG)
    assert (first / "model.safetensors").read_bytes() == before


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_last_checkpoint(sizes, words, shards, tmp_path):
    model = fresh(sizes)
    train(model, words, shards, tmp_path / "run", replace(CONFIG, steps=3))

    def broken(model, arrays, kind):
        return {term: value * float("nan") for term, value in text_losses(model, arrays, kind).items()}

    batches = TextBatches(Packed(shards, length=CONFIG.length, seed=1), words, CONFIG)
    identity = {"model": checkpoint.describe(model.config), "tokenizer": words.identity}
    with pytest.raises(DivergedError, match="step-00000003"):
        loop.train(model, batches, broken, CONFIG, folder=tmp_path / "run", identity=identity)


def test_a_run_that_is_out_of_minutes_saves_and_goes_on_later(sizes, words, shards, tmp_path):
    paused = train(fresh(sizes), words, shards, tmp_path / "run", replace(CONFIG, minutes=1e-9))
    assert checkpoint.read_state(paused)["step"] == 1
    finished = train(fresh(sizes), words, shards, tmp_path / "run", CONFIG)
    assert checkpoint.read_state(finished)["step"] == 8


def test_only_the_last_checkpoints_are_kept(sizes, words, shards, tmp_path):
    train(fresh(sizes), words, shards, tmp_path / "run", CONFIG)
    assert [path.name for path in checkpoint.steps(tmp_path / "run")] == ["step-00000006", "step-00000008"]


@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_the_learning_rate_rises_stays_and_falls(schedule):
    config = replace(CONFIG, steps=100, schedule=schedule, warmup_share=0.1, decay_share=0.2)
    course = [optim.factor(step, config) for step in range(100)]
    assert course[0] == pytest.approx(0.1)
    assert max(course) == pytest.approx(1.0)
    assert course[99] < 0.06
    assert course == sorted(course[:11]) + sorted(course[11:], reverse=True)
