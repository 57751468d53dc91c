"""What to do in a case, and how to reach a goal: the second half of a sentence answers its first.

    "If your laptop is lost, | tell IT"          ─►  "What should I do if my laptop is lost?"
    "To book a room, | open the calendar"        ─►  "How do I book a room?"

Takes   a sentence.
Gives   the instruction as the answer, to the sentence's end; where it names somebody to contact, that one, too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer.synthesis.asking.grammar import VERBS, asker, sentence_case
from trainer.synthesis.asking.roles import is_someone
from trainer.synthesis.asking.sentences import Asked, Sentence


def asked(sentence: Sentence, chance: random.Random) -> Iterator[Asked]:
    """ "If your laptop is lost, tell IT." and "To book a room, open the calendar.": the second half answers."""
    text = sentence.text
    match = re.match(
        r"(?P<word>If|When|Whenever) (?P<case>[^,;:()?|]{12,110}), (?:then )?(?P<answer>[^:?|]{8,260})$", text
    )
    if match and _is_case(match["case"]):
        act = _acts(match["answer"])
        word, case = match["word"].lower().replace("whenever", "when"), asker(match["case"])
        if act:
            person = re.match(
                r"(?:please |you (?:should|can|must|may) )?(?:contact|ask|email|notify|inform|tell|message|"
                r"alert|call|reach out to|"
                r"talk to|speak to|check with|consult) (?P<who>(?:the |your |our |an? |[A-Z@#])[^,;:()"
                r"?]{1,50}?)(?=$|,| and | to | for | with | so | in | on )",
                match["answer"], re.I,
            )  # fmt: skip
            if person and is_someone(person["who"]):
                start = sentence.start + match.start("answer") + person.start("who")
                yield Asked(f"Who should I contact {word} {case}?", start, start + len(person["who"]), "person", "case")
            opening = chance.choice(("What should I do", "What do I do", "What should I do", "What do I need to do"))
        else:
            opening = "What happens"
        if not act and match["case"].split()[0].endswith("ing"):
            return
        if act or re.match(
            r"(?:the|a|an|your|our|you|we|[A-Z])\b.* (?:will|is|are|must|may|can|should)\b", match["answer"]
        ):
            start = sentence.start + match.start("answer")
            yield Asked(
                f"{opening} {word} {case}?", start, sentence.end, "instruction" if act else "consequence", "case"
            )
    match = re.match(r"(?:In order to|To) (?P<goal>[a-z]+ [^,;:()?|]{6,90}), (?P<answer>[^?|]{8,260})$", text)
    if match and match["goal"].split()[0] in VERBS and _acts(match["answer"]):
        start = sentence.start + match.start("answer")
        end = sentence.end - (1 if text.endswith(":") else 0)
        opening = chance.choice(("How do I", "How can I", "What do I do to", "How do I"))
        if not text.endswith(":"):
            yield Asked(sentence_case(f"{opening} {asker(match['goal'])}"), start, end, "instruction", "goal")
    match = re.match(
        (
            r"(?:You can |Please )?(?P<answer>[Uu]se (?:the |a |an |our |your |[A-Z`]?)[^,;:()?|]{2,50}?) "
            r"(?P<link>to) (?P<goal>[a-z]+ [^,;:()?|]{6,90})$"
        ),
        text,
    )
    if match and match["goal"].split()[0] in VERBS:
        start = sentence.start + match.start("answer")
        opening = chance.choice(("How do I", "What should I use to", "How can I"))
        end = start + len(match["answer"])
        if opening.startswith("What"):
            start += 4
        yield Asked(sentence_case(f"{opening} {asker(match['goal'])}"), start, end, "instruction", "goal")


def _is_case(case: str) -> bool:
    words = case.lower().split()
    return len(words) >= 4 and words[0] not in (
        "possible",
        "necessary",
        "needed",
        "not",
        "so",
        "it",
        "this",
        "they",
        "that",
    )


def _acts(answer: str) -> bool:
    """Whether the words tell the reader what to do; where to read on is no answer."""
    if re.match(r"(?:please |you can )?(?:see|refer to|read|find|check out|consult|note|remember)\b", answer):
        return False
    found = re.match(
        r"(?:please |first |you (?:should|must|can|need to|will need to|may|have to) (?:also |then |first )"
        r"?)?(?P<verb>[a-z]+)\b",
        answer,
    )
    return found is not None and found["verb"] in VERBS
