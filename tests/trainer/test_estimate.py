"""--dry-run: what a run would take, measured with its own rows, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.trainer.office import page
from trainer import checkpoint, corpus, data, estimate, finetune, flops, pretrain, recipe, tokenizer
from trainer.errors import DataError, MissingExtra, RecipeError, need
from trainer.model import ModelConfig, Transformer

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "tokenizer.vocabulary=512", "model.width=64", "model.layers=2", "model.head_width=16", "model.hidden=96",
    "model.context=128", "pretrain.length=64", "pretrain.rows=4", "pretrain.tokens_per_step=512", "pretrain.steps=100",
    "pretrain.price_per_kwh=0.3", "pretrain.price_per_hour=1.5", "pretrain.device='cpu'", "pretrain.precision='fp32'",
]  # fmt: skip


@pytest.fixture
def plan(words, tmp_path, monkeypatch):
    """A recipe with a tokenizer and shards."""
    monkeypatch.setattr(estimate, "SECONDS", 0.2)
    out = tmp_path / "out"
    words.save(out / "tokenizer.json")
    data.write([data.Written("train", "rules", page(seed, 4)) for seed in range(40)], words, out / "shards")
    return recipe.load(ROOT / "configs" / "tiny.toml", data=tmp_path, out=out, overrides=SMALL)


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_dry_run_counts_and_measures_and_writes_nothing(plan):
    before = files_of(plan.out)
    found = estimate.estimate(pretrain.pretrain, plan)
    assert files_of(plan.out) == before
    assert found.stage == "pretrain"
    assert not found.made_up_text
    sizes = ModelConfig(
        vocabulary=512, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=128
    )
    assert found.parameters == sum(weight.numel() for weight in Transformer(sizes).parameters())
    assert (found.tokens_per_step, found.tokens) == (512, 51_200)
    matrices = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96)
    attention = 12 * 2 * 4 * 16 * 64
    assert 6 * matrices + attention < found.flops_per_token < 6 * (matrices + 512 * 64) + attention
    assert found.flops == pytest.approx(found.flops_per_token * 51_200)
    assert found.minutes == pytest.approx(51_200 / found.tokens_per_second / 60, rel=0.05, abs=0.01)
    assert found.kwh > 0
    assert 0 < found.mfu < 1
    assert found.cost == pytest.approx(0.3 * found.kwh + 1.5 * found.minutes / 60, abs=0.01)


def test_a_dry_run_of_a_run_that_goes_on_counts_what_is_left(plan):
    whole = estimate.estimate(pretrain.pretrain, plan)
    six = recipe.load(
        ROOT / "configs" / "tiny.toml", data=plan.data, out=plan.out, overrides=[*SMALL, "pretrain.steps=6"]
    )
    pretrain.pretrain(six)
    rest = estimate.estimate(pretrain.pretrain, plan)
    assert rest.steps_done == 6
    assert whole.tokens - rest.tokens == 6 * 512
    assert checkpoint.read_state(checkpoint.latest(plan.out / "pretrain"))["step"] == 6


def test_pretraining_is_estimated_before_there_is_text(plan, tmp_path):
    empty = recipe.load(ROOT / "configs" / "tiny.toml", data=tmp_path, out=tmp_path / "none", overrides=SMALL)
    found = estimate.estimate(pretrain.pretrain, empty)
    known = estimate.estimate(pretrain.pretrain, plan)
    assert found.made_up_text
    assert (found.parameters, found.tokens) == (known.parameters, known.tokens)
    assert found.flops == pytest.approx(known.flops, rel=0.1)
    assert not (tmp_path / "none").exists()
    said = estimate.report(pretrain.pretrain, empty, as_json=False)
    assert "rows of chance" in said
    assert "nothing was written" in said


def test_stages_that_cannot_be_estimated_say_why(plan):
    with pytest.raises(RecipeError, match="corpus has no --dry-run; pretrain, finetune, reader have"):
        estimate.estimate(corpus.corpus, plan)
    with pytest.raises(DataError, match="run `trainer rows` first"):
        estimate.estimate(finetune.finetune, plan)


def test_the_plain_command_line_prints_an_estimate_as_json(plan):
    overrides = [part for override in SMALL for part in ("--set", override)]
    command = [sys.executable, "-m", "trainer.pretrain", "--config", "configs/tiny.toml", "--out", str(plan.out)]
    script = "import sys, trainer.estimate as e; e.SECONDS = 0.2; from trainer import pretrain, recipe; recipe.main(pretrain.pretrain, sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, *command[3:], *overrides, "--dry-run", "--json"],
        capture_output=True, text=True, cwd=ROOT, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["stage"] == "pretrain"
    assert told["formula"] == flops.FORMULA
    assert told["devices"] == 1


BARE = """
import sys

class Bare:
    allowed = {"torch", "numpy", "tokenizers", "safetensors", "sentence_transformers", "trainer", *sys.stdlib_module_names}

    def find_spec(self, name, path=None, target=None):
        asker = sys._getframe(1)
        while "importlib" in asker.f_code.co_filename:
            asker = asker.f_back
        ours = asker.f_globals.get("__name__", "").partition(".")[0] in ("trainer", "__main__")
        if ours and name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"{name} is not on a bare machine, and {asker.f_globals['__name__']} imports it")

sys.meta_path.insert(0, Bare())
for name in sys.argv[1:]:
    __import__(f"trainer.{name}")
    print(name)
"""
PATH = (
    "pretrain finetune reader evaluate data export model loop step distributed estimate checkpoint optim energy progress "
    "average machine flops recipe tokenizer chat reading encoder encoder_reader scoring.calibrate embedder lora"
).split()


def test_the_training_path_imports_only_what_a_bare_machine_has():
    done = subprocess.run([sys.executable, "-c", BARE, *PATH], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split() == PATH, done.stderr[-2000:]


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    with pytest.raises(MissingExtra, match=r'A page needs no_such_module: pip install "groundling\[train\]"'):
        need("no_such_module", extra="train", task="A page")
    assert need("json", extra="train", task="A page") is json


def test_frozen_weights_cost_less_and_tables_nothing():
    model = torch.nn.ModuleDict({"words": torch.nn.Embedding(100, 8), "one": torch.nn.Linear(8, 8, bias=False)})
    batch = estimate.Batch({"ids": torch.zeros(2, 5).numpy()}, {}, 10)
    assert flops.per_token(model, [batch]) == 6 * 64
    model["one"].weight.requires_grad_(False)
    assert flops.per_token(model, [batch]) == 4 * 64


def test_the_words_of_chance_name_a_real_tokenizer(words):
    text = estimate.Chance(length=64, vocabulary=512)
    assert (text.end, text.mask) == (words.end, words.mask)
    assert isinstance(words, tokenizer.Tokenizer)
    assert text.row(3).max() < 512
    assert (text.row(3) == text.row(3)).all()
