"""The table of the domain-gap meter is made: `trainer gap`.

    raw documents ─► open licences ─► counted sources ─► byte sequences ─► gap.safetensors
                                  └─► sources kept out ─► how far ordinary documents of others lie

Takes   JSONL files of documents ({"text", "source", "licence"}), the names of whole sources to keep out, a tokenizer.
Gives   `OUT/gap.safetensors` (the table; licence, sources and figures in its header), to be put into trainer/ by hand
        once its figures are good, and `OUT/gap.json` with the figures.
Leaves  out share-alike and copyleft lines, so that the table may go wherever the product goes; very long documents
        beyond their first `longest` characters, and of each source what comes after its first `per_source` bytes.
Figures over documents: bits per byte under the table and tokens a word of the packaged tokenizer; the mean over all
        bytes, and the 5th, 50th and 95th percentile of documents of at least `least` characters.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from tokenizers import Tokenizer

from trainer import files, ngrams, recipe
from trainer.cleaning import sources
from trainer.encoder import packaged_encoder
from trainer.errors import DataError

CLOSED = re.compile(r"SA\b|GPL|MPL|GFDL")  # licences whose texts are not counted
LICENCE = "table: Apache-2.0; counted from texts under the licences named in `sources`, none of them share-alike"
ONE_IN = 20  # documents of a counted source that are kept out


@dataclass(frozen=True, kw_only=True)
class GapConfig:
    """Settings of the table."""

    files: tuple[str, ...] = field(default=())  # below the data folder
    outside: tuple[str, ...] = field(default=())  # sources that are not counted, to measure with
    per_source: int = 1_000_000  # bytes
    longest: int = 20_000  # characters of one document
    least: int = 500
    bits: float = 30.0  # what leaving out a sequence must cost for it to be kept
    often: int = 3


class Text(NamedTuple):
    """One document on its way."""

    source: str
    licence: str
    text: str


def train(plan: recipe.Recipe) -> Path:
    """Count, measure on what was kept out, write; returns the table's file."""
    config = plan.section("gap", GapConfig)
    counted, same, outside = divided(texts(plan.data, config), config)
    if not counted or not outside:
        raise DataError(f"{plan.data}: {len(counted)} documents to count and {len(outside)} kept out; both are needed")
    table = ngrams.learn((one.text for one in counted), {}, least=config.bits, often=config.often)
    words = opened(packaged_encoder() / "tokenizer.json")
    figures = {
        "counted": {"documents": len(counted), "bytes": sum(len(one.text.encode()) for one in counted)},
        "same_sources": measured(table, words, [one.text for one in same], config.least),
        "other_sources": measured(table, words, [one.text for one in outside], config.least),
        "tokenizer": ngrams.vocabulary(words),
    }
    licences = Counter((one.source, one.licence) for one in counted)
    about = {
        "licence": LICENCE,
        "sources": json.dumps([[source, licence, n] for (source, licence), n in sorted(licences.items())]),
        "outside": json.dumps(sorted({one.source for one in outside})),
        "figures": json.dumps(figures),
    }
    path = plan.out / "gap.safetensors"
    plan.out.mkdir(parents=True, exist_ok=True)
    ngrams.Table(table.levels, about).save(path)
    files.write_json(plan.out / "gap.json", figures)
    sys.stderr.write(f"gap  {path.stat().st_size:,} bytes, {json.dumps(figures)}\n")
    return path


def texts(data: Path, config: GapConfig) -> Iterator[Text]:
    """The documents whose licence allows it, cut to size, each source until it is full."""
    taken: Counter[str] = Counter()
    for name in config.files:
        for raw in sources.documents([data / name]):
            source = raw.source.split("/")[0]
            text = raw.text[: config.longest]
            if len(text) >= config.least and not CLOSED.search(raw.licence) and taken[source] < config.per_source:
                taken[source] += len(text)
                yield Text(source, raw.licence, text)


def divided(found: Iterator[Text], config: GapConfig) -> tuple[list[Text], list[Text], list[Text]]:
    """What is counted; documents kept out of counted sources, chosen by their words; sources kept out whole."""
    counted: list[Text] = []
    same: list[Text] = []
    outside: list[Text] = []
    for one in found:
        kept_out = crc32(one.text[:200].encode("utf-8", "replace")) % ONE_IN == 0
        (outside if one.source in config.outside else same if kept_out else counted).append(one)
    return counted, same, outside


def measured(table: ngrams.Table, words: Tokenizer, some: Sequence[str], least: int) -> dict[str, Any]:
    """How far documents lie from what was counted."""
    rows = [(*table.bits(text), *tokens_of(words, text)) for text in some]
    if not rows:
        return {"documents": 0}
    bits, size, spoken, tokens = np.array(rows, dtype=np.float64).T
    long = np.array([len(text) >= least for text in some])
    return {
        "documents": len(rows),
        "bytes": int(size.sum()),
        "bits_per_byte": round(float(bits.sum() / size.sum()), 3),
        "bits_percentiles": _percentiles((bits / np.maximum(size, 1))[long]),
        "tokens_per_word": round(float(tokens.sum() / spoken.sum()), 3),
        "tokens_percentiles": _percentiles((tokens / np.maximum(spoken, 1))[long]),
    }


def tokens_of(words: Tokenizer, text: str) -> tuple[int, int]:
    """Words of a text, and the tokens they cost."""
    spoken = ngrams.words_of(text)
    return len(spoken), len(words.encode(" ".join(spoken), add_special_tokens=False))


def _percentiles(values: Any) -> list[float]:
    return [round(float(value), 3) for value in np.percentile(values, (5, 50, 95))]


def opened(path: Path) -> Tokenizer:
    """The tokenizer of a file, cutting nothing off."""
    words = Tokenizer.from_file(str(path))
    words.no_truncation()
    words.no_padding()
    return words


if __name__ == "__main__":
    recipe.main(train)
