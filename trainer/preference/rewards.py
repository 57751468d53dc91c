"""What an act is worth: checks that need no judge, and a reward model where there is one.

    act ─► refusal right? quotation exact? citation right? words right? (+ how people like it) ─► reward

Takes   a question whose answer is known (`Task`, made from a reading row) and an act of a policy.
Gives   each check as 0..1, and their weighted sum.
Rules   where no source answers, only the refusal counts; a refusal of what has an answer is worth nothing.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from trainer.chat import Source
from trainer.preference.pairs import REFUSAL, Act
from trainer.rows import ReadingRow
from trainer.scoring import quotations
from trainer.scoring.scores import best, word_f1

CHECKS = ("refusal", "quotation", "citation", "words")
Liking = Callable[[Sequence[tuple[str, str]]], list[float]]  # (question, answer) to a reward; `RewardModel.rewards`


class Task(NamedTuple):
    """A question whose answer is known."""

    question: str
    sources: tuple[Source, ...]
    gold: int  # which source answers; -1: none does
    answers: tuple[str, ...]


def task(row: ReadingRow, *, most: int) -> Task:
    """A reading row as it is asked: its sources in an order that its question decides, so that places say nothing."""
    sources = [Source(*source) for source in row.sources[:most]]
    order = list(range(len(sources)))
    random.Random(zlib.crc32(row.question.encode("utf-8", "surrogatepass"))).shuffle(order)
    answers = tuple(row.sources[0][1][start:end] for start, end in row.spans)
    gold = order.index(0) if answers else -1
    return Task(row.question, tuple(sources[i] for i in order), gold, answers)


def checks(asked: Task, act: Act) -> dict[str, float]:
    """What can be verified of an act, each 0..1; of a question without an answer the refusal alone."""
    if asked.gold < 0:
        return {"refusal": float(not act.words)}
    if not act.words:
        return dict.fromkeys(CHECKS, 0.0)
    failed = quotations.of_speech(asked.question, asked.sources, act.quotes).failures
    cited = {number for number, _ in act.quotes}
    return {
        "refusal": 1.0,
        "quotation": float(bool(act.quotes) and not failed),
        "citation": float(cited == {str(asked.gold + 1)}),
        "words": best(word_f1, act.words, asked.answers),
    }


def worth(
    tasks: Sequence[Task], acts: Sequence[Sequence[Act]], weights: Mapping[str, float], liking: Liking | None = None
) -> list[list[float]]:
    """The reward of each act of each task. `liking` is weighed as "preferred"."""
    found = [
        [sum(weights.get(name, 0.0) * value for name, value in checks(asked, act).items()) for act in drawn]
        for asked, drawn in zip(tasks, acts, strict=True)
    ]
    if liking is None or not weights.get("preferred"):
        return found
    texts = [(asked.question, act.words or REFUSAL) for asked, drawn in zip(tasks, acts, strict=True) for act in drawn]
    liked = iter(liking(texts))
    return [[value + weights["preferred"] * next(liked) for value in row] for row in found]
