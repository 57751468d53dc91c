"""Who: the people and teams who act, are asked, or are responsible.

Takes   a sentence and, where there is one, its clause.
Gives   questions whose answer is a role, a team or a name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.synthesis.asking.clauses import cores, enough
from trainer.synthesis.asking.grammar import BE, VERBS, Clause, asker, lowered, sentence_case, third_person, turned
from trainer.synthesis.asking.roles import is_person, is_someone
from trainer.synthesis.asking.sentences import Asked, Sentence

_TO = re.compile(
    r"^(?P<core>.+?) (?P<link>to|from|with|by) (?P<answer>(?:(?:the|your|our|an?|their|all|any|a member of "
    r"the) |(?=[A-Z#@]))"
    r"(?:[\w#@&'’/-]+ ){0,4}[\w#@&'’/-]+)$"
)
_CONTACT = re.compile(
    r"^(?:Please |You (?:can|should|may|must) )?(?:contact|ask|email|e-mail|message|ping|reach out to|talk "
    r"to|speak to|speak with|notify|"
    r"get in touch with|check with) (?P<answer>(?:the |your |our |an? |@|#|[A-Z])[^,;:()?|]{1,50}?)"
    r" (?P<link>if|when|for|about|to|before|with|regarding|on) (?P<why>[^;:()?|]{6,90})$",
    re.I,
)
_DUTY = re.compile(
    r"^(?P<who>[^,;:()|?]{3,60}?) (?P<be>is|are|will be) (?P<duty>(?:responsible for|accountable for|in "
    r"charge of|tasked with|"
    r"the owner of|the point of contact for|the first point of contact for|eligible for|entitled to) [^;:()?|]{6,120})$"
)


def asked(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    """Who acts, and with whom."""
    subject = parts.subject
    if is_person(subject) and subject.lower() not in ("we", "you") and not parts.negated:
        yield from _actor(sentence, parts)
    for core in cores(parts):
        match = _TO.match(core)
        if match is None or parts.negated or not is_person(match["answer"]) or not enough(parts, match["core"]):
            continue
        if len(match["core"].split()) > 9 or re.search(r"\b(?:how|to|that|what|whether)\b", match["core"]):
            continue  # the stranded "to" would stand too far from its verb
        verb = match["core"].split()[0]
        if match["link"] == "with" and verb not in {"share", "discuss", "work", "meet", "schedule", "talk", "check",
                                                      "coordinate", "review", "be", "speak", "consult"}:  # fmt: skip
            continue
        start = sentence.start + parts.at + (len(sentence.text) - parts.at - len(parts.predicate))
        start += core.rindex(match["answer"])
        if match["link"] == "by" and parts.aux not in (*BE.split("|"), "must", "should", "can", "may", "will"):
            continue
        question = sentence_case(f"Who {turned(parts, match['core'])} {match['link']}")
        yield Asked(question, start, start + len(match["answer"]), "person", "recipient")
        break


def _actor(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    core = next(cores(parts), "")
    if not enough(parts, core) or len(core.split()) < 3:
        return
    if core.split()[0] in (
        "contain",
        "include",
        "have",
        "consist",
        "cover",
        "require",
        "describe",
        "mean",
        "define",
        "be",
    ):
        return  # a board that contains cards is no person
    if parts.aux in ("do", "does"):
        verb, _, rest = core.partition(" ")
        said = f"{third_person(verb)} {asker(rest)}"
    elif parts.aux in (*BE.split("|"), "did", "have", "has"):
        return
    else:
        said = f"{parts.aux} {asker(core)}"
    start = sentence.start + parts.start
    yield Asked(sentence_case(f"Who {said}"), start, start + len(parts.subject), "person", "actor")


def duties(sentence: Sentence, chance: random.Random) -> Iterator[Asked]:
    """Who is responsible, and for what; whom to contact."""
    match = _DUTY.match(sentence.text)
    if match and not re.match(
        r"(?:it|this|that|they|there|he|she|who|these|those|you|we|i|if|when)\b", match["who"], re.I
    ):
        duty = asker(match["duty"])
        span = sentence.start, sentence.start + len(match["who"])
        if not re.search(r"\b(?:their|its|his|her|they|them|it|this|these)\b", duty):
            yield Asked(sentence_case(f"Who is {duty}"), *span, "person", "duty")
        words = re.match(
            r"(responsible for|accountable for|in charge of|tasked with|eligible for|entitled to) (.*)$", duty
        )
        if words and len(words[2]) > 12 and chance.random() < 0.6:
            start = sentence.start + match.start("duty") + len(words[1]) + 1
            be = "are" if match["be"] == "are" else "is"
            yield Asked(
                sentence_case(f"What {be} {asker(lowered(match['who']))} {words[1]}"),
                start,
                sentence.end,
                "duty",
                "duty",
            )
    match = _CONTACT.match(sentence.text)
    if match and is_someone(match["answer"]):
        word, why = match["link"].lower(), asker(match["why"])
        if word in ("if", "when") and len(why.split()) < 3:
            return
        if word == "to" and why.split()[0] not in VERBS:
            return
        if word == "with" and not re.match(r"(?:any )?(?:questions|feedback|concerns|problems|issues)\b", why):
            return
        start = sentence.start + match.start("answer")
        verb = "ask" if word in ("for", "about", "before") and chance.random() < 0.5 else "contact"
        yield Asked(
            sentence_case(f"Who should I {verb} {word} {why}"), start, start + len(match["answer"]), "person", "contact"
        )
