"""The learnt format: questions, sources and turns become tokens, the same way in training and in serving.

    <|question|>Q  <|source|>1 heading<|text|>words  <|source|>2 heading<|text|>words ...  <|answer|>   answer: prompt
    A  <|quote|>1<|text|>exact words  <|end|>                                                           what is spoken
    <|none|><|end|>                                                              spoken where no source holds an answer
    <|user|>turn  <|assistant|>turn ...  <|question|>follow-up  <|spare0|>    rewrite: then the question alone
    <|source|>heading<|text|>words <|quote|>span<|quote|> words  <|spare1|>         ask: then a question about it
    <|system|>rule  <|source|>1 heading<|text|>words  <|user|>turn  <|assistant|>turn<|end|>  ...           conversation

Takes   a question and at most `MOST_SOURCES` sources (heading path and text); turns; a passage with a span.
Gives   a `Prompt`: ids, and for each source where its tokens stand and which characters each covers, so that a span
        of tokens becomes a span of characters and the other way round. The model's heads read the states of
        `<|source|>` (evidence), `<|answer|>` (is there an answer?) and of the text tokens (start and end of a span).
        `heard` reads back what was spoken. Prompts are read with full attention, what follows looks back only; a
        conversation looks back only throughout, so that any runner of causal models can hold one.
Refuses nothing that fits; what does not fit is cut at the sources' ends, the longest first, and `characters` says so;
        turns are left out from the oldest; a passage is cut on both sides of its span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from trainer.errors import DataError, RecipeError
from trainer.tokenizer import RESERVED, Tokenizer

MOST_SOURCES = 8
LONGEST_QUESTION = 128  # tokens; a longer one keeps its end, where people ask
LONGEST_HEADING = 32  # tokens; a longer path keeps its end, the nearest heading
LONGEST_TURN = 96  # tokens of a turn that a follow-up is read with; a longer one keeps its beginning
REWRITE = RESERVED["spare0"]  # ends the prompt of a follow-up: next comes the question that stands alone
ASK = RESERVED["spare1"]  # ends the prompt of a passage with a marked span: next comes a question about it
Role = Literal["system", "user", "assistant"]


class Source(NamedTuple):
    """One passage in the prompt. Spans count characters of `text`; the heading is read but never quoted."""

    heading: str  # path, "Leave > Vacation"; may be empty
    text: str


class Turn(NamedTuple):
    """What one side of a dialogue said."""

    role: Role
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


def asked(ids: Sequence[int], tokenizer: Tokenizer) -> list[bool]:
    """For each token of a prompt: is it a token of the sources that also stands in the question, in any case?"""
    folds = tokenizer.folds
    first = next((at for at, token in enumerate(ids) if token == tokenizer.source), len(ids))
    question = {folds[token] for token in ids[1:first]} - {0}
    return [False] * first + [folds[token] in question for token in ids[first:]]


# --- follow-ups, questions and conversations --------------------------------------------------------------------------


def render_rewrite(history: Sequence[Turn], question: str, tokenizer: Tokenizer, *, limit: int = 512) -> Prompt:
    """The prompt that asks for `question` in words that need no history. The oldest turns go when room is short."""
    tail = [tokenizer.question, *tokenizer.encode(question)[-LONGEST_QUESTION:], REWRITE]
    if len(tail) > limit:
        raise RecipeError(f"{limit} tokens hold no question of {len(tail) - 2}; use a longer context")
    ids: list[int] = []
    for turn in reversed(history):
        new = [RESERVED[turn.role], *tokenizer.encode(turn.text)[:LONGEST_TURN]]
        if len(new) + len(ids) + len(tail) > limit:
            break
        ids = new + ids
    return Prompt((*ids, *tail), ())


def render_ask(source: Source, start: int, end: int, tokenizer: Tokenizer, *, limit: int = 384) -> Prompt:
    """The prompt that asks for a question whose answer is `source.text[start:end]`.

    Raises DataError for a span outside the text.
    """
    text = source.text
    if not 0 <= start < end <= len(text):
        raise DataError(f"span {start}:{end} lies outside a text of {len(text)} characters; give one inside it")
    head = [tokenizer.source, *tokenizer.encode(source.heading)[-LONGEST_HEADING:], tokenizer.text]
    before, span, after = (tokenizer.encode(part) for part in (text[:start], text[start:end], text[end:]))
    room = limit - len(head) - 3  # two marks around the span, and the last id
    if room < 1:
        raise RecipeError(f"{limit} tokens hold no passage; use a longer context")
    span = span[:room]
    # What stands before a span names its subject, so it may take what the words after it leave free, and half at least.
    left = room - len(span)
    taken = min(len(before), max(left // 2, left - len(after)))
    kept = [*before[len(before) - taken :], tokenizer.quote, *span, tokenizer.quote, *after[: left - taken]]
    return Prompt((*head, *kept, ASK), ())


def said(question: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids after the prompt of `render_rewrite` or `render_ask`."""
    return (*tokenizer.encode(question), tokenizer.end)


def heard(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """Inverse of `said` for what a model spoke: the words before the first reserved token."""
    stop = next((at for at, token in enumerate(ids) if token < len(RESERVED)), len(ids))
    return tokenizer.decode(ids[:stop]).strip()


class Conversation(NamedTuple):
    """A conversation as tokens, and which of them the model is to say."""

    ids: tuple[int, ...]
    spoken: tuple[bool, ...]  # one an id: true for the assistant's words and the <|end|> that closes each of its turns


def render_conversation(
    turns: Sequence[Turn], tokenizer: Tokenizer, *, sources: Sequence[Source] = (), limit: int
) -> Conversation:
    """Turns in order, sources before the first turn that is not the system's. What is past `limit` is cut at the end.

    To let a model speak, end the turns with the user's and append `RESERVED["assistant"]`.
    """
    ids: list[int] = []
    spoken: list[bool] = []

    def add(new: Sequence[int], speak: bool = False) -> None:
        ids.extend(new)
        spoken.extend([speak] * len(new))

    rules = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    for at, turn in enumerate((*turns, None)):
        if at == rules:
            for number, source in enumerate(sources, 1):
                heading = tokenizer.encode(" " + source.heading)[-LONGEST_HEADING:]
                add([tokenizer.source, *tokenizer.encode(str(number)), *heading, tokenizer.text])
                add(tokenizer.encode(source.text))
        if turn is not None:
            add([RESERVED[turn.role]])
            words = tokenizer.encode(turn.text)
            add([*words, tokenizer.end] if turn.role == "assistant" else words, turn.role == "assistant")
    return Conversation(tuple(ids[:limit]), tuple(spoken[:limit]))
