"""What a reader made of many questions: answers, refusals, quotations, time; and the figures that follow.

    cases ─► ask(reader) ─► Outcomes ─┬─► measures    exact match, F1, refusals, risk, calibration, in percent
                                      ├─► intervals   of each, by bootstrap; or of the difference to another model
                                      └─► curves      risk over coverage, reliability

Takes   `Case`s and anything that answers `SourceReader`.
Units   percent, but for the area under the risk-coverage curve and times. Exact match and F1 are of the best span,
        whether or not support reaches the threshold, over answerable questions, against the answer that suits best.
Right   means F1 of at least 0.5 on an answerable question. Where all its answers are free wording, which no span can
        equal, half of the span's words must stand in one of them. Risk is the share of given answers that is not right;
        what has no answer is always wrong to answer. `auc_risk_coverage_refusals` calls nothing else wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from trainer.chat import Source
from trainer.reading import SourceReader
from trainer.scoring import quotations, scores
from trainer.scoring.quotations import Quotations
from trainer.scoring.scores import Floats, Indices

Item = TypeVar("Item")
POINTS = 60  # of a curve as it is written down
RISKS = (0.05, 0.1, 0.2)  # shares of wrong answers for which the coverage is stated
SHARES = ("exact_match", "f1", "evidence_top1", "answered", "refused", "balanced_accuracy", "right", "wrong", "ece")


class Case(NamedTuple):
    """One question as it is put to a reader."""

    question: str
    sources: list[Source]
    gold: int  # which source answers, or -1
    answers: list[str]
    free: bool = False  # the answers are free wording, not parts of a source
    windows: bool = False  # the sources are parts of one context: evidence has nothing to choose


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """One entry a question in every array."""

    support: Floats
    answerable: npt.NDArray[np.bool_]
    exact: Floats  # 0 where there is no answer to find
    overlap: Floats  # F1, likewise
    right: npt.NDArray[np.bool_]  # would the best span be a right answer?
    pointed: Floats  # 1 where the gold source had the highest evidence, nan where there was no choice
    said: list[str]  # the best span
    seconds: Floats
    quoted: Quotations


def ask(reader: SourceReader, cases: Sequence[Case], *, title: str) -> Outcomes:
    """Put every case to the reader; progress goes to stderr under `title`."""
    rows: list[tuple[float, bool, float, float, bool, float, str, float]] = []
    quoted = Quotations()
    for case in progress(cases, title):
        began = time.perf_counter()
        evidence, support, spans = reader.read(case.question, case.sources)
        seconds = time.perf_counter() - began
        quoted = quoted.and_(quotations.of_spans(case.question, case.sources, spans))
        said = case.sources[spans[0].source].text[spans[0].start : spans[0].end] if spans else ""
        choice = case.gold >= 0 and len(case.sources) > 1 and not case.windows
        pointed = float(int(np.argmax(evidence)) == case.gold) if choice else float("nan")
        exact, overlap = (scores.best(m, said, case.answers) for m in (scores.exact, scores.word_f1))
        agreed = scores.best(scores.word_precision, said, case.answers) if case.free else overlap
        right = case.gold >= 0 and agreed >= scores.OVERLAP_FOR_RIGHT
        rows.append((support, case.gold >= 0, exact, overlap, right, pointed, said, seconds))
    columns = list(zip(*rows, strict=True)) or [()] * 8
    floats = [np.array(columns[at], dtype=np.float64) for at in (0, 2, 3, 5, 7)]
    return Outcomes(
        support=floats[0],
        answerable=np.array(columns[1], dtype=bool),
        exact=floats[1],
        overlap=floats[2],
        right=np.array(columns[4], dtype=bool),
        pointed=floats[3],
        said=[str(said) for said in columns[6]],
        seconds=floats[4],
        quoted=quoted,
    )


def measures(outcomes: Outcomes, threshold: float, at: Indices | None = None) -> dict[str, float]:
    """Shares from 0 to 1, nan where nothing was measured; `at` chooses questions, some more than once."""
    at = np.arange(len(outcomes.support)) if at is None else at
    support, answerable, right = outcomes.support[at], outcomes.answerable[at], outcomes.right[at]
    said, pointed = support >= threshold, outcomes.pointed[at]
    return {
        "exact_match": scores.mean(outcomes.exact[at][answerable]),
        "f1": scores.mean(outcomes.overlap[at][answerable]),
        "evidence_top1": scores.mean(pointed[~np.isnan(pointed)]),
        "balanced_accuracy": scores.balanced_accuracy(support, answerable, threshold),
        "answered": scores.mean(said[answerable]),
        "refused": scores.mean(~said[~answerable]),
        "right": scores.mean(said & right),
        "wrong": scores.mean(said & ~right),
        "auc_risk_coverage": scores.risk_coverage(support, ~right).area,
        "auc_risk_coverage_refusals": scores.risk_coverage(support, ~answerable).area
        if not answerable.all()
        else float("nan"),
        "ece": scores.calibration_error(scores.reliability(support, right)),
    }


def report(outcomes: Outcomes, threshold: float) -> dict[str, Any]:
    """The measures as they are written down: percent, areas, counts."""
    return {
        **rounded(measures(outcomes, threshold)),
        "threshold": round(threshold, 4),
        "answerable": int(outcomes.answerable.sum()),
        "unanswerable": int((~outcomes.answerable).sum()),
    }


def rounded(found: dict[str, float]) -> dict[str, float | None]:
    """Shares in percent, areas with four decimals, None for what was not measured."""
    return {
        name: scores.percent(value) if name in SHARES else None if np.isnan(value) else round(value, 4)
        for name, value in found.items()
    }


def intervals(outcomes: Outcomes, threshold: float) -> dict[str, list[float | None]]:
    """95% intervals of the measures that the questions' luck moves."""
    drawn = spreads(len(outcomes.support), lambda at: measures(outcomes, threshold, at))
    known = {name: edges for name, edges in drawn.items() if not np.isnan(edges[0])}
    return {name: [rounded({name: edge})[name] for edge in edges] for name, edges in known.items()}


def differences(ours: Outcomes, theirs: Outcomes, thresholds: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """For each measure: the other model's value, ours minus theirs, and the 95% interval of that difference."""

    def minus(at: Indices | None) -> dict[str, float]:
        first, second = measures(ours, thresholds[0], at), measures(theirs, thresholds[1], at)
        return {name: first[name] - second[name] for name in first}

    value, drawn = measures(theirs, thresholds[1]), spreads(len(ours.support), minus)
    return {
        name: {
            "value": rounded({name: value[name]})[name],
            "difference": rounded({name: change})[name],
            "interval": [rounded({name: edge})[name] for edge in drawn[name]],
        }
        for name, change in minus(None).items()
        if not np.isnan(change)
    }


def spreads(n: int, measured: Callable[[Indices], dict[str, float]]) -> dict[str, list[float]]:
    """95% intervals of everything that `measured(indices)` gives, from the same draws of n questions."""
    kept = [measured(at) for at in scores.draws(n)]
    return {name: scores.interval([one[name] for one in kept]) for name in (kept[0] if kept else {})}


def curves(outcomes: Outcomes) -> dict[str, Any]:
    """Points to draw: risk over coverage (at most POINTS of them) and bins of the reliability diagram."""
    found = scores.risk_coverage(outcomes.support, ~outcomes.right)
    count = len(found.risk)
    chosen = np.unique(np.linspace(0, count - 1, min(POINTS, count)).astype(int)) if count else np.array([], dtype=int)
    bins = scores.reliability(outcomes.support, outcomes.right)
    return {
        "coverage": found.coverage[chosen].round(4).tolist(),
        "risk": found.risk[chosen].round(4).tolist(),
        "coverage_at_risk": {f"{risk:g}": round(found.coverage_at(risk), 4) for risk in RISKS},
        "reliability": [[round(b.confidence, 4), round(b.right, 4), b.n] for b in bins],
    }


def speed(outcomes: Outcomes, cases: Sequence[Case]) -> dict[str, float]:
    """How fast questions were read, one at a time."""
    total = float(outcomes.seconds.sum())
    characters = sum(len(source.text) for case in cases for source in case.sources)
    return {
        "questions_per_second": round(len(cases) / max(total, 1e-9), 2),
        "median_milliseconds": round(1000 * float(np.median(outcomes.seconds)), 1) if len(cases) else 0.0,
        "characters_per_second": round(characters / max(total, 1e-9)),
    }


def progress(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items, with count, rate and time left on stderr every few seconds."""
    began = said = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if number and now - said > 5:
            said, rate = now, number / (now - began)
            left = (len(items) - number) / rate
            sys.stderr.write(f"{title}: {number:,}/{len(items):,}, {rate:.1f}/s, {left:.0f} s left\n")
        yield item
