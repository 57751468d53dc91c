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
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import rag
from benchmarks.answers import among_answerable
from benchmarks.record import record
from rag import calibrate
from rag.evaluate import evaluate, load
from rag.metrics import right

ROOT = Path(__file__).resolve().parent.parent
HANDBOOKS = ("18F", "sourcegraph")
PEOPLE = ("ada", "ben", "cleo", "dev", "eva")
HELD_OUT = 0.5  # share of the documents, so that both sides have questions enough
DRAWS = 2000  # of a bootstrap
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """One seed's work."""

    seed: int
    data: Path
    base: Path  # the library that every seed copies
    folder: Path
    settings: tuple[str, ...]  # for `trainer improve --set`
    alone: bool  # also from made questions alone


# --- questions and sides ----------------------------------------------------------------------------------------------


def questions(data: Path) -> list[Row]:
    """Both files' questions; `name` is unique among them."""
    folder = data / "documents" / "handbooks"
    return [
        {**row, "handbook": name, "name": f"{name} {row['id']}"}
        for name in HANDBOOKS
        for row in load(folder / f"{name}.questions.jsonl")
    ]


def sides(library: rag.Library, rows: Sequence[Row], folder: Path, seed: int) -> tuple[list[Row], list[Row]]:
    """Questions to judge and questions to measure by. A bundle without judgements decides about the documents.

    A question about documents of both sides is left out. What nothing answers is about no document: half of it each.
    """
    file = folder / "sides.zip"
    library.bundle(file, seed=str(seed))
    held, learnt = (_documents(file, f"passages.{side}.jsonl") for side in ("held", "train"))
    judged: list[Row] = []
    measured: list[Row] = []
    for row in rows:
        if not row["answerable"]:
            (judged if zlib.crc32(f"{seed} {row['name']}".encode()) % 2 else measured).append(row)
        elif _all(row, held):
            measured.append(row)
        elif _all(row, learnt):
            judged.append(row)
    return judged, measured


def _documents(file: Path, member: str) -> frozenset[str]:
    with zipfile.ZipFile(file) as opened:
        lines = opened.read(member).decode("utf-8").splitlines()
    return frozenset(str(json.loads(line)["document"]) for line in lines)


def _all(row: Row, among: frozenset[str]) -> bool:
    return all(name in among or f"{row['handbook']}/{name}" in among for name in row["documents"])


# --- the judges -------------------------------------------------------------------------------------------------------


def judge(library: rag.Library, rows: Sequence[Row]) -> dict[str, int]:
    """Ask each question, judge the answer by what is known, accept the judgement; returns how many of each kind."""
    counts: dict[str, int] = {}
    for number, row in enumerate(rows):
        person = PEOPLE[number % len(PEOPLE)]
        answer = library.ask(row["question"], person=person)
        verdict, reason = _verdict(row, answer)
        given: Row = {"reason": reason, "person": person}
        if verdict == "down" and row["answerable"]:
            place = _place(library, row)
            if place is None:  # the known words do not stand in the document as it was read
                counts["unmarked"] = counts.get("unmarked", 0) + 1
                continue
            given["marked"] = place
        made = library.rate(answer.answer_id, verdict, **given)
        library.review(made.id, "accepted")
        counts[reason or "up"] = counts.get(reason or "up", 0) + 1
        sys.stderr.write(f"\rjudged {number + 1}/{len(rows)} ")
    sys.stderr.write("\n")
    return counts


def _verdict(row: Row, answer: rag.Answer) -> tuple[str, str | None]:
    if not row["answerable"]:
        return ("up", None) if answer.abstained else ("down", "should_have_refused")
    if answer.abstained:
        return "down", "should_have_answered"
    if right(answer.text, row["answers"]):
        return "up", None
    known = {name.rsplit("/", 1)[-1] for name in row["documents"]}
    found = any(cited.document.rsplit("/", 1)[-1] in known for cited in answer.citations)
    return "down", "wrong_words" if found else "passage_missed"


def _place(library: rag.Library, row: Row) -> Row | None:
    """The known answer as words to mark: in its sentence if that stands in the document, else where it stands first."""
    for name in row["documents"]:
        document = _document(library, row["handbook"], name)
        if document is None:
            continue
        low = document.text.casefold()
        evidence = " ".join(str(row.get("evidence", "")).split()).casefold()
        near = max(0, low.find(evidence[:40])) if evidence else 0
        for answer in row["answers"]:
            parts = [answer] if isinstance(answer, str) else list(answer)
            found = [_after(low, part.casefold(), near) for part in parts]
            if all(place >= 0 for place in found):
                start = min(found)
                end = max(place + len(part) for place, part in zip(found, parts, strict=True))
                if end - start <= 400:
                    return {"document": document.name, "start": start, "end": end}
    return None


def _after(text: str, part: str, near: int) -> int:
    place = text.find(part, near)
    return place if place >= 0 else text.find(part)


def _document(library: rag.Library, handbook: str, name: str) -> Any:
    for known in (name, f"{handbook}/{name}"):
        try:
            return library.document(known)
        except rag.NotFound:
            continue
    return None


# --- one seed ---------------------------------------------------------------------------------------------------------


def run(plan: Plan) -> Row:
    """Judge, improve, measure; everything is under the plan's folder."""
    folder = plan.folder / str(plan.seed)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index = folder / "index"
    shutil.copytree(plan.base, index)
    settings = rag.Settings(index=index, held_out=HELD_OUT)
    result: Row = {"seed": plan.seed}
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
        other = improved(plan, file, folder / "alone", "improve.judgements=false")
        result["alone"] = tested(index, settings, other, measured)
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
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
    lineage = json.loads((candidate / "lineage.json").read_text(encoding="utf-8"))
    learnt = {row["id"] for row in lineage["rows"] if row["stage"] != "choosing"}
    with zipfile.ZipFile(file) as opened:
        rows = [json.loads(line) for line in opened.read("rows.train.jsonl").decode("utf-8").splitlines()]
    known = calibrate.known_of([row for row in rows if row["id"] not in learnt])
    try:
        found = calibrate.calibrate(library._model_parts(), candidate, known)
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
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for trainer improve")
    given = parser.parse_args()
    base = library_of(given.data, given.index)
    plans = [Plan(s, given.data, base, given.out, tuple(given.set), not given.no_alone) for s in given.seeds]
    with ProcessPoolExecutor(given.at_once, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(run, plans))
    folders = [given.out / str(seed) for seed in given.seeds]
    result: Row = {
        "before": mean([one["before"] for one in found]),
        "after": mean([one["after"] for one in found]),
        "retention_loss": round(float(np.mean([one["retention_loss"] for one in found])), 2),
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
