"""The handle: one library of documents, its model, and everything that can be asked of them.

    with rag.open("indexes/hr") as library:
        library.add("handbook/")
        answer = library.ask("How many days of leave do I have?")

Takes   an index folder, made when it is missing, and settings.
Gives   the nouns of `rag/types.py`. Each method calls one module that does the work.
Refuses to ask without a model (ModelError says where one comes from); adding and searching need none.
Threads may share a library. FAISS, tantivy and the embedder load at the first search, the model at the first question:
        listing and showing documents stays instant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rag import memory
from rag.accounting import ROLES as ROLES  # the doors know the library only
from rag.accounting import SCOPES as SCOPES
from rag.accounting import Accounting
from rag.accounting import Person as Person
from rag.accounting import Token as Token
from rag.audit import ASKED
from rag.auditing import Auditing
from rag.catalogue import Catalogue
from rag.config import Endpoint, Settings
from rag.connecting import Connecting
from rag.connecting import Options as Options
from rag.connecting import is_address as is_address
from rag.improving import Improving
from rag.improving import Loss as Loss
from rag.improving import Outlook as Outlook
from rag.improving import Run as Run
from rag.judging import REASONS as REASONS  # the doors know the library only
from rag.judging import ROUTES as ROUTES
from rag.judging import STATES as STATES
from rag.judging import Judging
from rag.keeping import HOLDS as HOLDS
from rag.keeping import Keeping
from rag.keeping import Pinned as Pinned
from rag.keeping import Retention as Retention
from rag.measuring import Measuring
from rag.opening import Opening
from rag.promoting import Promoting
from rag.reembedding import Reembedding
from rag.types import (
    DEFAULT_COLLECTION,
    LOCAL_OWNER,
    Answer,
    Conversation,
    Document,
    Done,
    Event,
    FileReport,
    Hit,
    Message,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rag.asked import Question as Question
    from rag.doctor import Finding
    from rag.evaluate import Report
    from rag.insight import Gap as Gap
    from rag.insight import Insight as Insight
    from rag.insight import Totals as Totals
    from rag.measuring import Gaps as Gaps
    from rag.measuring import Measurement as Measurement
    from rag.measuring import Model as Model
    from rag.measuring import Outcome as Outcome
    from rag.measuring import QuestionSet as QuestionSet
    from rag.measuring import Trend as Trend
    from rag.parts import Parts
    from rag.review import QueueRow as QueueRow
    from rag.usage import Use as Use

STARTER_DOCUMENTS = 24  # looked at for starter questions: opening the chat must not read a thousand documents
History = Sequence[Message | tuple[str, str]]


def open(path: str | Path, settings: Settings | None = None, *, promoted: bool = True) -> Library:
    """Open the library in the folder `path`, or make an empty one there.

    The model that was promoted there answers (rag/versions.py); not `promoted`: the one that the settings name.
    """
    return Library(Path(path), settings or Settings(index=Path(path)), promoted=promoted)


def examine(settings: Settings) -> list[Finding]:
    """What this machine has and what is missing; creates nothing."""
    from rag import doctor

    return doctor.examine(settings)


def try_endpoint(endpoint: Endpoint) -> str:
    """Ask an outside model one small question and give its words. Raises EndpointError."""
    from rag import endpoint as outside

    return outside.try_out(endpoint)


def _turns(history: History) -> tuple[Message, ...]:
    return tuple(turn if isinstance(turn, Message) else Message(*turn) for turn in history)


class Library(
    Opening, Accounting, Judging, Keeping, Connecting, Auditing, Improving, Measuring, Promoting, Reembedding
):
    """See the module; every argument `person` is the local owner when None, every `collection` means all."""

    def __init__(self, path: Path, settings: Settings, *, promoted: bool = True) -> None:
        self._promoted = promoted
        self.path = path
        self.settings = settings
        self._catalogue = Catalogue(path / "catalogue.db")
        self._opened: Parts | None = None
        self._opening = threading.RLock()
        self._purge_now_and_then()

    # --- documents ----------------------------------------------------------------------------------------------------

    def add(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        collection: str = DEFAULT_COLLECTION,
        sync: bool = False,
        access: Sequence[str] = (),
        passwords: Sequence[str] = (),
        progress: Callable[[Any], None] | None = None,
    ) -> list[FileReport]:
        """Index files, folders, archives in them and addresses (`connect`); one report for every file met.

        `sync` also removes what vanished from the folders. `access` names who may read them; nobody named: all.
        `passwords` may open protected files; they are kept nowhere.
        """
        from rag import ingest
        from rag.discover import archives
        from rag.load import unlock

        given = [paths] if isinstance(paths, str | Path) else paths
        before = self._catalogue.generation
        files = [Path(path) for path in given if not is_address(path)]
        named: dict[str, Any] = {"collection": collection, "sync": sync, "access": access, "progress": progress}
        with unlock.using(passwords):
            reports = ingest.ingest(self._parts(), files, **named) if files else []
        named["passwords"] = passwords
        self._recheck_since(before)
        reports = [self._with_models(report, collection) for report in reports]
        addresses = [path for path in given if is_address(path)] + archives(files)
        return reports + [one for path in addresses for one in self.connect(path, **named)]

    def add_bytes(
        self,
        name: str,
        data: bytes,
        *,
        collection: str = DEFAULT_COLLECTION,
        progress: Callable[[Any], None] | None = None,
    ) -> FileReport:
        """Index an upload; one of the same name in the collection is replaced."""
        from rag import ingest

        before = self._catalogue.generation
        report = ingest.ingest_bytes(self._parts(), name, data, collection=collection, progress=progress)
        self._recheck_since(before)
        return report

    def remove(self, document: str, *, collection: str | None = None, person: str | None = None) -> FileReport:
        """Take a document and its former versions out, and erase their words; `models` of the report learnt from it."""
        from rag import ingest

        before = self._catalogue.generation
        found = self._catalogue.document(document, collection=collection, person=person)
        report = ingest.remove(self._parts(), found, person=person)
        self._recheck_since(before)
        return self._with_models(report, found.collection)

    def documents(self, *, collection: str | None = None, person: str | None = None) -> list[Document]:
        """The current documents, by name; their text is not loaded."""
        return self._catalogue.documents(collection=collection, person=person)

    def document(
        self, name: str, version: int | None = None, *, collection: str | None = None, person: str | None = None
    ) -> Document:
        """One document with its text; a former version while it is kept. Raises NotFound."""
        return self._catalogue.document(name, version, collection=collection, person=person)

    def starters(self, n: int = 3, *, collection: str | None = None, person: str | None = None) -> list[str]:
        """Questions to start with, drawn from the documents' headings."""
        from rag.starters import starters

        found = self.documents(collection=collection, person=person)
        step = max(1, len(found) // STARTER_DOCUMENTS)
        chosen = (self._catalogue.document_of(d.id, with_text=True) for d in found[::step][:STARTER_DOCUMENTS])
        return starters(((document.title, document.text) for document in chosen), n)

    # --- questions ----------------------------------------------------------------------------------------------------

    def search(self, text: str, k: int = 10, *, collection: str | None = None, person: str | None = None) -> list[Hit]:
        """At most `k` passages, best first; nothing found is an empty list."""
        from rag.retrieve import retrieve

        return retrieve(text, parts=self._parts(), k=k, collection=collection, person=person)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, a row a text, as passages are embedded."""
        return self._parts().embedder.embed(texts)

    def rewritten(self, question: str, history: History) -> str:
        """How a follow-up is understood; give it back to `ask`, changed as you like, as `standalone`."""
        from rag.followup import standalone

        return standalone(question, _turns(history))

    def ask(
        self,
        question: str,
        *,
        history: History = (),
        collection: str | None = None,
        person: str | None = None,
        standalone: str | None = None,
    ) -> Answer:
        """The whole answer at once. `standalone` is searched and read instead of our rewriting of a follow-up."""
        how: dict[str, Any] = {"history": history, "collection": collection, "person": person}
        for event in self.stream(question, standalone=standalone, **how):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("an answer's events end with Done")

    def stream(
        self,
        question: str,
        *,
        history: History = (),
        collection: str | None = None,
        person: str | None = None,
        standalone: str | None = None,
        purpose: str = ASKED,
    ) -> Iterator[Event]:
        """The answer as it comes; closing the generator stops it. `purpose` goes to the audit: see `insight`."""
        from rag.answer import answer

        events = answer(
            self._model_parts(), question, history=_turns(history), collection=collection, person=person,
            purpose=purpose, standalone=standalone,
        )  # fmt: skip
        return self._rechecker().aside(events)

    # --- conversations ------------------------------------------------------------------------------------------------

    def new_conversation(self, *, collection: str | None = None, person: str | None = None) -> Conversation:
        """An empty conversation; its title comes with the first question."""
        return memory.create(self._catalogue, person=person or LOCAL_OWNER, collection=collection)

    def conversations(self, *, search: str | None = None, person: str | None = None) -> list[Conversation]:
        """A person's conversations, the latest first; `search` looks in titles, questions and answers."""
        self._purge_now_and_then()
        return memory.conversations(self._catalogue, person=person or LOCAL_OWNER, search=search)

    def conversation(self, conversation: str, *, person: str | None = None) -> Conversation:
        """One conversation with its turns. Raises NotFound, also for another person's."""
        return memory.conversation(self._catalogue, conversation, person=person or LOCAL_OWNER)

    def export_conversation(self, conversation: str, *, person: str | None = None) -> str:
        """A conversation as Markdown, each answer with its quotations."""
        return memory.export(self.conversation(conversation, person=person))

    def append(self, conversation: str, answer: Answer, *, person: str | None = None) -> None:
        """Store an answer as the next turn."""
        memory.append(self._catalogue, conversation, answer, person=person or LOCAL_OWNER)

    def rename(self, conversation: str, title: str, *, person: str | None = None) -> None:
        """Give a conversation another title."""
        memory.rename(self._catalogue, conversation, title, person=person or LOCAL_OWNER)

    def delete(self, conversation: str, *, person: str | None = None) -> None:
        """Delete a conversation and its turns; the audit keeps its answers."""
        memory.delete(self._catalogue, conversation, person=person or LOCAL_OWNER)
        self._catalogue.truncate()

    # --- state --------------------------------------------------------------------------------------------------------

    def status(self, *, person: str | None = None) -> dict[str, Any]:
        """Model, documents, passages, generation; the embedder once it is loaded. Quick: loads nothing."""
        documents, passages = self._catalogue.counts() if person is None else self._counts_for(person)
        return {
            "model": self._model_name(),
            "documents": documents,
            "passages": passages,
            "generation": self._catalogue.generation,
            "embedder": self.embedder_name,
            "precision": getattr(self._opened.embedder, "precision", None) if self._opened else None,
            "index": str(self.path),
        }

    def _counts_for(self, person: str) -> tuple[int, int]:
        """What there is for one person: how much else there is, is no one else's business."""
        from rag.access import allowed

        found = allowed(self._catalogue, person, None)
        return len(self.documents(person=person)), self._catalogue.counts()[1] if found is None else len(found)

    def evaluate(self, questions: Path | Sequence[dict[str, Any]]) -> Report:
        """Ask a question set and count right, wrong and refused, in percent."""
        from rag import evaluate

        rows = evaluate.load(questions) if isinstance(questions, Path) else questions
        return evaluate.evaluate(self, rows)

    def insight(self, days: int | None = 30, *, collection: str | None = None, person: str | None = None) -> Insight:
        """What the last `days` days of questions say about the documents; None looks at everything."""
        from rag.insight import insight

        return insight(self._parts(), days=days, collection=collection, person=person)

    def revision(self) -> tuple[int, ...]:
        """Differs after each commit of any process: what was drawn may be kept while it is the same."""
        files = (self._catalogue.path, self._catalogue.path.with_name(f"{self._catalogue.path.name}-wal"))
        return tuple(part for file in files if file.exists() for part in (file.stat().st_mtime_ns, file.stat().st_size))

    def verify(self) -> list[str]:
        """What is not as it must be, a line each; empty when all is well."""
        from rag import upkeep

        return [*upkeep.problems(self._mended_parts()), *self._model_problems()]

    def repair(self) -> list[str]:
        """Make the copies anew from the catalogue; says what was done, a line each."""
        from rag import ingest

        return ingest.repair(self._parts())

    def backup(self, file: Path) -> int:
        """Copy the library into one file while it is in use; returns its size in bytes."""
        from rag import upkeep

        return upkeep.backup(self._catalogue, file)

    def restore(self, file: Path, *, force: bool = False) -> None:
        """Make the library what it was when `file` was written; `force` replaces documents that are there."""
        from rag import upkeep

        upkeep.restore(self._mended_parts(), file, force=force)

    def close(self) -> None:
        """Let go of files and connections."""
        self._stop_rechecking()
        with self._opening:
            if self._opened is not None:
                self._opened.save()
                self._opened.close()
                self._opened = None
            self._catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
