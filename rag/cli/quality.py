"""Commands about how good the answers are: evaluate, quality, gap, audit, replay.

Takes   question files (JSONL), answer ids as `rag ask --json` prints them.
Gives   figures, what was answered when, and whether it would be answered so again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.options import AnswerId, Collection, Index, Json, Model, Person, Strictness, as_json, library, table
from rag.errors import SettingsError

if TYPE_CHECKING:
    from rag.library import Measurement


def evaluate(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="JSONL: question, answers, documents, answerable.")
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Ask the approved questions instead of a file.")] = False,
    judged: Annotated[
        bool, typer.Option("--judged", help="Ask judged questions that were kept from training.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the figures, for `rag quality` and the Quality page.")
    ] = False,
    run: Annotated[int | None, typer.Option(hidden=True)] = None,
    collection: Collection = None,
    person: Person = None,
    model: Model = None,
    strictness: Strictness = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Ask every question of FILE, or of a set the library holds, and count right, wrong and refused, in percent."""
    if sum((file is not None, pinned, judged, run is not None)) != 1:
        raise SettingsError("name a question file, or use --pinned or --judged")
    with library(index, model=model, strictness=strictness) as opened:
        if run is not None:
            opened.measure(run)
            return
        if file is not None and not keep and collection is None and person is None:
            _tell(opened.evaluate(file).as_dict(), json=json)
            return
        asked = (
            opened.question_file(file)
            if file is not None
            else opened.question_set("pinned" if pinned else "judged", collection=collection, person=person)
        )
        measured = opened.start_measuring(asked, apart=False, person=person)
    _tell(_figures(measured), json=json)


def _tell(figures: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(figures)
        return
    table([(name, value) for name, value in figures.items() if isinstance(value, int | float)], ("measure", "value"))


def _figures(measured: Measurement) -> dict[str, Any]:
    """What `rag evaluate` prints of a kept run; its rows are in the library."""
    values = {name: figure.value for name, figure in measured.figures.items()}
    ends = {name: [figure.low, figure.high] for name, figure in measured.figures.items()}
    return {**values, "n": len(measured.rows), "intervals": ends, "measurement": measured.id}


def quality(
    forget: Annotated[int | None, typer.Option(metavar="ID", help="Delete one measurement instead.")] = None,
    stop: Annotated[int | None, typer.Option(metavar="ID", help="End one that is going on instead.")] = None,
    person: Person = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """List what was measured and kept: which questions, which model, right, wrong, refused; and people's thumbs."""
    with library(index) as opened:
        if forget is not None:
            opened.forget_measurement(forget, person=person)
        if stop is not None:
            opened.stop_measuring(stop, person=person)
        found, trend = opened.measurements(person=person), opened.feedback_trend(person=person)
    if json:
        thumbs = {
            "by": trend.by,
            **{name: [one._asdict() for one in getattr(trend, name)] for name in ("steps", "models")},
        }
        as_json({"measurements": [one.as_dict() for one in found], "thumbs": thumbs})
        return
    cells = [
        (one.id, one.began_at[:16], one.name, one.model, one.state, f"{len(one.rows)}/{one.total}",
         *(one.figures[name].value if name in one.figures else "" for name in ("right", "wrong", "refused")))
        for one in found
    ]  # fmt: skip
    table(cells, ("id", "at", "questions", "model", "state", "asked", "right", "wrong", "refused"))
    table([(one.name, one.up, one.down) for one in trend.models], ("answers of", "up", "down"))


def gap(collection: Collection = None, person: Person = None, index: Index = None, json: Json = False) -> None:
    """Say how far the documents lie from the text that the shipped model knows, the farthest first."""
    with library(index) as opened:
        found = opened.gaps(collection=collection, person=person)
    if json:
        as_json(found.as_dict())
        return
    said = found.as_dict()
    table([(one["document"], one["bits_per_byte"], one["tokens_per_word"]) for one in said["documents"]],
          ("document", "bits per byte", "tokens per word"))  # fmt: skip
    typer.echo(f"all: {said['bits_per_byte']} bits per byte, {said['tokens_per_word']} tokens per word")
    typer.echo(f"{found.verdict}\n{found.worth}")


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
        typer.echo("\n".join(["the same" if replayed.same else _first(replayed.difference), *replayed.changed]))
    if not replayed.same:
        raise typer.Exit(1)


def _first(difference: dict[str, Any] | None) -> str:
    """Where two answers part."""
    if difference is None:
        return "different: the same words, from other places"
    return f"different from token {difference['token']}: {difference['then']!r} then, {difference['now']!r} now"


COMMANDS = (evaluate, quality, gap, audit, replay)
