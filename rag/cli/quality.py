"""Commands about how good the answers are: evaluate, audit, replay.

Takes   question files (JSONL), answer ids as `rag ask --json` prints them.
Gives   figures, what was answered when, and whether it would be answered so again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag.cli.options import AnswerId, Index, Json, Model, Strictness, as_json, library, table


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL: question, answers, documents, answerable.")],
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Ask every question of FILE and count right, wrong and refused, in percent."""
    with library(index, model=model, strictness=strictness) as opened:
        report = opened.evaluate(file)
    if json:
        as_json(report.as_dict())
        return
    figures = report.as_dict()
    table([(name, value) for name, value in figures.items() if isinstance(value, int | float)], ("measure", "value"))


def audit(
    last: Annotated[int, typer.Option(min=1, help="So many of the latest.")] = 20,
    index: Index = None,
    json: Json = False,
) -> None:
    """List what was answered and changed: when, for whom, under which seal."""
    with library(index) as opened:
        rows = opened.audit_rows(last)
    if json:
        as_json({"rows": rows})
    else:
        cells = [(row["at"][:19], row["kind"], row["person"], row["id"], row["about"]) for row in rows]
        table(cells, ("at", "what", "who", "id", "about"))


def replay(answer_id: AnswerId, model: Model = None, index: Index = None, json: Json = False) -> None:
    """Ask again what was asked, as it was asked, and compare. The exit code is 1 where the answer differs."""
    with library(index, model=model) as opened:
        replayed = opened.replay(answer_id)
    if json:
        as_json(replayed.as_dict())
    else:
        typer.echo(f"then: {replayed.then['answer']}\nnow:  {replayed.now['answer']}")
        typer.echo("\n".join(["the same" if replayed.same else "different", *replayed.changed]))
    if not replayed.same:
        raise typer.Exit(1)


COMMANDS = (evaluate, audit, replay)
