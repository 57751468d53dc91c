"""The encoder reader: a warm-started MiniLM with two heads learns to point at answers and to know when none is there.

    rows ─► pairs [CLS] question [SEP] heading, text [SEP] ─► encoder ─┬─► span start/end (or [CLS]: not here)
                                                                       └─► evidence of each source against a null

Takes   `ReadingRow`s (`mixture.py` makes them) and a BERT folder to start from; the package of the embedder holds one.
Gives   a checkpoint of `loop.train`, then a model folder for `rag/read.py`, its threshold fitted on the dev rows.
        Stopped and run again with the same recipe, it goes on from the last saved step, in the same data order.
Loss    span cross-entropy per pair in nats (a source without the answer: target [CLS], weight `miss_weight`), plus a
        softmax over the evidence of all sources of a question and a null of logit 0: so support = 1 - p(null).
Source  null at [CLS]: Devlin et al., arXiv:1810.04805, section 4.3; one softmax over all sources: Clark & Gardner,
        arXiv:1710.10723, section 3.4.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer import checkpoint, files, loop, lora, mixture, recipe, rows
from trainer.encoder import Encoder, packaged_encoder
from trainer.encoder_reader import EncoderReader, encode_pair
from trainer.errors import ANY, DataError, RecipeError, within
from trainer.formats import reader_card
from trainer.loop import Batch
from trainer.rows import ReadingRow
from trainer.scoring.calibrate import fit_brevity, fit_refusal

WINDOW = 40  # steps whose questions are sorted by length together
CHUNK = 12  # pairs computed at a time
EVEN = 32  # tokens that lengths are rounded up to: with every length there is, memory is torn to pieces and grows


@dataclass(frozen=True, kw_only=True)
class ReaderConfig(loop.LoopConfig):
    """Settings of the encoder reader; the loop's own belong to them."""

    base: Path | None = None  # folder of a BERT encoder; the embedder's package when not given
    start: tuple[Path, ...] = ()  # checkpoints or folders of earlier readers, whose mean the weights begin with
    rows: Path | None = None  # training rows; OUT/rows/train.jsonl when not given, made from --data if missing
    questions_per_step: int = 24
    sources: int = 2  # read per question: the gold one and a near miss, or near misses alone
    withheld: float = 0.2  # share of questions that are shown without their gold source
    length: int = 320  # tokens of a pair
    cropped: float = 0.0  # share of visits that see stretches of the sources only: more questions in the same time
    crop: int = 480  # characters of such a stretch, about
    dropout: float = 0.0  # on residuals; one pass over the rows does not overfit, and it costs a tenth of the time
    before: tuple[Path, ...] = ()  # checkpoints that `start` began with: their cost belongs to the card
    miss_weight: float = 0.3  # of the span loss on a source without the answer
    serving_length: int = 384  # tokens of a pair when serving
    lora_rank: int = 0  # of adapters that learn alone, beside the heads, and are merged at the end; 0: all weights move
    lora_alpha: float = 32.0
    lora_dropout: float = 0.0
    name: str = "groundling-reader"

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, questions_per_step=(1, ANY), sources=(1, ANY), length=(16, ANY))
        within(self, withheld=(0, 1), dropout=(0, 0.99), cropped=(0, 1), crop=(80, ANY))


class Pair(NamedTuple):
    """One tokenised (question, source). `start` and `end` are token indices, both 0 where the answer is not here."""

    ids: list[int]
    kinds: list[int]
    start: int
    end: int
    question: int  # which question of the batch it belongs to
    gold: bool


class PairBatches:
    """Reading rows as padded pairs; which rows, sources and order follow from the step's number alone."""

    def __init__(self, examples: Sequence[ReadingRow], encoder: Encoder, config: ReaderConfig) -> None:
        if len(examples) < config.questions_per_step:
            raise DataError(f"{len(examples)} rows do not fill a step of {config.questions_per_step}; give more rows")
        self.rows, self.encoder, self.config = examples, encoder, config
        self.per_epoch = len(examples) // config.questions_per_step
        self.order: tuple[int, list[list[int]]] = (-1, [])

    def step(self, number: int) -> Sequence[Batch]:
        """The one micro-batch of a step."""
        epoch, position = divmod(number, self.per_epoch)
        if self.order[0] != epoch:
            self.order = (epoch, self.arrange(epoch))
        chance = random.Random(f"{self.config.seed}/{number}")
        group = self.order[1][position]
        pairs = [pair for at, i in enumerate(group) for pair in self.pairs(self.rows[i], at, chance)]
        return [collate(pairs, self.config.miss_weight)]

    def arrange(self, epoch: int) -> list[list[int]]:
        """Row numbers, a list a step: shuffled, then like lengths together inside windows, then shuffled."""
        chance, size = random.Random(f"{self.config.seed}/epoch {epoch}"), self.config.questions_per_step
        order = list(range(len(self.rows)))
        chance.shuffle(order)
        steps: list[list[int]] = []
        for at in range(0, self.per_epoch * size, WINDOW * size):
            part = order[at : min(at + WINDOW * size, self.per_epoch * size)]
            part.sort(key=lambda i: max(len(t) + len(h) for h, t in self.rows[i].sources[: self.config.sources]))
            steps += [part[i : i + size] for i in range(0, len(part), size)]
        chance.shuffle(steps)
        return steps

    def pairs(self, row: ReadingRow, index: int, chance: random.Random) -> list[Pair]:
        """The pairs of one question for one visit: gold and near misses, or near misses alone."""
        count, misses = self.config.sources, list(row.sources[1:])
        gold = bool(row.spans) and not (len(misses) >= count and chance.random() < self.config.withheld)
        # Without spans the row's first source was written to look like an answer: it is always shown.
        chosen = chance.sample(misses, min(len(misses), count - gold)) if row.spans else list(row.sources[:count])
        shown: list[tuple[tuple[str, str], tuple[int, int] | None]] = [(source, None) for source in chosen]
        if gold:
            shown.insert(0, (row.sources[0], chance.choice(row.spans)))
        if row.spans and self.config.cropped and chance.random() < self.config.cropped:
            shown = [cut(source, span, self.config.crop, chance) for source, span in shown]
        pairs = [self.pair(row, source, index, span) for source, span in shown]
        return [pair for pair in pairs if pair is not None]

    def pair(self, row: ReadingRow, source: tuple[str, str], index: int, span: tuple[int, int] | None) -> Pair | None:
        """One pair; None where the answer was cut off, for then there is nothing to learn."""
        ids, kinds, where = encode_pair(self.encoder, row.question, *source, length=self.config.length)
        if span is None:
            return Pair(ids, kinds, 0, 0, index, False)
        inside = [i for i, at in enumerate(where) if at and at[0] < span[1] and at[1] > span[0]]
        if not inside or (where[inside[-1]] or (0, 0))[1] < span[1]:
            return None
        return Pair(ids, kinds, inside[0], inside[-1], index, True)


def cut(
    source: tuple[str, str], span: tuple[int, int] | None, size: int, chance: random.Random
) -> tuple[tuple[str, str], tuple[int, int] | None]:
    """A stretch of a source of about `size` characters, from word to word, that holds the span, and the span in it.

    >>> cut(("", "one two three four five"), (8, 13), 9, random.Random(0))
    (('', 'two three four'), (4, 9))
    """
    heading, text = source
    if len(text) <= size * 1.2:
        return source, span
    first, last = span or (0, 0)
    room = max(0, size - (last - first))
    low, high = (max(0, first - room), min(first, len(text) - size)) if span else (0, len(text) - size)
    start = chance.randint(min(low, high), max(low, high)) if span is None or high >= low else first
    stop = max(min(len(text), start + size), last)
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while stop < len(text) and not text[stop].isspace():
        stop += 1
    moved = (first - start, last - start) if span else None
    return (heading, text[start:stop]), moved


def collate(pairs: Sequence[Pair], miss_weight: float) -> Batch:
    """Pad to the longest pair: ids, kinds, mask [pairs, time]; start, end, question, gold [pairs]."""
    time, size = max(len(pair.ids) for pair in pairs), len(pairs)
    arrays: dict[str, np.ndarray] = {name: np.zeros((size, time), dtype=np.int64) for name in ("ids", "kinds", "mask")}
    for at, pair in enumerate(pairs):
        arrays["ids"][at, : len(pair.ids)] = pair.ids
        arrays["kinds"][at, : len(pair.ids)] = pair.kinds
        arrays["mask"][at, : len(pair.ids)] = 1
    for name in ("start", "end"):
        arrays[name] = np.array([getattr(pair, name) for pair in pairs], dtype=np.int64)
    arrays["gold"] = np.array([pair.gold for pair in pairs])
    arrays["question"] = np.unique([pair.question for pair in pairs], return_inverse=True)[1].astype(np.int64)
    arrays["weight"] = np.where(arrays["gold"], 1.0, miss_weight).astype(np.float32)
    questions = float(arrays["question"].max() + 1)
    counts = {"span": float(arrays["weight"].sum()), "rank": questions}
    return Batch(arrays, counts, tokens=int(arrays["mask"].sum()))


def reading_losses(model: Any, arrays: Mapping[str, Tensor], kind: str = "") -> dict[str, Tensor]:  # noqa: ARG001
    """Sums in nats over the batch's pairs (span) and questions (rank)."""
    start, end, evidence = in_chunks(model, arrays["ids"], arrays["mask"], arrays["kinds"])
    nats = functional.cross_entropy(start, arrays["start"], reduction="none")
    nats = nats + functional.cross_entropy(end, arrays["end"], reduction="none")  # [pairs]
    question, gold = arrays["question"], arrays["gold"]
    place = position_in_question(question)  # [pairs], from 1: column 0 is the null
    table = evidence.new_full((int(question.max()) + 1, int(place.max()) + 1), -1e4)  # [questions, null + sources]
    table[:, 0] = 0.0
    table = table.index_put((question, place), evidence)
    target = torch.zeros(len(table), dtype=torch.long, device=evidence.device)
    target[question[gold]] = place[gold]
    return {
        "span": (nats * arrays["weight"]).sum(),
        "rank": functional.cross_entropy(table, target, reduction="sum"),
    }


def position_in_question(question: Tensor) -> Tensor:
    """For each pair its number among the pairs of its question, from 1.

    >>> position_in_question(torch.tensor([0, 0, 1, 0])).tolist()
    [1, 2, 1, 3]
    """
    same = question[:, None] == question[None, :]  # [pairs, pairs]
    return same.tril().sum(1)


def in_chunks(model: Any, ids: Tensor, mask: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`model(ids, mask, kinds)` computed a few pairs at a time, by length: half the work where lengths differ."""
    time, lengths = ids.shape[1], mask.sum(1)
    order = lengths.argsort()
    parts = []
    for chosen in torch.split(order, CHUNK):
        longest = min(time, -(-int(lengths[chosen].max()) // EVEN) * EVEN)
        start, end, evidence = model(ids[chosen, :longest], mask[chosen, :longest], kinds[chosen, :longest])
        room = (0, time - longest)
        parts.append((functional.pad(start, room, value=-1e4), functional.pad(end, room, value=-1e4), evidence))
    back = order.argsort()
    start, end, evidence = (torch.cat(part)[back] for part in zip(*parts, strict=True))
    return start, end, evidence


def reader(plan: recipe.Recipe) -> Path:
    """Teach a warm-started encoder to read; returns its model folder. Run again, it goes on."""
    config = plan.section("reader", ReaderConfig)
    path = config.rows or plan.out / "rows" / "train.jsonl"
    if not path.is_file():
        mixture.make(plan)
    base = config.base or packaged_encoder()
    torch.manual_seed(config.seed)
    encoder = Encoder.from_folder(base)
    for part in (encoder, *encoder.layers):
        part.dropout = config.dropout
    encoder.words.weight.requires_grad_(False)  # words outside the training text keep their place among the others
    model = EncoderReader(encoder)
    start_from(model, config.start)
    if not config.steps:  # nothing to learn: export the mean of earlier runs
        return export(plan.out / "model", config, model, path, base=base, state=spent(config))
    batches = PairBatches(rows.read_rows(path), encoder, config)
    names = ("questions_per_step", "sources", "withheld", "length", "cropped", "crop", "seed")
    identity = {
        "base": base.name,
        "start": [digest(folder / "model.safetensors") for folder in config.start],
        "rows": digest(path),
        "batches": {n: getattr(config, n) for n in names},
    }
    adapters = None
    if config.lora_rank:
        adapters = lora.LoraConfig(rank=config.lora_rank, alpha=config.lora_alpha, dropout=config.lora_dropout)
        identity["lora"] = vars(adapters) | {"on": lora.identity(model), "modules": lora.add(model, adapters)}
    last = loop.train(model, batches, reading_losses, config, folder=plan.out / "reader", identity=identity)
    state = checkpoint.read_state(last)
    if state["step"] < config.steps:
        return last
    if adapters:
        lora.save(model, plan.out / "adapter", adapters, about={"step": state["step"]})
        lora.merge(model)
    return export(plan.out / "model", config, model, path, base=base, state=spent(config, state))


def digest(path: Path) -> str:
    """Hash of a file: a run goes on with the very rows and weights that it began with."""
    return files.sha256(path)[:16]


def export(
    folder: Path, config: ReaderConfig, model: EncoderReader, learnt: Path, *, base: Path, state: Mapping[str, Any]
) -> Path:
    """Fit the threshold on the dev rows beside the training rows and write the model folder with its card."""
    model.eval()
    model.settings["length"] = config.serving_length
    model.bf16 = state["precision"] == "bf16"  # as it learnt: many times faster where the processor has it
    dev = rows.read_rows(learnt.with_name("dev.jsonl"))
    model.settings["brevity"], brevities = fit_brevity(model, dev)
    fitted = fit_refusal(model, dev)
    kept = {key: state[key] for key in ("step", "tokens", "seconds", "joules", "energy_method", "precision")}
    settings = {"name": config.name, "threshold": fitted.threshold, **model.settings}
    about = {**settings, "dev_f1_by_brevity": brevities, "calibration": fitted._asdict(), "training": kept}
    licences = Counter(row.licence or "not stated" for row in rows.read_rows(learnt))
    said = reader_card.plain(about, dict(licences.most_common()), base=base.name)
    model.export(folder, about, base / "tokenizer.json", card=said)
    sys.stderr.write(f"{folder}: {json.dumps(settings)}\n")
    return folder


def spent(config: ReaderConfig, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What this run and those before it cost together; without one of its own, those that are averaged."""
    if own is None and not config.start:
        raise RecipeError("[reader] steps is 0 and start names no checkpoint; give at least 1 step or a start")
    states = [dict(own)] if own is not None else []
    states += [checkpoint.read_state(folder) for folder in (*config.start, *config.before)]
    totals = {key: sum(state[key] for state in states) for key in ("step", "tokens", "seconds", "joules")}
    return {**states[0], **totals}


def start_from(model: EncoderReader, folders: Sequence[Path]) -> None:
    """Set the weights to the mean of the folders': checkpoints or exported models; none leaves them as they are.

    Runs that share their beginning can be averaged: Wortsman et al., Model soups, arXiv:2203.05482.
    """
    total: dict[str, Tensor] = {}
    for folder in folders:
        for name, tensor in weights_of(folder, model).items():
            total[name] = total.get(name, torch.zeros_like(tensor)) + tensor / len(folders)
    if total:
        model.load_state_dict(total)


def weights_of(folder: Path, model: EncoderReader) -> dict[str, Tensor]:
    """All weights of a checkpoint, or of a model folder; places that the folder does not serve stay the model's own."""
    if not (folder / "config.json").is_file():
        checkpoint.load_weights(folder, model)
        return {name: tensor.clone() for name, tensor in checkpoint.weights(model).items()}
    own, found = checkpoint.weights(model), checkpoint.weights(EncoderReader.from_folder(folder))
    kept = own["encoder.places.weight"][len(found["encoder.places.weight"]) :]
    found["encoder.places.weight"] = torch.cat([found["encoder.places.weight"], kept])
    return {name: tensor.clone() for name, tensor in found.items()}


if __name__ == "__main__":
    recipe.main(reader)
