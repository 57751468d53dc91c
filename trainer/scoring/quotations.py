"""Does every quotation stand in its source, word for word?

Takes   what a reader points at (spans), or what a trunk speaks: an answer, then <|quote|>number<|text|>exact words.
Gives   a `Quotations`: how many there were, how many are literal, and the others with the reason.
Why     spans are literal by construction, so their share is a test of the code; spoken quotations are the model's own
        words, and their share says whether they may be shown without a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from trainer.chat import Found, Source
from trainer.model import Cache
from trainer.reading import SPOKEN, TrunkReader
from trainer.tokenizer import Tokenizer

SHOWN = 20  # failures that a report lists


class Failure(NamedTuple):
    """A quotation that is none."""

    question: str
    words: str
    why: str


class Quotations(NamedTuple):
    """Quotations of one kind, counted."""

    given: int = 0
    failures: tuple[Failure, ...] = ()

    def and_(self, other: Quotations) -> Quotations:
        """Both together."""
        return Quotations(self.given + other.given, self.failures + other.failures)

    def report(self) -> dict[str, Any]:
        """Plain values: count, share that is literal in percent (None of nothing), the first failures."""
        literal = round(100 * (1 - len(self.failures) / self.given), 2) if self.given else None
        return {"given": self.given, "literal": literal, "failures": [f._asdict() for f in self.failures[:SHOWN]]}


def of_spans(question: str, sources: Sequence[Source], spans: Sequence[Found]) -> Quotations:
    """Every span must lie inside a source and hold more than blanks."""
    failed = []
    for span in spans:
        if not 0 <= span.source < len(sources):
            failed.append(Failure(question, "", f"source {span.source} of {len(sources)}"))
            continue
        text = sources[span.source].text
        if not (0 <= span.start < span.end <= len(text)):
            failed.append(Failure(question, "", f"characters {span.start} to {span.end} of {len(text)}"))
        elif not text[span.start : span.end].strip():
            failed.append(Failure(question, text[span.start : span.end], "only blanks"))
    return Quotations(len(spans), tuple(failed))


def of_speech(question: str, sources: Sequence[Source], quoted: Sequence[tuple[str, str]]) -> Quotations:
    """Every (number, words) must name a source that was shown, and stand in it."""
    failed = []
    for number, words in quoted:
        named = int(number) if number.isascii() and number.isdigit() else 0
        if not 1 <= named <= len(sources):
            failed.append(Failure(question, words, f"names source {number!r} of {len(sources)}"))
        elif not words or words not in sources[named - 1].text:
            others = [at for at, source in enumerate(sources, 1) if words and words in source.text]
            failed.append(Failure(question, words, f"stands in source {others[0]}" if others else "stands nowhere"))
    return Quotations(len(quoted), tuple(failed))


class Speech(NamedTuple):
    """What a trunk says to a question."""

    answer: str  # "" where it refuses
    quoted: list[tuple[str, str]]  # number as spoken, words


@torch.inference_mode()
def speak(reader: TrunkReader, question: str, sources: Sequence[Source], *, causal: bool = False) -> Speech:
    """What a trunk says, greedily. causal: it reads looking back only, as runners of causal models do."""
    prompt = reader.prompt(question, sources)
    cache = Cache(reader.model.config, capacity=len(prompt.ids) + SPOKEN, like=reader.model.norm.weight)
    state = reader.model(reader.tensor(prompt.ids), causal=causal, cache=cache)[0, -1]  # [width]
    said: list[int] = []
    while len(said) < SPOKEN - 1:
        token = int(reader.model.logits(state).argmax())
        if token in (reader.words.end, reader.words.none):
            return Speech(answered(said, reader.words), quoted(said, reader.words, whole=True))
        said.append(token)
        state = reader.model(reader.tensor([token]), cache=cache)[0, -1]
    return Speech(answered(said, reader.words), quoted(said, reader.words, whole=False))


def answered(said: Sequence[int], words: Tokenizer) -> str:
    """The words before the first quotation."""
    stop = said.index(words.quote) if words.quote in said else len(said)
    return words.decode(said[:stop]).strip()


def quoted(said: Sequence[int], words: Tokenizer, *, whole: bool) -> list[tuple[str, str]]:
    """Cut spoken ids into quotations; not `whole`: the limit of length broke off the last one, which is left out."""
    parts: list[list[int]] = []
    for token in said:
        if token == words.quote:
            parts.append([])
        elif parts:
            parts[-1].append(token)
    found = []
    for part in parts if whole else parts[:-1]:
        border = part.index(words.text) if words.text in part else len(part)
        number, text = words.decode(part[:border]), words.decode(part[border + 1 :])
        found.append((number.strip(), text.strip()))
    return found
