"""From random weights: rows of clean text, read causally and with masked words under full attention.

    shards ─► Packed rows ─┬─► causal: each token from those before it ────────────┬─► loop.train
                           └─► masked: hidden tokens from all of their document ───┘

Takes   the shards and tokenizer of this run (`OUT/shards`, `OUT/tokenizer.json`).
Gives   `OUT/pretrain/step-N`.
Loss    the same head serves both: the state *before* a hidden token names it (masked next-token prediction). Each
        kind's mean counts by its share of rows. No token is predicted from, or looks at, another document of its row.
Source  GPT-BERT, Charpentier & Samuel, arXiv:2410.24159; spans of masked tokens: SpanBERT, arXiv:1907.10529; of the
        hidden tokens 80% become the mask, 10% another token, 10% stay: BERT, arXiv:1810.04805.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from trainer import checkpoint, data, loop, recipe, tokenizer
from trainer.errors import RecipeError
from trainer.loop import Batch
from trainer.model import ModelConfig, Transformer, allowed_pairs
from trainer.tokenizer import RESERVED, Tokenizer


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(loop.LoopConfig):
    """Settings of pretraining."""

    length: int = 1024  # tokens of a row
    rows: int = 16  # of a micro-batch
    tokens_per_step: int = 65_536  # over all micro-batches
    masked_share: float = 0.5  # of the micro-batches
    mask_rate: float = 0.2  # of the tokens in a masked row
    mask_span: float = 3.0  # tokens, on average
    domain_weights: dict[str, float] = field(
        default_factory=dict
    )  # times a domain is read in an epoch; 1 where not named


class TextBatches:
    """Packed rows as causal and masked micro-batches."""

    def __init__(self, packed: data.Packed, words: Tokenizer, config: PretrainConfig) -> None:
        self.packed, self.words, self.config = packed, words, config
        self.micro = max(1, round(config.tokens_per_step / (config.rows * config.length)))
        self.masked = round(self.micro * config.masked_share)
        if 0 < config.masked_share < 1 and not 0 < self.masked < self.micro:
            raise RecipeError(
                f"tokens_per_step {config.tokens_per_step} is {self.micro} micro-batches of {config.rows} rows; "
                f"masked_share {config.masked_share} needs at least 2 of them, so use fewer rows"
            )

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step: causal ones first."""
        return [self.batch(number * self.micro + m, masked=m >= self.micro - self.masked) for m in range(self.micro)]

    def batch(self, number: int, *, masked: bool) -> Batch:
        """One micro-batch; `number` counts them over the whole run."""
        first = number * self.config.rows
        rows = np.stack([self.packed.row(first + r) for r in range(self.config.rows)])  # [rows, length + 1]
        documents = data.documents_of(rows, self.words.end)  # [rows, length + 1]
        weight = documents[:, 1:] == documents[:, :-1]  # [rows, length]: a document's first token follows from nothing
        ids = rows[:, :-1]
        if masked:
            chance = np.random.default_rng([self.config.seed, 1, number])
            hidden = self.hide(rows, documents, chance)  # [rows, length + 1]
            ids = self.disguise(rows, hidden, chance)[:, :-1]
            weight = weight & hidden[:, 1:]
            weight[:, -1] = False  # the last target is not among the inputs: it would be plain prediction
        arrays = {
            "ids": np.ascontiguousarray(ids),
            "targets": np.where(weight, rows[:, 1:].astype(np.int64), -100),  # -100: not counted
            "documents": np.ascontiguousarray(documents[:, :-1]),
        }
        kind = "masked" if masked else "causal"
        return Batch(arrays, {kind: float(weight.sum())}, tokens=ids.size, kind=kind)

    def hide(
        self, rows: data.Ids, documents: npt.NDArray[np.int32], chance: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """Which tokens to hide: spans of geometric length, never a document's first token or its end."""
        starts = chance.random(rows.shape) < -np.log1p(-self.config.mask_rate) / self.config.mask_span
        lengths = chance.geometric(1 / self.config.mask_span, rows.shape)
        hidden = np.zeros(rows.shape, dtype=bool)
        for row, column in np.argwhere(starts):
            hidden[row, column : column + lengths[row, column]] = True
        hidden[:, 0] = False
        hidden[:, 1:] &= documents[:, 1:] == documents[:, :-1]
        return hidden & (rows >= len(RESERVED))

    def disguise(self, rows: data.Ids, hidden: npt.NDArray[np.bool_], chance: np.random.Generator) -> data.Ids:
        """The rows with hidden tokens replaced."""
        die = chance.random(rows.shape)
        other = chance.integers(len(RESERVED), self.words.size, rows.shape).astype(np.uint16)
        masked = np.where(hidden & (die < 0.8), np.uint16(self.words.mask), rows)
        return np.where(hidden & (die >= 0.9), other, masked)


def text_losses(model: Any, arrays: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Sum of the cross-entropy over counted targets, in nats.

    ids, targets, documents: [rows, time]. A row of one document needs no table of pairs, which is faster.
    """
    documents, causal = arrays["documents"], kind == "causal"
    alone = bool((documents[:, -1] == documents[:, 0]).all())
    allowed = None if alone else allowed_pairs(documents, causal=causal)  # [rows, 1, time, time]
    states = model(arrays["ids"], causal=causal, allowed=allowed)  # [rows, time, width]
    return {kind: next_token_nats(bare(model), states, arrays["targets"])}


def next_token_nats(model: Transformer, states: Tensor, targets: Tensor) -> Tensor:
    """Sum of nats over targets that are not -100; logits are made only where they count.

    states: [rows, time, width]; targets: [rows, time].
    """
    counted = targets != -100  # [rows, time]
    logits = model.logits(states[counted])  # [counted, vocabulary]
    return functional.cross_entropy(logits.float(), targets[counted], reduction="sum")


def bare(model: Any) -> Transformer:
    """The module inside torch.compile's wrapper."""
    inner: Transformer = getattr(model, "_orig_mod", model)
    return inner


def pretrain(plan: recipe.Recipe) -> Path:
    """Train a trunk from random weights; returns the last checkpoint. Run again after a stop, it goes on."""
    config = plan.section("pretrain", PretrainConfig)
    words = tokenizer.load(plan.out / "tokenizer.json")
    sizes = recipe.build(ModelConfig, {**plan.sections.get("model", {}), "vocabulary": words.size}, where="[model]")
    if config.length > sizes.context:
        raise RecipeError(f"[pretrain] length {config.length} is above [model] context {sizes.context}")
    shards = data.open_shards(plan.out / "shards", "train", words)
    packed = data.Packed(shards, length=config.length, seed=config.seed, weights=config.domain_weights)
    torch.manual_seed(config.seed)
    model = Transformer(sizes)
    names = ("length", "rows", "tokens_per_step", "masked_share", "mask_rate", "mask_span", "domain_weights")
    identity = {
        "model": checkpoint.describe(sizes),
        "tokenizer": words.identity,
        "batches": {name: getattr(config, name) for name in (*names, "seed", "optimiser")},
    }
    return loop.train(
        model,
        TextBatches(packed, words, config),
        text_losses,
        config,
        folder=plan.out / "pretrain",
        identity=identity,
        weights={"causal": 1 - config.masked_share, "masked": config.masked_share},
    )


if __name__ == "__main__":
    recipe.main(pretrain)
