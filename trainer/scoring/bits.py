"""Bits per byte: what a trunk needs to write down text it never saw, reading left to right.

Takes   a trunk with its tokenizer, and held-out shards or files of documents ({"text"} a line).
Gives   bits for each byte of UTF-8, a number a domain. It does not depend on the tokenizer, so models of different
        vocabularies compare; what a text compressor reaches is on the same scale.
How     documents are laid end to end and cut into rows; none sees another, and what a row cuts off is not seen either,
        so shorter rows give higher figures: compare models at equal `length`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainer import data, jsonl, tokenizer
from trainer.errors import DataError
from trainer.model import Transformer, allowed_pairs
from trainer.pretrain import next_token_nats
from trainer.tokenizer import Tokenizer

Ids = npt.NDArray[np.int64]


def of_shards(
    model: Transformer, shards: Sequence[data.Shard], words: Tokenizer, *, rows: int, length: int
) -> dict[str, float]:
    """Bits per byte of each domain of the shards; domains without one whole row are left out."""
    domains: dict[str, list[data.Shard]] = {}
    for shard in shards:
        domains.setdefault(shard.entry.domain, []).append(shard)
    found = {}
    for name, held in domains.items():
        if sum(shard.entry.tokens for shard in held) > length + 1:
            packed = data.Packed(held, length=length, seed=0, shuffle=False)
            count = min(rows, len(packed.lay_out(0).rows))
            found[name] = bits(model, (packed.row(number).astype(np.int64) for number in range(count)), words)
    return found


def of_file(model: Transformer, path: Path, words: Tokenizer, *, rows: int, length: int) -> float:
    """Bits per byte of a file of documents. Raises DataError where it holds less than one row."""
    return bits(model, rows_of(path, words, most=rows, length=length), words)


def rows_of(path: Path, words: Tokenizer, *, most: int, length: int) -> Iterator[Ids]:
    """At most `most` rows of `length + 1` ids, one id shared by neighbours."""
    held: list[int] = []
    given = 0
    for number, raw in jsonl.numbered(path):
        if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
            raise DataError(f'{path}, line {number}: no text; write an object {{"text": "..."}} a line')
        held += [*words.encode(raw["text"]), words.end]
        while len(held) > length and given < most:
            yield np.array(held[: length + 1], dtype=np.int64)
            held, given = held[length:], given + 1
        if given == most:
            return
    if not given:
        raise DataError(f"{path} holds {len(held)} tokens, less than a row of {length}; use more text or shorter rows")


def bits(model: Transformer, rows: Iterable[Ids], words: Tokenizer) -> float:
    """Bits per byte of rows of ids, each token predicted from those before it in its own document."""
    sizes = np.array([0 if i < tokenizer.LEAST - 256 else len(words.token_bytes(i)) for i in range(words.size)])
    device: Any = model.embed.weight.device
    nats, size = 0.0, 0
    for ids in rows:
        row = ids[None]  # [1, length + 1]
        documents = data.documents_of(row, words.end)
        counted = documents[:, 1:] == documents[:, :-1]
        targets = np.where(counted, row[:, 1:], -100)
        size += int(sizes[row[:, 1:][counted]].sum())
        with torch.inference_mode():
            allowed = allowed_pairs(torch.from_numpy(documents[:, :-1]).to(device), causal=True)
            states = model(torch.from_numpy(row[:, :-1]).to(device), allowed=allowed)  # [1, length, width]
            nats += float(next_token_nats(model, states, torch.from_numpy(targets).to(device)))
    return nats / math.log(2) / max(size, 1)
