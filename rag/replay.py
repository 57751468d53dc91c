"""Give an old answer again, token for token, and say where it differs and why.

    audited answer ─► its model, precision and threads, where they are here ─► its passages, as they were read then
                   ─► the same question ─► then and now compared: the first token that differs, what was not the same

Takes   the id of an audited answer, and the folder of the base; promoted versions are looked for beside it.
Gives   both answers, the first differing token, the circumstances that differ, what was erased since.
Passages are those of that time, with their scores: later documents change nothing. Where one was erased, or the answer
        was made by a task that reads more than it keeps, the documents of today are searched instead, and that is said.
Refuses an id that is not there, or whose content was erased: NotFound.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag.access import may_read_version
from rag.answer import answer
from rag.errors import ModelError, NotFound
from rag.moments import clock, moment
from rag.parts import Parts
from rag.types import Done, Embedder, Hit, Message, Passage, Reader
from rag.versions import Versions

CIRCUMSTANCES = (
    ("model", "model"), ("query_side", "query side"), ("index_generation", "index generation"),
    ("remembered", "remembered facts"),
)  # fmt: skip
MADE_WITH = ("precision", "embedder_precision", "threads", "torch", "machine")
_SHOWN = ("document", "version", "page", "start", "end", "quote")  # of a citation; scores may differ in the last bit
_TOKENS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Replayed:
    """Both answers as the JSON objects of `rag ask`."""

    then: dict[str, Any]
    now: dict[str, Any]
    circumstances: tuple[str, ...] = ()  # what was computed in another way, a line each
    erased: tuple[str, ...] = ()  # words that the answer rested on and that are gone, a line each

    @property
    def same(self) -> bool:
        """The same words, resting on the same words of the same versions."""
        return _said(self.then) == _said(self.now)

    @property
    def difference(self) -> dict[str, Any] | None:
        """The first token that differs: its place, counted from 0, and what stands there then and now."""
        then, now = _TOKENS.findall(self.then["answer"]), _TOKENS.findall(self.now["answer"])
        for at in range(max(len(then), len(now))):
            one, other = (tokens[at] if at < len(tokens) else None for tokens in (then, now))
            if one != other:
                return {"token": at, "then": one, "now": other}
        return None

    @property
    def changed(self) -> list[str]:
        """What differs around the answer, a line each."""
        lines = [
            f"{name}: {self.then.get(key)} then, {self.now.get(key)} now"
            for key, name in CIRCUMSTANCES
            if self.then.get(key) != self.now.get(key)
        ]
        return [*lines, *self.circumstances, *self.erased]

    def as_dict(self) -> dict[str, Any]:
        """For `rag replay --json`."""
        return {"same": self.same, "difference": self.difference, "changed": self.changed, "erased": list(self.erased),
                "then": self.then, "now": self.now}  # fmt: skip


def replay(parts: Parts, answer_id: str, *, base: Path | None = None) -> Replayed:
    """Answer with the model, strictness and passages of that time, as far as they are here.

    `base` is the model of the settings, to look for the recorded one; without it the model of `parts` answers.
    """
    asked = parts.audit.load(answer_id)
    if "question" not in asked:
        raise NotFound(f"{answer_id} is no answer but a change of the documents; `rag audit` tells them apart")
    person = next(entry.person for entry in parts.audit.entries(kind="answer") if entry.id == answer_id)
    hits, erased = as_read(parts, asked, person)
    history = [Message(*turn) for turn in asked["history"]]
    with _as_then(parts, asked, base) as then:
        events = answer(
            then, asked["question"], history=history, collection=asked["collection"], person=person,
            purpose="replayed", recall=asked.get("remembered", ()), found=hits,
            standalone=asked["standalone"],
        )  # fmt: skip
        now = next(event.answer for event in events if isinstance(event, Done))
        made_with = parts.audit.load(now.answer_id).get("made_with", {})
    lines = _differing(asked.get("made_with"), made_with)
    if hits is None and now.index_generation != asked["generation"]:
        lines.append("passages: those of today's documents; those of that time cannot all be read again")
    return Replayed({**asked["answer"], "answer_id": answer_id}, now.as_dict(), tuple(lines), tuple(erased))


def _said(given: dict[str, Any]) -> tuple[Any, ...]:
    cited = [tuple(citation[key] for key in _SHOWN) for citation in given["citations"]]
    return given["answer"], given["abstained"], cited


def _differing(then: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    if then is None:
        return ["precision, threads and torch: not recorded then"]
    return [
        f"{name.replace('_', ' ')}: {then.get(name)} then, {now.get(name)} now"
        for name in MADE_WITH
        if then.get(name) != now.get(name)
    ]


# --- the passages of that time ----------------------------------------------------------------------------------------


def as_read(parts: Parts, asked: Mapping[str, Any], person: str) -> tuple[list[Hit] | None, list[str]]:
    """What was read then, in its order; None where it cannot be read again. And what was erased since, a line each."""
    hits: list[Hit] = []
    erased: dict[str, None] = {}
    whole = bool(asked["passages"]) and str(asked.get("speaker", "")).partition(":")[0] != "task"
    for place in asked["passages"]:
        passage = _passage(parts, place, person)
        if passage is None:
            whole = False
            if line := _gone(parts, place):
                erased[line] = None
        elif "nearness" not in place:
            whole = False  # recorded by an earlier release
        else:
            hits.append(Hit(passage, place["score"], place["nearness"]))
    return (hits if whole else None), list(erased)


def _passage(parts: Parts, place: Mapping[str, Any], person: str) -> Passage | None:
    """One passage from its place in its version; None where its words are gone, others, or closed to the asker."""
    if not may_read_version(parts.catalogue, person, place["document"], place["version"]):
        return None
    for passage in parts.catalogue.passages([place["id"]]):
        return passage  # it can still be found: ids are never given twice
    try:
        document = parts.catalogue.document(place["document"], place["version"])
    except NotFound:
        return None
    text = document.text[place["start"] : place["end"]]
    if hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != place["sha256"]:
        return None
    page = next((span.number for span in document.pages if span.start <= place["start"] < span.end), None)
    return Passage(
        place["id"], document.id, document.name, document.version, place["start"], place["end"], text, page,
        tuple(place["headings"]), document.collection, time=clock(moment(document.pages, place["start"])),
    )  # fmt: skip


def _gone(parts: Parts, place: Mapping[str, Any]) -> str:
    """When the words of a version were erased; nothing where they are only closed to the asker."""
    row = parts.catalogue.db.execute(
        "select removed_at from documents where name = ? and version = ? and removed_at is not null",
        (place["document"], place["version"]),
    ).fetchone()
    return (
        f"{place['document']}, version {place['version']}: removed on {row[0][:10]}, its words are erased"
        if row
        else ""
    )


# --- the machine of that time -----------------------------------------------------------------------------------------


@contextmanager
def _as_then(parts: Parts, asked: Mapping[str, Any], base: Path | None) -> Iterator[Parts]:
    """Parts with the recorded model, precision and threads, where they can be had."""
    assert parts.reader is not None, "the library opens it before"
    made: Mapping[str, Any] = asked.get("made_with") or {}
    settings = parts.settings.but(**asked["settings"])
    then = replace(parts, settings=settings, speaker=None)
    folder = recorded_model(parts, base, str(asked["model"])) if base is not None else None
    computed = {"precision": parts.reader, "embedder_precision": parts.embedder}
    differs = any(made.get(key) not in (None, getattr(part, "precision", None)) for key, part in computed.items())
    if folder is None and not differs:
        yield then
        return
    from rag.embed import NAME, MiniLM, open_embedder
    from rag.read import open_reader

    folder = folder or parts.settings.model
    with _threads(made.get("threads")):
        reader: Reader = open_reader(folder, precision=made.get("precision"))
        wanted = made.get("embedder_precision") if settings.embedder == NAME else None
        own = parts.embedder if wanted is None else MiniLM(precision=wanted)
        embedder: Embedder = open_embedder(settings.but(model=folder), base=own)
        yield replace(then, reader=reader, embedder=embedder, settings=settings.but(model=folder))


def recorded_model(parts: Parts, base: Path, name: str) -> Path | None:
    """The folder of the model that an answer names, where it is not the open one. None: it is, or it is not here."""
    from rag.read import fingerprint, model_config

    if parts.reader is not None and parts.reader.name == name:
        return None
    folders: Sequence[Path] = [base, *(version.folder for version in Versions(parts.folder).history())]
    for folder in folders:
        try:
            if f"{model_config(folder)['name']}-{fingerprint(folder)}" == name:
                return folder
        except (ModelError, OSError):  # damaged, or not a model: not the one that answered
            continue
    return None


@contextmanager
def _threads(count: object) -> Iterator[None]:
    """Compute with so many cores meanwhile."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count if isinstance(count, int) and count > 0 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
