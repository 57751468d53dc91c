"""Questions that structured text asks and answers by itself: raw handbooks and documentation become `Example`s.

Takes   Markdown-like text with its licence.
Gives   `Example`s: what `trainer.synthesis.asking` asks of each section (who, when, how many, how do I, may I), and
        headings that are questions, answered by the section's first words or its whole list.
Refuses sections without prose, answers above 700 characters, and questions about a section as a whole: a reader that
        learnt from "What should I know about X?" quoted openings (docs/experiments.md).
Why     question sets in print hold short spans from encyclopedias; people at work ask for steps, lists and rules.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trainer.cleaning import privacy
from trainer.cleaning.sources import Raw
from trainer.rows import LONGEST, Example
from trainer.synthesis.asking.lists import bare_heading, question_heading
from trainer.synthesis.asking.made import ask, small_words
from trainer.synthesis.asking.wellformed import answer_fault

HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*(?:\{#.*\})?$")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")
TAG = re.compile(r"<[^>\n]{1,200}>")
_GENERAL = re.compile(
    r"(?:tell me about|what should i know|what about|what (?:is|are) the (?:policy|rules)|what do the documents say)\b|"
    r"what (?:is|are) (?:an? |the )?[\w-]+(?: [\w-]+)?\?$|what (?:is|does) [\w ]+ (?:for|mean|refer to)\?$",
    re.I,
)
LONGEST_ANSWER = 700  # characters


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text under one heading, markup reduced to visible text."""

    path: tuple[str, ...]
    text: str


def plain(line: str) -> str:
    """A line without inline markup."""
    line = TAG.sub("", LINK.sub(r"\1", line))
    return re.sub(r"\\([\W_])", r"\1", re.sub(r"\*\*|__|`", "", line)).rstrip()


def sections(text: str) -> Iterator[Section]:
    """Split at headings; fenced code and tables of links are left out."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False

    def body() -> Section | None:
        joined = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        return Section(tuple(title for _, title in path), joined) if path and len(joined) > 80 else None

    for raw in text.splitlines():
        if raw.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            continue
        match = None if fenced else HEADING.match(raw)
        if match is None:
            if not fenced and not raw.lstrip().startswith(("|", ":::", "{{")):
                item = ITEM.match(raw)
                line = plain(raw)
                lines.append(re.sub(r"^(\s*)[*+]\s+", r"\1- ", line) if item else line)
            continue
        found = body()
        if found:
            yield found
        level = len(match[1])
        path = [entry for entry in path if entry[0] < level] + [(level, plain(match[2]))]
        lines = []
    found = body()
    if found:
        yield found


def first_unit(text: str) -> tuple[int, int]:
    """The section's first answer: its whole first list with lead-in, or its first one or two sentences. Characters."""
    paragraph = re.split(r"\n\s*\n", text, maxsplit=2)
    lead = paragraph[0]
    if (lead.endswith(":") and len(paragraph) > 1 and ITEM.match(paragraph[1])) or ITEM.match(lead):
        start = 0 if ITEM.match(lead) else text.index(paragraph[1], len(lead))
        stretch = lead if ITEM.match(lead) else paragraph[1]
        return start, start + len(stretch.rstrip())
    inner = re.search(r":\n(?=\s*(?:[-*+]|\d+[.)])\s)", lead)
    if inner:
        return inner.end(), len(lead)
    ends = [m.end() for m in re.finditer(r"[.!?](?=\s|$)", lead)]
    if not ends:
        return 0, len(lead)
    return 0, ends[1] if len(ends) > 1 and ends[1] <= 250 else ends[0]


def asks_generally(question: str) -> bool:
    """Whether a mined question asks about a section as a whole or for a definition: its answer opens the section.

    >>> [asks_generally(q) for q in ("Tell me about leave.", "What is a sprint?", "What is the limit for meals?")]
    [True, True, False]
    """
    return _GENERAL.match(question) is not None


def examples(text: str, *, licence: str, domain: str, chance: random.Random) -> Iterator[Example]:
    """All questions that one document asks of itself."""
    common = frozenset(small_words(text))
    for section in sections(text):
        body = section.text[:LONGEST].rstrip()
        context = " > ".join(section.path if chance.random() < 0.5 else section.path[:-1])
        found = [(one.question, one.start, one.end) for one in ask(body, section.path, chance, common=common)]
        own = question_heading(bare_heading(section.path[-1])) if section.path[-1].rstrip().endswith("?") else None
        if own:
            found.append((own, *first_unit(body)))
        for question, start, end in found:
            answer = body[start:end]
            if 2 <= len(answer) <= LONGEST_ANSWER and not answer_fault(answer):
                yield Example(question, context, body, ((start, end),), domain, licence)


def mined(documents: Iterable[Raw], *, domain: str, seed: int, limit: int) -> list[Example]:
    """At most `limit` examples of a raw corpus, at most 6 a document, drawn evenly; personal data is masked first."""
    chance = random.Random(seed)
    found: list[Example] = []
    for raw in documents:
        text, _ = privacy.mask(raw.text)
        some = list(examples(text, licence=raw.licence, domain=domain, chance=chance))
        found.extend(chance.sample(some, min(6, len(some))))
    chance.shuffle(found)
    unique = list({example.question.lower(): example for example in reversed(found)}.values())
    asked = [e for e in unique if not asks_generally(e.question)]
    defined = [e for e in unique if asks_generally(e.question)]
    return (asked + defined[: limit // 4])[:limit]
