"""How many, how much, how long, up to which limit: the number in a clause is the answer.

Takes   a sentence and, where there is one, its clause.
Gives   answers with their qualifier and unit: "at least two reviewers", "up to $500".
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.synthesis.asking.clauses import NUMBER, REST, UNIT, cores
from trainer.synthesis.asking.grammar import VERBS, Clause, asker, lowered, sentence_case, turned
from trainer.synthesis.asking.sentences import Asked, Sentence

_ABOUT = (
    r"(?:up to|at least|at most|no more than|no fewer than|no less than|a minimum of|a maximum of|a total "
    r"of|about|around|"
    r"approximately|roughly|over|more than|fewer than|less than|only|exactly|nearly|almost) "
)
MONEY = (
    r"(?:[$£€]\s?\d[\d,]*(?:\.\d+)?(?:\s?(?:k|K|m|M|million|billion)\b)?|\d[\d,]*(?:\.\d+)? (?:dollars|euros|"
    r"pounds|USD|EUR|GBP)\b)"
)
PERCENT = r"\d+(?:\.\d+)?\s?(?:%|percent\b|per cent\b)"
_NOUN = r"(?:[a-z][a-z-]+ ){0,2}[a-z][a-z-]*s"
_COUNTED = re.compile(
    rf"^(?P<verb>[a-z]+(?: (?:to|for|with|on|in|into|over|up|back|off))?) (?P<answer>(?:{_ABOUT})"
    rf"?(?P<number>{NUMBER}) (?P<noun>{_NOUN}))(?P<rest>(?: {REST}*)?)$"
)
_PAID = re.compile(
    rf"^(?P<verb>[a-z]+(?: (?:to|for|at))?) (?P<answer>(?:{_ABOUT})?(?:{MONEY}|{PERCENT})(?: (?:per|a|an|"
    rf"each) [a-z]+)?)(?P<rest>(?: {REST}*)?)$"
)
_THERE = re.compile(
    rf"^There (?P<be>are|were|will be) (?:currently |now |also )?(?P<answer>(?:{_ABOUT})"
    rf"?(?P<number>{NUMBER}) (?P<noun>(?:[a-z-]+ ){{0,2}}[a-z-]+s))\b(?P<rest>{REST}*)"
)
_VALUE = re.compile(
    rf"^(?P<what>(?:The|Our|Your) [^,;:()?|]{{5,70}}?) (?P<be>is|are|was) (?:currently |set to |set at |"
    rf"limited to |capped at )?"
    rf"(?P<answer>(?:{_ABOUT})?(?:{MONEY}|{PERCENT}|{NUMBER} {UNIT}|{NUMBER} [a-z]+)(?: (?:per|a|an|each|of|"
    rf"for|from|after|before) {REST}{{2,40}})?)$"
)
_TIMED = re.compile(
    rf"^(?P<verb>take|last|run)(?: for)? (?P<answer>(?:{_ABOUT})?(?:a |an )?{NUMBER}?(?:(?:-| to | or )"
    rf"{NUMBER})? ?{UNIT})(?P<rest>(?: {REST}*)?)$"
)
_OF = re.compile(
    r" of [a-z-]+(?: (?!(?:per|in|for|at|each|a|to|after|before|from|by|within|every|on|with|over|during)\b)[a-z]+)?"
    r"(?= |$)"
)
_NOT_COUNTED = frozenset("of to is are and or as this than its has vs plus times across".split())


def asked(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    """Questions for a number that is the object of the clause, or its subject."""
    if parts.negated:
        return
    shift = sentence.start + len(sentence.text) - len(parts.predicate)
    for core in cores(parts):
        timed = _TIMED.match(core)
        if timed and re.search(r"\d|[a-z]{3,} ", timed["answer"]):
            question = sentence_case(f"How long {turned(parts, timed['verb'] + timed['rest'])}")
            yield _asked(question, shift + timed.start("answer"), timed["answer"], "duration")
            return
        paid = _PAID.match(core)
        if paid and not paid["rest"].startswith(" of ") and paid["verb"].split()[0] in VERBS | {"be"}:
            word = "What percentage" if "%" in paid["answer"] or "per" in paid["answer"].split()[-1] else "How much"
            question = sentence_case(f"{word} {turned(parts, paid['verb'] + paid['rest'])}")
            yield _asked(question, shift + paid.start("answer"), paid["answer"], "amount")
            return
        counted = _COUNTED.match(core)
        if counted and _countable(counted) and counted["verb"].split()[0] in VERBS | {"limited", "given", "allowed"}:
            noun, rest = counted["noun"], counted["rest"]
            of = _OF.match(rest)
            if of and re.fullmatch(UNIT, noun):
                noun, rest = noun + of[0], rest[of.end() :]
            question = sentence_case(f"How many {noun} {turned(parts, counted['verb'] + rest)}")
            yield _asked(question, shift + counted.start("answer"), counted["answer"], "count")
            return
    yield from _subject(sentence, parts)


def _countable(match: re.Match[str]) -> bool:
    number, noun = match["number"].lower(), match["noun"]
    later = noun.split()
    return number not in ("one", "1") and _NOT_COUNTED.isdisjoint(later)


def _subject(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    """ "Two reviewers must approve each change"."""
    match = re.match(rf"^(?P<answer>(?:{_ABOUT})?(?P<number>{NUMBER}) (?P<noun>{_NOUN}))$", parts.subject, re.I)
    if match is None or not _countable(match) or parts.aux in ("do", "does", "did", "is", "was"):
        return
    core = next(cores(parts), "")
    if len(core.split()) < 3:
        return
    start = sentence.start + parts.start
    yield _asked(sentence_case(f"How many {match['noun']} {parts.aux} {asker(core)}"), start, match["answer"], "count")


def stated(sentence: Sentence, chance: random.Random) -> Iterator[Asked]:
    """ "There are five levels of ..." and "The limit for X is 50 MB"."""
    match = _THERE.match(sentence.text)
    if match and _countable(match):
        tail = match["rest"].strip()
        tail = re.split(r" (?:that|which|who|where|and|but|to|you|we) ", f" {tail} ")[0].strip()
        be = {"are": "are there", "were": "were there", "will be": "will there be"}[match["be"]]
        of = re.match(r"of (?:the )?[a-z -]{3,40}?(?= (?:in|on|at|for)\b|$)", tail)
        noun = f"{match['noun']} {of[0]}" if of else match["noun"]
        rest = tail[of.end() :] if of else tail
        if tail and (of or re.match(r"(?:in|on|at|for|per|available|within|across|on)\b", tail)):
            question = sentence_case(f"How many {noun} {be}{' ' + rest.strip() if rest.strip() else ''}")
            yield _asked(question, sentence.start + match.start("answer"), match["answer"], "count")
    match = _VALUE.match(sentence.text)
    if match and not re.search(r"\b(?:that|which|who|one|first|this|only)\b", match["what"], re.I):
        what, answer = asker(lowered(match["what"])), match["answer"]
        money = re.search(MONEY, answer)
        time = re.search(rf"{NUMBER} {UNIT}", answer)
        if not (money or time or re.search(PERCENT, answer) or re.search(r"\d", answer)):
            return
        opening = f"What {match['be']}"
        if money and chance.random() < 0.5:
            opening = f"How much {match['be']}"
        elif (
            time
            and re.search(r"\b(?:period|term|window|duration|sprint|trial|leave|timeout|meeting|session)\b", what)
            and chance.random() < 0.7
        ):
            opening = f"How long {match['be']}"
        kind = "amount" if money else "duration" if time else "value"
        yield _asked(sentence_case(f"{opening} {what}"), sentence.start + match.start("answer"), answer, kind)


def _asked(question: str, start: int, answer: str, kind: str) -> Asked:
    return Asked(question, start, start + len(answer.rstrip()), kind, "number")
