"""One step of training: its micro-batches, shared out among devices and cut to what memory holds, forward and backward.

    Batches.step(n) ─► share ─► Pieces of this device ─► Step.backward: sums / counts of the whole step ─► gradients

Takes   micro-batches of any number and size, and losses that give sums by term.
Gives   gradients of the mean over the whole step, equal up to rounding however it was cut and shared out.
Refuses to share out a step that cannot be cut evenly: each device must compute the same number of pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainer import distributed, machine
from trainer.errors import RecipeError


class Batch(NamedTuple):
    """One micro-batch: arrays for the model, and how much each loss term of it counts."""

    arrays: dict[str, npt.NDArray[Any]]
    counts: dict[str, float]  # term -> how many tokens, rows or sources its sum runs over
    tokens: int  # for the speed that is shown
    kind: str = ""  # what the stage's loss tells apart
    separable: bool = False  # each row (first axis of every array) stands alone, so fewer may be computed at a time


class Batches(Protocol):
    """Where batches come from: the same step gives the same batches, always."""

    def step(self, number: int) -> Sequence[Batch]:
        """The micro-batches of one step; a lazy sequence makes each device build its own only."""
        ...


Losses = Callable[[Any, Mapping[str, Tensor], str], dict[str, Tensor]]  # (model, arrays, kind) -> sums by term, nats


class Piece(NamedTuple):
    """A micro-batch or a part of one, with its place in the step; a part's counts stand with the first part."""

    number: int
    batch: Batch


def rows_of(batch: Batch) -> int:
    """Rows that can be told apart; 1 where the batch is one piece."""
    return len(next(iter(batch.arrays.values()))) if batch.separable else 1


def parts_of(micro: Sequence[Batch], rows_at_a_time: int) -> int:
    """Into how many parts to cut each micro-batch, so that they fit into memory and every device gets as many."""
    rows, world = rows_of(micro[0]), distributed.world()
    least = -(-rows // max(rows_at_a_time, 1))
    for parts in range(least, rows + 1):
        if len(micro) * parts % world == 0:
            return parts
    raise RecipeError(
        f"a step has {len(micro)} micro-batches of {rows} rows that can be told apart, which cannot be shared out "
        f"evenly among {world} devices; use fewer devices or more tokens a step"
    )


def share(micro: Sequence[Batch], parts: int) -> list[Piece]:
    """What this device computes of a step: every n-th part."""
    pieces: list[Piece] = []
    for index in range(distributed.rank(), len(micro) * parts, distributed.world()):
        batch, part = micro[index // parts], index % parts
        if parts > 1:
            arrays = {name: np.array_split(array, parts)[part] for name, array in batch.arrays.items()}
            batch = Batch(arrays, {} if part else batch.counts, 0 if part else batch.tokens, batch.kind)
        pieces.append(Piece(index, batch))
    return pieces


class Learnt(NamedTuple):
    """What a step came to, over all devices."""

    means: dict[str, float]  # nats by term
    loss: float  # their weighted total
    tokens: int


@dataclass(frozen=True)
class Step:
    """Forward and backward passes over a step."""

    computer: Any  # (arrays, kind) to sums by term: the model with its losses, see distributed.together
    weights: Mapping[str, float]  # how much each term counts; 1 where not named
    device: torch.device
    precision: str

    def backward(self, pieces: Sequence[Piece], *, seed: int = 0, read: bool = True) -> Learnt:
        """Add up gradients over the pieces. Without `read` the losses stay on the device, and no mean is given."""
        said = {**summed(piece.batch.counts for piece in pieces), "tokens ": sum(p.batch.tokens for p in pieces)}
        counts = distributed.total(said, self.device)
        tokens = int(counts.pop("tokens "))
        sums: dict[str, Tensor] = {}
        for place, piece in enumerate(pieces):
            torch.manual_seed(seed * 65_537 + piece.number)
            distributed.last(self.computer, of_step=place == len(pieces) - 1)
            terms = self.forward(piece.batch)
            total = torch.zeros((), device=self.device)
            for term, value in terms.items():
                total = total + self.weights.get(term, 1.0) * value / max(counts.get(term, 0.0), 1.0)
                sums[term] = sums.get(term, torch.zeros((), device=self.device)) + value.detach()
            if distributed.world() > 1:
                total = total * distributed.world()  # gradients are averaged over devices, and a sum is wanted
            total.backward()  # type: ignore[no-untyped-call]
        return self.learnt(sums, counts, tokens) if read else Learnt({}, 0.0, tokens)

    @torch.no_grad()
    def measure(self, pieces: Sequence[Piece]) -> Learnt:
        """The same means without learning."""
        counts = distributed.total(summed(piece.batch.counts for piece in pieces), self.device)
        sums: dict[str, Tensor] = {}
        for piece in pieces:
            for term, value in self.forward(piece.batch).items():
                sums[term] = sums.get(term, torch.zeros((), device=self.device)) + value
        return self.learnt(sums, counts, 0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of one piece by term."""
        arrays = {name: self.tensor(array) for name, array in batch.arrays.items()}
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            terms: dict[str, Tensor] = self.computer(arrays, batch.kind)
        return terms

    def learnt(self, sums: Mapping[str, Tensor], counts: Mapping[str, float], tokens: int) -> Learnt:
        """Means over all devices."""
        added = distributed.total({term: float(value) for term, value in sums.items()}, self.device)
        means = {term: value / max(counts.get(term, 0.0), 1.0) for term, value in added.items()}
        return Learnt(means, sum(self.weights.get(term, 1.0) * mean for term, mean in means.items()), tokens)

    def tensor(self, array: npt.NDArray[Any]) -> Tensor:
        """An array on the device; ids become int64 there."""
        tensor = torch.from_numpy(array.astype(np.int64) if array.dtype == np.uint16 else array)
        return tensor.to(self.device, non_blocking=True)


def summed(groups: Any) -> dict[str, float]:
    """Add up mappings by name."""
    sums: dict[str, float] = {}
    for group in groups:
        for name, value in group.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def bytes_of_a_row(model: nn.Module, losses: Losses, batch: Batch, *, device: torch.device, precision: str) -> int:
    """What one row of a separable batch keeps between its forward and its backward pass."""
    row = Batch({name: array[:1] for name, array in batch.arrays.items()}, {}, 0, batch.kind)
    alone = Step(lambda arrays, kind: losses(model, arrays, kind), {}, device, precision)
    return machine.kept_bytes(lambda: sum(alone.forward(row).values(), torch.zeros(())), model.parameters())
