"""What a task works with: the documents that one person may read, all of them, each loaded once.

Takes   an open library's parts, what was found for the question, and who asks in which collection.
Gives   documents by name, by the words they mention, and by id; words cut to their stems; the reader's judgement.
Rights  hold in each of these: the stores search among the allowed passages only, the catalogue lists what this person
        may read, and no document comes in by another way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from rag import access
from rag.moments import clock, moment
from rag.parts import Parts
from rag.types import Document, Hit, Passage, Reader

_WORD = re.compile(r"[^\W_]+")
_SMALL = frozenset(
    "about after all also am an and any are as at be been being but by can could did do does each else every "
    "everything for from had has have he her his how i if in into is it its may me might must my no not of on or our "
    "ours over per shall she should so some somebody someone something such than that the their them then there these "
    "they this those to us was we were what when where which who whom whose why will with would you your".split()
)
# Words that call a thing a document; they are no part of its name, unless its name has them.
_KINDS = "article book chapter content doc document file guide handbook html manual md note page pdf section text"
_SAME_NAME = 0.7  # least likeness of a document's name to the words that name it
_DOCUMENTS_OF = "select distinct document_id from passages where id in (select value from json_each(?))"
_PLACES = "select id, start, stop from passages where document_id = ? order by start"


class Named(NamedTuple):
    """A document whose name is like the words that were asked."""

    likeness: float  # 0..1
    document: Document  # its text not loaded


@dataclass
class Desk:
    """See the module."""

    parts: Parts
    reader: Reader
    found: Sequence[Hit]  # what the search found for the whole question, best first
    collection: str | None = None
    person: str | None = None
    _loaded: dict[int, Document] = field(default_factory=dict)
    _places: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    _stems: dict[str, str] = field(default_factory=dict)

    @cached_property
    def readable(self) -> dict[int, Document]:
        """Every current document that this person may read in this collection, by id, without texts."""
        found = self.parts.catalogue.documents(collection=self.collection, person=self.person)
        return {document.id: document for document in found}

    def document(self, number: int) -> Document:
        """The version with this id, with its text."""
        if number not in self._loaded:
            self._loaded[number] = self.parts.catalogue.document_of(number, with_text=True)
        return self._loaded[number]

    def passage_at(self, document: int, start: int) -> int:
        """The id of the passage that holds this place of the document, or else of the next one; 0 where none does."""
        if document not in self._places:
            self._places[document] = self.parts.catalogue.db.execute(_PLACES, (document,)).fetchall()
        places = self._places[document]
        at = next((number for number, _, stop in places if start < stop), 0)
        return int(at or (places[-1][0] if places else 0))

    # --- words --------------------------------------------------------------------------------------------------------

    def stem(self, word: str) -> str:
        """One word as the index knows it."""
        if word not in self._stems:
            self._stems[word] = next(iter(self.parts.lexical.stems(word)), word.lower())
        return self._stems[word]

    def stems(self, words: str) -> frozenset[str]:
        """The content words as the index knows them."""
        told = (word for word in _WORD.findall(words) if word.lower() not in _SMALL)
        return frozenset(self.stem(word) for word in told if len(word) > 1 or word.isdigit())

    def share(self, wanted: frozenset[str], words: str) -> float:
        """How much of `wanted` these words hold, 0..1."""
        return len(wanted & self.stems(words)) / len(wanted) if wanted else 0.0

    def mentions(self, subject: str, text: str) -> list[tuple[int, int]]:
        """Where the text holds the words of `subject` one after the other, in singular or plural."""
        words = _WORD.findall(subject)
        if not words:
            return []
        wanted = [singular(word.lower()) for word in words]
        shout = [word.isupper() and word.lower() in _SMALL for word in words]  # IT, US: not the small word
        begins = (re.escape(word[:-1] if word[-1] == "y" else word) for word in wanted)
        pattern = r"(?<![^\W_]-)" + r"[\W_]+".join(rf"(?<![^\W_]){word}[^\W_]*" for word in begins)
        return [
            match.span()
            for match in re.finditer(pattern, text, re.IGNORECASE)
            if all(
                singular(said.lower()) == one and (not loud or said == word)
                for said, one, loud, word in zip(_WORD.findall(match.group()), wanted, shout, words, strict=True)
            )
        ]

    # --- documents ----------------------------------------------------------------------------------------------------

    def with_words(self, subject: str) -> list[int]:
        """Ids of all documents in which one passage, with its headings, holds every word of `subject`."""
        allowed = access.allowed(self.parts.catalogue, self.person, self.collection)
        passages = self.parts.lexical.every(subject, allowed)
        rows = self.parts.catalogue.db.execute(_DOCUMENTS_OF, (json.dumps(passages),))
        return sorted(row[0] for row in rows if row[0] in self.readable)

    def named(self, words: str, most: int = 5) -> list[Named]:
        """Documents whose title or file name these words are like enough to mean it, the likeliest first."""
        wanted = self.stems(words)
        if not wanted:
            return []
        found = [Named(self._likeness(words, wanted, document), document) for document in self.readable.values()]
        found = [one for one in found if one.likeness >= _SAME_NAME]
        return sorted(found, key=lambda one: (-one.likeness, one.document.name))[:most]

    def _likeness(self, words: str, wanted: frozenset[str], document: Document) -> float:
        """How like a document's name the words are, 0..1: how much of each is in the other."""
        path = PurePosixPath(document.name)
        if words.casefold() in (document.name.casefold(), path.name.casefold(), document.title.casefold()):
            return 1.0
        title, stem = self.stems(document.title), self.stems(path.name.partition(".")[0])
        name = title | stem
        core = (wanted - self.stems(_KINDS)) | (wanted & name)
        if not core or not name or not core & name:
            return 0.0
        where = name | self.stems(" ".join(path.parts[:-1])) | self.stems(document.source.rpartition("/")[2])
        asked = len(core & name) + 0.5 * len(core & where - name)  # a folder's name tells which of two is meant
        told = sum(len(core & part) / len(part) for part in (title or name, stem or name)) / 2
        return 0.75 * asked / len(core) + 0.25 * told

    # --- judgement ----------------------------------------------------------------------------------------------------

    def evidence(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """For each passage, how likely it answers the question by the reader's judgement, 0..1."""
        return list(self.reader.read(question, passages).evidence) if passages else []

    def window(self, document: Document, start: int, end: int) -> Passage:
        """A stretch of a document as a passage, to be read or quoted."""
        page = next(
            (page.number for page in document.pages if page.start <= start < max(page.end, page.start + 1)), None
        )
        return Passage(
            self.passage_at(document.id, start), document.id, document.name, document.version, start, end,
            document.text[start:end], page, (), document.collection, time=clock(moment(document.pages, start)),
        )  # fmt: skip


def singular(word: str) -> str:
    """A lower-case word without the sign of the plural: policies, policy; boxes, box; days, day.

    >>> [singular(word) for word in ("policies", "boxes", "days", "class", "bus")]
    ['policy', 'box', 'day', 'class', 'bus']
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("shes", "ches", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
