"""A second answer to the same question, made another way, so that a person can say which of the two is better.

    audited answer ─► same question and documents ─► other strictness · weights · wording ─► the first that differs

Takes   the id of an answer, and its asker; perhaps the settings that the second one is to be made with.
Gives   an audited answer that says something else, or None where every way says the same.
Refuses an answer of somebody else, one that was erased, and one whose documents have changed since: then the two would
        not answer from the same text (NotFound, SettingsError).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rag.answer import answer
from rag.errors import NotFound, SettingsError
from rag.generate import SpanSpeaker
from rag.parts import Parts
from rag.types import LOCAL_OWNER, Answer, Done, Message

PURPOSE = "compared"  # in the audit: nobody asked it in these words a second time
DEPTHS = (0.8, 0.2)  # other shares of meaning against words in the search
CHOICES = ("speaker", "generation", "strictness", "fusion_weight")  # settings that can be compared


def second(
    parts: Parts, answer_id: str, *, person: str = LOCAL_OWNER, settings: Mapping[str, Any] | None = None
) -> Answer | None:
    """Another answer to the question of `answer_id`: made with these settings, or each way until one differs."""
    if unknown := sorted(set(settings or ()) - set(CHOICES)):
        raise SettingsError(f"{', '.join(unknown)}: nothing to compare answers by. Choose among {', '.join(CHOICES)}")
    asked = parts.audit.load(answer_id)
    row = parts.catalogue.db.execute("select kind, person from audit where id = ?", (answer_id,)).fetchone()
    if row != ("answer", person):
        raise NotFound(f"answer {answer_id}: no such answer of {person}. `rag audit` lists the ids")
    if asked["generation"] != parts.refresh():
        raise SettingsError(f"answer {answer_id}: the documents have changed since; ask again, then compare")
    history = [Message(*turn) for turn in asked["history"]]
    for changed, speaker in _ways(asked, settings):
        other = replace(parts, settings=parts.settings.but(**changed), speaker=None)
        events = answer(
            other, asked["question"], history=history, collection=asked["collection"], person=person, speaker=speaker,
            purpose=PURPOSE, recall=asked.get("remembered", ()), standalone=asked["standalone"],
        )  # fmt: skip
        made = next(event.answer for event in events if isinstance(event, Done))
        if _said(made.as_dict()) != _said(asked["answer"]):
            return made
    return None


def _ways(
    asked: dict[str, Any], chosen: Mapping[str, Any] | None
) -> Iterator[tuple[dict[str, Any], SpanSpeaker | None]]:
    """How else the question can be answered, the most telling way first; as was chosen, where something was."""
    if chosen:
        yield {**{name: value for name, value in asked["settings"].items() if name in CHOICES}, **chosen}, None
        return
    then = {name: asked["settings"][name] for name in ("strictness", "fusion_weight")} | {"speaker": "span"}
    if not str(asked["speaker"]).startswith("span:"):
        yield then, SpanSpeaker()  # our own words against those of an outside model
    if asked["answer"]["abstained"]:
        yield {**then, "strictness": "lenient"}, SpanSpeaker()
    for share in DEPTHS:
        yield {**then, "fusion_weight": share}, SpanSpeaker()
    if not asked["answer"]["abstained"]:
        yield then, SpanSpeaker("unit")
        yield then, SpanSpeaker("span")
        yield {**then, "strictness": "strict"}, SpanSpeaker()


def _said(given: dict[str, Any]) -> tuple[Any, ...]:
    """What a person would see of an answer: its words, and what it quotes."""
    return given["answer"], [(cited["document"], cited["quote"]) for cited in given["citations"]]
