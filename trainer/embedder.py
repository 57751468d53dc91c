"""Tune the retriever on questions: those of a company find its passages better, and its index stays as it is.

    pairs ─► passages embedded once by the base ─► rounds of training ─► each scored on held-out questions
                                                        │ no better for `patience` rounds: stop
                                                        ▼
                    the best round, a part of the way from the base (alpha, 0 included) ─► OUT/query/

Takes   pairs (`trainer/retrieval/pairs.py`), or makes reading rows from --data; a base of sentence-transformers.
Gives   OUT/query, which `rag` opens beside the base (docs/formats.md); with `side = "both"` a new base in
        OUT/embedder-new, for which every passage has to be embedded again: what that costs is said first.
        Stopped and run again, it goes on from the last checkpoint of the last round.
Refuses too few questions to tell a gain from chance. Batches and loss: contrast.py; rounds and guards: tuning.py.
Source  tuning the query side alone comes near to tuning both: arXiv:2601.04646.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from trainer import mixture, recipe
from trainer.errors import DataError, RecipeError
from trainer.machine import pick_device, pick_precision
from trainer.retrieval import pairs, query_side, ranking
from trainer.retrieval.embedder_card import card, cost_of_embedding
from trainer.retrieval.pairs import Pair
from trainer.retrieval.query_side import Side
from trainer.retrieval.tuning import Rows, Scores, Tuning, TuningConfig

SIDES = ("query", "both")
SETTINGS = (
    "method", "layers", "questions_per_step", "drawn", "negatives", "general_share", "scale", "too_like", "drift",
    "peak_learning_rate", "round_steps", "most_loss", "seed",
)  # fmt: skip
LEAST_HELD = 20  # questions below which no score says anything


@dataclass(frozen=True, kw_only=True)
class EmbedderConfig(TuningConfig):
    """Settings of the retriever's tuning; those of the batches and of the loop belong to them."""

    base: Path | None = (
        None  # folder of a sentence-transformers model; the package of the product's embedder if not given
    )
    rows: tuple[Path, ...] = ()  # pairs or reading rows; OUT/rows/train.jsonl if not given, made from --data if missing
    held: Path | None = None  # rows that are not learnt from; else one passage in `held_one_in` of `rows`
    held_one_in: int = 10
    general: Path | None = None  # rows of another kind, replayed and held out likewise: what must not get worse
    most_rows: int = 8_000  # of each kind; 0: all
    method: str = "weights"  # or "adapter": a square matrix on the base's vectors, learnt in seconds
    layers: int = 0  # of the encoder, counted from the end, that move by "weights"; 0: all
    reembed: int = 0  # passages of the index, to say what side "both" will cost; 0: those of the rows


def embedder(plan: recipe.Recipe) -> Path:
    """Tune the retriever; returns the folder of what was learnt. Run again after a stop, it goes on."""
    config = plan.section("embedder", EmbedderConfig)
    check(config)
    rows = gather(plan, config)
    torch.manual_seed(config.seed)
    side = Side(config.base, method=config.method, layers=config.layers)
    device = torch.device(pick_device(config.device))
    bf16 = pick_precision(config.precision, device) == "bf16"
    work = plan.out / "embedder"
    tuning = Tuning(side, rows, config, work, bf16)
    if config.side == "both":
        sys.stderr.write(cost_of_embedding(side, tuning.passages.texts, config.reembed, bf16=bf16) + "\n")
    side.to(device)
    tuning.prepare()
    if not tuning.train():
        return work  # paused: `minutes` are over
    alpha, scores = tuning.choose()
    return write(plan, tuning, alpha, scores)


def check(config: EmbedderConfig) -> None:
    """Refuse settings that contradict each other before anything is loaded."""
    if config.side not in SIDES:
        raise RecipeError(f"[embedder] side is {config.side!r}; it takes {' or '.join(SIDES)}")
    if config.side == "both" and config.method == "adapter":
        raise RecipeError(
            "[embedder] method 'adapter' tunes the query side only; use method 'weights' with side 'both'"
        )
    if config.round_steps < 1 or config.steps < config.round_steps:
        raise RecipeError(
            f"[embedder] steps {config.steps} and round_steps {config.round_steps}: at least one whole round is needed"
        )


def gather(plan: recipe.Recipe, config: EmbedderConfig) -> Rows:
    """Read all rows and hold some out. Raises DataError where too few are left to learn from or to judge by."""
    paths, held_path = config.rows, config.held
    if not paths:
        paths = (plan.out / "rows" / "train.jsonl",)
        if not paths[0].is_file():
            mixture.make(plan)
        held_path = held_path or paths[0].with_name("dev.jsonl")
    own, held = hold_out(pairs.read(paths), held_path, config)
    general, held_general = hold_out(pairs.read([config.general]), None, config) if config.general else ([], [])
    general = pairs.without(general, held)
    named = ", ".join(str(path) for path in paths)
    if not own:
        raise DataError(f"{named}: no question with a passage is left to learn from; give more rows")
    if len(held) < LEAST_HELD:
        raise DataError(
            f"{named}: {len(held)} questions are held out, at least {LEAST_HELD} are needed to tell a gain from "
            "chance; give more rows, or hold out more with embedder.held_one_in"
        )
    return Rows(own, general, held, held_general)


def hold_out(found: Sequence[Pair], held: Path | None, config: EmbedderConfig) -> tuple[list[Pair], list[Pair]]:
    """Rows to learn from and rows to judge by, which share neither question nor passage; each at most `most_rows`."""
    kept, judged = (list(found), pairs.read([held])) if held else pairs.split(found, config.held_one_in)
    most = config.most_rows or len(kept)
    kept, judged = ([with_few(pair, config.negatives) for pair in part] for part in (kept, judged))
    by_text = sorted(kept, key=lambda pair: zlib.crc32(pair.question.encode()))  # a choice that repeats
    return pairs.without(by_text[:most], judged), judged


def with_few(pair: Pair, negatives: int) -> Pair:
    """The pair with its first hard negatives only: each passage costs a forward pass of the base."""
    return replace(pair, negatives=pair.negatives[:negatives])


def write(plan: recipe.Recipe, tuning: Tuning, alpha: float, scores: Scores) -> Path:
    """Write what was learnt, with what it is good for."""
    if not alpha:
        sys.stderr.write("nothing is gained for sure: the folder equals its base, and there is no need to use it\n")
    mean, low, high = ranking.gain(tuning.before.own.ndcg, scores.own.ndcg)
    learnt = [*tuning.rows.own, *tuning.rows.general]
    kept = ("step", "tokens", "seconds", "joules", "energy_method", "precision", "device")
    about = {
        "name": tuning.config.name,
        "side": tuning.config.side,
        "alpha": alpha,
        "licence": "Apache-2.0",
        "before": tuning.before.percent(),
        "after": scores.percent(),
        "gain_ndcg_at_10": {"mean": 100 * mean, "low": 100 * low, "high": 100 * high, "interval": "90%"},
        "data": {
            "questions": Counter(pair.domain or "unnamed" for pair in learnt),
            "licences": Counter(pair.licence or "unstated" for pair in learnt),
            "passages": len(tuning.passages.texts),
            "seconds_embedding": round(tuning.passages.seconds, 1),
        },
        "training": {name: tuning.state[name] for name in kept if name in tuning.state},
        "settings": {name: getattr(tuning.config, name) for name in SETTINGS},
    }
    if tuning.config.side == "both":
        return query_side.write_both(plan.out / "embedder-new", tuning.side, about, card(about, tuning.side.identity))
    return query_side.write(plan.out / "query", tuning.side, about, card(about, tuning.side.identity))


def main(arguments: Sequence[str] | None = None) -> None:
    """The plain command line; `--both-sides` is short for `--set embedder.side=both`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--both-sides" in given:
        given.remove("--both-sides")
        given += ["--set", "embedder.side=both"]
    recipe.main(embedder, given)


if __name__ == "__main__":
    main()
