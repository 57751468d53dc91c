"""When, how often, where, why, how: the phrase that ends a clause is the answer, the rest turns into the question.

    "Staff must submit receipts | within 30 days of the trip"  ─►  "How soon must staff submit receipts?"

Takes   a sentence and its clause.
Gives   at most one question a kind of phrase; answers end where the clause does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from trainer.synthesis.asking.grammar import BE, VERBS, Clause, asker, lowered, sentence_case, singular_verb, turned
from trainer.synthesis.asking.sentences import Asked, Sentence

NUMBER = (
    r"(?:\d[\d,]*(?:\.\d+)?(?:\s?[-–]\s?\d[\d,.]*)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"fifteen|twenty|thirty|forty|fifty|sixty|ninety)"
)
UNIT = (
    r"(?:(?:business|working|calendar|consecutive|full)[ -])?(?:second|minute|hour|day|week|month|quarter|year|"
    r"sprint)s?"
)
WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"
MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|Jan|Feb|Aug|Sept|"
    r"Oct|Nov|Dec)"
)
CLOCK = r"(?:\d{1,2}(?::\d{2})? ?(?:am|pm|a\.m|p\.m|AM|PM)\b|\d{1,2}:\d{2}|noon|midnight)"
DATE = (
    rf"(?:{MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{MONTH}(?: "
    rf"\d{{4}})?|{MONTH} \d{{4}}|(?:19|20)\d{{2}}|{MONTH}\b|{WEEKDAY})"
)
REST = r"[^,;:()?!|]"
_SOON = r"(?:the )?(?:start|beginning|end|middle|first|last|close) of (?:the|each|every|a|your|our) [a-z]+(?: [a-z]+)?"
PLACES = (
    "page channel portal folder drive repo repository dashboard form calendar system spreadsheet document site website "
    "handbook wiki tab section menu room office building board list file database app application tool directory "
    "inbox queue backlog slack github jira trello intranet registry account bucket log logs readme issue ticket "
    "console sheet cabinet desk warehouse lobby library docs documentation template settings manual"
).split()
_CUTS = re.compile(
    r",? (?:but|so|which|where|whereas|although|though|even|as well as)\b|, (?:and|or)\b|[;(]|:(?=\s|$)| [–—-] |, "
)
_FOUND = (
    r"(?:found|located|stored|listed|documented|posted|published|kept|saved|hosted|recorded|tracked|available|"
    r"displayed|shown|defined|logged|held|shared|configured|managed)"
)


class Tail(NamedTuple):
    """A phrase that ends a clause, and how one asks for it."""

    kind: str
    ends: re.Pattern[str]  # group `answer`; what stands before it is the core of the question
    ask: tuple[str, ...]
    negated: bool = False  # may the clause say "not"


def _ends(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^(?P<core>.+?),? (?P<answer>{pattern})$")


TAILS = (
    Tail(
        "frequency",
        _ends(
            rf"(?:(?:at least |about |roughly )?(?:every (?:other |{NUMBER} )?{UNIT}|(?:once|twice|three "
            rf"times|{NUMBER} times) "
            rf"(?:a|per|each|every) {UNIT}|on a (?:daily|weekly|biweekly|monthly|quarterly|regular|yearly|"
            rf"annual) basis|"
            rf"each (?:day|week|month|quarter|year|sprint)|every {WEEKDAY}|"
            r"hourly|nightly|daily|weekly|biweekly|bi-weekly|fortnightly|monthly|quarterly|annually|yearly))"
        ),
        ("How often",),
    ),
    Tail(
        "duration",
        _ends(
            rf"for (?:up to |at least |at most |a minimum of |a maximum of |no more than |about |around |"
            rf"approximately |"
            rf"a period of |the (?:first|last|next) )*{NUMBER}(?: to {NUMBER})? {UNIT}(?: (?:after|before|"
            rf"from|of) {REST}{{3,50}})?"
        ),
        ("For how long", "How long"),
    ),
    Tail(
        "deadline",
        _ends(
            rf"(?:within|in under|no later than|at least|less than|more than) (?:the (?:first|next|last) )"
            rf"?(?:about )?{NUMBER}"
            rf"(?: to {NUMBER})? {UNIT}(?: (?:of|after|before|from|prior to|in advance|ahead|following){REST}{{0,60}})?"
        ),
        ("How soon", "When"),
    ),
    Tail(
        "time",
        _ends(
            rf"(?:(?:on|by|before|until|at|in|from|since|after|around|during|no later than) (?:around |about |the )?"
            rf"(?:{CLOCK}|{DATE}|{_SOON})(?:,? (?:at|on|in|to|and|through|until|-|–|ET|PT|EST|PST|UTC|GMT) "
            rf"?{REST}{{0,30}})?)"
        ),
        ("When",),
    ),
    Tail(
        "time",
        _ends(rf"(?:as soon as|once|until|after|before) (?:the|a|an|your|you|we|our|all|every) ?{REST}{{8,90}}"),
        ("When",),
    ),
    Tail("time", _ends(rf"when (?:the|a|an|you|we|your|there|working|making|using) ?{REST}{{10,90}}"), ("When",)),
    Tail(
        "condition",
        _ends(rf"(?:only )?if (?:the|a|an|you|we|your|there|they|it) ?{REST}{{10,110}}"),
        ("When",),
        negated=True,
    ),
    Tail("reason", _ends(r"(?:because|since) (?:of )?[^;:()?|]{12,160}"), ("Why",), negated=True),
    Tail(
        "purpose",
        _ends(
            r"(?:so that|in order to|to (?:help|make sure|ensure|avoid|prevent|keep|reduce|protect|improve|encourage|"
            r"minimi[sz]e|maintain|determine|give|verify|track|support)\b)[^;:()?|]{8,130}"
        ),
        ("Why",),
    ),
    Tail("manner", _ends(rf"by [a-z]+ing\b{REST}{{6,120}}"), ("How",)),
    Tail(
        "manner",
        _ends(
            rf"(?:(?:using|via) (?:the|a|an|our|your|[A-Z@#]){REST}{{2,60}}|through (?:the|our|a) "
            rf"{REST}{{0,30}}\b(?:process|system|tool|portal|form|channel|app|platform|website|page|interface|"
            rf"console|program))"
        ),
        ("How",),
    ),
    Tail(
        "place",
        _ends(
            rf"(?:in|on|at|under|inside|into) (?:the|our|your|a|an|its|this|[A-Z#@])"
            rf"{REST}{{0,45}}?\b(?:{'|'.join(PLACES)})(?: (?:for|of|named|called) {REST}{{3,40}})?"
        ),
        ("Where",),
    ),
    Tail(
        "place",
        _ends(r"(?:in|on) (?:the )?#[\w-]+(?: (?:channel|on Slack|in Slack|Slack channel))?"),
        ("Where", "In which channel"),
    ),
)
_WHETHER = re.compile(
    r"^(?:ask|check|see|determine|know|decide|find|learn|verify|confirm|test|tell|consider|understand|"
    r"identify|assess|evaluate|"
    r"explain|mention|note|review)\b|\b(?:see|check|determine|know|out|verify|confirm|tell|understand|sure|"
    r"wonder|decide)$"
)
_KEPT = re.compile(
    rf"^(?P<core>(?:be |been )?{_FOUND}) (?P<answer>(?:in|on|at|under|within) (?:(?! that ){REST}){{4,80}})$"
)


_UNFINISHED = frozenset(
    """and or the a an of to with for is are be that your my not only either more at than about how why what
    when where who used needed required no against into order way ways able so out least simply also
    on in from by as""".split()
)


def cores(parts: Clause) -> Iterator[str]:
    """The predicate whole, and cut at each clause boundary, longest first; one without brackets or second clauses."""
    seen = set()
    cuts = [match.start() for match in _CUTS.finditer(parts.predicate)]
    for end in (len(parts.predicate), *reversed(cuts)):
        core = parts.predicate[:end].rstrip(" ,.")
        if core and core not in seen and not re.search(r"[;:()|]| [–—-] ", core):
            seen.add(core)
            yield core


def asked(sentence: Sentence, parts: Clause, chance: random.Random) -> Iterator[Asked]:
    """Questions for the phrases that end the clause."""
    if parts.imperative and parts.negated:
        return
    used: set[str] = set()
    for core in cores(parts):
        for tail in (*TAILS, Tail("place", _KEPT, ("Where",))):
            match = tail.ends.match(core)
            if match is None or tail.kind in used or (parts.negated and not tail.negated):
                continue
            kept = match["core"].rstrip(" ,")
            if tail.kind == "condition" and _WHETHER.search(kept):
                continue  # "check if": a question, no condition
            if tail.kind == "time" and re.search(rf"{NUMBER} {UNIT}$|up to$", kept):
                continue
            if not enough(parts, kept) or (tail.kind == "deadline" and kept.split()[0] in ("take", "last")):
                continue
            used.add(tail.kind)
            answer = match["answer"]
            start = sentence.start + _place(parts, sentence, core, answer)
            answer = re.split(r",? (?:but|as long as|while|which|otherwise)\b", answer)[0]
            word = chance.choice(tail.ask)
            yield Asked(_question(word, parts, kept), start, start + len(answer), tail.kind, "clause")


def _place(parts: Clause, sentence: Sentence, core: str, answer: str) -> int:
    """Character of the sentence at which the answer begins. Predicates of do-support differ from what is written."""
    written = sentence.text[parts.at :]
    shift = len(written) - len(parts.predicate)  # an -s or -ed that the bare verb lost
    return parts.at + shift + core.rindex(answer)


def _question(word: str, parts: Clause, kept: str) -> str:
    said = turned(parts, kept)
    if parts.negated:
        aux, _, rest = said.partition(" ")
        subject = "I" if parts.subject.lower() in ("you", "i") else asker(lowered(parts.subject))
        rest = rest.removeprefix(subject).strip()
        said = f"{aux} {subject} not {rest}"
    return sentence_case(f"{word} {said}")


def enough(parts: Clause, core: str) -> bool:
    """Whether a core says enough to be asked about: a verb and an object, or a participle."""
    words = core.split()
    if re.match(
        r"(?:is|are|was|were|has|will)\b|have (?:been|found|made|had|\w+(?:ed|en|wn|nt|ld))\b|want\b", core
    ) and parts.aux not in ("do", "does"):
        return False
    if re.match(r"have (?:been|found|made|had|\w+(?:ed|en|wn|nt|ld))\b", core):
        return False
    if parts.imperative and len(words) > 2 and words[1].endswith("s") and words[2] in VERBS:
        return False  # "Review apps allow us": the first word was a noun
    if re.search(
        r", (?:but|so|which|and (?:the|a|an|it|then))\b|\bthat (?:was|were|is|are)\b|\b(?:I|you|we|they|it) \w+$|[.]$",
        core,
    ):
        return False
    if parts.aux in BE.split("|") and any(singular_verb(verb) for verb in re.findall(r"\band ([a-z]+)", core)):
        return False  # "is on and takes a picture": a second clause
    if re.search(r"\b(?:and|or) (?:[a-z]+ )?(?:is|are|was|were|will|has|may|can|must|should)\b", core):
        return False
    if not words or len(words) > 16 or core.count(",") > 3:
        return False
    last = words[-1].lower()
    if last in _UNFINISHED:
        return False
    if parts.aux in BE.split("|") or words[0] in ("be", "been"):
        participle = words[1] if words[0] in ("be", "been") and len(words) > 1 else words[0]
        return len(participle) > 3 and (participle.endswith(("ed", "t", "en", "wn", "ng", "le", "de", "ld", "pt")))
    return words[0] in VERBS and len(words) > 1 and not (words[0] == "need" and parts.aux in ("may", "can", "must"))
