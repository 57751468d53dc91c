"""All questions that rules make of one passage.

Takes   the passage's text, headings and title.
Gives   `Asked`s without faults, each question once, exact spans.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from trainer.asking import clauses, lists, naming, numbers, people, permissions, tables
from trainer.asking.grammar import clause, common
from trainer.asking.sentences import Asked, sentences
from trainer.asking.wellformed import answer_fault, fault


def ask(text: str, headings: Sequence[str], chance: random.Random, faults: Counter[str] | None = None) -> list[Asked]:
    """What the passage answers; `faults` counts what was made and not asked, by reason."""
    kept: dict[str, Asked] = {}
    for one in _all(text, headings, chance):
        one = replace(one, question=plain_case(one.question, text))
        answer = text[one.start : one.end]
        why = fault(one.question, answer) or answer_fault(answer)
        if why:
            if faults is not None:
                faults[why] += 1
        elif one.question.lower() not in kept:
            kept[one.question.lower()] = one
    return list(kept.values())


def plain_case(question: str, text: str) -> str:
    """A capital that only a sentence's or a heading's beginning gave is undone; names keep theirs.

    >>> plain_case("When must Team members log in to Slack?", "Team members must log in to Slack before noon.")
    'When must team members log in to Slack?'
    """
    words = question.split(" ")
    for place in range(1, len(words)):
        word = words[place].strip("?,")
        if not re.fullmatch(r"[A-Z][a-z]+", word) or word == "I" or words[place - 1][:1] in "“\"":
            continue
        near = words[place - 1] if place > 1 else "", words[place + 1] if place + 1 < len(words) else ""
        if any(re.match(r"[A-Z][\w]", other) for other in near):
            continue  # part of a name
        inside = re.search(rf"[a-z,;] {word}\b", text)
        if inside is None and (re.search(rf"\b{word.lower()}s?\b", text) or common(word)):
            words[place] = words[place].replace(word, word.lower(), 1)
    return " ".join(words)


def _all(text: str, headings: Sequence[str], chance: random.Random) -> Iterator[Asked]:
    yield from tables.asked(text, chance)
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
        yield from naming.contents(sentence, parts)
        yield from people.asked(sentence, parts, chance)
        yield from numbers.asked(sentence, parts, chance)
        yield from permissions.asked(sentence, parts, chance)
