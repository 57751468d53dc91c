"""Yes or No, said only where a quotation makes it certain.

    question ─► sense: may · must · is ─┐
    quoted ─► its plain sentence ───────┴─► same subject, same words? ─► forbids · permits · frees · obliges · says so

Takes   a question that wants yes or no, and the words that would be quoted.
Gives   "Yes", "No", or "" where the rules cannot decide: then the reason is quoted and speaks for itself.
Policy  a wrong No is worse than none. The sentence must hold every content word of the question (a plain verb such as
        "take" may differ), speak of whoever asks, and add no condition, limit or place of its own in front.
Limits  English. Sentences with "if", "unless", "only", "usually" and their like, questions with a negation and
        comparisons that the question does not make are left undecided.
"""

from __future__ import annotations

import re
from typing import Literal

from rag.question import AUXILIARY, asked, topic
from rag.units import sentences

Verdict = Literal["Yes", "No", ""]

_NEGATED = re.compile(
    r"\b(?:no|not|cannot|never|nobody|none|neither|nor|nothing|without|\w+n['’]t|prohibited|forbidden|unable|"
    r"ineligible|illegal)\b",
    re.I,
)
_HEDGED = re.compile(
    r"\b(?:unless|except|excluding|only|if|when|once|whenever|where|provided|as long as|so long as|subject to|"
    r"at (?:the|your|their) [\w' ]*discretion|with (?:\w+ ){0,3}(?:approval|permission|consent)|"
    r"depends?|depending|in (?:some|certain|most|rare|exceptional) (?:cases|circumstances)|but|however|though|although|"
    r"otherwise|until|till|generally|usually|typically|normally|in general|often|rarely|might|some(?:times)?|most|many|"
    r"few|several|certain|may or may not|may not (?:be able|have|need|want|know)|whether|"
    r"not (?:only|just|yet|always|all|every|necessarily)|no (?:later|more|less|fewer|sooner|earlier) than)\b",
    re.I,
)
_COMPARES = re.compile(
    r"\b(?:more|less|fewer|over|above|under|below|exceed\w*|least|up to|at most|maximum|minimum|within|beyond|before|"
    r"after|during|outside|inside|instead|another|other|first|last)\b",
    re.I,
)
_DEADLINES = {"before", "within", "after", "during", "first", "last"}  # what must be done by then must be done
_TURNED = re.compile(r"\b(?:skip|avoid|ignore|decline|refuse|opt out|exempt|waive|stop|forgo|get out of)\b", re.I)
_OWN = re.compile(r"(?:A(?:nswer)?\s?[:.]\s+)?(yes|no)[.,!;:–—]+\s*", re.I)

_FORBIDS = re.compile(
    r"\b(?:can ?not|can['’]t|may not|must not|mustn['’]t|should not|shouldn['’]t|shall not|(?:is|are) (?:strictly )?"
    r"(?:not (?:allowed|permitted|able|eligible|possible|entitled)|prohibited|forbidden|ineligible)|never|"
    r"it is (?:illegal|forbidden)|(?:is|are) unable to|do not|don['’]t|will not|won['’]t|does not|doesn['’]t)\b"
    r"|^no [\w -]{1,40}? (?:may|can|should|must|(?:is|are) (?:allowed|permitted|entitled))\b",
    re.I,
)
_FREES = re.compile(
    r"\b(?:not (?:required|necessary|mandatory|obliged|compulsory)|no need to|"
    r"never (?:need|ha(?:ve|s) to)|(?:do|does) not (?:need|have) to|"
    r"(?:do|does) not (?:need|require)|(?:don|doesn)['’]t (?:need|have|require)|"
    r"isn['’]t (?:required|mandatory|necessary)|optional|voluntary|need not)\b",
    re.I,
)
_PERMITS = re.compile(
    r"\b(?:can|may|(?:is|are) (?:allowed|permitted|welcome|able|eligible|free|entitled)|it is (?:fine|okay|ok))\b", re.I
)
_OBLIGES = re.compile(
    r"\b(?:must|shall|(?:is|are) (?:required|mandatory|obliged|obligated|compulsory|necessary)|"
    r"(?:need|needs|have|has) to|requires?)\b",
    re.I,
)
_IMPERATIVE = re.compile(
    r"(?:please\s+)?(?:(?P<always>always)\s+|(?P<never>never|do not|don['’]t)\s+)?(?P<verb>\w+)", re.I
)
_DEONTIC = re.compile(
    r"\b(?:allowed|permitted|prohibited|forbidden|required|mandatory|optional|eligible|compulsory)\b", re.I
)

_MAY = re.compile(r"\b(?:can|could|may|might|allowed|permitted|possible|okay|ok|entitled|eligible)\b", re.I)
_MUST = re.compile(r"\b(?:must|need|have to|has to|required?|obliged|mandatory|necessary|should|compulsory)\b", re.I)
_EXISTS = re.compile(
    r"^(?:(?:is|are) there|do (?:we|you|they) (?:have|offer|provide)|"
    r"does (?:(?:the|our|your|this) )?[\w-]+ (?:have|offer|provide))\b",
    re.I,
)
_HAS = re.compile(r"\b(?:there (?:is|are)|ha(?:ve|s)|offers?|provides?)\b", re.I)
_LACKS = re.compile(
    r"\b(?:(?:there (?:is|are)|ha(?:ve|s)|offers?|provides?) (?:currently |at present )?(?:no|not)\b|"
    r"there (?:isn|aren)['’]t|(?:do|does) not (?:have|offer|provide)|(?:do|does)n['’]t (?:have|offer|provide))",
    re.I,
)
_ASKER = re.compile(r"^\W*(?:\w+['’]?t?\s+)(?:i|we|you|one|it|there|my|our|your|they)\b", re.I)
_ASKING = re.compile(rf"\W*(?:\w+,?\s+){{0,2}}?({AUXILIARY})\b\s*", re.I)

_ELLIPTIC = re.compile(
    r"(?:i|we|you|they|he|she|it|there|that) (do|does|did|is|are|was|were|can|could|may|must|will|should|has|have)"
    r"(?: not|not|n['’]t)?[.,;!]",
    re.I,
)
_FAMILY = {
    one: words.split()[0]
    for words in ("do does did", "is are was were am", "can could may", "must", "will would", "should", "has have")
    for one in words.split()
}

# Said of everybody: a permission for these is one for whoever asks.
_ALL = topic(
    "employees staff workers teammates members team people person everyone everybody anyone all users policy rules"
)
_PLAIN = topic("take bring carry receive make go give put want try start like know request obtain ask")  # verbs
_DEEDS = topic(
    "allowed permitted prohibited forbidden required mandatory optional eligible entitled possible okay able "
    "necessary compulsory obliged must shall policy company"
)


def verdict(question: str, quoted: str, *, about: str = "") -> Verdict:
    """Yes or No where the quotation makes it certain. `about` are headings that the quotation stands under."""
    last = asked(question)
    asking = _ASKING.match(last)
    own = _OWN.match(quoted)
    rest = quoted[own.end() :] if own else quoted
    found: Verdict = ""
    if asking and not _NEGATED.search(last.replace("without", "")):
        found = _by_rules(last[asking.start(1) :], rest, about)
    if not own:
        return found
    said: Verdict = "Yes" if own.group(1).lower() == "yes" else "No"
    if found:
        return found
    wanted = topic(last) - _DEEDS
    shared = len(wanted & (topic(rest) | topic(about)))
    turned = _TURNED.search(last) or (_NEGATED.search(last) is not None)
    return said if asking and not turned and 3 * shared >= len(wanted) and _answers(last, rest) else ""


def _answers(last: str, rest: str) -> bool:
    """Does the sentence after its own yes or no speak in the sense of the question? "Yes, we ask all to" tells nothing
    of "Do I get".
    """
    first = next((rest[start:end] for start, end in sentences(rest)), "")
    short = _ELLIPTIC.match(first)
    asking = _ASKING.match(last)
    if short and asking and _FAMILY.get(short.group(1).lower()) == _FAMILY.get(asking.group(1).lower()):
        return True
    if _MAY.search(last):
        return bool(_PERMITS.search(first) or _FORBIDS.search(first)) and not _FREES.search(first)
    return bool(_MUST.search(last)) and bool(_OBLIGES.search(first) or _FREES.search(first))


def without_own(quoted: str) -> str:
    """The quotation without a yes or no that answers another question than ours."""
    own = _OWN.match(quoted)
    return quoted[own.end() :] if own and quoted[own.end() :].strip() else quoted


def _by_rules(last: str, quoted: str, about: str) -> Verdict:
    """What the sentences decide; two that decide differently decide nothing."""
    plain = (quoted[start:end] for start, end in sentences(quoted))
    found = {one for sentence in plain if (one := _of_sentence(last, sentence, about))}
    return found.pop() if len(found) == 1 else ""


def _of_sentence(last: str, sentence: str, about: str) -> Verdict:
    if sentence.rstrip(" \"')”").endswith("?"):
        return ""
    if "without" in last.lower() and "without" in sentence.lower():
        last, sentence = (re.sub("without", "sans", words, flags=re.I) for words in (last, sentence))
    if _NEGATED.search(last) or _HEDGED.search(sentence):
        return ""
    limits = set(_COMPARES.findall(sentence.lower())) - set(_COMPARES.findall(last.lower()))
    obliged = _MUST.search(last) and not _MAY.search(last) and not _NEGATED.search(sentence)
    if limits - (_DEADLINES if obliged else set()):
        return ""
    wanted, said = topic(last) - _DEEDS, topic(sentence)
    missing = wanted - said - (topic(about) if len(wanted & said) > 0 else frozenset())
    verb = _main_verb(last)
    missing -= {verb} if verb in _PLAIN or _DEONTIC.search(sentence) else set()
    if not wanted & said or (missing and not _holds_for_all(sentence, wanted)):
        return ""
    if _EXISTS.search(last):
        has = _HAS.search(sentence) and not _NEGATED.search(sentence)
        return "No" if _LACKS.search(sentence) else "Yes" if has else ""
    if _MAY.search(last):
        return _whether_one_may(last, sentence, wanted, verb)
    if _MUST.search(last):
        return _whether_one_must(last, sentence, wanted, verb)
    return _whether_it_is(sentence, wanted, said)


def _holds_for_all(sentence: str, wanted: frozenset[str]) -> bool:
    """Is it a rule that adds no word of its own, and forbids or obliges? What is forbidden is so in each case; what is
    permitted or not needed may not be.
    """
    said = topic(re.sub(r"\([^)]*\)", "", sentence)) - _DEEDS - _ALL - _PLAIN
    strict = _FORBIDS.search(sentence) or _OBLIGES.search(sentence)
    return (
        bool(strict)
        and not _FREES.search(sentence)
        and said <= wanted
        and len(said) >= 2
        and 2 * len(said) >= len(wanted)
    )


def _whether_one_may(last: str, sentence: str, wanted: frozenset[str], verb: str) -> Verdict:
    order = _IMPERATIVE.match(sentence)
    if order and order["never"] and verb and verb in topic(order["verb"]):
        return "No"
    forbids, permits = _FORBIDS.search(sentence), _PERMITS.search(sentence)
    if _FREES.search(sentence):
        return ""
    if forbids and _speaks_of_asker(last, sentence[: forbids.start()], wanted, passive=_DEONTIC.search(sentence)):
        return "No" if len(_NEGATED.findall(sentence)) == 1 or _NEGATED.search(forbids.group()) is None else ""
    if permits and not _NEGATED.search(sentence):
        ours = _speaks_of_asker(last, sentence[: permits.start()], wanted, passive=_DEONTIC.search(sentence))
        return "Yes" if ours else ""
    return ""


def _whether_one_must(last: str, sentence: str, wanted: frozenset[str], verb: str) -> Verdict:
    order = _IMPERATIVE.match(sentence)
    frees, obliges = _FREES.search(sentence), _OBLIGES.search(sentence)
    if frees:
        ours = _speaks_of_asker(last, sentence[: frees.start()], wanted, passive=_DEONTIC.search(sentence))
        return "No" if ours and len(_NEGATED.findall(sentence)) <= 1 else ""
    if _NEGATED.search(sentence):
        never = order is not None and order["never"] and verb and verb in topic(order["verb"])
        return "No" if never and "should" in last.lower() else ""
    if obliges:
        ours = _speaks_of_asker(last, sentence[: obliges.start()], wanted, passive=_DEONTIC.search(sentence))
        return "Yes" if ours else ""
    return "Yes" if order and verb and verb in topic(order["verb"]) else ""


def _whether_it_is(sentence: str, wanted: frozenset[str], said: frozenset[str]) -> Verdict:
    """A plain statement of the same words, or its plain denial, with little besides."""
    if len(wanted) < 2 or len(said - wanted) > 4 or re.search(r"\b(?:may|can|could|should|would)\b", sentence, re.I):
        return ""
    first = next((at.start() for at in re.finditer(r"\w+", sentence) if topic(at.group()) & wanted), 0)
    if topic(sentence[:first]) - _ALL - _DEEDS:
        return ""  # "In Lisbon, overtime is paid": true there
    denials = _NEGATED.findall(sentence)
    return "Yes" if not denials else "No" if len(denials) == 1 and not re.search(r"[;:,]", sentence) else ""


def _speaks_of_asker(last: str, before: str, wanted: frozenset[str], *, passive: object) -> bool:
    """Is the one who may or must the one that was asked about? "Managers may" says nothing of others."""
    subject = topic(before)
    if subject - wanted - _ALL - _DEEDS:
        return False
    if _ASKER.match(last) or passive:
        return True
    named = _first_named(last)
    return not subject or named in subject or named in _ALL


def _first_named(last: str) -> str:
    """The first content word after the auxiliary: who or what the question is about."""
    words = last.split()[1:]
    return next((stem for word in words for stem in topic(word)), "")


def _main_verb(last: str) -> str:
    """The verb after "Can I", "Do we have to"; empty where the subject is no pronoun."""
    found = re.match(
        r"\w+['’]?t?\s+(?:i|we|you|they|it|one|people|employees)\s+(?:still\s+|also\s+|really\s+|always\s+)?"
        r"(?:(?:need|have|required?|allowed|permitted|possible|okay|ok|fine|able|obliged|expected|supposed)\s+to\s+)?"
        r"(?:still\s+|also\s+)?(\w+)",
        last,
        re.I,
    )
    stem = topic(found.group(1)) if found else frozenset()
    return next(iter(stem), "")
