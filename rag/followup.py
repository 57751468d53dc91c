"""A follow-up becomes a question that stands alone: rules, no model.

    "And for contractors?"  after  "How many days of leave do I get?"   ─►  "For contractors? (days of leave)"

Takes   a question and the turns before it.
Gives   the question as it will be searched and read. A first question, a full question of its own and a change of
        subject come back as they are (a change without the words that announce it).
Limits  English. The topic carried is the last question's, and what its answer added; rules can carry too much, never
        lose a word of the question itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.types import Message
from rag.wording import stems

TOPIC_WORDS = 14  # most words carried from the question before
ANSWER_WORDS = 8  # most words carried from its answer
FULL = 4  # a question with so many content words of its own needs no topic

_NEW_SUBJECT = re.compile(
    r"^(?:(?:ok(?:ay)?|alright|all right|thanks|thank you|got it|great|fine|i see|good|perfect|well)\b[\s,.!;:–-]*)?"
    r"(?:(?:and |but |then |now )?(?:(?:something|somewhat|quite|completely|totally|entirely|a)?\s*"
    r"(?:different|else|another|new|other|separate|unrelated) ?(?:thing|matter|topic|question|subject|issue|one)?"
    r"|changing (?:the )?(?:subject|topic)|switching (?:subjects?|topics?)|change of (?:subject|topic)"
    r"|let['’]?s leave (?:that|it)(?: aside)?|never ?mind|forget (?:that|it)|on (?:a|an) (?:different|other|another) "
    r"(?:note|topic|subject)|by the way|moving on|next (?:question|topic))\s*[.,:;!?–-]+\s*)",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"^(?:thanks|thank you|got it|alright|all right|great|perfect|i see|ok(?:ay)?)\s*[.!,;:]+\s*", re.I
)
_ASIDE = re.compile(r",? by the way\b(?=\s*[?.]?$)", re.IGNORECASE)
_LEAD = re.compile(r"^(?:and|but|so|or|also|then|well|ok(?:ay)?|hm+)\b[\s,]*", re.IGNORECASE)
_ELLIPSIS = re.compile(
    r"^(?:and|but|or|so|what about|how about|what if|why not|until when|since when|by when|which of|same for)\b", re.I
)
_POINTS = re.compile(
    r"\b(?:it|it['’]s|its|they|they['’]re|them|their|theirs|these|those|this|he|him|his|she|her|hers)\b"
    r"|\bthat(?= *(?:[?.,]|$|is\b|was\b|does\b|will\b|take|work|mean|count|apply|for\b|in\b|long\b))"
    r"|(?<!is )(?<!are )(?<!be )(?<!was )\bthere\b(?! (?:is|are|was|were|a|an|any|one)\b)"
    r"|(?<!one to )\bones?\b(?!-)(?! (?:of|to|on|hour|day|week|month|year|time|person|address|place)\b)"
    r"|\b(?:instead|too|either|otherwise|afterwards|beforehand|until then|the same|the others?)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^(?:(?:for|in|on|by|to|at|from|with|under|since|until|into|through|about|within|between) )?"
    r"(?:how (?:long|many|much|often|far|big|fast|soon|early|late|quickly|frequently|do|does|can|should|could)?|what|"
    r"which|who|whom|whose|when|where|why)\b['’]?s?\b|^(?:is|are|was|were|am|do|does|did|can|could|may|might|must|should|"
    r"shall|will|would|has|have|had)\b",
    re.IGNORECASE,
)
_FILLING = re.compile(
    r"^(?:is|are|was|were|am|be|do|does|did|can|could|may|might|must|should|shall|will|would|has|have|had|i|we|you|to|"
    r"there|get|got|go|goes|have to|need to|the|a|an|my|our|your|it|they|happens|of|if|when|so|any)\b['’\s]*",
    re.IGNORECASE,
)


def standalone(question: str, history: Sequence[Message]) -> str:
    """The question with what it needs from the turns before it."""
    asked = " ".join(question.split())
    if not history or not asked:
        return asked
    fresh = without_announcement(asked)
    if fresh != asked:
        return fresh
    if not depends(asked, history[-1]):
        return asked
    before = history[-1]
    carried = topic(standalone(before.question, history[:-1]), before.answer, asked)
    if not carried:
        return asked
    bare = _LEAD.sub("", asked)
    return f"{bare[:1].upper()}{bare[1:]} ({carried})"


def without_announcement(question: str) -> str:
    """The question without the words that announce a change of subject; unchanged where none stand there."""
    fresh = _NEW_SUBJECT.sub("", question)
    if fresh == question:
        closed = _CLOSED.sub("", question)
        fresh = closed if closed != question and not _points_outside(closed) and len(stems(closed)) >= 2 else question
    fresh = _ASIDE.sub("", fresh).strip()
    return fresh[:1].upper() + fresh[1:] if fresh and fresh != question else question


def depends(question: str, before: Message) -> bool:
    """Does the question lean on the turn before: a pronoun without its noun, an ellipsis, too few words of its own?"""
    own = stems(question)
    if _points_outside(question):
        return True
    if _ELLIPSIS.search(question):
        return len(own) <= FULL
    if len(own) < FULL:
        return True
    return len(own) == FULL and bool(own & (stems(before.question) | stems(before.answer)))


def _points_outside(question: str) -> bool:
    """Is there a pronoun whose noun does not stand before it in the question itself?"""
    return any(len(stems(question[: match.start()])) < 3 for match in _POINTS.finditer(question))


def topic(question: str, answer: str, asked: str) -> str:
    """The words that say what the turn before was about, without those that `asked` says itself."""
    known = stems(asked)
    words = _without_question_words(question).rstrip("?.! ").split()
    carried = words[:TOPIC_WORDS]
    if not stems(" ".join(carried)) - known:
        carried = []
    said = stems(question) | known
    added: list[str] = []
    for word in re.findall(r"[^\s,;:()\[\]\"“”]+", answer.split("\n")[0]):
        new = {stem for stem in stems(word) if not stem.isdigit()} - said  # a figure is an answer, not a subject
        if new and len(added) < ANSWER_WORDS:
            added.append(word.strip(".!?"))
            said |= new
    return "; ".join(part for part in (" ".join(carried), " ".join(added)) if part)


def _without_question_words(question: str) -> str:
    """ "How many days of leave do I get?" becomes "days of leave do I get?" """
    rest = question.strip()
    before = ""
    while rest != before:
        before = rest
        rest = _ASKING.sub("", rest, count=1).strip()
        rest = _FILLING.sub("", rest, count=1).strip()
    return rest or question
