"""What a trunk learns to say: stand-alone questions, questions about a span, its turns of a conversation.

    Rewrite     ─► chat.render_rewrite ──────┐
    ReadingRow  ─► chat.render_ask ──────────┼─► Shown: ids, how many are read in full, which are learnt ─► padded batch
    Talk        ─► chat.render_conversation ─┘

Takes   rows of one kind; a row gives the same ids at every visit.
Gives   `SpokenBatches.batch(n)`, a pure function of n; `spoken_losses`; `speak`, which asks a model for what is next.
Loss    next token over what is learnt. Prompts are read with full attention, conversations looking back only.
Cut     what is past `limit` tokens; a row of which nothing is left to learn weighs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer import attention, chat
from trainer.chat import Prompt, Source
from trainer.loop import Batch
from trainer.model import Cache, Transformer
from trainer.order import LikeLengths
from trainer.pretrain import bare, next_token_nats
from trainer.rows import ReadingRow
from trainer.teaching.dialogue import Rewrite, Talk
from trainer.tokenizer import RESERVED, Tokenizer

SAID = 96  # tokens kept free for what is said
LONGER = 24  # tokens by which a stand-alone question may exceed twice its follow-up
Row = Rewrite | Talk | ReadingRow


class Shown(NamedTuple):
    """One row as tokens."""

    ids: Sequence[int]
    prompt: int  # so many are read with full attention
    learnt: Sequence[bool]  # one an id: is it to be said?


def show(row: Row, words: Tokenizer, limit: int) -> Shown:
    """A row of any kind as tokens."""
    if isinstance(row, Talk):
        talk = chat.render_conversation(row.turns, words, sources=row.sources, limit=limit)
        return Shown(talk.ids, 0, talk.spoken)
    if isinstance(row, Rewrite):
        prompt = chat.render_rewrite(row.history, row.question, words, limit=limit - SAID)
        said = chat.said(row.standalone, words)[:SAID]
    else:
        prompt = chat.render_ask(Source(*row.sources[0]), *row.spans[0], words, limit=limit - SAID)
        said = chat.said(row.question, words)[:SAID]
    return Shown([*prompt.ids, *said], len(prompt.ids), [False] * len(prompt.ids) + [True] * len(said))


def characters(row: Row) -> int:
    """About how long a row is."""
    if isinstance(row, Talk):
        return sum(len(turn.text) for turn in row.turns) + sum(len(source.text) for source in row.sources)
    if isinstance(row, Rewrite):
        return sum(len(turn.text) for turn in row.history) + len(row.question) + len(row.standalone)
    return len(row.sources[0][1]) + len(row.question)


class SpokenBatches:
    """Rows of one kind as padded batches; `term` names their loss."""

    def __init__(self, rows: Sequence[Row], words: Tokenizer, *, term: str, size: int, limit: int, seed: int) -> None:
        self.rows, self.words, self.term, self.limit = rows, words, term, limit
        lengths = [characters(row) for row in rows]
        self.order = LikeLengths(len(rows), lambda _: lengths, size=size, seed=seed)

    def batch(self, number: int) -> Batch:
        """Batch `number` of an endless sequence of epochs."""
        shown = [show(self.rows[i], self.words, self.limit) for i in self.order.batch(number)]
        return collate(shown, self.words, self.term)


def collate(shown: Sequence[Shown], words: Tokenizer, term: str) -> Batch:
    """Pad to the longest row. Padding is document -1, which nobody else sees."""
    time, size = max(2, *(len(row.ids) for row in shown)) - 1, len(shown)
    arrays = {
        "ids": np.full((size, time), words.pad, dtype=np.int64),
        "targets": np.full((size, time), -100, dtype=np.int64),
        "documents": np.full((size, time), -1, dtype=np.int64),
        "prompt": np.array([row.prompt for row in shown], dtype=np.int64),  # [rows]
    }
    for at, row in enumerate(shown):
        ids, learnt = np.array(row.ids), np.array(row.learnt)
        arrays["ids"][at, : len(ids) - 1] = ids[:-1]
        arrays["targets"][at, : len(ids) - 1] = np.where(learnt[1:], ids[1:], -100)
        arrays["documents"][at, : len(ids) - 1] = 0
    counts = {term: float((arrays["targets"] != -100).sum())}
    return Batch(arrays, counts, tokens=sum(len(row.ids) - 1 for row in shown), kind=term, separable=True)


def spoken_losses(model: Any, arrays: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Sum of nats over what is learnt. ids, targets, documents: [rows, time]; prompt: [rows]."""
    allowed = attention.packed(arrays["documents"], causal=True, prefix=arrays["prompt"])
    states = model(arrays["ids"], allowed=allowed)  # [rows, time, width]
    return {kind: next_token_nats(bare(model), states, arrays["targets"])}


@torch.inference_mode()
def speak(model: Transformer, prompt: Sequence[int], *, most: int = SAID, causal: bool = False) -> list[int]:
    """The likeliest next tokens after a prompt, one at a time, up to the first reserved one.

    causal: read the prompt looking back only, as conversations are learnt.
    """
    most = min(most, model.config.context - len(prompt))
    cache = Cache(model.config, capacity=len(prompt) + most, like=model.norm.weight)
    ids = torch.tensor([list(prompt)], device=model.embed.weight.device)
    state = model(ids, causal=causal, cache=cache)[0, -1]  # [width]
    said: list[int] = []
    while len(said) < most:
        token = int(model.logits(state).argmax())
        if token < len(RESERVED):
            break
        said.append(token)
        if len(said) < most:
            state = model(ids.new_tensor([[token]]), cache=cache)[0, -1]
    return said


def rewriter(model: Transformer, words: Tokenizer) -> Callable[[Rewrite], str]:
    """Ask a trunk for the question that a follow-up stands for; the follow-up itself where it comes to no end."""

    def rewrite(row: Rewrite) -> str:
        prompt: Prompt = chat.render_rewrite(row.history, row.question, words, limit=model.config.context - SAID)
        most = min(SAID, 2 * len(words.encode(row.question)) + LONGER)
        said = speak(model, prompt.ids, most=most)
        return chat.heard(said, words) if len(said) < most else row.question

    return rewrite
