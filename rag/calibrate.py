"""How sure a candidate may be, from questions that people judged in this library.

    judged, taught it nothing ─► asked, and asked again without what answers ─► confidence ─┬─► threshold, risk
    every judged question ─► asked without what answers, of both models ────────────────────┘

Takes   an open library's parts, a candidate's folder, and questions with known answers, none where nothing answers:
        those that the candidate did not learn from, and all.
Gives   `confidence`, `answer_threshold` and `risk` for the candidate's config.json. The weights stay near those it has:
        few questions change little. All features count: a reader that learnt from a library's own questions knows
        there what its evidence is worth. The threshold refuses, of what nothing answers, as much as the current model
        refuses of the same askings: those are all there are, for a share of few is mostly chance.
Leaves  the order of answers as it is: fitted on some dozens of questions it was worse (docs/experiments.md).
Refuses (TooFew) fewer than FEWEST questions that have an answer: then the candidate keeps what it has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rag import files, prompt
from rag.embed import open_embedder
from rag.errors import TooFew
from rag.fitting import calibration_error, confidence_weights, least, risks
from rag.generate import SpanSpeaker
from rag.metrics import Alternative, right, stands
from rag.parts import Parts
from rag.read import open_reader
from rag.rerank import WEIGHTS, Alike, Chosen, against, choose, confidence
from rag.retrieve import retrieve
from rag.types import Hit, Reading, Span

FEWEST = 30  # questions with an answer
MOST_REFUSED = 240  # askings without an answer by which the threshold is set
RIDGE = 10.0  # how strongly the former weights hold, on the scale of one question's say
FOLDS = 5
Progress = Callable[[int, int], None]


class Known(NamedTuple):
    """A question and the words that answer it, none where nothing does."""

    question: str
    answers: tuple[Alternative, ...]
    collection: str | None = None


@dataclass(frozen=True)
class Case:
    """One question asked of one library, with everything the choice of an answer rests on."""

    question: Known
    hits: tuple[Hit, ...]
    reading: Reading
    alike: dict[tuple[int, int, int], Alike]  # by passage id and characters

    def chosen(self, weights: Mapping[str, float] | None) -> Chosen:
        """The choice under these weights."""
        return choose(self.hits, self.reading, self.compare, weights=weights)

    def compare(self, hits: Sequence[Hit], spans: Sequence[Span]) -> list[Alike]:
        """What was measured; spans that were not compared then count as unlike."""
        return [self.alike.get((hits[s.passage].passage.id, s.start, s.end), Alike(0.0)) for s in spans]

    def right(self, chosen: Chosen) -> bool:
        """Would the answer be right?"""
        passages = [hit.passage for hit in chosen.hits]
        shares = [span.score for span in chosen.reading.spans]
        spans = [span._replace(score=chosen.reading.evidence[span.passage]) for span in chosen.reading.spans]
        said = SpanSpeaker().compose(self.question.question, spans, passages, shares=shares)
        return bool(said.words) and right(said.words, self.question.answers)

    def witnesses(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Of each compared span the five witnesses, [spans, 5], and whether saying it is right, [spans]."""
        passages = {hit.passage.id: (at, hit) for at, hit in enumerate(self.hits)}
        scores = {(self.hits[s.passage].passage.id, s.start, s.end): s.score for s in self.reading.spans}
        rows, good = [], []
        for key, alike in self.alike.items():
            at, hit = passages[key[0]]
            seen = max(self.reading.evidence[at], 1e-9)
            inside = np.log(max(scores[key], 1e-9)) - np.log(seen)
            rows.append([np.log(seen), inside, hit.score, alike.likeness, alike.coverage])
            said = SpanSpeaker().compose(self.question.question, [Span(0, key[1], key[2], 1.0)], [hit.passage])
            good.append(bool(said.words) and right(said.words, self.question.answers))
        return np.array(rows).reshape(-1, len(WEIGHTS)), np.array(good, dtype=bool)


def ask(parts: Parts, known: Known, *, without: bool = False) -> Case | None:
    """Ask once; `without` the passages in which an answer stands. None where nothing is found."""
    assert parts.reader is not None  # parts are opened with one
    found = retrieve(known.question, parts=parts, collection=known.collection)
    if without:
        found = [hit for hit in found if not stands(known.answers, hit.passage.context)]
        known = known._replace(answers=())
    hits = prompt.fit(known.question, found).hits
    if not hits:
        return None
    reading = parts.reader.read(known.question, [hit.passage for hit in hits])
    alike: dict[tuple[int, int, int], Alike] = {}
    compare = against(known.question, hits, parts.embedder.embed)

    def noted(kept: Sequence[Hit], spans: Sequence[Span]) -> Sequence[Alike]:
        measured = compare(kept, spans)
        for span, one in zip(spans, measured, strict=True):
            alike[kept[span.passage].passage.id, span.start, span.end] = one
        return measured

    choose(hits, reading, noted, weights=parts.reader.order)
    return Case(known, hits, reading, alike)


def with_model(parts: Parts, folder: Path) -> Parts:
    """The same library, read by another model, with the query side that model has."""
    settings = parts.settings.but(model=folder)
    return replace(parts, settings=settings, reader=open_reader(folder), embedder=open_embedder(settings))


def asked(parts: Parts, known: Sequence[Known], progress: Progress | None = None) -> Iterator[Case]:
    """Every question, and those with an answer once more without it."""
    for number, one in enumerate(known, start=1):
        for without in (False, True) if one.answers else (False,):
            if (case := ask(parts, one, without=without)) is not None:
                yield case
        if progress is not None:
            progress(number, len(known))


def calibrate(
    parts: Parts,
    folder: Path,
    known: Sequence[Known],
    *,
    everything: Sequence[Known] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The keys of config.json for the model in `folder`; `parts` are the library with its current model.

    known: questions that the candidate did not learn from; everything: all that were judged, `known` among them.
    Raises TooFew. Takes a reading of each question of `everything` by both models, two more of each of `known`.
    """
    answerable = sum(bool(one.answers) for one in known)
    if answerable < FEWEST:
        raise TooFew(f"{answerable} judged questions with an answer; {FEWEST} are needed to calibrate a model on them")
    unanswered = _some(everything or known)
    total, done = 2 * len(unanswered) + len(known), 0

    def told(_: int, __: int) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    candidate = with_model(parts, folder)
    assert candidate.reader is not None
    now = list(lost(parts, unanswered, told))
    then = list(lost(candidate, unanswered, told))
    return fitted(candidate, list(asked(candidate, known, told)), then, refuse=_refused(parts, now))


def lost(parts: Parts, known: Sequence[Known], progress: Progress | None = None) -> Iterator[Case]:
    """Every question, without what answers it."""
    for number, one in enumerate(known, start=1):
        if (case := ask(parts, one, without=bool(one.answers))) is not None:
            yield case
        if progress is not None:
            progress(number, len(known))


def _some(known: Sequence[Known]) -> list[Known]:
    """At most MOST_REFUSED of them, the same every time."""
    return sorted(known, key=lambda one: hashlib.sha256(one.question.encode()).digest())[:MOST_REFUSED]


def known_of(rows: Sequence[dict[str, Any]]) -> list[Known]:
    """Judged rows of a bundle (docs/judgements.md) as questions with the words that answer."""
    found: dict[str, Known] = {}
    for row in rows:
        text = row["sources"][0][1] if row["sources"] else ""
        answers = tuple(text[start:end] for start, end in row["spans"])
        found.setdefault(row["question"], Known(row["question"], answers))
    return list(found.values())


def write(folder: Path, changes: dict[str, Any]) -> None:
    """Into the folder's config.json, whole or not at all; its line in SHA256SUMS follows.

    Between the two the folder counts as damaged, so nobody serves weights with a half-written configuration.
    """
    path, sums = folder / "config.json", folder / "SHA256SUMS"
    files.write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)
    lines = (line.split("  ", 1) for line in sums.read_text(encoding="utf-8").splitlines())
    listed = {name: value for value, name in lines}
    listed[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    files.write(sums, "".join(f"{value}  {name}\n" for name, value in sorted(listed.items())))


def fitted(parts: Parts, cases: Sequence[Case], unanswered: Sequence[Case], *, refuse: float) -> dict[str, Any]:
    """The weights of one model from its cases; `refuse` is the share of what nothing answers that is to be refused."""
    reader = parts.reader
    assert reader is not None
    chosen = [(case, one) for case in cases if (one := case.chosen(reader.order)).features]
    x = np.array([one.features for _, one in chosen])
    good = np.array([case.right(one) for case, one in chosen], dtype=float)
    fold = np.array([sum(map(ord, case.question.question)) % FOLDS for case, _ in chosen])  # both askings in one
    said = np.zeros(len(x))
    for k in range(FOLDS):
        if (fold == k).any():
            weights = confidence_weights(x[fold != k], good[fold != k], near=reader.confidence, ridge=RIDGE)
            said[fold == k] = [confidence(tuple(row), 0.0, weights) for row in x[fold == k]]
    weights = confidence_weights(x, good, near=reader.confidence, ridge=RIDGE)
    threshold = least(_sure(unanswered, reader.order, weights), refuse=refuse)
    how = (
        f"Fitted near the former weights on {len(chosen)} askings of judged questions that taught it nothing; "
        f"calibration error {100 * calibration_error(said, good):.1f}% in {FOLDS} folds. The threshold refuses "
        f"{100 * refuse:.0f}% of {len(unanswered)} askings without an answer, as the model before."
    )
    return {
        "confidence": weights,
        "answer_threshold": threshold,
        "risk": risks(said, good),
        "confidence_fit": {"how": how, "questions": len(chosen)},
    }


def _refused(parts: Parts, cases: Sequence[Case]) -> float:
    """The share of askings without an answer that the current model refuses."""
    reader = parts.reader
    assert reader is not None
    said = _sure(cases, reader.order, reader.confidence)
    return float((said < reader.threshold).mean()) if len(said) else 1.0


def _sure(
    cases: Sequence[Case], order: Mapping[str, float] | None, weights: Mapping[str, float] | None
) -> npt.NDArray[np.float64]:
    """How sure a model is of what it would say, by case; nothing to say: not at all."""
    chosen = [case.chosen(order) for case in cases]
    return np.array(
        [
            confidence(one.features, case.reading.support, weights) if one.features else 0.0
            for case, one in zip(cases, chosen, strict=True)
        ]
    )
