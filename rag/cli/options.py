"""What commands share: their options, the library they open, the way they print.

Takes   option values; None where the option was not given, which leaves it to the settings.
Gives   `library(...)` opened, `as_json` and `table` on stdout, `progress_bar` on stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.config import Settings
from rag.errors import SettingsError
from rag.library import Library, Options
from rag.library import open as open_library

Index = Annotated[Path | None, typer.Option(help="The library's folder.", show_default="indexes/default")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Collection = Annotated[str | None, typer.Option(help="Only this collection of documents.", show_default="all")]
Person = Annotated[str | None, typer.Option(help="Who asks; sees only what they may read.", show_default="local owner")]
AnswerId = Annotated[str, typer.Argument(metavar="ANSWER_ID", help="As `rag ask --json` and `rag audit` print it.")]
Model = Annotated[Path | None, typer.Option(help="Folder of the model that reads.", show_default="models/base")]
Strictness = Annotated[
    str | None,
    typer.Option(
        help="lenient, normal, strict; the least confidence from 0 to 1; or 10%: at most so many answers wrong.",
        show_default="normal",
    ),
]
PAGES = Options().pages
Only = Annotated[list[str] | None, typer.Option(help="Of an address only paths like docs/*.md; repeat it.")]
Host = Annotated[list[str] | None, typer.Option(help="A further host that pages of a site may lie on; repeat it.")]
AllowPrivate = Annotated[bool, typer.Option("--allow-private", help="The named hosts may lie in a private network.")]
Pages = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many pages of a sitemap.")]


def source_options(
    only: Sequence[str] | None, host: Sequence[str] | None, *, allow_private: bool, pages: int
) -> Options:
    """What was said about addresses, as the library takes it."""
    return Options(only=tuple(only or ()), hosts=tuple(host or ()), allow_private=allow_private, pages=pages)


def library(
    index: Path | None,
    *,
    model: Path | None = None,
    strictness: str | None = None,
    influence: float | None = None,
    held_out: float | None = None,
    existing: bool = True,
    tell_embedder: bool = True,
) -> Library:
    """Open the library. `existing` refuses a folder without one: a misspelt path is no empty library.

    `tell_embedder`: where the settings name another embedder than the library's, that is said on stderr.
    """
    settings = Settings(index=index, model=model, strictness=strictness, influence=influence, held_out=held_out)
    if existing and not (settings.index / "catalogue.db").is_file():
        raise SettingsError(
            f"{settings.index}: no library there. Make one: rag add FOLDER --index {settings.index}, "
            "or name another with --index"
        )
    opened = open_library(settings.index, settings, promoted=model is None)  # a model that is named answers
    choice = opened.embedder_choice() if tell_embedder else None
    if choice is not None and not choice.kept:
        what_to_do = f"`rag reembed --index {settings.index}` moves it there, with --keep it stays"
        typer.echo(f"rag: {choice}. {what_to_do}", err=True)
    return opened


def as_json(value: Mapping[str, Any]) -> None:
    """One object, readable by people too."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> None:
    """Columns for a terminal; cells separated by tabs where a program reads."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headings, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        drawn.add_row(*(Text("" if cell is None else str(cell)) for cell in row))  # Text: names may hold [brackets]
    Console().print(drawn)


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[Callable[[Any], None] | None]:
    """A bar on stderr with rate and time left, where a person watches; else None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, rate="")

        def show(now: Any) -> None:
            left = "" if now.seconds_left is None else f", {duration(now.seconds_left)} left"
            rate = f"{now.passages} passages, {now.passages_per_second:.0f}/s{left}"
            bar.update(task, completed=now.done, total=now.total, description=str(now.file)[-40:], rate=rate)

        yield show


def duration(seconds: float) -> str:
    """`75` seconds are `1 min 15 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def place(document: str, page: int | None, time: str | None = None) -> str:
    """`leave.pdf p. 3`, `meeting.mp3 00:12:31`, or the name alone where the format has neither."""
    if page is None:
        return f"{document} {time}" if time else document
    return f"{document} p. {page}"
