"""Steps of the reader's tuning: each with so many questions of every kind, a pure function of its number.

    pools {"judged": rows, "synthetic": rows, "replay": rows} ─► quota of a step ─► each pool in its own shuffled order,
        all once before any again ─► gold and near misses, or near misses alone ─► one padded batch

Takes   pools of rows, an encoder for its tokens, the settings.
Gives   `Mixed.step(n)` for `loop.train`; `held` makes the batches that choose.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.encoder import Encoder
from trainer.improving.settings import ImproveConfig, quota
from trainer.loop import Batch
from trainer.reader import EVEN, Pair, PairBatches, ReaderConfig, collate
from trainer.retrieval.contrast import drawn
from trainer.rows import ReadingRow

AT_ONCE = 16  # questions of a batch that chooses
QUESTIONS = 7  # of a micro-batch that teaches: about a gigabyte is kept for its way back


class Shown:
    """Rows as pairs; where no source answers, other sources are shown each time."""

    def __init__(self, rows: Sequence[ReadingRow], encoder: Encoder, config: ImproveConfig) -> None:
        names = ("sources", "withheld", "cropped", "crop", "miss_weight", "seed")
        length = min(config.length, encoder.config.positions)  # a folder keeps as many places as it serves
        reader = ReaderConfig(questions_per_step=1, length=length, **{name: getattr(config, name) for name in names})
        self.rows, self.sources = rows, config.sources
        self.pairs = PairBatches(rows, encoder, reader).pairs

    def of(self, place: int, index: int, chance: random.Random) -> list[Pair]:
        """The pairs of one row, as question `index` of its batch."""
        row = self.rows[place]
        if (
            not row.spans and len(row.sources) > self.sources
        ):  # the first was read first: it is most easily taken for one
            others = chance.sample(row.sources[1:], self.sources - 1)
            row = ReadingRow(row.question, (row.sources[0], *others), (), row.domain, row.licence)
        return self.pairs(row, index, chance)


class Mixed:
    """Batches of all pools together."""

    def __init__(self, pools: Mapping[str, Sequence[ReadingRow]], encoder: Encoder, config: ImproveConfig) -> None:
        self.config = config
        self.sizes = {kind: len(rows) for kind, rows in pools.items()}
        self.quota = quota(config.shares, self.sizes, config.questions_per_step)
        self.shown = {kind: Shown(rows, encoder, config) for kind, rows in pools.items()}
        self.longest = min(config.length, encoder.config.positions)

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of a step: what a pass keeps for its way back grows with them, its gradient does not."""
        chance = random.Random(f"{self.config.seed}/{number}")
        asked = [
            (kind, place)
            for kind, count in self.quota.items()
            for place in drawn(self.sizes[kind], count, number, seed=self.config.seed)
        ]
        chance.shuffle(asked)
        batches = []
        for start in range(0, len(asked), QUESTIONS):
            some = enumerate(asked[start : start + QUESTIONS])
            pairs = [pair for at, (kind, place) in some for pair in self.shown[kind].of(place, at, chance)]
            if pairs:  # none where every answer was cut off
                batches.append(even(collate(pairs, self.config.miss_weight), self.longest))
        return batches


class Held:
    """Rows that choose: the same batches every time."""

    def __init__(self, rows: Sequence[ReadingRow], encoder: Encoder, config: ImproveConfig) -> None:
        shown, chance = Shown(rows, encoder, config), random.Random(f"{config.seed}/dev")
        self.batches: list[Batch] = []
        for start in range(0, len(rows), AT_ONCE):
            places = range(start, min(start + AT_ONCE, len(rows)))
            pairs = [pair for at, place in enumerate(places) for pair in shown.of(place, at, chance)]
            if pairs:
                longest = min(config.length, encoder.config.positions)
                self.batches.append(even(collate(pairs, config.miss_weight), longest))

    def step(self, number: int) -> Sequence[Batch]:  # noqa: ARG002 (always the same)
        """All of them."""
        return self.batches


def even(batch: Batch, longest: int) -> Batch:
    """The same batch, padded to a length that many batches share, where the model has places for it."""
    time = batch.arrays["ids"].shape[1]
    more = max(0, min(-(-time // EVEN) * EVEN, longest) - time)
    wide = {name: np.pad(batch.arrays[name], ((0, 0), (0, more))) for name in ("ids", "kinds", "mask")}
    return batch._replace(arrays=batch.arrays | wide)


def steps_of(config: ImproveConfig, pools: Mapping[str, Sequence[object]], per_step: Mapping[str, int]) -> int:
    """As many steps as it takes to visit every row as often as the settings say; replay goes along."""
    if config.steps:
        return config.steps
    alone = "judged" not in per_step
    visits = {"judged": config.epochs, "synthetic": 1.0 if alone else config.synthetic_epochs}
    wanted = [len(pools[kind]) * times / per_step[kind] for kind, times in visits.items() if kind in per_step]
    return max(config.least_steps, round(max(wanted, default=0)))
