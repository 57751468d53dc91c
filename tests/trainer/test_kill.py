"""kill -9 at any moment and run again: the weights end with the same bits as those of a run that nobody stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.office import page
from trainer import checkpoint, data, flops, loop, tokenizer
from trainer.data import Packed, Written
from trainer.model import ModelConfig, Transformer
from trainer.pretrain import PretrainConfig, TextBatches, text_losses

ROOT = Path(__file__).resolve().parents[2]
NEVER = (
    1_000_000  # the moment of a process that comes to its end; also that one is a fresh one, as beside no other test
)
CONFIG = PretrainConfig(
    steps=8, length=48, rows=2, tokens_per_step=192, precision="fp32", checkpoint_every=2, log_every=1, device="cpu",
    optimiser="muon", ema=0.8, keep=2,
)  # fmt: skip


def pretrain(folder: Path, name: str) -> Path:
    words = tokenizer.load(folder / "tokenizer.json")
    sizes = ModelConfig(
        vocabulary=words.size, width=32, layers=1, heads=2, key_value_heads=1, head_width=16, hidden=48, context=64,
        dropout=0.1,
    )  # fmt: skip
    torch.manual_seed(3)
    model = Transformer(sizes)
    shards = data.open_shards(folder / "shards", "train", words)
    batches = TextBatches(Packed(shards, length=48, seed=1), words, CONFIG)
    identity = {"model": checkpoint.describe(sizes), "tokenizer": words.identity}
    return loop.train(model, batches, text_losses, CONFIG, folder=folder / name, identity=identity)


def die_at(event: int, folder: Path) -> None:
    """Make the kernel kill this process when it is about to touch a file of `folder` for the n-th time."""
    seen = iter(range(1_000_000))

    def watch(name: str, arguments: tuple[object, ...]) -> None:
        ours = name.startswith(("open", "os.", "shutil.")) and any(str(folder) in str(a) for a in arguments)
        if ours and next(seen) == event:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main(folder: Path, deaths: list[str]) -> None:
    """One process for each death ("run:event"), killed there; this one never trains, so that each begins as a new one would."""
    torch.set_num_threads(1)
    import_module("torch._dynamo")  # what optimisers import when they are made: a second for each child otherwise
    flops.peak(torch.device("cpu"), "fp32")
    for name, event in ((name, int(event)) for name, _, event in (death.partition(":") for death in deaths)):
        child = os.fork()
        if child == 0:
            die_at(event, folder / name)
            pretrain(folder, name)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = sorted(path.name for path in (folder / name).iterdir()) if (folder / name).is_dir() else []
        print(json.dumps([event, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, left]))
    print(json.dumps(["done", 0, []]))


@pytest.fixture(scope="module")
def place(tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("killed")
    words.save(folder / "tokenizer.json")
    data.write([Written("train", "rules", page(seed, 4)) for seed in range(20)], words, folder / "shards")
    return folder


def killed(folder: Path, deaths: list[str]) -> list[tuple[int, int, list[str]]]:
    command = [sys.executable, __file__, str(folder), *deaths]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert last[0] == "done"
    return [tuple(line) for line in lines]


def assert_equal_bits(one: Path, other: Path) -> None:
    for name in ("model", "optimiser", "ema"):
        first, second = load_file(one / f"{name}.safetensors"), load_file(other / f"{name}.safetensors")
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name


def assert_as_if_never_stopped(folder: Path, name: str) -> None:
    straight, resumed = (checkpoint.latest(folder / n) for n in ("straight", name))
    assert straight is not None
    assert resumed is not None
    assert_equal_bits(straight, resumed)
    courses = [(folder / n / "metrics.jsonl").read_text().splitlines() for n in ("straight", name)]
    kept = [[(row["step"], row["causal"], row["norm"]) for row in map(json.loads, lines)] for lines in courses]
    assert [step for step, _, _ in kept[0]] == list(range(1, 9))
    assert kept[0] == kept[1]  # nothing twice, nothing missing
    states = [checkpoint.read_state(path) for path in (straight, resumed)]
    assert states[0]["best"] == states[1]["best"]
    assert states[0]["smoothed"] == states[1]["smoothed"]
    assert not list((folder / name).glob("part-*"))


def test_a_run_killed_again_and_again_ends_with_the_same_bits(place):
    events = [10, 31, 4, 13, 24, 42, 15, 33]  # each a death of the same run, at other places of saving and going on
    *told, ended, straight = killed(place, [f"often:{event}" for event in (*events, NEVER)] + [f"straight:{NEVER}"])
    assert {signal_number for _, signal_number, _ in told} == {signal.SIGKILL}
    assert (ended[1], straight[1]) == (0, 0)
    half = [left for _, _, left in told if any(name.startswith("part-") for name in left)]
    assert len(half) >= 2  # some died while a checkpoint was being written
    assert any("step-00000004" in left for _, _, left in told)  # and the run came on nevertheless
    assert_as_if_never_stopped(place, "often")


@pytest.mark.slow  # a run for each moment
def test_no_moment_is_a_bad_one_to_be_killed(place):
    events = range(0, 76, 3)  # of about 77 times that a run touches its files
    killed(place, [f"once-{event}:{moment}" for event in events for moment in (event, NEVER)] + [f"straight:{NEVER}"])
    for event in events:
        assert_as_if_never_stopped(place, f"once-{event}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
