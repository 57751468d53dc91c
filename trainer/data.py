"""Token shards on disk, and rows cut from them: packed without waste, shuffled anew each epoch, resumable exactly.

    OUT/clean ─► the tokenizer is learnt ─► write(documents) ─► shards ─► Packed ─► rows

    write(documents) ─► SPLIT-DOMAIN-000.bin (uint16 ids) + .idx (uint32 tokens a document) + shards.json
    Packed(shards)   ─► row n of length + 1 ids, for any n: epoch, order and cuts follow from (seed, n) alone

Takes   documents as ids; each ends with `<|end|>`, from which the borders inside a row are known again.
Gives   rows as a pure function of their number: "where was I" is one integer, and a resumed run reads the same rows.
Refuses shards of another tokenizer, a file shorter than its index says, and an empty split.
Transport `compress` writes `.bin.xz` beside each `.bin`; where only that arrived, it is unpacked once on opening.
"""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer import fertility, files, recipe
from trainer.errors import DataError
from trainer.tokenizer import Tokenizer, train

Ids = npt.NDArray[np.uint16]
SHARD_TOKENS = 100_000_000  # a file is closed after this many
BATCH = 512  # documents tokenized at once


class Written(NamedTuple):
    """A document to be stored: which split and domain it belongs to."""

    split: str
    domain: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One shard as shards.json describes it."""

    file: str
    split: str
    domain: str
    documents: int
    tokens: int
    bytes: int  # of the text in UTF-8: tokens and bytes give the fertility


class Shard:
    """One opened shard: all ids mapped into memory, and where its documents begin."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        path = folder / entry.file
        packed = path.with_suffix(".bin.xz")
        if not path.is_file() and packed.is_file():
            with lzma.open(packed) as source, files.aside(path) as part, part.open("wb") as out:
                shutil.copyfileobj(source, out)
        for needed in (path, path.with_suffix(".idx")):
            if not needed.is_file():
                raise DataError(f"{needed} is missing; copy it again or run `trainer tokenizer` again")
        if path.stat().st_size != 2 * entry.tokens:
            size = path.stat().st_size
            raise DataError(f"{path} has {size} bytes, shards.json says {2 * entry.tokens}; copy it again")
        self.entry = entry
        self.ids: Ids = np.memmap(path, dtype="<u2", mode="r")
        self.lengths = np.fromfile(path.with_suffix(".idx"), dtype="<u4").astype(np.int64)
        if len(self.lengths) != entry.documents or int(self.lengths.sum()) != entry.tokens:
            raise DataError(f"{path.with_suffix('.idx')} does not fit {entry.file}; copy both again")
        self.starts = np.cumsum(self.lengths) - self.lengths


def write(documents: Iterable[Written], tokenizer: Tokenizer, folder: Path, *, compress: bool = False) -> list[Entry]:
    """Tokenize and store documents; shards.json comes last, so a folder that has one is complete."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    writers: dict[tuple[str, str], Writer] = {}
    done: list[Entry] = []
    for group in groups(documents, BATCH):
        for document, ids in zip(group, tokenizer.encode_all([d.text for d in group]), strict=True):
            key = (document.split, document.domain)
            writer = writers.get(key)
            if writer is None or writer.tokens > SHARD_TOKENS:
                done += [writer.close()] if writer else []
                name = f"{document.split}-{document.domain}-{sum((e.split, e.domain) == key for e in done):03d}"
                writer = writers[key] = Writer(folder, name, key)
            writer.add([*ids, tokenizer.end], len(document.text.encode("utf-8", "replace")))
    done += [writer.close() for writer in writers.values()]
    if not done:
        raise DataError("no text to store; run `trainer corpus` first and look at its report")
    if compress:
        for entry in done:
            path = folder / entry.file
            with (
                files.aside(path.with_suffix(".bin.xz")) as part,
                path.open("rb") as source,
                lzma.open(part, "wb") as out,
            ):
                shutil.copyfileobj(source, out)
    files.write_json(
        folder / "shards.json",
        {
            "format": 1,
            "tokenizer": tokenizer.identity,
            "vocabulary": tokenizer.size,
            "shards": [asdict(e) for e in done],
        },
    )
    return done


class Writer:
    """One shard being written."""

    def __init__(self, folder: Path, name: str, key: tuple[str, str]) -> None:
        self.path, self.key = folder / f"{name}.bin", key
        self.out = self.path.open("wb")
        self.lengths: list[int] = []
        self.tokens = self.bytes = 0

    def add(self, ids: Sequence[int], size: int) -> None:
        """Append one document."""
        self.out.write(np.array(ids, dtype="<u2").tobytes())
        self.lengths.append(len(ids))
        self.tokens += len(ids)
        self.bytes += size

    def close(self) -> Entry:
        """Finish the two files."""
        self.out.close()
        np.array(self.lengths, dtype="<u4").tofile(self.path.with_suffix(".idx"))
        split, domain = self.key
        documents, name = len(self.lengths), self.path.name
        return Entry(file=name, split=split, domain=domain, documents=documents, tokens=self.tokens, bytes=self.bytes)


def groups(items: Iterable[Written], size: int) -> Iterator[list[Written]]:
    """Lists of `size` items, the last one shorter."""
    group: list[Written] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def open_shards(folder: Path, split: str, tokenizer: Tokenizer) -> list[Shard]:
    """The shards of one split ("train" or "held"). Raises DataError unless they were made with this tokenizer."""
    index = folder / "shards.json"
    if not index.is_file():
        raise DataError(f"{index} is missing; run `trainer tokenizer` first")
    try:
        raw = json.loads(index.read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in raw["shards"]]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{index} is damaged ({error!r}); copy it again or run `trainer tokenizer` again") from error
    if raw.get("tokenizer") != tokenizer.identity:
        raise DataError(
            f"{folder} was made with tokenizer {raw.get('tokenizer')}, this one is {tokenizer.identity}; "
            "use the tokenizer.json beside it or run `trainer tokenizer` again"
        )
    shards = [Shard(folder, entry) for entry in entries if entry.split == split]
    if not shards:
        raise DataError(f"{folder} has no {split!r} shards; there are {sorted({entry.split for entry in entries})}")
    return shards


class Epoch(NamedTuple):
    """One pass over the text: documents in this epoch's order, laid end to end and cut into rows."""

    shard: npt.NDArray[np.int32]  # [documents] which shard
    start: npt.NDArray[np.int64]  # [documents] first token inside it
    end: npt.NDArray[np.int64]  # [documents] where the document ends in the laid-out stream
    rows: npt.NDArray[np.int64]  # [rows] in the order they are read


class Packed:
    """Rows of `length + 1` ids (inputs and, shifted by one, targets)."""

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        length: int,
        seed: int,
        weights: Mapping[str, float] | None = None,
        shuffle: bool = True,
    ) -> None:
        """`weights`: how often each domain is read in an epoch; 0.5 reads a random half, 2 everything twice."""
        self.shards, self.length, self.seed, self.shuffle = shards, length, seed, shuffle
        self.weights = dict(weights or {})
        known = {shard.entry.domain for shard in shards}
        if set(self.weights) - known:
            raise DataError(f"weights name {sorted(set(self.weights) - known)}; the shards hold {sorted(known)}")
        self.sizes: list[int] = []  # rows of each epoch met so far
        self.current: tuple[int, Epoch] | None = None

    def row(self, number: int) -> Ids:
        """Row `number` of an endless sequence of epochs."""
        index, first = 0, 0
        while True:
            if index == len(self.sizes):
                self.current = (index, self.lay_out(index))
                self.sizes.append(len(self.current[1].rows))
            if number < first + self.sizes[index]:
                break
            first += self.sizes[index]
            index += 1
        if self.current is None or self.current[0] != index:
            self.current = (index, self.lay_out(index))
        return self.cut(self.current[1], number - first)

    def lay_out(self, index: int) -> Epoch:
        """Order and cuts of one epoch, from (seed, index) alone."""
        chance = np.random.default_rng([self.seed, index])
        which, starts, lengths = [], [], []
        for number, shard in enumerate(self.shards):
            weight = self.weights.get(shard.entry.domain, 1.0)
            times = int(weight) + (chance.random(len(shard.lengths)) < weight - int(weight))
            which.append(np.full(int(times.sum()), number, dtype=np.int32))
            starts.append(np.repeat(shard.starts, times))
            lengths.append(np.repeat(shard.lengths, times))
        shard_of, start, length = np.concatenate(which), np.concatenate(starts), np.concatenate(lengths)
        if self.shuffle:
            order = chance.permutation(len(start))
            shard_of, start, length = shard_of[order], start[order], length[order]
        end = np.cumsum(length)
        count = int((end[-1] - 1) // self.length) if len(end) else 0
        if count < 1:
            raise DataError(f"the shards hold no row of {self.length} tokens; use more text or a shorter context")
        rows = chance.permutation(count) if self.shuffle else np.arange(count)
        return Epoch(shard_of, start, end, rows)

    def cut(self, epoch: Epoch, position: int) -> Ids:
        """The row at a position of an epoch."""
        begin = int(epoch.rows[position]) * self.length
        out, filled = np.empty(self.length + 1, dtype=np.uint16), 0
        document = int(np.searchsorted(epoch.end, begin, side="right"))
        while filled < len(out):
            shard = self.shards[epoch.shard[document]]
            before = int(epoch.end[document - 1]) if document else 0
            inside = begin + filled - before
            take = min(int(epoch.end[document]) - before - inside, len(out) - filled)
            at = int(epoch.start[document]) + inside
            out[filled : filled + take] = shard.ids[at : at + take]
            filled += take
            document += 1
        return out


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Settings of the tokenizer and the shards."""

    vocabulary: int = 8192
    sample_bytes: int = 200_000_000  # of each domain, to learn merges from
    compress: bool = False  # also write .bin.xz, to carry shards to another machine


def tokenize(plan: recipe.Recipe) -> Path:
    """Learn the tokenizer from clean text and store the text as shards; returns the tokenizer's file."""
    config = plan.section("tokenizer", TokenizerConfig)
    clean = sorted((plan.out / "clean").glob("*.*.jsonl"))
    if not clean:
        raise DataError(f"{plan.out / 'clean'} holds no clean text; run `trainer corpus` first")
    words = train((text for path in clean for text in sample(path, config.sample_bytes)), vocabulary=config.vocabulary)
    keep_trained(plan.out / "pretrain", words)
    words.save(plan.out / "tokenizer.json")
    stored = (
        Written(path.name.split(".")[-2], path.name.split(".")[0], text) for path in clean for text in sample(path, 0)
    )
    meter = fertility.Meter(clean)
    entries = write(meter.passing(stored), words, plan.out / "shards", compress=config.compress)
    meter.report(entries, plan.out / "tokenizer.report.json", {"vocabulary": words.size})
    return plan.out / "tokenizer.json"


def keep_trained(folder: Path, words: Tokenizer) -> None:
    """Raise DataError where checkpoints stand that another tokenizer belongs to: without it they are lost."""
    for state in sorted(folder.glob("step-*/state.json")):
        try:
            known = json.loads(state.read_text(encoding="utf-8"))["identity"]["tokenizer"]
        except (ValueError, KeyError, TypeError):
            continue  # whoever opens it will say what is wrong with it
        if known != words.identity:
            raise DataError(
                f"{state.parent} was trained with tokenizer {known}, the clean text now gives {words.identity}, which "
                f"would make it useless; nothing was written: choose another --out, or remove {folder} first"
            )


def sample(path: Path, most: int) -> Iterator[str]:
    """Texts of a JSONL file, up to `most` bytes; 0: all."""
    given = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            given += len(line)
            if 0 < most < given:
                return
            yield text


def documents_of(ids: npt.NDArray[Any], end: int) -> npt.NDArray[np.int32]:
    """Which document of its row each token belongs to: ids [rows, time] to numbers from 0; `<|end|>` closes its own."""
    closing: npt.NDArray[np.int32] = (ids == end).astype(np.int32)
    return np.cumsum(closing, axis=1, dtype=np.int32) - closing


if __name__ == "__main__":
    recipe.main(tokenize)
