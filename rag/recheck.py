"""Ask pinned questions again, and compare with what was approved.

    due: no result with these documents and this model ─► ask ─► compare ─► store, one by one

Holds   same     the same words                    kept  other words, from the quotation that was approved
Drops   changed  answered from other words         lost  refused now              answered  no longer refused
Takes   an open library's parts with a model.
Gives   each result as it is stored: stopped anywhere, by a crash too, it goes on where it was. `Rechecking` does it in
        a thread of its own, which waits while a person is being answered.
Asking again is not audited, costs no outside model, and uses nobody's memory.
"""

from __future__ import annotations

import atexit
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakSet

from rag import pinned
from rag.answer import answer
from rag.audit import Audit
from rag.catalogue import now
from rag.config import Endpoint
from rag.errors import GroundlingError, NotFound, SettingsError
from rag.metrics import plain
from rag.parts import Parts
from rag.pinned import Result
from rag.types import LOCAL_OWNER, Answer, Done, Message

PURPOSE = "pinned"  # in the audit: asked to be pinned, by hand
MOST = 500  # questions that are asked again, the latest
PATIENCE_S = 30.0  # for the question that is being asked when a library closes
T = TypeVar("T")
log = logging.getLogger("groundling.recheck")


class Silent(Audit):
    """Asking again is the machine's doing: it leaves nothing in the audit."""

    def record(self, kind: str, person: str | None, payload: Mapping[str, Any]) -> str:  # noqa: ARG002 - as Audit's
        """Nothing."""
        return ""


def ask_and_pin(
    parts: Parts, question: str, *, collection: str | None, expected: Sequence[Any] = (), person: str | None = None
) -> str:
    """Ask now, audited, and pin the answer; with `expected`, what is pinned is that one of these must occur."""
    if not question.strip():
        raise SettingsError("a pinned question needs words")
    events = answer(parts, question.strip(), collection=collection, person=person, purpose=PURPOSE)
    given = next(event.answer for event in events if isinstance(event, Done))
    return pinned.pin(parts.catalogue, given.answer_id, expected=expected, person=person or LOCAL_OWNER)


def ask_once(parts: Parts, identity: str, *, person: str = LOCAL_OWNER) -> Answer:
    """Today's answer to a pinned question, for a person to look at: audited, and ready to be pinned instead."""
    row = next((row for row in pinned.rows(parts.catalogue, None, person) if row[0] == identity), None)
    if row is None:
        raise NotFound(f"{identity}: no pinned question has this id. `rag pinned` lists them")
    return _ask(parts, parts.audit.load(row[3]), person)


def recheck(parts: Parts, *, go_on: Callable[[], bool] = lambda: True) -> Iterator[Result]:
    """Ask what is due with these documents and this model, while `go_on()`; a result is stored when it is given."""
    pinned.adopt(parts.catalogue)
    without_endpoint = parts.settings.but(endpoint=Endpoint())
    quiet = replace(parts, speaker=None, settings=without_endpoint, audit=Silent(parts.catalogue))
    for identity, _, person, answer_id, expected, *_ in pinned.rows(parts.catalogue, None, LOCAL_OWNER)[:MOST]:
        if not _due(parts, identity):
            continue
        if not go_on():
            return
        try:
            payload = parts.audit.load(answer_id)
        except NotFound:  # erased since the list was made
            continue
        given = _ask(quiet, payload, person)
        outcome = compared(payload["answer"], given, json.loads(expected))
        result = Result(given.index_generation, model_of(parts), now(), outcome, round(given.confidence, 6))
        if pinned.store(parts.catalogue, identity, result):
            yield result


def model_of(parts: Parts) -> str:
    """What answers here, by name."""
    assert parts.reader is not None, "the library opens it before"
    return pinned.named_model(parts.reader.name, parts.embedder.query_side, parts.settings.strictness)


def _due(parts: Parts, identity: str) -> bool:
    """Is there no result with the documents of now and this model?"""
    here = (identity, parts.catalogue.generation, model_of(parts))
    known = "select 1 from pinned_results where pinned_id = ? and generation = ? and model = ?"
    return parts.catalogue.db.execute(known, here).fetchone() is None


def _ask(quiet: Parts, payload: dict[str, Any], person: str) -> Answer:
    history = [Message(*turn) for turn in payload["history"]]
    events = answer(
        quiet, payload["question"], history=history, collection=payload["collection"], person=person, purpose=PURPOSE,
        recall=(),
    )  # fmt: skip
    return next(event.answer for event in events if isinstance(event, Done))


def compared(approved: Mapping[str, Any], given: Answer, expected: Sequence[Any] = ()) -> str:
    """The outcome: what became of an approved answer."""
    if expected:
        return pinned.judged_by(expected, given.abstained, given.text)
    if approved["abstained"]:
        return "same" if given.abstained else "answered"
    if given.abstained:
        return "lost"
    if plain(approved["answer"]) == plain(given.text):
        return "same"
    then = [plain(cited["quote"]) for cited in approved["citations"]]
    today = [plain(cited.quote) for cited in given.citations]
    # the first quotation holds the answer: it must stand among the others on either side
    stands = any(_overlap(then[0], quote) for quote in today) and any(_overlap(today[0], quote) for quote in then)
    return "kept" if stands else "changed"


def _overlap(one: str, other: str) -> bool:
    return one in other or other in one


# --- in the background ------------------------------------------------------------------------------------------------

_open: WeakSet[Rechecking] = WeakSet()


@atexit.register
def _end_all() -> None:
    """A thread that is still inside torch when the interpreter goes would abort the process."""
    for each in list(_open):
        each.close()


class Rechecking:
    """Asks what is due in a thread; `start()` as often as something changed, `close()` once."""

    def __init__(self, parts: Callable[[], Parts]) -> None:
        """`parts` opens the library with its model, at the first question."""
        self._parts = parts
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._again = False
        self._closed = False
        self._answering = 0
        _open.add(self)

    def start(self) -> None:
        """See to it that everything due is asked; returns at once."""
        with self._changed:
            self._again = True
            if not self._closed and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="groundling-recheck", daemon=True)
                self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is left to do; True when that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def close(self) -> None:
        """Stop after the question that is being asked; what is left waits for the next opening."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.wait(PATIENCE_S)

    @property
    def running(self) -> bool:
        """Is something being asked again?"""
        return self._thread is not None

    def aside(self, events: Iterator[T]) -> Iterator[T]:
        """The same events; while they come, a person is waiting for them and nothing is asked again."""
        with self._changed:
            self._answering += 1
        try:
            yield from events
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def _go_on(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._answering)
            return not self._closed

    def _run(self) -> None:
        try:
            while self._wanted():
                for _ in recheck(self._parts(), go_on=self._go_on):
                    pass
        except GroundlingError as error:  # no model, a damaged index: whoever asks next is told so
            log.info("pinned questions were not asked again: %s", error)
        except Exception:
            log.exception("asking pinned questions again failed")
        finally:
            with self._changed:
                self._let_go()

    def _wanted(self) -> bool:
        """Is there something to do? Where not, the thread is let go: a `start()` from now on makes a new one."""
        with self._changed:
            wanted, self._again = self._again and not self._closed, False
            if not wanted:
                self._let_go()
        return wanted

    def _let_go(self) -> None:
        if self._thread is threading.current_thread():
            self._thread = None
            self._changed.notify_all()
