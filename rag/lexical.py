"""A `Store` over tantivy: passages by their words (BM25, stemmed). A copy of the catalogue, followed by generation.

Takes   passages and the catalogue's list of changes; a query as people type it: no operators, no syntax, any length.
Gives   at most `k` rows (passage, BM25 score), best first. What is not allowed takes no place, and counts in no score
        either: under a filter another index is searched, of the allowed passages alone (views.py).
Fields  the passage's words, its heading path and the document's name; a word in a heading or name counts half as much
        again. Frequencies only, no positions: the text cannot be put together again from this index.
Stamp   one row with id 0 holds library, analyzer and generation; tantivy commits it together with the passages.
Writing only under the index folder's `WriterLock`; other processes `reload()`.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from posixpath import splitext
from typing import Any

import tantivy
from tantivy import Filter, Occur, Query, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from rag import id_sets
from rag.catalogue import Catalogue
from rag.id_sets import Ids
from rag.language import folded
from rag.types import Passage, Scored
from rag.views import Views

ANALYZER = "words-english-2"  # part of the stamp: another analysis needs another index
FIELDS = {"text": 1.0, "headings": 0.5, "name": 0.5}  # and their weights
LONGEST_QUERY = 64  # different words; more only cost time
LONGEST_WORD = 60  # characters
COMMON = 10_000  # passages; a word that stands in more is not counted exactly
HEAP = 64_000_000  # bytes of one writing thread before it makes a segment
VIEW_HEAP = 32_000_000
AT_ONCE = 10_000  # passages read from the catalogue together
_OLD, _NEW = "lexical.old", "lexical.new"
MARGIN = 2  # times as many rows as would hold enough allowed ones, were these evenly spread
DEEPER = 8  # times as many, each time that they were too few

log = logging.getLogger(__name__)


class Lexical:
    """Threads may share it."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self._folder = folder / "lexical"
        self._catalogue = catalogue
        self._lock = threading.RLock()
        self._index: Any = None
        self._stamp: dict[str, Any] = {}
        self._words = _analyzer(stopwords=False)
        self._asked = _analyzer(stopwords=True)
        self._views = Views(_empty_view, self._put_into)
        self.reload()

    @property
    def generation(self) -> int:
        """The catalogue's generation up to which this copy has followed; -1 where there is none yet."""
        return int(self._stamp.get("generation", -1))

    def __len__(self) -> int:
        """How many passages can be found."""
        return max(0, int(self._index.searcher().num_docs) - 1) if self._stamp else 0  # one row is the stamp

    # --- Store --------------------------------------------------------------------------------------------------------

    def add(self, passages: Collection[Passage]) -> None:
        """Find these too; an id added again is replaced."""
        self._change([passage.id for passage in passages], passages, self._stamp)

    def remove(self, ids: Collection[int]) -> None:
        """Find these no more; unknown ids are ignored."""
        self._change(ids, (), self._stamp)

    def search(self, query: str, k: int, allowed: Collection[int] | None = None) -> list[Scored]:
        """The `k` passages among `allowed` (None: all) that share the query's words best."""
        words = self._query_words(query)
        if not words or k < 1 or self._index is None or (allowed is not None and len(allowed) == 0):
            return []
        searcher, beyond = self._among(allowed)
        return self._scored(searcher, words, k) if beyond is None else self._deepened(searcher, words, k, beyond)

    def scores(self, query: str, ids: Collection[int], allowed: Collection[int] | None = None) -> dict[int, float]:
        """The score that `search` gives each of `ids`, which are allowed, however far down its list; none is 0."""
        words = self._query_words(query)
        if not words or self._index is None or not ids:
            return {}
        searcher, _ = self._among(allowed)
        wanted = id_sets.condition(self._index.schema, id_sets.ascending(ids))
        return dict(self._scored(searcher, words, len(ids), wanted))

    def _deepened(self, searcher: Any, words: Sequence[str], k: int, ids: Ids) -> list[Scored]:
        """The `k` best of `ids`, which are many: as much of the whole list is looked at as holds so many of them.

        With a condition tantivy could not pass over what is too low for the list, and would weigh every passage.
        """
        depth = max(k, MARGIN * k * len(self) // len(ids))
        while True:
            rows = self._scored(searcher, words, depth)
            mine = [
                row for row, here in zip(rows, id_sets.within([row.passage for row in rows], ids), strict=True) if here
            ]
            if len(mine) >= k or len(rows) < depth:
                return mine[:k]
            depth *= DEEPER

    def _scored(self, searcher: Any, words: Sequence[str], k: int, condition: Query | None = None) -> list[Scored]:
        schema = self._index.schema
        found = Query.boolean_query([
            (Occur.Should, Query.boost_query(Query.term_query(schema, field, word, "freq"), weight))
            for field, weight in FIELDS.items() for word in words
        ])  # fmt: skip
        if condition is not None:
            found = Query.boolean_query([(Occur.Must, found), (Occur.Must, condition)])
        hits = searcher.search(found, limit=k, count=False).hits
        ids = searcher.fast_field_values("id", [address for _, address in hits])
        rows = [Scored(int(passage), float(score)) for passage, (score, _) in zip(ids, hits, strict=True)]
        return sorted(rows, key=lambda row: (-row.score, row.passage))

    def counting(self, allowed: Collection[int] | None = None) -> Callable[[str], int]:
        """A way to ask in how many passages among `allowed` (None: all) a word stands, in any of its forms.

        A word may still count where it was removed a moment ago.
        """
        if self._index is None or (allowed is not None and len(allowed) == 0):
            return lambda word: 0  # noqa: ARG005
        searcher, beyond = self._among(allowed)
        condition = None if beyond is None else id_sets.condition(self._index.schema, beyond)

        def count(word: str) -> int:
            stems = self.stems(word)
            if len(stems) != 1 or not any(searcher.doc_freq(field, stems[0]) for field in FIELDS):
                return 0
            schema = self._index.schema
            most = max(searcher.doc_freq(field, stems[0]) for field in FIELDS)
            if condition is None and most > COMMON:
                return int(most)
            within = [(Occur.Should, Query.term_query(schema, field, stems[0], "freq")) for field in FIELDS]
            asked = [(Occur.Must, Query.boolean_query(within))]
            asked += [] if condition is None else [(Occur.Must, condition)]
            return int(searcher.search(Query.boolean_query(asked), limit=1, count=True).count)

        return count

    def every(self, words: str, allowed: Collection[int] | None = None) -> list[int]:
        """All passages among `allowed` (None: all) that hold each of these words, in their text or their headings.

        Nothing is left out for being far down a list: this counts. Stop words are looked for too.
        """
        wanted = self._words.analyze(folded(words))
        if not wanted or self._index is None or (allowed is not None and len(allowed) == 0):
            return []
        schema = self._index.schema
        conditions = [
            (Occur.Must, Query.boolean_query([
                (Occur.Should, Query.term_query(schema, field, word, "freq")) for field in ("text", "headings")
            ]))
            for word in dict.fromkeys(wanted)
        ]  # fmt: skip
        searcher, beyond = self._among(allowed)
        hits = searcher.search(Query.boolean_query(conditions), limit=max(1, len(self)), count=False).hits
        found = sorted(int(number) for number in searcher.fast_field_values("id", [address for _, address in hits]))
        if beyond is None:
            return found
        return [number for number, here in zip(found, id_sets.within(found, beyond), strict=True) if here]

    def _among(self, allowed: Collection[int] | None) -> tuple[Any, Ids | None]:
        """What to search, and the allowed ids where it holds others too."""
        if allowed is None:
            return self._index.searcher(), None
        ids = id_sets.ascending(allowed)
        view = self._views.of(ids)
        return (view, None) if view is not None else (self._index.searcher(), ids)

    def _put_into(self, index: Any, ids: Ids) -> None:
        """Add these passages to a view."""
        writer = index.writer(heap_size=VIEW_HEAP, num_threads=1)
        for start in range(0, len(ids), AT_ONCE):
            for row in self._catalogue.passages(ids[start : start + AT_ONCE].tolist()):
                writer.add_document(_document(row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()

    def stems(self, words: str) -> list[str]:
        """The words as they stand in the index: lower case, accents folded, cut to their stems."""
        return list(self._words.analyze(folded(words)))

    def _query_words(self, query: str) -> list[str]:
        """Stemmed words, each once; "to be or not to be" keeps its stop words, having nothing else."""
        query = folded(query)
        words = self._asked.analyze(query) or self._words.analyze(query)
        return list(dict.fromkeys(words))[:LONGEST_QUERY]

    # --- following the catalogue --------------------------------------------------------------------------------------

    def reload(self) -> None:
        """See what another process has written since."""
        with self._lock:
            try:
                if self._index is None and self._folder.exists():
                    self._index = _opened(self._folder)
                if self._index is not None:
                    self._index.reload()
                    self._set_stamp(_stamp_of(self._index))
            except (ValueError, OSError) as error:  # tantivy raises ValueError for all that it finds damaged
                log.warning("%s: cannot be read (%s); it is made anew from the catalogue", self._folder, error)
                self._index, self._stamp = None, {}

    def _set_stamp(self, stamp: dict[str, Any]) -> None:
        """Where this copy stands now. Views that hold words which were removed since go."""
        before, self._stamp = self._stamp, stamp
        if before and before != stamp:
            if {**before, "generation": 0} != {**stamp, "generation": 0} or self.generation < before["generation"]:
                self._views.clear()
            else:
                self._views.forget(self._catalogue.changes_since(before["generation"]).removed)

    def catch_up(self) -> None:
        """Follow what was committed since. Needs the writer's lock."""
        with self._lock, self._catalogue.snapshot():
            self.reload()
            now = self._now()
            if self._stamp == now:
                return
            foreign = {**self._stamp, "generation": 0} != {**now, "generation": 0}
            if foreign or self.generation > now["generation"]:
                self.rebuild()
                return
            changes = self._catalogue.changes_since(self.generation)
            gone = [*changes.removed, *changes.added]  # after a crash an added one may be there already
            self._change(gone, self._passages(changes.added), now)

    def rebuild(self) -> None:
        """Make the copy anew beside the old one and swap them. Needs the writer's lock."""
        self.sweep()
        aside, old = self._folder.with_name(_NEW), self._folder.with_name(_OLD)
        aside.mkdir(parents=True)
        with self._lock, self._catalogue.snapshot():
            index = _opened(aside)
            _commit(index, (), (p for some in self._catalogue.every_passage() for p in some), self._now())
            del index
            self._index = None
            if self._folder.exists():
                self._folder.rename(old)
            aside.rename(self._folder)
            self.sweep()  # a reader elsewhere keeps its open files until it reloads
            self.reload()

    def sweep(self) -> None:
        """Take away what a crash in `rebuild` has left: it holds words too. Needs the writer's lock."""
        for name in (_OLD, _NEW):
            shutil.rmtree(self._folder.with_name(name), ignore_errors=True)

    def check(self) -> list[str]:
        """One line for each difference from the catalogue; empty when all is well."""
        self.reload()
        with self._lock, self._catalogue.snapshot():
            now, passages = self._now(), self._catalogue.counts()[1]
        if self._stamp != now:
            behind = f"stands at {self.generation}, the catalogue at {now['generation']}"
            return [f"{self._folder}: {behind}: run `rag repair`"]
        if len(self) != passages:
            return [f"{self._folder}: holds {len(self)} passages of {passages}: run `rag repair`"]
        return []

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self._index, self._stamp = None, {}

    def _passages(self, ids: Sequence[int]) -> Iterator[Passage]:
        for start in range(0, len(ids), AT_ONCE):
            yield from self._catalogue.passages(ids[start : start + AT_ONCE])

    def _now(self) -> dict[str, Any]:
        library, generation = self._catalogue.library_id, self._catalogue.generation
        return {"library": library, "analyzer": ANALYZER, "generation": generation}

    def _change(self, gone: Iterable[int], come: Iterable[Passage], stamp: dict[str, Any]) -> None:
        with self._lock:
            if self._index is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._index = _opened(self._folder)
            _commit(self._index, gone, come, stamp)
            self.reload()


def _analyzer(*, stopwords: bool) -> TextAnalyzer:
    """Lower case, accents folded, English stems. Stop words stay in the index and leave only queries."""
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    for step in (Filter.remove_long(LONGEST_WORD), Filter.lowercase(), Filter.ascii_fold()):
        builder = builder.filter(step)
    if stopwords:
        builder = builder.filter(Filter.stopword("english"))
    return builder.filter(Filter.stemmer("english")).build()


def _opened(folder: Path | None) -> Any:
    """The index in `folder`, made where the folder is empty; without one, in memory."""
    schema = tantivy.SchemaBuilder()
    schema.add_unsigned_field("id", indexed=True, fast=True)
    for field in FIELDS:
        schema.add_text_field(field, tokenizer_name=ANALYZER, index_option="freq")
    schema.add_bytes_field("stamp", stored=True)
    index = tantivy.Index(schema.build(), path=str(folder) if folder else None)
    index.register_tokenizer(ANALYZER, _analyzer(stopwords=False))
    index.config_reader("manual")  # nobody sees a commit before `reload`
    return index


def _empty_view() -> Any:
    """With a row for the stamp, since the library's own index counts one too."""
    index = _opened(None)
    writer = index.writer(heap_size=VIEW_HEAP, num_threads=1)
    mark = tantivy.Document()
    mark.add_unsigned("id", 0)
    writer.add_document(mark)
    writer.commit()
    writer.wait_merging_threads()
    return index


def _stamp_of(index: Any) -> dict[str, Any]:
    searcher = index.searcher()
    hits = searcher.search(Query.term_query(index.schema, "id", 0), limit=1).hits
    if not hits:
        return {}
    stamp: dict[str, Any] = json.loads(bytes(searcher.doc(hits[0][1])["stamp"][0]))
    return stamp


def _commit(index: Any, gone: Iterable[int], come: Iterable[Passage], stamp: dict[str, Any]) -> None:
    """One commit: rows that go, rows that come, and where the copy stands now."""
    writer = index.writer(heap_size=HEAP, num_threads=1)
    # by query: in tantivy 0.27 deleting by a term of a number field finds nothing, in silence
    writer.delete_documents_by_query(Query.term_set_query(index.schema, "id", [0, *(int(passage) for passage in gone)]))
    for row in come:
        writer.add_document(_document(row))
    mark = tantivy.Document()
    mark.add_unsigned("id", 0)
    mark.add_bytes("stamp", json.dumps(stamp).encode())
    writer.add_document(mark)
    writer.commit()
    writer.wait_merging_threads()  # gives tantivy's own lock back


def _document(passage: Passage) -> tantivy.Document:
    row = tantivy.Document()
    row.add_unsigned("id", passage.id)
    row.add_text("text", folded(passage.text))
    row.add_text("headings", folded(" ".join(passage.headings)))
    row.add_text("name", _name(passage.document))
    return row


@lru_cache(maxsize=64)  # a document's passages come together
def _name(document: str) -> str:
    return splitext(document)[0]
