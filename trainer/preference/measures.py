"""Does a model do what people preferred, and how far is it from its reference?

Takes   a policy, a model, the reference, and preferences as `tuning.usable` gives them.
Gives   plain figures: the share of pairs in which the better act is the likelier one, the mean margin over the
        reference, how far thumbs moved their acts, and the KL to the reference (mean and largest of a question).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from trainer.preference.policy import Policy, Reference, tensors

AT_ONCE = 4  # questions


@torch.no_grad()
def measure(policy: Policy, model: nn.Module, reference: Reference, taught: Sequence[Any]) -> dict[str, float]:
    """Figures of one side; of kinds that it does not hold there are none."""
    model.eval()
    margins: list[float] = []
    ahead: list[bool] = []
    moved: dict[str, list[float]] = {"up": [], "down": []}
    apart: list[float] = []
    for at in range(0, len(taught), AT_ONCE):
        part = taught[at : at + AT_ONCE]
        device = next(model.parameters()).device
        arrays = {n: t.to(device) for n, t in tensors(policy.collate([each.encoded for each in part])[0]).items()}
        found = policy.compare(policy.look(model, arrays), reference.look(policy, arrays), arrays)
        apart += found.divergence.tolist()
        gains, chances, act = found.gain.tolist(), found.chances.tolist(), 0
        for each in part:
            if each.kind == "pair":
                margins.append(gains[act] - gains[act + 1])
                ahead.append(chances[act] > chances[act + 1])
            else:
                moved[each.kind].append(gains[act])
            act += len(each.encoded.asked.acts)
    figures = {"questions": float(len(taught)), "kl": float(np.mean(apart)), "largest_kl": max(apart)}
    if margins:
        figures |= {"pairs": float(len(margins)), "ahead": float(np.mean(ahead)), "margin": float(np.mean(margins))}
    for kind, nats in moved.items():
        if nats:
            figures |= {kind: float(len(nats)), f"{kind}_gain": float(np.mean(nats))}
    return {name: round(value, 4) for name, value in figures.items()}
