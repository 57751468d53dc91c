"""A reward model: an encoder reads a prompt and an answer, and a scalar head says how good the answer is.

    [CLS] prompt [SEP] answer [SEP] ─► encoder ─► mean over the answer's states ─► reward
    loss = -log sigmoid(reward(better) - reward(worse))

Takes   compared answers (`compared.py`) and a BERT folder; the package of the embedder holds one.
Gives   OUT/reward/step-N, the model folder OUT/reward-model, and OUT/reward.json: accuracy on held-out pairs by set
        with its 95% interval, beside what length alone and chance reach. Run again after a stop, it goes on.
Long    prompts keep their end, where people ask, and answers their beginning.
Refuses files without comparisons; a set whose prompts all fall on one side is named in the report with 0 pairs held.
Source  Bradley & Terry 1952, doi:10.1093/biomet/39.3-4.324; as a model of preferences: Ouyang et al., arXiv:2203.02155,
        equation 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from trainer import checkpoint, files, folders, loop, recipe
from trainer.encoder import Encoder, EncoderConfig, load_tokenizer, packaged_encoder
from trainer.errors import ANY, CheckpointError, DataError, within
from trainer.formats import checksums
from trainer.loop import Batch
from trainer.order import LikeLengths
from trainer.preference import compared
from trainer.preference.compared import Comparison
from trainer.scoring.scores import draws, interval

FORMAT = 1
AT_ONCE = 16  # texts read at a time
PAIRS = 4  # of like length, computed at a time


@dataclass(frozen=True, kw_only=True)
class RewardConfig(loop.LoopConfig):
    """Settings of the reward model; the loop's own belong to them."""

    base: Path | None = None  # folder of a BERT encoder; the embedder's package when not given
    compared: tuple[Path, ...] = ()  # files of compared answers; all of --data/preferences when not given
    one_in: int = 5  # a family of prompts in so many is held out
    pairs_per_step: int = 16
    prompt_tokens: int = 96
    answer_tokens: int = 160
    steps: int = 200
    peak_learning_rate: float = 5e-5
    head_rate_factor: float = 20.0
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, one_in=(2, ANY), pairs_per_step=(1, ANY), prompt_tokens=(4, 255), answer_tokens=(4, 255))


class RewardModel(nn.Module):
    """Encoder with a scalar head."""

    prompt_tokens: int = 96
    answer_tokens: int = 160

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        head = nn.Linear(encoder.config.width, 1, bias=False)
        nn.init.normal_(head.weight, std=0.02)
        self.heads = nn.ModuleDict({"reward": head})  # "heads.": optim.py lets them learn faster

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> Tensor:
        """Rewards [texts], fp32. ids, mask, kinds: [texts, time]; kind 1 is the answer."""
        states = self.encoder(ids, mask, kinds).float()  # [texts, time, width]
        answer = (kinds * mask)[..., None].float()
        pooled = (states * answer).sum(1) / answer.sum(1).clamp_min(1)  # [texts, width]
        result: Tensor = self.heads["reward"](pooled).squeeze(-1)
        return result.float()

    def tokens(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        """Ids and kinds of one text."""
        words = self.encoder.tokenizer
        asked = words.encode(prompt[-20 * self.prompt_tokens :], add_special_tokens=False).ids[-self.prompt_tokens :]
        said = words.encode(answer[: 20 * self.answer_tokens], add_special_tokens=False).ids[: self.answer_tokens]
        first, last = (words.token_to_id(mark) or 0 for mark in ("[CLS]", "[SEP]"))
        return [first, *asked, last, *said, last], [0] * (len(asked) + 2) + [1] * (len(said) + 1)

    @torch.inference_mode()
    def rewards(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """How good each answer to its prompt is. No unit: compare within a prompt."""
        self.eval()
        device, found = next(self.parameters()).device, [0.0] * len(texts)
        ready = [self.tokens(*text) for text in texts]
        order = sorted(range(len(ready)), key=lambda i: len(ready[i][0]))  # like lengths together: little padding
        for at in range(0, len(order), AT_ONCE):
            part = order[at : at + AT_ONCE]
            arrays = padded([ready[i] for i in part])
            tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
            for i, value in zip(part, self(**tensors).tolist(), strict=True):
                found[i] = value
        return found

    def export(self, folder: Path, about: Mapping[str, Any], tokenizer: Path) -> None:
        """Write a model folder of kind "reward" by one rename."""
        with folders.exported(folder, kind="reward") as part:
            tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in self.state_dict().items()}
            save_file(tensors, str(part / "model.safetensors"))
            files.write_text(part / "tokenizer.json", tokenizer.read_text(encoding="utf-8"))
            sizes = {"prompt_tokens": self.prompt_tokens, "answer_tokens": self.answer_tokens}
            full = {"format": FORMAT, "kind": "reward", **sizes, **about, "encoder": asdict(self.encoder.config)}
            files.write_json(part / "config.json", full)

    @classmethod
    def from_folder(cls, folder: Path) -> RewardModel:
        """Open a folder that `export` wrote. Raises CheckpointError."""
        try:
            settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{folder}: no readable config.json ({error}); run `trainer reward`") from error
        if (settings.get("format"), settings.get("kind")) != (FORMAT, "reward"):
            raise CheckpointError(f"{folder} is of kind {settings.get('kind')!r}; a reward model is wanted")
        checksums.verify(folder, needed=("config.json", "model.safetensors", "tokenizer.json"))
        model = cls(Encoder(EncoderConfig(**settings["encoder"])))
        model.load_state_dict({n: tensor.float() for n, tensor in load_file(folder / "model.safetensors").items()})
        model.encoder.tokenizer = load_tokenizer(folder / "tokenizer.json")
        model.prompt_tokens, model.answer_tokens = settings["prompt_tokens"], settings["answer_tokens"]
        return model.eval()


def padded(texts: Sequence[tuple[list[int], list[int]]]) -> dict[str, np.ndarray]:
    """ids, mask, kinds: [texts, time]."""
    time = max(len(ids) for ids, _ in texts)
    arrays = {name: np.zeros((len(texts), time), dtype=np.int64) for name in ("ids", "mask", "kinds")}
    for row, (ids, kinds) in enumerate(texts):
        arrays["ids"][row, : len(ids)], arrays["kinds"][row, : len(ids)] = ids, kinds
        arrays["mask"][row, : len(ids)] = 1
    return arrays


class Pairs:
    """Comparisons as batches: the better texts, then the worse ones in the same order."""

    def __init__(self, rows: Sequence[Comparison], model: RewardModel, config: RewardConfig) -> None:
        self.rows, self.model = rows, model
        lengths = [len(row.better) + len(row.worse) for row in rows]
        size = min(config.pairs_per_step, len(rows))
        self.order = LikeLengths(len(rows), lambda _: lengths, size=size, seed=config.seed)

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of a step, PAIRS of like length in each: little padding, little memory."""
        rows = [self.rows[i] for i in self.order.batch(number)]
        both = [[self.model.tokens(row.prompt, answer) for answer in (row.better, row.worse)] for row in rows]
        both.sort(key=lambda texts: max(len(ids) for ids, _ in texts))
        batches = []
        for at in range(0, len(both), PAIRS):
            part = both[at : at + PAIRS]
            arrays = padded([better for better, _ in part] + [worse for _, worse in part])
            batches.append(Batch(arrays, {"order": float(len(part))}, tokens=int(arrays["mask"].sum())))
        return batches


def order_losses(model: Any, arrays: Mapping[str, Tensor], kind: str = "") -> dict[str, Tensor]:  # noqa: ARG001
    """Sum of nats over pairs."""
    better, worse = model(arrays["ids"], arrays["mask"], arrays["kinds"]).chunk(2)
    return {"order": -functional.logsigmoid(better - worse).sum()}


def reward(plan: recipe.Recipe) -> Path:
    """Learn which of two answers people prefer; gives the model folder. Run again, it goes on."""
    config = plan.section("reward", RewardConfig)
    paths = config.compared or tuple(sorted((plan.data / "preferences").glob("*.json*")))
    rows = compared.read(paths)
    learnt, held = compared.split(rows, one_in=config.one_in)
    if not learnt or not held:
        raise DataError(f"{[str(p) for p in paths]}: {len(learnt)} comparisons to learn, {len(held)} held; give more")
    base = config.base or packaged_encoder()
    torch.manual_seed(config.seed)
    model = RewardModel(Encoder.from_folder(base))
    model.prompt_tokens, model.answer_tokens = config.prompt_tokens, config.answer_tokens
    for part in (model.encoder, *model.encoder.layers):
        part.dropout = 0.0
    model.encoder.words.weight.requires_grad_(False)
    names = ("one_in", "pairs_per_step", "prompt_tokens", "answer_tokens", "seed")
    identity = {
        "base": base.name,
        "compared": [files.sha256(path)[:16] for path in paths],
        "batches": {name: getattr(config, name) for name in names},
    }
    last = loop.train(
        model, Pairs(learnt, model, config), order_losses, config, folder=plan.out / "reward", identity=identity
    )
    state = checkpoint.read_state(last)
    if state["step"] < config.steps:
        return last
    report = measure(model, learnt, held)
    files.write_json(plan.out / "reward.json", report)
    sys.stderr.write(f"{plan.out / 'reward.json'}: {json.dumps(report)}\n")
    spent = {key: state[key] for key in ("step", "tokens", "seconds", "joules", "precision")}
    model.export(plan.out / "reward-model", {"held": report, "training": spent}, base / "tokenizer.json")
    return plan.out / "reward-model"


def measure(model: RewardModel, learnt: Sequence[Comparison], held: Sequence[Comparison]) -> dict[str, Any]:
    """Accuracy on the held-out pairs, by set: of the model, of length alone, of chance."""
    better = np.array(model.rewards([(row.prompt, row.better) for row in held]))
    worse = np.array(model.rewards([(row.prompt, row.worse) for row in held]))
    right = np.where(better == worse, 0.5, better > worse)
    report: dict[str, Any] = {}
    for name in sorted({row.name for row in (*learnt, *held)}):
        own = np.array([row.name == name for row in held], dtype=bool)
        seen = [row for row in learnt if row.name == name]
        longer = sum(len(row.better) > len(row.worse) for row in seen) >= len(seen) / 2
        by_length = [by(row, longer=longer) for row in held if row.name == name]
        report[name] = {"learnt": len(seen), "held": int(own.sum())}
        if own.any():
            report[name] |= {
                "accuracy": share(right[own]),
                "length": {"prefers": "longer" if longer else "shorter", **share(np.array(by_length))},
                "chance": 50.0,
            }
    report["all"] = {"learnt": len(learnt), "held": len(held), "accuracy": share(right)}
    return report


def by(row: Comparison, *, longer: bool) -> float:
    """Is the longer answer (or the shorter one) the better? Half right where both are as long."""
    difference = len(row.better) - len(row.worse)
    return 0.5 if difference == 0 else float((difference > 0) == longer)


def share(right: np.ndarray) -> dict[str, Any]:
    """A mean in percent with its 95% interval by bootstrap."""
    means = [float(right[chosen].mean()) for chosen in draws(len(right))]
    low, high = interval(means)
    return {"percent": round(100 * float(right.mean()), 1), "from": round(100 * low, 1), "to": round(100 * high, 1)}


if __name__ == "__main__":
    recipe.main(reward)
