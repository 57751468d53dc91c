"""Passages become reading rows: questions, exact answers, near misses, and questions that nothing answers.

    passages ─► shelves ─► questions by rule and by the model ─► round trip ─┬─► answerable rows
                                                                             └─► changed, swapped ─► round trip
                                                                                     ─► rows that nothing answers

Takes   a JSONL file of passages (`trainer.synthesis.passages`) and a model folder whose reader judges.
Gives   OUT as JSONL that `rows.read_rows` opens (gold source first; `order` is a shuffled order to show them in), and
        beside it NAME.report.json and .html. The same seed, passages, model and precision give the same rows.
        Stopped and run again, it goes on behind the last finished shelf.
Refuses rows whose round trip fails (`trainer.synthesis.roundtrip`); the report counts them by kind and reason.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from trainer import files, machine, recipe
from trainer.encoder import Encoder, packaged_encoder
from trainer.encoder_reader import EncoderReader
from trainer.errors import DataError, RecipeError
from trainer.reading import SourceReader, TrunkReader
from trainer.synthesis import passages, synthesis_report
from trainer.synthesis.asking.written import Writer, can_ask
from trainer.synthesis.roundtrip import Shelf
from trainer.synthesis.synthetic_rows import Bench, SynthesizeConfig, Tally, rows


def synthesize(plan: recipe.Recipe) -> Path:
    """Make rows from the passages of a recipe; returns their file. Run again, it goes on."""
    config = plan.section("synthesize", SynthesizeConfig)
    return make(
        replace(
            config,
            passages=config.passages or plan.out / "passages.jsonl",
            rows=config.rows or plan.out / "rows" / "synthetic.jsonl",
        )
    )


def of_command(plan: recipe.Recipe, given: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """The same from a command line: what it gives stands above the recipe; `overrides` are "key=value"."""
    own = dict(plan.sections.get("synthesize", {})) | {key: value for key, value in given.items() if value is not None}
    for override in overrides:
        key, equals, value = override.removeprefix("synthesize.").partition("=")
        if not equals:
            raise RecipeError(f"{override!r}: write an override as key=value, such as per_passage=2")
        own[key.strip()] = recipe.parse(value.strip())
    return synthesize(replace(plan, sections={**plan.sections, "synthesize": own}))


def make(config: SynthesizeConfig, *, told: Callable[[float], None] | None = None) -> Path:
    """Write the rows and their report; returns the rows' file. `told` hears after each shelf how far it is, 0 to 1."""
    check(config)
    total = passages.count(config.source)
    if not total:
        raise DataError(f"{config.source} holds no passages; each line is one, as docs/formats.md says")
    config = replace(config, precision=machine.pick_precision(config.precision, torch.device("cpu")))
    work = config.target.with_name(config.target.name + ".work")
    prepare(work, config)
    shelves = range(-(-total // config.shelf))
    left = [number for number in shelves if not (work / f"{number:06d}.json").is_file()]
    progress = Progress(total, config.shelf, done=len(shelves) - len(left))
    for tally in results(left, config, work):
        progress.show(tally)
        if told is not None:
            told(progress.done / total)
    kept = joined(config.target, [work / f"{number:06d}.jsonl" for number in shelves])
    tallies = [json.loads((work / f"{number:06d}.json").read_text(encoding="utf-8")) for number in shelves]
    settings = {
        **{k: v for k, v in asdict(config).items() if k not in ("passages", "rows", "model", "embedder", "workers")},
        "model": config.model.name,
    }
    synthesis_report.write(
        config.target, tallies, settings=settings, repeated=kept[1], writing=can_write(config.model) or "used"
    )
    shutil.rmtree(work)
    sys.stderr.write(f"{config.target}: {kept[0]:,} rows of {total:,} passages\n")
    return config.target


def check(config: SynthesizeConfig) -> None:
    """Raise RecipeError for a value that makes no sense."""
    if not 1 <= config.most_sources <= 8:
        raise RecipeError(f"most_sources is {config.most_sources}; a row holds 1 to 8")
    for name in ("least_f1", "most_support", "top_p"):
        if not 0 <= getattr(config, name) <= 1:
            raise RecipeError(f"{name} is {getattr(config, name)}; use a share from 0 to 1")
    for name in ("per_passage", "shelf", "workers", "found_within", "spans"):
        if getattr(config, name) < 1:
            raise RecipeError(f"{name} is {getattr(config, name)}; use at least 1")
    if not (config.model / "config.json").is_file():
        raise RecipeError(f"{config.model} holds no model (no config.json); name a model folder such as models/base")


def prepare(work: Path, config: SynthesizeConfig) -> None:
    """Make the folder of finished shelves, or empty one that other settings or passages left behind."""
    digest, model = files.sha256(config.source), files.sha256(config.model / "config.json")
    settings = {k: v for k, v in asdict(config).items() if k not in ("rows", "passages", "workers")}
    identity = json.loads(json.dumps({"passages": digest, "config.json": model, **settings}, default=str))
    note = work / "identity.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == identity:
        return
    shutil.rmtree(work, ignore_errors=True)
    files.write_json(note, identity)


def results(left: Sequence[int], config: SynthesizeConfig, work: Path) -> Iterator[Tally]:
    """Work through the shelves, here or in processes of their own."""
    if config.workers == 1 or len(left) < 2:
        yield from (shelved(number, config, work) for number in left)
        return
    with ProcessPoolExecutor(
        config.workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from pool.map(shelved, left, [config] * len(left), [work] * len(left))


# --- one shelf --------------------------------------------------------------------------------------------------------


def shelved(number: int, config: SynthesizeConfig, work: Path) -> Tally:
    """Make the rows of one shelf and write them down, then what became of them."""
    encoder, reader, writer = opened(config)
    shelf = Shelf(passages.shelf(config.source, number, config.shelf), encoder, bf16=config.precision == "bf16")
    bench = Bench(shelf, reader, writer, config, Tally(len(shelf.passages)))
    with files.aside(work / f"{number:06d}.jsonl") as part, part.open("w", encoding="utf-8") as out:
        for row in rows(bench):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    files.write_json(work / f"{number:06d}.json", bench.tally.plain())
    return bench.tally


@lru_cache(maxsize=1)
def opened(config: SynthesizeConfig) -> tuple[Encoder, SourceReader, Writer | None]:
    """Embedder, reader and writer of this process."""
    encoder = Encoder.from_folder(config.embedder or packaged_encoder())
    reader: SourceReader
    if json.loads((config.model / "config.json").read_text(encoding="utf-8")).get("kind") == "trunk":
        reader = TrunkReader.from_folder(config.model)
        asks = not can_write(config.model)
        return encoder, reader, Writer(reader, temperature=config.temperature, top_p=config.top_p) if asks else None
    reader = EncoderReader.from_folder(config.model)
    reader.bf16 = config.precision == "bf16"
    return encoder, reader, None


def can_write(model: Path) -> str:
    """Why the model writes no questions; empty where it does."""
    return can_ask(json.loads((model / "config.json").read_text(encoding="utf-8")))


# --- all shelves ------------------------------------------------------------------------------------------------------


def joined(path: Path, parts: Sequence[Path]) -> tuple[int, int]:
    """Write the shelves' rows as one file, an answerable question once; how many were kept and how many repeated."""
    seen: set[int] = set()
    kept = repeated = 0
    with files.aside(path) as aside, aside.open("w", encoding="utf-8") as out:
        for line in (line for part in parts for line in lines_of(part)):
            row = json.loads(line)
            key = int.from_bytes(hashlib.sha256(f"{row['answerable']} {row['question'].lower()}".encode()).digest()[:8])
            if key in seen:
                repeated += 1
                continue
            seen.add(key)
            out.write(line)
            kept += 1
    return kept, repeated


def lines_of(path: Path) -> Iterator[str]:
    """A file's lines."""
    with path.open(encoding="utf-8") as file:
        yield from file


class Progress:
    """One line a shelf on stderr: passages, rows, rate and time left."""

    def __init__(self, total: int, shelf: int, *, done: int) -> None:
        self.total, self.rows = total, 0
        self.before = self.done = min(total, done * shelf)
        self.began = time.monotonic()
        if done:
            sys.stderr.write(f"going on behind {self.done:,} passages that are done\n")

    def show(self, tally: Tally) -> None:
        """A shelf is finished."""
        self.done += tally.passages
        self.rows += sum(tally.kept.values())
        rate = (self.done - self.before) / max(1e-9, time.monotonic() - self.began)
        left = (self.total - self.done) / rate
        line = f"{self.done:,}/{self.total:,} passages  {self.rows:,} rows  {rate:.1f} passages/s"
        sys.stderr.write(f"{line}  {left / 60:.0f} min left\n")


if __name__ == "__main__":
    recipe.main(synthesize)
