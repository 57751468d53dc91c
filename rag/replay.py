"""Ask again what was asked, as it was asked, and compare.

Takes   the id of an audited answer.
Gives   the answer then and now, and in words why they may differ: another model or query side, another state of the
        documents.
Refuses an id that is not there, or whose content was erased: NotFound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rag.answer import answer
from rag.errors import NotFound
from rag.parts import Parts
from rag.types import Done, Message

CIRCUMSTANCES = (
    ("model", "model"), ("query_side", "query side"), ("index_generation", "index generation"),
    ("remembered", "remembered facts"),
)  # fmt: skip
_SHOWN = ("document", "version", "page", "start", "end", "quote")  # of a citation; scores may differ in the last bit


@dataclass(frozen=True, slots=True)
class Replayed:
    """Both answers as the JSON objects of `rag ask`."""

    then: dict[str, Any]
    now: dict[str, Any]

    @property
    def same(self) -> bool:
        """The same words, resting on the same words of the same versions."""
        return _said(self.then) == _said(self.now)

    @property
    def changed(self) -> list[str]:
        """What differs around the answer, a line each."""
        return [
            f"{name}: {self.then.get(key)} then, {self.now.get(key)} now"
            for key, name in CIRCUMSTANCES
            if self.then.get(key) != self.now.get(key)
        ]

    def as_dict(self) -> dict[str, Any]:
        """For `rag replay --json`."""
        return {"same": self.same, "changed": self.changed, "then": self.then, "now": self.now}


def replay(parts: Parts, answer_id: str) -> Replayed:
    """Answer with the strictness and weights of that time, from today's documents and model."""
    asked = parts.audit.load(answer_id)
    if "question" not in asked:
        raise NotFound(f"{answer_id} is no answer but a change of the documents; `rag audit` tells them apart")
    person = next(entry.person for entry in parts.audit.entries(kind="answer") if entry.id == answer_id)
    then = replace(parts, settings=parts.settings.but(**asked["settings"]), speaker=None)
    history = [Message(*turn) for turn in asked["history"]]
    events = answer(
        then, asked["question"], history=history, collection=asked["collection"], person=person, purpose="replayed",
        recall=asked.get("remembered", ()),
    )  # fmt: skip
    now = next(event.answer for event in events if isinstance(event, Done))
    return Replayed({**asked["answer"], "answer_id": answer_id}, now.as_dict())


def _said(given: dict[str, Any]) -> tuple[Any, ...]:
    cited = [tuple(citation[key] for key in _SHOWN) for citation in given["citations"]]
    return given["answer"], given["abstained"], cited
