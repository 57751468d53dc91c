"""The half of the handle that is about judgements: giving them, reviewing them, taking them out for training.

Takes   an open library, of which `Library` is the whole; every argument `person` is the local owner when None.
Gives   the nouns of `rag/judgement.py` and `rag/types.py`, rows of the reviewers' queue, the report of a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import feedback, review
from rag.catalogue import Catalogue
from rag.config import Settings
from rag.feedback import REASONS as REASONS  # the doors know the library only
from rag.feedback import STATES as STATES
from rag.judgement import Judgement, Marked
from rag.review import ROUTES as ROUTES
from rag.types import LOCAL_OWNER, Answer

if TYPE_CHECKING:
    from rag.bundle import Bundled
    from rag.parts import Parts
    from rag.review import QueueRow


class Judging:
    """What a library knows of people's judgements."""

    _catalogue: Catalogue
    settings: Settings

    def rate(
        self,
        answer_id: str,
        verdict: str,
        *,
        reason: str | None = None,
        correction: str | None = None,
        marked: Marked | Mapping[str, Any] | None = None,
        person: str | None = None,
    ) -> Judgement:
        """Store what a person thought of an answer: `up` or `down`, with one of REASONS.

        `correction` is what it should have said; `marked` are the right words in a document: {"document", "version",
        "start", "end", "quote"}, of which document and quote are enough where the words stand there once.
        """
        return feedback.rate(
            self._catalogue, answer_id, verdict,
            reason=reason, correction=correction, marked=marked, person=person or LOCAL_OWNER,
        )  # fmt: skip

    def choose(self, answer_a: str, answer_b: str, winner: str, *, person: str | None = None) -> Judgement:
        """Store which of two answers to one question is better: `a` (shown first), `b` or `equal`."""
        return feedback.choose(self._catalogue, answer_a, answer_b, winner, person=person or LOCAL_OWNER)

    def second_answer(
        self, answer_id: str, *, settings: Mapping[str, Any] | None = None, person: str | None = None
    ) -> Answer | None:
        """The same question answered another way, to compare; None where every way says the same.

        `settings`: speaker, generation, strictness, fusion_weight, any of them; without, some ways are tried in turn.
        """
        from rag.compare import second

        return second(self._model_parts(), answer_id, person=person or LOCAL_OWNER, settings=settings)

    def judgement(self, answer_id: str, *, person: str | None = None) -> Judgement | None:
        """This person's rating of an answer; None while there is none."""
        found = feedback.judgements(self._catalogue, answer_id=answer_id, person=person or LOCAL_OWNER)
        return next((made for made in reversed(found) if made.kind == "rating"), None)

    def judgements_of(self, person: str | None = None) -> list[Judgement]:
        """Everything that this person judged and did not withdraw, the oldest first."""
        return feedback.judgements(self._catalogue, person=person or LOCAL_OWNER)

    def edit_judgement(self, judgement: str, *, person: str | None = None, **changes: Any) -> Judgement:
        """Change `verdict`, `reason`, `better` or `marked` of one's own; it waits for a review again."""
        return feedback.edit(self._catalogue, judgement, changes, person=person or LOCAL_OWNER)

    def withdraw(self, judgement: str, *, person: str | None = None) -> None:
        """Take one's judgement back, named by its own id or the answer's. Raises NotFound."""
        feedback.withdraw(self._catalogue, judgement, person=person or LOCAL_OWNER)

    def judgements(self) -> list[dict[str, Any]]:
        """Every judgement with its question, answer and quotations."""
        return feedback.export(self._catalogue)

    # --- reviewing ----------------------------------------------------------------------------------------------------

    def judgement_queue(
        self,
        *,
        state: str | None = "new",
        reason: str | None = None,
        collection: str | None = None,
        text: str | None = None,
        person: str | None = None,
    ) -> list[QueueRow]:
        """Judgements in one state (None: all), each with its answer, passages, agreement and what it will become.

        `reason` is one of REASONS, a verdict or `choice`; `text` looks in question, answer and correction.
        """
        return review.queue(
            self._catalogue, state=state, reason=reason, collection=collection, text=text, person=person
        )

    def judgement_row(self, judgement: str, *, person: str | None = None) -> QueueRow:
        """One judgement with everything that the queue shows of it. Raises NotFound."""
        return review.one(self._catalogue, judgement, person=person)

    def judgements_waiting(
        self,
        *,
        state: str | None = "new",
        reason: str | None = None,
        collection: str | None = None,
        text: str | None = None,
        person: str | None = None,
    ) -> list[str]:
        """Ids of what `judgement_queue` gives, in its order; listed at once, however many there are."""
        return review.waiting(
            self._catalogue, state=state, reason=reason, collection=collection, text=text, person=person
        )

    def review(
        self,
        judgement: str,
        decision: str,
        *,
        note: str | None = None,
        edits: Mapping[str, Any] | None = None,
        seen: Judgement | None = None,
        person: str | None = None,
    ) -> Judgement:
        """Decide about a judgement: `accepted`, `rejected`, or `new` to put it back; `edits` correct it first.

        With `seen`, the judgement as it was shown, nothing is decided about one that somebody has changed since.
        """
        return review.review(
            self._catalogue, judgement, decision, note=note, edits=edits, seen=seen, person=person or LOCAL_OWNER
        )

    # --- taking them out ----------------------------------------------------------------------------------------------

    def bundle(
        self,
        file: str | Path,
        *,
        audience: Sequence[str] = (),
        collection: str | None = None,
        passages: bool = True,
        seed: str = "",
        person: str | None = None,
    ) -> Bundled:
        """Write accepted judgements and passages as one file for training (docs/judgements.md).

        It holds what everybody of the library may read, or with `audience` what all the named persons may.
        `seed` draws the documents that are held out, as long as no bundle has decided it.
        """
        from rag import bundle

        wanted = bundle.Wanted(tuple(audience), collection, passages, seed)
        return bundle.write(self._parts(), Path(file), wanted, person=person or LOCAL_OWNER)

    def _parts(self) -> Parts:
        raise NotImplementedError  # Library opens them

    def _model_parts(self) -> Parts:
        raise NotImplementedError
