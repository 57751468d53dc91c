"""Raw text becomes clean text, with a report of what went and why.

    files ─► normalise ─► mask personal data ─► quality rules ─► overlap with evaluation ─► copies, near copies ─► clean

Takes   JSONL (also `.xz`) with `text`, `source`, `licence`, or folders of text files, one domain a pattern.
Gives   `OUT/clean/DOMAIN.train.jsonl`, `DOMAIN.held.jsonl` (held out by a hash of the text) and `report.json`.
Refuses nothing silently: every dropped document is counted under its reason, with a few samples.
Source  near copies: MinHash, Broder 1997, 14 bands of 8 over runs of 5 words, and the rule that one shared band makes
        a copy: FineWeb, arXiv:2406.17557, E.2. Overlap: 13 words in a row, Brown et al., arXiv:2005.14165, appendix C.
Left out: language identification beyond English stop words, a learnt classifier, an HTML report.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from trainer import files, quality, recipe, sources
from trainer.errors import DataError
from trainer.quality import Hashes, QualityConfig, Words
from trainer.sources import Raw

BANDS, ROWS = 14, 8  # MinHash: copies of similarity .75 share a band with probability .77, of .5 with .05
SHINGLE = 5  # words
OVERLAP = 13  # words in a row
GROUP = 8_000_000  # characters judged at a time
SAMPLES = 3  # kept for each reason


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(QualityConfig):
    """Settings of the corpus; the limits of `QualityConfig` belong to them."""

    sources: dict[str, str] = field(default_factory=dict)  # domain -> pattern under the data folder; {}: pretrain/*
    evaluation: tuple[str, ...] = ("qa/eval/*", "retrieval/*/*", "documents/**/*")  # what must not be learnt
    bytes_per_domain: int = 0  # stop a domain after this much clean text; 0: read all
    held_share: float = 0.005  # of the documents, kept for measuring
    workers: int = 0  # processes; 0: one a core


class Judged(NamedTuple):
    """A document after the rules that look at it alone."""

    raw: Raw  # with the clean text
    reason: str  # why it goes; empty when it stays so far
    masked: int  # addresses and numbers replaced
    bands: tuple[int, ...]  # of its MinHash


Apply = Callable[[list[Raw]], list[Judged]]


def corpus(plan: recipe.Recipe) -> Path:
    """Clean raw text; returns the folder of clean text and its report."""
    config = plan.section("corpus", CorpusConfig)
    out = plan.out / "clean"
    started = time.monotonic()
    domains = sources.find_sources(plan.data, config.sources)
    forbidden, unread = overlap_grams(plan.data, config.evaluation)
    out.mkdir(parents=True, exist_ok=True)
    report = Report()
    seen = Seen()
    with judges(config, forbidden) as apply:
        for domain, paths in domains.items():
            clean_domain(domain, paths, apply=apply, out=out, config=config, seen=seen, report=report)
    if not any(kept["documents"] for kept in report.kept.values()):
        raise DataError(
            f"no document of {sorted(domains)} was kept: {dict(report.reasons)}; look at the limits in [corpus]"
        )
    seconds = time.monotonic() - started
    summary = report.summary() | {
        "evaluation_grams": len(forbidden),
        "evaluation_files_not_read": unread,
        "seconds": round(seconds, 1),
        "megabytes_per_second": round(report.bytes_in / 1e6 / seconds, 2),
    }
    files.write_json(out / "report.json", summary)
    return out


def clean_domain(
    domain: str, paths: list[Path], *, apply: Apply, out: Path, config: CorpusConfig, seen: Seen, report: Report
) -> None:
    """Write the two files of one domain."""
    with (
        files.aside(out / f"{domain}.train.jsonl") as train_part,
        files.aside(out / f"{domain}.held.jsonl") as held_part,
        train_part.open("w", encoding="utf-8") as train,
        held_part.open("w", encoding="utf-8") as held,
    ):
        for judged in judged_documents(apply, paths, size=min(GROUP, config.bytes_per_domain or GROUP)):
            text = judged.raw.text
            digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
            reason = judged.reason or seen.copy_of(digest, judged.bands)
            report.count(domain, judged, reason)
            if reason:
                continue
            keep_apart = int.from_bytes(digest[:4], "big") < config.held_share * 2**32
            write_row(held if keep_apart else train, judged.raw)
            if 0 < config.bytes_per_domain <= report.kept[domain]["bytes"]:
                break
    sys.stderr.write(
        f"corpus  {domain}: {report.kept[domain]['documents']:,} documents kept of {report.met[domain]:,}\n"
    )


def judged_documents(apply: Apply, paths: list[Path], *, size: int) -> Iterator[Judged]:
    """The documents of files in their order, judged by all processes; about `size` characters of them are in memory."""
    group: list[Raw] = []
    held = 0
    for raw in sources.documents(paths):
        group.append(raw)
        held += len(raw.text)
        if held >= size:
            yield from apply(group)
            group, held = [], 0
    yield from apply(group)


def write_row(out: TextIO, raw: Raw) -> None:
    """One line of clean text."""
    row = {"text": raw.text, "source": raw.source, "licence": raw.licence}
    out.write(json.dumps(row, ensure_ascii=False) + "\n")


# --- one document at a time, in worker processes ----------------------------------------------------------------------

_CONFIG: CorpusConfig
_FORBIDDEN: Hashes


@contextmanager
def judges(config: CorpusConfig, forbidden: Hashes) -> Iterator[Apply]:
    """What judges a group of documents: this process alone, or several."""
    workers = config.workers or os.cpu_count() or 1
    if workers == 1:
        prepare(config, forbidden)
        yield lambda group: [judge(raw) for raw in group]
        return
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can hang
    with context.Pool(workers, initializer=prepare, initargs=(config, forbidden)) as pool:
        yield lambda group: pool.map(judge, group, chunksize=16)


def prepare(config: CorpusConfig, forbidden: Hashes) -> None:
    """Give a worker process what every document is compared with."""
    global _CONFIG, _FORBIDDEN  # one set for each process: Pool offers no other place
    _CONFIG, _FORBIDDEN = config, forbidden


def judge(raw: Raw) -> Judged:
    """Normalise, mask, and apply the rules that need no other document."""
    from rensa import RMinHash

    text, masked = quality.mask_personal(quality.normalise(raw.text))
    words = Words(text)
    reason = quality.broken_rule(text, words, _CONFIG) if words.words else "no words"
    if reason is None and shares(words.grams(OVERLAP), _FORBIDDEN):
        reason = "overlap with evaluation"
    bands: tuple[int, ...] = ()
    if reason is None:
        grams = words.grams(SHINGLE)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams, [0, len(grams)], BANDS * ROWS, 7)
        digest = np.array(matrix.to_rows()[0], dtype="<u4").reshape(BANDS, ROWS)
        bands = tuple(
            int.from_bytes(hashlib.blake2b(bytes([band]) + row.tobytes(), digest_size=8).digest(), "big")
            for band, row in enumerate(digest)
        )
    return Judged(Raw(text, raw.source, raw.licence), reason or "", masked, bands)


def shares(grams: Hashes, forbidden: Hashes) -> bool:
    """Whether any of the hashes is among the (sorted) forbidden ones."""
    if not len(grams) or not len(forbidden):
        return False
    at = np.minimum(np.searchsorted(forbidden, grams), len(forbidden) - 1)
    return bool((forbidden[at] == grams).any())


def overlap_grams(data: Path, patterns: tuple[str, ...]) -> tuple[Hashes, dict[str, int]]:
    """Sorted hashes of every run of 13 words in the evaluation files, and how many files of each kind were not read."""
    parts: list[Hashes] = []
    unread: Counter[str] = Counter()
    for path in sorted({p for pattern in patterns for p in data.glob(pattern) if p.is_file()}):
        text = sources.plain_text(path)
        if text is None:
            unread[path.suffix.lower() or "no suffix"] += 1
        elif ".jsonl" in path.suffixes:
            rows = [json.loads(line) for line in text.split("\n") if line]
            parts += [Words(value).grams(OVERLAP) for value in sources.strings(rows)]
        else:
            parts.append(Words(text).grams(OVERLAP))
    return (np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.uint64)), dict(unread)


class Seen:
    """What was kept so far: the first of several copies stays."""

    def __init__(self) -> None:
        self.digests: set[bytes] = set()
        self.bands: set[int] = set()

    def copy_of(self, digest: bytes, bands: tuple[int, ...]) -> str:
        """Why a document is a copy, or nothing; a new one is remembered."""
        if digest in self.digests:
            return "exact copy"
        if not self.bands.isdisjoint(bands):
            return "near copy"
        self.digests.add(digest)
        self.bands.update(bands)
        return ""


class Report:
    """What went, and why."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.by_domain: dict[str, Counter[str]] = defaultdict(Counter)
        self.samples: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.kept: dict[str, Counter[str]] = defaultdict(Counter)
        self.licences: dict[str, Counter[str]] = defaultdict(Counter)
        self.masked = self.bytes_in = 0

    def count(self, domain: str, judged: Judged, reason: str) -> None:
        """Note one document."""
        size = len(judged.raw.text.encode("utf-8", "replace"))
        self.met[domain] += 1
        self.bytes_in += size
        if reason:
            self.reasons[reason] += 1
            self.by_domain[domain][reason] += 1
            if len(self.samples[reason]) < SAMPLES:
                self.samples[reason].append({"source": judged.raw.source, "text": judged.raw.text[:200]})
            return
        self.masked += judged.masked
        self.kept[domain].update(documents=1, bytes=size)
        self.licences[domain][judged.raw.licence or "not stated"] += size

    def summary(self) -> dict[str, Any]:
        """Everything as plain values; licences with the bytes they cover."""
        total = sum(kept["bytes"] for kept in self.kept.values())
        return {
            "documents": sum(self.met.values()),
            "kept": sum(kept["documents"] for kept in self.kept.values()),
            "bytes_kept": total,
            "dropped": dict(self.reasons.most_common()),
            "addresses_and_numbers_masked": self.masked,
            "domains": {
                domain: {
                    "documents": self.met[domain],
                    "kept": self.kept[domain]["documents"],
                    "bytes": self.kept[domain]["bytes"],
                    "share_of_text": round(self.kept[domain]["bytes"] / max(total, 1), 4),
                    "dropped": dict(self.by_domain[domain].most_common()),
                    "licences": dict(self.licences[domain].most_common()),
                }
                for domain in self.met
            },
            "samples": dict(self.samples),
        }


if __name__ == "__main__":
    recipe.main(corpus)
