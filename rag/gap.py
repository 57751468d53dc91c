"""How far documents lie from the text that the shipped model knows: bits per byte, and tokens per word.

    document ─► its first characters ─┬─► table of byte sequences (trainer/gap.safetensors) ─► bits per byte
                                      └─► the model's tokenizer ────────────────────────────► tokens per word

Takes   the catalogue, a model folder, who looks.
Gives   `Gap`s, the farthest first, with what is ordinary: documents of other authors than those that were counted.
Stores  a document's figures, never its words: a version does not change, so it is measured once for each tokenizer.
Limits  says how unlike the words are, not how wrong the answers. The table knows English handbooks and documentation;
        a trained model may since have learnt the documents. Languages without blanks have no tokens per word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.catalogue import Catalogue
from rag.types import Document

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from trainer.ngrams import Table

LONGEST = 20_000  # characters of a document that are measured, as when the table was made
LEAST = 500  # bytes below which a document says too little about itself
TOGETHER = 20  # documents between two commits
LONG_WORDS = 15.0  # bytes a word: beyond it words are not set apart by blanks


@dataclass(frozen=True, slots=True)
class Gap:
    """One document as the meter sees it."""

    document: str
    version: int
    collection: str
    added_at: str
    bytes: int
    bits: float
    words: int
    tokens: int

    @property
    def bits_per_byte(self) -> float:
        """What the table needs for a byte of it."""
        return self.bits / max(self.bytes, 1)

    @property
    def tokens_per_word(self) -> float | None:
        """None where words are not set apart by blanks."""
        return self.tokens / self.words if self.words and self.bytes / self.words <= LONG_WORDS else None


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Documents of sources that were kept out when the table was made: as new as a company's, and ordinary."""

    documents: int
    bits: tuple[float, float, float]  # bits per byte of documents: 5th, 50th, 95th percentile
    tokens: tuple[float, float, float] | None  # tokens per word; None: measured with another tokenizer


@dataclass(frozen=True, slots=True)
class Paid:
    """A library whose answers were measured before and after a retraining on its judgements (docs/quality.md)."""

    library: str
    bits_per_byte: float
    tokens_per_word: float
    questions: int
    points: float  # more answers right, in percent of the questions
    low: float  # 95% interval of that gain
    high: float


PAID: tuple[Paid, ...] = ()  # from benchmarks/loop.py; retraining paid where `low` is above 0


@dataclass(frozen=True, slots=True)
class Gaps:
    """All documents that somebody may read."""

    documents: tuple[Gap, ...]  # the farthest first
    ordinary: Ordinary
    paid: tuple[Paid, ...] = PAID

    @property
    def bits_per_byte(self) -> float | None:
        """Of all documents together; None where there is too little text."""
        size = sum(one.bytes for one in self.documents)
        return sum(one.bits for one in self.documents) / size if size >= LEAST else None

    @property
    def tokens_per_word(self) -> float | None:
        """Of all documents together whose words are set apart by blanks."""
        apart = [one for one in self.documents if one.tokens_per_word is not None]
        words = sum(one.words for one in apart)
        return sum(one.tokens for one in apart) / words if words else None

    @property
    def line(self) -> float | None:
        """The least bits per byte at which retraining was seen to pay; None before it was measured."""
        return min((one.bits_per_byte for one in self.paid if one.low > 0), default=None)

    @property
    def verdict(self) -> str:
        """What the figures say, in one sentence."""
        found = self.bits_per_byte
        if found is None:
            return "There is too little text to say how far it lies from what the model knows."
        _, middle, far = self.ordinary.bits
        if found > far:
            return (
                "The text lies farther from what the model knows than 95 of 100 ordinary documents: expect it to err."
            )
        if found > middle:
            return "The text lies farther from what the model knows than most ordinary documents, within their range."
        return "The text is as near to what the model knows as ordinary documents. Only questions tell how it answers."

    @property
    def worth(self) -> str:
        """From which distance on retraining was seen to pay, in words, and on how little that rests."""
        if not self.paid:
            return "From which distance on retraining pays has not been measured yet; judgements are the surer sign."
        told = "; ".join(
            f"{one.library} at {one.bits_per_byte:.2f}: {one.points:+.0f} points (95%: {one.low:+.0f} to "
            f"{one.high:+.0f}, {one.questions} questions)"
            for one in self.paid
        )
        libraries = "one library" if len(self.paid) == 1 else f"{len(self.paid)} libraries"
        if self.line is None:
            return f"Retraining was not seen to pay at a distance that was measured, on {libraries}: {told}."
        own = self.bits_per_byte
        here = "" if own is None else f" These documents lie {'beyond' if own >= self.line else 'nearer than'} that."
        from_there = f"Retraining was seen to pay from {self.line:.2f} bits per byte on.{here}"
        return f"{from_there} It rests on {libraries} only: {told}."

    def as_dict(self) -> dict[str, Any]:
        """For `rag gap --json`."""
        return {
            "bits_per_byte": _rounded(self.bits_per_byte),
            "tokens_per_word": _rounded(self.tokens_per_word),
            "verdict": self.verdict,
            "ordinary": {"documents": self.ordinary.documents, "bits_per_byte": list(self.ordinary.bits),
                         "tokens_per_word": list(self.ordinary.tokens or ()) or None},
            "retraining_paid_from": self.line, "retraining": self.worth,
            "documents": [
                {"document": one.document, "version": one.version, "collection": one.collection,
                 "added_at": one.added_at, "bytes": one.bytes, "bits_per_byte": _rounded(one.bits_per_byte),
                 "tokens_per_word": _rounded(one.tokens_per_word)}
                for one in self.documents
            ],
        }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def measure(
    catalogue: Catalogue,
    model: Path,
    *,
    collection: str | None = None,
    person: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Gaps:
    """Measure what was not measured before, and give all. About four seconds for a megabyte of new text."""
    meter = Meter(model / "tokenizer.json")
    listed = catalogue.documents(collection=collection, person=person)
    known = _known(catalogue, meter.name)
    missing = [one for one in listed if one.id not in known]
    for start in range(0, len(missing), TOGETHER):
        rows = []
        for number, one in enumerate(missing[start : start + TOGETHER], start + 1):
            figures = meter.read(catalogue.document_of(one.id, with_text=True).text)
            known[one.id] = figures
            rows.append((one.id, meter.name, *figures))
            if progress:
                progress(number, len(missing))
        with catalogue.atomic() as db:
            db.executemany("insert or ignore into document_gaps values (?, ?, ?, ?, ?, ?)", rows)
    found = [_gap(one, known[one.id]) for one in listed]
    long = sorted((one for one in found if one.bytes >= LEAST), key=lambda one: -one.bits_per_byte)
    return Gaps(tuple(long), meter.ordinary())


def _known(catalogue: Catalogue, meter: str) -> dict[int, tuple[int, float, int, int]]:
    rows = catalogue.db.execute(
        "select document_id, bytes, bits, words, tokens from document_gaps where meter = ?", (meter,)
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}


def _gap(one: Document, figures: Sequence[Any]) -> Gap:
    return Gap(one.name, one.version, one.collection, one.added_at, *figures)


class Meter:
    """Table and tokenizer; its name says which two measured."""

    def __init__(self, tokenizer: Path) -> None:
        """A model without a tokenizer leaves words and tokens at 0."""
        from trainer import ngrams

        self._table, self._table_name = _table()
        self._words_of = ngrams.words_of
        self._words = _words(str(tokenizer), tokenizer.stat().st_mtime_ns) if tokenizer.is_file() else None
        self._vocabulary = ngrams.vocabulary(self._words) if self._words else "none"
        self.name = f"{self._table_name}-{self._vocabulary}"

    def read(self, text: str) -> tuple[int, float, int, int]:
        """Bytes, bits, words and tokens of a text's beginning."""
        shown = text[:LONGEST]
        bits, size = self._table.bits(shown)
        words = self._words_of(shown) if self._words else []
        tokens = len(self._words.encode(" ".join(words), add_special_tokens=False)) if self._words else 0
        return size, round(bits, 1), len(words), tokens

    def ordinary(self) -> Ordinary:
        """The figures that were taken when the table was made."""
        figures = json.loads(self._table.about["figures"])
        others = figures["other_sources"]
        same = figures["tokenizer"] == self._vocabulary
        low, middle, high = others["bits_percentiles"]
        tokens = tuple(others["tokens_percentiles"]) if same else None
        return Ordinary(others["documents"], (low, middle, high), tokens)


@lru_cache(maxsize=1)
def _table() -> tuple[Table, str]:
    """The shipped table and its name; loaded once, in about a tenth of a second."""
    from trainer import ngrams

    return ngrams.load(ngrams.SHIPPED), hashlib.sha256(ngrams.SHIPPED.read_bytes()).hexdigest()[:8]


@lru_cache(maxsize=4)
def _words(path: str, written: int) -> Tokenizer:  # noqa: ARG001 - a file written anew is another tokenizer
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(path)
    words.no_truncation()
    words.no_padding()
    return words
