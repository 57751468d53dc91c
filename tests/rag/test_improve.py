"""Improving the model: what would be learnt, runs on disk, a process of its own, stopping and going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rag
from rag import bundle, feedback, files, improve, outlook, runs
from rag.config import Settings
from rag.errors import NotFound, SettingsError
from rag.improve import Course
from rag.library import Library
from rag.lock import WriterLock, holder
from rag.parts import Parts
from rag.runs import Asked, Runs
from rag.stoppable import Stopped, shielded, stoppable
from tests.miniature import put
from tests.rag.test_bundle import accept, answered, parts  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parent.parent.parent
SAVES = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    raise SystemExit(130)
signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1]).write_text("training")
while True:
    time.sleep(0.01)
"""


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for another process: there is nothing to be notified by."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


def state_of(every: Runs, number: int = 1, **changes: Any) -> Path:
    """A run's folder, as a process of ours would have left it."""
    folder = every.of(number)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / "state.json", {
        "format": 1, "number": number, "status": "running", "asked": {"person": "ann"}, "asked_at": "2026-01-01T00:00:00",
        "began": "2026-01-01T00:00:00+00:00", "ended": None, "pid": os.getpid(), "error": None, "outcome": None,
        "outlook": {}, "stages": [runs.blank(name) for name in runs.STAGES], **changes,
    })  # fmt: skip
    return folder


# --- what would be learnt ---------------------------------------------------------------------------------------------


def test_the_outlook_counts_what_each_kind_of_judgement_becomes(parts: Parts) -> None:  # noqa: F811
    accept(parts, answered(parts), "down", reason="style")
    accept(parts, answered(parts, "travel.md"), "down", reason="unsupported")
    accept(parts, answered(parts, "pension.md"), "up")
    accept(parts, answered(parts, "parking.md"), "down", correction="Pension desk and parking limit.")
    accept(parts, answered(parts, "canteen.md"), "down", reason="outdated")
    feedback.rate(parts.catalogue, answered(parts, "security.md"), "up", person="bob")
    seen = outlook.outlook(parts, Runs(parts.folder))
    counted = {kind: counts["train"] + counts["held"] for kind, counts in seen.becomes.items()}
    assert counted == {
        "retriever pair": 1, "span label": 1, "no-answer label": 1, "single thumb": 2, "preferred of two": 1,
    }  # fmt: skip
    assert (seen.judgements, seen.people, seen.waiting) == (4, 1, 1)
    assert seen.left_out == {"it is about the document, which its owner has to mend": 1}
    assert seen.documents["train"] + seen.documents["held"] == 8  # the ninth is not open to everybody
    assert seen.passages["train"] + seen.passages["held"] == 24


def test_an_outlook_leaves_no_trace_in_the_library(parts: Parts) -> None:  # noqa: F811
    accept(parts, answered(parts))
    outlook.outlook(parts, Runs(parts.folder))
    assert parts.catalogue.db.execute("select count(*) from bundles").fetchone() == (0,)
    assert not (parts.folder / "improve").exists()


def test_without_accepted_judgements_nothing_starts_and_what_waits_is_named(parts: Parts) -> None:  # noqa: F811
    for name in ("leave.md", "travel.md"):
        feedback.rate(parts.catalogue, answered(parts, name), "up", person="bob")
    seen = outlook.outlook(parts, Runs(parts.folder))
    with pytest.raises(SettingsError, match="No accepted judgements yet: 2 judgements wait for a review"):
        seen.refuse_hopeless()
    seen.refuse_hopeless(questions=True)  # people checked these: a gain can be shown


def test_what_one_persons_share_leaves_out_is_told_with_the_way_to_take_it(
    parts: Parts,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("leave.md", "travel.md", "pension.md"):
        accept(parts, answered(parts, name))
    assert "--influence" not in " ".join(outlook.outlook(parts, Runs(parts.folder)).missing)
    monkeypatch.setattr(bundle.capped, "__kwdefaults__", {"floor": 2})  # so few, that three are too many
    told = " ".join(outlook.outlook(parts, Runs(parts.folder)).missing)
    assert "1 accepted judgement is left out because one person's share is full" in told
    assert "rag improve --influence 1" in told


def test_minutes_follow_the_run_before_in_proportion(parts: Parts) -> None:  # noqa: F811
    accept(parts, answered(parts))
    first = outlook.outlook(parts, Runs(parts.folder))
    stages = [runs.blank(name) | {"status": "done", "seconds": 10.0} for name in runs.STAGES]
    state_of(Runs(parts.folder), status="refused", stages=stages, outlook=json.loads(json.dumps(first.as_dict())))
    then = outlook.outlook(parts, Runs(parts.folder))
    assert (first.like_run, then.like_run) == (None, 1)
    assert then.total_seconds == pytest.approx(10.0 * len(runs.STAGES))


# --- runs on disk -----------------------------------------------------------------------------------------------------


def test_a_run_whose_process_is_gone_was_interrupted_and_one_that_holds_the_lock_goes_on(tmp_path: Path) -> None:
    every = Runs(tmp_path)
    folder = state_of(every)
    (folder / "log").write_text("Traceback\nMemoryError\n", "utf-8")
    seen = every.get()
    assert seen
    assert (seen.status, seen.resumable, seen.error) == ("interrupted", True, "MemoryError")
    with WriterLock(every.folder, name=runs.LOCK).held():
        seen = every.get()
        assert seen
        assert (seen.status, seen.resumable) == ("running", False)
        (folder / "stop").touch()
        seen = every.get()
        assert seen
        assert seen.status == "stopping"
    state_of(every, pid=1)  # of another process than the one that holds the lock
    with WriterLock(every.folder, name=runs.LOCK).held():
        seen = every.get()
        assert seen
        assert seen.status == "interrupted"


def test_those_who_look_at_a_lock_at_once_do_not_take_each_other_for_its_holder(tmp_path: Path) -> None:
    with WriterLock(tmp_path, name="run").held():
        assert (holder(tmp_path, "run") or {})["process"] == os.getpid()
    code = (
        "import sys, rag.lock as lock; file = open(sys.argv[1], 'rb+'); drop, lock._drop = lock._drop, lambda _: None; "
        "lock._is_free(file); print(flush=True); sys.stdin.read()"
    )
    looking = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run.lock")], cwd=ROOT, stdin=-1, stdout=-1, text=True
    )
    assert looking.stdout
    assert looking.stdout.readline() == "\n"
    assert holder(tmp_path, "run") is None
    looking.communicate("")


def test_a_second_run_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    every = Runs(tmp_path)
    state_of(every)
    with WriterLock(every.folder, name=runs.LOCK).held():
        for start in (partial(every.start, Asked("bob"), Settings()), partial(every.resume, Settings())):
            with pytest.raises(SettingsError, match=rf"improvement 1 is going on \(process {os.getpid()}, .* by ann\)"):
                start()
    assert every.numbers() == [1]


def test_a_run_that_ended_keeps_what_it_said_and_forgets_the_documents_words(tmp_path: Path) -> None:
    every = Runs(tmp_path)
    folder = state_of(every, status="refused", pid=None)
    work = runs.work_folder(folder)
    (work / "rows").mkdir(parents=True)
    (work / "rows" / "made.jsonl").write_text("words of a document", "utf-8")
    (folder / "bundle.zip").write_bytes(b"words")
    steps = [{"name": "reader", "status": "done", "progress": 1.0}]
    files.write_json(work / "state.json", {"stages": steps})
    (work / "progress.jsonl").write_text(
        '{"stage": "reader", "step": 1, "steps": 2, "loss": 0.5}\n{"stage": "rea', "utf-8"
    )
    before = every.get(), every.losses(1)
    runs.tidy(folder)
    assert (every.get(), every.losses(1)) == before
    assert [point.loss for point in before[1]] == [0.5]  # a line that is being written is no point yet
    assert not work.exists()
    assert not (folder / "bundle.zip").exists()
    seen = every.get()
    assert seen
    assert seen.stages[runs.STAGES.index("train")]["stages"] == steps


def test_the_training_tells_how_far_it_is_and_how_long_it_takes(tmp_path: Path) -> None:
    every = Runs(tmp_path)
    stages = [runs.blank(name) | {"status": "running" if name == "train" else "waiting"} for name in runs.STAGES]
    folder = state_of(every, stages=stages)
    runs.work_folder(folder).mkdir()
    steps = [
        {"name": "unpack", "status": "done"}, {"name": "retriever", "status": "skipped"},
        {"name": "reader", "status": "running", "progress": 0.5, "left_s": 40.0}, {"name": "export", "status": "waiting"},
    ]  # fmt: skip
    files.write_json(runs.work_folder(folder) / "state.json", {"stages": steps})
    with WriterLock(every.folder, name=runs.LOCK).held():
        seen = every.get()
    assert seen
    assert (seen.stages[1]["progress"], seen.left_s) == (0.625, 40.0)
    seen = every.get()  # its process is gone
    assert seen
    assert (seen.stages[1]["status"], seen.left_s) == ("waiting", None)
    assert [step["status"] for step in seen.stages[1]["stages"]] == ["done", "skipped", "waiting", "waiting"]


def test_what_does_not_exist_is_not_found_and_a_run_that_is_over_is_not_resumed(tmp_path: Path) -> None:
    every = Runs(tmp_path)
    assert every.get() is None
    for absent in (every.stop, partial(every.resume, Settings()), partial(every.get, 7)):
        with pytest.raises(NotFound):
            absent()
    state_of(every, status="refused", pid=None)
    with pytest.raises(SettingsError, match="was refused: nothing is left to do"):
        every.resume(Settings())
    with pytest.raises(SettingsError, match="stage is 'polish': use export"):
        every.resume(Settings(), again="polish")


# --- what must not be learnt from any more ----------------------------------------------------------------------------


def test_a_document_removed_or_a_judgement_withdrawn_since_spoils_what_was_exported(
    tmp_path: Path,
    parts: Parts,  # noqa: F811
) -> None:
    from rag import ingest

    made = accept(parts, answered(parts))
    accept(parts, answered(parts, "travel.md"))
    exported = bundle.write(parts, tmp_path / "bundle.zip", bundle.Wanted(), person="local")
    assert bundle.taken_back(parts.catalogue, exported.id) == 0
    put(parts.catalogue, "leave.md", "The leave limit is 80 euros a year.")  # a new version closes nothing
    assert bundle.taken_back(parts.catalogue, exported.id) == 0
    feedback.withdraw(parts.catalogue, made, person="ann")
    assert bundle.taken_back(parts.catalogue, exported.id) == 1
    ingest.remove(parts, parts.catalogue.document("travel.md"))
    assert bundle.taken_back(parts.catalogue, exported.id) == 2
    assert bundle.taken_back(parts.catalogue, "another") == 0

    state_of(Runs(tmp_path), bundle={"id": exported.id, "base": "of another model"}, status="stopped")
    course = Course(Runs(tmp_path), 1)
    (course.folder / "candidate").mkdir()
    library: Any = parts.catalogue and type("Handle", (), {"_catalogue": parts.catalogue})()
    assert "2 of what it learnt from" in improve._spoilt(library, course, parts.settings.model)
    course.begin_anew("because")
    assert not (course.folder / "candidate").exists()
    assert {stage["status"] for stage in files.read_json(course.folder / "state.json")["stages"]} == {"waiting"}


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_training_whose_parent_is_killed_saves_and_ends(tmp_path: Path) -> None:
    (tmp_path / "saves.py").write_text(SAVES, "utf-8")
    said = tmp_path / "said"
    parent = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-m', 'rag.leashed', *sys.argv[1:]], "
        "stdin=subprocess.PIPE); time.sleep(600)"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path), "saves", str(said)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )
    until(lambda: said.is_file() and said.read_text() == "training")
    assert holder(tmp_path, "train") is not None  # a second training would wait for it
    started.kill()
    started.wait()
    until(lambda: said.read_text() == "saved")
    until(lambda: holder(tmp_path, "train") is None)


def test_a_stop_is_obeyed_once_and_not_in_the_middle_of_what_must_be_whole(tmp_path: Path) -> None:
    done = []

    def work() -> None:
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("placed")
        done.append("never reached")

    def wait() -> None:
        (tmp_path / "stop").touch()
        until(lambda: False)

    for task in (work, wait):
        with pytest.raises(Stopped), stoppable(tmp_path / "stop"):
            task()
    assert done == ["placed"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_document_that_is_removed_takes_its_words_out_of_runs_that_rest(
    shared_library: Library, untrained_reader: Path, tmp_path: Path
) -> None:
    shared_library.backup(tmp_path / "backup.db")
    with rag.open(tmp_path / "index", Settings(index=tmp_path / "index", model=untrained_reader)) as library:
        library.restore(tmp_path / "backup.db")
        every = Runs(library.path)
        folder = state_of(every, status="stopped", pid=None)
        made = library.bundle(folder / "bundle.zip")
        files.write_json(folder / "state.json", files.read_json(folder / "state.json") | {"bundle": {"id": made.id}})
        library.add_bytes("new.md", b"# New\n\nThis is new here.\n")
        assert (folder / "bundle.zip").is_file()
        library.remove("leave.md")
        assert not (folder / "bundle.zip").exists()


def test_the_documented_outlook_and_run_have_the_keys_of_real_ones(parts: Parts) -> None:  # noqa: F811
    text = (ROOT / "docs" / "contracts.md").read_text("utf-8")

    def documented(name: str) -> Any:
        return json.loads(text.split(f"<!-- contract: {name} -->\n```json\n")[1].split("```")[0])

    seen, every = outlook.outlook(parts, Runs(parts.folder)).as_dict(), Runs(parts.folder)
    state_of(every)
    run = every.get()
    assert run
    assert list(documented("outlook")) == list(seen)
    assert list(documented("outlook")["becomes"]) == list(seen["becomes"])
    assert list(documented("outlook")["seconds"]) == list(seen["seconds"])
    shown = documented("improvement")
    assert list(shown) == list(run.as_dict())
    assert list(shown["asked"]) == list(run.as_dict()["asked"])
    assert list(shown["stages"][0]) == list(run.stages[0])
