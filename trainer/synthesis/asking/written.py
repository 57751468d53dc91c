"""Questions that a trunk writes itself, where it was taught to ask.

    passage with a marked span ─► chat.render_ask ─► trunk, sampled ─► question

Takes   a model folder of kind "trunk" whose reading of the ask prompt was trained (`finetune` with the task "ask").
Gives   at most one question a span; temperature and nucleus are settings, chance is seeded a passage.
Refuses nothing: `writer` gives None with the reason where a folder cannot ask, and the report says so.
Source  question generation: Du et al., ACL 2017, arXiv:1705.00106; nucleus: Holtzman et al., arXiv:1904.09751.
"""

from __future__ import annotations

import random
import re
from typing import Any

import torch
from torch import Tensor

from trainer import chat
from trainer.chat import Source
from trainer.model import Cache
from trainer.reading import TrunkReader
from trainer.synthesis.asking.sentences import Asked, sentences
from trainer.tokenizer import RESERVED

LONGEST = 40  # tokens of a question
_SPAN = re.compile(
    r"[$£€]\s?\d[\d,.]*\d|\b\d[\d,.]* ?(?:%|percent|[a-z]{3,}s?\b)|\b(?:[A-Z][\w'&-]+ ){1,3}[A-Z][\w'&-]+\b|"
    r"\b(?:within|before|after|by|every|at least|up to) (?:the |a |an )?\w+(?: \w+){1,4}"
)


def can_ask(config: dict[str, Any]) -> str:
    """Why a model folder with this config.json cannot write questions; empty where it can."""
    if config.get("kind") != "trunk":
        return f"the model is of kind {config.get('kind')!r}: an encoder points at words and writes none"
    if "ask" not in config.get("tasks", ()):
        return "the trunk was not taught to ask (config.json names no task 'ask'); questions are made by rule alone"
    return ""


class Writer:
    """A trunk that asks."""

    def __init__(self, reader: TrunkReader, *, temperature: float = 0.8, top_p: float = 0.9) -> None:
        self.reader, self.temperature, self.top_p = reader, temperature, top_p

    def ask(self, source: Source, most: int, chance: random.Random) -> list[Asked]:
        """At most `most` questions, each about another span of the passage."""
        spans = candidates(source.text)
        made = []
        for start, end in chance.sample(spans, min(most, len(spans))):
            question = self.write(source, start, end, seed=chance.getrandbits(31))
            if question:
                made.append(Asked(question, start, end, "written", "model"))
        return made

    @torch.inference_mode()
    def write(self, source: Source, start: int, end: int, *, seed: int) -> str:
        """One sampled question whose answer is `source.text[start:end]`; empty where it did not end."""
        model, words = self.reader.model, self.reader.words
        generator = torch.Generator().manual_seed(seed)
        prompt = chat.render_ask(source, start, end, words, limit=model.config.context - LONGEST - 1)
        cache = Cache(model.config, capacity=len(prompt.ids) + LONGEST + 1, like=model.norm.weight)
        state = model(self.reader.tensor(prompt.ids), causal=False, cache=cache)[0, -1]  # [width]
        said: list[int] = []
        while len(said) < LONGEST:
            token = draw(model.logits(state), self.temperature, self.top_p, generator)
            if token < len(RESERVED):
                return chat.heard(said, words)
            said.append(token)
            state = model(self.reader.tensor([token]), cache=cache)[0, -1]
        return ""


def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """One token from the likeliest ones that together hold `top_p`; temperature 0 takes the likeliest.

    logits: [vocabulary].
    """
    if temperature <= 0:
        return int(logits.argmax())
    chances, order = (logits.float().cpu() / temperature).softmax(-1).sort(descending=True)  # [vocabulary] each
    chances = chances.where(chances.cumsum(-1) - chances < top_p, 0.0)
    return int(order[torch.multinomial(chances, 1, generator=generator)])


def candidates(text: str) -> list[tuple[int, int]]:
    """Spans worth asking about: amounts, names, times, and sentences of a rule's length."""
    found = [(m.start(), m.end()) for m in _SPAN.finditer(text)]
    found += [(s.start, s.end) for s in sentences(text) if 5 <= len(s.text.split()) <= 25]
    return sorted({(s, e) for s, e in found if text[s:e] == text[s:e].strip()})
