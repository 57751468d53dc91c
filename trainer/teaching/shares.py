"""Micro-batches of several kinds in fixed shares, a pure function of their number.

    shares {"read": 0.7, "replay": 0.3} ─► a pattern of 100 kinds, evenly spread ─► batch n ─► batch m of its kind

Takes   a source of batches for each kind, the shares, and how many micro-batches make a step.
Gives   `Mixed.step(n)`; the same n gives the same batches, so a stopped run goes on in the same mixture.
Refuses shares that are negative, sum to nothing, or name a kind without rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from trainer.errors import RecipeError
from trainer.loop import Batch

PERIOD = 100  # micro-batches after which the pattern comes again
Source = Callable[[int], Batch]  # batch n of one kind


class Mixed:
    """Steps whose micro-batches are of several kinds."""

    def __init__(self, sources: Mapping[str, Source], shares: Mapping[str, float], *, micro: int) -> None:
        self.sources, self.micro = dict(sources), micro
        self.pattern = pattern({kind: shares[kind] for kind in sources if shares[kind]})
        self.given = [self.pattern[:at].count(kind) for at, kind in enumerate(self.pattern)]
        self.times = {kind: self.pattern.count(kind) for kind in self.sources}

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step."""
        return [self.batch(number * self.micro + m) for m in range(self.micro)]

    def batch(self, number: int) -> Batch:
        """Micro-batch `number` of the run."""
        round_, at = divmod(number, PERIOD)
        kind = self.pattern[at]
        return self.sources[kind](round_ * self.times[kind] + self.given[at])


def pattern(shares: Mapping[str, float]) -> list[str]:
    """PERIOD kinds in about these shares, each as evenly spread as can be.

    >>> "".join(pattern({"a": 3, "b": 1})[:12])
    'aabaaabaaaba'
    """
    total = sum(shares.values())
    if not shares or total <= 0 or min(shares.values()) < 0:
        raise RecipeError(f"shares are {dict(shares)}; give each kind a share above 0, and at least one kind")
    given = dict.fromkeys(shares, 0)
    made = []
    for at in range(1, PERIOD + 1):
        due = max(shares, key=lambda kind: shares[kind] / total * at - given[kind])
        given[due] += 1
        made.append(due)
    starved = [kind for kind, times in given.items() if not times]
    if starved:
        raise RecipeError(f"shares give {starved} less than one batch in {PERIOD}; use at least 0.01 or leave them out")
    return made


def weight(share: float, micro: int) -> float:
    """How much a kind's loss counts in a step where it occurs, so that it counts by its share over many steps."""
    return max(share, 1 / micro)
