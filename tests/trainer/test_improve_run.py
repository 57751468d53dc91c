"""A whole run on another machine's folders: from a bundle to a candidate, killed, stopped and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.bundled import bundle, judged, model_folder, passages, preference
from trainer.encoder_reader import EncoderReader

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # each is a whole run in a process of its own
FAST = (
    "improve.precision=fp32", "improve.steps=12", "improve.checkpoint_every=3", "improve.evaluate_every=3",
    "improve.questions_per_step=6", "improve.most_measured=6", "improve.most_dev=8", "improve.cropped=0.9",
    "preference.steps=2", "improve.lora_rank=0",
)  # fmt: skip
PATIENCE = 900  # seconds, on a machine that does much else
WATCHED = (
    "import sys; from trainer.improve import main; code = main(sys.argv[1:]); "
    "print(sorted({'rag', 'faiss', 'sqlite3', 'tantivy', 'streamlit', 'pypdf'} & set(sys.modules))); sys.exit(code)"
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another machine's folder: a copy of a bundle and of its base, and nothing else of where they were made."""
    library, there = tmp_path_factory.mktemp("library"), tmp_path_factory.mktemp("there")
    base = model_folder(library / "base")
    file = bundle(
        library / "b.zip", base, rows_train=judged(0, 40), rows_held=judged(200, 8), passages_train=passages(0, 12),
        preferences_train=[preference(number) for number in range(6)],
    )  # fmt: skip
    shutil.copytree(base, there / "base")
    shutil.copy(file, there / "b.zip")
    shutil.rmtree(library)
    return there


def command(there: Path, out: str, *more: str) -> list[str]:
    options = [part for setting in (*FAST, *more) for part in ("--set", setting)]
    return [sys.executable, "-c", WATCHED, "b.zip", "--base", "base", "--out", out, *options]


def started(there: Path, out: str, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(there, out, *more), cwd=there, env=environment, **pipes)


def run(there: Path, out: str, *more: str) -> str:
    with started(there, out, *more) as process:
        said, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told[-3000:]
    return said


def interrupted(there: Path, out: str, *, at: int, by: signal.Signals) -> int:
    """Start a run and send it a signal once the reader has passed a step; gives its exit code."""
    progress = there / f"{out}.work" / "progress.jsonl"
    with started(there, out) as process:
        while process.poll() is None:
            rows = progress.read_text().splitlines() if progress.is_file() else []
            if any(json.loads(row)["step"] >= at for row in rows if '"reader"' in row and row.endswith("}")):
                process.send_signal(by)
                break
            time.sleep(0.02)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode != 1, told[-3000:]
    return process.returncode


@pytest.fixture(scope="module")
def straight(machine: Path) -> tuple[Path, str]:
    return machine / "straight", run(machine, "straight")


def test_a_candidate_comes_of_a_bundle_and_its_base_alone(machine, straight):
    out, said = straight
    assert said.splitlines() == ["straight", "[]"]  # neither the library nor its stores were needed
    assert EncoderReader.from_folder(out).threshold == json.loads((out / "config.json").read_text())["threshold"]
    report, told = (json.loads((out / name).read_text()) for name in ("report.json", "lineage.json"))
    assert set(report["before"]) == set(report["after"]) == {"held", "retention"}
    assert report["before"]["held"]["answerable"] == 6
    of = {
        stage: {row["document_id"] for row in told["rows"] if row["stage"] == stage} for stage in ("reader", "choosing")
    }
    assert {row["stage"] for row in told["rows"]} == {"reader", "choosing", "preference"}
    assert of["reader"] | of["choosing"] == set(range(40))
    assert not of["reader"] & of["choosing"]
    state = json.loads((machine / "straight.work" / "state.json").read_text())
    assert [stage["name"] for stage in state["stages"]] == [
        "unpack", "synthesise", "retriever", "reader", "preference", "evaluate", "export"
    ]  # fmt: skip
    assert {stage["status"] for stage in state["stages"]} <= {"done", "skipped"}
    assert (state["stopped"], state["error"]) == (False, None)
    from rag.read import open_reader

    assert open_reader(out).name.startswith("small-")


def test_a_run_that_was_stopped_and_then_killed_ends_with_the_candidate_of_one_that_nobody_touched(machine, straight):
    assert interrupted(machine, "often", at=2, by=signal.SIGTERM) == 130
    state = json.loads((machine / "often.work" / "state.json").read_text())
    assert state["stopped"]
    assert state["stages"][3]["status"] == "waiting"
    assert list((machine / "often.work" / "reader").glob("step-*"))  # it saved where it was
    assert interrupted(machine, "often", at=8, by=signal.SIGKILL) == -signal.SIGKILL
    run(machine, "often")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (machine / "often" / name).read_bytes() == (machine / "straight" / name).read_bytes(), name
    kept = [json.loads((machine / out / "lineage.json").read_text()) for out in ("often", "straight")]
    assert kept[0]["rows"] == kept[1]["rows"]


def test_a_bundle_without_judgements_is_learnt_from_too_and_a_stage_can_be_the_last(machine, tmp_path):
    there = tmp_path / "there"
    shutil.copytree(machine / "base", there / "base")
    text = "Managers must return the badges within 14 days. Clerks may order 30 forms a year.\n\nGuests park at gate 4."
    made = [{**row, "text": f"{text} Room {row['id']} has 12 seats."} for row in passages(0, 6)]
    bundle(there / "b.zip", there / "base", passages_train=made)
    loose = ("synthesize.least_f1=0.0", "synthesize.found_within=40", "synthesize.most_support=1.0")
    process = subprocess.run(
        [*command(there, "c", *loose), "--stop-after", "reader"], cwd=there, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, timeout=PATIENCE,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    stages = {s["name"]: s["status"] for s in json.loads((there / "c.work" / "state.json").read_text())["stages"]}
    assert (stages["synthesise"], stages["reader"], stages["evaluate"]) == ("done", "done", "waiting")
    assert json.loads((there / "c.work" / "reader" / "chosen.json").read_text())["per_step"]["synthetic"] > 0
    assert not (there / "c").exists()
