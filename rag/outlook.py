"""What an improvement of the model would learn from, before it starts: how much, for how long, and what is missing.

Takes   an open library's parts, and its earlier runs.
Gives   an `Outlook`: judgements by what they become, documents and passages, minutes, what is missing in plain words.
Refuses nothing by itself; `refuse_hopeless` raises SettingsError where no candidate could be shown to be better.
Minutes come from the latest finished run of this library where there is one, else from SECONDS, as measured on two
        cores (docs/experiments.md); both are rough, and the stages correct them once they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rag import bundle, feedback, review
from rag.errors import SettingsError
from rag.parts import Parts
from rag.runs import STAGES, Run, Runs

FEW = 30  # judged questions on the held-out side below which a gain is hardly ever certain
ENDED = ("promoted", "refused")
SECONDS = {  # of each stage: (always, for each passage learnt from, for each judgement)
    "export": (2.0, 0.02, 0.05),
    "train": (300.0, 1.0, 4.0),
    "calibrate": (20.0, 0.0, 0.2),
    "gate": (600.0, 0.0, 2.0),
}
MOST = {"train": 3000.0}  # its own budget: `improve.most_minutes`


@dataclass(frozen=True, slots=True)
class Outlook:
    """See the module. `becomes` counts rows of the two sides: learnt from (train) and kept to measure (held)."""

    becomes: dict[str, dict[str, int]]
    judgements: int
    people: int
    left_out: dict[str, int]
    waiting: int  # for a review
    documents: dict[str, int]
    passages: dict[str, int]
    seconds: dict[str, float]  # by stage
    like_run: int | None  # the run they were taken from
    missing: tuple[str, ...]
    hopeless: bool  # nothing could show a gain

    @property
    def total_seconds(self) -> float:
        """About how long it would take."""
        return sum(self.seconds.values())

    def refuse_hopeless(self, *, questions: bool = False) -> None:
        """Raise where nothing could be learnt, or no gain be shown; `questions` people checked can show one."""
        if not self.documents["train"] + self.documents["held"] or (self.hopeless and not questions):
            raise SettingsError(
                " ".join(self.missing) + " Nothing was started; --anyway starts all the same, and --questions FILE "
                "gives the gate questions that people checked"
            )

    def as_dict(self) -> dict[str, Any]:
        """For `rag improve --outlook --json`, and for what a run remembers of its start."""
        return {**asdict(self), "missing": list(self.missing), "total_seconds": self.total_seconds}


def outlook(parts: Parts, runs: Runs, *, person: str | None = None) -> Outlook:
    """Look at what is there."""
    seen = bundle.foreseen(parts)
    waiting = len(review.waiting(parts.catalogue, person=person))
    whole = (run for run in runs.history() if run.status in ENDED and not (run.asked.quick or run.asked.overrides))
    before = next(whole, None)  # what was asked for less says little about a whole one
    seconds, like_run = _seconds(seen, before)
    missing = _missing(seen, waiting, len(feedback.judgements(parts.catalogue, state="accepted")))
    return Outlook(
        becomes=seen.becomes, judgements=seen.judgements, people=seen.people, left_out=seen.left_out, waiting=waiting,
        documents=seen.documents, passages=seen.passages, seconds=seconds, like_run=like_run, missing=missing,
        hopeless=not seen.judgements,
    )  # fmt: skip


def _missing(seen: bundle.Foreseen, waiting: int, accepted: int) -> tuple[str, ...]:
    documents = sum(seen.documents.values())
    held = sum(counts["held"] for kind, counts in seen.becomes.items() if kind in (review.SPAN, review.NO_ANSWER))
    said = []
    if not documents:
        said.append("There are no documents that everybody may read: add some first.")
    elif documents < 2:
        said.append("There is one document: with a second one, one can be kept to measure what was learnt.")
    if not seen.judgements:
        said.append(_none(waiting, accepted))
    elif held < FEW:
        said.append(
            f"{held} judged questions are kept to measure with; below {FEW} a gain is seldom certain, and then the "
            "candidate must get every answer right that people corrected."
        )
    if full := seen.left_out.get(bundle.CAPPED):
        said.append(
            f"{full:,} accepted {'judgement is' if full == 1 else 'judgements are'} left out because one person's "
            "share is full. Where few people judge, `rag improve --influence 1`, or influence = 1 in rag.toml, "
            "takes all."
        )
    if seen.judgements and waiting:
        said.append(f"{_judgements(waiting)} for a review and would not be learnt from.")
    return tuple(said)


def _none(waiting: int, accepted: int) -> str:
    if waiting:
        return f"No accepted judgements yet: {_judgements(waiting)} for a review."
    if accepted:
        return "None of the accepted judgements teaches anything as it stands; the reasons are listed below."
    return "No judgements yet: ask questions, judge the answers, and accept the judgements in the review."


def _judgements(count: int) -> str:
    return f"{count} judgement waits" if count == 1 else f"{count} judgements wait"


def _seconds(seen: bundle.Foreseen, before: Run | None) -> tuple[dict[str, float], int | None]:
    """By stage: as the last run took, in proportion to what it learnt from, or as measured elsewhere."""
    plain = {name: _measured(name, seen.passages, seen.judgements) for name in STAGES}
    then: Mapping[str, Any] = before.outlook if before else {}
    if before is None or "passages" not in then:
        return plain, None
    took = {stage["name"]: float(stage.get("seconds") or 0) for stage in before.stages}
    scaled = {
        name: took[name] * plain[name] / _measured(name, then["passages"], then["judgements"])
        if took.get(name)
        else plain[name]
        for name in STAGES
    }
    return scaled, before.number


def _measured(stage: str, passages: Mapping[str, int], judgements: int) -> float:
    always, by_passage, by_judgement = SECONDS[stage]
    expected = always + by_passage * passages["train"] + by_judgement * judgements
    return min(expected, MOST.get(stage, expected))
