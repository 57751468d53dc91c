"""The noun of feedback: what a person thought of an answer, and the words they pointed at.

Takes   nothing: this module imports only the standard library and the nouns.
Gives   frozen values. `feedback.py` makes them, `review.py` decides, `bundle.py` takes them out for training.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.types import LOCAL_OWNER


@dataclass(frozen=True, slots=True)
class Marked:
    """Words of a document that a person pointed at: `library.document(document, version).text[start:end] == quote`."""

    document: str
    version: int
    start: int
    end: int
    quote: str = ""  # empty where the document was removed since: then its words are nowhere


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person thought of one answer, or which of two answers was the better one."""

    answer_id: str  # of a choice: the answer that was preferred
    verdict: str  # of a rating: up or down; of a choice: chosen, or equal
    reason: str | None = None  # one of feedback.REASONS
    better: str | None = None  # what the answer should have said
    person: str = LOCAL_OWNER
    at: str = ""
    id: str = ""
    kind: str = "rating"  # or choice
    other: str | None = None  # of a choice: the answer that was not preferred
    side: str | None = None  # of a choice: a or b, where the preferred answer was shown; None: equal
    marked: Marked | None = None  # the right words, in their document
    state: str = "new"  # accepted, rejected; nothing but what was accepted ever trains a model
    reviewer: str | None = None
    reviewed_at: str | None = None
    note: str | None = None  # the reviewer's
    editor: str | None = None  # who changed it last
    edited_at: str | None = None
