"""Whether a question made by rule or by a model may be asked: whole, specific, answerable from afar.

Takes   a question and its answer.
Gives   the reason why not, or an empty string.
"""

from __future__ import annotations

import re
from itertools import pairwise

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
STOP = frozenset(
    """a an the of to in on at for with from by and or but if is are was were be been do does did has have had i
    me my we us our you your who what when where which why how can may must should will would could shall much
    many often long soon there that this it as so not no any all am need there's into about some more most get
    use make available resource resources want thing things people way time right create add find one ones back
    up out question questions just""".split()
)
_POINTS = re.compile(
    r"\b(?:this|these|those|above|below|here|the following|aforementioned|the latter|the former|previous(?:ly)?|herein|"
    r"the same|another|instead|however|as well|also|though|yet|per se|the other)\b",
    re.I,
)
_STRAY = re.compile(r"\b(?:it|they|them|he|she|him|her|its|their|his)\b", re.I)
_DANGLING = re.compile(
    r"\b(?:the|a|an|of|and|or|is|are|be|your|my|our|that|which|than|as|also|their|its|both|either|very|more|"
    r"etc|how|why|what|when|where|but|even|then|not|so|just|still|only|it's|its|if|because|while|like|"
    r"against|via|into|no)\?$",
    re.I,
)
_MARKUP = re.compile(
    r"https?:|www\.|[<>{}\[\]|*_=\\]|``|\.\.\.|…|[\U0001F300-\U0001FAFF]|\b\w+\.(?:md|html|yml|yaml|json|rb|js|py)\b|--"
)
_CUT_OFF = re.compile(
    r"\b(?:the|a|an|of|and|or|to|with|for|your|our|is|are|such as|need|want|have|try|as|than|when|if|that|"
    r"by|from|in|on|at)$",
    re.I,
)
_GENERAL = re.compile(
    r"^(?:tell me|what (?:should|do) i know about|what about|what (?:is|are) the (?:rules|policy|details))\b", re.I
)


def fault(question: str, answer: str) -> str:
    """Why the question is not asked; empty where nothing is wrong.

    >>> fault("When must staff hand in receipts?", "within 30 days"), fault("What is it?", "a thing")
    ('', 'too short')
    """
    words = WORD.findall(question)
    low = [word.lower() for word in words]
    if len(words) < 4:
        return "too short"
    if len(words) > 24 or len(question) > 170:
        return "too long"
    if _GENERAL.match(question):
        return "asks about everything"
    if _POINTS.search(question):
        return "points at its passage"
    if any(len(low[: low.index(m)]) < 5 for m in _stray(low)):
        return "unclear pronoun"
    if (
        _MARKUP.search(question)
        or question.count('"') % 2
        or question.count("“") != question.count("”")
        or question.count("`") % 2
    ):
        return "markup"
    if (
        question.count("(") != question.count(")")
        or "?" in question[:-1]
        or "!" in question
        or re.search(": | [-–—] ", question)
    ):
        return "not one sentence"
    if _DANGLING.search(question) or any(a == b for a, b in pairwise(low)):
        return "broken"
    if re.search(r"(?:, and|,? but) (?:i|we|you|it|it['’]s|they|there)\b|\bby [a-z]+ing\?$", question, re.I):
        return "not one sentence"
    if re.search(r"\b(?:if|when) (?:they|he|she|it)\b|\b(?:it|they|them)\?$|\bsuch (?!as\b|an?\b)", question, re.I):
        return "unclear pronoun"
    content = {word for word in low if word not in STOP}
    if len(content) < 2:
        return "says too little"
    if re.search(
        r"\b(?:i|me|my) (?:are|is|has|were)\b|\b(?:does|do|did) \w+ (?:is|are|was)\b|\bto (?:me|I) [a-z]+ing\b",
        question,
        re.I,
    ):
        return "broken"
    own = {word.lower() for word in WORD.findall(answer)}
    if not own - STOP and not re.search(r"\d", answer):
        return "empty answer"
    if own and own - STOP <= content:
        return "says its answer"
    return ""


def _stray(low: list[str]) -> list[str]:
    return [word for word in dict.fromkeys(low) if _STRAY.fullmatch(word)]


def answer_fault(answer: str) -> str:
    """Why these words are no answer; empty where nothing is wrong."""
    if not answer.strip() or answer != answer.strip():
        return "blank at the edge"
    if len(answer) > 700:
        return "answer too long"
    if answer.endswith((":", "e.g", "i.e", ",", " -", "–")) or _CUT_OFF.search(answer):
        return "answer cut off"
    if len(answer) < 120 and re.search(
        r"\b(?:next|previous|following|above|below|this) (?:section|page|chapter|link|steps?|tools?|table|"
        r"list|example|guide)s?\b",
        answer,
    ):
        return "answer points elsewhere"
    if len(answer) < 60 and re.search(r"\b(?:this|these|those|below|above|the following|as follows)\b", answer, re.I):
        return "answer points elsewhere"
    if answer.count("(") != answer.count(")") or answer.count("“") != answer.count("”"):
        return "answer cut off"
    return ""
