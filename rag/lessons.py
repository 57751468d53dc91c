"""What an accepted judgement teaches: which passage answers, which words, that nothing does, what is preferred.

    accepted judgement + audited answer ─► route (review.py) ─► places in today's documents ─► Lesson

Takes   a judgement and the payload of its answer; the text that every future reader may see (`Readable`).
Gives   a `Lesson`; the bundle makes rows of it once it knows which documents are held out.
Refuses (LeftOut, with a reason that is counted) what says too little, and what would carry words that not everybody may
        read: of closed documents, of earlier answers, of what a person asked to be remembered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag import review, spoken
from rag.audit import Audit
from rag.catalogue import Catalogue
from rag.errors import NotFound
from rag.judgement import Judgement
from rag.readable import CLOSED, REPLACED, LeftOut, Place, Readable
from rag.types import Passage
from rag.wording import stems

TEACHES_NOTHING = "it says too little to teach anything"
OF_DOCUMENTS = "it is about the document, which its owner has to mend"
ERASED = "its answer was erased"
REMEMBERED = "its answer rests on what a person asked to be remembered"
SAID_BEFORE = "its question leans on words of an earlier answer"
OF_A_TASK = "its answer lists, compares or sums up: no single span answers such a request"
UNSUPPORTED = "the better answer says more than its passages"
OUTSIDE = "an outside model read passages that are not open to every future reader"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """One judgement, in today's passages."""

    judgement: Judgement
    question: str
    teaches: tuple[str, ...]  # of review.ROUTES
    home: int  # the document whose side of the split it takes
    tied: tuple[int, ...]  # documents whose words it carries: they stand on the same side
    answers: Place | None = None  # the words that answer; None: nothing does
    read: tuple[Passage, ...] = ()  # what was read for the answer, best first, as far as it is open
    known: frozenset[int] = frozenset()  # passages that answer too: never near misses
    chosen: str | None = None  # of a preference: the better answer
    rejected: str | None = None
    origin: dict[str, Any] = field(default_factory=dict)  # model, speaker and generation of the answer judged

    @property
    def points(self) -> bool:
        """Does it make a row for the reader and the retriever?"""
        return review.SPAN in self.teaches or review.NO_ANSWER in self.teaches


def lesson(catalogue: Catalogue, readable: Readable, made: Judgement) -> Lesson:
    """What one accepted judgement teaches. Raises LeftOut."""
    payload = _payload(catalogue, made.answer_id)
    other = _payload(catalogue, made.other) if made.other else None
    answer = payload["answer"]
    teaches = review.route(made, answer, review.with_text(catalogue, payload["passages"]))
    if not teaches:
        raise LeftOut(TEACHES_NOTHING)
    if teaches == (review.DOCUMENT,):
        raise LeftOut(OF_DOCUMENTS)
    both = [payload] if other is None else [payload, other]
    quoted = [place for each in both for place in each["answer"]["citations"]]
    corrected = review.SPAN in teaches and made.verdict == "down"  # then nothing of what was said goes along
    cited = [] if corrected else [readable.today(place) for place in quoted]
    read = readable.still(payload["passages"])
    place = _pointed(catalogue, readable, made, payload) if review.SPAN in teaches else None
    home = next((each.passage for each in (place, *cited) if each), read[0] if read else None)
    if home is None:
        raise LeftOut(REPLACED)
    wanted: dict[str, Any] = {}
    if review.PREFERENCE in teaches:
        wanted["chosen"], wanted["rejected"] = _preferred(made, answer, other["answer"] if other else None)
        _check_outside(readable, both)
        shown = [passage.context for passage in (home, *(each.passage for each in cited), *read)]
        if made.better and wanted["chosen"] == made.better and spoken.unsupported(made.better, shown):
            raise LeftOut(UNSUPPORTED)
    passages = [*read, *(each.passage for each in cited), home]
    _check_question(payload, passages)
    return Lesson(
        judgement=made,
        question=payload["standalone"],
        teaches=teaches,
        home=home.document_id,
        tied=tuple(dict.fromkeys([home.document_id, *(each.passage.document_id for each in cited)])),
        answers=place,
        read=tuple(read),
        known=frozenset(each.passage.id for each in cited) if made.verdict == "up" else frozenset(),
        origin=_origin(payload),
        **wanted,
    )


def _origin(payload: Mapping[str, Any]) -> dict[str, Any]:
    """By which model, in whose words and from which state of the documents; an outside server's address stays here."""
    speaker = str(payload.get("speaker", "")).partition(" at ")[0]
    return {"model": payload.get("model"), "speaker": speaker, "generation": payload.get("generation")}


def _payload(catalogue: Catalogue, answer_id: str) -> dict[str, Any]:
    try:
        payload = Audit(catalogue).load(answer_id)
    except NotFound:
        raise LeftOut(ERASED) from None
    if payload.get("remembered"):
        raise LeftOut(REMEMBERED)
    if str(payload.get("speaker", "")).startswith("task:"):
        raise LeftOut(OF_A_TASK)  # as a row it would teach the reader to point at the first of many quotations
    return payload


def _pointed(catalogue: Catalogue, readable: Readable, made: Judgement, payload: Mapping[str, Any]) -> Place:
    """The right words: those marked, those written that stand in a passage, or those that were rightly quoted."""
    if made.marked is not None:
        mark = made.marked
        return readable.today(
            {"document": mark.document, "version": mark.version, "start": mark.start, "end": mark.end}
        )
    if made.verdict == "up":
        return readable.today(_said(payload))
    found = review.place_of(made.better, review.with_text(catalogue, payload["passages"]))
    if found is None:
        raise LeftOut(TEACHES_NOTHING)
    passage, start, end = found
    return readable.today({**passage, "start": passage["start"] + start, "end": passage["start"] + end})


def _said(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Where the answer's first quotation stands; the reader's own span where it lies inside: that is what it said."""
    cited = payload["answer"]["citations"][0]
    begins = {passage["id"]: passage["start"] for passage in payload["passages"] if "id" in passage}
    for passage, start, end, _ in payload.get("spans", ())[:1]:
        if passage == cited["passage"] and passage in begins:
            start, end = begins[passage] + start, begins[passage] + end
            if cited["start"] <= start < end <= cited["end"]:
                return {**cited, "start": start, "end": end}
    return dict(cited)


def _preferred(
    made: Judgement, answer: Mapping[str, Any], other: Mapping[str, Any] | None
) -> tuple[str | None, str | None]:
    """(chosen, rejected): of a single thumb one of them is None."""
    if other is not None:
        return str(answer["answer"]), str(other["answer"])
    if made.verdict == "up":
        return str(answer["answer"]), None
    return made.better, str(answer["answer"])


def _check_outside(readable: Readable, payloads: Iterable[Mapping[str, Any]]) -> None:
    """Our own words are quoted words; an outside model may have used everything it was given."""
    for payload in payloads:
        if str(payload.get("speaker", "span:")).startswith("span:"):
            continue
        for place in payload["passages"]:
            try:
                readable.today(place)
            except LeftOut as why:
                raise LeftOut(OUTSIDE if str(why) == CLOSED else str(why)) from None


def _check_question(payload: Mapping[str, Any], passages: Sequence[Passage]) -> None:
    """A follow-up was completed from the turns before it: their questions are the asker's own, the answers are not."""
    if payload["standalone"] == payload["question"]:
        return
    own = " ".join([payload["question"], *(turn[0] for turn in payload.get("history", ()))])
    open_words = " ".join(passage.context for passage in passages)
    if _stems(payload["standalone"]) - _stems(own) - _stems(open_words):
        raise LeftOut(SAID_BEFORE)


def _stems(words: str) -> frozenset[str]:
    """`Ophelia's leave` speaks of Ophelia."""
    return stems(re.sub(r"['’]s\b", "", words))
