"""Reinforcement learning against rewards: draw answers, compare each with the others to its question, stay near home.

    question ─► k acts drawn ─► rewards R ─► A_i = R_i - mean of the other k - 1 ─► loss = -A_i · log p(act_i)
                                             + kl_weight · KL(p || p_ref)

Takes   a policy and reading rows whose answers are known (`rewards.py`); a reward model where there is one.
Gives   OUT/reinforce/step-N and OUT/reinforce.json: each check before and after on held-out rows, and the KL; for an
        encoder reader a model folder too. Stopped and run again, it goes on with the same draws: a step's chance is
        seeded by its number.
Limit   where the KL to the reference passes `most_kl` nats on a question, rewards no longer count there: only the way
        back is learnt until it is below. The report says whether the result kept the limit.
Source  RLOO: Ahmadian et al., Back to Basics, arXiv:2402.14740 (no critic, no clipping: each draw is
        learnt from once). Verifiable rewards: Lambert et al., arXiv:2411.15124, section 6.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainer import checkpoint, files, loop, recipe, rows
from trainer.errors import ANY, DataError, RecipeError, within
from trainer.loop import Batch
from trainer.order import LikeLengths
from trainer.preference import opened
from trainer.preference.pairs import Act, Asked
from trainer.preference.policy import Policy, Reference, fingerprint, tensors
from trainer.preference.reward import RewardModel
from trainer.preference.rewards import CHECKS, Liking, Task, checks, task, worth


def _weights() -> dict[str, float]:
    return {"refusal": 1.0, "quotation": 1.0, "citation": 0.5, "words": 1.0, "preferred": 0.2}


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(loop.LoopConfig):
    """Settings of reinforcement; the loop's own belong to them."""

    model: Path | None = None  # model folder of an encoder reader, or a trunk's checkpoint; OUT/finetune when not given
    rows: Path | None = None  # reading rows to be asked; OUT/rows/train.jsonl when not given
    held: Path | None = None  # rows that measure; OUT/rows/dev.jsonl when not given
    reward_model: Path | None = None  # folder that `trainer reward` wrote; checks alone without one
    weights: dict[str, float] = field(default_factory=_weights)  # of the checks, and of the reward model ("preferred")
    samples: int = 4  # acts drawn for each question
    questions_per_step: int = 4
    sources: int = 2  # shown with a question
    most_held: int = 100  # rows that measure, at most
    spoken_tokens: int = 64  # of a trunk's answer
    length: int = 384  # tokens of a reader's pair
    kl_weight: float = 0.05
    most_kl: float = 1.0  # nats of a question
    steps: int = 200
    peak_learning_rate: float = 1e-5
    weight_decay: float = 0.0
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, samples=(2, ANY), questions_per_step=(1, ANY), sources=(1, 8), most_held=(1, ANY))
        within(self, kl_weight=(0, ANY), most_kl=(0, ANY), spoken_tokens=(4, ANY), length=(16, ANY))
        unknown = sorted(set(self.weights) - {*CHECKS, "preferred"})
        if unknown:
            raise RecipeError(f"[reinforce] weights has {unknown}; known are {[*CHECKS, 'preferred']}")


class Questions:
    """Which tasks a step asks; a pure function of its number."""

    def __init__(self, tasks: Sequence[Task], config: ReinforceConfig) -> None:
        lengths = [sum(len(source.text) for source in each.sources) for each in tasks]
        self.tokens = [length // 4 for length in lengths]  # about; for the speed that is shown
        size = min(config.questions_per_step, len(tasks))
        self.order = LikeLengths(len(tasks), lambda _: lengths, size=size, seed=config.seed)

    def step(self, number: int) -> Sequence[Batch]:
        """The one micro-batch of a step."""
        chosen = self.order.batch(number)
        counts = dict.fromkeys(("policy", "kl", "beyond", "reward"), float(len(chosen)))
        return [Batch({"task": np.array(chosen)}, counts, sum(self.tokens[i] for i in chosen))]


@dataclass(frozen=True)
class Reinforcing:
    """The losses of a batch: draws, judges and compares."""

    policy: Policy
    reference: Reference
    tasks: Sequence[Task]
    encoded: Sequence[Any]
    config: ReinforceConfig
    liking: Liking | None = None

    def __call__(self, model: Any, arrays: Mapping[str, Tensor], kind: str = "") -> dict[str, Tensor]:  # noqa: ARG002
        """policy: -advantage · log-probability; kl; beyond: nats above the limit; reward is only shown."""
        chosen = arrays["task"].tolist()
        asked = [self.encoded[i] for i in chosen]
        acts = self.policy.sample(model, asked, self.config.samples)
        device = arrays["task"].device
        paid = worth([self.tasks[i] for i in chosen], acts, self.config.weights, self.liking)
        gains = advantages(torch.tensor(paid, device=device))  # [questions, samples]
        drawn = [self.policy.with_acts(one, done) for one, done in zip(asked, acts, strict=True)]
        batch = {name: t.to(device) for name, t in tensors(self.policy.collate(drawn)[0]).items()}
        seen = self.policy.look(model, batch)
        found = self.policy.compare(seen, self.reference.look(self.policy, batch), batch)
        beyond = (found.divergence - self.config.most_kl).relu()  # [questions]
        gains = gains * (beyond == 0)[:, None]
        return {
            "policy": -(gains.flatten() * found.chances).sum() / self.config.samples,
            "kl": found.divergence.sum(),
            "beyond": beyond.sum(),
            "reward": torch.tensor(paid, device=device).mean(1).sum(),
        }


def advantages(paid: Tensor) -> Tensor:
    """Each reward minus the mean of the others to the same question: [questions, samples].

    >>> advantages(torch.tensor([[1.0, 0.0, 0.0]])).tolist()
    [[1.0, -0.5, -0.5]]
    """
    count = paid.shape[1]
    return (paid - paid.mean(1, keepdim=True)) * count / (count - 1)


def reinforce(plan: recipe.Recipe) -> Path:
    """Reward what can be checked, and what people like; gives a model folder or the trunk's last checkpoint."""
    config = plan.section("reinforce", ReinforceConfig)
    found = opened.model(config.model or plan.out / "finetune", plan.out, spoken=config.spoken_tokens)
    policy = opened.policy(found, length=config.length, mismatched=False)
    asked = [task(row, most=config.sources) for row in rows.read_rows(config.rows or plan.out / "rows" / "train.jsonl")]
    kept = [task(row, most=config.sources) for row in rows.read_rows(config.held or plan.out / "rows" / "dev.jsonl")]
    liking = RewardModel.from_folder(config.reward_model).rewards if config.reward_model else None
    last, report = learn(
        found.network,
        policy,
        asked,
        config,
        folder=plan.out / "reinforce",
        held=kept[: config.most_held],
        liking=liking,
    )
    if report is None:
        return last
    files.write_json(plan.out / "reinforce.json", report)
    if not report["within_limit"]:
        sys.stderr.write(f"WARNING: KL {report['after']['kl']} is above most_kl {config.most_kl}; lower the rate\n")
    return opened.export(found, plan.out / "reinforced", last)


def learn(
    model: nn.Module,
    policy: Policy,
    asked: Sequence[Task],
    config: ReinforceConfig,
    *,
    folder: Path,
    held: Sequence[Task],
    liking: Liking | None = None,
) -> tuple[Path, dict[str, Any] | None]:
    """Reinforce a model; gives the last checkpoint and the report, which is None where `minutes` stopped it."""
    ready = [(each, policy.encode(Asked(each.question, each.sources, ()))) for each in asked]
    tasks = [each for each, encoded in ready if not isinstance(encoded, str)]
    if not tasks:
        raise DataError(f"none of {len(asked)} rows fits the model's context; give shorter sources")
    reference = Reference(copy.deepcopy(model))
    before = measure(policy, model, reference, held=held, config=config)
    named = ("weights", "samples", "questions_per_step", "sources", "spoken_tokens", "length", "kl_weight", "most_kl")
    identity = {
        "reference": fingerprint(model),
        "tasks": fingerprint_of(tasks),
        "batches": {name: getattr(config, name) for name in (*named, "seed")},
    }
    encoded = [encoded for _, encoded in ready if not isinstance(encoded, str)]
    last = loop.train(
        model,
        Questions(tasks, config),
        Reinforcing(policy, reference, tasks, encoded, config, liking),
        config,
        folder=folder,
        identity=identity,
        weights={"kl": config.kl_weight, "reward": 0.0},
    )
    model.cpu()
    if checkpoint.read_state(last)["step"] < config.steps:
        return last, None
    after = measure(policy, model, reference, held=held, config=config)
    return last, {"before": before, "after": after, "within_limit": after["kl"] <= config.most_kl}


def fingerprint_of(tasks: Sequence[Task]) -> str:
    """Hash of the questions that are asked."""
    return opened.digest([each._asdict() for each in tasks])


@torch.no_grad()
def measure(
    policy: Policy, model: nn.Module, reference: Reference, *, held: Sequence[Task], config: ReinforceConfig
) -> dict[str, float]:
    """Mean of each check over draws for held-out tasks, and the KL; the draws are seeded."""
    model.eval()
    torch.manual_seed(config.seed)
    scored: dict[str, list[float]] = {}
    apart: list[float] = []
    for each in held:
        encoded = policy.encode(Asked(each.question, each.sources, ()))
        if isinstance(encoded, str):
            continue
        acts: list[Act] = policy.sample(model, [encoded], config.samples)[0]
        for act in acts:
            for name, value in checks(each, act).items():
                scored.setdefault(name, []).append(value)
        device = next(model.parameters()).device
        drawn = policy.collate([policy.with_acts(encoded, acts)])[0]
        batch = {name: tensor.to(device) for name, tensor in tensors(drawn).items()}
        found = policy.compare(policy.look(model, batch), reference.look(policy, batch), batch)
        apart += found.divergence.tolist()
    if not apart:
        raise DataError(f"none of {len(held)} held-out rows fits the model's context; give shorter sources")
    figures = {name: float(np.mean(values)) for name, values in scored.items()}
    figures |= {"questions": float(len(apart)), "kl": float(np.mean(apart)), "largest_kl": max(apart)}
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    recipe.main(reinforce)
