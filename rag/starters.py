"""Questions to start with, drawn from the headings of the documents.

Takes   documents' titles and texts, in which a heading is a line that starts with `# ` to `###### `.
Gives   at most `n` questions, each from another document while there are enough; the same ones for the same documents.
Limits  rules for English headings; a heading that fits none of them is passed over, so there may be fewer than `n`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest

LOOKED_AT = 200_000  # characters of a document

_HEADING = re.compile(r"^#{1,6} +(\S.*)$", re.MULTILINE)
_NUMBERING = re.compile(
    r"^(?:(?:chapter|section|part|article|appendix)\s+)?(?:\d+(?:\.\d+)*|[IVX]+)[.):]?\s+", re.IGNORECASE
)
_ASKS = re.compile(
    r"^(?:what|how|when|where|who|whom|whose|which|why|can|do|does|is|are|may|must|should|will)\b", re.IGNORECASE
)
_TELLS = re.compile(
    r"^(?:what|how|when|where|who|why) (?:i|we|you|they|it|he|she|our|your|the|this|these)\b", re.IGNORECASE
)
_KINDS = re.compile(
    r"\b(?:handbook|policy|guide|manual|plan|code|agreement|report|rules|procedure|directory)$", re.IGNORECASE
)
_DULL = frozenset(
    "introduction overview contents summary purpose scope appendix background notes conclusion general definitions "
    "references history changelog index title page sheet table about welcome faq questions".split()
)


def starters(documents: Iterable[tuple[str, str]], n: int) -> list[str]:
    """One question from each document in turn, until there are `n`."""
    turns = zip_longest(*(_questions(title, text[:LOOKED_AT]) for title, text in documents))
    asked = (question for turn in turns for question in turn if question)
    return list(islice(dict.fromkeys(asked), n))


def _questions(title: str, text: str) -> Iterator[str]:
    """A document's questions: those that its headings ask already come first."""
    names = list(dict.fromkeys(_NUMBERING.sub("", heading).strip(" :.") for heading in _HEADING.findall(text)))
    names = [name for name in names if name.casefold() != title.casefold()]
    yield from (name if name.endswith("?") else f"{name}?" for name in names if _is_question(name))
    for name in names:
        if not _is_question(name) and _tells_something(name):
            yield _as_question(name, title)


def _is_question(name: str) -> bool:
    """Does it ask? "Where we are" tells.

    >>> _is_question("Where we are"), _is_question("Who may apply"), _is_question("What is covered")
    (False, True, True)
    """
    asks = name.endswith("?") or (_ASKS.match(name) is not None and not _TELLS.match(name))
    return len(name.split()) > 2 and asks and not _how_to(name)


def _how_to(name: str) -> bool:
    return name.casefold().startswith("how to ")


def _tells_something(name: str) -> bool:
    words = name.split()
    return 2 <= len(words) <= 8 and words[0].casefold() not in _DULL and all(word[0].isalpha() for word in words)


def _as_question(name: str, title: str) -> str:
    name = _in_sentence(name)
    if _how_to(name):
        return f"How do I {name[len('how to ') :]}?"
    if name.split()[0].endswith("ing"):
        return f"How does {name} work?"
    if _KINDS.search(title) and len(title.split()) <= 5:
        return f"What does the {_in_sentence(title)} say about {name}?"
    return f"What do the documents say about {name}?"


def _in_sentence(name: str) -> str:
    """`Requesting Time Off` inside a sentence; acronyms keep their capitals, and so do names within a plain heading."""
    words = name.split()
    titled = all(word[0].isupper() or len(word) < 4 for word in words)
    return " ".join(
        word.lower() if (position == 0 or titled) and word[1:].islower() else word
        for position, word in enumerate(words)
    )
