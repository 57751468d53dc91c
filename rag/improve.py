"""Improve the model from people's judgements and the documents: the third journey.

    export      accepted judgements and passages become one file
    train       `trainer improve`, a process of its own: synthesise, retriever, reader, preferences, evaluate, export
    calibrate   the candidate's order of answers and its confidence, on judged questions that it did not learn from
    gate        the candidate against the current model: promoted, or kept out with the reasons

Takes   an open library and the number of a run (`rag/runs.py`), which holds what was asked.
Gives   the run as it ended: promoted, refused, stopped or failed. Its state is on the disk at every change.
Goes on where a run stopped: a stage whose result stands is not done again. What must not be learnt from any more (a
        document removed or closed, a judgement withdrawn since the export) lets it begin anew, before the gate too.
Refuses to run while another process runs one (IndexDamaged). The training gets the bundle as a file and the model's
        folder, nothing else: `trainer` knows neither the catalogue nor the index.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag import bundle, calibrate, files, lineage, runs
from rag.catalogue import Catalogue, now
from rag.errors import GroundlingError, ModelError, TooFew
from rag.lock import WriterLock
from rag.runs import Run
from rag.stoppable import Stopped, shielded, stoppable

if TYPE_CHECKING:
    from rag.bundle import Bundled
    from rag.gate import GateReport
    from rag.parts import Parts
    from rag.probing import Tell

TRIES = 3  # documents that go while the training runs let it begin anew
NOTED_EVERY_S = 1.0  # progress that nobody could follow is not written
LOOK_S = 0.2  # between two looks at the training's process
SAVES_WITHIN_S = 180.0  # how long it may take to finish a step and save
ENDS_WITHIN_S = 20.0
ANEW = "begun anew"
PARTS = 3  # of the gate: people's questions, probes, general questions
CHOOSING = "choosing"  # the stage that a lineage names for rows that chose among models and taught none
STOPPED = 130  # the exit code of a process that was asked to stop
log = logging.getLogger("groundling.improve")


class Improvable(Protocol):
    """What is improved: a library."""

    path: Path
    _catalogue: Catalogue

    def _model_parts(self) -> Parts:
        """Its parts with the model that answers now."""

    def bundle(self, file: str | Path, *, person: str | None = None) -> Bundled:
        """Write what may be learnt from as one file."""

    def promote(
        self,
        folder: Path,
        *,
        questions: Path | None = None,
        quick: bool = False,
        tell: Tell | None = None,
        person: str | None = None,
    ) -> GateReport:
        """Measure a candidate against the current model, and let it answer if it is better."""


class Course:
    """A run while it is worked at: its state, written at every change."""

    def __init__(self, every: runs.Runs, number: int) -> None:
        self.every, self.number, self.folder = every, number, every.of(number)
        self.state = files.read_json(self.folder / "state.json")
        self.asked = every.get(number).asked  # type: ignore[union-attr]  # a number is given: NotFound or a run

    def save(self, **changes: Any) -> None:
        """Write the state down."""
        self.state.update(changes)
        files.write_json(self.folder / "state.json", self.state)

    def is_done(self, name: str) -> bool:
        """Was this stage done before?"""
        return str(self._stage(name)["status"]) in ("done", "skipped")

    def begin_anew(self, why: str) -> None:
        """Forget what was made: it may not be learnt from as it is."""
        log.info("begins anew: %s", why)
        runs.forget(self.folder, ("candidate", *runs.WORDS))
        self.state["stages"] = [runs.blank(name) for name in runs.STAGES]
        self._stage("export")["detail"] = f"{ANEW}: {why}"
        self.save(bundle=None)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Around the work of a stage; `detail` of what is given says in words what became of it."""
        stage = self._stage(name)
        stage.update(status="running", began=now(), ended=None, seconds=None, progress=0.0)
        stage["detail"] = stage["detail"] if stage["detail"].startswith(ANEW) else ""  # of an earlier try
        self.save()
        began = time.monotonic()
        try:
            yield stage
        except BaseException as error:
            stopped = isinstance(error, Stopped)
            stage.update(status="waiting" if stopped else "failed", left_s=None)
            raise
        stage.update(status="done" if stage["status"] == "running" else stage["status"], progress=1.0, left_s=None)
        stage.update(ended=now(), seconds=round(time.monotonic() - began, 1))
        self.save()

    def pace(self, stage: dict[str, Any]) -> Callable[[int, int], None]:
        """Notes how far a stage is: called with what is done and of how much, as often as one likes."""
        began = noted = time.monotonic()

        def note(done: int, total: int) -> None:
            nonlocal noted
            if done and time.monotonic() - noted >= NOTED_EVERY_S:
                noted = time.monotonic()
                stage.update(progress=done / total, left_s=round((noted - began) * (total - done) / done, 1))
                self.save()

        return note

    def _stage(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(stage for stage in self.state["stages"] if stage["name"] == name)
        return found


def improve(library: Improvable, number: int, *, base: Path) -> Run:
    """Do all that is left of a run, in this process; `base` is the model that answers now."""
    every = runs.Runs(library.path)
    with WriterLock(every.folder, patience_s=ENDS_WITHIN_S, name=runs.LOCK).held():
        course = Course(every, number)
        try:
            with stoppable(course.folder / "stop"):
                course.save(status="running", pid=runs.process(), error=None)
                _stages(library, course, base)
        except Stopped:
            course.save(status="stopped", ended=now())
        except Exception as error:
            foreseen = isinstance(error, GroundlingError)
            if not foreseen:
                log.exception("improvement %d failed", number)
            said = str(error) if foreseen else f"{type(error).__name__}: {error}. {course.folder / 'log'} holds more"
            course.save(status="failed", error=said, ended=now())
    return every.get(number)  # type: ignore[return-value]  # it exists: its state was just written


def _stages(library: Improvable, course: Course, base: Path) -> None:
    for _ in range(TRIES):
        if why := _spoilt(library, course, base):
            course.begin_anew(why)
        made = course.is_done("train") and (course.folder / "candidate" / "config.json").is_file()
        fitted = made and course.is_done("calibrate")
        if not fitted and not (course.is_done("export") and (course.folder / "bundle.zip").is_file()):
            _export(library, course, base)
        if not made:
            _train(course, base)
        if not fitted:
            _calibrate(library, course)
        if not _spoilt(library, course, base):
            break
    else:
        raise ModelError(
            f"improvement {course.number}: what it learnt from was removed or withdrawn {TRIES} times while it ran. "
            "Start it again when the documents rest: rag improve --resume"
        )
    _gate(library, course)
    runs.tidy(course.folder)


def _spoilt(library: Improvable, course: Course, base: Path) -> str:
    """Why what was exported may not be learnt from any more; nothing where it may."""
    made = course.state.get("bundle")
    if not made:
        return ""
    learnt = files.read_json(course.folder / "candidate" / "lineage.json").get("bundle", made["id"])
    if gone := sum(bundle.taken_back(library._catalogue, each) for each in {made["id"], learnt}):
        return f"{gone} of what it learnt from was removed, closed or withdrawn since"
    if made["base"] != bundle.base_model(base)["fingerprint"]:
        return "another model answers now than the one it was to improve"
    return ""


def _export(library: Improvable, course: Course, base: Path) -> None:
    with course.stage("export") as stage:
        made = library.bundle(course.folder / "bundle.zip", person=course.asked.person)
        rows = sum(count for member, count in made.rows.items() if member.startswith(("rows", "preferences")))
        passages = made.rows.get("passages.train.jsonl", 0)
        anew = f"; {stage['detail']}" if stage["detail"] else ""
        stage["detail"] = f"{made.judgements} judgements in {rows} rows, {passages} passages to learn from{anew}"
        course.state["bundle"] = {"id": made.id, "base": bundle.base_model(base)["fingerprint"], **made.rows}


def _train(course: Course, base: Path) -> None:
    with course.stage("train") as stage:
        candidate = course.folder / "candidate"
        command = ["trainer.cli", "improve", str(course.folder / "bundle.zip"), "--base", str(base)]
        command += ["--out", str(candidate)]
        command += ["--config", course.asked.config] if course.asked.config else []
        command += [part for override in course.asked.overrides for part in ("--set", override)]
        code = _on_a_leash(course, command)
        if code == STOPPED:
            raise Stopped
        if code != 0:
            raise ModelError(f"the training ended with code {code}: {_said_last(course)}")
        if not (candidate / "config.json").is_file():
            raise ModelError(f"{candidate}: the training ended well and left no model. Its log is beside the folder")
        lines = files.read_json(candidate / "lineage.json").get("rows", ())
        chose = lineage.count(line for line in lines if line["stage"] == CHOOSING)
        taught = lineage.count(line for line in lines if line["stage"] != CHOOSING)
        stage["detail"] = f"a candidate that {taught} rows taught" + (f", chosen by {chose} others" if chose else "")


def _on_a_leash(course: Course, command: Sequence[str]) -> int:
    """Run a module as a process that ends with us, and wait for it; asked to stop, it saves first."""
    with (course.folder / "log").open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "rag.leashed", str(course.folder), *command],
            stdin=subprocess.PIPE, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        while (code := child.poll()) is None:
            time.sleep(LOOK_S)
        return code
    finally:
        if child.stdin:
            child.stdin.close()  # the leash: it saves and stops
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    for patience, insist in ((SAVES_WITHIN_S, child.terminate), (ENDS_WITHIN_S, child.kill)):
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            insist()
        else:
            return
    child.wait()


def _said_last(course: Course) -> str:
    lines = (course.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing; the machine may have run out of memory"


def _calibrate(library: Improvable, course: Course) -> None:
    with course.stage("calibrate") as stage:
        folder = course.folder / "candidate"
        file = course.folder / "bundle.zip"
        known, everything = (calibrate.known_of(rows) for rows in (unlearnt(folder, file), judged(file)))
        try:
            fitted = calibrate.calibrate(
                library._model_parts(), folder, known, everything=everything, progress=course.pace(stage)
            )
        except TooFew as why:
            stage.update(status="skipped", detail=f"{why}; it keeps what the training fitted")
        else:
            with shielded():  # config and checksums change together
                calibrate.write(folder, fitted)
            stage["detail"] = str(fitted["confidence_fit"]["how"])


def unlearnt(candidate: Path, file: Path) -> list[dict[str, Any]]:
    """Judged rows of a bundle's training side that moved no weight: the held side is for the gate alone."""
    lines = files.read_json(candidate / "lineage.json").get("rows", ())
    learnt = {line["id"] for line in lines if line["stage"] != CHOOSING}
    return [row for row in judged(file) if row["id"] not in learnt]


def judged(file: Path) -> list[dict[str, Any]]:
    """The judged rows of a bundle's training side."""
    with zipfile.ZipFile(file) as opened:
        return [json.loads(line) for line in opened.read("rows.train.jsonl").decode("utf-8").splitlines()]


def _gate(library: Improvable, course: Course) -> None:
    with course.stage("gate") as stage:
        questions = Path(course.asked.questions) if course.asked.questions else None
        report = library.promote(
            course.folder / "candidate", questions=questions, quick=course.asked.quick,
            tell=_told(course.pace(stage), stage), person=course.asked.person,
        )  # fmt: skip
        stage["detail"] = report.verdict
        course.state["outcome"] = report.as_dict()
    course.save(status="promoted" if report.promoted else "refused", ended=now())


def _told(note: Callable[[int, int], None], stage: dict[str, Any]) -> Tell:
    """Makes one count of what the gate tells of its parts: each of PARTS is asked of both models."""
    seen: list[str] = []

    def tell(what: str, done: int, total: int) -> None:
        if what not in seen:
            seen.append(what)
        stage["detail"] = f"{what}: {done} of {total}"
        note(round(1000 * (len(seen) - 1 + done / max(total, 1))), 1000 * max(2 * PARTS, len(seen)))

    return tell
