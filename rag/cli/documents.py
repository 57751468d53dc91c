"""Commands about the documents in a library: add, documents, show, remove.

Takes   paths, addresses and names as a person types them.
Gives   a line for each file, or the contract's JSON.
Refuses nothing itself: what could not be done stands in the reports, and the exit code says so.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rag.cli.keeping import recheck_after
from rag.cli.options import (
    PAGES,
    AllowPrivate,
    Collection,
    Host,
    Index,
    Json,
    Only,
    Pages,
    Person,
    as_json,
    library,
    progress_bar,
    source_options,
    table,
)
from rag.errors import SettingsError
from rag.library import is_address
from rag.types import DEFAULT_COLLECTION, FileReport

CHANGED = ("added", "replaced", "removed")
PINNED_S = 60.0  # how long a command waits for the pinned questions to be asked again

Name = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The name that `rag documents` shows.")]


def add(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, .mbox, .zip, https://…, git+https://…, git+/path."),
    ],
    collection: Annotated[str, typer.Option(help="The collection they belong to.")] = DEFAULT_COLLECTION,
    sync: Annotated[bool, typer.Option("--sync", help="Also remove what vanished from there.")] = False,
    reader: Annotated[list[str] | None, typer.Option(help="Who may read them; repeat it. Nobody named: all.")] = None,
    password: Annotated[
        list[str] | None, typer.Option(help="Opens protected files (PDF, ZIP); repeat it. `-` asks for one.")
    ] = None,
    only: Only = None,
    host: Host = None,
    allow_private: AllowPrivate = False,
    pages: Pages = PAGES,
    index: Index = None,
    json: Json = False,
) -> None:
    """Index files, folders, sites, repositories, mailboxes. Unchanged costs nothing; what changed is replaced.

    A folder goes in whole; of an address (docs/connectors.md) only what a reader knows. A file that cannot be read is
    reported and skipped. The exit code is 0 only when every file went in.
    """
    options = source_options(only, host, allow_private=allow_private, pages=pages)
    files = [path for path in paths if not is_address(path)]
    if only and files:
        raise SettingsError(f"--only is for addresses, not for {files[0]}; name the files themselves")
    named: dict[str, Any] = {"collection": collection, "sync": sync, "access": tuple(reader or ())}
    named["passwords"] = [typer.prompt("Password", hide_input=True) if one == "-" else one for one in password or ()]
    with library(index, existing=False) as opened, progress_bar(quiet=json) as progress:
        reports = opened.add(files, **named, progress=progress) if files else []
        for address in (path for path in paths if is_address(path)):
            reports += opened.connect(address, options=options, **named, progress=progress)
        told = recheck_after(opened, PINNED_S) if any(one.status in CHANGED for one in reports) else []
    if json:
        as_json({"files": [report.as_dict() for report in reports]})
    else:
        _tell(reports)
    for line in told:
        typer.echo(line, err=True)
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)


def _tell(reports: list[FileReport]) -> None:
    """What changed, then what did not go in, then one line of sums."""
    for report in (one for one in reports if one.status in CHANGED):
        tell_change(report)
    for report in (one for one in reports if one.status == "failed"):
        tell_change(report)
    counts = {status: sum(report.status == status for report in reports) for status in dict.fromkeys(
        ["added", "replaced", "unchanged", "removed", "failed"])}  # fmt: skip
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    typer.echo(f"{len(reports)} files: {told}" if reports else "No files there.")


def tell_change(report: FileReport) -> None:
    """The line of one document that changed or did not go in."""
    if report.status == "failed":
        typer.echo(f"failed    {report.reason or report.document}", err=True)
        return
    without = f", {report.pages_without_text} pages without text" if report.pages_without_text else ""
    passages = "" if report.status == "removed" else f": {report.passages} passages{without}"
    typer.echo(f"{report.status:9} {report.document}{passages}")
    if report.reason:
        typer.echo(f"          {report.reason}")
    if report.models:
        typer.echo(_learnt(report))


def _learnt(report: FileReport) -> str:
    """Which models learnt from a removed document, and the way to one that did not."""
    numbers = ", ".join(map(str, report.models))
    other = (
        f"the last that did not: rag promote --back {report.back}" if report.back else "the one that answers did not"
    )
    return f"          model version {numbers} learnt from it; {other}"


def documents(collection: Collection = None, person: Person = None, index: Index = None, json: Json = False) -> None:
    """List the documents of a library."""
    with library(index) as opened:
        found = opened.documents(collection=collection, person=person)
    if json:
        keys = ("version", "collection", "source", "title", "passages", "pages_without_text", "added_at", "sha256")
        rows = [{"document": one.name} | {key: getattr(one, key) for key in keys} for one in found]
        as_json({"documents": rows})
        return
    table(
        [(d.name, d.version, d.passages, d.pages_without_text or "", d.collection, d.added_at[:16]) for d in found],
        ("document", "version", "passages", "pages without text", "collection", "added"),
    )


def show(
    document: Name,
    version: Annotated[int | None, typer.Option(help="A former version.", show_default="current")] = None,
    collection: Collection = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Print a document's text as it was indexed. Citations count characters of this text."""
    with library(index) as opened:
        found = opened.document(document, version, collection=collection, person=person)
    if not json:
        typer.echo(found.text)
        return
    as_json({
        "document": found.name, "version": found.version, "current": found.current, "collection": found.collection,
        "source": found.source, "title": found.title, "added_at": found.added_at, "sha256": found.sha256,
        "pages": [page._asdict() for page in found.pages], "text": found.text,
    })  # fmt: skip


def remove(
    document: Name, collection: Collection = None, person: Person = None, index: Index = None, json: Json = False
) -> None:
    """Take a document out of a library. The file itself stays where it is."""
    with library(index) as opened:
        report = opened.remove(document, collection=collection, person=person)
        told = recheck_after(opened, PINNED_S)
    if json:
        as_json(report.as_dict())
    else:
        typer.echo(f"removed   {report.document}: {report.passages} passages")
        if report.models:
            typer.echo(_learnt(report))
    for line in told:
        typer.echo(line, err=True)


COMMANDS = (add, documents, show, remove)
