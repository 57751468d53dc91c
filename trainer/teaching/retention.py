"""What fine-tuning gained and what it cost: the same measures before and after, side by side.

    base ─► measure ─┐
                     ├─► OUT/retention.json, retention.html; a warning where more was lost than the limits allow
    new  ─► measure ─┘

Takes   a trunk, the held-out shards of the run's general text, the dev rows of reading, the dev rows of rewriting.
Gives   bits per byte of each domain; exact match, F1, evidence and refusals of reading; the same two of rewriting,
        beside what leaving the follow-up as it is would get. Whatever has no data is left out.
Refuses nothing: a loss beyond the limits is a warning and `"kept": false` in the report, for a gate to act on.
Units   bits a byte of UTF-8; percent. F1 as in scores.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer import data, files, plots, rows
from trainer.errors import DataError
from trainer.evaluate import EvaluateConfig, cases
from trainer.model import Transformer
from trainer.reading import TrunkReader
from trainer.scoring import bits, outcomes, scores
from trainer.teaching import dialogue
from trainer.teaching.dialogue import Rewrite
from trainer.teaching.speaking import rewriter
from trainer.tokenizer import Tokenizer

READING = ("exact_match", "f1", "evidence_top1", "answered", "refused", "balanced_accuracy")
READS = 20.0  # F1 from which a base can be said to read: below, nothing can be lost
Report = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RetentionConfig:
    """How much to measure, and how much may be lost."""

    text_rows: int = 40  # of each domain, for bits per byte
    text_length: int = 512  # tokens of such a row
    reading_rows: int = 200  # 0: none
    rewriting_rows: int = 60  # 0: none; each is spoken token by token
    most_bits_lost: float = 0.05  # bits per byte, the mean over domains
    most_f1_lost: float = 2.0  # points of reading, where the base could read
    rewrites: Path | None = None  # rows with human stand-alone questions, instead of OUT/dialogue/rewrite-dev.jsonl
    seed: int = 5


def measure(model: Transformer, words: Tokenizer, out: Path, config: RetentionConfig, *, speaks: bool = True) -> Report:
    """Everything that this run has data for; a trunk that never learnt to speak is not asked to."""
    model.eval()
    found: Report = {"bits_per_byte": general(model, words, out / "shards", config)}
    dev = out / "rows" / "dev.jsonl"
    if config.reading_rows and dev.is_file():
        asked = cases(rows.read_rows(dev), EvaluateConfig(most_rows=config.reading_rows, seed=config.seed))
        figures = outcomes.report(outcomes.ask(TrunkReader(model, words), asked, title="retention"), threshold=0.5)
        found["reading"] = {name: figures[name] for name in READING if figures.get(name) is not None}
    path = config.rewrites or out / "dialogue" / "rewrite-dev.jsonl"
    if speaks and config.rewriting_rows and path.is_file():
        found["rewriting"] = score_rewriting(rewriter(model, words), some(dialogue.read_rewrites(path), config))
    return found


def general(model: Transformer, words: Tokenizer, shards: Path, config: RetentionConfig) -> dict[str, float]:
    """Bits per byte of each domain of held-out general text; none where the run has no such text."""
    try:
        held = data.open_shards(shards, "held", words)
        length = min(config.text_length, model.config.context)
        found = bits.of_shards(model, held, words, rows=config.text_rows, length=length)
    except DataError as error:
        sys.stderr.write(f"retention: general text is not measured: {error}\n")
        return {}
    return {domain: round(value, 4) for domain, value in found.items()}


def some(found: Sequence[Rewrite], config: RetentionConfig) -> list[Rewrite]:
    """The same few rows every time."""
    chosen = np.random.default_rng(config.seed).permutation(len(found))[: config.rewriting_rows]
    return [found[i] for i in chosen]


def score_rewriting(rewrite: Callable[[Rewrite], str], asked: Sequence[Rewrite]) -> dict[str, float]:
    """Exact match and word F1 in percent, over all rows and over those that are to be changed; beside doing nothing."""
    said = [(row, rewrite(row)) for row in asked]
    changed = [(row, words) for row, words in said if row.question != row.standalone]

    def mean(values: Sequence[float]) -> float:
        return round(100 * sum(values) / len(values), 2) if values else 0.0

    return {
        "rows": len(said),
        "exact_match": mean([scores.exact(words, row.standalone) for row, words in said]),
        "f1": mean([scores.word_f1(words, row.standalone) for row, words in said]),
        "f1_unchanged": mean([scores.word_f1(row.question, row.standalone) for row, _ in said]),
        "changed_rows": len(changed),
        "changed_exact_match": mean([scores.exact(words, row.standalone) for row, words in changed]),
        "changed_f1": mean([scores.word_f1(words, row.standalone) for row, words in changed]),
        "changed_f1_unchanged": mean([scores.word_f1(row.question, row.standalone) for row, _ in changed]),
    }


def compare(before: Mapping[str, Any], after: Mapping[str, Any], config: RetentionConfig) -> Report:
    """Both measurements, what changed, and what is beyond the limits."""
    change = {
        part: {
            name: round(value - before[part][name], 4)
            for name, value in values.items()
            if isinstance(value, float) and isinstance(before[part].get(name), float)
        }
        for part, values in after.items()
        if part in before
    }
    warnings = []
    bits = list(change.get("bits_per_byte", {}).values())
    lost = sum(bits) / len(bits) if bits else 0.0
    if lost > config.most_bits_lost:
        warnings.append(
            f"general text costs {lost:.3f} bits a byte more than before (limit {config.most_bits_lost}): lower "
            "peak_learning_rate or steps, or raise [finetune] shares.replay"
        )
    could = before.get("reading", {}).get("f1", 0.0)
    f1 = change.get("reading", {}).get("f1", 0.0)
    if could >= READS and -f1 > config.most_f1_lost:
        warnings.append(
            f"reading fell by {-f1:.1f} points of F1, from {could:.1f} (limit {config.most_f1_lost}): raise "
            "[finetune] shares.review with general reading rows in `review`"
        )
    limits = {"bits_per_byte": config.most_bits_lost, "f1": config.most_f1_lost}
    return {
        "before": dict(before),
        "after": dict(after),
        "change": change,
        "limits": limits,
        "kept": not warnings,
        "warnings": warnings,
    }


def write(out: Path, report: Mapping[str, Any]) -> Path:
    """Write retention.json and, where matplotlib is installed, retention.html; warnings go to stderr as well."""
    files.write_json(out / "retention.json", report)
    files.write_text(out / "retention.html", plots.page("Before and after fine-tuning", [section(report)]))
    for warning in report["warnings"]:
        sys.stderr.write(f"WARNING: {warning}\n")
    return out / "retention.json"


def section(report: Mapping[str, Any]) -> tuple[str, str]:
    """Heading and HTML for a report of a run: a table a part, before, after and what changed."""
    parts = []
    for part, after in report["after"].items():
        before, change = report["before"].get(part, {}), report["change"].get(part, {})
        lines = [[name.replace("_", " "), before.get(name), value, change.get(name)] for name, value in after.items()]
        heading = part.replace("_", " ").capitalize()
        parts.append(f"<h3>{heading}</h3>" + plots.table(["measure", "before", "after", "change"], lines))
    said = "".join(f"<p><strong>{warning}</strong></p>" for warning in report["warnings"])
    return "Retention", (said or "<p>Nothing was lost beyond the limits.</p>") + "".join(parts)
