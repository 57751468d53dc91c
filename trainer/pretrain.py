"""From random weights: rows of clean text, read causally and with masked words under full attention.

    shards ─► Packed rows ─┬─► causal: each token from those before it ────────────┬─► loop.train
                           ├─► masked: hidden tokens from all of their document ───┤
                           └─► replaced: which tokens are not the text's own ──────┘

Takes   the shards and tokenizer of this run (`OUT/shards`, `OUT/tokenizer.json`).
Gives   `OUT/pretrain/step-N`.
Loss    the same head serves both: the state *before* a hidden token names it (masked next-token prediction). Each
        kind's mean counts by its share of rows. No token is predicted from, or looks at, another document of its row.
Late    with `late_share` the last steps read domains in other proportions: handbooks, questions with their answers.
Waste   a token that is computed and neither has a target nor is context of one: `wasted` counts them. Rows are cut from
        documents laid end to end, so it is each document's last token, and documents too short to hide a word of.
Source  GPT-BERT, Charpentier & Samuel, arXiv:2410.24159; spans of masked tokens: SpanBERT, arXiv:1907.10529; of the
        hidden tokens 80% become the mask, 10% another token, 10% stay: BERT, arXiv:1810.04805; z-loss: PaLM,
        arXiv:2204.02311.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer import attention, checkpoint, data, loop, recipe, replaced, tokenizer
from trainer.errors import ANY, RecipeError, within
from trainer.model import ModelConfig, Transformer
from trainer.nats import IGNORED, nats_of
from trainer.step import Batch
from trainer.tokenizer import RESERVED, Tokenizer

HELD_TOKENS = 200_000  # at most, of held-out text


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(loop.LoopConfig):
    """Settings of pretraining."""

    length: int = 1024  # tokens of a row
    rows: int = 16  # of a micro-batch
    tokens_per_step: int = 65_536  # over all micro-batches
    masked_share: float = 0.5  # of the micro-batches
    mask_rate: float = 0.2  # of the tokens in a masked row
    mask_span: float = 3.0  # tokens, on average
    replaced_share: float = 0.0  # of the micro-batches: replaced tokens are to be told (replaced.py)
    replaced_weight: float = 10.0  # of that loss, a few tenths of a nat beside whole nats, before its share
    z_loss: float = 1e-4  # weight of the squared log of the softmax's sum, beside each kind's own
    attention: str = "auto"  # how packed rows are computed: "pieces", "blocks", "table", or what is fastest here
    domain_weights: dict[str, float] = field(
        default_factory=dict
    )  # times a domain is read in an epoch; 1 where not named
    late_share: float = 0.0  # of the steps, the last ones, in which domains are weighed by `late_weights`
    late_weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, length=(2, ANY), rows=(1, ANY), tokens_per_step=(1, ANY), masked_share=(0, 1))
        within(self, mask_rate=(0.01, 0.9), mask_span=(1, ANY), z_loss=(0, ANY))
        within(self, replaced_share=(0, 1 - self.masked_share), replaced_weight=(0, ANY), late_share=(0, 0.99))
        for name in ("domain_weights", "late_weights"):
            given = getattr(self, name)
            if any(weight < 0 for weight in given.values()):
                raise RecipeError(f"{name} are {given}; use 0 (never read) or more")


class TextBatches:
    """Packed rows as causal and masked micro-batches, and such with replaced tokens."""

    def __init__(
        self, packed: data.Packed, words: Tokenizer, config: PretrainConfig, late: data.Packed | None = None
    ) -> None:
        """`late`: what the last steps read instead, by `late_share`."""
        self.packed, self.words, self.config, self.late = packed, words, config, late
        self.micro = max(1, round(config.tokens_per_step / (config.rows * config.length)))
        self.masked = round(self.micro * config.masked_share)
        self.replaced = round(self.micro * config.replaced_share)
        self.turn = self.micro * round(config.steps * (1 - config.late_share))  # the first late micro-batch
        self.most_hidden = min(config.length, int(1.4 * config.mask_rate * config.length) + 8)  # tokens of a row
        if 0 < config.masked_share < 1 and not 0 < self.masked < self.micro:
            raise RecipeError(
                f"tokens_per_step {config.tokens_per_step} is {self.micro} micro-batches of {config.rows} rows; "
                f"masked_share {config.masked_share} needs at least 2 of them, so use fewer rows"
            )
        if config.replaced_share and not self.replaced:
            raise RecipeError(
                f"replaced_share {config.replaced_share} is none of {self.micro} micro-batches; use fewer rows"
            )

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step: causal ones first, then those with replaced tokens, then masked ones."""
        found, first = [], number * self.micro
        for at in range(self.micro):
            masked = at >= self.micro - self.masked
            replaced = not masked and at >= self.micro - self.masked - self.replaced
            found.append(self.detection(first + at) if replaced else self.batch(first + at, masked=masked))
        return found

    def rows(self, number: int) -> data.Ids:
        """The rows of a micro-batch: [rows, length + 1]."""
        packed = self.packed
        if self.late is not None and number >= self.turn:
            packed, number = self.late, number - self.turn
        first = number * self.config.rows
        return np.stack([packed.row(first + r) for r in range(self.config.rows)])

    def detection(self, number: int) -> Batch:
        """One micro-batch with replaced tokens."""
        rows = self.rows(number)
        documents = data.documents_of(rows, self.words.end)
        chance = np.random.default_rng([self.config.seed, 2, number])
        ids, new = replaced.replace(rows, self.hide(rows, documents, chance), chance)
        asked = np.ascontiguousarray(new[:, :-1])  # [rows, length]
        arrays: dict[str, npt.NDArray[Any]] = {
            "ids": np.ascontiguousarray(ids[:, :-1]),
            "replaced": asked,
            "documents": np.ascontiguousarray(documents[:, :-1]),
        }
        counts = {"replaced": float(np.sum(asked != replaced.UNASKED))}
        return Batch(arrays, counts, tokens=asked.size, kind="replaced", separable=True)

    def batch(self, number: int, *, masked: bool) -> Batch:
        """One micro-batch; `number` counts them over the whole run."""
        rows = self.rows(number)  # [rows, length + 1]
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
            "targets": np.where(weight, rows[:, 1:].astype(np.int64), IGNORED),
            "documents": np.ascontiguousarray(documents[:, :-1]),
        }
        if masked:
            arrays["places"] = self.places(weight)
        kind, counted = "masked" if masked else "causal", float(weight.sum())
        counts = {kind: counted, "z": counted} if self.config.z_loss else {kind: counted}
        return Batch(arrays, counts, tokens=ids.size, kind=kind, separable=True)

    def places(self, weight: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Columns of the targets, [rows, most]: as many for every row and step, which spares a GPU a new program.

        Rows with fewer are filled up with their last column, which is never a target of a masked row.
        """
        columns = np.full((len(weight), self.most_hidden), weight.shape[1] - 1, dtype=np.int64)
        for row, chosen in enumerate(weight):
            found = np.flatnonzero(chosen)
            columns[row, : len(found)] = found
        return columns

    def hide(
        self, rows: data.Ids, documents: npt.NDArray[np.int32], chance: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """Which tokens to hide: spans of geometric length, never a document's first token or its end."""
        starts = chance.random(rows.shape) < -np.log1p(-self.config.mask_rate) / self.config.mask_span
        lengths = chance.geometric(1 / self.config.mask_span, rows.shape)
        columns = np.arange(rows.shape[1])
        hidden: npt.NDArray[np.bool_] = columns < np.maximum.accumulate(np.where(starts, columns + lengths, 0), axis=1)
        hidden[:, 0] = False
        hidden[:, 1:] &= documents[:, 1:] == documents[:, :-1]
        hidden &= rows >= len(RESERVED)
        for row in np.flatnonzero(hidden.sum(axis=1) > self.most_hidden):
            found = np.flatnonzero(hidden[row])
            first = int(chance.integers(len(found)))  # spans are given up from anywhere in the row
            hidden[row, np.roll(found, first)[self.most_hidden :]] = False
        return hidden

    def disguise(self, rows: data.Ids, hidden: npt.NDArray[np.bool_], chance: np.random.Generator) -> data.Ids:
        """The rows with hidden tokens replaced."""
        die = chance.random(rows.shape)
        other = chance.integers(len(RESERVED), self.words.size, rows.shape).astype(np.uint16)
        masked = np.where(hidden & (die < 0.8), np.uint16(self.words.mask), rows)
        return np.where(hidden & (die >= 0.9), other, masked)


class HeldBatches:
    """Causal rows of held-out text, the same for every step: what the best checkpoint is chosen by."""

    def __init__(self, shards: Sequence[data.Shard], words: Tokenizer, config: PretrainConfig) -> None:
        packed = data.Packed(shards, length=config.length, seed=0)
        count = min(len(packed.lay_out(0).rows), HELD_TOKENS // config.length) // config.rows
        self.rows = TextBatches(packed, words, dataclasses.replace(config, masked_share=0.0, replaced_share=0.0))
        self.count = max(1, count)  # micro-batches

    def step(self, number: int) -> Sequence[Batch]:  # noqa: ARG002 (the same for all)
        """All micro-batches."""
        return [self.rows.batch(index, masked=False) for index in range(self.count)]


def text_losses(
    model: Any, arrays: Mapping[str, Tensor], kind: str, *, z_loss: float = 0.0, how: str = "auto"
) -> dict[str, Tensor]:
    """Sum of the cross-entropy over counted targets, in nats, and beside it what the z-loss looks at.

    ids, targets, documents: [rows, time]; places: [rows, most], where the targets are if they are few.
    The z-loss is inside the gradient of the first sum already; the second is for the eye and carries none.
    """
    if kind == "replaced":
        return {kind: replaced.replaced_nats(model, bare(model), arrays, how=how)}
    allowed = attention.packed(arrays["documents"], causal=kind == "causal", how=how)
    states, targets = model(arrays["ids"], allowed=allowed), arrays["targets"]  # [rows, time, width], [rows, time]
    if "places" in arrays:
        places = arrays["places"]  # [rows, most]
        row = torch.arange(len(places), device=places.device)[:, None]  # [rows, 1]
        states, targets = states[row, places], targets.gather(1, places)  # [rows, most, width], [rows, most]
    nats = nats_of(states.flatten(0, 1), bare(model).embed.weight, targets.flatten(), z_weight=z_loss)
    return {kind: nats.nats, "z": nats.squares} if z_loss else {kind: nats.nats}


def next_token_nats(model: Transformer, states: Tensor, targets: Tensor) -> Tensor:
    """Sum of nats over targets that are not -100; logits are made only where they count.

    states: [rows, time, width]; targets: [rows, time].
    """
    counted = targets != IGNORED  # [rows, time]
    return nats_of(states[counted], model.embed.weight, targets[counted]).nats


def wasted(batch: Batch) -> float:
    """Share of a micro-batch's tokens that are computed for nothing: no target, and no target's context either.

    Causal rows: tokens after their document's last target in the row. Masked rows: documents without a hidden token.
    """
    documents, counted = batch.arrays["documents"], batch.arrays["targets"] != IGNORED  # [rows, time]
    used = np.zeros_like(counted)
    for row, (numbers, chosen) in enumerate(zip(documents, counted, strict=True)):
        for number in np.unique(numbers):
            own = np.flatnonzero(numbers == number)
            asked = own[chosen[own]]
            if len(asked):
                used[row, own if batch.kind == "masked" else own[own <= asked[-1]]] = True
    return 1 - float(used.mean())


def bare(model: Any) -> Transformer:
    """The module inside torch.compile's wrapper."""
    inner: Transformer = getattr(model, "_orig_mod", model)
    return inner


def pretrain(plan: recipe.Recipe) -> Path:
    """Train a trunk from random weights; returns the last checkpoint. Run again after a stop, it goes on."""
    config = plan.section("pretrain", PretrainConfig)
    words = tokenizer.load(plan.out / "tokenizer.json")
    given = {**plan.sections.get("model", {}), "vocabulary": words.size}
    sizes = recipe.build(ModelConfig, given, where="[model]")
    sizes = dataclasses.replace(sizes, detects=sizes.detects or config.replaced_share > 0)
    if config.length > sizes.context:
        raise RecipeError(f"[pretrain] length {config.length} is above [model] context {sizes.context}")
    shards = data.open_shards(plan.out / "shards", "train", words)
    packed = data.Packed(shards, length=config.length, seed=config.seed, weights=config.domain_weights)
    late = None
    if config.late_share:
        late = data.Packed(shards, length=config.length, seed=config.seed + 1009, weights=config.late_weights)
    held = None
    if config.evaluate_every:
        held = HeldBatches(data.open_shards(plan.out / "shards", "held", words), words, config)
    torch.manual_seed(config.seed)
    model = Transformer(sizes)
    names = ("length", "rows", "tokens_per_step", "masked_share", "mask_rate", "mask_span", "domain_weights", "z_loss")
    identity: dict[str, Any] = {
        "model": checkpoint.describe(sizes),
        "tokenizer": words.identity,
        "batches": {name: getattr(config, name) for name in (*names, "seed", "optimiser")},
    }
    if config.replaced_share:
        identity["batches"] |= {"replaced_share": config.replaced_share, "replaced_weight": config.replaced_weight}
    if config.late_share:
        identity["batches"] |= {name: getattr(config, name) for name in ("steps", "late_share", "late_weights")}
    return loop.train(
        model,
        TextBatches(packed, words, config, late),
        partial(text_losses, z_loss=config.z_loss, how=config.attention),
        config,
        folder=plan.out / "pretrain",
        identity=identity,
        weights={
            "causal": 1 - config.masked_share - config.replaced_share,
            "masked": config.masked_share,
            "replaced": config.replaced_share * config.replaced_weight,
            "z": 0.0,
        },
        held=held,
    )


if __name__ == "__main__":
    recipe.main(pretrain)
