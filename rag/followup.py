"""A follow-up becomes a question that stands alone: rules, no model.

    "And for contractors?"  after  "How many days of leave do I get?"   ─►  "For contractors? (days of leave)"

Takes   a question and the turns before it.
Gives   the question as it will be searched, read and shown ("Understood as"). A first question, a full question of its
        own and a change of subject come back as they are (a change without the words that announce it). What is added
        reads like a person's note: the noun phrases of the question before; of its answer only what a pronoun may mean.
Limits  English. No word of the question itself is lost. A full question that silently leans on the turn before is
        searched as it is: being dragged to an old subject is worse than having to say it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.types import Message
from rag.wording import stems

TOPIC_WORDS = 6  # most words carried from the question before
ANSWER_WORDS = 4  # most words carried from its answer
FULL = 4  # "And ...?" with so many content words of its own needs no topic

_NEW_SUBJECT = re.compile(
    r"^(?:(?:ok(?:ay)?|alright|all right|thanks|thank you|got it|great|fine|i see|good|perfect|well)\b[\s,.!;:–-]*)?"
    r"(?:(?:and |but |then |now )?(?:(?:something|somewhat|quite|completely|totally|entirely|a)?\s*"
    r"(?:different|else|another|new|other|separate|unrelated) ?(?:thing|matter|topic|question|subject|issue|one)?"
    r"|changing (?:the )?(?:subject|topic)|switching (?:subjects?|topics?)|change of (?:subject|topic)"
    r"|let['’]?s leave (?:that|it)(?: aside)?|never ?mind|forget (?:that|it)|on (?:a|an) (?:different|other|another) "
    r"(?:note|topic|subject)|by the way|moving on|next (?:question|topic))\s*[.,:;!?–-]+\s*)",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"^(?:thanks|thank you|got it|al(?:l )?right|great|perfect|i see|ok(?:ay)?)\s*[.!,;:]+\s*", re.I)
_ASIDE = re.compile(r",? by the way\b(?=\s*[?.]?$)", re.IGNORECASE)
_LEAD = re.compile(r"^(?:and|but|so|or|also|then|well|ok(?:ay)?|hm+)\b[\s,]*", re.IGNORECASE)
_ELLIPSIS = re.compile(
    r"^(?:and|but|or|so|also|more|what about|how about|what if|why not|until when|since when|by when|which of)\b"
    r"|^same for\b|^(?:for|in|on|at|from|with|during|after|before|without|until|since)\b[^,]{,30}$",
    re.IGNORECASE,
)
_JOINED = re.compile(
    r"^(?:and|but|or|so|also)\b,? (?:[a-z]+ )?(?:how|what|which|whom?|when|where|why|can|do|does|is|are|may|must|"
    r"should|will)\b(?! (?:about|if)\b)",
    re.IGNORECASE,
)
_NO_POINTER = re.compile(  # "it", "one" and "this" that mean nothing said before
    r"\bit (?:takes?|costs?) to\b|\bdoes it (?:take|cost) (?:\w+ )?to\b|\b(?:is|was) it (?:\w+ ){1,3}?(?:to|that|if)\b"
    r"|^it['’]?s? (?:is |was )?(?:late|early|the|\d+)\b|\bthis (?:week|month|quarter|year|morning|afternoon|time)\b"
    r"|\bthese days\b|\b(?-i:IT)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;!?]\s|,|\b(?:and|but|if|when|while|because|before|so|that|which|who)\b", re.IGNORECASE)
_POINTS = re.compile(
    r"\b(?:it|it['’]s|its|they|they['’]re|them|their|theirs|these|those|this|he|him|his|she|her|hers)\b"
    r"|\bthat(?= *(?:[?.,]|$|is\b|was\b|does\b|will\b|take|work|mean|count|apply|for\b|in\b|long\b))"
    r"|^(?:is|was|does|did|can|could|will|would|must|should|has) that\b"
    r"|(?<!is )(?<!are )(?<!be )(?<!was )\bthere\b(?! (?:is|are|was|were|a|an|any|one)\b)"
    r"|(?<!one to )(?<!day )\bones?\b(?=\s*(?:[?.,;:!]|$)|\s+(?:if|is|was|isn|are|were|do|does|can|could|may|"
    r"must|should|will|then|for|in|from|with|on|when|that|who|too|instead|now|at|by|yet)\b)"
    r"|\b(?:instead(?! of)|too(?=\s*(?:[?.,]|$))|either|otherwise|afterwards|beforehand|until then|the same(?! \w+)"
    r"|the others?)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"(?:how|what|which|who|whom|whose|when|where|why)(?:['’](?:s|re|ll|d))?|much|many|long|often|far|fast|soon|early|"
    r"late|quickly|frequently|exactly|else|besides",
    re.IGNORECASE,
)
_AUXILIARY = re.compile(
    r"is|are|was|were|am|be|been|being|do|does|did|done|can|could|may|might|must|should|shall|will|would|has|have|had|"
    r"having|ought|\w+n['’]t|cannot|(?:i|we|you|they|he|she|it|that|there)['’](?:m|re|ve|ll|d|s)",
    re.IGNORECASE,
)
_MODAL = re.compile(r"can|could|may|might|must|should|will|would")
_PASSIVE = re.compile(r"get|gets|got|is|are|was|were|be|been")
_PERSON = re.compile(
    r"i|we|you|they|he|she|it|somebody|someone|anybody|anyone|everybody|everyone|nobody", re.IGNORECASE
)
_DETERMINER = re.compile(
    r"the|an?|my|our|your|his|her|their|its|this|that|these|those|each|every|any|some|all|both|no|several",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"of|in|at|for|on|with|from|to|between|outside|inside|under|during|after|before|without|per", re.IGNORECASE
)
_CLOSED_CLASS = re.compile(
    r"me|us|him|them|himself|herself|itself|myself|themselves|mine|ours|and|or|but|if|when|while|because|since|until|"
    r"than|then|as|so|not|by|into|onto|through|about|within|over|up|out|off|back|down|away|also|too|very|more|most|"
    r"less|least|just|only|again|already|yet|ever|still|even|normally|usually|generally|really|actually|instead|thanks|among|others|general|"
    r"afterwards|beforehand|otherwise|either|together|here|there|now|please|ok|okay|yes|such|enough|ahead|along|once|"
    r"whether|though|next to|maybe|hi|hello|"
    r"(?!(?:week|month|year|hour|quarter|dai|ear|fami|assemb|supp|rep)ly)\w{3,}ly",
    re.IGNORECASE,
)
_LIGHT_VERBS = (  # they say little of what a question is about; what may be a noun (leave, work, report) is not here
    "get give go come take make let keep become need want like happen mean stand say tell ask know see hear find look "
    "call use send bring buy appoint announce decide approve allow recommend prefer expect follow begin involve exist "
    "stay turn add try choose run hold receive depend prepare consist handle set put fill"
)
_LIGHT = re.compile(
    "|".join(rf"{verb.removesuffix('e')}(?:e|{verb[-1]}?(?:e?s|ed|ing))?" for verb in _LIGHT_VERBS.split())
    + "|got|gotten|gave|given|went|gone|came|took|taken|made|kept|became|meant|stood|said|told|knew|known|saw|seen|"
    "heard|found|sent|brought|bought|began|begun|chose|chosen|ran|held|dealt|able",
    re.IGNORECASE,
)
_KIND = re.compile(r"what|which|many|much", re.IGNORECASE)
_PREDICATE = re.compile(r"\w+(?:able|ible|ed|ory|ous)|free|open|paid|private|due|valid|last|one|first|next|new|own")
_VAGUE = re.compile(  # nouns and adjectives that name no subject by themselves
    r"(?:day|hour|minute|week|month|year|time|way|kind|sort|type|thing|person|number|amount|date|end|case|step|place|"
    r"part|lot|bit|question|example|matter|reason|people|one|other|word)s?|something|anything|nothing|new|old|same|first|"
    r"last|next|latest|different|certain|possible|whole|good|normal|best|right|own|two|three|four|five|half|[\d.,-]+(?:st|nd|rd|th)?",
    re.IGNORECASE,
)
_REFERS = re.compile(  # questions whose answer names a thing or person that a pronoun may then mean
    r"^(?:(?:from|in|to|with|by|on) )?(?:which|whom?|where"
    r"|what(?!(?:['’]s| is) an?\b| (?:happens?|if|should i do|must i do)\b))\b",
    re.IGNORECASE,
)


class Word(NamedTuple):
    """A word of a question and its part: noun (any content), vague, verb, link, determiner, or other."""

    text: str
    part: str


_NOTHING = Word("", "other")


def standalone(question: str, history: Sequence[Message]) -> str:
    """The question with what it needs from the turns before it."""
    asked = " ".join(question.split())
    if not history or not asked:
        return asked
    fresh = without_announcement(asked)
    if fresh != asked or not depends(asked):
        return fresh
    carried = topic(standalone(history[-1].question, history[:-1]), history[-1].answer, asked)
    bare = _LEAD.sub("", asked)
    return f"{bare[:1].upper()}{bare[1:]} ({carried})" if carried else asked


def without_announcement(question: str) -> str:
    """The question without the words that announce a change of subject; unchanged where none stand there."""
    fresh = _NEW_SUBJECT.sub("", question)
    if fresh == question:
        closed = _CLOSED.sub("", question)
        fresh = closed if closed != question and not _points_outside(closed) and len(stems(closed)) >= 2 else question
    fresh = _ASIDE.sub("", fresh).strip()
    return fresh[:1].upper() + fresh[1:] if fresh and fresh != question else question


def depends(question: str) -> bool:
    """Does the question lean on the turn before: a pronoun without its noun, an ellipsis, no subject of its own?"""
    if _points_outside(question):
        return True
    if _ELLIPSIS.search(question):
        own = [word for word in _words(question) if word.part in ("noun", "verb")]
        return len(own) <= (2 if _JOINED.search(question) else FULL)
    return not _has_subject(question)


def _points_outside(question: str) -> bool:
    """Is there a pronoun that does not mean something of the question itself?

    Its own noun stands in a sentence before it, or in a clause before it that says enough to hold one.
    """
    plain = _NO_POINTER.sub(lambda found: "-" * len(found.group()), question)
    for match in _POINTS.finditer(plain):
        before = question[: match.start()]
        sentence = re.split(r"[.!?]\s", before)
        if len(sentence) > 1 and any(word.part == "noun" for word in _words(" ".join(sentence[:-1]))):
            continue
        words = _words(before)
        if match.group().lower() == "that" and words and words[-1].part == "noun":
            continue  # "the dividend that was declared": it means the noun before it
        said = [word for word in words if word.part in ("noun", "verb")]
        if len(said) > {"one": 2}.get(match.group(), 1) and match.group() in ("its", "their", "his", "her", "one"):
            continue  # "How often does 18F bill its clients?"
        if len(stems(before)) < 3 or not _CLAUSE.search(before.rstrip(), 1):
            return True
    return False


def _has_subject(question: str) -> bool:
    """Two content words besides the kind of thing asked for ("which channel"), or one that is new: no "the" before."""
    words = _words(question)
    content = [at for at, word in enumerate(words) if word.part in ("noun", "verb")]
    if content and content[0] in (1, 2) and _KIND.fullmatch(words[content[0] - 1].text):
        content = content[1:]
    if len(content) != 1:
        return len(content) > 1
    word, before = words[content[0]], words[content[0] - 1] if content[0] else _NOTHING
    named = content[0] > 0 and bool(re.search(r"[A-Z\d]", word.text))
    new = len(words) > 2 and not re.fullmatch(r"the|that|this|these|those", before.text, re.IGNORECASE)
    return word.part == "noun" and (named or new)


def topic(question: str, answer: str, asked: str) -> str:
    """What the turn before was about, as a note, without what `asked` says itself."""
    known = _keys(_words(asked))
    carried = _note(question, known, TOPIC_WORDS)
    if _ELLIPSIS.search(asked) and re.search(r"\s[A-Z]\w*\W*$", asked):  # "What about Norway?" replaces Portugal
        carried = [phrase for phrase in carried if " " in phrase or phrase[0].islower()] or carried
    added: list[str] = []
    if not carried or (_REFERS.search(question) and _POINTS.search(asked)):
        first = re.split(r"(?<=[\w)])[.!?;](?:\s|$)|\n", answer, maxsplit=1)[0]
        room = min(ANSWER_WORDS, TOPIC_WORDS + 2 - len(" ".join(carried).split()))
        added = _note(first, known | _keys(_words(question)), room)[:1]
    return "; ".join(part for part in (", ".join(carried), *added) if part)


def phrases(text: str) -> list[str]:
    """The noun phrases of a sentence; where it has none, the vague words that are left ("part time")."""
    words = _words(text)
    found = _phrases(words) or [[word for word in words if word.part == "vague"]]
    return [" ".join(word.text for word in phrase) for phrase in found if phrase]


def _note(text: str, known: frozenset[str], most: int) -> list[str]:
    """The noun phrases of a question or sentence, as many as fit; its other content where it has none."""
    words = _words(text)
    chosen: list[str] = []
    phrases = _phrases(words)
    if sum(map(len, phrases)) == 1:  # "rated, summer" says more than "summer"
        phrases = [[word] for word in words if word.part == "verb"][:1] + phrases
    for phrase in phrases or [[word for word in words if word.part in ("verb", "vague")]]:
        room = most - len(" ".join(chosen).split())
        new = _keys(phrase) - known
        kept = _trimmed(_fitting(phrase, room, whole=bool(chosen) or most < TOPIC_WORDS))
        if new and kept:
            chosen.append(" ".join(word.text for word in kept))
            known |= new
    return chosen


def _fitting(phrase: Sequence[Word], room: int, *, whole: bool) -> Sequence[Word]:
    """The phrase, shortened at a preposition where it is too long; cut anywhere only where nothing else is carried."""
    if len(phrase) <= room:
        return phrase
    links = [at for at, word in enumerate(phrase) if word.part == "link" and at <= room]
    return phrase[: links[-1]] if links else phrase[: 0 if whole else room]


def _keys(words: Sequence[Word]) -> frozenset[str]:
    """By what words are known again: cut to their stems, names whole."""
    found = (stems(word.text) or {word.text.lower()} for word in words if word.part in ("noun", "verb", "vague"))
    return frozenset(key for keys in found for key in keys)


def _trimmed(run: Sequence[Word]) -> list[Word]:
    """A run without what cannot end a noun phrase: prepositions, articles, and an adjective said of it."""
    kept = list(run)
    while kept and kept[-1].part != "verb":
        if kept[-1].part not in ("link", "determiner") and not (len(kept) > 1 and _PREDICATE.fullmatch(kept[-1].text)):
            break
        kept.pop()
    return kept


def _phrases(words: Sequence[Word]) -> list[list[Word]]:
    """Runs of content words, joined by prepositions and articles; runs that name nothing are left out."""
    runs: list[list[Word]] = [[]]
    for word in words:
        run = runs[-1]
        if word.part in ("noun", "vague") or (word.part == "link" and run and run[-1].part != "link"):
            run.append(word)
        elif word.part == "determiner" and run and run[-1].part == "link":
            if word.text.lower() in ("the", "a", "an"):
                run.append(word)
        elif run:
            runs.append([])
    named = [run for run in map(_trimmed, runs) if any(word.part == "noun" for word in run)]
    return [run for at, run in enumerate(named) if not at or len(run) > 1 or not _PREDICATE.fullmatch(run[0].text)]


def _words(text: str) -> list[Word]:
    """The words of a text with their parts; what stands in brackets and after commas begins anew."""
    found: list[Word] = []
    for match in re.finditer(r"(?:[^\s,;:()\[\]\"“”?!…]|:(?=\w))+|[,;:()\[\]?!…]", text):
        word = match.group().strip("'‘’*`")
        word = word if re.search(r"\.\w", word) else word.rstrip(".")
        if word:
            found.append(Word(word, _part(word, found)))
    return found


def _part(word: str, before: Sequence[Word]) -> str:
    """The part of one word, from its form and the words before it."""
    last, earlier = (*reversed(before[-2:]), _NOTHING, _NOTHING)[:2]
    previous = last.text.lower()
    if _DETERMINER.fullmatch(word):
        return "determiner"
    if _LINK.fullmatch(word):
        return "link"
    if word == "IT" or (word == "off" and previous == "time"):
        return "noun"
    closed = (_ASKS, _AUXILIARY, _PERSON, _CLOSED_CLASS, _LIGHT)
    if "@" in word or not re.match(r"\w", word) or any(kind.fullmatch(word) for kind in closed):
        return "other"
    to_do = previous == "to" and word.islower() and not word.endswith("ed") and earlier.part != "noun"
    who_does = (earlier if _MODAL.fullmatch(previous) else last).text.lower() == "who"
    undergoes = word.endswith("ed") and bool(_PASSIVE.fullmatch(previous))
    if to_do or who_does or undergoes or _PERSON.fullmatch(previous):
        return "verb"
    return "vague" if _VAGUE.fullmatch(word) else "noun"
