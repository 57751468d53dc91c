"""The nouns of a task: what was asked for, and what was made of it.

Takes   nothing: frozen values only.
Gives   `Task`, which `recognise` finds in a question, and `Made`, which this package builds from quotations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.types import Citation

Kind = Literal["count", "list", "compare", "steps", "summarise", "define", "cannot"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a question asks to be done, with the words that say to what."""

    kind: Kind
    subject: str = ""  # what is listed, summarised, defined; the first of two that are compared
    other: str = ""  # the second of two that are compared, or that must both be mentioned
    about: str = ""  # in which respect two are compared; of what documents are ("policies of the Berlin office")
    without: bool = False  # those are counted that do not mention it
    said: str = ""  # a word that must stand in the same sentence: the "owned" of "owned by the legal team"
    unit: str = ""  # what is counted: documents, policies, pages
    most: int = 0  # sentences or points asked for; 0: as many as the task has by default
    reason: str = ""  # of `cannot`: why not, and what can be asked instead


@dataclass(frozen=True, slots=True)
class Made:
    """The words and the quotations they consist of; where nothing could be made, the reason instead."""

    words: str = ""
    citations: tuple[Citation, ...] = ()
    confidence: float = 0.0  # share of the asked words that what is quoted is about, 0..1
    reason: str | None = None
    notices: tuple[str, ...] = ()
