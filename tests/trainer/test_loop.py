"""The loop: every token weighs the same, and a run that was stopped ends as one that was not."""

from __future__ import annotations

import json
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
from trainer.step import Batch, Piece, Step, parts_of, share

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


def test_a_run_that_goes_on_or_has_nothing_left_to_learn_says_so(sizes, words, shards, tmp_path, capsys):
    for steps, said in ((2, ""), (3, "going on behind step 2 of 3\n"), (1, "3 steps are done and 1 were asked for")):
        train(fresh(sizes), words, shards, tmp_path, replace(CONFIG, steps=steps))
        told = capsys.readouterr().err
        assert said in told
        assert ("going on" in told or "nothing is left" in told) == bool(said)


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


def test_fewer_rows_at_a_time_come_to_the_same_gradients(model, words, shards):
    config = replace(CONFIG, rows=6, tokens_per_step=576)
    micro = TextBatches(Packed(shards, length=48, seed=1), words, config).step(0)
    step = Step(lambda arrays, kind: text_losses(model, arrays, kind), {}, torch.device("cpu"), "fp32")
    found = []
    for parts in (1, parts_of(micro, rows_at_a_time=4)):
        model.zero_grad()
        learnt = step.backward(share(micro, parts))
        found.append((learnt, torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])))
    (whole, one), (cut, other) = found
    assert parts == 2
    assert cut.means == pytest.approx(whole.means, rel=1e-6)
    assert cut.tokens == whole.tokens == 576
    assert torch.allclose(one, other, atol=1e-6)


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


class Scripted:
    """A loss that follows a list, step by step."""

    def __init__(self, course):
        self.course = iter(course)

    def __call__(self, model, arrays, kind):
        value = next(self.course) if kind == "causal" else 0.0
        weights = sum((w * 0).sum() for w in model.parameters())
        return {kind: weights + value * float((arrays["targets"] != -100).sum())}


def scripted(sizes, words, shards, folder, course, config, **more):
    batches = TextBatches(Packed(shards, length=config.length, seed=1), words, config)
    return loop.train(
        fresh(sizes), batches, Scripted(course), config, folder=folder, identity={"run": "scripted"}, **more
    )


SCRIPTED = replace(CONFIG, steps=60, tokens_per_step=192, rows_at_a_time=2, checkpoint_every=10, patience=5)


def test_a_loss_that_leaves_its_course_stops_the_run_at_the_last_good_checkpoint(sizes, words, shards, tmp_path):
    course = [3.0 + 0.01 * (n % 3) for n in range(28)] + [9.0] * 40
    with pytest.raises(DivergedError, match=r"step 32: the loss was above 4\.\d+ for 5 steps .*step-00000020; go on"):
        scripted(sizes, words, shards, tmp_path, course, SCRIPTED)
    assert checkpoint.latest(tmp_path).name == "step-00000020"  # 30 was due while the loss was odd


def test_a_few_odd_steps_are_forgiven_and_their_checkpoint_comes_late(sizes, words, shards, tmp_path):
    course = [3.0] * 28 + [9.0] * 4 + [3.0] * 28
    config = replace(SCRIPTED, steps=40, keep=9)
    scripted(sizes, words, shards, tmp_path, course, config)
    assert [int(path.name[-2:]) for path in checkpoint.steps(tmp_path)] == [10, 20, 33, 40]


def test_without_held_out_text_the_smoothed_loss_names_the_best(sizes, words, shards, tmp_path):
    course = [4.0] * 10 + [2.0] * 10 + [2.9] * 40
    scripted(sizes, words, shards, tmp_path, course, replace(SCRIPTED, keep=1, patience=0))
    assert [int(path.name[-2:]) for path in checkpoint.steps(tmp_path)] == [20, 60]
    best = checkpoint.read_state(checkpoint.latest(tmp_path))["best"]
    assert best["by"] == "smoothed training loss"
    assert best["step"] == 20


def test_held_out_text_names_the_best_and_is_not_learnt_from(sizes, words, shards, tmp_path):
    config = replace(CONFIG, evaluate_every=2, checkpoint_every=100, ema=0.5, peak_learning_rate=5e-3)
    batches = TextBatches(Packed(shards, length=48, seed=1), words, config)
    held = TextBatches(Packed(shards, length=48, seed=9), words, config)
    identity = {"model": checkpoint.describe(sizes)}
    ends = {}
    for name, more in (("with", {"held": held}), ("without", {})):
        last = loop.train(fresh(sizes), batches, text_losses, config, folder=tmp_path / name, identity=identity, **more)
        ends[name] = load_file(last / "model.safetensors")
    assert all(torch.equal(ends["with"][key], ends["without"][key]) for key in ends["with"])
    rows = [json.loads(line) for line in (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()]
    looks = {row["step"]: row["held_out"] for row in rows if "held_out" in row}
    assert list(looks) == [2, 4, 6, 8]
    best = checkpoint.read_state(checkpoint.best(tmp_path / "with"))["best"]
    assert best["loss"] == pytest.approx(min(looks.values()), abs=1e-5)
    assert best["step"] == min(looks, key=looks.get)
    step = Step(lambda *given: text_losses(averaged, *given), {}, torch.device("cpu"), "fp32")
    averaged = checkpoint.load(checkpoint.best(tmp_path / "with")).eval()  # the averages are what was looked at
    assert step.measure(share(held.step(0), 1)).loss == pytest.approx(best["loss"], abs=1e-5)


def test_metrics_go_on_where_the_run_goes_on_and_say_what_was_spent(sizes, words, shards, tmp_path):
    config = replace(CONFIG, price_per_kwh=1000.0, price_per_hour=3600.0, steps=4, checkpoint_every=4)
    last = train(fresh(sizes), words, shards, tmp_path, config)
    path = tmp_path / "metrics.jsonl"
    with path.open("a") as out:  # a run that came to step 6 and was killed in the middle of a line
        out.write(json.dumps({**json.loads(path.read_text().splitlines()[-1]), "step": 5}) + '\n{"step": 6, "cau')
    state = checkpoint.read_state(last)
    expected = 1000.0 * state["joules"] / 3.6e6 + state["seconds"]
    assert state["cost"] == pytest.approx(expected, rel=1e-6)
    assert state["currency"] == "EUR"
    assert state["energy_method"] in ("estimate", "rapl", "codecarbon")
    train(fresh(sizes), words, shards, tmp_path, replace(config, steps=8))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 9))
    keys = {"step", "causal", "masked", "norm", "rate", "tokens", "tokens_per_second", "mfu", "seconds_left", "kwh"}
    assert all(set(row) == keys and 0 < row["mfu"] < 1 for row in rows)
    assert checkpoint.read_state(checkpoint.latest(tmp_path))["cost"] > state["cost"]


def test_a_run_begins_by_saying_what_was_chosen_and_why(sizes, words, shards, tmp_path, capsys):
    train(fresh(sizes), words, shards, tmp_path, replace(CONFIG, steps=1))
    chosen, progress = capsys.readouterr().err.splitlines()
    assert chosen.startswith("cpu: as the recipe says; fp32: as the recipe says; 2 of 2 rows at a time: a row keeps ")
    assert "MFU" in progress
    assert "of a measured" in progress
    train(fresh(sizes), words, shards, tmp_path, replace(CONFIG, steps=2))
    assert "2 of 2 rows at a time: as the run began" in capsys.readouterr().err


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
