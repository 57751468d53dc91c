"""The part of the handle that is about what is kept: of a person, of conversations, of questions people approved.

Takes   an open library, of which `Library` is the whole; every argument `person` is the local owner when None.
Gives   `Fact`s, `Retention` and `Purged`, `Pinned`s.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rag import pinned, remembered, retention
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.pinned import HOLDS as HOLDS  # the doors know the library only
from rag.pinned import Pinned as Pinned
from rag.retention import Purged as Purged
from rag.retention import Retention as Retention
from rag.types import LOCAL_OWNER, Answer, Fact

if TYPE_CHECKING:
    from rag.parts import Parts
    from rag.recheck import Rechecking

PURGED_EVERY_S = 3600.0  # while a library is in use
_making = threading.Lock()  # threads that share a library share its background work
log = logging.getLogger("groundling.keeping")


class Keeping:
    """What a library keeps for people, and for how long."""

    _catalogue: Catalogue
    settings: Settings
    _purged_at: float | None = None  # by the monotonic clock
    _rechecking: Rechecking | None = None

    # --- what a person asked to be remembered -------------------------------------------------------------------------

    def remember(self, text: str, *, person: str | None = None) -> Fact:
        """Keep a sentence about this person, for this person's questions alone."""
        return remembered.remember(self._catalogue, text, person=person or LOCAL_OWNER)

    def remembered(self, *, person: str | None = None) -> list[Fact]:
        """What this person asked to be remembered, the oldest first."""
        return remembered.facts(self._catalogue, person=person or LOCAL_OWNER)

    def edit_remembered(self, fact: str, text: str, *, person: str | None = None) -> Fact:
        """Say it in other words; the former ones are erased. Raises NotFound, also for another person's."""
        return remembered.edit(self._catalogue, fact, text, person=person or LOCAL_OWNER)

    def forget(self, fact: str, *, person: str | None = None) -> None:
        """Erase what is remembered under this id, at once. Raises NotFound, also for another person's."""
        remembered.erase(self._catalogue, fact, person=person or LOCAL_OWNER)

    def forget_everything(self, *, person: str | None = None) -> int:
        """Erase everything that this person asked to be remembered; returns how much there was."""
        return remembered.erase_all(self._catalogue, person=person or LOCAL_OWNER)

    def heed(self, words: str, *, person: str | None = None) -> str | None:
        """Do what "Remember that …", "Forget that …" and "What do you remember about me?" ask, and say so.

        None where the words are no such thing but a question for the documents. Nothing of it is stored elsewhere.
        """
        return remembered.heed(self._catalogue, words, person=person or LOCAL_OWNER)

    # --- how long conversations stay ----------------------------------------------------------------------------------

    def retention(self, *, person: str | None = None) -> Retention:
        """How long this person's conversations stay: as chosen, and at most as the settings say."""
        own = retention.chosen(self._catalogue, person=person or LOCAL_OWNER)
        return Retention(own, self.settings.conversation_days, self.settings.audit_keeps_purged)

    def keep_conversations(self, days: int, *, person: str | None = None) -> Purged:
        """Keep this person's conversations for so many days after their last turn (0: for ever), from now on."""
        retention.choose(self._catalogue, days, person=person or LOCAL_OWNER)
        return self.purge(person=person)

    def due(self, days: int | None = None, *, person: str | None = None) -> Purged:
        """What a purge would delete now; `days` as if this person had chosen them."""
        rule = self.retention(person=person)
        rule = rule if days is None else Retention(days, rule.limit, rule.audit_keeps_purged)
        return retention.due(self._catalogue, rule, person=person or LOCAL_OWNER)

    def purge(self, *, person: str | None = None) -> Purged:
        """Delete this person's conversations that are over their time, and their words in the audit."""
        rule = self.retention(person=person)
        return retention.purge_person(self._catalogue, rule, person=person or LOCAL_OWNER)

    def purge_all(self) -> Purged:
        """The same for everybody."""
        return retention.purge(
            self._catalogue, limit=self.settings.conversation_days, audit_keeps_purged=self.settings.audit_keeps_purged
        )

    def _purge_now_and_then(self) -> None:
        """At opening, then at most once in PURGED_EVERY_S. A busy catalogue is purged another time."""
        if self._purged_at is not None and time.monotonic() - self._purged_at < PURGED_EVERY_S:
            return
        self._purged_at = time.monotonic()
        try:
            self.purge_all()
        except sqlite3.OperationalError as error:
            log.warning("conversations were not purged: %s", error)

    # --- questions people approved ------------------------------------------------------------------------------------

    def pinned(self, *, collection: str | None = None, person: str | None = None) -> list[Pinned]:
        """Questions with an approved answer, those that dropped first; what people approved since is among them."""
        return pinned.pinned(
            self._catalogue, collection=collection, person=person or LOCAL_OWNER, model=self._answering_model()
        )

    def pin(
        self,
        answer_id: str,
        *,
        expected: Sequence[Any] = (),
        instead_of: str | None = None,
        person: str | None = None,
    ) -> str:
        """Pin an audited answer and return the pin's id; `expected` are alternatives of which one must occur."""
        return pinned.pin(
            self._catalogue, answer_id, expected=expected, instead_of=instead_of, person=person or LOCAL_OWNER
        )

    def pin_question(
        self, question: str, *, collection: str | None = None, expected: Sequence[Any] = (), person: str | None = None
    ) -> str:
        """Ask a question now and pin its answer; returns the pin's id."""
        from rag.recheck import ask_and_pin

        return ask_and_pin(self._model_parts(), question, collection=collection, expected=expected, person=person)

    def answer_pinned(self, pin: str, *, person: str | None = None) -> Answer:
        """Today's answer to a pinned question, audited: to be looked at, and to be pinned instead with `pin`."""
        from rag.recheck import ask_once

        return ask_once(self._model_parts(), pin, person=person or LOCAL_OWNER)

    def unpin(self, pin: str, *, person: str | None = None) -> None:
        """Ask a question no more. Raises NotFound, also for what this person may not see."""
        pinned.unpin(self._catalogue, pin, person=person or LOCAL_OWNER)

    def recheck_pinned(self, seconds: float | None = None) -> bool:
        """Ask every pinned question that is due; True when none is left. Loads the model only where one is pinned.

        `seconds` bounds the wait; 0 returns at once. What is left goes on in the background, or after the next opening.
        """
        if not pinned.any_pinned(self._catalogue):
            return True
        self._rechecker().start()
        return self._rechecker().wait(seconds) and not any(one.waiting for one in self.pinned())

    def _recheck_since(self, generation: int) -> None:
        """After documents changed: ask again in the background, where there is a model to ask."""
        if self._catalogue.generation == generation:
            return
        self._forget_spoilt()
        if self._has_model():
            self.recheck_pinned(0)

    def _stop_rechecking(self) -> None:
        if self._rechecking is not None:
            self._rechecking.close()
            self._rechecking = None

    def _rechecker(self) -> Rechecking:
        with _making:
            if self._rechecking is None:
                from rag.recheck import Rechecking

                self._rechecking = Rechecking(self._model_parts)
            return self._rechecking

    def _answering_model(self) -> str | None:
        """As results name it; None while no model is open."""
        parts = self._opened
        if parts is None or parts.reader is None:
            return None
        return pinned.named_model(parts.reader.name, parts.embedder.query_side, self.settings.strictness)

    if TYPE_CHECKING:
        _opened: Parts | None

        def _model_parts(self) -> Parts: ...

        def _has_model(self) -> bool: ...

        def _forget_spoilt(self) -> None: ...
