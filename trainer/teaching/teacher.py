"""A reader that already knows labels rows for one that learns: soft answers instead of right or wrong.

    rows (human, synthetic) ─► (question, source) pairs ─► encoder reader ─► labels.py ─► OUT/labels

Takes   a model folder of kind "encoder" and files of reading rows; of each row its first `sources` sources.
Gives   `OUT/labels/teacher.bin` with its description. Rows are read as a stream, a shelf of them in memory at a time.
        Stopped and run again, it goes on: pairs that have a label are passed over. The same teacher, rows and settings
        give the same labels, in an order that does not matter.
Refuses a folder that holds no encoder, and a list of rows that is empty. Sources beyond 65,535 characters are left out.
Source  Hinton et al., Distilling the knowledge in a neural network, arXiv:1503.02531; evidence as the product reads it:
        the mean of the evidence head and of how far the best span stands above the null (encoder_reader.py).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer import files, jsonl, machine, recipe, rows
from trainer.chat import Source
from trainer.encoder_reader import EncoderReader, above_null, encode_pair
from trainer.errors import ANY, CheckpointError, DataError, within
from trainer.reading import read_config
from trainer.teaching.labels import LONGEST, described, key_of, kind

Pair = tuple[str, Source]
NAME = "teacher.bin"  # below OUT/labels


@dataclass(frozen=True, kw_only=True)
class LabelsConfig:
    """Settings of the labels."""

    teacher: Path = Path("models/base")  # folder of an encoder reader
    rows: tuple[Path, ...] = ()  # files of reading rows; OUT/rows/train.jsonl and synthetic.jsonl when not given
    sources: int = 5  # of each row, its first ones: the gold one and near misses
    most_rows: int = 0  # of each file; 0: all
    kept: int = 10  # likeliest starts, and as many ends
    shelf: int = 512  # rows in memory at a time, whose pairs are sorted by length
    pairs_at_a_time: int = 0  # 0: 8 on a CPU, whose caches are small, 256 on a GPU
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        within(self, sources=(1, 8), most_rows=(0, ANY), kept=(1, 100), shelf=(1, ANY), pairs_at_a_time=(0, ANY))


def label(plan: recipe.Recipe) -> Path:
    """Let the teacher label the rows of a recipe; returns the file of labels. Run again, it goes on."""
    config = plan.section("labels", LabelsConfig)
    found = config.rows or tuple(p for n in ("train", "synthetic") if (p := plan.out / "rows" / f"{n}.jsonl").is_file())
    if not found:
        raise DataError(f"{plan.out / 'rows'} holds no rows; run `trainer rows` first or name files in [labels] rows")
    teacher = Teacher(config)
    target = plan.out / "labels" / NAME
    part = target.with_name(target.name + ".part")
    about = {"teacher": teacher.identity, "kept": config.kept, "length": teacher.length}
    known = begun(part, about, kind(config.kept))
    started, before = time.monotonic(), len(known)
    with part.open("ab") as out:
        for pairs in shelves(found, config):
            new = {key: pair for pair in pairs if (key := key_of(*pair)) not in known}
            if new:
                out.write(teacher.read(new).tobytes())
                out.flush()
                known.update(new)
                pace = (len(known) - before) / (time.monotonic() - started)
                sys.stderr.write(f"labels: {len(known):,} pairs, {pace:,.0f} a second\n")
    if not known:
        raise DataError(f"{', '.join(map(str, found))}: no pair to label; give files of reading rows")
    files.write_json(described(target), {**about, "records": len(known)})
    files.flush(part)
    part.replace(target)
    described(part).unlink()
    return target


def begun(part: Path, about: dict[str, Any], layout: np.dtype[Any]) -> set[int]:
    """Keys that are labelled already: by a run that was stopped, or by a finished one whose rows have become more."""
    target, note = part.with_name(NAME), described(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    if not part.is_file() and target.is_file() and said(described(target)) == about:
        files.write_json(note, about)
        target.replace(part)
    if not part.is_file() or said(note) != about:
        part.write_bytes(b"")
        files.write_json(note, about)
    with part.open("r+b") as opened:  # the last record of a killed run may be half written
        opened.truncate(part.stat().st_size // layout.itemsize * layout.itemsize)
    return set(np.fromfile(part, dtype=layout)["key"].tolist())


def said(path: Path) -> dict[str, Any]:
    """A description without its count; empty where it is missing or damaged."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found.pop("records", None)
    return found


def shelves(paths: Sequence[Path], config: LabelsConfig) -> Iterator[list[Pair]]:
    """The pairs of all rows, a shelf of rows at a time."""
    for path in paths:
        found = (rows.row_of(raw) for raw in jsonl.objects(path))
        limited = islice(found, config.most_rows or None)
        while shelf := list(islice(limited, config.shelf)):
            yield [
                (row.question, Source(*source))
                for row in shelf
                for source in row.sources[: config.sources]
                if len(source[1]) <= LONGEST
            ]


class Teacher:
    """An encoder reader on the device where it reads fastest."""

    def __init__(self, config: LabelsConfig) -> None:
        if read_config(config.teacher).get("kind") != "encoder":
            raise CheckpointError(f"{config.teacher} holds no encoder reader; name one such as models/base")
        self.reader = EncoderReader.from_folder(config.teacher)
        self.length = int(self.reader.settings.get("length", 384))
        self.identity = files.sha256(config.teacher / "model.safetensors")[:16]
        self.device = torch.device(machine.pick_device(config.device))
        self.bf16 = machine.pick_precision(config.precision, self.device) == "bf16"
        self.reader.to(self.device)
        self.batch = config.pairs_at_a_time or (8 if self.device.type == "cpu" else 256)
        self.kept = config.kept

    @torch.inference_mode()
    def read(self, pairs: Mapping[int, Pair]) -> npt.NDArray[Any]:
        """One record a pair."""
        encoded = [
            (key, *encode_pair(self.reader.encoder, question, *source, length=self.length))
            for key, (question, source) in pairs.items()
        ]
        encoded.sort(key=lambda pair: len(pair[1]))
        records: Any = np.zeros(len(encoded), dtype=kind(self.kept))
        records["start"], records["end"] = -np.inf, -np.inf
        for at in range(0, len(encoded), self.batch):
            part = encoded[at : at + self.batch]
            start, end, evidence = self.logits([pair[1] for pair in part], [pair[2] for pair in part])
            for row, (key, _, _, where) in enumerate(part):
                records["key"][at + row] = key
                records["evidence"][at + row] = float(evidence[row] + above_null(start[row], end[row])) / 2
                for side, (name, logits) in enumerate((("start", start[row]), ("end", end[row]))):
                    places, chances = likeliest(logits, where, side=side, most=self.kept)
                    records[f"{name}_at"][at + row, : len(places)] = places
                    records[name][at + row, : len(chances)] = chances
        made: npt.NDArray[Any] = records
        return made

    def logits(self, ids: Sequence[list[int]], kinds: Sequence[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Start and end logits [pairs, time] and evidence [pairs] of pairs padded to one length, on the CPU."""
        size = (len(ids), max(len(row) for row in ids))
        table = np.zeros((3, *size), dtype=np.int64)  # ids, mask, kinds
        for at, (tokens, sides) in enumerate(zip(ids, kinds, strict=True)):
            table[0, at, : len(tokens)] = tokens
            table[1, at, : len(tokens)] = 1
            table[2, at, : len(tokens)] = sides
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            start, end, evidence = self.reader(*torch.from_numpy(table).to(self.device))
        return start.float().cpu(), end.float().cpu(), evidence.float().cpu()


def likeliest(
    logits: Tensor, where: Sequence[tuple[int, int] | None], *, side: int, most: int
) -> tuple[list[int], list[float]]:
    """The likeliest tokens of a source: their characters (side 0: the first, 1: one past the last) and log chances.

    logits: [time], with [CLS] and the question, which are no text of the source and have no chance.
    """
    text = [at for at, span in enumerate(where) if span is not None]
    if not text:
        return [], []
    chances = logits[text].log_softmax(0)  # [text tokens]
    best = chances.topk(min(most, len(text)))
    places = [(where[text[i]] or (0, 0))[side] for i in best.indices.tolist()]
    return places, best.values.tolist()


if __name__ == "__main__":
    recipe.main(label)
