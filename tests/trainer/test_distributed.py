"""Two processes are one: the same losses and weights up to rounding, the same checkpoints, whatever divides the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.office import page
from trainer import checkpoint, data, distributed, loop, tokenizer
from trainer.data import Packed, Written
from trainer.errors import RecipeError
from trainer.model import ModelConfig, Transformer
from trainer.pretrain import PretrainConfig, TextBatches, text_losses
from trainer.step import Batch, parts_of, share

ROOT = Path(__file__).resolve().parents[2]
CONFIG = PretrainConfig(
    steps=4, length=48, rows=2, tokens_per_step=384, precision="fp32", checkpoint_every=2, log_every=1, device="cpu",
    ema=0.9, keep=9,
)  # fmt: skip
CASES = {
    "ddp": replace(CONFIG, optimiser="adamw"),
    "fsdp": replace(CONFIG, optimiser="adamw", parallel="fsdp"),
    "ddp-muon": replace(CONFIG, optimiser="muon"),
    "fsdp-muon": replace(CONFIG, optimiser="muon", parallel="fsdp"),
    "odd": replace(CONFIG, rows=4, tokens_per_step=192, masked_share=0.0),  # one micro-batch, cut for two
}


def run(folder: Path, case: str, *, steps: int = 4) -> Path:
    """One training run of a case in `folder/case`, in as many processes as there are."""
    words = tokenizer.load(folder / "tokenizer.json")
    config = replace(CASES[case], steps=steps)
    sizes = ModelConfig(
        vocabulary=words.size, width=64, layers=2, heads=4, key_value_heads=2, head_width=16, hidden=96, context=256,
        dropout=0.0 if case == "odd" else 0.1,  # chance is drawn anew for each part of a micro-batch
    )  # fmt: skip
    torch.manual_seed(3)
    model = Transformer(sizes)
    batches = TextBatches(Packed(data.open_shards(folder / "shards", "train", words), length=48, seed=1), words, config)
    identity = {"model": checkpoint.describe(sizes), "tokenizer": words.identity}
    saved = loop.train(model, batches, text_losses, config, folder=folder / case, identity=identity)
    averaged = load_file(saved / "ema.safetensors")  # the model is left as whoever loads the checkpoint gets it
    assert all(torch.equal(averaged[name], weight) for name, weight in model.state_dict().items())
    return saved


def main(runs: list[str]) -> None:
    """In each of the processes."""
    torch.set_num_threads(1)
    with distributed.group("cpu"):
        for each in runs:
            folder, case, steps = each.split(":")
            run(Path(folder), case, steps=int(steps))
            sys.stderr.write(f"{each} done by {distributed.rank()} of {distributed.world()}\n")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, words):
    """All cases in one process, in two, and begun by one and ended by the other."""
    alone, two, mixed = (tmp_path_factory.mktemp(name) for name in ("alone", "two", "mixed"))
    for folder in (alone, two, mixed):
        words.save(folder / "tokenizer.json")
        data.write([Written("train", "rules", page(seed, 4)) for seed in range(40)], words, folder / "shards")
    for case in CASES:
        run(alone, case)
    run(mixed, "ddp", steps=2)  # one process begins, two go on
    torchrun([*(f"{two}:{case}:4" for case in CASES), *(f"{mixed}:{case}" for case in ("ddp:4", "fsdp-muon:2"))])
    run(mixed, "fsdp-muon")  # two begin, one goes on
    return alone, two, mixed


def torchrun(runs: list[str]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *runs], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[:6000]
    assert done.stderr.count("done by 1 of 2") == len(runs)


def differences(one: Path, other: Path, name: str) -> float:
    first, second = load_file(one / f"{name}.safetensors"), load_file(other / f"{name}.safetensors")
    assert {key: tensor.shape for key, tensor in first.items()} == {key: t.shape for key, t in second.items()}
    return max(float((first[key] - second[key]).abs().max()) for key in first)


def course(folder: Path) -> list[tuple[float, ...]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["causal"], line.get("masked", 0.0), line["norm"], line["tokens"]) for line in lines]


@pytest.mark.slow  # starts two processes several times: 25 s
@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_learns(folders, case):
    alone, two, _ = folders
    one, other = course(alone / case), course(two / case)
    assert len(one) == 4
    assert [value for line in one for value in line] == pytest.approx([v for line in other for v in line], rel=2e-4)
    # Muon's products are computed in bf16, in which 1.0 and 1.008 are neighbours; a step moves weights by about 1e-3
    most = 1e-3 if case.endswith("muon") else 2e-5
    assert differences(alone / case / "step-00000004", two / case / "step-00000004", "model") < most
    assert differences(alone / case / "step-00000004", two / case / "step-00000004", "ema") < most


@pytest.mark.slow  # likewise
@pytest.mark.parametrize("case", ["ddp", "fsdp-muon"])
def test_a_run_goes_on_with_more_or_fewer_processes(folders, case):
    alone, _, mixed = folders
    assert course(alone / case)[:2] == course(mixed / case)[:2] or case != "ddp"
    most = 1e-3 if case.endswith("muon") else 2e-5
    for name in ("model", "ema", "optimiser"):
        assert differences(alone / case / "step-00000004", mixed / case / "step-00000004", name) < most
    assert [line[0] for line in course(mixed / case)] == [1, 2, 3, 4]
    state = checkpoint.read_state(mixed / case / "step-00000004")
    assert state["devices"] == (2 if case == "ddp" else 1)


def test_a_step_that_cannot_be_shared_out_evenly_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    whole = Batch({"ids": np.zeros((3, 5))}, {"causal": 15.0}, 15)
    with pytest.raises(RecipeError, match="3 micro-batches of 1 rows that can be told apart"):
        parts_of([whole] * 3, rows_at_a_time=8)
    rows = whole._replace(separable=True)
    assert parts_of([rows] * 3, rows_at_a_time=8) == 2
    assert parts_of([rows] * 2, rows_at_a_time=8) == 1
    assert parts_of([rows] * 2, rows_at_a_time=1) == 3


def test_parts_of_a_step_hold_every_row_once_and_count_once(monkeypatch):
    micro = [
        Batch({"ids": np.arange(15).reshape(5, 3) + 100 * m}, {"causal": 15.0}, 15, "causal", True) for m in range(2)
    ]
    monkeypatch.setattr(distributed, "world", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares += share(micro, 3)
    assert sorted(piece.number for piece in shares) == list(range(6))
    rows = np.concatenate([piece.batch.arrays["ids"] for piece in sorted(shares, key=lambda piece: piece.number)])
    assert (rows == np.concatenate([batch.arrays["ids"] for batch in micro])).all()
    assert sum(piece.batch.tokens for piece in shares) == 30
    assert sum(piece.batch.counts.get("causal", 0) for piece in shares) == 30


if __name__ == "__main__":
    main(sys.argv[1:])
