"""Questions are made from the bundle's own passages, by rule and by the base's reader, each kept after a round trip.

    passages.train ─► minus what was taken back ─► whole documents, as many as the budget allows ─► trainer.synthesize

Takes   an unpacked bundle, the base, the settings.
Gives   the rows' file. Stopped and run again, it goes on behind the last finished shelf.
Headings stand above a passage as a library shows them to the reader: without the document's title.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer import files, synthesize
from trainer.improving.bundle import Bundle
from trainer.improving.course import Skipped
from trainer.improving.material import TakenBack
from trainer.improving.settings import ImproveConfig
from trainer.synthesis.synthetic_rows import SynthesizeConfig

SHELF = 500  # passages searched together: often enough to say how far it is


def make(
    bundle: Bundle,
    base: Path,
    config: ImproveConfig,
    section: SynthesizeConfig,
    *,
    folder: Path,
    told: Callable[[float], None],
) -> Path:
    """Make them in `folder`. Raises Skipped where there are no passages, or none are wanted."""
    if not config.synthetic or not config.most_passages:
        raise Skipped("the settings ask for no made questions")
    chosen = passages(bundle, config)
    if not chosen:
        raise Skipped("the bundle holds no passages of documents to learn from (it was exported without)")
    with files.aside(folder / "passages.jsonl") as part, part.open("w", encoding="utf-8") as out:
        for row in chosen:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    wanted = replace(
        section,
        passages=folder / "passages.jsonl",
        rows=folder / "synthetic.jsonl",
        model=base,
        seed=config.seed,
        shelf=min(section.shelf, SHELF),
    )
    return synthesize.make(wanted, told=told)


def passages(bundle: Bundle, config: ImproveConfig) -> list[dict[str, Any]]:
    """Passages to ask about: documents drawn by the seed, whole, until the budget is full; in their order."""
    back = TakenBack(bundle.rows("withdrawn.jsonl"))
    rows = [row for row in bundle.rows("passages.train.jsonl") if not back.holds(row)]
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row["document"]] = sizes.get(row["document"], 0) + 1
    order = sorted(sizes)
    random.Random(f"{config.seed}/documents").shuffle(order)
    left, kept = config.most_passages, set()
    for name in order:
        if sizes[name] <= left:
            left -= sizes[name]
            kept.add(name)
    drop = ("title", "near")
    return [{key: row[key] for key in row if key not in drop} for row in rows if row["document"] in kept]
