"""What a question wants: its asking sentence, the shape of its answer, the words it is about.

Takes   a question as a person wrote it, or any sentence.
Gives   the sentence that asks; `fact`, `choice`, `list` or `steps`; content words, crudely cut.
Limits  English. A shape is a guess from the form of the question: it decides how much is quoted, never what is true.
"""

from __future__ import annotations

import re
from typing import Literal

from rag.units import sentences

Shape = Literal["fact", "choice", "list", "steps"]

AUXILIARY = (
    r"(?:is|are|was|were|am|do|does|did|can|could|may|might|must|should|shall|will|would|has|have|had|isn't|aren't|"
    r"don't|doesn't|can't|won't)"
)
_SITUATION = r"(?:and|so|but|then|also|(?:if|when|while|as) [^,?]*),?\s+"
_CHOICE = re.compile(rf"^(?:{_SITUATION})*{AUXILIARY}\b", re.I)
_STEPS = re.compile(
    r"\bhow (?:do|can|could|should|would|may|must|to|am|are)\b(?! (?:often|long|many|much))"
    r"|\b(?:the|which|what|of|in which) steps\b|\bstep by step\b|\bprocedure\b|\bprocess (?:for|to)\b"
    r"|\bwalk me through\b",
    re.I,
)
_COUNTED = r"(?:two|three|four|five|six|seven|eight|nine|ten|\d+)"
_PLURAL = r"(?!is\b|was\b|does\b|has\b|this\b|always\b|as\b|us\b)[\w/-]*[^\Wsu]s\b"
_LISTED = re.compile(
    rf"\b(?:which|what) {_COUNTED}\b|\b(?:which|what) (?:kinds|types|sorts|categories|options) of\b"
    rf"|\b(?:which|what) {_PLURAL}|\b(?:which|what) (?:[\w/-]+ ){{1,3}}?{_PLURAL} (?:besides|{AUXILIARY})\b"
    r"|\bwhat (?:are|can|could|should|must|may|has to|have to|do|needs?|else)\b|\bwho (?:are|can)\b"
    r"|^(?:list|name|enumerate)\b|\ball (?:the|of)\b|\bexamples of\b|\bwhat's (?:in|on|included)\b"
    r"|\bconsist of\b|\bwhat is in\b",
    re.I,
)
_SINGLE = re.compile(
    r"\bwhat (?:is(?! in)|was|does(?!.*consist of)|did|happens?)\b|\b(?:click|type|call|edit|say)\b|^when\b"
    r"|\bhow (?:long|many|much|often|old|far|big|fast|soon|early|late|quickly|frequently)\b|^whom?\b(?! (?:are|can))"
    r"|^where\b|^why\b",
    re.I,
)


def asked(question: str) -> str:
    """The sentence that asks: what stands before it only tells the situation."""
    found = [question[start:end] for start, end in sentences(question)]
    asking = [sentence for sentence in found if sentence.rstrip(" \"')").endswith("?")]
    return (asking or found or [question])[-1]


def shape(question: str) -> Shape:
    """What kind of answer the question wants."""
    last = asked(question)
    if _CHOICE.search(last) and not re.search(r"\w or (?!not\b)\w", last):
        return "choice"
    if _STEPS.search(last):
        return "steps"
    if _LISTED.search(last) and not (_SINGLE.search(last) and not re.search(_COUNTED, last)):
        return "list"
    return "fact"


_SMALL = re.compile(
    r"(?:the|and|for|with|that|this|from|have|has|had|are|was|were|can|could|may|might|must|should|will|would|does|"
    r"did|our|your|their|his|her|its|you|they|them|there|here|what|which|who|when|where|how|why|into|onto|about|any|"
    r"some|not|need|been|being|also|just|than|then|get|got|use|one|all|own|out|off|per|via)"
)


def stems(words: str) -> frozenset[str]:
    """Content words, crudely cut, to see whether two sentences speak of the same things."""
    found = re.findall(r"[^\W\d_][\w'’-]*|\d+", words.lower())
    cut = (re.sub(r"(?:ing|ions?|ed|es|s|ly|ment|e)$", "", word) for word in found if not _SMALL.fullmatch(word))
    return frozenset(stem for stem in cut if len(stem) > 2 or stem.isdigit())


_SAME = {
    one: words.split()[0]
    for words in ("expens reimburs claim", "buy purchas", "employe staff worker teammat", "laptop comput", "pay paid",
                  "vacat holiday", "phon telephon mobil", "annual year")
    for one in words.split()
}  # fmt: skip


def topic(words: str) -> frozenset[str]:
    """Stems in which a few words that offices use for the same thing are one: staff and employees, buy and purchase."""
    return frozenset(_SAME.get(stem, stem) for stem in stems(words))
