"""Which rows make a batch: anew each epoch, like lengths together, a pure function of seed and number.

Takes   the rows' lengths, in any unit; a function of the epoch where a row is shown otherwise each time.
Gives   the row numbers of batch n; a stopped run asks for the same n and gets the same rows.
Refuses fewer rows than a batch.
Why     rows are padded to their batch's longest: shuffled rows waste 40% of the work, rows sorted in windows 5-15%.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError

WINDOW = 32  # batches among which rows of like length are brought together


class LikeLengths:
    """Row numbers, a batch at a time."""

    def __init__(self, rows: int, lengths: Callable[[int], Sequence[int]], *, size: int, seed: int) -> None:
        if rows < size:
            raise DataError(f"{rows} rows do not fill a batch of {size}; give more rows")
        self.rows, self.lengths, self.size, self.seed = rows, lengths, size, seed
        self.per_epoch = rows // size  # batches
        self.order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    def batch(self, number: int) -> list[int]:
        """Batch `number` of an endless sequence of epochs."""
        epoch, position = divmod(number, self.per_epoch)
        if self.order[0] != epoch:
            self.order = (epoch, self.arrange(epoch))
        return [int(row) for row in self.order[1][position]]

    def arrange(self, epoch: int) -> npt.NDArray[np.int64]:
        """Row numbers [batches, rows of a batch]: shuffled, like lengths together inside windows, shuffled."""
        chance = np.random.default_rng([self.seed, 2, epoch])
        order = chance.permutation(self.rows)[: self.per_epoch * self.size]
        lengths = np.array(self.lengths(epoch))
        for at in range(0, len(order), WINDOW * self.size):
            part = order[at : at + WINDOW * self.size]
            order[at : at + len(part)] = part[np.argsort(lengths[part], kind="stable")]
        return chance.permutation(order.reshape(-1, self.size))
