"""DPO: two answers to one question, of which people chose one.

    loss = -log sigmoid(beta · [(log p(y_w|x) - log p_ref(y_w|x)) - (log p(y_l|x) - log p_ref(y_l|x))])

Takes   gains over the reference of the better and the worse act [pairs], in nats, and weights of the pairs.
Gives   the sum of losses; log 2 a pair where nothing was learnt.
Source  Rafailov et al., Direct Preference Optimization, arXiv:2305.18290, equation 7.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def dpo_loss(better: Tensor, worse: Tensor, *, weight: Tensor, beta: float) -> Tensor:
    """Sum of weighted losses. better, worse: gains over the reference; weight: all [pairs]."""
    return -(weight * functional.logsigmoid(beta * (better - worse))).sum()
