"""The text that every future reader of a bundle may see, and where old places stand in it today.

Takes   the catalogue and whom the bundle is for: everybody of the library, or the named persons.
Gives   the current documents that all of them may read, their passages, and for a place in any version of one of them
        the passage that holds the same words now.
Refuses (LeftOut, with a reason that is counted) places in documents that are closed to one of them, were removed, or
        say something else by now. Nothing else of a closed document is ever looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from rag.accounts.rights import reads
from rag.catalogue import Catalogue
from rag.types import Document, Passage

CLOSED = "its document is not open to every future reader"
REMOVED = "its document was removed"
REPLACED = "its words no longer stand in the current version"
# Open to whoever stands in the library now or later: an audience of nobody in particular.
_TO_ALL = "d.access = '[]' and not exists (select 1 from grants where collection = d.collection)"
_TO_EACH = f"""(with a(person) as (select value from json_each(:audience))
    select count(*) = sum({reads("d").replace(":person", "a.person")}) from a)"""  # noqa: S608 - our own condition
_OPEN = f"""
    select d.id, d.access from documents d where d.current = 1
    and case :audience when '[]' then {_TO_ALL} else {_TO_EACH} end
    and (:collection is null or d.collection = :collection)
    order by d.collection, d.source, d.path"""  # noqa: S608 - our own conditions
# The version that a name and a number mean, and today's of the same document; removed ones last.
_TODAY = """
    select d.id, c.id from documents d left join documents c
    on c.collection = d.collection and c.source = d.source and c.path = d.path and c.current = 1
    where d.name = ? and d.version = ? order by c.id is null, d.id"""


class LeftOut(Exception):  # noqa: N818 - a decision that is counted, not an error
    """Why something is not in the bundle."""


class Place(NamedTuple):
    """Words in a passage: `passage.text[start:end]`."""

    passage: Passage
    start: int
    end: int

    @property
    def words(self) -> str:
        """The words."""
        return self.passage.text[self.start : self.end]


def open_to(
    catalogue: Catalogue, audience: Sequence[str] = (), collection: str | None = None
) -> dict[int, tuple[str, ...]]:
    """The current documents that all of the audience may read (nobody named: everybody), with their own readers."""
    wanted = {"audience": json.dumps(sorted(set(audience))), "collection": collection}
    return {number: tuple(json.loads(access)) for number, access in catalogue.db.execute(_OPEN, wanted)}


class Readable:
    """One state of the catalogue, as far as all readers of a bundle may know it."""

    def __init__(self, catalogue: Catalogue, audience: Sequence[str] = (), collection: str | None = None) -> None:
        self._catalogue = catalogue
        self.access = open_to(catalogue, audience, collection)
        self.documents: dict[int, Document] = {number: catalogue.document_of(number) for number in self.access}
        self.passages_of = lru_cache(maxsize=64)(self._passages_of)
        self.text_of = lru_cache(maxsize=64)(self._text_of)

    def readers(self, documents: Sequence[int]) -> list[str]:
        """Who may read all of these; an empty list is everybody."""
        named = [set(self.access[document]) for document in documents if self.access[document]]
        return sorted(set.intersection(*named)) if named else []

    def today(self, place: Mapping[str, Any]) -> Place:
        """The same words in today's passages. Raises LeftOut."""
        document, start, end = self._document(place)
        passages = [p for p in self.passages_of(document) if p.start < end and start < p.end]
        if not passages:
            raise LeftOut(REPLACED)  # between two passages: a heading, a line that is cut away
        whole = next((p for p in passages if p.start <= start and end <= p.end), None)
        if whole is None:  # over the end of a passage: both, and what stands between them
            first, last = passages[0], passages[-1]
            begin, stop = min(first.start, start), max(last.end, end)
            whole = replace(first, start=begin, end=stop, text=self.text_of(document)[begin:stop])
        return Place(whole, start - whole.start, end - whole.start)

    def still(self, places: Sequence[Mapping[str, Any]]) -> list[Passage]:
        """Of passages that were read once, those that are open and say the same today, each once, in that order."""
        found: dict[int, Passage] = {}
        for place in places:
            try:
                passage = self.today(place).passage
            except LeftOut:
                continue
            found.setdefault(passage.id, passage)
        return list(found.values())

    def _document(self, place: Mapping[str, Any]) -> tuple[int, int, int]:
        """Today's version, and where in it the words stand."""
        start, end = int(place["start"]), int(place["end"])
        rows = self._catalogue.db.execute(_TODAY, (place["document"], place["version"])).fetchall()
        if not any(today for _, today in rows):
            raise LeftOut(REMOVED)
        then, today = next(((then, today) for then, today in rows if today in self.documents), (0, 0))
        if not today:
            raise LeftOut(CLOSED)
        if then == today:
            return today, start, end
        words = self._catalogue.document_of(then, with_text=True).text[start:end]
        text = self.text_of(today)
        if not words.strip() or text.count(words) != 1:
            raise LeftOut(REPLACED)
        at = text.index(words)
        return today, at, at + len(words)

    def _passages_of(self, document: int) -> list[Passage]:
        return self._catalogue.passages_of(document)

    def _text_of(self, document: int) -> str:
        return self._catalogue.document_of(document, with_text=True).text
