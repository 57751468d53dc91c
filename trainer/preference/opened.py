"""Which model is to learn, and what is left of it afterwards: both kinds, for the stages of preference training.

    folder ─┬─ config.json of kind "encoder" ─► EncoderReader ─► SpanPolicy ─► a model folder
            └─ a trunk's checkpoint ──────────► Transformer ───► TokenPolicy ─► its last checkpoint

Takes   a model folder or a checkpoint (or the folder of a run), and the run's folder, where a trunk's tokenizer lies.
Gives   the model on the CPU with dropout off, for noise in both terms of a log-ratio would be learnt from.
Refuses a folder that is neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from trainer import checkpoint, tokenizer
from trainer.encoder_reader import EncoderReader
from trainer.errors import CheckpointError
from trainer.folders import kind_of
from trainer.model import Transformer
from trainer.preference.policy import Policy
from trainer.preference.span_policy import SpanPolicy
from trainer.preference.token_policy import TokenPolicy
from trainer.tokenizer import Tokenizer


class Opened(NamedTuple):
    """A model that is to learn."""

    network: nn.Module
    folder: Path
    words: Tokenizer | None  # of a trunk
    spoken: int  # tokens of a trunk's answer


def model(folder: Path, out: Path, *, spoken: int) -> Opened:
    """Open a model. Raises CheckpointError."""
    if kind_of(folder) == "encoder":
        return Opened(quiet(EncoderReader.from_folder(folder)), folder, None, spoken)
    if (folder / "state.json").is_file() or checkpoint.latest(folder):
        return Opened(checkpoint.load(folder).eval(), folder, tokenizer.load(out / "tokenizer.json"), spoken)
    raise CheckpointError(
        f"{folder} is neither the model folder of an encoder reader nor a trunk's checkpoint; name one with model"
    )


def quiet(reader: EncoderReader) -> EncoderReader:
    """An encoder reader without dropout, whose word vectors keep their place."""
    for part in (reader.encoder, *reader.encoder.layers):
        part.dropout = 0.0
    reader.encoder.words.weight.requires_grad_(False)
    return reader


def policy(found: Opened, *, length: int, mismatched: bool) -> Policy:
    """How this model chooses."""
    if isinstance(found.network, EncoderReader):
        return SpanPolicy(found.network.encoder, length)
    assert isinstance(found.network, Transformer)
    assert found.words is not None, "a trunk is opened with its tokenizer"
    context = found.network.config.context
    return TokenPolicy(found.words, context, spoken_tokens=min(found.spoken, context // 2), mismatched=mismatched)


def export(found: Opened, folder: Path, last: Path) -> Path:
    """A reader's model folder with the new weights and the settings it had; a trunk's checkpoint as it is."""
    if not isinstance(found.network, EncoderReader):
        return last
    reader = found.network
    card = found.folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    reader.export(folder, dict(reader.settings), found.folder / "tokenizer.json", card=text)
    return folder


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Hash of rows: a run goes on with the very ones it began with."""
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:16]
