"""Reading rows as plain text: a domain for the last part of pretraining, whose form is that of the task to come.

    OUT/rows/train.jsonl ─► "Heading / text / question / answer" ─► OUT/clean/questions.train.jsonl ─► trainer tokenizer

Takes   the reading rows of a run; only those that are learnt from anyway, never its dev rows.
Gives   a domain `questions` beside the other clean text. Give it the weight 0 in `[pretrain] domain_weights` and one
        above 0 in `late_weights`, with `late_share`, and it is read in the last steps alone.
Refuses a run without rows. Rows without an answer say so: "Not stated." is what follows such a question.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trainer import files, jsonl, recipe
from trainer import rows as reading_rows
from trainer.errors import DataError
from trainer.rows import ReadingRow

UNSTATED = "Not stated."


@dataclass(frozen=True, kw_only=True)
class ExaminedConfig:
    """Settings of the domain."""

    rows: Path | None = None  # reading rows; OUT/rows/train.jsonl when not given


def make(plan: recipe.Recipe) -> Path:
    """Write the domain; returns its file."""
    config = plan.section("examined", ExaminedConfig)
    path = config.rows or plan.out / "rows" / "train.jsonl"
    if not path.is_file():
        raise DataError(f"{path} is missing; run `trainer rows` first or set [examined] rows")
    target = plan.out / "clean" / "questions.train.jsonl"
    with files.aside(target) as part, part.open("w", encoding="utf-8") as out:
        for raw in jsonl.objects(path):
            row = reading_rows.row_of(raw)
            out.write(json.dumps({"text": written(row), "licence": row.licence}, ensure_ascii=False) + "\n")
    return target


def written(row: ReadingRow) -> str:
    """One row as a text.

    >>> written(ReadingRow("When?", (("Hours", "We open at 9."),), ((11, 12),), "office"))
    'Hours\\n\\nWe open at 9.\\n\\nWhen?\\n9'
    """
    heading, text = row.sources[0]
    answer = text[slice(*row.spans[0])] if row.spans else UNSTATED
    return "\n\n".join(part for part in (heading, text, f"{row.question}\n{answer}") if part)


if __name__ == "__main__":
    recipe.main(make)
