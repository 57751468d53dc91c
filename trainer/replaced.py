"""Replaced-token detection: some tokens are exchanged for others, and every token is asked whether it is genuine.

    rows ─► hidden places (pretrain.py) ─► a token drawn from the same rows at each ─► ids, and which of them are new
    ids ─► trunk, looking both ways ─► heads.replaced ─► cross-entropy over all tokens

Takes   rows of ids and the places to replace.
Gives   arrays of a batch and the loss. Every token is learnt from, where masking learns from a fifth of them.
Generator  tokens of the same rows, so each comes as often as it does in the text (unigrams): it costs nothing, and its
        fakes are easier to tell than those of a masked model of its own. A fake that equals its original is genuine.
Source  ELECTRA, Clark et al., arXiv:2003.10555; unigrams as generator: section 3.2 there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from trainer import attention
from trainer.data import Ids
from trainer.tokenizer import RESERVED

UNASKED = -1.0  # a token that is not asked about


def replace(
    rows: Ids, hidden: npt.NDArray[np.bool_], chance: np.random.Generator
) -> tuple[Ids, npt.NDArray[np.float32]]:
    """The rows with other tokens at hidden places, and for each token 1 where it is new, 0 where not, -1 unasked."""
    ordinary = rows[rows >= len(RESERVED)]
    drawn = chance.choice(ordinary, size=rows.shape) if len(ordinary) else rows
    made = np.where(hidden, drawn, rows).astype(rows.dtype)
    asked = np.where(rows >= len(RESERVED), (made != rows).astype(np.float32), np.float32(UNASKED))
    return made, asked.astype(np.float32)


def replaced_nats(model: Any, trunk: Any, arrays: Mapping[str, Tensor], *, how: str) -> Tensor:
    """Sum of nats over the tokens that are asked about. ids, documents, replaced: [rows, time]."""
    states = model(arrays["ids"], allowed=attention.packed(arrays["documents"], causal=False, how=how))
    asked = arrays["replaced"] != UNASKED  # [rows, time]
    logits = trunk.heads.replaced(states).squeeze(-1).float()  # [rows, time]
    wanted = arrays["replaced"].clamp_min(0.0)  # [rows, time]
    return functional.binary_cross_entropy_with_logits(logits, wanted, weight=asked.float(), reduction="sum")
