"""Checkpoints: whole or refused, the best beside the last ones, averages for whoever loads them, a full disk survived."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from trainer import checkpoint, optim
from trainer.average import Average
from trainer.errors import CheckpointError, RecipeError
from trainer.model import Transformer

CONFIG = optim.OptimConfig(optimiser="muon")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def parts(sizes):
    """A model that made one step, its optimisers, and averages of its weights."""
    torch.manual_seed(3)
    model = Transformer(sizes)
    optimisers, average = optim.build(model, CONFIG), Average(model, 0.9)
    model(torch.arange(20).view(2, 10) + 16).square().sum().backward()
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    average.update(1)
    return model, optimisers, average


def save(parts, folder, step, *, keep=2, best=-1):
    model, optimisers, average = parts
    state = {"step": step, "identity": {"model": checkpoint.describe(model.config)}, "best": {"step": best}}
    return checkpoint.save(folder, model, optimisers, state, keep=keep, average=average.weights)


def test_the_last_ones_and_the_best_are_kept(parts, tmp_path):
    for step in range(1, 7):
        save(parts, tmp_path, step, keep=2, best=min(step, 3))
    assert [path.name[-1] for path in checkpoint.steps(tmp_path)] == ["3", "5", "6"]
    assert checkpoint.best(tmp_path).name == "step-00000003"
    save(parts, tmp_path, 7, keep=1, best=7)
    assert [path.name[-1] for path in checkpoint.steps(tmp_path)] == ["7"]


def test_whoever_may_read_new_files_may_read_a_checkpoint(parts, tmp_path):
    (tmp_path / "plain").touch()
    path = save(parts, tmp_path, 1)
    assert {file.stat().st_mode for file in path.iterdir()} == {(tmp_path / "plain").stat().st_mode}


def test_whoever_loads_a_checkpoint_gets_the_averages_and_whoever_goes_on_gets_all(parts, sizes, tmp_path):
    model, optimisers, average = parts
    path = save(parts, tmp_path, 1)
    loaded = dict(checkpoint.load(path).named_parameters())
    name = "layers.0.down.weight"
    assert torch.equal(loaded[name], average.weights[name])
    assert not torch.equal(loaded[name], model.state_dict()[name])

    torch.manual_seed(9)
    other = Transformer(sizes)
    fresh, averages = optim.build(other, CONFIG), Average(other, 0.9)
    checkpoint.restore(path, other, fresh, averages.weights)
    assert all(torch.equal(weight, other.state_dict()[key]) for key, weight in model.state_dict().items())
    assert all(torch.equal(weight, averages.weights[key]) for key, weight in average.weights.items())
    one, two = checkpoint.optimiser_tensors(optimisers), checkpoint.optimiser_tensors(fresh)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_averages_follow_the_weights_and_leave_them_alone(model):
    average = Average(model, 0.5)
    weight = model.norm.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    average.update(1_000)
    assert torch.allclose(average.weights["norm.weight"], before + 0.5)
    with average.swapped():
        assert torch.allclose(weight, before + 0.5)
    assert torch.equal(weight, before + 1)
    average.update(1)  # at first only 2 / 11 of the past stays
    assert torch.allclose(average.weights["norm.weight"], before + 1 - 0.5 * 2 / 11)
    with pytest.raises(RecipeError, match="use 0 for none, or a decay"):
        Average(model, 1.0)


@pytest.mark.parametrize("name", ["model", "optimiser", "ema"])
def test_a_truncated_file_is_named_and_nothing_is_overwritten(parts, sizes, tmp_path, name):
    path = save(parts, tmp_path, 1)
    file = path / f"{name}.safetensors"
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(half)
    other = Transformer(sizes)
    with pytest.raises(
        CheckpointError, match=rf"{name}\.safetensors is damaged .* remove this folder to use an earlier"
    ):
        checkpoint.restore(path, other, optim.build(other, CONFIG), Average(other, 0.9).weights)
    assert file.read_bytes() == half


def test_a_checkpoint_of_other_sizes_or_another_optimiser_is_refused_by_name(parts, sizes, tmp_path):
    path = save(parts, tmp_path, 1)
    wider = Transformer(replace(sizes, hidden=128))
    before = wider.state_dict()["norm.weight"].clone()
    with pytest.raises(CheckpointError, match=r"down\.weight is \(64, 96\), the model wants \(64, 128\)"):
        checkpoint.load_weights(path, wider)
    assert torch.equal(wider.state_dict()["norm.weight"], before)  # not even the tensors that would have fitted
    tensors = load_file(path / "optimiser.safetensors")
    save_file({**tensors, "0.99.momentum_buffer": torch.zeros(3, 3)}, path / "optimiser.safetensors")
    model = Transformer(sizes)
    with pytest.raises(CheckpointError, match=r"0\.99\.momentum_buffer \(3, 3\), which fits no weight of this run"):
        checkpoint.restore(path, model, optim.build(model, CONFIG))


def test_another_vocabulary_is_named_before_anything_is_read(parts, tmp_path):
    path = save(parts, tmp_path, 1)
    stored = {"model": {"width": 64}, "tokenizer": "aa11"}
    with pytest.raises(CheckpointError, match="made with tokenizer 'aa11', this run has 'bb22'; go on with the old"):
        checkpoint.check_identity(path, stored, {**stored, "tokenizer": "bb22"})


def test_of_many_settings_those_that_differ_are_named_and_no_others(parts, tmp_path):
    path = save(parts, tmp_path, 1)
    stored = {"batches": {"length": 256, "rows": 8, "seed": 1}, "model": {"width": 64}}
    wanted = {"batches": {"length": 256, "rows": 4, "seed": 2}, "model": {"width": 64}}
    with pytest.raises(CheckpointError) as refused:
        checkpoint.check_identity(path, stored, wanted)
    assert "with batches.rows 8, this run has 4 (also other: batches.seed); go on" in str(refused.value)
    assert "length" not in str(refused.value)


def test_what_is_no_trunk_is_not_loaded_as_one(parts, tmp_path):
    path = save(parts, tmp_path, 1)
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**state, "identity": {"base": "MiniLM"}}))
    with pytest.raises(CheckpointError, match="is no trunk's checkpoint"):
        checkpoint.load(path)


def test_what_a_killed_run_left_is_cleared_and_whole_checkpoints_stay(parts, tmp_path):
    path = save(parts, tmp_path, 1)
    (tmp_path / "part-77").mkdir()
    shutil.copytree(path, tmp_path / "step-00000002")
    (tmp_path / "step-00000002" / "state.json").unlink()
    checkpoint.clear(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


FULL = """
import resource, sys, torch
from pathlib import Path
from trainer import checkpoint, optim
from trainer.errors import CheckpointError
from trainer.model import ModelConfig, Transformer
folder = Path(sys.argv[1])
model = Transformer(ModelConfig(vocabulary=512, width=64, layers=1, hidden=96, heads=2, key_value_heads=1, context=64))
state = {"step": 2}
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    checkpoint.save(folder, model, optim.build(model, optim.OptimConfig()), state, keep=1)
except CheckpointError as error:
    print(error)
"""


def saved_on(folder: Path, how: str, wrapper: list[str]) -> str:
    command = [*wrapper, sys.executable, "-c", FULL, str(folder), how]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=120).stdout


def test_a_write_that_does_not_fit_leaves_the_last_checkpoint_and_says_what_is_needed(parts, tmp_path):
    path = save(parts, tmp_path, 1)
    said = saved_on(tmp_path, "limit", [])  # a file may have 50,000 bytes: what a full quota does, whoever runs this
    assert "a checkpoint takes 0.3 MB and the disk has" in said
    assert f"{path} is whole, and the run goes on from it" in said
    assert [each.name for each in tmp_path.iterdir()] == [path.name]  # no half of the other
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000
    checkpoint.load(path)


@pytest.mark.slow  # a process that imports torch, for what the test above sees from another side
def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path):
    mount = f"mount -t tmpfs -o size=1m none {tmp_path} && "
    wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount + 'exec "$@"', "sh"]
    tried = subprocess.run([*wrapper, "true"], capture_output=True, check=False) if shutil.which("unshare") else None
    if tried is None or tried.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    said = saved_on(tmp_path, "disk", wrapper)
    assert "a checkpoint takes 0.3 MB and the disk has 1.0 MB free" in said
    assert "it starts anew" in said
