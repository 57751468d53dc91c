"""All questions that rules make of one passage.

Takes   the passage's text, headings and title.
Gives   `Asked`s without faults, each question once, exact spans.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from trainer.synthesis.asking import cases, clauses, lists, naming, numbers, people, permissions, tables
from trainer.synthesis.asking.grammar import clause
from trainer.synthesis.asking.sentences import Asked, sentences
from trainer.synthesis.asking.wellformed import answer_fault, fault


def ask(
    text: str,
    headings: Sequence[str],
    chance: random.Random,
    *,
    faults: Counter[str] | None = None,
    common: Collection[str] = (),
) -> list[Asked]:
    """What the passage answers.

    `faults` counts what was made and not asked, by reason; `common` holds words that other passages write small.
    """
    kept: dict[str, Asked] = {}
    known = set(small_words(text)).union(common)
    for one in _all(text, headings, chance):
        one = replace(one, question=plain_case(one.question, text, known))
        answer = text[one.start : one.end]
        why = fault(one.question, answer) or answer_fault(answer)
        if one.kind == "permission" and why == "says its answer":
            why = ""  # "May I smoke here?" is answered by the rule that says so
        if why:
            if faults is not None:
                faults[why] += 1
        elif one.question.lower() not in kept:
            kept[one.question.lower()] = one
    return list(kept.values())


def small_words(text: str) -> list[str]:
    """Words that the text writes without a capital."""
    return re.findall(r"\b[a-z]{3,}\b", text)


def plain_case(question: str, text: str, known: Collection[str]) -> str:
    """A capital that only a sentence's or a heading's beginning gave is undone; names keep theirs.

    >>> plain_case("When must Team members log in to Slack?", "Team members must log in to Slack.", {"team", "slack"})
    'When must team members log in to Slack?'
    """
    words = question.split(" ")
    for place in range(1, len(words)):
        word = words[place].strip("?,")
        if not re.fullmatch(r"[A-Z][a-z]+", word) or words[place - 1][:1] in '“"':
            continue
        near = words[place - 1] if place > 1 else "", words[place + 1] if place + 1 < len(words) else ""
        if any(re.match(r"[A-Z]\w", other) for other in near):
            continue  # part of a name
        if word.lower() in known and re.search(rf"[a-z,;] {word}\b", text) is None:
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
        yield from cases.asked(sentence, chance)
        yield from people.duties(sentence, chance)
        yield from numbers.stated(sentence, chance)
        yield from naming.asked(sentence)
        yield from permissions.rules(sentence, chance)
        parts = clause(sentence.text)
        if parts is None:
            continue
        yield from clauses.asked(sentence, parts, chance)
        yield from naming.contents(sentence, parts)
        yield from people.asked(sentence, parts)
        yield from numbers.asked(sentence, parts)
        yield from permissions.asked(sentence, parts, chance)
