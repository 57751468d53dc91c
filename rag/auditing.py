"""The part of the handle that is about answers that were given: what was kept of them, and giving them again.

Takes   an open library, of which `Library` is the whole; ids of answers.
Gives   what the audit holds, its latest rows, `Replayed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.config import Settings

if TYPE_CHECKING:
    from rag.parts import Parts
    from rag.replay import Replayed


class Auditing:
    """What a library knows of the answers it gave."""

    settings: Settings
    _catalogue: Catalogue
    _promoted: bool

    def answered(self, answer_id: str, *, person: str | None = None) -> dict[str, Any]:
        """One answer as it was given, with its question, and the conversation it stands in. Raises NotFound."""
        from rag.asked import answer

        return answer(self._catalogue, answer_id, person=person)

    def audited(self, answer_id: str) -> dict[str, Any]:
        """Everything that was kept of one answer. Raises NotFound."""
        return self._parts().audit.load(answer_id)

    def audit_rows(self, last: int = 20) -> list[dict[str, Any]]:
        """The latest rows of the audit, newest first; `about` is the question or the document."""
        entries = Audit(self._catalogue).entries(newest_first=True, limit=last)
        return [
            {"seq": entry.seq, "id": entry.id, "at": entry.at, "kind": entry.kind, "person": entry.person,
             "about": _about(entry.payload), "seal": entry.seal}
            for entry in entries
        ]  # fmt: skip

    def replay(self, answer_id: str) -> Replayed:
        """Give an answer again with its own model, precision and passages, where they are here, and compare.

        In a library that was opened for one model (`promoted=False`), that one answers.
        """
        from rag.replay import replay

        return replay(self._model_parts(), answer_id, base=self.settings.model if self._promoted else None)

    def _parts(self) -> Parts:
        raise NotImplementedError  # Library opens them

    def _model_parts(self) -> Parts:
        raise NotImplementedError


def _about(payload: dict[str, Any] | None) -> str:
    """What a row of the audit is about, for a list."""
    if payload is None:
        return "(erased)"
    return str(payload.get("question") or payload.get("document") or payload.get("entry") or "")
