"""Reading rows as they are shown this time: sources chosen and put in order, the answer's span, what is to be said.

    ReadingRow ─► some of its sources, the gold one among them or withheld ─► chat.render ─► Example ─► padded batch

Takes   reading rows, the tokenizer, how many sources to show and how often to withhold the gold one.
Gives   `RowBatches.batch(n)`, a pure function of n, and `reading_losses` over such a batch.
Loss    span (cross-entropy of start and end over all text tokens of all sources), support (is there an answer at all),
        evidence (for each source), answer (next token of the spoken part, looking back only). Rows whose gold source is
        withheld teach refusing: few questions in print are unanswerable. A teacher's labels, where there are any, are
        mixed in (soft.py).
Causal  a share of the rows is read looking back only and teaches the answer alone: runners of causal models, which know
        no other way of reading, can ask the model too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer import attention, chat
from trainer.chat import Source
from trainer.errors import ANY, RecipeError, within
from trainer.loop import Batch, LoopConfig
from trainer.model import Transformer
from trainer.order import LikeLengths
from trainer.pretrain import bare, next_token_nats
from trainer.rows import ReadingRow
from trainer.teaching import soft
from trainer.teaching.labels import Labels
from trainer.teaching.soft import Soft
from trainer.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class ShowConfig(LoopConfig):
    """How reading rows are shown."""

    length: int = 1024  # tokens of prompt and answer together
    rows_per_batch: int = 16
    rows_per_step: int = 32
    least_sources: int = 1
    most_sources: int = 4
    withheld: float = 0.3  # share of rows that are shown without their gold source
    causal: float = 0.15  # share of rows that are read looking back only
    spoken_tokens: int = 96  # longest answer with quotation that is learnt
    labels: Path | None = None  # of a teacher (`trainer labels`), to be learnt beside what people marked
    soft_weight: float = 0.5  # of the teacher's labels against the people's, in rows that have both
    temperature: float = 2.0  # flattens the teacher's spans and the student's

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, length=(16, ANY), rows_per_batch=(1, ANY), rows_per_step=(1, ANY), withheld=(0, 1))
        within(self, most_sources=(1, ANY), least_sources=(0, self.most_sources), spoken_tokens=(0, ANY))
        within(self, causal=(0, 1), soft_weight=(0, 1), temperature=(0.1, 100))


class Example(NamedTuple):
    """One row as it is shown this time."""

    ids: list[int]  # prompt and spoken part
    prompt: int  # tokens of the prompt
    text: list[int]  # positions of text tokens
    marks: list[int]  # position of each <|source|>
    gold: int  # which source answers, or -1
    span: tuple[int, int]  # positions of first and last token, or (-1, -1)
    asked: list[bool]  # one a token of the prompt: does it stand in the question too?
    soft: Soft | None  # what a teacher makes of it
    causal: bool = False  # the prompt is read looking back only


class RowBatches:
    """Reading rows as padded batches; which rows, sources and order follow from the number alone."""

    def __init__(self, examples: Sequence[ReadingRow], words: Tokenizer, config: ShowConfig) -> None:
        if config.rows_per_step % config.rows_per_batch:
            raise RecipeError(
                f"rows_per_step {config.rows_per_step} is no multiple of {config.rows_per_batch}, a batch"
            )
        self.rows, self.words, self.config = examples, words, config
        self.labels = Labels(config.labels) if config.labels else None
        self.micro = config.rows_per_step // config.rows_per_batch
        self.order = LikeLengths(len(examples), self.lengths, size=config.rows_per_batch, seed=config.seed)

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step."""
        return [self.batch(number * self.micro + m) for m in range(self.micro)]

    def batch(self, number: int) -> Batch:
        """Batch `number` of an endless sequence of epochs."""
        epoch = number // self.order.per_epoch
        examples = [self.show(epoch, row) for row in self.order.batch(number)]
        made = collate(examples, self.words)
        if self.labels:
            rows, time = made.arrays["ids"].shape
            softs = [None if example.causal else example.soft for example in examples]
            made.arrays.update(
                soft.arrays(softs, (rows, time), made.arrays["marks"].shape[1], self.config.soft_weight),
                temperature=np.full(rows, self.config.temperature, dtype=np.float32),
            )
        return made

    def lengths(self, epoch: int) -> list[int]:
        """Characters that each row shows in this epoch."""
        shown = (self.choose(epoch, row)[1] for row in range(len(self.rows)))
        return [sum(len(source.text) + len(source.heading) for source in sources) for sources in shown]

    def choose(self, epoch: int, number: int) -> tuple[np.random.Generator, list[Source], int]:
        """The sources of a row in this epoch, in their order, and which of them is gold (-1: none)."""
        row, chance = self.rows[number], np.random.default_rng([self.config.seed, 3, epoch, number])
        misses = [Source(*s) for s in (row.sources[1:] if row.spans else row.sources)]
        gold = bool(row.spans) and not (misses and chance.random() < self.config.withheld)
        count = int(chance.integers(self.config.least_sources, self.config.most_sources + 1))
        taken = chance.permutation(len(misses))[: max(0 if gold else 1, count - gold)]
        sources, at = [misses[i] for i in taken], -1
        if gold:
            at = int(chance.integers(len(sources) + 1))
            sources.insert(at, Source(*row.sources[0]))
        return chance, sources, at

    def show(self, epoch: int, number: int) -> Example:
        """A row as it is shown in this epoch, rendered."""
        row, (chance, sources, at) = self.rows[number], self.choose(epoch, number)
        prompt = chat.render(row.question, sources, self.words, limit=self.config.length - self.config.spoken_tokens)
        span, spoken = None, chat.refused(self.words)
        if at >= 0:
            start, end = row.spans[int(chance.integers(len(row.spans)))]
            span = chat.token_span(prompt.sources[at], start, end)
            if span is None:
                at = -1  # the answer was cut off, so what is shown holds none
            else:
                text = sources[at].text
                spoken = chat.spoken(text[start:end], [(at + 1, sentence(text, start, end))], self.words)
        spoken = spoken[: self.config.spoken_tokens]
        return Example(
            [*prompt.ids, *spoken],
            len(prompt.ids),
            [s.first + i for s in prompt.sources for i in range(len(s.offsets))],
            [s.mark for s in prompt.sources],
            at,
            span or (-1, -1),
            chat.asked(prompt.ids, self.words),
            self.taught(row.question, sources, prompt),
            bool(self.config.causal) and chance.random() < self.config.causal,
        )

    def taught(self, question: str, sources: Sequence[Source], prompt: chat.Prompt) -> Soft | None:
        """What the teacher makes of a prompt, where there is one and it was asked about all that is shown."""
        if self.labels is None:
            return None
        return soft.soften(prompt, [self.labels.of(question, s) for s in sources], self.config.temperature)


def sentence(text: str, start: int, end: int) -> str:
    """The sentence (or line) around characters [start, end).

    >>> sentence("We open at 9. Lunch is at 12. Bye.", 25, 27)
    'Lunch is at 12.'
    """
    begin = max((m.end() for m in re.finditer(r"(?<=[.!?])\s+|\n+", text) if m.end() <= start), default=0)
    close = re.compile(r"(?<=[.!?])(?=\s)|\n|$").search(text, end)
    return text[begin : close.start() if close else len(text)].strip()


def collate(examples: Sequence[Example], words: Tokenizer) -> Batch:
    """Pad to the longest row. Padding is document -1, which sees nothing but itself."""
    time = max(len(e.ids) for e in examples) - 1
    sources, size = max(len(e.marks) for e in examples), len(examples)
    arrays = {
        "ids": np.full((size, time), words.pad, dtype=np.int64),
        "targets": np.full((size, time), -100, dtype=np.int64),  # next token of the spoken part
        "documents": np.full((size, time), -1, dtype=np.int64),
        "prompt": np.array([e.prompt for e in examples], dtype=np.int64),  # [rows]
        "ahead": np.array([0 if e.causal else e.prompt for e in examples], dtype=np.int64),  # tokens read in full
        "text": np.zeros((size, time), dtype=bool),
        "asked": np.zeros((size, time), dtype=np.int64),
        "marks": np.zeros((size, sources), dtype=np.int64),
        "evidence": np.full((size, sources), -1.0, dtype=np.float32),  # 1 gold, 0 not, -1 no such source
        "span": np.array([(-1, -1) if e.causal else e.span for e in examples], dtype=np.int64),  # [rows, 2]
    }
    for row, e in enumerate(examples):
        arrays["ids"][row, : len(e.ids) - 1] = e.ids[:-1]
        arrays["targets"][row, e.prompt - 1 : len(e.ids) - 1] = e.ids[e.prompt :]
        arrays["documents"][row, : len(e.ids) - 1] = 0
        arrays["text"][row, e.text] = True
        arrays["asked"][row, : e.prompt] = e.asked
        arrays["marks"][row, : len(e.marks)] = e.marks
        arrays["evidence"][row, : len(e.marks)] = -1.0 if e.causal else np.arange(len(e.marks)) == e.gold
    counts = {
        "span": float((arrays["span"][:, 0] >= 0).sum()),
        "support": float((arrays["ahead"] > 0).sum()),
        "evidence": float((arrays["evidence"] >= 0).sum()),
        "answer": float((arrays["targets"] != -100).sum()),
    }
    return Batch(arrays, counts, tokens=sum(len(e.ids) - 1 for e in examples), kind="read", separable=True)


def reading_losses(model: Any, arrays: Mapping[str, Tensor], kind: str = "") -> dict[str, Tensor]:  # noqa: ARG001 (one kind)
    """Sums in nats of the four terms.

    ids, targets, documents, text, asked: [rows, time]; prompt, ahead: [rows]; marks, evidence: [rows, sources]; span:
    [rows, 2]. A row that is read looking back only (ahead 0) counts for the answer alone. Where a teacher was asked
    also what `soft.arrays` makes, and its temperature: [rows].
    """
    allowed = attention.packed(arrays["documents"], causal=True, prefix=arrays["ahead"])
    states = model(arrays["ids"], allowed=allowed)  # [rows, time, width]
    trunk, prompt = bare(model), arrays["prompt"]
    at = torch.arange(len(states), device=states.device)  # [rows]
    read = pointed(trunk, states, arrays)  # [rows, time, width]
    spans = trunk.heads.span(read).float()  # [rows, time, 2]
    spans = spans.masked_fill(~arrays["text"][..., None], -1e9)
    wanted = arrays["span"].masked_fill(arrays["span"] < 0, -100)  # [rows, 2]
    # cross_entropy wants the classes second: [rows, time, 2] against [rows, 2]; half of each, so that a row counts once
    nats = functional.cross_entropy(spans, wanted, ignore_index=-100, reduction="none").sum(1) / 2  # [rows]
    held = (arrays["span"][:, 0] >= 0).float()  # [rows]
    said = arrays["evidence"]  # [rows, sources]
    real, answered, full = said >= 0, held, arrays["ahead"] > 0
    if "taught" in arrays:
        taught = arrays["taught"]  # [rows]
        nats = held * soft.span_nats(spans, nats, arrays)
        answered = soft.mixed(held, arrays["soft_support"], taught)
        said = soft.mixed(said, arrays["soft_evidence"], taught[:, None])
    support = trunk.heads.support(read[at, prompt - 1]).squeeze(-1).float()  # [rows]
    evidence = trunk.heads.evidence(read[at[:, None], arrays["marks"]]).squeeze(-1).float()  # [rows, sources]
    return {
        "span": nats.sum(),
        "support": functional.binary_cross_entropy_with_logits(support[full], answered[full], reduction="sum"),
        "evidence": functional.binary_cross_entropy_with_logits(evidence[real], said[real], reduction="sum"),
        "answer": next_token_nats(trunk, states, arrays["targets"]),
    }


def pointed(trunk: Transformer, states: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
    """What the heads look at: [rows, time, width]. Reading layers see the prompt alone, as when they serve."""
    if not trunk.config.reading_layers:
        return states
    at = torch.arange(states.shape[1], device=states.device)  # [time]
    prompt = arrays["documents"].masked_fill(at >= arrays["prompt"][:, None], -1)  # [rows, time]
    return trunk.reading(states, arrays["asked"], allowed=attention.packed(prompt, causal=False))
