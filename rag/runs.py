"""The runs of one library that improve its model: on disk, seen from any process, started, stopped and resumed.

    INDEX/improve/1/state.json     what was asked, every stage, the outcome; replaced by one rename at each change
                    log            what the processes said
                    bundle.zip     what is learnt from, while the run needs it; readable by its owner only
                    candidate/     the model it made
                    candidate.work/   the training's own state, loss points and checkpoints, while the run needs them
                  run.lock         held by the process that runs; run.json names it

Takes   the library's folder.
Gives   `Run`: one run as it stands at this moment. Whether it goes on is asked of the lock, which the system drops when
        its holder dies in whatever way: a state that says "running" without a holder was interrupted.
Refuses a second run at once, and says who runs the first (SettingsError); a number that is not there (NotFound).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rag import files
from rag.catalogue import now
from rag.config import Settings
from rag.detached import apart as apart
from rag.detached import environment as environment
from rag.detached import lives
from rag.errors import NotFound, SettingsError
from rag.lock import WriterLock, holder

FORMAT = 1
STAGES = ("export", "train", "calibrate", "gate")
LOCK = "run"
STARTS_WITHIN_S = 300.0  # a cold disk on a busy machine, before a process that lives can say that it runs
OPEN = ("starting", "running", "stopping")  # the run goes on
RESUMABLE = ("stopped", "interrupted", "failed")
WORDS = ("bundle.zip", "candidate.work")  # what holds documents' words: it goes when the run is done
TOLD = "improve  "  # how a line begins in which the training tells how far it is
_started: dict[Path, subprocess.Popen[bytes]] = {}  # by folder of the run: ours, so that their end is noticed at once


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do."""

    person: str
    overrides: tuple[str, ...] = ()  # for `trainer improve --set`
    config: str | None = None  # a recipe for it
    questions: str | None = None  # a file of questions for the gate
    quick: bool = False  # a rehearsal: the gate measures a part, and promotes nothing


@dataclass(frozen=True, slots=True)
class Loss:
    """One point of a loss curve."""

    stage: str
    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Run:
    """One run. Of a stage: name, status (waiting, running, done, skipped, failed), began, ended, seconds, detail,
    progress (0 to 1), left_s (seconds, None while unknown), and under `stages` the steps within.
    """

    number: int
    folder: Path
    status: str  # starting, running, stopping, stopped, interrupted, failed, promoted, refused
    asked: Asked
    began: str
    ended: str | None
    process: int | None
    error: str | None
    stages: tuple[dict[str, Any], ...]
    outlook: Mapping[str, Any] = field(default_factory=dict)  # as it was before the start
    outcome: Mapping[str, Any] | None = None  # the gate's report

    @property
    def going_on(self) -> bool:
        """A process works at it."""
        return self.status in OPEN

    @property
    def resumable(self) -> bool:
        """It ended before its end, and can go on where it was."""
        return self.status in RESUMABLE

    @property
    def left_s(self) -> float | None:
        """Seconds that the stage at work believes to need."""
        return next((stage.get("left_s") for stage in self.stages if stage["status"] == "running"), None)

    def as_dict(self) -> dict[str, Any]:
        """For `rag improve --status --json`."""
        return {**asdict(self), "folder": str(self.folder), "left_s": self.left_s}


class Runs:
    """The folder `improve` of one library; nothing is made before the first run."""

    def __init__(self, index: Path) -> None:
        self.index = index
        self.folder = index / "improve"

    # --- looking ------------------------------------------------------------------------------------------------------

    def get(self, number: int | None = None) -> Run | None:
        """One run, without a number the latest; None while there was none. Raises NotFound."""
        numbers = self.numbers()
        if number is None and not numbers:
            return None
        if number is not None and number not in numbers:
            raise NotFound(f"improvement {number}: no such run. `rag improve --status` shows the latest")
        return self._seen(number or numbers[-1], holder(self.folder, LOCK))

    def history(self) -> list[Run]:
        """All runs, the latest first."""
        holding = holder(self.folder, LOCK)
        return [self._seen(number, holding) for number in reversed(self.numbers())]

    def losses(self, number: int) -> list[Loss]:
        """The points of a run's loss curves so far; a line that is being written is left for the next look."""
        points = []
        with suppress(OSError):
            for line in progress_file(self.of(number)).read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    row = json.loads(line)
                    points.append(Loss(str(row["stage"]), int(row["step"]), int(row["steps"]), float(row["loss"])))
        return points

    def numbers(self) -> list[int]:
        """Which runs there are, the oldest first."""
        if not self.folder.is_dir():
            return []
        found = (entry for entry in self.folder.iterdir() if entry.name.isdecimal())
        return sorted(int(entry.name) for entry in found if (entry / "state.json").is_file())

    def bundles_at_rest(self) -> Iterator[tuple[Path, str]]:
        """Runs that nobody works at and that still hold a bundle: the folder, and the bundle's id."""
        for run in self.history():
            made = files.read_json(run.folder / "state.json").get("bundle")
            if made and not run.going_on and (run.folder / "bundle.zip").is_file():
                yield run.folder, str(made["id"])

    def of(self, number: int) -> Path:
        """The folder of a run."""
        return self.folder / str(number)

    def _seen(self, number: int, holding: Mapping[str, Any] | None) -> Run:
        state = files.read_json(self.of(number) / "state.json")
        stages = tuple(state.get("stages", ()))
        status = str(state.get("status", "interrupted"))
        if status == "running" and (holding is None or holding.get("process", state["pid"]) != state["pid"]):
            status = "interrupted"
        elif status == "running" and (self.of(number) / "stop").exists():
            status = "stopping"
        elif status == "starting" and not self._may_come(number, state):
            status = "interrupted"
        return Run(
            number=number,
            folder=self.of(number),
            status=status,
            asked=_asked(state.get("asked", {})),
            began=str(state.get("began", "")),
            ended=state.get("ended"),
            process=state.get("pid"),
            error=state.get("error") or (_last_words(self.of(number)) if status == "interrupted" else None),
            stages=tuple(_with_steps(self.of(number), stage, status in OPEN) for stage in stages),
            outlook=state.get("outlook") or {},
            outcome=state.get("outcome"),
        )

    def _may_come(self, number: int, state: Mapping[str, Any]) -> bool:
        """Has the process that was started still time to say that it runs?"""
        child = _started.get(self.of(number).resolve())
        if child is not None and child.poll() is not None:
            return False
        with suppress(OSError, ValueError):
            if not lives(int((self.of(number) / "process").read_text(encoding="ascii"))):
                return False
        with suppress(ValueError, KeyError):
            age = datetime.fromisoformat(now()) - datetime.fromisoformat(str(state["asked_at"]))
            return age.total_seconds() < STARTS_WITHIN_S
        return False

    # --- starting and stopping ----------------------------------------------------------------------------------------

    def start(self, asked: Asked, settings: Settings, outlook: Mapping[str, Any] | None = None) -> Run:
        """Make a run and a process for it, which outlives this one. Raises SettingsError while another goes on."""
        with WriterLock(self.folder, name="start").held():
            self._refuse_second()
            self._clear_older()
            number = 1 + max(self.numbers(), default=0)
            folder = self.of(number)
            shutil.rmtree(folder, ignore_errors=True)  # of a start that was cut off before its state was written
            folder.mkdir(mode=0o700)
            files.write_json(folder / "state.json", {
                "format": FORMAT, "number": number, "status": "starting", "asked": asdict(asked), "asked_at": now(),
                "began": now(), "ended": None, "pid": None, "error": None, "outcome": None, "outlook": outlook or {},
                "stages": [blank(name) for name in STAGES],
            })  # fmt: skip
            self._spawn(number, settings)
        return self._seen(number, holder(self.folder, LOCK))

    def resume(self, settings: Settings, number: int | None = None, *, again: str | None = None) -> Run:
        """Go on with a run; `again` does a stage and all after it once more. Raises NotFound, SettingsError."""
        if again is not None and again not in STAGES:
            raise SettingsError(f"stage is {again!r}: use {', '.join(STAGES)}")
        with WriterLock(self.folder, name="start").held():
            run = self.get(number)
            if run is None:
                raise NotFound("no improvement was started here yet. Start one: rag improve")
            self._refuse_second()
            if run.status == "promoted" or (not run.resumable and again is None):
                raise SettingsError(
                    f"improvement {run.number} was {run.status}: nothing is left to do. Start anew: rag improve"
                    + (", or compare it again with --from gate" if run.status == "refused" else "")
                )
            state = files.read_json(run.folder / "state.json")
            first = STAGES.index(again) if again else len(STAGES)
            done = {stage["name"] for stage in state["stages"][:first] if stage["status"] in ("done", "skipped")}
            stages = [stage if stage["name"] in done else blank(stage["name"]) for stage in state["stages"]]
            if again in ("export", "train"):
                forget(run.folder, ("candidate", *(WORDS if again == "export" else WORDS[1:])))
            (run.folder / "stop").unlink(missing_ok=True)
            files.write_json(run.folder / "state.json", state | {
                "status": "starting", "asked_at": now(), "ended": None, "error": None, "outcome": None,
                "stages": stages,
            })  # fmt: skip
            (run.folder / "process").unlink(missing_ok=True)
            self._spawn(run.number, settings)
        return self._seen(run.number, holder(self.folder, LOCK))

    def stop(self) -> Run:
        """Ask the run that goes on to save and stop; it is seen within a second. Raises NotFound where none does."""
        run = self.get()
        going_on = next((each for each in self.history() if each.going_on), None) if run else None
        if going_on is None:
            raise NotFound("no improvement is going on here. `rag improve --status` shows the latest")
        (going_on.folder / "stop").touch()
        return self._seen(going_on.number, holder(self.folder, LOCK))

    def _refuse_second(self) -> None:
        for run in self.history():
            if run.going_on:
                who = f"process {run.process}" if run.process else "a process that is starting"
                raise SettingsError(
                    f"improvement {run.number} is going on ({who}, begun {run.began} by {run.asked.person}). "
                    "Wait for it (rag improve --status), or stop it: rag improve --stop"
                )
        if (holding := holder(self.folder, LOCK)) is not None:
            raise SettingsError(
                f"{self.folder} is held by process {holding.get('process', '?')}, which is about to end. "
                "Try again in a moment"
            )

    def _clear_older(self) -> None:
        """Earlier runs keep what they said, not what they worked with."""
        for number in self.numbers():
            tidy(self.of(number))
            forget(self.of(number), ("candidate",))

    def _spawn(self, number: int, settings: Settings) -> None:
        command = [sys.executable, "-m", "rag.cli", "improve", "--run", str(number)]
        with (self.of(number) / "log").open("ab") as log:
            child = subprocess.Popen(
                command, env=environment(settings, self.index), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **apart(),
            )  # fmt: skip
        _started[self.of(number).resolve()] = child
        (self.of(number) / "process").write_text(str(child.pid), encoding="ascii")  # the state is the child's to write


# --- what lies in a run's folder --------------------------------------------------------------------------------------


def blank(name: str) -> dict[str, Any]:
    """A stage that has not begun."""
    return {"name": name, "status": "waiting", "began": None, "ended": None, "seconds": None, "detail": "",
            "progress": 0.0, "left_s": None}  # fmt: skip


def process() -> int:
    """The process that works at a run: ours."""
    return os.getpid()


def work_folder(folder: Path) -> Path:
    """Where the training of a run keeps its state."""
    return folder / "candidate.work"


def progress_file(folder: Path) -> Path:
    """The loss points of a run: in the training's folder, and beside the state once that is gone."""
    live = work_folder(folder) / "progress.jsonl"
    return live if live.is_file() else folder / "progress.jsonl"


def _with_steps(folder: Path, stage: Mapping[str, Any], going_on: bool) -> dict[str, Any]:
    """A stage as it stands; the training tells its own steps."""
    seen = dict(stage)
    if stage["name"] == "train":
        inner = files.read_json(work_folder(folder) / "state.json") or files.read_json(folder / "steps.json")
        seen["stages"] = [dict(one) for one in inner.get("stages", ())]
        if stage["status"] == "running" and seen["stages"]:
            seen |= summed(seen["stages"])
    if not going_on:
        for one in (seen, *seen.get("stages", ())):
            if one["status"] == "running":  # it was, when the process ended
                one |= {"status": "waiting", "left_s": None}
    return seen


def summed(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Progress and time left of a stage, from its steps; each weighs as long as it takes, as far as that is known."""
    weights = [float(one.get("forecast") or one.get("seconds") or 1.0) for one in steps]
    done = [1.0 if one["status"] in ("done", "skipped") else float(one.get("progress") or 0.0) for one in steps]
    left = [one.get("left_s") for one in steps if one["status"] in ("running", "waiting")]
    known = sum(float(seconds) for seconds in left if seconds is not None)
    share = sum(weight * part for weight, part in zip(weights, done, strict=True)) / sum(weights)
    return {"progress": share, "left_s": known if left[:1] != [None] else None}


def tidy(folder: Path) -> None:
    """Forget what a run worked with, and keep what it said: its stages, its loss curves, its outcome."""
    work = work_folder(folder)
    for source, kept in (("progress.jsonl", "progress.jsonl"), ("state.json", "steps.json")):
        if (work / source).is_file():
            (work / source).replace(folder / kept)
    forget(folder, WORDS)


def forget(folder: Path, names: tuple[str, ...]) -> None:
    """Delete files and folders of a run."""
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _asked(said: Mapping[str, Any]) -> Asked:
    return Asked(
        person=str(said.get("person", "")),
        overrides=tuple(said.get("overrides", ())),
        config=said.get("config"),
        questions=said.get("questions"),
        quick=bool(said.get("quick")),
    )


def _last_words(folder: Path) -> str | None:
    """The last line of the log: what a process said before it died, if it was no report of how far it is."""
    with suppress(OSError):
        lines = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines and not lines[-1].startswith(TOLD):
            return lines[-1].strip()
    return None
