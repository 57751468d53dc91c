"""The encoder reader: warm-started MiniLM with three small heads, trained to point at answers and to know when none is there.

    rows ─► pairs [CLS] question [SEP] heading, text [SEP] ─► encoder ─┬─► span start/end (or [CLS]: not here)
                                                                       └─► evidence of each source ─► softmax with a null

Takes   `ReadingRow`s (trainer.rows) and a BERT folder to start from.
Gives   a model folder that `rag/read.py` serves: config.json, model.safetensors, tokenizer.json, README.md, log.jsonl.
        Stopped and run again with the same config, it goes on from the last saved step with the same data order.
Loss    span cross-entropy per pair, in nats (source without the answer: target [CLS], weight `miss_weight`), plus a softmax
        over the evidence of all sources of a question and a null of logit 0. So support = 1 - p(null) needs no second model.
Source  null at [CLS]: Devlin et al., arXiv:1810.04805, section 4.3; normalisation over sources: Clark & Gardner,
        arXiv:1710.10723, section 3.4.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from trainer.encoder import Encoder, EncoderConfig
from trainer.rows import ReadingRow, read_rows


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """One field a decision; the unit is in the name or the comment."""

    base: Path  # folder of the BERT encoder to start from
    rows: Path  # training rows, JSONL
    out: Path
    epochs: float = 1.0
    minutes: float = 0.0  # if positive: the schedule ends after this wall-clock time, whichever comes first
    questions_per_step: int = 24
    sources: int = 2  # read per question: the gold one and a near miss, or near misses alone
    no_gold: float = 0.2  # share of questions whose gold source is withheld
    length: int = 320  # tokens of a pair
    peak_learning_rate: float = 1.2e-4
    warmup: float = 0.05  # share of the schedule
    weight_decay: float = 0.01
    miss_weight: float = 0.3  # of the span loss on a source without the answer
    bf16: bool = True
    seed: int = 7
    save_seconds: int = 120


class EncoderReader(nn.Module):
    """Encoder with heads; see the module's docstring."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.span = nn.Linear(encoder.config.width, 2)
        self.evidence = nn.Linear(encoder.config.width, 1)
        for head in (self.span, self.evidence):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ids, mask, kinds: [pairs, time]. Gives start and end logits [pairs, time] and evidence logits [pairs], fp32.

        A span may start only in the source's tokens (kind 1) or at [CLS], which says: not in this source.
        """
        states = self.encoder(ids, mask, kinds)  # [pairs, time, width]
        logits = self.span(states).float()  # [pairs, time, 2]
        closed = (kinds == 0) | (mask == 0)
        closed[:, 0] = False
        logits = logits.masked_fill(closed[..., None], -1e4)
        return logits[..., 0], logits[..., 1], self.evidence(states[:, 0]).squeeze(-1).float()


@dataclass(frozen=True, slots=True)
class Pair:
    """One tokenised (question, source). `start` and `end` are token indices, both 0 where the answer is not here."""

    ids: list[int]
    kinds: list[int]
    start: int
    end: int
    question: int  # which question of the batch it belongs to
    gold: bool


def join(heading: str, text: str) -> tuple[str, int]:
    """What the encoder reads of a source, and the number of characters in front of the text."""
    front = f"{heading}\n" if heading else ""
    return front + text, len(front)


def encode_pair(
    encoder: Encoder, question: str, heading: str, text: str, *, length: int
) -> tuple[list[int], list[int], list[tuple[int, int] | None]]:
    """Ids, kinds, and for each token the characters of `text` it stands for (None for anything else)."""
    joined, front = join(heading, text)
    encoding = encoder.tokenizer.encode(question[:600], joined)
    ids, kinds = encoding.ids[:length], encoding.type_ids[:length]
    where: list[tuple[int, int] | None] = []
    for kind, sequence, (start, end) in zip(kinds, encoding.sequence_ids, encoding.offsets, strict=False):
        inside = kind == 1 and sequence == 1 and start >= front
        where.append((start - front, end - front) if inside else None)
    return ids, kinds, where


def pairs_of(row: ReadingRow, index: int, encoder: Encoder, config: ReaderConfig, chance: random.Random) -> list[Pair]:
    """The pairs of one question for one visit: gold and near misses, or near misses alone."""
    with_gold = bool(row.spans) and not (len(row.sources) > config.sources and chance.random() < config.no_gold)
    misses = list(row.sources[1:]) if row.spans else list(row.sources)
    chosen = misses[: config.sources - with_gold] if not row.spans else chance.sample(
        misses, min(len(misses), config.sources - with_gold)
    )
    pairs = []
    for gold, (heading, text) in [(True, row.sources[0])] * with_gold + [(False, source) for source in chosen]:
        ids, kinds, where = encode_pair(encoder, row.question, heading, text, length=config.length)
        start = end = 0
        if gold:
            first, last = chance.choice(row.spans)
            inside = [i for i, at in enumerate(where) if at and at[0] < last and at[1] > first]
            if not inside or (where[inside[-1]] or (0, 0))[1] < last:
                continue  # the answer was cut off: nothing to learn here
            start, end = inside[0], inside[-1]
        pairs.append(Pair(ids, kinds, start, end, index, gold))
    return pairs


def collate(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """Pad to the longest pair."""
    time_ = max(len(p.ids) for p in pairs)
    pad = [[0] * (time_ - len(p.ids)) for p in pairs]
    return {
        "ids": torch.tensor([p.ids + z for p, z in zip(pairs, pad, strict=True)]),
        "mask": torch.tensor([[1] * len(p.ids) + z for p, z in zip(pairs, pad, strict=True)]),
        "kinds": torch.tensor([p.kinds + z for p, z in zip(pairs, pad, strict=True)]),
        "start": torch.tensor([p.start for p in pairs]),
        "end": torch.tensor([p.end for p in pairs]),
        "question": torch.tensor([p.question for p in pairs]),
        "gold": torch.tensor([p.gold for p in pairs]),
    }


def reading_loss(model: EncoderReader, batch: dict[str, Tensor], miss_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Mean loss over the batch's pairs and questions, in nats, with its parts for the log."""
    start, end, evidence = model(batch["ids"], batch["mask"], batch["kinds"])
    weight = torch.where(batch["gold"], 1.0, miss_weight)  # [pairs]
    nats = functional.cross_entropy(start, batch["start"], reduction="none")
    nats = nats + functional.cross_entropy(end, batch["end"], reduction="none")  # [pairs]
    span = (nats * weight).sum() / weight.sum()
    _, question = batch["question"].unique(return_inverse=True)
    count = int(question.max()) + 1
    table = evidence.new_full((count, int(torch.bincount(question).max()) + 1), -1e4)  # [questions, sources + null]
    table[:, 0] = 0.0
    column = torch.zeros_like(question)
    seen = [0] * count
    for at, which in enumerate(question.tolist()):
        seen[which] += 1
        column[at] = seen[which]
    table = table.index_put((question, column), evidence)
    target = torch.zeros(count, dtype=torch.long, device=evidence.device)
    target[question[batch["gold"]]] = column[batch["gold"]]
    rank = functional.cross_entropy(table, target)
    hit = (table.argmax(1) == target).float().mean()
    return span + rank, {"span": span.item(), "rank": rank.item(), "right_source": hit.item()}


def batches(rows: Sequence[ReadingRow], encoder: Encoder, config: ReaderConfig, skip: int = 0) -> Iterator[dict[str, Tensor]]:
    """Endless batches in an order that depends on the seed alone; `skip` leaves out the first ones (resumption).

    Questions are drawn in windows of 40 steps and sorted by length inside, so that little is padded.
    """
    epoch, given = 0, 0
    while True:
        chance = random.Random(config.seed + 1000 * epoch)
        order = list(range(len(rows)))
        chance.shuffle(order)
        window = config.questions_per_step * 40
        for at in range(0, len(order), window):
            part = order[at : at + window]
            part.sort(key=lambda i: max(len(t) + len(h) for h, t in rows[i].sources[: config.sources]))
            groups = [part[i : i + config.questions_per_step] for i in range(0, len(part), config.questions_per_step)]
            chance.shuffle(groups)
            for number, group in enumerate(groups):
                given += 1
                if given <= skip:
                    continue
                dice = random.Random(f"{config.seed}/{epoch}/{at}/{number}")
                pairs = [p for q, i in enumerate(group) for p in pairs_of(rows[i], q, encoder, config, dice)]
                if pairs:
                    yield collate(pairs)
        epoch += 1


def save(model: EncoderReader, folder: Path, state: dict[str, object], optimizer: torch.optim.Optimizer | None) -> None:
    """Write weights, optimiser moments and state aside, then rename: a kill leaves the old checkpoint or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if optimizer is not None:
        for index, moments in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()})
    aside = folder / "checkpoint.part"
    save_file(tensors, str(aside), metadata={"state": json.dumps(state)})
    with aside.open("rb+") as written:
        os.fsync(written.fileno())
    aside.replace(folder / "checkpoint.safetensors")


def train(config: ReaderConfig) -> Path:
    """Train, and return the folder. Run again after a stop, it goes on from the last saved step."""
    from safetensors import safe_open

    torch.manual_seed(config.seed)
    rows = read_rows(config.rows)
    encoder = Encoder.from_folder(config.base)
    model = EncoderReader(encoder).train()
    encoder.words.weight.requires_grad_(False)  # words outside the training text keep their place among the others
    moving = [p for p in model.parameters() if p.requires_grad]
    plain = [p for p in moving if p.ndim < 2]
    groups = [
        {"params": [p for p in moving if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.peak_learning_rate, betas=(0.9, 0.98), eps=1e-6)
    total = math.ceil(config.epochs * len(rows) / config.questions_per_step)
    state: dict[str, float] = {"step": 0, "seconds": 0.0, "tokens": 0}
    checkpoint = config.out / "checkpoint.safetensors"
    if checkpoint.exists():
        with safe_open(str(checkpoint), "pt") as opened:
            state = json.loads(opened.metadata()["state"])
        _restore(model, optimizer, load_file(str(checkpoint)))
    config.out.mkdir(parents=True, exist_ok=True)
    stream = batches(rows, encoder, config, skip=int(state["step"]))
    began, saved = time.monotonic() - state["seconds"], time.monotonic()
    smooth: dict[str, float] = {}
    with (config.out / "log.jsonl").open("a", encoding="utf-8") as log:
        while True:
            state["seconds"] = time.monotonic() - began
            done = max(state["step"] / total, state["seconds"] / 60 / config.minutes if config.minutes else 0.0)
            if done >= 1.0:
                break
            rate = config.peak_learning_rate * min(1.0, (done + 1e-3) / config.warmup) * (1.0 - done)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = next(stream)
            cast = torch.autocast("cpu", dtype=torch.bfloat16) if config.bf16 else nullcontext()
            with cast:
                loss, parts = reading_loss(model, batch, config.miss_weight)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(moving, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state["step"] += 1
            state["tokens"] += int(batch["mask"].sum())
            parts |= {"loss": loss.item(), "norm": float(norm)}
            smooth = {k: 0.97 * smooth.get(k, v) + 0.03 * v for k, v in parts.items()}
            if state["step"] % 20 == 0:
                line = {"step": state["step"], "done": done, "lr": rate, "seconds": round(state["seconds"]), "tokens": state["tokens"]}
                log.write(json.dumps(line | {k: round(v, 4) for k, v in smooth.items()}) + "\n")
                log.flush()
                left = state["seconds"] / max(done, 1e-6) * (1 - done) / 60
                print(
                    f"\rstep {int(state['step'])}  {done:5.1%}  loss {smooth['loss']:.3f}  span {smooth['span']:.3f}  "
                    f"right source {smooth['right_source']:.1%}  {state['tokens'] / state['seconds']:.0f} tokens/s  {left:.0f} min left",
                    end="", flush=True,
                )
            if time.monotonic() - saved > config.save_seconds:
                save(model, config.out, dict(state), optimizer)
                saved = time.monotonic()
    save(model, config.out, dict(state), None)
    (config.out / "train.json").write_text(json.dumps(asdict(config) | dict(state), default=str, indent=1), encoding="utf-8")
    return config.out


def _restore(model: EncoderReader, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    model.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("optimizer.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = tensor
    if moments:
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
