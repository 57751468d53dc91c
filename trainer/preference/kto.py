"""KTO: single thumbs, each good or bad, with no other answer beside it.

    r = log p(y|x) - log p_ref(y|x)        z = KL(p || p_ref), without gradient
    loss = weight · (1 - sigmoid(beta · (r - z)))   of a thumb up
    loss = weight · (1 - sigmoid(beta · (z - r)))   of a thumb down

Takes   gains r [thumbs] in nats, which of them are good, the point z, weights of the thumbs.
Gives   the sum of losses, each between 0 and its weight.
Source  Ethayarajh et al., KTO, arXiv:2402.01306, section 4; the weights put the paper's lambda_D n_D / (lambda_U n_U)
        at 1, so that nine thumbs up do not drown one down.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def kto_loss(gain: Tensor, good: Tensor, *, point: Tensor, weight: Tensor, beta: float) -> Tensor:
    """Sum of weighted losses. gain, good (bool), weight: [thumbs]; point: []."""
    above = torch.where(good, gain - point, point - gain)  # [thumbs]
    return (weight * (1 - (beta * above).sigmoid())).sum()


def class_weights(good: Sequence[bool], *, most: float) -> list[float]:
    """A weight for each thumb: both kinds weigh alike together, and the mean weight is 1; at most `most`.

    >>> class_weights([True, True, True, False], most=10)
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    ups = sum(good)
    downs = len(good) - ups
    if not ups or not downs:
        return [1.0] * len(good)
    up, down = len(good) / (2 * ups), len(good) / (2 * downs)
    return [min(most, up if each else down) for each in good]
