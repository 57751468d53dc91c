"""May I, do I have to: a rule answers with its own words.

Takes   a sentence and, where there is one, its clause.
Gives   a question that can be answered with yes or no; the answer is the clause that says so, "not" included.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.synthesis.asking.clauses import cores
from trainer.synthesis.asking.grammar import VERBS, Clause, asker, lowered, sentence_case
from trainer.synthesis.asking.roles import is_person
from trainer.synthesis.asking.sentences import Asked, Sentence

_HAPPENS = re.compile(
    r"(?:be able|have to|run into|find|need|want|notice|see|encounter|get|have|happen|read|think|feel|also)\b"
)
_MUST = re.compile(
    r"^(?P<who>[^,;:()?|]{2,50}?) (?P<verb>(?:will |also )?(?:need|needs|have|has|(?:are|is) (?:required|"
    r"expected)|(?:do not|don['’]t) (?:need|have)) to) (?P<what>[a-z][^;:?|]{8,140})$"
)
_FORBIDDEN = re.compile(r"^(?:Please )?(?:[Dd]o not|[Dd]on['’]t|[Nn]ever|[Aa]void) (?P<what>[a-z]+ [^;:?|]{6,120})$")
_ALLOWED = re.compile(
    r"^(?P<who>[^,;:()?|]{2,50}?) (?P<be>is|are) (?P<not>not )?(?:allowed|permitted|encouraged|welcome|free)"
    r" to (?P<what>[a-z][^;:?|]{8,140})$"
)


def asked(sentence: Sentence, parts: Clause, chance: random.Random) -> Iterator[Asked]:
    """Questions from may, can, must and their negations."""
    subject = parts.subject.lower()
    if parts.imperative or parts.aux not in ("may", "can", "must", "should") or subject == "we":
        return
    if subject != "you" and not (parts.aux in ("may", "must") or parts.negated):
        return
    if subject != "you" and not parts.negated and parts.aux == "may" and not is_person(parts.subject):
        return  # "Alerts may fail": what can happen, no permission
    core = _short(parts)
    if core is None or _HAPPENS.match(core):
        return
    if subject == "you":
        said = asker(core)
        if parts.aux == "can" and not parts.negated:
            opening = "Can I"  # mostly what is possible, seldom what is allowed
        elif parts.aux in ("may", "can") or parts.negated:
            opening = chance.choice(
                ("Can I", "May I", "Am I allowed to") if not core.startswith("be ") else ("Can I", "May I")
            )
        else:
            opening = chance.choice(
                ("Do I have to", "Do I need to", "Must I") if parts.aux == "must" else ("Should I", "Do I need to")
            )
        question = f"{opening} {said}"
    else:
        opening = {"may": "May", "can": "Can", "must": "Must", "should": "Should"}[parts.aux]
        if parts.negated and parts.aux in ("must", "should"):
            opening = "May"
        question = f"{opening} {asker(lowered(parts.subject))} {asker(core)}"
    if not parts.negated and chance.random() < 0.5:  # else nearly every rule would be answered with yes
        return
    start = sentence.start + parts.start
    end = sentence.start + parts.at + len(core)
    yield Asked(sentence_case(question), start, end, "permission", "permission")


def _short(parts: Clause) -> str | None:
    core = next((core for core in cores(parts) if 3 <= len(core.split()) <= 16), None)
    if (
        core is None
        or core.split()[-1].lower() in {"and", "or", "to", "the", "of", "with"}
        or core.split()[0] not in VERBS | {"be"}
    ):
        return None
    return core


def rules(sentence: Sentence, chance: random.Random) -> Iterator[Asked]:
    """ "You need to", "Do not", "are required to", "is not allowed to"."""
    text = sentence.text
    span = sentence.start, sentence.end
    match = _FORBIDDEN.match(text)
    if match and len(match["what"].split()) <= 16:
        what = asker(match["what"])
        verb = what.split()[0]
        if text.lower().startswith("avoid"):
            if verb.endswith("ing"):
                yield Asked(
                    sentence_case(f"Is {what} a good idea"),
                    *span,
                    "permission",
                    "rule",
                )
        elif verb in VERBS:
            opening = chance.choice(("Can I", "May I", "Is it OK to", "Should I"))
            yield Asked(sentence_case(f"{opening} {what}"), *span, "permission", "rule")
        return
    match = _MUST.match(text)
    if match and match["what"].split()[0] in VERBS | {"be"} and len(match["what"].split()) <= 18:
        who, what = match["who"], asker(match["what"])
        singular = match["verb"].removeprefix("also ").split()[0] in ("needs", "has", "is")
        if who.lower() == "you":
            opening = chance.choice(("Do I have to", "Do I need to", "Am I required to"))
        elif re.match(r"(?:The|All|Every|Our|Your|Each|An?) ", who) or who.split()[-1].endswith("s"):
            if not _plain(who):
                return
            does = "Does" if singular else "Do"
            opening = f"{does} {asker(lowered(who))} have to"
        else:
            return
        if what.startswith("be ") and "required" in opening:
            opening = "Do I have to"
        yield Asked(sentence_case(f"{opening} {what}"), *span, "permission", "rule")
        return
    match = _ALLOWED.match(text)
    if match and match["what"].split()[0] in VERBS and (match["who"].lower() == "you" or _plain(match["who"])):
        what = asker(match["what"])
        who = "Am I" if match["who"].lower() == "you" else f"{match['be'].capitalize()} {asker(lowered(match['who']))}"
        yield Asked(sentence_case(f"{who} allowed to {what}"), *span, "permission", "rule")


def _plain(who: str) -> bool:
    return len(who.split()) <= 6 and not re.search(
        r"\b(?:it|this|that|they|there|he|she|who|these|those|if|when|what|which|to|we|i|then|so|is|are|"
        r"will|may|can|only)\b",
        who,
        re.I,
    )
