"""The trunk as a policy: an act is what it speaks after a prompt, token for token.

    log p(answer | prompt) = sum of the log-probabilities of the answer's tokens, its quotation and its end among them

Takes   a question with sources, rendered as in serving (`chat.py`); any words can be said, so every act is possible.
Gives   log-probabilities, and for each question the KL of the next token, summed along its acts: exact for each token,
        and where the acts were drawn from the model an unbiased estimate of the whole (arXiv:2504.10637, section 3).
Point   what KTO compares gains with is estimated as in arXiv:2402.01306, section 4: each question with the answer of
        the next one.
Refuses (as a reason that is counted) a question that does not fit the context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer import attention, chat
from trainer.errors import RecipeError
from trainer.model import Cache, Transformer
from trainer.nats import IGNORED
from trainer.preference.pairs import Act, Asked
from trainer.preference.policy import Arrays, Compared
from trainer.pretrain import bare
from trainer.scoring.quotations import quoted
from trainer.teaching.pointing import sentence
from trainer.tokenizer import Tokenizer

TOO_LONG = "their question and sources do not fit the context"


class Encoded(NamedTuple):
    """A question as tokens, and what each act speaks."""

    asked: Asked
    prompt: tuple[int, ...]
    spoken: tuple[tuple[int, ...], ...]


class Look(NamedTuple):
    """One pass over rows of prompt and answer."""

    chances: Tensor  # [tokens, vocabulary] log-probabilities of what may come next
    said: Tensor  # [tokens] what came
    row: Tensor  # [tokens] to which row it belongs


@dataclass(frozen=True)
class TokenPolicy:
    """How a trunk speaks."""

    words: Tokenizer
    context: int  # tokens of prompt and answer
    spoken_tokens: int = 64  # of an answer
    mismatched: bool = True  # read each question with the next one's answer too, as KTO's point wants

    def encode(self, asked: Asked) -> Encoded | str:
        """Tokens of a question; a reason where they do not fit."""
        try:
            limit = self.context - self.spoken_tokens
            prompt = chat.render(asked.question, asked.sources, self.words, limit=limit).ids
        except RecipeError:
            return TOO_LONG
        return self.with_acts(Encoded(asked, prompt, ()), asked.acts)

    def with_acts(self, encoded: Encoded, acts: Sequence[Act]) -> Encoded:
        """The same question with other acts."""
        said = tuple(self.speech(encoded.asked, act)[: self.spoken_tokens] for act in acts)
        return Encoded(encoded.asked._replace(acts=tuple(acts)), encoded.prompt, said)

    def speech(self, asked: Asked, act: Act) -> tuple[int, ...]:
        """What is spoken: the words, and the sentence where they stand first, quoted."""
        if act.ids or not act.words:
            return act.ids or chat.refused(self.words)
        quotes = [
            (source + 1, sentence(asked.sources[source].text, start, end)) for source, start, end in act.places[:1]
        ]
        return chat.spoken(act.words, quotes, self.words)

    def collate(self, encoded: Sequence[Encoded]) -> tuple[Arrays, int]:
        """ids, targets, documents: [rows, time]; prompt: [rows]; asks: [acts]. Rows: the acts, then mismatched ones."""
        rows = [(one.prompt, said) for one in encoded for said in one.spoken]
        if self.mismatched and len(encoded) > 1:
            rows += [(one.prompt, encoded[n - 1].spoken[0]) for n, one in enumerate(encoded)]
        size, time = len(rows), max(len(prompt) + len(said) for prompt, said in rows) - 1
        arrays: Arrays = {
            "ids": np.full((size, time), self.words.pad, dtype=np.int64),
            "targets": np.full((size, time), IGNORED, dtype=np.int64),
            "documents": np.full((size, time), -1, dtype=np.int64),
            "prompt": np.array([len(prompt) for prompt, _ in rows], dtype=np.int64),
            "asks": np.repeat(np.arange(len(encoded)), [len(one.spoken) for one in encoded]),
        }
        for row, (prompt, said) in enumerate(rows):
            whole = [*prompt, *said]
            arrays["ids"][row, : len(whole) - 1] = whole[:-1]
            arrays["targets"][row, len(prompt) - 1 : len(whole) - 1] = said
            arrays["documents"][row, : len(whole) - 1] = 0
        return arrays, sum(len(prompt) + len(said) - 1 for prompt, said in rows)

    def look(self, model: Any, arrays: Mapping[str, Tensor]) -> Look:
        """One pass of a trunk over a batch."""
        allowed = attention.packed(arrays["documents"], causal=True, prefix=arrays["prompt"])
        states = model(arrays["ids"], allowed=allowed)  # [rows, time, width]
        counted = arrays["targets"] != IGNORED  # [rows, time]
        chances = bare(model).logits(states[counted]).float().log_softmax(-1)
        return Look(chances, arrays["targets"][counted], counted.nonzero()[:, 0])

    def compare(self, seen: Look, known: Look, arrays: Mapping[str, Tensor]) -> Compared:
        """Chances and gains of the acts, and the divergence along them."""
        acts, rows = len(arrays["asks"]), len(arrays["ids"])
        ours, theirs = by_row(picked(seen), seen.row, rows), by_row(picked(known), known.row, rows)  # [rows]
        each = (seen.chances.exp() * (seen.chances - known.chances)).sum(1)  # [tokens]
        along = by_row(each, seen.row, rows)[:acts]
        questions = int(arrays["asks"].max()) + 1
        number = by_row(torch.ones_like(along), arrays["asks"], questions)
        divergence = by_row(along, arrays["asks"], questions) / number
        gain = ours - theirs
        point = gain[acts:].mean() if rows > acts else divergence.mean()
        return Compared(ours[:acts], gain[:acts], divergence, point.detach().clamp_min(0))

    @torch.no_grad()
    def sample(self, model: Any, encoded: Sequence[Encoded], count: int) -> list[list[Act]]:
        """What the trunk says, drawn token by token, `count` times for each question."""
        trunk = bare(model)
        with torch.autocast(trunk.embed.weight.device.type, enabled=False):  # the cache is kept in fp32
            return [self.speak(trunk, one, count) for one in encoded]

    def speak(self, model: Transformer, one: Encoded, count: int) -> list[Act]:
        """Answers to one question; the prompt is read once."""
        cache = Cache(model.config, capacity=len(one.prompt) + self.spoken_tokens, like=model.norm.weight)
        ids = torch.tensor([one.prompt], device=model.embed.weight.device)
        read = model(ids, causal=False, cache=cache)[0, -1]  # [width]
        acts = []
        for _ in range(count):
            cache.length, state = len(one.prompt), read
            said: list[int] = []
            while len(said) < self.spoken_tokens:
                token = int(torch.multinomial(model.logits(state).float().softmax(-1).cpu(), 1))
                said.append(token)
                if token == self.words.end:
                    break
                state = model(ids.new_tensor([[token]]), cache=cache)[0, -1]
            acts.append(self.heard(said))
        return acts

    def heard(self, said: Sequence[int]) -> Act:
        """What was spoken, as words and quotations."""
        whole = said[-1] == self.words.end
        body = list(said[:-1] if whole else said)
        if body[:1] == [self.words.none]:
            return Act("", ids=tuple(said))
        words = body[: body.index(self.words.quote)] if self.words.quote in body else body
        text = self.words.decode(words).strip() or " "  # silence is no refusal
        return Act(text, quotes=tuple(quoted(body, self.words, whole=whole)), ids=tuple(said))


def picked(look: Look) -> Tensor:
    """Log-probability of what was said: [tokens]."""
    return look.chances.gather(1, look.said[:, None]).squeeze(1)


def by_row(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Sums by row: [rows]."""
    return values.new_zeros(rows).index_add(0, row, values)
