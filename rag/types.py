"""The nouns of the product, and the protocols its parts answer.

Takes   nothing: this module imports only the standard library.
Gives   frozen values (they can be logged, cached, compared and passed between threads) and four protocols.
Units   characters are Python string indices into `Document.text`; pages count from 1; scores say their own range.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

LOCAL_OWNER = "local"  # who asks where no accounts exist
DEFAULT_COLLECTION = "default"


# --- from files to passages -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """One page as a loader read it. `number` is None where the format has no pages."""

    number: int | None
    text: str
    ocr: bool = False  # the text was recognised in a picture, not written in the file
    note: str | None = None  # one line: what of this page was skipped, and the next step
    at: float | None = None  # of a recording: seconds from its beginning


class PageSpan(NamedTuple):
    """Where one page stands in `Document.text`: `text[start:end]`."""

    number: int | None
    start: int
    end: int
    at: float | None = None  # of a recording: seconds from its beginning


@dataclass(frozen=True, slots=True)
class Draft:
    """A cleaned document that has no identity yet: what `clean.draft` makes of the pages of one file."""

    title: str
    text: str
    pages: tuple[PageSpan, ...]
    pages_without_text: tuple[int, ...] = ()  # page numbers that hold no readable text
    ocr_pages: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()  # one line each, for the report: what was skipped and the next step


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a draft: `draft.text[start:end] == text`."""

    start: int
    end: int
    text: str
    page: int | None
    headings: tuple[str, ...] = ()  # path from the document's title down to the nearest heading
    at: float | None = None  # of a recording: seconds from its beginning


@dataclass(frozen=True, slots=True)
class Document:
    """A committed version of a document."""

    id: int  # of this version; a replaced document gets a new one
    collection: str
    source: str  # the folder or upload it came from
    path: str  # relative, POSIX slashes
    name: str  # what people see: `path`, with the source's folder name in front where another source holds that path
    version: int  # counts from 1 for each (collection, source, path)
    title: str
    text: str
    pages: tuple[PageSpan, ...]
    sha256: str  # of the file's bytes
    pages_without_text: int
    passages: int
    added_at: str  # ISO 8601, UTC
    current: bool = True  # False for a version that was replaced


@dataclass(frozen=True, slots=True)
class Passage:
    """What is indexed, found and quoted: `document.text[start:end] == text`."""

    id: int
    document_id: int
    document: str  # the document's name
    version: int
    start: int
    end: int
    text: str
    page: int | None
    headings: tuple[str, ...] = ()
    collection: str = DEFAULT_COLLECTION
    group: int = 0  # passages with the same group are near copies of each other
    time: str | None = None  # of a recording: when it begins, as `00:12:31`

    @property
    def context(self) -> str:
        """The text with its heading path in front: what embedders and readers see. Only the text can be quoted."""
        return " > ".join(self.headings) + "\n" + self.text if self.headings else self.text


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. `status` is added, unchanged, replaced, removed or failed."""

    document: str
    status: str
    passages: int = 0
    pages_without_text: int = 0
    reason: str | None = None  # for `failed`: file, reason and next step in one line; else notes, or None
    models: tuple[int, ...] = ()  # for `removed`: promoted versions of the model that learnt from it
    back: str = ""  # where one of them answers: what `rag promote --back` is given to return to the last that did not

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; `models` and `back` where there are some."""
        kept = [one.name for one in fields(self) if one.name not in ("models", "back") or self.models]
        return {name: getattr(self, name) for name in kept}


# --- from a question to an answer -------------------------------------------------------------------------------------


class Scored(NamedTuple):
    """One row of a store's result. Higher is better; compare scores only within one call."""

    passage: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage, whose place it names. `score` is in 0..1 after fusion, comparable within one call."""

    passage: Passage
    score: float
    nearness: float = 0.0  # cosine with the question; 0 where the words alone found it

    @property
    def document(self) -> str:
        return self.passage.document

    @property
    def version(self) -> int:
        return self.passage.version

    @property
    def page(self) -> int | None:
        return self.passage.page

    @property
    def time(self) -> str | None:
        return self.passage.time

    @property
    def start(self) -> int:
        return self.passage.start

    @property
    def end(self) -> int:
        return self.passage.end

    @property
    def text(self) -> str:
        return self.passage.text


class Span(NamedTuple):
    """A reader's answer: `passages[passage].text[start:end]`, characters."""

    passage: int  # index in the list that was read
    start: int
    end: int
    score: float  # probability-like, 0..1, comparable within one reading


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read of question and passages gives."""

    evidence: tuple[float, ...]  # per passage, 0..1: does it hold the answer?
    support: float  # 0..1: do the passages together hold an answer?
    spans: tuple[Span, ...]  # best first; empty where nothing was found


@dataclass(frozen=True, slots=True)
class Message:
    """One earlier turn: a question and the answer it got."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Exact words: `library.document(document, version).text[start:end] == quote`."""

    document: str
    version: int
    page: int | None
    start: int
    end: int
    quote: str
    passage: int
    score: float
    time: str | None = None  # when it is said, as `00:12:31`; None where the document is no recording

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Citation.__slots__ if name != "time" or self.time}


@dataclass(frozen=True, slots=True)
class Statement:
    """What one of several documents says that disagree, and of when that document is."""

    citation: Citation
    date: str  # ISO 8601: a day or a year
    dated: str  # what the date is: "dated" or "valid until", as the document says, or "added" to the library


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said, and on what it rests. When `abstained`, `text` is the refusal and `nearest` lists up to three."""

    text: str
    abstained: bool
    confidence: float  # 0..1
    citations: tuple[Citation, ...]
    answer_id: str
    model: str
    index_generation: int
    timings_ms: dict[str, float]
    question: str = ""  # as asked
    standalone: str = ""  # as searched: equals `question` for a first question
    nearest: tuple[Citation, ...] = ()
    reason: str | None = None  # why it abstained, in one sentence for people
    notices: tuple[str, ...] = ()  # e.g. the outside endpoint failed and our own model answered
    query_side: str = ""  # name and hash of the tuned query side that embedded the question; "" without one
    disagreement: tuple[Statement, ...] = ()  # where documents contradict each other: all sides, each cited too
    remembered: tuple[str, ...] = ()  # ids of the facts it used; their words stand in one place only, with the person

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the command line and HTTP."""
        result: dict[str, Any] = {
            "answer": self.text,
            "abstained": self.abstained,
            "confidence": round(self.confidence, 4),
            "citations": [cited.as_dict() for cited in self.citations],
            "answer_id": self.answer_id,
            "model": self.model,
            "index_generation": self.index_generation,
            "timings_ms": {key: round(value, 1) for key, value in self.timings_ms.items()},
            "question": self.question,
            "standalone_question": self.standalone,
        }
        if self.abstained:
            result["nearest"] = [cited.as_dict() for cited in self.nearest]
            result["reason"] = self.reason
        if self.disagreement:
            sides = ((one, one.citation.as_dict()) for one in self.disagreement)
            result["disagreement"] = [{**cited, "date": one.date, "dated": one.dated} for one, cited in sides]
        if self.query_side:
            result["query_side"] = self.query_side
        if self.remembered:
            result["remembered"] = list(self.remembered)
        if self.notices:
            result["notices"] = list(self.notices)
        return result


# --- events of an answer, in this order: Searching, Found, Text*, Quoted*, Done ---------------------------------------


@dataclass(frozen=True, slots=True)
class Searching:
    """The question as it will be searched; differs from the asked one for follow-ups."""

    question: str
    remembered: tuple[str, ...] = ()  # what the person asked to be remembered and this question needs


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that will be read, best first."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """The next stretch of the answer's words."""

    text: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """A checked quotation; `number` is the [1] of the answer."""

    number: int
    citation: Citation


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer, audited."""

    answer: Answer


Event = Searching | Found | Text | Quoted | Done


# --- protocols --------------------------------------------------------------------------------------------------------


class Store(Protocol):
    """What retrieval asks of an index. `vectors.py` (FAISS) and `lexical.py` (tantivy) answer it."""

    def add(self, passages: Collection[Passage]) -> None: ...  # an id added again is replaced

    def remove(self, ids: Collection[int]) -> None: ...  # unknown ids are ignored: repairs repeat

    def search(self, query: str, k: int, allowed: Collection[int] | None = None) -> list[Scored]: ...  # [] is not None


class Embedder(Protocol):
    """Texts become unit vectors."""

    @property
    def identity(self) -> str: ...  # hash of weights, tokenizer and pooling: an index belongs to one identity

    @property
    def dimension(self) -> int: ...

    @property
    def query_side(self) -> str: ...  # name and hash of what embeds questions; "" where it is what embeds passages

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...  # [texts, dimension], rows of length 1

    def embed_questions(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...  # to be compared with `embed`'s


class Reader(Protocol):
    """Points at the answer. A fine-tuned encoder and the from-scratch trunk both answer it."""

    @property
    def name(self) -> str: ...  # of the model folder, with its hash

    @property
    def threshold(self) -> float: ...  # least confidence for an answer

    @property
    def risk(self) -> Sequence[tuple[float, float, float]]: ...  # what thresholds refuse and get wrong (rag/risk.py)

    @property
    def confidence(self) -> Mapping[str, float] | None: ...  # fitted weights (rag/rerank.py); None: support is it

    @property
    def order(self) -> Mapping[str, float] | None: ...  # weights of the witnesses (rag/rerank.py); None: defaults

    def read(self, question: str, passages: Sequence[Passage]) -> Reading: ...


class Speaker(Protocol):
    """Gives the words of an answer, as a stream of text."""

    @property
    def name(self) -> str: ...

    def say(self, question: str, spans: Sequence[Span], passages: Sequence[Passage]) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stored conversation."""

    id: str
    title: str
    person: str
    updated_at: str
    turns: tuple[dict[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Fact:
    """What a person asked to be remembered, in one sentence."""

    id: str
    text: str
    at: str
    edited_at: str | None = None
