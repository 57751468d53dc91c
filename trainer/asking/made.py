"""All questions that rules make of one passage.

Takes   the passage's text, headings and title.
Gives   `Asked`s without faults, each question once, exact spans.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from trainer.asking import clauses, lists, naming, numbers, people, permissions, tables
from trainer.asking.grammar import clause
from trainer.asking.sentences import Asked, sentences
from trainer.asking.wellformed import answer_fault, fault


def ask(text: str, headings: Sequence[str], chance: random.Random, faults: Counter[str] | None = None) -> list[Asked]:
    """What the passage answers; `faults` counts what was made and not asked, by reason."""
    kept: dict[str, Asked] = {}
    for one in _all(text, headings, chance):
        answer = text[one.start : one.end]
        why = fault(one.question, answer) or answer_fault(answer)
        if why:
            if faults is not None:
                faults[why] += 1
        elif one.question.lower() not in kept:
            kept[one.question.lower()] = one
    return list(kept.values())


def _all(text: str, headings: Sequence[str], chance: random.Random) -> Iterator[Asked]:
    yield from tables.asked(text, headings, chance)
    yield from lists.asked(text, headings, chance)
    yield from naming.acronyms(text, chance)
    for sentence in sentences(text):
        if not 4 <= len(sentence.text.split()) <= 45 or "?" in sentence.text:
            continue
        if sentence.text.split()[0] in ("I", "My") or " I " in sentence.text:
            continue  # whoever wrote this speaks of himself
        yield from clauses.commands(sentence, chance)
        yield from people.duties(sentence, chance)
        yield from numbers.stated(sentence, chance)
        yield from naming.asked(sentence, chance)
        yield from permissions.rules(sentence, chance)
        parts = clause(sentence.text)
        if parts is None:
            continue
        yield from clauses.asked(sentence, parts, chance)
        yield from people.asked(sentence, parts, chance)
        yield from numbers.asked(sentence, parts, chance)
        yield from permissions.asked(sentence, parts, chance)
