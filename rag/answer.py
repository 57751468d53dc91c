"""A question becomes a cited answer, as a stream of events.

    standalone ─► recall ─► retrieve ─► fit ─► read ─► rerank ─► support? ─► compose ─► check ─► speak ─► audit
               Searching ······ Found ···························································· Text* Quoted* Done

Takes   an open library's parts, a question and the turns before it, and who asks in which collection.
Gives   the events of `rag/types.py` in that order. Every quotation was compared byte for byte with its document just
        before it is shown; every answer and refusal is in the audit with what is needed to give it again.
Refuses to answer below the threshold of confidence, which the strictness shifts: then the nearest passages are named.
        An outside speaker that fails is replaced by our own words, with a notice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rag import cite, followup, generate, language, prompt, quote, remembered, spoken, tasks, wording, workers
from rag.asof import as_it_was
from rag.audit import ASKED
from rag.compose import Material, compose
from rag.endpoint import Footnotes
from rag.errors import EndpointError, ModelError
from rag.generate import SpanSpeaker, stretches, whole
from rag.parts import Parts
from rag.remembered import Recalled
from rag.rerank import Alike, against, choose, confidence
from rag.retrieve import retrieve
from rag.risk import threshold
from rag.speak import TrunkSpeaker, open_speaker
from rag.types import (
    LOCAL_OWNER,
    Answer,
    Citation,
    Done,
    Event,
    Found,
    Hit,
    Message,
    Passage,
    Quoted,
    Reader,
    Reading,
    Searching,
    Span,
    Speaker,
    Statement,
    Text,
)  # fmt: skip

REFUSAL = "The documents do not say."
UNSUPPORTED = " [not in the sources]"  # after a sentence of an outside model that says more than the passages
NEAREST = 3


@dataclass
class Course:
    """What is known of one answer while it is being made."""

    parts: Parts
    reader: Reader
    asked: str
    alone: str  # the question as it stands alone: what is shown, sent outside and kept
    history: Sequence[Message]
    collection: str | None
    person: str
    documents: cite.Documents
    recalled: Recalled = field(default_factory=lambda: Recalled(""))  # of this person's memory: what the question needs
    standalone: str = ""  # `alone` with what that adds: what is searched and read
    began: float = field(default_factory=time.perf_counter)
    generation: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    read: tuple[Hit, ...] = ()  # everything that was read
    hits: list[Hit] = field(default_factory=list)  # the best of it; `reading` counts these
    reading: Reading = field(default_factory=lambda: Reading((), 0.0, ()))
    passages: list[Passage] = field(default_factory=list)  # those of `hits`, with what their ends cut
    threshold: float = 0.0
    features: tuple[float, ...] = ()  # what the confidence rests on
    confidence: float = 0.0
    disagreement: tuple[Statement, ...] = ()
    speaker: str = ""
    purpose: str = ASKED
    notices: list[str] = field(default_factory=list)

    def lap(self, name: str) -> None:
        """Note how long it took since the lap before, in milliseconds."""
        passed = (time.perf_counter() - self.began) * 1000
        self.timings[name] = passed - sum(self.timings.values())


def answer(
    parts: Parts,
    question: str,
    *,
    history: Sequence[Message] = (),
    collection: str | None = None,
    person: str | None = None,
    speaker: SpanSpeaker | None = None,
    purpose: str = ASKED,
    recall: Collection[str] | None = None,
    found: Sequence[Hit] | None = None,
    standalone: str | None = None,
) -> Generator[Event]:
    """Answer one question. `speaker` words the answer by other rules than the default ones.

    `purpose` stands in the audit: what is asked to measure (evaluated, replayed) is no question of a person.
    `recall` are the ids of remembered facts that may be used: none where nobody asks, all of this person's otherwise.
    `standalone` is how a person wants the question to be understood, instead of our own rewriting of a follow-up.
    `found` is read instead of what a search finds: an old answer is given again from its own passages.
    """
    if parts.reader is None:
        raise ModelError("no model is open, so nothing can be answered. Name a model folder in the settings")
    own = speaker or SpanSpeaker()
    course = Course(
        parts, parts.reader, question, _alone(question, history, standalone), history, collection,
        person or LOCAL_OWNER, cite.Documents(parts.catalogue, most=generate.CITED), speaker=own.name, purpose=purpose,
    )  # fmt: skip
    course.generation = parts.refresh()
    _recall(course, (None if purpose == ASKED else ()) if recall is None else recall)
    yield Searching(course.alone, tuple(fact.text for fact in course.recalled.facts))
    if found is None:
        found = retrieve(course.standalone, parts=parts, collection=collection, person=person)
        found, told = as_it_was(course.standalone, found, parts=parts, collection=collection, person=person)
        course.notices += told
    course.read = prompt.fit(course.standalone, found).hits
    course.lap("search")
    yield Found(course.read)
    task = tasks.recognise(course.alone)
    made = tasks.perform(task, tasks.Desk(parts, course.reader, found, collection, person)) if task else None
    if task is not None and made is not None:
        yield from _tell(course, task, made)
        return
    _read(course)
    course.lap("read")
    reason = _why_not(course)
    words, citations = ("", ()) if reason else _composed(course, own)
    if not reason and not citations:
        reason = "The words that seemed to answer could not be confirmed in their document, so they are not shown."
    model = parts.speaker or open_speaker(parts.settings, parts.reader)
    if reason:
        yield from _refuse(course, reason)
    elif model is None:
        yield from _speak(course, words, citations)
    elif isinstance(model, TrunkSpeaker):
        yield from _speak(course, *_worded(course, model, words, citations))
    else:
        yield from _speak_outside(course, model, words, citations)


def _alone(question: str, history: Sequence[Message], given: str | None) -> str:
    """The question as it stands alone: as the person put it, else as the rules do."""
    return " ".join((given or "").split()) or followup.standalone(question, history)


def _recall(course: Course, allowed: Collection[str] | None) -> None:
    """Add what this person asked to be remembered, where the question needs it; `allowed` are ids, None all of them."""

    def search(words: str) -> list[Hit]:
        return retrieve(words, parts=course.parts, collection=course.collection, person=course.person)

    kept = remembered.among(remembered.facts(course.parts.catalogue, person=course.person), allowed)
    course.recalled = remembered.recall(course.alone, kept, search)
    course.standalone = course.recalled.question


def _tell(course: Course, task: tasks.Task, made: tasks.Made) -> Iterator[Event]:
    """What a task made of the documents; it was read and composed in one go. An outside speaker has no part in it."""
    course.lap("read")
    course.speaker, course.confidence = f"task:{task.kind}", made.confidence
    course.notices += made.notices
    if made.reason is None:
        yield from _speak(course, made.words, made.citations)
        return
    course.hits = list(course.read[:NEAREST])
    course.passages = [course.documents.widened(hit.passage) for hit in course.hits]
    yield from _refuse(course, made.reason)


def _read(course: Course) -> None:
    """One reading of everything that was found, and the choice of what may answer."""
    strictness = course.parts.settings.strictness
    course.threshold = threshold(course.reader.threshold, strictness, course.reader.risk)
    if course.read:
        reading = course.reader.read(course.standalone, [hit.passage for hit in course.read])
        course.hits, course.reading, course.features = choose(
            course.read, reading, lambda hits, spans: _alike(course, hits, spans), weights=course.reader.order
        )
        course.confidence = confidence(course.features, reading.support, course.reader.confidence)
        course.passages = [course.documents.widened(hit.passage) for hit in course.hits]


def _alike(course: Course, hits: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
    """How like the question the words are that each span would say; they lean to what was recalled of the person."""
    found = list(against(course.standalone, course.read, course.parts.embedder.embed)(hits, spans))
    if not course.recalled.notes:
        return found
    leans = (
        remembered.lean(course.recalled, one.words, hits[span.passage].passage, span.start)
        for span, one in zip(spans, found, strict=True)
    )
    return [one._replace(lean=lean) for one, lean in zip(found, leans, strict=True)]


def _why_not(course: Course) -> str | None:
    """Why there can be no answer, in one sentence for people; None where there can."""
    if not course.read:
        if not course.parts.catalogue.documents(collection=course.collection, person=course.person):
            return "There are no documents yet; add some and ask again."
        return "No passage that you may read resembles the question."
    if course.confidence < course.threshold or not course.reading.spans:
        measured = f"confidence {course.confidence:.2f}, needed {course.threshold:.2f}"
        return f"The {len(course.read)} nearest passages were read, and none clearly answers the question ({measured})."
    return None


def _composed(course: Course, own: SpanSpeaker) -> tuple[str, tuple[Citation, ...]]:
    """Our own words with the quotations they rest on, each found again in its document; none where they were not."""
    made = compose(
        Material(course.standalone, course.hits, course.reading, course.passages, course.read, course.documents), own
    )
    course.disagreement = made.disagreement
    return made.words, made.citations


def _nearest(course: Course) -> tuple[Citation, ...]:
    """What to show with a refusal: of each of the best passages, the words most like the question."""
    wanted = wording.stems(course.standalone)
    found: list[quote.Quotation] = []
    for at, (hit, passage) in enumerate(zip(course.hits[:NEAREST], course.passages, strict=False)):
        units = quote.candidates(passage.text) or [(0, len(passage.text))]
        start, end = max(units, key=lambda unit: len(wanted & wording.stems(passage.text[unit[0] : unit[1]])))
        found.append(quote.Quotation(at, *quote.expand(passage.text, start, end), hit.score))
    return course.documents.confirmed(found, course.passages)


def _refuse(course: Course, reason: str) -> Iterator[Event]:
    yield Text(REFUSAL)
    course.lap("speak")
    yield Done(_finish(course, REFUSAL, (), nearest=_nearest(course), reason=reason))


def _speak(course: Course, words: str, citations: tuple[Citation, ...]) -> Iterator[Event]:
    for piece in stretches(words):
        yield Text(piece)
    for number, cited in enumerate(citations, start=1):
        yield Quoted(number, cited)
    course.lap("speak")
    yield Done(_finish(course, words, citations))


def _worded(
    course: Course, trunk: TrunkSpeaker, words: str, citations: tuple[Citation, ...]
) -> tuple[str, tuple[Citation, ...]]:
    """Our trunk's words with its quotations; `words` and `citations`, made by rules, where it has none that hold."""
    if course.disagreement:  # all sides are shown as they are quoted; no wording picks one
        return words, citations
    said = trunk.compose(course.standalone, course.reading.spans, course.passages)
    shown = course.documents.confirmed(said.quotations, course.passages)
    if not said.words or len(shown) < len(said.quotations):
        course.notices.append("The trunk found no words that its quotations hold, so the quoted words answer.")
        return words, citations
    course.speaker = trunk.name
    return said.words, shown


def _speak_outside(course: Course, outside: Speaker, words: str, citations: tuple[Citation, ...]) -> Iterator[Event]:
    """An outside model's words, sentence by sentence, marked where they say more than the passages.

    Its [n] name passages; they are renumbered to the quotations shown, which are ours and checked like all others.
    `words` and `citations` are our own answer, given where the outside model fails.
    """
    said: list[str] = []
    footnotes = Footnotes(course.passages)
    try:
        for sentence in whole(outside.say(course.alone, course.reading.spans, course.passages)):
            if not said and sentence.strip(' "').startswith(REFUSAL.rstrip(".")):
                course.speaker = outside.name
                yield from _refuse(course, f"{outside.name} found no answer in the passages.")
                return
            said.append(footnotes.renumber(marked(sentence, course.passages)))
            yield Text(said[-1])
    except GeneratorExit:  # whoever listened has left: what was shown is audited, then the stop goes on
        course.speaker = outside.name
        course.notices.append("Stopped before the end.")
        _finish(course, "".join(said).strip(), course.documents.confirmed(footnotes.quotations, course.passages))
        raise
    except EndpointError as error:
        course.notices.append(f"The outside model failed, so our own model answered: {error}")
        if said:
            yield Text("\n\n")  # the final answer is what `Done` holds: our own words
        yield from _speak(course, words, citations)
        return
    course.speaker = outside.name
    text = "".join(said).strip()
    if UNSUPPORTED in text:
        course.notices.append("Sentences marked [not in the sources] say figures, names or negations no passage holds.")
    confirmed = course.documents.confirmed(footnotes.quotations, course.passages) or citations
    if course.disagreement:
        course.notices.append(" ".join(words.split()))
        sides = (said.citation for said in course.disagreement)
        confirmed = tuple(cite.distinct((*confirmed, *sides), len(confirmed) + len(course.disagreement)))
    for number, cited in enumerate(confirmed, start=1):
        yield Quoted(number, cited)
    course.lap("speak")
    yield Done(_finish(course, text, confirmed))


def marked(sentence: str, passages: Sequence[Passage]) -> str:
    """The sentence, with a mark where its figures, names or negations stand in no passage."""
    bare = sentence.rstrip()
    if not spoken.unsupported(bare, [passage.context for passage in passages]):
        return sentence
    return bare + UNSUPPORTED + sentence[len(bare) :]


def _finish(
    course: Course,
    words: str,
    citations: tuple[Citation, ...],
    *,
    nearest: tuple[Citation, ...] = (),
    reason: str | None = None,
) -> Answer:
    """The whole answer, written to the audit."""
    course.timings["total"] = (time.perf_counter() - course.began) * 1000
    shown = {cited.passage for cited in citations or nearest}
    foreign = language.notices([course.asked, *(hit.text for hit in course.read if hit.passage.id in shown)])
    result = Answer(
        text=words,
        abstained=reason is not None,
        confidence=course.confidence,
        citations=citations,
        answer_id="",
        model=course.reader.name,
        index_generation=course.generation,
        timings_ms=course.timings,
        question=course.asked,
        standalone=course.alone,
        nearest=nearest,
        reason=reason,
        notices=(*course.notices, *foreign),
        disagreement=() if reason else course.disagreement,
        query_side=course.parts.embedder.query_side,
        remembered=tuple(fact.id for fact in course.recalled.facts),
    )
    return replace(result, answer_id=course.parts.audit.record("answer", course.person, _payload(course, result)))


def _payload(course: Course, result: Answer) -> dict[str, object]:
    """Everything that is needed to give the same answer again."""
    settings = course.parts.settings
    spans = [[course.hits[s.passage].passage.id, s.start, s.end, round(s.score, 6)] for s in course.reading.spans[:20]]
    return {
        "purpose": course.purpose,
        "question": course.asked,
        "standalone": course.alone,
        "remembered": [fact.id for fact in course.recalled.facts],
        "history": [[turn.question, turn.answer] for turn in course.history],
        "collection": course.collection,
        "generation": course.generation,
        "passages": [
            {
                "id": hit.passage.id,
                "document": hit.document,
                "version": hit.version,
                "start": hit.start,
                "end": hit.end,
                "headings": list(hit.passage.headings),
                "sha256": hashlib.sha256(hit.text.encode("utf-8", "surrogatepass")).hexdigest(),
                "score": float(hit.score),  # exact, as is the next one: from these the answer is given again
                "nearness": float(hit.nearness),
            }
            for hit in course.read
        ],
        "kept": [hit.passage.id for hit in course.hits],
        "evidence": [round(value, 6) for value in course.reading.evidence],
        "support": round(course.reading.support, 6),
        "features": [round(value, 6) for value in course.features],
        "confidence": round(course.confidence, 6),
        "spans": spans,
        "threshold": round(course.threshold, 6),
        "model": course.reader.name,
        "speaker": course.speaker,
        "embedder": course.parts.embedder.identity,
        "made_with": workers.made_with(course.reader, course.parts.embedder),
        "settings": {
            "strictness": settings.strictness,
            "fusion_weight": settings.fusion_weight,
            "speaker": settings.speaker,
            "generation": settings.generation.model_dump(),
        },
        "answer": {name: value for name, value in result.as_dict().items() if name != "answer_id"},
    }
