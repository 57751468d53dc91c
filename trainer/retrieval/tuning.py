"""Rounds of training a retriever, each scored on held-out questions; then how far to go from the base.

    passages embedded once ─► round: `round_steps` steps, a lower rate each time ─► score ─► better? kept : counted
                                                                                  ─► alpha of the best, 0 included

Takes   a `Side`, rows to learn from and rows to judge by, and a folder for checkpoints.
Gives   the best weights that no guard refuses, between the base (alpha 0) and what the best round found (alpha 1).
Refuses (alpha 0) a gain whose 90% interval holds 0, and one that other questions pay for.
Source  a part of the way against forgetting: Wortsman et al., arXiv:2109.01903.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer import checkpoint, files, loop
from trainer.retrieval import ranking
from trainer.retrieval.contrast import ContrastConfig, Passages, QuestionBatches, TextBatches, contrast_losses
from trainer.retrieval.pairs import Pair
from trainer.retrieval.query_side import Floats, Side
from trainer.retrieval.ranking import Ranked


@dataclass(frozen=True, kw_only=True)
class TuningConfig(ContrastConfig):
    """How long to train, when to stop, and what may be lost."""

    side: str = "query"  # or "both": every passage has to be embedded again
    round_steps: int = 50  # steps between scores
    rounds_without_gain: int = 2  # before training stops
    warmup_steps: int = 10
    alphas: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)  # parts of the way from the base that are tried; 0 always is
    most_loss: float = 0.5  # points of nDCG@10 that general rows, or one domain of the rows, may lose
    name: str = "retriever"
    steps: int = 400
    peak_learning_rate: float = 5e-5
    weight_decay: float = 0.01
    beta2: float = 0.98
    keep: int = 1


class Rows(NamedTuple):
    """What is learnt from and what is held out, own and general."""

    own: list[Pair]
    general: list[Pair]
    held: list[Pair]
    held_general: list[Pair]


class Scores(NamedTuple):
    """Held-out questions, own and general."""

    own: Ranked
    general: Ranked

    def percent(self) -> dict[str, Any]:
        """For JSON."""
        return {"own": self.own.percent()} | ({"general": self.general.percent()} if len(self.general.ndcg) else {})


class Tuning:
    """One run: its rows, its passages, and what its rounds have found."""

    def __init__(self, side: Side, rows: Rows, config: TuningConfig, folder: Path, bf16: bool) -> None:
        self.side, self.rows, self.config, self.folder, self.bf16 = side, rows, config, folder, bf16
        self.passages = Passages([pair for part in rows for pair in part])
        self.judged = Passages([*rows.held, *rows.held_general])  # what both sides are scored on
        self.base: dict[str, Floats] = {}  # vectors of held-out questions by the base
        self.each: Callable[[int, float], bool] | None = None  # told of every step; True asks for a pause

    def prepare(self) -> None:
        """Embed what stays fixed, and score the base."""
        if self.config.side == "query":
            self.passages.embed(self.side, self.folder / "passages", bf16=self.bf16)
        self.base = {name: self.side.embed(texts, bf16=self.bf16) for name, texts in self._held().items()}
        self.before = self.score()
        sys.stderr.write(f"before  {json.dumps(self.before.percent())}\n")

    def _held(self) -> dict[str, list[str]]:
        return {"own": questions_of(self.rows.held), "general": questions_of(self.rows.held_general)}

    def score(self) -> Scores:
        """Held-out questions against all passages; for both sides against the held-out rows' own, embedded anew."""
        passages = self.passages
        vectors = passages.vectors
        if self.config.side == "both":
            passages = self.judged
            vectors = self.side.embed(passages.texts, bf16=self.bf16)
        found = []
        for name, held in (("own", self.rows.held), ("general", self.rows.held_general)):
            found.append(ranking.rank(self._questions(name), vectors, passages.gold(held)))
        return Scores(*found)

    def _questions(self, name: str) -> Floats:
        if self.side.method == "adapter" and self.base:  # the encoder stays: its vectors are known
            weight = self.side.turn.weight.device
            with torch.inference_mode():
                turned: Floats = self.side.turned(torch.from_numpy(self.base[name]).to(weight)).cpu().numpy()
            return turned
        return self.side.embed(self._held()[name], bf16=self.bf16)

    def train(self) -> bool:
        """Rounds of training until the last, or until nothing is gained; False where it was paused before."""
        config, began = self.config, time.monotonic()
        batches = self._batches()
        losses = partial(contrast_losses, config=config)
        rounds: list[dict[str, Any]] = self._rounds()
        total = config.steps // config.round_steps
        while len(rounds) < total and not is_over(rounds, config.rounds_without_gain):
            left = config.minutes and max(0.001, config.minutes - (time.monotonic() - began) / 60)
            last = loop.train(
                self.side,
                batches,
                losses,
                self._round(len(rounds), total, left),
                folder=self.folder,
                identity=self._identity(),
                weights={"drift": config.drift},
                each=self.each,
            )
            state = checkpoint.read_state(last)
            if state["step"] < (len(rounds) + 1) * config.round_steps:
                return False
            scores = self.score()
            rounds.append({"step": state["step"], **scores.percent()})
            if is_best(rounds):
                with files.aside(self.folder / "best.safetensors") as part:
                    save_file({n: t.cpu().contiguous() for n, t in self.side.moved().items()}, part)
            files.write_json(self.folder / "rounds.json", rounds)
            sys.stderr.write(f"round {len(rounds)}/{total}  {json.dumps(rounds[-1])}\n")
        self.state = checkpoint.read_state(checkpoint.latest(self.folder) or self.folder)
        return True

    def _batches(self) -> loop.Batches:
        if self.config.side == "both":
            return TextBatches(self.rows.own, self.rows.general, side=self.side, config=self.config, bf16=self.bf16)
        return QuestionBatches(
            self.rows.own, self.rows.general, self.passages, side=self.side, config=self.config, bf16=self.bf16
        )

    def _round(self, number: int, total: int, minutes: float) -> TuningConfig:
        """The loop's settings for one round: its last step, and a rate that falls from round to round."""
        upto = (number + 1) * self.config.round_steps
        return replace(
            self.config,
            steps=upto,
            peak_learning_rate=self.config.peak_learning_rate * (1 - number / total),
            schedule="wsd",
            warmup_share=self.config.warmup_steps / upto,
            decay_share=0.0,
            minutes=minutes,
        )

    def _identity(self) -> dict[str, Any]:
        texts = "\0".join(pair.question + "\1" + pair.passage for part in self.rows for pair in part)
        config = self.config
        names = ("side", "method", "layers", "round_steps", "questions_per_step", "drawn", "negatives", "seed", "scale")
        return {
            "base": self.side.identity,
            "rows": zlib.crc32(texts.encode("utf-8", "surrogatepass")),
            **{name: getattr(config, name) for name in names},
        }

    def _rounds(self) -> list[dict[str, Any]]:
        """What earlier rounds found, if the run goes on. Raises CheckpointError for those of other rows or settings."""
        path, newest = self.folder / "rounds.json", checkpoint.latest(self.folder)
        if newest is None:
            return []
        # Where all rounds are done the loop, which looks as well, is not asked again.
        checkpoint.check_identity(newest, checkpoint.read_state(newest).get("identity", {}), self._identity())
        if not path.is_file():
            return []
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def choose(self) -> tuple[float, Scores]:
        """How far to go from the base towards the best round, and the scores there; 0 where nothing is gained."""
        best: dict[str, Tensor] = load_file(self.folder / "best.safetensors")
        stored = {name: tensor.half().float() for name, tensor in best.items()}  # as the folder will hold them
        chosen, kept = 0.0, self.before
        for alpha in self.config.alphas:
            self.side.put(stored, alpha)
            scores = self.score()
            reason = self._against(scores)
            sys.stderr.write(f"alpha {alpha}  {json.dumps(scores.percent())}  {reason or 'allowed'}\n")
            if not reason and worth(scores) > worth(kept):
                chosen, kept = alpha, scores
        self.side.put(stored, chosen)
        return chosen, kept

    def _against(self, scores: Scores) -> str:
        """Why these scores cannot be kept; empty where they can."""
        most = self.config.most_loss / 100
        _, low, _ = ranking.gain(self.before.own.ndcg, scores.own.ndcg)
        if low <= 0:
            return f"the gain may be chance: its 90% interval begins at {100 * low:.2f} points"
        lost = float((self.before.general.ndcg - scores.general.ndcg).mean()) if self.rows.held_general else 0.0
        if lost > most:
            return f"general questions lose {100 * lost:.2f} points"
        for domain, places in domains(self.rows.held).items():
            lost = float((self.before.own.ndcg[places] - scores.own.ndcg[places]).mean())
            if lost > most:
                return f"{domain} loses {100 * lost:.2f} points"
        return ""


def questions_of(rows: Sequence[Pair]) -> list[str]:
    """Their questions."""
    return [pair.question for pair in rows]


def domains(rows: Sequence[Pair], *, least: int = 50) -> dict[str, list[int]]:
    """Places of the rows of each domain that has enough of them to be judged."""
    found: dict[str, list[int]] = {}
    for place, pair in enumerate(rows):
        found.setdefault(pair.domain, []).append(place)
    return {domain: places for domain, places in found.items() if len(places) >= least}


def worth(scores: Scores) -> float:
    """What rounds and alphas are compared by: nDCG@10 of the own questions."""
    return float(scores.own.ndcg.mean())


def is_best(rounds: Sequence[dict[str, Any]]) -> bool:
    """Whether the last round is better than all before it."""
    values = [found["own"]["ndcg_at_10"] for found in rounds]
    return all(values[-1] > value for value in values[:-1])


def is_over(rounds: Sequence[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` rounds brought nothing.

    >>> [is_over([{"own": {"ndcg_at_10": v}} for v in values], 2) for values in ([1, 2], [2, 1, 2], [2, 1, 3])]
    [False, True, False]
    """
    values = [found["own"]["ndcg_at_10"] for found in rounds]
    return len(values) > patience and max(values[-patience:]) <= max(values[:-patience])
