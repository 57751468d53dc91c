"""How fast do we pretrain, against transformers.Trainer? `make bench-train`; `python -m benchmarks.train --data DIR`.

    same rows, threads, tokens a step and steps ─┬─► our loop ──────────────┐
                                                 ├─► Trainer, default rate ─┼─► in turns, some steps each ─► losses
                                                 └─► Trainer, better rate ──┘

Takes   the data folder with pretrain/*.jsonl.xz; packages of the extra `bench`.
Gives   progress on stderr and, as the last line, one JSON object: `ratio_to_trainer` (our tokens/s over the Trainer's,
        medians over rounds), `loss_ratio` (our held-out causal loss over its better one), and all figures behind them.
Fair    a Qwen3 model of equal sizes from transformers; the Trainer as it comes (fp32, AdamW, linear decay, batches of
        eight, its own data loader) at its default learning rate and at a rate tuned for this task; the better loss
        counts, and the median over the rounds of both, which compute the same. Ours runs causal rows only, so both
        learn the same task from the same text.
        The first and the last round are left out: set-up and saving are not training.
On a GPU `--device cuda` measures the 30m layout and prints how much of the chip's peak is used (MFU, trainer/flops.py);
        without a data folder `--made-up` gives rows of chance, which serve for speed only.
"""

from __future__ import annotations

import argparse
import json
import lzma
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.record import machine, record
from benchmarks.turns import Round, take_turns
from trainer import data, flops, loop, pretrain, tokenizer
from trainer.estimate import Chance
from trainer.model import ModelConfig, Transformer, parameters

ROOT = Path(__file__).resolve().parent.parent
HELD_ONE_IN = 30  # documents


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured."""

    sizes: ModelConfig
    rows: int  # of a micro-batch, and of the Trainer's batch
    tokens_per_step: int
    peak_learning_rate: float  # ours
    rates: tuple[float, ...]  # the Trainer's
    most_steps: int
    least_steps: int
    steps_a_round: int
    bytes_per_domain: int
    device: str
    compile: bool = False

    @property
    def length(self) -> int:
        """Tokens of a row."""
        return self.sizes.context


CPU = Plan(
    sizes=ModelConfig(width=320, layers=8, heads=6, key_value_heads=2, head_width=64, hidden=896, context=1024),
    rows=8, tokens_per_step=8192, peak_learning_rate=4e-3, rates=(5e-5, 2e-3), most_steps=60, least_steps=15,
    steps_a_round=3, bytes_per_domain=1_500_000, device="cpu",
)  # fmt: skip
QUICK = Plan(
    sizes=ModelConfig(vocabulary=2048, width=128, layers=4, heads=4, key_value_heads=2, head_width=32, hidden=352,
                      context=256),
    rows=8, tokens_per_step=2048, peak_learning_rate=8e-3, rates=(5e-5, 3e-3), most_steps=40, least_steps=20,
    steps_a_round=4, bytes_per_domain=150_000, device="cpu",
)  # fmt: skip
CUDA = Plan(
    sizes=ModelConfig(context=1024), rows=32, tokens_per_step=131_072, peak_learning_rate=2e-3, rates=(5e-5, 1e-3),
    most_steps=200, least_steps=60, steps_a_round=20, bytes_per_domain=40_000_000, device="cuda", compile=True,
)  # fmt: skip


class Rows:
    """Packed rows, each met once: what both sides learn from."""

    def __init__(self, rows: Any, length: int, count: int) -> None:
        self.rows, self.length, self.count = rows, length, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """As the Trainer wants it; the model shifts the labels itself."""
        ids = torch.from_numpy(self.rows.row(number)[: self.length].astype(np.int64))
        return {"input_ids": ids, "labels": ids}


def main() -> None:
    """Prepare, train in turns, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="of both sides; torch's own choice when not given")
    parser.add_argument("--minutes", type=float, default=18.0, help="the number of steps is chosen to fit")
    parser.add_argument("--quick", action="store_true", help="a small model for a minute or two; nothing is recorded")
    parser.add_argument("--alone", action="store_true", help="without the Trainer: tokens/s and MFU only")
    parser.add_argument("--made-up", action="store_true", help="rows of chance, where there is no data folder")
    parser.add_argument("--rates", type=float, nargs="+", help="learning rates of the Trainer")
    given = parser.parse_args()
    plan = QUICK if given.quick else CUDA if given.device == "cuda" else CPU
    if given.rates:
        plan = Plan(**{**vars(plan), "rates": tuple(given.rates)})
    if plan.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; leave --device away to measure the CPU")
    if given.threads:
        torch.set_num_threads(given.threads)
    result = measure(plan, given)
    if not (given.quick or given.alone or given.made_up):
        record("train" if plan.device == "cpu" else "train_cuda", result)
    print(json.dumps(result))


def measure(plan: Plan, given: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        words, rows, held = prepare(plan, given, Path(folder))
        sides = {"ours": Ours(plan, words, rows, Path(folder) / "ours")}
        for rate in () if given.alone else plan.rates:
            sides[f"trainer at {rate:g}"] = Theirs(plan, rows, rate, Path(folder) / f"theirs-{rate:g}")
        steps = steps_that_fit(plan, sides, given.minutes)
        sys.stderr.write(f"{steps} steps of {plan.tokens_per_step:,} tokens, {torch.get_num_threads()} threads\n")
        rounds = take_turns({name: partial(s.train, steps) for name, s in sides.items()}, steps=plan.steps_a_round)
        losses = {name: held_out(side.logits, held, plan.device) for name, side in sides.items()} if held else {}
        return report(plan, sides, steps, rounds=rounds, losses=losses)


def prepare(plan: Plan, given: argparse.Namespace, folder: Path) -> tuple[Any, Any, list[Tensor]]:
    """Tokenizer, packed rows, and held-out rows of one document each."""
    if given.made_up:
        chance: Any = Chance(length=plan.length, vocabulary=plan.sizes.vocabulary)
        return chance, chance, []
    files = sorted((given.data / "pretrain").glob("*.jsonl.xz"))
    if not files:
        sys.exit(f"{given.data}/pretrain holds no *.jsonl.xz; name the data folder by --data, or use --made-up")
    texts = [(path.name.split(".")[0], text) for path in files for text in some(path, plan.bytes_per_domain)]
    words = tokenizer.train((text for _, text in texts), vocabulary=plan.sizes.vocabulary)
    written = (
        data.Written("held" if number % HELD_ONE_IN == 0 else "train", domain, text)
        for number, (domain, text) in enumerate(texts)
    )
    data.write(written, words, folder / "shards")
    train, kept = (data.open_shards(folder / "shards", split, words) for split in ("train", "held"))
    packed = data.Packed(train, length=plan.length, seed=1)
    held = [
        torch.from_numpy(shard.ids[first : first + min(size, plan.length + 1)].astype(np.int64))
        for shard in kept
        for first, size in zip(shard.starts, shard.lengths, strict=True)
        if size > 1
    ]
    tokens = sum(shard.entry.tokens for shard in train)
    sys.stderr.write(f"{tokens:,} tokens to learn from, {sum(map(len, held)):,} held out in {len(held)} rows\n")
    return words, packed, held


def some(path: Path, most: int) -> Iterator[str]:
    """The first texts of a compressed JSONL file, up to `most` characters."""
    given = 0
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            given += len(text)
            yield text
            if given > most:
                return


class Ours:
    """`trainer pretrain`, without its command line."""

    def __init__(self, plan: Plan, words: Any, rows: Any, folder: Path) -> None:
        torch.manual_seed(1)
        self.plan, self.words, self.rows, self.folder = plan, words, rows, folder
        self.model = Transformer(plan.sizes)

    def train(self, steps: int, before: Callable[[], None]) -> None:
        """Run the loop; `before` is called before each step."""
        plan = self.plan
        config = pretrain.PretrainConfig(
            steps=steps, length=plan.length, rows=plan.rows, tokens_per_step=plan.tokens_per_step, masked_share=0.0,
            optimiser="muon", peak_learning_rate=plan.peak_learning_rate, warmup_share=0.05, decay_share=0.5,
            device=plan.device, compile=plan.compile, log_every=10, checkpoint_every=10**9,
        )  # fmt: skip
        batches = pretrain.TextBatches(self.rows, self.words, config)
        calls = iter(range(10**9))

        def losses(model: Any, arrays: Any, kind: str) -> dict[str, Tensor]:
            if torch.is_grad_enabled() and len(arrays["ids"]) == plan.rows and next(calls) % batches.micro == 0:
                before()
            return pretrain.text_losses(model, arrays, kind, z_loss=config.z_loss)

        self.work = flops.per_token(self.model, batches.step(0))
        loop.train(self.model, batches, losses, config, folder=self.folder, identity={}, weights={"z": 0.0})

    def logits(self, ids: Tensor) -> Tensor:
        """Scores of the next token."""
        return self.model.logits(self.model(ids))


class Theirs:
    """transformers.Trainer with its defaults, apart from the learning rate."""

    def __init__(self, plan: Plan, rows: Any, rate: float, folder: Path) -> None:
        from transformers import Qwen3Config, Qwen3ForCausalLM

        torch.manual_seed(1)
        sizes = plan.sizes
        self.plan, self.rows, self.rate, self.folder = plan, rows, rate, folder
        self.model = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=sizes.vocabulary, hidden_size=sizes.width, intermediate_size=sizes.hidden,
                num_hidden_layers=sizes.layers, num_attention_heads=sizes.heads, head_dim=sizes.head_width,
                num_key_value_heads=sizes.key_value_heads, max_position_embeddings=sizes.context,
                rope_parameters={"rope_type": "default", "rope_theta": sizes.rope_base}, tie_word_embeddings=True,
                rms_norm_eps=sizes.norm_epsilon, use_cache=False,
            )
        )  # fmt: skip

    def train(self, steps: int, before: Callable[[], None]) -> None:
        """Run the Trainer; `before` is called before each step."""
        from transformers import Trainer, TrainerCallback, TrainingArguments

        class Turns(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                before()

        plan = self.plan
        accumulated = max(1, plan.tokens_per_step // (plan.rows * plan.length))
        arguments = TrainingArguments(
            output_dir=str(self.folder), max_steps=steps, per_device_train_batch_size=plan.rows,
            gradient_accumulation_steps=accumulated, learning_rate=self.rate, use_cpu=plan.device == "cpu",
            save_strategy="no", report_to="none", disable_tqdm=True,
        )  # fmt: skip
        dataset = Rows(self.rows, plan.length, steps * plan.rows * accumulated)
        Trainer(model=self.model, args=arguments, train_dataset=dataset, callbacks=[Turns()]).train()

    def logits(self, ids: Tensor) -> Tensor:
        """Scores of the next token."""
        scores: Tensor = self.model(input_ids=ids).logits
        return scores


Side = Ours | Theirs


def steps_that_fit(plan: Plan, sides: dict[str, Side], minutes: float) -> int:
    """As many steps as all sides together finish in the given time, from one plain pass of each."""
    if plan.device != "cpu":
        return plan.most_steps
    seconds = 0.0
    for side in sides.values():
        ids = torch.randint(16, plan.sizes.vocabulary, (1, plan.length))
        for _ in range(2):  # the second counts
            start = time.perf_counter()
            functional.cross_entropy(side.logits(ids)[0], ids[0]).backward()
            took = time.perf_counter() - start
        side.model.zero_grad()
        seconds += took * plan.tokens_per_step / plan.length
    fit = int(minutes * 60 / seconds)
    return max(plan.least_steps, min(plan.most_steps, fit) // plan.steps_a_round * plan.steps_a_round)


@torch.inference_mode()
def held_out(logits: Callable[[Tensor], Tensor], rows: Sequence[Tensor], device: str) -> float:
    """Nats of a token, causal, in fp32, each row being one document: the same function for all."""
    nats, count = 0.0, 0
    for row in rows:
        ids = row[None].to(device)  # [1, time]
        scores = logits(ids[:, :-1])[0].float()  # [time - 1, vocabulary]
        nats += float(functional.cross_entropy(scores, ids[0, 1:], reduction="sum"))
        count += len(row) - 1
    return nats / count


def report(
    plan: Plan, sides: dict[str, Side], steps: int, *, rounds: dict[str, list[Round]], losses: dict[str, float]
) -> dict[str, Any]:
    """Speeds from the rounds between the first and the last one, and the two ratios."""
    tokens = plan.steps_a_round * plan.tokens_per_step
    counted = {name: turns[1:] for name, turns in rounds.items()}
    counted["trainer"] = [one for name, turns in counted.items() if name != "ours" for one in turns]
    if not counted["trainer"]:
        del counted["trainer"]
    speeds, cpu_speeds = (
        {name: tokens / statistics.median(one[clock] for one in turns) for name, turns in counted.items()}
        for clock in (0, 1)
    )
    theirs = [name for name in sides if name != "ours"]
    ours = sides["ours"]
    assert isinstance(ours, Ours)
    result: dict[str, Any] = {
        "tokens_per_second": {name: round(speed, 1) for name, speed in speeds.items()},
        "held_out_loss": {name: round(loss, 4) for name, loss in losses.items()},
        "tokens_per_cpu_second": {name: round(speed, 1) for name, speed in cpu_speeds.items()},
        "seconds_of_rounds": {name: [round(one.seconds, 2) for one in turns] for name, turns in rounds.items()},
        "parameters": {name: parameters(side.model) for name, side in sides.items()},
        "steps": steps,
        "tokens_per_step": plan.tokens_per_step,
        "length": plan.length,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if plan.device == "cuda" else machine(),
        "torch": torch.__version__,
    }
    if plan.device == "cuda":
        peak = flops.peak(torch.device("cuda"), "bf16")
        result |= {"mfu": round(speeds["ours"] * ours.work / peak.rate, 4), "peak": peak.rate, "peak_is": peak.how}
    if theirs:
        result["ratio_to_trainer"] = round(speeds["ours"] / speeds["trainer"], 3)
        result["ratio_in_cpu_time"] = round(cpu_speeds["ours"] / cpu_speeds["trainer"], 3)
    if theirs and losses:
        result["loss_ratio"] = round(losses["ours"] / min(losses[name] for name in theirs), 4)
    return result


if __name__ == "__main__":
    main()
