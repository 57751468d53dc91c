"""From a pretrained trunk to a grounded one: it points at answers, knows when none is there, speaks and converses.

    base ─► adapters, if any ─► Lessons, mixed by shares ─► loop ─► merged ─► OUT/finetune/step-N
      └───► measured ──────────────────────────────────────────────► measured again ─► OUT/retention.json

Takes   the newest checkpoint of `OUT/pretrain` (or `base`), and what lessons.py finds of rows, dialogues and text.
Gives   `OUT/finetune/step-N`; with `lora_rank` adapters learn alone in `OUT/lora`, are saved as `OUT/adapter` and
        merged into a plain checkpoint. `OUT/retention.json` compares base and result; what was lost is a warning.
Refuses a base of another tokenizer, a share for rows that are not there, own rows that have no assistant's turn.
Warns   before the start where rows, epochs and rate are known to wreck a small model (caution.py).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainer import checkpoint, files, loop, lora, recipe, tokenizer
from trainer.errors import DataError, RecipeError
from trainer.model import Transformer, grown
from trainer.teaching import caution, retention
from trainer.teaching.lessons import KINDS, FinetuneConfig, Lessons, hashed, losses, weights
from trainer.teaching.pointing import RowBatches as RowBatches
from trainer.teaching.shares import Mixed
from trainer.tokenizer import Tokenizer


def finetune(plan: recipe.Recipe) -> Path:
    """Teach a pretrained trunk to read, refuse, quote and converse; gives the last checkpoint."""
    config = plan.section("finetune", FinetuneConfig)
    words = tokenizer.load(plan.out / "tokenizer.json")
    torch.manual_seed(config.seed)
    base = config.base or plan.out / "pretrain"
    model = checkpoint.load(base)
    check(model, words, config, plan.out)
    most = model.config.context
    config = replace(config, talk_length=min(config.talk_length, most), text_length=min(config.text_length, most))
    if config.reading_layers:
        model = grown(model, reading_layers=config.reading_layers, question_words=config.question_words)
    lessons = Lessons(plan, config, words)
    sources = lessons.sources()
    shares = {kind: config.shares[kind] / sum(config.shares[k] for k in sources) for kind in sources}
    micro = config.rows_per_step // config.rows_per_batch
    for warning in caution.warnings(lessons.sizes, shares, config):
        sys.stderr.write(f"WARNING: {warning}\n")
    kept = None if config.dry_run else Retained(plan, words, model, speaks=speaks(base))
    identity = {
        "model": checkpoint.describe(model.config),
        "tokenizer": words.identity,
        "batches": {name: getattr(config, name) for name in NAMES},
        "lessons": lessons.digests,
    }
    if config.labels:
        told = {"soft_weight": config.soft_weight, "temperature": config.temperature}
        identity["labels"] = {"file": hashed(config.labels), **told}
    folder = plan.out / "finetune"
    adapters = lora_config(config)
    if adapters:
        lora.add(model, adapters)
        identity["lora"] = vars(adapters) | {"targets": list(adapters.targets)}
        folder = plan.out / "lora"
    last = loop.train(
        model,
        Mixed(sources, config.shares, micro=micro),
        losses,
        config,
        folder=folder,
        identity=identity,
        weights=weights(shares, micro, config),
    )
    state = checkpoint.read_state(last)
    if state["step"] < config.steps or not first_process():
        return last
    if adapters:
        last = merge(model, adapters, plan.out, state)
    if kept:
        kept.report(model, last)
    return last


NAMES = (
    "length", "rows_per_batch", "rows_per_step", "least_sources", "most_sources", "withheld", "causal", "spoken_tokens",
    "shares", "talk_length", "text_length", "seed", "optimiser",
)  # fmt: skip


def first_process() -> bool:
    """Under torchrun only one process measures and merges."""
    return os.environ.get("RANK", "0") == "0"


def check(model: Transformer, words: Tokenizer, config: FinetuneConfig, out: Path) -> None:
    """Refuse settings that do not fit the base."""
    if model.config.vocabulary != words.size:
        raise DataError(
            f"the checkpoint has {model.config.vocabulary} tokens, {out}/tokenizer.json {words.size}; "
            "put back the tokenizer that it was trained with, or run `trainer pretrain` into another --out"
        )
    if config.length > model.config.context:
        raise RecipeError(f"[finetune] length {config.length} is above the model's context {model.config.context}")
    unknown = sorted(set(config.shares) - set(KINDS))
    if unknown or any(share < 0 for share in config.shares.values()) or not any(config.shares.values()):
        raise RecipeError(f"[finetune] shares are {config.shares}; give some of {list(KINDS)} a share above 0")
    if config.rows_per_step % config.rows_per_batch:
        raise RecipeError(f"rows_per_step {config.rows_per_step} is no multiple of {config.rows_per_batch}, a batch")


def speaks(base: Path) -> bool:
    """Was this checkpoint (or the newest of this run) fine-tuned before?"""
    found = base if (base / "state.json").is_file() else checkpoint.latest(base)
    return found is not None and "lessons" in checkpoint.read_state(found).get("identity", {})


def lora_config(config: FinetuneConfig) -> lora.LoraConfig | None:
    """The adapters' settings, if there are to be any."""
    if not config.lora_rank:
        return None
    return lora.LoraConfig(
        rank=config.lora_rank, alpha=config.lora_alpha, dropout=config.lora_dropout, targets=config.lora_targets
    )


def merge(model: Transformer, adapters: lora.LoraConfig, out: Path, state: Mapping[str, Any]) -> Path:
    """Save the adapters alone, merge them, and write the plain checkpoint that evaluation and export open."""
    lora.save(model, out / "adapter", adapters, about={"step": state["step"], "tokens": state["tokens"]})
    lora.merge(model)
    return checkpoint.save(out / "finetune", model, [], state, keep=1)


# --- what was kept ----------------------------------------------------------------------------------------------------


class Retained:
    """The base's measures, taken once, and the comparison at the end."""

    def __init__(self, plan: recipe.Recipe, words: Tokenizer, base: Transformer, *, speaks: bool) -> None:
        """`speaks`: the base was fine-tuned before, so it may lose what it learnt to say."""
        self.config = plan.section("retention", retention.RetentionConfig)
        self.out, self.words = plan.out, words
        self.path, identity = plan.out / "retention-before.json", lora.identity(base)
        known = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        if known.get("base") != identity and first_process():
            found = retention.measure(base, words, self.out, self.config, speaks=speaks)
            files.write_json(self.path, {"base": identity, "measured": found})

    def report(self, model: Transformer, last: Path) -> None:
        """Measure again and write the comparison."""
        before = json.loads(self.path.read_text(encoding="utf-8"))
        after = retention.measure(model, self.words, self.out, self.config)
        report = {"base": before["base"], "checkpoint": last.name}
        retention.write(self.out, report | retention.compare(before["measured"], after, self.config))


if __name__ == "__main__":
    recipe.main(finetune)
