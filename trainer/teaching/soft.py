"""A teacher's labels as what a row is to learn: chances of starts and ends over the student's own tokens.

    labels of the shown sources ─► share of each source ─► characters ─► tokens of the prompt ─► Soft
    Soft + what people marked ─► `mixed_losses`: weight x the teacher's, 1 - weight x the people's

Takes   a rendered prompt and the labels of the sources that it shows.
Gives   `soften`: `Soft`, or None unless the teacher was asked about every source that is shown.
How     a start at character c belongs to the token that covers c; an end before character c to the one that covers
        c - 1. What the teacher expects in words that were cut off is shared out among the rest. The chances of a source
        count by the teacher's evidence among those that are shown; support is 1 - the share of the null.
Temperature flattens the chances inside a source and those of the student; the loss is multiplied by its square, so
        that gradients keep their size (Hinton et al., arXiv:1503.02531). Evidence and support are learnt as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from trainer.chat import Prompt, SourceTokens
from trainer.teaching.labels import Label

Floats = npt.NDArray[np.float32]


class Soft(NamedTuple):
    """What the teacher makes of one row as it is shown."""

    places: npt.NDArray[np.int64]  # [places] tokens of the prompt that have a chance
    chances: Floats  # [places, 2] of start and end; each column sums to 1, or to 0 where all of it was cut off
    evidence: Floats  # [sources]
    support: float


def soften(prompt: Prompt, labels: Sequence[Label | None], temperature: float) -> Soft | None:
    """The teacher's view of a prompt; None where it was not asked about one of its sources."""
    known = [label for label in labels if label is not None]
    if len(known) < len(prompt.sources):
        return None
    shares = softmax(np.array([0.0, *(label.evidence for label in known)]))  # [null + sources]
    answering = shares[1:] / max(float(shares[1:].sum()), 1e-9)  # [sources]
    found: dict[int, list[float]] = {}
    for placed, label, share in zip(prompt.sources, known, answering, strict=True):
        for side, (at, chances) in enumerate(((label.start_at, label.start), (label.end_at - 1, label.end))):
            for token, chance in zip(*tokens_of(placed, at, chances, temperature), strict=True):
                found.setdefault(int(token), [0.0, 0.0])[side] += float(share * chance)
    places = np.array(sorted(found), dtype=np.int64)
    table = np.array([found[place] for place in sorted(found)], dtype=np.float32).reshape(-1, 2)
    table /= np.maximum(table.sum(axis=0), 1e-9)
    return Soft(places, table, shares[1:].astype(np.float32), float(1 - shares[0]))


def tokens_of(
    placed: SourceTokens, at: npt.NDArray[np.int64], chances: Floats, temperature: float
) -> tuple[npt.NDArray[np.int64], Floats]:
    """The tokens of the prompt that cover characters `at` of a source, and their share of the chances."""
    if not placed.offsets:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    offsets = np.array(placed.offsets)  # [tokens, 2]
    token = np.searchsorted(offsets[:, 0], at, side="right") - 1
    held = (token >= 0) & np.isfinite(chances)
    held &= offsets[np.maximum(token, 0), 1] > at  # what was cut off has no token
    share = softmax(np.where(np.isfinite(chances), chances, -1e9) / temperature)[held]
    return placed.first + token[held], share.astype(np.float32)


def softmax(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Chances of logits [n]."""
    powers = np.exp(x - x.max())
    result: npt.NDArray[np.floating] = powers / powers.sum()
    return result


def arrays(softs: Sequence[Soft | None], shape: tuple[int, int], sources: int, weight: float) -> dict[str, Floats]:
    """Arrays of a batch: soft_span [rows, time, 2], soft_evidence [rows, sources], soft_support and taught [rows].

    taught: how much the teacher counts in a row; 0 where it said nothing.
    """
    made: dict[str, Floats] = {
        "soft_span": np.zeros((*shape, 2), dtype=np.float32),
        "soft_evidence": np.zeros((shape[0], sources), dtype=np.float32),
        "soft_support": np.zeros(shape[0], dtype=np.float32),
        "taught": np.zeros(shape[0], dtype=np.float32),
    }
    for row, soft in enumerate(softs):
        if soft is not None:
            made["soft_span"][row, soft.places] = soft.chances
            made["soft_evidence"][row, : len(soft.evidence)] = soft.evidence
            made["soft_support"][row] = soft.support
            made["taught"][row] = weight
    return made


def span_nats(logits: Tensor, people: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Nats of start and end of each row, mean of both: what people marked and what the teacher expects, by weight.

    logits: [rows, time, 2], far below zero where no text is; people: [rows], nats of what was marked.
    """
    soft, heat = given["soft_span"], given["temperature"]  # [rows, time, 2], [rows]
    weight = given["taught"] * (soft.sum(dim=(1, 2)) > 0)  # [rows]
    chances = (logits / heat[:, None, None]).log_softmax(dim=1)  # [rows, time, 2]
    cross = -(soft * chances).sum(dim=(1, 2)) / 2 * heat**2  # [rows]
    return (1 - weight) * people + weight * cross


def mixed(hard: Tensor, soft: Tensor, taught: Tensor) -> Tensor:
    """Targets of a yes-or-no head, the people's and the teacher's by weight; this equals mixing the two losses."""
    return (1 - taught) * hard + taught * soft
