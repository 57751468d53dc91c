"""One document after another: cleaned, and judged by the rules that need no other document.

    item ─► Raw ─► normalise ─► language ─► mask personal data ─► quality ─► spam, unsafe ─► overlap ─► MinHash

Takes   items of trainer.cleaning.sources.
Gives   a `Judged` for each, in their order, from this process or from several.
Memory  a few groups of about a megabyte are on their way at a time, however long the corpus is.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from trainer.cleaning import copies, language, overlap, privacy, quality, sources, unwanted
from trainer.cleaning.language import Language
from trainer.cleaning.overlap import Forbidden
from trainer.cleaning.quality import Hashes, QualityConfig, Words
from trainer.cleaning.sources import Item
from trainer.cleaning.traits import traits
from trainer.errors import DataError

GROUP = 1 << 20  # bytes judged at a time
SAMPLE = 200  # characters of a text shown in the report
NO_BANDS: Hashes = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(QualityConfig):
    """Limits of the rules that look at one document; those of `QualityConfig` belong to them."""

    languages: tuple[str, ...] = ("en",)  # kept; (): all. Texts whose language nobody can say stay for the other rules
    most_spam: float = 3.0  # selling phrases and shouts for each 100 words
    most_unsafe: float = 0.9  # probability; docs/experiments.md says what is found and what is mistaken
    invalid_utf8: str = "refuse"  # or "drop" (counted) or "replace"
    longest_megabytes: float = 16.0  # of one line or file; longer ones are dropped unread


class Judged(NamedTuple):
    """A document after the rules that look at it alone."""

    row: bytes  # the clean line, empty when the document goes
    source: str
    licence: str
    reason: str  # why it goes; empty when it stays so far
    sample: str
    size: int  # bytes of clean text
    raw_size: int  # bytes as found
    digest: int  # 64 bits of the clean text
    bands: Hashes  # of its MinHash
    masked: Counter[str]
    language: Language
    traits: dict[str, str]


@dataclass
class Worker:
    """What every document is compared with; one in each process."""

    config: JudgeConfig = field(default_factory=JudgeConfig)
    forbidden: Forbidden = field(default_factory=lambda: Forbidden(NO_BANDS))

    def judge(self, item: Item) -> Judged:
        """Clean one document and apply the rules that need no other."""
        raw = sources.raw_of(item, invalid=self.config.invalid_utf8)
        if isinstance(raw, str):
            return gone(item, raw)
        text = quality.normalise(raw.text)
        found = language.identify(text)
        text, masked = privacy.mask(text)
        words = Words(text)
        reason = self.reason(text, words, found)
        encoded = text.encode("utf-8", "replace")
        row = {"text": text, "source": raw.source, "licence": raw.licence}
        return Judged(
            b"" if reason else json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n",
            raw.source,
            raw.licence,
            reason,
            text[:SAMPLE],
            len(encoded),
            item.size,
            int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big"),
            NO_BANDS if reason else copies.bands_of(words),
            masked,
            found,
            traits(text, words),
        )

    def reason(self, text: str, words: Words, found: Language) -> str:
        """The first rule that the text breaks."""
        config = self.config
        if not words.words:
            return "no words"
        if not language.is_wanted(found, config.languages):
            return f"language: {found.code}"
        if broken := quality.broken_rule(text, words, config, stop_words=stop_words(found, config.languages)):
            return broken
        scores = unwanted.score(text, words)
        if scores.spam > config.most_spam:
            return "spam"
        if scores.unsafe > config.most_unsafe:
            return "unsafe"
        return "overlap with evaluation" if self.forbidden.shares(words.grams(overlap.OVERLAP)) else ""


def stop_words(found: Language, wanted: tuple[str, ...]) -> frozenset[str]:
    """The small words that sentences of a text's language hold; none where we know no list of them."""
    unclear = found.code == language.UNKNOWN or (wanted and found.code not in wanted)
    if found.code == "en" or (unclear and (not wanted or "en" in wanted)):
        return quality.STOP_WORDS
    return frozenset(language.SMALL_WORDS.get(found.code, "").split())


def gone(item: Item, reason: str) -> Judged:
    """An item inside which there was no document."""
    unknown = Language(language.UNKNOWN, 0.0)
    return Judged(
        b"", item.place, "", reason, f"{item.size:,} bytes", 0, item.size, 0, NO_BANDS, Counter(), unknown, {}
    )


# --- in this process, or in several -----------------------------------------------------------------------------------

Judge = Callable[[Iterable[Item]], Iterator[Judged]]
_WORKER = Worker()


def prepare(config: JudgeConfig, forbidden: Hashes) -> None:
    """Give a worker process what every document is compared with."""
    global _WORKER  # one for each process: a pool offers no other place
    _WORKER = Worker(config, Forbidden(forbidden))


def judge_group(group: list[Item]) -> list[Judged]:
    """Judge a few documents in a worker process."""
    return [_WORKER.judge(item) for item in group]


@contextmanager
def judges(config: JudgeConfig, forbidden: Hashes, *, workers: int) -> Iterator[Judge]:
    """What judges documents in their order: this process alone, or `workers` of them (0: one a core)."""
    count = workers or os.cpu_count() or 1
    if count == 1:
        worker = Worker(config, Forbidden(forbidden))
        yield lambda items: map(worker.judge, items)
        return
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can hang
    with ProcessPoolExecutor(count, mp_context=context, initializer=prepare, initargs=(config, forbidden)) as pool:
        yield lambda items: pooled(pool, items, ahead=2 * count)


def pooled(pool: ProcessPoolExecutor, items: Iterable[Item], *, ahead: int) -> Iterator[Judged]:
    """The verdicts of a pool; at most `ahead` groups are on their way."""
    waiting: deque[Future[list[Judged]]] = deque()
    try:
        for group in groups(items):
            waiting.append(pool.submit(judge_group, group))
            if len(waiting) > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError("a worker process died, perhaps for want of memory; set [corpus] workers lower") from error
    finally:
        for future in waiting:
            future.cancel()


def groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of items of about GROUP bytes."""
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.data)
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group
