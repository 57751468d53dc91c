"""Enough English to turn a statement round: subject, auxiliary and predicate of simple clauses, and who is asking.

    "Staff must send receipts to HR"  ─►  Clause("Staff", "must", "send receipts to HR")  ─►  "must staff send ..."

Takes   sentences of handbooks and policies.
Gives   a `Clause` or None: anything not recognised for certain is left alone, for a wrong question costs more than a
        missed one. `asker` changes "you" to "I": the reader of a handbook asks about himself.
Limits  English; one clause a sentence; verbs from a list of our own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

VERBS = frozenset(
    """accept access achieve acknowledge act activate add address adjust adopt advise agree aim alert align
    allow analyze announce answer appear apply appoint approve archive arrange ask assess assign assist assume
    attach attend audit authorize avoid award back base become begin believe block book borrow bring browse
    build buy calculate call cancel care carry change charge chat check choose claim clarify clean clear click
    close collaborate collect combine come comment commit communicate compare compile complete comply conduct
    configure confirm connect consider consist consult contact contain continue contribute control convert
    convince coordinate copy cost count cover create customize cut deal debug decide declare decline default
    define delegate delete deliver demonstrate deploy describe design determine develop disable disclose
    discover discuss display distribute document donate download draft drive drop earn edit email employ enable
    encourage encrypt end engage enroll ensure enter escalate establish estimate evaluate examine exceed exclude
    execute exercise exist expand expect expense expire explain explore export express extend facilitate fail
    file fill filter find finish fit fix flag focus follow forward foster gain gather generate get give go grant
    group grow guide handle happen have head help hide hire hold host identify implement import improve include
    increase indicate inform initiate inspect install integrate interact interview introduce invest invite
    invoice involve issue join keep kick know label last launch lead learn leave let leverage like limit link
    list live load log look maintain make manage mark match measure meet mention mentor merge migrate modify
    monitor move name navigate need negotiate note notify obtain occur offer onboard open operate opt order
    organize outline own participate pass pause pay perform pick place plan play post prefer prepare present
    preserve press prevent prioritize process produce promote propose protect provide publish pull purchase push
    put qualify raise reach read rebase receive recognize recommend record recruit redirect reduce refer
    reference refine reflect refresh register reimburse reject relate release rely remain remember remind remove
    rename renew rent repeat replace reply report represent request require reschedule reserve reset resign
    resolve respond restart restore restrict result retain retire return review revise revoke reward rotate run
    save say schedule score search secure see seek select sell send separate serve set set-up share shift ship
    show sign simplify sit skip solve sort speak specify spend sponsor staff start state stay stop store
    streamline strive structure study submit subscribe suggest summarize supply support suspend switch sync tag
    take talk target teach tell tend terminate test think track train transfer transition translate travel treat
    trigger try turn type understand uninstall update upgrade upload use validate value verify view visit
    volunteer vote wait walk want watch wear weigh welcome win withdraw work write park smoke eat drink cook
    wash phone pack label repair borrow inspect print scan pour lock unlock ring swap drain""".split()
)
MODALS = "must|may|can|should|will|shall|could|would|might|cannot"
BE = "is|are|was|were"
# Verbs that a plural noun before them makes no noun of: "Managers approve leave".
_PLAIN_ACTS = frozenset(
    "include require contain provide need have use get receive approve meet manage own maintain".split()
)
_AUXILIARY = re.compile(rf"\s(?P<aux>{MODALS}|{BE}|has been|have been|can['’]t|won['’]t|shouldn['’]t|mustn['’]t)\b\s*")
_ADVERBS = re.compile(
    r"^(?:also|always|only|usually|typically|generally|normally|currently|often|then|now|still|just)\s+"
)
_OPENERS = re.compile(
    r"^(?:please|note that|however|also|additionally|in addition|in general|generally|typically|usually|normally|"
    r"finally|currently|instead|remember(?: that)?|important(?:ly)?|note|tip|by default|first|second|third|next|then|"
    r"lastly|furthermore|moreover|otherwise|therefore|as a result|ideally|similarly)[,:]?\s+",
    re.I,
)
# A subject that begins with one of these points elsewhere, or is no subject at all.
_POINTS = frozenset(
    """it this that these those they he she here there what how which who whom why when where if while since as
    because although though unless until after before once so and but or nor yet such one some many most few
    several both each either neither another others all any other everything anything nothing something someone
    anyone everyone none part i my me to in on at by for with from of into through during without within under
    over again not no more less first second third next last then finally also however example note simply
    basically essentially often sometimes perhaps maybe usually generally typically ultimately overall lastly
    hence thus therefore instead besides depending based given according due unlike like similar additional
    further different certain various multiple numerous""".split()
)
_NEVER_INSIDE = re.compile(
    r"\b(?:who|which|that|what|how|when|where|if|because|while|since|i|we|you|they|it|he|she|is|are|was|were|be|been|"
    rf"has|have|had|do|does|did|not|this|these|those|as|than|then|so|but|into|to|following|being|about|{MODALS})\b",
    re.I,
)
_DETERMINERS = frozenset("the a an our your all every each no any both".split())


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement in parts. With `aux` do, does or did the predicate begins with the bare verb."""

    subject: str
    aux: str
    negated: bool
    predicate: str
    start: int  # character of the sentence at which the subject begins
    at: int  # character of the sentence at which the predicate as written begins
    imperative: bool = False


def clause(sentence: str) -> Clause | None:
    """The main clause of a sentence, or None where it is not certain."""
    opener = _OPENERS.match(sentence)
    skipped = opener.end() if opener else 0
    body = sentence[skipped:]
    found = _imperative(body) or _with_auxiliary(body) or _with_verb(body)
    if found is None or not found.predicate:
        return None
    return Clause(
        found.subject, found.aux, found.negated, found.predicate, skipped + found.start, skipped + found.at,
        found.imperative,
    )  # fmt: skip


def _imperative(body: str) -> Clause | None:
    """ "Send the form to HR": the reader should send it."""
    first, _, rest = body.partition(" ")
    if first in ("Last", "Note", "Please", "Need", "Want", "Like", "Mean", "Say", "Back", "Cost", "Result", "Present"):
        return None
    if first.lower() not in VERBS or not rest or not first[0].isupper() or first.isupper():
        return None
    second = rest.split()[0].lower()
    # "Support requests are ...", "Change management should ...": the first word was a noun.
    noun = re.match(rf"(?:\S+\s+){{0,3}}(?:{MODALS}|{BE}|has|have|includes?|means?)\b", rest)
    if noun and not re.match(r"(?:the|a|an|your|our|any|all|that|if|who|what|how|when|where|whether)\b", rest, re.I):
        return None
    if second in {"of", "and", "or", "is", "are", "by"} or (second in VERBS and second not in {"access", "support"}):
        return None
    return Clause("I", "should", False, first.lower() + body[len(first) :], 0, 0, imperative=True)


def _with_auxiliary(body: str) -> Clause | None:
    match = _AUXILIARY.search(" " + body)
    if match is None:
        return None
    subject = body[: max(0, match.start() - 1 + 0)].strip() if match.start() else ""
    if not subject or not is_subject(subject):
        return None
    at = match.end() - 1
    predicate, aux = body[at:], match["aux"].replace("’", "'")
    negated = aux == "cannot" or aux.endswith("n't")
    aux = {"cannot": "can", "can't": "can", "won't": "will", "shouldn't": "should", "mustn't": "must"}.get(aux, aux)
    if predicate.lower().startswith("not "):
        negated, predicate, at = True, predicate[4:], at + 4
    adverb = _ADVERBS.match(predicate)
    if adverb:
        predicate, at = predicate[adverb.end() :], at + adverb.end()
    if aux in ("has been", "have been"):
        aux, predicate = aux.split()[0], "been " + predicate
    elif aux not in BE.split("|") and predicate.split(" ")[0].lower() not in VERBS | {"be", "do"}:
        return None
    return Clause(subject, aux, negated, predicate, 0, at)


def _with_verb(body: str) -> Clause | None:
    """ "The board meets weekly", "We publish notes", "We launched it": do, does or did with the bare verb."""
    words = body.split(" ")
    for place in range(1, min(8, len(words) - 1)):
        subject, verb = " ".join(words[:place]), words[place]
        rest = " ".join(words[place + 1 :])
        at = len(subject) + 1
        if subject.lower() in ("we", "you"):
            if verb.lower() in ("have", "need") and rest.startswith("to "):
                return None  # asked as "Do I have to": `permissions`
            if verb in VERBS:
                return Clause(subject, "do", False, f"{verb} {rest}", 0, at)
        elif not is_subject(subject):
            if place > 1 and subject.split()[0].lower() not in _DETERMINERS:
                return None
            continue
        if verb in _PLAIN_ACTS and _plural(subject) and subject.lower() not in ("we", "you") and is_subject(subject):
            return Clause(subject, "do", False, f"{verb} {rest}", 0, at)
        bare = singular_verb(verb)
        if bare and subject.lower() not in ("we", "you") and not _plural(subject) and is_subject(subject):
            return Clause(subject, "does", False, f"{bare} {rest}", 0, at)
        past = _past(verb)
        if past and re.match(r"(?:the|a|an|our|its|in|on|at|from|[A-Z])", rest) and is_subject(subject):
            return Clause(subject, "did", False, f"{past} {rest}", 0, at)
    return None


def is_subject(words: str) -> bool:
    """Whether the words may stand as a subject in a question asked from afar."""
    parts = words.split()
    if not parts or len(parts) > 9 or re.search(r"[,;:()\"“”|*_`<>\[\]/=]|https?:| - |–|—", words):
        return False
    if words.lower() in ("we", "you"):
        return True
    first = parts[0].lower()
    if first in _POINTS or first.endswith("ing") or _NEVER_INSIDE.search(" ".join(parts[1:])):
        return False
    if not (parts[0][0].isupper() or first in _DETERMINERS) or first == "no":
        return False
    if first in VERBS and not (len(parts) == 2 and parts[1].endswith("s")):
        return False  # "Ensure forms": more often a command than a noun
    head = re.split(r" (?:of|for|in|on|at|with|from|by|within) ", words)[0].split()[-1].lower()
    return head not in _DETERMINERS and not head.endswith("ly") and (len(parts) > 1 or first not in VERBS)


def singular_verb(word: str) -> str | None:
    """The bare verb of a third person singular.

    >>> [singular_verb(word) for word in ("meets", "applies", "passes", "bus", "has")]
    ['meet', 'apply', 'pass', None, 'have']
    """
    if word == "has":
        return "have"
    if not word.endswith("s"):
        return None
    forms = (word[:-1], word[:-2] if word.endswith("es") else "", word[:-3] + "y" if word.endswith("ies") else "")
    return next((form for form in forms if form in VERBS), None)


def third_person(verb: str) -> str:
    """The third person singular of a bare verb.

    >>> [third_person(verb) for verb in ("approve", "apply", "pass", "have")]
    ['approves', 'applies', 'passes', 'has']
    """
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def _past(word: str) -> str | None:
    """The bare verb of a regular past."""
    if not word.endswith("ed"):
        return None
    forms = (word[:-1], word[:-2], word[:-3] + "y" if word.endswith("ied") else "", word[:-3])
    return next((form for form in forms if form in VERBS), None)


def _plural(subject: str) -> bool:
    head = re.split(r" (?:of|for|in|on|at|with|from|by) ", subject)[0].split()[-1].lower()
    return head.endswith("s") and not head.endswith(("ss", "us", "is")) and not subject.split()[-1][0].isupper()


def lowered(words: str) -> str:
    """A sentence's first word as it stands inside a sentence: acronyms and names keep their capitals."""
    first, _, rest = words.partition(" ")
    small = first.lower() in _DETERMINERS | {"your", "their", "my", "these", "new", "if", "when", "you", "we", "to"}
    second = rest[:1]
    if small or (first[:1].isupper() and first[1:].islower() and not second.isupper() and rest and common(first)):
        return first[:1].lower() + words[1:]
    if first[:1].isupper() and first[1:].islower() and not rest and common(first):
        return words[:1].lower() + words[1:]
    return words


def common(word: str) -> bool:
    """Whether a sentence's beginning alone has capitalised a word: plurals and verbs, as far as one can tell."""
    lower = word.lower()
    return lower in VERBS or lower.endswith(("s", "ing", "ion", "ment", "ers", "ees", "ity")) or lower in _DETERMINERS


_TURNED = [
    (re.compile(pattern, re.I), into)
    for pattern, into in (
        (r"\byou(['’])re\b", "I am"),
        (r"\byou(['’])(ll|ve|d)\b", r"I'\2"),
        (r"\byou are\b", "I am"),
        (r"\byou were\b", "I was"),
        (r"\b(are|were) you\b", r"am I"),
        (r"\byourself\b", "myself"),
        (r"\byours\b", "mine"),
        (r"\byour\b", "my"),
        (
            rf"\byou (?=(?:{MODALS}|have|had|do|did|don['’]t|didn['’]t|haven['’]t|also|already|still|just|"
            rf"never|only)\b)",
            "I ",
        ),
    )
]
_BEFORE_OBJECTS = frozenset(
    "for to with about of from by between on at let lets makes gave given sent told than around".split()
)
_YOU = re.compile(r"\byou\b(?:\s+(\w+))?", re.I)


def asker(words: str) -> str:
    """The words as the person asks them who is spoken to in the text.

    >>> asker("if you lose your badge and somebody asks you for it")
    'if I lose my badge and somebody asks me for it'
    """
    for pattern, into in _TURNED:
        words = pattern.sub(into, words)

    def turn(match: re.Match[str]) -> str:
        before = words[: match.start()].rstrip().rsplit(" ", 1)[-1].lower()
        verb = before in VERBS or singular_verb(before) or before.endswith(("ing", "ed"))
        is_object = (
            verb
            or before in _BEFORE_OBJECTS
            or not match[1]
            or match[1].lower() in ("to", "and", "or", "in", "on", "with")
        )
        return ("me" if is_object else "I") + match[0][3:]

    return _YOU.sub(turn, words)


def turned(parts: Clause, predicate: str | None = None) -> str:
    """Auxiliary, subject, predicate: what follows a question word. "must staff send receipts"."""
    said = asker(parts.predicate if predicate is None else predicate).strip()
    subject, aux = parts.subject, parts.aux
    if subject.lower() == "you":
        aux = {"are": "am", "were": "was"}.get(aux, aux)
    subject = "I" if subject.lower() in ("you", "i") else asker(lowered(subject))
    return " ".join(part for part in (aux, subject, said) if part)


def sentence_case(question: str) -> str:
    """The question with a capital and one question mark."""
    question = re.sub(r"\s+", " ", question).strip(" .,;:?")
    return question[:1].upper() + question[1:] + "?"
