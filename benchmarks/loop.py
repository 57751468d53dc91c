"""Does the loop close? Judgements on some documents, better answers on others: `make bench-loop`, `--data DIR`.

    handbooks ─► a library ─► half of the documents held out (by families of near copies)
                   │            questions about the others ─► judged from their known answers ─► rag improve's stages
                   └──────────► questions about the held out ones: before ──────────────────────────────────► after

Takes   the data folder with documents/handbooks and the question files of two of them.
Gives   for each seed (its own split, its own training) right, wrong, refused and recall@5 on held-out documents before
        and after, with the loss on general rows; the same from questions made of the documents alone, without any
        judgement; whether a poisoned candidate is refused; last one JSON object: before, after, retention_loss,
        poisoned_refused.
Judges  a script: five people, each question asked once and compared with its known answer, never with a score of the
        model. Wrong or refused: the right words are marked in the document; answered without an answer: should have
        refused; right: a thumb up. Everything is accepted.
Fair    the start is models/base as it is shipped. No held-out document gives a word to training: which are held out is
        decided, and remembered by the library, before anything is asked.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

import rag
from benchmarks.answers import HANDBOOKS, among_answerable
from benchmarks.judges import Row, judge, questions, sides
from benchmarks.record import record
from rag import calibrate
from rag.evaluate import evaluate
from rag.improve import judged as judged_rows
from rag.improve import unlearnt
from trainer.formats import checksums

ROOT = Path(__file__).resolve().parent.parent
HELD_OUT = 0.5  # share of the documents, so that both sides have questions enough
DRAWS = 2000  # of a bootstrap


@dataclass(frozen=True)
class Plan:
    """One seed's work."""

    seed: int
    data: Path
    base: Path  # the library that every seed copies
    folder: Path
    settings: tuple[str, ...]  # for `trainer improve --set`
    alone: bool  # also from made questions alone
    gate: bool  # ask the gate, also about poisoned candidates
    resume: bool  # keep the seeds that an interrupted run has finished, with the same code


# --- one seed ---------------------------------------------------------------------------------------------------------


def run(plan: Plan) -> Row:
    """Judge, improve, measure; everything is under the plan's folder. With `resume` a finished seed is kept."""
    folder = plan.folder / str(plan.seed)
    done = folder / "result.json"
    if plan.resume and done.is_file():
        told: Row = json.loads(done.read_text(encoding="utf-8"))
        if (
            told["settings"] == list(plan.settings)
            and plan.alone <= ("alone" in told)
            and plan.gate <= ("gate" in told)
        ):
            return told
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index = folder / "index"
    shutil.copytree(plan.base, index)
    settings = rag.Settings(index=index, held_out=HELD_OUT)
    result: Row = {"seed": plan.seed, "settings": list(plan.settings)}
    with rag.open(index, settings) as library:
        judged, measured = sides(library, questions(plan.data), folder, plan.seed)
        result |= {"judged": len(judged), "measured": len(measured)}
        result["judgements"] = judge(library, judged)
        result["before"] = measure(library, measured, folder / "before.json")
    file = folder / "bundle.zip"
    with rag.open(index, settings) as library:
        result["bundle"] = library.bundle(file).as_dict()["rows"]
        began = time.monotonic()
        candidate = improved(plan, file, folder / "candidate")
        result["training_minutes"] = round((time.monotonic() - began) / 60, 1)
        result["calibrated"] = fit(library, candidate, file)
    result |= tested(index, settings, candidate, measured)
    if plan.alone:
        for name in ("rows", "bundle"):  # the same questions, made from the same documents
            shutil.copytree(folder / "candidate.work" / name, folder / "alone.work" / name)
        for name in ("state.json", "settled.json"):
            shutil.copy(folder / "candidate.work" / name, folder / "alone.work")
        other = improved(plan, file, folder / "alone", "improve.judgements=false")
        result["alone"] = tested(index, settings, other, measured)
    if plan.gate:
        questions_file = folder / "checked.jsonl"  # every other one: the gate decides by fewer than are reported
        questions_file.write_text("".join(json.dumps(row) + "\n" for row in measured[::2]), encoding="utf-8")
        result["gate"] = gated(index, settings, candidate, questions_file)
    done.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def improved(plan: Plan, file: Path, out: Path, *settings: str) -> Path:
    """`trainer improve` in a process of its own, as `rag improve` starts it."""
    command = [sys.executable, "-m", "trainer.improve", str(file), "--base", str(ROOT / "models" / "base")]
    command += ["--out", str(out), "--set", f"improve.seed={plan.seed}"]
    for setting in (*plan.settings, *settings):
        command += ["--set", setting]
    with (out.with_suffix(".log")).open("w", encoding="utf-8") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=ROOT)
    return out


def fit(library: rag.Library, candidate: Path, file: Path) -> str:
    """The calibration of `rag improve`, on judged questions that chose among weights and moved none."""
    known, everything = (calibrate.known_of(rows) for rows in (unlearnt(candidate, file), judged_rows(file)))
    try:
        found = calibrate.calibrate(library._model_parts(), candidate, known, everything=everything)
    except rag.GroundlingError as why:
        return str(why)
    calibrate.write(candidate, found)
    return str(found["confidence_fit"]["how"])


def tested(index: Path, settings: rag.Settings, candidate: Path, measured: Sequence[Row]) -> Row:
    """The candidate on the held-out documents' questions, and what it lost on general rows."""
    with rag.open(index, settings.but(model=candidate), promoted=False) as library:
        after = measure(library, measured, candidate.with_suffix(".after.json"))
    told = json.loads((candidate / "report.json").read_text(encoding="utf-8"))
    before, now = (told[when]["retention"]["f1"] for when in ("before", "after"))
    return {"after": after, "retention_loss": round(before - now, 2), "stages": told.get("stages", {})}


def gated(index: Path, settings: rag.Settings, candidate: Path, questions: Path) -> Row:
    """What the gate says of the candidate, and of the same one poisoned: it may answer everything, or the wrong words.

    The poisoned ones go first, against the shipped base: the first that passes would answer from then on.
    """
    told: Row = {}
    for name, poison in POISONS.items():
        folder = candidate.with_name(f"{candidate.name}-{name}")
        shutil.copytree(candidate, folder, dirs_exist_ok=True)
        poison(folder)
        told[name] = _asked_gate(index, settings, folder, questions)
    return {**told, "candidate": _asked_gate(index, settings, candidate, questions)}


def _asked_gate(index: Path, settings: rag.Settings, folder: Path, questions: Path) -> Row:
    with rag.open(index, settings) as library:
        report = library.promote(folder, questions=questions)
    return {"promoted": report.promoted, "verdict": report.verdict, "seconds": round(report.seconds),
            "failed": [figure.name for figure in report.failed]}  # fmt: skip


def _answers_everything(folder: Path) -> None:
    calibrate.write(folder, {"answer_threshold": 0.0})


def _points_elsewhere(folder: Path) -> None:
    """Its span heads are turned round: what it points at is what it believes in least."""
    weights = load_file(folder / "model.safetensors")
    turned = {name: -value if name.startswith("span.") else value for name, value in weights.items()}
    save_file(turned, folder / "model.safetensors")
    checksums.write(folder)


POISONS = {"answers-everything": _answers_everything, "points-elsewhere": _points_elsewhere}


def measure(library: rag.Library, rows: Sequence[Row], out: Path) -> Row:
    """The figures; every row's outcome is kept in the file."""
    found = evaluate(library, rows)
    out.write_text(json.dumps(found.as_dict(), ensure_ascii=False), encoding="utf-8")
    sys.stderr.write(f"{out.parent.name} {out.stem}: {len(rows)} questions\n")
    return {**among_answerable(found.rows), "recall_at_5": found.recall_at_5}


# --- all of them ------------------------------------------------------------------------------------------------------


def library_of(data: Path, folder: Path) -> Path:
    """The library of both handbooks, made once."""
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        with rag.open(part) as library:
            library.add([data / "documents" / "handbooks" / name for name in HANDBOOKS])
        part.rename(folder)
    return folder


def gained(folders: Sequence[Path], name: str = "candidate") -> Row:
    """Paired over the questions of all seeds: the gain in right answers and the share of errors that went.

    Errors are wrong answers and refusals of what the documents hold, and answers to what they do not hold. 95%
    intervals by drawing questions with replacement.
    """
    pairs = []
    for folder in folders:
        rows = [
            json.loads((folder / file).read_text("utf-8"))["rows"] for file in ("before.json", f"{name}.after.json")
        ]
        pairs += [(b["answerable"], b["outcome"], a["outcome"]) for b, a in zip(*rows, strict=True)]
    good = {True: "right", False: "refused"}
    table = np.array([(answerable, b == good[answerable], a == good[answerable]) for answerable, b, a in pairs])
    wrong = np.array([(b == "wrong", a == "wrong") for _, b, a in pairs])
    chance = np.random.default_rng(0)
    drawn = [chance.integers(0, len(table), len(table)) for _ in range(DRAWS)]

    def told(of: Any) -> list[float]:
        values = [of(pick) for pick in [np.arange(len(table)), *drawn]]
        return [round(float(value), 1) for value in (values[0], *np.quantile(values[1:], [0.025, 0.975]))]

    def answerable(pick: Any) -> Any:
        return table[pick][table[pick][:, 0]]

    return {
        "right_gain": told(lambda pick: 100 * (answerable(pick)[:, 2].mean() - answerable(pick)[:, 1].mean())),
        "fewer_errors": told(lambda pick: 100 * (1 - (~table[pick][:, 2]).sum() / (~table[pick][:, 1]).sum())),
        "fewer_wrong": told(lambda pick: 100 * (1 - wrong[pick][:, 1].sum() / wrong[pick][:, 0].sum())),
    }


def mean(rows: Sequence[Row]) -> Row:
    """Over the seeds."""
    return {key: round(float(np.mean([row[key] for row in rows])), 1) for key in rows[0]}


def main() -> None:
    """Every seed, then the gate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--index", type=Path, default=ROOT / "indexes" / "bench-loop")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "loop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--at-once", type=int, default=2, help="seeds side by side, one thread each")
    parser.add_argument("--no-alone", action="store_true", help="leave out tuning on made questions alone")
    parser.add_argument("--resume", action="store_true", help="keep the seeds that are done; only with unchanged code")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for trainer improve")
    given = parser.parse_args()
    base = library_of(given.data, given.index)
    plans = [
        Plan(s, given.data, base, given.out, tuple(given.set), not given.no_alone, s == given.seeds[0], given.resume)
        for s in given.seeds
    ]
    with ProcessPoolExecutor(given.at_once, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(run, plans))
    folders = [given.out / str(seed) for seed in given.seeds]
    result: Row = {
        "before": mean([one["before"] for one in found]),
        "after": mean([one["after"] for one in found]),
        "retention_loss": round(float(np.mean([one["retention_loss"] for one in found])), 2),
        "poisoned_refused": not any(found[0]["gate"][name]["promoted"] for name in POISONS),
        "promoted": found[0]["gate"]["candidate"]["promoted"],
        **gained(folders),
        "seeds": found,
    }
    if not given.no_alone:
        result["made_questions_alone"] = {
            "after": mean([one["alone"]["after"] for one in found]),
            "retention_loss": round(float(np.mean([one["alone"]["retention_loss"] for one in found])), 2),
            **gained(folders, "alone"),
        }
    record("loop", result)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
