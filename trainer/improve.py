"""Improve a model on a training bundle: documents and judgements in, a candidate out.

    BUNDLE.zip + base ─► unpack ─► synthesise ─► retriever ─► reader ─► preference ─► evaluate ─► export ─► candidate/

Takes   a file of `rag export --bundle`, the model folder it was made beside, and where the candidate goes. Neither the
        library nor a reader of documents is needed here, and nothing is fetched.
Gives   OUT, a model folder with `lineage.json` and `report.json`; OUT.work holds the stages' work, `state.json` there
        says how far it is. Run again with the same arguments it goes on; a stage whose settings changed is done again
        with all behind it.
Refuses a bundle that was changed or made beside another model, a trunk as base (the message names the commands for it).
Exit    0 done, 130 stopped by SIGTERM or Ctrl-C (all is saved), 1 an error, told in one line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from trainer import files, folders, recipe
from trainer.encoder_reader import EncoderReader
from trainer.errors import RecipeError, TrainerError, in_a_line
from trainer.improving import bundle as bundles
from trainer.improving import candidate, forecast, material, measuring, preferring, questions, retriever, tuning
from trainer.improving.bundle import Bundle
from trainer.improving.course import Course, Skipped, Stopped
from trainer.improving.material import Material, Row
from trainer.improving.replay import shipped
from trainer.improving.settings import ImproveConfig
from trainer.reading import read_config
from trainer.synthesis.synthetic_rows import SynthesizeConfig

STAGES = ("unpack", "synthesise", "retriever", "reader", "preference", "evaluate", "export")
SECTIONS = ("improve", "synthesize", "embedder", "preference")  # of the settings
MAKING = ("synthetic", "most_passages", "seed", "precision", "device")
FINDING = ("judgements", "retriever", "most_synthetic", "dev_one_in", "most_dev")
RESTS = {  # stage -> the settings and sections that its result rests on; of the others on all
    "synthesise": (MAKING, ("synthesize",)),
    "retriever": ((*MAKING, *FINDING), ("synthesize", "embedder")),
    "reader": (tuple(each.name for each in fields(ImproveConfig)), ("synthesize",)),
}
CHOOSING = "choosing"  # in a lineage: rows that chose among weights and thresholds, and moved none
STOPPED = 130  # exit code, as a shell says of Ctrl-C


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line says."""

    file: Path
    base: Path
    out: Path
    sections: dict[str, dict[str, Any]]
    stop_after: str = STAGES[-1]
    replay: Path | None = None

    @property
    def work(self) -> Path:
        """Where the stages work."""
        return self.out.with_name(self.out.name + ".work")


def improve(wanted: Wanted) -> Path:
    """Do all stages up to the last wanted one; returns the candidate, or the folder of work where it stops before."""
    check(wanted)
    course = Course(wanted.work, STAGES)
    try:
        with course.stop.heard():
            run = Run(wanted, course)
            for name in STAGES[: STAGES.index(wanted.stop_after) + 1]:
                course.run(name, run.key(name), getattr(run, name))
    except BaseException as error:
        course.stopped = isinstance(error, Stopped)
        course.error = in_a_line(error) if isinstance(error, TrainerError | OSError) else None
        raise
    finally:
        course.write()
        course.close()
    return wanted.out if wanted.stop_after == STAGES[-1] else wanted.work


def check(wanted: Wanted) -> None:
    """Refuse before anything is written what cannot end well. Raises RecipeError, CheckpointError."""
    if wanted.stop_after not in STAGES:
        raise RecipeError(f"there is no stage {wanted.stop_after!r}; --stop-after takes {', '.join(STAGES)}")
    kind = read_config(wanted.base).get("kind")
    if kind == "trunk" and STAGES.index(wanted.stop_after) > STAGES.index("synthesise"):
        rows = wanted.work / "rows" / "synthetic.jsonl"
        raise RecipeError(
            f"{wanted.base} is a trunk, and improving tunes readers of kind 'encoder'. For a trunk: `trainer improve "
            f"{wanted.file} --base {wanted.base} --out {wanted.out} --stop-after synthesise` writes {rows}; then "
            "`trainer finetune --config FILE --set finetune.lora_rank=16`, with these rows as its [finetune] rows, "
            "`trainer evaluate` and `trainer export`"
        )
    if kind not in ("encoder", "trunk"):
        raise RecipeError(
            f"{wanted.base} is of kind {kind!r}; name a model folder of kind 'encoder', such as models/base"
        )
    folders.refuse_strangers(wanted.out, "encoder")


class Run:
    """The stages of one run, each a method that says what came of it."""

    def __init__(self, wanted: Wanted, course: Course) -> None:
        self.wanted, self.course = wanted, course
        plan = recipe.Recipe("improve", Path(), wanted.work, wanted.sections)
        config = plan.section("improve", ImproveConfig)
        self.asking = plan.section("synthesize", SynthesizeConfig)
        self.inputs = [files.sha256(wanted.file), bundles.fingerprint(wanted.base)]
        self.inputs += [files.sha256(wanted.replay)] if wanted.replay else []
        self.settings = asdict(config)
        self.note = wanted.work / "settled.json"
        self.trunk = read_config(wanted.base).get("kind") == "trunk"  # then there is no stage behind `synthesise`
        self.settled = forecast.settled(self.note, config)
        self.config = replace(config, precision=self.settled["precision"])

    def key(self, stage: str) -> str:
        """What a stage's result depends on: where it changes, the stage and those behind it are done again."""
        names, of = RESTS.get(stage, (tuple(self.settings), SECTIONS))
        chosen = {name: self.settings[name] for name in names}
        sections = {name: self.wanted.sections.get(name, {}) for name in of if name != "improve"}
        whole = json.dumps([self.inputs, chosen, sections], sort_keys=True, default=str)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    # --- stages -------------------------------------------------------------------------------------------------------

    def unpack(self) -> str:
        """Check the bundle; say what the run will take."""
        found = bundles.unpack(self.wanted.file, self.wanted.base, self.wanted.work / "bundle")
        counts = {name: int(found.manifest["members"][name]["rows"]) for name in bundles.ALL}
        judged, passages = counts["rows.train.jsonl"], counts["passages.train.jsonl"]
        limit = "" if self.trunk else self.forecast(counts)
        return f"bundle {found.id[:8]}: {judged} judged rows, {passages} passages to learn from{limit}"

    def forecast(self, counts: Mapping[str, int]) -> str:
        """Measure this machine; where the whole would take too long, the reader gets fewer steps, and this says so."""
        pace = forecast.measure(self.wanted.base, self.config, reading=self.settled["reading"])
        expected, steps = forecast.seconds(pace, counts, self.config)
        most = forecast.most_steps(expected, steps, self.config)
        files.write_json(self.note, self.settled | {"most_steps": most})
        self.settled["most_steps"] = most
        self.course.forecast(expected)
        return (
            f"; the reader gets {most} steps of about {steps}, to end in {self.config.most_minutes:g} minutes"
            if most
            else ""
        )

    def synthesise(self) -> str:
        """Questions from the documents."""
        folder = self.wanted.work / "rows"
        asking = replace(self.asking, precision=self.settled["reading"])
        path = questions.make(self.bundle, self.wanted.base, self.config, asking, folder=folder, told=self.course.at)
        with path.open("rb") as lines:
            return f"{sum(1 for _ in lines):,} questions"

    def retriever(self) -> str:
        """The query side, where it gains."""
        if not self.config.retriever:
            raise Skipped("the settings leave the retriever as it is")
        section, folder = self.wanted.sections.get("embedder", {}), self.fresh("retriever")
        return retriever.tune(
            self.bundle, self.material, self.config,
            section=section, folder=folder, earlier=self.wanted.base / "query", course=self.course,
        )  # fmt: skip

    def reader(self) -> str:
        """Spans, evidence and refusals."""
        folder, most = self.fresh("reader"), int(self.settled["most_steps"])
        found = tuning.tune(self.wanted.base, self.material, self.config, folder=folder, most=most, course=self.course)
        at, losses = found.chosen["alpha"], found.chosen["dev_loss"]
        if not at:
            return f"no part of the way reads the dev rows better; the base's weights stay ({losses['0']:.3f} nats)"
        return f"step {found.chosen['step']}, {at:g} of the way: dev loss {losses['0']:.3f} to {losses[f'{at:g}']:.3f}"

    def preference(self) -> str:
        """Which words people prefer."""
        section, folder = self.wanted.sections.get("preference", {}), self.fresh("preference")
        return preferring.tune(
            self.tuned("reader"), self.bundle, self.material, self.config,
            section=section, folder=folder, course=self.course,
        )  # fmt: skip

    def evaluate(self) -> str:
        """Base and candidate on rows that nothing was learnt from."""
        folder, model = self.fresh("evaluate"), self.tuned()
        dev = [row for rows in tuning.plain(self.material.dev).values() for row in rows]
        fitted = candidate.fit(model, dev)
        base = self.ready(EncoderReader.from_folder(self.wanted.base))
        held, most = material.parsed(self.bundle.folder / "rows.held.jsonl"), self.config.most_measured
        sets = {"held": [row.row for row in held[:most]], "retention": shipped()["measured"][:most]}
        report = measuring.compare(base, model, sets, seed=self.config.seed, told=self.course.at)
        query, reading = self.query(), self.settled["reading"]
        if query is not None and retriever.pairs_of(held):
            section = self.wanted.sections.get("embedder", {})
            found = retriever.measure(self.bundle, held, query, section=section, bf16=reading == "bf16")
            for when, figures in found.items():
                report[when]["retriever"] = figures
        files.write_json(folder / "report.json", report)
        files.write_json(folder / "fitted.json", fitted)
        before, after = report["before"], report["after"]
        return "; ".join(
            f"{of}: F1 {before[of]['f1']} to {after[of]['f1']}, wrong {before[of]['wrong']} to {after[of]['wrong']}"
            for of in sets
            if before[of]
        )

    def export(self) -> str:
        """The candidate."""
        work, found = self.wanted.work, self.material
        report, fitted = (files.read_json(work / "evaluate" / name) for name in ("report.json", "fitted.json"))
        stages = {
            stage["name"]: {key: stage[key] for key in ("status", "detail", "seconds")}
            for stage in self.course.stages
            if stage["name"] != "export"
        }
        about = {
            "config": {**fitted, "training": self.spent()},
            "lineage": candidate.lineage(self.bundle, self.wanted.base, self.config.seed, self.taught(found)),
            "report": {**report, "stages": stages, "withdrawn_rows": found.withdrawn},
            "rows": {kind: len(rows) for kind, rows in found.pools.items()},
            "licences": Counter(row.row.licence for rows in found.pools.values() for row in rows),
        }
        query = self.query() or self.wanted.base / "query"
        candidate.write(
            self.ready(self.tuned()), self.wanted.base, self.wanted.out, about, query=query if query.is_dir() else None
        )
        return f"{self.wanted.out}: {bundles.fingerprint(self.wanted.out)}"

    # --- what earlier stages left -------------------------------------------------------------------------------------

    @property
    def bundle(self) -> Bundle:
        """The unpacked bundle."""
        return bundles.opened(self.wanted.work / "bundle")

    @property
    def material(self) -> Material:
        """What is learnt from, and chosen by."""
        path = self.wanted.work / "rows" / "synthetic.jsonl"
        made = path if self.course.of("synthesise")["status"] == "done" else None
        return material.gather(self.bundle, made, self.config, self.wanted.replay)

    def query(self) -> Path | None:
        """The query side that this run tuned, where it gained."""
        return self.wanted.work / "retriever" / "query" if self.course.of("retriever")["status"] == "done" else None

    def fresh(self, stage: str) -> Path:
        """A stage's folder; what other settings left in it is gone."""
        folder = self.wanted.work / stage
        note = folder / "key"
        if folder.is_dir() and (not note.is_file() or note.read_text("utf-8") != self.key(stage)):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(self.key(stage), "utf-8")
        return folder

    def tuned(self, *stages: str) -> EncoderReader:
        """The reader with the weights that the last of these stages left."""
        for stage in stages or ("preference", "reader"):
            weights = self.wanted.work / stage / "tuned.safetensors"
            if self.course.of(stage)["status"] == "done" and weights.is_file():
                return self.ready(tuning.load(self.wanted.base, weights))
        raise RecipeError(f"{self.wanted.work} holds no tuned reader; remove the folder and run again")

    def ready(self, model: EncoderReader) -> EncoderReader:
        """As it will read where it serves."""
        model.bf16 = self.settled["reading"] == "bf16"
        return model.eval()

    def spent(self) -> dict[str, Any]:
        """Steps and tokens of the base and of this run; times stand in the report, for they differ from run to run."""
        chosen = files.read_json(self.wanted.work / "reader" / "chosen.json")
        kept = {key: chosen[key] for key in ("step", "steps", "alpha", "tokens", "precision", "per_step")}
        return {**kept, "base": files.read_json(self.wanted.base / "config.json").get("training", {})}

    def taught(self, found: Material) -> dict[str, list[tuple[str, Row]]]:
        """Stage -> the rows that moved weights in it, with the member they are from."""
        members = {"judged": "rows.train.jsonl", "synthetic": "passages.train.jsonl"}
        own = [(members[kind], row) for kind in members for row in found.pools.get(kind, ())]
        chose = [(members[kind], row) for kind in members for row in found.dev.get(kind, ())]
        used = {"reader": own, CHOOSING: chose}
        if self.course.of("retriever")["status"] == "done":
            used["retriever"] = [(member, row) for member, row in own if row.row.spans]
        if self.course.of("preference")["status"] == "done":
            path = self.wanted.work / "preference" / "preferences.jsonl"
            used["preference"] = [("preferences.train.jsonl", row) for row in material.preferences(path)]
        return used


# --- the command line -------------------------------------------------------------------------------------------------


def arguments() -> argparse.ArgumentParser:
    """What can be said."""
    parser = argparse.ArgumentParser(prog="trainer improve", description="Improve a model on a training bundle.")
    parser.add_argument("file", type=Path, help="bundle of `rag export --bundle`")
    parser.add_argument(
        "--base", type=Path, required=True, metavar="DIR", help="model folder the bundle was made beside"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the candidate; beside it DIR.work")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML with [improve], [embedder], [preference]")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting")
    parser.add_argument("--stop-after", default=STAGES[-1], metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="reading rows to replay, instead of the shipped ones"
    )
    return parser


def main(given: Sequence[str] | None = None) -> int:
    """Run what the command line says; gives the exit code."""
    options = arguments().parse_args(given)
    try:
        sections: dict[str, Any] = {}
        if options.config:
            sections = {name: dict(values) for name, values in recipe.load(options.config).sections.items()}
        recipe.change(sections, options.set)
        unknown = sorted(set(sections) - set(SECTIONS))
        if unknown:
            raise RecipeError(f"improving knows no section {unknown[0]!r}; it takes {', '.join(SECTIONS)}")
        wanted = Wanted(
            file=options.file, base=options.base, out=options.out, sections=sections, stop_after=options.stop_after,
            replay=options.replay,
        )  # fmt: skip
        sys.stdout.write(f"{improve(wanted)}\n")
    except Stopped:
        sys.stderr.write("improve  stopped; run again with the same arguments to go on\n")
        return STOPPED
    except (TrainerError, OSError) as error:
        sys.stderr.write(f"{in_a_line(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
