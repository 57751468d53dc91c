"""The command that moves a library to another embedder: reembed.

Takes   the setting `embedder`, which names the one to move to.
Gives   how far it is, then what was done; until the last moment the former embedder answers.
Codes   0 the library belongs to the embedder that the settings name, or stays with its own as asked; 1 not yet.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from rag.cli.options import Index, Json, as_json, duration, library
from rag.errors import SettingsError
from rag.library import Library

TOLD_S = 30.0  # between two lines where no person watches


def reembed(
    detach: Annotated[bool, typer.Option("--detach", help="Start it in the background; --status follows.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Ask it to stop; what is made stays, and is gone on with.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Stay with the library's own embedder instead.")] = False,
    index: Index = None,
    json: Json = False,
) -> None:
    """Move the library to the embedder that the settings name, while the former one goes on answering.

    Stopped or killed, it goes on where it was when it is called again.
    """
    if sum((detach, status, stop, keep)) > 1:
        raise SettingsError("choose one of --detach, --status, --stop and --keep")
    with library(index, tell_embedder=False) as opened:
        if stop:
            opened.stop_reembedding()
        elif keep:
            opened.keep_embedder()
        elif detach:
            opened.start_reembedding()
        elif not status:
            _move(opened, json=json)
            return
        _tell(opened, json=json)
        if status and opened.embedder_choice() is not None:
            raise typer.Exit(1)


def _move(opened: Library, *, json: bool) -> None:
    """In this process; the lines that tell how far it is go to stderr."""
    told = 0.0

    def show(now: Any) -> None:
        nonlocal told
        watched = sys.stderr.isatty()
        if not json and now.going_on and (watched or time.monotonic() - told > TOLD_S):
            told = time.monotonic()
            typer.echo(f"\r{_line(now)}   " if watched else _line(now), err=True, nl=not watched)

    moved = opened.reembed(progress=show, politely=True)
    if sys.stderr.isatty() and not json:
        typer.echo(err=True)
    if json:
        as_json({"embedder": moved.embedder, "passages": moved.passages, "finished": moved.finished})
    elif moved.finished:
        typer.echo(f"{moved.passages} passages embedded; the library answers with {moved.embedder} now.")
    else:
        typer.echo(f"stopped; {moved.passages} passages embedded. It goes on with: rag reembed --index {opened.path}")
    if not moved.finished:
        raise typer.Exit(1)


def _tell(opened: Library, *, json: bool) -> None:
    choice, now = opened.embedder_choice(), opened.reembedding()
    if json:
        as_json({
            "embedder": opened.embedder_name,
            "wanted": choice.wanted if choice else opened.embedder_name,
            "kept": bool(choice and choice.kept),
            "move": now.as_dict() if now else None,
        })  # fmt: skip
        return
    typer.echo(f"{choice}." if choice else f"the library answers with the embedder {opened.embedder_name}.")
    if choice and choice.kept:
        typer.echo("It stays so, as was decided; `rag reembed` moves it all the same.")
    if now and choice:
        typer.echo(
            _line(now) if now.going_on else f"not going on: {_line(now)}{f' ({now.error})' if now.error else ''}"
        )


def _line(now: Any) -> str:
    if not now.total:
        return "starting"
    left = "" if now.seconds_left is None else f", {duration(now.seconds_left)} left"
    return f"{now.done} of {now.total} passages, {now.per_second:.0f}/s{left}"


COMMANDS = (reembed,)
