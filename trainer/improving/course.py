"""Where a run stands: stages with their progress and time left, on the disk for whoever watches; and how it is stopped.

    Course ─► WORK/state.json      at every change, and every second while a stage runs
           ─► WORK/progress.jsonl  points of the loss
    SIGTERM, Ctrl-C ─► Stop ─► a loop saves and pauses; anything else ends at once, for it is done again

Takes   the folder of work, the names of the stages.
Gives   `Course.run(name, key, work)`: does a stage once; a finished one whose key is the same is passed over.
Refuses a second process in the same folder (RecipeError).
Format  {"format": 1, "pid", "stages": [{"name", "status", "began", "ended", "seconds", "detail", "progress",
        "left_s"}], "stopped", "error"}; status is waiting, running, done, skipped or failed.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any

from trainer import files
from trainer.errors import RecipeError

FORMAT = 1
PULSE = 1.0  # seconds between writes while a stage runs


class Stopped(BaseException):
    """The run was asked to stop; what it had is saved. No error, so no `except Exception` swallows it."""


class Skipped(Exception):  # noqa: N818 (no error: a stage says why there is nothing to do)
    """A stage has nothing to do; the message says why."""


class Stop:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False
        self.gentle = False  # a loop looks after every step, saves and pauses

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to SIGTERM and Ctrl-C for the length of the block, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {kind: signal.signal(kind, self._ask) for kind in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        again, self.asked = self.asked, True
        if again or not self.gentle:
            raise Stopped

    @contextmanager
    def gently(self) -> Iterator[None]:
        """Inside the block a request waits for the end of a step."""
        self.gentle = True
        try:
            yield
        finally:
            self.gentle = False
        if self.asked:
            raise Stopped


class Course:
    """The stages of one run, as its state file shows them."""

    def __init__(self, work: Path, names: Sequence[str]) -> None:
        self.work, self.stop = work, Stop()
        work.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        known = {stage["name"]: stage for stage in self._read().get("stages", [])}
        self.stages = [known.get(name) or _fresh(name) for name in names]
        for stage in self.stages:
            if stage["status"] in ("running", "failed"):
                stage |= {"status": "waiting", "ended": None}
        self.stopped = False
        self.error: str | None = None
        self._writing = threading.Lock()
        self._pointed = ""  # the stage whose points this process notes
        self._began = (0.0, 0.0)  # moment and progress at which this process took up the running stage
        self.write()

    def _locked(self) -> IO[str]:
        handle = (self.work / "lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            pid = self._read().get("pid", "?")
            raise RecipeError(
                f"{self.work} is in use by process {pid}; wait for it, stop it (kill {pid}), or choose another --out"
            ) from None
        return handle

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self.work / "state.json").read_text(encoding="utf-8"))
            return dict(found) if found.get("format") == FORMAT else {}
        except (OSError, ValueError, AttributeError):
            return {}

    def close(self) -> None:
        """Let the next process in."""
        self._lock.close()

    def of(self, name: str) -> dict[str, Any]:
        """One stage."""
        return next(stage for stage in self.stages if stage["name"] == name)

    def write(self) -> None:
        """Bring the file up to now."""
        with self._writing:
            running = next((stage for stage in self.stages if stage["status"] == "running"), None)
            if running:
                running["seconds"] = round(running["before"] + time.monotonic() - self._began[0], 1)
                running["left_s"] = self._left(running)
            shown = [{key: value for key, value in stage.items() if key != "before"} for stage in self.stages]
            state = {"format": FORMAT, "pid": os.getpid(), "stages": shown}
            files.write_json(self.work / "state.json", {**state, "stopped": self.stopped, "error": self.error})

    def _left(self, stage: dict[str, Any]) -> float | None:
        """Seconds that the running stage still takes: by its own pace, or by the forecast before it has one."""
        moment, at = self._began
        spent, moved = time.monotonic() - moment, stage["progress"] - at
        if moved > 0.02:
            return round(float(spent / moved * (1 - stage["progress"])), 1)
        forecast: float | None = stage.get("forecast")
        return None if forecast is None else round(max(0.0, forecast - stage["seconds"]), 1)

    # --- stages -------------------------------------------------------------------------------------------------------

    def run(self, name: str, key: str, work: Callable[[], str]) -> None:
        """Do a stage, unless it was done with the same key. `work` gives a line about what came of it."""
        stage = self.of(name)
        if stage.get("key") == key and stage["status"] in ("done", "skipped"):
            return
        other = stage.get("key") not in (None, key)
        stage |= {"status": "running", "key": key, "began": now(), "ended": None, "detail": ""}
        stage["before"] = 0.0 if other else stage["seconds"]
        stage["progress"] = 0.0 if other else stage["progress"]
        self._began = (time.monotonic(), stage["progress"])
        self._note(f"{name} ...")
        try:
            with self._beating():
                detail, status = work(), "done"
        except Skipped as why:
            detail, status = str(why), "skipped"
        except BaseException as error:
            stopped = isinstance(error, Stopped | KeyboardInterrupt)
            stage |= {"status": "waiting" if stopped else "failed", "ended": now()}
            raise
        stage |= {"status": status, "detail": detail, "ended": now(), "progress": 1.0, "left_s": 0}
        self.write()
        self._note(f"{name}: {status}: {detail}")

    @contextmanager
    def _beating(self) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            while not done.wait(PULSE):
                self.write()

        self.write()
        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            done.set()
            heart.join()

    def at(self, progress: float) -> None:
        """How far the running stage is, from 0 to 1."""
        running = next(stage for stage in self.stages if stage["status"] == "running")
        running["progress"] = round(min(1.0, progress), 4)

    def point(self, step: int, steps: int, loss: float, *, of: float = 1.0, behind: float = 0.0) -> bool:
        """Note the loss of a step of the running stage; True where the run was asked to stop.

        The steps are `of` of the stage's work, which has done `behind` of it before them.
        """
        running = next(stage for stage in self.stages if stage["status"] == "running")
        if (
            self._pointed != running["name"]
        ):  # the first of this process: what a run before it noted from here on is past
            self._pointed = running["name"]
            self._forget(running["name"], step)
        self.at(behind + of * step / steps)
        row = {"stage": running["name"], "step": step, "steps": steps, "loss": round(loss, 5), "at": now()}
        with (self.work / "progress.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        return self.stop.asked

    def _forget(self, name: str, step: int) -> None:
        """Drop the points of a stage from a step on, and what a killed run left of its last line."""
        path, kept = self.work / "progress.jsonl", []
        for line in path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else ():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row["stage"] != name or row["step"] < step:
                kept.append(line + "\n")
        files.write_text(path, "".join(kept))

    def forecast(self, seconds: dict[str, float]) -> None:
        """What the stages will take, as measured on this machine."""
        for stage in self.stages:
            if stage["name"] in seconds:
                stage["forecast"] = round(seconds[stage["name"]], 1)
                if stage["status"] == "waiting":
                    stage["left_s"] = stage["forecast"]
        self.write()
        told = ", ".join(f"{name} {max(1, round(value / 60))}" for name, value in seconds.items())
        self._note(f"about {max(1, round(sum(seconds.values()) / 60))} minutes on this machine: {told}")

    def _note(self, line: str) -> None:
        sys.stderr.write(f"improve  {line}\n")
        sys.stderr.flush()


def _fresh(name: str) -> dict[str, Any]:
    empty = {"began": None, "ended": None, "seconds": 0.0, "detail": "", "progress": 0.0, "left_s": None}
    return {"name": name, "status": "waiting", **empty}


def now() -> str:
    """This moment, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
