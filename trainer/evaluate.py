"""How good is a model: bits per byte of text it never saw, and how it reads, refuses and points at evidence.

Takes   the newest checkpoint of `OUT/finetune` (or `OUT/pretrain`), the held-out shards and reading rows; or, where
        [evaluate] names a `folder`, an exported model of either kind and the rows alone.
Gives   `OUT/evaluation.json`. Whatever answers `SourceReader` is scored alike, trunk or encoder.
Units   scores in percent; bits per byte do not depend on the tokenizer, so models of different vocabularies compare.
        Balanced accuracy is the mean of the shares of answerable questions answered and unanswerable ones refused. The
        threshold of a model in training is fitted on one half of the rows, and all scores are taken on the other.
Source  exact match and F1 over normalised words: SQuAD, Rajpurkar et al., arXiv:1606.05250.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from trainer import checkpoint, data, files, recipe, rows, tokenizer
from trainer.calibrate import fit_threshold
from trainer.chat import MOST_SOURCES, Source
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, DataError
from trainer.loop import pick_device
from trainer.model import Transformer, allowed_pairs
from trainer.pretrain import next_token_nats
from trainer.reading import SourceReader, TrunkReader, read_config
from trainer.rows import ReadingRow
from trainer.tokenizer import Tokenizer

ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Settings of the evaluation."""

    folder: Path | None = None  # an exported model, instead of this run's newest checkpoint
    rows: Path | None = None  # reading rows; OUT/rows/dev.jsonl when not given
    most_rows: int = 1000
    sources: int = 4  # shown with each question
    withheld: float = 0.4  # share of questions shown without their gold source
    text_rows: int = 200  # of each domain, for bits per byte
    length: int = 1024  # tokens of such a row
    seed: int = 5


class Case(NamedTuple):
    """One question as it is put to a reader."""

    question: str
    sources: list[Source]
    gold: int  # which source answers, or -1
    answers: list[str]


def bits_per_byte(model: Transformer, shards: Sequence[data.Shard], words: Tokenizer, config: EvaluateConfig) -> float:
    """Bits the model needs for each byte of text, reading causally, each document on its own."""
    packed = data.Packed(shards, length=config.length, seed=0, shuffle=False)
    first = packed.lay_out(0)
    sizes = np.array([0 if i < tokenizer.LEAST - 256 else len(words.token_bytes(i)) for i in range(words.size)])
    nats, size = 0.0, 0
    device = model.embed.weight.device
    for number in range(min(config.text_rows, len(first.rows))):
        row = packed.row(number)[None].astype(np.int64)  # [1, length + 1]
        documents = data.documents_of(row, words.end)
        counted = documents[:, 1:] == documents[:, :-1]
        targets = np.where(counted, row[:, 1:], -100)
        size += int(sizes[row[:, 1:][counted]].sum())
        with torch.inference_mode():
            allowed = allowed_pairs(torch.from_numpy(documents[:, :-1]).to(device), causal=True)
            states = model(torch.from_numpy(row[:, :-1]).to(device), allowed=allowed)  # [1, length, width]
            nats += float(next_token_nats(model, states, torch.from_numpy(targets).to(device)))
    return nats / math.log(2) / max(size, 1)


def cases(examples: Sequence[ReadingRow], config: EvaluateConfig) -> list[Case]:
    """The questions, with sources chosen and ordered by the seed alone."""
    chance = np.random.default_rng(config.seed)
    made = []
    for row in [examples[i] for i in chance.permutation(len(examples))[: config.most_rows]]:
        misses = [Source(*s) for s in (row.sources[1:] if row.spans else row.sources)]
        gold = bool(row.spans) and not (misses and chance.random() < config.withheld)
        shown, at = misses[: max(0 if gold else 1, min(config.sources, MOST_SOURCES) - gold)], -1
        if gold:
            at = int(chance.integers(len(shown) + 1))
            shown = [*shown[:at], Source(*row.sources[0]), *shown[at:]]
        answers = [row.sources[0][1][start:end] for start, end in row.spans] if gold else []
        made.append(Case(row.question, shown, at, answers))
    return made


def score_reader(reader: SourceReader, asked: Sequence[Case], *, threshold: float) -> dict[str, float]:
    """Percentages of one reader that answers where its support reaches the threshold."""
    answerable: list[float] = []
    unanswerable: list[float] = []
    exact: list[float] = []
    overlap: list[float] = []
    pointed: list[float] = []
    for case in asked:
        evidence, support, spans = reader.read(case.question, case.sources)
        (answerable if case.gold >= 0 else unanswerable).append(support)
        if case.gold < 0:
            continue
        said = case.sources[spans[0].source].text[spans[0].start : spans[0].end] if spans else ""
        exact.append(max(float(plain(said) == plain(answer)) for answer in case.answers))
        overlap.append(max(f1(said, answer) for answer in case.answers))
        pointed.append(float(int(np.argmax(evidence)) == case.gold))
    answered, refused = [s >= threshold for s in answerable], [s < threshold for s in unanswerable]
    return {
        "exact_match": percent(exact),
        "f1": percent(overlap),
        "evidence_top1": percent(pointed),
        "balanced_accuracy": round((percent(answered) + percent(refused)) / 2, 2),
        "answered": percent(answered),
        "refused": percent(refused),
        "threshold": round(threshold, 4),
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
    }


def plain(text: str) -> str:
    """Lower-cased words without punctuation and articles.

    >>> plain("The  Cat's pyjamas!")
    'cats pyjamas'
    """
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", text).split())


def f1(said: str, answer: str) -> float:
    """Overlap of words, 0..1.

    >>> f1("in the year 1900", "1900")
    0.5
    """
    ours, theirs = plain(said).split(), plain(answer).split()
    common = sum((Counter(ours) & Counter(theirs)).values())
    if not common:
        return float(ours == theirs)
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall)


def percent(values: Sequence[float]) -> float:
    """Mean in percent, 0 for none."""
    return round(100 * sum(values) / len(values), 2) if values else 0.0


def evaluate(plan: recipe.Recipe) -> Path:
    """Score the newest model of this run, or an exported one; returns evaluation.json."""
    config = plan.section("evaluate", EvaluateConfig)
    path = config.rows or plan.out / "rows" / "dev.jsonl"
    if config.folder:
        reader = open_folder(config.folder)
        asked = cases(read_rows(path), config)
        result = {"folder": str(config.folder), "reading": score_reader(reader, asked, threshold=reader.threshold)}
    else:
        result = score_run(plan, config, path)
    files.write_json(plan.out / "evaluation.json", result)
    return plan.out / "evaluation.json"


def score_run(plan: recipe.Recipe, config: EvaluateConfig, path: Path) -> dict[str, Any]:
    """Bits per byte of each domain and, once it was fine-tuned, how the newest checkpoint reads."""
    words = tokenizer.load(plan.out / "tokenizer.json")
    folder = plan.out / "finetune" if checkpoint.latest(plan.out / "finetune") else plan.out / "pretrain"
    newest = checkpoint.latest(folder)
    if newest is None:
        raise CheckpointError(f"{plan.out} holds no checkpoint; run `trainer pretrain` first")
    model = checkpoint.load(newest).to(pick_device("auto")).eval()
    domains: dict[str, list[data.Shard]] = defaultdict(list)
    for shard in data.open_shards(plan.out / "shards", "held", words):
        domains[shard.entry.domain].append(shard)
    bits = {
        domain: round(bits_per_byte(model, shards, words, config), 4)
        for domain, shards in domains.items()
        if sum(s.entry.tokens for s in shards) > config.length + 1
    }
    result: dict[str, Any] = {"checkpoint": newest.name, "stage": folder.name, "bits_per_byte": bits}
    if folder.name == "finetune":
        reader = TrunkReader(model, words)
        chosen = np.random.default_rng(config.seed).permutation(np.array(read_rows(path), dtype=object))
        half = min(config.most_rows, len(chosen)) // 2
        fitted = fit_threshold(reader, list(chosen[:half]))
        asked = cases(list(chosen[half:]), config)
        result["reading"] = score_reader(reader, asked, threshold=fitted.threshold)
    return result


def open_folder(folder: Path) -> TrunkReader | EncoderReader:
    """An exported reader of either kind."""
    return (
        TrunkReader.from_folder(folder) if read_config(folder)["kind"] == "trunk" else EncoderReader.from_folder(folder)
    )


def read_rows(path: Path) -> list[ReadingRow]:
    """Rows to score on. Raises DataError where there are none."""
    if not path.is_file():
        raise DataError(f"{path} is missing; run `trainer finetune` first or set [evaluate] rows")
    return rows.read_rows(path)


if __name__ == "__main__":
    recipe.main(evaluate)
