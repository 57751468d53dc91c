"""The query side is tuned on the library's questions, and kept where it finds passages better than the base does.

    judged rows about a missed passage, made questions ─► pairs with hard negatives ─┐
    replay rows ─► general pairs ────────────────────────────────────────────────────┴─► trainer.retrieval.tuning
        ─► gain on the dev questions for sure, nothing lost elsewhere? ─► FOLDER/query

Takes   the bundle, the material, settings of [embedder], a folder.
Gives   a line about what came of it; FOLDER/query where it gained.
Refuses (Skipped, with the reason) too few questions to judge by, an embedder that is not the one here, a gain
        that may be chance. Passages are never embedded anew: the index stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from trainer import embedder, files, recipe
from trainer.embedder import LEAST_HELD, EmbedderConfig
from trainer.errors import CheckpointError
from trainer.improving.bundle import Bundle
from trainer.improving.course import Course, Skipped
from trainer.improving.material import PAIR, Material, Row, teaches
from trainer.improving.settings import ImproveConfig
from trainer.machine import pick_device
from trainer.retrieval import pairs, query_side, ranking
from trainer.retrieval.pairs import Pair
from trainer.retrieval.query_side import Side
from trainer.retrieval.tuning import Rows, Tuning, worth
from trainer.rows import in_context

NEGATIVES = 4  # near misses of a question that are used
JUDGED = 3  # times that a judged question counts as often as a made one
GENERAL = 500  # questions that are replayed: each of their passages is embedded first
DEFAULTS: dict[str, Any] = {"steps": 240, "round_steps": 30, "negatives": NEGATIVES, "name": "query-side"}


def tune(
    bundle: Bundle,
    material: Material,
    config: ImproveConfig,
    *,
    section: Mapping[str, Any],
    folder: Path,
    earlier: Path,
    course: Course,
) -> str:
    """Tune the query side in `folder`; `earlier` is the base's own, where it has one. Raises Skipped, Stopped."""
    found = {kind: pairs_of(rows) for kind, rows in material.pools.items()}
    dev = {kind: pairs_of(rows) for kind, rows in material.dev.items()}
    held = [*dev.get("judged", []), *dev.get("synthetic", [])]
    own = [*found.get("judged", []) * JUDGED, *found.get("synthetic", [])]
    if len(held) < LEAST_HELD or not own:
        raise Skipped(
            f"{len(own)} questions to learn from and {len(held)} to judge by; at least {LEAST_HELD} are needed to tell "
            "a gain from chance"
        )
    given = {**DEFAULTS, "seed": config.seed, "precision": config.precision, "device": config.device, **section}
    settings = recipe.build(EmbedderConfig, given, where="[embedder]")
    torch.manual_seed(settings.seed)
    side = Side(settings.base, method=settings.method, layers=settings.layers)
    wanted = bundle.manifest["embedder"]["identity"]
    if side.identity != wanted:
        raise Skipped(f"the library's passages are embedded by {wanted}, here is {side.identity}: set [embedder] base")
    side.to(torch.device(pick_device(settings.device)))
    general = pairs.without(found.get("replay", [])[:GENERAL], held)
    rows = Rows(pairs.without(own, held), general, held, dev.get("replay", []))
    tuning = Tuning(side, rows, settings, folder, settings.precision == "bf16")
    tuning.each = lambda step, loss: course.point(step, settings.steps, loss, of=0.8, behind=0.15)
    tuning.prepare()
    with course.stop.gently():
        tuning.train()
    alpha, scores = tuning.choose()
    files.write_json(
        folder / "figures.json", {"before": tuning.before.percent(), "after": scores.percent(), "alpha": alpha}
    )
    before, after = (each.percent()["own"] for each in (tuning.before, scores))
    if not alpha:
        raise Skipped(
            f"left as it is: on {len(held)} questions no part of the way gains for sure ({json.dumps(before)})"
        )
    if earlier.is_dir() and (older := worth_of(earlier, tuning, settings)) >= worth(scores):
        raise Skipped(
            f"the base's own query side stays: nDCG@10 {100 * older:.2f}, a new one {100 * worth(scores):.2f}"
        )
    embedder.write(recipe.Recipe("improve", Path(), folder, {}), tuning, alpha, scores)
    return (
        f"{alpha:g} of the way: of {len(held)} questions recall@5 {before['recall_at_5']} to {after['recall_at_5']}, "
        f"nDCG@10 {before['ndcg_at_10']} to {after['ndcg_at_10']}"
    )


def worth_of(query: Path, tuning: Tuning, settings: EmbedderConfig) -> float:
    """What an earlier query side is worth on the same dev questions; nothing where it was made by another method."""
    side = Side(settings.base, method=settings.method, layers=settings.layers)
    try:
        query_side.read(query, side)
    except CheckpointError:
        return 0.0
    vectors = side.embed([pair.question for pair in tuning.rows.held], bf16=tuning.bf16)
    gold = tuning.passages.gold(tuning.rows.held)
    return float(ranking.rank(vectors, tuning.passages.vectors, gold).ndcg.mean())


def measure(
    bundle: Bundle, rows: Sequence[Row], query: Path, *, section: Mapping[str, Any], bf16: bool
) -> dict[str, Any]:
    """Held questions among all held passages, by the base and by the tuned query side: {"before", "after"}."""
    asked = pairs_of(rows)
    texts = dict.fromkeys(pair.passage for pair in asked)
    texts |= dict.fromkeys(
        in_context(" > ".join(row["headings"]), row["text"]) for row in bundle.rows("passages.held.jsonl")
    )
    place = {text: at for at, text in enumerate(texts)}
    settings = recipe.build(EmbedderConfig, dict(section), where="[embedder]")
    side = Side(settings.base, method=settings.method, layers=settings.layers)
    passages = side.embed(list(texts), bf16=bf16)
    questions, gold = [pair.question for pair in asked], [place[pair.passage] for pair in asked]
    found = {"before": ranking.rank(side.embed(questions, bf16=bf16), passages, gold).percent()}
    query_side.read(query, side)
    return {**found, "after": ranking.rank(side.embed(questions, bf16=bf16), passages, gold).percent()}


def pairs_of(rows: Sequence[Row]) -> list[Pair]:
    """Questions with the passage that answers; of judged rows those that teach the retriever."""
    found = []
    for row in rows:
        if row.row.spans and (not teaches(row) or PAIR in teaches(row)):
            passage, *others = (in_context(*source) for source in row.row.sources)
            negatives = tuple(dict.fromkeys(text for text in others if text != passage))[:NEGATIVES]
            found.append(Pair(row.row.question, passage, negatives, row.row.domain, row.row.licence))
    return found
