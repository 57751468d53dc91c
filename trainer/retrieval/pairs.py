"""What a retriever learns from: a question, the passage that answers it, and passages that only seem to.

Takes   JSONL, plain or `.xz`, of either layout: {"question", "passage", "negatives": [...]}, or reading rows
        (`trainer/rows.py`), whose first source is the answer and whose others are near misses.
Gives   `Pair`s. A reading row without a span names no passage and is passed over; so is a negative that equals the
        passage.
Refuses a line that is neither, naming file and line. A passage is text as an index embeds it: heading path, new line,
        words.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import jsonl
from trainer.errors import DataError
from trainer.rows import in_context


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with its passage and hard negatives."""

    question: str
    passage: str
    negatives: tuple[str, ...] = ()
    domain: str = ""
    licence: str = ""


def read(paths: Iterable[Path]) -> list[Pair]:
    """All pairs of the files, in their order. Raises DataError."""
    return [pair for path in paths for pair in _file(path)]


def _file(path: Path) -> Iterator[Pair]:
    for number, raw in jsonl.numbered(path):
        try:
            pair = _pair(raw)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f'{path}, line {number}: {type(error).__name__}: {error}. Each line is {{"question", "passage", '
                '"negatives"} or a reading row; correct or remove that line'
            ) from error
        if pair is not None:
            yield pair


def _pair(raw: Any) -> Pair | None:
    if not isinstance(raw, dict):
        raise TypeError(f"a JSON object is needed, not {type(raw).__name__}")
    if "sources" in raw:
        if not raw["spans"]:
            return None
        passage, *others = (in_context(heading, text) for heading, text in raw["sources"])
    else:
        passage, others = raw["passage"], raw.get("negatives") or []
    question = raw["question"]
    if not all(isinstance(text, str) and text.strip() for text in (question, passage, *others)):
        raise ValueError("question, passage and each negative must be text that is not empty")
    negatives = tuple(dict.fromkeys(text for text in others if text != passage))
    return Pair(question, passage, negatives, str(raw.get("domain", "")), str(raw.get("licence", "")))


def split(pairs: Sequence[Pair], one_in: int) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out pairs; all questions of one passage fall on the same side, whatever the order."""
    held = [pair for pair in pairs if zlib.crc32(pair.passage.encode()) % one_in == 0]
    kept = [pair for pair in pairs if zlib.crc32(pair.passage.encode()) % one_in]
    return kept, held


def without(pairs: Sequence[Pair], held: Sequence[Pair]) -> list[Pair]:
    """The pairs that share neither question nor passage with the held-out ones."""
    questions = {pair.question.casefold() for pair in held}
    passages = {pair.passage for pair in held}
    return [pair for pair in pairs if pair.question.casefold() not in questions and pair.passage not in passages]
