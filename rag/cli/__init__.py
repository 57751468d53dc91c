"""The `rag` command: each sub-command calls the library once and prints what it gives.

Takes   arguments; settings that are not given come from GROUNDLING_* variables and `rag.toml`.
Gives   text for people, or with `--json` one object on stdout; progress and errors go to stderr.
Codes   0 all was done; 1 it was not (one line says what and the next step); 2 the arguments make no sense.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from rag.cli import (
    asking,
    documents,
    improving,
    insight,
    judging,
    keeping,
    promoting,
    quality,
    reembed,
    serving,
    upkeep,
    users,
    watching,
)
from rag.errors import GroundlingError

app = typer.Typer(
    name="rag",
    help="Chat with your own documents: cited answers from a small model that you own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback of ours is for a bug report, whole and plain
    rich_markup_mode=None,
)
MODULES = (
    documents, watching, asking, judging, quality, insight, keeping, improving, promoting, upkeep, reembed, serving,
)  # fmt: skip
for module in MODULES:
    for command in module.COMMANDS:
        app.command()(command)
app.add_typer(judging.judgements, name="judgements")
app.add_typer(users.user, name="user")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # documents hold any character
    try:
        app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="rag")
    except GroundlingError as error:
        typer.echo(f"rag: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # `rag show handbook.pdf | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
