"""From a quotation to the short answer: rules, no model.

    question ─► shape (fact, choice, list, steps) ─┐
    span, passage ─────────────────────────────────┴─► say ─► Said(words, range to quote)

Takes   a question, a passage's text and the span a reader pointed at.
Gives   the words of the answer, all of them taken from the range that is quoted with it (only "Yes."/"No." is ours),
        and that range. At most `WORDS` words; lists and steps are given whole.
Policy  `span` says the bare span, `sentence` the sentence around it, `unit` everything that is quoted.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from rag import quote
from rag.units import LIST, ROW, blocks, entries, kind_of, sentences, strip

Policy = Literal["span", "sentence", "unit"]
Shape = Literal["fact", "choice", "list", "steps"]
WORDS = 60

_AUXILIARY = (
    r"(?:is|are|was|were|am|do|does|did|can|could|may|might|must|should|shall|will|would|has|have|had|isn't|aren't|"
    r"don't|doesn't|can't|won't)"
)
_SITUATION = r"(?:and|so|but|then|also|(?:if|when|while|as) [^,?]*),?\s+"
_CHOICE = re.compile(rf"^(?:{_SITUATION})*{_AUXILIARY}\b", re.I)
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
    rf"|\b(?:which|what) {_PLURAL}|\b(?:which|what) (?:[\w/-]+ ){{1,3}}?{_PLURAL} (?:besides|{_AUXILIARY})\b"
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


class Said(NamedTuple):
    """What to say and what to show: `words` rest on `passage_text[start:end]`."""

    words: str
    start: int
    end: int


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


def say(question: str, text: str, span: tuple[int, int], *, policy: Policy = "sentence") -> Said:
    """The short answer for a span of a passage's text."""
    wanted = shape(question)
    span = _whole_words(text, span)
    start, end = quote.expand(text, *span, whole=wanted in ("list", "steps"))
    quoted = text[start:end]
    if any(block.kind == LIST for block in blocks(quoted)):
        several = sum(kind_of(line) == LIST for line in quoted.split("\n")) > 1
        if several and (wanted != "fact" or not _one_entry(text, span) or _needs_list(text, (start, end), span)):
            return Said(layout(quoted), start, end)
    inside = max(span[0], start), min(max(span[1], span[0] + 1), end)
    if inside[0] >= inside[1]:
        inside = start, end  # the span stood in a heading, the words are under it
    words = _words(text, _entry(text, (start, end), inside), inside, policy)
    lead = verdict(question, quoted) if wanted == "choice" else ""
    if lead and not re.match(rf"{lead}\b", words, re.I):
        words = f"{lead}. {words}"
    return Said(words, start, end)


def together(question: str, first: str, second: str) -> bool:
    """May both be said, one under the other? They must be brief, differ, and neither may be a yes or no.

    >>> together("Which days?", "Monday.", "Or on Friday."), together("May I?", "Yes. You may.", "No.")
    (True, False)
    """
    if shape(question) == "choice" or len(first.split()) + len(second.split()) > WORDS:
        return False
    mine, theirs = stems(first), stems(second)
    return not (mine <= theirs or theirs <= mine)


def _whole_words(text: str, span: tuple[int, int]) -> tuple[int, int]:
    """The span grown to the ends of its words: half a number must never be said."""
    start, end = max(0, min(span[0], len(text))), max(0, min(span[1], len(text)))
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and end > start and not text[end - 1].isspace() and not text[end].isspace():
        end += 1
    return start, end


def _entry(text: str, unit: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """The words of the list entry that holds the span, where a list is quoted; else the unit."""
    for block in blocks(text[: unit[1]]):
        if block.kind == LIST and block.start <= span[0] < block.end:
            return next((row.body, row.end) for row in reversed(entries(text, block)) if row.start <= span[0])
    return unit


def _one_entry(text: str, span: tuple[int, int]) -> bool:
    """Does the span stay within one line of a list?"""
    return "\n" not in text[span[0] : span[1]].strip() and any(
        block.kind == LIST and block.start <= span[0] < block.end for block in blocks(text)
    )


def _needs_list(text: str, unit: tuple[int, int], span: tuple[int, int]) -> bool:
    """Does the span's entry only introduce what is nested under it, or is it a bare name in a short list?"""
    start, end = _entry(text, unit, span)
    short = quote.brief(text[start:end]) and len(text[unit[0] : unit[1]].split()) <= WORDS
    return short or quote.introduces(text[start:end])


def _words(text: str, unit: tuple[int, int], span: tuple[int, int], policy: Policy) -> str:
    """Prose or a table row, at most WORDS words."""
    if kind_of(text[unit[0] : unit[1]]) == ROW:
        return row_words(text[unit[0] : unit[1]], span[0] - unit[0])
    if policy == "span":
        return tidy(_shorten(text[span[0] : span[1]]))
    inside = [
        (left, right)
        for left, right in sentences(text, *unit)
        if policy == "unit" or (right > span[0] and left < span[1])
    ]
    if not inside:
        return tidy(_shorten(text[span[0] : span[1]]))
    left, right = inside[0][0], inside[-1][1]
    if quote.brief(text[left:right]):
        left, right = unit  # "No." is said with its reason
    if len(text[left:right].split()) > WORDS:
        left, right = _within(text, (left, right), span)
    return tidy(text[left:right])


def _within(text: str, unit: tuple[int, int], span: tuple[int, int]) -> tuple[int, int]:
    """The clauses around the span, at most WORDS words."""
    left, right = max(unit[0], span[0]), min(unit[1], span[1])
    if len(text[left:right].split()) > WORDS:
        return left, left + len(_shorten(text[left:right]))
    before = [unit[0]] + [cut.end() for cut in re.finditer(r"[;:,.!?—–]\s+", text[unit[0] : left])]
    starts = [unit[0]] + [unit[0] + at for at in before[1:]]
    ends = [right + cut.start() for cut in re.finditer(r"[;:,.!?—–](?=\s)", text[right : unit[1]])] + [unit[1]]
    fitting = [
        (start, stop) for start in starts for stop in ends if len(text[start:stop].split()) <= WORDS and start <= left
    ]
    if not fitting:
        return left, right
    return strip(text, *max(fitting, key=lambda cut: cut[1] - cut[0]))


def _shorten(words: str) -> str:
    """The first WORDS words."""
    found = list(re.finditer(r"\S+", words))
    return words if len(found) <= WORDS else words[: found[WORDS - 1].end()]


def row_words(row: str, at: int) -> str:
    """A table row in words: whole where it is short, else its first cell and the cell that holds position `at`."""
    cells: list[tuple[str, int]] = []
    position = 0
    for cell in row.split(" | "):
        cells.append((cell.strip(), position + len(cell)))
        position += len(cell) + 3
    filled = [(cell, end) for cell, end in cells if not cell.endswith(":")]
    if len(row.split()) <= WORDS // 2:
        return tidy("; ".join(cell for cell, _ in filled) or row)
    chosen = next((cell for cell, end in cells if at <= end), cells[-1][0])
    first = filled[0][0] if filled else chosen
    return tidy(_shorten(chosen if chosen == first else f"{first}; {chosen}"))


def layout(quoted: str) -> str:
    """A list as it is shown: its lines, evenly indented, continuation lines joined to their entry."""
    shown: list[str] = []
    for line in quoted.split("\n"):
        words = " ".join(line.split())
        if not words:
            continue
        if shown and kind_of(line.strip()) != LIST and kind_of(shown[-1]) == LIST:
            shown[-1] += " " + words
        elif kind_of(line) == LIST:
            shown.append(" " * ((len(line) - len(line.lstrip())) // 2 * 2) + words)
        else:
            shown.append(words)
    return "\n".join(shown)


_CODE = re.compile(r"^[a-z]+(?:[-_./@:(]|\s+--?\w)|^[a-z]+[A-Z0-9]|^(?:npm|git|docker|pip|kubectl|curl|sudo|brew|ssh) ")


def tidy(words: str) -> str:
    """One line, a capital at the front, a full stop at the end; the words themselves stay."""
    line = " ".join(words.split()).strip(" ;,:–—")
    line = re.sub(r"^(?:(?:A|Answer|Note)\s?[:.]\s+|[-*•]\s+)", "", line)
    if not line:
        return ""
    if line[0].islower() and not _CODE.match(line):
        line = line[0].upper() + line[1:]
    if line[-1].isalnum() or line[-1] in ")]%\"'”’":
        line += "" if re.search(r"[.!?][)\]\"'”’]+$", line) else "."
    return line


_NEGATED = re.compile(
    r"\b(?:not|cannot|never|nobody|none|neither|nor|without|\w+n['’]t|prohibited|forbidden|unable|ineligible|illegal)\b|"
    r"^no\b|\bno (?:longer|one)\b",
    re.I,
)
_HEDGED = re.compile(
    r"\b(?:unless|except|only if|only when|depends?|depending|in (?:some|certain|most) cases|if|but|however|though|"
    r"although|until|generally|usually|typically|normally|might|some(?:times)?|may or may not|whether)\b",
    re.I,
)
_FORBIDS = re.compile(
    r"\b(?:can ?not|can['’]t|may not|must not|mustn['’]t|should not|shouldn['’]t|(?:is|are) (?:strictly )?"
    r"(?:not (?:allowed|permitted|able|eligible)|prohibited|forbidden|ineligible)|never|it is illegal|"
    r"(?:is|are) unable to|do not|don['’]t|will not|won['’]t|does not|doesn['’]t)\b|^no \w+ (?:may|can|should|must)\b",
    re.I,
)
_FREES = re.compile(
    r"\b(?:not required|not necessary|not mandatory|no need to|(?:do|does) not (?:need|have) to|not obliged|"
    r"(?:don|doesn)['’]t (?:need|have) to|isn['’]t (?:required|mandatory|necessary)|optional|not need)\b",
    re.I,
)
_PERMITS = re.compile(
    r"\b(?:you|we|they|anyone|everyone|employees|staff|teammates|members|contractors|supervisors|managers) "
    r"(?:can|may|are (?:allowed|permitted|welcome|able|eligible|free) to)\b|\b(?:is|are) (?:allowed|permitted)\b",
    re.I,
)
_OBLIGES = re.compile(
    r"\b(?:must|(?:is|are) (?:required|mandatory|obliged|obligated)|(?:need|needs|have|has) to)\b", re.I
)
_MAY = re.compile(r"\b(?:can|could|may|might|allowed|permitted|possible|okay|ok)\b", re.I)
_MUST = re.compile(r"\b(?:must|need|have to|has to|required|obliged|mandatory|necessary|should)\b", re.I)
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


def verdict(question: str, quoted: str) -> Literal["Yes", "No", ""]:
    """Yes or No where the quotation makes it certain, else nothing: the reason then speaks for itself.

    Certain is: the quotation says so itself, or one plain sentence about the same things forbids, frees, permits or
    obliges in the way that was asked, without "unless", "if" and their like.
    """
    own = re.match(r"(?:A\s?[:.]\s+)?(yes|no)\b(?=[.,!;:–—\s])(?! \w+ (?:may|can|should|must|access))", quoted, re.I)
    if own and re.match(r"(?:A\s?[:.]\s+)?(?:yes|no)[.,!;:–—]", quoted, re.I):
        return "Yes" if own.group(1).lower() == "yes" else "No"
    last = asked(question)
    if _NEGATED.search(last) or not re.match(rf"\W*(?:\w+,?\s+){{0,2}}{_AUXILIARY}\b", last, re.I):
        return ""
    topic = stems(last)
    plain = [quoted[start:end] for start, end in sentences(quoted)]
    for sentence in plain:
        shared = len(topic & stems(sentence)) / max(1, len(topic))
        if shared < 0.5 or _HEDGED.search(sentence):
            continue
        if _MUST.search(last) and not _MAY.search(last):
            if _FREES.search(sentence):
                return "No"
            if _OBLIGES.search(sentence) and not _NEGATED.search(sentence):
                return "Yes"
        elif _MAY.search(last):
            if _FORBIDS.search(sentence) and not _FREES.search(sentence):
                return "No"
            if _PERMITS.search(sentence) and not _NEGATED.search(sentence):
                return "Yes"
    return ""
