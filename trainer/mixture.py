"""What the encoder reader learns from: question files and questions that structured text asks of itself.

    qa/train/*      ─► at most `caps[name]` examples ─┐
    pretrain/*      ─► headings, lists, definitions ──┴─► minus what evaluation holds ─► near misses ─► train / dev

Takes   the data folder of a recipe and its section [rows].
Gives   OUT/rows/train.jsonl, dev.jsonl (one source text in `dev_one_in`) and report.json with counts, drops, licences.
Refuses a data folder without question files.
"""

from __future__ import annotations

import random
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainer import files, jsonl, recipe
from trainer.cleaning import sources
from trainer.cleaning.overlap import EVALUATION, Forbidden, grams_of, overlap_grams
from trainer.encoder import Encoder, packaged_encoder
from trainer.errors import DataError
from trainer.headings import asks_generally, first_unit, mined
from trainer.rows import (
    LONGEST,
    Example,
    ReadingRow,
    question_file,
    with_near_misses,
    write_rows,
)
from trainer.synthesis.asking.altered import alter, names


def _caps() -> dict[str, int]:
    # Reviews and forum posts are plenty and far from documents at work; the rest is taken whole.
    return {"amazon_reviews": 3500, "reddit": 3500, "question_to_passage_medical": 1800}


def _mined() -> dict[str, int]:
    return {"handbooks": 5000, "documentation": 4000, "manuals": 1500, "textbooks": 2500}


@dataclass(frozen=True, kw_only=True)
class RowsConfig:
    """Settings of the mixture."""

    caps: dict[str, int] = field(default_factory=_caps)  # question file -> most examples; others are taken whole
    mined: dict[str, int] = field(default_factory=_mined)  # corpus -> most questions mined from it
    misses: int = 4  # near misses a question
    embedded: bool = False  # look for near misses with the embedder too, not by BM25 alone
    easy: tuple[str, ...] = ()  # sets whose other texts often answer as well: any text is their miss
    specific: bool = (
        False  # leave out mined questions that ask about a section as a whole: they teach to quote openings
    )
    evaluation: tuple[str, ...] = EVALUATION  # what must not be learnt
    altered: float = 0.0  # as many questions again, of this share of the answerable rows, changed so that none answers
    dev_one_in: int = 33
    seed: int = 5


def make(plan: recipe.Recipe) -> Path:
    """Write the rows; returns their folder."""
    config = plan.section("rows", RowsConfig)
    hashes, unread = overlap_grams(plan.data, config.evaluation)
    forbidden = Forbidden(hashes)
    chance = random.Random(config.seed)
    encoder = Encoder.from_folder(packaged_encoder()) if config.embedded else None
    train: list[ReadingRow] = []
    dev: list[ReadingRow] = []
    dropped: Counter[str] = Counter()
    for name, examples in sets(plan.data, config):
        kept = [example for example in examples if not forbidden.shares(grams_of(shown(example)))]
        dropped[name] = len(examples) - len(kept)
        chance.shuffle(kept)
        chosen, easy = kept[: config.caps.get(name)], name in config.easy
        for row in with_near_misses(chosen, misses=config.misses, seed=config.seed, encoder=encoder, easy=easy):
            held = zlib.crc32(row.sources[0][1].encode()) % config.dev_one_in == 0  # by text: no text is in both
            (dev if held else train).append(row)
    train += unanswerable(train, config)
    dev += unanswerable(dev, config)
    if not train:
        raise DataError(f"{plan.data / 'qa' / 'train'} holds no question files; give --data a folder that does")
    chance.shuffle(train)
    folder = plan.out / "rows"
    write_rows(train, folder / "train.jsonl")
    write_rows(dev, folder / "dev.jsonl")
    report = {
        "train": Counter(row.domain for row in train),
        "unanswerable": sum(not row.spans for row in train),
        "dev": Counter(row.domain for row in dev),
        "dropped_for_overlap": dropped,
        "evaluation_files_not_read": unread,
        "licences": Counter(row.licence for row in train),
    }
    files.write_json(folder / "report.json", report)
    return folder


def unanswerable(answerable: Iterable[ReadingRow], config: RowsConfig) -> list[ReadingRow]:
    """Rows whose question has another name, number, role or premise than one that is answered, so that nothing answers.

    What was changed to stands in no source of the row. Which rows are changed does not depend on their order.
    """
    chance, made = random.Random(f"{config.seed}/altered"), []
    by_domain: dict[str, list[ReadingRow]] = {}
    for row in answerable:
        if row.spans:
            by_domain.setdefault(row.domain, []).append(row)
    for domain in sorted(by_domain):
        rows = sorted(by_domain[domain], key=lambda row: (row.question, row.sources[0]))
        others = names(row.sources[0][1] for row in rows)
        wanted = round(config.altered * len(rows))
        for row in chance.sample(rows, len(rows)) if wanted else ():
            found = alter(row.question, [f"{heading} {text}" for heading, text in row.sources], others, chance)
            if found is not None:
                made.append(replace(row, question=found[0], spans=()))
                wanted -= 1
            if not wanted:
                break
    return made


def shown(example: Example) -> str:
    """Everything that a row of this example would show."""
    return f"{example.question}\n{example.heading}\n{example.text}"


def sets(data: Path, config: RowsConfig) -> Iterator[tuple[str, list[Example]]]:
    """All examples, a set at a time, in a fixed order."""
    for path in sorted((data / "qa" / "train").glob("*.jsonl*")):
        name = path.name.split(".")[0]
        found = list(question_file(path, seed=config.seed)) or list(whole_passages(path))
        yield name, found
    for name, limit in config.mined.items():
        for path in sorted((data / "pretrain").glob(f"{name}.jsonl*")):
            found = mined(sources.documents([path]), domain=name, seed=config.seed, limit=limit)
            yield name, [example for example in found if not (config.specific and asks_generally(example.question))]


def whole_passages(path: Path) -> Iterator[Example]:
    """Questions with a whole passage as answer: the span is the passage's first unit."""
    for raw in jsonl.objects(path):
        if "answer" not in raw:
            continue
        text = re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]{2,}", " ", str(raw["answer"]))).strip()[:LONGEST]
        start, end = first_unit(text) if text else (0, 0)
        if 20 < end - start < 600:
            question = str(raw["question"]).replace("(are)", "").replace("  ", " ").replace(" ?", "?")
            yield Example(question, "", text, ((start, end),), path.name.split(".")[0], str(raw.get("licence", "")))


if __name__ == "__main__":
    recipe.main(make)
