"""Commands that keep a library sound: verify, repair, backup, restore, doctor.

Takes   a library's folder.
Gives   what was found, a line each; the exit code is 1 while something is wrong.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rag.cli.options import Index, Json, Model, as_json, library
from rag.config import Settings
from rag.library import examine


def verify(index: Index = None, json: Json = False) -> None:
    """Check a library: its catalogue, each passage's place in its document, the audit's chain of seals."""
    with library(index) as opened:
        problems = opened.verify()
        state = opened.status()
    if json:
        as_json({"ok": not problems, "problems": problems, **state})
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo(f"{state['documents']} documents, {state['passages']} passages: all is well.")
    if problems:
        raise typer.Exit(1)


def repair(index: Index = None, json: Json = False) -> None:
    """Make the copies (FAISS, tantivy) anew from the catalogue."""
    with library(index) as opened:
        done = opened.repair()
    if json:
        as_json({"repaired": done})
    else:
        for line in done:
            typer.echo(line)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy is written.")],
    index: Index = None,
    json: Json = False,
) -> None:
    """Copy a library and its promoted models into one file while it is in use. It holds all the documents' words."""
    with library(index) as opened:
        size = opened.backup(file)
    if json:
        as_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{file}: {size / 1e6:.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `rag backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the documents that are there.")] = False,
    index: Index = None,
    json: Json = False,
) -> None:
    """Bring a library back from a backup, all of it or nothing."""
    with library(index, existing=False) as opened:
        opened.restore(file, force=force)
        state = opened.status()
    if json:
        as_json(state)
    else:
        typer.echo(f"{state['documents']} documents, {state['passages']} passages are back.")


def doctor(index: Index = None, model: Model = None, json: Json = False) -> None:
    """Say what this machine has and what is missing, with the line that mends it."""
    found = examine(Settings(index=index, model=model))
    if json:
        as_json({"ok": all(finding.ok for finding in found), "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            typer.echo(f"{'ok ' if finding.ok else 'fix'}  {finding.name:10} {finding.found}")
            if finding.fix:
                typer.echo(f"     {'':10} -> {finding.fix}")
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


COMMANDS = (verify, repair, backup, restore, doctor)
