"""Raw text becomes clean text, with a report of what went and why.

    places ─► items ─► normalise, language, masking, quality, spam, overlap (processes) ─► copies, near copies ─► clean
                                                                           balance ─► contradictions ─► report

Takes   JSONL (also packed), folders of text files, data sets of the Hugging Face hub; one domain a pattern.
Gives   `OUT/clean/DOMAIN.train.jsonl`, `DOMAIN.held.jsonl` (held out by a hash of the text), `contradictions.jsonl`,
        `report.json` and `report.html`.
Refuses nothing silently: every dropped document is counted under its reason, with a few samples. The folder `clean` of
        an earlier run stands until this one is complete.
Memory  the documents on their way, and 120 bytes for each one kept (trainer/cleaning/copies.py).
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainer import files, folders, recipe
from trainer.cleaning import balance, contradictions, corpus_page, sources
from trainer.cleaning.copies import Seen
from trainer.cleaning.corpus_report import Report
from trainer.cleaning.judge import Judge, JudgeConfig, judges
from trainer.cleaning.overlap import EVALUATION, overlap_grams
from trainer.cleaning.pace import Pace
from trainer.cleaning.sources import Item, Place
from trainer.errors import DataError, RecipeError


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(JudgeConfig):
    """Settings of the corpus; the limits of `JudgeConfig` belong to them."""

    sources: dict[str, str] = field(default_factory=dict)  # domain -> pattern, folder or hf:NAME; {}: pretrain/*
    evaluation: tuple[str, ...] = EVALUATION  # what must not be learnt
    questions: tuple[str, ...] = ("qa/train/*",)  # searched for contradicting answers
    weights: dict[str, float] = field(default_factory=dict)  # domain -> share wanted, any unit; {}: all text once
    most_repeats: float = 4.0  # of a small domain, to reach its share
    bytes_per_domain: int = 0  # stop a domain after this much clean text; 0: read all
    held_share: float = 0.005  # of the documents, kept for measuring
    workers: int = 0  # processes; 0: one a core
    page: bool = True  # also write report.html (needs matplotlib)


def corpus(plan: recipe.Recipe) -> Path:
    """Clean raw text; returns the folder of clean text and its report."""
    config = checked(plan.section("corpus", CorpusConfig))
    started = time.monotonic(), cpu_seconds()
    domains = sources.find_sources(plan.data, config.sources)
    forbidden, unread = overlap_grams(plan.data, config.evaluation)
    report, seen = Report(), Seen()
    pace = Pace(sum(sources.size_of(place) for places in domains.values() for place in places), name="corpus")
    part = plan.out / "clean.part"
    shutil.rmtree(part, ignore_errors=True)
    with judges(config, forbidden, workers=config.workers) as judge:
        for domain, places in domains.items():
            read = Reading(places, pace, round(config.longest_megabytes * 1e6))
            clean_domain(domain, read, judge=judge, out=part, config=config, seen=seen, report=report)
    if not any(kept["documents"] for kept in report.kept.values()):
        raise nothing_kept(domains, report)
    written = balanced(part, list(domains), config)
    listed = contradictions.listed(plan.data, config.questions, part / "contradictions.jsonl")
    seconds, cpu = time.monotonic() - started[0], cpu_seconds() - started[1]
    summary = report.summary() | {
        "balance": written,
        "represented": report.represented(config.weights),
        "contradictions": listed,
        "evaluation_grams": len(forbidden),
        "evaluation_files_not_read": unread,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "megabytes_per_second": round(report.bytes_in / 1e6 / seconds, 2),
        "megabytes_per_second_a_core": round(report.bytes_in / 1e6 / cpu, 2),
    }
    files.write_json(part / "report.json", summary)
    if config.page:
        write_page(part / "report.html", summary)
    folders.replace(plan.out / "clean", part)
    return plan.out / "clean"


def checked(config: CorpusConfig) -> CorpusConfig:
    """The settings, once their words are known ones."""
    if config.invalid_utf8 not in ("refuse", "drop", "replace"):
        raise RecipeError(f'[corpus] invalid_utf8 is {config.invalid_utf8!r}; say "refuse", "drop" or "replace"')
    if not 0 < config.longest_megabytes <= 1000 or not 0 <= config.held_share < 1:
        raise RecipeError(
            f"[corpus] longest_megabytes is {config.longest_megabytes}, held_share {config.held_share}; "
            "use up to 1000 megabytes and a share below 1"
        )
    for name in ("workers", "bytes_per_domain"):
        if getattr(config, name) < 0:
            raise RecipeError(f"[corpus] {name} is {getattr(config, name)}; use 0 (as many as there are) or more")
    return config


def nothing_kept(domains: Mapping[str, Sequence[Place]], report: Report) -> DataError:
    """Why there is no clean text: there was none to begin with, or every document broke a rule."""
    if not any(report.met.values()):
        places = ", ".join(str(place) for found in domains.values() for place in found[:2])
        return DataError(f"{places}: there is not one document inside; give --data or [corpus] sources that hold text")
    return DataError(
        f"no document of {sorted(domains)} was kept: {dict(report.reasons)}; look at the limits in [corpus]"
    )


@dataclass(frozen=True)
class Reading:
    """The places of one domain, being read."""

    places: list[Place]
    pace: Pace
    longest: int  # bytes of one item

    def items(self) -> Iterator[Item]:
        """All items, in their order."""
        for place in self.places:
            yield from sources.items(place, longest=self.longest, at=self.pace.at)
            self.pace.file_ends(sources.size_of(place))


def clean_domain(
    domain: str, read: Reading, *, judge: Judge, out: Path, config: CorpusConfig, seen: Seen, report: Report
) -> None:
    """Write the two files of one domain."""
    with ExitStack() as stack:
        parts = [stack.enter_context(files.aside(out / f"{domain}.{split}.jsonl")) for split in ("train", "held")]
        train, held = (stack.enter_context(part.open("wb")) for part in parts)
        for judged in judge(read.items()):
            reason = judged.reason or seen.copy_of(judged.digest, judged.bands)
            report.count(domain, judged, reason)
            read.pace.add(judged.raw_size, domain)
            if reason:
                continue
            keep_apart = judged.digest >> 32 < config.held_share * 2**32
            (held if keep_apart else train).write(judged.row)
            if 0 < config.bytes_per_domain <= report.kept[domain]["bytes"]:
                break
    sys.stderr.write(
        f"corpus  {domain}: {report.kept[domain]['documents']:,} documents kept of {report.met[domain]:,}\n"
    )


def balanced(folder: Path, domains: list[str], config: CorpusConfig) -> dict[str, Any]:
    """Bring the training text of the domains to the shares wanted; gives what was done."""
    if not config.weights:
        return {"weights": {}, "factors": {}, "written": {}}
    paths = {domain: folder / f"{domain}.train.jsonl" for domain in domains}
    sizes = {domain: path.stat().st_size for domain, path in paths.items()}
    factors = balance.factors(sizes, config.weights, most_repeats=config.most_repeats)
    written = {domain: balance.rewrite(paths[domain], factor) for domain, factor in factors.items() if factor != 1}
    return {
        "weights": config.weights,
        "factors": factors,
        "written": {domain: {"documents": count, "bytes_on_disk": size} for domain, (count, size) in written.items()},
    }


def write_page(path: Path, summary: dict[str, Any]) -> None:
    """The report for people; without matplotlib a line says why there is none, as the text itself is clean."""
    if find_spec("matplotlib"):
        files.write_text(path, corpus_page.page(summary))
    else:
        sys.stderr.write('corpus  no report.html: it needs matplotlib (pip install "groundling[train]")\n')


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    recipe.main(corpus)
