"""The stage `trainer prefer`: thumbs and choices of a bundle teach a reader or a trunk.

    preferences.train.jsonl ─► tuning.learn ─► OUT/preferred (a reader's model folder) or OUT/prefer/step-N (a trunk)

Takes   the section [preference]: the model, files of preferences, held-out ones that only measure, rows to replay.
Gives   the model, and OUT/prefer.json: what was used, what was left out and why, margins, thumbs obeyed, KL.
Keeps   a reader's threshold, confidence and risk as they were fitted: evaluate it before it serves.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from trainer import files, recipe, rows
from trainer.encoder_reader import EncoderReader
from trainer.errors import RecipeError, within
from trainer.preference import opened
from trainer.preference.pairs import read
from trainer.preference.tuning import PreferenceConfig, learn, tune


@dataclass(frozen=True, kw_only=True)
class PreferConfig(PreferenceConfig):
    """Settings of the stage; those of learning belong to them."""

    model: Path | None = None  # model folder of an encoder reader, or a trunk's checkpoint; OUT/finetune when not given
    preferences: tuple[Path, ...] = ()  # files of a bundle
    held: tuple[Path, ...] = ()  # files that only measure
    replay: Path | None = None  # reading rows against forgetting, for a reader
    spoken_tokens: int = 64  # of a trunk's answer

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, spoken_tokens=(4, float("inf")))


def prefer(plan: recipe.Recipe) -> Path:
    """Learn from thumbs and choices; gives a model folder or the trunk's last checkpoint. Run again, it goes on."""
    config = plan.section("preference", PreferConfig)
    if not config.preferences:
        raise RecipeError("[preference] preferences names no file; name a bundle's preferences.train.jsonl")
    found = opened.model(config.model or plan.out / "finetune", plan.out, spoken=config.spoken_tokens)
    learnt, held, folder = read(config.preferences), read(config.held), plan.out / "prefer"
    if isinstance(found.network, EncoderReader):
        again = rows.read_rows(config.replay) if config.replay else []
        tuned = tune(found.network, learnt, config, folder=folder, held=held, replay=again)
    elif config.replay:
        raise RecipeError("[preference] replay is for an encoder reader; a trunk replays in `trainer finetune`")
    else:
        policy = opened.policy(found, length=config.length, mismatched=True)
        tuned = learn(found.network, policy, learnt, config, folder=folder, held=held)
    if not tuned.done:
        return tuned.checkpoint
    files.write_json(plan.out / "prefer.json", tuned.figures)
    sys.stderr.write(f"{plan.out / 'prefer.json'}: {json.dumps(tuned.figures)}\n")
    return opened.export(found, plan.out / "preferred", tuned.checkpoint)


if __name__ == "__main__":
    recipe.main(prefer)
