"""Ask a trained trunk: one read of the prompt gives evidence, support and spans; the same cache lets it speak.

    folder ─► TrunkReader.read(question, sources) ─► evidence of each source, support, spans as characters
                         .say(question, sources, spans) ─► words, greedily, one token a step
                         .speak(read, choose) ─► tokens that `choose` picks from the logits

Takes   a model folder (`export.py` writes it) and the same `Source`s that training rendered. `SourceReader` is the
        protocol that `evaluate.py` scores: the encoder reader answers it too.
Gives   spans best first, each inside one source, without blanks at its edges; scores are probabilities.
Refuses a folder of another format or kind, a file that is not the one exported (`SHA256SUMS`), weights or a tokenizer
        that do not fit.
Cache   reading sees both ways and keeps its keys and values; speaking goes on from them, left to right. Whoever speaks
        about what was just read pays for the new tokens alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from trainer import chat, tokenizer
from trainer.chat import Found, Prompt, Source
from trainer.errors import CheckpointError
from trainer.formats import checksums, quantise
from trainer.model import Cache, ModelConfig, Transformer
from trainer.recipe import build
from trainer.tokenizer import Tokenizer

FORMAT = 1
FILES = ("config.json", "model.safetensors", "tokenizer.json")  # what is opened
LONGEST_SPAN = 160  # tokens
SPOKEN = 96  # tokens kept free for the answer


class SourceReader(Protocol):
    """Points at an answer in sources: the trunk and the encoder reader both do."""

    def read(self, question: str, sources: Sequence[Source]) -> tuple[list[float], float, list[Found]]:
        """Evidence of each source (0..1), support of an answer (0..1), spans best first."""
        ...


class Read(NamedTuple):
    """What one pass over a prompt leaves behind."""

    ids: tuple[int, ...]
    cache: Cache  # of the prompt, with room for an answer behind it
    states: Tensor  # [time, width]


class TrunkReader:
    """A trunk that is ready to serve. Threads wait for each other: they share what was read last."""

    precision: str = "fp32"  # in which prompts are read: bf16 is faster where the processor has it; words are fp32

    def __init__(self, model: Transformer, words: Tokenizer, *, name: str = "trunk", threshold: float = 0.5) -> None:
        if model.config.vocabulary != words.size:
            raise CheckpointError(f"the weights know {model.config.vocabulary} tokens, tokenizer.json {words.size}")
        self.model, self.words = model.eval(), words
        self.name, self.threshold = name, threshold
        self._last: Read | None = None
        self._reading, self._speaking = threading.Lock(), threading.Lock()

    @classmethod
    def from_folder(cls, path: Path) -> TrunkReader:
        """Open a model folder of kind "trunk", whatever precision its weights are stored in."""
        config = read_config(path)
        if config.get("kind") != "trunk":
            raise CheckpointError(f"{path} holds a model of kind {config.get('kind')!r}; this reader opens 'trunk'")
        checksums.verify(path, needed=FILES)
        model = Transformer(build(ModelConfig, config["trainer_config"]["model"], where=f"{path}/config.json"))
        fill(model, quantise.unpack(load_file(path / "model.safetensors")), where=f"{path}/model.safetensors")
        words = tokenizer.load(path / "tokenizer.json")
        return cls(model, words, name=config["name"], threshold=float(config["threshold"]))

    @torch.inference_mode()
    def read(self, question: str, sources: Sequence[Source]) -> tuple[list[float], float, list[Found]]:
        """Evidence of each source (0..1), support of an answer (0..1), at most 20 spans, best first."""
        prompt = self.prompt(question, sources)
        states = self.take_in(prompt.ids).states  # [time, width]
        heads, asked = self.model.heads, self.tensor(chat.asked(prompt.ids, self.words))
        states = self.model.reading(states[None], asked)[0]  # [time, width]
        marks = [placed.mark for placed in prompt.sources]
        evidence = heads.evidence(states[marks]).sigmoid().squeeze(-1)  # [sources]
        support = float(heads.support(states[-1]).sigmoid())
        return evidence.tolist(), support, best_spans(heads.span(states).float(), prompt, sources)

    @torch.inference_mode()
    def say(self, question: str, sources: Sequence[Source], spans: Sequence[Found] = ()) -> str:
        """The short answer in the model's words, up to its quotation; empty where it refuses.

        spans: what was pointed at; where they leave sources out, those they touch are read again alone, so that the
        words rest on them. Without spans, nothing that `read` has just read is read again.
        """
        kept = [sources[i] for i in sorted({span.source for span in spans})] or list(sources)
        said: list[int] = []

        def choose(logits: Tensor) -> int | None:
            token = int(logits.argmax())
            if token in (self.words.quote, self.words.end, self.words.none):
                return None
            said.append(token)
            return token

        self.speak(self.take_in(self.prompt(question, kept).ids), choose)
        return self.words.decode(said).strip()

    @torch.inference_mode()
    def speak(self, read: Read, choose: Callable[[Tensor], int | None], *, most: int = SPOKEN - 1) -> None:
        """After what was read say the token that `choose` picks from logits [vocabulary], again and again, until None.

        What was read is kept; the spoken tokens are forgotten.
        """
        with self._speaking:
            state = read.states[-1]  # [width]
            try:
                for _ in range(most):
                    token = choose(self.model.logits(state))
                    if token is None:
                        break
                    state = self.model(self.tensor([token]), cache=read.cache)[0, -1]
            finally:
                read.cache.length = len(read.ids)

    @torch.inference_mode()
    def take_in(self, ids: tuple[int, ...]) -> Read:
        """One pass over the prompt, each token seeing all others; the last one again costs nothing."""
        with self._reading:
            if self._last is None or self._last.ids != ids:
                self._last = None  # frees the old cache before the new one is made
                cache = Cache(self.model.config, capacity=len(ids) + SPOKEN, like=self.model.norm.weight)
                device = self.model.embed.weight.device.type
                with torch.autocast(device, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
                    states = self.model(self.tensor(ids), causal=False, cache=cache)[0]  # [time, width]
                self._last = Read(ids, cache, states.float())
            return self._last

    def prompt(self, question: str, sources: Sequence[Source]) -> Prompt:
        """The prompt, with room left for the answer."""
        return chat.render(question, sources, self.words, limit=self.model.config.context - SPOKEN)

    def tensor(self, ids: Sequence[int]) -> Tensor:
        """Ids as one row: [1, time]."""
        return torch.tensor([list(ids)], device=self.model.embed.weight.device, dtype=torch.int64)


def best_spans(logits: Tensor, prompt: Prompt, sources: Sequence[Source], *, most: int = 20) -> list[Found]:
    """The likeliest spans of the prompt.

    logits: [time, 2] of start and end. A span's score is p(start) · p(end), each a softmax over all text tokens.
    """
    text = torch.cat([torch.arange(s.first, s.first + len(s.offsets)) for s in prompt.sources])  # [text tokens]
    if not len(text):
        return []
    chances = logits.new_zeros(logits.shape)  # [time, 2]
    chances[text] = logits[text].softmax(dim=0)
    found: dict[tuple[int, int, int], float] = {}
    for number, placed in enumerate(prompt.sources):
        length = len(placed.offsets)
        if not length:
            continue
        start, end = chances[placed.first : placed.first + length].unbind(dim=1)  # [length] each
        pairs = torch.outer(start, end).triu().tril(LONGEST_SPAN - 1)  # [length, length]: start by end
        scores, places = pairs.flatten().topk(min(most, length * length))
        for score, place in zip(scores.tolist(), places.tolist(), strict=True):
            first, last = placed.first + place // length, placed.first + place % length
            begin, stop = chat.character_span(placed, first, last, sources[number].text)
            if score > 0 and begin < stop:
                found.setdefault((number, begin, stop), score)
    ranked = sorted(found.items(), key=lambda item: -item[1])[:most]
    return [Found(source, begin, stop, score) for (source, begin, stop), score in ranked]


def fill(model: Transformer, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Put tensors into a model. Raises CheckpointError naming the first that does not fit."""
    own = model.state_dict()
    for name in sorted({*own, *tensors}):
        shapes = [tuple(t[name].shape) if name in t else None for t in (own, tensors)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(f"{where}: {name} is {shapes[1]}, config.json asks for {shapes[0]}; export it again")
    model.load_state_dict(dict(tensors))


def read_config(path: Path) -> dict[str, Any]:
    """The config.json of a model folder. Raises CheckpointError for another format."""
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable config.json ({error}); name a folder that was exported") from error
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {config.get('format')!r}, this release reads {FORMAT}; export it again"
        )
    return config
