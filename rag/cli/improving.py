"""The command that improves the model: improve.

Takes   nothing but the library: judgements that were accepted, and its documents. Options reach the training.
Gives   what would be learnt, the stages as they go with the time left, and the outcome in plain words.
Codes   0 a better model answers now; 1 it was kept out, or the run failed; 130 it was stopped. The run is a process of
        its own: closing the terminal leaves it alone, Ctrl-C stops it after saving.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.cli.options import Index, Json, Model, Person, as_json, duration, library, table
from rag.errors import NotFound, SettingsError
from rag.library import Library, Outlook, Run

LOOK_S = 0.5  # between two looks at a run
STOPPED = 130
Sets = Annotated[list[str] | None, typer.Option("--set", help="Setting of `trainer improve`: section.key=value.")]
Config = Annotated[Path | None, typer.Option(help="Recipe for `trainer improve`.", exists=True, dir_okay=False)]
Questions = Annotated[
    Path | None, typer.Option(help="File of questions people checked, for the gate.", exists=True, dir_okay=False)
]


def improve(
    overrides: Sets = None,
    config: Config = None,
    questions: Questions = None,
    quick: Annotated[bool, typer.Option("--quick", help="A rehearsal: measure a part, promote nothing.")] = False,
    influence: Annotated[
        float | None, typer.Option(help="Most of the judgements from one person.", show_default="0.25")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where nothing could show a gain.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return; --status follows.")] = False,
    outlook: Annotated[bool, typer.Option("--outlook", help="Only say what it would learn from.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only say how the latest run stands.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Ask the run to save and stop.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the latest run where it stopped.")] = False,
    again: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="With --resume: this stage and all after it again.")
    ] = None,
    run: Annotated[int | None, typer.Option(hidden=True)] = None,
    person: Person = None,
    model: Model = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Learn from accepted judgements and the documents; answer with the result if it is measurably better."""
    if sum((outlook, status, stop, resume, run is not None)) > 1:
        raise SettingsError("choose one of --outlook, --status, --stop and --resume")
    if again is not None and not resume:
        raise SettingsError("--from goes with --resume")
    with library(index, model=model, influence=influence) as opened:
        if run is not None:
            _end(opened.run_improvement(run))
        if outlook:
            tell_outlook(opened.outlook(person=person), json=json)
        elif status:
            _tell(_latest(opened), json=json)
        elif stop:
            _tell(_left(opened, opened.stop_improving().number), json=json)
        else:
            started = _started(
                opened, resume=resume, again=again, overrides=tuple(overrides or ()), config=config,
                questions=questions, quick=quick, anyway=anyway, person=person,
            )  # fmt: skip
            if not json:
                typer.echo(f"improvement {started.number}: process of its own, its log is {started.folder / 'log'}")
            if detach:
                _tell(started, json=json)
                return
            ended = follow(opened, started.number, quiet=json)
            _tell(ended, json=json)
            _end(ended)


def _started(opened: Library, *, resume: bool, again: str | None, **asked: Any) -> Run:
    if resume:
        return opened.resume_improving(again=again)
    return opened.improve(**asked)


def _latest(opened: Library) -> Run:
    found = opened.improvement()
    if found is None:
        raise NotFound("no improvement was started here yet. Start one: rag improve")
    return found


def _end(run: Run) -> None:
    raise typer.Exit({"promoted": 0, "stopped": STOPPED}.get(run.status, 1))


# --- following --------------------------------------------------------------------------------------------------------


def follow(opened: Library, number: int, *, quiet: bool) -> Run:
    """Show a run until it ends. Ctrl-C asks it to stop, and waits for that; once more leaves it to itself."""
    with _shown(quiet) as show:
        for asked in (False, True):
            try:
                return _left(opened, number, show)
            except KeyboardInterrupt:
                if asked:
                    break
                typer.echo("stopping: it saves first; Ctrl-C again leaves it alone", err=True)
                try:
                    opened.stop_improving()
                except NotFound:
                    continue  # it has just ended
    found = opened.improvement(number)
    assert found is not None
    return found


def _left(opened: Library, number: int, show: Callable[[Run], None] | None = None) -> Run:
    """Wait until a run has ended."""
    while True:
        found = opened.improvement(number)
        assert found is not None, "a run that was started has a state"
        if show:
            show(found)
        if not found.going_on:
            return found
        time.sleep(LOOK_S)


@contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[Run], None] | None]:
    """A bar where a person watches, a line for each stage where a program does."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        told: set[tuple[str, str]] = set()
        yield lambda run: _tell_changes(run, told)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0, left="")

        def show(run: Run) -> None:
            stage = next((one for one in run.stages if one["status"] == "running"), None)
            if stage is not None:
                inner = next((one["name"] for one in stage.get("stages", ()) if one["status"] == "running"), "")
                said = f"{stage['name']}: {inner}" if inner else stage["name"]
                left = f"{duration(run.left_s)} left" if run.left_s else ""
                bar.update(task, completed=stage["progress"], description=said, left=left)

        yield show


def _tell_changes(run: Run, told: set[tuple[str, str]]) -> None:
    for stage in run.stages:
        for name, one in ((stage["name"], stage), *((f"  {one['name']}", one) for one in stage.get("stages", ()))):
            if one["status"] != "waiting" and (name, one["status"]) not in told:
                told.add((name, one["status"]))
                typer.echo(_line(name, one), err=True)


def _line(name: str, stage: dict[str, Any]) -> str:
    took = f" in {duration(stage['seconds'])}" if stage["status"] == "done" and stage.get("seconds") else ""
    detail = f": {stage['detail']}" if stage.get("detail") else ""
    return f"{name}: {stage['status']}{took}{detail}".replace(": :", ":")


# --- telling ----------------------------------------------------------------------------------------------------------


def tell_outlook(seen: Outlook, *, json: bool) -> None:
    """What an improvement would learn from."""
    if json:
        as_json(seen.as_dict())
        return
    typer.echo(
        f"{seen.judgements} accepted judgements of {seen.people} people; "
        f"{seen.documents['train']} documents ({seen.passages['train']} passages) to learn from, "
        f"{seen.documents['held']} ({seen.passages['held']}) kept to measure with"
    )
    table([(kind, *counts.values()) for kind, counts in seen.becomes.items()], ("becomes", "learnt", "kept"))
    for reason, count in seen.left_out.items():
        typer.echo(f"left out: {count} ({reason})")
    like = f", as improvement {seen.like_run} took" if seen.like_run else ", a rough guess until it runs"
    typer.echo(f"about {duration(seen.total_seconds)}{like}")
    for missing in seen.missing:
        typer.echo(f"note: {missing}", err=True)


def _tell(run: Run, *, json: bool) -> None:
    if json:
        as_json(run.as_dict())
        return
    typer.echo(f"improvement {run.number}: {run.status}, begun {run.began} by {run.asked.person}")
    for stage in run.stages:
        typer.echo(f"  {_line(stage['name'], stage)}")
        for inner in stage.get("stages", ()):
            typer.echo(f"    {_line(inner['name'], inner)}")
    if run.error:
        typer.echo(run.error, err=True)
    if run.resumable:
        typer.echo("go on where it stopped: rag improve --resume", err=True)


COMMANDS = (improve,)
