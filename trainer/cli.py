"""The door to training: `trainer STAGE --config FILE`.

Takes   a recipe (configs/*.toml) and overrides.
Gives   what the stage returns, as a path on stdout; progress goes to stderr. Exit code 1 with one line on an error.
A stage's module is imported when it is called, so `--help` loads no torch. Without typer: `python -m trainer.STAGE`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from trainer import recipe
from trainer.errors import TrainerError, in_a_line

STAGES = {  # stage -> where its function is
    "corpus": ("trainer.corpus", "corpus", "Clean raw text, with a report of what went and why."),
    "filter": ("trainer.cleaning.unwanted_training", "train", "Learn to tell unsafe text; the weights are shipped."),
    "tokenizer": ("trainer.data", "tokenize", "Learn the tokenizer and store the clean text as shards."),
    "pretrain": ("trainer.pretrain", "pretrain", "Train a trunk from random weights."),
    "rows": ("trainer.mixture", "make", "Make reading rows from question files and structured text."),
    "labels": ("trainer.teaching.teacher", "label", "Let a reader label rows softly, for a trunk to learn from."),
    "dialogue": ("trainer.teaching.dialogue", "make", "Make follow-ups and conversations from rows and dialogues."),
    "finetune": ("trainer.finetune", "finetune", "Teach a pretrained trunk to read, refuse, quote and converse."),
    "reader": ("trainer.reader", "reader", "Teach a warm-started encoder to read; writes its model folder."),
    "prefer": ("trainer.preference.prefer", "prefer", "Learn from thumbs (KTO) and choices between answers (DPO)."),
    "reward": ("trainer.preference.reward", "reward", "Learn which of two answers people prefer: a reward model."),
    "reinforce": ("trainer.preference.rl", "reinforce", "Reward what can be checked, within a limit of KL (RLOO)."),
    "passages": ("trainer.synthesis.cutting", "passages", "Cut clean text into passages to make questions from."),
    "synthesize": ("trainer.synthesize", "synthesize", "Make questions, answers and refusals from passages."),
    "embedder": ("trainer.embedder", "embedder", "Tune the retriever on questions; an index stays valid."),
    "evaluate": ("trainer.evaluate", "evaluate", "Bits per byte, span F1, refusals, evidence."),
    "gap": ("trainer.gap", "train", "Count byte sequences: the table of the domain-gap meter, which is shipped."),
    "export": ("trainer.export", "export", "Write the folder that the product, transformers or llama.cpp opens."),
}
LEARNING = ("pretrain", "finetune", "reader")  # they offer --dry-run

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train a small model of your own, stage by stage.")

Config = Annotated[Path, typer.Option(help="Recipe, such as configs/tiny.toml.")]
Data = Annotated[Path | None, typer.Option(help="Folder of raw data, instead of the recipe's.")]
Out = Annotated[Path | None, typer.Option(help="Folder of results, instead of the recipe's.")]
To = Annotated[str | None, typer.Option(help="Layout: model (what the product opens), huggingface or gguf.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what the run would take, and write nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="The dry run's answer as one JSON object.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: section.key=value.")]


def add_stage(name: str) -> None:
    """Offer one stage as a command."""
    module, function, text = STAGES[name]

    def command(config: Config, data: Data = None, out: Out = None, overrides: Overrides = None) -> None:
        run(lambda plan: getattr(import_module(module), function)(plan), config, data, out, overrides or [])

    app.command(name, help=text)(command)


def add_learning(name: str) -> None:
    """Offer a stage that learns: it can be asked what it would take."""
    module, function, text = STAGES[name]

    def command(
        config: Config,
        data: Data = None,
        out: Out = None,
        overrides: Overrides = None,
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        def told(plan: recipe.Recipe) -> Path | str:
            stage = getattr(import_module(module), function)
            return recipe.dry_run(stage, plan, as_json=as_json) if dry_run else stage(plan)

        run(told, config, data, out, overrides or [])

    app.command(name, help=text)(command)


def add_export() -> None:
    """Offer the export, whose layout is chosen so often that it has an option of its own."""

    def command(config: Config, to: To = None, data: Data = None, out: Out = None, overrides: Overrides = None) -> None:
        chosen = [f"export.to={to}"] if to else []
        module, function, _ = STAGES["export"]
        run(
            lambda plan: getattr(import_module(module), function)(plan),
            config,
            data,
            out,
            [*(overrides or []), *chosen],
        )

    app.command("export", help=STAGES["export"][2])(command)


def embedder(
    config: Config,
    data: Data = None,
    out: Out = None,
    overrides: Overrides = None,
    both_sides: Annotated[
        bool, typer.Option("--both-sides", help="Passages too; says first what embedding them again costs.")
    ] = False,
) -> None:
    """Tune the retriever on questions: its query side, so that an index stays valid, or both sides."""
    sides = ["embedder.side=both"] if both_sides else []
    run(lambda plan: import_module("trainer.embedder").embedder(plan), config, data, out, [*(overrides or []), *sides])


def evaluate(context: typer.Context) -> None:
    """Score a model: a stage of a recipe (--config), or any model by hand (--model DIR --questions FILE --json)."""
    import_module("trainer.evaluate").main(context.args)  # it reads its options itself: the bare command has the same


def improve(context: typer.Context) -> None:
    """Improve a model on a training bundle: trainer improve FILE --base DIR --out DIR."""
    raise typer.Exit(import_module("trainer.improve").main(context.args))  # it reads its options itself


def synthesize(  # one parameter an option
    passages: Annotated[Path | None, typer.Argument(help="JSONL of passages: id, document, headings, text.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="The rows' file (.jsonl), or a recipe's folder of results.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder that judges, such as models/base.")] = None,
    config: Annotated[Path | None, typer.Option(help="Recipe with a section for this stage.")] = None,
    seed: Annotated[int | None, typer.Option(help="Equal seeds give equal rows.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Override: synthesize.key=value.")] = None,
) -> None:
    """Make questions, exact answers and refusals from PASSAGES; beside them a report of what was kept and why."""
    rows, folder = (out, None) if out and out.suffix == ".jsonl" else (None, out)
    given = {"passages": passages, "rows": rows, "model": model, "seed": seed, "workers": workers}

    def stage() -> Path:
        nothing = recipe.Recipe("synthesize", Path(), folder or Path("runs/synthesize"), {})
        plan = recipe.load(config, out=folder) if config else nothing
        made: Path = import_module("trainer.synthesize").of_command(plan, given, overrides or [])
        return made

    tell(stage)


def run(
    stage: Callable[[recipe.Recipe], Path | str],
    config: Path,
    data: Path | None,
    out: Path | None,
    overrides: list[str],
) -> None:
    """Run a stage of a recipe and print where its result is."""
    tell(lambda: stage(recipe.load(config, data=data, out=out, overrides=overrides)))


def tell(work: Callable[[], Path | str]) -> None:
    """Print what the work gives; an error of ours is one line, and the exit code 1."""
    try:
        typer.echo(work())
    except (TrainerError, OSError) as error:
        typer.echo(in_a_line(error), err=True)
        raise typer.Exit(1) from error


for _name in STAGES:
    if _name == "export":
        add_export()
    elif _name == "embedder":
        app.command(_name)(embedder)
    elif _name == "evaluate":
        passed = {"allow_extra_args": True, "ignore_unknown_options": True}
        app.command(_name, add_help_option=False, context_settings=passed)(evaluate)
        app.command("improve", add_help_option=False, context_settings=passed)(improve)
    elif _name == "synthesize":
        app.command(_name)(synthesize)
    elif _name in LEARNING:
        add_learning(_name)
    else:
        add_stage(_name)


def main() -> None:
    """Entry point of the `trainer` command."""
    app(prog_name="trainer")


if __name__ == "__main__":
    main()
