"""Spans become citations; nothing is shown that does not stand in a document, byte for byte.

Takes   passages with ranges in them; the words of an answer and the quotations shown with it.
Gives   citations in characters of the document, the verdict of the check, and the sentences of an answer that say
        more than the quotations do.
Rules   numbers with their units, dates, names and negations must stand in a quotation. Other words are not checked:
        this finds invented facts, not clumsy paraphrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rag.catalogue import Catalogue
from rag.quote import WHOLE_LIMIT, Quotation
from rag.types import Citation, Document, Passage
from rag.units import LIST, TEXT, blocks, sentences, strip
from rag.wording import stems

_NUMBER = re.compile(r"(?<![\w.,])[$€£¥]?\d+(?:[.,:/]\d+)*(?![\d])")
_UNIT = re.compile(
    r"[\s-]*(?:(?:business|working|calendar|full|consecutive|paid|US|billable)[\s-]+)?"
    r"(percent|%|[kmgt]b\b|seconds?|minutes?|mins?|hours?|days?|weeks?|months?|quarters?|years?|miles?|kilometers?|km\b|"
    r"dollars?|usd\b|euros?|pounds?|cents?|people|persons?|pages?|words?|million|billion|thousand|times?)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’.&/-][^\W_]+)*")
_NEGATION = re.compile(
    r"\b(?:no|not|cannot|never|nobody|none|neither|nor|nothing|without|\w+n['’]t|prohibited|forbidden|unable|illegal|"
    r"ineligible|except|unless)\b",
    re.IGNORECASE,
)
_SPELT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_VALUES = {word: str(value) for value, word in enumerate(_SPELT.split(" "))} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100",
}  # fmt: skip


def citation(passage: Passage, start: int, end: int, score: float) -> Citation:
    """The citation of `passage.text[start:end]`, without white space at its ends."""
    start, end = strip(passage.text, max(0, start), min(end, len(passage.text)))
    if start >= end:
        raise ValueError(f"passage {passage.id}: the range {start}:{end} holds no words; quote at least one")
    return Citation(
        document=passage.document,
        version=passage.version,
        page=passage.page,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
        passage=passage.id,
        score=round(float(score), 6),
    )


def check(cited: Citation, document_text: str) -> bool:
    """Do exactly these words stand at exactly this place of the document?"""
    inside = 0 <= cited.start < cited.end <= len(document_text)
    return inside and document_text[cited.start : cited.end] == cited.quote


def widen(passage: Passage, document: Document) -> Passage:
    """The passage with the whole of a list or paragraph that its ends cut, from the same page of its document.

    The wider passage is as exact as the narrow one: `document.text[start:end] == text`.
    """
    page = next((span for span in document.pages if span.start <= passage.start < span.end), None)
    first = max(page.start if page else 0, passage.start - WHOLE_LIMIT)
    last = min(page.end if page else len(document.text), passage.end + WHOLE_LIMIT)
    found = blocks(document.text[first:last])
    start, end = passage.start, passage.end
    for at, block in enumerate(found):
        left, right = first + block.start, first + block.end
        if left < passage.start < right or (left == passage.start and block.kind == LIST):
            before = found[at - 1] if at and block.kind == LIST else block
            start = min(start, first + (before.start if before.kind in (TEXT, block.kind) else block.start))
        if left < passage.end < right:
            end = max(end, right)
    return replace(passage, start=start, end=end, text=document.text[start:end])


def distinct(citations: Iterable[Citation], most: int) -> list[Citation]:
    """The first `most` that neither overlap nor repeat one before them."""
    kept: list[Citation] = []
    for cited in citations:
        same = any(
            other.quote.split() == cited.quote.split()
            or (
                (other.document, other.version) == (cited.document, cited.version)
                and other.start < cited.end
                and cited.start < other.end
            )
            for other in kept
        )
        if not same:
            kept.append(cited)
    return kept[:most]


class Documents:
    """The documents of one answer, each loaded once from the catalogue; what does not stand there is not cited."""

    def __init__(self, catalogue: Catalogue, *, most: int) -> None:
        self._catalogue = catalogue
        self._most = most
        self._loaded: dict[int, Document] = {}

    def _of(self, passage: Passage) -> Document:
        if passage.document_id not in self._loaded:
            self._loaded[passage.document_id] = self._catalogue.document_of(passage.document_id, with_text=True)
        return self._loaded[passage.document_id]

    def widened(self, passage: Passage) -> Passage:
        """The passage with what its ends cut; as it is where its document holds other words by now."""
        document = self._of(passage)
        if document.text[passage.start : passage.end] != passage.text:
            return passage  # its quotations will fail the check
        return widen(passage, document)

    def confirmed(self, quotations: Sequence[Quotation], passages: Sequence[Passage]) -> tuple[Citation, ...]:
        """Citations of the quotations that stand in their document. Without the first, which holds the words: none."""
        found: list[Citation] = []
        for number, item in enumerate(quotations):
            passage = passages[item.passage]
            cited = citation(passage, item.start, item.end, item.score)
            if check(cited, self._of(passage).text):
                found.append(cited)
            elif number == 0:
                return ()
        return tuple(distinct(found, self._most))


def unsupported(answer: str, quotes: Sequence[str]) -> list[str]:
    """Sentences of the answer whose numbers, units, dates, names or negations stand in no quotation.

    A sentence that drops the negation of the words it repeats is unsupported too.
    """
    shown = _plain("\n".join(quotes))
    words = {word.casefold() for word in _WORD.findall(shown)}
    words |= {part for word in words for part in re.split(r"['.&/-]", word)}
    figures = _figures(shown)
    statements = [_plain(quote[start:end]) for quote in quotes for start, end in sentences(quote)]
    found: list[str] = []
    for start, end in sentences(answer):
        sentence = answer[start:end]
        plain = _plain(re.sub(r"\[\d{1,2}\]", "", sentence))
        if _invents_figures(plain, figures) or _names(plain) - words or _flips(plain, shown, statements):
            found.append(sentence)
    return found


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate({0x2019: "'", 0x2018: "'", 0x2013: "-", 0x2011: "-"})


def _figures(text: str) -> set[tuple[str, str]]:
    """Numbers, each with and without the unit after it: ("15", ""), ("15", "day")."""
    found: set[tuple[str, str]] = set()
    for match in _NUMBER.finditer(text):
        found |= _figure(match.group(), text[match.end() : match.end() + 40])
    for match in re.finditer(r"[a-z]+", text.lower()):
        if match.group() in _VALUES:
            found |= _figure(_VALUES[match.group()], text[match.end() : match.end() + 40])
    return found


def _figure(number: str, after: str) -> set[tuple[str, str]]:
    value = number.lstrip("$€£¥").replace(",", "")
    money = number[0] if number[0] in "$€£¥" else ""
    unit = _UNIT.match(after)
    stem = re.sub(r"s$", "", unit.group(1).lower()) if unit else ""
    stem = {"%": "percent", "min": "minute"}.get(stem, stem)
    return {(value, "")} | ({(value, money)} if money else set()) | ({(value, stem)} if stem else set())


def _invents_figures(sentence: str, figures: set[tuple[str, str]]) -> bool:
    return bool({figure for figure in _figures(sentence) if figure != ("1", "")} - figures)


def _names(sentence: str) -> set[str]:
    """Words that look like names: a capital or a digit among letters, not merely the sentence's first word."""
    found: set[str] = set()
    for n, match in enumerate(_WORD.finditer(sentence)):
        word = match.group()
        inner = any(character.isupper() for character in word[1:]) or (
            any(character.isdigit() for character in word) and any(character.isalpha() for character in word)
        )
        if inner or (n > 0 and word[0].isupper() and word not in ("I", "I'm", "I'll")):
            found.add(word.casefold())
    return {name.removesuffix("'s") for name in found}


def _flips(sentence: str, shown: str, statements: Sequence[str]) -> bool:
    """Is a negation spoken that no quotation holds, or left out of the statement that the sentence repeats?"""
    if _NEGATION.search(sentence):
        return not _NEGATION.search(shown)
    mine = stems(sentence)
    if len(mine) < 2:
        return False
    nearest = max(statements, key=lambda statement: len(mine & stems(statement)), default="")
    return len(mine & stems(nearest)) >= 0.6 * len(mine) and bool(_NEGATION.search(nearest))
