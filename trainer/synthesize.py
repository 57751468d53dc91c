"""Passages become reading rows: questions, exact answers, near misses, and questions that nothing answers.

    passages ─► shelves ─► questions by rule (asking) and by the model ─► round trip ─┬─► answerable rows
                                                                                       └─► changed, swapped ─► round trip
                                                                                               ─► unanswerable rows

Takes   a JSONL file of passages (`trainer.passages`) and a model folder whose reader judges.
Gives   OUT as JSONL that `rows.read_rows` opens (gold source first; `order` is a shuffled order to show them in), and
        beside it NAME.report.json and NAME.report.html. The same seed, passages, model and precision give the same rows.
        Stopped and run again, it goes on behind the last finished shelf.
Refuses rows whose round trip fails (`trainer.roundtrip`); the report counts them by kind and reason.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from trainer import files, machine, passages, recipe, roundtrip, synthesis_report
from trainer.asking.altered import alter, names
from trainer.asking.made import ask
from trainer.asking.sentences import Asked
from trainer.asking.wellformed import answer_fault, fault
from trainer.asking.written import Writer, can_ask
from trainer.encoder import Encoder
from trainer.encoder_reader import EncoderReader
from trainer.errors import DataError, RecipeError
from trainer.passages import Passage
from trainer.reading import SourceReader, TrunkReader
from trainer.roundtrip import Limits, Neighbours, Shelf


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Settings of the synthesis."""

    passages: Path | None = None  # JSONL; OUT/passages.jsonl when not given
    rows: Path | None = None  # what is written; OUT/rows/synthetic.jsonl when not given
    model: Path = Path("models/base")  # its reader judges; a trunk that was taught to ask also writes questions
    embedder: Path | None = None  # folder of a BERT encoder; the embedder's package when not given
    seed: int = 0
    per_passage: int = 3  # answerable rows of a passage, at most
    written: int = 2  # questions a passage that the model writes, where it can
    temperature: float = 0.8
    top_p: float = 0.9
    most_sources: int = 6  # of a row; between 1 and this many, drawn evenly
    unanswerable: float = 0.3  # unanswerable rows for each answerable one
    found_within: int = Limits.found_within
    least_f1: float = Limits.least_f1
    spans: int = Limits.spans
    most_support: float = Limits.most_support
    precision: str = "fp32"  # of embedder and encoder reader; bf16 is faster where the processor has it, auto probes
    shelf: int = 1_000  # passages searched together; memory grows with this, not with the file
    workers: int = 1  # processes, a shelf each

    @property
    def limits(self) -> Limits:
        """What the round trip asks for."""
        return Limits(
            found_within=self.found_within, least_f1=self.least_f1, spans=self.spans, most_support=self.most_support
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question on its way, with the passage (index on the shelf) it was made from."""

    owner: int
    asked: Asked
    answer: str


@dataclass(slots=True)
class Tally:
    """What became of the questions of a shelf."""

    passages: int = 0
    made: Counter[str] = field(default_factory=Counter)  # kind -> questions
    kept: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # "kind | reason"

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"passages": self.passages, "made": self.made, "kept": self.kept, "refused": self.refused}


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


def make(config: SynthesizeConfig) -> Path:
    """Write the rows and their report; returns the rows' file."""
    if config.passages is None or config.rows is None:
        raise RecipeError("[synthesize] needs passages and rows: a file to read and one to write")
    check(config)
    total = passages.count(config.passages)
    if not total:
        raise DataError(
            f"{config.passages} holds no passages; write some with `rag export --passages` or your own tool"
        )
    config = replace(config, precision=machine.pick_precision(config.precision, torch.device("cpu")))
    work = config.rows.with_name(config.rows.name + ".work")
    prepare(work, config)
    shelves = range(-(-total // config.shelf))
    left = [number for number in shelves if not (work / f"{number:06d}.json").is_file()]
    progress = Progress(total, config.shelf, done=len(shelves) - len(left))
    for tally in results(left, config, work):
        progress.show(tally)
    kept = joined(config.rows, [work / f"{number:06d}.jsonl" for number in shelves])
    tallies = [json.loads((work / f"{number:06d}.json").read_text(encoding="utf-8")) for number in shelves]
    settings = {
        **{k: v for k, v in asdict(config).items() if k not in ("passages", "rows", "model", "embedder", "workers")},
        "model": config.model.name,
    }
    synthesis_report.write(
        config.rows, tallies, settings=settings, repeated=kept[1], writing=can_write(config.model) or "used"
    )
    shutil.rmtree(work)
    sys.stderr.write(f"{config.rows}: {kept[0]:,} rows of {total:,} passages\n")
    return config.rows


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
    assert config.passages is not None
    with config.passages.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with (config.model / "config.json").open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
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
    assert config.passages is not None
    encoder, reader, writer = opened(config)
    shelf = Shelf(passages.shelf(config.passages, number, config.shelf), encoder, bf16=config.precision == "bf16")
    tally = Tally(len(shelf.passages))
    with files.aside(work / f"{number:06d}.jsonl") as part, part.open("w", encoding="utf-8") as out:
        for row in rows(shelf, reader, writer, config, tally):
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    files.write_json(work / f"{number:06d}.json", tally.plain())
    return tally


@lru_cache(maxsize=1)
def opened(config: SynthesizeConfig) -> tuple[Encoder, SourceReader, Writer | None]:
    """Embedder, reader and writer of this process."""
    from trainer.reader import packaged_encoder

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


def rows(
    shelf: Shelf, reader: SourceReader, writer: Writer | None, config: SynthesizeConfig, tally: Tally
) -> Iterator[dict[str, Any]]:
    """The rows of a shelf, answerable ones and after them what is made from them."""
    found = list(candidates(shelf, writer, config, tally))
    looked = shelf.look([c.asked.question for c in found], [c.owner for c in found], [c.answer for c in found])
    others = names(passage.text for passage in shelf.passages)
    taken: Counter[int] = Counter()
    owed = 0.0
    for candidate, near in zip(found, looked, strict=True):
        if taken[candidate.owner] == config.per_passage:
            tally.refused[f"{candidate.asked.kind} | enough of its passage"] += 1
            continue
        chance = chance_of(config.seed, shelf.passages[candidate.owner].id, candidate.asked.question)
        row = answered(candidate, near, shelf, reader, config, tally, chance)
        if row is None:
            continue
        taken[candidate.owner] += 1
        yield row
        owed += config.unanswerable
        if owed >= 1:
            spoilt = unanswered(candidate, near, shelf, reader, config, tally, chance, others)
            if spoilt is not None:
                owed -= 1
                yield spoilt
            owed = min(owed, 3.0)


def chance_of(seed: int, *names: str) -> random.Random:
    """Chance that depends on nothing but the seed and the names."""
    return random.Random("/".join((str(seed), *names)))


def candidates(shelf: Shelf, writer: Writer | None, config: SynthesizeConfig, tally: Tally) -> Iterator[Candidate]:
    """Questions of all passages; of each passage those first whose kind and opening are rare so far."""
    kinds: Counter[str] = Counter()
    openings: Counter[str] = Counter()
    asked_before: set[str] = set()
    for owner, passage in enumerate(shelf.passages):
        chance = chance_of(config.seed, passage.id)
        faults: Counter[str] = Counter()
        some = ask(passage.text, passage.path, chance, faults)
        if writer is not None:
            for one in writer.ask(passage.source, config.written, chance):
                answer = passage.text[one.start : one.end]
                why = fault(one.question, answer) or answer_fault(answer)
                faults[why] += bool(why)
                some += [] if why else [one]
        tally.made.update(one.kind for one in some)
        tally.refused.update({f"wording | {why}": times for why, times in faults.items() if times})
        some.sort(key=lambda one: (kinds[one.kind] + openings[opening(one.question)], one.start))
        spans: list[tuple[int, int]] = []
        for one in some:
            if one.question.lower() in asked_before:
                tally.refused[f"{one.kind} | asked before"] += 1
            elif any(one.start < end and one.end > start for start, end in spans):
                tally.refused[f"{one.kind} | same words answer another"] += 1
            elif len(spans) < 2 * config.per_passage:
                spans.append((one.start, one.end))
                asked_before.add(one.question.lower())
                kinds[one.kind] += 1
                openings[opening(one.question)] += 1
                yield Candidate(owner, one, passage.text[one.start : one.end])
            else:
                tally.refused[f"{one.kind} | enough of its passage"] += 1


def opening(question: str) -> str:
    """The first two words.

    >>> opening("How many days do I have?")
    'how many'
    """
    return " ".join(question.lower().split()[:2])


def answered(
    candidate: Candidate, near: Neighbours, shelf: Shelf, reader: SourceReader, config: SynthesizeConfig, tally: Tally,
    chance: random.Random,
) -> dict[str, Any] | None:  # fmt: skip
    """The row of an answerable question, or None where its round trip fails."""
    asked = candidate.asked
    if not 0 < near.by_words <= config.found_within:
        tally.refused[f"{asked.kind} | BM25 does not find it"] += 1
        return None
    if not 0 < near.by_vector <= config.found_within:
        tally.refused[f"{asked.kind} | embedder does not find it"] += 1
        return None
    chosen = [candidate.owner, *misses(near, chance.randint(1, config.most_sources) - 1, chance)]
    order = chance.sample(range(len(chosen)), len(chosen))
    shown = [shelf.passages[chosen[i]].source for i in order]
    verdict = roundtrip.answerable(
        reader, asked.question, shown, order.index(0), (asked.start, asked.end), config.limits
    )
    if verdict.reason:
        tally.refused[f"{asked.kind} | {verdict.reason}"] += 1
        return None
    tally.kept[asked.kind] += 1
    trip = {
        "by_words": near.by_words,
        "by_vector": near.by_vector,
        "f1": round(verdict.f1, 3),
        "support": round(verdict.support, 3),
    }
    return row_of(candidate, asked.question, chosen, order, shelf) | {
        "spans": [[asked.start, asked.end]], "answer": candidate.answer, "answerable": True, "kind": asked.kind,
        "rule": asked.rule, "round_trip": trip,
    }  # fmt: skip


def unanswered(
    candidate: Candidate, near: Neighbours, shelf: Shelf, reader: SourceReader, config: SynthesizeConfig, tally: Tally,
    chance: random.Random, others: Sequence[str],
) -> dict[str, Any] | None:  # fmt: skip
    """A row that nothing answers, made from an answerable question; the first way that survives the round trip."""
    size = chance.randint(1, config.most_sources)
    ways = ["altered", "altered", "neighbours", "swapped"]
    chance.shuffle(ways)
    for way in dict.fromkeys(ways):
        question, note = candidate.asked.question, ""
        if way == "altered":
            chosen = [candidate.owner, *misses(near, size - 1, chance)]
            changed = alter(question, [shelf.passages[i].text for i in chosen], others, chance)
            if changed is None:
                continue
            question, kind, note = changed
            kind = f"unanswerable: {kind} changed"
        elif way == "neighbours":
            chosen, kind = list(near.beside[:size]), "unanswerable: neighbours of the source"
        else:
            document = shelf.passages[candidate.owner].document
            foreign = [i for i in near.near if shelf.passages[i].document != document]
            chosen, kind = foreign[:size], "unanswerable: swapped passages"
        if not chosen:
            continue
        tally.made[kind] += 1
        order = chance.sample(range(len(chosen)), len(chosen))
        shown = [shelf.passages[chosen[i]].source for i in order]
        verdict = roundtrip.unanswerable(reader, question, shown, config.limits)
        if verdict.reason:
            tally.refused[f"{kind} | {verdict.reason}"] += 1
            continue
        tally.kept[kind] += 1
        made = {"from": candidate.asked.question, "changed": note} if note else {"from": candidate.asked.question}
        return row_of(candidate, question, chosen, order, shelf) | {
            "spans": [], "answer": "", "answerable": False, "kind": kind, "rule": candidate.asked.rule, "made": made,
            "round_trip": {"support": round(verdict.support, 3)},
        }  # fmt: skip
    return None


def misses(near: Neighbours, count: int, chance: random.Random) -> list[int]:
    """Hard negatives: half from the source's document where there are such, the rest from the best that retrieval offers."""
    beside = list(near.beside[: 2 * count])
    own = chance.sample(beside, min(len(beside), count // 2))
    best = [i for i in near.near if i not in own][: 2 * (count - len(own))]
    return own + chance.sample(best, min(len(best), count - len(own)))


def row_of(
    candidate: Candidate, question: str, chosen: Sequence[int], order: Sequence[int], shelf: Shelf
) -> dict[str, Any]:
    """What all rows hold. Further keys of the source passage are carried through."""
    owner = shelf.passages[candidate.owner]
    carried = {key: value for key, value in owner.extra.items() if key not in ("title", "domain", "licence")}
    name = hashlib.sha256(f"{owner.id}\n{question}\n{[shelf.passages[i].id for i in chosen]}".encode()).hexdigest()[:16]
    return {
        **carried,
        "id": name,
        "question": question,
        "sources": [list(shelf.passages[i].source) for i in chosen],
        "spans": [],
        "domain": str(owner.extra.get("domain", "synthetic")),
        "licence": str(owner.extra.get("licence", "")),
        "order": list(order),
        "document": owner.document,
        "passages": [shelf.passages[i].id for i in chosen],
    }


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
        sys.stderr.write(
            f"{self.done:,}/{self.total:,} passages  {self.rows:,} rows  {rate:.1f} passages/s  {left / 60:.0f} min left\n"
        )


if __name__ == "__main__":
    recipe.main(synthesize)
