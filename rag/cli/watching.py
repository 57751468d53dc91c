"""The command that follows folders and addresses: watch.

Takes   folders, and addresses as `rag add` takes them.
Gives   a line with the time for each document that changed, until Ctrl-C or SIGTERM; with `--json` one object a line.
Codes   0 when it was stopped, and after `--once` when every document went in.
"""

from __future__ import annotations

import json as jsonlib
import signal
import threading
import time
from dataclasses import asdict
from typing import Annotated

import typer

from rag.cli.documents import tell_change
from rag.cli.options import PAGES, AllowPrivate, Host, Index, Only, Pages, library, source_options
from rag.errors import SettingsError
from rag.types import DEFAULT_COLLECTION, FileReport


def watch(
    folders: Annotated[list[str], typer.Argument(metavar="FOLDER...", help="Folders, or addresses as for `rag add`.")],
    collection: Annotated[str, typer.Option(help="The collection they belong to.")] = DEFAULT_COLLECTION,
    sync: Annotated[bool, typer.Option("--sync", help="Also remove what vanishes from there.")] = False,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between two looks.", show_default="2; for a network 900")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, for a scheduler.")] = False,
    reader: Annotated[list[str] | None, typer.Option(help="Who may read them; repeat it. Nobody named: all.")] = None,
    only: Only = None,
    host: Host = None,
    allow_private: AllowPrivate = False,
    pages: Pages = PAGES,
    index: Index = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Follow folders: a file that is written, changed or deleted is in the library a few seconds later.

    What is known survives a restart: only what is new since is read. A folder that is empty or away removes nothing.
    """
    stop = threading.Event()
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)}
    failed = False
    try:
        with library(index, existing=False) as opened:
            looks = opened.watch(
                folders, options=source_options(only, host, allow_private=allow_private, pages=pages),
                collection=collection, sync=sync, access=tuple(reader or ()), every=every, stop=stop,
            )  # fmt: skip
            for number, reports in enumerate(looks):
                _tell(reports, json=json)
                failed = failed or any(report.status == "failed" for report in reports)
                if once:
                    break
                if number == 0 and not json:
                    found = len(opened.documents(collection=collection))
                    typer.echo(f"watching {', '.join(folders)}: {found} documents; Ctrl-C ends it")
    except KeyboardInterrupt:  # before the handler stood
        raise SettingsError("stopped before the first look was over; start it again, it goes on there") from None
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    if once and failed:
        raise typer.Exit(1)


def _tell(reports: list[FileReport], *, json: bool) -> None:
    for report in reports:
        if json:
            typer.echo(
                jsonlib.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **asdict(report)}, ensure_ascii=False)
            )
        else:
            typer.echo(time.strftime("%H:%M:%S "), nl=False, err=report.status == "failed")
            tell_change(report)


COMMANDS = (watch,)
