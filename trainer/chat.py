"""The learnt format: a question and numbered sources become tokens, the same way in training and in serving.

    <|question|>Q  <|source|>1 heading<|text|>words  <|source|>2 heading<|text|>words ...  <|answer|>   the prompt
    A  <|quote|>1<|text|>exact words  <|end|>                                                           what is spoken
    <|none|><|end|>                                                              spoken where no source holds an answer

Takes   a question and at most `MOST_SOURCES` sources (heading path and text).
Gives   a `Prompt`: ids, and for each source where its tokens stand and which characters each covers, so that a span
        of tokens becomes a span of characters and the other way round. The model's heads read the states of
        `<|source|>` (evidence), `<|answer|>` (is there an answer?) and of the text tokens (start and end of a span).
Refuses nothing that fits; what does not fit is cut at the sources' ends, the longest first, and `characters` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trainer.errors import RecipeError
from trainer.tokenizer import Tokenizer

MOST_SOURCES = 8
LONGEST_QUESTION = 128  # tokens; a longer one keeps its end, where people ask
LONGEST_HEADING = 32  # tokens; a longer path keeps its end, the nearest heading


class Source(NamedTuple):
    """One passage in the prompt. Spans count characters of `text`; the heading is read but never quoted."""

    heading: str  # path, "Leave > Vacation"; may be empty
    text: str


class Found(NamedTuple):
    """A span a reader points at: `sources[source].text[start:end]`."""

    source: int
    start: int  # character
    end: int  # one past the last character
    score: float  # probability among all spans of one reading


@dataclass(frozen=True, slots=True)
class SourceTokens:
    """Where one source stands in the prompt's ids."""

    mark: int  # position of its <|source|>
    first: int  # position of its first text token
    offsets: tuple[tuple[int, int], ...]  # characters of each text token, in order

    @property
    def characters(self) -> int:
        """How many characters of the text were read; fewer than it has when the prompt was full."""
        return self.offsets[-1][1] if self.offsets else 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads. Its last id is <|answer|>: the next token is the answer's first."""

    ids: tuple[int, ...]
    sources: tuple[SourceTokens, ...]


def render(question: str, sources: Sequence[Source], tokenizer: Tokenizer, *, limit: int) -> Prompt:
    """The prompt of at most `limit` tokens."""
    if not 1 <= len(sources) <= MOST_SOURCES:
        raise RecipeError(f"{len(sources)} sources; a prompt holds 1 to {MOST_SOURCES}")
    ids = [tokenizer.question, *tokenizer.encode(question)[-LONGEST_QUESTION:]]
    heads = [
        [tokenizer.source, *tokenizer.encode(str(number)), *tokenizer.encode(" " + s.heading)[-LONGEST_HEADING:]]
        for number, s in enumerate(sources, 1)
    ]
    texts = [tokenizer.encode_with_offsets(source.text) for source in sources]
    room = limit - len(ids) - sum(len(head) + 1 for head in heads) - 1
    if room < len(sources):
        raise RecipeError(f"{limit} tokens hold no {len(sources)} sources; use fewer sources or a longer context")
    placed = []
    for head, (text, offsets), length in zip(heads, texts, shares([len(t) for t, _ in texts], room), strict=True):
        mark = len(ids)
        ids += [*head, tokenizer.text]
        placed.append(SourceTokens(mark, len(ids), tuple(offsets[:length])))
        ids += text[:length]
    return Prompt((*ids, tokenizer.answer), tuple(placed))


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens of each source fit: short ones whole, the longest ones cut to a common length.

    >>> shares([10, 100, 30], 90)
    [10, 50, 30]
    """
    if sum(lengths) <= room:
        return list(lengths)
    level, left = 0, room
    for rank, length in enumerate(sorted(lengths)):
        level = left // (len(lengths) - rank)
        if length > level:
            break
        left -= length
    return [min(length, level) for length in lengths]


def spoken(answer: str, quotes: Sequence[tuple[int, str]], tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids after the prompt: the answer, then each quotation as (number of its source from 1, exact words)."""
    ids = tokenizer.encode(answer)
    for number, words in quotes:
        ids += [tokenizer.quote, *tokenizer.encode(str(number)), tokenizer.text, *tokenizer.encode(words)]
    return (*ids, tokenizer.end)


def refused(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids after the prompt where no source holds an answer."""
    return (tokenizer.none, tokenizer.end)


def token_span(placed: SourceTokens, start: int, end: int) -> tuple[int, int] | None:
    """Positions of the first and last token that cover characters [start, end); None where they were cut off."""
    touched = [i for i, (first, last) in enumerate(placed.offsets) if first < end and last > start]
    if not touched or placed.offsets[-1][1] < end:
        return None
    return placed.first + touched[0], placed.first + touched[-1]


def character_span(placed: SourceTokens, first: int, last: int, text: str) -> tuple[int, int]:
    """Characters covered by the tokens at positions first..last, without the blanks around them.

    A token of a word also holds the blank before it, so blanks at the edges say nothing.
    """
    start = placed.offsets[first - placed.first][0]
    end = placed.offsets[last - placed.first][1]
    words = text[start:end]
    return start + len(words) - len(words.lstrip()), end - (len(words) - len(words.rstrip()))
