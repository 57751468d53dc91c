"""Commands about which model answers: promote, versions.

Takes   the folder of a candidate, or the number of a version to return to.
Gives   the gate's report; the exit code is 1 where the candidate was not promoted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.options import Index, Json, Person, as_json, library, table
from rag.errors import SettingsError

BASE = "base"


def promote(
    candidate: Annotated[
        str | None, typer.Argument(metavar="FOLDER|N|base", help="A candidate; with --back the version to return to.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Return to the model before, version N, or the base.")] = False,
    questions: Annotated[Path | None, typer.Option(help="JSONL of questions that people checked.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Measure a part only, and promote nothing.")] = False,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Measure the candidate in FOLDER against the model that answers, and let it answer if it is better."""
    if back:
        _back(candidate, index=index, person=person, json=json)
        return
    if candidate is None:
        raise SettingsError("name the folder of a candidate, or --back to return to an earlier model")
    with library(index) as opened:
        report = opened.promote(Path(candidate), questions=questions, quick=quick, tell=_tell, person=person)
    if json:
        as_json(report.as_dict())
    else:
        typer.echo(report.text())
    if not report.promoted:
        raise typer.Exit(1)


def _back(wanted: str | None, *, index: Path | None, person: str | None, json: bool) -> None:
    if wanted is not None and wanted != BASE and not wanted.isdecimal():
        raise SettingsError(f"--back {wanted}: give the number of a version (`rag versions` lists them), or {BASE}")
    number = int(wanted) if wanted and wanted != BASE else None
    with library(index) as opened:
        switched = opened.promote_back(number, to_base=wanted == BASE, person=person)
    if json:
        as_json(switched.as_dict())
        return
    typer.echo(f"{_name(switched.now)} answers now ({switched.model}); before: {_name(switched.before)}")
    for mark in switched.marks:
        typer.echo(f"  {mark}")


def versions(index: Index = None, json: Json = False) -> None:
    """List the models of a library: which answers, what each learnt from, what is wrong with that."""
    with library(index) as opened:
        rows = opened.versions()
    if json:
        as_json({"versions": rows})
        return
    cells = [
        (_name(row["version"]), "answers" if row["current"] else "", row["name"], (row["added_at"] or "")[:19],
         row["documents"], row["judgements"], _target(row["figures"]), "; ".join(row["marks"]))
        for row in rows
    ]  # fmt: skip
    table(cells, ("version", "", "model", "since", "documents", "judgements", "held-out right", "marks"))
    clean = next((row for row in rows if row["last_clean"]), None)
    current = next((row for row in rows if row["current"]), None)
    if clean and current and current["marks"] and not clean["current"]:
        number = BASE if clean["version"] is None else clean["version"]
        typer.echo(f"The last model that saw nothing of that: rag promote --back {number}")


def _name(number: int | None) -> str:
    return "the base" if number is None else f"version {number}"


def _target(figures: dict[str, Any]) -> str:
    found = figures.get("held_out")
    return f"{found['current']:g} -> {found['candidate']:g} % of {found['n']}" if found else ""


def _tell(what: str, done: int, total: int) -> None:
    """A line that is written over, where a person watches."""
    if sys.stderr.isatty():
        typer.echo(f"\r{what}: {done} of {total}\x1b[K", err=True, nl=done == total)


COMMANDS = (promote, versions)
