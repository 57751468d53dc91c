"""Headings, lists and steps: a list with its lead-in or its heading answers what, which and how.

Takes   the passage's text, its headings and its title.
Gives   whole lists as answers, at most LONGEST characters; a heading asks only where it names a doing, a question or a
        category of its parent ("Requirements" under "Travel card").
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trainer.synthesis.asking.grammar import BE, MODALS, VERBS, asker, is_subject, lowered, sentence_case
from trainer.synthesis.asking.sentences import ITEM, STEP, Asked, Line, lines

LONGEST = 700  # characters of an answer
CATEGORIES = {
    "requirements": "What are the requirements for {}?",
    "prerequisites": "What are the prerequisites for {}?",
    "responsibilities": "What are the responsibilities of {}?",
    "benefits": "What are the benefits of {}?",
    "goals": "What are the goals of {}?",
    "objectives": "What are the objectives of {}?",
    "advantages": "What are the advantages of {}?",
    "disadvantages": "What are the disadvantages of {}?",
    "pros": "What speaks for {}?",
    "cons": "What speaks against {}?",
    "risks": "What are the risks of {}?",
    "limitations": "What are the limitations of {}?",
    "exceptions": "What are the exceptions to {}?",
    "eligibility": "Who is eligible for {}?",
    "deliverables": "What are the deliverables of {}?",
    "participants": "Who takes part in {}?",
    "tools": "Which tools are used for {}?",
    "best practices": "What are the best practices for {}?",
    "success criteria": "What are the success criteria for {}?",
    "time required": "How long does {} take?",
}
_LEAD = r"(?P<lead>[^\n:|]{6,140}):"
_NEED = re.compile(
    r"^(?:(?P<pre>(?:To|In order to|For|When|If|Before) [^,]{4,80}), )?(?:you(?:['’]ll| will| should| must| "
    r"may)? (?:also |first )?(?P<verb>need|have|must have|require|provide|include|do|consider)(?: to "
    r"(?P<inf>[a-z]+(?: [a-z ]{2,30})?))?)(?: (?:the following|these)(?: [a-z]+)?)?$",
    re.I,
)
_GOAL = re.compile(
    r"^(?:In order to|To) (?P<goal>[a-z]+ [^,:]{4,90})(?:, (?:please |you (?:should|must|can|need to|will "
    r"need to) )?(?:follow|do|take|complete|use|perform|run|execute)?[^,:]{0,50}(?:steps?|following|"
    r"instructions|process)?[^,:]{0,20})?$"
)
_HAS = re.compile(
    rf"^(?P<who>[^,]{{3,60}}?) (?P<aux>{MODALS}) (?:also |always |only )?(?P<verb>[a-z]+)(?: (?:all of |at "
    rf"least |one of |any of )?(?:the following|these)(?: [a-z]+){{0,2}})?$"
)
_DOES = re.compile(
    r"^(?P<who>[^,]{3,60}?) (?P<verb>includes?|contains?|covers?|requires?|provides?|supports?|consists? of|"
    r"uses?|offers?|involves?)(?: (?:all of )?(?:the following|these)(?: [a-z]+){0,2})?$"
)
_ARE = re.compile(
    r"^(?P<who>(?:The|Our|Your|Some|Common|Key) [^,]{5,80}?) (?P<be>is|are)(?: as follows| the following)?$"
)
_NOUN = re.compile(
    r"^(?:The |Some |Common |Here are (?:some |the )?|Below are (?:some |the )?|There are (?:several |some |"
    r"many |a few )?|Key )?(?P<noun>(?:[a-z]+ )?"
    r"(?:reasons?|examples?|benefits|ways|requirements|steps|types|kinds|goals|principles|criteria|"
    r"characteristics|options|"
    r"advantages|responsibilities|tips|factors|qualities|elements|signs|guidelines|questions|topics|roles)) "
    r"(?P<rest>(?:of|for|to|that|when|why|you should) [^,:]{4,80}?)(?: (?:are|include|is))?$",
    re.I,
)
_COUNT = re.compile(
    r"^(?:There are|We have|It has) (?P<number>\w+) (?:main |different |key |core |primary )"
    r"?(?P<noun>(?:types|kinds|levels|ways|phases|stages|categories|parts|options|roles|groups|steps) "
    r"[^,:]{3,60})$",
    re.I,
)


_FOLLOWING = re.compile(
    rf"^(?:The|These|Those) following (?P<what>[a-z][\w -]{{2,40}}? (?:{MODALS}|are|have|need|apply)\b [^:.]{{3,80}})$"
)


class Block(NamedTuple):
    """A list: its items from `start` to `end`, and the line above it."""

    lead: str
    start: int
    end: int
    items: int
    numbered: bool
    complete: bool  # begins after a line of its own, or at the passage's beginning


def blocks(text: str) -> Iterator[Block]:
    """The lists of a passage with the line that leads in to each."""
    lead = Line("", 0)
    found: list[Line] = []
    for line in [*lines(text), Line("", len(text))]:
        if line.text and (ITEM.match(line.text) or (found and line.text.startswith("  "))):
            found.append(line)
            continue
        if found:
            top = [item for item in found if ITEM.match(item.text) and _indent(item.text) == _indent(found[0].text)]
            start = found[0].start + _indent(found[0].text)
            yield Block(lead.text.strip(), start, found[-1].end, len(top), bool(STEP.match(found[0].text)), True)
            found = []
        lead = line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def asked(text: str, headings: Sequence[str], chance: random.Random) -> Iterator[Asked]:
    """Questions that lists answer, by their lead-in or by the heading above them."""
    first = True
    for block in blocks(text):
        own, first = first and not text[: block.start].strip(), False
        if not 2 <= block.items <= 14 or not 12 <= block.end - block.start <= LONGEST:
            continue
        question = None
        lead = block.lead
        if lead.endswith(":"):
            question = led(lead[:-1].strip(), chance)
            lead = ""
        if question is None and headings and (own or (block.numbered and not lead)):
            question = headed(headings, chance) if own or block.numbered else None
            if question and not block.numbered and question.startswith("How do I"):
                question = None  # a plain list under a doing may hold anything
        if block.numbered and not text.startswith("1", block.start):
            continue  # the passage before holds the first steps
        told = [line for line in lines(text[block.start : block.end]) if re.search(r"[A-Za-z]{3}", line.text)]
        if question and len(told) >= block.items / 2:
            kind = "steps" if block.numbered else "list"
            yield Asked(question, block.start, block.end, kind, "lead-in" if block.lead.endswith(":") else "heading")


def led(lead: str, chance: random.Random) -> str | None:
    """The question that a list's lead-in asks."""
    lead = re.split(r"(?<=[.!?]) ", lead)[-1]
    match = _FOLLOWING.match(lead)
    if match:
        return sentence_case(f"Which {asker(match['what'])}")
    match = _NEED.match(lead)
    if match and (match["pre"] or match["inf"]):
        verb = {"must have": "need"}.get(match["verb"].lower(), match["verb"].lower())
        pre = (
            asker(re.sub(r"^(?:In order to|To) ", "to ", match["pre"][0].lower() + match["pre"][1:]))
            if match["pre"]
            else ""
        )
        if not match["inf"] or match["inf"] == "do":
            return sentence_case(f"What do I {verb if verb != 'do' else 'have to do'} {pre}")
        if match["inf"].split()[0] in VERBS and len(match["inf"].split()) == 1 and pre:
            return sentence_case(f"What do I need to {match['inf']} {pre}")
        return None
    match = _GOAL.match(lead)
    if match and match["goal"].split()[0] in VERBS:
        return sentence_case(
            f"{chance.choice(('How do I', 'How can I', 'What are the steps to'))} {asker(match['goal'])}"
        )
    match = _HAS.match(lead)
    if match and match["verb"] in VERBS and (match["who"].lower() in ("you", "we") or is_subject(match["who"])):
        who = "I" if match["who"].lower() == "you" else asker(lowered(match["who"]))
        return (
            sentence_case(f"What {match['aux']} {who} {match['verb']}")
            if match["who"].lower() not in ("you", "we")
            else None
        )
    match = _DOES.match(lead)
    if match and is_subject(match["who"]) and match["who"].lower() not in ("we", "you"):
        verb, _, rest = match["verb"].partition(" ")
        plural = not verb.endswith("s")
        bare = verb if plural else verb[:-1]
        return sentence_case(f"What {'do' if plural else 'does'} {asker(lowered(match['who']))} {bare} {rest}")
    match = _ARE.match(lead)
    if match and is_subject(match["who"]):
        who = re.sub(r"^(?:some|common|key) ", lambda m: m[0], lowered(match["who"]))
        return sentence_case(f"What {match['be']} {asker(who)}")
    match = _COUNT.match(lead)
    if match:
        return sentence_case(f"What {match['noun'].split()[0]} {' '.join(match['noun'].split()[1:])} are there")
    match = _NOUN.match(lead)
    if match and not re.match(r"that\b", match["rest"]) and not re.search(rf" (?:{BE})$", match["rest"]):
        noun = re.sub(r"\b(example|reason)$", r"\1s", match["noun"].lower())
        return sentence_case(
            f"What are {'' if noun.startswith(('some', 'common')) else 'some '}{noun} {asker(match['rest'])}"
        )
    return None


def headed(headings: Sequence[str], chance: random.Random) -> str | None:
    """The question that the nearest heading asks of the list or steps below it."""
    own = bare_heading(headings[-1])
    parent = bare_heading(headings[-2]) if len(headings) > 1 else ""
    low = own.lower()
    if own.endswith("?"):
        return question_heading(own)
    if low in CATEGORIES and 1 <= len(parent.split()) <= 6 and parent.lower() not in CATEGORIES and is_topic(parent):
        return sentence_case(CATEGORIES[low].format(asker(in_sentence(parent))).rstrip("?"))
    doing = doing_heading(own)
    if doing:
        opening = chance.choice(("How do I", "How can I", "How do I", "What are the steps to"))
        return sentence_case(f"{opening} {doing}")
    return None


def bare_heading(title: str) -> str:
    """A heading without numbering, markup and final colon.

    >>> bare_heading("2.1 Booking a room:")
    'Booking a room'
    """
    title = re.sub(r"\{[^}]*\}|[*`_]{1,2}(?=\S)|(?<=\S)[*`]{1,2}", "", title)
    title = re.sub(r"^(?:(?:Step|Chapter|Part|Section) )?(?:\d+|[IVX]{1,4})(?:\.\d+)*[.:)]?\s+|^Q:\s*", "", title)
    return re.sub(r"[^\w\s)\]?'\"”’#+]+$", "", title).strip()


def question_heading(title: str) -> str | None:
    """A heading that is a question, as the person asks it who reads."""
    if not re.match(r"(?:what|how|when|where|who|which|why|can|do|does|is|are|may|must|should|will|am)\b", title, re.I):
        return None
    doing = re.match(r"(how|when|where|what|who) to ([a-z]+ .+)", title.rstrip("?"), re.I)
    if doing and doing[2].split()[0] in VERBS:
        title = f"{doing[1]} {'do' if doing[1].lower() == 'how' else 'should'} I {doing[2]}?"
    elif re.match(r"(?:how|when|where|what|why|who|which) (?:i|we|you|to|the|a|an|our|your|my|they|it)\b", title, re.I):
        return None  # "How we work": a clause, no question
    if len(title.split()) < 4 or re.search(r"\b(?:this|these|that|it|they|here)\b", title, re.I):
        return None
    return sentence_case(asker(in_sentence(title.rstrip("?"))))


# Words in -ing that are names of things, words that may follow a verb, headings that name nothing.
_NOUNS = frozenset(
    """meeting testing building training onboarding pricing engineering staffing funding marketing hosting
    logging monitoring planning reporting hiring interviewing""".split()
)
_OPENS = frozenset("a an the your our to up new with for in on from".split())
_DULL = frozenset(
    """overview introduction background summary notes details general resources references faq appendix contents
    examples example readme index misc other steps process""".split()
)


def doing_heading(title: str) -> str | None:
    """ "Booking a room" or "How to book a room" or "Book a room" as "book a room"; None where it names no doing.

    >>> [doing_heading(t) for t in ("Booking a room", "How to Reset Your Password", "Engineering", "Planning meetings")]
    ['book a room', 'reset my password', None, 'plan meetings']
    """
    words = title.split()
    if len(words) < 2 or len(words) > 10 or re.search(r"[:;|/()?\"“]", title):
        return None
    if title.lower().startswith("how to "):
        words = words[2:]
    head, rest = words[0].lower(), words[1:]
    if not rest or (rest[0].lower() in {"and", "or", "for", "of", "in"} and head.endswith("ing")):
        return None
    verb: str | None = head if head in VERBS else None
    if head.endswith("ing"):
        cut = head[:-3]
        forms = (cut + "e", cut, cut[:-1] if cut[-1:] == cut[-2:-1] else cut)
        verb = next((form for form in forms if form in VERBS), None)
        if head in _NOUNS and not re.match(r"(?:a|an|the|your|our|for|with|new|meetings|people)\b", rest[0], re.I):
            verb = None
    elif not title.lower().startswith("how to ") and rest[0].lower() not in _OPENS:
        verb = None  # "Support hours", "Change request": a noun
    if verb is None:
        return None
    return f"{verb} {asker(in_sentence(' '.join(rest), inside=True))}"


def in_sentence(title: str, *, inside: bool = False) -> str:
    """A heading inside a sentence: title case is undone, names and acronyms are left as far as one can tell."""
    words = title.split()
    capital = [word for word in words if word[:1].isalpha() and len(word) > 3]
    titled = len(capital) > 1 and all(word[0].isupper() for word in capital)
    return " ".join(
        word[0].lower() + word[1:]
        if word[1:].islower() and word[0].isupper() and ((place == 0 and not inside) or titled)
        else word
        for place, word in enumerate(words)
    )


def is_topic(title: str) -> bool:
    """Whether a heading names a thing that a question can be about."""
    words = title.lower().split()
    return (
        bool(words)
        and not set(words) <= _DULL
        and words[0] not in ("how", "what", "when", "why", "who", "where", "if", "should")
        and "?" not in title
    )
