"""How people shorten a question: a name that was just said becomes a pronoun, or only what is new is said.

Takes   a question that stands alone, and what was said before it.
Gives   the follow-up, or None where no honest one can be made: nothing is shared, or too little would be left.
Refuses nothing; rules are English and few: a wrong follow-up teaches worse than none.
"""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:[-.][^\W_]+)*")
CONTENT = re.compile(r"[A-Z0-9]|[^\W_]{4}")  # a name, a number, or a word long enough to mean something
SMALL = frozenset(
    "a an the of in on at to for from by with and or is are was were be been do does did has have had can could will "
    "would should may might must i you we they he she it my your our their his her its this that these those there "
    "what which who whom whose when where why how many much not no if as than then about into over under".split()
)
LEADING = frozenset("the my our your their this that a an".split())
PLACES = frozenset("in at to".split())
PREPOSITIONS = frozenset("of in on at to for from by with about".split())
AUXILIARIES = frozenset("is are was were do does did has have had can could will would should may might must".split())
PRONOUNS = frozenset("i you we they he she it me him her them us this that these those there".split())
GOES_ON = frozenset("of that which who whose or and".split())  # what follows belongs to the phrase before it
PEOPLE = frozenset(
    "author writer poster reviewer customer user person patient doctor manager employee narrator speaker owner".split()
)
VAGUE = frozenset(  # too common for a pronoun to mean them
    "time name number date type kind way day week month year morning afternoon evening night today tomorrow first last "
    "next other others same total one two three four five january february march april june july august september "
    "october november december monday tuesday wednesday thursday friday saturday sunday".split()
)
LONGEST = 7  # words that one pronoun replaces


def with_pronoun(question: str, said: str, text: str) -> str | None:
    """The question with the longest name it shares with `said` replaced; `text` tells he from she.

    >>> with_pronoun("Who pays for the old mill?", "Where is the old mill?", "")
    'Who pays for it?'
    >>> with_pronoun("How did Ada Byron meet Babbage?", "When was Ada Byron born?", "She was ... she met her ...")
    'How did she meet Babbage?'
    """
    words = list(WORD.finditer(question))
    span = shared_name(words, question, said)
    if span is None or len(words) - (span[1] - span[0]) < 3:
        return None
    first, last = span
    start, end = words[first].start(), words[last - 1].end()
    before = words[first - 1][0].lower()
    subject, other, owner = pronouns(question[start:end], text)
    possessive = re.match(r"['’]s?(?!\w)", question[end:])
    if possessive:
        end += possessive.end()
        pronoun = owner
    elif before in PLACES and question[start].isupper() and other == "it":
        start, pronoun = words[first - 1].start(), "there"
    else:
        pronoun = subject if before in AUXILIARIES else other
    return (question[:start] + pronoun + question[end:]).strip()


def pronouns(phrase: str, text: str) -> tuple[str, str, str]:
    """Subject, object and owner for a phrase.

    >>> pronouns("the author", ""), pronouns("our vans", ""), pronouns("the mill", "")
    (('they', 'them', 'their'), ('they', 'them', 'their'), ('it', 'it', 'its'))
    """
    she, he = (len(re.findall(rf"(?i)\b(?:{word})\b", text)) for word in ("she|her", "he|his|him"))
    if re.fullmatch(r"(?:[A-Z][\w.-]*\s+)+[A-Z][\w.-]*", phrase) and max(she, he) >= 2:
        return ("she", "her", "her") if she > he else ("he", "him", "his")
    last = phrase.lower().split()[-1]
    plural = last[-1] == "s" and last[-2:] not in ("ss", "us", "is") and phrase.islower()
    return ("they", "them", "their") if plural or last in PEOPLE else ("it", "it", "its")


def shared_name(words: list[re.Match[str]], question: str, said: str) -> tuple[int, int] | None:
    """The longest run of words that was said before and names something, as (first, one past the last).

    >>> shared_name(list(WORD.finditer("Is the old mill open")), "Is the old mill open", "Vans stand at the old mill.")
    (1, 4)
    """
    heard = " " + " ".join(word[0].lower() for word in WORD.finditer(said)) + " "
    lower = [word[0].lower() for word in words]
    for length in range(min(LONGEST, len(words) - 1), 0, -1):
        for first in range(1, len(words) - length + 1):  # the first word asks
            if f" {' '.join(lower[first : first + length])} " in heard and names(
                words, question, first, first + length
            ):
                return first, first + length
    return None


def names(words: list[re.Match[str]], question: str, first: int, last: int) -> bool:
    """Is this run a whole name ("the old mill", "Ada Byron"), and not a part of a longer one?"""
    run, before = [word[0] for word in words[first:last]], words[first - 1][0]
    determined = run[0].lower() in LEADING and (run[0].lower() not in ("a", "an") or before.lower() in AUXILIARIES)
    core = run[1:] if determined else run
    if not core or {core[0].lower(), core[-1].lower()} & SMALL or {word.lower() for word in core} & (VAGUE | PRONOUNS):
        return False
    capital = all(word[0].isupper() or word.lower() in SMALL for word in core)
    if not (determined and CONTENT.match(core[-1])) and not (capital and len(core[0]) > 1):
        return False
    part = (before != before.lower() and first > 1) or before.lower() in LEADING or before[0].isdigit()
    if not determined and (part or before.lower() in PRONOUNS):
        return False
    if core[-1].lower() in PEOPLE and before.lower() in ("does", "is", "was", "has"):
        return False  # "does they" is no English
    following = question[words[last - 1].end() :].lstrip()
    if last == len(words) or not following[:1].isalnum():
        return not following.startswith(("-", "/", "(", "&"))  # more of the name would follow
    after = words[last][0]
    if after.lower() in GOES_ON or after[0].isupper() or after[0].isdigit():
        return False
    return after.lower() in SMALL or before.lower() in AUXILIARIES  # a verb follows its subject; else a noun would


def elided(before: str, question: str) -> str | None:
    """What is left to say where two questions differ in one phrase.

    >>> elided("What is the limit for keys at the mill?", "What is the limit for vans at the mill?")
    'And for vans?'
    >>> elided("What is the policy on travel?", "What is the policy on gifts and dinners?")
    'What about gifts and dinners?'
    """
    old, new = before.rstrip("?. ").split(), question.rstrip("?. ").split()
    low_old, low_new = [word.lower() for word in old], [word.lower() for word in new]
    shortest = min(len(old), len(new))
    head = next((i for i in range(shortest) if low_old[i] != low_new[i]), shortest)
    tail = next((i for i in range(shortest - head) if low_old[-1 - i] != low_new[-1 - i]), shortest - head)
    phrase, gone = low_new[head : len(new) - tail], old[head : len(old) - tail]
    if head < 2 or not 1 <= len(phrase) <= 6 or not gone or set(phrase) & (AUXILIARIES | PRONOUNS | {"to"}):
        return None
    link, said = low_new[head - 1], " ".join(new[head : len(new) - tail])
    if link in LEADING and low_new[head - 2] in PREPOSITIONS and (tail == 0 or low_new[len(new) - tail] in SMALL):
        return f"What about {link} {said}?"
    if link in PREPOSITIONS:
        return f"And {link} {said}?" if tail else f"What about {said}?"
    named = phrase[0] in LEADING or new[head][0].isupper()
    return f"What about {said}?" if low_new[0] == "what" and head == 2 and named and not tail else None
