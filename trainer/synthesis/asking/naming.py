"""What is X, what does X stand for, what is X used for, which X: definitions and names.

Takes   a sentence; for acronyms the whole passage.
Gives   the defining words as the answer, without "is".
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.synthesis.asking.grammar import VERBS, Clause, asker, is_subject, lowered, sentence_case
from trainer.synthesis.asking.sentences import Asked, Sentence

_DEFINED = re.compile(
    r"^(?P<what>(?:The |An? )?[A-Z`\"“]?[\w`\"“”/&.'-]+(?: [\w`\"“”/&.'-]+){0,5}) (?P<be>is|are) "
    r"(?P<answer>(?:an?|one of the|any|the (?:process|practice|set|person|act|ability|name|official|primary|"
    r"main|central|team|place|tool)) [^;:?|]{20,240})$"
)
_MEANS = re.compile(r"^(?P<what>[^,;:()?|]{3,50}?) (?P<verb>means|refers to|stands for) (?P<answer>[^;:?|]{8,200})$")
_USED = re.compile(r"^(?P<what>[^,;:()?|]{3,50}?) (?P<be>is|are) used (?P<link>to|for) (?P<answer>[^;:?|]{8,180})$")
_NAMED = re.compile(
    r"^(?P<what>(?:The|Our|Your) [^,;:()?|]{4,60}?) (?P<be>is|are|was) (?:called |known as |named )"
    r"(?P<answer>[^,;:()?|]{2,60})$"
)
_VALUE = re.compile(
    r"^(?P<what>(?:The|Our|Your) (?:default|deadline|name|goal|purpose|aim|owner|password|address|email|"
    r"theme|focus|role|title|"
    r"current|recommended|preferred|minimum|maximum|standard|main|primary|official|next|only|best)\b[^,;:()"
    r"?|]{0,60}?) (?P<be>is|are|was) "
    r"(?P<answer>(?:to |that |in |on |at |by |the |an? |[A-Z0-9#@`])[^;:()?|]{1,160})$"
)
_ACRONYM = re.compile(
    r"(?P<long>(?:[A-Z][\w'-]*|of|and|for|the|to|in|on|&)(?: (?:[A-Z][\w'-]*|of|and|for|the|to|in|on|&))"
    r"{1,7}) \((?P<short>[A-Z][A-Za-z&]{1,7})\)"
)
_PRAISE = re.compile(
    r"(?:an?|one of the|the|any) (?:very |really |most )?(?:great|good|fundamental|better|best|key|valuable|important|"
    r"necessary|common|big|huge|nice|bad|"
    r"critical|crucial|essential|useful|powerful|simple|must|lot|bit|few|little|number|only|first|same|next|"
    r"last|priority|requirement)\b"
)
_VAGUE = frozenset(
    """whether it this that these those they there here he she which who what one goal reason idea first second third
    next answer question result thing problem point purpose note example following same other rest most some
    many all each every phase step part second third something everything anything someone everyone anyone
    people part key such and or but so if when where while after before as because for in on at by to with from
    you we i your our my""".split()
)


def asked(sentence: Sentence) -> Iterator[Asked]:
    """Definitions, meanings, uses and names."""
    text = sentence.text
    match = _DEFINED.match(text)
    if match and _is_term(match["what"]) and not _PRAISE.match(match["answer"]):
        be = match["be"]
        what = asker(_bare(match["what"]))
        yield _found(f"What {be} {what}", sentence, match, "definition")
    match = _MEANS.match(text)
    if match and _is_term(match["what"]) and not match["answer"].startswith(("that ", "to ", "you ")):
        verb = {"means": "mean", "refers to": "refer to", "stands for": "stand for"}[match["verb"]]
        yield _found(f"What does {asker(lowered(match['what']))} {verb}", sentence, match, "definition")
    match = _USED.match(text)
    if match and _is_term(match["what"]) and (match["link"] == "for" or match["answer"].split()[0] in VERBS):
        yield _found(f"What {match['be']} {asker(lowered(match['what']))} used for", sentence, match, "use")
    match = _NAMED.match(text)
    if match and is_subject(match["what"]):
        yield _found(f"What {match['be']} {asker(lowered(match['what']))} called", sentence, match, "name")
    match = _VALUE.match(text)
    if match and is_subject(match["what"]) and _complete(match["answer"]):
        yield _found(f"What {match['be']} {asker(lowered(match['what']))}", sentence, match, "name")


def _found(question: str, sentence: Sentence, match: re.Match[str], kind: str) -> Asked:
    start = sentence.start + match.start("answer")
    return Asked(sentence_case(question), start, start + len(match["answer"].rstrip()), kind, "naming")


def _bare(what: str) -> str:
    """A term as people type it: "A sprint" is asked as "a sprint", "The Guild" as "the Guild"."""
    return lowered(what)


def _is_term(what: str) -> bool:
    words = what.split()
    return (
        words[0].lower().strip('`"“”') not in _VAGUE
        and is_subject(what)
        and len(words) <= 6
        and not (words[0] == "The" and len(words) == 2)  # "the team", "the tool": which one only the passage knows
        and words[-1].lower() not in _VAGUE
    )


def _complete(answer: str) -> bool:
    return (
        not re.search(r"\b(?:this|these|that|it|they|below|above|following)\b", answer.lower())
        and answer.count(" ") < 26
    )


_HOLDS = frozenset("include contain cover consist require provide offer measure track describe involve support".split())


def contents(sentence: Sentence, parts: Clause) -> Iterator[Asked]:
    """ "The checklist includes a, b and c" answers "What does the checklist include?"."""
    verb, _, rest = parts.predicate.partition(" ")
    link = "of " if rest.startswith("of ") else ""
    rest = re.split(r"[;(]|: | [–—-] |, (?:which|but|so|where)\b", rest.removeprefix(link))[0].rstrip(" ,")
    lists = rest.count(",") >= 2 or (", " in rest and re.search(r" (?:and|or) ", rest))
    if parts.aux not in ("does", "do") or verb not in _HOLDS or parts.negated or not lists or len(rest) > 260:
        return
    if parts.subject.lower() in ("we", "you") or (len(parts.subject.split()) < 2 and parts.subject.islower()):
        return
    start = sentence.start + sentence.text.index(rest)
    question = sentence_case(f"What {parts.aux} {asker(lowered(parts.subject))} {verb} {link.strip()}")
    yield Asked(question, start, start + len(rest), "contents", "contents")


def acronyms(text: str, chance: random.Random) -> Iterator[Asked]:
    """ "Contracting Officer's Representative (COR)" answers "What does COR stand for?"."""
    for match in _ACRONYM.finditer(text):
        words, short = match["long"].split(), re.sub(r"[a-z&]", "", match["short"])
        if len(short) < 2:
            continue
        for first in range(len(words)):
            letters = "".join(word[0] for word in words[first:] if word[0].isupper())
            if letters == short and words[first][0].isupper():
                start = match.start("long") + len(" ".join(words[:first])) + (1 if first else 0)
                ask = chance.choice(
                    ("What does {} stand for?", "What is {} short for?", "What does the abbreviation {} mean?")
                )
                yield Asked(ask.format(match["short"]), start, match.end("long"), "acronym", "acronym")
                break
