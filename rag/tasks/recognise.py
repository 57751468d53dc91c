"""Is a question a task, and which?

    "Compare Gale and Storm." ─► Task(compare, Gale, Storm)          "How long is the warranty?" ─► None

Takes   a question that stands alone.
Gives   a `Task`, or None for an ordinary question. Only plain requests count ("List ...", "Compare ...", "How many
        documents mention ..."): an ordinary question taken for a task would be answered worse than before.
Limits  English. What the product cannot do is recognised here too, so that it is said instead of tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rag.tasks.limits import impossible
from rag.tasks.task import Task

_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|ok|okay|so|now|and|then|please|kindly)\b[,!. ]*|(?:can|could|would|will) you(?: please)? "
    r"|i(?:'d| would) like (?:you )?to (?:see |have |get )?|i (?:want|need) (?:you )?to (?:see |have |get )?)+",
    re.I,
)
_ARTICLE = re.compile(
    r"^(?:(?:all|every|each|any|both|the|a|an|our|my|your|its|their|this|these|those|of|me|us|single|complete|full|different)\s+)+",
    re.I,
)
_DOCUMENTS = (
    r"(?:documents?|docs?|files?|pages?|policies|policy|reports?|guides?|guidelines?|chapters?|memos?|pdfs?|articles?|"
    r"manuals?|filings?|handbooks?|notices?|sources?|contracts?|procedures?|texts?)"
)
_UNIT = rf"(?P<unit>(?:[\w-]+ ){{0,2}}?{_DOCUMENTS})"
_MENTIONS = (
    r"(?:(?:that |which |do |does |there )*(?P<without>(?:not|never|don['’]t|doesn['’]t) )?(?:also )?"
    r"(?:mention|mentions|mentioning|talk about|talks about|refer to|"
    r"refers to|contain|contains|containing|deal with|deals with|discuss|discusses|speak of|cover|covers|"
    r"are about|is about|about|say (?:something|anything) (?:about|on)|name|names|use|uses|include|includes)\b"
    r"(?: the (?:word|words|term|phrase|name|expression))?|on\b)"
)
_ASKS_LIST = r"(?:list|enumerate|show|show me|give me|give me a list of|find|name|tell me)"
_MENTIONED = re.compile(
    rf"^(?:how many |count |(?:which|what) |{_ASKS_LIST} )(?:all |every |each |of |the |other )*"
    rf"{_UNIT} (?:are there |is there |do we have )?{_MENTIONS} (?P<subject>.+)$",
    re.I,
)
_TIMES = re.compile(
    r"^(?:how (?:often|many times) (?:is|are|does|do)|where (?:is|are)|in (?:which|how many) "
    rf"{_UNIT} (?:is|are|does|do)) (?P<subject>.+?) (?:mentioned|named|appear|occur|discussed|come up)(?: in .*)?$",
    re.I,
)
_CATALOGUE = re.compile(
    rf"^(?:how many {_UNIT} (?:are there|do you (?:have|know|hold)|are indexed|can (?:you|i) (?:read|see|search))"
    rf"(?: in total| altogether| now| here)*|{_ASKS_LIST} all (?:the |of the |our |my |your )?(?P<unit2>{_DOCUMENTS})"
    r"(?: there are| you (?:have|know))?)$",
    re.I,
)
_SAID = re.compile(
    rf"^(?:how many |count |(?:which|what) |{_ASKS_LIST} )(?:all |every |each |of |the |other )*{_UNIT} "
    r"(?:(?:that |which )?(?:are|is|were|was|have been|has been) )?"
    r"(?P<said>owned|written|signed|issued|published|approved|reviewed|valid|dated|effective) "
    r"(?:by|from|since|until|till|on|as of|in)? ?(?P<subject>.+)$",
    re.I,
)
_OF_SOMEBODY = re.compile(
    rf"^(?i:(?:how many |count |(?:which|what) |{_ASKS_LIST} )(?:all |every |each |of |the |other )*{_UNIT} "
    r"(?:(?:are|is) there |do we have |there are )?(?:of|from|in|by) )(?P<about>.*[A-Z].*)$"  # of whom: a name
)
_AT_ALL = re.compile(r" (?:do (?:we|you) have|are there|there are|at all|in total)$", re.I)
_LIST = re.compile(
    r"^(?:(?:list|enumerate) (?:me )?|name (?=(?:all|every|each|the)\b)"
    r"|(?:give|show|make|get|send) (?:me |us )?(?:a |the )?"
    r"(?:complete |full |short )?list (?:of |with )|(?:show|give|tell) (?:me |us )(?=all\b|every\b))(?P<subject>.+)$",
    re.I,
)
_STEPS = re.compile(
    r"^(?:(?:give|show|tell|list|name|outline|describe|explain|what are|which are)(?: me| us)?(?: all)?(?: the)?"
    r"(?: \w+)? steps (?:to|for|of|in|after|when|if|before|involved in|needed (?:to|for)|required (?:to|for)|that)"
    r"|steps (?:to|for|of|in|after|when|before)"
    r"|(?:walk|guide|take|lead|talk) (?:me|us) through(?: the (?:steps|process|procedure) (?:of|for|to))?"
    r"|(?:what is|what's|describe|explain|show me|tell me|give me|outline) the "
    r"(?:exact |right |whole |usual )?(?:procedure|sequence of steps|order of steps) (?:to|for|of|when|in|after))"
    r" (?P<subject>.+)$",
    re.I,
)
_STEPS_AFTER = re.compile(
    r"^(?:what|which) steps (?:do|should|must|can|need|have|has|are) (?:i|we|you|one|employees|to be)?\s*"
    r"(?:to )?(?:be )?(?:take|taken|follow|followed|do|done|go through)?\s*(?:to|for|if|when|after|in order to)? ?"
    r"(?P<subject>.+)$"
    r"|^(?P<before>.+?)[,:]? (?:which steps do i (?:take|follow), )?step[- ]by[- ]step$",
    re.I,
)
_SUMMARY = re.compile(
    r"^(?:(?:summari[sz]e|sum up|recap|condense)"
    r"|(?:(?:give|show|write|make|provide|get|prepare)(?: me| us)? )?(?:an? |the )?"
    r"(?:short |brief |quick |concise )?(?:summary|overview|gist|recap|digest|outline|tl;?dr) (?:of|for|about|on)"
    r"|tl;?dr[:,]?(?: of| for)?"
    r"|what(?:'s| is| are) the (?:key|main|most important|essential) "
    r"(?:points?|takeaways?|messages?|ideas?|contents?) (?:of|in|from))"
    r" (?P<subject>.+)$",
    re.I,
)
_DEFINE = re.compile(
    r"^(?:define|(?:(?:what is|what's|give me|tell me|show me|find) )?(?:the |a )?(?:definition|meaning) (?:of|for)"
    r"|(?:what is|what's|what do (?:we|you|they) mean|what is meant) (?:meant )?by"
    r"|(?:explain|what is|what's) (?:the |this )?(?:term|word|acronym|abbreviation|expression))"
    r" (?P<subject>.+)$"
    r"|^(?:explain |tell me )?what (?:does|do|is|are)? ?(?:the (?:term|word|acronym|abbreviation) )?"
    r"(?P<meant>(?!it\b|this\b|that\b).{1,60}?) (?:means?|stands? for|is short for|is defined as)$",
    re.I,
)
_COMPARE = re.compile(
    r"^(?:compare|contrast|compare and contrast|(?:give|show|make)(?: me| us)? (?:a |the )?comparison (?:of|between)|"
    r"(?:(?:what(?:'s| is| are)|explain|describe|show(?: me)?|tell me|give me|list) )?(?:the )?"
    r"(?:main |key |most important )?differences? between) (?P<rest>.+)$",
    re.I,
)
_DIFFERS = re.compile(r"^how (?:do|does|is|are) (?P<a>.+?) (?:differ|different) from (?P<b>.+)$", re.I)
_BOTH_DIFFER = re.compile(r"^how (?:do|are) (?P<rest>.+?) (?:differ|different|compare)$", re.I)
_VERSUS = re.compile(r"^(?P<a>[^?]{2,60}?) (?:vs\.?|versus|compared (?:to|with)) (?P<b>[^?]{2,60})$", re.I)
_ABOUT = re.compile(
    r"^(?P<b>.+?),? (?:for|in terms of|regarding|with (?:regard|respect) to|concerning|as to|when|on) (?P<about>.+)$",
    re.I,
)
_HEADED = re.compile(r"^(?:[\w-]+ )*?[\w-]+s (?P<a>[A-Z0-9][\w-]*(?: [A-Z0-9][\w-]*)?)$")
_MOST = re.compile(
    r",? in (?:at most |no more than |about |only )?(?P<n>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten) "
    r"(?:short )?(?:sentences?|points?|bullets?|bullet points?|lines?)$",
    re.I,
)
_NUMBERS = {word: n for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}


def recognise(question: str) -> Task | None:
    """The task a question sets, or None."""
    asked = " ".join(question.split()).strip(" .?!\"'")
    asked = _POLITE.sub("", asked).strip()
    finders: tuple[Callable[[str], Task | None], ...] = (
        _counting, _steps, _summary, impossible, _define, _compare, _listing,
    )  # fmt: skip
    return next((task for find in finders if (task := find(asked)) is not None), None)


def bare(words: str) -> str:
    """The words without articles in front and quotation marks around."""
    return _ARTICLE.sub("", words.strip(" .?!,;:")).strip(" \"'“”‘’.?!,;:")


def _counting(asked: str) -> Task | None:
    """Counting over the whole catalogue: which documents mention something, or which there are."""
    found = _CATALOGUE.match(asked)
    if found:
        return Task("count", unit=(found["unit"] or found["unit2"]).lower())
    asked = _AT_ALL.sub("", asked)
    found = _MENTIONED.match(asked) or _SAID.match(asked) or _TIMES.match(asked)
    if not found or not bare(found["subject"]):
        found = _OF_SOMEBODY.match(asked)
        return Task("count", unit=found["unit"].lower(), about=bare(found["about"])) if found else None
    named, unit = found.groupdict(), (found["unit"] or "documents").lower()
    both = re.match(r"both (?P<a>.+?) and (?P<b>.+)$", found["subject"], re.I)
    return Task(
        "count", bare(both["a"] if both else found["subject"]), bare(both["b"]) if both else "", unit=unit,
        without=bool(named.get("without")), said=(named.get("said") or "").lower(),
    )  # fmt: skip


def _listing(asked: str) -> Task | None:
    found = _LIST.match(asked)
    subject = bare(found["subject"]) if found else ""
    return Task("list", subject) if subject else None


def _steps(asked: str) -> Task | None:
    found = _STEPS.match(asked)
    if found:
        return Task("steps", bare(found["subject"]))
    found = _STEPS_AFTER.match(asked)
    if not found:
        return None
    subject = bare(found["subject"] or re.sub(r"[:,] which steps\b.*", "", found["before"], flags=re.I))
    return Task("steps", subject) if subject else None


def _summary(asked: str) -> Task | None:
    limit = _MOST.search(asked)
    found = _SUMMARY.match(asked[: limit.start()] if limit else asked)
    if not found:
        return None
    said = limit["n"].lower() if limit else "0"
    return Task("summarise", bare(found["subject"]), most=int(said) if said.isdigit() else _NUMBERS[said])


def _define(asked: str) -> Task | None:
    found = _DEFINE.match(asked)
    subject = bare(found["subject"] or found["meant"]) if found else ""
    return Task("define", subject) if 0 < len(subject.split()) <= 6 else None


def _compare(asked: str) -> Task | None:
    """Two things, and in which respect."""
    for pattern in (_DIFFERS, _VERSUS):
        found = pattern.match(asked)
        if found and not re.match(r"(?:what|which|who|when|where|why|how|is|are|do|does|can|may)\b", found["a"], re.I):
            return _sides(found["a"], found["b"])
    found = _BOTH_DIFFER.match(asked) or _COMPARE.match(asked)
    if not found:
        return None
    for cut in (r" (?:with|against|versus|vs\.?) ", r" and ", r" to "):
        halves = re.split(cut, found["rest"], maxsplit=1)
        if len(halves) == 2:
            return _sides(*halves)
    return None


def _sides(first: str, second: str) -> Task | None:
    """The task of comparing two; "the plans Gale" and "Storm" are two plans."""
    about = _ABOUT.match(second)
    second, respect = (about["b"], about["about"]) if about else (second, "")
    a, b = bare(first), bare(second)
    headed = _HEADED.match(a)
    if headed and b[:1].isupper():
        a = headed["a"]
    return Task("compare", a, b, bare(respect)) if a and b and a.casefold() != b.casefold() else None
