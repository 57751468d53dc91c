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
from trainer.errors import TrainerError

STAGES = {  # stage -> where its function is
    "corpus": ("trainer.corpus", "corpus", "Clean raw text, with a report of what went and why."),
    "tokenizer": ("trainer.data", "tokenize", "Learn the tokenizer and store the clean text as shards."),
    "pretrain": ("trainer.pretrain", "pretrain", "Train a trunk from random weights."),
    "rows": ("trainer.mixture", "make", "Make reading rows from question files and structured text."),
    "finetune": ("trainer.finetune", "finetune", "Teach a pretrained trunk to read, refuse and quote."),
    "reader": ("trainer.reader", "reader", "Teach a warm-started encoder to read; writes its model folder."),
    "evaluate": ("trainer.evaluate", "evaluate", "Bits per byte, span F1, refusals, evidence."),
    "export": ("trainer.export", "export", "Write the folder that the product, transformers or llama.cpp opens."),
}

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train a small model of your own, stage by stage.")

Config = Annotated[Path, typer.Option(help="Recipe, such as configs/tiny.toml.")]
Data = Annotated[Path | None, typer.Option(help="Folder of raw data, instead of the recipe's.")]
Out = Annotated[Path | None, typer.Option(help="Folder of results, instead of the recipe's.")]
To = Annotated[str | None, typer.Option(help="Layout: model (what the product opens), huggingface or gguf.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: section.key=value.")]


def add_stage(name: str) -> None:
    """Offer one stage as a command."""
    module, function, text = STAGES[name]

    def command(config: Config, data: Data = None, out: Out = None, overrides: Overrides = None) -> None:
        run(lambda plan: getattr(import_module(module), function)(plan), config, data, out, overrides or [])

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


def run(
    stage: Callable[[recipe.Recipe], Path], config: Path, data: Path | None, out: Path | None, overrides: list[str]
) -> None:
    """Run a stage of a recipe and print where its result is."""
    try:
        typer.echo(stage(recipe.load(config, data=data, out=out, overrides=overrides)))
    except TrainerError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(1) from error


for _name in STAGES:
    if _name == "export":
        add_export()
    else:
        add_stage(_name)


def main() -> None:
    """Entry point of the `trainer` command."""
    app(prog_name="trainer")


if __name__ == "__main__":
    main()
