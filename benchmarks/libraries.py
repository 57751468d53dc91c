"""Real libraries of human questions, to calibrate on: documents made of the texts that reading rows were made of.

    rows/train.jsonl, dev.jsonl ─► one document a title (or a text without one) ─► an index without the dev questions'
    texts, and the same one with them: there each question's answer can be found, here it cannot

Takes   a folder of reading rows (`trainer rows`), of which the dev texts taught nothing.
Gives   questions with their answers and the collection each is asked in, and documents as (collection, name, text).
Left out: reviews and forum posts, whose questions dozens of texts answer alike. A privacy policy is asked alone.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rag import Library
from rag.calibrate import Known
from trainer.rows import ReadingRow, read_rows

HUMAN = ("adversarial_mix", "medical_articles", "new_wiki", "policies", "search_questions", "squad_part")
OTHER = ("handbooks", "documentation", "manuals", "textbooks", "question_to_passage_medical")
ALONE = "policies"  # a question about "we" is asked of one company


class Text(NamedTuple):
    """One document to be."""

    collection: str
    name: str
    text: str


def documents(rows: Iterable[ReadingRow], *, without: frozenset[str] = frozenset()) -> Iterator[Text]:
    """The rows' gold sources, those under one title together; texts in `without` stay outside."""
    parts: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        heading, text = row.sources[0]
        if text not in without and row.domain in HUMAN + OTHER:
            parts[row.domain, heading or f"{zlib.crc32(text.encode()):08x}"][text] = None
    for (domain, heading), texts in parts.items():
        bare = re.fullmatch(r"[0-9a-f]{8}", heading)
        title = "" if bare else f"# {heading.split(' > ')[-1]}\n\n"
        name = re.sub(r"\W+", "_", heading)[:60] + f"_{zlib.crc32(heading.encode()):08x}.md"
        collection = re.sub(r"\W+", "_", heading)[:40] if domain == ALONE else domain
        yield Text(collection, name, title + "\n\n".join(texts))


def questions(rows: Iterable[ReadingRow]) -> list[Known]:
    """What people asked of these rows' texts."""
    return [
        Known(
            row.question,
            tuple(row.sources[0][1][start:end] for start, end in row.spans),
            re.sub(r"\W+", "_", row.sources[0][0])[:40] if row.domain == ALONE else None,
        )
        for row in rows
        if row.domain in HUMAN
    ]


def fill(library: Library, texts: Iterable[Text], folder: Path) -> int:
    """Write the documents into folders, a collection each, and add them; returns how many there are."""
    count = 0
    for count, text in enumerate(texts, start=1):  # noqa: B007 (the last number is the result)
        place = folder / text.collection / text.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.text, encoding="utf-8")
    for collection in sorted(path for path in folder.iterdir() if path.is_dir()):
        library.add(collection, collection=collection.name)
    return count


def rows_of(folder: Path) -> tuple[list[ReadingRow], list[ReadingRow]]:
    """Training and dev rows."""
    return read_rows(folder / "train.jsonl"), read_rows(folder / "dev.jsonl")
