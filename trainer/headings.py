"""Questions that structured text asks and answers by itself: headings, lists and definitions of handbooks.

Takes   Markdown-like text with its licence.
Gives   `Example`s: a heading that is a question, with the section's first words or whole list as its answer;
        "The following X can Y:" as "Which X can Y?" with the list; "Doing Z" as "How do I do Z?"; "X is a ..." as
        "What is X?". The text of a source follows the loaders' convention: `- ` items, one line a table row.
Refuses sections without prose, answers above 700 characters, headings such as "Overview" that ask nothing.
Why     question sets in print hold short spans from encyclopedias; people at work ask for steps, lists and rules.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trainer.rows import LONGEST, Example

HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*(?:\{#.*\})?$")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
STEP = re.compile(r"^\s*\d+[.)]\s+")
LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")
TAG = re.compile(r"<[^>\n]{1,200}>")
EMPTY = frozenset(
    "overview introduction summary example examples notes note see also contents references related links usage syntax "
    "parameters remarks requirements options description synopsis background details more information about faq".split()
)
ABOUT = ("What is the policy on {}?", "What should I know about {}?", "What are the rules for {}?", "Tell me about {}.")
FOLLOWING = re.compile(
    r"(?m)^(?:The|These|Those) following ([a-z][\w -]{2,40}? "
    r"(?:are|is|can|must|may|should|have|need|apply)\b[^:.\n]{3,80}):\s*\n+((?:\s*(?:[-*+]|\d+[.)])\s.*\n?)+)"
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


def verbs_of(texts: Iterable[str], *, share: float = 0.01) -> frozenset[str]:
    """Words that follow "to" in at least `share` of the texts: verbs enough to turn "Merging" into "merge"."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update({match[1] for match in re.finditer(r"\bto ([a-z]{2,})\b", text)})
    least = max(2.0, share * total)
    return frozenset(
        word for word, times in counts.items() if times >= least and word not in {"the", "an", "be", "have"}
    )


def stem(gerund: str, verbs: frozenset[str]) -> str | None:
    """The verb of a word in -ing, or None.

    >>> [stem(word, frozenset({"merge", "run", "check"})) for word in ("merging", "running", "checking", "morning")]
    ['merge', 'run', 'check', None]
    """
    cut = gerund[:-3]
    forms = (cut, cut + "e", cut[:-1] if cut[-1:] == cut[-2:-1] else cut)
    return next((form for form in forms if form in verbs), None)


def asks_generally(question: str) -> bool:
    """Whether a mined question asks about its section as a whole or for a definition: its answer opens the section."""
    return question.startswith(("What is ", *(pattern.partition("{")[0] for pattern in ABOUT)))


def ask_heading(title: str, verbs: frozenset[str], chance: random.Random) -> str | None:
    """The question that a heading asks, or None."""
    words = title.split()
    if title.endswith("?") and len(words) >= 3:
        return re.sub(r"^(?:Q:|[\d.]+)\s*", "", title)
    bare = re.sub(r"^(?:Step )?[\d.:)\s]+", "", title).strip(" :.")
    words = bare.split()
    if not 2 <= len(words) <= 9 or bare.lower() in EMPTY or {w.lower() for w in words} <= EMPTY:
        return None
    head, rest = words[0].lower(), " ".join(words[1:])
    if chance.random() < 0.5:  # people do not type title case
        rest = re.sub(r"\b[A-Z](?=[a-z]+\b)", lambda match: match[0].lower(), rest)
    if bare.lower().startswith("how to "):
        return f"How do I {bare[7].lower()}{bare[8:]}?"
    if head.endswith("ing") and len(head) > 5:
        verb = stem(head, verbs)
        return f"How do I {verb} {rest}?" if verb else None
    if "?" in bare:
        return None
    if head in verbs and len(words) > 2:
        return f"How do I {head} {rest}?"
    if chance.random() < 0.3 and all(re.fullmatch(r"[A-Za-z'-]+", word) for word in words):
        return chance.choice(ABOUT).format(bare if bare.isupper() else bare[0].lower() + bare[1:])
    return None


def examples(
    text: str, *, licence: str, domain: str, verbs: frozenset[str], chance: random.Random
) -> Iterator[Example]:
    """All questions that one document asks of itself."""
    for section in sections(text):
        body = section.text[:LONGEST].rstrip()
        context = " > ".join(section.path if chance.random() < 0.5 else section.path[:-1])
        for question, start, end in _asked(section.path[-1], body, verbs, chance):
            answer = body[start:end].strip()
            if 12 <= len(answer) <= LONGEST_ANSWER and not answer.endswith(":"):
                yield Example(question, context, body, ((start, end),), domain, licence)


def _asked(title: str, body: str, verbs: frozenset[str], chance: random.Random) -> Iterator[tuple[str, int, int]]:
    heading = ask_heading(title, verbs, chance)
    if heading:
        yield (heading, *first_unit(body))
    for match in FOLLOWING.finditer(body):
        yield f"Which {match[1]}?", match.start(2), match.start(2) + len(match[2].rstrip())
    defined = re.search(
        r"(?m)^(?:An? |The )?([A-Z][\w-]+(?: [\w-]+){0,3}) (?:is|are) ((?:an?|the|used) [^.\n]{25,200}\.)", body
    )
    if defined and defined[1].split()[0].lower() not in {
        "this",
        "it",
        "there",
        "these",
        "that",
        "you",
        "we",
        "he",
        "she",
        "if",
    }:
        yield f"What is {defined[1]}?", defined.start(2), defined.end(2) - 1


def mined(rows: Iterable[dict[str, object]], *, domain: str, seed: int, limit: int) -> list[Example]:
    """At most `limit` examples of a raw corpus, at most 6 a document, drawn evenly."""
    chance = random.Random(seed)
    found: list[Example] = []
    kept = list(rows)
    verbs = verbs_of(str(row["text"]) for row in kept)
    for row in kept:
        licence = str(row.get("licence", ""))
        some = list(examples(str(row["text"]), licence=licence, domain=domain, verbs=verbs, chance=chance))
        found.extend(chance.sample(some, min(6, len(some))))
    chance.shuffle(found)
    unique = list({example.question.lower(): example for example in reversed(found)}.values())
    asked = [e for e in unique if not e.question.startswith("What is ")]
    defined = [e for e in unique if e.question.startswith("What is ")]
    return (asked + defined[: limit // 4])[:limit]
