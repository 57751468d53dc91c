"""What a fine-tuning learns from: a source of batches for each kind of row, its losses, and what each loss counts.

    OUT/rows ────────────────► read    point at the answer, refuse, say it
    OUT/dialogue, OUT/rows ──► rewrite a follow-up, ask about a span, talk
    talks = [own JSONL] ─────► talk    instructions and conversations of one's own
    texts = [own JSONL] ─────► text    a domain's plain text, as in pretraining
    review = own JSONL ──────► review  general reading rows, beside a company's own
    OUT/shards ──────────────► replay  general text, against forgetting

Takes   the recipe's section [finetune] and the tokenizer; rows that are missing are made (`mixture.py`, `dialogue.py`).
Gives   `Lessons.sources()`, `losses`, `weights`.
Refuses a kind whose rows are missing; a kind of the default shares is left out instead, with a line on stderr.
Formats conversations: dialogue.py; plain text: `{"text": ...}`, other keys are ignored.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from trainer import data, files, jsonl, mixture, recipe, rows
from trainer.data import Written
from trainer.errors import DataError
from trainer.loop import Batch
from trainer.pretrain import PretrainConfig, TextBatches, text_losses
from trainer.teaching import dialogue
from trainer.teaching.pointing import RowBatches, ShowConfig, reading_losses
from trainer.teaching.shares import Source, weight
from trainer.teaching.speaking import SpokenBatches, spoken_losses
from trainer.tokenizer import Tokenizer

KINDS = ("read", "review", "rewrite", "ask", "talk", "text", "replay")
READING = ("span", "support", "evidence", "answer")  # terms of the kinds "read" and "review"


def _shares() -> dict[str, float]:
    return {"read": 0.7, "rewrite": 0.1, "ask": 0.05, "talk": 0.05, "replay": 0.1}


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(ShowConfig):
    """Settings of fine-tuning."""

    base: Path | None = None  # checkpoint to start from; the newest of this run's pretraining when not given
    rows: Path | None = None  # reading rows; OUT/rows/train.jsonl when not given
    more: tuple[Path, ...] = ()  # further reading rows, such as synthetic ones, among those of `rows`
    reading_layers: int = 0  # new layers below the reading heads, which look both ways; a base that has some keeps them
    question_words: bool = False  # tell those layers which tokens also stand in the question
    review: Path | None = None  # general reading rows for the share "review", where `rows` are a company's own
    talks: tuple[Path, ...] = ()  # conversations for the share "talk"; OUT/dialogue/talk-train.jsonl when not given
    texts: tuple[Path, ...] = ()  # plain text of a domain for the share "text"
    shares: dict[str, float] = field(default_factory=_shares)  # of the batches, by kind
    talk_length: int = 512  # tokens of a conversation, a follow-up, a passage to ask about; at most the context
    text_length: int = 512  # tokens of a row of plain text
    term_weights: dict[str, float] = field(default_factory=lambda: {"answer": 0.5})  # 1 where not named
    lora_rank: int = 0  # 0 moves every weight
    lora_alpha: float = 32.0
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] = ()  # last names of linears; empty: all outside the heads


class Lessons:
    """The sources of batches by kind, how many rows each has, and hashes of the files they come from."""

    def __init__(self, plan: recipe.Recipe, config: FinetuneConfig, words: Tokenizer) -> None:
        self.plan, self.config, self.words = plan, config, words
        self.sizes: dict[str, int] = {}
        self.digests: dict[str, str] = {}

    def sources(self) -> dict[str, Source]:
        """One source for each kind that has a share. A kind of the default shares without rows is left out, aloud."""
        found: dict[str, Source] = {}
        for kind, share in self.config.shares.items():
            if not share:
                continue
            try:
                found[kind] = getattr(self, kind)()
            except DataError as error:
                if kind == "read" or self.config.shares != _shares():
                    raise
                sys.stderr.write(f"finetune: no {kind!r} rows, so its share goes to the others: {error}\n")
        return found

    def read(self) -> Source:
        """Reading rows of this run."""
        return self.reading("read", self.rows(), *self.config.more)

    def review(self) -> Source:
        """General reading rows, beside a company's own."""
        if self.config.review is None:
            raise DataError("[finetune] shares.review needs `review`, a file of general reading rows; name it")
        return self.reading("review", self.config.review)

    def reading(self, kind: str, *paths: Path) -> Source:
        """Rows that are read and pointed at."""
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path} is missing; run `trainer rows` or name a file of reading rows")
        found = [row for path in paths for row in rows.read_rows(path)]
        return RowBatches(self.noted(kind, found, *paths), self.words, self.config).batch

    def rewrite(self) -> Source:
        """Follow-ups."""
        path = self.made("rewrite-train.jsonl")
        return self.spoken("rewrite", self.noted("rewrite", dialogue.read_rewrites(path), path))

    def talk(self) -> Source:
        """Conversations."""
        paths = self.config.talks or (self.made("talk-train.jsonl"),)
        talks = [talk for path in paths for talk in dialogue.read_talks(path)]
        return self.spoken("talk", self.noted("talk", talks, *paths))

    def ask(self) -> Source:
        """Questions to be asked about a span: reading rows, the other way round."""
        path = self.rows()
        asked = [row for row in rows.read_rows(path) if row.spans]
        return self.spoken("ask", self.noted("ask", asked, path))

    def text(self) -> Source:
        """Plain text of a domain, packed as in pretraining."""
        if not self.config.texts:
            raise DataError('[finetune] shares.text needs `texts`, JSONL files of {"text": ...}; name them')
        return self.packed("text", self.stored())

    def replay(self) -> Source:
        """General text that the trunk was pretrained on."""
        return self.packed("replay", self.plan.out / "shards")

    def rows(self) -> Path:
        """The reading rows, made where they are missing."""
        path = self.config.rows or self.plan.out / "rows" / "train.jsonl"
        if self.config.rows is None and not path.is_file():
            mixture.make(self.plan)
        return path

    def made(self, name: str) -> Path:
        """A file of dialogue rows, made where it is missing."""
        path = self.plan.out / "dialogue" / name
        if not path.is_file():
            dialogue.make(self.plan)
        return path

    def stored(self) -> Path:
        """Shards of the domain's texts, written anew when a file or the tokenizer has changed."""
        folder, digest = self.plan.out / "domain", {path.name: hashed(path) for path in self.config.texts}
        stamp = {"files": digest, "tokenizer": self.words.identity}
        known = folder / "made.json"
        if not known.is_file() or json.loads(known.read_text(encoding="utf-8")) != stamp:
            texts = (raw for path in self.config.texts for raw in jsonl.objects(path))
            data.write((Written("train", "domain", str(raw["text"])) for raw in texts), self.words, folder)
            files.write_json(known, stamp)
        return folder

    def spoken(self, kind: str, found: Sequence[Any]) -> Source:
        """Batches of rows that are said."""
        config = self.config
        batches = SpokenBatches(
            found, self.words, term=kind, size=config.rows_per_batch, limit=config.talk_length, seed=config.seed
        )
        return batches.batch

    def packed(self, kind: str, folder: Path) -> Source:
        """Batches of plain text, causal and masked in turn."""
        config = self.config
        shards = data.open_shards(folder, "train", self.words)
        self.sizes[kind] = sum(shard.entry.tokens for shard in shards) // config.text_length
        self.digests[kind] = hashed(folder / "shards.json")
        reading = PretrainConfig(
            length=config.text_length,
            rows=config.rows_per_batch,
            tokens_per_step=2 * config.rows_per_batch * config.text_length,
            z_loss=0.0,
        )
        packed = data.Packed(shards, length=config.text_length, seed=config.seed + 101)
        texts = TextBatches(packed, self.words, reading)

        def batch(number: int) -> Batch:
            made = texts.batch(number, masked=number % 2 == 1)
            return made._replace(
                kind=f"{kind}/{made.kind}",
                counts={term(kind, way): count for way, count in made.counts.items()},
                separable=True,
            )

        return batch

    def noted(self, kind: str, found: list[Any], *paths: Path) -> list[Any]:
        """The rows, their number and their files' hashes remembered."""
        self.sizes[kind] = len(found)
        self.digests[kind] = " ".join(hashed(path) for path in paths)
        return found


def hashed(path: Path) -> str:
    """Hash of a file: other rows are another run."""
    return files.sha256(path)[:16]


def licences(plan: recipe.Recipe, taught: Iterable[str]) -> dict[str, dict[str, int]]:
    """For each kind that was taught how many rows of each licence its files hold; files that are gone are left out."""
    config, said = plan.section("finetune", FinetuneConfig), plan.out / "dialogue"
    read = (config.rows or plan.out / "rows" / "train.jsonl", *config.more)
    places: dict[str, Sequence[Path]] = {
        "read": read,
        "ask": read,
        "review": [config.review] if config.review else [],
        "rewrite": (said / "rewrite-train.jsonl",),
        "talk": config.talks or (said / "talk-train.jsonl",),
        "text": config.texts,
    }
    found = {}
    for kind in sorted(set(taught) & set(places)):
        rows_ = (raw for path in places[kind] if path.is_file() for raw in jsonl.objects(path))
        counted = Counter(str(raw.get("licence") or "not stated") for raw in rows_)
        if counted:
            found[kind] = dict(counted.most_common())
    return found


# --- losses -----------------------------------------------------------------------------------------------------------


def losses(model: Any, arrays: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Sums in nats by term, for a batch of any kind."""
    if kind == "read":
        return reading_losses(model, arrays)
    name, _, way = kind.partition("/")
    if way:
        return {term(name, found): value for found, value in text_losses(model, arrays, way).items()}
    return spoken_losses(model, arrays, kind)


def term(kind: str, way: str) -> str:
    """How the loss of plain text is called.

    >>> term("replay", "causal"), term("text", "masked")
    ('replay', 'text_masked')
    """
    return kind if way == "causal" else f"{kind}_{way}"


def weights(shares: Mapping[str, float], micro: int, config: FinetuneConfig) -> dict[str, float]:
    """What each term counts, so that a kind moves the weights by its share however batches make up a step."""
    counted: dict[str, float] = {}
    reading = sum(share for kind, share in shares.items() if kind in ("read", "review"))
    if reading:
        counted |= dict.fromkeys(READING, weight(reading, micro))
    for kind, share in shares.items():
        if kind in ("text", "replay"):
            counted |= {term(kind, way): weight(share / 2, micro) for way in ("causal", "masked")}
        elif kind not in ("read", "review"):
            counted[kind] = weight(share, micro)
    return {name: value * config.term_weights.get(name, 1.0) for name, value in counted.items()}
