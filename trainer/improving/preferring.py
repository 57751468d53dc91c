"""Which words people prefer: thumbs and choices move the tuned reader a little, and not at the price of reading.

    preferences.train ─► minus what was taken back ─► trainer.preference.tune ─► dev loss of reading no worse? kept

Takes   the tuned reader, the bundle, rows to replay, a folder.
Gives   FOLDER/tuned.safetensors and what it came to.
Refuses (Skipped, with the reason) where there are no preferences, none that names words of its sources, or where
        reading the dev rows would cost more than `MOST_LOSS` of their loss.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from trainer import files, preference, recipe
from trainer.encoder_reader import EncoderReader
from trainer.errors import DataError
from trainer.improving import tuning
from trainer.improving.bundle import Bundle
from trainer.improving.course import Course, Skipped
from trainer.improving.material import Material, TakenBack
from trainer.improving.mixing import Held
from trainer.improving.settings import ImproveConfig
from trainer.preference import PreferenceConfig

MOST_LOSS = 0.005  # of the dev loss of reading


def tune(
    reader: EncoderReader,
    bundle: Bundle,
    material: Material,
    config: ImproveConfig,
    *,
    section: dict[str, Any],
    folder: Path,
    course: Course,
) -> str:
    """Learn from them; a line about what came of it. Raises Skipped, Stopped."""
    if not (config.preferences and config.judgements):
        raise Skipped("the settings leave preferences out")
    choosing = {row.row.question for row in material.dev.get("judged", ())}
    count = standing(bundle, folder / "preferences.jsonl", choosing)
    if not count:
        raise Skipped("the bundle holds no preferences: no thumbs about wording, no choices between answers")
    held = Held([row for rows in tuning.plain(material.dev).values() for row in rows], reader.encoder, config)
    before = tuning.dev_loss(reader, held, config.precision)
    length = reader.encoder.config.positions  # as when serving
    given = {"seed": config.seed, "precision": config.precision, "device": config.device, "length": length, **section}
    settings = recipe.build(PreferenceConfig, given, where="[preference]")
    try:
        with course.stop.gently():
            found = preference.tune(
                reader,
                preference.read([folder / "preferences.jsonl"]),
                settings,
                folder=folder / "steps",
                replay=tuning.plain(material.pools).get("replay", []),
                each=course.point,
            )
    except DataError as error:
        raise Skipped(str(error)) from error
    after = tuning.dev_loss(reader, held, config.precision)
    files.write_json(folder / "figures.json", {**found.figures, "dev_loss": {"before": before, "after": after}})
    if after > before * (1 + MOST_LOSS):
        raise Skipped(f"left out: the dev rows would be read worse ({before:.3f} to {after:.3f} nats)")
    tuning.save(reader, folder / "tuned.safetensors")
    return f"{count} preferences; dev loss of reading {before:.3f} to {after:.3f}"


def standing(bundle: Bundle, path: Path, choosing: Collection[str] = ()) -> int:
    """Write the preferences that nobody took back and whose questions do not choose; how many."""
    back, count = TakenBack(bundle.rows("withdrawn.jsonl")), 0
    with files.aside(path) as part, part.open("w", encoding="utf-8") as out:
        for row in bundle.rows("preferences.train.jsonl"):
            if not back.holds(row) and row["question"] not in choosing:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    return count
