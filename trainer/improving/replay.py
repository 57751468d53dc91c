"""The general rows that ship with the product: replayed against forgetting, and measured to see what was forgotten.

    trainer rows --config configs/reader-changed.toml ─► OUT/rows/{train,dev}.jsonl
    python -m trainer.improving.replay --rows OUT/rows ─► trainer/replay/rows.jsonl.gz

Takes   rows of question files whose licences allow them here (CC BY 4.0, MIT); no evaluation set shares text
        with them, for `trainer rows` leaves out what does.
Gives   one file; each line is a reading row with its `part`: train (to replay), dev (to choose by), measured.
        Sources are cropped to a stretch of about `CROP` characters around the answer.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

from trainer import files, jsonl
from trainer.errors import DataError
from trainer.reader import cut
from trainer.rows import ReadingRow, read_rows, row_of

FILE = Path(__file__).resolve().parent.parent / "replay" / "rows.jsonl.gz"
LICENCES = ("CC BY 4.0", "MIT")
TRAIN = {"new_wiki": 850, "policies": 400, "amazon_reviews": 100, "reddit": 150}  # rows of each set, one a text
DEV = {
    "new_wiki": 60,
    "policies": 60,
    "amazon_reviews": 20,
    "reddit": 20,
}  # at most, of texts the base never learnt from
MEASURED = {"new_wiki": 100, "policies": 100, "amazon_reviews": 30, "reddit": 30}
CROP = 420  # characters
SOURCES = {"train": 3, "dev": 4, "measured": 4}  # with each question: the gold one and near misses
PARTS = tuple(SOURCES)


@lru_cache(maxsize=1)
def shipped() -> dict[str, list[ReadingRow]]:
    """The rows that ship, by part."""
    found: dict[str, list[ReadingRow]] = {part: [] for part in PARTS}
    for raw in jsonl.objects(FILE):
        found[raw["part"]].append(row_of(raw))
    return found


def make(folder: Path, out: Path = FILE, *, seed: int = 11) -> Path:
    """Choose and crop rows of a folder that `trainer rows` wrote. Raises DataError where a set has too few."""
    chance = random.Random(seed)
    unseen = read_rows(folder / "dev.jsonl")
    texts = sorted({row.sources[0][1] for row in unseen})
    third = set(chance.sample(texts, len(texts) // 3))
    pool = {
        "train": one_a_text(read_rows(folder / "train.jsonl"), chance),
        "dev": [row for row in unseen if row.sources[0][1] in third],
        "measured": [row for row in unseen if row.sources[0][1] not in third],
    }
    lines = []
    for part, wanted in (("train", TRAIN), ("dev", DEV), ("measured", MEASURED)):
        rows = [cropped(row, SOURCES[part], chance) for row in drawn(pool[part], wanted, chance)]
        chance.shuffle(rows)
        lines += [json.dumps({"part": part, **asdict(row)}, ensure_ascii=False) + "\n" for row in rows]
    with files.aside(out) as aside:
        aside.write_bytes(gzip.compress("".join(lines).encode(), 9, mtime=0))  # the same rows, the same bytes
    return out


def drawn(rows: Sequence[ReadingRow], wanted: Mapping[str, int], chance: random.Random) -> Iterator[ReadingRow]:
    """At most so many rows of each set. Raises DataError where there are none."""
    for domain, count in wanted.items():
        found = [row for row in rows if row.domain == domain and row.licence in LICENCES]
        if not found:
            raise DataError(f"{domain}: no rows under {' or '.join(LICENCES)}; make them with `trainer rows`")
        yield from chance.sample(found, min(count, len(found)))


def one_a_text(rows: Sequence[ReadingRow], chance: random.Random) -> list[ReadingRow]:
    """One row of each text, so that few rows show much."""
    by_text: dict[str, list[ReadingRow]] = {}
    for row in rows:
        by_text.setdefault(row.sources[0][1], []).append(row)
    return [chance.choice(by_text[text]) for text in sorted(by_text)]


def cropped(row: ReadingRow, sources: int, chance: random.Random) -> ReadingRow:
    """The same row with a stretch of each of its first sources."""
    (heading, text), *misses = row.sources[:sources]
    begin = min((start for start, _ in row.spans), default=0)
    end = max((stop for _, stop in row.spans), default=0)
    (heading, stretch), moved = cut((heading, text), (begin, end) if row.spans else None, CROP, chance)
    gone = begin - moved[0] if moved else 0
    spans = tuple(dict.fromkeys((start - gone, stop - gone) for start, stop in row.spans))
    others = [cut(source, None, CROP, chance)[0] for source in misses]
    return replace(row, sources=((heading, stretch), *others), spans=spans)


def main() -> None:
    """Make the file anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder that `trainer rows` wrote")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    made = make(given.rows, given.out)
    print(f"{made}: {made.stat().st_size:,} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
