"""A finished run in miniature, ready to be exported: checkpoint, tokenizer, scores and dev rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.trainer.office import page, write_jsonl
from trainer import checkpoint, recipe
from trainer.chat import Source
from trainer.model import Transformer
from trainer.reading import TrunkReader
from trainer.tokenizer import Tokenizer

ASKING = {"sources": 1, "withheld": 0.0, "most_rows": 12}


def finished_run(out: Path, model: Transformer, words: Tokenizer, *, step: int = 10, steps: int = 10) -> Path:
    """A folder as `pretrain`, `finetune` and `evaluate` leave it, around this model."""
    identity = {"model": checkpoint.describe(model.config), "tokenizer": words.identity}
    state = {
        "step": step, "steps": steps, "identity": identity, "tokens": 1000, "seconds": 60.0, "joules": 600.0,
        "energy_method": "estimate", "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    for stage in ("pretrain", "finetune"):
        newest = checkpoint.save(out / stage, model, [], state, keep=2)
    words.save(out / "tokenizer.json")
    scores = {"checkpoint": newest.name, "stage": "finetune", "bits_per_byte": {"rules": 2.5}}
    scores["reading"] = {"f1": 50.0, "threshold": 0.4}
    (out / "evaluation.json").write_text(json.dumps(scores), encoding="utf-8")
    write_jsonl(out / "rows" / "dev.jsonl", rows_it_answers(TrunkReader(model, words)))
    return out


def rows_it_answers(reader: TrunkReader, *, count: int = 12) -> list[dict[str, Any]]:
    """Questions whose right answer is what this reader points at, where its first span stands clear of the second.

    Full weights so have an F1 of 100, and whatever changes their mind shows.
    """
    rows: list[dict[str, Any]] = []
    for seed in range(400):
        question, text = f"What is rule {seed}?", page(seed, 3)
        _, _, spans = reader.read(question, [Source("Rules", text)])
        first, second = spans[:2]
        if first.score > 1.08 * second.score:
            rows.append(
                {
                    "question": question,
                    "sources": [["Rules", text]],
                    "spans": [[first.start, first.end]],
                    "domain": "rules",
                }
            )
        if len(rows) == count:
            return rows
    raise AssertionError(f"only {len(rows)} clear rows")


def plan_of(out: Path, *, name: str = "mini", **settings: Any) -> recipe.Recipe:
    """A recipe of that run; the settings are those of [export]."""
    return recipe.Recipe(name, out, out, {"export": settings, "evaluate": ASKING})
