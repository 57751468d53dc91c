"""What KTO, DPO and RL ask of a model: how likely is an act, and how far has the model moved from its reference?

    Asked ─► encode ─► collate ─► look(model) ─┬─► compare ─► gain of each act, divergence of each question
                                 look(reference)┘

`span_policy.py` answers it for the encoder reader, `token_policy.py` for the trunk; one test runs over both.
Takes   questions with acts (`pairs.Asked`).
Gives   `Compared`: log-probabilities in nats with their gradient, and those of the frozen reference without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainer.preference.pairs import Act, Asked

Arrays = dict[str, npt.NDArray[Any]]


class Compared(NamedTuple):
    """A batch under the model and its reference. Acts are numbered through the batch, question after question."""

    chances: Tensor  # [acts] log-probability in nats
    gain: Tensor  # [acts] the same minus that of the reference
    divergence: Tensor  # [questions] KL(model || reference) in nats
    point: Tensor  # [] the KL that KTO compares gains with, at least 0, without gradient


class Policy(Protocol):
    """A model as something that chooses among acts."""

    def encode(self, asked: Asked) -> Any:
        """A question ready for `collate`; a str says why this model cannot learn from it."""
        ...

    def collate(self, encoded: Sequence[Any]) -> tuple[Arrays, int]:
        """Arrays for `look`, and how many tokens the model reads."""
        ...

    def look(self, model: Any, arrays: Mapping[str, Tensor]) -> Any:
        """One pass of a model over a batch."""
        ...

    def compare(self, seen: Any, known: Any, arrays: Mapping[str, Tensor]) -> Compared:
        """What the model (seen) and the reference (known) make of the same batch."""
        ...

    def sample(self, model: Any, encoded: Sequence[Any], count: int) -> list[list[Act]]:
        """Acts drawn from the model, `count` for each question; torch's seed decides which."""
        ...

    def with_acts(self, encoded: Any, acts: Sequence[Act]) -> Any:
        """The same question with other acts."""
        ...


class Reference:
    """The frozen model that a policy is measured against; it follows the batches to their device."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model.requires_grad_(False).eval()

    @torch.no_grad()
    def look(self, policy: Policy, arrays: Mapping[str, Tensor]) -> Any:
        """One pass over a batch."""
        self.model.to(next(iter(arrays.values())).device)
        return policy.look(self.model, arrays)


def tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Arrays of `collate` as tensors on the CPU."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def fingerprint(model: nn.Module) -> str:
    """Hash of all weights: a run goes on with the very reference that it began with."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()[:16]
