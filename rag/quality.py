"""How good the answers are, measured and kept: question sets asked of one model, row by row.

    prepare ─► a row in `evaluations` ─► a process of its own: ask, judge, store, question by question ─► Measurement
                     └── "stopping" asks it to stop between two questions

Takes   a `QuestionSet`, an open library that asks with somebody's rights.
Gives   `Measurement`s with their rows and figures (`rag/figures.py`). Those over the same questions compare.
Stores  in the catalogue: outcomes and answer ids. Question and answer stand in the audit alone, and where they are
        erased a row keeps its outcome and loses its words. The questions lie aside as a file until they are asked.
Refuses a second measurement at once, and goes no further where the model changes under it (the run says so).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rag import evaluate, runs
from rag.audit import Audit
from rag.catalogue import Catalogue, now
from rag.config import Settings
from rag.errors import GroundlingError, ModelError, NotFound, SettingsError
from rag.figures import Figure, Outcome, curve, figures
from rag.lock import WriterLock, holder
from rag.metrics import right
from rag.question_sets import QuestionSet, Row
from rag.quote import expand
from rag.recheck import compared
from rag.types import LOCAL_OWNER, Answer

LOCK = "measuring"
STARTS_WITHIN_S = 90.0  # a cold disk reads Python and torch for a while before the process can say that it runs
GOING_ON = ("running", "stopping")
_NAMES = (
    "id", "kind", "name", "questions", "total", "person", "began_at", "ended_at", "state", "error", "model",
    "generation", "strictness",
)  # fmt: skip
_RUNS = (
    f"select {', '.join(_NAMES)} from evaluations"  # noqa: S608 - our own names
    " where (:all or person = :person) order by id desc"
)
_ROWS = """
    select ordinal, answer_id, answerable, outcome, would, exact, f1, cited, found, confidence, milliseconds, expected
    from evaluated where evaluation_id = ? order by ordinal"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement, as far as it is."""

    id: int
    kind: str
    name: str
    questions: str  # the identity of its question set
    total: int
    person: str
    began_at: str
    ended_at: str | None
    state: str  # running, stopping, done, stopped, failed, interrupted
    error: str | None
    model: str
    generation: int
    strictness: str
    rows: tuple[Outcome, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def going_on(self) -> bool:
        """Is it being asked now?"""
        return self.state in GOING_ON

    @property
    def left_s(self) -> float | None:
        """Seconds until the last question at the pace so far."""
        if not self.going_on or not self.rows:
            return None
        return sum(row.milliseconds for row in self.rows) / 1000 / len(self.rows) * (self.total - len(self.rows))

    def as_dict(self) -> dict[str, Any]:
        """For `rag quality --json`: no words of questions and answers."""
        return {
            "id": self.id, "kind": self.kind, "name": self.name, "questions": self.questions, "total": self.total,
            "asked": len(self.rows), "began_at": self.began_at, "ended_at": self.ended_at, "state": self.state,
            "error": self.error, "model": self.model, "generation": self.generation, "strictness": self.strictness,
            "figures": {name: figure._asdict() for name, figure in self.figures.items()},
            "curve": [point._asdict() for point in curve(self.rows)],
        }  # fmt: skip


class Measured(Protocol):
    """The library that is measured, whose answers go to `rag/evaluate.py`."""

    path: Path

    def stream(self, question: str, **how: Any) -> Iterator[Any]:
        """The events of one answer."""


# --- runs -------------------------------------------------------------------------------------------------------------


def listed(catalogue: Catalogue, folder: Path, *, person: str | None = None) -> list[Measurement]:
    """Every run that this person began (the owner: everybody's), the latest first, with figures."""
    who = person or LOCAL_OWNER
    found = catalogue.db.execute(_RUNS, {"all": who == LOCAL_OWNER, "person": who}).fetchall()
    alive = holder(folder, LOCK) is not None
    return [_run(catalogue, row, alive) for row in found]


def one(catalogue: Catalogue, folder: Path, identity: int, *, person: str | None = None) -> Measurement:
    """One run. Raises NotFound, also for another person's."""
    run = next((run for run in listed(catalogue, folder, person=person) if run.id == identity), None)
    if run is None:
        raise NotFound(f"measurement {identity}: no such measurement. `rag quality` lists them")
    return run


def told(catalogue: Catalogue, row: Outcome) -> tuple[str, str] | None:
    """Question and answer of a row; None once they are erased."""
    try:
        payload = Audit(catalogue).load(row.answer_id)
    except NotFound:
        return None
    return str(payload["standalone"]), str(payload["answer"]["answer"])


def stop(catalogue: Catalogue, identity: int) -> None:
    """Ask a run to end after the question that it is at."""
    with catalogue.atomic() as db:
        db.execute("update evaluations set state = 'stopping' where id = ? and state = 'running'", (identity,))


def forget(catalogue: Catalogue, folder: Path, identity: int) -> None:
    """Delete a run and its rows; the audit keeps its answers."""
    _file(folder, identity).unlink(missing_ok=True)
    with catalogue.atomic() as db:
        db.execute("delete from evaluations where id = ?", (identity,))


def _run(catalogue: Catalogue, row: Sequence[Any], alive: bool) -> Measurement:
    rows = tuple(_outcome(one) for one in catalogue.db.execute(_ROWS, (row[0],)))
    state = str(row[8])
    if state in GOING_ON and not alive and (rows or _age_s(row[6]) > STARTS_WITHIN_S):
        state = "interrupted"
    known = dict(zip(_NAMES, row, strict=True))
    return Measurement(**{**known, "state": state}, rows=rows, figures=figures(rows))


def _age_s(at: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()


def _outcome(row: Sequence[Any]) -> Outcome:
    ordinal, answer_id, answerable, outcome, would, exact, f1, cited, found, confidence, took, expected = row
    return Outcome(
        ordinal, answer_id, bool(answerable), outcome, would, exact, f1,
        None if cited is None else bool(cited), None if found is None else bool(found), confidence, took,
        None if expected is None else tuple(json.loads(expected)),
    )  # fmt: skip


# --- measuring --------------------------------------------------------------------------------------------------------


def prepare(catalogue: Catalogue, folder: Path, asked: QuestionSet, settings: Settings, *, person: str | None) -> int:
    """Write down what is to be asked, and return the run's id; `measure` asks it."""
    if not asked.rows:
        raise SettingsError(
            f"{asked.name}: there are no such questions yet. Approve answers, judge some, or give a file"
        )
    if going := next((run for run in listed(catalogue, folder) if run.going_on), None):
        raise SettingsError(f"measurement {going.id} is going on ({going.name}). Wait for it, or stop it first")
    with catalogue.atomic() as db:
        identity = db.execute(
            "insert into evaluations (kind, name, questions, total, person, began_at, state, model, generation,"
            " strictness) values (?, ?, ?, ?, ?, ?, 'running', '', ?, ?)",
            (asked.kind, asked.name, asked.identity, len(asked.rows), person or LOCAL_OWNER, now(),
             catalogue.generation, str(settings.strictness)),
        ).lastrowid  # fmt: skip
    assert identity is not None
    file = _file(folder, identity)
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in asked.rows)
    return identity


def spawn(folder: Path, settings: Settings, identity: int, model: Path | None = None) -> subprocess.Popen[bytes]:
    """Ask in a process of its own, which outlives ours. `model`: another one than the library's."""
    command = [sys.executable, "-m", "rag.cli", "evaluate", "--run", str(identity)]
    command += ["--model", str(model.resolve())] if model else []
    with _file(folder, identity).with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            command, env=runs.environment(settings, folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            **runs.apart(),
        )  # fmt: skip


def measure(library: Measured, catalogue: Catalogue, identity: int) -> None:
    """Ask what `prepare` wrote down, in this process. What was asked is kept, however it ends."""
    file = _file(library.path, identity)
    with WriterLock(library.path, patience_s=5.0, name=LOCK).held():
        run = one(catalogue, library.path, identity)
        try:
            rows = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
            _end(catalogue, identity, "done" if _ask_all(library, catalogue, run, rows) else "stopped")
        except GroundlingError as error:
            _end(catalogue, identity, "failed", str(error))
            raise
        except BaseException as error:  # whatever it was, the page must not wait for ever
            _end(catalogue, identity, "failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            file.unlink(missing_ok=True)
            with suppress(OSError):
                file.with_suffix(".log").unlink(missing_ok=True)


def _ask_all(library: Measured, catalogue: Catalogue, run: Measurement, rows: Sequence[Row]) -> bool:
    """Ask and store; False when somebody asked to stop."""
    model = ""
    for ordinal, row in enumerate(rows):
        state = catalogue.db.execute("select state from evaluations where id = ?", (run.id,)).fetchone()
        if state is None or state[0] != "running":
            return False
        answer, hits = evaluate.ask(_As(library, run.person, row.get("collection")), row)
        if model and answer.model != model:
            raise ModelError(f"the model changed from {model} to {answer.model} in the middle. Measure again")
        model = answer.model
        _store(catalogue, (run.id, ordinal), row, answer, evaluate.judge(row, answer, hits))
    return True


class _As:
    """The library, asked with one person's rights and in one collection."""

    def __init__(self, library: Measured, person: str, collection: str | None) -> None:
        self._library, self._how = library, {"person": person, "collection": collection}

    def stream(self, question: str, **how: Any) -> Iterator[Any]:
        """As the library's."""
        return self._library.stream(question, **how, **self._how)


def _store(catalogue: Catalogue, at: tuple[int, int], row: Row, answer: Answer, judged: Row) -> None:
    outcome = judged["outcome"]
    if (approved := row.get("approved")) and not answer.abstained:
        outcome = "right" if compared(approved, answer) in ("same", "kept") else "wrong"
    would = _would(catalogue, row, answer.answer_id) if answer.abstained else outcome
    values = (
        *at, answer.answer_id, judged["answerable"], outcome, would, judged["exact"], judged["f1"],
        judged["cited"], judged["found_at_5"], judged["confidence"], judged["milliseconds"],
        json.dumps(list(row.get("answers") or ()), ensure_ascii=False),
    )  # fmt: skip
    with catalogue.atomic() as db:
        db.execute("insert into evaluated values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        db.execute("update evaluations set model = ? where id = ? and model = ''", (answer.model, at[0]))


def _would(catalogue: Catalogue, row: Row, answer_id: str) -> str:
    """What a refusal would have been: the sentence of the best span, judged as an answer; "" where there was none."""
    payload = Audit(catalogue).load(answer_id)
    if not payload["spans"]:
        return ""
    identity, start, end, _ = payload["spans"][0]
    passages = catalogue.passages([identity])
    if not passages:  # removed a moment ago
        return ""
    start, end = expand(passages[0].text, start, end)
    stands = right(passages[0].text[start:end], row.get("answers") or ())
    return "right" if row.get("answerable", True) and stands else "wrong"


def _end(catalogue: Catalogue, identity: int, state: str, error: str | None = None) -> None:
    with catalogue.atomic() as db:
        values = (state, error, now(), identity)
        db.execute("update evaluations set state = ?, error = ?, ended_at = ? where id = ?", values)


def _file(folder: Path, identity: int) -> Path:
    return folder / "measuring" / f"{identity}.jsonl"


def wait(catalogue: Catalogue, folder: Path, identity: int, seconds: float) -> Measurement:
    """The run once it is over, or as it stands after so many seconds."""
    until = time.monotonic() + seconds
    while (run := one(catalogue, folder, identity)).going_on and time.monotonic() < until:
        time.sleep(0.2)
    return run
