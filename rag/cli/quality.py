"""Commands about how good the answers are: evaluate, rate, export, audit, replay.

Takes   question files (JSONL), answer ids as `rag ask --json` prints them, judgements.
Gives   figures, stored judgements, what was answered when, and whether it would be answered so again.
"""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rag.cli.options import Index, Json, Model, Person, Strictness, as_json, library, table
from rag.errors import SettingsError
from rag.library import REASONS

AnswerId = Annotated[str, typer.Argument(metavar="ANSWER_ID", help="As `rag ask --json` and `rag audit` print it.")]


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


def rate(
    answer_id: AnswerId,
    verdict: Annotated[str, typer.Argument(metavar="up|down")],
    reason: Annotated[str | None, typer.Option(help=", ".join(REASONS))] = None,
    correction: Annotated[str | None, typer.Option(help="What the answer should have said.")] = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Say whether an answer was good. Judgements become training data, with `rag export`."""
    with library(index) as opened:
        judgement = opened.rate(answer_id, verdict, reason=reason, correction=correction, person=person)
    if json:
        as_json(asdict(judgement))
    else:
        typer.echo(f"{judgement.verdict}: stored for {judgement.answer_id}")


def export(
    out: Annotated[Path | None, typer.Option(help="A file instead of the screen.", show_default="stdout")] = None,
    bundle: Annotated[bool, typer.Option("--bundle", hidden=True)] = False,
    index: Index = None,
) -> None:
    """Write the judgements as JSONL, each with its question, answer and quotations."""
    if bundle:
        raise SettingsError("--bundle (passages, judgements and questions for training) is not there yet; leave it out")
    with library(index) as opened:
        lines = [jsonlib.dumps(row, ensure_ascii=False) for row in opened.judgements()]
    if out is None:
        typer.echo("\n".join(lines), nl=bool(lines))
        return
    out.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    typer.echo(f"{out}: {len(lines)} judgements", err=True)


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


COMMANDS = (evaluate, rate, export, audit, replay)
