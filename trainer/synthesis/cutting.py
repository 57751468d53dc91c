"""Clean text becomes passages to make questions from: `trainer passages`.

    clean/DOMAIN.train.jsonl ─► sections under their headings ─► pieces of at most `characters` ─► passages.jsonl

Takes   the clean text of a run (`trainer corpus`), Markdown-like, or the files that `[passages] texts` names.
Gives   OUT/passages.jsonl for `trainer synthesize`: id, document, headings, text, licence, domain.
Refuses to write an empty file: text without a heading holds no section.
A company's own documents come through `rag export` instead, which knows pages, tables and who may read what.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer import files, jsonl, recipe
from trainer.errors import DataError
from trainer.headings import sections

BREAK = re.compile(r"\n{2,}|(?<=[.!?])\s+|\n")  # where a long section may be cut: paragraphs, sentences, lines


@dataclass(frozen=True, kw_only=True)
class PassagesConfig:
    """Settings of the cutting."""

    texts: tuple[Path, ...] = ()  # JSONL with `text`; OUT/clean/*.train.jsonl when not given
    characters: int = 900  # of a passage, at most; what the product's passages have
    least: int = 120  # characters; shorter ones say too little to be asked about
    documents: int = 0  # taken of each file, drawn by the seed; 0: all
    seed: int = 0


def passages(plan: recipe.Recipe) -> Path:
    """Cut clean text into passages; returns their file."""
    config = plan.section("passages", PassagesConfig)
    paths = config.texts or tuple(sorted((plan.out / "clean").glob("*.train.jsonl")))
    if not paths:
        raise DataError(f"{plan.out / 'clean'} holds no clean text; run `trainer corpus` or name [passages] texts")
    target, count = plan.out / "passages.jsonl", 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.aside(target) as part, part.open("w", encoding="utf-8") as out:
        for path in paths:
            for row in of_file(path, config):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        if not count:
            raise DataError(
                f"{', '.join(map(str, paths))}: no section under a heading of at least {config.least} characters; "
                "give Markdown-like text, or lower [passages] least"
            )
    return target


def of_file(path: Path, config: PassagesConfig) -> Iterator[dict[str, object]]:
    """The passages of one file, document by document."""
    domain, chosen = path.name.split(".")[0], None
    if config.documents:
        total = sum(1 for _ in jsonl.objects(path))
        chance = random.Random(f"{config.seed}/{domain}")
        chosen = set(chance.sample(range(total), min(total, config.documents)))
    for number, raw in enumerate(jsonl.objects(path)):
        if chosen is not None and number not in chosen:
            continue
        document = f"{raw.get('source', domain)}#{number}"
        place = 0
        for section in sections(str(raw["text"])):
            for text in cut(section.text, config.characters):
                if len(text) < config.least:
                    continue
                about = {"licence": str(raw.get("licence", "")), "domain": domain}
                kept = {"id": f"{document}:{place}", "document": document, "headings": list(section.path)}
                yield {**kept, "text": text, **about}
                place += 1


def cut(text: str, most: int) -> Iterator[str]:
    """Pieces of at most `most` characters, cut where a paragraph, else a sentence or line, ends.

    >>> list(cut("One two. Three four. Five.", 12))
    ['One two.', 'Three four.', 'Five.']
    """
    while len(text) > most:
        ends = [match.start() for match in BREAK.finditer(text, 1, most + 1)]
        gaps = [match.start() for match in re.finditer(r"\n{2,}", text[: most + 1]) if match.start() > most // 3]
        end = gaps[-1] if gaps else ends[-1] if ends else most
        yield text[:end].strip()
        text = text[end:].strip()
    if text:
        yield text


if __name__ == "__main__":
    recipe.main(passages)
