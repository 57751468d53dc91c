"""Question files: one JSON object a line, read, checked, and put to a reader.

    {"id", "question", "context", "title", "answers": [{"text", "start"}], "answerable"}

Takes   a file in that form, plain or `.xz`; `start` is -1 where an answer is not a literal part of the context.
Gives   `Question`s; for each the sources a reader is shown: its context, or the context's windows where it is longer
        than a reader reads at once; or the context among passages that BM25 confuses with it.
Refuses a file that is missing, empty or damaged, and a line that is not JSON, lacks a question or a context, calls
        itself answerable without an answer, or names an answer that does not stand where it says; with its number.
Source  overlapping windows: Devlin et al., arXiv:1810.04805, and the code that came with it (document stride).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainer import jsonl
from trainer.chat import MOST_SOURCES, Source
from trainer.errors import DataError
from trainer.rows import BM25, Example, heading_of, with_near_misses

WHOLE = 1_500  # characters of a context that is read whole: some 370 tokens
WINDOW = 1_100  # characters of a window of a longer one: the longest source that readers are trained on
STRIDE = 700  # characters from one window to the next


class Question(NamedTuple):
    """One line of a question file."""

    line: int
    text: str
    heading: str
    context: str
    answers: tuple[str, ...]  # alternatives; empty where the context holds none
    spans: tuple[tuple[int, int], ...]  # characters of those that are literal
    answerable: bool


def read(path: Path) -> list[Question]:
    """All questions of a file. Raises DataError."""
    found = [parse(raw, f"{path}, line {number}", number) for number, raw in jsonl.numbered(path)]
    if not found:
        raise DataError(f"{path} holds no question; each line is one JSON object with question, context and answers")
    return found


def parse(raw: Any, where: str, line: int) -> Question:
    """One line, checked; `where` names it in errors."""
    if not isinstance(raw, dict):
        raise DataError(f"{where}: is {type(raw).__name__}; write an object with question, context and answers")
    for name in ("question", "context"):
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise DataError(f"{where}: {name} is {raw.get(name)!r}; it must be a text that is not empty")
    context, answers, spans = raw["context"], [], []
    given = raw.get("answers", [])
    if not isinstance(given, list):
        raise DataError(f"{where}: answers is {type(given).__name__}; write a list, empty where there is no answer")
    for number, answer in enumerate(given):
        text, start = answer_of(answer, context, f"{where}: answers[{number}]")
        answers.append(text)
        if start >= 0:
            spans.append((start, start + len(text)))
    answerable = raw.get("answerable", bool(answers))
    if not isinstance(answerable, bool):
        raise DataError(f"{where}: answerable is {answerable!r}; write true or false")
    if answerable and not answers:
        raise DataError(f"{where}: answerable, but without answers; give at least one, or say answerable: false")
    if not answerable:
        answers, spans = [], []
    heading = heading_of(str(raw.get("title") or ""))
    return Question(line, raw["question"].strip(), heading, context, tuple(answers), tuple(spans), answerable)


def answer_of(answer: Any, context: str, where: str) -> tuple[str, int]:
    """Text and start of one answer, which stands there if it is said to."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str) or not answer["text"].strip():
        raise DataError(f'{where} is {json.dumps(answer)[:60]}; write {{"text": "...", "start": N}}')
    text, start = answer["text"], answer.get("start", -1)
    if not isinstance(start, int) or isinstance(start, bool) or start < -1:
        raise DataError(f"{where}: start is {start!r}; count characters of the context from 0, or write -1")
    if start >= 0 and context[start : start + len(text)] != text:
        outside = start + len(text) > len(context)
        found = f"the context has {len(context)}" if outside else f"there stands {context[start : start + len(text)]!r}"
        raise DataError(
            f"{where}: {text!r} should be characters {start} to {start + len(text)}, but {found}; "
            "correct start, or write -1 for an answer that is not literal"
        )
    return text, start


# --- what a reader is shown -------------------------------------------------------------------------------------------


def sources(question: Question) -> list[Source]:
    """The context as one source, or as windows where it is long: the likeliest by BM25, in the text's order."""
    windows = cut(question.context)
    if len(windows) > MOST_SOURCES:
        chosen = sorted(BM25(windows).top(question.text, MOST_SOURCES))
        windows = [windows[at] for at in chosen]
    return [Source(question.heading, text) for text in windows]


def cut(text: str) -> list[str]:
    """Overlapping windows that begin at sentences where that is near.

    >>> [len(part) for part in cut("A short sentence. " * 120)]
    [1100, 1100, 792]
    """
    if len(text) <= WHOLE:
        return [text]
    ends = [0, *(found.end() for found in re.finditer(r"(?<=[.!?])\s+|\n+", text))]
    parts, start = [], 0
    while True:
        parts.append(text[start : start + WINDOW])
        if start + WINDOW >= len(text):
            return parts
        limit = start + STRIDE
        start = max((end for end in ends if start + STRIDE // 2 < end <= limit), default=limit)


def among_near_misses(asked: Sequence[Question], *, misses: int = 4, seed: int = 1) -> list[tuple[str, list[Source]]]:
    """Question and sources, the context first, then passages of the same file that BM25 confuses with it.

    Only questions with a literal answer, for none of the others can be told from the passages; and only those for which
    the file has as many near misses.
    """
    examples = [Example(one.text, one.heading, one.context, one.spans, "", "") for one in asked if one.spans]
    rows = with_near_misses(examples, misses=misses, seed=seed) if examples else ()
    return [(row.question, [Source(*pair) for pair in row.sources]) for row in rows if len(row.sources) == misses + 1]
